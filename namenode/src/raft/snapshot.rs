//! Snapshots: a view of the engine, and the stream of pairs that carries one to another peer.
//!
//! Nothing is copied on the peer that builds a snapshot: the applied state *is* the snapshot, once it is synced. Pairs
//! are read from a consistent view only when a peer that has fallen behind the log needs them. The receiver writes them
//! into a fresh engine directory and switches over when it has them all.

use crate::engine::{Engine, EngineSnapshot};
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// A snapshot on its way.
pub enum SnapshotData {
    /// To be sent: a consistent view.
    View(Arc<dyn EngineSnapshot>),
    /// Being received.
    Received(Receiving),
}

/// A snapshot that is being received, in a directory of its own. The directory goes with it unless it is kept.
pub struct Receiving {
    /// What the pairs are written to.
    pub engine: Arc<dyn Engine>,
    /// Of the directory.
    pub generation: u64,
    directory: Option<PathBuf>,
}

impl Receiving {
    /// A snapshot that is being received by `engine` in `directory`.
    pub fn new(engine: Arc<dyn Engine>, generation: u64, directory: PathBuf) -> Receiving {
        Receiving { engine, generation, directory: Some(directory) }
    }

    /// It was received whole and becomes the state: its directory stays.
    pub fn keep(mut self) -> Arc<dyn Engine> {
        self.directory = None;
        self.engine.clone()
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(directory) = self.directory.take()
            && let Err(error) = fs::remove_dir_all(&directory)
        {
            tracing::info!(directory = %directory.display(), %error, "half a snapshot stays until the next start");
        }
    }
}

impl fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotData::View(_) => f.write_str("View"),
            SnapshotData::Received(receiving) => write!(f, "Received({})", receiving.generation),
        }
    }
}
