//! A beacon node of anvil's blocks: slots of a second, one for each block, a committee of 32 for 32 of them. Its
//! light-client API says what is final: the block two before the newest that it has.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::consensus::Header;
use anyhow::{Context, Result, ensure};
use crosspoint_light_proofs::ethereum_pos::{Bootstrap, Network, Preset, Update};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::blocks::Blocks;
use super::role::{Role, Stage};
use crate::beacon_chain::{Block, ELECTRA, Execution, network_at};
use crate::nodes::{Beacon, saying};

const PRESET: Preset = Preset { sync_committee_size: 32, slots_per_epoch: 8, epochs_per_period: 4 };
/// How long ago its newest block is, in seconds: what signs it must have come when a ledger judges it.
const BEHIND: u64 = 3;

pub struct BeaconNode {
    pub url: Url,
    pub stage: Stage,
    chain: Arc<Chain>,
}

struct Chain {
    blocks: Blocks,
    genesis_time: u64,
    /// What it says, as of its newest block.
    said: Mutex<(u64, Beacon)>,
}

impl BeaconNode {
    pub async fn start(anvil: Url) -> Result<Self> {
        let blocks = Blocks::of(anvil);
        let genesis_time = blocks.up_to(0).await?[0].timestamp - 1;
        let chain = Arc::new(Chain { blocks, genesis_time, said: Mutex::default() });
        let stage = Stage::default();
        let (told, node) = (stage.clone(), Arc::clone(&chain));
        let url = saying(move || {
            let (role, node) = (told.role(), Arc::clone(&node));
            async move {
                match role {
                    Role::Honest => node.said().await.ok(),
                    Role::Forging => Some(forged(node.said().await.ok()?)),
                    Role::Down => None,
                }
            }
        });
        Ok(Self { url: url.await, stage, chain })
    }

    pub fn network(&self) -> Network {
        self.chain.network()
    }

    /// What trust begins with: the newest final block, which the node serves from now on.
    pub async fn anchor(&self) -> Result<Bootstrap> {
        let blocks = self.chain.final_blocks().await?;
        let (_, last) = newest(&blocks).context("nothing is final yet")?;
        let bootstrap = self.chain.block(last, None).bootstrap();
        let value = json!({ "version": "electra", "data": bootstrap });
        self.chain.said.lock().await.1.bootstraps.insert(bootstrap.header.beacon.root(), value);
        Ok(bootstrap)
    }

    /// The committee's period in which its newest final block is.
    pub async fn period(&self) -> Result<u64> {
        let blocks = self.chain.final_blocks().await?;
        let (_, last) = newest(&blocks).context("nothing is final yet")?;
        Ok(self.network().period(self.chain.slot(last)))
    }
}

/// The newest block and the one that is final by it.
fn newest(blocks: &[Header]) -> Option<(&Header, &Header)> {
    match blocks {
        [.., last, _, newest] => Some((newest, last)),
        _ => None,
    }
}

impl Chain {
    fn network(&self) -> Network {
        network_at(PRESET, ELECTRA, (self.genesis_time, 1))
    }

    fn slot(&self, header: &Header) -> u64 {
        header.timestamp - self.genesis_time
    }

    /// The blocks that it has, one per slot: of several of one second the last.
    async fn final_blocks(&self) -> Result<Vec<Header>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut blocks = self.blocks.up_to(self.blocks.newest().await?).await?;
        blocks.retain(|block| block.timestamp + BEHIND <= now);
        blocks.reverse();
        blocks.dedup_by_key(|block| block.timestamp);
        blocks.reverse();
        Ok(blocks)
    }

    fn block(&self, header: &Header, last: Option<&Header>) -> Block {
        let executed = |header: &Header| Execution {
            number: header.number,
            state_root: header.state_root,
            time: header.timestamp,
        };
        Block {
            execution: Some(executed(header)),
            final_execution: last.map(executed),
            ..Block::new(self.slot(header), last.map_or(0, |last| self.slot(last))).with(PRESET)
        }
    }

    /// The newest finality update, and of each period the newest update that says what is final in it.
    async fn said(&self) -> Result<Beacon> {
        let blocks = self.final_blocks().await?;
        let (head, last) = newest(&blocks).context("nothing is final yet")?;
        let mut said = self.said.lock().await;
        if said.0 == head.number {
            return Ok(said.1.clone());
        }
        ensure!(said.0 < head.number, "anvil went back");
        let mut update = self.block(head, Some(last)).update(PRESET.sync_committee_size);
        // A finality update shows no committee; that of its period does.
        (update.next_sync_committee, update.next_sync_committee_branch) = (None, vec![]);
        said.1.finality = Some(as_told(&update));
        let of_slots = said.1.blocks.get_or_insert_default();
        for block in blocks.iter().filter(|block| block.number <= last.number) {
            let root = || self.block(block, None).header().beacon.root();
            of_slots.entry(self.slot(block)).or_insert_with(root);
        }
        let network = self.network();
        let period = |block: &Header| network.period(self.slot(block));
        for of in period(&blocks[0])..=period(head) {
            // What is over says nothing new.
            if of + 1 < period(head) && said.1.updates.contains_key(&of) {
                continue;
            }
            // Signed in the next slot, and in the period too: the next committee's word on its own beginning is worth nothing.
            let signed = |block: &Header| network.period(self.slot(block) + 1);
            let in_it = |block: &&Header| (period(block), signed(block)) == (of, of);
            let in_it: Vec<Header> = blocks.iter().filter(in_it).cloned().collect();
            if let Some((head, last)) = newest(&in_it) {
                let update = self.block(head, Some(last)).update(PRESET.sync_committee_size);
                said.1.updates.insert(of, as_told(&update));
            }
        }
        said.0 = head.number;
        Ok(said.1.clone())
    }
}

fn as_told(update: &Update) -> Value {
    json!({ "version": "electra", "data": update })
}

/// Other headers under the signatures of the true ones.
fn forged(mut said: Beacon) -> Beacon {
    for update in said.updates.values_mut().chain(&mut said.finality) {
        update["data"]["attested_header"]["beacon"]["proposer_index"] = "4".into();
    }
    said
}
