//! End to end over real chains: the native ledger, anvil, attestors, the contracts, the relayer, real proofs.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod batches;
mod controls;
mod crashes;
mod happy;
mod hostile;
mod lies;
mod pair;
mod refunds;
mod tokens;
