//! GetBucketAcl, PutBucketAcl, GetObjectAcl, PutObjectAcl.

use super::Outcome;
use super::acl_document::{acl_document, parse_acl};
use super::acl_request::{AclRules, RequestedAcl, acl_of_headers, resolve};
use super::events::announce_change;
use super::object_tagging::amend;
use super::owners::Owners;
use super::version::{explain, explain_beside, insert_version, requested_version};
use crate::error::{S3Error, S3ErrorCode};
use crate::notifications::EventKind;
use crate::server::{BucketSettings, GatewayState, Refusal, ResponseBody, S3Request, S3Response};
use bytes::Bytes;
use granary_access::acl::{from_document, to_document};
use granary_protocol::CanonicalId;
use granary_protocol::acl::{Acl, Grantee};
use granary_protocol::bucket::BucketDocument;
use granary_protocol::namenode::{ObjectChange, Window};

/// Answers with the bucket's list.
pub(super) async fn get_bucket_acl(state: &GatewayState, request: S3Request) -> Outcome {
    let settings = request.settings();
    let (owner, acl) = (&settings.info.owner, bucket_acl(settings));
    let owners = named_in(state, owner, acl.as_ref()).await?;
    Ok(acl_document(owner, acl.as_ref(), &owners).into_response())
}

/// Replaces the bucket's list.
pub(super) async fn put_bucket_acl(state: &GatewayState, mut request: S3Request) -> Outcome {
    let settings = request.settings().clone();
    let rules = AclRules::of(&settings);
    let owner = &settings.info.owner;
    let requested = requested_acl(state, &mut request, owner).await?;
    if !rules.ownership.acls_count() {
        return Err(S3ErrorCode::AccessControlListNotSupported.into());
    }
    let acl = resolve(state, &rules, owner, requested).await?;
    let document = acl.map(|acl| Bytes::from(to_document(&acl)));
    let set = state.client.set_bucket_document(request.bucket.clone(), BucketDocument::Acl, document).await;
    state.settings.forget(&request.bucket);
    set?;
    Ok(S3Response::new(ResponseBody::empty()))
}

/// Answers with a version's list.
pub(super) async fn get_object_acl(state: &GatewayState, request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let found = state.client.get_object(bucket.clone(), key.clone(), version, Window::Nothing).await;
    let object = found.map_err(|failure| explain(&bucket, &key, version, failure))?.object;
    let rules = AclRules::of(request.settings());
    // Where lists do not count everything is the bucket owner's, whoever wrote it and whatever was granted before.
    let (owner, acl) = match rules.ownership.acls_count() {
        true => (&object.owner, object.details.acl.as_ref()),
        false => (rules.bucket_owner, None),
    };
    let owners = named_in(state, owner, acl).await?;
    let mut response = acl_document(owner, acl, &owners).into_response();
    insert_version(response.headers_mut(), object.version, request.versioning());
    Ok(response)
}

/// Replaces a version's list.
pub(super) async fn put_object_acl(state: &GatewayState, mut request: S3Request) -> Outcome {
    let version = requested_version(&request)?;
    let settings = request.settings().clone();
    let rules = AclRules::of(&settings);
    let (bucket, key) = (request.bucket.clone(), request.key.clone());
    let found = state.client.get_object(bucket.clone(), key.clone(), version, Window::Nothing).await;
    let object = found.map_err(|failure| explain_beside(&bucket, &key, version, failure))?.object;
    let requested = requested_acl(state, &mut request, &object.owner).await?;
    if !rules.ownership.acls_count() {
        return Err(S3ErrorCode::AccessControlListNotSupported.into());
    }
    let acl = resolve(state, &rules, &object.owner, requested).await?;
    let changed = amend(state, &request, Some(object.version), ObjectChange::Acl(acl)).await?;
    let mut response = S3Response::new(ResponseBody::empty());
    insert_version(response.headers_mut(), changed, request.versioning());
    announce_change(&mut response, EventKind::AclPut, &request, changed);
    Ok(response)
}

/// The list of a request that sets one: in its headers or its document, which must name the right owner.
async fn requested_acl(
    state: &GatewayState,
    request: &mut S3Request,
    owner: &CanonicalId,
) -> Result<RequestedAcl, Refusal> {
    let in_headers = acl_of_headers(&request.headers)?;
    let spec = request.body_spec()?;
    let document = request.document(spec, state.config.xml_bytes_max).await?;
    match (in_headers, document.trim_ascii().is_empty()) {
        (Some(requested), true) => Ok(requested),
        (Some(_), false) => Err(S3ErrorCode::UnexpectedContent.into()),
        (None, true) => {
            Err(S3Error::new(S3ErrorCode::MissingSecurityHeader).field("MissingHeaderName", "x-amz-acl").into())
        }
        (None, false) => {
            let named = parse_acl(&document)?;
            if named.owner != *owner {
                let argument = "CanonicalUser/ID";
                return Err(S3Error::invalid_argument("Invalid id", argument, named.owner.as_str()).into());
            }
            Ok(RequestedAcl::Grants(named.grants))
        }
    }
}

/// The list of a bucket. Where lists do not count it is the private one, whatever was granted before.
fn bucket_acl(settings: &BucketSettings) -> Option<Acl> {
    match AclRules::of(settings).ownership.acls_count() {
        true => from_document(settings.document(BucketDocument::Acl).map(Bytes::as_ref)),
        false => None,
    }
}

/// Everybody a list names.
async fn named_in(state: &GatewayState, owner: &CanonicalId, acl: Option<&Acl>) -> Result<Owners, Refusal> {
    let granted = acl.into_iter().flat_map(|acl| &acl.grants).filter_map(|grant| match &grant.grantee {
        Grantee::User(id) => Some(id),
        Grantee::AllUsers | Grantee::AuthenticatedUsers | Grantee::LogDelivery => None,
    });
    Owners::find(state, granted.chain(std::iter::once(owner))).await
}
