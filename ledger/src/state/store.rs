//! The database: RocksDB with one column family per kind of record.

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, Direction, IteratorMode, Options, ReadOptions,
    SnapshotWithThreadMode, WriteBatch, WriteOptions,
};
use std::path::Path;

pub mod restore;

use super::overlay::Changes;
use super::set_hash::SetHash;
use super::{Pair, Pairs, ReadState, Space, StateError, keys, tree};

/// `"tip"` → [`Tip`]; `"genesis"` → the genesis' hash; `"set-hash"` → the lanes of the plain state's hash; `"base"` →
/// u64be of the version that was restored from a snapshot, before which there is none.
const META: &str = "meta";
/// Plain key → value.
const PLAIN: &str = "plain";
/// Provable key → its newest value, so that execution need not walk the tree.
const PROVABLE: &str = "provable";
/// The engine's own records.
const ENGINE: &str = "engine";
/// Tree: node key → node, both in Borsh.
pub(super) const NODES: &str = "tree-nodes";
/// Tree: `key hash ‖ u64be(version)` → `1 ‖ value`, or `0` for a removal.
pub(super) const VALUES: &str = "tree-values";
/// Tree: key hash → key.
pub(super) const PREIMAGES: &str = "tree-preimages";
/// Tree: `u64be(version since when it is stale) ‖ kind ‖ what` → empty.
pub(super) const STALE: &str = "tree-stale";

const COLUMNS: [&str; 8] = [META, PLAIN, PROVABLE, ENGINE, NODES, VALUES, PREIMAGES, STALE];
/// Bytes of block cache shared by all column families.
const CACHE_BYTES: usize = 128 << 20;

/// The newest committed version of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The block's height.
    pub height: u64,
    /// Its time, in seconds.
    pub time: u64,
    /// The tree's root after it.
    pub root: [u8; 32],
}

impl Tip {
    fn to_bytes(self) -> Vec<u8> {
        [self.height.to_be_bytes().as_slice(), &self.time.to_be_bytes(), &self.root].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (height, rest) = bytes.split_first_chunk()?;
        let (time, root) = rest.split_first_chunk()?;
        Some(Self { height: u64::from_be_bytes(*height), time: u64::from_be_bytes(*time), root: root.try_into().ok()? })
    }
}

/// A block's effect, computed and not yet written.
pub struct Prepared {
    /// The tip once it is written.
    pub tip: Tip,
    batch: WriteBatch,
    set_hash: SetHash,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Prepared({:?}, {} writes)", self.tip, self.batch.len())
    }
}

/// The database.
pub struct Store {
    db: DB,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.db.path().display())
    }
}

pub(super) fn column<'a>(db: &'a DB, name: &'static str) -> Result<&'a ColumnFamily, StateError> {
    db.cf_handle(name).ok_or_else(|| StateError::Database(format!("column family `{name}` is missing")))
}

fn corrupt(key: &[u8], reason: &str) -> StateError {
    StateError::Corrupt { key: hex::encode(key), reason: reason.into() }
}

impl Store {
    /// Opens or creates the database in a directory.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_keep_log_file_num(2);
        let cache = Cache::new_lru_cache(CACHE_BYTES);
        let families = COLUMNS.map(|name| {
            let mut blocks = BlockBasedOptions::default();
            blocks.set_block_cache(&cache);
            blocks.set_bloom_filter(10.0, false);
            let mut options = Options::default();
            options.set_block_based_table_factory(&blocks);
            options.set_compression_type(rocksdb::DBCompressionType::Lz4);
            ColumnFamilyDescriptor::new(name, options)
        });
        Ok(Self { db: DB::open_cf_descriptors(&options, dir, families)? })
    }

    /// The newest committed version; `None` before genesis is written.
    pub fn tip(&self) -> Result<Option<Tip>, StateError> {
        let bytes = self.meta(b"tip")?;
        bytes.map(|bytes| Tip::from_bytes(&bytes).ok_or_else(|| corrupt(b"tip", "not a tip"))).transpose()
    }

    /// The hash of the genesis the database was started from.
    pub fn genesis_hash(&self) -> Result<Option<Vec<u8>>, StateError> {
        self.meta(b"genesis")
    }

    /// The running hash of the plain state.
    pub fn set_hash(&self) -> Result<SetHash, StateError> {
        match self.meta(b"set-hash")? {
            None => Ok(SetHash::default()),
            Some(bytes) => SetHash::from_bytes(&bytes).ok_or_else(|| corrupt(b"set-hash", "not 2,048 bytes")),
        }
    }

    fn meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.db.get_cf(column(&self.db, META)?, key)?)
    }

    /// The committed state as it is now, whatever is committed meanwhile.
    pub fn view(&self) -> View<'_> {
        View { db: &self.db, snapshot: self.db.snapshot() }
    }

    /// Computes a block's effect: the tree, the set hash and the writes. Versions older than `history` blocks are
    /// pruned with it.
    pub fn prepare(&self, mut changes: Changes, height: u64, time: u64, history: u64) -> Result<Prepared, StateError> {
        let mut batch = WriteBatch::default();
        let mut set_hash = self.set_hash()?;
        let plain = column(&self.db, PLAIN)?;
        for (key, new) in &changes.plain {
            let old = self.db.get_cf(plain, key)?;
            if old == *new {
                continue;
            }
            if let Some(old) = &old {
                set_hash.remove(key, old);
            }
            match new {
                Some(new) => {
                    set_hash.insert(key, new);
                    batch.put_cf(plain, key, new);
                }
                None => batch.delete_cf(plain, key),
            }
        }
        changes.provable.insert(keys::PLAIN_DIGEST.to_vec(), Some(set_hash.digest().to_vec()));
        let provable = column(&self.db, PROVABLE)?;
        let mut writes = changes.provable;
        let mut failed = None;
        writes.retain(|key, new| match self.db.get_cf(provable, key) {
            Ok(old) => old != *new,
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        for (key, value) in &writes {
            match value {
                Some(value) => batch.put_cf(provable, key, value),
                None => batch.delete_cf(provable, key),
            }
        }
        let root = tree::update(&self.db, height, &writes, &mut batch)?;
        if let Some(oldest) = height.checked_sub(history) {
            tree::prune(&self.db, oldest, &mut batch)?;
        }
        Ok(Prepared { tip: Tip { height, time, root }, batch, set_hash })
    }

    /// Writes a block's effect and the engine's records in one synced batch.
    pub fn commit<'a>(
        &self,
        prepared: Prepared,
        genesis_hash: Option<[u8; 32]>,
        engine: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    ) -> Result<(), StateError> {
        let Prepared { tip, mut batch, set_hash } = prepared;
        let (meta, records) = (column(&self.db, META)?, column(&self.db, ENGINE)?);
        batch.put_cf(meta, b"tip", tip.to_bytes());
        batch.put_cf(meta, b"set-hash", set_hash.to_bytes());
        if let Some(hash) = genesis_hash {
            batch.put_cf(meta, b"genesis", hash);
        }
        for (key, value) in engine {
            match value {
                Some(value) => batch.put_cf(records, key, value),
                None => batch.delete_cf(records, key),
            }
        }
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Ok(self.db.write_opt(batch, &synced)?)
    }

    /// A provable value at a version, with an encoded ICS-23 proof of it or of its absence.
    pub fn prove(&self, version: u64, key: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), StateError> {
        tree::prove(&self.db, version, key)
    }

    /// A provable value at a version.
    pub fn value_at(&self, version: u64, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        tree::value_at(&self.db, version, key)
    }

    /// One of the engine's records.
    pub fn engine_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.db.get_cf(column(&self.db, ENGINE)?, key)?)
    }

    /// The engine's records with a prefix, from `start` on, ascending, at most `limit`.
    pub fn engine_iter(&self, prefix: &[u8], start: &[u8], limit: usize) -> Result<Pairs, StateError> {
        let from = if start > prefix { start } else { prefix };
        let records = self.db.iterator_cf(column(&self.db, ENGINE)?, IteratorMode::From(from, Direction::Forward));
        collect(records, prefix, limit)
    }
}

