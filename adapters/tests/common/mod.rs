//! A solo chain with one attested client, an EVM state to prove to it, and a proxy that lies.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::consensus::Header as EvmHeader;
use alloy::primitives::{Address as EvmAddress, B256, Bytes, U256, keccak256};
use crosspoint_adapters::chain::{ClientStatus, ClientType, LockRequest, Tip};
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_adapters::signer::Signer;
use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::engine::keys::Seed;
use crosspoint_ledger::engine::solo::{BlockTiming, Solo, SoloConfig, SoloHandle, Validators};
use crosspoint_ledger::events::Event;
use crosspoint_ledger::genesis::{Genesis, GenesisDenom, Governance, Member, Params};
use crosspoint_ledger::tx::action::{Action, AttestedSpec, ClientSpec, Role};
use crosspoint_ledger::tx::message::Message;
use crosspoint_light_proofs::attested::{Header, Statement};
use crosspoint_light_proofs::evm::storage_slot;
use crosspoint_light_proofs::signature::SigningKey as AttestorKey;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{ChainId, ClientId, Height, Sequence, Timestamp};
use crosspoint_protocol::lock::{PointsLock, Terms};
use crosspoint_protocol::packet::{Packet, Payload};
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::Preimage;
use ed25519_dalek::SigningKey;
use serde_json::Value;
use url::Url;
use warp::Filter;

pub const CHAIN: &str = "crosspoint-test";
pub const EVM_CHAIN: u64 = 31_337;
pub const TRUSTING_PERIOD: u64 = 1_000_000;
const BLOCK: Duration = Duration::from_millis(100);

pub fn member(name: &str) -> SigningKey {
    SigningKey::from_bytes(&crosspoint_protocol::sha256(&[name.as_bytes()]))
}

pub fn signer(name: &str) -> Signer {
    Signer::Native(Box::new(member(name)))
}

pub fn account(name: &str) -> AccountId {
    AccountId::of_key(&member(name).verifying_key())
}

pub fn client() -> ClientId {
    "attested-0".parse().unwrap()
}

pub fn evm_client() -> ClientId {
    "checkpoint-0".parse().unwrap()
}

pub fn evm_gateway() -> EvmAddress {
    EvmAddress::repeat_byte(0x42)
}

pub fn attestor(n: u8) -> AttestorKey {
    AttestorKey::from_bytes([n; 32]).unwrap()
}

fn genesis() -> Genesis {
    let names = ["mall", "marketing", "alice", "relayer"];
    let balances = BTreeMap::from([("mall".to_owned(), Amount::new(900)), ("alice".to_owned(), Amount::new(100_000))]);
    Genesis {
        chain_id: CHAIN.parse().unwrap(),
        time: "2026-01-01T00:00:00Z".into(),
        params: Params { min_hold: 5, ..Params::default() },
        governance: Governance {
            governors: vec!["mall".into(), "marketing".into()],
            quorum: 2,
            delay: 0,
            operators: vec!["mall".into()],
        },
        validators: vec![],
        members: names.map(|name| Member { name: name.into(), account: account(name), role: Role::Customer }).to_vec(),
        denoms: vec![GenesisDenom {
            denom: "sfs".parse().unwrap(),
            symbol: "SFS".into(),
            decimals: 0,
            issuer: "mall".into(),
            cap: Amount::new(1_000_000),
            closed: true,
            balances,
        }],
    }
}

pub async fn solo(dir: &std::path::Path) -> SoloHandle {
    let mut config = SoloConfig::new(dir, genesis());
    config.validators = Validators::Derived { count: 4, seed: Some(Seed::new([3; 32])) };
    config.timing = BlockTiming::every(BLOCK);
    let solo = Solo::start(config).await.unwrap();
    solo.wait_height(Height(2), Duration::from_secs(30)).await.unwrap();
    solo
}

pub fn adapter(endpoints: Vec<Url>) -> NativeChain {
    let mut settings = NativeSettings::new(CHAIN.parse().unwrap(), endpoints);
    settings.block_ms = 100;
    settings.request_timeout_ms = 3_000;
    settings.inclusion_timeout_ms = 10_000;
    settings.max_response_bytes = 1 << 20;
    NativeChain::new(settings, member("relayer")).unwrap()
}

