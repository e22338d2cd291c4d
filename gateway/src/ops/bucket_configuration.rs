//! Tags, cross-origin rules, default encryption, web site, event targets, log target, payer and acceleration of a bucket:
//! documents that are checked, kept and shown.

use super::Outcome;
use super::bucket_documents::{
    answer_stored, body_of, delete, digested_body_of, no_content, put, random_id, settings_now, store, xml_response,
};
use crate::documents::{
    AccelerateConfiguration, BucketTagging, CorsConfiguration, DefaultEncryption, Document, LoggingConfiguration,
    LoggingGrantee, LoggingTarget, NotificationConfiguration, RequestPayment, VersioningConfiguration,
    WebsiteConfiguration,
};
use crate::error::{S3Error, S3ErrorCode};
use crate::notifications::ObjectEvents;
use crate::server::{GatewayState, Refusal, ResponseBody, S3Request, S3Response};
use granary_access::ObjectOwnership;
use granary_protocol::bucket::{BucketDocument, Versioning};
use granary_protocol::{BucketName, ErrorCode};
use std::collections::BTreeSet;

/// The largest CORS document, as AWS bounds it.
const CORS_BYTES_MAX: usize = 64 << 10;

/// Whether versions are kept: an empty document where they never were.
pub(super) async fn get_bucket_versioning(state: &GatewayState, request: S3Request) -> Outcome {
    let versioning = settings_now(state, &request).await?.info.versioning;
    Ok(xml_response(VersioningConfiguration { versioning }.to_xml()))
}

/// Enables versioning or suspends it.
pub(super) async fn put_bucket_versioning(state: &GatewayState, mut request: S3Request) -> Outcome {
    if request.headers.contains_key("x-amz-mfa") {
        let error = S3Error::with_message(S3ErrorCode::NotImplemented, "MFA Delete is not supported");
        return Err(error.field("Header", "x-amz-mfa").into());
    }
    let asked = VersioningConfiguration::parse(&body_of(state, &mut request).await?)?;
    if asked.versioning == Versioning::Suspended && request.settings().info.object_lock.is_some() {
        return Err(locked_bucket().into());
    }
    let set = state.client.set_versioning(request.bucket.clone(), asked.versioning).await;
    state.settings.forget(&request.bucket);
    match set {
        Err(failure) if failure.code == ErrorCode::InvalidBucketState => Err(locked_bucket().into()),
        set => {
            set?;
            Ok(S3Response::new(ResponseBody::empty()))
        }
    }
}

fn locked_bucket() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::InvalidBucketState,
        "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
    )
}

pub(super) async fn get_bucket_tagging(state: &GatewayState, request: S3Request) -> Outcome {
    answer_stored(state, &request, BucketDocument::Tagging, S3ErrorCode::NoSuchTagSet).await
}

pub(super) async fn put_bucket_tagging(state: &GatewayState, mut request: S3Request) -> Outcome {
    let tagging = BucketTagging::parse(&digested_body_of(state, &mut request).await?)?;
    // No tags are no tag set.
    let document = (!tagging.tags.is_empty()).then(|| tagging.to_xml());
    store(state, &request, BucketDocument::Tagging, document).await?;
    Ok(no_content())
}

pub(super) async fn delete_bucket_tagging(state: &GatewayState, request: S3Request) -> Outcome {
    delete(state, &request, BucketDocument::Tagging).await
}

pub(super) async fn get_bucket_cors(state: &GatewayState, request: S3Request) -> Outcome {
    answer_stored(state, &request, BucketDocument::Cors, S3ErrorCode::NoSuchCORSConfiguration).await
}

pub(super) async fn put_bucket_cors(state: &GatewayState, mut request: S3Request) -> Outcome {
    let body = digested_body_of(state, &mut request).await?;
    if body.len() > CORS_BYTES_MAX {
        return Err(S3ErrorCode::MaxMessageLengthExceeded.into());
    }
    put(state, &request, &CorsConfiguration::parse(&body)?).await
}

pub(super) async fn delete_bucket_cors(state: &GatewayState, request: S3Request) -> Outcome {
    delete(state, &request, BucketDocument::Cors).await
}

/// The default encryption: what is done to objects that do not say, which is nothing unless bucket or store say so. (On
/// AWS every bucket has at least SSE-S3.)
pub(super) async fn get_bucket_encryption(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    match state.encryption.shown_default(settings.encryption()?) {
        Some(encryption) => Ok(xml_response(encryption.to_xml())),
        None => Err(S3ErrorCode::ServerSideEncryptionConfigurationNotFoundError.into()),
    }
}

pub(super) async fn put_bucket_encryption(state: &GatewayState, mut request: S3Request) -> Outcome {
    let encryption = DefaultEncryption::parse(&body_of(state, &mut request).await?)?;
    put(state, &request, &encryption).await
}

/// Returns to what the store does.
pub(super) async fn delete_bucket_encryption(state: &GatewayState, request: S3Request) -> Outcome {
    delete(state, &request, BucketDocument::Encryption).await
}

pub(super) async fn get_bucket_website(state: &GatewayState, request: S3Request) -> Outcome {
    answer_stored(state, &request, BucketDocument::Website, S3ErrorCode::NoSuchWebsiteConfiguration).await
}

