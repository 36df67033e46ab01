//! Why a packet is not moving, and when it is tried again.

use crosspoint_adapters::error::ChainError;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Why a try failed. Persisted, and the label `event` of `crosspoint_packets_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryReason {
    /// No endpoint of a chain answered.
    Unreachable,
    /// An endpoint's answer was malformed.
    Malformed,
    /// An endpoint's answer contradicts a proof.
    Untrustworthy,
    /// A block or an attestation is not there yet.
    NotYet,
    /// A block, packet or client was not found.
    NotFound,
    /// The node no longer has the state needed.
    Pruned,
    /// The client is frozen.
    Frozen,
    /// The client has expired.
    Expired,
    /// The chain refused the transaction.
    Rejected,
    /// The transaction's fate is not known.
    OutcomeUnknown,
    /// The relayer's account cannot pay the fee.
    InsufficientFunds,
    /// The request itself is wrong.
    InvalidRequest,
    /// The prover left the item out.
    NotProven,
    /// The chain skipped the item, for now: a short vault, a limit, a pause, low gas.
    Skipped,
    /// The chain skipped the item and says that trying again cannot help.
    Refused,
    /// The transaction did not stay in the chain, or its event was not shown to us.
    NotFinal,
    /// Too near the deadline: a recv could come too late, a claim could fail and yet show the preimage.
    TooLate,
    /// The supply audit stopped this denom.
    DenomStopped,
    /// The client of the way back is frozen or in dispute.
    CounterpartyStopped,
}

impl RetryReason {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::Unreachable,
        Self::Malformed,
        Self::Untrustworthy,
        Self::NotYet,
        Self::NotFound,
        Self::Pruned,
        Self::Frozen,
        Self::Expired,
        Self::Rejected,
        Self::OutcomeUnknown,
        Self::InsufficientFunds,
        Self::InvalidRequest,
        Self::NotProven,
        Self::Skipped,
        Self::Refused,
        Self::NotFinal,
        Self::TooLate,
        Self::DenomStopped,
        Self::CounterpartyStopped,
    ];

    /// Its name in metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Malformed => "malformed",
            Self::Untrustworthy => "untrustworthy",
            Self::NotYet => "not_yet",
            Self::NotFound => "not_found",
            Self::Pruned => "pruned",
            Self::Frozen => "frozen",
            Self::Expired => "expired",
            Self::Rejected => "rejected",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::InsufficientFunds => "insufficient_funds",
            Self::InvalidRequest => "invalid_request",
            Self::NotProven => "not_proven",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
            Self::NotFinal => "not_final",
            Self::TooLate => "too_late",
            Self::DenomStopped => "denom_stopped",
            Self::CounterpartyStopped => "counterparty_stopped",
        }
    }
}

impl From<&ChainError> for RetryReason {
    fn from(error: &ChainError) -> Self {
        match error {
            ChainError::Unreachable { .. } => Self::Unreachable,
            ChainError::Malformed { .. } => Self::Malformed,
            ChainError::Untrustworthy { .. } => Self::Untrustworthy,
            ChainError::NotYet(_) => Self::NotYet,
            ChainError::NotFound { .. } => Self::NotFound,
            ChainError::Pruned { .. } => Self::Pruned,
            ChainError::Frozen(_) => Self::Frozen,
            ChainError::Expired(_) => Self::Expired,
            ChainError::Rejected { .. } => Self::Rejected,
            ChainError::OutcomeUnknown { .. } => Self::OutcomeUnknown,
            ChainError::InsufficientFunds { .. } => Self::InsufficientFunds,
            ChainError::InvalidRequest(_) => Self::InvalidRequest,
        }
    }
}

/// The last failed try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Tries that failed in this stage.
    pub attempts: u32,
    /// When to try again, in milliseconds since 1970; `None`: not again by itself.
    pub next_ms: Option<u64>,
    /// Why.
    pub reason: RetryReason,
    /// In words, for people: at most 512 characters.
    pub detail: String,
}

/// How long to wait between tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// After the first failure, in milliseconds. It doubles with each.
    pub first_ms: u64,
    /// The longest wait, in milliseconds.
    pub longest_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first_ms: 500, longest_ms: 60_000 }
    }
}

impl Backoff {
    /// The wait after the `attempts`-th failure (from 1), between three quarters and five quarters of
    /// `first * 2^(attempts - 1)`, so that many packets do not come back at once. Never above `longest_ms`.
    /// What is only not there yet is asked for again within eight times the first wait.
    #[must_use]
    pub fn wait(&self, reason: RetryReason, attempts: u32) -> Duration {
        let soon = self.longest_ms.min(self.first_ms.saturating_mul(8));
        let longest = if reason == RetryReason::NotYet { soon } else { self.longest_ms };
        let doubled = self.first_ms.saturating_mul(1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX));
        let base = doubled.clamp(1, longest.max(1));
        let quarter = base.saturating_div(4);
        let jitter = rand::rng().random_range(0..=quarter.saturating_mul(2));
        Duration::from_millis(base.saturating_sub(quarter).saturating_add(jitter).min(longest.max(1)))
    }
}

/// At most 512 characters of a text for people, so that a hostile endpoint cannot fill the journal.
#[must_use]
pub fn short(text: &str) -> String {
    text.chars().take(512).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let backoff = Backoff { first_ms: 100, longest_ms: 1_000 };
        for attempts in 0..200 {
            let wait = backoff.wait(RetryReason::Unreachable, attempts).as_millis();
            assert!((75..=1_000).contains(&wait), "{attempts}: {wait}");
        }
        assert!(backoff.wait(RetryReason::Unreachable, 4).as_millis() >= 600);
    }
}
