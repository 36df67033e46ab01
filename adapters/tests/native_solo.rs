//! The native adapter against a real chain on the solo engine: what it proves is verified again by the light
//! proofs alone, as the other chain would.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use std::time::Duration;

use common::*;
use crosspoint_adapters::chain::{Chain, ClientStatus, ClientType, ItemOutcome, PacketEvent, RelayItem, Tip};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::native::account::TxFate;
use crosspoint_adapters::proven::{AttestedEvidence, CheckpointEvidence, Evidence, OutboxEvidence, Proven};
use crosspoint_ledger::engine::solo::SoloHandle;
use crosspoint_ledger::events::Event;
use crosspoint_ledger::tx::action::Action;
use crosspoint_light_proofs::{checkpoint, jmt, tendermint as tendermint_client};
use crosspoint_protocol::ack::Acknowledgement;
use crosspoint_protocol::amount::Amount;
use crosspoint_protocol::htlc::AckCause;
use crosspoint_protocol::ids::{Height, Sequence, Timestamp};
use crosspoint_protocol::outbox;
use crosspoint_protocol::packet::Packet;
use crosspoint_protocol::path::Path;

/// Verifies a checkpoint proof without the adapter; the root it is about.
fn verify_update(solo: &SoloHandle, client: &ClientStatus, proven: &Proven) -> [u8; 32] {
    let Evidence::Checkpoint(evidence) = &proven.evidence else { panic!("another client type") };
    let anchor = solo.node().store.checkpoint(&client.counterparty_chain, client.trusted.height.0).unwrap().unwrap();
    let Some(update) = &evidence.update else { return anchor.checkpoint.app_hash };
    let state = checkpoint::ClientState {
        chain_id: client.counterparty_chain.clone(),
        set_hash: anchor.checkpoint.next_set_hash,
        latest: (&anchor.checkpoint).into(),
        trusting_period: client.trusting_period,
        frozen: false,
        generation: 0,
    };
    let next = checkpoint::verify_update(&state, update, proven.time).unwrap();
    assert_eq!((next.latest.height, next.latest.time), (proven.height, proven.time));
    next.latest.app_hash
}

/// Verifies an outbox and that it holds the entries.
fn verify_outbox(root: &[u8; 32], list: &str, evidence: &OutboxEvidence, entries: &[(Path, [u8; 32])]) {
    let key = format!("outbox/{}/{list}", client());
    jmt::verify_membership(root, key.as_bytes(), &evidence.head, &evidence.membership).unwrap();
    let mut head = evidence.previous_head;
    for block in &evidence.blocks {
        let path = |sequence| {
            if list == "sent" { Path::commitment(client(), sequence) } else { Path::ack(client(), sequence) }
        };
        let leaves: Vec<_> = block.entries.iter().map(|(n, value)| outbox::leaf(&path(*n), value)).collect();
        head = outbox::next_head(&head, &outbox::root(&leaves).unwrap());
    }
    assert_eq!(head, evidence.head);
    for (path, value) in entries {
        let found =
            evidence.blocks.iter().flat_map(|block| &block.entries).any(|entry| *entry == (path.sequence, *value));
        assert!(found, "{path:?} is not in the evidence");
    }
}

fn checkpoint_evidence(proven: &Proven) -> &CheckpointEvidence {
    match &proven.evidence {
        Evidence::Checkpoint(evidence) => evidence,
        other => panic!("another client type: {other:?}"),
    }
}

