//! ICS-23 proofs with the JMT specification.

use ics23::commitment_proof::Proof;
use ics23::{CommitmentProof, ExistenceProof, HashOp, HostFunctionsManager, LengthOp, NonExistenceProof, ProofSpec};
use prost::Message;

use super::siblings::{INNER_PREFIX, LEAF_PREFIX, MAX_SIBLINGS, PLACEHOLDER};

/// Most bytes of an encoded proof. At a million keys a non-membership proof has about 2,500.
pub const MAX_PROOF_LEN: usize = 64 * 1024;
/// Most bytes of a key or a value inside a proof.
const MAX_ITEM_LEN: usize = 16 * 1024;

/// Why a proof does not prove what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JmtError {
    /// Longer than [`MAX_PROOF_LEN`].
    #[error("a proof of {0} bytes is longer than {MAX_PROOF_LEN}")]
    TooLong(usize),
    /// Not an encoded `CommitmentProof`.
    #[error("the bytes are not an ICS-23 CommitmentProof")]
    Decode,
    /// A proof of the other kind, or a batch or compressed one, which are not used.
    #[error("the proof is not a single {expected} proof")]
    WrongKind {
        /// The kind asked for.
        expected: &'static str,
    },
    /// The proof is about another key.
    #[error("the proof is about another key")]
    WrongKey,
    /// The proof is about another value.
    #[error("the proof is about another value")]
    WrongValue,
    /// A leaf or step is not one of a Jellyfish Merkle Tree with SHA-256.
    #[error("step {0} of the path is not one of a SHA-256 Jellyfish Merkle Tree")]
    Shape(usize),
    /// The leaf operation is not that of a Jellyfish Merkle Tree with SHA-256.
    #[error("the leaf operation is not that of a SHA-256 Jellyfish Merkle Tree")]
    Leaf,
    /// A path is longer than a key has bits.
    #[error("a path of {0} steps is longer than {MAX_SIBLINGS}")]
    TooDeep(usize),
    /// A key or value in the proof is too long.
    #[error("a key or value in the proof is longer than {MAX_ITEM_LEN} bytes")]
    ItemTooLong,
    /// Neither a left nor a right neighbour.
    #[error("the non-membership proof names no neighbour")]
    NoNeighbour,
    /// The key is in the tree.
    #[error("the key stands in the tree")]
    Present,
    /// The proof leads to another root.
    #[error("the proof does not lead to the root")]
    RootMismatch,
    /// The leaf at the end of the path is not where the absent key would be.
    #[error("the path leads to a leaf with which the key shares only {shared} of {needed} bits")]
    NotOnPath {
        /// The bits shared.
        shared: usize,
        /// The length of the path.
        needed: usize,
    },
    /// The neighbours do not enclose the key, or are not adjacent.
    #[error("the neighbours do not show that the key is absent")]
    NotAdjacent,
}

/// The ICS-23 specification of a Jellyfish Merkle Tree with SHA-256 (that of crate `jmt`).
#[must_use]
pub fn spec() -> ProofSpec {
    ProofSpec {
        leaf_spec: Some(leaf_op()),
        inner_spec: Some(ics23::InnerSpec {
            hash: HashOp::Sha256.into(),
            child_order: vec![0, 1],
            min_prefix_length: 16,
            max_prefix_length: 16,
            child_size: 32,
            empty_child: PLACEHOLDER.to_vec(),
        }),
        min_depth: 0,
        max_depth: 64,
        prehash_key_before_comparison: true,
    }
}

fn leaf_op() -> ics23::LeafOp {
    ics23::LeafOp {
        hash: HashOp::Sha256.into(),
        prehash_key: HashOp::Sha256.into(),
        prehash_value: HashOp::Sha256.into(),
        length: LengthOp::NoPrefix.into(),
        prefix: LEAF_PREFIX.to_vec(),
    }
}

