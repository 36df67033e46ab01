//! A bad item among acknowledgements and among timeouts: the others pass, the bad one changes nothing.

use std::time::Duration;

use anyhow::{Context, Result};
use crosspoint_adapters::chain::ItemOutcome::{Done, Duplicate, Skipped};
use crosspoint_adapters::chain::RelayItem;
use crosspoint_adapters::evm::calldata::{self, List};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{SkipReason, ackCall, timeoutCall};
use crosspoint_adapters::evm::record::client_word;
use crosspoint_adapters::proven::{AttestedEvidence, Evidence, Proven};
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Preimage;
use crosspoint_relayer::life::Stage;
use crosspoint_tests::hand::{attestation, checkpoint, flip_middle, recv, success, timeout, with_lock};
use crosspoint_tests::{From, LONG, Windows, World, done, secret};

/// Time enough to be received on a slow machine; then time is moved.
const BRIEF: Windows = Windows { timeout: 60, hold: 30 };
/// Seconds past every deadline of [`BRIEF`].
const PAST: u64 = 120;

type Sent = (Packet, Preimage);

async fn pay_all(world: &World, amounts: &[u128], windows: Windows) -> Result<Vec<Sent>> {
    let mut sent = vec![];
    for amount in amounts {
        let secret = secret();
        sent.push((world.pay_merchant(*amount, &secret, windows).await?, secret));
    }
    Ok(sent)
}

async fn return_all(world: &World, amounts: &[u128], windows: Windows) -> Result<Vec<Sent>> {
    let mut sent = vec![];
    for amount in amounts {
        let secret = secret();
        sent.push((world.send_back(*amount, "coffee", &secret, windows).await?, secret));
    }
    Ok(sent)
}

/// Brings packets over by hand and claims them.
async fn receive_and_claim(world: &World, from: From, sent: &[Sent]) -> Result<()> {
    let items: Vec<RelayItem> = sent.iter().map(|(packet, _)| recv(packet)).collect();
    done(&world.carry(from, &items).await?)?;
    done(&world.other(from).claim(sent).await?)
}

fn successes(sent: &[Sent]) -> Vec<RelayItem> {
    sent.iter().map(|(packet, secret)| success(packet, secret)).collect()
}

fn other(from: From) -> From {
    match from {
        From::Native => From::Evm,
        From::Evm => From::Native,
    }
}

/// Whether the lock of a packet stands on its source.
async fn is_locked(world: &World, from: From, packet: &Packet) -> Result<bool> {
    let chain = world.chain(from);
    let at = chain.head().await?.latest.height;
    Ok(chain.stored(&packet.commitment_path(), at).await?.value.is_some())
}

