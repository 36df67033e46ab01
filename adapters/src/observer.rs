//! Who is told of requests to nodes.

use std::time::Duration;

use crosspoint_protocol::ids::ChainId;

/// Is told of every request, for metrics.
pub trait RpcObserver: Send + Sync {
    /// A request ended. `outcome` is one of `ok`, `node_error`, `malformed`, `unreachable`.
    fn request(&self, chain: &ChainId, method: &'static str, outcome: &'static str, took: Duration);
}
