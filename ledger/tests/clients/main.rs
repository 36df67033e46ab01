//! The ledger's clients of EVM chains that check consensus and of IBC chains, and the rotation of attestors: packets
//! proven, evidence, new anchors. The chains are our own, and recorded ones (`CROSSPOINT_VECTORS`, by default `../../shared/vectors`
//! from the crate).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    unreachable_pub
)]

#[path = "../../../light-proofs/tests/proofs/beacon_chain.rs"]
mod beacon_chain;
#[path = "../../../light-proofs/tests/proofs/chain.rs"]
mod chain;
#[path = "../common/mod.rs"]
mod common;
mod cosmos_tree;
mod ethereum_pos;
mod multistore;
mod qbft;
mod rotation;
mod support;
