//! Nodes that are down, slow, broken or lying: another one is asked, and no lie gets through.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use crosspoint_adapters::chain::{Chain, ChainEvent, PacketEvent, RelayItem};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::proven::{AttestedEvidence, Evidence, Proven};
use crosspoint_protocol::ids::Height;
use serde_json::{Value, json};
use url::Url;

fn bytes(answer: &Value) -> Vec<u8> {
    answer.to_string().into_bytes()
}

fn flip_base64(text: &mut Value) {
    let Some(old) = text.as_str().filter(|old| old.len() > 24) else { return };
    // In the middle, where every character is data.
    let at = old.len() / 2 / 4 * 4;
    let other = if &old[at..=at] == "A" { "B" } else { "A" };
    let new = format!("{}{other}{}", &old[..at], &old[at + 1..]);
    *text = new.into();
}

/// A lie about answers of `abci_query` to one path.
fn about(path: &'static str, lie: impl Fn(&mut Value) + Send + Sync + 'static) -> Lie {
    Arc::new(move |request, mut answer| {
        if request["method"] == "abci_query" && request["params"]["path"] == path {
            lie(&mut answer["result"]["response"]);
        }
        bytes(&answer)
    })
}

/// A lie about the JSON that the application answered.
fn about_view(path: &'static str, lie: impl Fn(&mut Value) + Send + Sync + 'static) -> Lie {
    about(path, move |response| {
        use base64_like::*;
        let Some(value) = response["value"].as_str().map(decode) else { return };
        let Ok(mut view) = serde_json::from_slice(&value) else { return };
        lie(&mut view);
        response["value"] = encode(view.to_string().as_bytes()).into();
    })
}

