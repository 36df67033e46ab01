//! Lying, lagging and missing nodes, reorganisations, finality: nothing false is ever proven.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod evm_support;

use alloy::primitives::{Bytes, keccak256};
use alloy::sol_types::SolEvent;
use crosspoint_adapters::attestor::AttestorPool;
use crosspoint_adapters::chain::{Chain, ClientStatus, ItemOutcome, LockRequest, PacketEvent, RelayItem};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::contracts::ICrosspointGateway::Sent;
use crosspoint_adapters::evm::{BASE_SLOT, EvmChain, Finality, HeaderSource};
use crosspoint_adapters::proven::{Evidence, Proven};
use crosspoint_adapters::signer::Signer;
use crosspoint_light_proofs::attested::{ClientState, verify_update};
use crosspoint_light_proofs::evm::VerifiedAccount;
use crosspoint_light_proofs::signature::SigningKey;
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use evm_support::native::{client, validators};
use evm_support::proxy::{Proxy, flip};
use evm_support::{World, account, attestors, key, settings};
use serde_json::{Value, json};

/// The client on the native chain that follows the EVM chain, as that chain would keep it.
struct Follower {
    state: ClientState,
    endpoints: Vec<url::Url>,
    _dir: tempfile::TempDir,
}

async fn follower(world: &World) -> Follower {
    let (genesis_hash, latest) = world.chain.trust_anchor().await.unwrap();
    let keys: Vec<SigningKey> = validators(40, 3);
    let attestors = attestors::set(&keys, 2);
    let dir = tempfile::tempdir().unwrap();
    let endpoints = attestors::serve(world, genesis_hash, &keys, None, dir.path()).await;
    let state = ClientState {
        evm_chain_id: world.anvil.chain_number(),
        genesis_hash,
        attestors,
        epoch: 0,
        past: vec![],
        latest,
        trusting_period: 14 * 24 * 3600,
        frozen: false,
        generation: 0,
        anchor: latest.number,
        store_address: world.gateway(),
        base_slot: BASE_SLOT,
    };
    Follower { state, endpoints, _dir: dir }
}

impl Follower {
    fn pool(&self, world: &World) -> AttestorPool {
        let ClientState { genesis_hash, attestors, .. } = &self.state;
        AttestorPool::new(attestors::pool(world, *genesis_hash, attestors.clone(), self.endpoints.clone())).unwrap()
    }

    fn status(&self, world: &World) -> ClientStatus {
        attestors::follower(world, &self.state.latest)
    }

    /// Verifies as the native chain does.
    fn accept(&mut self, proven: &Proven) {
        let Evidence::Attested(evidence) = &proven.evidence else { panic!("not attested") };
        let now = Timestamp(proven.time.0 + 5);
        if let Some(update) = &evidence.update {
            self.state = verify_update(&self.state, update, now).unwrap().0;
        }
        if proven.items.is_empty() {
            return;
        }
        let (root, store, base) = (self.state.latest.state_root, self.state.store_address, self.state.base_slot);
        let account = VerifiedAccount::prove(&root, &store, base, &evidence.account_proof).unwrap();
        assert_eq!(proven.items.len(), evidence.storage_proofs.len());
        for (item, proof) in proven.items.iter().zip(&evidence.storage_proofs) {
            match item {
                RelayItem::Recv { packet } => {
                    account.verify_membership(&packet.commitment_path(), &packet.commitment(), proof).unwrap();
                }
                RelayItem::Ack { packet, ack } => {
                    let value = crosspoint_protocol::ack::commitment(ack);
                    account.verify_membership(&packet.ack_path(), &value, proof).unwrap();
                }
                RelayItem::Timeout { packet } => account.verify_absence(&packet.receipt_path(), proof).unwrap(),
            }
        }
    }
}

async fn connect(world: &World, follower: &Follower, endpoints: Vec<url::Url>) -> EvmChain {
    let mut settings = settings(&world.anvil, &world.manifest);
    settings.endpoints = endpoints;
    EvmChain::connect(settings, key(1), Some(HeaderSource::Attested(follower.pool(world))), None).await.unwrap()
}

/// A received and claimed packet, a packet sent, and a packet that never came.
async fn life(world: &mut World) -> (Packet, Packet, Packet) {
    let now = world.now().await;
    let preimage = Preimage::new([1; 32]);
    let send = |world: &mut World| world.native.send("sfs", 500, &account(4), &preimage, now + 600, now + 1200);
    let claimed = send(world);
    world.commit().await;
    let missing = send(world);
    let proven = world.native.prove(vec![RelayItem::Recv { packet: claimed.clone() }]);
    world.chain.submit(&client("checkpoint-0"), &proven).await.unwrap();
    world.chain.claim(&[(claimed.clone(), preimage)]).await.unwrap();
    let sent = lock(world, 7).await;
    (claimed, sent, missing)
}