/// A state of an EVM chain in which the gateway stores at most one value.
#[derive(Clone)]
pub struct EvmState {
    pub header: EvmHeader,
    pub account_proof: Vec<Bytes>,
    pub storage_proof: Vec<Bytes>,
}

fn leaf(key: &B256, value: &[u8]) -> Bytes {
    // Hex-prefix of an even number of nibbles that end at a leaf: 0x20.
    let path = [&[0x20], key.as_slice()].concat();
    let mut out = Vec::new();
    let payload = alloy_rlp::Encodable::length(&path.as_slice()) + alloy_rlp::Encodable::length(&value);
    alloy_rlp::Header { list: true, payload_length: payload }.encode(&mut out);
    alloy_rlp::Encodable::encode(&path.as_slice(), &mut out);
    alloy_rlp::Encodable::encode(&value, &mut out);
    out.into()
}

pub fn evm_state(number: u64, time: u64, stored: Option<(Path, [u8; 32])>) -> EvmState {
    let empty_root = keccak256([0x80]);
    let (storage_root, storage_proof) = match stored {
        None => (empty_root, vec![]),
        Some((path, value)) => {
            let slot = storage_slot(&path, &B256::ZERO);
            let node = leaf(&keccak256(slot), &alloy_rlp::encode(U256::from_be_bytes(value)));
            (keccak256(&node), vec![node])
        }
    };
    let mut account = Vec::new();
    let fields: [Vec<u8>; 4] = [
        alloy_rlp::encode(1_u64),
        alloy_rlp::encode(0_u64),
        alloy_rlp::encode(storage_root),
        alloy_rlp::encode(keccak256(b"code")),
    ];
    let payload_length = fields.iter().map(Vec::len).sum();
    alloy_rlp::Header { list: true, payload_length }.encode(&mut account);
    fields.iter().for_each(|field| account.extend_from_slice(field));
    let node = leaf(&keccak256(evm_gateway()), &account);
    let header = EvmHeader { number, timestamp: time, state_root: keccak256(&node), ..EvmHeader::default() };
    EvmState { header, account_proof: vec![node], storage_proof }
}

pub fn attested(prev: &EvmHeader, next: &EvmHeader) -> Header {
    let statement = Statement {
        chain_id: EVM_CHAIN,
        genesis_hash: B256::repeat_byte(1),
        epoch: 0,
        prev_number: Height(prev.number),
        prev_hash: prev.hash_slow(),
        number: Height(next.number),
        hash: next.hash_slow(),
    };
    Header::sign(statement, alloy_rlp::encode(next).into(), &[attestor(1), attestor(2)])
}

/// Proposes by one governor, approves by the other.
pub async fn govern(chain: &NativeChain, action: Action) -> Vec<Event> {
    let proposed = chain.execute(&signer("mall"), Message::Propose { action: Box::new(action) }).await.unwrap();
    let proposal = proposed.events.iter().find_map(|event| match event {
        Event::ProposalCreated { proposal, .. } => Some(*proposal),
        _ => None,
    });
    let proposal = proposal.expect("a proposal");
    chain.execute(&signer("marketing"), Message::Approve { proposal }).await.unwrap().events
}

/// A solo chain with an open client of this specification.
pub async fn connected_to(dir: &std::path::Path, spec: ClientSpec) -> (SoloHandle, NativeChain, ClientId) {
    let solo = solo(dir).await;
    let chain = adapter(vec![solo.rpc_url().parse().unwrap()]);
    let events = govern(&chain, Action::CreateClient { spec: Box::new(spec) }).await;
    let created = events.iter().find_map(|event| match event {
        Event::ClientCreated { client, .. } => Some(client.clone()),
        _ => None,
    });
    let client = created.expect("a client");
    let action = Action::RegisterCounterparty { client: client.clone(), counterparty_client: evm_client() };
    govern(&chain, action).await;
    (solo, chain, client)
}

