//! Our walk down a trie and alloy-trie's, over proofs that were tampered with. Both decode nodes with the same code; what
//! is compared is the walk, the ends, and what is taken for an absence.
//!
//! They differ where no honest trie leads, and there ours refuses more. It refuses, and alloy-trie takes (or panics at): bytes
//! after a node; nodes after the key's place; paths that end before the key does, or go past it. What alloy-trie then finds is
//! never a value but by bytes after a node that itself holds it. The other way round, alloy-trie refuses a node of less than 32
//! bytes that is named by its hash, an extension within a branch that leads to no branch, and a malformed node within an
//! extension that leads elsewhere than the key. Ours takes these: the root binds each to one answer for the key, which is all
//! that a proof is asked for.

use crate::trie;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Decodable, Encodable};
use alloy_trie::nodes::{BranchNode, ExtensionNode, LeafNode, RlpNode, TrieNode};
use alloy_trie::proof::{ProofVerificationError, verify_proof};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieMask};
use crosspoint_light_proofs::mpt::{MptError, lookup};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Found = Option<Vec<u8>>;

/// What alloy-trie finds; nothing if it refuses or panics. It is asked for a value that no leaf has, says which one it found
/// instead, and must take that one.
fn theirs(root: B256, key: &B256, proof: &[Bytes]) -> Option<Found> {
    let path = Nibbles::unpack(key);
    let verify = |value: Found| verify_proof(root, path, value, proof);
    let ask = || {
        let other = Some(vec![0xfe; 99]);
        let found = match verify(other.clone()) {
            Ok(()) => other,
            Err(ProofVerificationError::ValueMismatch { path: at, got, .. }) if at == path => got.map(|v| v.to_vec()),
            Err(_) => return None,
        };
        verify(found.clone()).is_ok().then_some(found)
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask)).ok().flatten()
}

/// That both say the same, or differ as is written above. Whether they said the same.
fn compare(root: B256, key: &B256, proof: &[Bytes]) -> bool {
    let (ours, theirs) = (lookup(&root, key, proof), theirs(root, key, proof));
    let shape = format!("{ours:?} {theirs:?}: {key} under {root} in {proof:?}");
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(ours, theirs, "{shape}"),
        (Err(_), None) => {}
        (Err(MptError::TrailingNodes { .. } | MptError::PathTooLong { .. }), Some(found)) => {
            assert_eq!(found, None, "{shape}");
            return false;
        }
        (Err(MptError::Malformed { index }), Some(found)) => {
            let followed = proof[index][..].len() > item_len(&proof[index]);
            assert!(followed || (found.is_none() && root == EMPTY_ROOT_HASH), "{shape}");
            return false;
        }
        (Ok(found), None) => {
            let elsewhere = |node: &Bytes| found.is_none() && is_extension_with_inner(node);
            let odd = |node: &Bytes| node.len() < 32 || has_extension_within(node) || elsewhere(node);
            assert!(proof.iter().any(odd), "{shape}");
            return false;
        }
        (Err(_), Some(_)) => panic!("only alloy-trie takes it: {shape}"),
    }
    true
}

/// Whether there is an extension within a branch of this node.
fn has_extension_within(rlp: &[u8]) -> bool {
    let decode = |rlp: &[u8]| TrieNode::decode(&mut &*rlp);
    match decode(rlp) {
        Ok(TrieNode::Branch(branch)) => branch.stack.iter().any(|child| {
            !child.is_hash() && (matches!(decode(child), Ok(TrieNode::Extension(_))) || has_extension_within(child))
        }),
        Ok(TrieNode::Extension(extension)) => !extension.child.is_hash() && has_extension_within(&extension.child),
        _ => false,
    }
}

/// Whether it is an extension with the node it leads to within it.
fn is_extension_with_inner(rlp: &[u8]) -> bool {
    matches!(TrieNode::decode(&mut &*rlp), Ok(TrieNode::Extension(extension)) if !extension.child.is_hash())
}

/// How long the first RLP item is.
fn item_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let head = alloy_rlp::Header::decode(&mut rest).unwrap();
    bytes.len() - rest.len() + head.payload_length
}

/// One thing done to a proof: what, to which node, where in it, with which byte.
type Tamper = (u8, prop::sample::Index, prop::sample::Index, u8);

/// Applies it. Changes of a node's bytes can be made good above it, so that the walk goes on past the hashes.
fn tamper(proof: &mut Vec<Bytes>, others: &[Bytes], make_good: bool, (what, node, at, byte): Tamper) {
    if proof.is_empty() {
        proof.extend(others.first().cloned());
        return;
    }
    let index = node.index(proof.len());
    let mut bytes = proof[index].to_vec();
    let place = at.index(bytes.len().max(1));
    match what % 10 {
        0..=2 if !bytes.is_empty() => bytes[place] ^= byte.max(1),
        3 if !bytes.is_empty() => bytes[place] = [0, 0x20, 0x80, 0xa0][usize::from(byte % 4)],
        4 => bytes.truncate(place),
        5 => bytes.push(byte),
        6 => {
            let other = at.index(proof.len());
            return proof.swap(index, other);
        }
        7 => return drop(proof.remove(index)),
        8 => return proof.insert(index, proof[at.index(proof.len())].clone()),
        _ => return proof.extend(others.get(at.index(others.len().max(1))).cloned()),
    }
    let (mut old, mut new) = (keccak256(&proof[index]), keccak256(&bytes));
    proof[index] = bytes.into();
    for above in proof[..index].iter_mut().rev().filter(|_| make_good) {
        let mut bytes = above.to_vec();
        let Some(at) = bytes.windows(32).position(|window| window == old.as_slice()) else { return };
        bytes[at..at + 32].copy_from_slice(new.as_slice());
        (old, new) = (keccak256(&*above), keccak256(&bytes));
        *above = bytes.into();
    }
}

