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
#[path = "../../light-proofs/tests/proofs/beacon_chain.rs"]
mod beacon_chain;
mod common;
mod evm_support;
mod source_support;

use alloy::consensus::Header as EvmHeader;
use alloy::primitives::Address;
use answers::{Adapter, Asked, Conversation, Question, Recording, Source};
use beacon_chain::{Block, Execution, PERIOD, SIZE, network, unanchored};
use common::{evm_state, inbound, lock_request};
use crosspoint_adapters::attestor::{AttestorPool, AttestorService, AttestorSettings, PoolSettings, http};
use crosspoint_adapters::chain::{Chain, ClientStatus, ClientType, LockRequest, RelayItem, Tip};
use crosspoint_adapters::evm::{EvmChain, Finality, HeaderSource};
use crosspoint_adapters::native::NativeChain;
use crosspoint_adapters::signer::Signer;
use crosspoint_ledger::query::SignersView;
use crosspoint_light_proofs::attested::Attestors;
use crosspoint_light_proofs::ethereum_pos::{Preset, anchor};
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use evm_support::native::{client, validators};
use evm_support::{World, account, key, settings};
use serde_json::{Value, json};
use source_support::{Beacon, api, beacon, node, proof_of, serve};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use url::Url;
use warp::Filter;
use warp::Reply;
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
        let (http, target, tape) = (reqwest::Client::new(), target.clone(), self.clone());
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        let route = warp::method().and(warp::path::full()).and(query).and(warp::body::bytes()).then(
            move |method: warp::http::Method,
                  path: warp::path::FullPath,
                  query: String,
                  body: alloy::primitives::bytes::Bytes| {
                let (http, mut url, tape) = (http.clone(), target.clone(), tape.clone());
                async move {
                    url.set_path(path.as_str());
                    url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
                    let request = if method == "POST" { http.post(url).body(body) } else { http.get(url) };
                    let request =
                        request.header("content-type", "application/json").header("accept", "application/json");
                    let answer = request.send().await.unwrap();
                    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap();
                    let body = answer.bytes().await.unwrap();
                    // What asks for a WebSocket is no question.
                    if path.as_str() != "/websocket" {
                        let none = status == StatusCode::NOT_FOUND;
                        let answer = if none { Value::Null } else { serde_json::from_slice(&body).unwrap() };
                        tape.0.lock().unwrap().push(answer);
                    }
                    warp::reply::with_status(body.to_vec(), status).into_response()
                }
            },
        );
        serve(
            route
                .recover(|_| async { Ok::<_, std::convert::Infallible>(StatusCode::BAD_REQUEST.into_response()) })
                .unify(),
        )
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

