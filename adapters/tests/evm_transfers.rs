//! Transfers through the real contracts on anvil, with proofs of a native chain built by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod evm_support;

use alloy::primitives::{B256, Bytes};
use alloy::sol_types::{SolCall, SolError};
use crosspoint_adapters::chain::{Chain, ItemOutcome, LockRequest, PacketEvent, RelayItem};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::artifacts::Contract;
use crosspoint_adapters::evm::calldata;
use crosspoint_adapters::evm::contracts::{IAccessManager, ICrosspointRegistry};
use crosspoint_adapters::evm::deploy::{DeployError, DeployPlan, GovernancePlan, deploy};
use crosspoint_adapters::evm::record::client_word;
use crosspoint_adapters::signer::Signer;
use crosspoint_protocol::ack::{Acknowledgement, UNIVERSAL_ERROR_ACK};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::htlc::{AckCause, LockEnd};
use crosspoint_protocol::ids::{Height, Timestamp};
use crosspoint_protocol::lock::Terms;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::{Hashlock, Preimage};
use evm_support::native::client;
use evm_support::{World, account, key};
use serde_json::json;

fn preimage(n: u8) -> Preimage {
    Preimage::new([n; 32])
}

async fn request(world: &World, n: u8, amount: u128) -> LockRequest {
    let now = world.now().await;
    LockRequest {
        client: client("checkpoint-0"),
        denom: "points/checkpoint-0/sfs".parse().unwrap(),
        amount: Amount::new(amount),
        receiver: "point1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq".parse().unwrap(),
        hashlock: preimage(n).hashlock(),
        timeout: Timestamp(now + 600),
        claim_deadline: Timestamp(now + 1200),
        terms: Terms::Plain,
        memo: "back home".into(),
    }
}

/// Gives account `index` vouchers by a whole transfer from the native chain.
async fn fund(world: &mut World, index: usize, n: u8, amount: u128) {
    let now = world.now().await;
    let packet = world.native.send("sfs", amount, &account(index), &preimage(n), now + 600, now + 1200);
    world.commit().await;
    let proven = world.native.prove(vec![RelayItem::Recv { packet: packet.clone() }]);
    let received = world.chain.submit(&client("checkpoint-0"), &proven).await.unwrap();
    assert_eq!(received.outcomes, [ItemOutcome::Done]);
    let claimed = world.chain.claim(&[(packet, preimage(n))]).await.unwrap();
    assert_eq!(claimed.outcomes, [ItemOutcome::Done]);
}

async fn lock(world: &World, index: usize, n: u8, amount: u128) -> Packet {
    let payer = Signer::Evm(Box::new(key(index)));
    let request = request(world, n, amount).await;
    let (submitted, packet) = world.chain.lock(&payer, &request).await.unwrap();
    assert_eq!(submitted.outcomes, [ItemOutcome::Done]);
    packet
}

#[tokio::test]
async fn a_second_deployment_changes_nothing() {
    let world = World::new().await;
    let before = world.anvil.rpc().call::<String>("eth_blockNumber", serde_json::json!([])).await.unwrap();
    let again = deploy(&world.plan, &key(0), Some(world.manifest.clone()), &mut |_| {}).await.unwrap();
    assert_eq!(again, world.manifest);
    let after = world.anvil.rpc().call::<String>("eth_blockNumber", serde_json::json!([])).await.unwrap();
    assert_eq!(before, after);
    let text = serde_json::to_string(&again).unwrap();
    assert_eq!(serde_json::from_str::<crosspoint_adapters::evm::deploy::Manifest>(&text).unwrap(), again);

    let mut other = world.plan.clone();
    other.clients[0].counterparty = client("attested-9");
    let error = deploy(&other, &key(0), Some(again.clone()), &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, DeployError::Differs { .. }), "{error}");
    // What is open already must be as planned, to the last limit.
    let mut capped = world.plan.clone();
    capped.clients[0].vouchers[0].cap = Amount::new(1);
    let mut limited = world.plan.clone();
    limited.clients[0].vouchers[0].limits.max_amount = Some(Amount::new(7));
    for (plan, what) in [(capped, "the cap of points/checkpoint-0/sfs"), (limited, "the most at once of points/")] {
        let error = deploy(&plan, &key(0), Some(again.clone()), &mut |_| {}).await.unwrap_err();
        assert!(matches!(&error, DeployError::Differs { what: found, .. } if found.starts_with(what)), "{error}");
    }
    let mut moved = again;
    let gateway = crosspoint_adapters::evm::artifacts::Contract::Gateway;
    moved.contracts.get_mut(&gateway).unwrap().address = key(5).address();
    let error = deploy(&world.plan, &key(0), Some(moved), &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, DeployError::OtherCode { .. }), "{error}");
}

