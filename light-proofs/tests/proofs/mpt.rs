use crate::support::{unhex, vector};
use crate::trie;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use crosspoint_light_proofs::mpt::{
    Account, MAX_NODE_LEN, MAX_NODES, MptError, lookup, read_storage, verify_account, verify_storage,
    verify_storage_absence,
};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

fn nodes(value: &Value) -> Vec<Bytes> {
    value.as_array().unwrap().iter().map(|node| unhex(node.as_str().unwrap()).into()).collect()
}

fn word(value: &Value) -> B256 {
    value.as_str().unwrap().parse::<U256>().unwrap().into()
}

/// Checks an `eth_getProof` answer against a state root (by default the hash of its first node), and
/// that no byte of it can be changed.
fn check_answer(path: &str, state_root: Option<B256>) {
    let Some(answer) = vector(path) else { return };
    let fields = answer.get("account").unwrap_or(&answer);
    let address: Address = match answer.get("address") {
        Some(address) => address.as_str().unwrap().parse().unwrap(),
        None => "0x00000000219ab540356cbb839cbe05303d7705fa".parse().unwrap(),
    };
    let proof = nodes(&answer["accountProof"]);
    let root = state_root.unwrap_or_else(|| keccak256(&proof[0]));
    let account = verify_account(&root, &address, &proof).unwrap();
    let storage_root = fields.get("storageHash").or_else(|| fields.get("storageRoot")).unwrap();
    let expected = Account {
        nonce: u64::try_from(U256::from_be_bytes(word(&fields["nonce"]).0)).unwrap(),
        balance: U256::from_be_bytes(word(&fields["balance"]).0),
        storage_root: word(storage_root),
        code_hash: word(&fields["codeHash"]),
    };
    assert_eq!(account, expected, "{path}");
    assert!(verify_account(&keccak256(root), &address, &proof).is_err());
    no_change_passes(&proof, |changed| verify_account(&root, &address, changed).is_ok());

    for slot in answer["storageProof"].as_array().unwrap() {
        let (key, value, proof) = (word(&slot["key"]), word(&slot["value"]), nodes(&slot["proof"]));
        if value.is_zero() {
            assert_eq!(verify_storage_absence(&account.storage_root, &key, &proof), Ok(()), "{path} {key}");
        } else {
            assert_eq!(verify_storage(&account.storage_root, &key, &value, &proof), Ok(()), "{path} {key}");
            assert!(verify_storage_absence(&account.storage_root, &key, &proof).is_err());
            assert!(verify_storage(&account.storage_root, &key, &keccak256(value), &proof).is_err());
        }
        no_change_passes(&proof, |changed| read_storage(&account.storage_root, &key, changed).is_ok());
    }
}

fn no_change_passes(proof: &[Bytes], passes: impl Fn(&[Bytes]) -> bool) {
    assert!(passes(proof));
    for node in 0..proof.len() {
        for at in (0..proof[node].len()).step_by(13) {
            let mut changed = proof.to_vec();
            let mut bytes = changed[node].to_vec();
            bytes[at] ^= 1;
            changed[node] = bytes.into();
            assert!(!passes(&changed), "node {node} byte {at}");
        }
        let mut shorter = proof.to_vec();
        shorter.remove(node);
        assert!(!passes(&shorter), "without node {node}");
        let mut longer = proof.to_vec();
        longer.insert(node, proof[node].clone());
        assert!(!passes(&longer), "node {node} twice");
    }
    let mut trailing = proof.to_vec();
    trailing.push(proof[0].clone());
    assert!(!passes(&trailing), "with a trailing node");
}

#[test]
fn mainnet_answers_prove_against_the_headers_state_root() {
    let Some(block) = vector("mpt/helios-mainnet/block.json") else { return };
    let root = word(&block["stateRoot"]);
    check_answer("mpt/helios-mainnet/proof.json", Some(root));
    check_answer("mpt/helios-mainnet/account.json", Some(root));
}

#[test]
fn sepolia_and_hyperlane_answers_prove() {
    check_answer("mpt/union-sepolia/valid_storage_proof_sepolia.json", None);
    check_answer("mpt/hyperlane/getProof-data.json", None);
}

#[test]
fn an_absent_account_is_an_error_and_an_absent_slot_is_absence() {
    let here = Address::repeat_byte(0xaa);
    let there = Address::repeat_byte(0xbb);
    let (root, proof) = trie::state(&here, trie::account(EMPTY_ROOT_HASH), 40, &there);
    assert_eq!(verify_account(&root, &there, &proof), Err(MptError::AbsentAccount(there)));
    let (root, proof) = trie::state(&here, trie::account(EMPTY_ROOT_HASH), 40, &here);
    assert_eq!(verify_account(&root, &here, &proof).unwrap().storage_root, EMPTY_ROOT_HASH);
    let slot = B256::repeat_byte(1);
    for empty in [vec![], vec![Bytes::from_static(&[0x80])]] {
        assert_eq!(verify_storage_absence(&EMPTY_ROOT_HASH, &slot, &empty), Ok(()));
        let absent = Err(MptError::AbsentSlot { slot });
        assert_eq!(verify_storage(&EMPTY_ROOT_HASH, &slot, &B256::repeat_byte(2), &empty), absent);
        assert!(verify_storage_absence(&root, &slot, &empty).is_err(), "another root is not empty");
    }
}

