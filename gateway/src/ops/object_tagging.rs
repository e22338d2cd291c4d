//! GetObjectTagging, PutObjectTagging, DeleteObjectTagging: the tags of a version, without touching its bytes.

use super::Outcome;
use super::events::announce_change;
use super::tag_set::parse_object_tagging;
use super::version::{explain_beside, insert_version, requested_version};
use crate::documents::write_tag_set;
use crate::notifications::EventKind;
use crate::server::{GatewayState, Refusal, ResponseBody, S3Request, S3Response};
use granary_protocol::VersionId;
use granary_protocol::namenode::{ObjectChange, Window};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

/// Answers with a version's tags.
pub(super) async fn get_object_tagging(state: &GatewayState, request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let found = state.client.get_object(bucket.clone(), key.clone(), version, Window::Nothing).await;
    let object = found.map_err(|failure| explain_beside(&bucket, &key, version, failure))?.object;
    let mut response = S3Response::new(ResponseBody::Known(write_tag_set(&object.details.tags)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    insert_version(response.headers_mut(), object.version, request.versioning());
    Ok(response)
}

/// Replaces a version's tags.
pub(super) async fn put_object_tagging(state: &GatewayState, mut request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let spec = request.body_spec()?;
    let document = request.document(spec, state.config.xml_bytes_max).await?;
    let tags = parse_object_tagging(&document)?;
    let changed = amend(state, &request, version, ObjectChange::Tags(tags)).await?;
    let mut response = S3Response::new(ResponseBody::empty());
    insert_version(response.headers_mut(), changed, request.versioning());
    announce_change(&mut response, EventKind::TaggingPut, &request, changed);
    Ok(response)
}

/// Takes all tags away.
pub(super) async fn delete_object_tagging(state: &GatewayState, request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let changed = amend(state, &request, version, ObjectChange::Tags(Vec::new())).await?;
    let mut response = S3Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    insert_version(response.headers_mut(), changed, request.versioning());
    announce_change(&mut response, EventKind::TaggingDelete, &request, changed);
    Ok(response)
}

/// Changes what is kept beside a version; which version it was.
pub(super) async fn amend(
    state: &GatewayState,
    request: &S3Request,
    version: Option<VersionId>,
    change: ObjectChange,
) -> Result<VersionId, Refusal> {
    let changed = state.client.amend_object(request.bucket.clone(), request.key.clone(), version, change).await;
    changed.map_err(|failure| explain_beside(&request.bucket, &request.key, version, failure))
}
