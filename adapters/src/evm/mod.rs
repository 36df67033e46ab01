//! Ethereum-compatible chains over JSON-RPC.
//!
//! - [`rpc`]: several endpoints with fallback; bounded answers.
//! - [`settings`]: what an adapter is told.
//! - [`block`]: headers, their hash checked.
//! - [`beacon`]: beacon nodes of Ethereum: what light clients get from them.
//! - [`sender`]: transactions: gas, fees, nonces, receipts.
//! - [`contracts`], [`record`], [`calldata`], [`revert`]: the contracts' interfaces, byte formats and errors.
//! - [`gateway`]: the chain itself; `events`, `complete`, `source`, `prove`, `evidence`, `submit`, `supply`
//!   and `witness` are its parts.
//! - [`artifacts`], [`deploy`]: the compiled contracts and how they come to stand.
//! - [`anvil`]: the development chain as a child process.

pub mod anvil;
pub mod artifacts;
pub mod beacon;
pub mod block;
pub mod calldata;
mod complete;
pub mod contracts;
pub mod deploy;
mod events;
mod evidence;
pub mod gateway;
mod prove;
pub mod record;
pub mod revert;
pub mod rpc;
pub mod sender;
pub mod settings;
mod source;
mod spec;
mod submit;
mod supply;
mod witness;

pub use gateway::{BASE_SLOT, EvmChain};
pub use settings::{EvmSettings, FeeSettings, Finality};
pub use source::HeaderSource;
