//! The folder of key files.

use super::v3::{Cost, Crypto, V3Error, random_id};
use super::{KeyError, KeyKind, KeyName, Passphrase, Secret};
use crosspoint_adapters::signer::Signer;
use serde::{Deserialize, Serialize};
use std::fs::{self, Metadata, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Largest key file that is read, in bytes.
const MAX_FILE: u64 = 16 * 1024;
/// Most key files of one folder.
const MAX_KEYS: usize = 1024;

/// Why a key cannot be written, listed or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The system refused.
    #[error("keystore file {path}: {reason}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// A key of this name is there.
    #[error("a key named {name} is already in {dir}; choose another name (keys are never overwritten)")]
    Exists {
        /// The name.
        name: KeyName,
        /// The folder.
        dir: PathBuf,
    },
    /// No such key.
    #[error(
        "no key named {name} in {dir}; `crosspoint keys list` shows those there are, `crosspoint keys new` makes one"
    )]
    NotFound {
        /// The name.
        name: KeyName,
        /// The folder.
        dir: PathBuf,
    },
    /// Others may read the file.
    #[error("key file {0} can be read by others; run: chmod 600 {0}")]
    Permissions(PathBuf),
    /// The file is no key file.
    #[error("{path} is not a key file: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The secret does not open.
    #[error("key {name}: {source}")]
    Crypto {
        /// The key.
        name: KeyName,
        /// Why.
        source: V3Error,
    },
    /// A key of another kind than is needed.
    #[error("key {name} is of kind {found}; a key of kind {needed} is needed here")]
    Kind {
        /// The key.
        name: KeyName,
        /// Its kind.
        found: &'static str,
        /// The kind needed.
        needed: &'static str,
    },
    /// The bytes are no key.
    #[error("key {name}: {source}")]
    Key {
        /// The key.
        name: KeyName,
        /// Why.
        source: KeyError,
    },
    /// More key files than any operator has.
    #[error("{0} holds more than {MAX_KEYS} files; it is no keystore")]
    TooMany(PathBuf),
}

/// What may be told of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its name.
    pub name: KeyName,
    /// Its kind.
    pub kind: KeyKind,
    /// Its address on its chain; none for a seed.
    pub address: Option<String>,
}

/// A key file: the Web3 secret storage object with two fields more.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    version: u8,
    id: String,
    kind: KeyKind,
    /// Empty for a seed.
    address: String,
    crypto: Crypto,
}

/// A folder with one encrypted file per key, `NAME.json`, each readable by its owner alone.
#[derive(Debug, Clone)]
pub struct KeyStore {
    dir: PathBuf,
    cost: Cost,
}

impl KeyStore {
    /// The keystore in this folder. The folder is made when the first key is written.
    #[must_use]
    pub const fn new(dir: PathBuf) -> Self {
        Self { dir, cost: Cost::Standard }
    }

    /// The same with another cost for new keys.
    #[must_use]
    pub fn with_cost(self, cost: Cost) -> Self {
        Self { cost, ..self }
    }

    /// Encrypts a key and writes it durably. Never overwrites one.
    ///
    /// # Errors
    /// The name is taken, the bytes are no key of this kind, or the system refused.
    pub fn add(
        &self,
        name: &KeyName,
        kind: KeyKind,
        secret: &Secret,
        passphrase: &Passphrase,
    ) -> Result<KeyInfo, KeyStoreError> {
        let path = self.path(name);
        if path.exists() {
            return Err(KeyStoreError::Exists { name: name.clone(), dir: self.dir.clone() });
        }
        let address =
            super::address(kind, secret).map_err(|source| KeyStoreError::Key { name: name.clone(), source })?;
        let failed = |source| KeyStoreError::Crypto { name: name.clone(), source };
        let file = KeyFile {
            version: 3,
            id: random_id().map_err(failed)?,
            kind,
            address: address.clone().unwrap_or_default(),
            crypto: Crypto::seal(secret, passphrase, self.cost).map_err(failed)?,
        };
        let json = serde_json::to_vec_pretty(&file)
            .map_err(|e| KeyStoreError::Malformed { path: path.clone(), reason: e.to_string() })?;
        self.write(&path, &json)?;
        Ok(KeyInfo { name: name.clone(), kind, address })
    }

