//! The `qbft` client: headers of a consortium EVM chain whose validators seal each block, by QBFT, IBFT 2.0 or IBFT 1
//! (Enterprise Ethereum Alliance, QBFT Blockchain Protocol Specification v1; EIP-650 for IBFT 1). Then EIP-1186 proofs
//! of the gateway contract's storage, as for an `attested` client.
//!
//! A header names the set that sealed it, and seals do not name the chain. So a client trusts a set at a height, and a
//! header beyond it only if more than a third of that set, by count, sealed it too: then one honest validator of the
//! trusted set vouches for the new one. Validators must not use their keys on another chain.

mod codec;
mod extra;
mod header;
mod state;
mod verify;

pub use codec::{CodecError, MAX_HEADER_BYTES};
pub use extra::{Encoding, ExtraData, ExtraError, MAX_VALIDATORS};
pub use header::{MAX_HEADER_RLP, SealedHeader, SealedHeaderError};
pub use state::{ClientState, ConsensusState, Header, Latest, Validators, ValidatorsError};
pub use verify::{QbftError, anchor, check_conflict, check_misbehaviour, verify_update};
