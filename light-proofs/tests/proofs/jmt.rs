use crate::jmt_tree::Tree;
use crate::support::{unhex, vector, vectors};
use crosspoint_light_proofs::jmt::{
    JmtError, MAX_PROOF_LEN, NearestLeaf, OtherLeaf, PLACEHOLDER, Siblings, spec, verify_absence, verify_membership,
};
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, HostFunctionsManager};
use proptest::prelude::*;
use prost::Message;
use serde_json::Value;
use std::collections::BTreeMap;

fn items(n: u32) -> BTreeMap<Vec<u8>, Vec<u8>> {
    (0..n).map(|i| (format!("key/{i}").into_bytes(), vec![i as u8; 32])).collect()
}

/// Checks one absent key in every form; the tree must not be empty.
fn check_absent(tree: &Tree, key: &[u8]) {
    let proof = tree.ics23(key);
    assert_eq!(verify_absence(&tree.root, key, &proof), Ok(()));
    let plain = Siblings::absence(&proof).unwrap();
    assert_eq!(plain.verify_absence(&tree.root, key), Ok(()));
    assert_eq!(plain, tree.sparse(key), "the same path as the tree's own proof");
    assert_eq!(NearestLeaf::from_ics23(&proof).unwrap().verify_absence(&tree.root, key), Ok(()));
    assert!(verify_membership(&tree.root, key, b"v", &proof).is_err());
    assert!(plain.verify_membership(&tree.root, key, b"v").is_err());
}

fn check_present(tree: &Tree, key: &[u8], value: &[u8]) {
    let proof = tree.ics23(key);
    assert_eq!(verify_membership(&tree.root, key, value, &proof), Ok(()));
    let plain = Siblings::membership(&proof).unwrap();
    assert_eq!(plain.verify_membership(&tree.root, key, value), Ok(()));
    assert_eq!(plain, tree.sparse(key));
    assert_eq!(verify_membership(&tree.root, key, b"other", &proof), Err(JmtError::WrongValue));
    assert_eq!(plain.verify_membership(&tree.root, key, b"other"), Err(JmtError::RootMismatch));
    assert!(verify_absence(&tree.root, key, &proof).is_err());
    assert!(plain.verify_absence(&tree.root, key).is_err());
    // Its own leaf does not show a key to be absent.
    let own =
        OtherLeaf { key_hash: crosspoint_protocol::sha256(&[key]), value_hash: crosspoint_protocol::sha256(&[value]) };
    let cheat = Siblings { other: Some(own), ..plain.clone() };
    assert_eq!(cheat.verify_absence(&tree.root, key), Err(JmtError::Present));
    let cheat = NearestLeaf { leaf: own, siblings: plain.siblings };
    assert_eq!(cheat.verify_absence(&tree.root, key), Err(JmtError::Present));
}

#[test]
fn roots_are_those_of_the_vectors() {
    let Some(file) = vector("ics23-jmt/jmt/sha2_256_vectors.json") else { return };
    for case in file["vectors"].as_array().unwrap() {
        let bytes = |item: &Value, name: &str| unhex(item[name].as_str().unwrap());
        let data = case["data"].as_array().unwrap();
        let items: BTreeMap<_, _> = data.iter().map(|item| (bytes(item, "key"), bytes(item, "value"))).collect();
        let tree = Tree::new(&items);
        assert_eq!(hex::encode(tree.root), case["expected_root"].as_str().unwrap());
        for (key, value) in &items {
            check_present(&tree, key, value);
        }
        if items.is_empty() {
            assert_eq!(Siblings::default().verify_absence(&tree.root, b"any"), Ok(()));
        } else {
            check_absent(&tree, b"absent");
        }
    }
}

#[test]
fn every_key_is_proven_present_or_absent() {
    let items = items(300);
    let tree = Tree::new(&items);
    for (key, value) in &items {
        check_present(&tree, key, value);
    }
    for i in 0..300 {
        check_absent(&tree, format!("absent/{i}").as_bytes());
    }
}

