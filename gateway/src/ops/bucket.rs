//! HeadBucket, DeleteBucket, GetBucketLocation.

use super::Outcome;
use super::xml_writer::Xml;
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

/// The region whose buckets have an empty location, and where creating one's own bucket again is a success.
pub(super) const CLASSIC_REGION: &str = "us-east-1";
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// Answers whether the bucket exists.
pub(super) async fn head_bucket(state: &GatewayState, request: S3Request) -> Outcome {
    let bucket = state.client.get_bucket(request.bucket).await?;
    let mut response = S3Response::new(ResponseBody::empty());
    let headers = response.headers_mut();
    if let Ok(region) = HeaderValue::from_str(&bucket.region) {
        headers.insert(BUCKET_REGION, region);
    }
    headers.insert(HeaderName::from_static("x-amz-access-point-alias"), HeaderValue::from_static("false"));
    Ok(response)
}

/// Deletes an empty bucket.
pub(super) async fn delete_bucket(state: &GatewayState, request: S3Request) -> Outcome {
    let deleted = state.client.delete_bucket(request.bucket.clone()).await;
    state.settings.forget(&request.bucket);
    deleted?;
    let mut response = S3Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Answers with the bucket's region; nothing for the classic one.
pub(super) async fn get_bucket_location(state: &GatewayState, request: S3Request) -> Outcome {
    let bucket = state.client.get_bucket(request.bucket).await?;
    let mut xml = Xml::document("LocationConstraint", 64);
    if bucket.region != CLASSIC_REGION {
        xml.text(&bucket.region);
    }
    Ok(xml.into_response())
}
