//! The plain form of a proof: sibling hashes along the path of one key.
//!
//! The path of a key is the bits of `sha256(key)`, the highest first, from the root down. Siblings are
//! listed **from the bottom up**: the first stands beside the leaf (or the empty place), the last
//! beside a child of the root. With `n` siblings, the one at `i` is a left child iff bit `n - 1 - i`
//! of the path is 1.

use crosspoint_protocol::sha256;
use ics23::{ExistenceProof, NonExistenceProof};
use serde::{Deserialize, Serialize};

use super::ics23_proof::{JmtError, decode_existence, decode_nonexistence, neighbours};
use crate::serde_hex;

/// What stands for an empty subtree.
pub const PLACEHOLDER: [u8; 32] = *b"SPARSE_MERKLE_PLACEHOLDER_HASH__";
/// Most siblings: one per bit of a path.
pub const MAX_SIBLINGS: usize = 256;
pub(super) const LEAF_PREFIX: &[u8] = b"JMT::LeafNode";
pub(super) const INNER_PREFIX: &[u8] = b"JMT::IntrnalNode";

/// The hash of a leaf, given the SHA-256 of its key and of its value.
#[must_use]
pub fn leaf_hash(key_hash: &[u8; 32], value_hash: &[u8; 32]) -> [u8; 32] {
    sha256(&[LEAF_PREFIX, key_hash, value_hash])
}

/// The hash of an inner node.
#[must_use]
pub fn inner_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[INNER_PREFIX, left, right])
}

/// The leaf that stands where an absent key's path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherLeaf {
    /// The SHA-256 of its key, which shares the path's bits.
    #[serde(with = "serde_hex::array")]
    pub key_hash: [u8; 32],
    /// The SHA-256 of its value.
    #[serde(with = "serde_hex::array")]
    pub value_hash: [u8; 32],
}

/// The siblings along one path, and for absence what stands at its end. The same content as crate
/// `jmt`'s `SparseMerkleProof`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Siblings {
    /// From the bottom up; empty subtrees as [`PLACEHOLDER`].
    #[serde(with = "serde_hex::arrays")]
    pub siblings: Vec<[u8; 32]>,
    /// Absence only: the one leaf in the subtree where the key would be; `None` if that is empty.
    pub other: Option<OtherLeaf>,
}

impl Siblings {
    /// The siblings of a key, from an encoded ICS-23 existence proof. Checks the form, not the root.
    pub fn membership(proof: &[u8]) -> Result<Self, JmtError> {
        let (_, exist) = decode_existence(proof)?;
        Ok(Self { siblings: siblings_of(&exist)?, other: None })
    }

    /// The path of an absent key, from an encoded ICS-23 non-existence proof. Checks the form and
    /// that the neighbours leave the key's place free, not the root.
    ///
    /// The neighbour that shares more bits with the key shares the path down to where they part.
    /// If it is the leaf there, it is the [`OtherLeaf`]; if it stands deeper, the key's own place
    /// beside its subtree is empty.
    pub fn absence(proof: &[u8]) -> Result<Self, JmtError> {
        let (_, non) = decode_nonexistence(proof)?;
        let path = sha256(&[&non.key]);
        let (shared, neighbour) = nearest(&non, &path)?;
        if shared == MAX_SIBLINGS {
            return Err(JmtError::Present);
        }
        let siblings = siblings_of(neighbour)?;
        let (key_hash, value_hash) = (sha256(&[&neighbour.key]), sha256(&[&neighbour.value]));
        if siblings.len() <= shared {
            return Ok(Self { siblings, other: Some(OtherLeaf { key_hash, value_hash }) });
        }
        // The neighbour's subtree below the fork is the first sibling of the key's empty place.
        let below = siblings.len().saturating_sub(shared).saturating_sub(1);
        let (deep, rest) = siblings.split_at_checked(below).ok_or(JmtError::NotAdjacent)?;
        let Some((at_fork, up)) = rest.split_first() else { return Err(JmtError::NotAdjacent) };
        if *at_fork != PLACEHOLDER {
            return Err(JmtError::NotAdjacent);
        }
        let subtree = climb(leaf_hash(&key_hash, &value_hash), deep, &key_hash, siblings.len());
        Ok(Self { siblings: [&[subtree], up].concat(), other: None })
    }

    /// The siblings' bytes one after another, as the Solidity client takes them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.siblings.as_flattened().to_vec()
    }

    /// Proves that `value` stands under `key` in the tree with this root.
    pub fn verify_membership(&self, root: &[u8; 32], key: &[u8], value: &[u8]) -> Result<(), JmtError> {
        if self.other.is_some() {
            return Err(JmtError::WrongKind { expected: "existence" });
        }
        let path = sha256(&[key]);
        self.verify(root, &path, leaf_hash(&path, &sha256(&[value])))
    }

    /// Proves that nothing stands under `key` in the tree with this root.
    pub fn verify_absence(&self, root: &[u8; 32], key: &[u8]) -> Result<(), JmtError> {
        let path = sha256(&[key]);
        let end = match &self.other {
            None => PLACEHOLDER,
            Some(other) if other.key_hash == path => return Err(JmtError::Present),
            Some(other) => {
                let (shared, needed) = (common_bits(&path, &other.key_hash), self.siblings.len());
                if shared < needed {
                    return Err(JmtError::NotOnPath { shared, needed });
                }
                leaf_hash(&other.key_hash, &other.value_hash)
            }
        };
        self.verify(root, &path, end)
    }

    fn verify(&self, root: &[u8; 32], path: &[u8; 32], end: [u8; 32]) -> Result<(), JmtError> {
        if self.siblings.len() > MAX_SIBLINGS {
            return Err(JmtError::TooDeep(self.siblings.len()));
        }
        if climb(end, &self.siblings, path, self.siblings.len()) == *root {
            Ok(())
        } else {
            Err(JmtError::RootMismatch)
        }
    }
}