fn collect(
    records: impl Iterator<Item = Result<(Box<[u8]>, Box<[u8]>), rocksdb::Error>>,
    prefix: &[u8],
    limit: usize,
) -> Result<Pairs, StateError> {
    let mut found = vec![];
    for record in records.take(limit) {
        let (key, value) = record?;
        if !key.starts_with(prefix) {
            break;
        }
        found.push((key.into_vec(), value.into_vec()));
    }
    Ok(found)
}

/// The committed state at one moment.
pub struct View<'a> {
    db: &'a DB,
    snapshot: SnapshotWithThreadMode<'a, DB>,
}

impl View<'_> {
    /// Every record of a space, in the order of the keys.
    pub fn all(&self, space: Space) -> Result<impl Iterator<Item = Result<Pair, StateError>> + '_, StateError> {
        let records = self.snapshot.iterator_cf(self.column(space)?, IteratorMode::Start);
        Ok(records.map(|record| {
            let (key, value) = record?;
            Ok((key.into_vec(), value.into_vec()))
        }))
    }

    fn column(&self, space: Space) -> Result<&ColumnFamily, StateError> {
        match space {
            Space::Provable => column(self.db, PROVABLE),
            Space::Plain => column(self.db, PLAIN),
        }
    }

    /// Keys with this prefix from `start` on and their values, ascending, at most `limit`.
    pub fn range(&self, space: Space, prefix: &[u8], start: &[u8], limit: usize) -> Result<Pairs, StateError> {
        let from = if start > prefix { start } else { prefix };
        let mode = IteratorMode::From(from, Direction::Forward);
        collect(self.snapshot.iterator_cf_opt(self.column(space)?, ReadOptions::default(), mode), prefix, limit)
    }

    /// The last key of a prefix that is before `end`, with its value.
    pub fn last_before(&self, space: Space, prefix: &[u8], end: &[u8]) -> Result<Option<Pair>, StateError> {
        let mode = IteratorMode::From(end, Direction::Reverse);
        for record in self.snapshot.iterator_cf(self.column(space)?, mode) {
            let (key, value) = record?;
            if key.as_ref() < end {
                return Ok(key.starts_with(prefix).then(|| (key.into_vec(), value.into_vec())));
            }
        }
        Ok(None)
    }

    /// The tip at this moment.
    pub fn tip(&self) -> Result<Option<Tip>, StateError> {
        let bytes = self.snapshot.get_cf(column(self.db, META)?, b"tip")?;
        bytes.map(|bytes| Tip::from_bytes(&bytes).ok_or_else(|| corrupt(b"tip", "not a tip"))).transpose()
    }

    /// Whether the set hash that is kept is that of all plain records.
    pub fn set_hash_matches(&self) -> Result<bool, StateError> {
        let mut hash = SetHash::default();
        for record in self.snapshot.iterator_cf(column(self.db, PLAIN)?, IteratorMode::Start) {
            let (key, value) = record?;
            hash.insert(&key, &value);
        }
        Ok(self.get(Space::Provable, keys::PLAIN_DIGEST)?.is_some_and(|kept| kept == hash.digest()))
    }
}

impl ReadState for View<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.snapshot.get_cf(self.column(space)?, key)?)
    }

    fn scan(&self, space: Space, prefix: &[u8]) -> Result<Pairs, StateError> {
        self.range(space, prefix, prefix, usize::MAX)
    }
}
