//! Any bytes as the answers of nodes and attestors, to the adapters that ask them. What is proven of such answers is what
//! was proven of the honest ones, which were recorded (`fuzz/recorded`, by `adapters/tests/record.rs`).

use crosspoint_adapters::attestor::{AttestorPool, PoolSettings};
use crosspoint_adapters::chain::{Chain, ClientStatus, PacketEnd, RelayItem, TxId};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::anvil::development_key;
use crosspoint_adapters::evm::{EvmChain, EvmSettings, HeaderSource};
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_adapters::proven::{Evidence, Proven};
use crosspoint_adapters::told::Answers;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{Address, Height};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::path::Path;
use crosspoint_protocol::secret::Hashlock;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::LazyLock;

/// Name, function, and inputs to start from.
pub(crate) type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// All targets of the adapters.
pub(crate) const TARGETS: &[Target] = &[
    ("native_answers", |bytes| NATIVE.take(bytes), || NATIVE.seeds()),
    ("evm_answers", |bytes| EVM.take(bytes), || EVM.seeds()),
    ("attestor_answers", |bytes| ATTESTORS.take(bytes), || ATTESTORS.seeds()),
    ("beacon_answers", |bytes| BEACON.take(bytes), || BEACON.seeds()),
];

/// Most bytes of one answer that the adapters are told to read.
const MAX_ANSWER: usize = 1 << 16;
/// An answer deeper than any that is read.
const DEEP: usize = 20_000;

static NATIVE: LazyLock<World> = LazyLock::new(|| World::new(include_str!("../recorded/native.json")));
static EVM: LazyLock<World> = LazyLock::new(|| World::new(include_str!("../recorded/evm.json")));
static ATTESTORS: LazyLock<World> = LazyLock::new(|| World::new(include_str!("../recorded/attestors.json")));
static BEACON: LazyLock<World> = LazyLock::new(|| World::new(include_str!("../recorded/beacon.json")));

/// What is asked of an adapter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    Head,
    Clients,
    Client {
        of: Box<ClientStatus>,
    },
    Events {
        from: Height,
        to: Height,
    },
    Stored {
        path: Path,
        at: Height,
    },
    Supply {
        at: Height,
    },
    Balance {
        account: Address,
        denom: Denom,
    },
    HashlockUsed {
        sender: Address,
        hashlock: Hashlock,
    },
    Wallet,
    /// Without items: an update.
    Prove {
        client: Box<ClientStatus>,
        items: Vec<RelayItem>,
    },
    /// With a block: the packet was sent in it.
    Evidence {
        packet: Packet,
        sent: Option<Height>,
        client: Box<ClientStatus>,
    },
    /// What a client of the chain starts from.
    Anchor,
    /// What became of a transaction.
    Transaction {
        tx: TxId,
    },
    /// Who attests next.
    Rotation,
}

/// The base64 decoder below `tendermint` panics at some texts, and the adapter takes that for a malformed answer. Told of
/// such a panic, the runtime would print it, and read debug information for its backtrace: megabytes that no adapter used.
pub(crate) fn expect_panics_that_are_caught() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|at| at.file().contains("subtle-encoding")) {
            report(panic);
        }
    }));
}

/// A question, and what was answered when it was recorded. `null` is HTTP status 404.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Conversation {
    pub(crate) question: Question,
    pub(crate) answers: Vec<Value>,
}

/// Who vouches for headers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Attestors(PoolSettings),
    BeaconNode,
}

/// Who is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Asked {
    Native { settings: NativeSettings },
    Evm { settings: Box<EvmSettings>, registry: alloy_primitives::Address, source: Option<Source> },
}

/// What was recorded of one chain.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recording {
    pub(crate) asked: Asked,
    pub(crate) conversations: Vec<Conversation>,
}

/// An adapter.
pub(crate) enum Adapter {
    Native(Box<NativeChain>),
    /// With its attestors, if it has any.
    Evm(Box<EvmChain>, Option<AttestorPool>),
}

impl Asked {
    fn adapter(&self, answers: &Answers) -> Result<Adapter, ChainError> {
        Ok(match self {
            Self::Native { settings } => {
                let settings = NativeSettings { max_response_bytes: MAX_ANSWER, ..settings.clone() };
                Adapter::Native(Box::new(answers.native(settings, ed25519_dalek::SigningKey::from_bytes(&[7; 32]))?))
            }
            Self::Evm { settings, registry, source } => {
                let settings = EvmSettings { max_response_bytes: MAX_ANSWER, ..settings.as_ref().clone() };
                let wallet = development_key(1).expect("a key");
                let (mut pool, mut source_of_headers) = (None, None);
                match source {
                    Some(Source::Attestors(told)) => {
                        let attestors = answers.attestors(told.clone())?;
                        source_of_headers = Some(HeaderSource::Attested(attestors.clone()));
                        pool = Some(attestors);
                    }
                    Some(Source::BeaconNode) => {
                        let nodes = answers.beacon(settings.chain.clone(), settings.endpoints[0].clone())?;
                        source_of_headers = Some(HeaderSource::EthereumPos(nodes));
                    }
                    None => {}
                }
                Adapter::Evm(Box::new(answers.evm(settings, *registry, wallet, source_of_headers)?), pool)
            }
        })
    }
}

impl Adapter {
    pub(crate) fn chain(&self) -> &dyn Chain {
        match self {
            Self::Native(chain) => chain.as_ref(),
            Self::Evm(chain, _) => chain.as_ref(),
        }
    }

