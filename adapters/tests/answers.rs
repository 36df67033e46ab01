//! Answers of a node changed at random: no call panics or hangs, and nothing is proven that an honest node does not prove.
//! `CROSSPOINT_FUZZ_ROUNDS` says how often; longer runs find more.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

mod common;
mod evm_support;
#[path = "../../fuzz/src/runner.rs"]
mod runner;

use common::{adapter, checkpoint_client, connected, lock_request, proxy, signer};
use crosspoint_adapters::chain::{Chain, RelayItem};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::EvmChain;
use crosspoint_protocol::ids::Height;
use evm_support::proxy::Proxy;
use evm_support::{World, account, key, settings};
use runner::Random;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn rounds() -> usize {
    std::env::var("CROSSPOINT_FUZZ_ROUNDS").map_or(150, |rounds| rounds.parse().unwrap())
}

/// Every value in an answer, the answer itself among them.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

/// The value at this place, in the order of [`count`].
fn nth<'a>(value: &'a mut Value, at: &mut usize) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(value);
    }
    *at -= 1;
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => vec![],
    };
    children.into_iter().find_map(|child| {
        let size = count(child);
        if *at < size {
            nth(child, at)
        } else {
            *at -= size;
            None
        }
    })
}

/// Puts something else in the place of one value.
fn change(random: &mut Random, answer: &mut Value) {
    let mut at = random.below(count(answer));
    let Some(value) = nth(answer, &mut at) else { return };
    let other = [
        json!(null),
        json!(""),
        json!("0x"),
        json!("0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
        json!("18446744073709551616"),
        json!("a".repeat(70_000)),
        json!(-1),
        json!(u64::MAX),
        json!(1.5),
        json!([]),
        json!({}),
        json!(true),
    ];
    match value {
        Value::String(text) if random.below(3) > 0 => {
            let mut bytes = text.clone().into_bytes();
            random.change(&mut bytes, &[b"0x01".to_vec()]);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        Value::Array(items) if !items.is_empty() && random.below(2) > 0 => {
            let item = items[random.below(items.len())].clone();
            if random.below(2) == 0 { items.extend(vec![item; 1 + random.below(2_000)]) } else { drop(items.pop()) }
        }
        Value::Number(number) if random.below(2) > 0 => {
            *value = number.as_u64().map_or(json!(0), |n| json!(n ^ (1 << random.below(64))));
        }
        other_value => *other_value = random.of(&other).clone(),
    }
}

/// A call that must end, and not by a panic.
async fn ends<T>(what: &str, call: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), call).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_answers_of_a_native_node_panic_nothing_and_prove_nothing_false() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, honest, _) = connected(dir.path()).await;
    let evm = checkpoint_client(&honest, &solo, 2).await;
    let (submitted, packet) = honest.lock(&signer("alice"), &lock_request(solo.time().unwrap(), 1)).await.unwrap();
    let height = submitted.block.height;
    solo.wait_height(Height(height.0 + 3), Duration::from_secs(30)).await.unwrap();
    let items = [RelayItem::Recv { packet: packet.clone() }];
    let random = Arc::new(Mutex::new(Random::new(7)));
    let lie: common::Lie = {
        let random = Arc::clone(&random);
        Arc::new(move |_, mut answer| {
            let mut random = random.lock().unwrap();
            // Half of all answers are honest, so that a call gets further than its first one.
            if random.below(2) == 0 {
                return answer.to_string().into_bytes();
            }
            change(&mut random, &mut answer);
            let mut bytes = answer.to_string().into_bytes();
            if random.below(4) == 0 {
                random.change(&mut bytes, &[b"}]".to_vec()]);
            }
            bytes
        })
    };
    let liar = adapter(vec![proxy(solo.rpc_url(), lie).await]);
    let mut proven = 0;
    for _ in 0..rounds() {
        let _ = ends("head", liar.head()).await;
        let _ = ends("first_height", liar.first_height()).await;
        let _ = ends("events", liar.events(Height(1), height)).await;
        let _ = ends("clients", liar.clients()).await;
        let _ = ends("stored", liar.stored(&packet.commitment_path(), height)).await;
        let _ = ends("supply", liar.supply(height)).await;
        let _ = ends("balance", liar.balance(&common::account("alice").to_address().unwrap(), &"sfs".parse().unwrap()))
            .await;
        let _ = ends("prove_update", liar.prove_update(&evm)).await;
        if let Ok(found) = ends("prove", liar.prove(&evm, &items)).await {
            assert_eq!(found.items, items);
            proven += 1;
        }
    }
    eprintln!("{} rounds, {proven} times all answers that mattered were honest", rounds());
    assert!(ends("prove", honest.prove(&evm, &items)).await.is_ok());
    solo.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_a_library_panics_at_is_a_malformed_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (solo, ..) = connected(dir.path()).await;
    let lie: common::Lie = Arc::new(|request, mut answer| {
        if request["method"] == "abci_query" {
            answer["result"]["response"]["value"] = "=".into();
        }
        answer.to_string().into_bytes()
    });
    let liar = adapter(vec![proxy(solo.rpc_url(), lie).await]);
    let error = liar.clients().await.unwrap_err();
    assert!(matches!(error, ChainError::Malformed { .. }) && error.is_transient(), "{error}");
    solo.stop().await.unwrap();
}

#[tokio::test]
async fn changed_answers_of_an_ethereum_node_panic_nothing() {
    let world = World::new().await;
    let proxy = Proxy::start(world.anvil.url().clone()).await;
    let mut through = settings(&world.anvil, &world.manifest);
    through.endpoints = vec![proxy.url.clone()];
    let liar = EvmChain::connect(through, key(1), None, None).await.unwrap();
    let random = Mutex::new(Random::new(11));
    proxy.tell(move |_, _, answer| {
        let mut random = random.lock().unwrap();
        if random.below(2) > 0 {
            change(&mut random, answer);
        }
    });
    let denom = "points/checkpoint-0/sfs".parse().unwrap();
    let head = world.chain.head().await.unwrap().latest.height;
    for _ in 0..rounds() {
        let _ = ends("head", liar.head()).await;
        let _ = ends("first_height", liar.first_height()).await;
        let _ = ends("events", liar.events(Height(0), head)).await;
        let _ = ends("clients", liar.clients()).await;
        let _ = ends("supply", liar.supply(head)).await;
        let _ = ends("balance", liar.balance(&account(4).parse().unwrap(), &denom)).await;
        let _ = ends("trust_anchor", liar.trust_anchor()).await;
    }
}
