//! The command line's side of the HTTP API.

use crate::api::auth::{TokenError, read_token};
use crate::api::problem::Problem;
use crate::api::service::IdempotencyKey;
use crate::api::types::{
    ChainView, ClaimRequest, HoldEndView, InvoiceRequest, InvoiceView, RetryRequest, RouteView, SendRequest,
    SupplyView, TransferPage, TransferView, VoidRequest,
};
use crosspoint_relayer::route::PacketId;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// Most bytes of an answer. An evidence file has no more either.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// The longest wait for an answer. A lock waits for its block.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Why the service did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// It does not answer.
    #[error(
        "the service at {url} does not answer ({reason}); start it with `crosspoint start`, or name another with --url"
    )]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What failed.
        reason: &'static str,
    },
    /// It answered with a problem.
    #[error("{0}")]
    Problem(Problem),
    /// It answered with something else.
    #[error("the answer of {url} is not that of a Crosspoint service (HTTP status {status}); is --url right?")]
    Malformed {
        /// Who answered.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The token file cannot be used.
    #[error("{source}")]
    TokenFile {
        /// Why.
        source: TokenError,
    },
    /// The command was told to stop.
    #[error("interrupted")]
    Interrupted,
}

impl ClientError {
    /// Whether the same request can succeed later without any change.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => problem.retryable,
            Self::Malformed { .. } | Self::TokenFile { .. } | Self::Interrupted => false,
        }
    }
}

/// A client of one service.
#[derive(Clone)]
pub struct Client {
    url: Url,
    token: Option<Zeroizing<String>>,
    http: reqwest::Client,
}

impl Client {
    /// A client of the service at `url`, with the token in a file if it asks for one.
    ///
    /// # Errors
    /// The token file cannot be used.
    pub fn new(url: &Url, token_file: Option<&Path>) -> Result<Self, ClientError> {
        let token = token_file.map(read_token).transpose().map_err(|source| ClientError::TokenFile { source })?;
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("crosspoint/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| ClientError::Unreachable { url: origin(url), reason: "the HTTP client cannot be set up" })?;
        Ok(Self { url: url.clone(), token, http })
    }

    /// Locks points.
    ///
    /// # Errors
    /// The service refused or does not answer.
    pub async fn send(&self, request: &SendRequest, key: &IdempotencyKey) -> Result<TransferView, ClientError> {
        let builder = self.request(Method::POST, "v1/transfers", "").header("idempotency-key", key.as_str());
        self.read(builder.json(request)).await
    }

    /// A page of transfers; `filters` by the names that the API gives them.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn transfers(
        &self,
        limit: u16,
        cursor: Option<&str>,
        filters: &[(&str, String)],
    ) -> Result<TransferPage, ClientError> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string()).extend_pairs(filters);
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        self.read(self.request(Method::GET, "v1/transfers", &query.finish())).await
    }

    /// One transfer with its history.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn transfer(&self, id: &PacketId) -> Result<TransferView, ClientError> {
        self.read(self.request(Method::GET, &format!("v1/transfers/{id}"), "")).await
    }

    /// The text of one transfer's evidence file, as the service gave it. Nothing of it was checked.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn evidence(&self, id: &PacketId) -> Result<String, ClientError> {
        let (status, bytes) = self.fetch(self.request(Method::GET, &format!("v1/transfers/{id}/evidence"), "")).await?;
        String::from_utf8(bytes).map_err(|_| self.malformed(status))
    }

    /// Claims a hold.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn claim(&self, id: &PacketId, request: &ClaimRequest) -> Result<HoldEndView, ClientError> {
        self.post(&format!("v1/transfers/{id}/claim"), request).await
    }

    /// Voids a hold.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn void(&self, id: &PacketId) -> Result<HoldEndView, ClientError> {
        self.post(&format!("v1/transfers/{id}/void"), &VoidRequest {}).await
    }

    /// Tries a transfer again now.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn retry(&self, id: &PacketId) -> Result<TransferView, ClientError> {
        self.post(&format!("v1/transfers/{id}/retry"), &RetryRequest {}).await
    }

    /// Raises an invoice.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn invoice(&self, request: &InvoiceRequest) -> Result<InvoiceView, ClientError> {
        self.post("v1/invoices", request).await
    }

    /// Audits the supply.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn supply(&self) -> Result<SupplyView, ClientError> {
        self.read(self.request(Method::GET, "v1/supply", "")).await
    }

    /// The chains.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn chains(&self) -> Result<Vec<ChainView>, ClientError> {
        self.read(self.request(Method::GET, "v1/chains", "")).await
    }

    /// The routes.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn routes(&self) -> Result<Vec<RouteView>, ClientError> {
        self.read(self.request(Method::GET, "v1/routes", "")).await
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ClientError> {
        self.read(self.request(Method::POST, path, "").json(body)).await
    }

    fn request(&self, method: Method, path: &str, query: &str) -> RequestBuilder {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        url.set_query(Some(query).filter(|q| !q.is_empty()));
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token.as_str()),
            None => request,
        }
    }

    async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let (status, bytes) = self.fetch(request).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.malformed(status))
    }

    /// The status and body of an answer that is no problem.
    async fn fetch(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), ClientError> {
        let lost = |e: reqwest::Error| {
            let reason = if e.is_timeout() { "it took too long" } else { "no connection" };
            ClientError::Unreachable { url: origin(&self.url), reason }
        };
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        let mut bytes = vec![];
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if bytes.len().saturating_add(chunk.len()) > MAX_ANSWER {
                return Err(self.malformed(status));
            }
            bytes.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok((status, bytes));
        }
        match serde_json::from_slice(&bytes) {
            Ok(problem) => Err(ClientError::Problem(problem)),
            Err(_) => Err(self.malformed(status)),
        }
    }

    fn malformed(&self, status: StatusCode) -> ClientError {
        ClientError::Malformed { url: origin(&self.url), status: status.as_u16() }
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
