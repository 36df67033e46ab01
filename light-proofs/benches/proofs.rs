//! Time to verify each kind of proof, and what it is of the raw cost of the signatures or of another verifier:
//! `make bench ARGS=proofs`.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "../tests/proofs/attested_world.rs"]
mod attested_world;
#[path = "../tests/proofs/beacon_chain.rs"]
mod beacon_chain;
#[path = "../tests/proofs/chain.rs"]
mod chain;
#[path = "../tests/proofs/evidence_case.rs"]
mod evidence_case;
#[path = "../tests/proofs/jmt_tree.rs"]
mod jmt_tree;
mod ratios;
#[path = "../tests/proofs/sealed_chain.rs"]
mod sealed_chain;
mod signatures;
#[path = "../tests/proofs/support.rs"]
mod support;
#[path = "../tests/proofs/trie.rs"]
mod trie;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::Nibbles;
use criterion::{Criterion, criterion_group};
use crosspoint_light_proofs::{attested, checkpoint, evidence, jmt, mpt};
use crosspoint_protocol::ids::{Height, Timestamp};
use ics23::{CommitmentProof, HostFunctionsManager};
use prost::Message;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;
use support::keys;

const NOW: Timestamp = Timestamp(1_100);

fn checkpoints(c: &mut Criterion) {
    for n in [4, 100] {
        let keys = keys(n);
        let validators = keys.iter().map(|key| checkpoint::BridgeValidator { address: key.address(), power: 10 });
        let set = checkpoint::BridgeSet::from_unsorted(validators.collect()).unwrap();
        let chain_id: crosspoint_protocol::ids::ChainId = "crosspoint-1".parse().unwrap();
        let client = checkpoint::ClientState {
            chain_id: chain_id.clone(),
            set_hash: set.hash(),
            latest: checkpoint::Latest {
                height: Height(10),
                time: Timestamp(1_000),
                app_hash: [1; 32],
                signed_by: set.hash(),
            },
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
        c.bench_function(&format!("checkpoint/{n}"), |b| {
            b.iter(|| checkpoint::verify_update(&client, black_box(&signed), NOW).unwrap());
        });
    }
}

fn attestations(c: &mut Criterion) {
    let (keys, client, header) = attested_world::world();
    let header = attested::Header::sign(header.statement, header.header_rlp, &keys[..2]);
    c.bench_function("attested/2 of 3", |b| {
        b.iter(|| attested::verify_update(&client, black_box(&header), NOW).unwrap());
    });
}

fn mpt_proofs(c: &mut Criterion) {
    let slot = |i: u64| keccak256(i.to_be_bytes());
    let slots: BTreeMap<_, _> = (0..100_000).map(|i| (slot(i), U256::MAX)).collect();
    let (root, present) = trie::storage(&slots, &slot(7));
    let missing = B256::repeat_byte(1);
    let (_, absent) = trie::storage(&slots, &missing);
    c.bench_function("mpt/membership", |b| {
        b.iter(|| mpt::verify_storage(&root, &slot(7), &U256::MAX.into(), black_box(&present)).unwrap());
    });
    c.bench_function("mpt/absence", |b| {
        b.iter(|| mpt::verify_storage_absence(&root, &missing, black_box(&absent)).unwrap());
    });
    // What alloy-trie's own verifier takes for the same.
    let value = alloy_rlp::encode(U256::MAX);
    let cases = [("membership", slot(7), Some(value), &present), ("absence", missing, None, &absent)];
    for (kind, slot, value, proof) in cases {
        c.bench_function(&format!("mpt/alloy-trie/{kind}"), |b| {
            let verify = || {
                let key = Nibbles::unpack(keccak256(slot));
                alloy_trie::proof::verify_proof(root, key, value.clone(), black_box(proof)).unwrap();
            };
            b.iter(verify);
        });
    }
    let here = Address::repeat_byte(0xaa);
    let (root, account) = trie::state(&here, trie::account(root), 200, &here);
    c.bench_function("mpt/account", |b| {
        b.iter(|| mpt::verify_account(&root, &here, black_box(&account)).unwrap());
    });
}

fn jmt_proofs(c: &mut Criterion) {
    let items: BTreeMap<_, _> = (0u32..100_000).map(|i| (i.to_be_bytes().to_vec(), vec![1; 32])).collect();
    let tree = jmt_tree::Tree::new(&items);
    let (key, missing) = (7u32.to_be_bytes(), b"absent".as_slice());
    let (present, absent) = (tree.ics23(&key), tree.ics23(missing));
    c.bench_function("jmt/membership", |b| {
        b.iter(|| jmt::verify_membership(&tree.root, &key, &[1; 32], black_box(&present)).unwrap());
    });
    c.bench_function("jmt/absence", |b| {
        b.iter(|| jmt::verify_absence(&tree.root, missing, black_box(&absent)).unwrap());
    });
    // What crate ics23 takes for the same, decoding included.
    let root = tree.root.to_vec();
    c.bench_function("jmt/ics23/membership", |b| {
        b.iter(|| {
            let proof = CommitmentProof::decode(black_box(present.as_slice())).unwrap();
            assert!(ics23::verify_membership::<HostFunctionsManager>(&proof, &jmt::spec(), &root, &key, &[1; 32]));
        });
    });
    c.bench_function("jmt/ics23/absence", |b| {
        b.iter(|| {
            let proof = CommitmentProof::decode(black_box(absent.as_slice())).unwrap();
            assert!(ics23::verify_non_membership::<HostFunctionsManager>(&proof, &jmt::spec(), &root, missing));
        });
    });
    let (siblings, nearest) =
        (jmt::Siblings::absence(&absent).unwrap(), jmt::NearestLeaf::from_ics23(&absent).unwrap());
    c.bench_function("jmt/absence by siblings", |b| {
        b.iter(|| black_box(&siblings).verify_absence(&tree.root, missing).unwrap());
    });
    c.bench_function("jmt/absence by nearest leaf", |b| {
        b.iter(|| black_box(&nearest).verify_absence(&tree.root, missing).unwrap());
    });
}

/// Whole evidence files of paid transfers from a native chain: from their text to what they prove.
fn evidence_files(c: &mut Criterion) {
    for (name, file) in evidence_case::all() {
        // Ethereum's is of committees of the minimal preset: 32 members.
        if ["settled", "to qbft", "to ethereum"].contains(&name) {
            let text = file.to_text().unwrap();
            c.bench_function(&format!("verify/evidence/{name}"), |b| {
                b.iter(|| evidence::verify(&evidence::Evidence::read(black_box(&text)).unwrap(), &[]).unwrap());
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = signatures::tendermint_headers, signatures::sync_committee, signatures::sealed_headers, checkpoints,
        attestations, mpt_proofs, jmt_proofs, evidence_files
}

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    ratios::print();
}
