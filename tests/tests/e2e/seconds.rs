//! Windows to the second: recv until one second before the timeout, claim until one before the deadline, void from
//! the deadline on.

use std::time::Duration;

use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use crosspoint_adapters::chain::{Chain, ItemOutcome, RelayItem};
use crosspoint_adapters::evm::calldata::{self, List};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{SkipReason, claimCall, recvCall, voidCall};
use crosspoint_adapters::evm::record::{Batch, Direction, client_word};
use crosspoint_ledger::events::{Event, Outcome};
use crosspoint_ledger::tx::message::{ClaimItem, Message, VoidItem};
use crosspoint_protocol::ids::Timestamp;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use crosspoint_relayer::life::Stage;
use crosspoint_tests::hand::{checkpoint, recv};
use crosspoint_tests::{From, Windows, World, done, evm_signer, member, member_address, secret, sfs};

fn claim(world: &World, claims: &[(&Packet, &Preimage)]) -> Result<Vec<u8>> {
    let mut batch = Batch::new(Direction::In);
    for (packet, secret) in claims {
        batch.push(secret.reveal(), packet)?;
    }
    let client = client_word(&world.net.evm_client).into();
    Ok(claimCall { client, claims: batch.into_bytes().into() }.abi_encode())
}

fn void(world: &World, packets: &[&Packet]) -> Result<Vec<u8>> {
    let mut batch = Batch::new(Direction::In);
    for packet in packets {
        batch.push(&[], packet)?;
    }
    let client = client_word(&world.net.evm_client).into();
    Ok(voidCall { client, packets: batch.into_bytes().into() }.abi_encode())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_counts_timeouts_and_deadlines_to_the_second() -> Result<()> {
    let mut world = World::without_relayer().await?;
    // From here on the contract's clock stands but for the blocks made below.
    world.stop_evm_blocks().await?;
    let now = world.net.evm.head().await?.latest.time.0;
    let (timeout, deadline) = (now + 100, now + 200);
    let secrets = [secret(), secret(), secret()];
    let pay = async |amount, secret: &Preimage, timeout: u64, deadline: u64| {
        let windows = Windows { timeout: timeout - now, hold: deadline - timeout };
        world.pay_merchant(amount, secret, windows).await
    };
    // Received one second before its timeout; at its deadline, or one second before it.
    let claimed = pay(1, &secrets[0], timeout + 1, deadline + 1).await?;
    let voided = pay(2, &secrets[1], timeout + 1, deadline).await?;
    let open = pay(4, &secrets[2], timeout + 1, deadline + 1).await?;
    let expired = pay(8, &secret(), timeout, deadline).await?;

    let items = [&claimed, &voided, &open, &expired].map(recv);
    let proven = world.prove(From::Native, &items).await?;
    let evidence = checkpoint(&proven);
    let numbered: Vec<(usize, &RelayItem)> = items.iter().enumerate().collect();
    let batch = calldata::outbox_batch(List::Sent, evidence.sent.as_ref().context("a list")?, &numbered)?;
    let place = batch.places.iter().position(|place| *place == 3).context("its place")? as u64;
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?.into();
    let client = client_word(&world.net.evm_client).into();
    let call = recvCall { client, state, outbox: batch.outbox.into(), packets: batch.items.into() };
    let receipts = world.gateway_send_at(timeout, &[call.abi_encode()]).await?;
    assert!(matches!(world.skips(&receipts[0])[..], [(at, SkipReason::Expired)] if at == place));

    let claims = claim(&world, &[(&claimed, &secrets[0]), (&voided, &secrets[1])])?;
    let voids = void(&world, &[&voided, &open])?;
    let receipts = world.gateway_send_at(deadline, &[claims, voids]).await?;
    assert!(matches!(world.skips(&receipts[0])[..], [(1, SkipReason::DeadlinePassed)]));
    assert!(matches!(world.skips(&receipts[1])[..], [(1, SkipReason::DeadlineNotReached)]));
    assert_eq!(world.merchant_vouchers().await?, 1);
    let (claims, voids) = (claim(&world, &[(&open, &secrets[2])])?, void(&world, &[&open])?);
    let receipts = world.gateway_send_at(deadline + 1, &[claims, voids]).await?;
    assert!(matches!(world.skips(&receipts[0])[..], [(0, SkipReason::DeadlinePassed)]));
    assert!(receipts[1].succeeded() && world.skips(&receipts[1]).is_empty());

    world.resume_evm_blocks().await?;
    world.start_relayer().await?;
    let ends =
        [(claimed, Stage::Settled), (voided, Stage::Refunded), (open, Stage::Refunded), (expired, Stage::TimedOut)];
    for (packet, end) in &ends {
        world.until(&world.id(From::Native, packet), *end).await?;
    }
    assert_eq!(world.merchant_vouchers().await?, 1);
    world.finish().await
}

/// How many packets, one second apart, so that a block's time falls between two of them wherever it is exactly.
const STEPS: u64 = 12;
/// Where among them the clock is set.
const AIM: u64 = 3;

/// Returns whose window ends one second after the other.
async fn returns(world: &World, timeout: impl Fn(u64) -> u64, deadline: impl Fn(u64) -> u64) -> Result<Vec<Sent>> {
    let (voucher, receiver, payer) = (world.net.voucher_on_evm(&sfs())?, member_address("coffee")?, evm_signer(1)?);
    let mut requests = vec![];
    for step in 0..STEPS {
        let secret = secret();
        let windows = Windows { timeout: 1, hold: 1 };
        let mut request = world.request(From::Evm, &voucher, 1, receiver.clone(), secret.hashlock(), windows).await?;
        (request.timeout, request.claim_deadline) = (Timestamp(timeout(step)), Timestamp(deadline(step)));
        requests.push((request, secret));
    }
    let sent = requests.iter().map(|(request, _)| world.net.evm.lock(&payer, request));
    let sent = futures::future::try_join_all(sent).await?;
    Ok(sent.into_iter().map(|(_, packet)| packet).zip(requests.into_iter().map(|(_, secret)| secret)).collect())
}

type Sent = (Packet, Preimage);

/// Sets the native chain's clock to `time`, or a little later.
async fn set_clock(world: &World, time: u64) -> Result<()> {
    let now = world.net.native.head().await?.latest.time.0;
    world.net.solo.advance_time(Duration::from_secs(time - now)).await?;
    Ok(())
}

/// A message on items, one outcome each: whether it was done, and the time of its block.
async fn outcomes(world: &World, message: Message) -> Result<(Vec<bool>, u64)> {
    let included = world.net.native.execute(&member("bob"), message).await?;
    let done = included.events.iter().filter_map(|event| match event {
        Event::ItemOutcome { outcome, .. } => Some(*outcome == Outcome::Done),
        _ => None,
    });
    Ok((done.collect(), included.block.time.0))
}

/// Fails unless the block's time was between the first and the last second in question.
fn both_sides(done: &[bool], what: &str) {
    assert_eq!(done.len() as u64, STEPS);
    assert!(done.contains(&true) && done.contains(&false), "{what}: the machine was too slow to tell: {done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_counts_timeouts_and_deadlines_to_the_second() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(1_000).await?;
    world.stop_relayer().await;
    let now = world.net.native.head().await?.latest.time.0;
    let (timeout, deadline) = (now + 300, now + 600);
    let incoming = returns(&world, |step| timeout + step, |step| deadline + 100 + step).await?;
    let claimed = returns(&world, |_| timeout, |step| deadline + step).await?;
    let voided = returns(&world, |_| timeout, |step| deadline + step).await?;
    let held: Vec<RelayItem> = claimed.iter().chain(&voided).map(|(packet, _)| recv(packet)).collect();
    done(&world.carry(From::Evm, &held).await?)?;

    let items: Vec<RelayItem> = incoming.iter().map(|(packet, _)| recv(packet)).collect();
    let proven = world.prove(From::Evm, &items).await?;
    set_clock(&world, timeout + AIM).await?;
    let submitted = world.submit(From::Evm, &proven).await?;
    let received: Vec<bool> = submitted.outcomes.iter().map(|outcome| *outcome == ItemOutcome::Done).collect();
    both_sides(&received, "recv");
    for (item, received) in proven.items.iter().zip(received) {
        assert_eq!(received, submitted.block.time < item.packet().timeout, "recv at {}", submitted.block.time);
    }

    set_clock(&world, deadline + AIM).await?;
    let claims = claimed.iter().map(|(packet, secret)| ClaimItem {
        client: packet.dest_client.clone(),
        sequence: packet.sequence,
        secret: secret.reveal().to_vec(),
    });
    let (done, time) = outcomes(&world, Message::Claim(claims.collect())).await?;
    both_sides(&done, "claim");
    for ((packet, _), done) in claimed.iter().zip(&done) {
        assert_eq!(*done, time < packet.points_lock()?.claim_deadline.0, "claim at {time}");
    }
    let paid = done.iter().filter(|done| **done).count() as u128;
    let voids =
        voided.iter().map(|(packet, _)| VoidItem { client: packet.dest_client.clone(), sequence: packet.sequence });
    let (done, time) = outcomes(&world, Message::Void(voids.collect())).await?;
    both_sides(&done, "void");
    for ((packet, _), done) in voided.iter().zip(done) {
        assert_eq!(done, time >= packet.points_lock()?.claim_deadline.0, "void at {time}");
    }

    // All that is left ends by proof. The contract believes no header that is far ahead of its own clock.
    set_clock(&world, deadline + 200).await?;
    world.net.anvil.increase_time(deadline + 200 - now).await?;
    world.start_relayer().await?;
    for (packet, _) in incoming.iter().chain(&claimed).chain(&voided) {
        let id = world.id(From::Evm, packet);
        let ended = async || Ok(world.transfer(&id).is_some_and(|t| t.life.stage.is_final()));
        world.eventually("its end", ended).await.with_context(|| format!("{:#?}", world.transfer(&id)))?;
    }
    assert_eq!((world.member_sfs("coffee").await?, world.merchant_vouchers().await?), (paid, 1_000 - paid));
    world.finish().await
}
