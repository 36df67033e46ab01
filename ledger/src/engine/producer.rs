//! Makes one block after another on top of the application.

use std::sync::Arc;

use crosspoint_light_proofs::checkpoint::{Checkpoint, SignedCheckpoint};
use crosspoint_protocol::ids::{Height, Timestamp};
use tendermint::block::{self, Commit};
use tendermint::{AppHash, Hash, Time, chain};
use tendermint_proto::v0_38::abci;

use super::block::{BlockError, Built, Previous, Proposal, build, consensus_hash, results_hash, sign_commit};
use super::clock::BlockClock;
use super::keys::ValidatorKeys;
use super::mempool::{Mempool, TxHash};
use super::node::{CommittedBlock, Latest, Node, NodeParts};
use super::params::{
    MAX_BLOCK_BYTES, MAX_BLOCK_TXS, MAX_BLOCK_WEIGHT, ParamsError, app_hash, consensus_params, exec_result,
    genesis_document, validator_set,
};
use super::store::{BlockStore, BlockWrites, StoreError, bridge_set};
use super::validators::{Validator, ValidatorSet, ValidatorSetError};
use crate::app::{App, AppError, BlockContext};
use crate::genesis::Genesis;

/// Why no block can be made.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The application.
    #[error(transparent)]
    App(#[from] AppError),
    /// The block store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The block's form.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// The validator set.
    #[error(transparent)]
    Validators(#[from] ValidatorSetError),
    /// The chain id, or a value in the store, that the CometBFT types refuse.
    #[error("the CometBFT types refuse a stored value or the chain id: {0}")]
    Tendermint(#[from] tendermint::Error),
    /// The application and the block store are at different heights: the data directory is damaged or mixed.
    #[error("the state is at height {state}, the block store at {blocks}; the data directory is damaged")]
    OutOfStep {
        /// The application's height.
        state: u64,
        /// The block store's height.
        blocks: u64,
    },
    /// The genesis.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// This process does not hold keys of more than two thirds of the power.
    #[error("the keys here hold power {held} of {total}; more than two thirds are needed")]
    NoQuorum {
        /// The power of the keys here.
        held: u64,
        /// The set's.
        total: u64,
    },
    /// Time is beyond what a header can hold.
    #[error("the time is beyond what a header can hold")]
    Time,
}

/// Makes blocks. There is one per chain, since it owns the application.
#[derive(Debug)]
pub struct Producer {
    app: App,
    node: Arc<Node>,
    clock: Arc<BlockClock>,
    keys: Vec<ValidatorKeys>,
    chain_id: chain::Id,
    consensus_hash: Hash,
    height: u64,
    last_time: Option<Time>,
    previous: Previous,
    validators: ValidatorSet,
    next_validators: ValidatorSet,
    awaits_proof: bool,
}

fn same_members(a: &ValidatorSet, b: &ValidatorSet) -> bool {
    let strip = |set: &ValidatorSet| -> Vec<Validator> {
        set.validators().iter().map(|v| Validator { priority: 0, ..v.clone() }).collect()
    };
    strip(a) == strip(b)
}

impl Producer {
    /// Goes on from what the application and the block store hold, or starts from the genesis.
    ///
    /// # Errors
    /// [`ProduceError`].
    pub(crate) fn open(
        app: App,
        genesis: &Genesis,
        keys: Vec<ValidatorKeys>,
        mempool: Mempool,
    ) -> Result<(Self, Arc<Node>, Arc<BlockClock>), ProduceError> {
        let chain_id: chain::Id = genesis.chain_id.as_str().parse()?;
        let params = consensus_params();
        let last = app.last_block();
        let store = BlockStore::new(app.reader());
        let tip = store.tip()?;
        let at = tip.as_ref().map_or(0, |tip| tip.height);
        if at != last.height.0 {
            return Err(ProduceError::OutOfStep { state: last.height.0, blocks: at });
        }

        let first = validator_set(&genesis.validators)?;
        let (header, previous, validators, next_validators) = match tip {
            None => {
                let previous = Previous {
                    block_id: None,
                    commit: None,
                    results_hash: results_hash(&[]),
                    app_hash: app_hash(last.app_hash)?,
                };
                let mut next = first.clone();
                next.rotate();
                (None, previous, first, next)
            }
            Some(tip) => {
                let record = store.block(tip.height)?.ok_or(StoreError::Damaged("block"))?;
                let header = record.block.and_then(|b| b.header).ok_or(StoreError::Damaged("block"))?;
                let previous = Previous {
                    block_id: Some(record.id.ok_or(StoreError::Damaged("block"))?.try_into()?),
                    commit: Some(record.commit.ok_or(StoreError::Damaged("block"))?.try_into()?),
                    results_hash: tip.results_hash.try_into()?,
                    app_hash: app_hash(last.app_hash)?,
                };
                let next = store.set(tip.next_validators.as_ref())?;
                (Some(block::Header::try_from(header)?), previous, store.set(tip.validators.as_ref())?, next)
            }
        };

        let last_time = header.as_ref().map(|h| h.time);
        let node = Node::new(NodeParts {
            chain_id: genesis.chain_id.clone(),
            app: app.reader(),
            mempool,
            genesis: genesis_document(genesis, &params, &validators)?,
            params: params.clone(),
            validators: &validators,
            latest: Latest { height: at, app_hash: previous.app_hash.clone(), header },
        })?;
        let node = Arc::new(node);
        let clock = Arc::new(BlockClock::resuming_after(last_time));
        let producer = Self {
            app,
            node: Arc::clone(&node),
            clock: Arc::clone(&clock),
            keys,
            chain_id,
            consensus_hash: consensus_hash(&params),
            height: at,
            last_time,
            previous,
            validators,
            next_validators,
            // What the last block before a stop changed may not be in a header yet.
            awaits_proof: true,
        };
        producer.check_quorum(&producer.validators)?;
        Ok((producer, node, clock))
    }

    /// Whether the last block changed state that only the next header proves.
    #[must_use]
    pub(crate) const fn awaits_proof(&self) -> bool {
        self.awaits_proof
    }

    fn check_quorum(&self, set: &ValidatorSet) -> Result<(), ProduceError> {
        let has_key = |v: &&Validator| self.keys.iter().any(|k| k.consensus_public() == v.consensus);
        let held = set.validators().iter().filter(has_key).map(|v| v.power).fold(0, u64::saturating_add);
        let total = set.total_power();
        if u128::from(held).saturating_mul(3) > u128::from(total).saturating_mul(2) {
            Ok(())
        } else {
            Err(ProduceError::NoQuorum { held, total })
        }
    }

    /// Makes, executes and commits the next block, of what waits. Gives its height.
    ///
    /// # Errors
    /// [`ProduceError`]; then nothing of the block is committed.
    pub(crate) fn produce(&mut self) -> Result<u64, ProduceError> {
        let time = self.clock.next(self.last_time).ok_or(ProduceError::Time)?;
        let txs = self.node.mempool.reap(MAX_BLOCK_BYTES, MAX_BLOCK_WEIGHT, MAX_BLOCK_TXS);
        self.produce_of(time, txs)
    }

    /// Makes, executes and commits the next block, of these transactions and with this time. Gives its height.
    ///
    /// # Errors
    /// [`ProduceError`]; then nothing of the block is committed.
    pub(crate) fn produce_of(&mut self, time: Time, txs: Vec<Vec<u8>>) -> Result<u64, ProduceError> {
        self.check_quorum(&self.validators)?;
        let height = self.height.checked_add(1).ok_or(BlockError::Range("the height"))?;
        let tx_hashes: Vec<TxHash> = txs.iter().map(|tx| crate::tx::hash(tx)).collect();
        let built = build(
            Proposal {
                chain_id: self.chain_id.clone(),
                height,
                time,
                txs: txs.clone(),
                validators: &self.validators,
                next_validators: &self.next_validators,
                consensus_hash: self.consensus_hash,
            },
            &self.previous,
        )?;

        let seconds = Timestamp(u64::try_from(time.unix_timestamp()).map_err(|_| ProduceError::Time)?);
        let context = BlockContext { height: Height(height), time: seconds, proposer: self.proposer() };
        let outcome = self.app.execute_block(&context, &txs)?;
        let tx_results: Vec<abci::ExecTxResult> = outcome.results.iter().map(exec_result).collect();
        let results_hash = results_hash(&tx_results);
        let results = abci::ResponseFinalizeBlock {
            events: outcome.events.iter().map(|e| e.to_abci().into()).collect(),
            tx_results,
            app_hash: outcome.app_hash.to_vec().into(),
            ..abci::ResponseFinalizeBlock::default()
        };

        // What block H says of the validators takes effect in H + 2, as in CometBFT: header H already
        // commits to the set of H + 1.
        let decided = validator_set(&outcome.validators)?;
        let mut after_next = if same_members(&self.next_validators, &decided) {
            self.next_validators.clone()
        } else {
            self.next_validators.succeeded_by(decided)
        };
        after_next.rotate();

        let commit = sign_commit(&built.header, built.id, time, &self.validators, &self.keys)?;
        let checkpoint = self.checkpoint(&built, seconds)?;
        let writes = BlockWrites {
            height,
            built: &built,
            commit: commit.clone().into(),
            results: &results,
            results_hash: results_hash.as_bytes().to_vec(),
            tx_hashes: &tx_hashes,
            checkpoint: &checkpoint,
            validators: &self.validators,
            next: &self.next_validators,
            after_next: &after_next,
        };
        let known: Result<Vec<bool>, StoreError> =
            tx_hashes.iter().map(|hash| Ok(self.node.store.position(hash)?.is_some())).collect();
        let records = writes.records(&known?);
        let last = self.app.commit(records)?;

        self.awaits_proof = !txs.is_empty();
        self.advance(height, time, &built, commit, results_hash, app_hash(last.app_hash)?, after_next);
        let next_nonce = |sender: &_| self.node.next_nonce(sender);
        self.node.mempool.committed(height, &tx_hashes, &[], next_nonce);
        let block = CommittedBlock { block: built.raw, header: built.header, id: built.id, results, tx_hashes };
        self.node.publish(self.previous.app_hash.clone(), block);
        Ok(height)
    }

    fn proposer(&self) -> [u8; 20] {
        self.validators.proposer().as_bytes().try_into().unwrap_or_default()
    }

    #[allow(clippy::too_many_arguments)] // each is one fact of the block just committed
    fn advance(
        &mut self,
        height: u64,
        time: Time,
        built: &Built,
        commit: Commit,
        results_hash: Hash,
        app_hash: AppHash,
        after_next: ValidatorSet,
    ) {
        self.height = height;
        self.last_time = Some(time);
        self.previous = Previous { block_id: Some(built.id), commit: Some(commit), results_hash, app_hash };
        self.validators = std::mem::replace(&mut self.next_validators, after_next);
    }

    /// The statement about a header, signed by every bridge key of its set that is here.
    fn checkpoint(&self, built: &Built, time: Timestamp) -> Result<SignedCheckpoint, ProduceError> {
        let set = bridge_set(self.validators.validators()).ok_or(ValidatorSetError::Power)?;
        let next_set = bridge_set(self.next_validators.validators()).ok_or(ValidatorSetError::Power)?;
        let root = built.header.app_hash.as_bytes().try_into().map_err(|_| BlockError::Range("the app hash"))?;
        let statement = Checkpoint {
            chain_id: self.node.chain_id.clone(),
            height: Height(built.header.height.value()),
            time,
            app_hash: root,
            set_hash: set.hash(),
            next_set_hash: next_set.hash(),
        };
        let in_set = |k: &&ValidatorKeys| set.power_of(&k.bridge_address()).is_some();
        let signers: Vec<_> = self.keys.iter().filter(in_set).map(|k| k.bridge().clone()).collect();
        let rotated = (next_set != set).then_some(next_set);
        Ok(SignedCheckpoint::sign(statement, set, rotated, &signers))
    }
}
