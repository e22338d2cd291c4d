//! UploadPart.

use super::Outcome;
use super::checksums::{algorithm_of, insert_value, kept_of};
use super::refused_headers::refuse_unbuilt;
use super::response_headers::etag_value;
use super::store_body::{store_body, upload_spec};
use super::upload::{part_number, part_seal, upload_id};
use crate::checksum::ChecksumAlgorithm;
use crate::encryption::insert_encryption;
use crate::error::S3Error;
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use granary_protocol::object::{ETag, PartInfo, UploadInfo};
use http::header::ETAG;

/// Stores the body as a part of an upload, in place of an earlier one of its number.
pub(super) async fn upload_part(state: &GatewayState, mut request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let (upload, number) = (upload_id(&request)?, part_number(&request)?);
    let (spec, _length) = upload_spec(&request)?;
    let found = state.client.get_upload(request.bucket.clone(), request.key.clone(), upload).await?;
    let declared = spec.declared().algorithm();
    let algorithm = part_algorithm(&found, declared)?;
    let seal = part_seal(state, &request.headers, &found).await?;
    let stored = store_body(state, &mut request, spec.with_checksum(algorithm), found.class, seal).await?;
    let part = PartInfo {
        number,
        size: stored.digests.length,
        md5: stored.tag,
        modified: state.now(),
        checksum: kept_of(&stored.digests, algorithm),
        salt: stored.salt,
    };
    let mut response = S3Response::new(ResponseBody::empty());
    let headers = response.headers_mut();
    insert_encryption(headers, found.details.encryption.as_ref());
    headers.insert(ETAG, etag_value(&ETag { md5: part.md5, parts: None }));
    let shown = declared.or(found.checksum.map(|_| algorithm));
    if let Some(checksum) = shown.and_then(|algorithm| kept_of(&stored.digests, algorithm)) {
        insert_value(headers, &checksum, None);
    }
    state.client.put_part(request.bucket, request.key, upload, part, stored.content).await?;
    Ok(response)
}

/// The checksum kept with a part: the upload's, and where it named none the one every object gets, so that the whole
/// object can have it too.
///
/// # Errors
/// `InvalidRequest` when the client declares another one than the upload was created with.
pub(super) fn part_algorithm(
    upload: &UploadInfo,
    declared: Option<ChecksumAlgorithm>,
) -> Result<ChecksumAlgorithm, S3Error> {
    let Some((wanted, _)) = upload.checksum else { return Ok(ChecksumAlgorithm::Crc64Nvme) };
    let wanted = algorithm_of(wanted);
    match declared {
        Some(declared) if declared != wanted => Err(S3Error::invalid_request(format!(
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            wanted.name().to_ascii_lowercase(),
            declared.name().to_ascii_lowercase()
        ))),
        Some(_) | None => Ok(wanted),
    }
}
