//! Snapshots: the whole state at a height in pieces, for nodes that join by state sync.
//!
//! - `format`: what is in a piece. Every node makes the same pieces of the same state.
//! - `keep`: those made here, on disk. A snapshot is made on a thread of its own, from the state as it was.
//! - `restore`: one that comes from strangers. Each piece is checked against the snapshot's list of hashes when it
//!   comes, and the whole against the app hash that the node's light client verified, before any of it counts.

pub mod format;
mod keep;
mod restore;

pub use keep::Snapshots;

use crate::app::AppError;
use crate::state::StateError;

/// Why snapshots fail. The node's own doing or its disk's; what strangers send is refused in the answers.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The directory.
    #[error("snapshot directory {path}: {source}")]
    Io {
        /// The file or directory.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The application.
    #[error(transparent)]
    App(#[from] AppError),
}
