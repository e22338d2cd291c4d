//! CreateMultipartUpload and AbortMultipartUpload, and what all requests about an upload share.

use super::Outcome;
use super::bucket_lifecycle::insert_abort_date;
use super::checksums::{kept_algorithm, kept_type};
use super::new_object::ObjectSettings;
use super::refused_headers::refuse_unbuilt;
use super::text::{parse_upload, upload_text};
use super::xml_writer::Xml;
use crate::checksum::{ChecksumAlgorithm, ChecksumType, requested_algorithm, requested_type};
use crate::encryption::{Asked, ContentSeal, CustomerKey, check_upload_key, insert_new_encryption};
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, Refusal, ResponseBody, S3Request, S3Response};
use granary_protocol::UploadId;
use granary_protocol::object::{PARTS_MAX, UploadInfo};
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

/// The upload a request names.
///
/// # Errors
/// `NoSuchUpload` for what no upload is called.
pub(super) fn upload_id(request: &S3Request) -> Result<UploadId, S3Error> {
    parse_upload(request.query.get("uploadId").unwrap_or_default())
}

/// The part a request names: 1 to 10,000.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn part_number(request: &S3Request) -> Result<u16, S3Error> {
    let text = request.query.get("partNumber").unwrap_or_default();
    text.parse().ok().filter(|number| (1..=PARTS_MAX).contains(number)).ok_or_else(|| {
        S3Error::invalid_argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", text)
    })
}

/// How a part of this upload is sealed; `None` in clear. The key the request brings, if any, is judged.
///
/// # Errors
/// `InvalidRequest` for another key than the upload was created with; those of the key store.
pub(super) async fn part_seal(
    state: &GatewayState,
    headers: &HeaderMap,
    upload: &UploadInfo,
) -> Result<Option<ContentSeal>, Refusal> {
    let customer = CustomerKey::of_object(headers)?;
    let kept = upload.details.encryption.as_ref();
    check_upload_key(kept, customer.as_ref())?;
    match kept {
        None => Ok(None),
        Some(kept) => state.encryption.part(kept, customer.as_ref()).await.map(Some),
    }
}

/// Starts an upload. Its headers, class and checksum are fixed now.
pub(super) async fn create_upload(state: &GatewayState, request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let ObjectSettings { owner, class, lock, mut details } = ObjectSettings::read(state, &request).await?;
    let plan = state.encryption.plan(Asked::read(&request.headers)?, request.settings().encryption()?)?;
    let checksum = requested_checksum(&request)?;
    let kept = checksum.map(|(algorithm, kind)| (kept_algorithm(algorithm), kept_type(kind)));
    let settings = request.settings().clone();
    let encryption = state.encryption.begin(&plan).await?.map(|seal| seal.kept);
    details.encryption.clone_from(&encryption);
    let (bucket, key) = (request.bucket, request.key);
    let upload = state.client.create_upload(bucket.clone(), key.clone(), owner, class, kept, lock, details).await?;
    let mut xml = Xml::document("InitiateMultipartUploadResult", 256);
    xml.element("Bucket", bucket.as_str());
    xml.element("Key", key.as_str());
    xml.element("UploadId", &upload_text(upload));
    let mut response = xml.into_response();
    insert_abort_date(response.headers_mut(), &settings, key.as_str(), state.now());
    insert_new_encryption(response.headers_mut(), encryption.as_ref());
    if let Some((algorithm, kind)) = checksum {
        for (name, value) in [("x-amz-checksum-algorithm", algorithm.name()), ("x-amz-checksum-type", kind.name())] {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    Ok(response)
}

fn requested_checksum(request: &S3Request) -> Result<Option<(ChecksumAlgorithm, ChecksumType)>, S3Error> {
    let Some(algorithm) = requested_algorithm(&request.headers)? else {
        if request.headers.contains_key("x-amz-checksum-type") {
            return Err(S3Error::invalid_request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            ));
        }
        return Ok(None);
    };
    Ok(Some((algorithm, requested_type(&request.headers, algorithm)?)))
}

/// Ends an upload and gives its parts' space back.
pub(super) async fn abort_upload(state: &GatewayState, request: S3Request) -> Outcome {
    if request.headers.contains_key("x-amz-if-match-initiated-time") {
        return Err(S3Error::new(S3ErrorCode::NotImplemented).field("Header", "x-amz-if-match-initiated-time").into());
    }
    let upload = upload_id(&request)?;
    state.client.abort_upload(request.bucket, request.key, upload).await?;
    let mut response = S3Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
