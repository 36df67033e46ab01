//! Tries built by alloy-trie, to prove from.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, KECCAK_EMPTY, Nibbles};
use std::collections::BTreeMap;

/// The root of a trie over these keys as they are, and the proof of `target`.
pub(crate) fn prove(leaves: &BTreeMap<B256, Vec<u8>>, target: &B256) -> (B256, Vec<Bytes>) {
    if leaves.is_empty() {
        return (EMPTY_ROOT_HASH, vec![]);
    }
    let target = Nibbles::unpack(target);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![target]));
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().matching_nodes_sorted(&target);
    // A node shorter than a hash is embedded in its parent and is no proof node of its own.
    let hashed = nodes.into_iter().enumerate().filter(|(i, (_, node))| *i == 0 || node.len() >= 32);
    (root, hashed.map(|(_, (_, node))| node).collect())
}

/// The storage trie of these slots and the proof of `slot`.
pub(crate) fn storage(slots: &BTreeMap<B256, U256>, slot: &B256) -> (B256, Vec<Bytes>) {
    let leaves = slots.iter().map(|(slot, value)| (keccak256(slot), alloy_rlp::encode(value))).collect();
    prove(&leaves, &keccak256(slot))
}

/// `rlp([nonce, balance, storageRoot, codeHash])`.
pub(crate) fn account(storage_root: B256) -> Vec<u8> {
    let mut payload = vec![];
    for field in [alloy_rlp::encode(1u64), alloy_rlp::encode(U256::from(5)), alloy_rlp::encode(storage_root)] {
        payload.extend(field);
    }
    payload.extend(alloy_rlp::encode(KECCAK_EMPTY));
    let mut out = vec![];
    alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

/// A state with `others` accounts beside the one at `address`, and the proof of `target`.
pub(crate) fn state(address: &Address, value: Vec<u8>, others: u8, target: &Address) -> (B256, Vec<Bytes>) {
    let mut leaves: BTreeMap<_, _> =
        (0..others).map(|i| (keccak256(Address::repeat_byte(i)), account(EMPTY_ROOT_HASH))).collect();
    leaves.insert(keccak256(address), value);
    prove(&leaves, &keccak256(target))
}
