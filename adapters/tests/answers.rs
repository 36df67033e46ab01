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

mod beacon_case;
#[path = "../../light-proofs/tests/proofs/beacon_chain.rs"]
mod beacon_chain;
mod common;
mod evm_support;
#[path = "../../fuzz/src/runner.rs"]
mod runner;
mod source_support;

use alloy::primitives::B256;
use beacon_case::{CHAIN, Case};
use common::{adapter, checkpoint_client, connected, lock_request, proxy, signer};
use crosspoint_adapters::attestor::AttestorPool;
use crosspoint_adapters::chain::{Chain, RelayItem};
use crosspoint_adapters::error::ChainError;
use crosspoint_adapters::evm::block::{self, BlockId};
use crosspoint_adapters::evm::{BASE_SLOT, HeaderSource};
use crosspoint_adapters::proven::{Evidence, Proven};
use crosspoint_light_proofs::evm::storage_slot;
use crosspoint_light_proofs::mpt;
use crosspoint_protocol::ids::{Height, Timestamp};
use evm_support::native::validators;
use evm_support::proxy::{Proxy, before};
use evm_support::{World, account, attestors, life};
use runner::Random;
use serde_json::{Value, json};
use source_support::{Beacon, api, beacon, node, over, proof_of};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use warp::http::StatusCode;

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

/// Changes one answer in two, so that a call gets further than its first one.
fn changing(random: &Arc<Mutex<Random>>) -> impl Fn(&str, StatusCode, Vec<u8>) -> Vec<u8> + Clone + use<> {
    let random = Arc::clone(random);
    move |_, _, body| {
        let mut random = random.lock().unwrap();
        let Ok(mut answer) = serde_json::from_slice(&body) else { return body };
        if random.below(2) == 0 {
            return body;
        }
        change(&mut random, &mut answer);
        let mut bytes = answer.to_string().into_bytes();
        if random.below(4) == 0 {
            random.change(&mut bytes, &[b"}]".to_vec()]);
        }
        bytes
    }
}

/// Fails unless what is proven is of these items, from a header that the honest node has and attestors signed.
async fn check_attested(world: &World, found: &Proven, items: &[RelayItem]) {
    let Evidence::Attested(evidence) = &found.evidence else { panic!("not attested") };
    assert!(found.items.iter().all(|item| items.contains(item)), "{:?}", found.items);
    let honest =
        world.chain.rpc().each(|session| block::existing(session, BlockId::Number(found.height))).await.unwrap();
    assert_eq!(evidence.update.as_ref().unwrap().statement.hash, honest.hash);
    if found.items.is_empty() {
        return;
    }
    let (root, gateway) = (honest.header.state_root, world.gateway());
    let account = mpt::verify_account(&root, &gateway, &evidence.account_proof).unwrap();
    for (item, proof) in found.items.iter().zip(&evidence.storage_proofs) {
        let RelayItem::Recv { packet } = item else { panic!("only that was asked for") };
        let slot = storage_slot(&packet.commitment_path(), &BASE_SLOT);
        let value = mpt::read_storage(&account.storage_root, &slot, proof).unwrap();
        assert_eq!(value, Some(packet.commitment().into()));
    }
}

#[tokio::test]
async fn changed_answers_of_an_ethereum_node_panic_nothing_and_prove_nothing_false() {
    let mut world = World::new().await;
    let (genesis, latest) = world.chain.trust_anchor().await.unwrap();
    let (keys, dir) = (validators(40, 2), tempfile::tempdir().unwrap());
    let endpoints = attestors::serve(&world, genesis, &keys, None, dir.path()).await;
    let pool = AttestorPool::new(attestors::pool(&world, genesis, attestors::set(&keys, 2), endpoints)).unwrap();
    let follower = attestors::follower(&world, &latest);
    let [(claimed, _), (sent, _)] = life(&mut world).await;
    let items = [RelayItem::Recv { packet: sent }];
    let proxy = Proxy::start(world.anvil.url().clone()).await;
    let liar = attestors::connect(&world, proxy.url.clone(), pool).await;
    let random = Mutex::new(Random::new(11));
    proxy.tell(move |_, _, answer| {
        let mut random = random.lock().unwrap();
        if random.below(4) == 0 {
            change(&mut random, answer);
        }
    });
    let denom = "points/checkpoint-0/sfs".parse().unwrap();
    let head = world.chain.head().await.unwrap().latest.height;
    let mut proven = 0;
    for _ in 0..rounds() {
        let _ = ends("head", liar.head()).await;
        let _ = ends("first_height", liar.first_height()).await;
        let _ = ends("events", liar.events(Height(0), head)).await;
        let _ = ends("clients", liar.clients()).await;
        let _ = ends("stored", liar.stored(&claimed.receipt_path(), head)).await;
        let _ = ends("supply", liar.supply(head)).await;
        let _ = ends("balance", liar.balance(&account(4).parse().unwrap(), &denom)).await;
        let _ = ends("trust_anchor", liar.trust_anchor()).await;
        if let Ok(found) = ends("prove_update", liar.prove_update(&follower)).await {
            check_attested(&world, &found, &[]).await;
        }
        if let Ok(found) = ends("prove", liar.prove(&follower, &items)).await {
            check_attested(&world, &found, &items).await;
            proven += 1;
        }
    }
    eprintln!("{} rounds, {proven} times all answers that mattered were honest", rounds());
}

