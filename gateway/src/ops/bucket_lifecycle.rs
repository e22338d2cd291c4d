//! The lifecycle configuration of a bucket, and what it says about an object in responses.

use super::Outcome;
use super::bucket_documents::{delete, digested_body_of, put, random_id, settings_now};
use crate::documents::StoredLifecycle;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::format_http_date;
use crate::server::{BucketSettings, GatewayState, S3Request};
use granary_lifecycle::rules::{
    Calendar, Due, ObjectFacts, Standing, TransitionMinimumSize, expiration_of, upload_expiration,
};
use granary_protocol::UnixMillis;
use granary_protocol::bucket::BucketDocument;
use granary_protocol::object::{ObjectVersion, StorageClass, Tag};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const MINIMUM_SIZE: &str = "x-amz-transition-default-minimum-object-size";
const EXPIRATION: HeaderName = HeaderName::from_static("x-amz-expiration");
const ABORT_DATE: HeaderName = HeaderName::from_static("x-amz-abort-date");
const ABORT_RULE: HeaderName = HeaderName::from_static("x-amz-abort-rule-id");
/// What of a rule's id is percent-encoded in a header: all but what URLs leave alone.
const IN_HEADER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) async fn get_bucket_lifecycle(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    let Some(lifecycle) = settings.lifecycle()? else {
        let error = S3Error::new(S3ErrorCode::NoSuchLifecycleConfiguration);
        return Err(error.field("BucketName", request.bucket.as_str()).into());
    };
    let mut response = lifecycle.to_response_xml().into_response();
    insert_minimum_size(response.headers_mut(), lifecycle.0.minimum_size);
    Ok(response)
}

pub(super) async fn put_bucket_lifecycle(state: &GatewayState, mut request: S3Request) -> Outcome {
    let calendar = state.config.lifecycle.calendar();
    let minimum_size = match request.header(MINIMUM_SIZE)? {
        None if calendar.is_shortened() => TransitionMinimumSize::Unlimited,
        None => TransitionMinimumSize::default(),
        Some(name) => {
            let named = TransitionMinimumSize::from_name(name).filter(|size| *size != TransitionMinimumSize::Unlimited);
            named.ok_or_else(|| {
                S3Error::invalid_request(format!("Invalid TransitionDefaultMinimumObjectSize found: {name}"))
            })?
        }
    };
    let id = random_id()?;
    let mut made = 0;
    let body = digested_body_of(state, &mut request).await?;
    let lifecycle = StoredLifecycle::parse_request(&body, minimum_size, calendar, || {
        made += 1;
        format!("{id}{made:04x}")
    })?;
    let mut response = put(state, &request, &lifecycle).await?;
    insert_minimum_size(response.headers_mut(), minimum_size);
    Ok(response)
}

/// What no header named is not told in one either.
fn insert_minimum_size(headers: &mut HeaderMap, minimum_size: TransitionMinimumSize) {
    if minimum_size != TransitionMinimumSize::Unlimited {
        headers.insert(MINIMUM_SIZE, HeaderValue::from_static(minimum_size.name()));
    }
}

pub(super) async fn delete_bucket_lifecycle(state: &GatewayState, request: S3Request) -> Outcome {
    delete(state, &request, BucketDocument::Lifecycle).await
}

/// What of a current version its expiration depends on.
pub(super) struct Expiring<'o> {
    pub key: &'o str,
    pub size: u64,
    pub tags: &'o [Tag],
    pub written: UnixMillis,
    pub class: StorageClass,
}

impl<'o> Expiring<'o> {
    /// A version that was read.
    pub fn of(key: &'o str, object: &'o ObjectVersion) -> Self {
        let tags = &object.details.tags;
        Self { key, size: object.size, tags, written: object.modified, class: object.class }
    }
}

/// Adds `x-amz-expiration` to an answer about a current version that a rule lets expire. Always in days of 24 hours, also
/// where they are shortened: clients compare it with the rule they wrote.
pub(super) fn insert_expiration(headers: &mut HeaderMap, settings: &BucketSettings, object: &Expiring<'_>) {
    // A header that only informs is left out where the rules cannot be read; reading them was logged.
    let Ok(Some(lifecycle)) = settings.lifecycle() else { return };
    let facts = ObjectFacts {
        key: object.key,
        size: object.size,
        tags: object.tags,
        written: object.written,
        class: object.class,
        standing: Standing::Current { versioned: true },
    };
    if let Some(due) = expiration_of(&lifecycle.0, &facts, Calendar::REAL)
        && let Ok(value) = HeaderValue::from_str(&expiration_text(&due))
    {
        headers.insert(EXPIRATION, value);
    }
}

/// Adds when an upload will be aborted, if a rule says so.
pub(super) fn insert_abort_date(headers: &mut HeaderMap, settings: &BucketSettings, key: &str, initiated: UnixMillis) {
    let Ok(Some(lifecycle)) = settings.lifecycle() else { return };
    let Some(due) = upload_expiration(&lifecycle.0, key, initiated, Calendar::REAL) else { return };
    let rule = utf8_percent_encode(due.rule, IN_HEADER).to_string();
    if let (Ok(date), Ok(rule)) = (HeaderValue::from_str(&http_date(due.at)), HeaderValue::from_str(&rule)) {
        headers.insert(ABORT_DATE, date);
        headers.insert(ABORT_RULE, rule);
    }
}

/// The rule's id is percent-encoded, as AWS writes it, so that nothing in it can end the header.
fn expiration_text(due: &Due<'_>) -> String {
    let rule = utf8_percent_encode(due.rule, IN_HEADER);
    format!("expiry-date=\"{}\", rule-id=\"{rule}\"", http_date(due.at))
}

fn http_date(at: UnixMillis) -> String {
    format_http_date(i64::try_from(at.0 / 1000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiration_header() {
        let due = Due { at: UnixMillis(1_356_220_800_000), rule: "a b\"\r\n-é_1" };
        let text = expiration_text(&due);
        assert_eq!(text, "expiry-date=\"Sun, 23 Dec 2012 00:00:00 GMT\", rule-id=\"a%20b%22%0D%0A-%C3%A9_1\"");
    }
}
