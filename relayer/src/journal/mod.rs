//! The journal: every packet's life on disk, in RocksDB.
//!
//! The chains are the truth; the journal only remembers what final blocks said and what the relayer did
//! about it, so an empty one is filled again by scanning the chains. All that one step learns or decides
//! is one atomic batch with one synced write: the cursor of a chain never moves without its events.
//!
//! - `Journal::step` writes; see `step.rs`.
//! - [`query`] reads: one packet, its history, pages of packets, counts, totals.
//! - [`secrets`] keeps preimages of invoices, sealed.

pub(crate) mod keys;
pub mod query;
pub mod secrets;
pub mod step;
mod totals;

pub use query::{Filter, Page, PageToken, StageCount, Transfer};
pub use secrets::{Invoice, SecretBox, SecretBoxError};
pub use totals::{StandingTotals, Totals};

use crate::life::Life;
use crate::route::{PacketId, Route};
use crate::witness::Looked;
use crosspoint_adapters::chain::ClientStatus;
use crosspoint_protocol::denom::Denom;
use crosspoint_protocol::ids::{ChainId, ClientId, Height};
use crosspoint_protocol::packet::Packet;
use keys::Cf;
use rocksdb::{ColumnFamily, ColumnFamilyDescriptor, DB, Direction, IteratorMode, Options, ReadOptions, WriteOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The version of the keys and values. A journal of another version is refused; it can be deleted, because
/// the chains are the truth, once the preimages of open invoices are saved elsewhere.
pub const SCHEMA: u32 = 1;

/// Why the journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// RocksDB failed.
    #[error("the journal's database failed: {0}; check the disk")]
    Database(#[from] rocksdb::Error),
    /// A value on disk is not what this version writes.
    #[error(
        "the journal's entry under {family} is damaged: {detail}; stop, move the journal away and let it be rebuilt"
    )]
    Damaged {
        /// The column family.
        family: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The journal was written by another version.
    #[error("the journal has schema {found}, this program needs {needed}; move it away and let it be rebuilt")]
    Schema {
        /// On disk.
        found: u32,
        /// Of this program.
        needed: u32,
    },
    /// No such packet.
    #[error("no packet {0} in the journal")]
    NoPacket(PacketId),
    /// A page token that is none of ours.
    #[error("the page token is not one that a list gave out")]
    PageToken,
    /// A preimage was to be kept, but no cipher is set up to seal it with.
    #[error("no key is set up to seal preimages with; give the relayer a keystore")]
    NoCipher,
    /// A preimage could not be sealed or opened.
    #[error(transparent)]
    Cipher(#[from] SecretBoxError),
    /// The hashlock has an invoice with other terms already.
    #[error("the hashlock already belongs to another invoice; use a fresh preimage for each invoice")]
    OtherInvoice,
    /// A total would leave its range: the chains' events contradict themselves.
    #[error("the totals of {0} would leave their range: events contradict each other")]
    Totals(String),
    /// The thread that writes ended early.
    #[error("the journal's writer ended early")]
    Interrupted,
}

/// How far a chain has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// All events in blocks up to this one are in the journal.
    pub height: Height,
    /// The highest block ever read; above `height` only while blocks are read again.
    pub read: Height,
}

/// What the journal has cost since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WriteStats {
    /// Synced writes.
    pub syncs: u64,
    /// Bytes given to the database, before its own overhead.
    pub bytes: u64,
}

