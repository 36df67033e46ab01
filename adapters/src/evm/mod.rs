//! Ethereum-compatible chains over JSON-RPC.
//!
//! - [`rpc`]: several endpoints with fallback; bounded answers.
//! - [`settings`]: what an adapter is told.
//! - [`anvil`]: the development chain as a child process.

pub mod anvil;
pub mod block;
pub mod rpc;
pub mod sender;
pub mod settings;
