//! What travels between processes when a request is refused: a closed list of codes, each with advice to the caller.

use serde::{Deserialize, Serialize};

/// Why a request was refused. Closed: doors map every code to their own protocol's errors, exhaustively.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorCode {
    /// The bucket does not exist.
    NoSuchBucket,
    /// The bucket exists and belongs to the caller.
    BucketAlreadyOwnedByYou,
    /// The bucket exists and belongs to somebody else.
    BucketAlreadyExists,
    /// The bucket still has objects, versions or uploads.
    BucketNotEmpty,
    /// The caller has as many buckets as it may have.
    TooManyBuckets,
    /// No current version under this key.
    NoSuchKey,
    /// No such version of this key.
    NoSuchVersion,
    /// No such multipart upload.
    NoSuchUpload,
    /// A part named by CompleteMultipartUpload was never uploaded or has another ETag or checksum.
    InvalidPart,
    /// Parts were not named in ascending order.
    InvalidPartOrder,
    /// A part other than the last is smaller than 5 MiB.
    EntityTooSmall,
    /// The object would be larger than an object may be.
    EntityTooLarge,
    /// The part number asked for does not exist in the object.
    InvalidPartNumber,
    /// The range lies outside the object.
    InvalidRange,
    /// `If-Match`, `If-None-Match` or their like did not hold.
    PreconditionFailed,
    /// A conditional write met another write of the same key.
    Conflict,
    /// The version is a delete marker. `current` tells whether it was found as the current version (for readers the key
    /// does not exist) or asked for by its id.
    DeleteMarker { version: crate::ids::VersionId, modified: crate::ids::UnixMillis, current: bool },
    /// A retention or a legal hold keeps the version.
    ObjectLocked,
    /// Not possible with the settings the bucket has.
    InvalidBucketState,
    /// Locks on objects of a bucket that has no Object Lock.
    ObjectLockNotEnabled,
    /// No such user, access key, policy, encryption key.
    NoSuchEntity,
    /// There is a user, access key, policy or encryption key of this name.
    EntityAlreadyExists,
    /// More keys, policies or tags than one may have.
    LimitExceeded,
    /// The request is not meaningful.
    InvalidArgument,
    /// The principal may not do this.
    AccessDenied,
    /// This peer does not lead; `leader` is the internal address of the one that does, if known.
    NotLeader { leader: Option<String> },
    /// A queue is full; try again after a pause.
    Busy,
    /// Not able to answer now (starting, no quorum, no live replica); try again after a pause.
    Unavailable,
    /// The answer did not come in time. The request may or may not have taken effect.
    DeadlineExceeded,
    /// The lease has expired or never existed: take a new one, write again.
    LeaseExpired,
    /// The block was recovered or sealed under the writer: write to another block.
    StaleGeneration,
    /// Too few volumes can take a replica.
    NotEnoughTargets,
    /// This datanode has no such replica, or not that much of it.
    ReplicaNotFound,
    /// The replica's bytes do not match their checksums. Read another one.
    CorruptReplica,
    /// A datanode further down the pipeline failed; `volume` is where.
    DownstreamFailed { volume: crate::ids::VolumeId },
    /// The volume is full.
    DiskFull,
    /// The volume answered an I/O error; the replica is not to be trusted.
    DiskFailed,
    /// The block token is missing, expired, forged or for something else.
    InvalidToken,
    /// Bytes that this version cannot read.
    Malformed,
    /// A broken invariant of our own. The log says more.
    Internal,
    /// Of the file system: there is no such file or directory.
    FileNotFound,
    /// Of the file system: there is such a file or directory.
    FileAlreadyExists,
    /// Of the file system: another writer holds the file's lease.
    AlreadyBeingCreated,
    /// Of the file system: the file's lease is being recovered; try again.
    RecoveryInProgress,
    /// Of the file system: the writer does not hold the file's lease, or the file is gone.
    FileLeaseExpired,
    /// Of the file system: a directory of the path is a file.
    ParentNotDirectory,
    /// Of the file system: a file was named where a directory is needed.
    NotDirectory,
    /// Of the file system: the directory has entries.
    DirectoryNotEmpty,
    /// Of the file system: no entry can have this path.
    InvalidPath,
    /// Of the file system: more files and directories than the quota of a directory allows.
    NameQuotaExceeded,
    /// Of the file system: more bytes than the quota of a directory allows.
    SpaceQuotaExceeded,
    /// Of the file system: the block before is not stored on enough datanodes yet; try again.
    NotReplicatedYet,
    /// Of the file system: the entry does not have this extended attribute.
    XAttrNotFound,
    /// Of the file system: there is such a call, and this store does not do it.
    Unsupported,
    /// Of the file system: refused for the reason given; an `IOException` without a class of its own.
    FileSystemRefused,
}

/// What the caller should do about an [`ErrorCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The answer will not change: hand it to the user.
    GiveUp,
    /// Ask the leader instead, at once.
    OtherLeader,
    /// Ask again, here or elsewhere, after a pause.
    Retry,
    /// Use another replica or another block.
    OtherReplica,
}

impl ErrorCode {
    /// What the caller should do.
    pub fn advice(&self) -> Advice {
        use ErrorCode::*;
        match self {
            NoSuchBucket
            | BucketAlreadyOwnedByYou
            | BucketAlreadyExists
            | BucketNotEmpty
            | TooManyBuckets
            | NoSuchKey
            | NoSuchVersion
            | NoSuchUpload
            | InvalidPart
            | InvalidPartOrder
            | EntityTooSmall
            | EntityTooLarge
            | InvalidPartNumber
            | InvalidRange
            | PreconditionFailed
            | Conflict
            | DeleteMarker { .. }
            | ObjectLocked
            | InvalidBucketState
            | ObjectLockNotEnabled
            | NoSuchEntity
            | EntityAlreadyExists
            | LimitExceeded
            | InvalidArgument
            | AccessDenied
            | Malformed
            | Internal
            | FileNotFound
            | FileAlreadyExists
            | AlreadyBeingCreated
            | FileLeaseExpired
            | ParentNotDirectory
            | NotDirectory
            | DirectoryNotEmpty
            | InvalidPath
            | NameQuotaExceeded
            | SpaceQuotaExceeded
            | XAttrNotFound
            | Unsupported
            | FileSystemRefused => Advice::GiveUp,
            NotLeader { .. } => Advice::OtherLeader,
            // The caller's own protocol says when to ask again.
            RecoveryInProgress | NotReplicatedYet => Advice::GiveUp,
            Busy | Unavailable | DeadlineExceeded | NotEnoughTargets => Advice::Retry,
            LeaseExpired
            | StaleGeneration
            | ReplicaNotFound
            | CorruptReplica
            | DownstreamFailed { .. }
            | DiskFull
            | DiskFailed
            | InvalidToken => Advice::OtherReplica,
        }
    }
}

/// A refusal as it travels: the code for the caller, the detail for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code:?}: {detail}")]
pub struct Failure {
    /// What the caller acts on.
    pub code: ErrorCode,
    /// What a person reads.
    pub detail: String,
}

impl Failure {
    /// A refusal with a detail.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl From<ErrorCode> for Failure {
    fn from(code: ErrorCode) -> Self {
        Self { code, detail: String::new() }
    }
}