/// Base64 of the standard alphabet, for the proxy alone.
mod base64_like {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    pub(super) fn encode(bytes: &[u8]) -> String {
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
            for place in 0..4 {
                let digit = (word >> (18 - 6 * place)) & 63;
                text.push(if place <= chunk.len() { char::from(ALPHABET[digit as usize]) } else { '=' });
            }
        }
        text
    }

    pub(super) fn decode(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.bytes().filter_map(|c| ALPHABET.iter().position(|a| *a == c)).map(|at| at as u8).collect();
        let mut bytes = Vec::new();
        for chunk in digits.chunks(4) {
            let word =
                chunk.iter().fold(0_u32, |word, digit| (word << 6) | u32::from(*digit)) << (6 * (4 - chunk.len()));
            let all = [(word >> 16) as u8, (word >> 8) as u8, word as u8];
            bytes.extend_from_slice(&all[..chunk.len() * 6 / 8]);
        }
        bytes
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_lie_about_a_proof_gets_through_and_an_honest_node_is_asked_next() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, chain, _) = connected(dir.path()).await;
    let evm = checkpoint_client(&chain, &solo, 2).await;
    let (submitted, packet) = chain.lock(&signer("alice"), &lock_request(solo.time().unwrap(), 1)).await.unwrap();
    chain.lock(&signer("alice"), &lock_request(solo.time().unwrap(), 2)).await.unwrap();
    solo.wait_height(Height(submitted.block.height.0 + 3), Duration::from_secs(30)).await.unwrap();
    let items = [RelayItem::Recv { packet }];

    let lies: Vec<(&str, Lie)> = vec![
        ("another head", about("/store", |response| flip_base64(&mut response["value"]))),
        ("a broken proof", about("/store", |response| flip_base64(&mut response["proofOps"]["ops"][0]["data"]))),
        ("no proof", about("/store", |response| response["proofOps"] = Value::Null)),
        (
            "two proofs",
            about("/store", |response| {
                let op = response["proofOps"]["ops"][0].clone();
                response["proofOps"]["ops"] = json!([op.clone(), op]);
            }),
        ),
        ("another height", about("/store", |response| response["height"] = "1".into())),
        (
            "another commitment",
            about_view("/outbox", |view| {
                view["blocks"][0]["entries"][0]["commitment"] = format!("0x{}", "77".repeat(32)).into();
            }),
        ),
        (
            "a block left out",
            about_view("/outbox", |view| {
                let blocks = view["blocks"].as_array_mut().unwrap();
                blocks.pop();
            }),
        ),
        (
            "another previous head",
            about_view("/outbox", |view| {
                view["previous_head"] = format!("0x{}", "77".repeat(32)).into();
            }),
        ),
        (
            "another app hash",
            about_view("/checkpoint", |view| {
                view["checkpoint"]["app_hash"] = format!("0x{}", "77".repeat(32)).into();
            }),
        ),
        (
            "a later time",
            about_view("/checkpoint", |view| {
                let time = view["checkpoint"]["time"].as_u64().unwrap();
                view["checkpoint"]["time"] = (time + 1_000).into();
            }),
        ),
        (
            "too few signatures",
            about_view("/checkpoint", |view| {
                let signatures = view["signatures"].as_array_mut().unwrap();
                signatures.truncate(2);
            }),
        ),
        ("another set", about_view("/checkpoint", |view| view["set"][0]["power"] = 1_000_000.into())),
        ("garbage", Arc::new(|_, _| b"{ not json".to_vec())),
        ("a huge answer", Arc::new(|_, _| vec![b' '; 2 << 20])),
        (
            "an error",
            Arc::new(|_, _| {
                bytes(&json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "no", "data": "no"}}))
            }),
        ),
        (
            "another chain",
            Arc::new(|request, mut answer| {
                if request["method"] == "status" {
                    answer["result"]["node_info"]["network"] = "another-chain".into();
                }
                bytes(&answer)
            }),
        ),
    ];
    for (name, lie) in lies {
        let liar = proxy(solo.rpc_url(), lie).await;
        let alone = adapter(vec![liar.clone()]);
        let error = alone.prove(&evm, &items).await.expect_err(name);
        assert!(error.is_transient(), "{name}: {error}");
        let with_honest = adapter(vec![liar, solo.rpc_url().parse().unwrap()]);
        let proven = with_honest.prove(&evm, &items).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(proven.items, items, "{name}");
    }
    solo.stop().await.unwrap();
}

