//! The application: one state machine under every engine.
//!
//! An engine calls [`App::execute_block`], then [`App::commit`] with its own records of the block; the block's whole
//! effect is one synced write. Nothing of a block is visible to a [`Reader`] before. After a crash in between, the
//! block is executed again and gives the same app hash.

use crosspoint_protocol::ids::{Height, Timestamp};
use std::path::Path;
use std::sync::Arc;

use crate::address::AccountId;
use crate::code;
use crate::events::Event;
use crate::execute;
use crate::genesis::{Genesis, GenesisError, Validator};
use crate::query::QueryResult;
use crate::state::store::{Prepared, Store, Tip};
use crate::state::{Pairs, ReadState, StateError};
use crate::tx::{Tx, TxError};

/// Why the application cannot go on. A refused transaction is none of these: it is a [`TxResult`].
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The genesis is not usable.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The database was started from another genesis.
    #[error(
        "the database in this directory was started from another genesis; point to its own, or to an empty directory"
    )]
    OtherGenesis,
    /// The database failed, or what is in it is wrong.
    #[error(transparent)]
    State(#[from] StateError),
    /// The engine's block does not follow the last one.
    #[error("block {found} does not follow block {last}")]
    Height {
        /// The block given.
        found: Height,
        /// The last one.
        last: Height,
    },
    /// Block time decreases.
    #[error("the block's time {found} is before the last one's, {last}")]
    Time {
        /// The block's.
        found: Timestamp,
        /// The last one's.
        last: Timestamp,
    },
    /// Commit without a block executed.
    #[error("there is no executed block to commit")]
    NothingToCommit,
}

/// The newest committed block, or genesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastBlock {
    /// Its height; 0 for genesis.
    pub height: Height,
    /// The root of the provable store after it: the app hash of the next header.
    pub app_hash: [u8; 32],
    /// Its time, in whole seconds.
    pub time: Timestamp,
}

impl From<Tip> for LastBlock {
    fn from(tip: Tip) -> Self {
        Self { height: Height(tip.height), app_hash: tip.root, time: Timestamp(tip.time) }
    }
}

/// A block to execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockContext {
    /// Its height: the last one's plus 1.
    pub height: Height,
    /// The time in its header, floored to whole seconds; never less than the last one's.
    pub time: Timestamp,
    /// The address of the validator that proposed it (CometBFT: 20 bytes).
    pub proposer: [u8; 20],
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxResult {
    /// 0, or one of the codes of [`crate::code`].
    pub code: u32,
    /// Why it failed, for people.
    pub log: String,
    /// What happened, in order; nothing if it failed.
    pub events: Vec<Event>,
    /// Who signed it, if that is known.
    pub sender: Option<AccountId>,
    /// Its nonce, if that is known.
    pub nonce: u64,
}

/// What became of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockOutcome {
    /// The app hash for the next header.
    pub app_hash: [u8; 32],
    /// One result per transaction, in order.
    pub results: Vec<TxResult>,
    /// What happened outside transactions, such as proposals that came due.
    pub events: Vec<Event>,
    /// The validators of the next block.
    pub validators: Vec<Validator>,
}

/// A record of the engine's own, written in the same batch as the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineRecord {
    /// The key, in the engine's own key space.
    pub key: Vec<u8>,
    /// The value; `None` deletes.
    pub value: Option<Vec<u8>>,
}

/// The application with its database. There is one; queries go through [`Reader`]s.
#[derive(Debug)]
pub struct App {
    reader: Reader,
    last: LastBlock,
    executed: Option<Prepared>,
}

/// A cheap handle for queries and checks, at the newest committed block, beside the execution of the next.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(crate) store: Arc<Store>,
    pub(crate) genesis: Arc<Genesis>,
}

impl App {
    /// Opens the database in `db_dir`, or starts it from `genesis`. A database of another genesis is an error.
    pub fn open(db_dir: &Path, genesis: &Genesis) -> Result<Self, AppError> {
        genesis.validate()?;
        let store = Store::open(db_dir)?;
        let tip = match store.tip()? {
            Some(tip) => {
                if store.genesis_hash()?.as_deref() != Some(&genesis.hash()) {
                    return Err(AppError::OtherGenesis);
                }
                tip
            }
            None => {
                // Nothing, or what a restored snapshot left when it was interrupted.
                store.clear()?;
                start(&store, genesis)?
            }
        };
        let reader = Reader { store: Arc::new(store), genesis: Arc::new(genesis.clone()) };
        Ok(Self { reader, last: tip.into(), executed: None })
    }

    /// The newest committed block.
    #[must_use]
    pub const fn last_block(&self) -> LastBlock {
        self.last
    }

