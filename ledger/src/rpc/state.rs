//! Methods about the application's state.

use crosspoint_protocol::ids::Height;
use serde_json::{Value, json};
use tendermint::abci::response::Info;
use tendermint_rpc::endpoint;

use super::jsonrpc::{Outcome, RpcError, to_json};
use super::params::Params;
use super::views::damaged;
use crate::code;
use crate::engine::block::APP_VERSION;
use crate::engine::node::Node;

/// Longest path of a query.
const MAX_PATH_BYTES: usize = 256;
/// Most bytes of a query's data.
const MAX_DATA_BYTES: usize = 64 * 1024;
/// The type of proof operation that carries an ICS-23 `CommitmentProof` of the JMT specification.
pub const PROOF_TYPE: &str = "ics23:jmt";
/// The path that asks the engine for the signed checkpoint of a header: data is u64be(height), or of 0 for the newest
/// that is signed; the answer JSON of [`crosspoint_light_proofs::checkpoint::SignedCheckpoint`].
pub const CHECKPOINT_PATH: &str = "checkpoint";

pub(super) fn abci_info(node: &Node, _: &Params) -> Outcome {
    let latest = node.latest();
    to_json(&endpoint::abci_info::Response {
        response: Info {
            data: "crosspoint".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            app_version: APP_VERSION,
            last_block_height: latest.height.try_into().map_err(damaged)?,
            last_block_app_hash: latest.app_hash,
        },
    })
}

/// An answer in the form CometBFT gives it.
#[derive(Debug, Default)]
struct Answer {
    code: u32,
    log: String,
    key: Vec<u8>,
    value: Vec<u8>,
    height: u64,
    proof: Option<Vec<u8>>,
}

pub(super) fn abci_query(node: &Node, params: &Params) -> Outcome {
    let path = params.text("path", MAX_PATH_BYTES)?.unwrap_or_default();
    let data = params.hex("data", MAX_DATA_BYTES)?.unwrap_or_default();
    let height = params.height("height")?.unwrap_or(0);
    let prove = params.flag("prove")?;
    let answer = if path.trim_start_matches('/') == CHECKPOINT_PATH {
        checkpoint(node, &data)?
    } else {
        let result = node.app.query(&path, &data, Height(height), prove);
        Answer {
            code: result.code,
            log: result.log,
            key: result.key,
            value: result.value,
            height: result.height.0,
            proof: result.proof,
        }
    };
    to_json(&json!({ "response": view(answer) }))
}

fn view(answer: Answer) -> Value {
    use base64::Engine as _;
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    // Empty bytes are null in CometBFT's JSON.
    let bytes = |bytes: &[u8]| if bytes.is_empty() { Value::Null } else { base64(bytes).into() };
    let key = answer.key;
    let proof = answer
        .proof
        .map(|proof| json!({ "ops": [{ "type": PROOF_TYPE, "key": base64(&key), "data": base64(&proof) }] }));
    json!({
        "code": answer.code,
        "log": answer.log,
        "info": "",
        "index": "0",
        "key": bytes(&key),
        "value": bytes(&answer.value),
        "proofOps": proof,
        "height": answer.height.to_string(),
        "codespace": if answer.code == code::OK { "" } else { "crosspoint" },
    })
}

fn checkpoint(node: &Node, data: &[u8]) -> Result<Answer, RpcError> {
    let newest = node.latest().height;
    let refused = |code, log: String| Answer { code, log, height: newest, ..Answer::default() };
    let Ok(bytes) = <[u8; 8]>::try_from(data) else {
        return Ok(refused(code::MALFORMED, "data is the header's height in eight bytes, the highest first".into()));
    };
    let height = match u64::from_be_bytes(bytes) {
        0 => newest,
        height => height,
    };
    let Some(signed) = node.store.checkpoint(&node.chain_id, height)? else {
        return Ok(refused(code::NOT_FOUND, format!("there is no header {height}; the newest is {newest}")));
    };
    let value = serde_json::to_vec(&signed).map_err(damaged)?;
    Ok(Answer { key: data.to_vec(), value, height, ..Answer::default() })
}
