//! What a Hadoop client is told when the store refuses: every code of the store, and its exception.

use crate::exception::{JavaException, RemoteException};
use granary_protocol::{ErrorCode, Failure};

/// What Hadoop says of a namenode that does not lead; clients go on to the next.
const STANDBY: &str =
    "Operation category WRITE is not supported in state standby. Visit https://s.apache.org/sbnn-error";

impl From<Failure> for RemoteException {
    fn from(failure: Failure) -> RemoteException {
        let class = exception_of(&failure.code);
        let message = match (class, failure.code) {
            (JavaException::Standby, _) => STANDBY.to_owned(),
            (_, ErrorCode::Internal | ErrorCode::Malformed) => {
                tracing::error!(detail = %failure.detail, "a request of a Hadoop client met an internal error");
                "Internal error".to_owned()
            }
            (_, code) if failure.detail.is_empty() => format!("{code:?}"),
            (_, _) => failure.detail,
        };
        RemoteException { class, message }
    }
}

/// The exception of a code.
pub fn exception_of(code: &ErrorCode) -> JavaException {
    use ErrorCode::*;
    match code {
        NoSuchBucket | NoSuchKey | NoSuchVersion | DeleteMarker { .. } | FileNotFound => JavaException::FileNotFound,
        BucketAlreadyOwnedByYou | BucketAlreadyExists | FileAlreadyExists => JavaException::FileAlreadyExists,
        BucketNotEmpty | DirectoryNotEmpty => JavaException::PathIsNotEmptyDirectory,
        AlreadyBeingCreated => JavaException::AlreadyBeingCreated,
        RecoveryInProgress => JavaException::RecoveryInProgress,
        FileLeaseExpired | LeaseExpired => JavaException::LeaseExpired,
        ParentNotDirectory => JavaException::ParentNotDirectory,
        NotDirectory => JavaException::PathIsNotDirectory,
        InvalidPath => JavaException::InvalidPath,
        NameQuotaExceeded => JavaException::NsQuotaExceeded,
        SpaceQuotaExceeded => JavaException::DsQuotaExceeded,
        NotReplicatedYet => JavaException::NotReplicatedYet,
        AccessDenied | ObjectLocked => JavaException::AccessControl,
        InvalidArgument => JavaException::IllegalArgument,
        Unsupported => JavaException::UnsupportedOperation,
        NotLeader { .. } => JavaException::Standby,
        Busy | Unavailable | DeadlineExceeded => JavaException::Retriable,
        InvalidToken => JavaException::InvalidToken,
        TooManyBuckets
        | NoSuchUpload
        | InvalidPart
        | InvalidPartOrder
        | EntityTooSmall
        | EntityTooLarge
        | InvalidPartNumber
        | InvalidRange
        | PreconditionFailed
        | Conflict
        | InvalidBucketState
        | ObjectLockNotEnabled
        | NoSuchEntity
        | EntityAlreadyExists
        | LimitExceeded
        | StaleGeneration
        | NotEnoughTargets
        | ReplicaNotFound
        | CorruptReplica
        | DownstreamFailed { .. }
        | DiskFull
        | DiskFailed
        | XAttrNotFound
        | FileSystemRefused
        | Malformed
        | Internal => JavaException::Io,
    }
}
