//! Ethereum-compatible chains over JSON-RPC.
//!
//! - [`rpc`]: several endpoints with fallback; bounded answers.
//! - [`settings`]: what an adapter is told.
//! - [`block`]: headers, their hash checked.
//! - [`sender`]: transactions: gas, fees, nonces, receipts.
//! - [`contracts`], [`record`]: the contracts' interfaces and byte formats.
//! - [`anvil`]: the development chain as a child process.

pub mod anvil;
pub mod block;
pub mod contracts;
pub mod record;
pub mod rpc;
pub mod sender;
pub mod settings;
