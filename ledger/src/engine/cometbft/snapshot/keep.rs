//! Snapshots made here: `snapshots/HEIGHT/N`, N from 0, and `snapshots/HEIGHT/hashes`. A directory gets its name when
//! all is in it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crosspoint_protocol::ids::Height;
use crosspoint_protocol::sha256;
use tendermint::abci::{request, response, types};

use super::super::application::{Application, EngineError};
use super::SnapshotError;
use super::format::{self, Writer};
use super::restore::Restore;
use crate::app::Reader;
use crate::state::Space;

const HASHES: &str = "hashes";

/// The snapshots of an application.
#[derive(Debug)]
pub struct Snapshots {
    dir: PathBuf,
    pub(super) restore_dir: PathBuf,
    interval: u64,
    keep: usize,
    busy: Arc<AtomicBool>,
    pub(super) restoring: Mutex<Option<Restore>>,
}

pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> SnapshotError {
    let path = path.to_owned();
    move |source| SnapshotError::Io { path, source }
}

/// Removes a directory with all in it; nothing if it is not there.
pub(super) fn remove(dir: &Path) -> Result<(), SnapshotError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(dir)(error)),
        _ => Ok(()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let write = || {
        let mut file = fs::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io(path))
}

impl Snapshots {
    pub(in crate::engine::cometbft) fn open(dir: &Path, interval: u64, keep: usize) -> Result<Self, SnapshotError> {
        let (dir, restore_dir) = (dir.join("snapshots"), dir.join("restore"));
        fs::create_dir_all(&dir).map_err(io(&dir))?;
        // What a crash left half done.
        remove(&restore_dir)?;
        for entry in fs::read_dir(&dir).map_err(io(&dir))?.flatten() {
            if entry.file_name().to_string_lossy().starts_with('.') {
                remove(&entry.path())?;
            }
        }
        let busy = Arc::new(AtomicBool::new(false));
        Ok(Self { dir, restore_dir, interval, keep, busy, restoring: Mutex::new(None) })
    }

    /// Begins a snapshot after a block when one is due and none is being made. Returns when the state to be copied is
    /// fixed; the copying goes on beside the next blocks.
    pub(in crate::engine::cometbft) fn after_block(&self, height: Height, reader: &Reader) {
        if self.interval == 0 || !height.0.is_multiple_of(self.interval) || self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (fixed, is_fixed) = std::sync::mpsc::channel();
        let (dir, keep, reader, busy) = (self.dir.clone(), self.keep, reader.clone(), Arc::clone(&self.busy));
        std::thread::spawn(move || {
            match make(&dir, height, &reader, fixed).and_then(|()| prune(&dir, keep)) {
                Ok(()) => tracing::info!(%height, "snapshot made"),
                Err(error) => tracing::error!(%height, %error, "no snapshot was made"),
            }
            busy.store(false, Ordering::Release);
        });
        // An error says that the thread failed before; it has told.
        let _ = is_fixed.recv();
    }

    /// The heights of which there is a snapshot, ascending.
    pub(in crate::engine::cometbft) fn heights(&self) -> Result<Vec<u64>, SnapshotError> {
        heights(&self.dir)
    }

    fn read(&self, height: u64) -> Result<Option<types::Snapshot>, EngineError> {
        let path = self.dir.join(height.to_string()).join(HASHES);
        // It may have been removed for a newer one since the list was made.
        let Ok(metadata) = fs::read(&path) else { return Ok(None) };
        let chunks = u32::try_from(metadata.len().div_ceil(32)).unwrap_or(u32::MAX);
        Ok(Some(types::Snapshot {
            height: height.try_into()?,
            format: format::FORMAT,
            chunks,
            hash: format::hash(&metadata).to_vec().into(),
            metadata: metadata.into(),
        }))
    }
}

fn heights(dir: &Path) -> Result<Vec<u64>, SnapshotError> {
    let entries = fs::read_dir(dir).map_err(io(dir))?;
    let mut heights: Vec<u64> =
        entries.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).collect();
    heights.sort_unstable();
    Ok(heights)
}

fn prune(dir: &Path, keep: usize) -> Result<(), SnapshotError> {
    for old in heights(dir)?.into_iter().rev().skip(keep.max(1)) {
        remove(&dir.join(old.to_string()))?;
    }
    Ok(())
}

fn make(dir: &Path, height: Height, reader: &Reader, fixed: std::sync::mpsc::Sender<()>) -> Result<(), SnapshotError> {
    let view = reader.store.view();
    let at = view.tip()?.map_or(0, |tip| tip.height);
    // The block loop waits for this; if it has gone, the snapshot is made all the same.
    let _ = fixed.send(());
    if at != height.0 {
        return Err(crate::state::StateError::Database(format!("the state is at {at}, not at {height}")).into());
    }
    let temporary = dir.join(format!(".{height}"));
    remove(&temporary)?;
    fs::create_dir_all(&temporary).map_err(io(&temporary))?;
    let mut hashes: Vec<[u8; 32]> = vec![];
    let mut put = |piece: Vec<u8>| {
        write(&temporary.join(hashes.len().to_string()), &piece)?;
        hashes.push(sha256(&[&piece]));
        Ok::<_, SnapshotError>(())
    };
    let mut writer = Writer::default();
    for space in [Space::Provable, Space::Plain] {
        for record in view.all(space)? {
            let (key, value) = record?;
            if let Some(piece) = writer.add(space, &key, &value) {
                put(piece)?;
            }
        }
    }
    put(writer.finish())?;
    write(&temporary.join(HASHES), &format::metadata(&hashes))?;
    let named = dir.join(height.to_string());
    remove(&named)?;
    fs::rename(&temporary, &named).map_err(io(&named))
}

impl Application {
    /// The snapshots that other nodes may have.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list_snapshots(&self) -> Result<response::ListSnapshots, EngineError> {
        let mut snapshots = vec![];
        for height in self.snapshots.heights()? {
            snapshots.extend(self.snapshots.read(height)?);
        }
        Ok(response::ListSnapshots { snapshots })
    }

    /// A piece of a snapshot; empty if it is not here.
    ///
    /// # Errors
    /// Never; the type is that of every request.
    pub fn load_snapshot_chunk(
        &self,
        request: &request::LoadSnapshotChunk,
    ) -> Result<response::LoadSnapshotChunk, EngineError> {
        if request.format != format::FORMAT {
            return Ok(response::LoadSnapshotChunk::default());
        }
        let path = self.snapshots.dir.join(request.height.value().to_string()).join(request.chunk.to_string());
        Ok(response::LoadSnapshotChunk { chunk: fs::read(path).unwrap_or_default().into() })
    }
}
