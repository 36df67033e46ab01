//! State proofs: `eth_getProof` answers of real networks, ICS-23 proofs of a Jellyfish Merkle Tree, of IAVL and of a
//! recorded Cosmos chain's stores.

use super::Outcomes;
use crate::jmt_tree::Tree;
use crate::multistore::{MerkleProof, above, recorded};
use crate::support::{unhex, vector, vectors};
use alloy_primitives::{B256, Bytes, U256};
use crosspoint_light_proofs::mpt::{verify_account, verify_storage, verify_storage_absence};
use crosspoint_light_proofs::{jmt, multistore};
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, ExistenceProof, InnerOp, LeafOp, NonExistenceProof};
use prost::Message;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn text(bytes: &[u8]) -> Value {
    json!(format!("0x{}", hex::encode(bytes)))
}

fn bytes(value: Option<&Value>) -> Option<Vec<u8>> {
    hex::decode(value?.as_str()?.strip_prefix("0x")?).ok()
}

fn fixed<const N: usize>(value: &Value, name: &str) -> Option<[u8; N]> {
    bytes(value.get(name))?.try_into().ok()
}

fn nodes(value: &Value) -> Option<Vec<Bytes>> {
    value.get("proof")?.as_array()?.iter().map(|node| bytes(Some(node)).map(Bytes::from)).collect()
}

/// The accounts and the slots of the recorded answers.
fn answers() -> (Vec<Value>, Vec<Value>) {
    let (mut accounts, mut slots) = (vec![], vec![]);
    for path in [
        "mpt/helios-mainnet/proof.json",
        "mpt/helios-mainnet/account.json",
        "mpt/hyperlane/getProof-data.json",
        "mpt/union-sepolia/valid_storage_proof_sepolia.json",
    ] {
        let Some(answer) = vector(path) else { continue };
        let proof = &answer["accountProof"];
        let first = |proof: &Value| text(alloy_primitives::keccak256(unhex(proof[0].as_str().unwrap())).as_slice());
        // One file leaves out whose account it is: the deposit contract's.
        let address =
            answer.get("address").cloned().unwrap_or_else(|| json!("0x00000000219ab540356cbb839cbe05303d7705fa"));
        if proof.is_array() {
            accounts.push(json!({ "root": first(proof), "address": address, "proof": proof }));
        }
        for slot in answer["storageProof"].as_array().into_iter().flatten() {
            let word = |name: &str| text(&slot[name].as_str().unwrap().parse::<U256>().unwrap().to_be_bytes::<32>());
            slots.push(json!({
                "root": first(&slot["proof"]), "slot": word("key"), "value": word("value"), "proof": slot["proof"],
            }));
        }
    }
    (accounts, slots)
}

#[test]
fn each_changed_part_of_an_answer_of_an_ethereum_node_is_named() {
    let (accounts, slots) = answers();
    let mut outcomes = Outcomes::default();
    for good in accounts {
        outcomes.of(&good, |value| {
            Some(verify_account(&fixed(value, "root")?.into(), &fixed(value, "address")?.into(), &nodes(value)?))
        });
    }
    outcomes.check(include_str!("tables/mpt_account.txt"));
    let mut outcomes = Outcomes::default();
    for good in slots {
        let absent = good["value"] == text(&[0; 32]);
        outcomes.of(&good, |value| {
            let (root, slot): (B256, B256) = (fixed(value, "root")?.into(), fixed(value, "slot")?.into());
            let (expected, proof): (B256, _) = (fixed(value, "value")?.into(), nodes(value)?);
            Some(if absent && expected.is_zero() {
                verify_storage_absence(&root, &slot, &proof)
            } else {
                verify_storage(&root, &slot, &expected, &proof)
            })
        });
    }
    outcomes.check(include_str!("tables/mpt_slot.txt"));
}

fn exist_json(proof: &ExistenceProof) -> Value {
    let leaf = proof.leaf.as_ref().unwrap();
    let path = proof
        .path
        .iter()
        .map(|step| json!({ "hash": step.hash, "prefix": text(&step.prefix), "suffix": text(&step.suffix) }));
    json!({
        "key": text(&proof.key),
        "value": text(&proof.value),
        "leaf": {
            "hash": leaf.hash, "prehash_key": leaf.prehash_key, "prehash_value": leaf.prehash_value,
            "length": leaf.length, "prefix": text(&leaf.prefix),
        },
        "path": path.collect::<Vec<_>>(),
    })
}

/// A missing field is its default, as in protobuf.
fn exist(value: &Value) -> Option<ExistenceProof> {
    let int = |value: &Value, name: &str| value.get(name).and_then(Value::as_i64).unwrap_or_default() as i32;
    let field = |value: &Value, name: &str| match value.get(name) {
        None => Some(vec![]),
        given => bytes(given),
    };
    let leaf = value.get("leaf").map(|leaf| {
        Some(LeafOp {
            hash: int(leaf, "hash"),
            prehash_key: int(leaf, "prehash_key"),
            prehash_value: int(leaf, "prehash_value"),
            length: int(leaf, "length"),
            prefix: field(leaf, "prefix")?,
        })
    });
    let step = |step: &Value| {
        Some(InnerOp { hash: int(step, "hash"), prefix: field(step, "prefix")?, suffix: field(step, "suffix")? })
    };
    let path = value.get("path").and_then(Value::as_array).into_iter().flatten().map(step).collect::<Option<_>>()?;
    let leaf = match leaf {
        None => None,
        Some(leaf) => Some(leaf?),
    };
    Some(ExistenceProof { key: field(value, "key")?, value: field(value, "value")?, leaf, path })
}

