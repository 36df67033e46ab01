//! What nodes answer: the light-client part of a beacon node, and headers of an execution node. Tests of other crates include this file by its path.
#![allow(dead_code, unreachable_pub)]

use alloy::consensus::Header as EvmHeader;
use alloy::primitives::B256;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use url::Url;
use warp::http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Reply};

pub async fn serve<F>(routes: F) -> Url
where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    url
}

/// A header as nodes write it.
pub fn block_json(hash: B256, header: &EvmHeader) -> Value {
    let header = alloy::rpc::types::Header { hash, inner: header.clone(), total_difficulty: None, size: None };
    serde_json::to_value(header).unwrap()
}

/// What a beacon node has.
#[derive(Clone, Default)]
pub struct Beacon {
    /// By the root of their block.
    pub bootstraps: BTreeMap<B256, Value>,
    pub updates: BTreeMap<u64, Value>,
    pub finality: Option<Value>,
    /// Blocks by slot, for those who ask beyond the light-client part.
    pub blocks: Option<BTreeMap<u64, B256>>,
}

impl Beacon {
    /// What it says to a request for this path.
    pub fn answer(&self, path: &str, query: &str, accept: Option<&str>) -> Response {
        if accept != Some("application/json") {
            return StatusCode::NOT_ACCEPTABLE.into_response();
        }
        if let Some(slot) = path.strip_prefix("/eth/v1/beacon/headers/") {
            let root = self.blocks.as_ref().and_then(|blocks| blocks.get(&slot.parse().ok()?));
            let found = root.map(|root| json!({ "data": { "root": root, "canonical": true } }));
            return found.map_or_else(
                || StatusCode::NOT_FOUND.into_response(),
                |found| warp::reply::json(&found).into_response(),
            );
        }
        let path = path.strip_prefix("/eth/v1/beacon/light_client/").unwrap_or_default();
        let found = match (path, path.strip_prefix("bootstrap/")) {
            ("finality_update", _) => self.finality.clone(),
            ("updates", _) => {
                let period = query.strip_prefix("start_period=").and_then(|rest| rest.strip_suffix("&count=1"));
                let update = period.and_then(|period| self.updates.get(&period.parse().ok()?));
                Some(json!(update.into_iter().collect::<Vec<_>>()))
            }
            (_, Some(root)) => root.parse().ok().and_then(|root: B256| self.bootstraps.get(&root).cloned()),
            (_, None) => None,
        };
        found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |found| warp::reply::json(&found).into_response())
    }
}

/// A beacon node's standard light-client API, that always says this.
pub async fn beacon(beacon: Beacon) -> Url {
    saying(move || std::future::ready(Some(beacon.clone()))).await
}

/// The same, that says what `now` gives; `None`: nothing, as one that is not ready.
pub async fn saying<F>(now: impl Fn() -> F + Clone + Send + Sync + 'static) -> Url
where
    F: Future<Output = Option<Beacon>> + Send + 'static,
{
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let route = warp::get().and(warp::path::full()).and(query).and(warp::header::optional::<String>("accept")).then(
        move |path: warp::path::FullPath, query: String, accept: Option<String>| {
            let said = now();
            async move {
                match said.await {
                    Some(beacon) => beacon.answer(path.as_str(), &query, accept.as_deref()),
                    None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                }
            }
        },
    );
    serve(route.recover(|_| async { Ok::<_, Infallible>(StatusCode::BAD_REQUEST.into_response()) }).unify()).await
}
