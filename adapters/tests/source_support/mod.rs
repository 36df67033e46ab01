//! Nodes that say what they are told: beacon nodes, and an execution node.
#![allow(dead_code, unreachable_pub)]

pub mod nodes;

pub use nodes::{Beacon, beacon, block_json, serve};

use crate::common::{EvmState, evm_gateway};
use alloy::consensus::Header as EvmHeader;
use alloy::primitives::{Address, B256};
use crosspoint_adapters::evm::beacon::BeaconApi;
use crosspoint_adapters::evm::{EvmChain, EvmSettings, Finality, HeaderSource};
use crosspoint_protocol::ids::Height;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use warp::http::StatusCode;
use warp::{Filter, Reply};

#[path = "../../../protocol/tests/vectors/mod.rs"]
#[allow(clippy::duplicate_mod)]
mod vectors;
#[allow(unused_imports)]
pub use vectors::vector;

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
