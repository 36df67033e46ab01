//! Methods that take transactions and find them again.

use serde_json::{Value, json};
use tendermint::abci::types::ExecTxResult;
use tendermint::{Hash, merkle};
use tendermint_proto::v0_38::crypto;
use tokio::sync::broadcast::error::RecvError;

use super::jsonrpc::{Outcome, RpcError, to_json};
use super::params::Params;
use super::query::{EventQuery, MAX_QUERY_BYTES, tx_attributes};
use super::server::Context;
use super::views::{beyond, damaged, exec_result, page, stored_block, stored_results};
use crate::app::TxResult;
use crate::engine::mempool::TxHash;
use crate::engine::node::{Node, SubmitError};
use crate::tx::MAX_TX_BYTES;

/// Most blocks that one search looks through.
const MAX_SEARCH_BLOCKS: u64 = 10_000;
/// Most transactions that one search finds.
const MAX_FOUND: usize = 10_000;

fn tx_bytes(params: &Params) -> Result<Vec<u8>, RpcError> {
    let tx = params.base64("tx", MAX_TX_BYTES)?;
    tx.filter(|tx| !tx.is_empty()).ok_or_else(|| RpcError::InvalidParams("parameter `tx` is missing".into()))
}

impl From<SubmitError> for RpcError {
    fn from(error: SubmitError) -> Self {
        Self::Internal(error.to_string())
    }
}

fn codespace(code: u32) -> &'static str {
    if code == crate::code::OK { "" } else { "crosspoint" }
}

fn broadcast_view(hash: &TxHash, checked: &TxResult) -> Outcome {
    to_json(&json!({
        "code": checked.code,
        "data": "",
        "log": checked.log,
        "codespace": codespace(checked.code),
        "hash": hex::encode_upper(hash),
    }))
}

pub(super) fn broadcast_tx_sync(node: &Node, params: &Params) -> Outcome {
    let (hash, checked) = node.submit(tx_bytes(params)?)?;
    broadcast_view(&hash, &checked)
}

pub(super) fn broadcast_tx_async(node: &Node, params: &Params) -> Outcome {
    let tx = tx_bytes(params)?;
    let hash = crate::tx::hash(&tx);
    // As in CometBFT the answer says nothing of what the check finds.
    if let Err(error) = node.submit(tx) {
        tracing::debug!(%error, "a transaction was not taken");
    }
    to_json(&json!({ "code": 0, "data": "", "log": "", "codespace": "", "hash": hex::encode_upper(hash) }))
}

fn check_view(checked: &TxResult) -> Value {
    json!({
        "code": checked.code,
        "data": null,
        "log": checked.log,
        "info": "",
        "gas_wanted": "0",
        "gas_used": "0",
        "events": [],
        "codespace": codespace(checked.code),
    })
}

pub(super) fn check_tx(node: &Node, params: &Params) -> Outcome {
    to_json(&check_view(&node.app.check_tx(&tx_bytes(params)?)))
}

/// Submits a transaction and waits until it is in a block: then it is durable.
pub(super) async fn broadcast_tx_commit(context: &Context, params: Params) -> Outcome {
    // The feed first, so that no block can slip between.
    let mut feed = context.node.feed();
    let node = std::sync::Arc::clone(&context.node);
    let submitted = tokio::task::spawn_blocking(move || {
        let submitted = node.submit(tx_bytes(&params)?)?;
        Ok::<_, RpcError>(submitted)
    });
    let (hash, checked) =
        submitted.await.map_err(|_| RpcError::Internal("the check failed; see the node's log".into()))??;
    let view = |result: Value, height: u64| {
        to_json(&json!({
            "check_tx": check_view(&checked),
            "tx_result": result,
            "hash": hex::encode_upper(hash),
            "height": height.to_string(),
        }))
    };
    if checked.code != crate::code::OK {
        return view(check_view(&TxResult { code: 0, log: String::new(), ..checked.clone() }), 0);
    }
    let included = async {
        loop {
            match feed.recv().await {
                Ok(block) => {
                    let Some(index) = block.tx_hashes.iter().position(|h| *h == hash) else { continue };
                    let result = block.results.tx_results.get(index).cloned();
                    let result = exec_result(result.ok_or_else(|| damaged("a block without its results"))?)?;
                    return Ok((serde_json::to_value(result).map_err(damaged)?, block.header.height.value()));
                }
                // Some blocks went by unseen: look whether it is in one of them.
                Err(RecvError::Lagged(_)) => {
                    if let Some((found, _)) = find(&context.node, &hash)? {
                        return Ok((serde_json::to_value(found.result).map_err(damaged)?, found.height));
                    }
                }
                Err(RecvError::Closed) => return Err(RpcError::Internal("the chain has stopped".into())),
            }
        }
    };
    let waited = tokio::select! {
        () = context.stop.cancelled() => Err(RpcError::Internal("the node is stopping; look the transaction up later".into())),
        waited = tokio::time::timeout(context.limits.commit_timeout, included) => waited.unwrap_or_else(|_| {
            Err(RpcError::Internal(format!(
                "timed out waiting for tx {} to be included in a block; look it up later", hex::encode_upper(hash)
            )))
        }),
    };
    let (result, height) = waited?;
    view(result, height)
}

