//! Runs anvil, the development chain, as a child process.

use super::rpc::{Bounds, Rpc};
use crate::error::ChainError;
use alloy::primitives::{Address, B256, U256};
use alloy::signers::local::PrivateKeySigner;
use crosspoint_protocol::ids::ChainId;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use url::Url;

/// The environment variable that names the anvil binary.
pub const BINARY_VARIABLE: &str = "CROSSPOINT_ANVIL";
/// Where npm puts the binary, below the folder that holds `contracts`.
const NPM_PATH: &str = "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
/// The longest wait for anvil to answer.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How often another port is tried when the chosen one was taken in between.
const START_ATTEMPTS: usize = 3;

/// Why anvil does not run.
#[derive(Debug, thiserror::Error)]
pub enum AnvilError {
    /// The variable names a file that is not there.
    #[error("{BINARY_VARIABLE} names {0}, which is not a file")]
    NoSuchBinary(PathBuf),
    /// There is no binary anywhere.
    #[error(
        "anvil was not found: set {BINARY_VARIABLE}, or run `make setup`, or put anvil on the PATH (looked from {0} upwards)"
    )]
    NotFound(PathBuf),
    /// The process cannot be started.
    #[error("{binary} does not start: {source}")]
    Spawn {
        /// The binary.
        binary: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No port is free.
    #[error("no free port for anvil: {0}")]
    Port(std::io::Error),
    /// There is no folder for its states.
    #[error("no temporary folder for the states of anvil's old blocks: {0}")]
    States(std::io::Error),
    /// It ended before it answered.
    #[error("anvil ended ({0}) before it answered")]
    Ended(std::process::ExitStatus),
    /// It runs, but does not answer.
    #[error("anvil does not answer on port {port} after {} s", START_TIMEOUT.as_secs())]
    Silent {
        /// Its port.
        port: u16,
    },
    /// Anvil refused one of its own calls.
    #[error(transparent)]
    Call(#[from] ChainError),
}

/// How to run anvil.
#[derive(Debug, Clone)]
pub struct AnvilOptions {
    /// The port; 0 picks a free one.
    pub port: u16,
    /// The EIP-155 chain number.
    pub chain_number: u64,
    /// A block every so often; `None`: one per transaction, and when a test asks.
    pub block_time: Option<Duration>,
    /// N: `safe` trails the newest block by N, `finalized` by 2 N.
    pub slots_in_an_epoch: u64,
    /// The genesis block's time in seconds since 1970; `None`: now.
    pub timestamp: Option<u64>,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self { port: 0, chain_number: 31_337, block_time: None, slots_in_an_epoch: 1, timestamp: None }
    }
}

/// A running anvil. It is killed when this is dropped, or when this process dies in any way.
#[derive(Debug)]
pub struct Anvil {
    /// Ends before the child, so that it never signals another process of the same number.
    watcher: Option<Child>,
    child: Child,
    /// Where it keeps the states of old blocks, gigabytes in an hour. Left to itself it would keep them in the home folder, for
    /// ever if it is killed.
    _states: TempDir,
    url: Url,
    chain: ChainId,
    chain_number: u64,
    rpc: Rpc,
}

impl Drop for Anvil {
    /// Waits for the end of the child: what it wrote afterwards would be left behind when its folder is removed.
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Finds the binary: the variable, then `contracts/node_modules` from the working folder upwards, then the PATH.
pub fn find_binary() -> Result<PathBuf, AnvilError> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE).map(PathBuf::from) {
        return if path.is_file() { Ok(path) } else { Err(AnvilError::NoSuchBinary(path)) };
    }
    let cwd = std::env::current_dir().unwrap_or_default();
    let npm = cwd.ancestors().map(|folder| folder.join(NPM_PATH));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("anvil"));
    npm.chain(on_path).find(|file| file.is_file()).ok_or(AnvilError::NotFound(cwd))
}

impl Anvil {
    /// Starts anvil and waits until it answers.
    pub async fn start(options: &AnvilOptions) -> Result<Self, AnvilError> {
        let binary = find_binary()?;
        let mut last = None;
        for _ in 0..START_ATTEMPTS {
            match Self::start_once(&binary, options).await {
                // Between choosing a free port and anvil's bind another process may have taken it.
                Err(AnvilError::Ended(status)) if options.port == 0 => last = Some(status),
                other => return other,
            }
        }
        Err(last.map_or(AnvilError::Silent { port: options.port }, AnvilError::Ended))
    }

