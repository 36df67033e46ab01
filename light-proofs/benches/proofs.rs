//! Time to verify each kind of proof: `cargo bench -p crosspoint-light-proofs`.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

#[path = "../tests/proofs/chain.rs"]
mod chain;
#[path = "../tests/proofs/jmt_tree.rs"]
mod jmt_tree;
#[path = "../tests/proofs/trie.rs"]
mod trie;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use chain::{Block, validators};
use criterion::{Criterion, criterion_group, criterion_main};
use crosspoint_light_proofs::signature::{SigningKey, recover};
use crosspoint_light_proofs::{attested, checkpoint, jmt, mpt, tendermint};
use crosspoint_protocol::ids::{Height, Timestamp};
use std::collections::BTreeMap;
use std::hint::black_box;

const NOW: Timestamp = Timestamp(1_100);

fn keys(n: u8) -> Vec<SigningKey> {
    (1..=n).map(|i| SigningKey::from_bytes([i; 32]).unwrap()).collect()
}

fn tendermint_headers(c: &mut Criterion) {
    for n in [4, 100] {
        let trusted = Block::new(10, 1_000, &validators(1..n + 1));
        let (client, state) = (trusted.client(), trusted.consensus());
        for (kind, height) in [("adjacent", 11), ("skipping", 20)] {
            let header = Block::new(height, 1_050, &trusted.next).update(&trusted);
            c.bench_function(&format!("verify/tendermint/{kind}/{n}"), |b| {
                b.iter(|| tendermint::verify_update(&client, &state, black_box(&header), NOW).unwrap());
            });
        }
    }
}

fn checkpoints(c: &mut Criterion) {
    for n in [4, 100] {
        let keys = keys(n);
        let validators = keys.iter().map(|key| checkpoint::BridgeValidator { address: key.address(), power: 10 });
        let set = checkpoint::BridgeSet::from_unsorted(validators.collect()).unwrap();
        let chain_id: crosspoint_protocol::ids::ChainId = "crosspoint-1".parse().unwrap();
        let client = checkpoint::ClientState {
            chain_id: chain_id.clone(),
            set_hash: set.hash(),
            latest: checkpoint::Latest { height: Height(10), time: Timestamp(1_000), app_hash: [1; 32] },
            trusting_period: 600,
            frozen: false,
            generation: 0,
        };
        let statement = checkpoint::Checkpoint {
            chain_id,
            height: Height(11),
            time: Timestamp(1_010),
            app_hash: [2; 32],
            set_hash: set.hash(),
            next_set_hash: set.hash(),
        };
        // Just enough to be more than two thirds, as a relayer gives.
        let enough = usize::from(n) * 2 / 3 + 1;
        let signed = checkpoint::SignedCheckpoint::sign(statement, set, None, &keys[..enough]);
        c.bench_function(&format!("verify/checkpoint/{n}"), |b| {
            b.iter(|| checkpoint::verify_update(&client, black_box(&signed), NOW).unwrap());
        });
    }
}

fn header_rlp() -> Bytes {
    let mut items: Vec<Vec<u8>> = (0..21).map(|_| alloy_rlp::encode(B256::repeat_byte(9))).collect();
    items[6] = alloy_rlp::encode(&[0u8; 256][..]);
    items[8] = alloy_rlp::encode(20u64);
    items[11] = alloy_rlp::encode(1_010u64);
    let payload = items.concat();
    let mut out = vec![];
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out.into()
}

