//! The `tendermint` client: headers and ed25519 commits of a CometBFT chain, adjacent or skipping, by
//! `tendermint-light-client-verifier` (CometBFT specification, light client). Packets are proven by
//! ICS-23 against the app hash, from where the chain keeps them: [`PacketStore`].
//!
//! [`verify_update`] is one step. [`bisect`] finds the steps that lead to a far header; [`Bisection`] plans them for
//! who has to fetch headers asynchronously.

mod bisection;
mod codec;
mod commit;
mod misbehaviour;
mod state;
mod store;
mod verify;

pub use bisection::{Bisection, BisectionError, LightBlock, Step, bisect};
pub use codec::{CodecError, MAX_HEADER_BYTES, MAX_VALIDATORS};
pub use misbehaviour::{check_conflict, check_misbehaviour, verify_evidence};
pub use state::{ClientState, ConsensusState, Header, Latest, TrustLevel, TrustLevelError};
pub use store::{MAX_PREFIX_LEN, MerklePrefix, MerklePrefixError, PacketStore, StoreError};
pub use verify::{TendermintError, anchor, verify_update};
