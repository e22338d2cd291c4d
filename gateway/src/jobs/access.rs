//! What a submitter may read and write: the same question that its own request would be asked.

use super::request::JobRequest;
use crate::admin::Refused;
use crate::server::{BucketSettings, GatewayState};
use granary_access::authorizer::{self, ObjectFacts, Request};
use granary_access::{Action, Requester};
use granary_protocol::namenode::Window;
use granary_protocol::object::ObjectVersion;
use granary_protocol::{ErrorCode, Failure, ObjectKey};

/// Whether the submitter may list the bucket with a prefix.
pub(super) fn may_list(request: &JobRequest, settings: &BucketSettings, prefix: &str) -> bool {
    let mut context = request.context.clone();
    context.add("s3:prefix", prefix);
    let requester = Requester::Caller(&request.caller);
    let question = Request { requester, action: Action::ListBucket, key: None, context: &context };
    authorizer::decide(&question, &settings.access().facts(settings), None).is_allowed()
}

/// Whether the submitter may do this with an object.
///
/// # Errors
/// What the store answers when the object's own settings are needed and cannot be had.
pub(super) async fn may(
    state: &GatewayState,
    request: &JobRequest,
    settings: &BucketSettings,
    key: &ObjectKey,
    action: Action,
) -> Result<bool, Refused> {
    let facts = settings.access().facts(settings);
    let requester = Requester::Caller(&request.caller);
    let mut context = request.context.clone();
    let mut object = None;
    if authorizer::needs_object(requester, action, &facts) {
        object = find(state, settings, key).await?;
        for tag in object.iter().flat_map(|object| &object.details.tags) {
            context.add(format!("s3:ExistingObjectTag/{}", tag.key), tag.value.as_str());
        }
    }
    let object = object.as_ref().map(|object| ObjectFacts { owner: &object.owner, acl: object.details.acl.as_ref() });
    let question = Request { requester, action, key: Some(key.as_str()), context: &context };
    Ok(authorizer::decide(&question, &facts, object.as_ref()).is_allowed())
}

/// The current version of an object, without its bytes; `None` where there is none.
pub(super) async fn find(
    state: &GatewayState,
    settings: &BucketSettings,
    key: &ObjectKey,
) -> Result<Option<ObjectVersion>, Failure> {
    let bucket = settings.info.name.clone();
    match state.client.get_object(bucket, key.clone(), None, Window::Nothing).await {
        Ok(read) => Ok(Some(read.object)),
        Err(failure) => match failure.code {
            ErrorCode::NoSuchKey | ErrorCode::NoSuchVersion | ErrorCode::DeleteMarker { .. } => Ok(None),
            _ => Err(failure),
        },
    }
}