    async fn start_once(binary: &Path, options: &AnvilOptions) -> Result<Self, AnvilError> {
        let port = match options.port {
            0 => free_port().map_err(AnvilError::Port)?,
            port => port,
        };
        let states = tempfile::Builder::new().prefix("crosspoint-anvil-").tempdir().map_err(AnvilError::States)?;
        let mut command = Command::new(binary);
        command
            .arg("--cache-path")
            .arg(states.path())
            .args(["--silent", "--host", "127.0.0.1"])
            .args(["--port", &port.to_string()])
            .args(["--chain-id", &options.chain_number.to_string()])
            .args(["--slots-in-an-epoch", &options.slots_in_an_epoch.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(block_time) = options.block_time {
            // Blocks on the clock, and none in between: as on a real chain.
            command.args(["--block-time", &block_time.as_secs_f64().to_string()]);
        }
        if let Some(timestamp) = options.timestamp {
            command.args(["--timestamp", &timestamp.to_string()]);
        }
        let mut child = command.spawn().map_err(|source| AnvilError::Spawn { binary: binary.to_owned(), source })?;
        let silent = || AnvilError::Silent { port };
        let url: Url = format!("http://127.0.0.1:{port}").parse().map_err(|_| silent())?;
        let chain: ChainId = format!("eip155-{}", options.chain_number).parse().map_err(|_| silent())?;
        let bounds = Bounds { timeout: Duration::from_secs(30), max_response: 64 << 20 };
        let rpc = Rpc::new(chain.clone(), std::slice::from_ref(&url), bounds)?;
        let started = Instant::now();
        loop {
            if let Some(status) =
                child.try_wait().map_err(|source| AnvilError::Spawn { binary: binary.to_owned(), source })?
            {
                return Err(AnvilError::Ended(status));
            }
            if rpc.call::<String>("eth_chainId", json!([])).await.is_ok() {
                let watcher = child.id().and_then(|process| watcher(process, states.path()));
                return Ok(Self {
                    watcher,
                    child,
                    _states: states,
                    url,
                    chain,
                    chain_number: options.chain_number,
                    rpc,
                });
            }
            if started.elapsed() > START_TIMEOUT {
                return Err(silent());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Its HTTP address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its id: `eip155-` and the chain number.
    #[must_use]
    pub fn chain(&self) -> &ChainId {
        &self.chain
    }

    /// The EIP-155 chain number.
    #[must_use]
    pub const fn chain_number(&self) -> u64 {
        self.chain_number
    }

    /// A client of it.
    #[must_use]
    pub const fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The process id while it runs.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Stops it and waits for its end.
    pub async fn stop(mut self) {
        if let Some(watcher) = &mut self.watcher {
            let _ = watcher.kill().await;
        }
        let _ = self.child.kill().await;
    }

    async fn run(&self, method: &'static str, params: Value) -> Result<Value, AnvilError> {
        Ok(self.rpc.call(method, params).await?)
    }

    /// Mines `blocks` blocks at once.
    pub async fn mine(&self, blocks: u64) -> Result<(), AnvilError> {
        self.run("anvil_mine", json!([format!("0x{blocks:x}")])).await.map(drop)
    }

    /// Lets `seconds` pass for the next block, and mines it.
    pub async fn increase_time(&self, seconds: u64) -> Result<(), AnvilError> {
        self.run("evm_increaseTime", json!([seconds])).await?;
        self.mine(1).await
    }

    /// Gives the next block this time, in seconds since 1970, and mines it.
    pub async fn mine_at(&self, time: u64) -> Result<(), AnvilError> {
        self.run("evm_setNextBlockTimestamp", json!([time])).await?;
        self.mine(1).await
    }

    /// Keeps the whole state under a number for [`Anvil::revert`].
    pub async fn snapshot(&self) -> Result<U256, AnvilError> {
        Ok(self.rpc.call("evm_snapshot", json!([])).await?)
    }

    /// Goes back to a snapshot, which is used up.
    pub async fn revert(&self, snapshot: U256) -> Result<(), AnvilError> {
        self.run("evm_revert", json!([snapshot])).await.map(drop)
    }

    /// Replaces the newest `depth` blocks by empty ones with other hashes.
    pub async fn reorg(&self, depth: u64) -> Result<(), AnvilError> {
        self.run("anvil_reorg", json!([depth, []])).await.map(drop)
    }

    /// Sets an account's ether, in wei.
    pub async fn set_balance(&self, account: Address, wei: U256) -> Result<(), AnvilError> {
        self.run("anvil_setBalance", json!([account, wei])).await.map(drop)
    }

    /// Overwrites one storage slot.
    pub async fn set_storage(&self, account: Address, slot: B256, value: B256) -> Result<(), AnvilError> {
        self.run("anvil_setStorageAt", json!([account, slot, value])).await.map(drop)
    }

    /// Switches mining on each transaction on or off.
    pub async fn set_automine(&self, on: bool) -> Result<(), AnvilError> {
        self.run("evm_setAutomine", json!([on])).await.map(drop)
    }
}

/// A shell that waits for this process to end, whose end closes the pipe, and then ends `process` and removes its `states`.
/// Without a shell there is none, and a `kill -9` of this process leaves anvil behind.
fn watcher(process: u32, states: &Path) -> Option<Child> {
    Command::new("sh")
        .args(["-c", "cat; kill -9 \"$1\"; sleep 1; rm -rf -- \"$2\"", "watcher", &process.to_string()])
        .arg(states)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0) // a Ctrl-C is for this process, not for the watcher
        .kill_on_drop(true)
        .spawn()
        .ok()
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The well-known keys of anvil's funded accounts (mnemonic `test test … junk`), 0 to 9. Never for real value.
#[must_use]
pub fn development_key(index: usize) -> Option<PrivateKeySigner> {
    const KEYS: [&str; 10] = [
        "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
        "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
        "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
        "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
        "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
        "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
        "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
        "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
        "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
        "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
    ];
    KEYS.get(index)?.parse().ok()
}
