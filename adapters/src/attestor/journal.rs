//! What an attestor has signed, kept on disk so that no restart makes it sign two hashes for one number.
//!
//! The file is a header and records of one size, appended and fsynced before a signature leaves:
//!
//! - header, 58 bytes: `"CPATTEST1\n" ‖ u64be(chain id) ‖ genesis hash ‖ u64be(floor)`, then 8 bytes of its SHA-256
//! - record, 40 bytes: `u64be(number) ‖ hash`, then 8 bytes of its SHA-256
//!
//! Losing the file loses the protection: an attestor that is moved takes its journal with it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use crosspoint_protocol::sha256;

const MAGIC: &[u8; 10] = b"CPATTEST1\n";
const CHECK_LEN: usize = 8;
const HEADER_LEN: usize = MAGIC.len() + 8 + 32 + 8 + CHECK_LEN;
const RECORD_LEN: usize = 8 + 32 + CHECK_LEN;
/// A statement appends two records at most: its previous and its new block.
const RECORDS_PER_WRITE: usize = 2;
/// Past this many records the older half is dropped and the floor raised.
const MAX_RECORDS: usize = 200_000;

/// Why the journal cannot be used, or forbids a signature.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("attestor journal {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: std::io::Error,
    },
    /// Another process has the file open.
    #[error("attestor journal {0} is in use by another process; two attestors never share one")]
    InUse(PathBuf),
    /// The file is not a journal, or was damaged other than by a crash in its last write.
    #[error("attestor journal {path} is damaged at byte {offset}; restore it, do not delete it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: usize,
    },
    /// The journal is of another chain.
    #[error("attestor journal {path} is of chain {found}, not of chain {expected} with the configured genesis")]
    OtherChain {
        /// The file.
        path: PathBuf,
        /// The chain id in the file.
        found: u64,
        /// The chain id in the settings.
        expected: u64,
    },
    /// Another hash was signed for this number.
    #[error("block {number} was attested as {signed}; {asked} is a conflict and is not signed")]
    Conflict {
        /// The block's number.
        number: u64,
        /// The hash signed before.
        signed: B256,
        /// The hash asked for now.
        asked: B256,
    },
    /// The number is below what the journal remembers.
    #[error("block {number} is below {floor}, from where on the journal remembers what was signed")]
    BelowFloor {
        /// The block's number.
        number: u64,
        /// The lowest number that may still be signed.
        floor: u64,
    },
}

/// The numbers and hashes an attestor has put its name to.
#[derive(Debug)]
pub struct SignedJournal {
    path: PathBuf,
    file: File,
    chain_id: u64,
    genesis: B256,
    floor: u64,
    signed: BTreeMap<u64, B256>,
    max_records: usize,
}

impl SignedJournal {
    /// Opens the journal of one chain, or starts it.
    pub fn open(path: &Path, chain_id: u64, genesis: B256) -> Result<Self, JournalError> {
        Self::open_with(path, chain_id, genesis, MAX_RECORDS)
    }

