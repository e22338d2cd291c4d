//! HeadBucket, DeleteBucket, GetBucketLocation.

use super::Outcome;
use super::xml_writer::Xml;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use granary_protocol::bucket::Versioning;
use granary_protocol::{BucketName, ErrorCode};
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

/// The region whose buckets have an empty location, and where creating one's own bucket again is a success.
pub(super) const CLASSIC_REGION: &str = "us-east-1";
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");
pub(super) const BUCKET_ARN: HeaderName = HeaderName::from_static("x-amz-bucket-arn");

/// A bucket's name in policies.
pub(super) fn bucket_arn(bucket: &BucketName) -> String {
    format!("arn:aws:s3:::{bucket}")
}

/// Answers whether the bucket exists.
pub(super) async fn head_bucket(state: &GatewayState, request: S3Request) -> Outcome {
    let bucket = state.client.get_bucket(request.bucket).await?;
    let mut response = S3Response::new(ResponseBody::empty());
    let headers = response.headers_mut();
    if let Ok(region) = HeaderValue::from_str(&bucket.region) {
        headers.insert(BUCKET_REGION, region);
    }
    if let Ok(arn) = HeaderValue::from_str(&bucket_arn(&bucket.name)) {
        headers.insert(BUCKET_ARN, arn);
    }
    headers.insert(HeaderName::from_static("x-amz-access-point-alias"), HeaderValue::from_static("false"));
    Ok(response)
}

/// Deletes an empty bucket.
pub(super) async fn delete_bucket(state: &GatewayState, request: S3Request) -> Outcome {
    let deleted = state.client.delete_bucket(request.bucket.clone()).await;
    state.settings.forget(&request.bucket);
    if let Err(failure) = deleted {
        return Err(match failure.code {
            ErrorCode::BucketNotEmpty => not_empty(&request).into(),
            _ => failure.into(),
        });
    }
    let mut response = S3Response::new(ResponseBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn not_empty(request: &S3Request) -> S3Error {
    let error = match request.versioning() {
        Versioning::Off => S3Error::new(S3ErrorCode::BucketNotEmpty),
        Versioning::Enabled | Versioning::Suspended => S3Error::with_message(
            S3ErrorCode::BucketNotEmpty,
            "The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
        ),
    };
    error.field("BucketName", request.bucket.as_str())
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
