//! A network in a folder of its own, ended whatever becomes of the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Result;
use crosspoint_adapters::native::{NativeChain, NativeSettings};
use crosspoint_adapters::signer::Signer;
use crosspoint_ledger::address::AccountId;
use crosspoint_ledger::demo;
use crosspoint_ledger::tx::message::Message;
use crosspoint_protocol::amount::Amount;
use serde_json::{Value, json};

use crate::process::{Ran, command, finish};

pub const BLOCK_MS: u64 = 300;

/// The first of 40 ports in a row that nobody uses, and no other test of this process.
pub fn free_base() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let is_free = |base: u16| (base..base + 40).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    let start = 20_000 + u16::try_from(std::process::id() % 200).unwrap() * 120;
    loop {
        let base = start + TAKEN.fetch_add(40, Ordering::SeqCst);
        assert!(base < 60_000, "no 40 free ports in a row from {start} on");
        if is_free(base) {
            return base;
        }
    }
}

pub struct Localnet {
    pub dir: PathBuf,
    _folder: tempfile::TempDir,
}

impl Drop for Localnet {
    fn drop(&mut self) {
        let home = self.dir.to_string_lossy().into_owned();
        // A test that ended it itself finds nothing to end.
        let _ = std::process::Command::new(env!("CARGO_BIN_EXE_crosspoint"))
            .args(["localnet", "down", "--wipe", "--home", &home])
            .output();
    }
}

impl Localnet {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { dir: folder.path().join("net"), _folder: folder }
    }

    pub async fn run(&self, args: &[&str]) -> Result<Ran> {
        let mut command = command(&["localnet"]);
        command.args(args).arg("--home").arg(&self.dir);
        finish(command).await
    }

    pub async fn json(&self, args: &[&str]) -> Result<Value> {
        self.run(&[args, &["--json"]].concat()).await?.json()
    }

    pub fn pid(&self, index: u16, program: &str) -> String {
        read(&self.dir.join(format!("node{index}/{program}.pid"))).trim().to_owned()
    }
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A call of a node's RPC.
pub async fn ask(rpc: &str, method: &str, params: Value) -> Result<Value> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer: Value = reqwest::Client::new().post(rpc).json(&body).send().await?.json().await?;
    answer.get("result").cloned().ok_or_else(|| anyhow::anyhow!("{method}: {answer}"))
}

/// The header of a block.
pub async fn header(rpc: &str, height: u64) -> Result<Value> {
    Ok(ask(rpc, "header", json!({ "height": height.to_string() })).await?["header"].clone())
}

pub async fn height(rpc: &str) -> Result<u64> {
    let status = ask(rpc, "status", json!({})).await?;
    Ok(status["sync_info"]["latest_block_height"].as_str().unwrap_or_default().parse()?)
}

/// The adapter over these nodes.
pub fn native(rpcs: &[&str]) -> NativeChain {
    let urls = rpcs.iter().map(|rpc| rpc.parse().unwrap()).collect();
    let mut settings = NativeSettings::new(demo::CHAIN_ID.parse().unwrap(), urls);
    settings.block_ms = BLOCK_MS;
    NativeChain::new(settings, demo::member_key("relayer")).unwrap()
}

pub fn account(name: &str) -> AccountId {
    AccountId::of_key(&demo::member_key(name).verifying_key())
}

pub fn signer(name: &str) -> Signer {
    Signer::Native(Box::new(demo::member_key(name)))
}

pub fn transfer(to: &str, amount: u128) -> Message {
    let (to, denom) = (account(to), "sfs".parse().unwrap());
    Message::Transfer { to, denom, amount: Amount::new(amount), memo: String::new() }
}
