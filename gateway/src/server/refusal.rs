//! Why a request was not served, and what its client is told: the one table from the store's codes to S3's.

use crate::error::{S3Error, S3ErrorCode};
use crate::ops::{last_modified_value, version_text};
use granary_protocol::{ErrorCode, Failure, UnixMillis, VersionId};
use http::header::{ALLOW, HeaderName, HeaderValue, LAST_MODIFIED};

/// What an operation returns instead of a response.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The request itself is at fault, in S3's words.
    S3(S3Error),
    /// The store refused. The detail is for the log.
    Store(Failure),
}

impl From<S3Error> for Refusal {
    fn from(error: S3Error) -> Self {
        Self::S3(error)
    }
}

impl From<S3ErrorCode> for Refusal {
    fn from(code: S3ErrorCode) -> Self {
        Self::S3(S3Error::new(code))
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Store(failure)
    }
}

impl Refusal {
    /// The same for somebody who may not list the bucket: whether there is such a key or version is not told.
    pub(crate) fn without_existence(self) -> Refusal {
        let tells = match &self {
            Self::S3(error) => matches!(error.code(), S3ErrorCode::NoSuchKey | S3ErrorCode::NoSuchVersion),
            Self::Store(failure) => matches!(
                failure.code,
                ErrorCode::NoSuchKey | ErrorCode::NoSuchVersion | ErrorCode::DeleteMarker { current: true, .. }
            ),
        };
        if tells { S3ErrorCode::AccessDenied.into() } else { self }
    }

    /// The error for the client. What the store said in detail is logged here, once, if the client is not told all of it.
    pub(crate) fn into_error(self, request_id: &str) -> S3Error {
        let failure = match self {
            Self::S3(error) => return error,
            Self::Store(failure) => failure,
        };
        let code = s3_code_of(&failure.code);
        match code {
            S3ErrorCode::InternalError => tracing::error!(request_id, %failure, "request failed"),
            S3ErrorCode::ServiceUnavailable | S3ErrorCode::SlowDown => {
                tracing::warn!(request_id, %failure, "request refused for now");
            }
            _client_fault => tracing::debug!(request_id, %failure, "request refused"),
        }
        match failure.code {
            ErrorCode::DeleteMarker { version, modified, current } => delete_marker(version, modified, current),
            _ => S3Error::with_message(code, message_of(&failure.code)),
        }
    }
}

/// What the client is told of a refusal of the store: what its S3 code says, or more where that says too little.
pub(crate) fn message_of(code: &ErrorCode) -> &'static str {
    match code {
        ErrorCode::ObjectLocked => "Access Denied because object protected by object lock.",
        ErrorCode::InvalidPartNumber => "The requested partnumber is not satisfiable",
        ErrorCode::ObjectLockNotEnabled => "Bucket is missing ObjectLockConfiguration",
        other => s3_code_of(other).default_message(),
    }
}

/// A delete marker in the place of an object says so, and which it is; one that was named says what can be done with it.
pub(crate) fn delete_marker(version: VersionId, modified: UnixMillis, current: bool) -> S3Error {
    let code = s3_code_of(&ErrorCode::DeleteMarker { version, modified, current });
    let mut error =
        S3Error::new(code).header(HeaderName::from_static("x-amz-delete-marker"), HeaderValue::from_static("true"));
    if let Ok(value) = HeaderValue::from_str(&version_text(version)) {
        error = error.header(HeaderName::from_static("x-amz-version-id"), value);
    }
    match current {
        true => error,
        false => {
            error.header(ALLOW, HeaderValue::from_static("DELETE")).header(LAST_MODIFIED, last_modified_value(modified))
        }
    }
}

