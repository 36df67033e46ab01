//! What each client believes and what it refuses, against known answers of other implementations
//! (`CROSSPOINT_VECTORS`, by default `../../shared/vectors` from the crate) and our own chains.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

mod attested;
mod beacon;
mod chain;
mod checkpoint;
mod hyperlane;
mod jmt;
mod jmt_tree;
mod mpt;
mod multistore;
mod qbft;
mod support;
mod sync_committee;
mod tendermint;
mod tendermint_vectors;
mod trie;
mod wormhole;
