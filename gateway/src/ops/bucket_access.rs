//! Who may come into a bucket: its policy, the public access block, and who owns what is in it.

use super::Outcome;
use super::bucket_documents::{body_of, delete, no_content, settings_now, store};
use super::xml_writer::Xml;
use crate::documents::{
    parse_ownership_controls, parse_public_access_block, write_ownership_controls, write_public_access_block,
};
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{BucketSettings, GatewayState, ResponseBody, S3Request, S3Response};
use granary_access::{ObjectOwnership, Policy, PublicAccessBlock, acl};
use granary_protocol::bucket::BucketDocument;
use http::header::{CONTENT_TYPE, HeaderValue};

/// The policy as it was put, byte for byte.
pub(super) async fn get_bucket_policy(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    let Some(policy) = settings.document(BucketDocument::Policy) else { return Err(no_policy(&request).into()) };
    let mut response = S3Response::new(ResponseBody::Known(policy.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// Replaces the policy, unless it would open the bucket to the public where that is blocked.
pub(super) async fn put_bucket_policy(state: &GatewayState, mut request: S3Request) -> Outcome {
    let document = body_of(state, &mut request).await.map_err(|error| match error.code() {
        S3ErrorCode::MissingRequestBodyError => malformed("Policies must be valid JSON and the first byte must be '{'"),
        _ => error,
    })?;
    let policy = Policy::parse_for_bucket(&document, request.bucket.as_str());
    let policy = policy.map_err(|error| malformed(error.to_string()))?;
    let settings = settings_now(state, &request).await?;
    if settings.public_access_block().block_public_policy && policy.is_public() {
        return Err(S3Error::with_message(
            S3ErrorCode::AccessDenied,
            "Access Denied: public policies are blocked by the BlockPublicPolicy setting of Block Public Access",
        )
        .into());
    }
    store(state, &request, BucketDocument::Policy, Some(document)).await?;
    Ok(no_content())
}

pub(super) async fn delete_bucket_policy(state: &GatewayState, request: S3Request) -> Outcome {
    delete(state, &request, BucketDocument::Policy).await
}

/// Whether the bucket's policy or its list lets the public in. A bucket without either does not: that is an answer, too.
/// (AWS has no status where there is no policy.)
pub(super) async fn get_bucket_policy_status(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    let is_public = settings.access().is_public();
    let mut xml = Xml::document("PolicyStatus", 64);
    xml.plain("IsPublic", is_public);
    Ok(xml.into_response())
}

fn no_policy(request: &S3Request) -> S3Error {
    S3Error::new(S3ErrorCode::NoSuchBucketPolicy).field("BucketName", request.bucket.as_str())
}

fn malformed(message: impl Into<String>) -> S3Error {
    S3Error::with_message(S3ErrorCode::MalformedPolicy, message.into())
}

pub(super) async fn get_public_access_block(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    match settings.document(BucketDocument::PublicAccessBlock) {
        Some(_) => Ok(write_public_access_block(&settings.public_access_block()).into_response()),
        None => {
            let error = S3Error::new(S3ErrorCode::NoSuchPublicAccessBlockConfiguration);
            Err(error.field("BucketName", request.bucket.as_str()).into())
        }
    }
}

pub(super) async fn put_public_access_block(state: &GatewayState, mut request: S3Request) -> Outcome {
    let block: PublicAccessBlock = parse_public_access_block(&body_of(state, &mut request).await?)?;
    store(state, &request, BucketDocument::PublicAccessBlock, Some(block.to_document().into())).await?;
    Ok(S3Response::new(ResponseBody::empty()))
}

pub(super) async fn delete_public_access_block(state: &GatewayState, request: S3Request) -> Outcome {
    delete(state, &request, BucketDocument::PublicAccessBlock).await
}

pub(super) async fn get_bucket_ownership_controls(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    match settings.document(BucketDocument::OwnershipControls) {
        Some(_) => Ok(write_ownership_controls(ownership_shown(&settings)).into_response()),
        None => {
            let error = S3Error::new(S3ErrorCode::OwnershipControlsNotFoundError);
            Err(error.field("BucketName", request.bucket.as_str()).into())
        }
    }
}

/// Where nobody has chosen, what comes nearest to what holds.
fn ownership_shown(settings: &BucketSettings) -> ObjectOwnership {
    match settings.ownership() {
        ObjectOwnership::Undecided if settings.document(BucketDocument::Acl).is_some() => ObjectOwnership::ObjectWriter,
        ownership => ownership,
    }
}

/// Says who owns objects. Lists can be switched off only where the bucket's own gives nothing to others.
pub(super) async fn put_bucket_ownership_controls(state: &GatewayState, mut request: S3Request) -> Outcome {
    let ownership = parse_ownership_controls(&body_of(state, &mut request).await?)?;
    if ownership == ObjectOwnership::BucketOwnerEnforced {
        let settings = settings_now(state, &request).await?;
        let document = settings.document(BucketDocument::Acl);
        let grants = acl::shown_grants(
            document.and_then(|document| acl::from_document(Some(document))).as_ref(),
            &settings.info.owner,
        );
        let to_owner = |grant: &granary_protocol::acl::Grant| matches!(&grant.grantee, granary_protocol::acl::Grantee::User(user) if *user == settings.info.owner);
        if !grants.iter().all(to_owner) {
            return Err(S3ErrorCode::InvalidBucketAclWithObjectOwnership.into());
        }
    }
    store(state, &request, BucketDocument::OwnershipControls, Some(ownership.to_document().into())).await?;
    Ok(S3Response::new(ResponseBody::empty()))
}

pub(super) async fn delete_bucket_ownership_controls(state: &GatewayState, request: S3Request) -> Outcome {
    delete(state, &request, BucketDocument::OwnershipControls).await
}