#[tokio::test]
async fn changed_answers_of_attestors_panic_nothing_and_prove_nothing_false() {
    let mut world = World::new().await;
    let (genesis, latest) = world.chain.trust_anchor().await.unwrap();
    let (keys, dir) = (validators(40, 2), tempfile::tempdir().unwrap());
    let (set, next) = (attestors::set(&keys, 2), attestors::set(&validators(50, 3), 2));
    let random = Arc::new(Mutex::new(Random::new(13)));
    let mut endpoints = vec![];
    for attestor in attestors::serve(&world, genesis, &keys, Some(&next), dir.path()).await {
        endpoints.push(before(attestor, changing(&random)).await);
    }
    let pool = AttestorPool::new(attestors::pool(&world, genesis, set, endpoints)).unwrap();
    let follower = attestors::follower(&world, &latest);
    let [_, (sent, _)] = life(&mut world).await;
    let items = [RelayItem::Recv { packet: sent }];
    let chain = attestors::connect(&world, world.anvil.url().clone(), pool.clone()).await;
    let (mut proven, mut rotated) = (0, 0);
    for _ in 0..rounds() {
        if let Ok(found) = ends("prove", chain.prove(&follower, &items)).await {
            check_attested(&world, &found, &items).await;
            proven += 1;
        }
        if let Ok(rotation) = ends("gather_rotation", pool.gather_rotation()).await {
            assert_eq!(rotation.rotation.attestors, next);
            rotated += 1;
        }
    }
    eprintln!("{} rounds, {proven} proofs and {rotated} hand-overs by honest answers", rounds());
}

#[tokio::test]
async fn changed_answers_of_a_beacon_node_panic_nothing_and_prove_nothing_false() {
    let case = Case::new();
    let random = Arc::new(Mutex::new(Random::new(17)));
    let items = [RelayItem::Recv { packet: case.packet.clone() }];
    let proofs = case.states.clone();
    let honest = node(CHAIN, case.blocks(), move |method, params| proof_of(&proofs, method, params)).await;
    let mut proven = BTreeMap::<u64, u64>::new();
    for said in [&case.near, &case.far] {
        let said = Beacon { blocks: Some([(24, B256::repeat_byte(1))].into()), ..said.clone() };
        let liar = before(beacon(said).await, changing(&random)).await;
        let source = HeaderSource::EthereumPos(api(vec![liar.clone()]));
        let chain = over(CHAIN, vec![honest.clone()], vec![liar], source).await;
        for _ in 0..rounds() / 2 {
            for witness in chain.witnesses() {
                let _ = ends("header_at", witness.header_at(&case.follower, Height(20), Timestamp(0))).await;
            }
            let found = [
                ends("prove_update", chain.prove_update(&case.follower)).await,
                ends("prove", chain.prove(&case.follower, &items)).await,
            ];
            for found in found.into_iter().flatten() {
                // The sync committee signed blocks 11 and 13 as final, and the packet is in the second.
                assert!([11, 13].contains(&found.height.0), "block {}", found.height);
                assert!(found.items.is_empty() || (found.height.0, &found.items[..]) == (13, &items[..]));
                *proven.entry(found.height.0).or_default() += 1;
            }
        }
    }
    eprintln!("{} rounds, blocks proven by honest answers: {proven:?}", rounds());
    assert_eq!(proven.keys().copied().collect::<Vec<_>>(), [11, 13], "some answers are honest");
}
