//! Records what honest nodes and attestors answer, for the fuzz targets to start from: run it by hand when their answers
//! change (`cargo test --locked --workspace --test record -- --ignored`). It writes `fuzz/recorded`.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

#[path = "../../fuzz/src/answers.rs"]
mod answers;
mod beacon_case;
#[path = "../../light-proofs/tests/proofs/beacon_chain.rs"]
mod beacon_chain;
mod common;
mod evm_support;
mod source_support;

use alloy::primitives::Address;
use answers::{Adapter, Asked, Conversation, Question, Recording, Source};
use beacon_case::{CHAIN, Case};
use common::{inbound, lock_request};
use crosspoint_adapters::attestor::AttestorPool;
use crosspoint_adapters::chain::{Chain, ClientStatus, ClientType, RelayItem, Tip};
use crosspoint_adapters::evm::{EvmChain, HeaderSource};
use crosspoint_adapters::native::NativeChain;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::secret::Preimage;
use evm_support::native::validators;
use evm_support::{World, account, attestors, key, life, proxy, settings};
use serde_json::Value;
use source_support::{api, beacon, node, proof_of};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;
use warp::http::StatusCode;

/// What was answered since it was last taken.
#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<Value>>>);

impl Tape {
    fn take(&self) -> Vec<Value> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A server that hands every request on, and keeps the answer.
    async fn before(&self, target: &Url) -> Url {
        let tape = self.clone();
        proxy::before(target.clone(), move |path, status, body| {
            // What asks for a WebSocket is no question.
            if path != "/websocket" {
                let none = status == StatusCode::NOT_FOUND;
                let answer = if none { Value::Null } else { serde_json::from_slice(&body).unwrap() };
                tape.0.lock().unwrap().push(answer);
            }
            body
        })
        .await
    }

    async fn ask(&self, adapter: &Adapter, questions: Vec<Question>) -> Vec<Conversation> {
        let mut conversations = vec![];
        for question in questions {
            self.take();
            if let Err(error) = adapter.ask(&question).await {
                panic!("{question:?}: {error}");
            }
            conversations.push(Conversation { question, answers: self.take() });
        }
        conversations
    }
}