async fn lock(world: &World, n: u8) -> Packet {
    let now = world.now().await;
    let request = LockRequest {
        client: client("checkpoint-0"),
        denom: "points/checkpoint-0/sfs".parse().unwrap(),
        amount: Amount::new(40),
        receiver: "point1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq".parse().unwrap(),
        hashlock: Preimage::new([n; 32]).hashlock(),
        timeout: Timestamp(now + 600),
        claim_deadline: Timestamp(now + 1200),
        terms: Terms::Plain,
        memo: String::new(),
    };
    world.chain.lock(&Signer::Evm(Box::new(key(4))), &request).await.unwrap().1
}

#[tokio::test]
async fn what_is_final_is_proven_and_the_light_client_believes_it() {
    let mut world = World::new().await;
    let mut follower = follower(&world).await;
    let chain = connect(&world, &follower, vec![world.anvil.url().clone()]).await;
    let (claimed, sent, missing) = life(&mut world).await;
    let ack = Acknowledgement::Success(Preimage::new([1; 32])).encode();
    let recv = RelayItem::Recv { packet: sent.clone() };
    // Not final yet: two blocks trail.
    let error = chain.prove(&follower.status(&world), std::slice::from_ref(&recv)).await.unwrap_err();
    assert!(matches!(error, ChainError::NotYet(_)), "{error}");

    world.anvil.mine(2).await.unwrap();
    let items = vec![
        recv,
        RelayItem::Ack { packet: claimed, ack: ack.clone() },
        RelayItem::Timeout { packet: missing.clone() },
    ];
    let proven = chain.prove(&follower.status(&world), &items).await.unwrap();
    assert_eq!(proven.items, items[..2], "before the timeout absence proves nothing");
    follower.accept(&proven);

    world.anvil.mine_at(missing.timeout.0).await.unwrap();
    let early = chain.prove(&follower.status(&world), &items[2..]).await.unwrap_err();
    assert!(matches!(early, ChainError::NotYet(_)), "{early}");
    world.anvil.mine(2).await.unwrap();
    let proven = chain.prove(&follower.status(&world), &items[2..]).await.unwrap();
    assert_eq!(proven.items, items[2..]);
    follower.accept(&proven);

    // Nothing new is final: the client is there already, and the proofs need no update.
    let again = chain.prove(&follower.status(&world), &items[..2]).await.unwrap();
    let Evidence::Attested(evidence) = &again.evidence else { panic!() };
    assert!(evidence.update.is_none());
    follower.accept(&again);
    assert!(matches!(chain.prove_update(&follower.status(&world)).await, Err(ChainError::NotYet(_))));
    world.anvil.mine(1).await.unwrap();
    follower.accept(&chain.prove_update(&follower.status(&world)).await.unwrap());
}

#[tokio::test]
async fn a_lying_node_proves_nothing_and_the_next_one_is_asked() {
    let mut world = World::new().await;
    let mut follower = follower(&world).await;
    let (_, sent, _) = life(&mut world).await;
    world.anvil.mine(4).await.unwrap();
    let items = [RelayItem::Recv { packet: sent }];
    let proxy = Proxy::start(world.anvil.url().clone()).await;
    let alone = connect(&world, &follower, vec![proxy.url.clone()]).await;
    let both = connect(&world, &follower, vec![proxy.url.clone(), world.anvil.url().clone()]).await;

    type Change = fn(&str, &mut Value);
    let lies: [(&str, Change); 8] = [
        ("another storage value in the proof", |method, result| {
            if method == "eth_getProof" {
                let nodes = result["storageProof"][0]["proof"].as_array_mut().unwrap();
                flip(nodes.last_mut().unwrap());
            }
        }),
        ("an empty storage proof", |method, result| {
            if method == "eth_getProof" {
                result["storageProof"][0]["proof"] = json!([]);
            }
        }),
        ("a shortened storage proof", |method, result| {
            if method == "eth_getProof" {
                result["storageProof"][0]["proof"].as_array_mut().unwrap().pop();
            }
        }),
        ("no storage proof at all", |method, result| {
            if method == "eth_getProof" {
                result["storageProof"] = json!([]);
            }
        }),
        ("another account", |method, result| {
            if method == "eth_getProof" {
                flip(result["accountProof"].as_array_mut().unwrap().last_mut().unwrap());
            }
        }),
        ("another state root", |method, result| {
            if method == "eth_getBlockByNumber" {
                flip(&mut result["stateRoot"]);
            }
        }),
        ("a header that hashes to what it says, but is no block", |method, result| {
            if method == "eth_getBlockByNumber" && result["number"] != "0x0" {
                flip(&mut result["extraData"]);
                result["extraData"] = json!("0x1234");
                let header: alloy::rpc::types::Header = serde_json::from_value(result.clone()).unwrap();
                result["hash"] = json!(keccak256(Bytes::from(alloy_rlp::encode(&header.inner))));
            }
        }),
        ("an answer of another form", |method, result| {
            if method == "eth_getProof" {
                *result = json!({ "nonsense": [1, 2, 3] });
            }
        }),
    ];
    for (name, change) in lies {
        proxy.tell(move |method, _, result| change(method, result));
        let error = alone.prove(&follower.status(&world), &items).await.unwrap_err();
        let caught = matches!(error, ChainError::Untrustworthy { .. } | ChainError::Malformed { .. });
        assert!(caught && error.is_transient(), "{name}: {error}");
        let proven = both.prove(&follower.status(&world), &items).await.unwrap();
        assert_eq!(proven.items, items, "{name}");
    }
    let proven = both.prove(&follower.status(&world), &items).await.unwrap();
    follower.accept(&proven);
}