pub(super) async fn put_bucket_website(state: &GatewayState, mut request: S3Request) -> Outcome {
    let website = WebsiteConfiguration::parse(&body_of(state, &mut request).await?)?;
    put(state, &request, &website).await
}

pub(super) async fn delete_bucket_website(state: &GatewayState, request: S3Request) -> Outcome {
    delete(state, &request, BucketDocument::Website).await
}

/// Where events go; an empty document for nowhere.
pub(super) async fn get_bucket_notification(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    let notification = settings.notification()?.cloned().unwrap_or_default();
    Ok(xml_response(notification.to_xml()))
}

pub(super) async fn put_bucket_notification(state: &GatewayState, mut request: S3Request) -> Outcome {
    let id = random_id()?;
    let mut made = 0;
    let notification = NotificationConfiguration::parse_request(&body_of(state, &mut request).await?, || {
        made += 1;
        format!("{id}{made:04x}")
    })?;
    // As on AWS the caller may vouch for destinations that are not there yet.
    let is_vouched_for = request.header("x-amz-skip-destination-validation")?.is_some_and(|value| value == "true");
    check_destinations(state, &notification, is_vouched_for)?;
    let mut response = put(state, &request, &notification).await?;
    let arns: BTreeSet<String> = notification.targets.into_iter().map(|target| target.arn).collect();
    ObjectEvents::announce_test(response.extensions_mut(), arns.into_iter().collect());
    Ok(response)
}

/// Every destination must be a webhook the operator has named.
fn check_destinations(
    state: &GatewayState,
    notification: &NotificationConfiguration,
    is_vouched_for: bool,
) -> Result<(), S3Error> {
    if notification.event_bridge {
        return Err(S3Error::new(S3ErrorCode::NotImplemented).field("Element", "EventBridgeConfiguration"));
    }
    let unknown = notification.targets.iter().find(|target| state.targets.find(&target.arn).is_none());
    match unknown.filter(|_| !is_vouched_for) {
        Some(target) => Err(S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "Unable to validate the following destination configurations",
        )
        .field("ArgumentName", &target.arn)
        .field("ArgumentValue", "The destination does not exist")),
        None => Ok(()),
    }
}

/// Where the access log goes; an empty document for nowhere.
pub(super) async fn get_bucket_logging(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    let logging = settings.logging()?.cloned().unwrap_or_default();
    Ok(xml_response(logging.to_xml()))
}

pub(super) async fn put_bucket_logging(state: &GatewayState, mut request: S3Request) -> Outcome {
    let logging = LoggingConfiguration::parse(&body_of(state, &mut request).await?)?;
    if let Some(target) = &logging.target {
        check_log_target(state, &request, target).await?;
    }
    put(state, &request, &logging).await
}

/// The target must be there, belong to the same owner and, for grants to count, have lists; no grant is to an address, which
/// AWS serves no more.
async fn check_log_target(state: &GatewayState, request: &S3Request, target: &LoggingTarget) -> Result<(), Refusal> {
    let refused = |message| {
        let error = S3Error::with_message(S3ErrorCode::InvalidTargetBucketForLogging, message);
        Refusal::from(error.field("TargetBucket", &target.bucket))
    };
    let settings = match state.settings.fetch(&BucketName(target.bucket.clone())).await {
        Err(failure) if failure.code == ErrorCode::NoSuchBucket => {
            return Err(refused("The target bucket for logging does not exist"));
        }
        settings => settings?,
    };
    if settings.info.owner != request.settings().info.owner {
        return Err(refused("The owner for the bucket to be logged and the target bucket must be the same."));
    }
    if target.grants.iter().any(|(grantee, _)| matches!(grantee, LoggingGrantee::Email(_))) {
        return Err(S3ErrorCode::MethodNotAllowed.into());
    }
    if !target.grants.is_empty() && settings.ownership() == ObjectOwnership::BucketOwnerEnforced {
        return Err(S3ErrorCode::InvalidBucketAclWithObjectOwnership.into());
    }
    Ok(())
}

/// Who pays; the owner where nothing was set.
pub(super) async fn get_bucket_request_payment(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    Ok(xml_response(settings.request_payment()?.to_xml()))
}

pub(super) async fn put_bucket_request_payment(state: &GatewayState, mut request: S3Request) -> Outcome {
    let payer = RequestPayment::parse(&body_of(state, &mut request).await?)?;
    put(state, &request, &payer).await
}

/// The status of acceleration; an empty document where it never had one.
pub(super) async fn get_bucket_accelerate(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = settings_now(state, &request).await?;
    let document = settings.document(BucketDocument::Accelerate).cloned();
    Ok(xml_response(document.unwrap_or_else(|| AccelerateConfiguration::Never.to_xml())))
}

pub(super) async fn put_bucket_accelerate(state: &GatewayState, mut request: S3Request) -> Outcome {
    let status = AccelerateConfiguration::parse(&body_of(state, &mut request).await?)?;
    if request.bucket.as_str().contains('.') {
        return Err(S3Error::invalid_request(
            "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names",
        )
        .into());
    }
    put(state, &request, &status).await
}
