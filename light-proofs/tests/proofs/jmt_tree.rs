//! A Jellyfish Merkle Tree of crate `jmt`, in memory, to prove from.

use crosspoint_light_proofs::jmt::{OtherLeaf, PLACEHOLDER, Siblings, inner_hash, leaf_hash};
use jmt::storage::{HasPreimage, LeafNode, Node, NodeKey, TreeReader};
use jmt::{KeyHash, OwnedValue, Sha256Jmt, Version};
use prost::Message;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

#[derive(Default)]
struct Store {
    nodes: HashMap<NodeKey, Node>,
    values: HashMap<KeyHash, Vec<u8>>,
    preimages: HashMap<KeyHash, Vec<u8>>,
}

impl TreeReader for Store {
    fn get_node_option(&self, key: &NodeKey) -> ics23::Result<Option<Node>> {
        Ok(self.nodes.get(key).cloned())
    }
    fn get_value_option(&self, _: Version, key: KeyHash) -> ics23::Result<Option<OwnedValue>> {
        Ok(self.values.get(&key).cloned())
    }
    fn get_rightmost_leaf(&self) -> ics23::Result<Option<(NodeKey, LeafNode)>> {
        Ok(None)
    }
}

impl HasPreimage for Store {
    fn preimage(&self, key: KeyHash) -> ics23::Result<Option<Vec<u8>>> {
        Ok(self.preimages.get(&key).cloned())
    }
}

/// A tree over these items, written at version 0.
pub(crate) struct Tree {
    store: Store,
    pub(crate) root: [u8; 32],
}

impl Tree {
    pub(crate) fn new(items: &BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        let mut store = Store::default();
        let hash = |key: &Vec<u8>| KeyHash(crosspoint_protocol::sha256(&[key]));
        let set: Vec<_> = items.iter().map(|(key, value)| (hash(key), Some(value.clone()))).collect();
        let (root, batch) = Sha256Jmt::new(&store).put_value_set(set, 0).unwrap();
        store.nodes.extend(batch.node_batch.nodes().clone());
        store.values.extend(items.iter().map(|(key, value)| (hash(key), value.clone())));
        store.preimages.extend(items.keys().map(|key| (hash(key), key.clone())));
        Self { store, root: root.0 }
    }

    /// The encoded ICS-23 proof of a key, present or absent.
    pub(crate) fn ics23(&self, key: &[u8]) -> Vec<u8> {
        Sha256Jmt::new(&self.store).get_with_ics23_proof(key.to_vec(), 0).unwrap().1.encode_to_vec()
    }

    /// The tree's own proof of a key in our form, and whether the tree's own verifier takes it.
    pub(crate) fn sparse(&self, key: &[u8]) -> Siblings {
        let hash = KeyHash(crosspoint_protocol::sha256(&[key]));
        let (value, proof) = Sha256Jmt::new(&self.store).get_with_proof(hash, 0).unwrap();
        proof.verify(jmt::RootHash(self.root), hash, value.clone()).unwrap();
        let json = serde_json::to_value(&proof).unwrap();
        let siblings = json["siblings"].as_array().unwrap().iter().map(node_hash).collect();
        let leaf = &json["leaf"];
        let other = (value.is_none() && !leaf.is_null())
            .then(|| OtherLeaf { key_hash: bytes(&leaf["key_hash"]), value_hash: bytes(&leaf["value_hash"]) });
        Siblings { siblings, other }
    }
}

fn bytes(value: &Value) -> [u8; 32] {
    serde_json::from_value(value.clone()).unwrap()
}

fn node_hash(node: &Value) -> [u8; 32] {
    if let Some(inner) = node.get("Internal") {
        inner_hash(&bytes(&inner["left_child"]), &bytes(&inner["right_child"]))
    } else if let Some(leaf) = node.get("Leaf") {
        leaf_hash(&bytes(&leaf["key_hash"]), &bytes(&leaf["value_hash"]))
    } else {
        assert_eq!(node, "Null");
        PLACEHOLDER
    }
}
