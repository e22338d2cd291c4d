//! Object Lock as headers carry it: what an upload asks for, and what GET and HEAD say.
//!
//! Whether the bucket has Object Lock at all, and what its default is, is decided where the object becomes visible.
//!
//! Source: "Locking objects with Object Lock", Amazon S3 user guide; PutObject, Amazon S3 API reference.

use super::text::{parse_iso8601, push_iso8601};
use crate::error::S3Error;
use granary_protocol::UnixMillis;
use granary_protocol::bucket::{BucketInfo, RetentionMode};
use granary_protocol::object::{ObjectLock, Retention};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

const MODE: HeaderName = HeaderName::from_static("x-amz-object-lock-mode");
const RETAIN_UNTIL: HeaderName = HeaderName::from_static("x-amz-object-lock-retain-until-date");
const LEGAL_HOLD: HeaderName = HeaderName::from_static("x-amz-object-lock-legal-hold");
const BYPASS: HeaderName = HeaderName::from_static("x-amz-bypass-governance-retention");

/// The lock an upload asks for.
///
/// # Errors
/// `InvalidArgument` for values that are none, for one of mode and date without the other, for a date that is past.
pub(super) fn requested_lock(headers: &HeaderMap, now: UnixMillis) -> Result<ObjectLock, S3Error> {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    let retention = match (text(&MODE), text(&RETAIN_UNTIL)) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode = retention_mode(mode)
                .ok_or_else(|| S3Error::invalid_argument("Unknown wormMode directive.", MODE.as_str(), mode))?;
            Some(Retention { mode, until: retain_until(until, now)? })
        }
        (Some(_), None) => return Err(incomplete(&RETAIN_UNTIL)),
        (None, Some(_)) => return Err(incomplete(&MODE)),
    };
    let legal_hold = match text(&LEGAL_HOLD) {
        None => false,
        Some(status) => legal_hold(status).ok_or_else(|| {
            S3Error::invalid_argument("Legal Hold must be either of 'ON' or 'OFF'", LEGAL_HOLD.as_str(), status)
        })?,
    };
    Ok(ObjectLock { retention, legal_hold })
}

/// An object that will be locked is only stored if the client has sent a digest of its bytes.
///
/// # Errors
/// `InvalidRequest`.
pub(super) fn check_digest_sent(
    lock: &ObjectLock,
    bucket: &BucketInfo,
    has_content_digest: bool,
) -> Result<(), S3Error> {
    let by_default = bucket.object_lock.is_some_and(|lock| lock.default.is_some());
    if has_content_digest || !(by_default || lock.retention.is_some() || lock.legal_hold) {
        return Ok(());
    }
    Err(S3Error::invalid_request(
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
    ))
}

fn incomplete(missing: &HeaderName) -> S3Error {
    let message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied.";
    S3Error::invalid_argument(message, missing.as_str(), "")
}

/// `GOVERNANCE` or `COMPLIANCE`.
pub(super) fn retention_mode(name: &str) -> Option<RetentionMode> {
    match name {
        "GOVERNANCE" => Some(RetentionMode::Governance),
        "COMPLIANCE" => Some(RetentionMode::Compliance),
        _ => None,
    }
}

/// The name of a mode.
pub(super) fn mode_name(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Governance => "GOVERNANCE",
        RetentionMode::Compliance => "COMPLIANCE",
    }
}

/// `ON` or `OFF`.
pub(super) fn legal_hold(name: &str) -> Option<bool> {
    match name {
        "ON" => Some(true),
        "OFF" => Some(false),
        _ => None,
    }
}

/// The name of a legal hold's state.
pub(super) fn legal_hold_name(held: bool) -> &'static str {
    if held { "ON" } else { "OFF" }
}

/// A date in the future.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn retain_until(text: &str, now: UnixMillis) -> Result<UnixMillis, S3Error> {
    let until = parse_iso8601(text).ok_or_else(|| {
        S3Error::invalid_argument(
            "The retain until date must be provided in ISO 8601 format",
            RETAIN_UNTIL.as_str(),
            text,
        )
    })?;
    if until > now {
        return Ok(until);
    }
    Err(S3Error::invalid_argument("The retain until date must be in the future!", RETAIN_UNTIL.as_str(), text))
}