/// The relayer's memory on disk. Cheap to share behind an `Arc`.
pub struct Journal {
    db: DB,
    /// Steps read, decide and write; one at a time.
    writer: Mutex<()>,
    secret_box: Option<Arc<dyn SecretBox>>,
    syncs: AtomicU64,
    bytes: AtomicU64,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.db.path()).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal in a folder, or starts an empty one there. `secret_box` seals the preimages of
    /// invoices; without it none can be registered.
    pub fn open(folder: &Path, secret_box: Option<Arc<dyn SecretBox>>) -> Result<Self, JournalError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_keep_log_file_num(2);
        options.set_max_open_files(256);
        options.set_max_total_wal_size(64 << 20);
        let families = Cf::ALL.map(|cf| {
            let mut options = Options::default();
            options.set_compression_type(rocksdb::DBCompressionType::Lz4);
            options.set_write_buffer_size(8 << 20);
            ColumnFamilyDescriptor::new(cf.name(), options)
        });
        let db = DB::open_cf_descriptors(&options, folder, families)?;
        let journal =
            Self { db, writer: Mutex::new(()), secret_box, syncs: AtomicU64::new(0), bytes: AtomicU64::new(0) };
        journal.check_schema()?;
        Ok(journal)
    }

    fn check_schema(&self) -> Result<(), JournalError> {
        let meta = self.cf(Cf::Meta)?;
        match self.db.get_cf(meta, b"schema")? {
            None => Ok(self.db.put_cf_opt(meta, b"schema", SCHEMA.to_be_bytes(), &synced())?),
            Some(bytes) => {
                let found = bytes.try_into().map(u32::from_be_bytes).unwrap_or_default();
                if found == SCHEMA { Ok(()) } else { Err(JournalError::Schema { found, needed: SCHEMA }) }
            }
        }
    }

    /// What writing has cost since the journal was opened.
    #[must_use]
    pub fn write_stats(&self) -> WriteStats {
        WriteStats { syncs: self.syncs.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    pub(crate) fn cf(&self, cf: Cf) -> Result<&ColumnFamily, JournalError> {
        let missing = || JournalError::Damaged { family: cf.name(), detail: "the column family is missing".into() };
        self.db.cf_handle(cf.name()).ok_or_else(missing)
    }

    fn read<T: DeserializeOwned>(&self, cf: Cf, key: &[u8]) -> Result<Option<T>, JournalError> {
        let Some(bytes) = self.db.get_pinned_cf(self.cf(cf)?, key)? else { return Ok(None) };
        decode(cf, &bytes).map(Some)
    }

    /// Keys with a prefix, in order from `from` (a whole key, the prefix itself for the start), at most `limit`.
    fn keys(&self, cf: Cf, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, JournalError> {
        self.scan(cf, prefix, from, |_, keys| keys.len() < limit)
    }

    fn scan(
        &self,
        cf: Cf,
        prefix: &[u8],
        from: &[u8],
        more: impl Fn(&[u8], &[Vec<u8>]) -> bool,
    ) -> Result<Vec<Vec<u8>>, JournalError> {
        let mut found = vec![];
        let mut options = ReadOptions::default();
        if let Some(end) = prefix_end(prefix) {
            options.set_iterate_upper_bound(end);
        }
        let mode = IteratorMode::From(from, Direction::Forward);
        for entry in self.db.iterator_cf_opt(self.cf(cf)?, options, mode) {
            let (key, _) = entry?;
            if !key.starts_with(prefix) || !more(&key, &found) {
                break;
            }
            found.push(key.into_vec());
        }
        Ok(found)
    }

    /// How far a chain has been read; `None` before its first step.
    pub fn cursor(&self, chain: &ChainId) -> Result<Option<Cursor>, JournalError> {
        self.read(Cf::Meta, &keys::cursor(chain))
    }

    /// One packet's life.
    pub fn life(&self, id: &PacketId) -> Result<Option<Life>, JournalError> {
        self.read(Cf::Lives, &keys::packet(id))
    }

    /// One packet as sent, once its source has been read that far.
    pub fn packet(&self, id: &PacketId) -> Result<Option<Packet>, JournalError> {
        self.read(Cf::Packets, &keys::packet(id))
    }

    /// The route whose packets come in through a client.
    pub fn route_into(&self, chain: &ChainId, client: &ClientId) -> Result<Option<Route>, JournalError> {
        self.read(Cf::Routes, &keys::client(chain, client))
    }

    /// States of the client into which a route leads that its witnesses agreed with, newest first.
    pub(crate) fn witnessed(&self, route: &Route) -> Result<Vec<ClientStatus>, JournalError> {
        Ok(self.read(Cf::Meta, &keys::witnessed(route))?.unwrap_or_default())
    }

    /// Up to where the updates of the client into which a route leads were compared.
    pub(crate) fn looked(&self, route: &Route) -> Result<Option<Looked>, JournalError> {
        self.read(Cf::Meta, &keys::looked(route))
    }

    /// Denoms that the supply audit has stopped, as the chain named with each writes them.
    pub fn halted(&self) -> Result<BTreeSet<(ChainId, Denom)>, JournalError> {
        Ok(self.read(Cf::Meta, b"halted")?.unwrap_or_default())
    }
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn decode<T: DeserializeOwned>(cf: Cf, bytes: &[u8]) -> Result<T, JournalError> {
    serde_json::from_slice(bytes)
        .map_err(|error| JournalError::Damaged { family: cf.name(), detail: error.to_string() })
}

fn encode<T: Serialize>(cf: Cf, value: &T) -> Result<Vec<u8>, JournalError> {
    serde_json::to_vec(value).map_err(|error| JournalError::Damaged { family: cf.name(), detail: error.to_string() })
}

/// The first key after all keys with this prefix.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|b| *b < u8::MAX)?;
    let mut end = prefix.get(..=keep)?.to_vec();
    let last = end.last_mut()?;
    *last = last.checked_add(1)?;
    Some(end)
}
