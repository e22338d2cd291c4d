//! CreateBucket: a bucket with everything it is configured with from the beginning, in one command.

use super::Outcome;
use super::acl_request::{acl_of_new_bucket, names_lists};
use super::bucket::CLASSIC_REGION;
use super::refused_headers::refuse_unbuilt;
use crate::config::NewBuckets;
use crate::documents::{BucketTagging, CreateBucketConfiguration, Document};
use crate::error::S3Error;
use crate::server::{BucketSettings, GatewayState, OWNERSHIP_BY_DEFAULT, ResponseBody, S3Request, S3Response};
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
    let lists = names_lists(&request.headers)?;
    let mut documents = first_documents(state.config.new_buckets, ownership, lists);
    let in_force = ownership_of(&documents);
    if let Some(acl) = acl_of_new_bucket(state, &request.maker(), in_force, &request.headers).await? {
        documents.push((BucketDocument::Acl, to_document(&acl).into()));
    }
    if !configuration.tags.is_empty() {
        documents.push((BucketDocument::Tagging, BucketTagging { tags: configuration.tags }.to_xml()));
    }
    let bucket = request.bucket.clone();
    let created = state.client.create_bucket(bucket, request.maker(), region.clone(), object_lock, documents).await;
    state.settings.forget(&request.bucket);
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

/// Who will own objects in a bucket that starts with these documents.
fn ownership_of(documents: &[(BucketDocument, Bytes)]) -> ObjectOwnership {
    let found = documents.iter().find(|(kind, _)| *kind == BucketDocument::OwnershipControls);
    BucketSettings::ownership_in(found.map(|(_, document)| document))
}

/// What a bucket is configured with that says no more than who owns its objects. `lists`: the request brings an access
/// control list.
fn first_documents(new: NewBuckets, ownership: Option<ObjectOwnership>, lists: bool) -> Vec<(BucketDocument, Bytes)> {
    let mut documents = Vec::new();
    let ownership = ownership.or(match new {
        NewBuckets::Standard if lists => Some(ObjectOwnership::ObjectWriter),
        NewBuckets::Guarded => Some(ObjectOwnership::BucketOwnerEnforced),
        NewBuckets::Standard | NewBuckets::Open => None,
    });
    match (ownership, new) {
        (Some(ownership), _) => documents.push((BucketDocument::OwnershipControls, ownership.to_document().into())),
        (None, NewBuckets::Open) => {}
        (None, NewBuckets::Standard | NewBuckets::Guarded) => {
            documents.push((BucketDocument::OwnershipControls, Bytes::from_static(OWNERSHIP_BY_DEFAULT)));
        }
    }
    if new == NewBuckets::Guarded {
        documents.push((BucketDocument::PublicAccessBlock, PublicAccessBlock::ALL.to_document().into()));
    }
    documents
}
