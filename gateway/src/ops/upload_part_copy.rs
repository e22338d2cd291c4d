//! UploadPartCopy: a part that shares bytes of an object. They are read once, to hash them, and written again only where
//! they or the part are encrypted.

use super::Outcome;
use super::checksums::{algorithm_of, full_object, insert_value, kept_of, shown};
use super::copy_source::Source;
use super::refused_headers::refuse_unbuilt;
use super::rewrite::rewrite;
use super::text::version_text;
use super::upload::{part_number, part_seal, upload_id};
use super::upload_part::part_algorithm;
use super::xml_writer::Xml;
use crate::checksum::ChecksumAlgorithm;
use crate::encryption::{ContentSeal, insert_encryption};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::CopySourceRange;
use crate::server::{GatewayState, Refusal, S3Request};
use granary_client::StoredContent;
use granary_protocol::VersionId;
use granary_protocol::encryption::SealSalt;
use granary_protocol::object::{self, ETag, ObjectChecksum, PART_BYTES_MAX, PartInfo, UploadInfo};
use http::header::{HeaderName, HeaderValue};

/// Stores bytes of an object as a part.
pub(super) async fn upload_part_copy(state: &GatewayState, mut request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let (upload, number) = (upload_id(&request)?, part_number(&request)?);
    let range = request.header("x-amz-copy-source-range")?.map(CopySourceRange::parse).transpose()?;
    let found = state.client.get_upload(request.bucket.clone(), request.key.clone(), upload).await?;
    let algorithm = part_algorithm(&found, None)?;
    let seal = part_seal(state, &request.headers, &found).await?;
    let source = Source::find(state, &mut request).await?;
    let object = &source.read.object;
    let (first, length) = match range {
        None => (0, object.size),
        Some(range) => {
            let resolved = range.resolve(object.size)?;
            (resolved.first, resolved.length())
        }
    };
    if length > PART_BYTES_MAX {
        return Err(S3Error::new(S3ErrorCode::EntityTooLarge)
            .field("ProposedSize", length.to_string())
            .field("MaxSizeAllowed", PART_BYTES_MAX.to_string())
            .into());
    }
    let (etag, source_version) = (object.etag, object.version);
    let made = Part::make(state, &source, first, length, &found, seal, algorithm).await?;
    let (md5, checksum) = (made.md5, made.checksum);
    let (modified, salt) = (state.now(), made.salt);
    let part = PartInfo { number, size: length, md5, modified, checksum: Some(checksum.clone()), salt };
    let mut xml = Xml::document("CopyPartResult", 256);
    xml.time("LastModified", part.modified);
    xml.plain("ETag", format_args!("&quot;{}&quot;", ETag { md5, parts: None }));
    if found.checksum.is_some()
        && let Some(value) = shown(&checksum, None)
    {
        xml.plain(algorithm.xml_element(), value);
    }
    let (client, bucket, key) = (&state.client, request.bucket, request.key);
    match made.rewritten {
        Some(rewritten) => client.put_part(bucket, key, upload, part, rewritten).await?,
        None => {
            let (of_bucket, of_key, of_version) = (source.bucket, source.key, source.version);
            client.copy_part(of_bucket, of_key, of_version, etag, first, bucket, key, upload, part).await?;
        }
    }
    let mut response = xml.into_response();
    insert_encryption(response.headers_mut(), found.details.encryption.as_ref());
    if found.checksum.is_some() {
        insert_value(response.headers_mut(), &checksum, None);
    }
    if source_version != VersionId::NULL
        && let Ok(value) = HeaderValue::from_str(&version_text(source_version))
    {
        response.headers_mut().insert(HeaderName::from_static("x-amz-copy-source-version-id"), value);
    }
    Ok(response)
}

/// The bytes of the part, and what is known of them.
struct Part {
    md5: [u8; 16],
    checksum: ObjectChecksum,
    salt: Option<SealSalt>,
    /// The bytes, if they were written anew; the inner `None` for no bytes.
    rewritten: Option<Option<StoredContent>>,
}

impl Part {
    /// Shares the source's bytes if they and the upload are in clear, and rewrites them otherwise: each part is sealed
    /// under a key of its own.
    async fn make(
        state: &GatewayState,
        source: &Source,
        first: u64,
        length: u64,
        upload: &UploadInfo,
        seal: Option<ContentSeal>,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Self, Refusal> {
        if seal.is_none() && source.read.object.details.encryption.is_none() {
            let (md5, checksum) = digests(state, source, first, length, algorithm).await?;
            return Ok(Self { md5, checksum, salt: None, rewritten: None });
        }
        let stored = rewrite(state, source, first, length, upload.class, seal, algorithm).await?;
        let checksum = kept_of(&stored.digests, algorithm).ok_or(S3ErrorCode::InternalError)?;
        Ok(Self { md5: stored.tag, checksum, salt: stored.salt, rewritten: Some(stored.content) })
    }
}

/// MD5 and checksum of the bytes: taken from the source where it has them for exactly these bytes, else computed.
async fn digests(
    state: &GatewayState,
    source: &Source,
    first: u64,
    length: u64,
    algorithm: ChecksumAlgorithm,
) -> Result<([u8; 16], ObjectChecksum), Refusal> {
    let object = &source.read.object;
    let known = object
        .checksum
        .clone()
        .filter(|kept| kept.kind == object::ChecksumType::FullObject && algorithm_of(kept.algorithm) == algorithm);
    if let (true, None, Some(known)) = ((first, length) == (0, object.size), object.etag.parts, known) {
        return Ok((object.etag.md5, known));
    }
    let digests = source.digest(state, first, length, true, Some(algorithm)).await?;
    match (digests.md5, digests.checksum(algorithm)) {
        (Some(md5), Some(checksum)) => Ok((md5, full_object(&checksum))),
        (_, _) => Err(S3ErrorCode::InternalError.into()),
    }
}