/// Hashes upward from a node at `depth` on `path`, past these siblings.
fn climb(node: [u8; 32], siblings: &[[u8; 32]], path: &[u8; 32], depth: usize) -> [u8; 32] {
    siblings.iter().zip((0..depth).rev()).fold(node, |node, (sibling, bit)| {
        if bit_at(path, bit) { inner_hash(sibling, &node) } else { inner_hash(&node, sibling) }
    })
}

/// Bit `index` of a path, 0 the highest.
fn bit_at(path: &[u8; 32], index: usize) -> bool {
    let byte = path.get(index >> 3).copied().unwrap_or_default();
    byte & (0x80 >> (index & 7)) != 0
}

/// How many of their highest bits two paths share.
fn common_bits(a: &[u8; 32], b: &[u8; 32]) -> usize {
    (0..MAX_SIBLINGS).take_while(|bit| bit_at(a, *bit) == bit_at(b, *bit)).count()
}

/// The siblings of an existence proof's steps, if each stands on the side that the key's bits say.
fn siblings_of(exist: &ExistenceProof) -> Result<Vec<[u8; 32]>, JmtError> {
    let path = sha256(&[&exist.key]);
    let steps = exist.path.iter().zip((0..exist.path.len()).rev()).enumerate();
    steps
        .map(|(index, (step, bit))| {
            let left = step.prefix.strip_prefix(INNER_PREFIX).ok_or(JmtError::Shape(index))?;
            let sibling = if bit_at(&path, bit) { left } else { &step.suffix };
            sibling.try_into().map_err(|_| JmtError::Shape(index))
        })
        .collect()
}

/// The form in which the Solidity client takes absence: a leaf of the tree that stands where the key
/// would be, or whose own path passes beside the empty place where the key would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearestLeaf {
    /// The leaf.
    pub leaf: OtherLeaf,
    /// The siblings of the leaf's own path, from the bottom up.
    #[serde(with = "serde_hex::arrays")]
    pub siblings: Vec<[u8; 32]>,
}

impl NearestLeaf {
    /// From an encoded ICS-23 non-existence proof: the neighbour that shares more bits with the key.
    /// Checks the form and that the key's place is free, not the root.
    pub fn from_ics23(proof: &[u8]) -> Result<Self, JmtError> {
        let (_, non) = decode_nonexistence(proof)?;
        let path = sha256(&[&non.key]);
        let (_, neighbour) = nearest(&non, &path)?;
        let leaf = OtherLeaf { key_hash: sha256(&[&neighbour.key]), value_hash: sha256(&[&neighbour.value]) };
        let nearest = Self { leaf, siblings: siblings_of(neighbour)? };
        nearest.check_free(&path)?;
        Ok(nearest)
    }

    /// Proves that nothing stands under `key` in the tree with this root.
    pub fn verify_absence(&self, root: &[u8; 32], key: &[u8]) -> Result<(), JmtError> {
        self.check_free(&sha256(&[key]))?;
        if self.siblings.len() > MAX_SIBLINGS {
            return Err(JmtError::TooDeep(self.siblings.len()));
        }
        let OtherLeaf { key_hash, value_hash } = &self.leaf;
        let found = climb(leaf_hash(key_hash, value_hash), &self.siblings, key_hash, self.siblings.len());
        if found == *root { Ok(()) } else { Err(JmtError::RootMismatch) }
    }

    /// `keyHash ‖ sha256(value) ‖ siblings`, as the Solidity client takes it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.leaf.key_hash.as_slice(), &self.leaf.value_hash, self.siblings.as_flattened()].concat()
    }

    /// Absent iff the leaf is the only one in the subtree where the key would be, or the sibling on
    /// the key's side where the two paths part is empty.
    fn check_free(&self, path: &[u8; 32]) -> Result<(), JmtError> {
        let (shared, depth) = (common_bits(path, &self.leaf.key_hash), self.siblings.len());
        if shared == MAX_SIBLINGS {
            return Err(JmtError::Present);
        }
        if shared >= depth {
            return Ok(());
        }
        let at_fork = depth.saturating_sub(1).saturating_sub(shared);
        if self.siblings.get(at_fork) == Some(&PLACEHOLDER) { Ok(()) } else { Err(JmtError::NotAdjacent) }
    }
}

/// The neighbour that shares more of its highest bits with the path, and how many.
fn nearest<'a>(non: &'a NonExistenceProof, path: &[u8; 32]) -> Result<(usize, &'a ExistenceProof), JmtError> {
    neighbours(non)
        .map(|neighbour| (common_bits(path, &sha256(&[&neighbour.key])), neighbour))
        .max_by_key(|(shared, _)| *shared)
        .ok_or(JmtError::NoNeighbour)
}
