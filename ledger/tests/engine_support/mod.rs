//! What the tests of the engine share: a demo chain, its members' transactions, and a CometBFT client.

#![allow(dead_code, unreachable_pub)] // each test binary uses its own part
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::time::Duration;

use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::{BlockTiming, Seed, Solo, SoloConfig, SoloHandle, Validators};
use crosspoint_ledger::tx::TxBuilder;
use crosspoint_ledger::tx::message::Message;
use crosspoint_protocol::amount::Amount;
use serde_json::{Value, json};
use tendermint_rpc::dialect::v0_38::Dialect;
use tendermint_rpc::request::Wrapper;
use tendermint_rpc::{Request, Response};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The demo chain in a directory: four validators, and the block timing given.
pub fn config(dir: &Path, timing: BlockTiming) -> SoloConfig {
    let genesis = demo::genesis(4).unwrap();
    SoloConfig {
        validators: Validators::Derived { count: 4, seed: Some(Seed::new(demo::SEED)) },
        timing,
        ..SoloConfig::new(dir, genesis)
    }
}

/// A block at once when there is something to put into it, else none for an hour: tests make blocks themselves.
pub fn on_demand() -> BlockTiming {
    BlockTiming { interval: Duration::from_secs(3_600), when_waiting: Some(Duration::from_millis(20)), when_idle: None }
}

/// Blocks only when a test asks for one.
pub fn by_hand() -> BlockTiming {
    BlockTiming::every(Duration::from_secs(3_600))
}

pub async fn start(dir: &Path, timing: BlockTiming) -> SoloHandle {
    Solo::start(config(dir, timing)).await.unwrap()
}

pub fn account(name: &str) -> AccountId {
    AccountId::of_key(&demo::member_key(name).verifying_key())
}

/// A signed transfer of SFS between demo members.
pub fn transfer(from: &str, nonce: u64, to: &str, amount: u128) -> Vec<u8> {
    let message = Message::Transfer {
        to: account(to),
        denom: "sfs".parse().unwrap(),
        amount: Amount::new(amount),
        memo: String::new(),
    };
    TxBuilder::new(demo::CHAIN_ID.parse().unwrap(), nonce).message(message).sign(&demo::member_key(from))
}

/// A JSON-RPC client without types.
pub struct Client {
    pub url: String,
    http: reqwest::Client,
}

impl Client {
    pub fn new(chain: &SoloHandle) -> Self {
        Self::at(chain.rpc_url())
    }

    pub fn at(url: String) -> Self {
        Self { url, http: reqwest::Client::new() }
    }

    /// Posts a body; the status and the answer's text.
    pub async fn post(&self, body: impl Into<reqwest::Body>) -> (u16, String) {
        let answer = self.http.post(&self.url).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Calls by GET.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    /// Calls a method; its whole response.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        serde_json::from_str(&self.post(body).await.1).unwrap()
    }

    /// Calls a method with the request type of `tendermint-rpc` and reads the answer with its response type.
    pub async fn ask<R: Request<Dialect>>(&self, request: R) -> R::Response {
        let (_, text) = self.post(Wrapper::new(request).into_json()).await;
        R::Response::from_string(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Submits a transaction and waits for its block; the height.
    pub async fn commit(&self, tx: Vec<u8>) -> u64 {
        let done = self.ask(tendermint_rpc::endpoint::broadcast::tx_commit::Request::new(tx)).await;
        assert!(done.check_tx.code.is_ok(), "{}", done.check_tx.log);
        assert!(done.tx_result.code.is_ok(), "{}", done.tx_result.log);
        done.height.value()
    }

    /// What a member holds of SFS, by the newest state.
    pub async fn balance(&self, name: &str) -> u128 {
        let params = json!({"path": "/account", "data": hex::encode(account(name).to_string())});
        let answer = self.call("abci_query", params).await;
        use base64::Engine as _;
        let value = answer["result"]["response"]["value"].as_str().unwrap();
        let view = base64::engine::general_purpose::STANDARD.decode(value).unwrap();
        let view: crosspoint_ledger::query::AccountView = serde_json::from_slice(&view).unwrap();
        view.balances.get(&"sfs".parse().unwrap()).map_or(0, |amount| amount.to_string().parse().unwrap())
    }
}