fn waiting_view(node: &Node, limit: usize) -> (Value, Vec<Vec<u8>>) {
    let (count, bytes, txs) = node.mempool.waiting(limit);
    let view = json!({ "n_txs": txs.len().to_string(), "total": count.to_string(), "total_bytes": bytes.to_string() });
    (view, txs)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub(super) fn unconfirmed_txs(node: &Node, params: &Params) -> Outcome {
    let limit = params.number("limit")?.unwrap_or(30).clamp(1, 100);
    let (mut view, txs) = waiting_view(node, usize::try_from(limit).unwrap_or(1));
    if let Some(fields) = view.as_object_mut() {
        fields.insert("txs".into(), txs.iter().map(|tx| base64(tx)).collect());
    }
    to_json(&view)
}

pub(super) fn num_unconfirmed_txs(node: &Node, _: &Params) -> Outcome {
    let (count, bytes, _) = node.mempool.waiting(0);
    let count = count.to_string();
    to_json(&json!({ "n_txs": count, "total": count, "total_bytes": bytes.to_string(), "txs": null }))
}

/// A transaction in a block.
struct Found {
    hash: TxHash,
    height: u64,
    index: u32,
    result: ExecTxResult,
    tx: Vec<u8>,
}

/// A transaction, and all the transactions of its block for a proof.
type InBlock = (Found, Vec<Vec<u8>>);

/// Finds a transaction by its hash.
fn find(node: &Node, hash: &TxHash) -> Result<Option<InBlock>, RpcError> {
    let Some(position) = node.store.position(hash)? else { return Ok(None) };
    at(node, position.height, position.index, hash).map(Some)
}

fn at(node: &Node, height: u64, index: u32, hash: &TxHash) -> Result<InBlock, RpcError> {
    let absent = || damaged("a transaction's place in a block is empty");
    let place = usize::try_from(index).map_err(damaged)?;
    let txs = stored_block(node, height)?.block.and_then(|b| b.data).map(|d| d.txs).unwrap_or_default();
    let result = stored_results(node, height)?.tx_results.into_iter().nth(place).ok_or_else(absent)?;
    let tx = txs.get(place).cloned().ok_or_else(absent)?;
    Ok((Found { hash: *hash, height, index, result: exec_result(result)?, tx }, txs))
}

fn found_view(found: &Found, block_txs: Option<&[Vec<u8>]>) -> Value {
    let mut view = json!({
        "hash": hex::encode_upper(found.hash),
        "height": found.height.to_string(),
        "index": found.index,
        "tx_result": found.result,
        "tx": base64(&found.tx),
    });
    if let (Some(txs), Some(fields)) = (block_txs, view.as_object_mut()) {
        fields.insert("proof".into(), proof_view(found, txs));
    }
    view
}

/// The Merkle proof of a transaction in its block's data hash (RFC 6962, leaves are transaction hashes).
fn proof_view(found: &Found, txs: &[Vec<u8>]) -> Value {
    let leaves: Vec<[u8; 32]> = txs.iter().map(|tx| crate::tx::hash(tx)).collect();
    let index = usize::try_from(found.index).unwrap_or(usize::MAX);
    let mut aunts = Vec::new();
    let root = merkle_path(&leaves, index, &mut aunts);
    let leaf = crosspoint_protocol::sha256(&[&[0], &found.hash]);
    let proof = crypto::Proof {
        total: i64::try_from(leaves.len()).unwrap_or(i64::MAX),
        index: i64::from(found.index),
        leaf_hash: leaf.to_vec(),
        aunts: aunts.iter().map(|aunt| aunt.to_vec()).collect(),
    };
    json!({
        "root_hash": Hash::Sha256(root),
        "data": base64(&found.tx),
        "proof": merkle::Proof::try_from(proof).ok(),
    })
}

/// The root over `leaves`, and the siblings on the way from leaf `index` up, lowest first.
fn merkle_path(leaves: &[[u8; 32]], index: usize, aunts: &mut Vec<[u8; 32]>) -> [u8; 32] {
    let root = |part: &[[u8; 32]]| merkle::simple_hash_from_byte_vectors::<tendermint::crypto::default::Sha256>(part);
    if leaves.len() <= 1 {
        return root(leaves);
    }
    let half = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(half);
    let (left_root, right_root) = if index < half {
        let below = merkle_path(left, index, aunts);
        let aunt = root(right);
        aunts.push(aunt);
        (below, aunt)
    } else {
        let below = merkle_path(right, index.saturating_sub(half), aunts);
        let aunt = root(left);
        aunts.push(aunt);
        (aunt, below)
    };
    crosspoint_protocol::sha256(&[&[1], &left_root, &right_root])
}

pub(super) fn tx(node: &Node, params: &Params) -> Outcome {
    let hash = params.base64("hash", 64);
    let hash = match hash {
        Ok(Some(hash)) if hash.len() == 32 => hash,
        Ok(None) => return Err(RpcError::InvalidParams("parameter `hash` is missing".into())),
        Ok(Some(_)) | Err(_) => params.hex("hash", 32)?.unwrap_or_default(),
    };
    let hash: TxHash =
        hash.try_into().map_err(|_| RpcError::InvalidParams("parameter `hash` must have 32 bytes".into()))?;
    let not_found = || RpcError::Internal(format!("tx ({}) not found", hex::encode_upper(hash)));
    let (found, txs) = find(node, &hash)?.ok_or_else(not_found)?;
    to_json(&found_view(&found, params.flag("prove")?.then_some(txs.as_slice())))
}

/// Looks through blocks one by one: a query that names the hash or narrows the heights is quick, any other is
/// refused on a long chain.
pub(super) fn tx_search(node: &Node, params: &Params) -> Outcome {
    let text = params.text("query", MAX_QUERY_BYTES)?;
    let text = text.ok_or_else(|| RpcError::InvalidParams("parameter `query` is missing".into()))?;
    let query = EventQuery::parse(&text)?;
    let newest = node.latest().height;
    let (mut low, mut high) = query.heights("tx.height", 1, newest);
    if let Some(hash) = hash_condition(&query) {
        match node.store.position(&hash)? {
            Some(position) => (low, high) = (low.max(position.height), high.min(position.height)),
            None => (low, high) = (1, 0),
        }
    }
    if low > newest && newest > 0 && low == high {
        return Err(beyond(low, newest));
    }
    if high.saturating_sub(low) >= MAX_SEARCH_BLOCKS {
        let why = format!("the query spans more than {MAX_SEARCH_BLOCKS} blocks; narrow it with tx.height");
        return Err(RpcError::InvalidParams(why));
    }
    let descending = match params.text("order_by", 8)?.as_deref() {
        None | Some("" | "asc") => false,
        Some("desc") => true,
        Some(_) => {
            return Err(RpcError::InvalidParams("expected order_by to be either `asc` or `desc` or empty".into()));
        }
    };
    let mut places = Vec::new();
    for height in low..=high {
        let results = stored_results(node, height)?;
        if results.tx_results.is_empty() {
            continue;
        }
        let txs = stored_block(node, height)?.block.and_then(|b| b.data).map(|d| d.txs).unwrap_or_default();
        for (index, (tx, result)) in (0_u32..).zip(txs.into_iter().zip(results.tx_results)) {
            let hash = crate::tx::hash(&tx);
            if !query.matches(&tx_attributes(&result.events, height, &hash)) {
                continue;
            }
            if places.len() >= MAX_FOUND {
                return Err(RpcError::InvalidParams(format!("more than {MAX_FOUND} transactions; narrow the query")));
            }
            places.push((height, index, hash));
        }
    }
    if descending {
        places.reverse();
    }
    let range = page(params, places.len())?.range;
    let prove = params.flag("prove")?;
    let mut shown = Vec::with_capacity(range.len());
    for (height, index, hash) in places.get(range).unwrap_or_default() {
        let (tx, txs) = at(node, *height, *index, hash)?;
        shown.push(found_view(&tx, prove.then_some(txs.as_slice())));
    }
    to_json(&json!({ "txs": shown, "total_count": places.len().to_string() }))
}

fn hash_condition(query: &EventQuery) -> Option<TxHash> {
    use tendermint_rpc::query::{Operand, Operation};
    query.on("tx.hash").find_map(|operation| match operation {
        Operation::Eq(Operand::String(text)) => hex::decode(text).ok()?.try_into().ok(),
        _ => None,
    })
}
