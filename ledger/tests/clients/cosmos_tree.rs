//! The state of a Cosmos SDK chain: an IAVL tree per store, a simple Merkle tree over their roots, and ICS-23 proofs in
//! them. What the SDK itself commits to and proves for the same writes is in `cosmos_store/`.

use crosspoint_protocol::sha256;
use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, ExistenceProof, InnerOp, LeafOp, NonExistenceProof};
use prost::Message;
use prost::encoding::encode_varint;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// `ibc.core.commitment.v1.MerkleProof`.
#[derive(Clone, PartialEq, Message)]
pub struct MerkleProof {
    #[prost(message, repeated, tag = "1")]
    pub proofs: Vec<CommitmentProof>,
}

/// A length, then the bytes.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    encode_varint(bytes.len() as u64, &mut out);
    [out.as_slice(), bytes].concat()
}

/// A node of an IAVL tree. An inner node's key is the smallest one on its right.
struct Node {
    key: Vec<u8>,
    height: u64,
    size: u64,
    version: u64,
    kind: Kind,
}

enum Kind {
    Leaf(Vec<u8>),
    Inner(Box<Node>, Box<Node>),
}

impl Node {
    fn leaf(key: Vec<u8>, value: Vec<u8>, version: u64) -> Self {
        Self { key, height: 0, size: 1, version, kind: Kind::Leaf(value) }
    }

    fn inner(key: Vec<u8>, left: Self, right: Self, version: u64) -> Self {
        let height = left.height.max(right.height) + 1;
        let size = left.size + right.size;
        Self { key, height, size, version, kind: Kind::Inner(left.into(), right.into()) }
    }

    fn set(self, key: Vec<u8>, value: Vec<u8>, version: u64) -> Self {
        match self.kind {
            Kind::Leaf(_) => match key.cmp(&self.key) {
                Ordering::Less => Self::inner(self.key.clone(), Self::leaf(key, value, version), self, version),
                Ordering::Equal => Self::leaf(key, value, version),
                Ordering::Greater => Self::inner(key.clone(), self, Self::leaf(key, value, version), version),
            },
            Kind::Inner(left, right) if key < self.key => {
                Self::balanced(self.key, left.set(key, value, version), *right, version)
            }
            Kind::Inner(left, right) => Self::balanced(self.key, *left, right.set(key, value, version), version),
        }
    }

    /// An inner node whose sides differ in height by at most one, if those given differ by at most two.
    fn balanced(key: Vec<u8>, left: Self, right: Self, version: u64) -> Self {
        if left.height > right.height + 1 {
            let left = if left.leans_right() { left.rotated_left(version) } else { left };
            Self::inner(key, left, right, version).rotated_right(version)
        } else if right.height > left.height + 1 {
            let right = if right.leans_left() { right.rotated_right(version) } else { right };
            Self::inner(key, left, right, version).rotated_left(version)
        } else {
            Self::inner(key, left, right, version)
        }
    }

    fn leans_right(&self) -> bool {
        matches!(&self.kind, Kind::Inner(left, right) if right.height > left.height)
    }

    fn leans_left(&self) -> bool {
        matches!(&self.kind, Kind::Inner(left, right) if left.height > right.height)
    }

    fn into_sides(self) -> (Vec<u8>, Self, Self) {
        let Kind::Inner(left, right) = self.kind else { panic!("a leaf has no sides") };
        (self.key, *left, *right)
    }

    fn rotated_right(self, version: u64) -> Self {
        let (key, left, right) = self.into_sides();
        let (above, outer, middle) = left.into_sides();
        Self::inner(above, outer, Self::inner(key, middle, right, version), version)
    }

    fn rotated_left(self, version: u64) -> Self {
        let (key, left, right) = self.into_sides();
        let (above, middle, outer) = right.into_sides();
        Self::inner(above, Self::inner(key, left, middle, version), outer, version)
    }

    /// Height, size and version as signed varints: what hashing a node begins with.
    fn head(&self) -> Vec<u8> {
        let mut out = vec![];
        for number in [self.height, self.size, self.version] {
            encode_varint(number << 1, &mut out);
        }
        out
    }

    fn hash(&self) -> [u8; 32] {
        match &self.kind {
            Kind::Leaf(value) => sha256(&[&self.head(), &sized(&self.key), &sized(&sha256(&[value]))]),
            Kind::Inner(left, right) => sha256(&[&self.head(), &sized(&left.hash()), &sized(&right.hash())]),
        }
    }

    fn keys(&self) -> Vec<Vec<u8>> {
        match &self.kind {
            Kind::Leaf(_) => vec![self.key.clone()],
            Kind::Inner(left, right) => [left.keys(), right.keys()].concat(),
        }
    }