#[test]
fn an_account_is_exactly_four_fields() {
    let here = Address::repeat_byte(0xaa);
    let good = trie::account(EMPTY_ROOT_HASH);
    let mut trailing = good.clone();
    trailing.push(0);
    let mut five = good.clone();
    five[1] += 1;
    five.push(1);
    for bad in [trailing, five, vec![0xc0; 40], vec![0x55; 40], good[..good.len() - 1].to_vec()] {
        let (root, proof) = trie::state(&here, bad, 5, &here);
        assert_eq!(verify_account(&root, &here, &proof), Err(MptError::Account));
    }
}

#[test]
fn a_stored_value_is_a_canonical_number() {
    let slot = B256::repeat_byte(1);
    for bad in [vec![0], vec![0x82, 0, 1], vec![0x81, 5], vec![5, 5], vec![0xc1, 5], vec![]] {
        let (root, proof) = trie::prove(&BTreeMap::from([(keccak256(slot), bad.clone())]), &keccak256(slot));
        assert_eq!(read_storage(&root, &slot, &proof), Err(MptError::SlotValue { slot }), "{bad:?}");
    }
}

#[test]
fn a_leaf_of_zero_is_an_empty_slot() {
    let slot = B256::repeat_byte(1);
    let leaf = BTreeMap::from([(keccak256(slot), vec![0x80])]);
    let (root, proof) = trie::prove(&leaf, &keccak256(slot));
    assert_eq!(verify_storage_absence(&root, &slot, &proof), Ok(()));
    assert_eq!(verify_storage(&root, &slot, &B256::ZERO, &proof), Err(MptError::AbsentSlot { slot }));
}

#[test]
fn sizes_are_bounded() {
    let key = B256::ZERO;
    let many = vec![Bytes::new(); MAX_NODES + 1];
    assert_eq!(lookup(&key, &key, &many), Err(MptError::TooManyNodes(MAX_NODES + 1)));
    let long = Bytes::from(vec![0; MAX_NODE_LEN + 1]);
    let root = keccak256(&long);
    assert_eq!(lookup(&root, &key, &[long]), Err(MptError::NodeTooLong { index: 0, len: MAX_NODE_LEN + 1 }));
}

#[test]
fn nodes_of_no_honest_trie_are_refused_not_panicked_at() {
    use alloy_rlp::Encodable;
    use alloy_trie::Nibbles;
    use alloy_trie::nodes::{BranchNode, ExtensionNode, LeafNode, RlpNode};
    let key = B256::ZERO;
    let encode = |node: &dyn Encodable| {
        let mut out = vec![];
        node.encode(&mut out);
        Bytes::from(out)
    };
    // A branch, then a leaf or an extension that is as long as a whole key.
    let leaf = encode(&LeafNode::new(Nibbles::unpack(key), vec![5]));
    let extension = encode(&ExtensionNode::new(Nibbles::unpack(key), RlpNode::word_rlp(&key)));
    for child in [leaf, extension] {
        let mask = alloy_trie::TrieMask::new(3);
        let hash = RlpNode::word_rlp(&keccak256(&child));
        let branch = encode(&BranchNode::new(vec![hash.clone(), hash], mask));
        let root = keccak256(&branch);
        assert_eq!(lookup(&root, &key, &[branch, child]), Err(MptError::PathTooLong { index: 1 }));
    }
    // A child as long as a hash, but a list.
    let leaf = encode(&LeafNode::new(Nibbles::unpack(key).slice(1..), vec![5; 40]));
    let mut branch =
        encode(&BranchNode::new(vec![RlpNode::word_rlp(&keccak256(&leaf))], alloy_trie::TrieMask::new(1))).to_vec();
    let good = [branch.clone().into(), leaf.clone()];
    assert_eq!(lookup(&keccak256(&branch), &key, &good), Ok(Some(vec![5; 40])));
    let at = branch.iter().position(|byte| *byte == 0xa0).unwrap();
    branch[at] = 0xe0;
    assert_eq!(lookup(&keccak256(&branch), &key, &[branch.into(), leaf]), Err(MptError::Malformed { index: 0 }));
    // A leaf whose path ends early.
    let short = encode(&LeafNode::new(Nibbles::from_nibbles([0, 0]), vec![5]));
    assert_eq!(lookup(&keccak256(&short), &key, &[short]), Err(MptError::PathTooLong { index: 0 }));
}

fn close_key() -> impl Strategy<Value = B256> {
    // Keys that part late, so that small leaves are embedded in branches and extensions are long.
    (prop::sample::select(vec![0u8, 0x10, 0xff]), any::<[u8; 2]>(), 0usize..3).prop_map(|(first, last, keep)| {
        let mut key = [0; 32];
        key[0] = first;
        key[32 - keep..].copy_from_slice(&last[..keep]);
        key.into()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The walk agrees with the map, and with alloy-trie's own verifier.
    #[test]
    fn lookup_says_what_the_trie_holds(
        leaves in prop::collection::btree_map(close_key(), prop::collection::vec(1u8..0x80, 1..3), 1..40),
        target in close_key(),
    ) {
        let leaves: BTreeMap<B256, Vec<u8>> = leaves;
        for target in leaves.keys().take(3).chain([&target]) {
            let (root, proof) = trie::prove(&leaves, target);
            let found = lookup(&root, target, &proof);
            prop_assert_eq!(&found, &Ok(leaves.get(target).cloned()));
            let theirs = alloy_trie::proof::verify_proof(root, alloy_trie::Nibbles::unpack(target), leaves.get(target).cloned(), &proof);
            prop_assert!(theirs.is_ok());
        }
    }

    #[test]
    fn hostile_nodes_never_panic(
        nodes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..4),
        key in any::<[u8; 32]>(),
    ) {
        let proof: Vec<Bytes> = nodes.into_iter().map(Bytes::from).collect();
        let _ = lookup(&keccak256(&proof[0]), &key.into(), &proof);
    }
}
