//! What the HTTP API asks of the service behind it.

use super::problem::{Problem, ProblemKind};
use super::types::{
    ChainView, ClaimRequest, HoldEndView, InvoiceRequest, InvoiceView, Readiness, RouteView, SendRequest, SupplyView,
    TransferPage, TransferView,
};
use async_trait::async_trait;
use crosspoint_adapters::error::ChainError;
use crosspoint_relayer::route::PacketId;
use std::str::FromStr;

/// Makes a repeated request harmless: 1 to 64 printable ASCII characters, chosen by the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that cannot be an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 64 printable ASCII characters")]
pub struct IdempotencyKeyError;

impl FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;
    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        let ok = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if ok { Ok(Self(text.to_owned())) } else { Err(IdempotencyKeyError) }
    }
}

/// Which transfers a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Most entries.
    pub limit: Option<usize>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// The filters that the journal takes.
    pub filter: crosspoint_relayer::journal::Filter,
}

/// Why the service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Nothing of this name.
    #[error("{0}")]
    NotFound(String),
    /// Wrong in itself.
    #[error("{0}")]
    Invalid(String),
    /// Not in the state that things are in.
    #[error("{0}")]
    Conflict(String),
    /// The idempotency key was used for another request.
    #[error("idempotency key `{0}` was used for another transfer; use a new key for a new transfer")]
    KeyReused(String),
    /// Not now.
    #[error("{0}")]
    Unavailable(String),
    /// A chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A fault of our own.
    #[error("{0}")]
    Internal(String),
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let detail = error.to_string();
        let kind = match error {
            ServiceError::NotFound(_) => ProblemKind::NotFound,
            ServiceError::Invalid(_) => ProblemKind::Invalid,
            ServiceError::Conflict(_) => ProblemKind::Conflict,
            ServiceError::KeyReused(_) => ProblemKind::KeyReused,
            ServiceError::Unavailable(_) => ProblemKind::Unavailable,
            ServiceError::Internal(_) => {
                tracing::error!(%detail, "a request failed inside the service");
                return ProblemKind::Internal.with("something failed inside the service; its log says what");
            }
            ServiceError::Chain(chain) => match chain {
                ChainError::OutcomeUnknown { .. } => ProblemKind::OutcomeUnknown,
                ChainError::NotFound { .. } => ProblemKind::NotFound,
                ChainError::Frozen(_) | ChainError::Expired(_) | ChainError::Pruned { .. } => ProblemKind::Unavailable,
                ChainError::InvalidRequest(_) => ProblemKind::Invalid,
                ChainError::InsufficientFunds { .. } => ProblemKind::ChainRefused,
                ChainError::Rejected { retryable: false, .. } => ProblemKind::ChainRefused,
                ChainError::Rejected { retryable: true, .. }
                | ChainError::Unreachable { .. }
                | ChainError::Malformed { .. }
                | ChainError::Untrustworthy { .. }
                | ChainError::NotYet(_) => ProblemKind::Unavailable,
            },
        };
        kind.with(detail)
    }
}

/// The service behind the HTTP API.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// The chains.
    async fn chains(&self) -> Result<Vec<ChainView>, ServiceError>;
    /// The routes.
    async fn routes(&self) -> Result<Vec<RouteView>, ServiceError>;
    /// Locks points. The same key and request give the same transfer.
    async fn send(&self, request: SendRequest, key: Option<IdempotencyKey>) -> Result<TransferView, ServiceError>;
    /// A page of transfers.
    async fn list(&self, query: ListQuery) -> Result<TransferPage, ServiceError>;
    /// One transfer with its history.
    async fn transfer(&self, id: &PacketId) -> Result<TransferView, ServiceError>;
    /// The text of a transfer's evidence file.
    async fn evidence(&self, id: &PacketId) -> Result<String, ServiceError>;
    /// Claims a hold.
    async fn claim(&self, id: &PacketId, request: ClaimRequest) -> Result<HoldEndView, ServiceError>;
    /// Voids a hold.
    async fn void(&self, id: &PacketId) -> Result<HoldEndView, ServiceError>;
    /// Tries a transfer again now, also one that is stuck.
    async fn retry(&self, id: &PacketId) -> Result<TransferView, ServiceError>;
    /// Raises an invoice.
    async fn invoice(&self, request: InvoiceRequest) -> Result<InvoiceView, ServiceError>;
    /// Audits the supply now.
    async fn supply(&self) -> Result<SupplyView, ServiceError>;
    /// Whether the service can do its work.
    async fn readiness(&self) -> Readiness;
    /// All metrics in Prometheus' text format.
    fn metrics(&self) -> Result<String, ServiceError>;
    /// Counts an answered request. All three are from fixed lists.
    fn count(&self, endpoint: &'static str, method: &'static str, status: u16);
}
