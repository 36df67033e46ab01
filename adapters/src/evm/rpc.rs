//! JSON-RPC over HTTP to several endpoints of one chain, with fallback.
//!
//! An endpoint is not trusted: its answers are bounded in size and time, and whoever uses them checks
//! them. [`Rpc::each`] runs a whole piece of work, its checks included, against one endpoint after the
//! other until one gives an answer that holds.

use crate::error::ChainError;
use crate::http::{Answer, Http, Lost};
use crate::observer::RpcObserver;
use alloy::primitives::Bytes;
use crosspoint_light_proofs::qbft::Encoding;
use crosspoint_protocol::ids::ChainId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use url::Url;

/// Most characters of a node's error message that are kept.
const MAX_MESSAGE: usize = 300;

/// The error object of a JSON-RPC answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct NodeError {
    /// The JSON-RPC error code.
    pub code: i64,
    /// The node's words, cut to 300 characters.
    pub message: String,
    /// What a reverted call returned, if it was one and returned something.
    pub revert: Option<Bytes>,
}

/// Why a request to one endpoint gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// No answer in time, or no connection.
    #[error("{endpoint}: {detail}")]
    Unreachable {
        /// The endpoint's host.
        endpoint: String,
        /// What happened.
        detail: String,
    },
    /// An answer that is not one to the question.
    #[error("{endpoint}: {detail}")]
    Malformed {
        /// The endpoint's host.
        endpoint: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The node refused.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl RpcError {
    /// As a failure of `chain` in `method`. A node's refusal is permanent here; callers that know better match first.
    #[must_use]
    pub fn into_chain_error(self, chain: &ChainId, method: &str) -> ChainError {
        let chain = chain.clone();
        match self {
            Self::Unreachable { endpoint, detail } => {
                ChainError::Unreachable { chain, detail: format!("{endpoint}: {detail}") }
            }
            Self::Malformed { endpoint, detail } => {
                ChainError::Malformed { chain, method: method.into(), detail: format!("{endpoint}: {detail}") }
            }
            Self::Node(error) => ChainError::Rejected { chain, reason: format!("{method}: {error}"), retryable: false },
        }
    }
}

/// Bounds on one request.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The longest wait for a whole answer.
    pub timeout: Duration,
    /// Most bytes of an answer.
    pub max_response: usize,
}

/// One endpoint of a chain.
pub struct Endpoint {
    url: Url,
    name: String,
    http: Http,
    max_response: usize,
    next_id: AtomicU64,
}

#[derive(Serialize)]
struct Request<'a> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a Value,
}

#[derive(Deserialize)]
struct Response {
    id: Option<u64>,
    #[serde(default)]
    result: Value,
    error: Option<ResponseError>,
}

#[derive(Deserialize)]
struct ResponseError {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Value,
}

impl ResponseError {
    fn into_node_error(self) -> NodeError {
        // geth and anvil put the revert data there as a string; some nodes wrap it once more.
        let text = self.data.as_str().or_else(|| self.data.get("data").and_then(Value::as_str));
        let revert = text.and_then(|text| text.strip_prefix("Reverted ").unwrap_or(text).parse().ok());
        NodeError { code: self.code, message: self.message.chars().take(MAX_MESSAGE).collect(), revert }
    }
}

