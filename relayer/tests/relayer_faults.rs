//! The relayer killed, blinded, frozen out and lied to: what is lost (nothing), and what is said about it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod model;

use async_trait::async_trait;
use crosspoint_adapters::chain::Chain;
use crosspoint_adapters::error::ChainError;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::htlc::HoldState;
use crosspoint_relayer::Halt;
use crosspoint_relayer::audit::audit_once;
use crosspoint_relayer::journal::{Invoice, JournalError};
use crosspoint_relayer::life::Stage;
use crosspoint_relayer::probe::{Point, Probe};
use crosspoint_relayer::retry::RetryReason;
use model::world::{BOUND, VOUCHER, World, stop, until};
use model::{CAP, ModelChain, address, connect, denom, preimage};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Holds every task that reaches one point, the n-th time and after.
struct HoldAt {
    point: Point,
    passes: std::sync::atomic::AtomicU32,
    reached: watch::Sender<bool>,
}

#[async_trait]
impl Probe for HoldAt {
    async fn reached(&self, point: Point) {
        use std::sync::atomic::Ordering;
        if point != self.point {
            return;
        }
        let spent = self.passes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err();
        if spent {
            self.reached.send_replace(true);
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_nothing_is_lost_and_nothing_happens_twice() {
    for point in Point::ALL {
        for passes in [0, 1] {
            let world = World::new();
            let (claimed, unclaimed) = (world.pay(1), world.pay(2));
            let probe = Arc::new(HoldAt { point, passes: passes.into(), reached: watch::Sender::new(false) });
            let mut reached = probe.reached.subscribe();
            let relayer = world.start_with(Some(probe as Arc<dyn Probe>)).await;
            relayer.register_preimage(&preimage(1), invoice(1_000)).await.unwrap();
            let world_moves = async {
                // The claim comes before the deadline of both: else one call voids both, and ends are not two.
                let claimed = || world.b.has("bob", VOUCHER) == 1_000;
                until(|| claimed() && world.b.hold("client-ba", 2).is_some(), || format!("{point:?}: hold")).await;
                world.b.mine(200);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                held = tokio::time::timeout(BOUND, reached.wait_for(|held| *held)) => { held.unwrap().unwrap(); }
                () = world_moves => {}
            }
            relayer.kill().await;
            let relayer = world.start().await;
            until(|| world.stage(&relayer, &unclaimed) >= Some(Stage::Held), || format!("{point:?}: after")).await;
            world.b.mine(200);
            until(
                || world.stage(&relayer, &unclaimed).is_some_and(Stage::is_final),
                || format!("{point:?}: unclaimed"),
            )
            .await;
            until(|| world.stage(&relayer, &claimed).is_some_and(Stage::is_final), || format!("{point:?}: claimed"))
                .await;
            let paid = world.b.has("bob", VOUCHER);
            let settled = world.stage(&relayer, &claimed) == Some(Stage::Settled);
            assert_eq!(paid, if settled { 1_000 } else { 0 }, "{point:?}");
            assert_eq!(world.a.has("alice", "sfs"), CAP - paid, "{point:?}");
            world.balances().await;
            stop(relayer).await;
        }
    }
}

fn invoice(amount: u128) -> Invoice {
    Invoice {
        chain: "chain-b".parse().unwrap(),
        denom: denom(VOUCHER),
        amount: Amount::new(amount),
        receiver: address("bob"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_due_before_its_chain_answers_is_not_given_up_as_too_late() {
    let world = World::new();
    let relayer = world.start().await;
    let packet = world.pay(1);
    world.reaches(&relayer, &packet, Stage::Held).await;
    world.b.stall(true);
    relayer.register_preimage(&preimage(1), invoice(1_000)).await.unwrap();
    relayer.kill().await;
    for _ in 0..1_000 {
        world.b.fault("next_head", ChainError::NotYet("its head".into()));
    }
    world.b.stall(false);
    let relayer = world.start().await;
    let routes = || relayer.status().unwrap().routes.len() == 2;
    until(routes, || "both routes".into()).await;
    // Long enough for the claim to be looked at, while its chain has not said what time it is.
    tokio::time::sleep(Duration::from_millis(20 * world.config.tick_ms)).await;
    world.b.clear_faults();
    world.reaches(&relayer, &packet, Stage::Settled).await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_journal_is_rebuilt_from_the_chains() {
    let mut world = World::new();
    let relayer = world.start().await;
    let (settled, held, claimed) = (world.pay(1), world.pay(2), world.pay(3));
    for packet in [&settled, &held, &claimed] {
        world.reaches(&relayer, packet, Stage::Held).await;
    }
    world.b.claim_now(&settled, &preimage(1));
    world.reaches(&relayer, &settled, Stage::Settled).await;
    stop(relayer).await;
    world.b.claim_now(&claimed, &preimage(3));
    for _ in 0..50 {
        world.a.mine(0);
        world.b.mine(0);
    }
    world.config.journal = world.folder.path().join("another");
    world.config.scan_blocks = 7;
    let relayer = world.start().await;
    world.reaches(&relayer, &settled, Stage::Settled).await;
    world.reaches(&relayer, &held, Stage::Held).await;
    world.reaches(&relayer, &claimed, Stage::Settled).await;
    assert!(relayer.audit().await.unwrap().is_balanced());
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_chain_and_a_frozen_client_stop_their_own_routes_only() {
    let world = World::new();
    let c = ModelChain::new("chain-c");
    connect(&world.a, "client-ac", &c, "client-ca");
    let mut chains = world.chains();
    chains.push(c.as_chain());
    let relayer =
        crosspoint_relayer::Relayer::new(world.config.clone(), chains, Arc::clone(&world.metrics)).start().unwrap();
    until(|| relayer.status().unwrap().routes.len() == 4, || "four routes".into()).await;
    c.stall(true);
    let request = world.a.request("client-ac", "sfs", 7, "carol", preimage(50).hashlock());
    let to_c = world.a.pay("alice", &request);
    let to_b = world.pay(1);
    world.reaches(&relayer, &to_b, Stage::Held).await;
    world.b.claim_now(&to_b, &preimage(1));
    world.reaches(&relayer, &to_b, Stage::Settled).await;
    let id = crosspoint_relayer::route::PacketId {
        chain: world.a.id().clone(),
        client: to_c.source_client.clone(),
        sequence: to_c.sequence,
    };
    assert_eq!(relayer.journal().life(&id).unwrap().unwrap().stage, Stage::RecvReady);
    c.freeze("client-ca", true);
    c.stall(false);
    let halted = || relayer.status().unwrap().routes.into_iter().filter(|r| r.halt == Some(Halt::Frozen)).count();
    until(|| halted() == 1, || "one route halted".into()).await;
    let again = world.pay(2);
    world.reaches(&relayer, &again, Stage::Held).await;
    assert_eq!(relayer.journal().life(&id).unwrap().unwrap().stage, Stage::RecvReady);
    assert!(
        world.metrics.encode().unwrap().contains("crosspoint_client_frozen{chain=\"chain-c\",client=\"client-ca\"} 1")
    );
    c.freeze("client-ca", false);
    until(|| relayer.journal().life(&id).unwrap().unwrap().stage == Stage::Held, || "thawed".into()).await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_refreshed_before_half_its_trusting_period_and_one_that_expired_is_reported() {
    let world = World::new();
    world.b.set_trusting_period("client-ba", 10_000);
    let relayer = world.start().await;
    until(|| relayer.status().unwrap().routes.len() == 2, || "routes".into()).await;
    for _ in 0..4 {
        let before = world.b.client_now("client-ba").trusted;
        world.a.mine(5_000);
        world.b.mine(5_000);
        until(|| world.b.client_now("client-ba").trusted.time > before.time, || "a refresh".into()).await;
    }
    stop(relayer).await;
    world.a.mine(20_000);
    world.b.mine(20_000);
    let relayer = world.start().await;
    let expired = || relayer.status().unwrap().routes.iter().any(|route| route.halt == Some(Halt::Expired));
    until(expired, || "expired".into()).await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_voucher_shows_as_an_imbalance_and_stops_its_denom() {
    let mut world = World::new();
    world.config.audit_interval_ms = 50;
    let relayer = world.start().await;
    let packet = world.pay(1);
    world.reaches(&relayer, &packet, Stage::Held).await;
    world.b.claim_now(&packet, &preimage(1));
    world.reaches(&relayer, &packet, Stage::Settled).await;
    assert!(relayer.audit().await.unwrap().is_balanced());
    world.b.forge_vouchers(VOUCHER, 1);
    until(|| !relayer.status().unwrap().halted_denoms.is_empty(), || "a stop".into()).await;
    let report = relayer.status().unwrap().audit.unwrap();
    assert_eq!(report.denoms[0].imbalance, 1, "{report:#?}");
    assert!(world.metrics.encode().unwrap().contains("crosspoint_supply_imbalance_points{denom=\"sfs\"} 1"));
    // The thief cannot cash in: the return is not relayed.
    let theft = world.b.pay("mallory", &world.b.request("client-ba", VOUCHER, 1, "alice", preimage(9).hashlock()));
    until(
        || world.life(&relayer, &theft).is_some_and(|l| l.retry.is_some_and(|r| r.reason == RetryReason::DenomStopped)),
        || "stopped".into(),
    )
    .await;
    assert_eq!(world.a.hold("client-ab", 1), None);
    let from_chains = audit_once(&world.chains(), &|_, _, _| {}).await.unwrap();
    assert!(!from_chains.is_balanced());
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audits_while_points_are_under_way_always_balance() {
    let world = World::new();
    let relayer = world.start().await;
    let mut packets = vec![];
    for n in 1..=30 {
        packets.push(world.pay(n));
        let report = relayer.audit().await.unwrap();
        assert!(report.is_balanced(), "{report:#?}");
        if n % 3 == 0 && world.b.hold("client-ba", n) == Some(HoldState::Open) {
            world.b.claim_now(packets.last().unwrap(), &preimage(n));
        }
    }
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_watch_tower_shows_an_invoices_preimage_only_for_what_was_invoiced() {
    let world = World::new();
    world.a.issue("eve", "sfs", 0);
    let relayer = world.start().await;
    let secret = preimage(1);
    // Eve locks a single point under the invoice's hashlock, hoping to see the preimage.
    let bait = world.a.pay("alice", &world.a.request("client-ab", "sfs", 1, "bob", secret.hashlock()));
    world.reaches(&relayer, &bait, Stage::Held).await;
    relayer.register_preimage(&secret, invoice(1_000)).await.unwrap();
    relayer.register_preimage(&secret, invoice(1_000)).await.unwrap();
    let other = relayer.register_preimage(&secret, invoice(1)).await;
    assert!(matches!(other, Err(JournalError::OtherInvoice)));
    let control = world.pay(2);
    world.reaches(&relayer, &control, Stage::Held).await;
    assert_eq!((world.b.claims(), world.stage(&relayer, &bait)), (0, Some(Stage::Held)));
    // The real payment comes from another sender, and is claimed at once.
    world.a.issue("carol", "sfs", 1_000);
    let payment = world.a.pay("carol", &world.a.request("client-ab", "sfs", 1_000, "bob", secret.hashlock()));
    world.reaches(&relayer, &payment, Stage::Settled).await;
    assert_eq!((world.b.claims(), world.b.has("bob", VOUCHER)), (1, 1_000));
    assert_eq!(world.stage(&relayer, &bait), Some(Stage::Held));
    assert_eq!(world.metrics.packet_count(&world.route(), "tower_claim"), 1);
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preimage_seen_in_a_claim_opens_holds_like_the_claimed_one() {
    let world = World::new();
    for sender in ["carol", "dave"] {
        world.a.issue(sender, "sfs", 5_000);
    }
    let relayer = world.start().await;
    let request = world.a.request("client-ab", "sfs", 1_000, "bob", preimage(1).hashlock());
    let (first, like) = (world.a.pay("alice", &request), world.a.pay("carol", &request));
    let mut other = request.clone();
    other.receiver = address("mallory");
    let unlike = world.a.pay("dave", &other);
    for packet in [&first, &like, &unlike] {
        world.reaches(&relayer, packet, Stage::Held).await;
    }
    world.b.claim_now(&first, &preimage(1));
    world.reaches(&relayer, &like, Stage::Settled).await;
    assert_eq!(world.stage(&relayer, &unlike), Some(Stage::Held));
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_is_not_broadcast_so_late_that_it_could_fail() {
    let world = World::new();
    let relayer = world.start().await;
    let packet = world.pay(1);
    world.reaches(&relayer, &packet, Stage::Held).await;
    // 4 s are left, less than the margin; the model chain would still take the claim.
    world.b.mine(196);
    until(
        || relayer.status().unwrap().chains[1].head.is_some_and(|head| head.latest.time == world.b.now()),
        || "the clock to be seen".into(),
    )
    .await;
    relayer.register_preimage(&preimage(1), invoice(1_000)).await.unwrap();
    until(
        || world.life(&relayer, &packet).is_some_and(|l| l.retry.is_some_and(|r| r.reason == RetryReason::TooLate)),
        || "too late".into(),
    )
    .await;
    assert_eq!(world.b.claims(), 0);
    world.b.mine(4);
    world.reaches(&relayer, &packet, Stage::Refunded).await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_finishes_what_was_begun_and_is_quick() {
    let world = World::new();
    let relayer = world.start().await;
    for n in 1..=20 {
        world.pay(n);
    }
    let begun = std::time::Instant::now();
    stop(relayer).await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    let relayer = world.start().await;
    let last = world.pay(21);
    world.reaches(&relayer, &last, Stage::Held).await;
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_too_full_to_be_read_together_are_read_one_by_one() {
    let world = World::new();
    let packets: Vec<_> = (1..=12).map(|n| world.pay(n)).collect();
    world.a.bound_events(1);
    let report = audit_once(&[world.a.as_chain(), world.b.as_chain()], &|_, _, _| {}).await.unwrap();
    assert!(report.is_balanced(), "{report:?}");
    let relayer = world.start().await;
    for packet in &packets {
        world.reaches(&relayer, packet, Stage::Held).await;
    }
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lies_about_the_time_does_not_cost_a_claim() {
    let world = World::new();
    let relayer = world.start().await;
    let packet = world.pay(1);
    world.reaches(&relayer, &packet, Stage::Held).await;
    world.b.lie_about_time(1_000_000);
    world.reaches(&relayer, &packet, Stage::VoidReady).await;
    relayer.register_preimage(&preimage(1), invoice(1_000)).await.unwrap();
    world.b.lie_about_time(0);
    world.reaches(&relayer, &packet, Stage::Settled).await;
    world.balances().await;
    stop(relayer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_takes_back_what_is_in_escrow_is_an_imbalance() {
    let world = World::new();
    let (first, second) = (world.pay(1), world.pay(2));
    let chains = [world.a.as_chain(), world.b.as_chain()];
    let booked = 2 * first.points_lock().unwrap().amount.get();
    assert_eq!(second.points_lock().unwrap().amount, first.points_lock().unwrap().amount);
    for (escrowed, imbalance) in [(booked, 0), (booked + 5, 0), (booked - 5, -5)] {
        world.a.say_escrowed("sfs", escrowed);
        let report = audit_once(&chains, &|_, _, _| {}).await.unwrap();
        assert_eq!(report.is_balanced(), imbalance == 0, "{report:?}");
        assert_eq!(report.denoms.iter().map(|denom| denom.imbalance).min(), Some(imbalance));
    }
}
