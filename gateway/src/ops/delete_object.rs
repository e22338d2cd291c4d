//! DeleteObject.

use super::Outcome;
use super::object_headers::write_condition;
use super::refused_headers::refuse_unbuilt;
use super::response_headers::insert_version;
use super::text::parse_version;
use crate::error::S3Error;
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use granary_protocol::namenode::DeleteTarget;
use granary_protocol::{ErrorCode, Failure};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

/// Deletes the object, or one version of it for good. What is not there is deleted with success.
pub(super) async fn delete_object(state: &GatewayState, request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let version = request.query.get_non_empty("versionId").map(parse_version).transpose()?;
    let condition = write_condition(&request.headers)?;
    if condition.if_absent {
        return Err(S3Error::invalid_request("If-None-Match has no meaning for a delete").into());
    }
    let (key, if_match) = (request.key, condition.if_match);
    let target = DeleteTarget { key, version, if_match, if_modified_s: None, if_size: None };
    let outcome = state.client.delete_objects(request.bucket, vec![target], state.owner(), false).await?.pop();
    let outcome = outcome.ok_or_else(|| Failure::new(ErrorCode::Internal, "a delete without an outcome"))??;
    let mut response = S3Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if outcome.delete_marker {
        headers.insert(HeaderName::from_static("x-amz-delete-marker"), HeaderValue::from_static("true"));
    }
    if let Some(version) = outcome.version {
        insert_version(headers, version);
    }
    Ok(response)
}
