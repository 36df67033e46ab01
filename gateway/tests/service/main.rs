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
    clippy::arithmetic_side_effects
)]

mod attestors;
mod config;
mod crashes;
mod demo;
mod evidence;
mod http;
mod keys;
mod process;
mod stand;
mod transfers;
