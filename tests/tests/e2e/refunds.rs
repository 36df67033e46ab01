//! Transfers that nobody claims, or nobody relays: the payer gets everything back, by proof.

use std::time::Duration;

use anyhow::Result;
use crosspoint_adapters::chain::{Chain, ItemOutcome};
use crosspoint_relayer::life::Stage;
use crosspoint_tests::{From, LONG, SHORT, Windows, World, done, secret};

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_nobody_claims_is_voided_and_refunded_by_proof() -> Result<()> {
    let world = World::start().await?;
    let mall = world.member_sfs("mall").await?;
    let packet = world.pay_merchant(500, &secret(), SHORT).await?;
    let id = world.id(From::Native, &packet);
    world.until(&id, Stage::Held).await?;
    assert_eq!(world.member_sfs("mall").await?, mall - 500, "no refund while the hold is open");
    world.until(&id, Stage::Refunded).await?;
    assert_eq!(world.member_sfs("mall").await?, mall);
    assert_eq!(world.merchant_vouchers().await?, 0);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_nobody_claims_goes_back_to_the_merchant_as_vouchers() -> Result<()> {
    let world = World::start().await?;
    world.paid_merchant(900).await?;
    let packet = world.send_back(300, "coffee", &secret(), SHORT).await?;
    let id = world.id(From::Evm, &packet);
    world.until(&id, Stage::Refunded).await?;
    assert_eq!(world.merchant_vouchers().await?, 900);
    assert_eq!(world.member_sfs("coffee").await?, 0);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_was_never_relayed_times_out_by_proof_of_non_receipt() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let mall = world.member_sfs("mall").await?;
    let windows = Windows { timeout: 5, hold: 3 };
    let packet = world.pay_merchant(250, &secret(), windows).await?;
    // Past the timeout on the destination's clock, then somebody begins to relay.
    world.net.anvil.increase_time(60).await?;
    world.start_relayer().await?;
    world.until(&world.id(From::Native, &packet), Stage::TimedOut).await?;
    assert_eq!(world.member_sfs("mall").await?, mall);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_return_that_was_never_relayed_times_out_too() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(40).await?;
    world.stop_relayer().await;
    let packet = world.send_back(40, "coffee", &secret(), Windows { timeout: 5, hold: 3 }).await?;
    assert_eq!(world.merchant_vouchers().await?, 0);
    world.net.solo.advance_time(Duration::from_secs(60)).await?;
    world.start_relayer().await?;
    world.until(&world.id(From::Evm, &packet), Stage::TimedOut).await?;
    assert_eq!(world.merchant_vouchers().await?, 40);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relayer_that_slept_past_every_deadline_ends_every_transfer_once() -> Result<()> {
    let mut world = World::start().await?;
    let mall = world.member_sfs("mall").await?;
    // One is claimed, one is only held, when the relayer goes away; one is sent while it is gone.
    let (first, second) = (secret(), secret());
    let windows = Windows { timeout: 40, hold: 20 };
    let claimed = world.pay_merchant(100, &first, windows).await?;
    let held = world.pay_merchant(200, &second, windows).await?;
    world.until(&world.id(From::Native, &claimed), Stage::Held).await?;
    world.until(&world.id(From::Native, &held), Stage::Held).await?;
    world.stop_relayer().await;
    done(&world.claim(From::Native, &claimed, &first).await?)?;
    let unseen = world.pay_merchant(300, &secret(), windows).await?;
    world.net.anvil.increase_time(1_000).await?;
    world.net.solo.advance_time(Duration::from_secs(1_000)).await?;

    world.start_relayer().await?;
    world.until(&world.id(From::Native, &claimed), Stage::Settled).await?;
    world.until(&world.id(From::Native, &held), Stage::Refunded).await?;
    world.until(&world.id(From::Native, &unseen), Stage::TimedOut).await?;
    assert_eq!(world.member_sfs("mall").await?, mall - 100);
    assert_eq!(world.merchant_vouchers().await?, 100);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_after_the_deadline_and_a_void_before_it_are_refused() -> Result<()> {
    let mut world = World::start().await?;
    let late = secret();
    let packet = world.pay_merchant(60, &late, LONG).await?;
    let id = world.id(From::Native, &packet);
    world.until(&id, Stage::Held).await?;
    world.stop_relayer().await;
    let deadline = packet.points_lock()?.claim_deadline.0;

    // Long before the deadline; `seconds` tests the second before it.
    let early = world.net.evm.void(std::slice::from_ref(&packet)).await?;
    assert!(matches!(early.outcomes.as_slice(), [ItemOutcome::Skipped { .. }]), "{early:?}");
    // At the deadline itself a claim is too late. The adapter would not even send it, so that the preimage stays
    // secret: ask the contract behind its back.
    world.net.anvil.mine_at(deadline).await?;
    match world.claim(From::Native, &packet, &late).await {
        Ok(claimed) => assert!(matches!(claimed.outcomes.as_slice(), [ItemOutcome::Skipped { .. }]), "{claimed:?}"),
        Err(error) => assert!(format!("{error:#}").contains("deadline"), "{error:#}"),
    }
    assert_eq!(world.merchant_vouchers().await?, 0);

    world.start_relayer().await?;
    world.until(&id, Stage::Refunded).await?;
    world.finish().await
}
