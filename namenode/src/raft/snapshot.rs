//! Snapshots: a view of the engine, and the stream of pairs that carries one to another peer.
//!
//! Nothing is copied on the peer that builds a snapshot: the applied state *is* the snapshot, once it is synced. Pairs
//! are read from a consistent view only when a peer that has fallen behind the log needs them. The receiver writes them
//! into a fresh engine directory and switches over when it has them all.

use crate::engine::{Engine, EngineSnapshot};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A snapshot on its way.
pub enum SnapshotData {
    /// To be sent: a consistent view.
    View(Arc<dyn EngineSnapshot>),
    /// Being received: the engine the pairs are written to, and its directory's generation.
    Received { engine: Arc<dyn Engine>, generation: u64, directory: PathBuf },
}

impl fmt::Debug for SnapshotData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotData::View(_) => f.write_str("View"),
            SnapshotData::Received { directory, .. } => write!(f, "Received({})", directory.display()),
        }
    }
}
