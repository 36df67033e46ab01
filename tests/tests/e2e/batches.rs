//! Batches: one bad item harms no other, and too little gas leaves items for later.

use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use crosspoint_adapters::chain::ItemOutcome::{Done, Duplicate, Skipped};
use crosspoint_adapters::chain::RelayItem;
use crosspoint_adapters::evm::calldata::{self, List};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{SkipReason, claimCall, recvCall};
use crosspoint_adapters::evm::record::{Batch, Direction, client_word};
use crosspoint_adapters::proven::{Evidence, Proven};
use crosspoint_relayer::life::Stage;
use crosspoint_tests::hand::{STRANGER, at_most, recv};
use crosspoint_tests::{From, LONG, Windows, World, done, secret};

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_item_of_a_batch_harms_no_other_on_evm() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let mall = world.member_sfs("mall").await?;
    world.limit_evm(at_most(100)).await?;
    let secrets = [secret(), secret(), secret(), secret()];
    let late = Windows { timeout: 15, hold: 3 };
    let first = world.pay_merchant(10, &secrets[0], LONG).await?;
    let large = world.pay_merchant(101, &secrets[1], LONG).await?;
    let expired = world.pay_merchant(30, &secrets[2], late).await?;
    let last = world.pay_merchant(40, &secrets[3], LONG).await?;
    let items: Vec<RelayItem> = [&first, &large, &expired, &last].map(recv).to_vec();
    let proven = world.prove(From::Native, &items).await?;
    world.net.anvil.increase_time(20).await?;
    let submitted = world.submit(From::Native, &proven).await?;
    let outcome_of = |sequence| {
        let place = proven.items.iter().position(|item| item.packet().sequence == sequence).unwrap();
        submitted.outcomes[place].clone()
    };
    assert_eq!((outcome_of(first.sequence), outcome_of(last.sequence)), (Done, Done), "{submitted:?}");
    assert!(matches!(outcome_of(large.sequence), Skipped { retryable: true, .. }), "{submitted:?}");
    assert!(matches!(outcome_of(expired.sequence), Skipped { retryable: false, .. }), "{submitted:?}");

    // Claims: the first with the wrong secret, by the contract's own hand.
    let mut batch = Batch::new(Direction::In);
    batch.push(secret().reveal(), &first)?;
    batch.push(secrets[3].reveal(), &last)?;
    let client = client_word(&last.dest_client).into();
    let receipt = world.gateway_send(&claimCall { client, claims: batch.into_bytes().into() }).await?;
    assert!(matches!(world.skips(&receipt)[..], [(0, SkipReason::WrongPreimage)]));
    assert_eq!(world.merchant_vouchers().await?, 40);

    world.limit_evm(at_most(10_000)).await?;
    world.start_relayer().await?;
    done(&world.claim(From::Native, &first, &secrets[0]).await?)?;
    world.until(&world.id(From::Native, &large), Stage::Held).await?;
    done(&world.claim(From::Native, &large, &secrets[1]).await?)?;
    for packet in [&first, &large, &last] {
        world.until(&world.id(From::Native, packet), Stage::Settled).await?;
    }
    world.until(&world.id(From::Native, &expired), Stage::TimedOut).await?;
    assert_eq!(world.merchant_vouchers().await?, 151);
    assert_eq!(world.member_sfs("mall").await?, mall - 151);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_item_of_a_batch_harms_no_other_on_the_native_chain() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(500).await?;
    world.stop_relayer().await;
    let secrets = [secret(), secret(), secret()];
    let mut packets = vec![];
    for (amount, secret) in [10, 20, 30].into_iter().zip(&secrets) {
        packets.push(world.send_back(amount, "coffee", secret, LONG).await?);
    }
    let items: Vec<RelayItem> = packets.iter().map(recv).collect();
    let proven = world.prove(From::Evm, &items).await?;
    let Evidence::Attested(evidence) = &proven.evidence else { panic!("{proven:?}") };
    let mut evidence = evidence.clone();
    evidence.storage_proofs[1] = evidence.storage_proofs[0].clone();
    let bad = Proven { evidence: Evidence::Attested(evidence), ..proven.clone() };
    let submitted = world.submit(From::Evm, &bad).await?;
    assert!(matches!(submitted.outcomes[..], [Done, Skipped { .. }, Done]), "{submitted:?}");
    assert_eq!(world.submit(From::Evm, &proven).await?.outcomes, [Duplicate, Done, Duplicate]);
    world.start_relayer().await?;
    for (packet, secret) in packets.iter().zip(&secrets) {
        world.until(&world.id(From::Evm, packet), Stage::Held).await?;
        done(&world.claim(From::Evm, packet, secret).await?)?;
        world.until(&world.id(From::Evm, packet), Stage::Settled).await?;
    }
    assert_eq!(world.member_sfs("coffee").await?, 60);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_gas_skips_items_without_an_error_ack_and_they_are_done_later() -> Result<()> {
    let mut world = World::without_relayer().await?;
    let gateway = world.net.evm.settings().gateway;
    let client = client_word(&world.net.evm_client).into();
    let mut sent = vec![];
    for amount in 1..=12 {
        let secret = secret();
        sent.push((world.pay_merchant(amount, &secret, LONG).await?, secret));
    }
    let items: Vec<RelayItem> = sent.iter().map(|(packet, _)| recv(packet)).collect();
    let numbered: Vec<(usize, &RelayItem)> = items.iter().enumerate().collect();
    let proven = world.prove(From::Native, &items).await?;
    let Evidence::Checkpoint(evidence) = &proven.evidence else { panic!("{proven:?}") };
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?;
    let batch = calldata::outbox_batch(List::Sent, evidence.sent.as_ref().context("a list")?, &numbered)?;
    let call = recvCall { client, state: state.into(), outbox: batch.outbox.into(), packets: batch.items.into() };
    // From hopeless to nearly enough.
    let mut partial = 0;
    for gas in [150_000, 300_000, 400_000, 500_000] {
        let receipt = world.evm_send(STRANGER, Some(gateway), call.abi_encode(), Some(gas)).await?;
        let skips = world.skips(&receipt);
        let low = skips.iter().filter(|(_, reason)| matches!(reason, SkipReason::LowGas)).count();
        let duplicates = skips.iter().filter(|(_, reason)| matches!(reason, SkipReason::Duplicate)).count();
        assert_eq!(low + duplicates, skips.len(), "nothing is skipped for another reason");
        let mut received = 0;
        for (packet, _) in &sent {
            received += usize::from(world.was_received(From::Native, packet).await?);
            let chain = world.chain(From::Evm);
            let at = chain.head().await?.latest.height;
            assert_eq!(chain.stored(&packet.ack_path(), at).await?.value, None, "low gas writes no error ack");
        }
        if receipt.succeeded() {
            assert_eq!(received + low, sent.len(), "what was not skipped was received");
        }
        partial += usize::from(low > 0 && received > 0);
    }
    assert!(partial > 0, "no amount of gas was too little for some items only");
    world.start_relayer().await?;
    for (packet, _) in &sent {
        world.until(&world.id(From::Native, packet), Stage::Held).await?;
    }

    // Claims with too little gas: some are paid, none is owed, the rest is claimed later.
    let mut batch = Batch::new(Direction::In);
    for (packet, secret) in &sent {
        batch.push(secret.reveal(), packet)?;
    }
    let call = claimCall { client, claims: batch.into_bytes().into() };
    let receipt = world.evm_send(STRANGER, Some(gateway), call.abi_encode(), Some(450_000)).await?;
    let low = world.skips(&receipt).iter().filter(|(_, reason)| matches!(reason, SkipReason::LowGas)).count();
    assert!(receipt.succeeded() && low > 0 && low < sent.len(), "{low} of {} skipped", sent.len());
    let paid = world.merchant_vouchers().await?;
    assert!(paid > 0 && paid < 78, "{paid}");
    let claims: Vec<_> = sent.iter().map(|(packet, secret)| (packet.clone(), secret.clone())).collect();
    let rest = world.chain(From::Evm).claim(&claims).await?;
    assert_eq!(rest.outcomes.iter().filter(|outcome| **outcome == Done).count(), low, "{rest:?}");
    for (packet, _) in &sent {
        world.until(&world.id(From::Native, packet), Stage::Settled).await?;
    }
    assert_eq!(world.merchant_vouchers().await?, 78);
    let report = world.audit().await?;
    assert!(report.denoms.iter().all(|denom| denom.owed.get() == 0), "{report:#?}");
    world.finish().await
}