/// Whether the request wants to pass over governance retentions. Whether it may is another question.
pub(crate) fn wants_bypass(headers: &HeaderMap) -> bool {
    headers.get(BYPASS).is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true"))
}

/// Adds the headers of a lock.
pub(super) fn describe_lock(headers: &mut HeaderMap, lock: &ObjectLock) {
    if let Some(Retention { mode, until }) = lock.retention {
        headers.insert(MODE, HeaderValue::from_static(mode_name(mode)));
        let mut text = String::with_capacity(24);
        push_iso8601(&mut text, until);
        headers.insert(RETAIN_UNTIL, HeaderValue::from_str(&text).expect("a date is visible ASCII"));
    }
    if lock.legal_hold {
        headers.insert(LEGAL_HOLD, HeaderValue::from_static(legal_hold_name(true)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::S3ErrorCode;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn read(pairs: &[(&str, &str)]) -> Result<ObjectLock, S3Error> {
        let headers: HeaderMap =
            pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect();
        requested_lock(&headers, NOW)
    }

    #[test]
    fn a_lock_survives() {
        let asked = [
            ("x-amz-object-lock-mode", "COMPLIANCE"),
            ("x-amz-object-lock-retain-until-date", "2040-01-01T00:00:00Z"),
            ("x-amz-object-lock-legal-hold", "ON"),
        ];
        let lock = read(&asked).unwrap();
        let until = UnixMillis(2_208_988_800_000);
        assert_eq!(lock.retention, Some(Retention { mode: RetentionMode::Compliance, until }));
        assert!(lock.legal_hold);
        let mut headers = HeaderMap::new();
        describe_lock(&mut headers, &lock);
        assert_eq!(headers["x-amz-object-lock-retain-until-date"], "2040-01-01T00:00:00.000Z");
        assert_eq!(headers["x-amz-object-lock-mode"], "COMPLIANCE");
        assert_eq!(headers["x-amz-object-lock-legal-hold"], "ON");
        assert_eq!(read(&[]).unwrap(), ObjectLock::default());
        assert_eq!(read(&[("x-amz-object-lock-legal-hold", "OFF")]).unwrap(), ObjectLock::default());
    }

    #[test]
    fn what_is_no_lock_is_refused() {
        const MODE: &str = "x-amz-object-lock-mode";
        const DATE: &str = "x-amz-object-lock-retain-until-date";
        for pairs in [
            &[(MODE, "GOVERNANCE")][..],
            &[(DATE, "2040-01-01T00:00:00Z")],
            &[(MODE, "governance"), (DATE, "2040-01-01T00:00:00Z")],
            &[(MODE, "GOVERNANCE"), (DATE, "tomorrow")],
            &[(MODE, "GOVERNANCE"), (DATE, "2020-01-01T00:00:00Z")],
            &[("x-amz-object-lock-legal-hold", "on")],
        ] {
            assert_eq!(read(pairs).unwrap_err().code(), S3ErrorCode::InvalidArgument, "{pairs:?}");
        }
    }

    #[test]
    fn locked_uploads_need_a_digest() {
        let bucket = |object_lock| BucketInfo {
            name: "b".into(),
            owner: "o".into(),
            created: NOW,
            region: String::new(),
            versioning: granary_protocol::bucket::Versioning::Enabled,
            object_lock,
        };
        let plain = bucket(Some(granary_protocol::bucket::BucketLock { default: None }));
        let held = ObjectLock { retention: None, legal_hold: true };
        assert!(check_digest_sent(&ObjectLock::default(), &plain, false).is_ok());
        assert!(check_digest_sent(&held, &plain, true).is_ok());
        assert!(check_digest_sent(&held, &plain, false).is_err());
        let default = granary_protocol::bucket::DefaultRetention {
            mode: RetentionMode::Governance,
            period: granary_protocol::bucket::RetentionPeriod::Days(1),
        };
        let locking = bucket(Some(granary_protocol::bucket::BucketLock { default: Some(default) }));
        assert!(check_digest_sent(&ObjectLock::default(), &locking, false).is_err());
    }
}
