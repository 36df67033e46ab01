//! What was sent of a batch: a file of JSON lines beside the CSV, only ever appended to.

use crosspoint_relayer::route::PacketId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Most bytes of a state file.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// Why the state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("state file {path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Another process sends this batch.
    #[error("{0} is in use: another `crosspoint transfer send --file` is at work on this file; wait for it")]
    InUse(PathBuf),
    /// The CSV was changed since the batch began.
    #[error(
        "{path} was begun with other content, payer or route: rows of it were sent already. Restore the CSV and repeat the same command, or, for new transfers, use a new file name"
    )]
    OtherBatch {
        /// The state file.
        path: PathBuf,
    },
    /// The file is damaged before its last line.
    #[error(
        "state file {path}, line {line}, is damaged; it says what was paid, so look at `crosspoint transfer list` before you remove it"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// No random batch id.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// What a batch is: its file's content and what the command line said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// The format of this file.
    pub version: u32,
    /// A random id, part of every row's idempotency key.
    pub batch: String,
    /// SHA-256 of the CSV, of the payer, the chains and the options, in hex.
    pub digest: String,
}

/// What is known of one row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RowState {
    /// A request is about to go out; it may or may not have arrived.
    Sending,
    /// Locked: this is the transfer.
    Sent {
        /// Its name.
        id: PacketId,
    },
    /// Refused for good.
    Failed {
        /// Why.
        reason: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    line: u64,
    #[serde(flatten)]
    state: RowState,
}

/// The state file, locked against other processes.
#[derive(Debug)]
pub struct BatchState {
    path: PathBuf,
    file: File,
    batch: String,
    rows: BTreeMap<u64, RowState>,
}

impl BatchState {
    /// The state file of a CSV: its name with `.state` after it.
    #[must_use]
    pub fn path_for(csv: &Path) -> PathBuf {
        let mut name = csv.as_os_str().to_owned();
        name.push(".state");
        name.into()
    }

    /// Opens the state of a batch, or begins one. `digest` binds it to the CSV and the options.
    ///
    /// # Errors
    /// The file is in use, damaged, of another batch, or the system refused.
    pub fn open(path: PathBuf, digest: &str) -> Result<Self, StateError> {
        let io = |e: std::io::Error| StateError::Io { path: path.clone(), reason: e.to_string() };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse(path)),
            Err(TryLockError::Error(e)) => return Err(io(e)),
        }
        if file.metadata().map_err(io)?.len() > MAX_FILE {
            return Err(StateError::Io { path, reason: format!("it is larger than {MAX_FILE} bytes") });
        }
        let mut text = vec![];
        file.read_to_end(&mut text).map_err(io)?;
        // A crash can leave half a line at the end. It was being written before its request went out, so
        // nothing is lost with it.
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |i| i.saturating_add(1));
        text.truncate(whole);
        file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let mut state = Self { path, file, batch: String::new(), rows: BTreeMap::new() };
        if text.is_empty() {
            state.begin(digest)?
        } else {
            state.replay(&text, digest)?
        }
        Ok(state)
    }

    fn begin(&mut self, digest: &str) -> Result<(), StateError> {
        use rand::TryRng;
        let mut id = [0_u8; 16];
        rand::rngs::SysRng.try_fill_bytes(&mut id).map_err(|_| StateError::NoRandomness)?;
        self.batch = hex::encode(id);
        let header = BatchHeader { version: 1, batch: self.batch.clone(), digest: digest.to_owned() };
        self.append(&header)?;
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(|e| self.io(&e))
    }

    fn replay(&mut self, text: &[u8], digest: &str) -> Result<(), StateError> {
        let damaged = |line: usize| StateError::Damaged { path: self.path.clone(), line: line.saturating_add(1) };
        let mut lines = text.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
        let (_, first) = lines.next().ok_or_else(|| damaged(0))?;
        let header: BatchHeader = serde_json::from_slice(first).map_err(|_| damaged(0))?;
        let plain = header.batch.len() == 32 && header.batch.bytes().all(|b| b.is_ascii_hexdigit());
        if header.version != 1 || !plain {
            return Err(damaged(0));
        }
        if header.digest != digest {
            return Err(StateError::OtherBatch { path: self.path.clone() });
        }
        self.batch = header.batch;
        for (i, line) in lines {
            let entry: Entry = serde_json::from_slice(line)
                .map_err(|_| StateError::Damaged { path: self.path.clone(), line: i.saturating_add(1) })?;
            self.rows.insert(entry.line, entry.state);
        }
        Ok(())
    }

    /// The batch's id.
    #[must_use]
    pub fn batch(&self) -> &str {
        &self.batch
    }

    /// What is known of a row.
    #[must_use]
    pub fn row(&self, line: u64) -> Option<&RowState> {
        self.rows.get(&line)
    }

    /// Notes what became of a row. On disk when this returns.
    ///
    /// # Errors
    /// The system refused.
    pub fn note(&mut self, line: u64, state: RowState) -> Result<(), StateError> {
        self.append(&Entry { line, state: state.clone() })?;
        self.rows.insert(line, state);
        Ok(())
    }

    fn append<T: Serialize>(&mut self, value: &T) -> Result<(), StateError> {
        let mut line = serde_json::to_vec(value).map_err(|e| self.io(&std::io::Error::other(e)))?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.sync_data()).map_err(|e| self.io(&e))
    }

    fn io(&self, e: &std::io::Error) -> StateError {
        StateError::Io { path: self.path.clone(), reason: e.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(n: u64) -> RowState {
        RowState::Sent { id: format!("crosspoint-1/attested-0/{n}").parse().unwrap() }
    }

    #[test]
    fn a_batch_goes_on_where_it_stopped_with_the_same_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = BatchState::path_for(&dir.path().join("t.csv"));
        let mut state = BatchState::open(path.clone(), "d").unwrap();
        let batch = state.batch().to_owned();
        state.note(2, RowState::Sending).unwrap();
        state.note(2, sent(1)).unwrap();
        state.note(3, RowState::Sending).unwrap();
        drop(state);
        let state = BatchState::open(path, "d").unwrap();
        assert_eq!(state.batch(), batch);
        assert_eq!(state.row(2), Some(&sent(1)));
        assert_eq!(state.row(3), Some(&RowState::Sending));
        assert_eq!(state.row(4), None);
    }

    #[test]
    fn half_a_line_at_the_end_is_dropped_and_damage_before_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv.state");
        let mut state = BatchState::open(path.clone(), "d").unwrap();
        state.note(2, sent(1)).unwrap();
        drop(state);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [whole.as_slice(), b"{\"line\":3,\"sta"].concat()).unwrap();
        let mut state = BatchState::open(path.clone(), "d").unwrap();
        assert_eq!(state.row(3), None);
        state.note(3, sent(2)).unwrap();
        drop(state);
        assert_eq!(BatchState::open(path.clone(), "d").unwrap().row(3), Some(&sent(2)));
        std::fs::write(&path, [whole.as_slice(), b"{\"line\":3,\"sta\n{\"line\":4,\"state\":\"sending\"}\n"].concat())
            .unwrap();
        assert!(matches!(BatchState::open(path, "d"), Err(StateError::Damaged { line: 3, .. })));
    }

    #[test]
    fn a_changed_file_and_a_second_process_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv.state");
        let state = BatchState::open(path.clone(), "d").unwrap();
        assert!(matches!(BatchState::open(path.clone(), "d"), Err(StateError::InUse(_))));
        drop(state);
        assert!(matches!(BatchState::open(path, "other"), Err(StateError::OtherBatch { .. })));
    }
}
