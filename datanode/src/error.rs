//! What goes wrong with replicas and volumes, named for what happened, and which wire code each becomes.

use std::io;
use std::path::PathBuf;

use granary_protocol::token::TokenError;
use granary_protocol::{BlockId, ErrorCode, Failure, GenerationStamp};
use rustix::io::Errno;

/// Why a datanode does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting that cannot work.
    #[error("invalid configuration: {reason}")]
    InvalidConfig { reason: String },
    /// The directory cannot be used at all.
    #[error("volume {path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Another process holds the volume.
    #[error("volume {path} is in use by another process", path = path.display())]
    InUse { path: PathBuf },
    /// The volume was written by a version this one does not know, or is not a volume.
    #[error("volume {path}: {reason}", path = path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// Volumes of different nodes or clusters, or the same volume twice.
    #[error("volume {path} does not belong with the others: {reason}", path = path.display())]
    Mixed { path: PathBuf, reason: String },
    /// No randomness to name a new volume with.
    #[error("no random bytes from the system: {0}")]
    Random(getrandom::Error),
}

/// Why something could not be done with a replica.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// No such replica, a stale one, or not that much of it.
    #[error("replica of block {block} not found: {reason}")]
    NotFound { block: BlockId, reason: String },
    /// The caller's generation or state of the block is no longer the replica's.
    #[error("block {block} has moved on: {reason}")]
    Stale { block: BlockId, reason: String },
    /// Bytes do not match their checksums, or files are shorter than they should be.
    #[error("replica of block {block}, generation {generation}, is corrupt: {reason}")]
    Corrupt { block: BlockId, generation: GenerationStamp, reason: String },
    /// A packet's data does not match the checksum its writer computed.
    #[error("packet {sequence} of block {block} was damaged on its way")]
    DamagedPacket { block: BlockId, sequence: u64 },
    /// A packet or request out of order or out of bounds.
    #[error("malformed request for block {block}: {reason}")]
    Malformed { block: BlockId, reason: String },
    /// No room for it.
    #[error("no room for block {block} on the volume")]
    DiskFull { block: BlockId },
    /// The disk refused; what is on it is unknown.
    #[error("i/o error at block {block}: {source}")]
    Disk { block: BlockId, source: io::Error },
    /// The volume is out of service.
    #[error("the volume is out of service: {reason}")]
    VolumeFailed { reason: String },
    /// No such volume on this node.
    #[error("no such volume on this node")]
    NoSuchVolume,
    /// As many pipelines are open as may be.
    #[error("too many open pipelines")]
    Busy,
    /// The node is going down.
    #[error("the datanode is shutting down")]
    ShuttingDown,
    /// The token does not allow it.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl ReplicaError {
    /// Sorts an I/O error: a full disk is an error of one replica, anything else is the disk's.
    pub(crate) fn io(block: BlockId, source: impl Into<io::Error>) -> ReplicaError {
        let source = source.into();
        if is_full(&source) { ReplicaError::DiskFull { block } } else { ReplicaError::Disk { block, source } }
    }
}

/// Whether an error means "no space" rather than "broken".
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        || error.raw_os_error() == Some(Errno::NOSPC.raw_os_error())
}

impl From<ReplicaError> for Failure {
    fn from(error: ReplicaError) -> Failure {
        let code = match &error {
            ReplicaError::NotFound { .. } | ReplicaError::NoSuchVolume => ErrorCode::ReplicaNotFound,
            ReplicaError::Stale { .. } => ErrorCode::StaleGeneration,
            ReplicaError::Corrupt { .. } | ReplicaError::DamagedPacket { .. } => ErrorCode::CorruptReplica,
            ReplicaError::Malformed { .. } => ErrorCode::Malformed,
            ReplicaError::DiskFull { .. } => ErrorCode::DiskFull,
            ReplicaError::Disk { .. } | ReplicaError::VolumeFailed { .. } => ErrorCode::DiskFailed,
            ReplicaError::Busy => ErrorCode::Busy,
            ReplicaError::ShuttingDown => ErrorCode::Unavailable,
            ReplicaError::Token(_) => ErrorCode::InvalidToken,
        };
        Failure::new(code, error.to_string())
    }
}
