//! Batches with too little gas: what does not fit is left for later, and nothing ends that was not proven to.

use std::time::Duration;

use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use crosspoint_adapters::chain::{Chain, RelayItem};
use crosspoint_adapters::evm::calldata::{self, List};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{SkipReason, ackCall, timeoutCall, voidCall};
use crosspoint_adapters::evm::record::{Batch, Direction, client_word};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::path::Path;
use crosspoint_relayer::life::Stage;
use crosspoint_tests::hand::{STRANGER, checkpoint, failure, recv, success, timeout};
use crosspoint_tests::{From, Windows, World, done, secret};

/// Time enough to be received on a slow machine; then time is moved.
const BRIEF: Windows = Windows { timeout: 60, hold: 30 };
/// Seconds past every deadline of [`BRIEF`].
const PAST: u64 = 120;
/// Gas beside what the calldata costs: from hopeless to nearly enough.
const RISING: [u64; 7] = [80_000, 150_000, 250_000, 350_000, 500_000, 650_000, 800_000];

/// Gas without which a node does not even take the transaction: 10 for each zero byte, 40 for any other (EIP-7623).
fn floor(data: &[u8]) -> u64 {
    21_000 + data.iter().map(|byte| if *byte == 0 { 10 } else { 40 }).sum::<u64>()
}

/// How many of `packets` have something at a path on the EVM chain.
async fn count(world: &World, packets: &[Packet], path: fn(&Packet) -> Path) -> Result<usize> {
    let chain = world.chain(From::Evm);
    let at = chain.head().await?.latest.height;
    let mut found = 0;
    for packet in packets {
        found += usize::from(chain.stored(&path(packet), at).await?.value.is_some());
    }
    Ok(found)
}

