//! PutObject.

use super::Outcome;
use super::bucket_lifecycle::{Expiring, insert_expiration};
use super::checksums::kept_of;
use super::object_headers::{read_object_headers, storage_class, write_condition};
use super::refused_headers::refuse_unbuilt;
use super::response_headers::describe_write;
use super::store_body::{CHECK_FIRST_BYTES, store_body, upload_spec};
use crate::checksum::ChecksumAlgorithm;
use crate::encryption::{Asked, insert_new_encryption};
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use granary_protocol::namenode::NewObject;
use granary_protocol::object::{ETag, ObjectDetails, ObjectLock};

/// Stores the body as the object, if the conditions hold at the moment it becomes visible.
pub(super) async fn put_object(state: &GatewayState, mut request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let class = storage_class(&request.headers)?;
    let headers = read_object_headers(&request.headers)?;
    let condition = write_condition(&request.headers)?;
    let plan = state.encryption.plan(Asked::read(&request.headers)?, request.settings().encryption()?)?;
    let (spec, length) = upload_spec(&request)?;
    let algorithm = spec.declared().algorithm().unwrap_or(ChecksumAlgorithm::Crc64Nvme);
    if length.is_none_or(|length| length > CHECK_FIRST_BYTES) {
        state.client.get_bucket(request.bucket.clone()).await?;
    }
    let seal = state.encryption.begin(&plan).await?;
    let content_seal = seal.as_ref().map(|seal| seal.content());
    let stored = store_body(state, &mut request, spec.with_checksum(algorithm), class, content_seal).await?;
    let encryption = seal.map(|seal| seal.kept);
    let object = NewObject {
        size: stored.digests.length,
        etag: ETag { md5: stored.tag, parts: None },
        owner: state.owner(),
        class,
        checksum: kept_of(&stored.digests, algorithm),
        lock: ObjectLock::default(),
        details: ObjectDetails { headers, encryption: encryption.clone(), ..ObjectDetails::default() },
    };
    let (size, tags) = (object.size, object.details.tags.clone());
    let settings = request.settings().clone();
    let key = request.key.clone();
    let outcome = state.client.put_object(request.bucket, request.key, stored.content, object, condition).await?;
    let mut response = S3Response::new(ResponseBody::empty());
    describe_write(response.headers_mut(), &outcome);
    let written = Expiring { key: key.as_str(), size, tags: &tags, written: outcome.modified, class };
    insert_expiration(response.headers_mut(), &settings, &written);
    insert_new_encryption(response.headers_mut(), encryption.as_ref());
    Ok(response)
}