#[tokio::test]
async fn withheld_and_made_up_events_are_noticed() {
    let mut world = World::new().await;
    let follower = follower(&world).await;
    life(&mut world).await;
    lock(&world, 8).await;
    let last = lock(&world, 9).await;
    world.anvil.mine(4).await.unwrap();
    let to = world.chain.head().await.unwrap().finalized.height;
    let proxy = Proxy::start(world.anvil.url().clone()).await;
    let alone = connect(&world, &follower, vec![proxy.url.clone()]).await;
    let both = connect(&world, &follower, vec![proxy.url.clone(), world.anvil.url().clone()]).await;
    let honest = world.chain.events(Height(0), to).await.unwrap();
    let sent = honest.iter().filter(|e| matches!(e.event, PacketEvent::Sent { .. })).count();
    assert_eq!(sent, 3);
    assert!(matches!(&honest.last().unwrap().event, PacketEvent::Sent { packet } if *packet == last));

    type Change = fn(&mut Vec<Value>);
    let lies: [(&str, Change); 8] = [
        ("an end that has not come", |logs| {
            let mut end = logs.last().unwrap().clone();
            end["topics"][0] = json!(keccak256("Ended(bytes32,uint64,uint8)"));
            end["data"] = json!(format!("0x{:064x}", 1));
            logs.push(end);
        }),
        ("all withheld", Vec::clear),
        ("the last withheld", |logs| drop(logs.pop())),
        ("one in the middle withheld", |logs| drop(logs.remove(logs.len() - 2))),
        ("the first sent withheld", |logs| drop(logs.remove(logs.len() - 3))),
        ("all but packets sent withheld", |logs| {
            logs.retain(|log| log["topics"][0] == Sent::SIGNATURE_HASH.to_string());
        }),
        ("another amount in a packet", |logs| {
            let data = logs.last().unwrap()["data"].as_str().unwrap().to_owned();
            // The amount, 40, ends 36 bytes into the record.
            let at = data.find("00000028").unwrap();
            logs.last_mut().unwrap()["data"] = format!("{}00000029{}", &data[..at], &data[at + 8..]).into();
        }),
        ("a log of another block", |logs| flip(&mut logs.last_mut().unwrap()["blockHash"])),
    ];
    for (name, change) in lies {
        proxy.tell(move |method, _, result| {
            if method == "eth_getLogs" {
                change(result.as_array_mut().unwrap());
            }
        });
        let error = alone.events(Height(0), to).await.unwrap_err();
        assert!(matches!(error, ChainError::Untrustworthy { .. }), "{name}: {error}");
        assert_eq!(both.events(Height(0), to).await.unwrap(), honest, "{name}");
    }
    // Ranges that end in between fit together.
    let mut pieces = vec![];
    for height in 0..=to.0 {
        pieces.extend(world.chain.events(Height(height), Height(height)).await.unwrap());
    }
    assert_eq!(pieces, honest);
}

#[tokio::test]
async fn a_reorganisation_takes_back_blocks_but_none_that_are_final() {
    let mut world = World::new().await;
    let mut follower = follower(&world).await;
    let chain = connect(&world, &follower, vec![world.anvil.url().clone()]).await;
    let (_, sent, _) = life(&mut world).await;
    let head = chain.head().await.unwrap();
    assert_eq!(head.latest.height.0, head.finalized.height.0 + 2);
    assert!(chain.stored(&sent.commitment_path(), head.latest.height).await.unwrap().value.is_some());
    world.anvil.reorg(1).await.unwrap();
    world.anvil.mine(5).await.unwrap();
    let head = chain.head().await.unwrap();
    let gone = chain.stored(&sent.commitment_path(), head.latest.height).await.unwrap();
    assert_eq!(gone.value, None, "the lock went with its block");
    let error = chain.prove(&follower.status(&world), &[RelayItem::Recv { packet: sent }]).await.unwrap_err();
    assert!(matches!(error, ChainError::NotYet(_)), "{error}");
    let events = chain.events(Height(0), head.finalized.height).await.unwrap();
    assert!(!events.iter().any(|e| matches!(e.event, PacketEvent::Sent { .. })));

    follower.accept(&chain.prove_update(&follower.status(&world)).await.unwrap());
    // Past finality: the client's trusted block is gone, and no proof is made from the other history.
    world.anvil.reorg(4).await.unwrap();
    world.anvil.mine(4).await.unwrap();
    let error = chain.prove_update(&follower.status(&world)).await.unwrap_err();
    assert!(matches!(error, ChainError::NotYet(_) | ChainError::Untrustworthy { .. }), "{error}");
}

