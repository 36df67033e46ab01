//! Several endpoints of one chain. What one cannot or will not answer well, the next is asked.

use std::future::Future;
use std::sync::Arc;

use crosspoint_protocol::ids::ChainId;
use url::Url;

use super::rpc::{CallLimits, Endpoint};
use crate::error::ChainError;
use crate::http::Http;
use crate::observer::RpcObserver;

/// The endpoints of one chain in order of preference.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    chain: ChainId,
    all: Arc<[Arc<Endpoint>]>,
}

impl Endpoints {
    /// Endpoints at `urls`, the preferred first.
    pub(crate) fn new(
        chain: &ChainId,
        urls: &[Url],
        limits: CallLimits,
        observer: Option<Arc<dyn RpcObserver>>,
    ) -> Result<Self, ChainError> {
        let http = Http::new(limits.timeout)
            .map_err(|error| ChainError::InvalidRequest(format!("{chain}: no HTTP client: {}", error.without_url())))?;
        Self::over(http, chain, urls, limits, observer)
    }

    /// The same, over this client.
    pub(crate) fn over(
        http: Http,
        chain: &ChainId,
        urls: &[Url],
        limits: CallLimits,
        observer: Option<Arc<dyn RpcObserver>>,
    ) -> Result<Self, ChainError> {
        if urls.is_empty() {
            return Err(ChainError::InvalidRequest(format!("{chain}: no endpoint is configured")));
        }
        if let Some(url) = urls.iter().find(|url| !matches!(url.scheme(), "http" | "https") || url.host().is_none()) {
            let scheme = url.scheme();
            return Err(ChainError::InvalidRequest(format!("{chain}: an endpoint is http or https, not `{scheme}`")));
        }
        let endpoint =
            |url: &Url| Arc::new(Endpoint::new(chain.clone(), url.clone(), http.clone(), limits, observer.clone()));
        Ok(Self { chain: chain.clone(), all: urls.iter().map(endpoint).collect() })
    }

    /// The chain they serve.
    pub(crate) fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// Healthy endpoints in the configured order, then those that failed lately, soonest to recover first.
    pub(crate) fn by_health(&self) -> Vec<Arc<Endpoint>> {
        let mut order = self.all.to_vec();
        order.sort_by_key(|endpoint| endpoint.pause_left());
        order
    }

    /// Asks the one that is preferred now last for a while.
    pub(crate) fn doubt(&self) {
        if let Some(endpoint) = self.by_health().first().filter(|_| self.all.len() > 1) {
            tracing::warn!(chain = %self.chain, endpoint = %endpoint.label(), "endpoint left something out");
            endpoint.failed();
        }
    }

    /// Does a piece of work that may take several calls against one endpoint, so that all its answers
    /// come from one view of the chain; starts over at the next endpoint if this one fails or lies.
    pub(crate) async fn first_good<T, F, W>(&self, work: F) -> Result<T, ChainError>
    where
        F: Fn(Arc<Endpoint>) -> W + Send + Sync,
        W: Future<Output = Result<T, ChainError>> + Send,
        T: Send,
    {
        let mut worst: Option<ChainError> = None;
        for endpoint in self.by_health() {
            let error = match work(Arc::clone(&endpoint)).await {
                Ok(value) => {
                    endpoint.succeeded();
                    return Ok(value);
                }
                Err(error) => error,
            };
            match weight(&error) {
                None => return Err(error),
                Some(new) => {
                    if is_endpoints_fault(&error) {
                        tracing::warn!(chain = %self.chain, endpoint = %endpoint.label(), %error, "endpoint failed");
                        endpoint.failed();
                    }
                    if worst.as_ref().and_then(weight).is_none_or(|old| new > old) {
                        worst = Some(error);
                    }
                }
            }
        }
        Err(worst.unwrap_or_else(|| ChainError::Unreachable {
            chain: self.chain.clone(),
            detail: "no endpoint is configured".into(),
        }))
    }
}

/// How much a failure says, if another endpoint may do better; `None` if none can.
const fn weight(error: &ChainError) -> Option<u8> {
    match error {
        ChainError::Unreachable { .. } => Some(0),
        ChainError::Malformed { .. } => Some(1),
        ChainError::Untrustworthy { .. } => Some(2),
        ChainError::Pruned { .. } => Some(3),
        ChainError::NotFound { .. } => Some(4),
        ChainError::NotYet(_) => Some(5),
        ChainError::Frozen(_)
        | ChainError::Expired(_)
        | ChainError::Rejected { .. }
        | ChainError::OutcomeUnknown { .. }
        | ChainError::InsufficientFunds { .. }
        | ChainError::InvalidRequest(_) => None,
    }
}

const fn is_endpoints_fault(error: &ChainError) -> bool {
    matches!(error, ChainError::Unreachable { .. } | ChainError::Malformed { .. } | ChainError::Untrustworthy { .. })
}