/// Calls as an account of anvil's, without a transaction.
async fn call(world: &World, from: usize, to: Contract, call: &impl SolCall) -> Result<String, ChainError> {
    let request = json!({ "from": key(from).address(), "to": world.manifest.address(to), "data": Bytes::from(call.abi_encode()) });
    world.anvil.rpc().call("eth_call", json!([request, "latest"])).await
}

/// A transaction of an account of anvil's.
async fn transact(world: &World, from: usize, to: Contract, call: &impl SolCall) {
    let request = json!({ "from": key(from).address(), "to": world.manifest.address(to), "data": Bytes::from(call.abi_encode()) });
    let hash: String = world.anvil.rpc().call("eth_sendTransaction", json!([request])).await.unwrap();
    world.anvil.mine(1).await.unwrap();
    let receipt: serde_json::Value = world.anvil.rpc().call("eth_getTransactionReceipt", json!([hash])).await.unwrap();
    assert_eq!(receipt["status"], "0x1");
}

#[tokio::test]
async fn after_the_deployment_the_council_decides_and_its_decisions_wait() {
    const DEPLOYER: usize = 0;
    const COUNCIL: usize = 6;
    const OPERATOR: usize = 7;
    const DELAY: u32 = 3_600;
    let mut world = World::new().await;
    let governance =
        GovernancePlan { council: key(COUNCIL).address(), delay: DELAY, operators: vec![key(OPERATOR).address()] };
    let without_delay = Some(GovernancePlan { delay: 0, ..governance.clone() });
    let plan = DeployPlan { governance: without_delay, ..world.plan.clone() };
    let error = deploy(&plan, &key(DEPLOYER), Some(world.manifest.clone()), &mut |_| {}).await.unwrap_err();
    assert_eq!(error, DeployError::NoDelay);

    let mut plan = DeployPlan { governance: Some(governance), ..world.plan.clone() };
    for _ in 0..2 {
        let same = deploy(&plan, &key(DEPLOYER), Some(world.manifest.clone()), &mut |_| {}).await.unwrap();
        assert_eq!(same, world.manifest);
    }
    plan.governance.as_mut().unwrap().delay = 60;
    let error = deploy(&plan, &key(DEPLOYER), Some(world.manifest.clone()), &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, DeployError::Differs { .. }), "{error}");

    // The client expires; a new anchor is for the council alone to set.
    let id = B256::from(client_word(&client("checkpoint-0")));
    let period = world.plan.clients[0].rules.trusting_period;
    world.anvil.increase_time(period + 1).await.unwrap();
    world.anvil.mine(1).await.unwrap();
    world.commit().await;
    let anchor = calldata::header(&world.native.header().checkpoint).into();
    let reanchor = ICrosspointRegistry::reanchorCall { client: id, anchor };
    let pause = ICrosspointRegistry::pauseCall { client: id };
    for who in [DEPLOYER, OPERATOR] {
        let error = call(&world, who, Contract::Registry, &reanchor).await.unwrap_err();
        assert!(matches!(error, ChainError::Rejected { .. }), "{error}");
    }
    call(&world, OPERATOR, Contract::Registry, &pause).await.unwrap();
    for who in [DEPLOYER, COUNCIL] {
        call(&world, who, Contract::Registry, &pause).await.unwrap_err();
    }

    let unpublished = call(&world, COUNCIL, Contract::Registry, &reanchor).await.unwrap_err();
    let not_scheduled = hex::encode(IAccessManager::AccessManagerNotScheduled::SELECTOR);
    assert!(unpublished.to_string().contains(&not_scheduled), "{unpublished}");
    let schedule = IAccessManager::scheduleCall {
        target: world.manifest.address(Contract::Registry).unwrap(),
        data: reanchor.abi_encode().into(),
        when: Default::default(),
    };
    transact(&world, COUNCIL, Contract::AccessManager, &schedule).await;
    let early = call(&world, COUNCIL, Contract::Registry, &reanchor).await.unwrap_err();
    let not_ready = hex::encode(IAccessManager::AccessManagerNotReady::SELECTOR);
    assert!(early.to_string().contains(&not_ready), "{early}");
    world.anvil.increase_time(u64::from(DELAY)).await.unwrap();
    world.anvil.mine(1).await.unwrap();
    transact(&world, COUNCIL, Contract::Registry, &reanchor).await;
    let status = world.chain.client(&client("checkpoint-0")).await.unwrap();
    assert_eq!((status.trusted.height, status.generation), (world.native.header().checkpoint.height, 2));
}

