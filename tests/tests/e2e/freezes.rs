//! Signers of two truths: their client freezes, and what can end without it still ends.

use std::time::Duration;

use alloy::primitives::B256;
use anyhow::{Context, Result};
use crosspoint_adapters::evm::BASE_SLOT;
use crosspoint_adapters::evm::block::{self, BlockId};
use crosspoint_adapters::evm::calldata;
use crosspoint_adapters::evm::contracts::ICrosspointRegistry::reanchorCall;
use crosspoint_adapters::evm::record::client_word;
use crosspoint_adapters::proven::{CheckpointEvidence, Evidence, Proven};
use crosspoint_ledger::engine::testing::conflicting_checkpoint;
use crosspoint_ledger::handlers::client::join_evidence;
use crosspoint_ledger::tx::action::{Action, AttestedSpec, ClientSpec};
use crosspoint_ledger::tx::message::Message;
use crosspoint_light_proofs::attested;
use crosspoint_relayer::life::Stage;
use crosspoint_tests::hand::{attestation, recv, refused};
use crosspoint_tests::{From, LONG, Windows, World, done, member, secret};

#[tokio::test(flavor = "multi_thread")]
async fn two_quorums_that_disagree_freeze_the_evm_client_and_nothing_is_received_until_governance_acts() -> Result<()> {
    let mut world = World::start().await?;
    let mall = world.member_sfs("mall").await?;
    world.paid_merchant(500).await?;
    let windows = Windows { timeout: 120, hold: 300 };
    let (held_secret, home_secret) = (secret(), secret());
    let held = world.pay_merchant(10, &held_secret, windows).await?;
    let home = world.send_back(20, "coffee", &home_secret, windows).await?;
    world.until(&world.id(From::Native, &held), Stage::Held).await?;
    world.until(&world.id(From::Evm, &home), Stage::Held).await?;
    world.stop_relayer().await;
    let lost = world.pay_merchant(40, &secret(), windows).await?;
    let proven = world.prove(From::Native, &[recv(&lost)]).await?;

    // A quorum signs another app hash for a height that the client trusts already.
    let height = world.client_status(From::Native).await?.trusted.height;
    let chain = world.net.solo.genesis().chain_id.clone();
    let signed = world.net.solo.node().store.checkpoint(&chain, height.0)?.context("a checkpoint")?;
    let freeze = async |keys: usize| {
        let conflicting = conflicting_checkpoint(&signed, [7; 32], &world.net.solo.keys()[..keys]);
        let time = conflicting.checkpoint.time;
        let evidence =
            CheckpointEvidence { update: Some(conflicting), trusted: None, sent: None, acked: None, absences: vec![] };
        let evidence = Evidence::Checkpoint(Box::new(evidence));
        let outcome = world.submit(From::Native, &Proven { items: vec![], height, time, evidence }).await;
        (outcome, world.client_status(From::Native).await.unwrap().frozen)
    };
    let (outcome, frozen) = freeze(2).await;
    assert!(!frozen && outcome.is_err(), "half of the validators are no quorum: {outcome:?}");
    let (outcome, frozen) = freeze(4).await;
    assert!(frozen, "{outcome:?}");

    // What was proven before is refused, too.
    let outcome = world.submit(From::Native, &proven).await;
    assert!(refused(&outcome), "{outcome:?}");
    assert!(!world.was_received(From::Native, &lost).await?);
    assert!(world.audit().await?.is_balanced());

    // The other direction's client is sound: a hold is claimed and settles, what was never received times out.
    world.start_relayer().await?;
    done(&world.claim(From::Native, &held, &held_secret).await?)?;
    world.until(&world.id(From::Native, &held), Stage::Settled).await?;
    done(&world.claim(From::Evm, &home, &home_secret).await?)?;
    assert_eq!(world.member_sfs("coffee").await?, 20);
    world.until(&world.id(From::Evm, &home), Stage::Claimed).await?;
    world.net.solo.advance_time(Duration::from_secs(130)).await?;
    world.net.anvil.increase_time(130).await?;
    world.until(&world.id(From::Native, &lost), Stage::TimedOut).await?;
    assert_eq!(world.member_sfs("mall").await?, mall - 510);
    assert!(world.audit().await?.is_balanced());

    // Governance anchors the client anew; the return's ack then settles it.
    let newest = world.net.solo.height();
    let anchor = world.net.solo.node().store.checkpoint(&chain, newest.0)?.context("a checkpoint")?;
    let client = client_word(&world.net.evm_client).into();
    world.evm_govern(&reanchorCall { client, anchor: calldata::header(&anchor.checkpoint).into() }).await?;
    world.until(&world.id(From::Evm, &home), Stage::Settled).await?;
    world.paid_merchant(3).await?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn attestors_that_contradict_themselves_freeze_the_native_client() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(500).await?;
    let windows = Windows { timeout: 120, hold: 300 };
    let (out_secret, home_secret) = (secret(), secret());
    let out = world.pay_merchant(10, &out_secret, windows).await?;
    let home = world.send_back(20, "coffee", &home_secret, windows).await?;
    world.until(&world.id(From::Native, &out), Stage::Held).await?;
    world.until(&world.id(From::Evm, &home), Stage::Held).await?;
    world.stop_relayer().await;
    let lost = world.send_back(40, "coffee", &secret(), windows).await?;
    let proven = world.prove(From::Evm, &[recv(&lost)]).await?;
    let header = attestation(&proven).update.clone().context("an update")?;

    let report = async |signers: usize| {
        let keys = &world.net.attestors.keys()[..signers];
        let evidence: Vec<Vec<u8>> = [[1; 32], [2; 32]]
            .map(|hash| {
                let statement = attested::Statement { hash: B256::from(hash), ..header.statement };
                attested::Header::sign(statement, header.header_rlp.clone(), keys).encode()
            })
            .to_vec();
        let client = world.net.native_client.clone();
        let message = Message::SubmitMisbehaviour { client, evidence: join_evidence(&evidence) };
        let outcome = world.net.native.execute(&member("bob"), message).await;
        (outcome, world.client_status(From::Evm).await.unwrap().frozen)
    };
    let (outcome, frozen) = report(1).await;
    assert!(outcome.is_err() && !frozen, "one attestor is no quorum: {outcome:?}");
    let (outcome, frozen) = report(2).await;
    assert!(outcome.is_ok() && frozen, "{outcome:?}");

    let outcome = world.submit(From::Evm, &proven).await;
    assert!(refused(&outcome), "{outcome:?}");
    assert!(!world.was_received(From::Evm, &lost).await?);
    assert!(world.pay_merchant(1, &secret(), LONG).await.is_err(), "what cannot be ended by proof is not locked");
    assert!(world.audit().await?.is_balanced());

    // Holds end, and the EVM chain, whose client is sound, settles and refunds.
    world.start_relayer().await?;
    done(&world.claim(From::Evm, &home, &home_secret).await?)?;
    world.until(&world.id(From::Evm, &home), Stage::Settled).await?;
    done(&world.claim(From::Native, &out, &out_secret).await?)?;
    world.until(&world.id(From::Native, &out), Stage::Claimed).await?;
    world.net.solo.advance_time(Duration::from_secs(130)).await?;
    world.net.anvil.increase_time(130).await?;
    world.until(&world.id(From::Evm, &lost), Stage::TimedOut).await?;
    assert_eq!(world.merchant_vouchers().await?, 500 + 10 - 20);
    assert!(world.audit().await?.is_balanced());

    // Governance anchors the client anew, and the payer's receipt comes home.
    let newest = world.net.evm.rpc().each(|session| block::existing(session, BlockId::Finalized)).await?;
    let set = world.net.attestors.set(&world.net.config)?;
    let spec = ClientSpec::Attested(AttestedSpec {
        chain_id: world.net.manifest.chain_number,
        genesis_hash: world.net.manifest.genesis_hash,
        epoch: 0,
        attestors: set.addresses().to_vec(),
        threshold: u32::try_from(set.threshold())?,
        gateway: world.net.evm.settings().gateway,
        base_slot: BASE_SLOT,
        header: newest.rlp(),
        trusting_period: world.net.config.trusting_period,
    });
    let client = world.net.native_client.clone();
    world.net.govern(Action::ReanchorClient { client, spec: Box::new(spec) }).await?;
    world.until(&world.id(From::Native, &out), Stage::Settled).await?;
    world.paid_merchant(3).await?;
    world.finish().await
}
