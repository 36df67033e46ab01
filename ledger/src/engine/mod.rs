//! What drives the application: engines.
//!
//! [`solo`] runs a whole chain in one process. The way of a block through this module:
//!
//! 1. [`mempool`]: transactions that passed the application's check wait, ordered by nonce per sender.
//! 2. [`producer`]: the next block is built ([`block`]), executed by the application, signed as Tendermint
//!    signs ([`block::sign_commit`]), and its header is signed by the bridge keys for EVM chains.
//! 3. [`store`]: block, results, commit and checkpoint go into the same atomic write as the new state.
//! 4. [`node`]: the newest block is announced to the RPC and its subscribers.
//!
//! Headers and commits are those of CometBFT 0.38, byte for byte: any Tendermint light client verifies them.
//! Their time is the proposer's clock, as with the proposer-based timestamps of CometBFT 1.0.

pub mod block;
pub mod clock;
pub mod cometbft;
pub mod keys;
pub mod mempool;
pub mod node;
pub mod params;
pub mod producer;
pub mod solo;
pub mod store;
pub mod testing;
pub mod validators;

pub use keys::{Seed, ValidatorKeys};
pub use solo::{BlockTiming, Solo, SoloConfig, SoloError, SoloHandle, Validators};
