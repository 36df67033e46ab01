//! A node of a consortium chain: anvil's, with headers that four validators seal by the rules of QBFT, each naming the
//! sealed one before it. Every so many blocks one of the four is another.

use std::sync::Arc;

use alloy::consensus::Header;
use alloy::primitives::{B256, Bytes};
use anyhow::Result;
use crosspoint_light_proofs::qbft::Encoding;
use crosspoint_light_proofs::signature::SigningKey;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::{Reply, Response};

use super::blocks::Blocks;
use super::role::{Role, Stage};
use crate::nodes::{block_json, serve};
use crate::sealed_chain::Block;
use crate::seals::sealed;
use crate::support::keys;

/// Validators of a block.
const SET: usize = 4;
/// Blocks until the next change of validators.
const TERM: usize = 16;

pub struct SealingNode {
    pub url: Url,
    pub stage: Stage,
    chain: Arc<Chain>,
}

struct Chain {
    blocks: Blocks,
    keys: Vec<SigningKey>,
    sealed: Mutex<Vec<(B256, Header)>>,
}

impl SealingNode {
    pub async fn start(anvil: Url) -> Result<Self> {
        let chain = Arc::new(Chain { blocks: Blocks::of(anvil), keys: keys(100), sealed: Mutex::default() });
        let stage = Stage::default();
        let (told, node) = (stage.clone(), Arc::clone(&chain));
        let route = warp::post().and(warp::body::json()).then(move |request: Value| {
            let (role, node) = (told.role(), Arc::clone(&node));
            async move { node.answer(&request, role).await }
        });
        let refused = |_| async { Ok::<_, std::convert::Infallible>(StatusCode::BAD_REQUEST.into_response()) };
        Ok(Self { url: serve(route.recover(refused).unify()).await, stage, chain })
    }

    /// The RLP of a block's header, with its seals.
    pub async fn header(&self, number: u64) -> Result<Bytes> {
        Ok(alloy_rlp::encode(&self.chain.header(number).await?.1).into())
    }
}

impl Chain {
    async fn answer(&self, request: &Value, role: Role) -> Response {
        let answer = async {
            let mut answer = self.blocks.ask(request).await?;
            let of_block = request["method"] == "eth_getBlockByNumber" && request["params"][0] != "pending";
            match answer.get_mut("result") {
                Some(block) if of_block && !block.is_null() => self.seal(block, role).await?,
                Some(result) => self.rename(result).await?,
                None => {}
            }
            Ok::<_, anyhow::Error>(answer)
        };
        match (role, answer.await) {
            (Role::Honest | Role::Forging, Ok(answer)) => warp::reply::json(&answer).into_response(),
            (Role::Down, _) | (_, Err(_)) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    }

    /// A block's validators, and who seals it if they do not.
    fn set(&self, number: u64) -> (&[SigningKey], &[SigningKey]) {
        let first = number as usize / TERM;
        (&self.keys[first..first + SET], &self.keys[first + SET..first + 2 * SET])
    }

    async fn header(&self, number: u64) -> Result<(B256, Header)> {
        let headers = self.blocks.up_to(number).await?;
        let mut known = self.sealed.lock().await;
        for header in headers.into_iter().skip(known.len()) {
            let parent_hash = known.last().map_or(B256::ZERO, |(hash, _)| *hash);
            let block = Block::new(Encoding::Qbft, header.number, header.timestamp, self.set(header.number).0);
            known.push(sealed(Header { parent_hash, ..header }, &block));
        }
        Ok(known[number as usize].clone())
    }

    async fn seal(&self, block: &mut Value, role: Role) -> Result<()> {
        let (mut hash, mut header) = self.header(number(&block["number"])).await?;
        if role == Role::Forging {
            let (validators, strangers) = self.set(header.number);
            let block = Block::new(Encoding::Qbft, header.number, header.timestamp, validators);
            (hash, header) = sealed(header, &Block { signers: strangers.to_vec(), ..block });
        }
        let Value::Object(fields) = block_json(hash, &header) else { return Ok(()) };
        for (name, value) in fields {
            block[name] = value;
        }
        Ok(())
    }

    /// Names the blocks of receipts and logs by the hashes that they have here.
    async fn rename(&self, result: &mut Value) -> Result<()> {
        let mut rest = vec![result];
        while let Some(value) = rest.pop() {
            match value {
                Value::Array(values) => rest.extend(values),
                Value::Object(fields) => {
                    if let Some(at) = fields.get("blockNumber").filter(|at| at.is_string()) {
                        let (hash, _) = self.header(number(at)).await?;
                        fields.insert("blockHash".into(), json!(hash));
                    }
                    rest.extend(fields.values_mut());
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        Ok(())
    }
}

fn number(hex: &Value) -> u64 {
    u64::from_str_radix(hex.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}
