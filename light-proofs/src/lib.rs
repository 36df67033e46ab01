//! Light clients and state proofs: verification only. No clock, no I/O, no randomness; `now` is an
//! argument. So the same code runs inside a replicated ledger, in a fuzzer, and offline over an
//! exported evidence file.

pub mod attested;
pub mod checkpoint;
pub mod jmt;
pub mod mpt;
pub mod serde_hex;
pub mod signature;
pub mod tendermint;