    /// The genesis it started from.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.reader.genesis
    }

    /// A handle for queries and checks.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Whether a transaction may enter the mempool; see [`Reader::check_tx`].
    #[must_use]
    pub fn check_tx(&self, bytes: &[u8]) -> TxResult {
        self.reader.check_tx(bytes)
    }

    /// Executes a block on top of the last one. Nothing is visible or durable before [`App::commit`];
    /// executing again replaces what was executed before.
    pub fn execute_block(&mut self, block: &BlockContext, txs: &[Vec<u8>]) -> Result<BlockOutcome, AppError> {
        self.executed = None;
        if Some(block.height) != self.last.height.checked_add(1) {
            return Err(AppError::Height { found: block.height, last: self.last.height });
        }
        if block.time < self.last.time {
            return Err(AppError::Time { found: block.time, last: self.last.time });
        }
        let Reader { store, genesis } = &self.reader;
        let view = store.view();
        let executed = execute::block(&view, genesis, block, txs)?;
        let prepared = store.prepare(executed.changes, block.height.0, block.time.0, genesis.params.history)?;
        let outcome = BlockOutcome {
            app_hash: prepared.tip.root,
            results: executed.results,
            events: executed.events,
            validators: genesis.validators.clone(),
        };
        drop(view);
        self.executed = Some(prepared);
        Ok(outcome)
    }

    /// Makes the executed block durable, with the engine's records, in one synced write.
    pub fn commit(&mut self, engine_records: Vec<EngineRecord>) -> Result<LastBlock, AppError> {
        let prepared = self.executed.take().ok_or(AppError::NothingToCommit)?;
        let tip = prepared.tip;
        let records = engine_records.iter().map(|record| (record.key.as_slice(), record.value.as_deref()));
        self.reader.store.commit(prepared, None, records)?;
        self.last = tip.into();
        Ok(self.last)
    }

    /// Goes on from the state that was restored under it.
    pub(crate) fn reload(&mut self) -> Result<(), AppError> {
        self.executed = None;
        self.last = self.reader.last_block()?;
        Ok(())
    }

    /// Throws the state away and starts from the genesis again.
    pub(crate) fn start_anew(&mut self) -> Result<(), AppError> {
        self.executed = None;
        self.reader.store.clear()?;
        self.last = start(&self.reader.store, &self.reader.genesis)?.into();
        Ok(())
    }

    /// Answers a query; see [`crate::query`].
    #[must_use]
    pub fn query(&self, path: &str, data: &[u8], height: Height, prove: bool) -> QueryResult {
        self.reader.query(path, data, height, prove)
    }

    /// One of the engine's records.
    pub fn engine_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, AppError> {
        self.reader.engine_get(key)
    }

    /// The engine's records whose key starts with `prefix`, from `start` on, ascending, at most `limit`.
    pub fn engine_iter(&self, prefix: &[u8], start: &[u8], limit: usize) -> Result<Pairs, AppError> {
        self.reader.engine_iter(prefix, start, limit)
    }
}

/// Writes the genesis state as version 0.
fn start(store: &Store, genesis: &Genesis) -> Result<Tip, AppError> {
    let view = store.view();
    let changes = execute::genesis(&view, genesis)?;
    let time = genesis.start_time().unwrap_or_default();
    let prepared = store.prepare(changes, 0, time.0, genesis.params.history)?;
    drop(view);
    let tip = prepared.tip;
    store.commit(prepared, Some(genesis.hash()), std::iter::empty())?;
    Ok(tip)
}

impl Reader {
    /// The newest committed block.
    pub fn last_block(&self) -> Result<LastBlock, AppError> {
        let tip = self.store.tip()?;
        tip.map(LastBlock::from).ok_or_else(|| StateError::Database("there is no genesis state".into()).into())
    }

    /// The genesis the chain started from.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Whether a transaction may enter the mempool: decoded strictly, signed, for this chain, by an active member, its
    /// nonce not used yet and at most [`crate::MEMPOOL_NONCES`] ahead of the next.
    #[must_use]
    pub fn check_tx(&self, bytes: &[u8]) -> TxResult {
        match Tx::decode(bytes) {
            Err(error) => refused(&error),
            Ok(tx) => match tx.verify() {
                Err(error) => refused(&error),
                Ok(()) => self.check_decoded(&tx),
            },
        }
    }

    fn check_decoded(&self, tx: &Tx) -> TxResult {
        let result =
            |code, log: String| TxResult { code, log, events: vec![], sender: Some(tx.sender), nonce: tx.nonce };
        let view = self.store.view();
        match execute::check(&view, &self.genesis.chain_id, tx, crate::MEMPOOL_NONCES) {
            Ok(()) => result(code::OK, String::new()),
            Err(error) => result(error.code(), error.to_string()),
        }
    }

    /// Answers a query at a height (0: the newest); see [`crate::query`].
    #[must_use]
    pub fn query(&self, path: &str, data: &[u8], height: Height, prove: bool) -> QueryResult {
        crate::answer::answer(self, path, data, height, prove)
    }

    /// The nonce that the account's next transaction must have, by the newest committed block.
    pub fn next_nonce(&self, account: &AccountId) -> Result<u64, AppError> {
        use crate::state::access::ReadRecords as _;
        let last = self.store.view().number(&crate::state::keys::nonce(account))?;
        Ok(last.saturating_add(1))
    }

    /// One of the engine's records.
    pub fn engine_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, AppError> {
        Ok(self.store.engine_get(key)?)
    }

    /// The engine's records whose key starts with `prefix`, from `start` on, ascending, at most `limit`.
    pub fn engine_iter(&self, prefix: &[u8], start: &[u8], limit: usize) -> Result<Pairs, AppError> {
        Ok(self.store.engine_iter(prefix, start, limit)?)
    }

    /// A plain or provable value at the newest block, for tests and tools that look below the queries.
    pub fn peek(&self, space: crate::state::Space, key: &[u8]) -> Result<Option<Vec<u8>>, AppError> {
        Ok(self.store.view().get(space, key)?)
    }
}

/// The result of bytes that are no valid transaction.
pub(crate) fn refused(error: &TxError) -> TxResult {
    let code = match error {
        TxError::Key | TxError::Signature => code::SIGNATURE,
        TxError::TooLong(_)
        | TxError::Protobuf
        | TxError::NotCanonical
        | TxError::MessageCount(_)
        | TxError::ItemCount(_)
        | TxError::TooHeavy(_)
        | TxError::Field { .. } => code::MALFORMED,
    };
    TxResult { code, log: error.to_string(), events: vec![], sender: None, nonce: 0 }
}
