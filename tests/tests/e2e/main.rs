//! End to end over real chains: the native ledger, anvil, attestors, the contracts, the relayer, real proofs.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod bad_items;
mod batches;
mod controls;
mod crashes;
mod evidence;
mod forgeries;
mod freezes;
mod happy;
mod hub;
mod ledger_crash;
mod lies;
mod limits;
mod low_gas;
mod pair;
mod refunds;
mod replays;
mod seconds;
mod tokens;
mod witnesses;
