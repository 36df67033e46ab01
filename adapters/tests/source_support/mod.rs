//! Nodes that say what they are told: beacon nodes, and an execution node.
#![allow(dead_code, unreachable_pub)]

use crate::common::{EvmState, evm_gateway};
use alloy::consensus::Header as EvmHeader;
use alloy::primitives::{Address, B256};
use crosspoint_adapters::evm::beacon::BeaconApi;
use crosspoint_adapters::evm::{EvmChain, EvmSettings, Finality, HeaderSource};
use crosspoint_protocol::ids::Height;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use warp::http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Reply};

#[path = "../../../protocol/tests/vectors/mod.rs"]
#[allow(clippy::duplicate_mod)]
mod vectors;
#[allow(unused_imports)]
pub use vectors::vector;

pub async fn serve<F>(routes: F) -> Url
where
    F: Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(warp::serve(routes).incoming(listener).run());
    url
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
    fn answer(&self, path: &str, query: &str, accept: Option<&str>) -> Response {
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

/// A beacon node's standard light-client API.
pub async fn beacon(beacon: Beacon) -> Url {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let route = warp::get().and(warp::path::full()).and(query).and(warp::header::optional::<String>("accept")).map(
        move |path: warp::path::FullPath, query: String, accept: Option<String>| {
            beacon.answer(path.as_str(), &query, accept.as_deref())
        },
    );
    serve(route.recover(|_| async { Ok::<_, Infallible>(StatusCode::BAD_REQUEST.into_response()) }).unify()).await
}

/// How a beacon node answers anything.
#[derive(Clone, Copy)]
pub enum Answer {
    Huge,
    Garbage,
    Silence,
    Failure,
}

/// A node that answers nothing that is of use.
pub async fn refusing(answer: Answer) -> Url {
    let route = warp::any().then(move || async move {
        match answer {
            Answer::Huge => vec![b' '; 3 << 20].into_response(),
            Answer::Garbage => "{\"data\": 7}".into_response(),
            Answer::Silence => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                "".into_response()
            }
            Answer::Failure => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    });
    serve(route).await
}

pub fn api(nodes: Vec<Url>) -> BeaconApi {
    BeaconApi::new("eip155-1".parse().unwrap(), nodes, Duration::from_millis(700), None).unwrap()
}

/// What an execution node with these states answers when asked for a proof of the gateway's slots.
pub fn proof_of(states: &[EvmState], method: &str, params: &Value) -> Option<Value> {
    if method != "eth_getProof" {
        return None;
    }
    let number = u64::from_str_radix(params[2].as_str()?.trim_start_matches("0x"), 16).ok()?;
    let state = states.iter().find(|state| state.header.number == number)?;
    let slots =
        params[1].as_array()?.iter().map(|slot| json!({ "key": slot, "value": "0x0", "proof": state.storage_proof }));
    Some(json!({
        "address": evm_gateway(), "balance": "0x0", "codeHash": B256::ZERO, "nonce": "0x1",
        "storageHash": B256::ZERO, "accountProof": state.account_proof, "storageProof": slots.collect::<Vec<_>>(),
    }))
}

/// A header as nodes write it.
pub fn block_json(hash: B256, header: &EvmHeader) -> Value {
    let header = alloy::rpc::types::Header { hash, inner: header.clone(), total_difficulty: None, size: None };
    serde_json::to_value(header).unwrap()
}

/// An adapter over an execution node with these blocks, that answers other questions as told: by an error, if the
/// answer has that field.
pub async fn evm(
    number: u64,
    blocks: Vec<EvmHeader>,
    source: HeaderSource,
    other: impl Fn(&str, &Value) -> Option<Value> + Send + Sync + 'static,
) -> EvmChain {
    over(number, vec![node(number, blocks, other).await], vec![], source).await
}

/// An adapter over these execution nodes, with these witnesses.
pub async fn over(number: u64, endpoints: Vec<Url>, witnesses: Vec<Url>, source: HeaderSource) -> EvmChain {
    let chain = format!("eip155-{number}").parse().unwrap();
    let mut settings = EvmSettings::new(chain, number, endpoints, crate::common::evm_gateway(), Height(0));
    settings.finality = Finality::Depth(0);
    settings.request_timeout_ms = 3_000;
    settings.witnesses = witnesses;
    let wallet = crosspoint_adapters::evm::anvil::development_key(1).unwrap();
    EvmChain::connect(settings, wallet, Some(source), None).await.unwrap()
}

/// An execution node with these blocks, that answers other questions as told.
pub async fn node(
    number: u64,
    blocks: Vec<EvmHeader>,
    other: impl Fn(&str, &Value) -> Option<Value> + Send + Sync + 'static,
) -> Url {
    let other = Arc::new(other);
    let answer = move |request: Value| {
        let params = &request["params"];
        let named = |param: &Value| u64::from_str_radix(param.as_str()?.trim_start_matches("0x"), 16).ok();
        let method = request["method"].as_str().unwrap();
        let result = other(method, params).or_else(|| match method {
            "eth_chainId" => Some(json!(format!("0x{number:x}"))),
            "eth_call" => Some(json!(Address::repeat_byte(7).into_word())),
            "eth_getBlockByNumber" => {
                let newest = blocks.iter().max_by_key(|header| header.number);
                let header = match named(&params[0]) {
                    Some(number) => blocks.iter().find(|header| header.number == number),
                    None => newest,
                };
                header.map(|header| block_json(header.hash_slow(), header))
            }
            _ => None,
        });
        let said = match result.as_ref().and_then(|result| result.get("error")) {
            Some(error) => json!({ "jsonrpc": "2.0", "id": request["id"], "error": error }),
            None => json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }),
        };
        warp::reply::json(&said).into_response()
    };
    let route = warp::post().and(warp::body::json()).map(answer);
    serve(route.recover(|_| async { Ok::<_, Infallible>(StatusCode::BAD_REQUEST.into_response()) }).unify()).await
}
