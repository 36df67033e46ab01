//! The HTTP API, on warp.
//!
//! - [`types`]: the JSON that goes in and out. [`problem`]: how errors look.
//! - [`service`]: what the API asks of the service behind it.
//! - `router`: which address takes which method. [`auth`]: who may change things.
//!
//! Every answer that is not what was asked for is a problem (RFC 9457), also for addresses, methods and
//! bodies that do not exist. Bodies are bounded while they are read, and unknown fields are refused.

pub mod auth;
pub mod problem;
mod router;
pub mod service;
#[cfg(test)]
mod tests;
pub mod types;

pub use router::Endpoint;

use auth::Guard;
use futures::{Stream, StreamExt};
use problem::{Problem, ProblemKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::{IdempotencyKey, ListQuery, Service};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;
use warp::Filter;
use warp::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use warp::http::{HeaderMap, Method, StatusCode};
use warp::hyper::body::Buf;
use warp::reply::Response;

/// The header that makes a repeated POST harmless.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The API over a service.
pub struct Api<S> {
    service: Arc<S>,
    guard: Guard,
    max_body: usize,
}

impl<S: Service> Api<S> {
    /// An API over a service, with bodies of at most `max_body` bytes.
    #[must_use]
    pub fn new(service: Arc<S>, guard: Guard, max_body: usize) -> Arc<Self> {
        Arc::new(Self { service, guard, max_body })
    }

    /// The API as a warp filter that answers every request.
    pub fn filter(
        self: &Arc<Self>,
    ) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static {
        let api = Arc::clone(self);
        let query = warp::query::raw().or(warp::any().map(String::new)).unify();
        warp::any()
            .and(warp::method())
            .and(warp::path::full())
            .and(query)
            .and(warp::header::headers_cloned())
            .and(warp::body::stream())
            .then(move |method, path: warp::path::FullPath, query, headers, body| {
                let api = Arc::clone(&api);
                async move { api.answer(method, path.as_str(), query, headers, body).await }
            })
            .or(warp::any().map(|| problem_response(&ProblemKind::Malformed.with("the request cannot be read"))))
            .unify()
    }

    /// Serves until `stop` ends; then lets requests in progress finish.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()> + Send + 'static) {
        warp::serve(self.filter()).incoming(listener).graceful(stop).run().await;
    }

    async fn answer<B, D>(&self, method: Method, path: &str, query: String, headers: HeaderMap, body: B) -> Response
    where
        B: Stream<Item = Result<D, warp::Error>> + Send,
        D: Buf,
    {
        let found = Endpoint::find(path);
        let template = found.as_ref().map_or("other", Endpoint::template);
        let response = match found {
            Ok(endpoint) => self.dispatch(&method, endpoint, &query, &headers, body).await,
            Err(problem) => Err(problem),
        };
        let response = response.unwrap_or_else(|problem| problem_response(&problem));
        let label = match method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::HEAD => "HEAD",
            _ => "other",
        };
        self.service.count(template, label, response.status().as_u16());
        response
    }

    async fn dispatch<B, D>(
        &self,
        method: &Method,
        endpoint: Endpoint,
        query: &str,
        headers: &HeaderMap,
        body: B,
    ) -> Result<Response, Problem>
    where
        B: Stream<Item = Result<D, warp::Error>> + Send,
        D: Buf,
    {
        let allowed = endpoint.methods();
        if !allowed.contains(method) {
            let names: Vec<_> = allowed.iter().map(Method::as_str).collect();
            let problem = ProblemKind::MethodNotAllowed.with(format!(
                "{} takes {}, not {method}",
                endpoint.template(),
                names.join(" and ")
            ));
            let mut response = problem_response(&problem);
            if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
                response.headers_mut().insert(ALLOW, value);
            }
            return Ok(response);
        }
        self.guard.known_host(headers)?;
        if method == Method::POST {
            self.guard.admit(headers)?;
            require_json(headers)?;
            return self.post(endpoint, headers, body).await;
        }
        self.get(endpoint, query).await
    }

    async fn get(&self, endpoint: Endpoint, query: &str) -> Result<Response, Problem> {
        match endpoint {
            Endpoint::Health => Ok(json_response(StatusCode::OK, &serde_json::json!({ "status": "ok" }))),
            Endpoint::Ready => {
                let readiness = self.service.readiness().await;
                let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                Ok(json_response(status, &readiness))
            }
            Endpoint::Metrics => {
                let mut response = Response::new(self.service.metrics()?.into());
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
                Ok(response)
            }
            Endpoint::Chains => Ok(json_response(StatusCode::OK, &self.service.chains().await?)),
            Endpoint::Routes => Ok(json_response(StatusCode::OK, &self.service.routes().await?)),
            Endpoint::Supply => Ok(json_response(StatusCode::OK, &self.service.supply().await?)),
            Endpoint::Transfers => Ok(json_response(StatusCode::OK, &self.service.list(list_query(query)?).await?)),
            Endpoint::Transfer(id) => Ok(json_response(StatusCode::OK, &self.service.transfer(&id).await?)),
            Endpoint::Evidence(id) => {
                let text = self.service.evidence(&id).await?;
                let mut response = Response::new(text.into());
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Ok(response)
            }
            Endpoint::Claim(_) | Endpoint::Void(_) | Endpoint::Retry(_) | Endpoint::Invoices => {
                Err(not_found(endpoint.template()))
            }
        }
    }

    async fn post<B, D>(&self, endpoint: Endpoint, headers: &HeaderMap, body: B) -> Result<Response, Problem>
    where
        B: Stream<Item = Result<D, warp::Error>> + Send,
        D: Buf,
    {
        let bytes = read_body(body, self.max_body).await?;
        match endpoint {
            Endpoint::Transfers => {
                let key = idempotency_key(headers)?;
                let view = self.service.send(parse(&bytes)?, key).await?;
                let mut response = json_response(StatusCode::CREATED, &view);
                if let Ok(location) = HeaderValue::from_str(&format!("/v1/transfers/{}", view.id)) {
                    response.headers_mut().insert(LOCATION, location);
                }
                Ok(response)
            }
            Endpoint::Claim(id) => Ok(json_response(StatusCode::OK, &self.service.claim(&id, parse(&bytes)?).await?)),
            Endpoint::Void(id) => {
                let types::VoidRequest {} = parse_or_nothing(&bytes)?;
                Ok(json_response(StatusCode::OK, &self.service.void(&id).await?))
            }
            Endpoint::Retry(id) => {
                let types::RetryRequest {} = parse_or_nothing(&bytes)?;
                Ok(json_response(StatusCode::OK, &self.service.retry(&id).await?))
            }
            Endpoint::Invoices => Ok(json_response(StatusCode::CREATED, &self.service.invoice(parse(&bytes)?).await?)),
            Endpoint::Health
            | Endpoint::Ready
            | Endpoint::Metrics
            | Endpoint::Chains
            | Endpoint::Routes
            | Endpoint::Supply
            | Endpoint::Transfer(_)
            | Endpoint::Evidence(_) => Err(not_found(endpoint.template())),
        }
    }
}

