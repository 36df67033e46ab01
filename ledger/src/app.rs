//! The application: one state machine under every engine.
//!
//! An engine calls [`App::execute_block`], then [`App::commit`] with its own records of the block; the block's whole
//! effect is one synced write. Nothing of a block is visible to a [`Reader`] before. After a crash in between, the
//! block is executed again and gives the same app hash.

use crosspoint_protocol::ids::{Height, Timestamp};
use std::path::Path;

use crate::address::AccountId;
use crate::events::Event;
use crate::genesis::{Genesis, Validator};
use crate::query::QueryResult;

/// Why the application cannot go on. A refused transaction is none of these: it is a [`TxResult`].
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The interface is there, this part of it is not yet.
    #[error("not there yet: {0}")]
    Unsupported(&'static str),
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
    genesis: Genesis,
    last: LastBlock,
}

/// A cheap handle for queries and checks, at the newest committed block, beside the execution of the next.
#[derive(Debug, Clone)]
pub struct Reader {}

impl App {
    /// Opens the database in `db_dir`, or starts it from `genesis`. A database of another genesis is an error.
    pub fn open(db_dir: &Path, genesis: &Genesis) -> Result<Self, AppError> {
        let _ = db_dir;
        let last = LastBlock { height: Height(0), app_hash: [0; 32], time: genesis.start_time().unwrap_or_default() };
        Ok(Self { reader: Reader {}, genesis: genesis.clone(), last })
    }

    /// The newest committed block.
    #[must_use]
    pub const fn last_block(&self) -> LastBlock {
        self.last
    }

    /// The genesis it started from.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// A handle for queries and checks.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Whether a transaction may enter the mempool.
    #[must_use]
    pub fn check_tx(&self, bytes: &[u8]) -> TxResult {
        self.reader.check_tx(bytes)
    }

    /// Executes a block on top of the last one. Nothing is visible or durable before [`App::commit`];
    /// executing again replaces what was executed before.
    pub fn execute_block(&mut self, block: &BlockContext, txs: &[Vec<u8>]) -> Result<BlockOutcome, AppError> {
        let _ = (block, txs);
        Err(AppError::Unsupported("execute_block"))
    }

    /// Makes the executed block durable, with the engine's records, in one synced write.
    pub fn commit(&mut self, engine_records: Vec<EngineRecord>) -> Result<LastBlock, AppError> {
        let _ = engine_records;
        Err(AppError::Unsupported("commit"))
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
    pub fn engine_iter(&self, prefix: &[u8], start: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, AppError> {
        self.reader.engine_iter(prefix, start, limit)
    }
}

impl Reader {
    /// The newest committed block.
    pub fn last_block(&self) -> Result<LastBlock, AppError> {
        Err(AppError::Unsupported("last_block"))
    }

    /// Whether a transaction may enter the mempool: decoded strictly, signed, for this chain, by a member, its nonce not used
    /// yet and at most [`crate::MEMPOOL_NONCES`] ahead.
    #[must_use]
    pub fn check_tx(&self, bytes: &[u8]) -> TxResult {
        let _ = bytes;
        TxResult { code: crate::code::INTERNAL, log: "not there yet".into(), events: vec![], sender: None, nonce: 0 }
    }

    /// Answers a query at a height (0: the newest); see [`crate::query`].
    #[must_use]
    pub fn query(&self, path: &str, data: &[u8], height: Height, prove: bool) -> QueryResult {
        let _ = (path, data, prove);
        QueryResult {
            code: crate::code::INTERNAL,
            log: "not there yet".into(),
            key: vec![],
            value: vec![],
            height,
            proof: None,
        }
    }

    /// The nonce that the account's next transaction must have, by the newest committed block.
    pub fn next_nonce(&self, account: &AccountId) -> Result<u64, AppError> {
        let _ = account;
        Err(AppError::Unsupported("next_nonce"))
    }

    /// One of the engine's records.
    pub fn engine_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, AppError> {
        let _ = key;
        Err(AppError::Unsupported("engine_get"))
    }

    /// The engine's records whose key starts with `prefix`, from `start` on, ascending, at most `limit`.
    pub fn engine_iter(&self, prefix: &[u8], start: &[u8], limit: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>, AppError> {
        let _ = (prefix, start, limit);
        Err(AppError::Unsupported("engine_iter"))
    }
}