fn with_evidence(proven: &Proven, change: impl FnOnce(&mut AttestedEvidence)) -> Proven {
    let mut evidence = attestation(proven).clone();
    change(&mut evidence);
    Proven { evidence: Evidence::Attested(Box::new(evidence)), ..proven.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_ack_or_timeout_harms_no_other_of_its_batch_on_the_native_chain() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let mall = world.member_sfs("mall").await?;
    let sent = pay_all(&world, &[10, 20, 30], LONG).await?;
    receive_and_claim(&world, From::Native, &sent).await?;
    let proven = world.prove(From::Evm, &successes(&sent)).await?;
    let bad = with_evidence(&proven, |evidence| {
        let node = evidence.storage_proofs[1].last_mut().expect("a node");
        *node = flip_middle(node);
    });
    let submitted = world.submit(From::Evm, &bad).await?;
    assert!(matches!(submitted.outcomes[..], [Done, Skipped { .. }, Done]), "{submitted:?}");
    let open = [false, true, false];
    for ((packet, _), open) in sent.iter().zip(open) {
        assert_eq!(is_locked(&world, From::Native, packet).await?, open);
    }
    assert_eq!(world.submit(From::Evm, &proven).await?.outcomes, [Duplicate, Done, Duplicate]);

    // Among timeouts, one of a packet that was received.
    let lost = pay_all(&world, &[1, 2, 4], BRIEF).await?;
    let held = lost[1].0.clone();
    done(&world.carry(From::Native, &[recv(&held)]).await?)?;
    world.net.anvil.increase_time(PAST).await?;
    let proven = world.prove(From::Evm, &[timeout(&lost[0].0), timeout(&lost[2].0)]).await?;
    let bad = Proven {
        items: vec![timeout(&lost[0].0), timeout(&held), timeout(&lost[2].0)],
        ..with_evidence(&proven, |evidence| evidence.storage_proofs.insert(1, evidence.storage_proofs[0].clone()))
    };
    let submitted = world.submit(From::Evm, &bad).await?;
    assert!(matches!(submitted.outcomes[..], [Done, Skipped { .. }, Done]), "{submitted:?}");
    assert!(is_locked(&world, From::Native, &held).await?, "a hold is open there: no refund");
    assert_eq!(world.member_sfs("mall").await?, mall - 60 - 2);

    world.start_relayer().await?;
    world.until(&world.id(From::Native, &held), Stage::Refunded).await?;
    assert_eq!((world.member_sfs("mall").await?, world.merchant_vouchers().await?), (mall - 60, 60));
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_ack_or_timeout_harms_no_other_of_its_batch_on_evm() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let vouchers = pay_all(&world, &[1_000], LONG).await?;
    receive_and_claim(&world, From::Native, &vouchers).await?;
    done(&world.carry(other(From::Native), &successes(&vouchers)).await?)?;
    let client = client_word(&world.net.evm_client).into();

    // Acks: the second speaks of another amount than was sent.
    let sent = return_all(&world, &[10, 20, 30], LONG).await?;
    receive_and_claim(&world, From::Evm, &sent).await?;
    let proven = world.prove(From::Native, &successes(&sent)).await?;
    let evidence = checkpoint(&proven);
    let mut items = successes(&sent);
    let RelayItem::Ack { packet, .. } = &mut items[1] else { panic!("an ack") };
    *packet = with_lock(packet, |lock| lock.amount = Amount::new(21));
    let numbered: Vec<(usize, &RelayItem)> = items.iter().enumerate().collect();
    let batch = calldata::outbox_batch(List::Acked, evidence.acked.as_ref().context("a list")?, &numbered)?;
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?;
    let place = batch.places.iter().position(|place| *place == 1).context("its place")?;
    let call = ackCall { client, state: state.into(), outbox: batch.outbox.into(), acks: batch.items.into() };
    let receipt = world.gateway_send(&call).await?;
    let skips = world.skips(&receipt);
    assert!(receipt.succeeded());
    assert!(matches!(skips[..], [(at, SkipReason::WrongPacket)] if at == place as u64), "{}", skips.len());
    for ((packet, _), open) in sent.iter().zip([false, true, false]) {
        assert_eq!(is_locked(&world, From::Evm, packet).await?, open);
    }
    let mut outcomes = world.submit(From::Native, &proven).await?.outcomes;
    outcomes.sort_by_key(|outcome| *outcome == Done);
    assert_eq!(outcomes, [Duplicate, Duplicate, Done]);

    // Timeouts: the second was received, and comes with the proof of another.
    let lost = return_all(&world, &[1, 2, 4], BRIEF).await?;
    let held = lost[1].0.clone();
    done(&world.carry(From::Evm, &[recv(&held)]).await?)?;
    world.net.solo.advance_time(Duration::from_secs(PAST)).await?;
    let proven = world.prove(From::Native, &[timeout(&lost[0].0), timeout(&lost[2].0)]).await?;
    let mut evidence = checkpoint(&proven).clone();
    evidence.absences.insert(1, evidence.absences[0].clone());
    let items = [timeout(&lost[0].0), timeout(&held), timeout(&lost[2].0)];
    let numbered: Vec<(usize, usize, &RelayItem)> = items.iter().enumerate().map(|(at, item)| (at, at, item)).collect();
    let packets = calldata::timeout_batch(&evidence, &numbered)?.items.into();
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?.into();
    let receipt = world.gateway_send(&timeoutCall { client, state, packets }).await?;
    assert!(receipt.succeeded());
    assert!(matches!(world.skips(&receipt)[..], [(1, SkipReason::NotProven)]));
    for ((packet, _), open) in lost.iter().zip([false, true, false]) {
        assert_eq!(is_locked(&world, From::Evm, packet).await?, open);
    }
    assert_eq!(world.merchant_vouchers().await?, 1_000 - 60 - 2);

    world.start_relayer().await?;
    world.until(&world.id(From::Evm, &held), Stage::Refunded).await?;
    assert_eq!((world.merchant_vouchers().await?, world.member_sfs("coffee").await?), (940, 60));
    world.finish().await
}
