//! Methods about blocks, validators and the node.

use serde_json::{Value, json};
use tendermint::block::signed_header::SignedHeader;
use tendermint::block::{self, Commit, Header};
use tendermint::{Hash, node};
use tendermint_proto::v0_38::types;
use tendermint_rpc::endpoint;

use super::jsonrpc::{Outcome, RpcError, to_json};
use super::params::Params;
use super::views::{asked_height, damaged, events, exec_result, page, stored_block, stored_results, validator_list};
use crate::engine::block::{APP_VERSION, BLOCK_PROTOCOL};
use crate::engine::node::Node;
use crate::engine::store::BlockRecord;

/// Most headers in one answer of `blockchain`, as in CometBFT.
const MAX_HEADERS: u64 = 20;

pub(super) fn health(_: &Node, _: &Params) -> Outcome {
    Ok("{}".into())
}

pub(super) fn genesis(node: &Node, _: &Params) -> Outcome {
    to_json(&json!({ "genesis": node.genesis }))
}

pub(super) fn net_info(_: &Node, _: &Params) -> Outcome {
    // All validators live in this process: there is no network to have peers in.
    to_json(&endpoint::net_info::Response { listening: false, listeners: Vec::new(), n_peers: 0, peers: Vec::new() })
}

/// The parts of a stored block.
struct Parts {
    header: Header,
    id: block::Id,
    commit: Commit,
    raw: types::Block,
    size: u64,
}

fn parts(record: BlockRecord) -> Result<Parts, RpcError> {
    let absent = || damaged("a block record without its parts");
    let raw = record.block.ok_or_else(absent)?;
    Ok(Parts {
        header: raw.header.clone().ok_or_else(absent)?.try_into().map_err(damaged)?,
        id: record.id.ok_or_else(absent)?.try_into().map_err(damaged)?,
        commit: record.commit.ok_or_else(absent)?.try_into().map_err(damaged)?,
        raw,
        size: record.size,
    })
}

fn parts_at(node: &Node, height: u64) -> Result<Parts, RpcError> {
    parts(stored_block(node, height)?)
}

pub(super) fn status(node: &Node, _: &Params) -> Outcome {
    let latest = node.latest();
    let info = node::Info {
        protocol_version: node::info::ProtocolVersionInfo { p2p: 8, block: BLOCK_PROTOCOL, app: APP_VERSION },
        id: node::Id::new(node.validator.address.as_bytes().try_into().unwrap_or_default()),
        listen_addr: node::info::ListenAddress::new("none".into()),
        network: node.chain_id.as_str().parse().map_err(damaged)?,
        version: serde_json::from_value(json!("0.38.0")).map_err(damaged)?,
        channels: serde_json::from_value(json!("40202122233038606100")).map_err(damaged)?,
        moniker: "crosspoint-solo".parse().map_err(damaged)?,
        other: node::info::OtherInfo { tx_index: node::info::TxIndexStatus::On, rpc_address: "none".into() },
    };
    let side = |header: Option<&Header>| -> [Value; 4] {
        match header {
            Some(h) => [json!(h.hash()), json!(h.app_hash.to_string()), json!(h.height), json!(h.time)],
            // As CometBFT before its first block.
            None => [json!(""), json!(""), json!("0"), json!("1970-01-01T00:00:00Z")],
        }
    };
    let earliest = if latest.height == 0 { None } else { Some(parts_at(node, 1)?.header) };
    let [earliest_hash, earliest_app_hash, earliest_height, earliest_time] = side(earliest.as_ref());
    let [latest_hash, latest_app_hash, latest_height, latest_time] = side(latest.header.as_ref());
    to_json(&json!({
        "node_info": info,
        "sync_info": {
            "latest_block_hash": latest_hash,
            "latest_app_hash": latest_app_hash,
            "latest_block_height": latest_height,
            "latest_block_time": latest_time,
            "earliest_block_hash": earliest_hash,
            "earliest_app_hash": earliest_app_hash,
            "earliest_block_height": earliest_height,
            "earliest_block_time": earliest_time,
            "catching_up": false,
        },
        "validator_info": {
            "address": node.validator.address,
            "pub_key": node.validator.pub_key,
            "voting_power": node.validator.power().to_string(),
        },
    }))
}

pub(super) fn block(node: &Node, params: &Params) -> Outcome {
    block_json(parts_at(node, asked_height(node, params)?)?)
}

fn block_json(parts: Parts) -> Outcome {
    to_json(&json!({ "block_id": parts.id, "block": parts.raw }))
}

