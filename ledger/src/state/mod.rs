//! The state: two key spaces over one database, written in one atomic batch per block.
//!
//! - *provable*: a Jellyfish Merkle Tree whose root is the app hash; what another chain or an auditor must be able to check.
//! - *plain*: accounts, indexes, packets in flight; covered by the app hash through one set hash ([`set_hash`]).
//!
//! Reading and writing are two traits. [`overlay::Overlay`] alone can be written; it is a set of changes on top of something that
//! can be read, and is merged or dropped as a whole: a block, a transaction, an item of a batch.
//! [`keys`] builds every key, [`access`] reads and writes typed records ([`records`]), [`store`] is the database.

pub mod access;
pub mod keys;
pub mod light_client;
pub mod overlay;
pub mod records;
pub mod set_hash;
pub mod store;
mod tree;

use crate::events::Event;
use crate::query::OutboxList;
use crosspoint_protocol::ids::{ClientId, Sequence};

/// Which of the two key spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// In the tree.
    Provable,
    /// Beside it.
    Plain,
}

/// A failure of the database or of what is in it. The node must stop: it is never a transaction's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// RocksDB failed.
    #[error("the database failed: {0}")]
    Database(String),
    /// The tree failed.
    #[error("the state tree failed: {0}")]
    Tree(String),
    /// A stored record cannot be read.
    #[error("the record under {key} is corrupt: {reason}")]
    Corrupt {
        /// The key as hex.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The books do not add up.
    #[error("the books are wrong: {0}")]
    Books(String),
}

impl From<rocksdb::Error> for StateError {
    fn from(error: rocksdb::Error) -> Self {
        Self::Database(error.into_string())
    }
}

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Keys with their values.
pub type Pairs = Vec<Pair>;

/// State that can be read.
pub trait ReadState {
    /// The value under a key.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// All keys with this prefix and their values, ascending.
    fn scan(&self, space: Space, prefix: &[u8]) -> Result<Pairs, StateError>;
}

/// State that can be changed.
pub trait WriteState: ReadState + Sized {
    /// Sets the value under a key.
    fn put(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>);

    /// Removes a key.
    fn delete(&mut self, space: Space, key: Vec<u8>);

    /// Says that something happened.
    fn emit(&mut self, event: Event);

    /// Adds to a client's outbox list of this block.
    fn append_outbox(&mut self, entry: OutboxEntry);

    /// Takes over the changes of an overlay on this state.
    fn merge(&mut self, changes: overlay::Changes);

    /// Runs `step` on an overlay; its changes stay if it succeeds and leave no trace if it fails.
    fn attempt<T, E>(&mut self, step: impl FnOnce(&mut overlay::Overlay<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut inner = overlay::Overlay::new(&*self);
        let done = step(&mut inner)?;
        let changes = inner.into_changes();
        self.merge(changes);
        Ok(done)
    }
}

/// An entry of a client's outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// The client.
    pub client: ClientId,
    /// Which list.
    pub list: OutboxList,
    /// The packet's number.
    pub sequence: Sequence,
    /// The commitment of the packet, or of the ack.
    pub commitment: [u8; 32],
}