    fn open_with(path: &Path, chain_id: u64, genesis: B256, max_records: usize) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        lock(path, &file)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            chain_id,
            genesis,
            floor: 0,
            signed: BTreeMap::new(),
            max_records: max_records.max(2),
        };
        // A crash while the file was made leaves less than a header and nothing signed.
        if bytes.len() < HEADER_LEN && MAGIC.starts_with(bytes.get(..MAGIC.len()).unwrap_or(&bytes)) {
            journal.rewrite()?;
            return Ok(journal);
        }
        journal.load(&bytes)?;
        Ok(journal)
    }

    fn load(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let damaged = |offset| JournalError::Damaged { path: self.path.clone(), offset };
        let (header, body) = bytes.split_at_checked(HEADER_LEN).ok_or_else(|| damaged(0))?;
        let header = checked(header).and_then(|fields| fields.strip_prefix(MAGIC)).ok_or_else(|| damaged(0))?;
        let (found, rest) = read_u64(header).ok_or_else(|| damaged(0))?;
        let (genesis, rest) = read_hash(rest).ok_or_else(|| damaged(0))?;
        let (floor, _) = read_u64(rest).ok_or_else(|| damaged(0))?;
        if found != self.chain_id || genesis != self.genesis {
            return Err(JournalError::OtherChain { path: self.path.clone(), found, expected: self.chain_id });
        }
        self.floor = floor;
        let mut good = HEADER_LEN;
        for record in body.chunks(RECORD_LEN) {
            let Some((number, hash)) = checked(record).and_then(|fields| {
                let (number, rest) = read_u64(fields)?;
                Some((number, read_hash(rest)?.0))
            }) else {
                break;
            };
            if self.signed.insert(number, hash).is_some_and(|before| before != hash) {
                return Err(damaged(good));
            }
            good = good.saturating_add(RECORD_LEN);
        }
        // What follows the last good record can only be the last write, cut by a crash before its
        // signature left. Anything longer is damage that must not be forgotten.
        let rest = bytes.len().saturating_sub(good);
        if rest > RECORD_LEN.saturating_mul(RECORDS_PER_WRITE) {
            return Err(damaged(good));
        }
        if rest > 0 {
            let io = |source| JournalError::Io { path: self.path.clone(), source };
            self.file.set_len(good as u64).map_err(io)?;
            self.file.sync_all().map_err(io)?;
        }
        self.file
            .seek(SeekFrom::End(0))
            .map(|_| ())
            .map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }

    /// What was signed for a number.
    #[must_use]
    pub fn signed(&self, number: u64) -> Option<B256> {
        self.signed.get(&number).copied()
    }

    /// Allows a statement that `new` follows `previous`, and makes both durable before it returns.
    /// A statement signed before is allowed again.
    pub fn allow(&mut self, previous: (u64, B256), new: (u64, B256)) -> Result<(), JournalError> {
        for (number, asked) in [previous, new] {
            if let Some(signed) = self.signed(number).filter(|signed| *signed != asked) {
                return Err(JournalError::Conflict { number, signed, asked });
            }
        }
        // A block below the floor may be named as what a client trusts already, but is not signed anew.
        if new.0 < self.floor && self.signed(new.0).is_none() {
            return Err(JournalError::BelowFloor { number: new.0, floor: self.floor });
        }
        let fresh: Vec<_> = [previous, new]
            .into_iter()
            .filter(|(number, _)| *number >= self.floor && !self.signed.contains_key(number))
            .collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = fresh.iter().flat_map(|(number, hash)| record(*number, hash)).collect();
        self.append(&bytes)?;
        self.signed.extend(fresh);
        if self.signed.len() > self.max_records {
            self.forget_older_half()?;
        }
        Ok(())
    }

    /// Appends and syncs. After a failed write the file is cut back, so that a later record never
    /// follows half of this one.
    fn append(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        let io = |source| JournalError::Io { path: self.path.clone(), source };
        let end = self.file.seek(SeekFrom::End(0)).map_err(io)?;
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        if written.is_err() {
            self.file.set_len(end).and_then(|()| self.file.sync_all()).map_err(io)?;
        }
        written.map_err(io)
    }

    fn forget_older_half(&mut self) -> Result<(), JournalError> {
        let half = self.signed.len() / 2;
        if let Some(floor) = self.signed.keys().nth(half).copied() {
            self.signed = self.signed.split_off(&floor);
            self.floor = self.floor.max(floor);
            self.rewrite()?;
        }
        Ok(())
    }

    /// Writes the whole journal beside the old one and puts it in its place in one step.
    fn rewrite(&mut self) -> Result<(), JournalError> {
        let io = |source| JournalError::Io { path: self.path.clone(), source };
        let fields =
            [MAGIC.as_slice(), &self.chain_id.to_be_bytes(), self.genesis.as_slice(), &self.floor.to_be_bytes()]
                .concat();
        let mut bytes = with_check(fields);
        bytes.extend(self.signed.iter().flat_map(|(number, hash)| record(*number, hash)));
        let beside = self.path.with_extension("new");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&beside).map_err(io)?;
        lock(&self.path, &file)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
        std::fs::rename(&beside, &self.path).map_err(io)?;
        if let Some(directory) = self.path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)?;
        }
        self.file = file;
        Ok(())
    }
}

fn lock(path: &Path, file: &File) -> Result<(), JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(JournalError::Io { path: path.to_owned(), source }),
    }
}

