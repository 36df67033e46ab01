//! `crosspoint localnet` and `crosspoint node` as people run them: real CometBFT nodes, killed, wiped and restarted.
#![cfg(unix)]
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

mod crash;
mod network;

#[path = "../service/process.rs"]
mod process;
mod refusals;
mod support;
