//! The HTTP server: connections, body sizes, batches, calls by GET.

use std::sync::Arc;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use prost::bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use super::jsonrpc::{Id, Outcome, Request, RpcError, response};
use super::methods::{self, Call};
use super::params::Params;
use super::{RpcLimits, websocket};
use crate::engine::node::Node;

/// What every request needs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The node that answers.
    pub node: Arc<Node>,
    /// What may be asked for.
    pub limits: RpcLimits,
    /// Says when to stop.
    pub stop: CancellationToken,
}

/// Serves until `stop` is cancelled, then ends all connections.
pub async fn serve(listener: TcpListener, node: Arc<Node>, limits: RpcLimits, stop: CancellationToken) {
    let context = Context { node, limits, stop: stop.clone() };
    let service = warp::service(routes(context));
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let mut tasks = JoinSet::new();
    loop {
        let accept = async {
            // The semaphore is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = tasks.join_next() => continue,
            accepted = accept => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, or the client was gone already: wait a little, do not spin.
                tracing::warn!(%error, "the RPC could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        // Small answers should not wait for more; if the system refuses, they do.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(service.clone());
        let stop = stop.clone();
        tasks.spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.idle_timeout);
            let builder = builder.http1_only();
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                served = connection => {
                    if let Err(error) = served {
                        tracing::debug!(%error, "an RPC connection failed");
                    }
                }
            }
            drop(slot);
        });
    }
    while tasks.join_next().await.is_some() {}
}

fn routes(context: Context) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let max_body = u64::try_from(context.limits.max_body_bytes).unwrap_or(u64::MAX);
    let context = warp::any().map(move || context.clone());
    let socket = warp::path!("websocket").and(warp::ws()).and(context.clone()).map(websocket::upgrade);
    let post = warp::path::end()
        .and(warp::post())
        .and(warp::body::content_length_limit(max_body))
        .and(warp::body::bytes())
        .and(context.clone())
        .then(|body: Bytes, context: Context| async move { answer_post(&body, &context).await });
    let get =
        warp::path!(String)
            .and(warp::get())
            .and(warp::query::raw().or(warp::any().map(String::new)).unify())
            .and(context)
            .then(|method: String, query: String, context: Context| async move {
                answer_get(&method, &query, &context).await
            });
    let index = warp::path::end().and(warp::get()).map(|| methods::index().into_response());
    socket.or(post).unify().or(index).unify().or(get).unify().recover(refuse).unify()
}

/// What is wrong with a request that no route takes, as a JSON-RPC error.
async fn refuse(rejection: Rejection) -> Result<Response, Rejection> {
    let (status, error) = if rejection.find::<warp::reject::PayloadTooLarge>().is_some() {
        (StatusCode::PAYLOAD_TOO_LARGE, RpcError::InvalidRequest("the body is too large".into()))
    } else if rejection.find::<warp::reject::LengthRequired>().is_some() {
        (StatusCode::LENGTH_REQUIRED, RpcError::InvalidRequest("a body needs a Content-Length".into()))
    } else if rejection.is_not_found() {
        (StatusCode::NOT_FOUND, RpcError::MethodNotFound("no such path".into()))
    } else {
        let how = "send JSON-RPC 2.0 by POST to /, call a method by GET /METHOD?name=value, or open a WebSocket at /websocket";
        (StatusCode::BAD_REQUEST, RpcError::InvalidRequest(how.into()))
    };
    Ok(reply(status, response(&Id::NONE, &Err(error))))
}

fn reply(status: StatusCode, json: String) -> Response {
    warp::reply::with_status(warp::reply::with_header(json, CONTENT_TYPE, "application/json"), status).into_response()
}

async fn answer_get(method: &str, query: &str, context: &Context) -> Response {
    let outcome = match Params::from_query(query) {
        Ok(params) => call(method, params, context).await,
        Err(error) => Err(error),
    };
    let status = match &outcome {
        Ok(_) => StatusCode::OK,
        Err(error) => StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
    };
    reply(status, response(&Id::uri(), &outcome))
}

async fn answer_post(body: &[u8], context: &Context) -> Response {
    match answer_text(body, context).await {
        Ok(answer) => reply(StatusCode::OK, answer),
        Err(error) => reply(StatusCode::BAD_REQUEST, response(&Id::NONE, &Err(error))),
    }
}

/// Answers the JSON text of one request or a batch. Empty for notifications alone.
async fn answer_text(body: &[u8], context: &Context) -> Result<String, RpcError> {
    let value: Value = serde_json::from_slice(body).map_err(|error| RpcError::Parse(error.to_string()))?;
    let Value::Array(batch) = value else {
        return Ok(answer_value(value, context).await.unwrap_or_default());
    };
    if batch.is_empty() || batch.len() > context.limits.max_batch {
        let why = format!("a batch has 1 to {} requests, not {}", context.limits.max_batch, batch.len());
        return Err(RpcError::InvalidRequest(why));
    }
    let mut answers = Vec::with_capacity(batch.len());
    for value in batch {
        answers.extend(answer_value(value, context).await);
    }
    Ok(if answers.is_empty() { String::new() } else { format!("[{}]", answers.join(",")) })
}

async fn answer_value(value: Value, context: &Context) -> Option<String> {
    match Request::parse(value) {
        Ok(request) => answer_request(request, context).await,
        Err((id, error)) => Some(response(&id, &Err(error))),
    }
}

/// Answers one request; `None` for a notification.
pub(super) async fn answer_request(request: Request, context: &Context) -> Option<String> {
    let Request { id, method, params } = request;
    let outcome = match methods::parameters(&method) {
        None => Err(methods::unknown(&method)),
        Some(names) => match Params::from_json(params, names) {
            Ok(params) => call(&method, params, context).await,
            Err(error) => Err(error),
        },
    };
    id.map(|id| response(&id, &outcome))
}

/// Runs a method. Reads of the database and checks of signatures are kept off the tasks that serve the network.
async fn call(method: &str, params: Params, context: &Context) -> Outcome {
    match methods::find(method)? {
        Call::Now(answer) => {
            let node = Arc::clone(&context.node);
            let answered = tokio::task::spawn_blocking(move || answer(&node, &params)).await;
            answered.map_err(|_| RpcError::Internal("the answer could not be worked out; see the node's log".into()))?
        }
        Call::Commit => super::txs::broadcast_tx_commit(context, params).await,
        Call::Socket => Err(RpcError::InvalidRequest(format!("{method} works over a WebSocket at /websocket alone"))),
    }
}
