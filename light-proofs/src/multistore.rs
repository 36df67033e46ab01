//! Proofs in the state of a chain built with the Cosmos SDK: an IAVL tree per store, and a simple Merkle tree over the
//! stores' roots (ICS-23, with its IAVL and Tendermint specifications). With the `tendermint` client this proves
//! packets of any IBC chain.

use ics23::commitment_proof::Proof;
use ics23::{
    CommitmentProof, ExistenceProof, HostFunctionsManager, ProofSpec, calculate_existence_root, iavl_spec,
    tendermint_spec,
};
use prost::Message;

/// Most bytes of an encoded proof.
pub const MAX_PROOF_LEN: usize = 64 * 1024;
/// Most steps of a path: far above the depth of any tree that fits a chain.
const MAX_DEPTH: usize = 128;

/// Why a proof does not prove what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MultistoreError {
    /// Longer than [`MAX_PROOF_LEN`].
    #[error("a proof of {0} bytes is longer than {MAX_PROOF_LEN}")]
    TooLong(usize),
    /// Not an encoded `ibc.core.commitment.v1.MerkleProof` of two steps.
    #[error("the bytes are not a MerkleProof of a store and its place among the stores")]
    Decode,
    /// A proof of the other kind, or a batch or compressed one, which are not used.
    #[error("the {0} proof is of another kind than asked for")]
    WrongKind(&'static str),
    /// A path is longer than any tree is deep.
    #[error("a path of {0} steps is longer than {MAX_DEPTH}")]
    TooDeep(usize),
    /// The proof is about another key of the store.
    #[error("the proof is about another key")]
    OtherKey,
    /// The proof is about another value.
    #[error("the proof is about another value")]
    OtherValue,
    /// The proof is about another store.
    #[error("the proof is about another store")]
    OtherStore,
    /// The store's tree does not show it.
    #[error("the store's tree does not show what is asked")]
    Store,
    /// The store's root is not the one under the app hash.
    #[error("the store's root is not under the app hash")]
    Root,
}

/// `ibc.core.commitment.v1.MerkleProof`: from the store's tree up.
#[derive(Clone, PartialEq, Message)]
struct MerkleProof {
    #[prost(message, repeated, tag = "1")]
    proofs: Vec<CommitmentProof>,
}

/// Proves that `value` stands under `key` in the store of this name, in the state with this app hash.
pub fn verify_membership(
    app_hash: &[u8; 32],
    store: &[u8],
    key: &[u8],
    value: &[u8],
    proof: &[u8],
) -> Result<(), MultistoreError> {
    let (inner, outer) = decode(proof)?;
    let Some(Proof::Exist(exist)) = &inner.proof else { return Err(MultistoreError::WrongKind("store's")) };
    if exist.key != key {
        return Err(MultistoreError::OtherKey);
    }
    if exist.value != value {
        return Err(MultistoreError::OtherValue);
    }
    let root = root_of(exist)?;
    if !ics23::verify_membership::<HostFunctionsManager>(&inner, &iavl_spec(), &root, key, value) {
        return Err(MultistoreError::Store);
    }
    verify_store(app_hash, store, &root, &outer)
}

/// Proves that nothing stands under `key` in the store of this name, in the state with this app hash.
pub fn verify_absence(app_hash: &[u8; 32], store: &[u8], key: &[u8], proof: &[u8]) -> Result<(), MultistoreError> {
    let (inner, outer) = decode(proof)?;
    let Some(Proof::Nonexist(absent)) = &inner.proof else { return Err(MultistoreError::WrongKind("store's")) };
    if absent.key != key {
        return Err(MultistoreError::OtherKey);
    }
    for neighbour in absent.left.iter().chain(&absent.right) {
        check_depth(neighbour)?;
    }
    let neighbour = absent.left.as_ref().or(absent.right.as_ref()).ok_or(MultistoreError::Store)?;
    let root = root_of(neighbour)?;
    if !ics23::verify_non_membership::<HostFunctionsManager>(&inner, &iavl_spec(), &root, key) {
        return Err(MultistoreError::Store);
    }
    verify_store(app_hash, store, &root, &outer)
}

/// The store's root stands under its name in the tree of stores.
fn verify_store(
    app_hash: &[u8; 32],
    store: &[u8],
    root: &[u8],
    outer: &CommitmentProof,
) -> Result<(), MultistoreError> {
    let Some(Proof::Exist(exist)) = &outer.proof else { return Err(MultistoreError::WrongKind("stores'")) };
    if exist.key != store {
        return Err(MultistoreError::OtherStore);
    }
    check_depth(exist)?;
    let spec: ProofSpec = tendermint_spec();
    if ics23::verify_membership::<HostFunctionsManager>(outer, &spec, &app_hash.to_vec(), store, root) {
        Ok(())
    } else {
        Err(MultistoreError::Root)
    }
}

fn decode(bytes: &[u8]) -> Result<(CommitmentProof, CommitmentProof), MultistoreError> {
    if bytes.len() > MAX_PROOF_LEN {
        return Err(MultistoreError::TooLong(bytes.len()));
    }
    let decoded = MerkleProof::decode(bytes).map_err(|_| MultistoreError::Decode)?;
    let two: [CommitmentProof; 2] = decoded.proofs.try_into().map_err(|_| MultistoreError::Decode)?;
    Ok(two.into())
}

fn root_of(exist: &ExistenceProof) -> Result<Vec<u8>, MultistoreError> {
    check_depth(exist)?;
    calculate_existence_root::<HostFunctionsManager>(exist).map_err(|_| MultistoreError::Store)
}

const fn check_depth(exist: &ExistenceProof) -> Result<(), MultistoreError> {
    if exist.path.len() > MAX_DEPTH { Err(MultistoreError::TooDeep(exist.path.len())) } else { Ok(()) }
}
