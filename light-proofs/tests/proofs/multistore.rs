use crate::support::{unhex, vector, vectors};
use crosspoint_light_proofs::multistore::{MAX_PROOF_LEN, MultistoreError, verify_absence, verify_membership};
use crosspoint_light_proofs::tendermint::{MAX_PREFIX_LEN, MerklePrefix, MerklePrefixError, PacketStore};
use crosspoint_protocol::ids::Sequence;
use crosspoint_protocol::path::Path;
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, ExistenceProof, HostFunctionsManager, calculate_existence_root, tendermint_spec};
use prost::Message;
use serde_json::Value;

/// `ibc.core.commitment.v1.MerkleProof`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MerkleProof {
    #[prost(message, repeated, tag = "1")]
    pub(crate) proofs: Vec<CommitmentProof>,
}

fn bytes(case: &Value, name: &str) -> Vec<u8> {
    unhex(case[name].as_str().unwrap())
}

/// A state whose only store, `ibc`, has this root: its app hash, and the store's place in it.
pub(crate) fn above(root: &[u8]) -> ([u8; 32], CommitmentProof) {
    let leaf = tendermint_spec().leaf_spec;
    let exist = ExistenceProof { key: b"ibc".into(), value: root.into(), leaf, path: vec![] };
    let app_hash = calculate_existence_root::<HostFunctionsManager>(&exist).unwrap();
    (app_hash.try_into().unwrap(), CommitmentProof { proof: Some(Proof::Exist(exist)) })
}

/// A recorded proof of a Cosmos chain: app hash, store, key, value, proof.
#[allow(clippy::type_complexity)]
pub(crate) fn recorded() -> Option<([u8; 32], Vec<u8>, Vec<u8>, Vec<u8>, Vec<u8>)> {
    let case = vector("ics23-jmt/eureka/verify_membership_key_0.json")?;
    // The consensus state's field 2 is the root: a message with the 32 bytes.
    let state = bytes(&case, "consensus_state_hex");
    let at = state.windows(4).position(|four| four == [0x12, 0x22, 0x0a, 0x20]).unwrap() + 4;
    let message = &case["membership_msg"];
    let path = |at: usize| message["path"][at].as_str().unwrap().as_bytes().to_vec();
    let root = state[at..at + 32].try_into().unwrap();
    Some((root, path(0), path(1), bytes(message, "value"), bytes(message, "proof")))
}

#[test]
fn a_recorded_proof_of_a_cosmos_chain_verifies_and_no_changed_byte_of_it_does() {
    let Some((root, store, key, value, proof)) = recorded() else { return };
    let path = [store.as_slice(), &key];
    assert_eq!(verify_membership(&root, path[0], path[1], &value, &proof), Ok(()));
    assert_eq!(verify_membership(&root, b"bank", path[1], &value, &proof), Err(MultistoreError::OtherStore));
    assert_eq!(verify_membership(&root, path[0], b"clients/x", &value, &proof), Err(MultistoreError::OtherKey));
    assert_eq!(verify_membership(&root, path[0], path[1], b"other", &proof), Err(MultistoreError::OtherValue));
    assert_eq!(verify_membership(&[7; 32], path[0], path[1], &value, &proof), Err(MultistoreError::Root));
    assert_eq!(verify_absence(&root, path[0], path[1], &proof), Err(MultistoreError::WrongKind("store's")));
    for at in 0..proof.len() {
        let mut changed = proof.clone();
        changed[at] ^= 1;
        assert!(verify_membership(&root, path[0], path[1], &value, &changed).is_err(), "byte {at}");
    }
}

