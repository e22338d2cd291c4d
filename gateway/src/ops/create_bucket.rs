//! CreateBucket: a bucket with everything it is configured with from the beginning, in one command.

use super::Outcome;
use super::acl_request::{AclRules, acl_of_new_bucket};
use super::bucket::{BUCKET_ARN, CLASSIC_REGION, bucket_arn};
use super::bucket_documents::{settings_now, store};
use super::refused_headers::refuse_unbuilt;
use crate::config::NewBuckets;
use crate::documents::{BucketTagging, CreateBucketConfiguration, Document};
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{GatewayState, Refusal, ResponseBody, S3Request, S3Response};
use bytes::Bytes;
use granary_access::acl::to_document;
use granary_access::{ObjectOwnership, PublicAccessBlock};
use granary_protocol::ErrorCode;
use granary_protocol::bucket::BucketDocument;
use http::header::{HeaderValue, LOCATION};

const OBJECT_LOCK: &str = "x-amz-bucket-object-lock-enabled";
const OWNERSHIP: &str = "x-amz-object-ownership";

/// Creates a bucket in this region.
pub(super) async fn create_bucket(state: &GatewayState, mut request: S3Request) -> Outcome {
    refuse_unbuilt(&request.headers)?;
    let object_lock = object_lock_asked(&request)?;
    let ownership = ownership_asked(&request)?;
    let spec = request.body_spec()?;
    let document = request.document(spec, state.config.xml_bytes_max).await?;
    let configuration = CreateBucketConfiguration::parse(&document)?;
    let region = &state.config.region;
    configuration.check_location(region)?;
    let (ownership, block) = first_settings(state.config.new_buckets, ownership);
    let mut documents = Vec::new();
    documents.extend(ownership.map(|setting| (BucketDocument::OwnershipControls, setting.to_document().into())));
    documents.extend(block.map(|block| (BucketDocument::PublicAccessBlock, block.to_document().into())));
    let maker = request.maker();
    let rules = AclRules {
        bucket_owner: &maker,
        ownership: ownership.unwrap_or(ObjectOwnership::ObjectWriter),
        block: block.unwrap_or_default(),
    };
    let acl: Option<Bytes> =
        acl_of_new_bucket(state, &rules, &request.headers).await?.map(|acl| to_document(&acl).into());
    documents.extend(acl.clone().map(|acl| (BucketDocument::Acl, acl)));
    if !configuration.tags.is_empty() {
        documents.push((BucketDocument::Tagging, BucketTagging { tags: configuration.tags }.to_xml()));
    }
    let bucket = request.bucket.clone();
    let created = state.client.create_bucket(bucket, request.maker(), region.clone(), object_lock, documents).await;
    state.settings.forget(&request.bucket);
    match created {
        Err(failure) if failure.code == ErrorCode::BucketAlreadyOwnedByYou && region == CLASSIC_REGION => {
            set_list_again(state, &request, acl).await?;
        }
        other => other?,
    }
    let mut response = S3Response::new(ResponseBody::empty());
    if let Ok(arn) = HeaderValue::from_str(&bucket_arn(&request.bucket)) {
        response.headers_mut().insert(BUCKET_ARN, arn);
    }
    if let Ok(location) = HeaderValue::from_str(&format!("/{}", request.bucket)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// In the classic region, creating one's own bucket again sets its list anew, and nothing else.
async fn set_list_again(state: &GatewayState, request: &S3Request, acl: Option<Bytes>) -> Result<(), Refusal> {
    let settings = settings_now(state, request).await?;
    if acl.is_some() && !settings.ownership().acls_count() {
        return Err(S3ErrorCode::InvalidBucketAclWithObjectOwnership.into());
    }
    match settings.document(BucketDocument::Acl) == acl.as_ref() {
        true => Ok(()),
        false => store(state, request, BucketDocument::Acl, acl).await,
    }
}

fn object_lock_asked(request: &S3Request) -> Result<bool, S3Error> {
    match request.header(OBJECT_LOCK)? {
        None | Some("") => Ok(false),
        Some(flag) if flag.eq_ignore_ascii_case("true") => Ok(true),
        Some(flag) if flag.eq_ignore_ascii_case("false") => Ok(false),
        Some(other) => Err(S3Error::invalid_argument("", OBJECT_LOCK, other)),
    }
}

fn ownership_asked(request: &S3Request) -> Result<Option<ObjectOwnership>, S3Error> {
    let Some(name) = request.header(OWNERSHIP)?.filter(|name| !name.is_empty()) else { return Ok(None) };
    let ownership = ObjectOwnership::from_name(name);
    let invalid = || S3Error::invalid_argument(format!("Invalid {OWNERSHIP} header: {name}"), OWNERSHIP, name);
    ownership.map(Some).ok_or_else(invalid)
}

/// Who owns objects in a new bucket, and what it blocks: what the request says, and else what new buckets have. `None` for
/// no setting at all.
fn first_settings(
    new: NewBuckets,
    asked: Option<ObjectOwnership>,
) -> (Option<ObjectOwnership>, Option<PublicAccessBlock>) {
    match new {
        NewBuckets::Standard => (asked.or(Some(ObjectOwnership::Undecided)), None),
        NewBuckets::Guarded => (asked.or(Some(ObjectOwnership::BucketOwnerEnforced)), Some(PublicAccessBlock::ALL)),
        NewBuckets::Open => (asked, None),
    }
}