/// Sends one call again and again, with more gas each time. Nothing but gas may be wrong, `ended` must grow by exactly
/// what was not skipped, and there must be an amount of gas that is enough for some items only.
async fn with_rising_gas(
    world: &World,
    call: &impl SolCall,
    items: usize,
    ended: impl AsyncFn() -> Result<usize>,
) -> Result<usize> {
    let gateway = world.net.evm.settings().gateway;
    let (mut before, mut partial) = (0, false);
    let data = call.abi_encode();
    for gas in RISING.map(|gas| floor(&data) + gas) {
        let receipt = world.evm_send(STRANGER, Some(gateway), data.clone(), Some(gas)).await?;
        let skips = world.skips(&receipt);
        let low = skips.iter().filter(|(_, reason)| matches!(reason, SkipReason::LowGas)).count();
        let done = |reason: &SkipReason| matches!(reason, SkipReason::Duplicate);
        assert!(skips.iter().all(|(_, r)| done(r) || matches!(r, SkipReason::LowGas)), "skipped for another reason");
        let now = ended().await?;
        if receipt.succeeded() {
            assert_eq!(now + low, items, "what was not skipped has ended, with {gas} gas");
        } else {
            assert_eq!(now, before, "a reverted transaction does nothing");
        }
        partial |= low > 0 && now > before;
        before = now;
    }
    assert!(partial, "no amount of gas was enough for some items only");
    Ok(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_with_too_little_gas_settle_and_refund_only_what_they_pay_for() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(1_000).await?;
    world.stop_relayer().await;
    // Four are claimed, four are given up.
    let secrets: Vec<_> = (0..8).map(|_| secret()).collect();
    let mut packets = vec![];
    for (n, secret) in secrets.iter().enumerate() {
        packets.push(world.send_back(1 << n, "coffee", secret, BRIEF).await?);
    }
    let recvs: Vec<RelayItem> = packets.iter().map(recv).collect();
    done(&world.carry(From::Evm, &recvs).await?)?;
    let claims: Vec<_> = packets.iter().cloned().zip(secrets.iter().cloned()).take(4).collect();
    done(&world.net.native.claim(&claims).await?)?;
    world.net.solo.advance_time(Duration::from_secs(PAST)).await?;
    done(&world.net.native.void(&packets[4..]).await?)?;
    let acks: Vec<RelayItem> =
        (0..8).map(|n| if n < 4 { success(&packets[n], &secrets[n]) } else { failure(&packets[n]) }).collect();
    let proven = world.prove(From::Native, &acks).await?;
    let evidence = checkpoint(&proven);
    let numbered: Vec<(usize, &RelayItem)> = acks.iter().enumerate().collect();
    let batch = calldata::outbox_batch(List::Acked, evidence.acked.as_ref().context("a list")?, &numbered)?;
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?.into();
    let client = client_word(&world.net.evm_client).into();
    let call = ackCall { client, state, outbox: batch.outbox.into(), acks: batch.items.into() };
    with_rising_gas(&world, &call, 8, async || Ok(8 - count(&world, &packets, Packet::commitment_path).await?)).await?;

    // Paid back is exactly what has ended and was given up.
    let mut refunded = 0;
    for (n, packet) in packets.iter().enumerate().skip(4) {
        let open = count(&world, std::slice::from_ref(packet), Packet::commitment_path).await? == 1;
        refunded += if open { 0 } else { 1 << n };
    }
    assert_eq!(world.merchant_vouchers().await?, 1_000 - 255 + refunded);
    world.start_relayer().await?;
    for (n, packet) in packets.iter().enumerate() {
        world.until(&world.id(From::Evm, packet), if n < 4 { Stage::Settled } else { Stage::Refunded }).await?;
    }
    assert_eq!((world.merchant_vouchers().await?, world.member_sfs("coffee").await?), (985, 15));
    let report = world.audit().await?;
    assert!(report.denoms.iter().all(|denom| denom.owed.get() == 0), "{report:#?}");
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_and_voids_with_too_little_gas_end_only_what_they_pay_for() -> Result<()> {
    let mut world = World::start().await?;
    let mall = world.member_sfs("mall").await?;
    world.paid_merchant(1_000).await?;
    world.stop_relayer().await;
    let client = client_word(&world.net.evm_client).into();
    let (mut lost, mut held) = (vec![], vec![]);
    for n in 0..8 {
        lost.push(world.send_back(1 << n, "coffee", &secret(), BRIEF).await?);
    }
    for n in 0..12 {
        held.push(world.pay_merchant(1 << n, &secret(), BRIEF).await?);
    }
    let recvs: Vec<RelayItem> = held.iter().map(recv).collect();
    done(&world.carry(From::Native, &recvs).await?)?;
    world.net.anvil.increase_time(PAST).await?;
    world.net.solo.advance_time(Duration::from_secs(PAST)).await?;

    let mut batch = Batch::new(Direction::In);
    for packet in &held {
        batch.push(&[], packet)?;
    }
    let call = voidCall { client, packets: batch.into_bytes().into() };
    with_rising_gas(&world, &call, held.len(), async || count(&world, &held, Packet::ack_path).await).await?;

    let items: Vec<RelayItem> = lost.iter().map(timeout).collect();
    let proven = world.prove(From::Native, &items).await?;
    let evidence = checkpoint(&proven);
    let numbered: Vec<(usize, usize, &RelayItem)> =
        proven.items.iter().enumerate().map(|(at, item)| (at, at, item)).collect();
    let packets = calldata::timeout_batch(evidence, &numbered)?.items.into();
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?.into();
    let call = timeoutCall { client, state, packets };
    with_rising_gas(&world, &call, 8, async || Ok(8 - count(&world, &lost, Packet::commitment_path).await?)).await?;
    let mut refunded = 0;
    for (n, packet) in lost.iter().enumerate() {
        let open = count(&world, std::slice::from_ref(packet), Packet::commitment_path).await? == 1;
        refunded += if open { 0 } else { 1 << n };
    }
    assert_eq!(world.merchant_vouchers().await?, 1_000 - 255 + refunded);

    world.start_relayer().await?;
    for packet in &lost {
        world.until(&world.id(From::Evm, packet), Stage::TimedOut).await?;
    }
    for packet in &held {
        world.until(&world.id(From::Native, packet), Stage::Refunded).await?;
    }
    assert_eq!((world.merchant_vouchers().await?, world.member_sfs("mall").await?), (1_000, mall - 1_000));
    // What was refunded is not paid a second time.
    world.paid_merchant(5).await?;
    assert_eq!(world.member_sfs("coffee").await?, 0);
    world.finish().await
}