#[test]
fn absence_and_membership_in_an_iavl_store_are_told_apart() {
    for (name, case) in vectors("ics23-jmt/ics23/iavl", 4) {
        let (key, root) = (bytes(&case, "key"), bytes(&case, "root"));
        let inner = CommitmentProof::decode(bytes(&case, "proof").as_slice()).unwrap();
        let (app_hash, outer) = above(&root);
        let proof = MerkleProof { proofs: vec![inner.clone(), outer.clone()] }.encode_to_vec();
        let absent = name.starts_with("nonexist");
        let value = if absent { b"v".to_vec() } else { bytes(&case, "value") };
        let present = verify_membership(&app_hash, b"ibc", &key, &value, &proof);
        let missing = verify_absence(&app_hash, b"ibc", &key, &proof);
        let wrong = Err(MultistoreError::WrongKind("store's"));
        assert_eq!((present, missing), if absent { (wrong, Ok(())) } else { (Ok(()), wrong) }, "{name}");
        // Another store's root, the steps in the wrong order, or one too few.
        let elsewhere = MerkleProof { proofs: vec![inner.clone(), above(&[9; 32]).1] }.encode_to_vec();
        let swapped = MerkleProof { proofs: vec![outer.clone(), inner.clone()] }.encode_to_vec();
        let short = MerkleProof { proofs: vec![inner] }.encode_to_vec();
        for (bad, why) in [(elsewhere, "root"), (swapped, "order"), (short, "count")] {
            assert!(verify_membership(&app_hash, b"ibc", &key, &value, &bad).is_err(), "{name} {why}");
            assert!(verify_absence(&app_hash, b"ibc", &key, &bad).is_err(), "{name} {why}");
        }
        if absent {
            // A neighbour is there.
            let Some(Proof::Nonexist(non)) = CommitmentProof::decode(bytes(&case, "proof").as_slice()).unwrap().proof
            else {
                panic!("{name}")
            };
            let neighbour = non.left.clone().or(non.right.clone()).unwrap().key;
            assert_eq!(verify_absence(&app_hash, b"ibc", &neighbour, &proof), Err(MultistoreError::OtherKey));
            let claimed = ics23::NonExistenceProof { key: neighbour.clone(), ..non };
            let claimed = CommitmentProof { proof: Some(Proof::Nonexist(claimed)) };
            let claimed = MerkleProof { proofs: vec![claimed, outer] }.encode_to_vec();
            assert_eq!(verify_absence(&app_hash, b"ibc", &neighbour, &claimed), Err(MultistoreError::Store));
        }
    }
}

#[test]
fn a_packets_key_is_its_path_after_the_prefix_and_a_store_has_one_written_form() {
    let path = Path::receipt("07-tendermint-0".parse().unwrap(), Sequence(0x0102));
    let prefix = MerklePrefix::new("ibc", *b"points/").unwrap();
    assert_eq!(prefix.key(&path), b"points/07-tendermint-0\x02\0\0\0\0\0\0\x01\x02");
    assert_eq!(MerklePrefix::new("ibc", []).unwrap().key(&path), path.to_bytes());
    let text = r#"{"type":"multistore","store":"ibc","key_prefix":"0x706f696e74732f"}"#;
    assert_eq!(serde_json::to_string(&PacketStore::Multistore(prefix.clone())).unwrap(), text);
    assert_eq!(serde_json::from_str::<PacketStore>(text).unwrap(), PacketStore::Multistore(prefix));
    assert_eq!(serde_json::to_string(&PacketStore::Jmt).unwrap(), r#"{"type":"jmt"}"#);
    let long = "s".repeat(MAX_PREFIX_LEN + 1);
    for name in ["", "a store", "\u{e9}", &long] {
        assert_eq!(MerklePrefix::new(name, []), Err(MerklePrefixError::StoreName), "{name}");
    }
    assert!(MerklePrefix::new(&long[1..], [0; MAX_PREFIX_LEN]).is_ok());
    assert_eq!(MerklePrefix::new("ibc", [0; MAX_PREFIX_LEN + 1]), Err(MerklePrefixError::KeyPrefix(65)));
    for (text, why) in [
        (r#"{"type":"multistore","store":"","key_prefix":"0x"}"#, "a store's name is 1 to 64"),
        (r#"{"type":"multistore","store":"ibc","key_prefix":""}"#, "0x and hex digits"),
        (r#"{"type":"multistore","store":"ibc","key_prefix":"0x7"}"#, "0x and hex digits"),
        (r#"{"type":"multistore","store":"ibc"}"#, "missing field `key_prefix`"),
        (r#"{"type":"multistore","store":"ibc","key_prefix":"0x","tree":"smt"}"#, "unknown field `tree`"),
        (r#"{"type":"smt"}"#, "unknown variant `smt`"),
    ] {
        let error = serde_json::from_str::<PacketStore>(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn proofs_are_bounded() {
    let long = vec![0; MAX_PROOF_LEN + 1];
    assert_eq!(verify_absence(&[0; 32], b"ibc", b"k", &long), Err(MultistoreError::TooLong(MAX_PROOF_LEN + 1)));
    let step = ics23::InnerOp { hash: 1, prefix: vec![1; 4], suffix: vec![] };
    let deep = ExistenceProof {
        key: b"k".into(),
        value: b"v".into(),
        leaf: ics23::iavl_spec().leaf_spec,
        path: vec![step; 129],
    };
    let inner = CommitmentProof { proof: Some(Proof::Exist(deep)) };
    let proof = MerkleProof { proofs: vec![inner, above(&[1; 32]).1] }.encode_to_vec();
    assert_eq!(verify_membership(&[0; 32], b"ibc", b"k", b"v", &proof), Err(MultistoreError::TooDeep(129)));
    assert_eq!(verify_membership(&[0; 32], b"ibc", b"k", b"v", &[0xff]), Err(MultistoreError::Decode));
}
