//! Starting, ending and restarting.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use crosspoint_ledger::engine::cometbft::binary;
use crosspoint_ledger::engine::cometbft::home::StateSync;

use super::process::{Program, Signal};
use super::{Nodes, status};

/// How long an application may take to open its database.
const APP_PATIENCE: Duration = Duration::from_secs(30);
/// How long the network may take to make a block, and a node to catch up.
const CHAIN_PATIENCE: Duration = Duration::from_secs(90);
/// Lines of a log that are shown with a failure.
const LOG_LINES: usize = 8;

/// The programs that validators run.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// CometBFT.
    pub node: PathBuf,
    /// This program.
    pub app: PathBuf,
}

impl Binaries {
    /// Finds both.
    ///
    /// # Errors
    /// When CometBFT is not installed.
    pub fn find() -> Result<Self> {
        Ok(Self { node: binary::find()?, app: std::env::current_exe().context("this program's own file")? })
    }
}

fn is_free(addr: SocketAddr) -> bool {
    TcpListener::bind(addr).is_ok()
}

/// Why a program ended, in the last words of its log.
fn ended(program: &Program, what: &str) -> anyhow::Error {
    let lines = program.last_lines(LOG_LINES).join("\n  ");
    anyhow!("{what} ended; the end of {}:\n  {lines}", program.log_file().display())
}

impl Nodes {
    /// Starts what does not run of the validators given: first applications, then nodes.
    ///
    /// # Errors
    /// When a port is taken, or a program ends at once.
    pub async fn start(&self, binaries: &Binaries, indices: &[u16]) -> Result<()> {
        for index in indices {
            let (node, app) = (self.node(*index).pid(), self.app(*index).pid());
            let node_ports = [self.plan().p2p(*index), self.plan().rpc(*index)].into_iter().filter(|_| node.is_none());
            let app_port = Some(self.plan().app(*index)).filter(|_| app.is_none());
            for addr in node_ports.chain(app_port) {
                ensure!(
                    is_free(addr),
                    "{addr} is taken by another program: end it, or make a network elsewhere with --base-port and --home"
                );
            }
        }
        for index in indices {
            self.start_app(binaries, *index)?;
        }
        for index in indices {
            self.wait_app(*index).await?;
            self.start_node(binaries, *index)?;
        }
        Ok(())
    }

    fn start_app(&self, binaries: &Binaries, index: u16) -> Result<()> {
        let program = self.app(index);
        if program.pid().is_some() {
            return Ok(());
        }
        let mut command = Command::new(&binaries.app);
        command.arg("node").arg("--home").arg(self.home(index).dir());
        command.arg("--listen").arg(self.plan().app(index).to_string());
        command.arg("--snapshot-every").arg(self.plan().snapshot_every.to_string());
        program.start(command)?;
        Ok(())
    }

    async fn wait_app(&self, index: u16) -> Result<()> {
        let (program, addr) = (self.app(index), self.plan().app(index));
        let started = Instant::now();
        while TcpStream::connect_timeout(&addr, Duration::from_millis(200)).is_err() {
            if program.pid().is_none() {
                return Err(ended(&program, &format!("the application of validator {index}")));
            }
            ensure!(started.elapsed() < APP_PATIENCE, "the application of validator {index} does not listen on {addr}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        Ok(())
    }

    fn start_node(&self, binaries: &Binaries, index: u16) -> Result<()> {
        let program = self.node(index);
        if program.pid().is_some() {
            return Ok(());
        }
        let mut command = Command::new(&binaries.node);
        command.arg("start").arg("--home").arg(self.home(index).dir());
        program.start(command)?;
        Ok(())
    }

    /// Waits until these validators have a block above `height`, or without it one more than they begin with, and have
    /// caught up.
    ///
    /// # Errors
    /// When one ends, or it takes too long.
    pub async fn wait_blocks(&self, indices: &[u16], height: Option<u64>) -> Result<()> {
        let http = reqwest::Client::new();
        let started = Instant::now();
        for index in indices {
            let mut floor = height;
            loop {
                let chain = status::chain(&http, self.plan().rpc(*index)).await;
                floor = floor.or_else(|| chain.as_ref().map(|chain| chain.height));
                let height = floor.unwrap_or(0);
                if chain.as_ref().is_some_and(|chain| chain.height > height && !chain.catching_up) {
                    break;
                }
                for (program, what) in [(self.node(*index), "node"), (self.app(*index), "application")] {
                    if program.pid().is_none() {
                        return Err(ended(&program, &format!("the {what} of validator {index}")));
                    }
                }
                if started.elapsed() > CHAIN_PATIENCE {
                    let at =
                        chain.map_or_else(|| "it does not answer".into(), |chain| format!("it is at {}", chain.height));
                    bail!(
                        "validator {index} has no block above {height} after {CHAIN_PATIENCE:?}: {at}; see `crosspoint localnet logs {index}`"
                    );
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    /// Ends these validators: first nodes, then applications. How many processes ran.
    ///
    /// # Errors
    /// When one does not end.
    pub fn stop(&self, indices: &[u16], signal: Signal) -> Result<usize> {
        let mut ran = 0_usize;
        let programs =
            indices.iter().map(|index| self.node(*index)).chain(indices.iter().map(|index| self.app(*index)));
        for program in programs {
            ran = ran.saturating_add(usize::from(program.stop(signal)?));
        }
        Ok(ran)
    }

    /// What the other validators' nodes say, as far as they answer.
    async fn others(&self, http: &reqwest::Client, index: u16) -> Vec<(u16, status::ChainStatus)> {
        let others = self.all().filter(|other| *other != index);
        let asked =
            others.map(|other| async move { Some((other, status::chain(http, self.plan().rpc(other)).await?)) });
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }

    /// The newest height of the other validators; 0 if none answers.
    pub async fn newest_of_others(&self, index: u16) -> u64 {
        let others = self.others(&reqwest::Client::new(), index).await;
        others.into_iter().map(|(_, chain)| chain.height).max().unwrap_or(0)
    }

    /// What a validator without blocks needs to join by a snapshot: two RPC servers, and a header to trust. On one
    /// machine the other validators are asked; between organisations a person compares.
    ///
    /// # Errors
    /// When no other validator answers.
    pub async fn trust(&self, index: u16) -> Result<StateSync> {
        let http = reqwest::Client::new();
        let mut servers = vec![];
        let mut lowest: Option<status::ChainStatus> = None;
        for (other, chain) in self.others(&http, index).await {
            servers.push(self.plan().rpc(other));
            // Every server must have the header.
            if lowest.as_ref().is_none_or(|lowest| chain.height < lowest.height) {
                lowest = Some(chain);
            }
        }
        let lowest = lowest.context("no other validator answers; a snapshot can come from nowhere")?;
        // CometBFT compares the answers of two; where there is but one, it is asked twice.
        if let [only] = servers.as_slice() {
            servers.push(*only);
        }
        Ok(StateSync { rpc_servers: servers, trust_height: lowest.height, trust_hash: lowest.hash })
    }
}
