//! PutObject.

use super::Outcome;
use super::bucket_lifecycle::{Expiring, insert_expiration};
use super::checksums::kept_of;
use super::events::announce_write;
use super::lock_headers::check_digest_sent;
use super::new_object::ObjectSettings;
use super::refused_headers::refuse_unbuilt;
use super::response_headers::describe_write;
use super::store_body::{store_body, upload_spec};
use super::write_condition::{LongCondition, explain_unwritten};
use crate::checksum::ChecksumAlgorithm;
use crate::encryption::{Asked, insert_new_encryption};
use crate::notifications::EventKind;
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use granary_protocol::namenode::NewObject;
use granary_protocol::object::ETag;

/// Stores the body as the object, if the conditions hold at the moment it becomes visible.
pub(super) async fn put_object(state: &GatewayState, mut request: Box<S3Request>) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let condition = LongCondition::read(state, &request).await?;
    let ObjectSettings { owner, class, lock, mut details } = ObjectSettings::read(state, &request).await?;
    let plan = state.encryption.plan(Asked::read(&request.headers)?, request.settings().encryption()?)?;
    let (spec, _length) = upload_spec(&request)?;
    check_digest_sent(&lock, &request.settings().info, spec.has_content_digest())?;
    let algorithm = spec.declared().algorithm().unwrap_or(ChecksumAlgorithm::Crc64Nvme);
    let seal = state.encryption.begin(&plan).await?;
    let content_seal = seal.as_ref().map(|seal| seal.content());
    let stored = store_body(state, &mut request, spec.with_checksum(algorithm), class, content_seal).await?;
    let encryption = seal.map(|seal| seal.kept);
    details.encryption.clone_from(&encryption);
    let object = NewObject {
        size: stored.digests.length,
        etag: ETag { md5: stored.tag, parts: None },
        owner,
        class,
        checksum: kept_of(&stored.digests, algorithm),
        lock,
        details,
    };
    let (size, tags) = (object.size, object.details.tags.clone());
    let settings = request.settings().clone();
    let key = request.key.clone();
    let settled = condition.settle(state, &request.bucket, &request.key).await?;
    let put = state.client.put_object(request.bucket, request.key, stored.content, object, settled.condition).await;
    let outcome = put.map_err(|failure| explain_unwritten(settled.basis, failure))?;
    let mut response = S3Response::new(ResponseBody::empty());
    describe_write(response.headers_mut(), &outcome);
    let written = Expiring { key: key.as_str(), size, tags: &tags, written: outcome.modified, class };
    insert_expiration(response.headers_mut(), &settings, &written);
    insert_new_encryption(response.headers_mut(), encryption.as_ref());
    let kind = if request.form.is_some() { EventKind::CreatedPost } else { EventKind::CreatedPut };
    announce_write(&mut response, kind, &key, Some(size), &outcome);
    Ok(response)
}
