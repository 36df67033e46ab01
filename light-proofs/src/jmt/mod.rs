//! Proofs in the native chain's provable store, a Jellyfish Merkle Tree with SHA-256 (`docs/protocol.md`).
//!
//! Two forms. [`verify_membership`] and [`verify_absence`] take an encoded ICS-23 `CommitmentProof`, as
//! any IBC chain gives. [`Siblings`] is the plain form that the Solidity client takes: the sibling
//! hashes along one path, and for absence what stands at the end of it. [`Siblings::membership`] and
//! [`Siblings::absence`] make it from an ICS-23 proof; for absence it is half as long.

mod ics23_proof;
mod siblings;

pub use ics23_proof::{JmtError, MAX_PROOF_LEN, spec, verify_absence, verify_membership};
pub use siblings::{MAX_SIBLINGS, NearestLeaf, OtherLeaf, PLACEHOLDER, Siblings, inner_hash, leaf_hash};
