//! Which version a request names, and what its client is told when that is not there.

use super::text::{parse_version, version_text};
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{Refusal, S3Request, delete_marker};
use granary_protocol::bucket::Versioning;
use granary_protocol::{BucketName, ErrorCode, Failure, ObjectKey, VersionId};
use http::header::{HeaderMap, HeaderName, HeaderValue};

const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");
const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");

/// The version of `versionId`; `None` for the current one.
///
/// # Errors
/// `InvalidArgument` for what no version is called.
pub(super) fn requested_version(request: &S3Request) -> Result<Option<VersionId>, S3Error> {
    match request.query.get("versionId") {
        None => Ok(None),
        Some("") => Err(S3Error::invalid_argument("Version id cannot be the empty string", "versionId", "")),
        Some(text) => parse_version(text).map(Some),
    }
}

/// Adds `x-amz-version-id`, unless the bucket keeps no versions.
pub(super) fn insert_version(headers: &mut HeaderMap, version: VersionId, versioning: Versioning) {
    if versioning != Versioning::Off || version != VersionId::NULL {
        headers.insert(VERSION_ID, version_value(version));
    }
}

/// Adds `x-amz-delete-marker: true`.
pub(super) fn insert_delete_marker(headers: &mut HeaderMap) {
    headers.insert(DELETE_MARKER, HeaderValue::from_static("true"));
}

/// A version in a header.
pub(super) fn version_value(version: VersionId) -> HeaderValue {
    HeaderValue::from_str(&version_text(version)).expect("hexadecimal digits are visible ASCII")
}

/// The same for what is kept beside an object, such as its tags: a delete marker has none of it, whether it was named or is
/// what is there now.
pub(super) fn explain_beside(
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<VersionId>,
    failure: Failure,
) -> Refusal {
    match failure.code {
        ErrorCode::DeleteMarker { version: marker, modified, current: true } => {
            delete_marker(marker, modified, false).field("ResourceType", "DeleteMarker").into()
        }
        _ => explain(bucket, key, version, failure),
    }
}

/// What the client of a request for an object is told beside the code.
pub(super) fn explain(bucket: &BucketName, key: &ObjectKey, version: Option<VersionId>, failure: Failure) -> Refusal {
    match failure.code {
        ErrorCode::NoSuchKey => S3Error::new(S3ErrorCode::NoSuchKey).field("Key", key.as_str()).into(),
        ErrorCode::NoSuchVersion => S3Error::new(S3ErrorCode::NoSuchVersion)
            .field("Key", key.as_str())
            .field("VersionId", version.map(version_text).unwrap_or_default())
            .into(),
        ErrorCode::NoSuchBucket => S3Error::new(S3ErrorCode::NoSuchBucket).field("BucketName", bucket.as_str()).into(),
        ErrorCode::DeleteMarker { version, modified, current: true } => {
            delete_marker(version, modified, true).field("Key", key.as_str()).into()
        }
        ErrorCode::DeleteMarker { version, modified, current: false } => {
            delete_marker(version, modified, false).field("ResourceType", "DeleteMarker").into()
        }
        _ => failure.into(),
    }
}
