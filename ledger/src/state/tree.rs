//! The Jellyfish Merkle Tree over RocksDB: what the `jmt` crate reads, and how its updates are stored and pruned.

use jmt::storage::{HasPreimage, LeafNode, Node, NodeKey, TreeReader, TreeUpdateBatch};
use jmt::{JellyfishMerkleTree, KeyHash, OwnedValue, RootHash};
use rocksdb::{DB, IteratorMode, WriteBatch};
use sha2::Sha256;

use super::StateError;
use super::overlay::Writes;
use super::store::{NODES, PREIMAGES, STALE, VALUES, column};

/// What a stale record is, in the key of [`STALE`] after the version.
const STALE_NODE: u8 = 0;
const STALE_VALUE: u8 = 1;
const STALE_KEY: u8 = 2;
/// Most stale records removed in one block, so that a shortened history is worked off gradually.
const MAX_PRUNED: usize = 20_000;

/// The tree as stored.
pub(super) struct Tree<'a>(pub(super) &'a DB);

pub(super) fn tree_error(error: impl std::fmt::Display) -> StateError {
    StateError::Tree(error.to_string())
}

fn value_key(key: KeyHash, version: u64) -> Vec<u8> {
    [key.0.as_slice(), &version.to_be_bytes()].concat()
}

impl TreeReader for Tree<'_> {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<Node>> {
        let found = self.0.get_pinned_cf(column(self.0, NODES)?, borsh::to_vec(key)?)?;
        Ok(found.map(|bytes| borsh::from_slice(&bytes)).transpose()?)
    }

    fn get_value_option(&self, max_version: u64, key: KeyHash) -> anyhow::Result<Option<OwnedValue>> {
        let mut values = self.0.raw_iterator_cf(column(self.0, VALUES)?);
        values.seek_for_prev(value_key(key, max_version));
        values.status()?;
        // A value is one byte 1 and its bytes; a removal one byte 0.
        Ok(match (values.key(), values.value()) {
            (Some(found), Some([1, value @ ..])) if found.starts_with(&key.0) => Some(value.to_vec()),
            _ => None,
        })
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("the tree is never restored from a snapshot")
    }
}

impl HasPreimage for Tree<'_> {
    fn preimage(&self, key: KeyHash) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.0.get_cf(column(self.0, PREIMAGES)?, key.0)?)
    }
}

/// Puts an empty tree before `version`, so that a whole state can be written as that version.
pub(super) fn plant(db: &DB, version: u64) -> Result<(), StateError> {
    let Some(before) = version.checked_sub(1) else { return Ok(()) };
    let root = NodeKey::new(before, std::iter::empty().collect());
    let nodes = column(db, NODES)?;
    let (key, node) = (borsh::to_vec(&root).map_err(tree_error)?, borsh::to_vec(&Node::Null).map_err(tree_error)?);
    Ok(db.put_cf(nodes, key, node)?)
}

/// Computes the tree after these writes as `version`, and puts its storage into `batch`. Every write changes something.
pub(super) fn update(db: &DB, version: u64, writes: &Writes, batch: &mut WriteBatch) -> Result<[u8; 32], StateError> {
    let reader = Tree(db);
    let set = writes.iter().map(|(key, value)| (KeyHash::with::<Sha256>(key), value.clone()));
    let (RootHash(root), update) =
        JellyfishMerkleTree::<_, Sha256>::new(&reader).put_value_set(set, version).map_err(tree_error)?;
    store(db, &update, batch)?;
    let (values, preimages, stale) = (column(db, VALUES)?, column(db, PREIMAGES)?, column(db, STALE)?);
    for (key, value) in writes {
        let hash = KeyHash::with::<Sha256>(key);
        let mut old = db.raw_iterator_cf(values);
        old.seek_for_prev(value_key(hash, version));
        old.status()?;
        if let Some(found) = old.key().filter(|found| found.starts_with(&hash.0)) {
            batch.put_cf(stale, stale_key(version, STALE_VALUE, found), []);
        }
        match value {
            Some(value) => {
                batch.put_cf(values, value_key(hash, version), [&[1], value.as_slice()].concat());
                batch.put_cf(preimages, hash.0, key);
            }
            None => {
                batch.put_cf(values, value_key(hash, version), [0]);
                batch.put_cf(stale, stale_key(version, STALE_VALUE, &value_key(hash, version)), []);
                batch.put_cf(stale, stale_key(version, STALE_KEY, &hash.0), []);
            }
        }
    }
    Ok(root)
}

fn store(db: &DB, update: &TreeUpdateBatch, batch: &mut WriteBatch) -> Result<(), StateError> {
    let (nodes, stale) = (column(db, NODES)?, column(db, STALE)?);
    for (key, node) in update.node_batch.nodes() {
        batch.put_cf(nodes, borsh::to_vec(key).map_err(tree_error)?, borsh::to_vec(node).map_err(tree_error)?);
    }
    for index in &update.stale_node_index_batch {
        let key = borsh::to_vec(&index.node_key).map_err(tree_error)?;
        batch.put_cf(stale, stale_key(index.stale_since_version, STALE_NODE, &key), []);
    }
    Ok(())
}

fn stale_key(version: u64, kind: u8, what: &[u8]) -> Vec<u8> {
    [version.to_be_bytes().as_slice(), &[kind], what].concat()
}

/// Removes what no version from `oldest` on needs.
pub(super) fn prune(db: &DB, oldest: u64, batch: &mut WriteBatch) -> Result<(), StateError> {
    let stale = column(db, STALE)?;
    for entry in db.iterator_cf(stale, IteratorMode::Start).take(MAX_PRUNED) {
        let (key, _) = entry?;
        let Some((version, [kind, what @ ..])) = key.split_first_chunk::<8>() else {
            return Err(tree_error("a stale record's key is too short"));
        };
        if u64::from_be_bytes(*version) > oldest {
            break;
        }
        match *kind {
            STALE_NODE => batch.delete_cf(column(db, NODES)?, what),
            STALE_VALUE => batch.delete_cf(column(db, VALUES)?, what),
            // The key may have come back since.
            STALE_KEY if !has_value(db, what)? => batch.delete_cf(column(db, PREIMAGES)?, what),
            _ => {}
        }
        batch.delete_cf(stale, &key);
    }
    Ok(())
}

fn has_value(db: &DB, hash: &[u8]) -> Result<bool, StateError> {
    let Ok(hash) = hash.try_into().map(KeyHash) else { return Err(tree_error("a stale key is not 32 bytes")) };
    Tree(db).get_value_option(u64::MAX, hash).map(|value| value.is_some()).map_err(tree_error)
}

/// The value under a key after block `version`, with an encoded ICS-23 proof of it or of its absence.
pub(super) fn prove(db: &DB, version: u64, key: &[u8]) -> Result<(Option<Vec<u8>>, Vec<u8>), StateError> {
    use prost::Message as _;
    let reader = Tree(db);
    let tree = JellyfishMerkleTree::<_, Sha256>::new(&reader);
    let (value, proof) = tree.get_with_ics23_proof(key.to_vec(), version).map_err(tree_error)?;
    Ok((value, proof.encode_to_vec()))
}

/// The value under a key after block `version`.
pub(super) fn value_at(db: &DB, version: u64, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
    Tree(db).get_value_option(version, KeyHash::with::<Sha256>(key)).map_err(tree_error)
}
