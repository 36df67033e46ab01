//! What a native chain's adapter is told.

use std::time::Duration;

use crosspoint_protocol::ids::{ChainId, Height};
use serde::{Deserialize, Serialize};
use url::Url;

use super::rpc::CallLimits;
use crate::checks::Problems;

/// Settings of one native chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NativeSettings {
    /// The chain's id. An endpoint that serves another chain is refused.
    pub chain: ChainId,
    /// CometBFT RPC endpoints over HTTP, the preferred one first.
    pub endpoints: Vec<Url>,
    /// Nodes of others, over the same interface, whose headers are compared with those that clients of this chain trust
    /// and are brought. Nothing is relayed by them.
    #[serde(default)]
    pub witnesses: Vec<Url>,
    /// The first block that can hold a packet.
    #[serde(default = "defaults::first_height")]
    pub first_height: Height,
    /// About the time between blocks, in milliseconds: the longest wait of [`crate::chain::Chain::next_head`], and
    /// how often an endpoint without a WebSocket is asked.
    #[serde(default = "defaults::block_ms")]
    pub block_ms: u64,
    /// The longest wait for one answer, in milliseconds.
    #[serde(default = "defaults::request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// Most bytes of one answer.
    #[serde(default = "defaults::max_response_bytes")]
    pub max_response_bytes: usize,
    /// The longest wait for a transaction's block, in milliseconds; then its outcome is unknown.
    #[serde(default = "defaults::inclusion_timeout_ms")]
    pub inclusion_timeout_ms: u64,
    /// A claim is not sent when fewer than so many seconds are left to its deadline: one that comes late
    /// fails and still shows the preimage to everybody.
    #[serde(default = "defaults::claim_margin_secs")]
    pub claim_margin_secs: u64,
}

impl NativeSettings {
    /// Settings with every default.
    #[must_use]
    pub fn new(chain: ChainId, endpoints: Vec<Url>) -> Self {
        Self {
            chain,
            endpoints,
            witnesses: vec![],
            first_height: defaults::first_height(),
            block_ms: defaults::block_ms(),
            request_timeout_ms: defaults::request_timeout_ms(),
            max_response_bytes: defaults::max_response_bytes(),
            inclusion_timeout_ms: defaults::inclusion_timeout_ms(),
            claim_margin_secs: defaults::claim_margin_secs(),
        }
    }

    /// Every setting that cannot work, in words.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Problems::default();
        problems.check_requests(&self.endpoints, self.request_timeout_ms, self.max_response_bytes);
        problems.check_witnesses(&self.endpoints, &self.witnesses);
        let mut check = |ok: bool, problem: &str| problems.check(ok, problem);
        check(self.first_height.0 > 0, "first_height: blocks are counted from 1");
        check(self.block_ms > 0, "block_ms: must be above 0");
        check(self.inclusion_timeout_ms > self.block_ms, "inclusion_timeout_ms: must exceed block_ms");
        problems.into_vec()
    }

    pub(crate) const fn limits(&self) -> CallLimits {
        CallLimits { timeout: Duration::from_millis(self.request_timeout_ms), max_answer: self.max_response_bytes }
    }

    pub(crate) const fn block_time(&self) -> Duration {
        Duration::from_millis(self.block_ms)
    }
}

mod defaults {
    use crosspoint_protocol::ids::Height;

    pub(super) const fn first_height() -> Height {
        Height(1)
    }
    pub(super) const fn block_ms() -> u64 {
        1_000
    }
    pub(super) const fn request_timeout_ms() -> u64 {
        10_000
    }
    pub(super) const fn max_response_bytes() -> usize {
        32 << 20
    }
    pub(super) const fn inclusion_timeout_ms() -> u64 {
        30_000
    }
    pub(super) const fn claim_margin_secs() -> u64 {
        3
    }
}
