//! The native chain in a process of its own, so that it can be killed as the system kills: with no last word.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crosspoint_gateway::localnet::LocalNetConfig;
use crosspoint_ledger::demo;
use crosspoint_ledger::engine::{Seed, Solo, SoloConfig, SoloHandle, Validators};
use serde_json::{Value, json};

use crate::PATIENCE;

const DIR: &str = "CROSSPOINT_TEST_LEDGER_DIR";
const ADDR: &str = "CROSSPOINT_TEST_LEDGER_ADDR";

/// What the network's native chain was started with, to start it again on the same data.
pub fn solo_config(config: &LocalNetConfig, addr: SocketAddr) -> Result<SoloConfig> {
    let mut genesis = demo::genesis(config.validators)?;
    genesis.params.min_hold = config.min_hold;
    let mut solo = SoloConfig::new(config.dir.join("native"), genesis);
    solo.validators = Validators::Derived { count: config.validators, seed: Some(Seed::new(demo::SEED)) };
    solo.timing = config.native_timing;
    solo.rpc_addr = addr;
    Ok(solo)
}

/// Starts the chain on an address that was in use a moment ago.
pub async fn start_on(config: &LocalNetConfig, addr: SocketAddr) -> Result<SoloHandle> {
    let started = Instant::now();
    loop {
        match Solo::start(solo_config(config, addr)?).await {
            Ok(solo) => return Ok(solo),
            Err(error) => ensure!(started.elapsed() < Duration::from_secs(30), "the chain does not start: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The chain, running in a child process.
pub struct LedgerProcess {
    child: Child,
    url: String,
}

impl Drop for LedgerProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl LedgerProcess {
    /// Runs `test` of this test binary, which calls [`serve`], and waits until the chain answers.
    pub async fn start(test: &str, dir: &Path, addr: SocketAddr) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["--exact", test, "--nocapture"])
            .env(DIR, dir)
            .env(ADDR, addr.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut process = Self { child, url: format!("http://{addr}") };
        let started = Instant::now();
        while process.height().await.is_err() {
            ensure!(process.child.try_wait()?.is_none(), "the chain's process ended");
            ensure!(started.elapsed() < PATIENCE, "the chain does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(process)
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer: Value = reqwest::Client::new().post(&self.url).json(&request).send().await?.json().await?;
        Ok(answer["result"].clone())
    }

    /// The newest block's number.
    pub async fn height(&self) -> Result<u64> {
        let status = self.call("status", json!({})).await?;
        let height = status["sync_info"]["latest_block_height"].as_str().context("a height")?;
        Ok(height.parse()?)
    }

    /// The app hash in a header; `None` if there is no such header.
    pub async fn app_hash(&self, height: u64) -> Result<Option<String>> {
        let header = self.call("header", json!({ "height": height.to_string() })).await?;
        Ok(header["header"]["app_hash"].as_str().map(str::to_owned))
    }
}

/// In the child: runs the chain until the process is killed. Returns at once where no parent asked for it.
pub async fn serve(config: impl FnOnce(PathBuf) -> LocalNetConfig) -> Result<()> {
    let (Some(dir), Ok(addr)) = (std::env::var_os(DIR), std::env::var(ADDR)) else { return Ok(()) };
    let _chain = start_on(&config(dir.into()), addr.parse()?).await?;
    std::future::pending().await
}
