//! The table of methods: names, parameters in their order, and who answers.

use super::jsonrpc::{Outcome, RpcError};
use super::params::Params;
use super::{chain, state, txs};
use crate::engine::node::Node;

/// How a method is run.
#[derive(Clone, Copy)]
pub(super) enum Call {
    /// Answered at once from the node.
    Now(fn(&Node, &Params) -> Outcome),
    /// `broadcast_tx_commit`, which waits for a block.
    Commit,
    /// Works over a WebSocket alone.
    Socket,
}

type Method = (&'static str, &'static [&'static str], Call);

const METHODS: &[Method] = &[
    ("health", &[], Call::Now(chain::health)),
    ("status", &[], Call::Now(chain::status)),
    ("net_info", &[], Call::Now(chain::net_info)),
    ("genesis", &[], Call::Now(chain::genesis)),
    ("blockchain", &["minHeight", "maxHeight"], Call::Now(chain::blockchain)),
    ("block", &["height"], Call::Now(chain::block)),
    ("block_by_hash", &["hash"], Call::Now(chain::block_by_hash)),
    ("block_results", &["height"], Call::Now(chain::block_results)),
    ("header", &["height"], Call::Now(chain::header)),
    ("header_by_hash", &["hash"], Call::Now(chain::header_by_hash)),
    ("commit", &["height"], Call::Now(chain::commit)),
    ("validators", &["height", "page", "per_page"], Call::Now(chain::validators)),
    ("consensus_params", &["height"], Call::Now(chain::consensus_params)),
    ("abci_info", &[], Call::Now(state::abci_info)),
    ("abci_query", &["path", "data", "height", "prove"], Call::Now(state::abci_query)),
    ("broadcast_tx_async", &["tx"], Call::Now(txs::broadcast_tx_async)),
    ("broadcast_tx_sync", &["tx"], Call::Now(txs::broadcast_tx_sync)),
    ("broadcast_tx_commit", &["tx"], Call::Commit),
    ("check_tx", &["tx"], Call::Now(txs::check_tx)),
    ("unconfirmed_txs", &["limit"], Call::Now(txs::unconfirmed_txs)),
    ("num_unconfirmed_txs", &[], Call::Now(txs::num_unconfirmed_txs)),
    ("tx", &["hash", "prove"], Call::Now(txs::tx)),
    ("tx_search", &["query", "prove", "page", "per_page", "order_by"], Call::Now(txs::tx_search)),
    ("subscribe", &["query"], Call::Socket),
    ("unsubscribe", &["query"], Call::Socket),
    ("unsubscribe_all", &[], Call::Socket),
];

fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|(known, ..)| *known == name)
}

/// The names of a method's parameters, in order; `None` for an unknown method.
pub(super) fn parameters(name: &str) -> Option<&'static [&'static str]> {
    method(name).map(|(_, parameters, _)| *parameters)
}

pub(super) fn find(name: &str) -> Result<Call, RpcError> {
    method(name).map(|(_, _, call)| *call).ok_or_else(|| unknown(name))
}

pub(super) fn unknown(name: &str) -> RpcError {
    let cut: String = name.chars().take(64).collect();
    RpcError::MethodNotFound(format!("there is no method `{cut}`"))
}

/// A page for people: what can be called.
pub(super) fn index() -> String {
    let line = |(name, parameters, _): &Method| format!("/{name}?{}", parameters.join("=…&"));
    let lines: Vec<String> = METHODS.iter().map(line).collect();
    format!("Crosspoint native chain, CometBFT 0.38 RPC\n\n{}\n", lines.join("\n"))
}