/// Waits until the block after `height` is there, so that what happened in it can be proven.
async fn provable(solo: &SoloHandle, height: Height) {
    solo.wait_height(height.next(), Duration::from_secs(30)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_are_told_as_events_and_proved_to_a_checkpoint_client() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, chain, _) = connected(dir.path()).await;
    let evm = checkpoint_client(&chain, &solo, 2).await;
    let from = chain.head().await.unwrap().finalized.height.next();

    // Many locks of one payer at once: each has its own nonce and sequence, and they share blocks.
    let payer = signer("alice");
    let now = solo.time().unwrap();
    let requests: Vec<_> = (1..=20).map(|n| lock_request(now, n)).collect();
    let locked =
        futures::future::try_join_all(requests.iter().map(|request| chain.lock(&payer, request))).await.unwrap();
    let mut packets: Vec<Packet> = locked.iter().map(|(_, packet)| packet.clone()).collect();
    packets.sort_by_key(|packet| packet.sequence);
    assert_eq!(packets.iter().map(|packet| packet.sequence.0).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    let to = locked.iter().map(|(submitted, _)| submitted.block.height).max().unwrap();

    provable(&solo, to).await;
    let events = chain.events(from, to).await.unwrap();
    let sent: Vec<Packet> = events
        .iter()
        .filter_map(|event| match &event.event {
            PacketEvent::Sent { packet } => Some(packet.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(sent, packets);
    assert!(events.iter().any(|event| event.tx == locked[0].0.tx && event.block == locked[0].0.block));

    let items: Vec<RelayItem> = packets.iter().map(|packet| RelayItem::Recv { packet: packet.clone() }).collect();
    let proven = chain.prove(&evm, &items).await.unwrap();
    assert_eq!(proven.items.len(), 20);
    let root = verify_update(&solo, &evm, &proven);
    let entries: Vec<_> = packets.iter().map(|packet| (packet.commitment_path(), packet.commitment())).collect();
    verify_outbox(&root, "sent", checkpoint_evidence(&proven).sent.as_ref().unwrap(), &entries);

    // An adapter that has seen no events proves the same; a packet that was never sent is left out.
    let fresh = adapter(vec![solo.rpc_url().parse().unwrap()]);
    let mut never = packets[0].clone();
    never.timeout = Timestamp(never.timeout.0 + 1);
    let items = vec![items[7].clone(), RelayItem::Recv { packet: never.clone() }];
    let proven = fresh.prove(&evm, &items).await.unwrap();
    assert_eq!(proven.items, items[..1]);
    let root = verify_update(&solo, &evm, &proven);
    verify_outbox(&root, "sent", checkpoint_evidence(&proven).sent.as_ref().unwrap(), &entries[7..8]);

    // A client that is there already gets no update.
    let there = checkpoint_client(&chain, &solo, proven.height.0).await;
    let again = fresh.prove(&there, &items[..1]).await.unwrap();
    assert!(checkpoint_evidence(&again).update.is_none());
    assert_eq!(again.height, there.trusted.height);

    // The commitment can be read, the balance went down, the books add up.
    let stored = chain.stored(&packets[0].commitment_path(), to).await.unwrap();
    assert_eq!(stored.value, Some(packets[0].commitment()));
    let alice = account("alice").to_address().unwrap();
    let sfs = "sfs".parse().unwrap();
    assert_eq!(chain.balance(&alice, &sfs).await.unwrap(), Amount::new(100_000 - 200));
    let supply = chain.supply(to).await.unwrap();
    let sfs = supply.iter().find(|supply| supply.denom == sfs).unwrap();
    assert_eq!(sfs.home[&client()].locked, Amount::new(200));

    // A hashlock is used once, and what the chain refuses is told as a refusal.
    let reused = chain.lock(&payer, &requests[0]).await;
    assert!(matches!(reused, Err(ChainError::Rejected { retryable: false, .. })), "{reused:?}");
    assert!(chain.hashlock_used(&alice, &requests[0].hashlock).await.unwrap());
    assert!(!chain.hashlock_used(&alice, &lock_request(now, 99).hashlock).await.unwrap());
    let mut much = lock_request(now, 99);
    much.amount = Amount::new(1_000_000_000);
    let refused = chain.lock(&payer, &much).await;
    assert!(matches!(refused, Err(ChainError::InsufficientFunds { .. })), "{refused:?}");
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packet_from_evm_is_held_claimed_and_its_ack_proved_back() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, chain, trusted) = connected(dir.path()).await;
    let evm = checkpoint_client(&chain, &solo, 2).await;
    let voucher = format!("points/{}/0x{}", client(), "11".repeat(20));
    let cap = Action::SetVoucherCap { denom: voucher.parse().unwrap(), symbol: "TOK".into(), cap: Amount::new(1_000) };
    govern(&chain, cap).await;

    let now = solo.time().unwrap();
    let packet = inbound(1, now, "alice", 1);
    let state = evm_state(2, now.0, Some((packet.commitment_path(), packet.commitment())));
    let other = inbound(2, now, "alice", 2);
    let proven = Proven {
        items: vec![RelayItem::Recv { packet: packet.clone() }, RelayItem::Recv { packet: other.clone() }],
        height: Height(2),
        time: now,
        evidence: Evidence::Attested(Box::new(AttestedEvidence {
            update: Some(attested(&trusted.header, &state.header)),
            account_proof: state.account_proof.clone(),
            storage_proofs: vec![state.storage_proof.clone(), state.storage_proof.clone()],
        })),
    };
    let submitted = chain.submit(&client(), &proven).await.unwrap();
    assert_eq!(submitted.outcomes[0], ItemOutcome::Done);
    assert!(matches!(submitted.outcomes[1], ItemOutcome::Skipped { .. }), "a proof of another packet proves nothing");
    let again = chain.submit(&client(), &proven).await.unwrap();
    assert_eq!(again.outcomes[0], ItemOutcome::Duplicate);
    assert_eq!(chain.client(&client()).await.unwrap().trusted.height, Height(2));
    assert!(matches!(chain.transaction(&submitted.tx).await.unwrap(), TxFate::Included(_)));

    let early = chain.void(std::slice::from_ref(&packet)).await.unwrap();
    assert!(matches!(early.outcomes[0], ItemOutcome::Skipped { .. }));
    let wrong = chain.claim(&[(packet.clone(), preimage(9))]).await.unwrap();
    assert!(matches!(wrong.outcomes[0], ItemOutcome::Skipped { retryable: false, .. }), "{:?}", wrong.outcomes);
    let claimed = chain.claim(&[(packet.clone(), preimage(1))]).await.unwrap();
    assert_eq!(claimed.outcomes, vec![ItemOutcome::Done]);
    let alice = account("alice").to_address().unwrap();
    assert_eq!(chain.balance(&alice, &voucher.parse().unwrap()).await.unwrap(), Amount::new(7));

    provable(&solo, claimed.block.height).await;
    let events = chain.events(submitted.block.height, claimed.block.height).await.unwrap();
    let ack = events.iter().find_map(|event| match &event.event {
        PacketEvent::AckWritten { ack, cause: AckCause::Claimed, .. } => Some(ack.clone()),
        _ => None,
    });
    let ack = ack.unwrap();
    assert_eq!(ack, Acknowledgement::Success(preimage(1)).encode());
    for adapter in [chain, adapter(vec![solo.rpc_url().parse().unwrap()])] {
        let items = [RelayItem::Ack { packet: packet.clone(), ack: ack.clone() }];
        let proven = adapter.prove(&evm, &items).await.unwrap();
        assert_eq!(proven.items, items);
        let root = verify_update(&solo, &evm, &proven);
        let entry = (packet.ack_path(), crosspoint_protocol::ack::commitment(&ack));
        verify_outbox(&root, "acked", checkpoint_evidence(&proven).acked.as_ref().unwrap(), &[entry]);
    }
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_is_proved_from_the_packets_timeout_on_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, chain, _) = connected(dir.path()).await;
    let evm = checkpoint_client(&chain, &solo, 2).await;
    let packet = inbound(1, solo.time().unwrap(), "alice", 1);
    let items = [RelayItem::Timeout { packet: packet.clone() }];
    // An update alone may be offered before; the item is not in it.
    match chain.prove(&evm, &items).await {
        Ok(proven) => assert!(proven.items.is_empty()),
        Err(error) => assert!(matches!(error, ChainError::NotYet(_)), "{error}"),
    }
    let height = solo.advance_time(Duration::from_secs(700)).await.unwrap();
    provable(&solo, height).await;
    let proven = chain.prove(&evm, &items).await.unwrap();
    assert_eq!(proven.items, items);
    assert!(proven.time >= packet.timeout);
    let root = verify_update(&solo, &evm, &proven);
    jmt::verify_absence(&root, &packet.receipt_path().to_bytes(), &checkpoint_evidence(&proven).absences[0]).unwrap();
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_block_wakes_whoever_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, chain, _) = connected(dir.path()).await;
    let head = chain.head().await.unwrap();
    assert_eq!(head.latest.height, head.finalized.height.next(), "the newest header proves the block below it");
    assert!(head.finalized.time <= head.latest.time);
    eventually("a later block", async || {
        let next = chain.next_head(head.latest.height).await.unwrap();
        (next.latest.height > head.latest.height).then_some(())
    })
    .await;
    let clients = chain.clients().await.unwrap();
    assert_eq!(clients.len(), 1);
    assert_eq!((&clients[0].client, &clients[0].counterparty_client), (&client(), &evm_client()));
    let missing = chain.client(&"attested-7".parse().unwrap()).await;
    assert!(matches!(missing, Err(ChainError::NotFound { .. })), "{missing:?}");
    let ahead = chain.events(Height(1_000_000), Height(1_000_000)).await;
    assert!(matches!(ahead, Err(ChainError::NotYet(_))), "{ahead:?}");
    solo.stop().await.unwrap();
    let down = chain.head().await;
    assert!(matches!(down, Err(ChainError::Unreachable { .. })), "{down:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn governance_messages_go_through_the_same_queue() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, chain, _) = connected(dir.path()).await;
    let pause = crosspoint_ledger::tx::message::Message::Pause { client: None };
    let paused = chain.execute(&signer("mall"), pause).await.unwrap();
    assert!(paused.events.iter().any(|event| matches!(event, Event::Paused { .. })));
    let refused = chain.lock(&signer("alice"), &lock_request(solo.time().unwrap(), 1)).await;
    assert!(matches!(refused, Err(ChainError::Rejected { retryable: true, .. })), "{refused:?}");
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tendermint_client_believes_what_is_proved_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, chain, _) = connected(dir.path()).await;
    let (submitted, packet) = chain.lock(&signer("alice"), &lock_request(solo.time().unwrap(), 1)).await.unwrap();
    provable(&solo, submitted.block.height).await;
    // What a client that trusts header 2 has stored, read without the adapter.
    let answer = reqwest::get(format!("{}/commit?height=2", solo.rpc_url())).await.unwrap().text().await.unwrap();
    let commit = <tendermint_rpc::endpoint::commit::Response as tendermint_rpc::Response>::from_string(answer).unwrap();
    let trusted = commit.signed_header.header;
    let time = Timestamp(u64::try_from(trusted.time.unix_timestamp()).unwrap());
    let state = tendermint_client::ConsensusState {
        root: trusted.app_hash.as_bytes().try_into().unwrap(),
        time,
        nanos: u32::try_from(trusted.time.unix_timestamp_nanos() % 1_000_000_000).unwrap(),
        next_validators_hash: trusted.next_validators_hash.as_bytes().try_into().unwrap(),
    };
    let client_state = tendermint_client::ClientState {
        chain_id: CHAIN.parse().unwrap(),
        store: tendermint_client::PacketStore::Jmt,
        trust_level: tendermint_client::TrustLevel::ONE_THIRD,
        trusting_period: TRUSTING_PERIOD,
        max_clock_drift: 10,
        latest: tendermint_client::Latest {
            height: Height(2),
            time,
            hash: trusted.hash().as_bytes().try_into().unwrap(),
        },
        frozen: false,
        generation: 0,
    };
    let mut status = checkpoint_client(&chain, &solo, 2).await;
    status.client_type = ClientType::Tendermint;
    status.trusted = Tip { height: Height(2), time };
    status.trusted_hash = trusted.hash().as_bytes().to_vec();

    let elsewhere = inbound(1, time, "alice", 2);
    let mut never = packet.clone();
    never.sequence = Sequence(99);
    let items = [
        RelayItem::Recv { packet: packet.clone() },
        RelayItem::Recv { packet: never },
        RelayItem::Timeout { packet: elsewhere.clone() },
    ];
    let proven = chain.prove(&status, &items).await.unwrap();
    assert_eq!(proven.items, items[..1], "what was not sent, and what has not timed out, is left out");
    let Evidence::Tendermint(evidence) = &proven.evidence else { panic!("another client type") };
    let header = evidence.update.as_ref().unwrap();
    // The form in which it crosses is the form that is verified.
    let header = tendermint_client::Header::decode(&header.encode()).unwrap();
    let (next, reached) = tendermint_client::verify_update(&client_state, &state, &header, proven.time).unwrap();
    assert_eq!(next.latest.height, proven.height);
    let key = packet.commitment_path().to_bytes();
    jmt::verify_membership(&reached.root, &key, &packet.commitment(), &evidence.proofs[0]).unwrap();

    let height = solo.advance_time(Duration::from_secs(700)).await.unwrap();
    provable(&solo, height).await;
    let proven = chain.prove(&status, &items[2..]).await.unwrap();
    let Evidence::Tendermint(evidence) = &proven.evidence else { panic!("another client type") };
    let header = evidence.update.as_ref().unwrap();
    let (_, reached) = tendermint_client::verify_update(&client_state, &state, header, proven.time).unwrap();
    jmt::verify_absence(&reached.root, &elsewhere.receipt_path().to_bytes(), &evidence.proofs[0]).unwrap();

    // A client that trusts another header is on another fork: what this node says proves nothing to it.
    let fork = ClientStatus { trusted_hash: vec![7; 32], ..status.clone() };
    assert!(matches!(chain.prove_update(&fork).await, Err(ChainError::Untrustworthy { .. })));
    // Nothing is proved to a client that is frozen, expired, or of another chain.
    let frozen = ClientStatus { frozen: true, ..status.clone() };
    assert!(matches!(chain.prove(&frozen, &items).await, Err(ChainError::Frozen(_))));
    let expired = ClientStatus { trusting_period: 1, ..status.clone() };
    assert!(matches!(chain.prove_update(&expired).await, Err(ChainError::Expired(_))));
    let other = ClientStatus { counterparty_chain: "another-chain".parse().unwrap(), ..status };
    assert!(matches!(chain.prove_update(&other).await, Err(ChainError::InvalidRequest(_))));
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_light_client_refuses_may_be_proven_anew_and_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, chain, trusted) = connected(dir.path()).await;
    let now = solo.time().unwrap();
    let packet = inbound(1, now, "alice", 1);
    // Another relayer was first: the update follows on a header that is not the newest any more.
    let (second, third) = (evm_state(2, now.0, None), evm_state(3, now.0, None));
    let proven = |update| Proven {
        items: vec![RelayItem::Recv { packet: packet.clone() }],
        height: Height(3),
        time: now,
        evidence: Evidence::Attested(Box::new(AttestedEvidence {
            update: Some(update),
            account_proof: third.account_proof.clone(),
            storage_proofs: vec![third.storage_proof.clone()],
        })),
    };
    let refused = chain.submit(&client(), &proven(attested(&second.header, &third.header))).await;
    assert!(matches!(refused, Err(ChainError::Rejected { retryable: true, .. })), "{refused:?}");
    let taken = chain.submit(&client(), &proven(attested(&trusted.header, &third.header))).await;
    assert!(taken.is_ok(), "{taken:?}");
    solo.stop().await.unwrap();
}
