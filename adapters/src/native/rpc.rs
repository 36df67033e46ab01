//! One endpoint of a native chain's CometBFT JSON-RPC. Every answer is bounded in size and time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crosspoint_protocol::ids::ChainId;
use tendermint_rpc::dialect::v0_38::Dialect;
use tendermint_rpc::{Method, Request, Response, ResponseError};
use url::Url;

use crate::error::ChainError;
use crate::http::{Answer, Http, Lost};
use crate::observer::RpcObserver;

/// The longest pause before an endpoint that failed is preferred again.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What bounds a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallLimits {
    /// The longest a call may take, connecting included.
    pub(crate) timeout: Duration,
    /// The most bytes an answer may have.
    pub(crate) max_answer: usize,
}

/// Why a call brought no answer of the type asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RpcError {
    /// No connection: nothing was sent.
    #[error("{0}")]
    NoConnection(String),
    /// No answer came, though the request may have arrived.
    #[error("{0}")]
    Transport(String),
    /// The answer has more bytes than allowed; the rest was not read.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
    /// The answer is not the JSON of the method's response.
    #[error("{0}")]
    Json(String),
    /// The node answered with an error.
    #[error("the node says: {0}")]
    Refused(ResponseError),
}

/// One node of the chain, with its record of failures.
pub(crate) struct Endpoint {
    chain: ChainId,
    url: Url,
    http: Http,
    limits: CallLimits,
    observer: Option<Arc<dyn RpcObserver>>,
    started: Instant,
    failures: AtomicU32,
    // Milliseconds after `started` until which other endpoints are preferred.
    paused_until: AtomicU32,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.label())
    }
}

impl Endpoint {
    /// An endpoint at `url`. Nothing is sent yet.
    pub(crate) fn new(
        chain: ChainId,
        url: Url,
        http: Http,
        limits: CallLimits,
        observer: Option<Arc<dyn RpcObserver>>,
    ) -> Self {
        Self {
            chain,
            url,
            http,
            limits,
            observer,
            started: Instant::now(),
            failures: AtomicU32::new(0),
            paused_until: AtomicU32::new(0),
        }
    }

    /// The chain the endpoint serves.
    pub(crate) fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// Where the node is, without user name, password, path and query: these can be secrets.
    pub(crate) fn label(&self) -> String {
        let host = self.url.host_str().unwrap_or("?");
        self.url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The address of the node's WebSocket.
    pub(crate) fn websocket(&self) -> Option<Url> {
        let mut url = self.url.clone();
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).ok()?;
        let path = format!("{}/websocket", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Some(url)
    }

    fn elapsed_ms(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_millis()).unwrap_or(u32::MAX)
    }

    /// Milliseconds until this endpoint is preferred again; 0 if it is healthy.
    pub(crate) fn pause_left(&self) -> u32 {
        self.paused_until.load(Ordering::Relaxed).saturating_sub(self.elapsed_ms())
    }

    /// The endpoint answered well.
    pub(crate) fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.paused_until.store(0, Ordering::Relaxed);
    }

    /// The endpoint failed or lied: it is asked last for a while, twice as long after each failure in a row.
    pub(crate) fn failed(&self) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(6);
        let pause = Duration::from_secs(1).saturating_mul(1 << failures).min(MAX_PAUSE);
        let until = self.elapsed_ms().saturating_add(u32::try_from(pause.as_millis()).unwrap_or(u32::MAX));
        self.paused_until.store(until, Ordering::Relaxed);
    }

    /// Calls a method and reads its answer.
    pub(crate) async fn call<R: Request<Dialect>>(&self, request: R) -> Result<R::Response, RpcError> {
        let method = method_name(&request.method());
        let start = Instant::now();
        let answer = self.post::<R::Response>(request.into_json()).await;
        self.observe(method, answer.as_ref().err(), start.elapsed());
        answer
    }

    fn observe(&self, method: &'static str, error: Option<&RpcError>, took: Duration) {
        if let Some(observer) = &self.observer {
            let outcome = match error {
                None => "ok",
                Some(RpcError::Refused(_)) => "node_error",
                Some(RpcError::TooLarge(_) | RpcError::Json(_)) => "malformed",
                Some(RpcError::NoConnection(_) | RpcError::Transport(_)) => "unreachable",
            };
            observer.request(&self.chain, method, outcome, took);
        }
    }

    async fn post<A: Response>(&self, body: String) -> Result<A, RpcError> {
        let json = reqwest::header::HeaderValue::from_static("application/json");
        let request = self.http.post(self.url.clone()).header(reqwest::header::CONTENT_TYPE, json).body(body);
        let max = self.limits.max_answer;
        let Answer { status, body } = self.http.ask(request, max).await.map_err(|lost| match &lost {
            Lost::TooLong => RpcError::TooLarge(max),
            Lost::Network(error) if lost.is_connect() => RpcError::NoConnection(describe(error)),
            Lost::Network(error) => RpcError::Transport(describe(error)),
            Lost::Untold => RpcError::Transport("no answer".into()),
        })?;
        // CometBFT answers errors with status 500 and a JSON-RPC body, so the status is looked at last.
        // The library's base64 decoder panics at some texts that are none ("="): the node's fault, not ours to stop at.
        let read = std::panic::catch_unwind(|| A::from_string(&body));
        let read = read.map_err(|_| RpcError::Json("it cannot be decoded".into()))?;
        read.map_err(|error| match error.detail() {
            tendermint_rpc::error::ErrorDetail::Response(refused) => RpcError::Refused(refused.source.clone()),
            _ if !status.is_success() => RpcError::Transport(format!("HTTP status {}", status.as_u16())),
            detail => RpcError::Json(detail.to_string().chars().take(200).collect()),
        })
    }

    /// Calls a method that does not depend on what the node has: every failure is the endpoint's.
    pub(crate) async fn ask<R: Request<Dialect>>(&self, request: R) -> Result<R::Response, ChainError> {
        let method = request.method().to_string();
        self.call(request).await.map_err(|error| self.failure(&method, error))
    }

    /// A failed call in the adapter's words.
    pub(crate) fn failure(&self, method: &str, error: RpcError) -> ChainError {
        let detail = format!("{}: {error}", self.label());
        match error {
            RpcError::NoConnection(_) | RpcError::Transport(_) => {
                ChainError::Unreachable { chain: self.chain.clone(), detail }
            }
            RpcError::TooLarge(_) | RpcError::Json(_) | RpcError::Refused(_) => self.malformed(method, detail),
        }
    }

    /// An answer that is not what the protocol says.
    pub(crate) fn malformed(&self, method: &str, detail: impl Into<String>) -> ChainError {
        ChainError::Malformed { chain: self.chain.clone(), method: method.to_owned(), detail: detail.into() }
    }

    /// An answer that contradicts a proof or itself.
    pub(crate) fn untrustworthy(&self, detail: impl fmt::Display) -> ChainError {
        ChainError::Untrustworthy { chain: self.chain.clone(), detail: format!("{}: {detail}", self.label()) }
    }
}

/// The methods that are called, as metric labels.
const fn method_name(method: &Method) -> &'static str {
    match method {
        Method::AbciQuery => "abci_query",
        Method::Block => "block",
        Method::BlockResults => "block_results",
        Method::BroadcastTxSync => "broadcast_tx_sync",
        Method::Commit => "commit",
        Method::Status => "status",
        Method::Tx => "tx",
        Method::Validators => "validators",
        _ => "other",
    }
}

/// A transport failure with its causes, which is where reqwest says what went wrong.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.chars().take(300).collect()
}
