//! RenameObject: an object gets another key of its bucket. One metadata command, whatever its size.
//!
//! Conditions by tag are judged where the keys change. Those by date are judged first, and hold for exactly the version
//! they were judged on: another one in its place fails the request.
//!
//! Source: RenameObject, Amazon S3 API reference.

use super::Outcome;
use super::response_headers::unix_s;
use super::version::explain;
use super::write_condition::TargetCondition;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{ConditionOutcome, Preconditions, parse_rename_source};
use crate::server::{AccessTarget, GatewayState, Refusal, ResponseBody, S3Request, S3Response};
use granary_access::Action;
use granary_protocol::namenode::{Window, WriteCondition};
use granary_protocol::{ErrorCode, ObjectKey as Key};

/// Renames an object.
pub(super) async fn rename_object(state: &GatewayState, request: S3Request) -> Outcome {
    let header = request.headers.get("x-amz-rename-source").map_or(&b""[..], |value| value.as_bytes());
    let source = Key(parse_rename_source(header, request.bucket.as_str())?.into_string());
    if source == request.key {
        return Err(S3Error::invalid_request("The source and the destination of a rename are the same.").into());
    }
    let target = AccessTarget { settings: request.settings(), key: Some(&source), version: None };
    for action in [Action::GetObject, Action::DeleteObject] {
        request.require(state, target, action).await?;
    }
    let condition = TargetCondition::read(state, &request).await?;
    let condition = condition.settle(state, &request.bucket, &request.key).await?.condition;
    let dates = Preconditions::for_write_dates(&request.headers);
    let condition = pinned(state, &request, &request.key, &dates, condition).await?;
    let conditions = Preconditions::for_rename_source(&request.headers);
    let source_condition = pinned(state, &request, &source, &conditions, WriteCondition::default()).await?;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let renamed = state.client.rename_object(bucket, source.clone(), source_condition, key, condition).await;
    renamed.map_err(|failure| match failure.code {
        ErrorCode::InvalidBucketState => {
            S3Error::invalid_request("RenameObject is not supported in buckets with versioning.").into()
        }
        _ => explain(&request.bucket, &source, None, failure),
    })?;
    Ok(S3Response::new(ResponseBody::empty()))
}

/// The write condition that holds if `conditions` do: they are judged on the object now, and the condition names it.
async fn pinned(
    state: &GatewayState,
    request: &S3Request,
    key: &Key,
    conditions: &Preconditions,
    condition: WriteCondition,
) -> Result<WriteCondition, Refusal> {
    if conditions.is_empty() {
        return Ok(condition);
    }
    let object = match state.client.get_object(request.bucket.clone(), key.clone(), None, Window::Nothing).await {
        Ok(read) => read.object,
        Err(failure) if matches!(failure.code, ErrorCode::NoSuchKey | ErrorCode::DeleteMarker { .. }) => {
            return Ok(condition);
        }
        Err(failure) => return Err(failure.into()),
    };
    match conditions.evaluate(&object.etag.to_string(), unix_s(object.modified), state.now_s()) {
        ConditionOutcome::Proceed if condition.if_match.is_some() || condition.if_absent => Ok(condition),
        ConditionOutcome::Proceed => Ok(WriteCondition { if_match: Some(Some(object.etag)), ..condition }),
        ConditionOutcome::NotModified | ConditionOutcome::PreconditionFailed => {
            Err(S3ErrorCode::PreconditionFailed.into())
        }
    }
}
