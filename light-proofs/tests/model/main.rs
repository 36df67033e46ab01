//! The protocol, model-checked: every reachable state of small worlds, explored with stateright. The worlds run the
//! transitions of `crosspoint-protocol` and the clients of this crate, as the ledger and the relayer do; they add only
//! what a chain adds: clocks, accounts, and what is stored where. See `docs/models.md`.
//!
//! Each *mutant* swaps one rule (a field of [`rules::Rules`] or of the scenario's own model) for a wrong one; the test
//! names the property that must catch it.
//!
//! `CROSSPOINT_MODEL=deep` (`make model`) takes the larger bounds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod accounting;
mod check;
mod control;
mod evm_headers;
mod failing;
mod forward;
mod headers;
mod line;
mod linear;
mod malicious;
mod outbox;
mod reorganisation;
mod rules;
mod spec;
