//! The headers of a real chain, each asked for once.

use alloy::consensus::Header;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

/// The real node with its headers so far.
pub struct Blocks {
    node: Url,
    http: reqwest::Client,
    headers: Mutex<Vec<Header>>,
}

impl Blocks {
    pub fn of(node: Url) -> Self {
        Self { node, http: reqwest::Client::new(), headers: Mutex::default() }
    }

    /// What the node answers to a request, as it is.
    pub async fn ask(&self, request: &Value) -> Result<Value> {
        Ok(self.http.post(self.node.clone()).json(request).send().await?.json().await?)
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer = self.ask(&request).await?;
        ensure!(answer.get("error").is_none(), "{method}: {answer}");
        Ok(answer["result"].take())
    }

    /// The number of the newest block.
    pub async fn newest(&self) -> Result<u64> {
        let number = self.call("eth_blockNumber", json!([])).await?;
        Ok(u64::from_str_radix(number.as_str().context("no number")?.trim_start_matches("0x"), 16)?)
    }

    /// The headers of all blocks up to this one.
    pub async fn up_to(&self, number: u64) -> Result<Vec<Header>> {
        let mut headers = self.headers.lock().await;
        for number in headers.len() as u64..=number {
            let header = self.call("eth_getBlockByNumber", json!([format!("0x{number:x}"), false])).await?;
            headers.push(serde_json::from_value::<alloy::rpc::types::Header>(header)?.inner);
        }
        Ok(headers[..=number as usize].to_vec())
    }
}