/// Leaves out the events of one kind, of one packet or of all.
fn withhold(kind: &'static str, sequence: Option<&'static str>) -> Lie {
    Arc::new(move |request, mut answer| {
        if request["method"] == "block_results" {
            for result in answer["result"]["txs_results"].as_array_mut().into_iter().flatten() {
                let events = result["events"].as_array_mut().unwrap();
                events.retain(|event| {
                    let attributes = event["attributes"].as_array().unwrap();
                    let named = |sequence: &str| {
                        attributes.iter().any(|one| one["key"] == "sequence" && one["value"] == sequence)
                    };
                    event["type"] != kind || !sequence.is_none_or(named)
                });
            }
        }
        bytes(&answer)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_out_events_is_found_out_at_once_and_another_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, chain, trusted) = connected(dir.path()).await;
    let payer = signer("alice");
    let lock = async |n| chain.lock(&payer, &lock_request(solo.time().unwrap(), n)).await.unwrap().0.block.height;
    let from = chain.head().await.unwrap().latest.height.next();
    let (first, _, third) = (lock(1).await, lock(2).await, lock(3).await);
    // A packet of a denom that nobody admitted comes in: an acknowledgement is written.
    let now = solo.time().unwrap();
    let packet = inbound(1, now, "alice", 7);
    let state = evm_state(2, now.0, Some((packet.commitment_path(), packet.commitment())));
    let evidence = AttestedEvidence {
        update: Some(attested(&trusted.header, &state.header)),
        account_proof: state.account_proof,
        storage_proofs: vec![state.storage_proof],
    };
    let items = vec![RelayItem::Recv { packet }];
    let evidence = Evidence::Attested(Box::new(evidence));
    let refused = chain.submit(&client(), &Proven { items, height: Height(2), time: now, evidence }).await.unwrap();
    let refused = refused.block.height;

    let to = refused.next();
    // What a block did is proven by the header after it.
    solo.wait_height(to.next(), Duration::from_secs(30)).await.unwrap();
    let honest = chain.events(from, to).await.unwrap();
    let acks =
        |events: &[ChainEvent]| events.iter().filter(|e| matches!(e.event, PacketEvent::AckWritten { .. })).count();
    assert_eq!(acks(&honest), 1);
    let liars = [
        ("packet_sent", Some("1"), first, first),
        ("packet_sent", Some("2"), from, third),
        ("packet_sent", Some("3"), from, third),
        ("packet_sent", None, from, to),
        ("ack_written", None, third.next(), to),
    ];
    for (kind, sequence, from, to) in liars {
        let liar = proxy(solo.rpc_url(), withhold(kind, sequence)).await;
        let alone = adapter(vec![liar.clone()]).events(from, to).await;
        assert!(matches!(alone, Err(ChainError::Untrustworthy { .. })), "{kind} {sequence:?}: {alone:?}");
        let helped = adapter(vec![liar, solo.rpc_url().parse().unwrap()]);
        let told: Vec<ChainEvent> = honest.iter().filter(|e| (from..=to).contains(&e.block.height)).cloned().collect();
        assert_eq!(helped.events(from, to).await.unwrap(), told, "{kind} {sequence:?}");
    }
    // In parts that follow each other, too: the heads are carried from one to the next.
    let parts = adapter(vec![solo.rpc_url().parse().unwrap()]);
    let mut told = vec![];
    for height in from.0..=to.0 {
        told.extend(parts.events(Height(height), Height(height)).await.unwrap());
    }
    assert_eq!(told, honest);
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_and_slow_nodes_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, _, _) = connected(dir.path()).await;
    let dead: Url = "http://127.0.0.1:1".parse().unwrap();
    // Takes connections and never answers.
    let slow = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow_url: Url = format!("http://{}", slow.local_addr().unwrap()).parse().unwrap();
    let chain = adapter(vec![dead.clone(), slow_url, solo.rpc_url().parse().unwrap()]);
    chain.head().await.unwrap();
    let started = std::time::Instant::now();
    for _ in 0..10 {
        chain.head().await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(2), "endpoints that failed are asked last");
    let (submitted, packet) = chain.lock(&signer("alice"), &lock_request(solo.time().unwrap(), 1)).await.unwrap();
    let stored = chain.stored(&packet.commitment_path(), submitted.block.height).await.unwrap();
    assert_eq!(stored.value, Some(packet.commitment()));

    let alone = adapter(vec![dead]);
    let refused = alone.lock(&signer("alice"), &lock_request(solo.time().unwrap(), 2)).await;
    assert!(matches!(refused, Err(ChainError::Unreachable { .. })), "{refused:?}");
    drop(slow);
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_broadcast_neither_repeats_nor_loses_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, _, _) = connected(dir.path()).await;
    // The node takes the transaction, its answer gets lost.
    let lie: Lie = Arc::new(
        |request, answer| {
            if request["method"] == "broadcast_tx_sync" { b"lost".to_vec() } else { bytes(&answer) }
        },
    );
    let chain = adapter(vec![proxy(solo.rpc_url(), lie).await]);
    let (submitted, packet) = chain.lock(&signer("alice"), &lock_request(solo.time().unwrap(), 1)).await.unwrap();
    assert_eq!(packet.sequence.0, 1);
    let (_, next) = chain.lock(&signer("alice"), &lock_request(solo.time().unwrap(), 2)).await.unwrap();
    assert_eq!(next.sequence.0, 2);
    assert!(submitted.block.height > Height(2));
    solo.stop().await.unwrap();
}
