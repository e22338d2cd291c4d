//! DeleteObject.

use super::Outcome;
use super::events::announce_delete;
use super::lock_headers::wants_bypass;
use super::refused_headers::refuse_unbuilt;
use super::text::parse_iso8601;
use super::version::{insert_delete_marker, insert_version, requested_version};
use super::write_condition::TargetCondition;
use crate::error::S3Error;
use crate::request::parse_http_date;
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use granary_protocol::namenode::DeleteTarget;
use granary_protocol::{ErrorCode, Failure};
use http::StatusCode;

/// Deletes the object, or one version of it for good. What is not there is deleted with success.
pub(super) async fn delete_object(state: &GatewayState, request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let version = requested_version(&request)?;
    let if_match = match TargetCondition::read(state, &request).await? {
        TargetCondition::Carried(condition) if !condition.if_absent => condition.if_match,
        TargetCondition::Carried(_) | TargetCondition::OtherThan(_) => {
            return Err(S3Error::invalid_request("If-None-Match has no meaning for a delete").into());
        }
    };
    let target = DeleteTarget {
        key: request.key.clone(),
        version,
        if_match,
        if_modified_s: if_modified_s(&request)?,
        if_size: if_size(&request)?,
    };
    let bypass_governance = wants_bypass(&request.headers);
    let deleted = state.client.delete_objects(request.bucket.clone(), vec![target], request.maker(), bypass_governance);
    let outcome = deleted.await?.pop();
    let outcome = outcome.ok_or_else(|| Failure::new(ErrorCode::Internal, "a delete without an outcome"))??;
    let mut response = S3Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if outcome.delete_marker {
        insert_delete_marker(headers);
    }
    if let Some(affected) = outcome.version {
        insert_version(headers, affected, request.versioning());
    }
    announce_delete(&mut response, &request.key, version, &outcome);
    Ok(response)
}

/// `x-amz-if-match-last-modified-time`, an HTTP date.
fn if_modified_s(request: &S3Request) -> Result<Option<u64>, S3Error> {
    const NAME: &str = "x-amz-if-match-last-modified-time";
    let Some(text) = request.header(NAME)? else { return Ok(None) };
    let seconds = parse_modified_s(text);
    seconds.map(Some).ok_or_else(|| S3Error::invalid_argument("Invalid date", NAME, text))
}

/// `x-amz-if-match-size`, bytes.
fn if_size(request: &S3Request) -> Result<Option<u64>, S3Error> {
    const NAME: &str = "x-amz-if-match-size";
    let Some(text) = request.header(NAME)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| S3Error::invalid_argument("Invalid size", NAME, text))
}

/// A time of modification in a condition, in seconds: an HTTP date, or one as listings write it.
pub(super) fn parse_modified_s(text: &str) -> Option<u64> {
    match parse_http_date(text) {
        Some(seconds) => u64::try_from(seconds).ok(),
        None => parse_iso8601(text).map(|at| at.0 / 1000),
    }
}