/// The S3 code for a refusal of the store. Whatever another attempt may not meet is 503, which SDKs retry.
pub fn s3_code_of(code: &ErrorCode) -> S3ErrorCode {
    match code {
        ErrorCode::NoSuchBucket => S3ErrorCode::NoSuchBucket,
        ErrorCode::BucketAlreadyOwnedByYou => S3ErrorCode::BucketAlreadyOwnedByYou,
        ErrorCode::BucketAlreadyExists => S3ErrorCode::BucketAlreadyExists,
        ErrorCode::BucketNotEmpty => S3ErrorCode::BucketNotEmpty,
        ErrorCode::TooManyBuckets => S3ErrorCode::TooManyBuckets,
        ErrorCode::NoSuchKey => S3ErrorCode::NoSuchKey,
        ErrorCode::NoSuchVersion => S3ErrorCode::NoSuchVersion,
        ErrorCode::NoSuchUpload => S3ErrorCode::NoSuchUpload,
        ErrorCode::InvalidPart => S3ErrorCode::InvalidPart,
        ErrorCode::InvalidPartOrder => S3ErrorCode::InvalidPartOrder,
        ErrorCode::EntityTooSmall => S3ErrorCode::EntityTooSmall,
        ErrorCode::EntityTooLarge => S3ErrorCode::EntityTooLarge,
        // A read of a part that the object does not have.
        ErrorCode::InvalidPartNumber => S3ErrorCode::InvalidPart,
        ErrorCode::InvalidRange => S3ErrorCode::InvalidRange,
        ErrorCode::PreconditionFailed => S3ErrorCode::PreconditionFailed,
        ErrorCode::Conflict => S3ErrorCode::ConditionalRequestConflict,
        ErrorCode::DeleteMarker { current: true, .. } => S3ErrorCode::NoSuchKey,
        ErrorCode::DeleteMarker { current: false, .. } => S3ErrorCode::MethodNotAllowed,
        ErrorCode::ObjectLocked => S3ErrorCode::AccessDenied,
        ErrorCode::InvalidBucketState => S3ErrorCode::InvalidBucketState,
        ErrorCode::ObjectLockNotEnabled => S3ErrorCode::InvalidRequest,
        // About users, policies and keys: IAM's words.
        ErrorCode::NoSuchEntity => S3ErrorCode::NoSuchEntity,
        ErrorCode::EntityAlreadyExists => S3ErrorCode::EntityAlreadyExists,
        ErrorCode::LimitExceeded => S3ErrorCode::LimitExceeded,
        ErrorCode::InvalidArgument => S3ErrorCode::InvalidArgument,
        ErrorCode::AccessDenied => S3ErrorCode::AccessDenied,
        ErrorCode::Busy => S3ErrorCode::SlowDown,
        ErrorCode::NotLeader { .. }
        | ErrorCode::Unavailable
        | ErrorCode::DeadlineExceeded
        | ErrorCode::LeaseExpired
        | ErrorCode::StaleGeneration
        | ErrorCode::NotEnoughTargets
        | ErrorCode::ReplicaNotFound
        | ErrorCode::CorruptReplica
        | ErrorCode::DownstreamFailed { .. }
        | ErrorCode::DiskFull
        | ErrorCode::DiskFailed
        | ErrorCode::InvalidToken => S3ErrorCode::ServiceUnavailable,
        ErrorCode::Malformed | ErrorCode::Internal => S3ErrorCode::InternalError,
        // A quota that was set through Hadoop holds for every door.
        ErrorCode::NameQuotaExceeded | ErrorCode::SpaceQuotaExceeded => S3ErrorCode::AccessDenied,
        // The rest of the file system's codes answer requests that this door does not send.
        ErrorCode::FileNotFound
        | ErrorCode::FileAlreadyExists
        | ErrorCode::AlreadyBeingCreated
        | ErrorCode::RecoveryInProgress
        | ErrorCode::FileLeaseExpired
        | ErrorCode::ParentNotDirectory
        | ErrorCode::NotDirectory
        | ErrorCode::DirectoryNotEmpty
        | ErrorCode::InvalidPath
        | ErrorCode::NotReplicatedYet
        | ErrorCode::XAttrNotFound
        | ErrorCode::Unsupported
        | ErrorCode::FileSystemRefused => S3ErrorCode::InternalError,
    }
}