/// A received and claimed packet and the block it was received in, a packet sent and its block.
async fn life(world: &mut World) -> [(Packet, Height); 2] {
    let now = world.now().await;
    let preimage = Preimage::new([1; 32]);
    let claimed = world.native.send("sfs", 500, &account(4), &preimage, now + 600, now + 1200);
    world.commit().await;
    let proven = world.native.prove(vec![RelayItem::Recv { packet: claimed.clone() }]);
    let received = world.chain.submit(&client("checkpoint-0"), &proven).await.unwrap().block.height;
    world.chain.claim(&[(claimed.clone(), preimage)]).await.unwrap();
    let request = LockRequest {
        client: client("checkpoint-0"),
        denom: "points/checkpoint-0/sfs".parse().unwrap(),
        amount: Amount::new(40),
        receiver: "point1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq".parse().unwrap(),
        hashlock: Preimage::new([7; 32]).hashlock(),
        timeout: Timestamp(now + 600),
        claim_deadline: Timestamp(now + 1200),
        terms: Terms::Plain,
        memo: "back home".into(),
    };
    let (submitted, sent) = world.chain.lock(&Signer::Evm(Box::new(key(4))), &request).await.unwrap();
    world.anvil.mine(4).await.unwrap();
    [(claimed, received), (sent, submitted.block.height)]
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
    let keys: Vec<SigningKey> = validators(40, 2);
    let set =
        |keys: &[SigningKey]| Attestors::from_unsorted(keys.iter().map(SigningKey::address).collect(), 2).unwrap();
    let (tape, dir) = (Tape::default(), tempfile::tempdir().unwrap());
    let mut endpoints = vec![];
    for (at, key) in keys.iter().enumerate() {
        let settings = AttestorSettings {
            chain: world.anvil.chain().clone(),
            chain_number: world.anvil.chain_number(),
            genesis_hash,
            epoch: 0,
            next: Some(set(&validators(50, 3))),
            endpoint: world.anvil.url().clone(),
            finality: Finality::Tag,
            journal: dir.path().join(format!("attestor-{at}")),
            timeout_ms: 5_000,
        };
        let service = AttestorService::start(settings, key.clone()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(warp::serve(http::routes(service)).incoming(listener).run());
        endpoints.push(tape.before(&url).await);
    }
    let pool = PoolSettings {
        chain: world.anvil.chain().clone(),
        chain_number: world.anvil.chain_number(),
        genesis_hash,
        epoch: 0,
        attestors: set(&keys),
        endpoints,
        timeout_ms: 5_000,
    };
    let follower = ClientStatus {
        client: client("attested-0"),
        client_type: ClientType::Attested,
        counterparty_chain: world.anvil.chain().clone(),
        counterparty_client: client("checkpoint-0"),
        trusted: Tip { height: latest.number, time: latest.time },
        trusted_hash: latest.hash.to_vec(),
        signers: Default::default(),
        trusting_period: 14 * 24 * 3600,
        frozen: false,
        generation: 0,
    };
    let [(claimed, _), (sent, locked)] = life(&mut world).await;
    let mut settings = settings(&world.anvil, &world.manifest);
    settings.endpoints = vec![tape.before(world.anvil.url()).await];
    let attestors = AttestorPool::new(pool.clone()).unwrap();
    let source = HeaderSource::Attested(attestors.clone());
    let chain = EvmChain::connect(settings.clone(), key(1), Some(source), None).await.unwrap();
    let ack = Acknowledgement::Success(Preimage::new([1; 32])).encode();
    let items = vec![RelayItem::Recv { packet: sent.clone() }, RelayItem::Ack { packet: claimed, ack }];
    let questions = vec![
        Question::Prove { client: Box::new(follower.clone()), items },
        Question::Prove { client: Box::new(follower.clone()), items: vec![] },
        Question::Evidence { packet: sent, sent: Some(locked), client: Box::new(follower) },
        Question::Rotation,
    ];
    let registry = chain.registry();
    let conversations = tape.ask(&Adapter::Evm(Box::new(chain), Some(attestors)), questions).await;
    let asked = Asked::Evm { settings: Box::new(settings), registry, source: Some(Source::Attestors(pool)) };
    write("attestors", &Recording { asked, conversations });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes what other tests read"]
async fn what_a_beacon_node_answers() {
    const CHAIN: u64 = 31_337;
    let executed =
        |header: &EvmHeader| Execution { number: header.number, state_root: header.state_root, time: header.timestamp };
    let before = evm_state(10, 1_100, None);
    let bootstrap = Block { execution: Some(executed(&before.header)), ..Block::new(8, 0) }.bootstrap();
    let root = bootstrap.header.beacon.root();
    let (_, state) = anchor(unanchored(Preset::MINIMAL, beacon_chain::ELECTRA), &bootstrap).unwrap();
    let follower = ClientStatus {
        client: client("ethereum-pos-0"),
        client_type: ClientType::EthereumPos,
        counterparty_chain: format!("eip155-{CHAIN}").parse().unwrap(),
        counterparty_client: client("checkpoint-0"),
        trusted: Tip { height: Height(10), time: Timestamp(1_100) },
        trusted_hash: root.to_vec(),
        signers: SignersView::SyncCommittees { network: Box::new(network(Preset::MINIMAL)), state },
        trusting_period: 86_400,
        frozen: false,
        generation: 0,
    };
    let mut packet = inbound(1, Timestamp(2_000), "alice", 1);
    packet.dest_client = follower.client.clone();
    let sent = evm_state(13, 1_300, Some((packet.commitment_path(), packet.commitment())));
    let states = [before.clone(), evm_state(11, 1_200, None), evm_state(12, 1_250, None), sent.clone()];
    let blocks: Vec<EvmHeader> = states.iter().map(|state| state.header.clone()).collect();
    let finality = |slot: u64, finalized: u64, header: &EvmHeader| {
        let block = Block { final_execution: Some(executed(header)), ..Block::new(slot, finalized) };
        let mut update = block.update(SIZE);
        let whole = json!({ "version": "electra", "data": update });
        (update.next_sync_committee, update.next_sync_committee_branch) = (None, vec![]);
        (json!({ "version": "electra", "data": update }), whole)
    };
    let bootstraps = [(root, json!({ "version": "electra", "data": bootstrap }))].into();
    let (near, _) = finality(40, 24, &sent.header);
    let near = Beacon { bootstraps, finality: Some(near), ..Beacon::default() };
    let (late, _) = finality(2 * PERIOD + 20, 2 * PERIOD + 12, &sent.header);
    let (_, whole) = finality(40, 24, &blocks[1]);
    let far = Beacon { finality: Some(late), updates: [(0, whole)].into(), ..near.clone() };
    let mut recording = None;
    for (said, items) in [(near, vec![RelayItem::Recv { packet }]), (far, vec![])] {
        let tape = Tape::default();
        let proofs = states.to_vec();
        let node = node(CHAIN, blocks.clone(), move |method, params| proof_of(&proofs, method, params)).await;
        let nodes = api(vec![tape.before(&beacon(said).await).await]);
        let source = HeaderSource::EthereumPos(nodes);
        let chain = source_support::over(CHAIN, vec![tape.before(&node).await], vec![], source).await;
        let settings = Box::new(chain.settings().clone());
        let registry = Address::repeat_byte(7);
        let question = Question::Prove { client: Box::new(follower.clone()), items };
        let asked = tape.ask(&Adapter::Evm(Box::new(chain), None), vec![question]).await;
        let all: &mut Recording = recording.get_or_insert(Recording {
            asked: Asked::Evm { settings, registry, source: Some(Source::BeaconNode) },
            conversations: vec![],
        });
        all.conversations.extend(asked);
    }
    write("beacon", &recording.unwrap());
}