    /// Asks; what is proven, if that was the question.
    pub(crate) async fn ask(&self, question: &Question) -> Result<Option<Proven>, ChainError> {
        let chain = self.chain();
        match question {
            Question::Head => drop(chain.head().await?),
            Question::Clients => drop(chain.clients().await?),
            Question::Client { of } => assert_eq!(chain.client(&of.client).await?.client, of.client),
            Question::Events { from, to } => {
                let events = chain.events(*from, *to).await?;
                assert!(events.iter().all(|event| (*from..=*to).contains(&event.block.height)), "as asked for");
            }
            Question::Stored { path, at } => drop(chain.stored(path, *at).await?),
            Question::Supply { at } => drop(chain.supply(*at).await?),
            Question::Balance { account, denom } => drop(chain.balance(account, denom).await?),
            Question::HashlockUsed { sender, hashlock } => drop(chain.hashlock_used(sender, hashlock).await?),
            Question::Wallet => drop(chain.wallet().await?),
            Question::Prove { client, items } if items.is_empty() => return chain.prove_update(client).await.map(Some),
            Question::Prove { client, items } => return chain.prove(client, items).await.map(Some),
            Question::Evidence { packet, sent, client } => {
                let end = sent.map_or(PacketEnd::Destination, |sent| PacketEnd::Source { sent });
                drop(chain.evidence(packet, end, client).await?);
            }
            Question::Anchor => match self {
                Self::Native(chain) => drop(chain.client_spec(1_000).await?),
                Self::Evm(chain, _) => drop(chain.trust_anchor().await?),
            },
            Question::Transaction { tx } => {
                if let Self::Native(chain) = self {
                    drop(chain.transaction(tx).await?);
                }
            }
            Question::Rotation => {
                if let Self::Evm(_, Some(pool)) = self {
                    drop(pool.gather_rotation().await?);
                }
            }
        }
        Ok(None)
    }
}

/// A recording, and what honest answers prove.
struct World {
    recording: Recording,
    honest: Vec<Option<Proven>>,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new(text: &str) -> Self {
        let recording: Recording = serde_json::from_str(text).expect("a recording");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut world = Self { recording, honest: vec![], runtime };
        for at in 0..world.recording.conversations.len() {
            let answers = bodies(&world.recording.conversations[at]);
            let proven = world.answer(at, &answers);
            world
                .honest
                .push(proven.unwrap_or_else(|error| panic!("recorded conversation {at} says nothing: {error}")));
        }
        world
    }

    /// What the adapter makes of the answers to a question.
    fn answer(&self, at: usize, answers: &[Vec<u8>]) -> Result<Option<Proven>, ChainError> {
        let _entered = self.runtime.enter();
        let adapter = self.recording.asked.adapter(&Answers::new(answers.iter().cloned()))?;
        self.runtime.block_on(adapter.ask(&self.recording.conversations[at].question))
    }

    /// The first byte says which question, each line after it is an answer.
    fn take(&self, bytes: &[u8]) {
        let Some((first, rest)) = bytes.split_first() else { return };
        let at = usize::from(first.wrapping_sub(b'A')) % self.recording.conversations.len();
        let answers: Vec<Vec<u8>> = rest.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let Ok(Some(found)) = self.answer(at, &answers) else { return };
        let honest = self.honest[at].as_ref().expect("a proof, as before");
        assert!(found.items.iter().all(|item| honest.items.contains(item)), "{:?} was not asked for", found.items);
        // Nobody signed anything else: another header is one below, by which the honest one is reached too.
        assert!(found.height <= honest.height, "nobody signed a header {}", found.height);
        if found.height == honest.height {
            assert_eq!(header(&found), header(honest), "nobody signed this");
        }
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let all = self.recording.conversations.iter().enumerate();
        let mut seeds: Vec<Vec<u8>> = all.map(|(at, one)| input(at, &bodies(one))).collect();
        let deep = |open: &str, close: &str| {
            let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}1{}}}"#, open.repeat(DEEP), close.repeat(DEEP));
            input(0, &[answer.into_bytes()])
        };
        seeds.extend([deep("[", "]"), deep(r#"{"a":"#, "}"), input(1, &[vec![b' '; MAX_ANSWER + 1]])]);
        seeds
    }
}

fn input(at: usize, answers: &[Vec<u8>]) -> Vec<u8> {
    [&[b'A' + at as u8][..], &answers.join(&b'\n')].concat()
}

/// The answers' bytes. Who asks an EVM node counts requests from 1.
fn bodies(conversation: &Conversation) -> Vec<Vec<u8>> {
    let mut next = 1;
    let body = |answer: &Value| {
        let mut answer = answer.clone();
        if answer["id"].is_u64() {
            answer["id"] = next.into();
            next += 1;
        }
        if answer.is_null() { vec![] } else { answer.to_string().into_bytes() }
    };
    conversation.answers.iter().map(body).collect()
}

/// What is signed of the header that is proven from, if it is one that moves the client on.
fn header(proven: &Proven) -> Option<Vec<u8>> {
    match &proven.evidence {
        Evidence::Checkpoint(evidence) => {
            let update = evidence.update.as_ref().map(|update| &update.checkpoint);
            update.or(evidence.trusted.as_ref()).map(|checkpoint| checkpoint.digest().to_vec())
        }
        Evidence::Tendermint(evidence) => {
            evidence.update.as_ref().map(|header| header.signed_header.header.hash().as_bytes().to_vec())
        }
        Evidence::Attested(evidence) => evidence.update.as_ref().map(|header| header.statement.digest().to_vec()),
        Evidence::Qbft(evidence) => evidence.update.as_ref().map(|header| header.rlp.to_vec()),
        // The aggregate signature says what; who is left out of it may differ between two that are good.
        Evidence::EthereumPos(_) => None,
    }
}