    /// All keys by name, without their secrets.
    ///
    /// # Errors
    /// A file in the folder is no key file, or the system refused.
    pub fn list(&self) -> Result<Vec<KeyInfo>, KeyStoreError> {
        let mut names = vec![];
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            Err(e) => return Err(io(&self.dir, &e)),
        };
        for entry in entries {
            let file = entry.map_err(|e| io(&self.dir, &e))?.file_name();
            if let Some(name) = file.to_str().and_then(|f| f.strip_suffix(".json")).and_then(|n| n.parse().ok()) {
                names.push(name);
            }
            if names.len() > MAX_KEYS {
                return Err(KeyStoreError::TooMany(self.dir.clone()));
            }
        }
        names.sort();
        names.iter().map(|name| self.info(name)).collect()
    }

    /// One key without its secret.
    ///
    /// # Errors
    /// It is not there, or its file is no key file.
    pub fn info(&self, name: &KeyName) -> Result<KeyInfo, KeyStoreError> {
        let file = self.read(name)?;
        let address = Some(file.address).filter(|address| !address.is_empty());
        Ok(KeyInfo { name: name.clone(), kind: file.kind, address })
    }

    /// The secret of a key of this kind.
    ///
    /// # Errors
    /// It is not there, of another kind, or does not open with this passphrase.
    pub fn secret(&self, name: &KeyName, kind: KeyKind, passphrase: &Passphrase) -> Result<Secret, KeyStoreError> {
        let file = self.read(name)?;
        if file.kind != kind {
            let (found, needed) = (file.kind.as_str(), kind.as_str());
            return Err(KeyStoreError::Kind { name: name.clone(), found, needed });
        }
        let secret =
            file.crypto.open(passphrase).map_err(|source| KeyStoreError::Crypto { name: name.clone(), source })?;
        // The MAC does not cover the kind and the address; the secret does.
        let address =
            super::address(kind, &secret).map_err(|source| KeyStoreError::Key { name: name.clone(), source })?;
        if address.unwrap_or_default() != file.address {
            let reason = "its address is not that of its secret: the file was changed".into();
            return Err(KeyStoreError::Malformed { path: self.path(name), reason });
        }
        Ok(secret)
    }

    /// The signer of a key of this kind.
    ///
    /// # Errors
    /// As [`KeyStore::secret`].
    pub fn signer(&self, name: &KeyName, kind: KeyKind, passphrase: &Passphrase) -> Result<Signer, KeyStoreError> {
        let secret = self.secret(name, kind, passphrase)?;
        super::signer(kind, &secret).map_err(|source| KeyStoreError::Key { name: name.clone(), source })
    }

    fn path(&self, name: &KeyName) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }

    fn read(&self, name: &KeyName) -> Result<KeyFile, KeyStoreError> {
        let path = self.path(name);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(KeyStoreError::NotFound { name: name.clone(), dir: self.dir.clone() });
            }
            Err(e) => return Err(io(&path, &e)),
        };
        if others_may_read(&metadata) {
            return Err(KeyStoreError::Permissions(path));
        }
        if metadata.len() > MAX_FILE {
            return Err(KeyStoreError::Malformed { path, reason: format!("it is larger than {MAX_FILE} bytes") });
        }
        let bytes = fs::read(&path).map_err(|e| io(&path, &e))?;
        let file: KeyFile = serde_json::from_slice(&bytes)
            .map_err(|e| KeyStoreError::Malformed { path: path.clone(), reason: e.to_string() })?;
        if file.version != 3 {
            return Err(KeyStoreError::Crypto { name: name.clone(), source: V3Error::Unsupported("version") });
        }
        Ok(file)
    }

    /// Writes beside the target, syncs, then links it into place: a crash leaves a whole file or none,
    /// and two writers cannot overwrite each other's key.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), KeyStoreError> {
        create_private_dir(&self.dir).map_err(|e| io(&self.dir, &e))?;
        let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
        let done = write_private(&unfinished, bytes).and_then(|()| fs::hard_link(&unfinished, path));
        let removed = fs::remove_file(&unfinished);
        done.and(removed).and_then(|()| fs::File::open(&self.dir)?.sync_all()).map_err(|e| io(path, &e))
    }
}

