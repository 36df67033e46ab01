//! The `checkpoint` client: statements about a native chain's headers, signed by its validators with
//! secp256k1 *bridge keys*, cheap to check on EVM (`docs/protocol.md`, Checkpoints).
//!
//! The Solidity client is the one that decides; this is its twin, for the chain that makes
//! checkpoints, for relayers that check before they pay, and for auditors.

mod binding;
mod set;
mod statement;
mod verify;

pub use binding::{BindingError, KeyBinding};
pub use set::{BridgeSet, BridgeValidator, MAX_VALIDATORS, SetError};
pub use statement::{Checkpoint, SignedCheckpoint};
pub use verify::{
    CheckpointError, ClientState, Latest, MAX_CLOCK_DRIFT, Side, check_conflict, check_misbehaviour, verify_update,
};

pub use crate::signature::SigningKey;
