//! Keys, genesis and settings of a new network.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use crosspoint_ledger::engine::cometbft::home::{NodeSettings, Peer, StateSync, node_id};
use crosspoint_ledger::engine::keys::SEED_FILE;
use crosspoint_ledger::engine::{Seed, ValidatorKeys};
use crosspoint_ledger::genesis::Genesis;

use super::{Nodes, PLAN_FILE, Plan};

/// The power of each validator.
const POWER: u64 = 10;

impl Nodes {
    /// Makes a network in a folder. Its validators take the place of those in the genesis, and it starts now.
    ///
    /// # Errors
    /// When the plan or the genesis is not usable, or the folder cannot be written.
    pub fn create(dir: &Path, plan: Plan, mut genesis: Genesis) -> Result<Self> {
        plan.check()?;
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
        let seed = Seed::load_or_create(&dir.join(SEED_FILE))?;
        let keys = ValidatorKeys::derive_all(&seed, plan.validators.into())?;
        let validator = |(index, key): (usize, &ValidatorKeys)| {
            key.genesis_validator(&genesis.chain_id, &format!("node{index}"), POWER)
        };
        genesis.validators = keys.iter().enumerate().map(validator).collect();
        let now = time::OffsetDateTime::now_utc().replace_nanosecond(0)?;
        genesis.time = now.format(&time::format_description::well_known::Rfc3339)?;
        genesis.validate()?;
        let nodes = Self { dir, plan };
        for (index, keys) in nodes.all().zip(&keys) {
            let home = nodes.home(index);
            // What an interrupted attempt left.
            if home.dir().exists() {
                fs::remove_dir_all(home.dir()).with_context(|| home.dir().display().to_string())?;
            }
            home.write(&genesis, &nodes.settings(&seed, index, None), &seed.node_key(index.into()))?;
            home.write_keys(keys.consensus(), &seed.bridge_secret(index.into()))?;
        }
        // Last: with it the network is there.
        let path = nodes.dir.join(PLAN_FILE);
        let plan = serde_json::to_string_pretty(&nodes.plan)?;
        fs::write(&path, format!("{plan}\n")).with_context(|| path.display().to_string())?;
        Ok(nodes)
    }

    fn settings(&self, seed: &Seed, index: u16, state_sync: Option<StateSync>) -> NodeSettings {
        let peer = |other: u16| Peer { id: node_id(&seed.node_key(other.into())), addr: self.plan.p2p(other) };
        NodeSettings {
            moniker: format!("node{index}"),
            app: self.plan.app(index),
            rpc: self.plan.rpc(index),
            p2p: self.plan.p2p(index),
            peers: self.all().filter(|other| *other != index).map(peer).collect(),
            block_time: self.plan.block_time(),
            state_sync,
        }
    }

    /// Writes a node's settings anew: to join by a snapshot, or by all blocks.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_settings(&self, index: u16, state_sync: Option<StateSync>) -> Result<()> {
        let seed = Seed::load_or_create(&self.dir.join(SEED_FILE))?;
        Ok(self.home(index).write_settings(&self.settings(&seed, index, state_sync))?)
    }

    /// Removes a stopped node's blocks and its application's state. Keys stay, and so does the record of what the
    /// validator signed last: without it it could sign twice.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn forget_state(&self, index: u16) -> Result<()> {
        let home = self.home(index);
        let data = home.dir().join("data");
        for entry in fs::read_dir(&data).with_context(|| data.display().to_string())?.flatten() {
            if entry.file_name() == "priv_validator_state.json" {
                continue;
            }
            let path = entry.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| path.display().to_string())?;
        }
        for part in ["db", "snapshots"] {
            let path = home.app_dir().join(part);
            if path.exists() {
                fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }
}
