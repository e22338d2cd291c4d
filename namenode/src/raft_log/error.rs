//! What can go wrong with the log.

use std::io;
use std::path::{Path, PathBuf};

use super::record::PAYLOAD_BYTES_MAX;
use super::segment::LAYOUT_VERSION;

/// Errors of the log and of its hard state file.
#[derive(Debug, thiserror::Error)]
pub enum RaftLogError {
    /// The disk failed. Where it happened while writing, the log is poisoned from then on.
    #[error("raft log: {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// An earlier write or sync failed. After that nobody knows what is on disk, so nothing more is written or read;
    /// reopening the log finds out.
    #[error("raft log: failed earlier and must be reopened")]
    Poisoned,
    /// Bytes that were durable once are not what was written. This peer must not vote or serve with this log: restore it, or
    /// replace the peer.
    #[error("raft log: {} is corrupt at byte {offset}: {detail}", path.display())]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What was expected and found.
        detail: String,
    },
    /// Written by a version of Granary that this one does not know.
    #[error("raft log: {} has layout_version {found}; this version knows {LAYOUT_VERSION} only", path.display())]
    LayoutVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Another process, or another handle in this one, has the log open.
    #[error("raft log: {} is in use", dir.display())]
    InUse {
        /// The log's directory.
        dir: PathBuf,
    },
    /// An entry does not follow the one before it. Nothing was written.
    #[error("raft log: expected an entry with index {expected}, got {found}")]
    OutOfOrder {
        /// The index that would follow.
        expected: u64,
        /// The index given.
        found: u64,
    },
    /// An entry is too long. Nothing was written.
    #[error("raft log: entry {index} has {payload_bytes} bytes, at most {PAYLOAD_BYTES_MAX} are possible")]
    PayloadLength {
        /// The entry.
        index: u64,
        /// Its length.
        payload_bytes: usize,
    },
    /// Purged entries are applied and gone; they cannot be taken back. Nothing was changed.
    #[error("raft log: cannot truncate from {index}: purged up to {purged}")]
    TruncatePurged {
        /// Where truncation should begin.
        index: u64,
        /// The last purged index.
        purged: u64,
    },
    /// The hard state is larger than a small file should be. Nothing was written.
    #[error("raft log: hard state of {state_bytes} bytes, at most {state_bytes_max} are possible")]
    HardStateLength {
        /// Its length.
        state_bytes: usize,
        /// The limit.
        state_bytes_max: usize,
    },
}

impl RaftLogError {
    /// For `map_err`: says what was tried on which path.
    pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