#[tokio::test]
async fn finality_by_depth_and_fallback_from_dead_endpoints() {
    let world = World::new().await;
    let dead: url::Url = "http://127.0.0.1:9".parse().unwrap();
    let mut settings = settings(&world.anvil, &world.manifest);
    settings.endpoints = vec![dead.clone(), world.anvil.url().clone()];
    settings.finality = Finality::Depth(5);
    let chain = EvmChain::connect(settings.clone(), key(1), None, None).await.unwrap();
    let head = chain.head().await.unwrap();
    assert_eq!(head.latest.height.0, head.finalized.height.0 + 5);
    let waiting = chain.next_head(head.latest.height);
    world.anvil.mine(1).await.unwrap();
    assert_eq!(waiting.await.unwrap().latest.height.0, head.latest.height.0 + 1);

    settings.endpoints = vec![dead];
    let error = EvmChain::connect(settings, key(1), None, None).await.unwrap_err();
    assert!(matches!(error, ChainError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("http"), "an address may hold a key: {error}");
}

/// A received packet that can be claimed, and a chain that replaces what is stuck after a second.
async fn stuck(world: &mut World) -> (EvmChain, [(Packet, Preimage); 1]) {
    let now = world.now().await;
    let preimage = Preimage::new([1; 32]);
    let packet = world.native.send("sfs", 500, &account(4), &preimage, now + 3000, now + 6000);
    world.commit().await;
    let proven = world.native.prove(vec![RelayItem::Recv { packet: packet.clone() }]);
    world.chain.submit(&client("checkpoint-0"), &proven).await.unwrap();
    let mut settings = settings(&world.anvil, &world.manifest);
    settings.fees.stuck_after_secs = 1;
    settings.fees.give_up_after_secs = 60;
    world.anvil.set_automine(false).await.unwrap();
    (EvmChain::connect(settings, key(1), None, None).await.unwrap(), [(packet, preimage)])
}

/// Waits until the pool has held two transactions with this nonce, then makes a block.
async fn mine_when_replaced(world: &World, nonce: u64) {
    let mut hashes = std::collections::BTreeSet::new();
    for _ in 0..1_500 {
        let pool: Value = world.anvil.rpc().call("txpool_content", json!([])).await.unwrap();
        let wallets = pool["pending"].as_object().unwrap().values();
        let tx = wallets.filter_map(|by_nonce| by_nonce.get(nonce.to_string())).next();
        hashes.extend(tx.and_then(|tx| tx["hash"].as_str().map(str::to_owned)));
        if hashes.len() >= 2 {
            return world.anvil.mine(1).await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("nothing replaced the transaction with nonce {nonce}");
}

async fn nonce(world: &World) -> u64 {
    let count: alloy::primitives::U64 =
        world.anvil.rpc().call("eth_getTransactionCount", json!([key(1).address(), "latest"])).await.unwrap();
    count.to()
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_by_a_dearer_one() {
    let mut world = World::new().await;
    let (chain, claims) = stuck(&mut world).await;
    let nonce = nonce(&world).await;
    let (claimed, ()) = tokio::join!(chain.claim(&claims), mine_when_replaced(&world, nonce));
    assert_eq!(claimed.unwrap().outcomes, [ItemOutcome::Done]);
}

#[tokio::test]
async fn what_an_earlier_run_left_in_the_pool_does_not_block_the_wallet() {
    let mut world = World::new().await;
    let (chain, claims) = stuck(&mut world).await;
    let nonce = nonce(&world).await;
    let me = key(1).address();
    let left =
        json!([{ "from": me, "to": me, "gas": "0x5208", "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x1" }]);
    world.anvil.rpc().call::<String>("eth_sendTransaction", left).await.unwrap();
    let (claimed, ()) = tokio::join!(chain.claim(&claims), mine_when_replaced(&world, nonce));
    assert_eq!(claimed.unwrap().outcomes, [ItemOutcome::Done]);
}