    /// That the key is there; it must be.
    fn exist(&self, key: &[u8]) -> ExistenceProof {
        let (below, step) = match &self.kind {
            Kind::Leaf(value) => {
                assert_eq!(self.key, key);
                let leaf = LeafOp { prefix: self.head(), ..ics23::iavl_spec().leaf_spec.unwrap() };
                return ExistenceProof { key: key.into(), value: value.clone(), leaf: Some(leaf), path: vec![] };
            }
            Kind::Inner(left, right) if key < self.key.as_slice() => {
                (left, InnerOp { hash: 1, prefix: [self.head(), vec![32]].concat(), suffix: sized(&right.hash()) })
            }
            Kind::Inner(left, right) => {
                let prefix = [self.head(), sized(&left.hash()), vec![32]].concat();
                (right, InnerOp { hash: 1, prefix, suffix: vec![] })
            }
        };
        let mut proof = below.exist(key);
        proof.path.push(step);
        proof
    }

    fn prove(&self, key: &[u8]) -> Proof {
        let keys = self.keys();
        let at = keys.partition_point(|known| known.as_slice() < key);
        if keys.get(at).is_some_and(|known| known == key) {
            return Proof::Exist(self.exist(key));
        }
        let left = at.checked_sub(1).map(|before| self.exist(&keys[before]));
        let right = keys.get(at).map(|after| self.exist(after));
        Proof::Nonexist(NonExistenceProof { key: key.into(), left, right })
    }
}

/// The root of a simple Merkle tree (that of RFC 6962).
fn simple_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = split(leaves);
            sha256(&[&[1], &simple_root(left), &simple_root(right)])
        }
    }
}

fn simple_path(leaves: &[[u8; 32]], at: usize) -> Vec<InnerOp> {
    if leaves.len() == 1 {
        return vec![];
    }
    let (left, right) = split(leaves);
    let (mut path, prefix, suffix) = match at.checked_sub(left.len()) {
        None => (simple_path(left, at), vec![1], simple_root(right).to_vec()),
        Some(at) => (simple_path(right, at), [vec![1], simple_root(left).to_vec()].concat(), vec![]),
    };
    path.push(InnerOp { hash: 1, prefix, suffix });
    path
}

/// The left side has the largest power of two that is less than all.
fn split(leaves: &[[u8; 32]]) -> (&[[u8; 32]], &[[u8; 32]]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

/// All stores of a chain. A block's writes get the number of the block.
pub struct Multistore {
    stores: BTreeMap<String, Option<Node>>,
    committed: u64,
}

impl Multistore {
    pub fn new(names: &[&str]) -> Self {
        Self { stores: names.iter().map(|name| (name.to_string(), None)).collect(), committed: 0 }
    }

    pub fn set(&mut self, store: &str, key: Vec<u8>, value: Vec<u8>) {
        let (tree, version) = (self.stores.get_mut(store).unwrap(), self.committed + 1);
        *tree = Some(match tree.take() {
            Some(root) => root.set(key, value, version),
            None => Node::leaf(key, value, version),
        });
    }

    pub fn commit(&mut self) -> [u8; 32] {
        self.committed += 1;
        simple_root(&self.leaves())
    }

    fn root(tree: Option<&Node>) -> [u8; 32] {
        tree.map_or_else(|| sha256(&[]), Node::hash)
    }

    fn leaves(&self) -> Vec<[u8; 32]> {
        let leaf = |(name, tree): (&String, &Option<Node>)| {
            sha256(&[&[0], &sized(name.as_bytes()), &sized(&sha256(&[&Self::root(tree.as_ref())]))])
        };
        self.stores.iter().map(leaf).collect()
    }

    /// What the state shows of a key: the value there, or that there is none.
    pub fn proof(&self, store: &str, key: &[u8]) -> Vec<u8> {
        let at = self.stores.keys().position(|name| name == store).unwrap();
        let tree = self.stores[store].as_ref().unwrap();
        let place = ExistenceProof {
            key: store.into(),
            value: tree.hash().into(),
            leaf: ics23::tendermint_spec().leaf_spec,
            path: simple_path(&self.leaves(), at),
        };
        let proofs = [tree.prove(key), Proof::Exist(place)].map(|proof| CommitmentProof { proof: Some(proof) });
        MerkleProof { proofs: proofs.into() }.encode_to_vec()
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn roots_and_proofs_are_those_of_the_cosmos_sdk() {
    let recorded: Value = serde_json::from_str(include_str!("cosmos_store/store.json")).unwrap();
    let names: Vec<&str> = recorded["stores"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let mut multi = Multistore::new(&names);
    let mut proven = 0;
    for (at, version) in recorded["versions"].as_array().unwrap().iter().enumerate() {
        for write in version["writes"].as_array().unwrap() {
            multi.set(write["store"].as_str().unwrap(), bytes(&write["key"]), bytes(&write["value"]));
        }
        assert_eq!(multi.commit().to_vec(), bytes(&version["app_hash"]), "version {}", at + 1);
        for proof in version["proofs"].as_array().unwrap() {
            let (store, key) = (proof["store"].as_str().unwrap(), bytes(&proof["key"]));
            assert_eq!(multi.proof(store, &key), bytes(&proof["proof"]), "version {}, {proof}", at + 1);
            proven += 1;
        }
    }
    assert_eq!(proven, 12);
}