impl Endpoint {
    fn new(url: Url, http: Http, max_response: usize) -> Self {
        // Keys stand in paths, queries and user names of endpoint addresses: only the host is ever shown.
        let name = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => "endpoint without a host".to_owned(),
        };
        Self { url, name, http, max_response, next_id: AtomicU64::new(1) }
    }

    /// The host, without credentials.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn unreachable(&self, detail: impl Into<String>) -> RpcError {
        RpcError::Unreachable { endpoint: self.name.clone(), detail: detail.into() }
    }

    fn malformed(&self, detail: impl Into<String>) -> RpcError {
        RpcError::Malformed { endpoint: self.name.clone(), detail: detail.into() }
    }

    /// One request to this endpoint alone.
    pub async fn request<R: DeserializeOwned>(&self, method: &'static str, params: &Value) -> Result<R, RpcError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = Request { jsonrpc: "2.0", id, method, params };
        let request = self.http.post(self.url.clone()).json(&request);
        let Answer { status, body } = self.http.ask(request, self.max_response).await.map_err(|lost| match &lost {
            Lost::TooLong => self.malformed(format!("the answer is longer than {} bytes", self.max_response)),
            Lost::Network(_) | Lost::Untold => self.unreachable(transport_detail(&lost)),
        })?;
        let Ok(response) = serde_json::from_slice::<Response>(&body) else {
            // Overload and wrong paths are answered with pages, not with JSON-RPC.
            return Err(if status.is_success() {
                self.malformed("the answer is not JSON-RPC")
            } else {
                self.unreachable(format!("HTTP status {status}"))
            });
        };
        if let Some(error) = response.error {
            return Err(RpcError::Node(error.into_node_error()));
        }
        if response.id != Some(id) {
            return Err(self.malformed("the answer is to another request"));
        }
        serde_json::from_value(response.result).map_err(|e| self.malformed(e.to_string()))
    }
}

/// What a transport failure says without the address, which may hold a key.
fn transport_detail(error: &Lost) -> String {
    if error.is_timeout() {
        "no answer in time".into()
    } else if error.is_connect() {
        "no connection".into()
    } else if error.is_broken() {
        "the answer broke off".into()
    } else {
        "the request failed".into()
    }
}

/// All endpoints of one chain.
pub struct Rpc {
    chain: ChainId,
    endpoints: Vec<Endpoint>,
    preferred: AtomicUsize,
    observer: Option<std::sync::Arc<dyn RpcObserver>>,
    sealing: Option<Encoding>,
}

impl std::fmt::Debug for Rpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.endpoints.iter().map(Endpoint::name).collect();
        f.debug_struct("Rpc").field("chain", &self.chain).field("endpoints", &names).finish_non_exhaustive()
    }
}

/// Whether another endpoint may do better than one that failed so.
const fn worth_another(error: &ChainError) -> bool {
    match error {
        ChainError::Unreachable { .. }
        | ChainError::Malformed { .. }
        | ChainError::Untrustworthy { .. }
        | ChainError::NotYet(_)
        | ChainError::NotFound { .. }
        | ChainError::Pruned { .. } => true,
        ChainError::Frozen(_)
        | ChainError::Expired(_)
        | ChainError::Rejected { .. }
        | ChainError::OutcomeUnknown { .. }
        | ChainError::InsufficientFunds { .. }
        | ChainError::InvalidRequest(_) => false,
    }
}

impl Rpc {
    /// A client of `endpoints`, tried in this order at first; later the last one that answered comes first.
    pub fn new(chain: ChainId, endpoints: &[Url], bounds: Bounds) -> Result<Self, ChainError> {
        let http = Http::new(bounds.timeout)
            .map_err(|_| ChainError::InvalidRequest(format!("{chain}: the HTTP client cannot be set up")))?;
        Self::over(http, chain, endpoints, bounds)
    }

    /// The same, over this client.
    pub(crate) fn over(http: Http, chain: ChainId, endpoints: &[Url], bounds: Bounds) -> Result<Self, ChainError> {
        if endpoints.is_empty() {
            return Err(ChainError::InvalidRequest(format!("{chain}: no endpoint is given")));
        }
        let endpoints =
            endpoints.iter().map(|url| Endpoint::new(url.clone(), http.clone(), bounds.max_response)).collect();
        Ok(Self { chain, endpoints, preferred: AtomicUsize::new(0), observer: None, sealing: None })
    }