/// The height of the block whose hash is asked for: base64 in JSON, as in CometBFT, or hex.
fn height_by_hash(node: &Node, params: &Params) -> Result<Option<u64>, RpcError> {
    let hash = match params.base64("hash", 32) {
        Ok(Some(hash)) if hash.len() == 32 => hash,
        Ok(None) => return Err(RpcError::InvalidParams("parameter `hash` is missing".into())),
        Ok(Some(_)) | Err(_) => {
            let hash = params.hex("hash", 32)?.filter(|hash| hash.len() == 32);
            hash.ok_or_else(|| RpcError::InvalidParams("parameter `hash` must have 32 bytes".into()))?
        }
    };
    Ok(node.store.height_of(&hash)?)
}

pub(super) fn block_by_hash(node: &Node, params: &Params) -> Outcome {
    match height_by_hash(node, params)? {
        Some(height) => block_json(parts_at(node, height)?),
        None => Ok(r#"{"block_id":{"hash":"","parts":{"total":0,"hash":""}},"block":null}"#.into()),
    }
}

pub(super) fn header(node: &Node, params: &Params) -> Outcome {
    let parts = parts_at(node, asked_height(node, params)?)?;
    to_json(&endpoint::header::Response { header: parts.header })
}

pub(super) fn header_by_hash(node: &Node, params: &Params) -> Outcome {
    let header = match height_by_hash(node, params)? {
        Some(height) => Some(parts_at(node, height)?.header),
        None => None,
    };
    to_json(&endpoint::header_by_hash::Response { header })
}

pub(super) fn blockchain(node: &Node, params: &Params) -> Outcome {
    let newest = node.latest().height;
    let high = params.height("maxHeight")?.unwrap_or(newest).min(newest);
    let low = params.height("minHeight")?.unwrap_or(1).max(high.saturating_sub(MAX_HEADERS.saturating_sub(1))).max(1);
    if low > high {
        return Err(RpcError::InvalidParams(format!("min height {low} can't be greater than max height {high}")));
    }
    let meta = |height: u64| -> Result<block::Meta, RpcError> {
        let parts = parts_at(node, height)?;
        let txs = parts.raw.data.map_or(0, |data| data.txs.len());
        Ok(block::Meta {
            block_id: parts.id,
            block_size: i64::try_from(parts.size).unwrap_or(i64::MAX),
            header: parts.header,
            num_txs: i64::try_from(txs).unwrap_or(i64::MAX),
        })
    };
    let block_metas = (low..=high).rev().map(meta).collect::<Result<Vec<_>, _>>()?;
    let last_height = block::Height::try_from(newest).map_err(damaged)?;
    to_json(&endpoint::blockchain::Response { last_height, block_metas })
}

pub(super) fn commit(node: &Node, params: &Params) -> Outcome {
    let height = asked_height(node, params)?;
    let parts = parts_at(node, height)?;
    let signed_header = SignedHeader::new(parts.header, parts.commit).map_err(damaged)?;
    // The newest block's commit is in no block yet.
    let canonical = height < node.latest().height;
    to_json(&endpoint::commit::Response { signed_header, canonical })
}

pub(super) fn block_results(node: &Node, params: &Params) -> Outcome {
    let height = asked_height(node, params)?;
    let results = stored_results(node, height)?;
    let txs = results.tx_results.into_iter().map(exec_result).collect::<Result<Vec<_>, _>>()?;
    to_json(&json!({
        "height": height.to_string(),
        "txs_results": if txs.is_empty() { None } else { Some(txs) },
        "finalize_block_events": events(results.events)?,
        "validator_updates": null,
        "consensus_param_updates": null,
        "app_hash": Hash::try_from(results.app_hash.to_vec()).map_err(damaged)?,
    }))
}

pub(super) fn validators(node: &Node, params: &Params) -> Outcome {
    // A light client asks for the next block's set too: it is known as soon as the newest block is there.
    let newest = node.latest().height;
    let height = params.height("height")?.unwrap_or_else(|| newest.max(1));
    if height > newest.saturating_add(1) {
        return Err(super::views::beyond(height, newest));
    }
    let none = || RpcError::Internal(format!("there is no validator set for height {height}"));
    let set = node.validators(height)?.ok_or_else(none)?;
    let list = validator_list(&set)?;
    let range = page(params, list.len())?.range;
    let shown = list.get(range).unwrap_or_default();
    to_json(&json!({
        "block_height": height.to_string(),
        "validators": shown,
        "count": shown.len().to_string(),
        "total": list.len().to_string(),
    }))
}

pub(super) fn consensus_params(node: &Node, params: &Params) -> Outcome {
    let block_height = block::Height::try_from(asked_height(node, params)?).map_err(damaged)?;
    to_json(&endpoint::consensus_params::Response { block_height, consensus_params: node.params.clone() })
}
