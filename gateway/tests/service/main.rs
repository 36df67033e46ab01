//! The `crosspoint` binary as people run it: child processes, settings files, signals, against real chains.
//! The test process holds the chains; services, attestors and commands are processes of their own.
#![cfg(unix)]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr
)]

mod attestors;
#[path = "../../../light-proofs/tests/proofs/beacon_chain.rs"]
mod beacon_chain;
mod config;
mod crashes;
mod demo;
mod deploy;
mod evidence;
mod http;
mod keys;
#[path = "../../../adapters/tests/source_support/nodes.rs"]
mod nodes;
mod process;
mod routes;
#[path = "../../../light-proofs/tests/proofs/sealed_chain.rs"]
mod sealed_chain;
#[path = "../../../adapters/tests/source_support/seals.rs"]
mod seals;
mod sources;
mod stand;
#[allow(dead_code)]
#[path = "../../../light-proofs/tests/proofs/support.rs"]
mod support;
mod transfers;