    /// Tells `observer` of every request from now on.
    #[must_use]
    pub fn observed_by(mut self, observer: std::sync::Arc<dyn RpcObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The chain's blocks are named by their headers without the seals that these validators put into them.
    #[must_use]
    pub const fn sealed_as(mut self, encoding: Encoding) -> Self {
        self.sealing = Some(encoding);
        self
    }

    /// The chain that the endpoints serve.
    #[must_use]
    pub fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// How many endpoints there are.
    #[must_use]
    pub fn endpoints(&self) -> usize {
        self.endpoints.len()
    }

    /// Asks the one that is preferred now last.
    pub fn doubt(&self) {
        let count = self.endpoints.len();
        let next = |at: usize| at.checked_add(1).filter(|next| *next < count).or(Some(0));
        let turned = self.preferred.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        if let Some(endpoint) = turned.ok().and_then(|at| self.endpoints.get(at)).filter(|_| count > 1) {
            tracing::warn!(chain = %self.chain, endpoint = endpoint.name(), "endpoint left something out");
        }
    }

    /// Runs `work` with one endpoint after the other, the one that did well last first, until it
    /// succeeds or fails in a way that another endpoint cannot mend. If all fail, the most telling
    /// failure is returned: a contradiction before a missing answer.
    pub async fn each<'a, T, F>(&'a self, mut work: impl FnMut(Session<'a>) -> F) -> Result<T, ChainError>
    where
        F: Future<Output = Result<T, ChainError>>,
    {
        let first = self.preferred.load(Ordering::Relaxed);
        let count = self.endpoints.len();
        let order = (first..count).chain(0..first.min(count));
        let mut worst: Option<ChainError> = None;
        for at in order {
            let Some(endpoint) = self.endpoints.get(at) else { continue };
            match work(Session { rpc: self, endpoint }).await {
                Ok(value) => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(error) if !worth_another(&error) => return Err(error),
                Err(error) => {
                    if count > 1 {
                        tracing::warn!(chain = %self.chain, endpoint = %endpoint.name, %error, "endpoint failed");
                    }
                    worst = Some(match worst.take() {
                        Some(kept) if !matches!(kept, ChainError::Unreachable { .. }) => kept,
                        _ => error,
                    });
                }
            }
        }
        Err(worst.unwrap_or_else(|| ChainError::InvalidRequest(format!("{}: no endpoint is given", self.chain))))
    }

    /// One request, to the first endpoint that answers it.
    pub async fn call<R: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<R, ChainError> {
        let params = &params;
        self.each(|session| async move { session.call(method, params).await }).await
    }
}

/// One endpoint, for a piece of work whose requests must be answered by the same node.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    rpc: &'a Rpc,
    endpoint: &'a Endpoint,
}

impl Session<'_> {
    /// The chain that the endpoint serves.
    #[must_use]
    pub fn chain(&self) -> &ChainId {
        &self.rpc.chain
    }

    /// How the chain's headers are sealed, if they are.
    #[must_use]
    pub const fn sealing(&self) -> Option<Encoding> {
        self.rpc.sealing
    }

    /// One request to this endpoint; its failure in the endpoint's own terms.
    pub async fn request<R: DeserializeOwned>(&self, method: &'static str, params: &Value) -> Result<R, RpcError> {
        let start = Instant::now();
        let result = self.endpoint.request(method, params).await;
        if let Some(observer) = &self.rpc.observer {
            let outcome = match &result {
                Ok(_) => "ok",
                Err(RpcError::Node(_)) => "node_error",
                Err(RpcError::Malformed { .. }) => "malformed",
                Err(RpcError::Unreachable { .. }) => "unreachable",
            };
            observer.request(&self.rpc.chain, method, outcome, start.elapsed());
        }
        result
    }

    /// One request to this endpoint.
    pub async fn call<R: DeserializeOwned>(&self, method: &'static str, params: &Value) -> Result<R, ChainError> {
        self.request(method, params).await.map_err(|e| e.into_chain_error(&self.rpc.chain, method))
    }

    /// The answer contradicts itself or a proof.
    #[must_use]
    pub fn lie(&self, detail: impl std::fmt::Display) -> ChainError {
        ChainError::Untrustworthy { chain: self.rpc.chain.clone(), detail: format!("{}: {detail}", self.endpoint.name) }
    }

    /// The answer is not one to the question.
    #[must_use]
    pub fn malformed(&self, method: &str, detail: impl std::fmt::Display) -> ChainError {
        ChainError::Malformed {
            chain: self.rpc.chain.clone(),
            method: method.into(),
            detail: format!("{}: {detail}", self.endpoint.name),
        }
    }
}