#[test]
fn no_changed_byte_of_a_proof_passes() {
    let tree = Tree::new(&items(50));
    let member = tree.ics23(b"key/7");
    let absent = tree.ics23(b"absent");
    for at in 0..absent.len().max(member.len()) {
        let mut changed = member.clone();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 1;
            assert!(verify_membership(&tree.root, b"key/7", &[7; 32], &changed).is_err(), "byte {at}");
        }
        let mut changed = absent.clone();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 1;
            assert!(verify_absence(&tree.root, b"absent", &changed).is_err(), "byte {at}");
        }
    }
    let check = |plain: &Siblings| plain.verify_absence(&tree.root, b"absent").is_ok();
    let good = Siblings::absence(&absent).unwrap();
    assert!(check(&good));
    for at in 0..good.siblings.len() {
        let mut changed = good.clone();
        changed.siblings[at][at % 32] ^= 1;
        assert!(!check(&changed));
        let mut shorter = good.clone();
        shorter.siblings.remove(at);
        assert!(!check(&shorter));
    }
    for root_bit in 0..256 {
        let mut root = tree.root;
        root[root_bit / 8] ^= 1 << (root_bit % 8);
        assert!(verify_absence(&root, b"absent", &absent).is_err());
    }
    let deep = Siblings { siblings: vec![PLACEHOLDER; 257], other: None };
    assert_eq!(deep.verify_absence(&tree.root, b"absent"), Err(JmtError::TooDeep(257)));
}

#[test]
fn a_leaf_off_the_path_does_not_show_absence() {
    let tree = Tree::new(&items(50));
    let mine = Siblings::membership(&tree.ics23(b"key/3")).unwrap();
    let leaf = OtherLeaf {
        key_hash: crosspoint_protocol::sha256(&[b"key/3"]),
        value_hash: crosspoint_protocol::sha256(&[&[3; 32]]),
    };
    // A true leaf with its true path, shown for another key that is present.
    let cheat = NearestLeaf { leaf, siblings: mine.siblings.clone() };
    let refused = (0..50u8).filter(|i| *i != 3).all(|i| {
        let key = format!("key/{i}");
        cheat.verify_absence(&tree.root, key.as_bytes()) == Err(JmtError::NotAdjacent)
            && Siblings { other: Some(leaf), ..mine.clone() }.verify_absence(&tree.root, key.as_bytes()).is_err()
    });
    assert!(refused);
}

#[test]
fn neighbours_that_are_not_adjacent_do_not_show_absence() {
    let tree = Tree::new(&items(50));
    let exist = |key: &[u8]| {
        let Some(Proof::Exist(proof)) = CommitmentProof::decode(tree.ics23(key).as_slice()).unwrap().proof else {
            panic!("no existence proof");
        };
        proof
    };
    let mut keys: Vec<Vec<u8>> = items(50).into_keys().collect();
    keys.sort_by_key(|key| crosspoint_protocol::sha256(&[key]));
    // Around a key that is present, its neighbours; all proofs are true.
    let non =
        ics23::NonExistenceProof { key: keys[20].clone(), left: Some(exist(&keys[19])), right: Some(exist(&keys[21])) };
    let bytes = CommitmentProof { proof: Some(Proof::Nonexist(non.clone())) }.encode_to_vec();
    assert_eq!(verify_absence(&tree.root, &keys[20], &bytes), Err(JmtError::NotAdjacent));
    assert!(Siblings::absence(&bytes).and_then(|s| s.verify_absence(&tree.root, &keys[20])).is_err());
    assert!(NearestLeaf::from_ics23(&bytes).is_err());
    // One neighbour left out, or none.
    for (left, right) in [(None, non.right.clone()), (non.left.clone(), None), (None, None)] {
        let non = ics23::NonExistenceProof { key: non.key.clone(), left, right };
        let bytes = CommitmentProof { proof: Some(Proof::Nonexist(non)) }.encode_to_vec();
        assert!(verify_absence(&tree.root, &keys[20], &bytes).is_err());
    }
}

