//! Where a chain keeps its packets under the app hash, and what proves them there.

use crosspoint_protocol::path::Path;
use serde::{Deserialize, Serialize};

use crate::jmt::{self, JmtError};
use crate::multistore::{self, MultistoreError};

/// Most bytes of a store's name, and of the prefix of its keys.
pub const MAX_PREFIX_LEN: usize = 64;

/// Why a store cannot be where packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerklePrefixError {
    /// The name is empty, too long, or not what people can read.
    #[error("a store's name is 1 to {MAX_PREFIX_LEN} printable ASCII characters without spaces")]
    StoreName,
    /// The prefix is too long.
    #[error("a key prefix of {0} bytes is longer than {MAX_PREFIX_LEN}")]
    KeyPrefix(usize),
    /// The prefix is no hex.
    #[error("a key prefix is 0x and hex digits")]
    Hex,
}

/// Why a proof does not show what is asked of a [`PacketStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// In a Jellyfish Merkle Tree.
    #[error("in a JMT store: {0}")]
    Jmt(#[from] JmtError),
    /// In a store of a Cosmos chain.
    #[error("in a multistore: {0}")]
    Multistore(#[from] MultistoreError),
}

/// Where a chain keeps packet commitments, receipts and acknowledgements under the app hash. It is part of what
/// governance decides on: a proof from elsewhere in the state says nothing about packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum PacketStore {
    /// A Jellyfish Merkle Tree whose root is the app hash, with paths as its keys: a native chain.
    Jmt,
    /// One of the stores of a Cosmos SDK chain: IAVL trees, with a simple Merkle tree over their roots.
    Multistore(MerklePrefix),
}

/// The merkle prefix of an IBC v2 counterparty: a store and what its keys begin with. That of ibc-go is `ibc` and
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct MerklePrefix {
    store: String,
    key_prefix: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    store: String,
    key_prefix: String,
}

impl MerklePrefix {
    /// The keys of this store that begin with these bytes.
    ///
    /// # Errors
    /// The name is not 1 to 64 printable ASCII characters without spaces, or the prefix is longer than 64 bytes.
    pub fn new(store: impl Into<String>, key_prefix: impl Into<Vec<u8>>) -> Result<Self, MerklePrefixError> {
        let (store, key_prefix) = (store.into(), key_prefix.into());
        if store.is_empty() || store.len() > MAX_PREFIX_LEN || !store.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(MerklePrefixError::StoreName);
        }
        if key_prefix.len() > MAX_PREFIX_LEN {
            return Err(MerklePrefixError::KeyPrefix(key_prefix.len()));
        }
        Ok(Self { store, key_prefix })
    }

    /// The store's name.
    #[must_use]
    pub fn store(&self) -> &str {
        &self.store
    }

    /// The key of a path in that store.
    #[must_use]
    pub fn key(&self, path: &Path) -> Vec<u8> {
        [self.key_prefix.as_slice(), &path.to_bytes()].concat()
    }
}

impl TryFrom<Raw> for MerklePrefix {
    type Error = MerklePrefixError;
    fn try_from(raw: Raw) -> Result<Self, MerklePrefixError> {
        let digits = raw.key_prefix.strip_prefix("0x").ok_or(MerklePrefixError::Hex)?;
        let bytes = hex::decode(digits).map_err(|_| MerklePrefixError::Hex)?;
        Self::new(raw.store, bytes)
    }
}

impl From<MerklePrefix> for Raw {
    fn from(prefix: MerklePrefix) -> Self {
        Self { store: prefix.store, key_prefix: format!("0x{}", hex::encode(prefix.key_prefix)) }
    }
}

impl PacketStore {
    /// Proves that `value` stands under `path` in the state with this app hash. `proof` is one encoded ICS-23
    /// `CommitmentProof` for a Jellyfish Merkle Tree, an `ibc.core.commitment.v1.MerkleProof` of two for a multistore.
    ///
    /// # Errors
    /// The proof does not show it.
    pub fn verify_membership(
        &self,
        app_hash: &[u8; 32],
        path: &Path,
        value: &[u8],
        proof: &[u8],
    ) -> Result<(), StoreError> {
        match self {
            Self::Jmt => jmt::verify_membership(app_hash, &path.to_bytes(), value, proof)?,
            Self::Multistore(prefix) => {
                multistore::verify_membership(app_hash, prefix.store.as_bytes(), &prefix.key(path), value, proof)?;
            }
        }
        Ok(())
    }

    /// Proves that nothing stands under `path` in the state with this app hash.
    ///
    /// # Errors
    /// The proof does not show it.
    pub fn verify_absence(&self, app_hash: &[u8; 32], path: &Path, proof: &[u8]) -> Result<(), StoreError> {
        match self {
            Self::Jmt => jmt::verify_absence(app_hash, &path.to_bytes(), proof)?,
            Self::Multistore(prefix) => {
                multistore::verify_absence(app_hash, prefix.store.as_bytes(), &prefix.key(path), proof)?;
            }
        }
        Ok(())
    }
}