#[tokio::test]
async fn a_batch_from_the_native_chain_is_received_and_claimed_or_voided() {
    let mut world = World::new().await;
    let now = world.now().await;
    let mut packets = vec![];
    for n in 1..=7_u8 {
        packets.push(world.native.send("sfs", 100 + u128::from(n), &account(3), &preimage(n), now + 600, now + 1200));
        if n % 3 == 0 {
            world.commit().await;
        }
    }
    world.commit().await;
    // The order of the items is not that of the outbox, and one was never sent.
    let mut forged = packets[0].clone();
    forged.sequence.0 = 77;
    let items = [5, 0, 3, 6].map(|at: usize| RelayItem::Recv { packet: packets[at].clone() });
    let mut items = items.to_vec();
    items.push(RelayItem::Recv { packet: forged });
    let submitted = world.chain.submit(&client("checkpoint-0"), &world.native.prove(items.clone())).await.unwrap();
    assert_eq!(submitted.outcomes[..4], [const { ItemOutcome::Done }; 4]);
    assert!(matches!(&submitted.outcomes[4], ItemOutcome::Skipped { .. }));
    assert!(submitted.gas_used > 100_000);

    items.pop();
    let again = world.chain.submit(&client("checkpoint-0"), &world.native.prove(items)).await.unwrap();
    assert_eq!(again.outcomes, [const { ItemOutcome::Duplicate }; 4]);

    let claimed = world
        .chain
        .claim(&[
            (packets[0].clone(), preimage(1)),
            (packets[3].clone(), preimage(9)),
            (packets[5].clone(), preimage(6)),
        ])
        .await
        .unwrap();
    assert_eq!(claimed.outcomes[0], ItemOutcome::Done);
    assert!(matches!(claimed.outcomes[1], ItemOutcome::Skipped { retryable: false, .. }));
    assert_eq!(claimed.outcomes[2], ItemOutcome::Done);
    assert_eq!(world.balance(3).await, 101 + 106);

    let early = world.chain.void(&[packets[3].clone()]).await.unwrap();
    assert!(matches!(early.outcomes[0], ItemOutcome::Skipped { retryable: true, .. }));
    world.anvil.mine_at(now + 1200).await.unwrap();
    let late = world.chain.claim(&[(packets[3].clone(), preimage(4))]).await.unwrap();
    assert!(matches!(late.outcomes[0], ItemOutcome::Skipped { retryable: false, .. }));
    assert_eq!(late.tx.0, "", "the preimage must not have been shown");
    let voided = world.chain.void(&[packets[3].clone(), packets[6].clone()]).await.unwrap();
    assert_eq!(voided.outcomes, [ItemOutcome::Done, ItemOutcome::Done]);

    world.anvil.mine(3).await.unwrap();
    let head = world.chain.head().await.unwrap();
    let events = world.chain.events(Height(0), head.finalized.height).await.unwrap();
    let received = events.iter().filter(|e| matches!(e.event, PacketEvent::Received { .. })).count();
    assert_eq!(received, 4);
    let acks: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.event {
            PacketEvent::AckWritten { sequence, ack, cause, .. } => Some((sequence.0, ack.clone(), *cause)),
            _ => None,
        })
        .collect();
    assert!(acks.contains(&(1, Acknowledgement::Success(preimage(1)).encode(), AckCause::Claimed)));
    assert!(acks.contains(&(4, UNIVERSAL_ERROR_ACK.to_vec(), AckCause::Voided)));
    assert_eq!(acks.len(), 4);

    let supply = world.chain.supply(head.latest.height).await.unwrap();
    let book = supply[0].voucher.unwrap();
    assert_eq!((book.circulating.get(), book.held.get(), book.returning.get()), (207, 0, 0));
    let receipt = world.chain.stored(&packets[0].receipt_path(), head.latest.height).await.unwrap();
    assert_eq!(receipt.value, Some(packets[0].commitment()));
    let none = world.chain.stored(&packets[1].receipt_path(), head.latest.height).await.unwrap();
    assert_eq!(none.value, None);
}

