//! The table tests of ICS-23: that the crate our proofs rest on judges each step as the specification does.

use crate::support::vector;
use ics23::commitment_proof::Proof;
use ics23::{
    CommitmentProof, ExistenceProof, HashOp, HostFunctionsManager, InnerOp, InnerSpec, LeafOp, ProofSpec,
    calculate_existence_root, iavl_spec, verify_membership,
};
use serde_json::Value;

type Manager = HostFunctionsManager;

fn table(name: &str, count: usize) -> Vec<(String, Value)> {
    let Some(Value::Object(cases)) = vector(&format!("ics23-jmt/ics23/{name}.json")) else { return vec![] };
    assert_eq!(cases.len(), count, "cases in {name}");
    cases.into_iter().collect()
}

/// Go's JSON: bytes as base64 with padding, none as null.
fn bytes(value: &Value) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = value.as_str().unwrap_or_default();
    let digits = text.bytes().filter_map(|c| DIGITS.iter().position(|digit| *digit == c));
    let bits: Vec<bool> = digits.flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1 == 1)).collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}

fn int(value: &Value) -> i32 {
    value.as_i64().unwrap_or_default() as i32
}

fn leaf(value: &Value) -> Option<LeafOp> {
    value.is_object().then(|| LeafOp {
        hash: int(&value["hash"]),
        prehash_key: int(&value["prehash_key"]),
        prehash_value: int(&value["prehash_value"]),
        length: int(&value["length"]),
        prefix: bytes(&value["prefix"]),
    })
}

fn inner(value: &Value) -> InnerOp {
    InnerOp { hash: int(&value["hash"]), prefix: bytes(&value["prefix"]), suffix: bytes(&value["suffix"]) }
}

fn proof(value: &Value) -> ExistenceProof {
    let path = value["path"].as_array().into_iter().flatten().map(inner).collect();
    ExistenceProof { key: bytes(&value["key"]), value: bytes(&value["value"]), leaf: leaf(&value["leaf"]), path }
}

fn spec(value: &Value) -> ProofSpec {
    let inner = &value["inner_spec"];
    ProofSpec {
        leaf_spec: leaf(&value["leaf_spec"]),
        inner_spec: inner.is_object().then(|| InnerSpec {
            child_order: inner["child_order"].as_array().into_iter().flatten().map(int).collect(),
            child_size: int(&inner["child_size"]),
            min_prefix_length: int(&inner["min_prefix_length"]),
            max_prefix_length: int(&inner["max_prefix_length"]),
            empty_child: bytes(&inner["empty_child"]),
            hash: int(&inner["hash"]),
        }),
        max_depth: int(&value["max_depth"]),
        min_depth: int(&value["min_depth"]),
        prehash_key_before_comparison: false,
    }
}

/// Whether a proof holds under a specification, for its own key, value and root.
fn holds(proof: &ExistenceProof, spec: &ProofSpec) -> bool {
    let Ok(root) = calculate_existence_root::<Manager>(proof) else { return false };
    let commitment = CommitmentProof { proof: Some(Proof::Exist(proof.clone())) };
    verify_membership::<Manager>(&commitment, spec, &root, &proof.key, &proof.value)
}

#[test]
fn roots_are_calculated_as_the_tables_say() {
    for (name, case) in table("TestExistenceProofData", 6) {
        let root = calculate_existence_root::<Manager>(&proof(&case["Proof"]));
        assert_eq!(root.is_err(), case["IsErr"].as_bool().unwrap(), "{name}");
        if let Ok(root) = root {
            assert_eq!(root, bytes(&case["Expected"]), "{name}");
        }
    }
    // One step over a given child: the child is made the result of a leaf that hashes nothing.
    for (name, case) in table("TestInnerOpData", 4) {
        let child = bytes(&case["Child"]);
        if case["IsErr"].as_bool().unwrap() || child.len() < 2 {
            continue;
        }
        let (key, value) = child.split_at(1);
        let leaf = Some(LeafOp { hash: HashOp::NoHash.into(), ..Default::default() });
        let over = ExistenceProof { key: key.into(), value: value.into(), leaf, path: vec![inner(&case["Op"])] };
        assert_eq!(calculate_existence_root::<Manager>(&over).unwrap(), bytes(&case["Expected"]), "{name}");
    }
}

#[test]
fn hashes_are_those_of_the_table() {
    for (name, case) in table("TestDoHashData", 7) {
        let preimage = case["Preimage"].as_str().or(case["PreImage"].as_str()).unwrap();
        let (key, value) = preimage.as_bytes().split_at(1);
        let leaf = Some(LeafOp { hash: int(&case["HashOp"]), ..Default::default() });
        let proof = ExistenceProof { key: key.into(), value: value.into(), leaf, path: vec![] };
        let expected = case["ExpectedHash"].as_str().unwrap();
        match calculate_existence_root::<Manager>(&proof) {
            Ok(root) => assert_eq!(hex::encode(root), expected, "{name}"),
            // No tree that is proven here uses these, and refusing them is safe.
            Err(_) => assert!(name.starts_with("blake"), "{name}"),
        }
    }
}

#[test]
fn proofs_fit_a_specification_where_the_tables_say() {
    for (name, case) in table("TestCheckAgainstSpecData", 11) {
        let expected = case["Err"].as_str().unwrap().is_empty();
        assert_eq!(holds(&proof(&case["Proof"]), &spec(&case["Spec"])), expected, "{name}: {}", case["Err"]);
    }
    for (name, case) in table("TestCheckLeafData", 10) {
        // The leaf alone, under a specification that says nothing of the steps above.
        let leaf_op = leaf(&case["Leaf"]);
        let only = ExistenceProof { key: b"food".into(), value: b"bar".into(), leaf: leaf_op, path: vec![] };
        let spec = ProofSpec { leaf_spec: leaf(&case["Spec"]), inner_spec: iavl_spec().inner_spec, ..iavl_spec() };
        let spec = ProofSpec { min_depth: 0, max_depth: 0, ..spec };
        assert_eq!(holds(&only, &spec), !case["IsErr"].as_bool().unwrap(), "{name}");
    }
}