/// Proves that `value` stands under `key` in the tree with this root. `proof` is an encoded ICS-23
/// `CommitmentProof` with one existence proof.
pub fn verify_membership(root: &[u8; 32], key: &[u8], value: &[u8], proof: &[u8]) -> Result<(), JmtError> {
    let (proof, exist) = decode_existence(proof)?;
    if exist.key != key {
        return Err(JmtError::WrongKey);
    }
    if exist.value != value {
        return Err(JmtError::WrongValue);
    }
    if ics23::verify_membership::<HostFunctionsManager>(&proof, &spec(), &root.to_vec(), key, value) {
        Ok(())
    } else {
        Err(JmtError::RootMismatch)
    }
}

/// Proves that nothing stands under `key` in the tree with this root. `proof` is an encoded ICS-23
/// `CommitmentProof` with one non-existence proof. An empty tree has no such proof.
pub fn verify_absence(root: &[u8; 32], key: &[u8], proof: &[u8]) -> Result<(), JmtError> {
    let (proof, non) = decode_nonexistence(proof)?;
    if non.key != key {
        return Err(JmtError::WrongKey);
    }
    if neighbours(&non).any(|neighbour| neighbour.key == key) {
        return Err(JmtError::Present);
    }
    for neighbour in neighbours(&non) {
        let alone = CommitmentProof { proof: Some(Proof::Exist(neighbour.clone())) };
        let (key, value) = (&neighbour.key, &neighbour.value);
        if !ics23::verify_membership::<HostFunctionsManager>(&alone, &spec(), &root.to_vec(), key, value) {
            return Err(JmtError::RootMismatch);
        }
    }
    if ics23::verify_non_membership::<HostFunctionsManager>(&proof, &spec(), &root.to_vec(), key) {
        Ok(())
    } else {
        Err(JmtError::NotAdjacent)
    }
}

pub(super) fn neighbours(proof: &NonExistenceProof) -> impl Iterator<Item = &ExistenceProof> {
    proof.left.iter().chain(&proof.right)
}

fn decode(bytes: &[u8]) -> Result<CommitmentProof, JmtError> {
    if bytes.len() > MAX_PROOF_LEN {
        return Err(JmtError::TooLong(bytes.len()));
    }
    CommitmentProof::decode(bytes).map_err(|_| JmtError::Decode)
}

pub(super) fn decode_existence(bytes: &[u8]) -> Result<(CommitmentProof, ExistenceProof), JmtError> {
    let proof = decode(bytes)?;
    let Some(Proof::Exist(exist)) = &proof.proof else {
        return Err(JmtError::WrongKind { expected: "existence" });
    };
    let exist = exist.clone();
    check_shape(&exist)?;
    Ok((proof, exist))
}

pub(super) fn decode_nonexistence(bytes: &[u8]) -> Result<(CommitmentProof, NonExistenceProof), JmtError> {
    let proof = decode(bytes)?;
    let Some(Proof::Nonexist(non)) = &proof.proof else {
        return Err(JmtError::WrongKind { expected: "non-existence" });
    };
    let non = non.clone();
    if non.left.is_none() && non.right.is_none() {
        return Err(JmtError::NoNeighbour);
    }
    neighbours(&non).try_for_each(check_shape)?;
    Ok((proof, non))
}

/// Whether leaf and steps are exactly those of this tree. Stricter than the specification, which
/// looks at the steps' lengths only.
fn check_shape(exist: &ExistenceProof) -> Result<(), JmtError> {
    if exist.key.len() > MAX_ITEM_LEN || exist.value.len() > MAX_ITEM_LEN {
        return Err(JmtError::ItemTooLong);
    }
    if exist.path.len() > MAX_SIBLINGS {
        return Err(JmtError::TooDeep(exist.path.len()));
    }
    if exist.leaf.as_ref() != Some(&leaf_op()) {
        return Err(JmtError::Leaf);
    }
    for (index, step) in exist.path.iter().enumerate() {
        let Some(left) = step.prefix.strip_prefix(INNER_PREFIX) else { return Err(JmtError::Shape(index)) };
        let one_sibling = matches!((left.len(), step.suffix.len()), (0, 32) | (32, 0));
        if !one_sibling || step.hash != i32::from(HashOp::Sha256) {
            return Err(JmtError::Shape(index));
        }
    }
    Ok(())
}
