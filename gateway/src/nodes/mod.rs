//! A CometBFT network on one machine, as processes: `crosspoint localnet`. Each validator has a folder of its own, as
//! an organisation would, with a node and its application.
//!
//! - [`Plan`] is what a network was made with, in `localnet.json`; [`setup`] makes keys, genesis and settings.
//! - [`process`] starts and ends one program, known by a file with its process id.
//! - [`run`] starts, ends and restarts nodes with their applications; [`status`] asks what has become of them.

pub mod process;
pub mod run;
pub mod setup;
pub mod status;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use crosspoint_ledger::engine::cometbft::home::Home;
use process::Program;
use serde::{Deserialize, Serialize};

/// The file that says what a network was made with.
const PLAN_FILE: &str = "localnet.json";
/// Ports of one validator: peers, RPC, application.
const PORTS_EACH: u16 = 10;
/// Most validators on one machine.
pub const MAX_VALIDATORS: u16 = 16;

/// What a network is made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// How many validators.
    pub validators: u16,
    /// The first port: validator I listens on `base_port + 10 I` for peers, and on the next two for RPC and its application.
    pub base_port: u16,
    /// Milliseconds from a block to the next.
    pub block_ms: u64,
    /// A snapshot every so many blocks.
    pub snapshot_every: u64,
}

impl Plan {
    /// Whether every port is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<()> {
        ensure!((1..=MAX_VALIDATORS).contains(&self.validators), "a localnet has 1 to {MAX_VALIDATORS} validators");
        let ports = self.validators.checked_mul(PORTS_EACH).and_then(|ports| self.base_port.checked_add(ports));
        ensure!(self.base_port >= 1_024 && ports.is_some(), "--base-port must be from 1024 to {}", 65_535 - 160);
        Ok(())
    }

    fn addr(&self, index: u16, offset: u16) -> SocketAddr {
        let port = self.base_port.saturating_add(index.saturating_mul(PORTS_EACH)).saturating_add(offset);
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    /// Where a validator's node listens for peers.
    #[must_use]
    pub fn p2p(&self, index: u16) -> SocketAddr {
        self.addr(index, 0)
    }

    /// Where its RPC listens.
    #[must_use]
    pub fn rpc(&self, index: u16) -> SocketAddr {
        self.addr(index, 1)
    }

    /// Where its application listens.
    #[must_use]
    pub fn app(&self, index: u16) -> SocketAddr {
        self.addr(index, 2)
    }

    /// From a block to the next.
    #[must_use]
    pub const fn block_time(&self) -> Duration {
        Duration::from_millis(self.block_ms)
    }
}

/// A network's folder.
#[derive(Debug, Clone)]
pub struct Nodes {
    dir: PathBuf,
    plan: Plan,
}

impl Nodes {
    /// The network that is in a folder; `None` if there is none.
    ///
    /// # Errors
    /// When its plan cannot be read.
    pub fn find(dir: &Path) -> Result<Option<Self>> {
        // Programs are told the folder by its full name: they are recognised by it.
        let Ok(dir) = dir.canonicalize() else { return Ok(None) };
        let path = dir.join(PLAN_FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        let plan: Plan = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        plan.check().with_context(|| path.display().to_string())?;
        Ok(Some(Self { dir, plan }))
    }

    /// The network that is in a folder, which must be there.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(dir: &Path) -> Result<Self> {
        let none = || anyhow!("there is no localnet in {}: `crosspoint localnet up` makes one", dir.display());
        Self::find(dir)?.ok_or_else(none)
    }

    /// What it was made with.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The number of a validator, which must exist.
    ///
    /// # Errors
    /// When there is no such validator.
    pub fn index(&self, index: u16) -> Result<u16> {
        let last = self.plan.validators.saturating_sub(1);
        ensure!(index <= last, "there is no validator {index}: they are numbered 0 to {last}");
        Ok(index)
    }

    /// All numbers.
    pub fn all(&self) -> impl Iterator<Item = u16> + use<> {
        0..self.plan.validators
    }

    /// A validator's folder.
    #[must_use]
    pub fn home(&self, index: u16) -> Home {
        Home::new(self.dir.join(format!("node{index}")))
    }

    /// A validator's node.
    #[must_use]
    pub fn node(&self, index: u16) -> Program {
        Program::new("node", self.home(index).dir())
    }

    /// A validator's application.
    #[must_use]
    pub fn app(&self, index: u16) -> Program {
        Program::new("app", self.home(index).dir())
    }
}
