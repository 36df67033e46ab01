//! The `ethereum-pos` client: finalized headers of Ethereum by its sync committees (consensus specifications, Altair to
//! Fulu: light-client/sync-protocol), then EIP-1186 proofs of the gateway contract's storage.
//!
//! - [`Network`]: forks, sizes and clocks of one network.
//! - [`Store`]: the sync protocol of the specification, step by step, forced updates included.
//! - [`ClientState`] and [`verify_update`]: the same checks for a chain that keeps roots instead of committees, and
//!   believes finalized headers only.

mod bls;
mod client;
mod codec;
mod network;
mod root;
mod ssz;
mod store;
mod types;
mod update;

pub use client::{
    ClientState, ConsensusState, Header, Latest, PosError, anchor, check_conflict, check_misbehaviour,
    verify_committee, verify_update,
};
pub use codec::{CodecError, MAX_HEADER_BYTES};
pub use network::{Fork, Network, NetworkError, Preset};
pub use ssz::{MAX_UPDATE_BYTES, SszError};
pub use store::Store;
pub use types::{
    BeaconHeader, Bootstrap, ExecutionPayloadHeader, LightClientHeader, SyncAggregate, SyncCommittee, Update,
};
pub use update::SyncError;