fn attestations(c: &mut Criterion) {
    let keys = keys(3);
    let addresses = keys.iter().map(SigningKey::address).collect();
    let client = attested::ClientState {
        evm_chain_id: 31_337,
        genesis_hash: B256::repeat_byte(1),
        attestors: attested::Attestors::from_unsorted(addresses, 2).unwrap(),
        epoch: 0,
        latest: attested::Latest {
            number: Height(10),
            hash: B256::repeat_byte(2),
            time: Timestamp(1_000),
            state_root: B256::ZERO,
        },
        anchor: Height(10),
        trusting_period: 600,
        store_address: Address::ZERO,
        base_slot: B256::ZERO,
        frozen: false,
        generation: 0,
    };
    let rlp = header_rlp();
    let statement = attested::Statement {
        chain_id: 31_337,
        genesis_hash: client.genesis_hash,
        epoch: 0,
        prev_number: Height(10),
        prev_hash: client.latest.hash,
        number: Height(20),
        hash: keccak256(&rlp),
    };
    let header = attested::Header::sign(statement, rlp, &keys[..2]);
    c.bench_function("verify/attested/2-of-3", |b| {
        b.iter(|| attested::verify_update(&client, black_box(&header), NOW).unwrap());
    });
}

fn mpt_proofs(c: &mut Criterion) {
    let slot = |i: u64| keccak256(i.to_be_bytes());
    let slots: BTreeMap<_, _> = (0..100_000).map(|i| (slot(i), U256::MAX)).collect();
    let (root, present) = trie::storage(&slots, &slot(7));
    let (_, absent) = trie::storage(&slots, &B256::repeat_byte(1));
    c.bench_function("verify/mpt/membership/100k", |b| {
        b.iter(|| mpt::verify_storage(&root, &slot(7), &U256::MAX.into(), black_box(&present)).unwrap());
    });
    c.bench_function("verify/mpt/absence/100k", |b| {
        b.iter(|| mpt::verify_storage_absence(&root, &B256::repeat_byte(1), black_box(&absent)).unwrap());
    });
    let here = Address::repeat_byte(0xaa);
    let (root, account) = trie::state(&here, trie::account(root), 200, &here);
    c.bench_function("verify/mpt/account", |b| {
        b.iter(|| mpt::verify_account(&root, &here, black_box(&account)).unwrap());
    });
}

fn jmt_proofs(c: &mut Criterion) {
    let items: BTreeMap<_, _> = (0u32..100_000).map(|i| (i.to_be_bytes().to_vec(), vec![1; 32])).collect();
    let tree = jmt_tree::Tree::new(&items);
    let key = 7u32.to_be_bytes();
    let (present, absent) = (tree.ics23(&key), tree.ics23(b"absent"));
    c.bench_function("verify/jmt/membership/100k", |b| {
        b.iter(|| jmt::verify_membership(&tree.root, &key, &[1; 32], black_box(&present)).unwrap());
    });
    c.bench_function("verify/jmt/absence/100k", |b| {
        b.iter(|| jmt::verify_absence(&tree.root, b"absent", black_box(&absent)).unwrap());
    });
    let (siblings, nearest) =
        (jmt::Siblings::absence(&absent).unwrap(), jmt::NearestLeaf::from_ics23(&absent).unwrap());
    c.bench_function("verify/jmt/absence-siblings/100k", |b| {
        b.iter(|| black_box(&siblings).verify_absence(&tree.root, b"absent").unwrap());
    });
    c.bench_function("verify/jmt/absence-nearest/100k", |b| {
        b.iter(|| black_box(&nearest).verify_absence(&tree.root, b"absent").unwrap());
    });
}

/// One signature alone, to set the rest against.
fn signatures(c: &mut Criterion) {
    let key = SigningKey::from_bytes([7; 32]).unwrap();
    let signature = key.sign(&[3; 32]);
    c.bench_function("verify/one secp256k1 signature", |b| {
        b.iter(|| recover(&[3; 32], black_box(&signature), 0).unwrap());
    });
    c.bench_function("verify/one sha256 of 64 bytes", |b| {
        b.iter(|| crosspoint_protocol::sha256(&[black_box(&[3; 64])]));
    });
}

criterion_group!(benches, signatures, tendermint_headers, checkpoints, attestations, mpt_proofs, jmt_proofs);
criterion_main!(benches);