fn to_json(proof: &CommitmentProof) -> Value {
    match proof.proof.as_ref().unwrap() {
        Proof::Exist(proof) => json!({ "exist": exist_json(proof) }),
        Proof::Nonexist(proof) => {
            let mut value = json!({ "key": text(&proof.key) });
            for (name, side) in [("left", &proof.left), ("right", &proof.right)] {
                if let Some(side) = side {
                    value[name] = exist_json(side);
                }
            }
            json!({ "nonexist": value })
        }
        _ => unreachable!(),
    }
}

fn from_json(value: &Value) -> Option<CommitmentProof> {
    let proof = if let Some(found) = value.get("exist") {
        Proof::Exist(exist(found)?)
    } else if let Some(non) = value.get("nonexist") {
        let side = |name: &str| match non.get(name) {
            None => Some(None),
            Some(side) => exist(side).map(Some),
        };
        let key = non.get("key").map_or(Some(vec![]), |key| bytes(Some(key)))?;
        Proof::Nonexist(NonExistenceProof { key, left: side("left")?, right: side("right")? })
    } else {
        return Some(CommitmentProof { proof: None });
    };
    Some(CommitmentProof { proof: Some(proof) })
}

#[test]
fn each_changed_part_of_a_jmt_proof_is_named() {
    let items: BTreeMap<_, _> = (0..40u8).map(|i| (format!("key/{i}").into_bytes(), vec![i; 32])).collect();
    let tree = Tree::new(&items);
    let (mut present, mut absent) = (Outcomes::default(), Outcomes::default());
    for at in 0..8u8 {
        let key = format!("key/{at}").into_bytes();
        let proof = CommitmentProof::decode(tree.ics23(&key).as_slice()).unwrap();
        let good =
            json!({ "root": text(&tree.root), "key": text(&key), "value": text(&[at; 32]), "proof": to_json(&proof) });
        present.of(&good, |value| {
            let proof = from_json(value.get("proof")?)?.encode_to_vec();
            let (key, of) = (bytes(value.get("key"))?, bytes(value.get("value"))?);
            Some(jmt::verify_membership(&fixed(value, "root")?, &key, &of, &proof))
        });
        let key = format!("absent/{at}").into_bytes();
        let proof = CommitmentProof::decode(tree.ics23(&key).as_slice()).unwrap();
        let good = json!({ "root": text(&tree.root), "key": text(&key), "proof": to_json(&proof) });
        absent.of(&good, |value| {
            let proof = from_json(value.get("proof")?)?.encode_to_vec();
            Some(jmt::verify_absence(&fixed(value, "root")?, &bytes(value.get("key"))?, &proof))
        });
    }
    present.check(include_str!("tables/jmt_present.txt"));
    absent.check(include_str!("tables/jmt_absent.txt"));
}

/// What an IBC chain proves: a key in a store, and the store's root among the stores.
fn stores(
    outcomes: &mut Outcomes,
    app_hash: [u8; 32],
    (store, key, value): (&[u8], &[u8], Option<&[u8]>),
    proofs: &[CommitmentProof],
) {
    let mut good = json!({
        "app_hash": text(&app_hash), "store": text(store), "key": text(key),
        "proofs": proofs.iter().map(to_json).collect::<Vec<_>>(),
    });
    if let Some(value) = value {
        good["value"] = text(value);
    }
    outcomes.of(&good, |changed| {
        let proofs = changed.get("proofs")?.as_array()?.iter().map(from_json).collect::<Option<_>>()?;
        let proof = MerkleProof { proofs }.encode_to_vec();
        let (root, store, key) =
            (fixed(changed, "app_hash")?, bytes(changed.get("store"))?, bytes(changed.get("key"))?);
        Some(match value {
            Some(_) => multistore::verify_membership(&root, &store, &key, &bytes(changed.get("value"))?, &proof),
            None => multistore::verify_absence(&root, &store, &key, &proof),
        })
    });
}

#[test]
fn each_changed_part_of_a_proof_in_a_cosmos_chains_stores_is_named() {
    let (mut present, mut absent) = (Outcomes::default(), Outcomes::default());
    if let Some((root, store, key, value, proof)) = recorded() {
        let proofs = MerkleProof::decode(proof.as_slice()).unwrap().proofs;
        stores(&mut present, root, (store.as_slice(), key.as_slice(), Some(value.as_slice())), &proofs);
    }
    for (name, case) in vectors("ics23-jmt/ics23/iavl", 4) {
        let field = |name: &str| unhex(case[name].as_str().unwrap());
        let (app_hash, outer) = above(&field("root"));
        let proofs = [CommitmentProof::decode(field("proof").as_slice()).unwrap(), outer];
        let (key, value) = (field("key"), field("value"));
        if name.starts_with("exist") {
            stores(&mut present, app_hash, (b"ibc", key.as_slice(), Some(value.as_slice())), &proofs);
        } else {
            stores(&mut absent, app_hash, (b"ibc", key.as_slice(), None), &proofs);
        }
    }
    present.check(include_str!("tables/multistore_present.txt"));
    absent.check(include_str!("tables/multistore_absent.txt"));
}
