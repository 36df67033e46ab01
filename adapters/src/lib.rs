//! Chains behind one trait. An adapter knows its chain and nothing of transfers' fates.
//!
//! - [`chain`]: the trait [`chain::Chain`] and the words it speaks; start here.
//! - [`proven`]: what one adapter proves and another submits.
//! - [`native`]: the native permissioned chain and its sub-chains, over the CometBFT RPC.
//! - `evm`: Ethereum-compatible chains, over JSON-RPC.
//! - [`witness`]: a second source of a chain's headers, to compare with.
//! - [`attestor`]: the m-of-n signers of statements about an EVM chain without checkable consensus.

pub mod attestor;
pub mod chain;
mod checks;
pub mod error;
pub mod evm;
mod http;
pub mod native;
pub mod observer;
pub mod proven;
pub mod signer;
#[doc(hidden)]
pub mod told;
pub mod witness;
