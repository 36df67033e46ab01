//! The RPC of CometBFT 0.38: JSON-RPC by HTTP POST, calls by GET with a query string, and WebSocket with
//! subscriptions. Any CometBFT client can read the answers.
//!
//! A request's way: [`server`] bounds connections and sizes, [`jsonrpc`] reads it, [`methods`] finds the method and
//! [`params`] its parameters, one of [`chain`], [`txs`] or [`state`] answers. [`websocket`] adds subscriptions,
//! matched by [`query`].

pub mod chain;
pub mod jsonrpc;
pub mod methods;
pub mod params;
pub mod query;
pub mod server;
pub mod state;
pub mod txs;
pub mod views;
pub mod websocket;

use std::time::Duration;

pub use server::serve;

/// What clients may ask for.
#[derive(Debug, Clone, Copy)]
pub struct RpcLimits {
    /// Most bytes of a request's body, and of a WebSocket message.
    pub max_body_bytes: usize,
    /// Most connections at once; more wait to be accepted.
    pub max_connections: usize,
    /// Most requests in one JSON-RPC batch.
    pub max_batch: usize,
    /// Most subscriptions of one WebSocket connection.
    pub max_subscriptions: usize,
    /// How long a connection may stay without a whole request header. Longer than HTTP clients keep idle
    /// connections (90 s is common), so that they close first and no request meets a closing connection.
    pub idle_timeout: Duration,
    /// How long a subscriber may take to read what it is sent.
    pub client_timeout: Duration,
    /// How long `broadcast_tx_commit` waits for a block.
    pub commit_timeout: Duration,
}

impl Default for RpcLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 4 * 1024 * 1024,
            max_connections: 512,
            max_batch: 100,
            max_subscriptions: 8,
            idle_timeout: Duration::from_secs(120),
            client_timeout: Duration::from_secs(10),
            commit_timeout: Duration::from_secs(30),
        }
    }
}
