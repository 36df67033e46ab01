//! The native permissioned chain: a points ledger.
//!
//! Start with [`app`]: the state machine that every engine drives. Then, in the order of a transaction's life:
//!
//! 1. [`tx`]: what a transaction is; [`address`]: who sends it.
//! 2. [`app`] decodes it, checks signature and nonce, and calls its handler.
//! 3. [`events`]: what it says happened; [`query`]: what can be asked afterwards.
//!
//! [`engine`] makes blocks of transactions and drives the application; [`rpc`] serves both to CometBFT clients.
//! [`handlers`] has one file per kind of message; [`state`] says where what they write is kept, and what the app hash covers.
//! [`genesis`] says what a chain starts from ([`demo`]: the demo's), [`code`] what a result's number means.

pub mod address;
mod answer;
pub mod app;
pub mod code;
pub mod demo;
pub mod engine;
pub mod events;
mod execute;
pub mod genesis;
pub mod handlers;
pub mod query;
pub mod rpc;
pub mod state;
pub mod tx;

/// How far ahead of the next one a nonce may be to enter the mempool.
pub const MEMPOOL_NONCES: u64 = 10_000;
