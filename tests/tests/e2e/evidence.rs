//! Evidence of real transfers over real chains: what it proves, and that nothing in it can be changed.

use anyhow::{Context, Result, ensure};
use crosspoint_adapters::chain::{Chain, PacketEnd};
use crosspoint_light_proofs::evidence::{Claim, Evidence, EvidenceError, Findings, Outcome, verify};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::packet::Packet;
use crosspoint_relayer::evidence::{NoEvidence, gather};
use crosspoint_relayer::life::Stage;
use crosspoint_tests::{From, LONG, PATIENCE, SHORT, Windows, World, done, secret};
use serde_json::Value;

/// The file of a transfer, once it proves this much. Final headers come a little after the events.
async fn file(world: &World, from: From, packet: &Packet, wanted: Outcome) -> Result<(String, Findings)> {
    let id = world.id(from, packet);
    let started = std::time::Instant::now();
    loop {
        let transfer = world.transfer(&id).with_context(|| format!("{id} is not in the journal"))?;
        let (source, dest) = (world.chain(from), world.other(from));
        match gather(&transfer, source.as_ref(), dest.as_ref()).await {
            Ok(evidence) => {
                let text = evidence.to_text()?;
                let found = verify(&Evidence::read(&text)?, &[])?;
                if found.outcome == wanted {
                    return Ok((text, found));
                }
                ensure!(started.elapsed() < PATIENCE, "{id} is proved {:?}, not {wanted:?}", found.outcome);
            }
            Err(error @ NoEvidence::Unfit(_)) => return Err(error.into()),
            Err(error) => ensure!(started.elapsed() < PATIENCE, "{id}: {error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

fn check(text: &str) -> Result<(), EvidenceError> {
    verify(&Evidence::read(text)?, &[]).map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_follows_a_payment_from_its_lock_to_its_settlement_and_nothing_in_it_can_be_changed() -> Result<()> {
    let world = World::start().await?;
    let invoice = secret();
    let packet = world.pay_merchant(1_250, &invoice, LONG).await?;
    let id = world.id(From::Native, &packet);
    world.until(&id, Stage::Held).await?;
    let (_, found) = file(&world, From::Native, &packet, Outcome::Held).await?;
    assert!(found.source.shows(Claim::Sent) && !found.source.shows(Claim::Ended));
    assert_eq!(found.packet, packet);
    assert!(found.ack.is_none());

    done(&world.claim(From::Native, &packet, &invoice).await?)?;
    world.until(&id, Stage::Settled).await?;
    let (text, found) = file(&world, From::Native, &packet, Outcome::Settled).await?;
    assert_eq!(found.ack, Some(Acknowledgement::Success(invoice)));
    assert!(found.source.shows(Claim::Sent) && found.source.shows(Claim::Ended));
    let registered = found.source.registered.context("the ledger's own client is not in the file")?;
    assert!(registered.vouches && registered.counterparty == packet.dest_client);

    // A digit or letter changed anywhere, sampled over the whole file.
    for at in (0..text.len()).step_by(97) {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let changed = String::from_utf8(bytes)?;
        ensure!(check(&changed).is_err(), "byte {at} was changed unnoticed: {:?}", &text[at.saturating_sub(30)..=at]);
    }
    // Every value dropped or replaced.
    let value: Value = serde_json::from_str(&text)?;
    let mut pointers = vec![];
    leaves(&value, String::new(), &mut pointers);
    ensure!(pointers.len() > 150, "only {} values", pointers.len());
    for pointer in pointers {
        let leaf = value.pointer(&pointer).context("no such value")?;
        for change in [Value::Null, Value::from(3), Value::from("0x00")].iter().filter(|change| *change != leaf) {
            let mut changed = value.clone();
            *changed.pointer_mut(&pointer).context("no such value")? = change.clone();
            let verdict = Evidence::from_value(changed).and_then(|evidence| verify(&evidence, &[]));
            ensure!(verdict.is_err(), "{pointer} was changed to {change} unnoticed");
        }
    }
    world.finish().await
}

fn leaves(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| leaves(inner, format!("{at}/{name}"), all)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, inner)| leaves(inner, format!("{at}/{i}"), all)),
        _ => all.push(at),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_a_return_proves_the_burn_on_evm_also_after_its_slot_was_cleared() -> Result<()> {
    let world = World::start().await?;
    world.paid_merchant(900).await?;
    let back = secret();
    let packet = world.send_back(400, "coffee", &back, LONG).await?;
    let id = world.id(From::Evm, &packet);
    world.until(&id, Stage::Held).await?;
    let (_, found) = file(&world, From::Evm, &packet, Outcome::Held).await?;
    assert!(found.destination.registered.is_some_and(|registered| registered.vouches));
    done(&world.claim(From::Evm, &packet, &back).await?)?;
    world.until(&id, Stage::Settled).await?;
    let (_, found) = file(&world, From::Evm, &packet, Outcome::Settled).await?;
    let (sent, ended) = (found.source.header(Claim::Sent), found.source.header(Claim::Ended));
    assert!(sent.context("sent")?.height < ended.context("ended")?.height);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_what_nobody_claimed_or_received_justifies_the_refund_both_ways() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(100).await?;
    let voided = world.pay_merchant(30, &secret(), SHORT).await?;
    let returned = world.send_back(20, "coffee", &secret(), SHORT).await?;
    for (from, packet) in [(From::Native, &voided), (From::Evm, &returned)] {
        world.until(&world.id(from, packet), Stage::Refunded).await?;
        let (_, found) = file(&world, from, packet, Outcome::Refunded).await?;
        assert_eq!(found.ack, Some(Acknowledgement::Error));
        assert!(found.destination.shows(Claim::Received));
    }

    // Never received: absence, at a time when receipt is over.
    world.stop_relayer().await;
    let brief = Windows { timeout: 5, hold: 3 };
    let missed = world.pay_merchant(40, &secret(), brief).await?;
    let missed_return = world.send_back(10, "coffee", &secret(), brief).await?;
    world.net.anvil.increase_time(60).await?;
    world.net.solo.advance_time(std::time::Duration::from_secs(60)).await?;
    world.start_relayer().await?;
    for (from, packet) in [(From::Native, &missed), (From::Evm, &missed_return)] {
        world.until(&world.id(from, packet), Stage::TimedOut).await?;
        let (_, found) = file(&world, from, packet, Outcome::Refunded).await?;
        let header = found.destination.header(Claim::NotReceived).context("no proof of non-receipt")?;
        assert!(header.time >= packet.timeout && found.ack.is_none());
    }
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_state_the_ledger_has_pruned_is_proved_by_the_list_of_packets_sent() -> Result<()> {
    let mut world = World::with(|config| config.native_history = 40).await?;
    world.start_relayer().await?;
    let first = world.paid_merchant(5).await?;
    let sent = world.transfer(&world.id(From::Native, &first)).context("no transfer")?;
    let sent = sent.life.facts.sent.context("not sent")?.block.height;
    for amount in 1..=3 {
        world.paid_merchant(amount).await?;
    }
    world
        .eventually("the state of the lock to be pruned", async || {
            Ok(world.net.native.head().await?.finalized.height.0 > sent.0 + 45)
        })
        .await?;
    let (text, found) = file(&world, From::Native, &first, Outcome::Settled).await?;
    assert!(found.source.shown[&Claim::Sent].listed, "{text}");
    assert_eq!(found.source.headers.len(), 1, "one header shows both");
    let client = world.net.evm.client(&first.dest_client).await?;
    let other = world.net.native.evidence(&first, PacketEnd::Source { sent: sent.next() }, &client).await?;
    assert!(!other.shows(Claim::Sent), "it is not in the list of another block");
    world.finish().await
}
