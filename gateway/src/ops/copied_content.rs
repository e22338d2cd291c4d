//! What becomes of the bytes of a copy: shared with the source if both are in clear or both are sealed in as many layers, in
//! which case the data keys are sealed anew; written anew otherwise.

use super::checksums::{algorithm_of, full_object, kept_of};
use super::copy_source::Source;
use super::rewrite::rewrite;
use crate::checksum::{ChecksumAlgorithm, requested_algorithm};
use crate::encryption::{Plan, hides_md5, opaque_tag};
use crate::error::S3ErrorCode;
use crate::server::{GatewayState, Refusal};
use granary_client::StoredContent;
use granary_protocol::encryption::ObjectEncryption;
use granary_protocol::object::{self, ETag, ObjectChecksum, StorageClass};
use http::HeaderMap;

/// A copy's bytes and what is known of them.
pub(super) struct CopiedContent {
    pub etag: ETag,
    pub checksum: Option<ObjectChecksum>,
    pub encryption: Option<ObjectEncryption>,
    /// The bytes, if they were written anew; the inner `None` for no bytes.
    pub rewritten: Option<Option<StoredContent>>,
}

impl CopiedContent {
    /// Makes the bytes of a copy that is to be stored as `plan` and `class` say.
    pub async fn make(
        state: &GatewayState,
        headers: &HeaderMap,
        source: &Source,
        plan: &Plan,
        class: StorageClass,
    ) -> Result<Self, Refusal> {
        match (&source.read.object.details.encryption, plan.mode()) {
            (None, None) => Self::shared_in_clear(state, headers, source).await,
            (Some(kept), Some(mode)) if kept.mode.is_dual_layer() == mode.is_dual_layer() => {
                Self::shared_sealed(state, headers, source, kept, plan).await
            }
            (Some(_) | None, Some(_)) | (Some(_), None) => Self::rewritten(state, headers, source, plan, class).await,
        }
    }

    async fn shared_in_clear(state: &GatewayState, headers: &HeaderMap, source: &Source) -> Result<Self, Refusal> {
        let checksum = checksum_of_copy(state, headers, source).await?;
        Ok(Self { etag: source.read.object.etag, checksum, encryption: None, rewritten: None })
    }

    async fn shared_sealed(
        state: &GatewayState,
        headers: &HeaderMap,
        source: &Source,
        kept: &ObjectEncryption,
        plan: &Plan,
    ) -> Result<Self, Refusal> {
        let keys = state.encryption.data_keys(kept, source.customer()).await?;
        let encryption = state.encryption.wrap(plan, kept.salt, &keys).await?;
        let object = &source.read.object;
        let hides = encryption.as_ref().is_some_and(|encryption| hides_md5(&encryption.mode));
        let md5 = match (hides_md5(&kept.mode), hides, object.etag.parts) {
            (false, true, _) => opaque_tag()?,
            // The tag is to be an MD5 again. (That of an object of several parts never is one of its bytes.)
            (true, false, None) => {
                let digests = source.digest(state, 0, object.size, true, None).await?;
                digests.md5.ok_or(S3ErrorCode::InternalError)?
            }
            (true, _, _) | (false, false, _) => object.etag.md5,
        };
        let checksum = checksum_of_copy(state, headers, source).await?;
        Ok(Self { etag: ETag { md5, parts: object.etag.parts }, checksum, encryption, rewritten: None })
    }

    async fn rewritten(
        state: &GatewayState,
        headers: &HeaderMap,
        source: &Source,
        plan: &Plan,
        class: StorageClass,
    ) -> Result<Self, Refusal> {
        let object = &source.read.object;
        let kept = object.checksum.as_ref().filter(|kept| kept.kind == object::ChecksumType::FullObject);
        let kept = kept.map(|kept| algorithm_of(kept.algorithm));
        let algorithm = requested_algorithm(headers)?.or(kept).unwrap_or(ChecksumAlgorithm::Crc64Nvme);
        let seal = state.encryption.begin(plan).await?;
        let content_seal = seal.as_ref().map(|seal| seal.content());
        let stored = rewrite(state, source, 0, object.size, class, content_seal, algorithm).await?;
        Ok(Self {
            etag: ETag { md5: stored.tag, parts: None },
            checksum: kept_of(&stored.digests, algorithm),
            encryption: seal.map(|seal| seal.kept),
            rewritten: Some(stored.content),
        })
    }
}

/// The source's checksum, or one of the algorithm asked for, for which the source is read.
async fn checksum_of_copy(
    state: &GatewayState,
    headers: &HeaderMap,
    source: &Source,
) -> Result<Option<ObjectChecksum>, Refusal> {
    let object = &source.read.object;
    let kept = object.checksum.clone();
    let Some(wanted) = requested_algorithm(headers)? else { return Ok(kept) };
    if kept.as_ref().is_some_and(|kept| algorithm_of(kept.algorithm) == wanted) {
        return Ok(kept);
    }
    let digests = source.digest(state, 0, object.size, false, Some(wanted)).await?;
    match digests.checksum(wanted) {
        Some(checksum) => Ok(Some(full_object(&checksum))),
        None => Err(S3ErrorCode::InternalError.into()),
    }
}