/// A solo chain with an attested client that trusts the EVM state given here.
pub async fn connected(dir: &std::path::Path) -> (SoloHandle, NativeChain, EvmState) {
    let solo = solo(dir).await;
    let chain = adapter(vec![solo.rpc_url().parse().unwrap()]);
    let trusted = evm_state(1, solo.time().unwrap().0, None);
    let mut attestors: Vec<EvmAddress> = (1..=3).map(|n| attestor(n).address()).collect();
    attestors.sort_unstable();
    let spec = ClientSpec::Attested(AttestedSpec {
        chain_id: EVM_CHAIN,
        genesis_hash: B256::repeat_byte(1),
        epoch: 0,
        attestors,
        threshold: 2,
        gateway: evm_gateway(),
        base_slot: B256::ZERO,
        header: alloy_rlp::encode(&trusted.header).into(),
        trusting_period: TRUSTING_PERIOD,
    });
    govern(&chain, Action::CreateClient { spec: Box::new(spec) }).await;
    govern(&chain, Action::RegisterCounterparty { client: client(), counterparty_client: evm_client() }).await;
    (solo, chain, trusted)
}

/// The checkpoint client over on EVM, as its chain would describe it, that trusts this header.
pub async fn checkpoint_client(chain: &NativeChain, solo: &SoloHandle, height: u64) -> ClientStatus {
    let chain_id: ChainId = CHAIN.parse().unwrap();
    let signed = solo.node().store.checkpoint(&chain_id, height).unwrap().unwrap();
    let _ = chain;
    ClientStatus {
        client: evm_client(),
        client_type: ClientType::Checkpoint,
        counterparty_chain: chain_id,
        counterparty_client: client(),
        trusted: Tip { height: Height(height), time: signed.checkpoint.time },
        trusted_hash: vec![],
        signers: Default::default(),
        trusting_period: TRUSTING_PERIOD,
        frozen: false,
        generation: 0,
    }
}

/// A packet from EVM to this chain.
pub fn inbound(sequence: u64, now: Timestamp, receiver: &str, n: u8) -> Packet {
    let lock = PointsLock {
        denom: format!("0x{}", "11".repeat(20)).parse().unwrap(),
        amount: Amount::new(7),
        sender: format!("0x{}", "cd".repeat(20)).parse().unwrap(),
        receiver: account(receiver).to_address().unwrap(),
        hashlock: preimage(n).hashlock(),
        claim_deadline: Timestamp(now.0 + 1_200),
        terms: Terms::Plain,
        memo: String::new(),
    };
    Packet {
        sequence: Sequence(sequence),
        source_client: evm_client(),
        dest_client: client(),
        timeout: Timestamp(now.0 + 600),
        payload: Payload::points(&lock),
    }
}

pub fn preimage(n: u8) -> Preimage {
    Preimage::new([n; 32])
}

pub fn lock_request(now: Timestamp, n: u8) -> LockRequest {
    LockRequest {
        client: client(),
        denom: "sfs".parse().unwrap(),
        amount: Amount::new(10),
        receiver: format!("0x{}", "ab".repeat(20)).parse().unwrap(),
        hashlock: preimage(n).hashlock(),
        timeout: Timestamp(now.0 + 600),
        claim_deadline: Timestamp(now.0 + 1_200),
        terms: Terms::Plain,
        memo: "a test".into(),
    }
}

/// Waits until a condition holds, at most half a minute.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..300 {
        if let Some(value) = condition().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what} did not happen");
}

/// What a lying node does to its answers.
pub type Lie = Arc<dyn Fn(&Value, Value) -> Vec<u8> + Send + Sync>;

/// A proxy before a node that sees each request and changes its answer.
pub async fn proxy(target: String, lie: Lie) -> Url {
    let http = reqwest::Client::new();
    let route = warp::post().and(warp::body::json()).then(move |request: Value| {
        let (http, target, lie) = (http.clone(), target.clone(), Arc::clone(&lie));
        async move {
            let answer = http.post(&target).json(&request).send().await.unwrap().bytes().await.unwrap();
            lie(&request, serde_json::from_slice(&answer).unwrap())
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(warp::serve(route).incoming(listener).run());
    url
}
