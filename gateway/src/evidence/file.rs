//! Files: evidence is written whole or not at all; anchors of the auditor's own are read from JSON.

use crosspoint_light_proofs::evidence::{Anchor, MAX_FILE_BYTES};
use crosspoint_protocol::ids::ChainId;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("{path}: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// There is one already.
    #[error("{0} is there already; give --force to replace it, or --out for another name")]
    Exists(PathBuf),
    /// Too long for what it should be.
    #[error("{0} has more than {MAX_FILE_BYTES} bytes")]
    TooLong(PathBuf),
    /// Not text.
    #[error("{0} is not UTF-8 text")]
    NotText(PathBuf),
    /// No anchors.
    #[error("{path} is no list of anchors as `crosspoint evidence anchors` prints it: {reason}")]
    Anchors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Two anchors for one chain.
    #[error("there are two anchors for chain {0}; give one")]
    TwoAnchors(ChainId),
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> FileError {
    move |error| FileError::Io { path: path.into(), reason: error.to_string() }
}

/// Reads a text file of bounded length.
///
/// # Errors
/// It cannot be read, is too long, or is no text.
pub fn read(path: &Path) -> Result<String, FileError> {
    String::from_utf8(bytes(path)?).map_err(|_| FileError::NotText(path.into()))
}

/// Reads a file of bounded length, whatever is in it.
///
/// # Errors
/// It cannot be read, or is too long.
pub fn bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let limit = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let mut bytes = vec![];
    let file = File::open(path).map_err(io(path))?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(io(path))?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(FileError::TooLong(path.into()));
    }
    Ok(bytes)
}

/// Writes a file whole or not at all: beside its place, synced, then moved there. Without `force` a file that is
/// there stays.
///
/// # Errors
/// There is one already, or the system refused.
pub fn write(path: &Path, text: &str, force: bool) -> Result<(), FileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut unfinished = tempfile::NamedTempFile::new_in(folder).map_err(io(path))?;
    unfinished.write_all(text.as_bytes()).and_then(|()| unfinished.as_file().sync_all()).map_err(io(path))?;
    let placed = if force { unfinished.persist(path) } else { unfinished.persist_noclobber(path) };
    match placed {
        Ok(_) => {}
        Err(refused) if refused.error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(FileError::Exists(path.into()));
        }
        Err(refused) => return Err(io(path)(refused.error)),
    }
    // The name must last, too.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(path))
}

/// Reads the auditor's own anchors.
///
/// # Errors
/// A file cannot be read, or two anchors are for one chain.
pub fn anchors(paths: &[PathBuf]) -> Result<Vec<Anchor>, FileError> {
    let mut all: Vec<(ChainId, Anchor)> = vec![];
    for path in paths {
        let malformed = |reason: String| FileError::Anchors { path: path.clone(), reason };
        let anchors: Vec<Anchor> = serde_json::from_str(&read(path)?).map_err(|e| malformed(e.to_string()))?;
        if anchors.is_empty() {
            return Err(malformed("it names none".into()));
        }
        for anchor in anchors {
            let chain = anchor.chain().map_err(|e| malformed(e.to_string()))?;
            if all.iter().any(|(known, _)| *known == chain) {
                return Err(FileError::TwoAnchors(chain));
            }
            all.push((chain, anchor));
        }
    }
    Ok(all.into_iter().map(|(_, anchor)| anchor).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_stays_unless_it_may_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("one.json");
        write(&path, "first", false).unwrap();
        assert!(matches!(write(&path, "second", false), Err(FileError::Exists(_))));
        assert_eq!(read(&path).unwrap(), "first");
        write(&path, "second", true).unwrap();
        assert_eq!(read(&path).unwrap(), "second");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing unfinished is left");
    }
}
