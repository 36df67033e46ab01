//! The settings of one chain.

use super::endpoint::Endpoint;
use super::reader::Reader;
use crate::keys::KeyName;
use alloy::primitives::{Address, B256};
use crosspoint_light_proofs::qbft::Encoding;
use crosspoint_protocol::ids::{ChainId, Height};
use serde::Serialize;

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChainSettings {
    /// Its id, as in transfers and metrics.
    pub id: ChainId,
    /// Its nodes, the preferred one first.
    pub endpoints: Vec<Endpoint>,
    /// Nodes of others, to compare headers with; beacon nodes where sync committees are believed.
    pub witnesses: Vec<Endpoint>,
    /// The key that pays for the relayer's transactions.
    pub relayer_key: KeyName,
    /// The keys that transfers may be paid from through the HTTP API.
    pub payer_keys: Vec<KeyName>,
    /// About the time between its blocks, in milliseconds.
    pub block_ms: u64,
    /// What only its kind has.
    pub kind: ChainKind,
}

/// A chain family with its own settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChainKind {
    /// The native chain or a sub-chain, over the CometBFT RPC.
    Native(NativeChain),
    /// An Ethereum-compatible chain, over JSON-RPC.
    Evm(EvmChain),
}

/// What only a native chain has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NativeChain {}

/// Which EVM blocks count as final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvmFinality {
    /// The block the node calls `finalized`.
    Tag,
    /// The block this many below the newest.
    Depth(u64),
}

impl std::str::FromStr for EvmFinality {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "finalized" {
            return Ok(Self::Tag);
        }
        match text.parse() {
            Ok(depth) if (1..=100_000).contains(&depth) => Ok(Self::Depth(depth)),
            _ => Err("it is neither `finalized` nor a depth from 1 to 100000".into()),
        }
    }
}

/// What only an EVM chain has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvmChain {
    /// The chain's number, the N of its id `eip155-N`.
    pub number: u64,
    /// The gateway contract.
    pub gateway: Address,
    /// The block the gateway was deployed in: nothing is looked for below it.
    pub deployed_at: Height,
    /// Which blocks are relayed.
    pub finality: EvmFinality,
    /// What makes the other chain's client believe its headers.
    pub header_source: HeaderSource,
}

/// What makes the other chain's client believe an EVM chain's headers: the type of that client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderSource {
    /// Attestors sign them.
    Attested(Attestors),
    /// The validators' seals are in them.
    Qbft(Encoding),
    /// Sync committees sign them: where beacon nodes answer.
    EthereumPos(Vec<Endpoint>),
}

/// The attestors of an EVM chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attestors {
    /// The hash of block 0, part of every attestation.
    pub genesis_hash: B256,
    /// Where they answer.
    pub endpoints: Vec<Endpoint>,
    /// Who they are: the set that the other chain's client trusts.
    pub addresses: Vec<Address>,
    /// How often that set has changed.
    pub epoch: u64,
    /// How many of them must agree.
    pub quorum: u64,
}

/// The three sources by their names in settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SourceName {
    Attested,
    Qbft,
    EthereumPos,
}

impl std::str::FromStr for SourceName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "attested" => Ok(Self::Attested),
            "qbft" => Ok(Self::Qbft),
            "ethereum-pos" => Ok(Self::EthereumPos),
            _ => Err(format!("`{}` is none of them", text.chars().take(32).collect::<String>())),
        }
    }
}

/// How the validators of a consortium chain seal its headers, by its name in settings.
struct Sealing(Encoding);

impl std::str::FromStr for Sealing {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "qbft" => Ok(Self(Encoding::Qbft)),
            "ibft2" => Ok(Self(Encoding::Ibft2)),
            "ibft1" => Ok(Self(Encoding::Ibft1)),
            _ => Err(format!("`{}` is none of them", text.chars().take(32).collect::<String>())),
        }
    }
}

/// Of the sources of headers.
const SOURCE_KEYS: &[&str] =
    &["sealing", "beacon_endpoints", "genesis_hash", "attestors", "attestor_addresses", "attestor_epoch", "quorum"];
const EVM_KEYS: &[&str] = &[
    "gateway",
    "deployed_at",
    "header_source",
    "sealing",
    "beacon_endpoints",
    "genesis_hash",
    "finality",
    "attestors",
    "attestor_addresses",
    "attestor_epoch",
    "quorum",
];

pub(super) fn read(mut r: Reader) -> Option<ChainSettings> {
    let id: Option<ChainId> = r.need("id", "the chain's id, such as crosspoint-1 or eip155-1");
    let kind: Option<String> = r.need("kind", "`native` or `evm`");
    let endpoints: Vec<Endpoint> = r.list("endpoints", "the URL of a node, such as http://127.0.0.1:26657");
    if endpoints.is_empty() {
        r.problem("endpoints", "must name at least one node, such as [\"http://127.0.0.1:26657\"]");
    }
    let witnesses: Vec<Endpoint> = r.list("witnesses", "the URL of a node that somebody else runs");
    let relayer_key: Option<KeyName> = r.need("relayer_key", "the name of a key in the keystore");
    let payer_keys = r.list("payer_keys", "the name of a key in the keystore");
    let default_block_ms = if kind.as_deref() == Some("evm") { 12_000 } else { 1_000 };
    let block_ms = r.number("block_ms", default_block_ms, 10, 600_000);
    let kind = match kind.as_deref() {
        Some("native") => Some(ChainKind::Native(NativeChain {})),
        Some("evm") => read_evm(&mut r, id.as_ref()).map(ChainKind::Evm),
        Some(other) => {
            let shown: String = other.chars().take(32).collect();
            r.problem("kind", format!("is `{shown}`; it must be `native` or `evm`"));
            // The keys of every kind count as known: the kind is what is wrong, not they.
            r.ignore(EVM_KEYS);
            None
        }
        None => {
            r.ignore(EVM_KEYS);
            None
        }
    };
    check_witnesses(&mut r, &witnesses, &endpoints, kind.as_ref());
    r.finish();
    Some(ChainSettings { id: id?, endpoints, witnesses, relayer_key: relayer_key?, payer_keys, block_ms, kind: kind? })
}