/// Keys that part early and late, so that there are branches below branches, and nodes within nodes.
fn key() -> impl Strategy<Value = B256> {
    let close =
        (prop::sample::select(vec![0u8, 0x10, 0xff]), any::<[u8; 2]>(), 0usize..3).prop_map(|(first, last, keep)| {
            let mut key = [0; 32];
            key[0] = first;
            key[32 - keep..].copy_from_slice(&last[..keep]);
            B256::from(key)
        });
    prop_oneof![2 => close, 1 => any::<[u8; 32]>().prop_map(|key| keccak256([key[0] % 64]))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn both_judge_tampered_proofs_alike(
        leaves in prop::collection::btree_map(key(), prop_oneof![
            prop::collection::vec(1u8..0x80, 1..3), prop::collection::vec(any::<u8>(), 33..40),
        ], 1..40),
        (absent, other) in (key(), any::<prop::sample::Index>()),
        (present, make_good) in (any::<bool>(), any::<bool>()),
        tampers in prop::collection::vec((any::<u8>(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let leaves: BTreeMap<B256, Vec<u8>> = leaves;
        let neighbour = *leaves.keys().nth(other.index(leaves.len())).unwrap();
        let target = if present { *leaves.keys().next().unwrap() } else { absent };
        let (root, honest) = trie::prove(&leaves, &target);
        let (_, others) = trie::prove(&leaves, &neighbour);
        prop_assert!(compare(root, &target, &honest));
        let mut proof = honest.clone();
        tampers.into_iter().for_each(|one| tamper(&mut proof, &others, make_good, one));
        for key in [target, neighbour, absent, keccak256(target)] {
            // Under the honest root nothing is believed but the truth, and that by one proof only.
            if let Ok(found) = lookup(&root, &key, &proof) {
                prop_assert_eq!(found.as_ref(), leaves.get(&key));
                prop_assert_eq!(trie::prove(&leaves, &key).1, proof.clone());
            }
            compare(root, &key, &proof);
            // Under the root of what was made of it, as a hostile quorum may sign one.
            compare(proof.first().map_or(EMPTY_ROOT_HASH, keccak256), &key, &proof);
        }
    }
}

fn node(node: &dyn Encodable) -> Bytes {
    let mut out = vec![];
    node.encode(&mut out);
    out.into()
}

/// A branch with one child, at the nibble 0.
fn branch(child: RlpNode) -> Bytes {
    node(&BranchNode::new(vec![child], TrieMask::new(1)))
}

#[test]
fn where_the_two_differ_is_known() {
    let key = B256::ZERO;
    let zeros = |count: usize| Nibbles::from_nibbles(vec![0; count]);
    let judged = |proof: &[Bytes]| {
        let root = keccak256(&proof[0]);
        assert!(!compare(root, &key, proof), "they differ");
        (lookup(&root, &key, proof), theirs(root, &key, proof))
    };
    let (leaf, value) = (node(&LeafNode::new(zeros(64), vec![5; 40])), vec![5; 40]);
    let with_more = Bytes::from([&leaf[..], &[1]].concat());
    assert_eq!(judged(&[with_more]), (Err(MptError::Malformed { index: 0 }), Some(Some(value))));
    let short = node(&LeafNode::new(zeros(2), vec![5; 40]));
    assert_eq!(judged(&[short]), (Err(MptError::PathTooLong { index: 0 }), Some(None)));
    let aside = node(&ExtensionNode::new(Nibbles::from_nibbles([1; 8]), RlpNode::word_rlp(&keccak256(&leaf))));
    // Where an extension leads elsewhere the proof is at its end; alloy-trie follows it further, and panics here.
    assert_eq!(
        lookup(&keccak256(&aside), &key, &[aside.clone(), leaf.clone()]),
        Err(MptError::TrailingNodes { index: 0 })
    );
    let below = node(&LeafNode::new(zeros(56), vec![5; 40]));
    let aside = node(&ExtensionNode::new(Nibbles::from_nibbles([1; 8]), RlpNode::word_rlp(&keccak256(&below))));
    assert_eq!(judged(&[aside, below]), (Err(MptError::TrailingNodes { index: 0 }), Some(None)));
    let empty = [Bytes::from_static(&[0x80]), leaf];
    assert_eq!(judged(&empty), (Err(MptError::Malformed { index: 0 }), Some(None)));

    // What alloy-trie alone refuses: a short node by its hash, and a leaf in an extension in a branch.
    let small = node(&ExtensionNode::new(Nibbles::from_nibbles([1]), RlpNode::from_rlp(&[0xc0])));
    let by_hash = [branch(RlpNode::word_rlp(&keccak256(&small))), small];
    assert_eq!(judged(&by_hash), (Ok(None), None));
    let small = LeafNode::new(zeros(1), vec![5]);
    let within = node(&ExtensionNode::new(zeros(2), RlpNode::from_rlp(&node(&small))));
    let start = node(&ExtensionNode::new(zeros(60), RlpNode::word_rlp(&keccak256(branch(RlpNode::from_rlp(&within))))));
    let leads = [start, branch(RlpNode::from_rlp(&within))];
    assert_eq!(judged(&leads), (Ok(Some(vec![5])), None));

    // And a malformed node where the key does not lead.
    let malformed = RlpNode::from_rlp(&[0xc1, 0x80]);
    let aside = node(&ExtensionNode::new(Nibbles::from_nibbles([1; 62]), malformed));
    assert_eq!(judged(&[aside]), (Ok(None), None));
}
