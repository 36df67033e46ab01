//! Ethereum-compatible chains over JSON-RPC.
//!
//! - [`rpc`]: several endpoints with fallback; bounded answers.
//! - [`settings`]: what an adapter is told.
//! - [`block`]: headers, their hash checked.
//! - [`sender`]: transactions: gas, fees, nonces, receipts.
//! - [`contracts`], [`record`], [`calldata`], [`revert`]: the contracts' interfaces, byte formats and errors.
//! - [`anvil`]: the development chain as a child process.

pub mod anvil;
pub mod block;
pub mod calldata;
pub mod contracts;
mod events;
pub mod gateway;
mod prove;
pub mod record;
pub mod revert;
pub mod rpc;
pub mod sender;
pub mod settings;
mod submit;
mod supply;

pub use gateway::{BASE_SLOT, EvmChain};
pub use settings::{EvmSettings, FeeSettings, Finality};
