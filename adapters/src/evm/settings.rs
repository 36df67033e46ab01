//! What an EVM chain's adapter is told.

use super::rpc::Bounds;
use crate::checks::Problems;
use alloy::primitives::Address;
use crosspoint_protocol::ids::{ChainId, Height};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use url::Url;

/// Which blocks are final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finality {
    /// Those up to the chain's own `finalized` tag.
    Tag,
    /// Those with so many blocks on top. For chains without the tag.
    Depth(u64),
}

/// Settings of one EVM chain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvmSettings {
    /// The chain's id, such as `eip155-31337`.
    pub chain: ChainId,
    /// Its EIP-155 number. An endpoint that serves another chain is refused.
    pub chain_number: u64,
    /// JSON-RPC endpoints over HTTP, the preferred one first.
    pub endpoints: Vec<Url>,
    /// Nodes of others whose headers are compared with those that clients of this chain trust and are brought: endpoints
    /// as above; where sync committees are believed, beacon nodes. Nothing is relayed by them.
    #[serde(default)]
    pub witnesses: Vec<Url>,
    /// The gateway contract.
    pub gateway: Address,
    /// The block the gateway was deployed in: nothing is looked for below it.
    pub deployed_at: Height,
    /// Which blocks are final.
    #[serde(default = "defaults::finality")]
    pub finality: Finality,
    /// How often the newest block is asked for, in milliseconds.
    #[serde(default = "defaults::poll_ms")]
    pub poll_ms: u64,
    /// The longest wait of [`crate::chain::Chain::next_head`], in milliseconds: about a block time.
    #[serde(default = "defaults::block_ms")]
    pub block_ms: u64,
    /// The longest wait for one answer, in milliseconds.
    #[serde(default = "defaults::request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// Most bytes of one answer.
    #[serde(default = "defaults::max_response_bytes")]
    pub max_response_bytes: usize,
    /// Most blocks that logs are asked for at once.
    #[serde(default = "defaults::log_range")]
    pub log_range: u64,
    /// A claim is not sent when fewer than so many seconds are left to its deadline: one that comes
    /// late fails and still shows the preimage to everybody.
    #[serde(default = "defaults::claim_margin_secs")]
    pub claim_margin_secs: u64,
    /// Bounds on gas, fees and waiting.
    #[serde(default)]
    pub fees: FeeSettings,
}

/// Bounds on what a transaction may cost and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeeSettings {
    /// Added to the estimated gas, in percent.
    pub gas_headroom_percent: u64,
    /// Most gas of one transaction.
    pub max_gas: u64,
    /// Most that a unit of gas may cost, in wei.
    pub max_fee_per_gas: u128,
    /// The least tip per unit of gas, in wei.
    pub min_priority_fee: u128,
    /// After so many seconds without a block that includes it, a transaction is sent again with a higher fee.
    pub stuck_after_secs: u64,
    /// By how much the fee rises then, in percent. Nodes refuse replacements below 10.
    pub bump_percent: u64,
    /// After so many seconds the outcome is given up as unknown.
    pub give_up_after_secs: u64,
    /// Use the fee market of EIP-1559 where blocks have a base fee; else legacy gas prices.
    pub eip1559: bool,
}

impl Default for FeeSettings {
    fn default() -> Self {
        Self {
            gas_headroom_percent: 20,
            max_gas: 15_000_000,
            max_fee_per_gas: 500_000_000_000,
            min_priority_fee: 1_000_000_000,
            stuck_after_secs: 30,
            bump_percent: 15,
            give_up_after_secs: 180,
            eip1559: true,
        }
    }
}

impl EvmSettings {
    /// Settings with every default, for one endpoint or more.
    #[must_use]
    pub fn new(chain: ChainId, chain_number: u64, endpoints: Vec<Url>, gateway: Address, deployed_at: Height) -> Self {
        Self {
            chain,
            chain_number,
            endpoints,
            witnesses: vec![],
            gateway,
            deployed_at,
            finality: defaults::finality(),
            poll_ms: defaults::poll_ms(),
            block_ms: defaults::block_ms(),
            request_timeout_ms: defaults::request_timeout_ms(),
            max_response_bytes: defaults::max_response_bytes(),
            log_range: defaults::log_range(),
            claim_margin_secs: defaults::claim_margin_secs(),
            fees: FeeSettings::default(),
        }
    }

    /// The bounds on one request.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        Bounds { timeout: Duration::from_millis(self.request_timeout_ms), max_response: self.max_response_bytes }
    }

    /// Every setting that cannot work, in words.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Problems::default();
        problems.check_requests(&self.endpoints, self.request_timeout_ms, self.max_response_bytes);
        problems.check_witnesses(&self.endpoints, &self.witnesses);
        let mut check = |ok: bool, problem: &str| problems.check(ok, problem);
        check(self.chain_number > 0, "chain_number: 0 is no EIP-155 chain");
        check(!self.gateway.is_zero(), "gateway: the zero address is no contract");
        check(self.poll_ms > 0, "poll_ms: must be above 0");
        check(self.log_range > 0, "log_range: must be above 0");
        check(self.fees.bump_percent >= 10, "fees.bump_percent: nodes refuse replacements below 10");
        check(self.fees.max_gas >= 100_000, "fees.max_gas: no transaction fits below 100000");
        check(self.fees.max_fee_per_gas > 0, "fees.max_fee_per_gas: must be above 0");
        check(
            self.fees.min_priority_fee <= self.fees.max_fee_per_gas,
            "fees.min_priority_fee: must not exceed fees.max_fee_per_gas",
        );
        check(
            self.fees.give_up_after_secs > self.fees.stuck_after_secs,
            "fees.give_up_after_secs: must exceed fees.stuck_after_secs",
        );
        problems.into_vec()
    }
}

mod defaults {
    use super::Finality;

    pub(super) const fn finality() -> Finality {
        Finality::Tag
    }
    pub(super) const fn poll_ms() -> u64 {
        250
    }
    pub(super) const fn block_ms() -> u64 {
        15_000
    }
    pub(super) const fn request_timeout_ms() -> u64 {
        10_000
    }
    pub(super) const fn max_response_bytes() -> usize {
        32 << 20
    }
    pub(super) const fn log_range() -> u64 {
        1_000
    }
    pub(super) const fn claim_margin_secs() -> u64 {
        30
    }
}