#[test]
fn forms_that_are_not_used_are_refused() {
    let tree = Tree::new(&items(20));
    let member = tree.ics23(b"key/1");
    assert_eq!(verify_absence(&tree.root, b"key/1", &member), Err(JmtError::WrongKind { expected: "non-existence" }));
    assert_eq!(verify_membership(&tree.root, b"key/2", &[1; 32], &member), Err(JmtError::WrongKey));
    assert_eq!(
        verify_membership(&tree.root, b"key/1", &[1; 32], &[]),
        Err(JmtError::WrongKind { expected: "existence" })
    );
    assert_eq!(verify_membership(&tree.root, b"key/1", &[1; 32], &[0xff]), Err(JmtError::Decode));
    let long = vec![0; MAX_PROOF_LEN + 1];
    assert_eq!(verify_membership(&tree.root, b"key/1", &[1; 32], &long), Err(JmtError::TooLong(MAX_PROOF_LEN + 1)));
    let Some(Proof::Exist(exist)) = CommitmentProof::decode(member.as_slice()).unwrap().proof else {
        panic!("no existence proof");
    };
    let entry = ics23::BatchEntry { proof: Some(ics23::batch_entry::Proof::Exist(exist.clone())) };
    let batch = CommitmentProof { proof: Some(Proof::Batch(ics23::BatchProof { entries: vec![entry] })) };
    let refused = verify_membership(&tree.root, b"key/1", &[1; 32], &batch.encode_to_vec());
    assert_eq!(refused, Err(JmtError::WrongKind { expected: "existence" }));

    let verify = |exist: ics23::ExistenceProof| {
        let bytes = CommitmentProof { proof: Some(Proof::Exist(exist)) }.encode_to_vec();
        verify_membership(&tree.root, b"key/1", &[1; 32], &bytes)
    };
    assert_eq!(verify(exist.clone()), Ok(()));
    let mut other_leaf = exist.clone();
    other_leaf.leaf.as_mut().unwrap().prefix = b"JMT::LeafNodf".to_vec();
    assert_eq!(verify(other_leaf), Err(JmtError::Leaf));
    let mut both_sides = exist.clone();
    both_sides.path[0].suffix = vec![0; 64];
    assert_eq!(verify(both_sides), Err(JmtError::Shape(0)));
    let mut other_prefix = exist.clone();
    other_prefix.path[0].prefix[0] ^= 1;
    assert_eq!(verify(other_prefix), Err(JmtError::Shape(0)));
    let mut deep = exist;
    deep.path = vec![deep.path[0].clone(); 257];
    assert_eq!(verify(deep), Err(JmtError::TooDeep(257)));
}

#[test]
fn the_specification_is_that_of_the_tree() {
    assert_eq!(spec(), jmt::ics23_spec());
}

#[test]
fn ics23_vectors_of_other_trees_prove_under_their_own_specification_only() {
    let specs = [("iavl", ics23::iavl_spec()), ("tendermint", ics23::tendermint_spec()), ("smt", ics23::smt_spec())];
    for (folder, own) in specs {
        for (name, case) in vectors(&format!("ics23-jmt/ics23/{folder}"), 4) {
            let field = |field: &str| unhex(case[field].as_str().unwrap());
            let (key, value, root, bytes) = (field("key"), field("value"), field("root"), field("proof"));
            let proof = CommitmentProof::decode(bytes.as_slice()).unwrap();
            let fixed: [u8; 32] = root.clone().try_into().unwrap();
            if name.starts_with("exist") {
                assert!(ics23::verify_membership::<HostFunctionsManager>(&proof, &own, &root, &key, &value), "{name}");
                assert!(verify_membership(&fixed, &key, &value, &bytes).is_err(), "{folder} {name}");
            } else {
                assert!(ics23::verify_non_membership::<HostFunctionsManager>(&proof, &own, &root, &key), "{name}");
                assert!(verify_absence(&fixed, &key, &bytes).is_err(), "{folder} {name}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn present_and_absent_keys_of_any_tree(
        items in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 1..6), prop::collection::vec(any::<u8>(), 1..6), 1..60),
        absent in prop::collection::vec(prop::collection::vec(any::<u8>(), 7..9), 1..8),
    ) {
        let items: BTreeMap<Vec<u8>, Vec<u8>> = items;
        let tree = Tree::new(&items);
        for (key, value) in items.iter().take(8) {
            check_present(&tree, key, value);
        }
        for key in &absent {
            check_absent(&tree, key);
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = verify_membership(&[0; 32], b"key", b"value", &bytes);
        let _ = verify_absence(&[0; 32], b"key", &bytes);
        let _ = Siblings::absence(&bytes);
        let _ = NearestLeaf::from_ics23(&bytes);
    }
}
