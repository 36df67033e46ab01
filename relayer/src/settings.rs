//! What an operator can set.

use crate::retry::Backoff;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The relayer's settings. Every field but the folder has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayerConfig {
    /// The folder of the journal.
    pub journal: PathBuf,
    /// Most items in one batch.
    #[serde(default = "default::max_batch")]
    pub max_batch: usize,
    /// Most batches of one route on their way at once. A transaction takes a block or more to be included; with one at a
    /// time no route could carry more than a batch a block.
    #[serde(default = "default::batches_at_once")]
    pub batches_at_once: usize,
    /// For how long a batch that is not full waits for more, in milliseconds.
    #[serde(default = "default::max_wait_ms")]
    pub max_wait_ms: u64,
    /// How often each loop looks at the clock and at what is due, in milliseconds, if nothing wakes it earlier.
    #[serde(default = "default::tick_ms")]
    pub tick_ms: u64,
    /// Most blocks asked for in one call when a chain is read.
    #[serde(default = "default::scan_blocks")]
    pub scan_blocks: u64,
    /// The longest any one call to a chain may take, in milliseconds; a submission waits for its block.
    #[serde(default = "default::call_timeout_ms")]
    pub call_timeout_ms: u64,
    /// Waits between tries.
    #[serde(default)]
    pub backoff: Backoff,
    /// A recv is not tried when the destination's newest block is this near the timeout, in seconds.
    #[serde(default = "default::recv_margin_s")]
    pub recv_margin_s: u64,
    /// The watch-tower does not claim when the destination's newest block is this near the deadline, in seconds.
    /// Two block times of the destination, as seen, are added.
    #[serde(default = "default::claim_margin_s")]
    pub claim_margin_s: u64,
    /// Void holds whose deadline has passed.
    #[serde(default = "default::yes")]
    pub auto_void: bool,
    /// Claim holds whose preimage is known.
    #[serde(default = "default::yes")]
    pub watch_tower: bool,
    /// How often the clients' states are looked at, in milliseconds.
    #[serde(default = "default::client_poll_ms")]
    pub client_poll_ms: u64,
    /// How often the supply is audited, in milliseconds; 0: never.
    #[serde(default = "default::audit_interval_ms")]
    pub audit_interval_ms: u64,
    /// How often chains are asked for new clients, in milliseconds.
    #[serde(default = "default::discovery_ms")]
    pub discovery_ms: u64,
}

impl RelayerConfig {
    /// The defaults, with the journal in this folder.
    #[must_use]
    pub fn new(journal: PathBuf) -> Self {
        Self {
            journal,
            max_batch: default::max_batch(),
            batches_at_once: default::batches_at_once(),
            max_wait_ms: default::max_wait_ms(),
            tick_ms: default::tick_ms(),
            scan_blocks: default::scan_blocks(),
            call_timeout_ms: default::call_timeout_ms(),
            backoff: Backoff::default(),
            recv_margin_s: default::recv_margin_s(),
            claim_margin_s: default::claim_margin_s(),
            auto_void: true,
            watch_tower: true,
            client_poll_ms: default::client_poll_ms(),
            audit_interval_ms: default::audit_interval_ms(),
            discovery_ms: default::discovery_ms(),
        }
    }

    /// What is wrong with the settings, each with its field; empty if nothing is.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let checks = [
            (self.max_batch == 0 || self.max_batch > 1_000, "max_batch must be 1 to 1000"),
            (self.batches_at_once == 0 || self.batches_at_once > 16, "batches_at_once must be 1 to 16"),
            (self.max_wait_ms > 60_000, "max_wait_ms must be at most 60000"),
            (self.tick_ms == 0 || self.tick_ms > 60_000, "tick_ms must be 1 to 60000"),
            (self.scan_blocks == 0 || self.scan_blocks > 100_000, "scan_blocks must be 1 to 100000"),
            (self.call_timeout_ms < 100, "call_timeout_ms must be at least 100"),
            (self.backoff.first_ms == 0, "backoff.first_ms must be above 0"),
            (self.backoff.longest_ms < self.backoff.first_ms, "backoff.longest_ms must not be below backoff.first_ms"),
            (self.client_poll_ms == 0, "client_poll_ms must be above 0"),
            (self.discovery_ms == 0, "discovery_ms must be above 0"),
        ];
        checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, text)| text.to_owned()).collect()
    }
}

mod default {
    pub(super) const fn max_batch() -> usize {
        50
    }
    pub(super) const fn batches_at_once() -> usize {
        4
    }
    pub(super) const fn max_wait_ms() -> u64 {
        200
    }
    pub(super) const fn tick_ms() -> u64 {
        500
    }
    pub(super) const fn scan_blocks() -> u64 {
        1_000
    }
    pub(super) const fn call_timeout_ms() -> u64 {
        60_000
    }
    pub(super) const fn recv_margin_s() -> u64 {
        5
    }
    pub(super) const fn claim_margin_s() -> u64 {
        10
    }
    pub(super) const fn client_poll_ms() -> u64 {
        5_000
    }
    pub(super) const fn audit_interval_ms() -> u64 {
        30_000
    }
    pub(super) const fn discovery_ms() -> u64 {
        30_000
    }
    pub(super) const fn yes() -> bool {
        true
    }
}
