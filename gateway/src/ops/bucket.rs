//! CreateBucket, HeadBucket, DeleteBucket, GetBucketLocation, GetBucketVersioning.

use super::Outcome;
use super::refused_headers::refuse_unbuilt;
use super::xml_reader::XmlDocument;
use super::xml_writer::Xml;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, ResponseBody, S3Request, S3Response};
use granary_protocol::ErrorCode;
use granary_protocol::bucket::Versioning;
use http::header::{HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode};

/// The region whose buckets have an empty location, and where creating one's own bucket again is a success.
const CLASSIC_REGION: &str = "us-east-1";
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// Creates a bucket in this region.
pub(super) async fn create_bucket(state: &GatewayState, mut request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    refuse_bucket_settings(&request.headers)?;
    let spec = request.body_spec()?;
    let document = request.document(spec, state.config.xml_bytes_max).await?;
    let region = &state.config.region;
    if let Some(location) = location_constraint(&document)?
        && location != *region
    {
        return Err(S3Error::with_message(
            S3ErrorCode::IllegalLocationConstraintException,
            format!(
                "The {location} location constraint is incompatible for the region specific endpoint this request was \
                 sent to."
            ),
        )
        .into());
    }
    let created =
        state.client.create_bucket(request.bucket.clone(), state.owner(), region.clone(), false, Vec::new()).await;
    match created {
        Err(failure) if failure.code == ErrorCode::BucketAlreadyOwnedByYou && region == CLASSIC_REGION => {}
        other => other?,
    }
    let mut response = S3Response::new(ResponseBody::empty());
    if let Ok(location) = HeaderValue::from_str(&format!("/{}", request.bucket)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Settings of the bucket to be that would not be kept.
fn refuse_bucket_settings(headers: &HeaderMap) -> Result<(), S3Error> {
    let is = |name: &str, accepted: &str| {
        headers.get(name).is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(accepted.as_bytes()))
    };
    for (name, accepted) in
        [("x-amz-bucket-object-lock-enabled", "false"), ("x-amz-object-ownership", "BucketOwnerEnforced")]
    {
        if !is(name, accepted) {
            return Err(S3Error::new(S3ErrorCode::NotImplemented).field("Header", name));
        }
    }
    Ok(())
}

fn location_constraint(document: &[u8]) -> Result<Option<String>, S3Error> {
    if document.trim_ascii().is_empty() {
        return Ok(None);
    }
    let mut xml = XmlDocument::open(document, "CreateBucketConfiguration", 64)?;
    let mut location = None;
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "LocationConstraint" => location = Some(xml.text()?.trim().to_owned()),
            // Directory buckets and tags: a setting that would be dropped is refused.
            _other => return Err(S3Error::new(S3ErrorCode::NotImplemented).field("Element", name)),
        }
    }
    xml.finish()?;
    Ok(location.filter(|location| !location.is_empty()))
}

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
    state.client.delete_bucket(request.bucket).await?;
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

/// Answers whether versions are kept: an empty document where they never were.
pub(super) async fn get_bucket_versioning(state: &GatewayState, request: S3Request) -> Outcome {
    let bucket = state.client.get_bucket(request.bucket).await?;
    let mut xml = Xml::document("VersioningConfiguration", 64);
    match bucket.versioning {
        Versioning::Off => {}
        Versioning::Enabled => xml.element("Status", "Enabled"),
        Versioning::Suspended => xml.element("Status", "Suspended"),
    }
    Ok(xml.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_constraints() {
        let read = |text: &str| location_constraint(text.as_bytes());
        assert_eq!(read(" \n").unwrap(), None);
        assert_eq!(read("<CreateBucketConfiguration/>").unwrap(), None);
        let document = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                        <LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
        assert_eq!(read(document).unwrap().as_deref(), Some("eu-west-1"));
        assert_eq!(read("<Other/>").unwrap_err().code(), S3ErrorCode::MalformedXML);
        let tags = "<CreateBucketConfiguration><Tags/></CreateBucketConfiguration>";
        assert_eq!(read(tags).unwrap_err().code(), S3ErrorCode::NotImplemented);
    }
}