/// A witness speaks for itself.
fn check_witnesses(r: &mut Reader, witnesses: &[Endpoint], endpoints: &[Endpoint], kind: Option<&ChainKind>) {
    let beacons: &[Endpoint] = match kind {
        Some(ChainKind::Evm(EvmChain { header_source: HeaderSource::EthereumPos(nodes), .. })) => nodes,
        Some(ChainKind::Evm(_) | ChainKind::Native(_)) | None => &[],
    };
    for (at, witness) in witnesses.iter().enumerate() {
        let key = format!("witnesses[{at}]");
        if !matches!(witness.url().scheme(), "http" | "https") {
            r.problem(&key, "must be http or https");
        }
        if endpoints.contains(witness) || beacons.contains(witness) {
            r.problem(&key, "is one of the nodes that are relayed by: it cannot be its own witness");
        }
    }
}

fn read_evm(r: &mut Reader, id: Option<&ChainId>) -> Option<EvmChain> {
    let gateway: Option<Address> = r.need("gateway", "the gateway contract's address, 0x and 40 hex digits");
    let source = r.choice("header_source", SourceName::Attested, "`attested`, `qbft` or `ethereum-pos`");
    // A sealed block is final as it is made, and its nodes may know no `finalized`.
    let final_by_default = if source == Some(SourceName::Qbft) { EvmFinality::Depth(0) } else { EvmFinality::Tag };
    let finality = r.or("finality", final_by_default, "`finalized` or a number of blocks");
    let deployed_at = Height(r.number("deployed_at", 0, 0, u64::MAX));
    let header_source = match source {
        Some(SourceName::Attested) => read_attestors(r).map(HeaderSource::Attested),
        Some(SourceName::Qbft) => {
            let sealing = r.or("sealing", Sealing(Encoding::Qbft), "`qbft`, `ibft2` or `ibft1`");
            Some(HeaderSource::Qbft(sealing.0))
        }
        Some(SourceName::EthereumPos) => read_beacon_nodes(r).map(HeaderSource::EthereumPos),
        // What it needs is not known, so nothing is missing or too much.
        None => {
            r.ignore(SOURCE_KEYS);
            None
        }
    };
    let number = id.and_then(|id| {
        let number = id.as_str().strip_prefix("eip155-").and_then(|n| n.parse().ok());
        if number.is_none() {
            r.problem("id", format!("is {id}; an EVM chain's id is eip155- and its chain number, such as eip155-1"));
        }
        number
    });
    Some(EvmChain { number: number?, gateway: gateway?, deployed_at, finality, header_source: header_source? })
}

fn read_attestors(r: &mut Reader) -> Option<Attestors> {
    let endpoints: Vec<Endpoint> = r.list("attestors", "the URL of an attestor, such as http://127.0.0.1:8490");
    let addresses: Vec<Address> = r.list("attestor_addresses", "an attestor's address, 0x and 40 hex digits");
    let epoch = r.number("attestor_epoch", 0, 0, u64::MAX);
    let genesis_hash: Option<B256> = r.need("genesis_hash", "the hash of the chain's block 0, 0x and 64 hex digits");
    let quorum = r.number("quorum", 1, 1, 64);
    let enough = |n: usize| u64::try_from(n).is_ok_and(|n| n >= quorum);
    if endpoints.is_empty() {
        r.problem("attestors", "must name the attestors of this chain's headers");
    } else if !enough(endpoints.len()) {
        r.problem("quorum", format!("is {quorum}, but only {} attestors are named", endpoints.len()));
    }
    if !enough(addresses.len()) {
        let few = format!("names {} attestors, fewer than the quorum of {quorum}", addresses.len());
        r.problem("attestor_addresses", few);
    }
    Some(Attestors { genesis_hash: genesis_hash?, endpoints, addresses, epoch, quorum })
}

fn read_beacon_nodes(r: &mut Reader) -> Option<Vec<Endpoint>> {
    const KEY: &str = "beacon_endpoints";
    let nodes: Vec<Endpoint> = r.list(KEY, "the URL of a beacon node, such as http://127.0.0.1:5052");
    if nodes.is_empty() {
        r.problem(KEY, "must name at least one beacon node, such as [\"http://127.0.0.1:5052\"]");
        return None;
    }
    for (at, node) in nodes.iter().enumerate() {
        if !matches!(node.url().scheme(), "http" | "https") {
            r.problem(&format!("{KEY}[{at}]"), "must be http or https: the beacon API has no other");
        }
    }
    Some(nodes)
}
