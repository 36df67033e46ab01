//! The keys of a validator, and development keys derived from one seed.
//!
//! A validator has two keys: an ed25519 *consensus key*, which signs votes, and a secp256k1 *bridge key*,
//! which signs checkpoints that an EVM contract can check.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use crosspoint_light_proofs::checkpoint::KeyBinding;
use crosspoint_light_proofs::signature::SigningKey as BridgeKey;
use crosspoint_protocol::ids::ChainId;
use crosspoint_protocol::sha256;
use ed25519_dalek::Signer;
use zeroize::Zeroizing;

use crate::genesis;

/// The file in the data directory that holds the seed of a development chain.
pub const SEED_FILE: &str = "validators.seed";

/// Why keys could not be read, made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("secret file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others than the owner may read or write the file.
    #[error("secret file {path} has mode {mode:o}; it holds secrets, so set it to 600")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold 64 hex digits.
    #[error("secret file {path} does not hold one line of 64 hex digits")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// A secret is no valid key. For a derived key the chance is below 2^-127.
    #[error("the {which} key of validator {index} is not a valid secret key")]
    Invalid {
        /// Which of the two keys.
        which: &'static str,
        /// The validator's number in the seed.
        index: u32,
    },
}

/// The secret that all keys of a development chain are derived from.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

impl Seed {
    /// A seed from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the seed from a file, or makes a random one and writes it with mode 0600.
    ///
    /// # Errors
    /// When the file cannot be read or written, others may read it, or its content is no seed.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        if path.exists() {
            return Ok(Self(read_secret(path)?));
        }
        let bytes = Zeroizing::new(rand::random::<[u8; 32]>());
        write_secret(path, &Zeroizing::new(format!("{}\n", hex::encode(bytes.as_slice()))))?;
        Ok(Self(bytes))
    }

    /// The secret of a validator's bridge key, as [`ValidatorKeys::derive`] derives it.
    #[must_use]
    pub fn bridge_secret(&self, index: u32) -> Zeroizing<[u8; 32]> {
        self.derive("bridge", index)
    }

    /// The key that names the node of validator `index` to its peers.
    #[must_use]
    pub fn node_key(&self, index: u32) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&self.derive("node", index))
    }

    fn derive(&self, purpose: &str, index: u32) -> Zeroizing<[u8; 32]> {
        let domain = format!("crosspoint/validator/{purpose}/v1");
        Zeroizing::new(sha256(&[domain.as_bytes(), self.0.as_slice(), &index.to_be_bytes()]))
    }
}

/// Writes a file that its owner alone may read. A file that is there already is left alone: an error.
pub(super) fn write_secret(path: &Path, text: &Zeroizing<String>) -> Result<(), KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)
}

/// Reads a secret of 64 hex digits from a file that its owner alone may read.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(io)?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().map_err(io)?.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Permissions { path: path.to_owned(), mode });
        }
    }
    let mut text = Zeroizing::new(String::new());
    file.take(256).read_to_string(&mut text).map_err(io)?;
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), bytes.as_mut_slice())
        .map_err(|_| KeyError::Malformed { path: path.to_owned() })?;
    Ok(bytes)
}

/// Both keys of one validator.
#[derive(Clone)]
pub struct ValidatorKeys {
    consensus: ed25519_dalek::SigningKey,
    bridge: BridgeKey,
}

impl fmt::Debug for ValidatorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatorKeys")
            .field("consensus", &self.address())
            .field("bridge", &self.bridge_address())
            .finish()
    }
}

impl ValidatorKeys {
    /// Keys from elsewhere.
    #[must_use]
    pub const fn new(consensus: ed25519_dalek::SigningKey, bridge: BridgeKey) -> Self {
        Self { consensus, bridge }
    }

    /// The keys of validator number `index` of a development chain: each secret is
    /// `sha256("crosspoint/validator/PURPOSE/v1" ‖ seed ‖ u32be(index))`, PURPOSE being `consensus` or `bridge`.
    ///
    /// # Errors
    /// [`KeyError::Invalid`] when the bridge secret is no scalar of secp256k1.
    pub fn derive(seed: &Seed, index: u32) -> Result<Self, KeyError> {
        let bridge = BridgeKey::from_bytes(*seed.bridge_secret(index))
            .map_err(|_| KeyError::Invalid { which: "bridge", index })?;
        Ok(Self { consensus: ed25519_dalek::SigningKey::from_bytes(&seed.derive("consensus", index)), bridge })
    }

    /// The keys of validators 0 to `count` - 1 of a development chain.
    ///
    /// # Errors
    /// As [`ValidatorKeys::derive`].
    pub fn derive_all(seed: &Seed, count: u32) -> Result<Vec<Self>, KeyError> {
        (0..count).map(|index| Self::derive(seed, index)).collect()
    }

    /// The validator of these keys as a genesis file names it.
    #[must_use]
    pub fn genesis_validator(&self, chain_id: &ChainId, name: &str, power: u64) -> genesis::Validator {
        genesis::Validator {
            name: name.to_owned(),
            power,
            binding: KeyBinding::new(chain_id, &self.consensus, &self.bridge),
        }
    }

    /// The consensus public key, raw.
    #[must_use]
    pub fn consensus_public(&self) -> [u8; 32] {
        self.consensus.verifying_key().to_bytes()
    }

    /// The consensus address: the first 20 bytes of `sha256(public key)` (CometBFT spec, core data structures).
    #[must_use]
    pub fn address(&self) -> tendermint::account::Id {
        super::validators::consensus_address(&self.consensus_public())
    }

    /// The bridge key.
    #[must_use]
    pub const fn bridge(&self) -> &BridgeKey {
        &self.bridge
    }

    /// The consensus key.
    #[must_use]
    pub const fn consensus(&self) -> &ed25519_dalek::SigningKey {
        &self.consensus
    }

    /// The address of the bridge key.
    #[must_use]
    pub const fn bridge_address(&self) -> Address {
        self.bridge.address()
    }

    /// An ed25519 signature of the consensus key.
    #[must_use]
    pub fn sign_vote(&self, sign_bytes: &[u8]) -> [u8; 64] {
        self.consensus.sign(sign_bytes).to_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_file_is_made_once_private_and_read_again() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SEED_FILE);
        let first = ValidatorKeys::derive(&Seed::load_or_create(&path).unwrap(), 0).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = ValidatorKeys::derive(&Seed::load_or_create(&path).unwrap(), 0).unwrap();
        assert_eq!(first.bridge_address(), again.bridge_address());
        assert_eq!(first.consensus_public(), again.consensus_public());
    }

    #[test]
    fn a_seed_file_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SEED_FILE);
        Seed::load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Seed::load_or_create(&path), Err(KeyError::Permissions { mode: 0o644, .. })));
    }

    #[test]
    fn keys_differ_by_number_and_purpose_and_show_no_secret() {
        let seed = Seed::new([7; 32]);
        let (a, b) = (ValidatorKeys::derive(&seed, 0).unwrap(), ValidatorKeys::derive(&seed, 1).unwrap());
        assert_ne!(a.bridge_address(), b.bridge_address());
        assert_ne!(a.address(), b.address());
        assert_ne!(*seed.derive("bridge", 0), *seed.derive("consensus", 0));
        assert!(!format!("{a:?}{seed:?}").contains(&hex::encode(*seed.derive("bridge", 0))));
    }
}
