//! Putting a whole state from elsewhere in the place of the one that is here.
//!
//! The tip goes first and comes last: a database without one is empty as far as anybody knows, whatever a crash left.

use rocksdb::{IteratorMode, WriteBatch, WriteOptions};

use super::{COLUMNS, META, PLAIN, PROVABLE, Store, Tip, column};
use crate::state::overlay::Writes;
use crate::state::records::ChainTip;
use crate::state::set_hash::SetHash;
use crate::state::{Space, StateError, keys, tree};

/// Records written at once.
const BATCH: usize = 10_000;

/// Why a state from elsewhere is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Not the encoding of records.
    #[error("the state cannot be decoded")]
    Malformed,
    /// Records do not come in order, or twice.
    #[error("the records are out of order at key {0}")]
    Order(String),
    /// The plain records are not those that the provable state names.
    #[error("the plain records are not those whose digest is in the provable state")]
    Plain,
    /// The provable records have another root.
    #[error("the state's root is {found}, not {expected}")]
    Root {
        /// What was computed.
        found: String,
        /// What light clients verified.
        expected: String,
    },
    /// The state is of another height.
    #[error("the state is that of another height than {0}")]
    Height(u64),
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Takes the records of a state, the provable ones first, each space in the order of its keys.
#[derive(Debug)]
pub struct Restorer<'a> {
    store: &'a Store,
    set_hash: SetHash,
    provable: Writes,
    last_plain: Option<Vec<u8>>,
    batch: WriteBatchOf,
}

#[derive(Default)]
struct WriteBatchOf(WriteBatch);

impl std::fmt::Debug for WriteBatchOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} writes", self.0.len())
    }
}

impl<'a> Restorer<'a> {
    /// Empties the database but for the genesis it belongs to.
    pub fn begin(store: &'a Store) -> Result<Self, RestoreError> {
        store.clear()?;
        Ok(Self {
            store,
            set_hash: SetHash::default(),
            provable: Writes::new(),
            last_plain: None,
            batch: WriteBatchOf::default(),
        })
    }

    /// Takes the next record.
    pub fn add(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) -> Result<(), RestoreError> {
        let order = |key: &[u8]| RestoreError::Order(hex::encode(key));
        match space {
            Space::Provable => {
                let after = self.provable.last_key_value().is_none_or(|(last, _)| *last < key);
                if !after || self.last_plain.is_some() || key.is_empty() {
                    return Err(order(&key));
                }
                self.provable.insert(key, Some(value));
            }
            Space::Plain => {
                if self.last_plain.as_ref().is_some_and(|last| *last >= key) || key.is_empty() {
                    return Err(order(&key));
                }
                self.set_hash.insert(&key, &value);
                self.batch.0.put_cf(column(&self.store.db, PLAIN)?, &key, &value);
                self.last_plain = Some(key);
                if self.batch.0.len() >= BATCH {
                    let batch = std::mem::take(&mut self.batch.0);
                    self.store.db.write(batch).map_err(StateError::from)?;
                }
            }
        }
        Ok(())
    }

    /// Checks the whole against the root after block `height`, and makes it the state.
    pub fn finish(self, height: u64, root: [u8; 32]) -> Result<(), RestoreError> {
        let Self { store, set_hash, provable, mut batch, .. } = self;
        let value = |key: &[u8]| provable.get(key).and_then(Option::as_deref);
        if value(keys::PLAIN_DIGEST) != Some(set_hash.digest().as_slice()) {
            return Err(RestoreError::Plain);
        }
        let tip: Option<ChainTip> = value(keys::CHAIN_TIP).and_then(|bytes| serde_json::from_slice(bytes).ok());
        let Some(tip) = tip.filter(|tip| tip.height.0 == height) else { return Err(RestoreError::Height(height)) };
        tree::plant(&store.db, height)?;
        let found = tree::update(&store.db, height, &provable, &mut batch.0)?;
        if found != root {
            return Err(RestoreError::Root { found: hex::encode(found), expected: hex::encode(root) });
        }
        let records = column(&store.db, PROVABLE)?;
        for (key, value) in &provable {
            if let Some(value) = value {
                batch.0.put_cf(records, key, value);
            }
        }
        let meta = column(&store.db, META)?;
        batch.0.put_cf(meta, b"base", height.to_be_bytes());
        batch.0.put_cf(meta, b"set-hash", set_hash.to_bytes());
        batch.0.put_cf(meta, b"tip", Tip { height, time: tip.time.0, root }.to_bytes());
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        store.db.write_opt(batch.0, &synced).map_err(StateError::from)?;
        Ok(())
    }
}

impl Store {
    /// The oldest version that is here: that of a restored state, or 0.
    pub fn base(&self) -> Result<u64, StateError> {
        let bytes = self.meta(b"base")?;
        let read = |bytes: Vec<u8>| bytes.try_into().map(u64::from_be_bytes);
        bytes.map(read).transpose().map(Option::unwrap_or_default).map_err(|_| super::corrupt(b"base", "not a height"))
    }

    /// Removes everything but the name of the genesis, the tip before all else.
    pub fn clear(&self) -> Result<(), StateError> {
        let meta = column(&self.db, META)?;
        let mut batch = WriteBatch::default();
        for key in [b"tip".as_slice(), b"set-hash", b"base"] {
            batch.delete_cf(meta, key);
        }
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        self.db.write_opt(batch, &synced)?;
        for name in COLUMNS.into_iter().filter(|name| *name != META) {
            let family = column(&self.db, name)?;
            let mut batch = WriteBatch::default();
            for record in self.db.iterator_cf(family, IteratorMode::Start) {
                batch.delete_cf(family, record?.0);
                if batch.len() >= BATCH {
                    self.db.write(std::mem::take(&mut batch))?;
                }
            }
            self.db.write(batch)?;
        }
        Ok(())
    }
}
