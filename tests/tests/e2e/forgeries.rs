//! Proofs, headers and packets with something changed: nothing they say is believed.

use std::time::Duration;

use alloy::primitives::Bytes;
use alloy::sol_types::SolCall;
use anyhow::{Context, Result};
use crosspoint_adapters::chain::RelayItem;
use crosspoint_adapters::evm::calldata::{self, List};
use crosspoint_adapters::evm::contracts::ICrosspointGateway::{ackCall, recvCall, timeoutCall};
use crosspoint_adapters::evm::record::client_word;
use crosspoint_adapters::proven::{AttestedEvidence, CheckpointEvidence, Evidence, Proven};
use crosspoint_ledger::engine::testing::checkpoint_signed_by;
use crosspoint_light_proofs::attested;
use crosspoint_light_proofs::checkpoint::SignedCheckpoint;
use crosspoint_protocol::ack::UNIVERSAL_ERROR_ACK;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::ids::{Sequence, Timestamp};
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::secret::Hashlock;
use crosspoint_tests::hand::{attestation, checkpoint, flip_middle, recv, refused, success, with_lock};
use crosspoint_tests::{From, LONG, Windows, World, done, evm_address, secret};

/// Flips one bit of every byte of the three parts of a call; each must make the contract refuse the call, or skip its
/// items (an ack's record is compared with the packet sent, item by item).
async fn every_flip_is_refused<C: SolCall>(
    world: &World,
    parts: [Vec<u8>; 3],
    call: impl Fn([Bytes; 3]) -> C,
) -> Result<()> {
    let mut taken = vec![];
    let whole = |parts: &[Vec<u8>; 3]| call(parts.clone().map(Bytes::from));
    assert!(world.gateway_takes(&whole(&parts)).await?, "untouched it must be taken");
    for part in 0..parts.len() {
        for at in 0..parts[part].len() {
            let mut forged = parts.clone();
            forged[part][at] ^= 1 << (at % 8);
            let call = whole(&forged);
            if world.gateway_takes(&call).await? {
                assert_eq!(part, 2, "{}: byte {at} of argument {part} was flipped and the proof holds", C::SIGNATURE);
                taken.push((at, call));
            }
        }
    }
    let (places, calls): (Vec<usize>, Vec<C>) = taken.into_iter().unzip();
    for (at, receipt) in places.iter().zip(world.gateway_send_all(&calls).await?) {
        assert!(!receipt.succeeded() || !world.skips(&receipt).is_empty(), "{}: item byte {at}", C::SIGNATURE);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_refuses_every_call_with_a_bit_flipped() -> Result<()> {
    let world = World::without_relayer().await?;
    let client = client_word(&world.net.evm_client).into();
    let secrets = [secret(), secret()];
    let mut packets = vec![];
    for (amount, secret) in [70, 80].into_iter().zip(&secrets) {
        packets.push(world.pay_merchant(amount, secret, LONG).await?);
    }
    let items: Vec<RelayItem> = packets.iter().map(recv).collect();
    let numbered: Vec<(usize, &RelayItem)> = items.iter().enumerate().collect();
    let proven = world.prove(From::Native, &items).await?;
    let evidence = checkpoint(&proven);
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?;
    let batch = calldata::outbox_batch(List::Sent, evidence.sent.as_ref().context("a list")?, &numbered)?;
    every_flip_is_refused(&world, [state.clone(), batch.outbox.clone(), batch.items.clone()], |parts| {
        let [state, outbox, packets] = parts;
        recvCall { client, state, outbox, packets }
    })
    .await?;
    // A certificate with one signature too few, its bit cleared: the last of four validators' bits.
    let (signature, validators) = (64, 4);
    let mut few = state[..state.len() - signature].to_vec();
    let bitmap = 1 + 8 + 8 + 32 + 1 + validators * 32;
    let highest = 7 - few[bitmap].leading_zeros();
    few[bitmap] &= !(1 << highest);
    let (outbox, packets_bytes) = (Bytes::from(batch.outbox), Bytes::from(batch.items));
    let call = recvCall { client, state: few.into(), outbox, packets: packets_bytes };
    assert!(!world.gateway_takes(&call).await?, "two of four signed");
    done(&world.submit(From::Native, &proven).await?)?;

    // The way back: an ack proved to EVM.
    done(&world.claim(From::Native, &packets[0], &secrets[0]).await?)?;
    done(&world.carry(From::Evm, &[success(&packets[0], &secrets[0])]).await?)?;
    let back = secret();
    let packet = world.send_back(30, "coffee", &back, LONG).await?;
    done(&world.carry(From::Evm, &[recv(&packet)]).await?)?;
    done(&world.claim(From::Evm, &packet, &back).await?)?;
    let item = success(&packet, &back);
    let proven = world.prove(From::Native, std::slice::from_ref(&item)).await?;
    let evidence = checkpoint(&proven);
    let state = calldata::update(evidence.update.as_ref().context("an update")?)?;
    let batch = calldata::outbox_batch(List::Acked, evidence.acked.as_ref().context("a list")?, &[(0, &item)])?;
    every_flip_is_refused(&world, [state, batch.outbox, batch.items], |parts| {
        let [state, outbox, acks] = parts;
        ackCall { client, state, outbox, acks }
    })
    .await?;
    done(&world.submit(From::Native, &proven).await?)?;

    done(&world.claim(From::Native, &packets[1], &secrets[1]).await?)?;
    assert_eq!(world.merchant_vouchers().await?, 120);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_proof_of_non_receipt_refunds_nothing() -> Result<()> {
    let world = World::without_relayer().await?;
    // Vouchers to send back.
    let out = secret();
    let packet = world.pay_merchant(90, &out, LONG).await?;
    done(&world.carry(From::Native, &[recv(&packet)]).await?)?;
    done(&world.claim(From::Native, &packet, &out).await?)?;
    done(&world.carry(From::Evm, &[success(&packet, &out)]).await?)?;
    let lost = world.send_back(25, "coffee", &secret(), Windows { timeout: 5, hold: 3 }).await?;
    world.net.anvil.increase_time(30).await?;
    world.net.solo.advance_time(Duration::from_secs(30)).await?;
    let item = RelayItem::Timeout { packet: lost.clone() };
    let proven = world.prove(From::Native, std::slice::from_ref(&item)).await?;
    let evidence = checkpoint(&proven);
    let client = client_word(&world.net.evm_client).into();
    let state = Bytes::from(calldata::update(evidence.update.as_ref().context("an update")?)?);
    let batch = calldata::timeout_batch(evidence, &[(0, 0, &item)])?.items;
    // Timeouts are skipped one by one, not reverted: only a transaction tells. Every seventh byte is flipped.
    let forgeries = (0..batch.len()).step_by(7).map(|at| {
        let mut packets = batch.clone();
        packets[at] ^= 1 << (at % 8);
        timeoutCall { client, state: state.clone(), packets: packets.into() }
    });
    let forgeries: Vec<timeoutCall> = forgeries.collect();
    let receipts = world.gateway_send_all(&forgeries).await?;
    for (at, receipt) in receipts.iter().enumerate() {
        assert!(!receipt.succeeded() || !world.skips(receipt).is_empty(), "the forgery at byte {} ended it", at * 7);
    }
    assert_eq!(world.merchant_vouchers().await?, 65, "nothing was refunded");
    done(&world.submit(From::Native, &proven).await?)?;
    assert_eq!(world.merchant_vouchers().await?, 90);
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_sends_no_forged_evidence_to_evm() -> Result<()> {
    type Forge = Box<dyn Fn(&mut CheckpointEvidence)>;
    let world = World::without_relayer().await?;
    let out = secret();
    let packet = world.pay_merchant(55, &out, LONG).await?;
    let proven = world.prove(From::Native, &[recv(&packet)]).await?;
    let too_few = checkpoint(&proven).update.clone().context("an update")?;
    let too_few = checkpoint_signed_by(&too_few, &world.net.solo.keys()[..2]);
    let update = |forge: fn(&mut SignedCheckpoint)| -> Forge {
        Box::new(move |evidence| forge(evidence.update.as_mut().unwrap()))
    };
    let forgeries: Vec<(&str, Forge)> = vec![
        ("head", Box::new(|e| e.sent.as_mut().unwrap().head[3] ^= 1)),
        ("membership", Box::new(|e| *e.sent.as_mut().unwrap().membership.last_mut().unwrap() ^= 1)),
        ("previous head", Box::new(|e| e.sent.as_mut().unwrap().previous_head[0] ^= 1)),
        ("entry", Box::new(|e| e.sent.as_mut().unwrap().blocks[0].entries[0].1[0] ^= 1)),
        ("entry's sequence", Box::new(|e| e.sent.as_mut().unwrap().blocks[0].entries[0].0.0 += 1)),
        ("no blocks", Box::new(|e| e.sent.as_mut().unwrap().blocks.clear())),
        ("no list", Box::new(|e| e.sent = None)),
        ("app hash", update(|u| u.checkpoint.app_hash[0] ^= 1)),
        ("time", update(|u| u.checkpoint.time.0 += 1)),
        ("height", update(|u| u.checkpoint.height.0 += 1)),
        ("set", update(|u| u.checkpoint.set_hash[0] ^= 1)),
        ("next set", update(|u| u.checkpoint.next_set_hash[0] ^= 1)),
        ("signature", update(|u| u.signatures[0][5] ^= 1)),
        ("order of signatures", update(|u| u.signatures.swap(0, 1))),
        ("too few signatures", Box::new(move |e| e.update = Some(too_few.clone()))),
        ("no update", Box::new(|e| e.update = None)),
    ];
    for (what, forge) in forgeries {
        let mut forged = checkpoint(&proven).clone();
        forge(&mut forged);
        let forged = Proven { evidence: Evidence::Checkpoint(Box::new(forged)), ..proven.clone() };
        let outcome = world.submit(From::Native, &forged).await;
        assert!(refused(&outcome), "{what}: {outcome:?}");
        assert!(!world.was_received(From::Native, &packet).await?, "{what}");
    }
    // A true proof under another sequence.
    let replayed = Packet { sequence: Sequence(packet.sequence.0 + 1), ..packet.clone() };
    let forged = Proven { items: vec![recv(&replayed)], ..proven.clone() };
    let outcome = world.submit(From::Native, &forged).await;
    assert!(refused(&outcome), "{outcome:?}");
    assert!(!world.was_received(From::Native, &replayed).await?);
    done(&world.submit(From::Native, &proven).await?)?;
    done(&world.claim(From::Native, &packet, &out).await?)?;
    world.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_native_chain_refuses_forged_headers_statements_proofs_and_packets() -> Result<()> {
    let mut world = World::start().await?;
    world.paid_merchant(500).await?;
    world.stop_relayer().await;
    let back = secret();
    let packet = world.send_back(60, "coffee", &back, LONG).await?;
    let proven = world.prove(From::Evm, &[recv(&packet)]).await?;
    let honest = attestation(&proven).clone();
    let header = honest.update.clone().context("an update")?;
    let keys = world.net.attestors.keys();
    let one = attested::Header::sign(header.statement, header.header_rlp.clone(), &keys[..1]);
    let stranger = crosspoint_light_proofs::signature::SigningKey::from_bytes([9; 32])?;
    let strangers = [stranger, keys[0].clone()];
    let foreign = attested::Header::sign(header.statement, header.header_rlp.clone(), &strangers);

    // Headers: none of them may move the client.
    type Forge = Box<dyn Fn(&mut attested::Header)>;
    let mut headers: Vec<(String, Forge)> = vec![
        ("chain".into(), Box::new(|h| h.statement.chain_id += 1)),
        ("genesis".into(), Box::new(|h| h.statement.genesis_hash.0[0] ^= 1)),
        ("epoch".into(), Box::new(|h| h.statement.epoch += 1)),
        ("previous number".into(), Box::new(|h| h.statement.prev_number.0 -= 1)),
        ("previous hash".into(), Box::new(|h| h.statement.prev_hash.0[0] ^= 1)),
        ("number".into(), Box::new(|h| h.statement.number.0 += 1)),
        ("hash".into(), Box::new(|h| h.statement.hash.0[0] ^= 1)),
        ("no signatures".into(), Box::new(|h| h.signatures.clear())),
        ("order of signatures".into(), Box::new(|h| h.signatures.reverse())),
        ("one signature twice".into(), Box::new(|h| h.signatures[1] = h.signatures[0])),
        ("one attestor of two".into(), Box::new(move |h| *h = one.clone())),
        ("a stranger's signature".into(), Box::new(move |h| *h = foreign.clone())),
    ];
    for signature in 0..header.signatures.len() {
        let forge: Forge = Box::new(move |h| h.signatures[signature][7] ^= 1);
        headers.push((format!("signature {signature}"), forge));
    }
    for at in (0..header.header_rlp.len()).step_by(97) {
        let forge: Forge = Box::new(move |h| {
            let mut rlp = h.header_rlp.to_vec();
            rlp[at] ^= 1;
            h.header_rlp = rlp.into();
        });
        headers.push((format!("byte {at} of the header"), forge));
    }
    let trusted = world.client_status(From::Evm).await?.trusted;
    let submit = |evidence: AttestedEvidence, item: RelayItem| {
        let evidence = Evidence::Attested(Box::new(evidence));
        let forged = Proven { items: vec![item], evidence, ..proven.clone() };
        let world = &world;
        async move { world.submit(From::Evm, &forged).await }
    };
    let forged: Vec<AttestedEvidence> = headers
        .iter()
        .map(|(_, forge)| {
            let mut header = header.clone();
            forge(&mut header);
            AttestedEvidence { update: Some(header), ..honest.clone() }
        })
        .collect();
    let outcomes = futures::future::join_all(forged.into_iter().map(|e| submit(e, recv(&packet)))).await;
    for ((what, _), outcome) in headers.iter().zip(&outcomes) {
        assert!(refused(outcome), "{what}: {outcome:?}");
    }
    let status = world.client_status(From::Evm).await?;
    assert!(!status.frozen && status.trusted == trusted, "{status:?}");
    assert!(!world.was_received(From::Evm, &packet).await?);

    // Under the true header: proofs and packets.
    let mut forged: Vec<(String, AttestedEvidence, RelayItem)> = vec![];
    for at in 0..honest.account_proof.len() {
        let mut evidence = honest.clone();
        evidence.account_proof[at] = flip_middle(&evidence.account_proof[at]);
        forged.push((format!("account node {at}"), evidence, recv(&packet)));
    }
    for at in 0..honest.storage_proofs[0].len() {
        let mut evidence = honest.clone();
        evidence.storage_proofs[0][at] = flip_middle(&evidence.storage_proofs[0][at]);
        forged.push((format!("storage node {at}"), evidence, recv(&packet)));
    }
    forged.push((
        "no account proof".into(),
        AttestedEvidence { account_proof: vec![], ..honest.clone() },
        recv(&packet),
    ));
    forged.push((
        "no storage proof".into(),
        AttestedEvidence { storage_proofs: vec![vec![]], ..honest.clone() },
        recv(&packet),
    ));
    let packets = [
        ("sequence", Packet { sequence: Sequence(packet.sequence.0 + 1), ..packet.clone() }),
        ("timeout", Packet { timeout: Timestamp(packet.timeout.0 + 1), ..packet.clone() }),
        ("source client", Packet { source_client: "checkpoint-1".parse()?, ..packet.clone() }),
        ("destination client", Packet { dest_client: "attested-1".parse()?, ..packet.clone() }),
        ("amount", with_lock(&packet, |lock| lock.amount = Amount::new(61))),
        ("denom", with_lock(&packet, |lock| lock.denom = "points/checkpoint-0/gold".parse().unwrap())),
        ("sender", with_lock(&packet, |lock| lock.sender = evm_address(2).unwrap())),
        ("receiver", with_lock(&packet, |lock| lock.receiver = crosspoint_tests::member_address("bob").unwrap())),
        ("hashlock", with_lock(&packet, |lock| lock.hashlock = Hashlock([7; 32]))),
        ("claim deadline", with_lock(&packet, |lock| lock.claim_deadline.0 += 1)),
        ("memo", with_lock(&packet, |lock| lock.memo = "mine".into())),
    ];
    for (what, packet) in &packets {
        forged.push(((*what).into(), honest.clone(), recv(packet)));
    }
    // That it was not received, or was acknowledged, is another claim than that it was sent.
    forged.push(("as a timeout".into(), honest.clone(), RelayItem::Timeout { packet: packet.clone() }));
    let error_ack = RelayItem::Ack { packet: packet.clone(), ack: UNIVERSAL_ERROR_ACK.to_vec() };
    forged.push(("as an ack".into(), honest.clone(), error_ack));
    let names: Vec<String> = forged.iter().map(|(what, ..)| what.clone()).collect();
    let outcomes = futures::future::join_all(forged.into_iter().map(|(_, e, item)| submit(e, item))).await;
    for (what, outcome) in names.iter().zip(&outcomes) {
        assert!(refused(outcome), "{what}: {outcome:?}");
    }
    for (_, packet) in &packets[..1] {
        assert!(!world.was_received(From::Evm, packet).await?);
    }
    assert!(!world.was_received(From::Evm, &packet).await?);
    done(&world.submit(From::Evm, &proven).await?)?;
    done(&world.claim(From::Evm, &packet, &back).await?)?;
    assert_eq!(world.member_sfs("coffee").await?, 60);
    world.finish().await
}
