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
mod attested_world;
mod batch;
mod beacon;
mod beacon_chain;
mod beacon_forks;
mod bisection;
mod chain;
mod checkpoint;
mod checkpoint_world;
mod evidence;
mod evidence_case;
mod evidence_sources;
mod hyperlane;
mod ics23_tables;
mod jmt;
mod jmt_tree;
mod mpt;
mod mpt_differential;
mod multistore;
mod mutation;
mod qbft;
mod rotation;
mod sealed_chain;
mod snowbridge;
mod support;
mod sync_committee;
mod sync_evidence;
mod tendermint;
mod tendermint_vectors;
mod trie;
mod wormhole;