fn write(name: &str, recording: &Recording) {
    let path = format!("{}/../fuzz/recorded/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(path, serde_json::to_string_pretty(recording).unwrap() + "\n").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes what other tests read"]
async fn what_a_native_node_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, honest, _) = common::connected(dir.path()).await;
    let checkpoint = common::checkpoint_client(&honest, &solo, 2).await;
    let now = solo.time().unwrap();
    let request = lock_request(now, 1);
    let (submitted, packet) = honest.lock(&common::signer("alice"), &request).await.unwrap();
    let height = submitted.block.height;
    let spec = honest.client_spec(1_000).await.unwrap();
    let trusted = crosspoint_light_proofs::tendermint::Header::decode(&spec.header).unwrap().signed_header.header;
    let tendermint = ClientStatus {
        client_type: ClientType::Tendermint,
        trusted: Tip {
            height: Height(trusted.height.value()),
            time: Timestamp(trusted.time.unix_timestamp().try_into().unwrap()),
        },
        trusted_hash: trusted.hash().as_bytes().to_vec(),
        ..checkpoint.clone()
    };
    solo.wait_height(Height(height.0 + 5), Duration::from_secs(30)).await.unwrap();
    let tape = Tape::default();
    let mut settings = honest.settings().clone();
    settings.endpoints = vec![tape.before(&solo.rpc_url().parse().unwrap()).await];
    // The newest block is asked for once, at the start, and not again.
    (settings.block_ms, settings.inclusion_timeout_ms) = (3_600_000, 7_200_000);
    let chain = NativeChain::new(settings.clone(), common::member("relayer")).unwrap();
    common::eventually("the first question", async || (!tape.take().is_empty()).then_some(())).await;
    let recv = RelayItem::Recv { packet: packet.clone() };
    let late = RelayItem::Timeout { packet: inbound(9, Timestamp(now.0 - 700), "alice", 9) };
    let alice = common::account("alice").to_address().unwrap();
    let prove = |client: &ClientStatus, items: &[RelayItem]| Question::Prove {
        client: Box::new(client.clone()),
        items: items.to_vec(),
    };
    let follower = chain.clients().await.unwrap().remove(0);
    let questions = vec![
        // First: from then on it knows the newest block.
        Question::Head,
        Question::Clients,
        Question::Client { of: Box::new(follower.clone()) },
        Question::Stored { path: packet.commitment_path(), at: height },
        Question::Supply { at: height },
        Question::Balance { account: alice.clone(), denom: request.denom.clone() },
        Question::HashlockUsed { sender: alice, hashlock: request.hashlock },
        prove(&checkpoint, &[recv.clone(), late.clone()]),
        prove(&checkpoint, &[]),
        prove(&tendermint, &[recv, late]),
        Question::Evidence { packet, sent: Some(height), client: Box::new(follower) },
        Question::Anchor,
        Question::Transaction { tx: submitted.tx },
        // Last: from then on it knows where the packet is.
        Question::Events { from: height, to: height },
    ];
    let conversations = tape.ask(&Adapter::Native(Box::new(chain)), questions).await;
    write("native", &Recording { asked: Asked::Native { settings }, conversations });
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes what other tests read"]
async fn what_an_ethereum_node_answers() {
    let mut world = World::new().await;
    let [(claimed, received), (sent, locked)] = life(&mut world).await;
    let tape = Tape::default();
    let mut settings = settings(&world.anvil, &world.manifest);
    settings.endpoints = vec![tape.before(world.anvil.url()).await];
    let chain = EvmChain::connect(settings.clone(), key(1), None, None).await.unwrap();
    let (denom, payer) = ("points/checkpoint-0/sfs".parse().unwrap(), account(4).parse().unwrap());
    let follower = world.chain.clients().await.unwrap().remove(0);
    let hashlock = sent.points_lock().unwrap().hashlock;
    let questions = vec![
        Question::Head,
        Question::Clients,
        Question::Client { of: Box::new(follower) },
        Question::Events { from: received, to: received },
        Question::Events { from: locked, to: locked },
        Question::Stored { path: claimed.receipt_path(), at: locked },
        Question::Supply { at: locked },
        Question::Balance { account: payer, denom },
        Question::HashlockUsed { sender: account(4).parse().unwrap(), hashlock },
        Question::Wallet,
        Question::Anchor,
    ];
    let registry = chain.registry();
    let conversations = tape.ask(&Adapter::Evm(Box::new(chain), None), questions).await;
    let asked = Asked::Evm { settings: Box::new(settings), registry, source: None };
    write("evm", &Recording { asked, conversations });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes what other tests read"]
async fn what_attestors_answer() {
    let mut world = World::new().await;
    let (genesis_hash, latest) = world.chain.trust_anchor().await.unwrap();
    let keys = validators(40, 2);
    let (tape, dir) = (Tape::default(), tempfile::tempdir().unwrap());
    let next = attestors::set(&validators(50, 3), 2);
    let mut endpoints = vec![];
    for attestor in attestors::serve(&world, genesis_hash, &keys, Some(&next), dir.path()).await {
        endpoints.push(tape.before(&attestor).await);
    }
    let pool = attestors::pool(&world, genesis_hash, attestors::set(&keys, 2), endpoints);
    let follower = attestors::follower(&world, &latest);
    let [(claimed, _), (sent, locked)] = life(&mut world).await;
    let attestors = AttestorPool::new(pool.clone()).unwrap();
    let chain = attestors::connect(&world, tape.before(world.anvil.url()).await, attestors.clone()).await;
    let ack = Acknowledgement::Success(Preimage::new([1; 32])).encode();
    let items = vec![RelayItem::Recv { packet: sent.clone() }, RelayItem::Ack { packet: claimed, ack }];
    let questions = vec![
        Question::Prove { client: Box::new(follower.clone()), items },
        Question::Prove { client: Box::new(follower.clone()), items: vec![] },
        Question::Evidence { packet: sent, sent: Some(locked), client: Box::new(follower) },
        Question::Rotation,
    ];
    let (registry, settings) = (chain.registry(), Box::new(chain.settings().clone()));
    let conversations = tape.ask(&Adapter::Evm(Box::new(chain), Some(attestors)), questions).await;
    let asked = Asked::Evm { settings, registry, source: Some(Source::Attestors(pool)) };
    write("attestors", &Recording { asked, conversations });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes what other tests read"]
async fn what_a_beacon_node_answers() {
    let case = Case::new();
    let mut recording = None;
    let recv = RelayItem::Recv { packet: case.packet.clone() };
    for (said, items) in [(&case.near, vec![recv]), (&case.far, vec![])] {
        let tape = Tape::default();
        let proofs = case.states.clone();
        let node = node(CHAIN, case.blocks(), move |method, params| proof_of(&proofs, method, params)).await;
        let nodes = api(vec![tape.before(&beacon(said.clone()).await).await]);
        let source = HeaderSource::EthereumPos(nodes);
        let chain = source_support::over(CHAIN, vec![tape.before(&node).await], vec![], source).await;
        let settings = Box::new(chain.settings().clone());
        let registry = Address::repeat_byte(7);
        let question = Question::Prove { client: Box::new(case.follower.clone()), items };
        let asked = tape.ask(&Adapter::Evm(Box::new(chain), None), vec![question]).await;
        let all: &mut Recording = recording.get_or_insert(Recording {
            asked: Asked::Evm { settings, registry, source: Some(Source::BeaconNode) },
            conversations: vec![],
        });
        all.conversations.extend(asked);
    }
    write("beacon", &recording.unwrap());
}
