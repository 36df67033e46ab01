//! The ledger's clients of EVM chains that check consensus, and the rotation of attestors: packets proven, evidence,
//! new anchors. The chains are our own, and recorded ones (`CROSSPOINT_VECTORS`, by default `../../shared/vectors`
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
#[path = "../common/mod.rs"]
mod common;
mod ethereum_pos;
mod qbft;
mod rotation;
mod support;
