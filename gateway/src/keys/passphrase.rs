//! The passphrase of the keystore, and where it comes from.

use std::fmt;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The environment variable a passphrase is read from where neither a file nor a terminal is there.
pub const PASSPHRASE_VARIABLE: &str = "CROSSPOINT_PASSPHRASE";
/// Fewest characters of a new passphrase.
const MIN_LEN: usize = 8;
/// Longest passphrase file, in bytes.
const MAX_FILE: u64 = 4096;

/// A passphrase. Wiped from memory when dropped; never shown.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Passphrase(String);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// The file cannot be read.
    #[error("cannot read the passphrase file {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Others may read the file.
    #[error("the passphrase file {0} can be read by others; run: chmod 600 {0}")]
    Permissions(PathBuf),
    /// No passphrase in it.
    #[error("the passphrase is empty")]
    Empty,
    /// Too short for a new key.
    #[error("a passphrase has at least {MIN_LEN} characters; a few random words are best")]
    TooShort,
    /// The two entries differ.
    #[error("the two passphrases differ; nothing was written")]
    Differ,
    /// Nobody to ask.
    #[error("no passphrase: give --passphrase-file FILE, set {PASSPHRASE_VARIABLE}, or run in a terminal ({0})")]
    NoTerminal(String),
}

impl Passphrase {
    /// This text as a passphrase.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn same_as(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

/// Where a passphrase is looked for: the file if one is named, else the environment, else a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassphraseSource {
    /// A file with the passphrase on its first line, readable by its owner alone.
    pub file: Option<PathBuf>,
    /// Whether a person may be asked.
    pub prompt: bool,
}

impl PassphraseSource {
    /// The passphrase of keys that exist.
    ///
    /// # Errors
    /// The file cannot be used, or nobody could be asked.
    pub fn existing(&self) -> Result<Passphrase, PassphraseError> {
        if let Some(found) = self.without_prompt()? {
            return Ok(found);
        }
        self.ask("Passphrase: ")
    }

    /// The passphrase of a new key: asked for twice at a prompt.
    ///
    /// # Errors
    /// As [`PassphraseSource::existing`]; too short; or the two entries differ.
    pub fn for_new(&self) -> Result<Passphrase, PassphraseError> {
        let passphrase = match self.without_prompt()? {
            Some(found) => found,
            None => {
                let first = self.ask("New passphrase: ")?;
                if !first.same_as(&self.ask("The same again: ")?) {
                    return Err(PassphraseError::Differ);
                }
                first
            }
        };
        if passphrase.0.chars().count() < MIN_LEN { Err(PassphraseError::TooShort) } else { Ok(passphrase) }
    }

    fn without_prompt(&self) -> Result<Option<Passphrase>, PassphraseError> {
        if let Some(path) = &self.file {
            return read_file(path).map(Some);
        }
        match std::env::var(PASSPHRASE_VARIABLE) {
            Ok(text) if !text.is_empty() => Ok(Some(Passphrase(text))),
            _ => Ok(None),
        }
    }

    fn ask(&self, prompt: &str) -> Result<Passphrase, PassphraseError> {
        if !self.prompt {
            return Err(PassphraseError::NoTerminal("this command does not ask".into()));
        }
        let text = rpassword::prompt_password(prompt).map_err(|e| PassphraseError::NoTerminal(e.to_string()))?;
        if text.is_empty() { Err(PassphraseError::Empty) } else { Ok(Passphrase(text)) }
    }
}

fn read_file(path: &Path) -> Result<Passphrase, PassphraseError> {
    let failed = |e: std::io::Error| PassphraseError::File { path: path.into(), reason: e.to_string() };
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if super::store::others_may_read(&metadata) {
        return Err(PassphraseError::Permissions(path.into()));
    }
    if metadata.len() > MAX_FILE {
        let reason = format!("it has {} bytes; at most {MAX_FILE} are read", metadata.len());
        return Err(PassphraseError::File { path: path.into(), reason });
    }
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() { Err(PassphraseError::Empty) } else { Ok(Passphrase(line.to_owned())) }
}