fn not_found(path: &str) -> Problem {
    ProblemKind::NotFound.with(format!("there is nothing at {path}"))
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let media = given.split(';').next().unwrap_or("").trim();
    if media.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ProblemKind::MediaType.with("send the body as `Content-Type: application/json`"))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value.to_str().unwrap_or("");
    text.parse()
        .map(Some)
        .map_err(|e: service::IdempotencyKeyError| ProblemKind::Parameter.with(format!("header Idempotency-Key: {e}")))
}

/// Reads a body, never more of it than is allowed, whatever its stated length.
async fn read_body<B, D>(body: B, max: usize) -> Result<Vec<u8>, Problem>
where
    B: Stream<Item = Result<D, warp::Error>> + Send,
    D: Buf,
{
    let mut bytes = vec![];
    let mut body = std::pin::pin!(body);
    while let Some(part) = body.next().await {
        let mut part = part.map_err(|_| ProblemKind::Malformed.with("the body ended early"))?;
        if bytes.len().saturating_add(part.remaining()) > max {
            return Err(ProblemKind::BodyTooLarge.with(format!("a body has at most {max} bytes here")));
        }
        while part.has_remaining() {
            let chunk = part.chunk();
            let len = chunk.len();
            bytes.extend_from_slice(chunk);
            part.advance(len);
        }
    }
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes)
        .map_err(|e| ProblemKind::Malformed.with(format!("the body is not what this address takes: {e}")))
}

/// For addresses whose bodies hold nothing that must be said.
fn parse_or_nothing<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    parse(if bytes.is_empty() { b"{}" } else { bytes })
}

fn list_query(query: &str) -> Result<ListQuery, Problem> {
    fn read<T: std::str::FromStr>(name: &str, value: &str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        value.parse().map(Some).map_err(|e: T::Err| ProblemKind::Parameter.with(format!("parameter {name}: {e}")))
    }
    let mut list = ListQuery::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()).take(32) {
        match &*name {
            "limit" => {
                list.limit = read("limit", &value)?;
                if !list.limit.is_some_and(|n: usize| (1..=200).contains(&n)) {
                    return Err(ProblemKind::Parameter.with("parameter limit: it must be from 1 to 200"));
                }
            }
            "cursor" => list.cursor = Some(value.into_owned()),
            "from" => list.filter.source_chain = read("from", &value)?,
            "to" => list.filter.dest_chain = read("to", &value)?,
            "client" => list.filter.source_client = read("client", &value)?,
            "stage" => list.filter.stage = read("stage", &value)?,
            "hashlock" => list.filter.hashlock = read("hashlock", &value)?,
            other => {
                let shown: String = other.chars().take(32).collect();
                let known = "limit, cursor, from, to, client, stage and hashlock";
                return Err(ProblemKind::Parameter.with(format!("parameter `{shown}` is not known; there are {known}")));
            }
        }
    }
    Ok(list)
}

fn json_response<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => typed_response(status, "application/json", bytes),
        Err(_) => problem_response(&ProblemKind::Internal.with("the answer cannot be written as JSON")),
    }
}

fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = typed_response(status, problem::MEDIA_TYPE, serde_json::to_vec(problem).unwrap_or_default());
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn typed_response(status: StatusCode, media: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
