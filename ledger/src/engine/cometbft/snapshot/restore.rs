//! Taking a snapshot from strangers.

use std::fs;
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

use crosspoint_protocol::sha256;
use tendermint::abci::response::ApplySnapshotChunkResult as Applied;
use tendermint::abci::{request, response};

use super::super::application::{Application, EngineError};
use super::SnapshotError;
use super::format::{self, FORMAT, MAX_CHUNKS};
use super::keep::{Snapshots, io, remove};
use crate::state::StateError;
use crate::state::store::restore::{RestoreError, Restorer};

/// A snapshot on its way.
#[derive(Debug)]
pub(super) struct Restore {
    height: u64,
    root: [u8; 32],
    pieces: Vec<[u8; 32]>,
    have: u32,
}

impl Snapshots {
    fn under_way(&self) -> MutexGuard<'_, Option<Restore>> {
        self.restoring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn piece(&self, index: u32) -> PathBuf {
        self.restore_dir.join(index.to_string())
    }
}

impl Application {
    /// Whether a snapshot is worth fetching. The app hash was verified by the node's light client.
    ///
    /// # Errors
    /// [`EngineError`] of the disk or the database.
    pub fn offer_snapshot(&self, request: &request::OfferSnapshot) -> Result<response::OfferSnapshot, EngineError> {
        let snapshot = &request.snapshot;
        if self.reader().last_block()?.height.0 > 0 {
            tracing::warn!(
                "a snapshot is offered, but there are blocks here already; state sync needs an empty database"
            );
            return Ok(response::OfferSnapshot::Abort);
        }
        if snapshot.format != FORMAT {
            return Ok(response::OfferSnapshot::RejectFormat);
        }
        let Ok(root) = <[u8; 32]>::try_from(request.app_hash.as_bytes()) else {
            return Ok(response::OfferSnapshot::Abort);
        };
        let pieces = format::piece_hashes(&snapshot.metadata, snapshot.chunks);
        let named = snapshot.hash.as_ref() == format::hash(&snapshot.metadata);
        let Some(pieces) = pieces.filter(|_| named && (1..=MAX_CHUNKS).contains(&snapshot.chunks)) else {
            return Ok(response::OfferSnapshot::RejectSender);
        };
        remove(&self.snapshots.restore_dir)?;
        fs::create_dir_all(&self.snapshots.restore_dir).map_err(io(&self.snapshots.restore_dir))?;
        let height = snapshot.height.value();
        tracing::info!(height, pieces = pieces.len(), "a snapshot is being fetched");
        *self.snapshots.under_way() = Some(Restore { height, root, pieces, have: 0 });
        Ok(response::OfferSnapshot::Accept)
    }

    /// Takes the next piece; with the last one the state.
    ///
    /// # Errors
    /// [`EngineError`] of the disk or the database.
    pub fn apply_snapshot_chunk(
        &self,
        request: &request::ApplySnapshotChunk,
    ) -> Result<response::ApplySnapshotChunk, EngineError> {
        let answer = |result| response::ApplySnapshotChunk { result, ..response::ApplySnapshotChunk::default() };
        let mut under_way = self.snapshots.under_way();
        let Some(restore) = under_way.as_mut() else { return Ok(answer(Applied::RetrySnapshot)) };
        let expected = usize::try_from(restore.have).ok().and_then(|index| restore.pieces.get(index));
        if request.index != restore.have {
            return Ok(answer(Applied::RetrySnapshot));
        }
        if expected != Some(&sha256(&[&request.chunk])) {
            tracing::warn!(index = request.index, sender = request.sender, "a piece of the snapshot is wrong");
            return Ok(response::ApplySnapshotChunk {
                result: Applied::Retry,
                refetch_chunks: vec![request.index],
                reject_senders: vec![request.sender.clone()],
            });
        }
        let path = self.snapshots.piece(request.index);
        fs::write(&path, &request.chunk).map_err(io(&path))?;
        restore.have = restore.have.saturating_add(1);
        if usize::try_from(restore.have).is_ok_and(|have| have < restore.pieces.len()) {
            return Ok(answer(Applied::Accept));
        }
        let Some(restore) = under_way.take() else { return Ok(answer(Applied::RetrySnapshot)) };
        let result = match self.restore(&restore) {
            Ok(()) => Applied::Accept,
            Err(RestoreError::State(error)) => return Err(SnapshotError::from(error).into()),
            Err(error) => {
                tracing::warn!(height = restore.height, %error, "the snapshot is refused");
                Applied::RejectSnapshot
            }
        };
        remove(&self.snapshots.restore_dir)?;
        Ok(answer(result))
    }

    /// Puts the snapshot in the place of the genesis state; or leaves the genesis state there.
    fn restore(&self, restore: &Restore) -> Result<(), RestoreError> {
        let mut chain = self.chain();
        let done = self.replace_state(restore);
        let reopened = match done {
            Ok(()) => chain.app.reload(),
            Err(_) => chain.app.start_anew(),
        };
        reopened.map_err(|error| StateError::Database(error.to_string()))?;
        done
    }

    fn replace_state(&self, restore: &Restore) -> Result<(), RestoreError> {
        let mut restorer = Restorer::begin(&self.reader().store)?;
        for index in 0..restore.have {
            let path = self.snapshots.piece(index);
            let piece =
                fs::read(&path).map_err(|error| StateError::Database(format!("{}: {error}", path.display())))?;
            for record in format::records(&piece).ok_or(RestoreError::Malformed)? {
                restorer.add(record.space, record.key, record.value)?;
            }
        }
        restorer.finish(restore.height, restore.root)
    }
}
