//! What all parts of a bucket's configuration have in common: reading a request's document, storing it, answering with
//! what is stored.

use super::Outcome;
use crate::documents::Document;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{BucketSettings, GatewayState, Refusal, ResponseBody, S3Request, S3Response};
use bytes::Bytes;
use granary_protocol::bucket::BucketDocument;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use std::sync::Arc;

/// The request's document.
///
/// # Errors
/// `MissingRequestBodyError` for none.
pub(super) async fn body_of(state: &GatewayState, request: &mut S3Request) -> Result<Bytes, S3Error> {
    let spec = request.body_spec()?;
    let document = request.document(spec, state.config.xml_bytes_max).await?;
    match document.trim_ascii().is_empty() {
        true => Err(S3Error::new(S3ErrorCode::MissingRequestBodyError)),
        false => Ok(document),
    }
}

/// The request's document, which must come with a digest: `Content-MD5` or a checksum.
///
/// # Errors
/// As [`body_of`], and `InvalidRequest` without a digest.
pub(super) async fn digested_body_of(state: &GatewayState, request: &mut S3Request) -> Result<Bytes, S3Error> {
    if !request.body_spec()?.has_content_digest() {
        return Err(S3Error::invalid_request("Missing required header for this request: Content-MD5"));
    }
    body_of(state, request).await
}

/// The settings of the request's bucket as they are now: what was put through any gateway is got through this one.
pub(super) async fn settings_now(state: &GatewayState, request: &S3Request) -> Result<Arc<BucketSettings>, Refusal> {
    Ok(state.settings.fetch(&request.bucket).await?)
}

/// Replaces a document, or removes it.
pub(super) async fn store(
    state: &GatewayState,
    request: &S3Request,
    kind: BucketDocument,
    document: Option<Bytes>,
) -> Result<(), Refusal> {
    let stored = state.client.set_bucket_document(request.bucket.clone(), kind, document).await;
    // Also when the answer was lost: the change may have been made.
    state.settings.forget(&request.bucket);
    Ok(stored?)
}

/// Answers with a document as it is stored; `missing` if there is none.
pub(super) async fn answer_stored(
    state: &GatewayState,
    request: &S3Request,
    kind: BucketDocument,
    missing: S3ErrorCode,
) -> Outcome {
    let settings = settings_now(state, request).await?;
    match settings.document(kind) {
        Some(document) => Ok(xml_response(document.clone())),
        None => Err(S3Error::new(missing).field("BucketName", request.bucket.as_str()).into()),
    }
}

/// Stores a document and answers 200.
pub(super) async fn put<D: Document>(state: &GatewayState, request: &S3Request, document: &D) -> Outcome {
    store(state, request, D::KIND, Some(document.to_xml())).await?;
    Ok(S3Response::new(ResponseBody::empty()))
}

/// Removes a document and answers 204, also if there was none.
pub(super) async fn delete(state: &GatewayState, request: &S3Request, kind: BucketDocument) -> Outcome {
    store(state, request, kind, None).await?;
    Ok(no_content())
}

/// A 204.
pub(super) fn no_content() -> S3Response {
    let mut response = S3Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A 200 with an XML document.
pub(super) fn xml_response(document: Bytes) -> S3Response {
    let mut response = S3Response::new(ResponseBody::Known(document));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// An id for a rule that was given none.
///
/// # Errors
/// `InternalError` if the machine has no randomness to give.
pub(super) fn random_id() -> Result<String, S3Error> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "no random numbers");
        S3Error::new(S3ErrorCode::InternalError)
    })?;
    Ok(hex::encode(bytes))
}
