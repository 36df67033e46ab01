//! The application of a CometBFT 0.38 node, over ABCI 2.0: the production engine, one node and one application per
//! organisation. The node votes, stores blocks and serves the RPC; the state machine is that of every engine.
//!
//! - [`server`] listens for the node and hands each request to `service`, which calls [`application`].
//! - [`proposal`]: what goes into a block and which blocks are refused.
//! - [`vote`]: vote extensions, in which validators sign checkpoints with their bridge keys.
//! - [`certificate`]: a quorum of these, carried by the next block as its first transaction.
//! - [`records`]: what is kept of checkpoints, in the batch of the block's state and outside the app hash.
//! - [`snapshot`]: the whole state in pieces, for nodes that join.
//! - [`home`]: the files of a node and its application. [`binary`]: where the node's program is.
//!
//! State is written once per block, in one synced batch at Commit. A crash before it loses nothing that the node does
//! not replay; a crash after it is no crash of the block.

pub mod application;
pub mod binary;
pub mod certificate;
pub mod home;
pub mod proposal;
pub mod records;
pub mod server;
mod service;
pub mod snapshot;
pub mod vote;

pub use application::{Application, ApplicationConfig, EngineError};
pub use server::{AbciServer, ServerError};

/// The path that asks for the signed checkpoint of a header, as under `solo`.
pub use crate::rpc::state::CHECKPOINT_PATH;
