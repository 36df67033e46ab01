//! Why an adapter could not do what it was asked.

use crosspoint_protocol::ids::{ChainId, ClientId, Height};

/// A failure of a chain, classified so that the relayer knows whether to try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No endpoint answered.
    #[error(
        "{chain}: no endpoint answered ({detail}); check that the node runs and that the endpoints in the settings are right"
    )]
    Unreachable {
        /// The chain.
        chain: ChainId,
        /// The last endpoint's failure, without credentials.
        detail: String,
    },
    /// An endpoint answered with something that is not what the protocol says.
    #[error("{chain}: the endpoint's answer to {method} is malformed: {detail}")]
    Malformed {
        /// The chain.
        chain: ChainId,
        /// The call.
        method: String,
        /// What is wrong.
        detail: String,
    },
    /// An endpoint's answer contradicts a proof or itself: it lies or is broken. Nothing was done with it.
    #[error("{chain}: the endpoint's answer does not prove what it says: {detail}")]
    Untrustworthy {
        /// The chain.
        chain: ChainId,
        /// The contradiction.
        detail: String,
    },
    /// What was asked for needs a block, an attestation or an acknowledgement that is not there yet.
    #[error("not yet: {0}")]
    NotYet(String),
    /// A block, packet, client or account that is not there.
    #[error("{chain}: {what} not found")]
    NotFound {
        /// The chain.
        chain: ChainId,
        /// What was looked for.
        what: String,
    },
    /// The state at this height is gone from the node.
    #[error("{chain}: the node no longer has the state at height {height}")]
    Pruned {
        /// The chain.
        chain: ChainId,
        /// The height asked for.
        height: Height,
    },
    /// The light client is frozen: its chain was seen to contradict itself.
    #[error("client {0} is frozen; governance must look at the evidence and re-anchor it")]
    Frozen(ClientId),
    /// The light client's newest state is older than its trusting period.
    #[error("client {0} has expired; governance must re-anchor it")]
    Expired(ClientId),
    /// The chain refused the transaction.
    #[error("{chain} refused the transaction: {reason}")]
    Rejected {
        /// The chain.
        chain: ChainId,
        /// The chain's reason.
        reason: String,
        /// Whether the same request can succeed later.
        retryable: bool,
    },
    /// The transaction was sent and its fate is not known; look before sending it again.
    #[error("{chain}: transaction {tx} was sent, its outcome is not known")]
    OutcomeUnknown {
        /// The chain.
        chain: ChainId,
        /// Its hash.
        tx: String,
    },
    /// The account that pays has not enough.
    #[error("{chain}: {detail}")]
    InsufficientFunds {
        /// The chain.
        chain: ChainId,
        /// Who has how much of what.
        detail: String,
    },
    /// The request itself is wrong and will never succeed.
    #[error("{0}")]
    InvalidRequest(String),
}

impl ChainError {
    /// Whether the same request may succeed later without anybody doing anything.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Malformed { .. }
            | Self::Untrustworthy { .. }
            | Self::NotYet(_)
            | Self::OutcomeUnknown { .. } => true,
            Self::Rejected { retryable, .. } => *retryable,
            Self::NotFound { .. }
            | Self::Pruned { .. }
            | Self::Frozen(_)
            | Self::Expired(_)
            | Self::InsufficientFunds { .. }
            | Self::InvalidRequest(_) => false,
        }
    }

    /// The kind of failure as a metric label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Malformed { .. } => "malformed",
            Self::Untrustworthy { .. } => "untrustworthy",
            Self::NotYet(_) => "not_yet",
            Self::NotFound { .. } => "not_found",
            Self::Pruned { .. } => "pruned",
            Self::Frozen(_) => "frozen",
            Self::Expired(_) => "expired",
            Self::Rejected { .. } => "rejected",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::InsufficientFunds { .. } => "insufficient_funds",
            Self::InvalidRequest(_) => "invalid_request",
        }
    }
}
