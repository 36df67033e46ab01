//! The `attested` client: m-of-n statements about the finalized headers of an EVM chain, then EIP-1186
//! proofs of the gateway contract's storage (`docs/protocol.md`, Attestations and EVM storage).

mod codec;
mod rotation;
mod set;
mod statement;
mod verify;

pub use codec::{
    CodecError, MAX_HEADER_BYTES, MAX_PROOF_BYTES, MAX_ROTATION_BYTES, Update, decode_nodes, encode_nodes,
};
pub use rotation::{Rotation, SignedRotation, verify_rotation};
pub use set::{Attestors, AttestorsError, MAX_ATTESTORS, MAX_PAST, PastAttestors};
pub use statement::{Header, Statement};
pub use verify::{
    AttestedError, ClientState, ConsensusState, Latest, MAX_CLOCK_DRIFT, check_conflict, check_misbehaviour,
    verify_update,
};

pub use crate::signature::SigningKey;
