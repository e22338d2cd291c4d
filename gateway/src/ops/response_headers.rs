//! The headers that describe an object in a response.

use super::checksums;
use super::lock_headers::describe_lock;
use super::version::insert_version;
use crate::encryption::insert_encryption;
use crate::error::S3Error;
use crate::request::{Query, encode_header_text, format_http_date};
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::PutOutcome;
use granary_protocol::object::{ETag, ObjectVersion, StorageClass};
use granary_protocol::{UnixMillis, VersionId};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, EXPIRES,
    HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
};

const TAGGING_COUNT: HeaderName = HeaderName::from_static("x-amz-tagging-count");
const STORAGE_CLASS: HeaderName = HeaderName::from_static("x-amz-storage-class");
const DEFAULT_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("binary/octet-stream");

/// `response-*` parameters and the headers they set.
const OVERRIDES: [(&str, HeaderName); 6] = [
    ("response-cache-control", CACHE_CONTROL),
    ("response-content-disposition", CONTENT_DISPOSITION),
    ("response-content-encoding", CONTENT_ENCODING),
    ("response-content-language", CONTENT_LANGUAGE),
    ("response-content-type", CONTENT_TYPE),
    ("response-expires", EXPIRES),
];

/// A tag in its quotes.
pub(super) fn etag_value(etag: &ETag) -> HeaderValue {
    HeaderValue::from_str(&super::text::quoted(etag)).expect("digits, a dash and quotes are visible ASCII")
}

/// Whole seconds, as headers and conditions know time.
pub(super) fn unix_s(at: UnixMillis) -> i64 {
    i64::try_from(at.0 / 1000).unwrap_or(i64::MAX)
}

pub(crate) fn last_modified_value(at: UnixMillis) -> HeaderValue {
    HeaderValue::from_str(&format_http_date(unix_s(at))).expect("an HTTP date is visible ASCII")
}

/// Everything GET and HEAD say about an object, except lengths, ranges and checksums.
pub(super) fn describe(headers: &mut HeaderMap, object: &ObjectVersion, versioning: Versioning) {
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(ETAG, etag_value(&object.etag));
    headers.insert(LAST_MODIFIED, last_modified_value(object.modified));
    headers.insert(CONTENT_TYPE, DEFAULT_CONTENT_TYPE);
    if object.class != StorageClass::Standard {
        headers.insert(STORAGE_CLASS, HeaderValue::from_static(object.class.name()));
    }
    insert_version(headers, object.version, versioning);
    if !object.details.tags.is_empty() {
        headers.insert(TAGGING_COUNT, HeaderValue::from(object.details.tags.len()));
    }
    describe_lock(headers, &object.lock);
    insert_encryption(headers, object.details.encryption.as_ref());
    for (name, value) in &object.details.headers.system {
        insert_stored(headers, name, value);
    }
    for (name, value) in &object.details.headers.user {
        insert_stored(headers, &format!("x-amz-meta-{name}"), &encode_header_text(value));
    }
}

/// Stored headers came in as headers, so they can go out as such; what another door stored and HTTP cannot carry is
/// counted instead, as S3 does.
fn insert_stored(headers: &mut HeaderMap, name: &str, value: &str) {
    match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes())) {
        (Ok(name), Ok(value)) => {
            headers.insert(name, value);
        }
        (_, _) => {
            let missing = HeaderName::from_static("x-amz-missing-meta");
            let so_far = headers.get(&missing).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
            headers.insert(missing, HeaderValue::from(so_far.unwrap_or_default() + 1));
        }
    }
}

/// What a write answers: tag, checksum, version.
pub(super) fn describe_write(headers: &mut HeaderMap, outcome: &PutOutcome) {
    headers.insert(ETAG, etag_value(&outcome.etag));
    describe_written_version(headers, outcome);
    if let Some(checksum) = &outcome.checksum {
        checksums::insert_headers(headers, checksum, outcome.etag.parts);
    }
}

/// The version a write made, where versions are kept. The `null` version of a suspended bucket is not announced.
pub(super) fn describe_written_version(headers: &mut HeaderMap, outcome: &PutOutcome) {
    if outcome.version != VersionId::NULL {
        insert_version(headers, outcome.version, outcome.versioning);
    }
}

/// Applies `response-*`. Only a signed request may choose what a browser makes of an object.
///
/// # Errors
/// `InvalidRequest` without a signature; `InvalidArgument` for values no header can hold, CR and LF above all.
pub(super) fn apply_overrides(headers: &mut HeaderMap, query: &Query, is_signed: bool) -> Result<(), S3Error> {
    for (parameter, name) in &OVERRIDES {
        let Some(text) = query.get(parameter) else { continue };
        if !is_signed {
            return Err(S3Error::invalid_request(
                "Request specific response headers cannot be used for anonymous GET requests.",
            ));
        }
        let is_clean = !text.bytes().any(|byte| byte < b' ' || byte == 0x7f);
        match HeaderValue::from_bytes(text.as_bytes()) {
            Ok(value) if is_clean => headers.insert(name.clone(), value),
            Ok(_) | Err(_) => {
                let message = "Header value cannot be represented";
                return Err(S3Error::invalid_argument(message, *parameter, text.escape_default().to_string()));
            }
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;

    #[test]
    fn overrides_are_signed_and_clean() {
        let query = |raw: &str| Query::parse(Some(raw)).unwrap();
        let mut headers = HeaderMap::new();
        let disposition = query("response-content-disposition=attachment%3B%20filename%3D%22a.txt%22");
        apply_overrides(&mut headers, &disposition, true).unwrap();
        assert_eq!(headers["content-disposition"], "attachment; filename=\"a.txt\"");
        assert_eq!(apply_overrides(&mut headers, &disposition, false).unwrap_err().code(), S3ErrorCode::InvalidRequest);
        for bad in ["a%0d%0aSet-Cookie:x", "a%0a", "a%00", "a%7f", "a%09b"] {
            let raw = format!("response-content-type={bad}");
            let query = query(&raw);
            assert_eq!(apply_overrides(&mut headers, &query, true).unwrap_err().code(), S3ErrorCode::InvalidArgument);
        }
    }
}