#[tokio::test]
async fn locks_end_by_proven_acks_and_proven_absence() {
    let mut world = World::new().await;
    fund(&mut world, 4, 1, 1_000).await;
    let settled = lock(&world, 4, 11, 400).await;
    let refunded = lock(&world, 4, 12, 50).await;
    let lost = lock(&world, 4, 13, 70).await;
    assert_eq!(world.balance(4).await, 480);

    let success = Acknowledgement::Success(preimage(11)).encode();
    for (packet, ack) in [(&settled, &success), (&refunded, &UNIVERSAL_ERROR_ACK.to_vec())] {
        world.native.receive(packet);
        world.native.acknowledge(packet, ack);
    }
    world.commit().await;
    let items = vec![
        RelayItem::Timeout { packet: lost.clone() },
        RelayItem::Ack { packet: refunded.clone(), ack: UNIVERSAL_ERROR_ACK.to_vec() },
        RelayItem::Ack { packet: settled.clone(), ack: success },
    ];
    let early = world.chain.submit(&client("checkpoint-0"), &world.native.prove(items.clone())).await.unwrap();
    assert!(matches!(early.outcomes[0], ItemOutcome::Skipped { retryable: true, .. }), "{early:?}");
    assert_eq!(early.outcomes[1..], [ItemOutcome::Done, ItemOutcome::Done]);
    assert_eq!(world.balance(4).await, 530);

    world.anvil.mine_at(lost.timeout.0 + 1).await.unwrap();
    world.commit().await;
    let proven = world.native.prove(vec![RelayItem::Timeout { packet: lost.clone() }]);
    let timed_out = world.chain.submit(&client("checkpoint-0"), &proven).await.unwrap();
    assert_eq!(timed_out.outcomes, [ItemOutcome::Done]);
    assert_eq!(world.balance(4).await, 600);

    world.anvil.mine(3).await.unwrap();
    let head = world.chain.head().await.unwrap();
    let events = world.chain.events(Height(0), head.finalized.height).await.unwrap();
    let sent: Vec<Packet> = events
        .iter()
        .filter_map(|e| match &e.event {
            PacketEvent::Sent { packet } => Some(packet.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(sent, [settled, refunded, lost]);
    let ends: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.event {
            PacketEvent::Ended { sequence, end, .. } => Some((sequence.0, *end)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(1, LockEnd::Settled), (2, LockEnd::Refunded), (3, LockEnd::TimedOut)]);
}

#[tokio::test]
async fn a_rotation_is_followed_and_an_old_set_refused() {
    let mut world = World::new().await;
    world.native.next_keys = evm_support::native::validators(20, 5);
    world.commit().await;
    let rotation = world.native.prove(vec![]);
    world.chain.submit(&client("checkpoint-0"), &rotation).await.unwrap();
    fund(&mut world, 4, 1, 10).await;
    assert_eq!(world.balance(4).await, 10);

    world.native.keys = evm_support::native::validators(1, 4);
    world.native.next_keys = evm_support::native::validators(1, 4);
    world.commit().await;
    let old = world.native.prove(vec![]);
    let error = world.chain.submit(&client("checkpoint-0"), &old).await.unwrap_err();
    assert!(matches!(error, ChainError::Rejected { retryable: true, .. }), "{error}");
}

#[tokio::test]
async fn what_cannot_be_locked_is_refused_in_words() {
    let mut world = World::new().await;
    fund(&mut world, 4, 1, 100).await;
    let payer = Signer::Evm(Box::new(key(4)));
    let good = request(&world, 2, 10).await;
    let poor = LockRequest { amount: Amount::new(101), ..good.clone() };
    assert!(matches!(world.chain.lock(&payer, &poor).await, Err(ChainError::InsufficientFunds { .. })));
    let late = LockRequest { timeout: Timestamp(1), ..good.clone() };
    let error = world.chain.lock(&payer, &late).await.unwrap_err();
    assert!(error.to_string().contains("the timeout is not after now"), "{error}");
    let unknown = LockRequest { denom: "points/checkpoint-0/gold".parse().unwrap(), ..good.clone() };
    assert!(matches!(world.chain.lock(&payer, &unknown).await, Err(ChainError::NotFound { .. })));
    world.chain.lock(&payer, &good).await.unwrap();
    let error = world.chain.lock(&payer, &good).await.unwrap_err();
    assert!(error.to_string().contains("used before"), "{error}");
    let account = account(4).parse().unwrap();
    assert!(world.chain.hashlock_used(&account, &good.hashlock).await.unwrap());
    assert!(!world.chain.hashlock_used(&account, &preimage(99).hashlock()).await.unwrap());
    assert_eq!(good.hashlock, Hashlock(preimage(2).hashlock().0));
}

#[tokio::test]
async fn clients_show_what_they_trust() {
    let mut world = World::new().await;
    fund(&mut world, 4, 1, 100).await;
    let clients = world.chain.clients().await.unwrap();
    assert_eq!(clients.len(), 1);
    let status = world.chain.client(&client("checkpoint-0")).await.unwrap();
    assert_eq!(status, clients[0]);
    assert_eq!(status.counterparty_client, client("attested-0"));
    assert_eq!(status.trusted.height, world.native.header().checkpoint.height);
    let error = world.chain.client(&client("checkpoint-9")).await.unwrap_err();
    assert!(matches!(error, ChainError::NotFound { .. }));
}

#[tokio::test]
async fn many_transactions_at_once_take_one_nonce_each() {
    let mut world = World::new().await;
    let now = world.now().await;
    let packets: Vec<_> =
        (1..=12).map(|n| world.native.send("sfs", 5, &account(3), &preimage(n), now + 600, now + 1200)).collect();
    world.commit().await;
    let items = packets.iter().map(|packet| RelayItem::Recv { packet: packet.clone() }).collect();
    world.chain.submit(&client("checkpoint-0"), &world.native.prove(items)).await.unwrap();
    let claims: Vec<_> = (1..=12_u8).zip(packets).map(|(n, packet)| [(packet, preimage(n))]).collect();
    let results = futures::future::join_all(claims.iter().map(|claim| world.chain.claim(claim))).await;
    for result in results {
        assert_eq!(result.unwrap().outcomes, [ItemOutcome::Done]);
    }
    assert_eq!(world.balance(3).await, 60);
}
