//! What policies may ask about a request that neither its headers nor its query say: the tags of PutObjectTagging, the region
//! of CreateBucket, the lock of PutObjectRetention and PutObjectLegalHold; whether a write makes an object; whose the bucket
//! is.
//!
//! Such a body is read before the request is judged, within the bounds of any document. What is wrong with it is said by
//! its operation, after the request was allowed; only a body that is not what its digests promise is refused at once.

use super::access_context::{add_request_tags, add_retention};
use super::operation::Operation;
use super::refusal::Refusal;
use super::request::S3Request;
use super::state::GatewayState;
use crate::documents::CreateBucketConfiguration;
use crate::ops::{Element, parse_object_tagging};
use granary_access::RequestContext;
use granary_protocol::UnixMillis;

/// The region that is meant when none is named.
const CLASSIC_REGION: &str = "us-east-1";
/// Elements of a lock's document.
const LOCK_ELEMENTS_MAX: usize = 16;

/// Learns what policies may ask for about a request; reads its body if that says it.
///
/// # Errors
/// Those of reading a document, and what the namenode answers.
pub(super) async fn read_ahead(
    state: &GatewayState,
    operation: Operation,
    request: &mut S3Request,
) -> Result<(), Refusal> {
    let mut said = RequestContext::new();
    if let Some(creates) = operation.creates_object() {
        said.add("s3:ObjectCreationOperation", creates.to_string());
    }
    let read_body: fn(&mut RequestContext, &[u8], UnixMillis) = match operation {
        Operation::PutObjectTagging => say_tags,
        Operation::CreateBucket => say_location,
        Operation::PutObjectRetention => say_retention,
        Operation::PutObjectLegalHold => say_legal_hold,
        _ => {
            request.said_ahead = said;
            return request.learn_owner(state).await;
        }
    };
    let spec = request.body_spec()?;
    // Few operations come here, and every request's future would be as large as this one.
    let document = Box::pin(request.document(spec, state.config.xml_bytes_max)).await?;
    read_body(&mut said, &document, state.now());
    request.keep_document(document);
    request.said_ahead = said;
    request.learn_owner(state).await
}

fn say_tags(said: &mut RequestContext, document: &[u8], _now: UnixMillis) {
    let tags = parse_object_tagging(document).unwrap_or_default();
    add_request_tags(said, tags.into_iter().map(|tag| (tag.key, tag.value)));
}

fn say_location(said: &mut RequestContext, document: &[u8], _now: UnixMillis) {
    let location = CreateBucketConfiguration::parse(document).ok().and_then(|read| read.location);
    said.add("s3:LocationConstraint", location.unwrap_or_else(|| CLASSIC_REGION.to_owned()));
}

fn say_retention(said: &mut RequestContext, document: &[u8], now: UnixMillis) {
    let Ok(retention) = Element::parse(document, "Retention", LOCK_ELEMENTS_MAX) else { return };
    let text = |name| retention.optional_text(name).ok().flatten();
    said.add_some("s3:object-lock-mode", text("Mode").as_deref().map(str::trim));
    add_retention(said, now, text("RetainUntilDate").as_deref().map(str::trim));
}

fn say_legal_hold(said: &mut RequestContext, document: &[u8], _now: UnixMillis) {
    let Ok(hold) = Element::parse(document, "LegalHold", LOCK_ELEMENTS_MAX) else { return };
    let status = hold.optional_text("Status").ok().flatten();
    said.add_some("s3:object-lock-legal-hold", status.as_deref().map(str::trim));
}
