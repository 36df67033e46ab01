//! What becomes of transfers when chains, nodes and the relayer itself behave well and badly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod model;

use async_trait::async_trait;
use crosspoint_adapters::chain::{PacketEvent, RelayItem};
use crosspoint_adapters::error::ChainError;
use crosspoint_protocol::htlc::HoldState;
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::packet::Packet;
use crosspoint_relayer::journal::StageCount;
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::probe::{Point, Probe};
use crosspoint_relayer::retry::RetryReason;
use model::world::{VOUCHER, World, stop, until};
use model::{CAP, address, preimage};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_cross_and_vouchers_return_home() {
    let world = World::new();
    let relayer = world.start().await;
    let packet = world.pay(1);
    world.reaches(&relayer, &packet, Stage::Held).await;
    world.b.claim_now(&packet, &preimage(1));
    world.reaches(&relayer, &packet, Stage::Settled).await;
    assert_eq!((world.a.has("alice", "sfs"), world.b.has("bob", VOUCHER)), (CAP - 1_000, 1_000));

    let home = world.b.pay("bob", &world.b.request("client-ba", VOUCHER, 400, "alice", preimage(2).hashlock()));
    world.reaches(&relayer, &home, Stage::Held).await;
    world.a.claim_now(&home, &preimage(2));
    world.reaches(&relayer, &home, Stage::Settled).await;
    assert_eq!((world.a.has("alice", "sfs"), world.b.has("bob", VOUCHER)), (CAP - 600, 600));
    let report = world.balances().await;
    let sfs = &report.denoms[0];
    assert_eq!((sfs.vault.get(), sfs.vouchers.get(), sfs.in_flight.get()), (600, 600, 0));
    let stages: Vec<Stage> = relayer.journal().history(&world.id(&packet)).unwrap().iter().map(|h| h.stage).collect();
    assert_eq!(stages.first(), Some(&Stage::RecvReady));
    assert_eq!(stages.last(), Some(&Stage::Settled));
    assert_eq!(world.metrics.packet_count(&world.route(), "settled"), 1);
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_return_waits_for_the_settle_ack_that_fills_the_vault() {
    let world = World::new();
    let packet = world.pay(1);
    let relayer = world.start().await;
    world.reaches(&relayer, &packet, Stage::Held).await;
    stop(relayer).await;
    // Claimed and sent back before any ack has reached home.
    world.b.claim_now(&packet, &preimage(1));
    let home = world.b.pay("bob", &world.b.request("client-ba", VOUCHER, 1_000, "alice", preimage(2).hashlock()));
    let relayer = world.start().await;
    world.reaches(&relayer, &home, Stage::Held).await;
    world.reaches(&relayer, &packet, Stage::Settled).await;
    let first = world.a.submissions().into_iter().find(|items| !items.is_empty()).unwrap();
    assert!(matches!(first[0], RelayItem::Ack { .. }), "acks go before recvs");
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unclaimed_hold_is_voided_and_refunded() {
    let world = World::new();
    let relayer = world.start().await;
    let packet = world.pay(1);
    world.reaches(&relayer, &packet, Stage::Held).await;
    world.b.mine(199);
    assert_eq!(world.b.hold("client-ba", 1), Some(HoldState::Open));
    world.b.mine(1);
    world.reaches(&relayer, &packet, Stage::Refunded).await;
    assert_eq!(world.b.hold("client-ba", 1), Some(HoldState::Void));
    assert_eq!(world.a.has("alice", "sfs"), CAP);
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_packet_is_refunded() {
    let world = World::new();
    let relayer = world.start().await;
    let hashlock = preimage(1).hashlock();
    let packet = world.a.pay("alice", &world.a.request("client-ab", "sfs", 5, "nobody", hashlock));
    world.reaches(&relayer, &packet, Stage::Refunded).await;
    assert_eq!(world.metrics.packet_count(&world.route(), "refused_at_receipt"), 1);
    let history = relayer.journal().transfer(&world.id(&packet)).unwrap().history;
    let refused = history.iter().find(|entry| entry.stage == Stage::Refused).unwrap();
    let why = refused.note.as_ref().unwrap();
    assert!(why.ends_with("refused it: nobody is known here"), "{why}");
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packet_that_was_never_received_is_refunded_by_proof_of_that() {
    let world = World::new();
    world.b.pause(true);
    let relayer = world.start().await;
    let packet = world.pay(1);
    until(|| world.metrics.packet_count(&world.route(), "skipped") > 0, || "a skip".into()).await;
    world.b.mine(95);
    world.b.pause(false);
    // Too near the timeout: not tried any more, although it could still be received.
    until(
        || world.life(&relayer, &packet).is_some_and(|l| l.retry.is_some_and(|r| r.reason == RetryReason::TooLate)),
        || "too late".into(),
    )
    .await;
    assert_eq!(world.b.hold("client-ba", 1), None);
    world.b.mine(5);
    world.reaches(&relayer, &packet, Stage::TimedOut).await;
    assert_eq!(world.a.has("alice", "sfs"), CAP);
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relayer_that_was_down_past_every_deadline_loses_nothing() {
    let world = World::new();
    let relayer = world.start().await;
    let (held, claimed) = (world.pay(1), world.pay(2));
    world.reaches(&relayer, &held, Stage::Held).await;
    world.reaches(&relayer, &claimed, Stage::Held).await;
    stop(relayer).await;
    world.b.claim_now(&claimed, &preimage(2));
    let unseen = world.pay(3);
    for chain in [&world.a, &world.b] {
        chain.set_time(Timestamp(chain.now().0 + 3_600));
    }
    let relayer = world.start().await;
    world.reaches(&relayer, &held, Stage::Refunded).await;
    world.reaches(&relayer, &claimed, Stage::Settled).await;
    world.reaches(&relayer, &unseen, Stage::TimedOut).await;
    assert_eq!((world.a.has("alice", "sfs"), world.b.has("bob", VOUCHER)), (CAP - 1_000, 1_000));
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_final_blocks_are_relayed_and_confirmed() {
    let world = World::new();
    world.a.set_lag(3);
    world.b.set_lag(3);
    let relayer = world.start().await;
    let packet = world.pay(1);
    world.a.mine(0);
    until(|| relayer.status().unwrap().chains[0].journaled.is_some(), || "the first read".into()).await;
    assert_eq!(world.life(&relayer, &packet), None);
    let walk = |stage| {
        let (world, relayer, packet) = (&world, &relayer, &packet);
        async move {
            until(
                || {
                    world.a.mine(0);
                    world.b.mine(0);
                    world.stage(relayer, packet) == Some(stage)
                },
                || stage.to_string(),
            )
            .await;
        }
    };
    walk(Stage::Held).await;
    world.b.claim_now(&packet, &preimage(1));
    walk(Stage::Settled).await;
    let stages: Vec<Stage> = relayer.journal().history(&world.id(&packet)).unwrap().iter().map(|h| h.stage).collect();
    assert!(stages.contains(&Stage::RecvSubmitted) && stages.contains(&Stage::AckSubmitted), "{stages:?}");
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_item_does_not_hold_up_its_batch() {
    let mut world = World::new();
    world.config.max_wait_ms = 100;
    let packets: Vec<_> = (1..=9).map(|n| world.pay(n)).collect();
    world.b.poison(4);
    world.b.refuse(7);
    let relayer = world.start().await;
    for packet in packets.iter().filter(|packet| ![4, 7].contains(&packet.sequence.0)) {
        world.reaches(&relayer, packet, Stage::Held).await;
    }
    // A recv that the chain refuses for good waits for its timeout; the points come back by proof.
    for (at, reason) in [(3, RetryReason::Rejected), (6, RetryReason::Refused)] {
        until(
            || {
                world
                    .life(&relayer, &packets[at])
                    .is_some_and(|l| l.retry.is_some_and(|r| r.reason == reason && r.next_ms.is_none()))
            },
            || format!("{reason:?}: {:?}", world.life(&relayer, &packets[at])),
        )
        .await;
    }
    world.b.mine(100);
    world.reaches(&relayer, &packets[3], Stage::TimedOut).await;
    world.reaches(&relayer, &packets[6], Stage::TimedOut).await;
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_that_pass_are_tried_again_and_one_that_does_not_is_stuck_until_told() {
    let world = World::new();
    let chain = world.b.head_now().latest.height;
    for _ in 0..3 {
        let (id, detail) = ("chain-b".parse().unwrap(), format!("refused at {chain}"));
        world.b.fault("submit", ChainError::Unreachable { chain: id, detail });
        world.a.fault("prove", ChainError::NotYet("no attestation".into()));
    }
    let relayer = world.start().await;
    let packet = world.pay(1);
    world.reaches(&relayer, &packet, Stage::Held).await;
    assert!(world.metrics.packet_count(&world.route(), "unreachable") >= 3);
    assert!(world.metrics.packet_count(&world.route(), "not_yet") >= 3);

    let reason = "the ack is not understood".to_owned();
    world.a.fault("submit", ChainError::Rejected { chain: "chain-a".parse().unwrap(), reason, retryable: false });
    world.b.claim_now(&packet, &preimage(1));
    world.reaches(&relayer, &packet, Stage::Stuck).await;
    assert_eq!(world.metrics.packet_count(&world.route(), "stuck"), 1);
    relayer.retry(&world.id(&packet)).await.unwrap();
    world.reaches(&relayer, &packet, Stage::Settled).await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_chain_refused_for_good_is_tried_again_after_a_long_wait() {
    let world = World::new();
    let relayer = world.start().await;
    let packet = world.pay(1);
    world.reaches(&relayer, &packet, Stage::Held).await;
    let reason = "the proof is of a state that is gone".to_owned();
    world.a.fault("submit", ChainError::Rejected { chain: "chain-a".parse().unwrap(), reason, retryable: false });
    world.b.claim_now(&packet, &preimage(1));
    world.reaches(&relayer, &packet, Stage::Stuck).await;
    let stuck = relayer.status().unwrap().routes.iter().any(|route| {
        let counts = |count: &StageCount| count.stage == Stage::Stuck && count.count == 1;
        route.stages.iter().any(counts)
    });
    assert!(stuck, "the status names what is stuck");
    assert!(world.life(&relayer, &packet).unwrap().retry.unwrap().next_ms.is_some());
    world.reaches(&relayer, &packet, Stage::Settled).await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_validators_is_carried_even_when_no_item_can_be_proven_with_it() {
    let world = World::new();
    let relayer = world.start().await;
    let first = world.pay(1);
    world.reaches(&relayer, &first, Stage::Held).await;
    world.a.rotate();
    let packet = world.pay(2);
    world.reaches(&relayer, &packet, Stage::Held).await;
    assert!(!world.a.has_rotated());
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_invents_a_packet_moves_no_point() {
    let world = World::new();
    let relayer = world.start().await;
    let real = world.pay(1);
    let mut invented = real.clone();
    invented.sequence.0 = 2;
    world.a.forge_event(PacketEvent::Sent { packet: invented.clone() });
    until(|| world.metrics.packet_count(&world.route(), "not_proven") > 1, || "not proven".into()).await;
    world.reaches(&relayer, &real, Stage::Held).await;
    assert_eq!(world.b.hold("client-ba", 2), None);
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_withholds_events_only_delays() {
    let world = World::new();
    let relayer = world.start().await;
    // A packet's sending, which the next packet's number gives away.
    world.a.withhold(1, true);
    let (hidden, shown) = (world.pay(1), world.pay(2));
    until(|| relayer.status().unwrap().chains[0].last_error.is_some(), || "the gap".into()).await;
    assert_eq!(world.life(&relayer, &shown), None);
    world.a.withhold(1, false);
    world.reaches(&relayer, &hidden, Stage::Held).await;
    world.reaches(&relayer, &shown, Stage::Held).await;
    // A claim, which the void that is refused as a duplicate gives away.
    world.b.withhold(1, true);
    world.b.claim_now(&hidden, &preimage(1));
    world.b.mine(200);
    until(
        || {
            let history = relayer.journal().history(&world.id(&hidden)).unwrap();
            history.iter().any(|line| line.reason == Some(RetryReason::NotFinal))
        },
        || "the missing effect".into(),
    )
    .await;
    world.b.withhold(1, false);
    world.reaches(&relayer, &hidden, Stage::Settled).await;
    world.reaches(&relayer, &shown, Stage::Refunded).await;
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_paged_newest_first_and_filtered() {
    let world = World::new();
    let relayer = world.start().await;
    let mut packets = vec![];
    for n in 1..=7 {
        packets.push(world.pay(n));
        world.a.mine(1);
    }
    for packet in &packets {
        world.reaches(&relayer, packet, Stage::Held).await;
    }
    let journal = relayer.journal();
    let (mut seen, mut token) = (vec![], None);
    loop {
        let page = journal.list(&World::everything(), token.as_ref(), 3).unwrap();
        assert!(page.items.len() <= 3);
        seen.extend(page.items.iter().map(|life| life.id.sequence.0));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    let mut filter = World::everything();
    filter.hashlock = Some(preimage(3).hashlock());
    let found = journal.list(&filter, None, 10).unwrap();
    assert_eq!(found.items.iter().map(|life| life.id.sequence.0).collect::<Vec<_>>(), [3]);
    filter = World::everything();
    filter.stage = Some(Stage::Settled);
    assert!(journal.list(&filter, None, 10).unwrap().items.is_empty());
    assert!("zz".parse::<crosspoint_relayer::journal::PageToken>().is_err());
    assert_eq!(journal.transfer(&world.id(&packets[0])).unwrap().packet, Some(packets[0].clone()));
    assert_eq!(address("bob"), journal.life(&world.id(&packets[0])).unwrap().unwrap().terms.unwrap().receiver);
    stop(relayer).await;
}

/// Lets nobody past the proving of a batch until four have come.
struct Together {
    first: std::sync::atomic::AtomicU32,
    barrier: tokio::sync::Barrier,
}

#[async_trait]
impl Probe for Together {
    async fn reached(&self, point: Point) {
        use std::sync::atomic::Ordering;
        if point == Point::BatchProven && self.first.fetch_add(1, Ordering::SeqCst) < 4 {
            self.barrier.wait().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_batches_are_on_their_way_at_once() {
    let mut world = World::new();
    (world.config.max_batch, world.config.batches_at_once) = (2, 4);
    let packets: Vec<Packet> = (1..=8).map(|n| world.pay(n)).collect();
    let probe = Together { first: 0.into(), barrier: tokio::sync::Barrier::new(4) };
    let relayer = world.start_with(Some(Arc::new(probe))).await;
    for packet in &packets {
        world.reaches(&relayer, packet, Stage::Held).await;
    }
    assert_eq!(world.b.submissions().iter().map(Vec::len).collect::<Vec<_>>(), [2; 4]);
    stop(relayer).await;
    world.balances().await;
}