fn with_check(mut fields: Vec<u8>) -> Vec<u8> {
    let check = sha256(&[&fields]);
    fields.extend(check.iter().take(CHECK_LEN));
    fields
}

fn record(number: u64, hash: &B256) -> Vec<u8> {
    with_check([number.to_be_bytes().as_slice(), hash.as_slice()].concat())
}

/// The fields before a good check.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (fields, check) = bytes.split_last_chunk::<CHECK_LEN>()?;
    sha256(&[fields]).starts_with(check).then_some(fields)
}

fn read_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk().map(|(head, rest)| (u64::from_be_bytes(*head), rest))
}

fn read_hash(bytes: &[u8]) -> Option<(B256, &[u8])> {
    bytes.split_first_chunk().map(|(head, rest)| (B256::new(*head), rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn hash(n: u8) -> B256 {
        B256::repeat_byte(n)
    }

    fn open(path: &Path) -> Result<SignedJournal, JournalError> {
        SignedJournal::open(path, 31337, hash(0xee))
    }

    #[test]
    fn no_restart_makes_it_sign_two_hashes_for_one_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = open(&path).unwrap();
        journal.allow((1, hash(1)), (5, hash(5))).unwrap();
        drop(journal);
        let mut journal = open(&path).unwrap();
        journal.allow((1, hash(1)), (5, hash(5))).unwrap();
        journal.allow((1, hash(1)), (4, hash(4))).unwrap();
        let conflict = journal.allow((1, hash(1)), (5, hash(6)));
        assert!(matches!(conflict, Err(JournalError::Conflict { number: 5, .. })), "{conflict:?}");
        let conflict = journal.allow((5, hash(6)), (7, hash(7)));
        assert!(matches!(conflict, Err(JournalError::Conflict { number: 5, .. })), "{conflict:?}");
        assert_eq!(journal.signed(7), None);
    }

    #[test]
    fn a_write_cut_by_a_crash_is_dropped_at_every_length() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = open(&path).unwrap();
        journal.allow((1, hash(1)), (2, hash(2))).unwrap();
        journal.allow((2, hash(2)), (3, hash(3))).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let mut journal = open(&path).unwrap();
            journal.allow((2, hash(2)), (3, hash(3))).unwrap();
            drop(journal);
            assert_eq!(open(&path).unwrap().signed(3), Some(hash(3)), "cut at {len}");
        }
    }

    #[test]
    fn damage_before_the_last_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = open(&path).unwrap();
        for n in 1..6 {
            journal.allow((u64::from(n), hash(n)), (u64::from(n) + 1, hash(n + 1))).unwrap();
        }
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, 12, HEADER_LEN - 1, HEADER_LEN, HEADER_LEN + 20, HEADER_LEN + RECORD_LEN] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert!(matches!(open(&path), Err(JournalError::Damaged { .. })), "byte {at}");
        }
    }

    #[test]
    fn it_is_bound_to_one_chain_and_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = open(&path).unwrap();
        assert!(matches!(open(&path), Err(JournalError::InUse(_))));
        drop(journal);
        let other = SignedJournal::open(&path, 1, hash(0xee));
        assert!(matches!(other, Err(JournalError::OtherChain { found: 31337, expected: 1, .. })));
        assert!(matches!(SignedJournal::open(&path, 31337, hash(1)), Err(JournalError::OtherChain { .. })));
    }

    #[test]
    fn a_long_journal_forgets_the_oldest_but_never_signs_below_what_it_forgot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = SignedJournal::open_with(&path, 1, hash(9), 10).unwrap();
        for n in 0..11u8 {
            journal.allow((u64::from(n), hash(n)), (u64::from(n) + 1, hash(n + 1))).unwrap();
        }
        drop(journal);
        let mut journal = SignedJournal::open_with(&path, 1, hash(9), 10).unwrap();
        assert!(matches!(journal.allow((0, hash(0)), (2, hash(99))), Err(JournalError::BelowFloor { .. })));
        assert!(matches!(journal.allow((0, hash(0)), (11, hash(99))), Err(JournalError::Conflict { .. })));
        journal.allow((0, hash(0)), (12, hash(12))).unwrap();
        journal.allow((0, hash(0)), (11, hash(11))).unwrap();
    }
}