fn io(path: &Path, e: &std::io::Error) -> KeyStoreError {
    KeyStoreError::Io { path: path.into(), reason: e.to_string() }
}

#[cfg(unix)]
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn create_private_dir(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

#[cfg(unix)]
pub(crate) fn others_may_read(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(not(unix))]
fn create_private_dir(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)
}

#[cfg(not(unix))]
pub(crate) fn others_may_read(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, KeyStore, Passphrase) {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::new(dir.path().join("keys")).with_cost(Cost::Light);
        (dir, store, Passphrase::new("a long passphrase".into()))
    }

    #[test]
    fn keys_of_every_kind_come_back_and_are_never_overwritten() {
        let (_dir, store, passphrase) = store();
        for kind in [KeyKind::Native, KeyKind::Evm, KeyKind::Seed] {
            let name: KeyName = kind.as_str().parse().unwrap();
            let secret = super::super::generate(kind).unwrap();
            let info = store.add(&name, kind, &secret, &passphrase).unwrap();
            assert_eq!(info.address.is_none(), kind == KeyKind::Seed);
            assert_eq!(store.secret(&name, kind, &passphrase).unwrap(), secret);
            assert!(matches!(store.add(&name, kind, &secret, &passphrase), Err(KeyStoreError::Exists { .. })));
        }
        let listed = store.list().unwrap();
        assert_eq!(listed.iter().map(|k| k.name.as_str()).collect::<Vec<_>>(), ["evm", "native", "seed"]);
    }

    #[test]
    fn the_file_shows_no_secret_and_only_its_owner_reads_it() {
        let (_dir, store, passphrase) = store();
        let name: KeyName = "payer".parse().unwrap();
        let secret = Secret::new([0xab; 32]);
        store.add(&name, KeyKind::Evm, &secret, &passphrase).unwrap();
        let path = store.path(&name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&hex::encode(*secret)));
        assert!(!others_may_read(&fs::metadata(&path).unwrap()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(store.info(&name), Err(KeyStoreError::Permissions(_))));
        }
    }

    #[test]
    fn ethereum_tools_open_our_files() {
        let (_dir, store, passphrase) = store();
        let name: KeyName = "payer".parse().unwrap();
        let info = store.add(&name, KeyKind::Evm, &Secret::new([7; 32]), &passphrase).unwrap();
        let signer = alloy::signers::local::PrivateKeySigner::decrypt_keystore(store.path(&name), "a long passphrase");
        assert_eq!(info.address, Some(format!("{:#x}", signer.unwrap().address())));
    }

    #[test]
    fn a_changed_address_or_kind_is_seen() {
        let (_dir, store, passphrase) = store();
        let name: KeyName = "payer".parse().unwrap();
        store.add(&name, KeyKind::Evm, &Secret::new([7; 32]), &passphrase).unwrap();
        let path = store.path(&name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("0x", "0x00", 1)).unwrap();
        assert!(matches!(store.secret(&name, KeyKind::Evm, &passphrase), Err(KeyStoreError::Malformed { .. })));
        fs::write(&path, text.replace("\"evm\"", "\"native\"")).unwrap();
        assert!(matches!(store.secret(&name, KeyKind::Evm, &passphrase), Err(KeyStoreError::Kind { .. })));
        assert!(matches!(store.secret(&name, KeyKind::Native, &passphrase), Err(KeyStoreError::Malformed { .. })));
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        for bad in ["", "../x", "a/b", "A", "a.b", "a b", &"a".repeat(33)] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad}");
        }
    }
}
