//! Access control lists as requests ask for them: with a canned name, with grant headers, or with a document.
//!
//! Invariant: a list that leaves here names users that exist, and says nothing that the bucket's settings forbid: where
//! the bucket's owner owns everything no list is kept, and a bucket that blocks public lists gets none.
//!
//! Source: "Access control list (ACL) overview" and "Controlling ownership of objects", Amazon S3 user guide.

use super::owners::Owners;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::{BucketSettings, GatewayState, Refusal};
use granary_access::acl::{
    AclError, CannedAcl, GRANT_HEADERS, GranteeName, RequestedGrant, is_public, parse_grant_header,
};
use granary_access::{ObjectOwnership, PublicAccessBlock};
use granary_protocol::CanonicalId;
use granary_protocol::acl::{Acl, GRANTS_MAX, Grant, Grantee, Permission};
use http::HeaderMap;

const CANNED: &str = "x-amz-acl";

/// A list that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestedAcl {
    Canned(CannedAcl),
    Grants(Vec<RequestedGrant>),
}

/// What of a bucket decides about lists in it.
pub(super) struct AclRules<'b> {
    pub bucket_owner: &'b CanonicalId,
    pub ownership: ObjectOwnership,
    pub block: PublicAccessBlock,
}

impl<'b> AclRules<'b> {
    /// The rules of a bucket.
    pub fn of(settings: &'b BucketSettings) -> Self {
        Self {
            bucket_owner: &settings.info.owner,
            ownership: settings.ownership(),
            block: settings.public_access_block(),
        }
    }
}

/// The list that headers ask for.
///
/// # Errors
/// `InvalidArgument` for a name or a grant there is not, `InvalidRequest` for both.
pub(super) fn acl_of_headers(headers: &HeaderMap) -> Result<Option<RequestedAcl>, S3Error> {
    let canned = match headers.get(CANNED).map(|value| value.to_str().unwrap_or_default().trim()) {
        None | Some("") => None,
        Some(name) => Some(CannedAcl::from_name(name).ok_or_else(|| S3Error::invalid_argument("", CANNED, name))?),
    };
    let mut grants: Option<Vec<RequestedGrant>> = None;
    for (name, permission) in GRANT_HEADERS {
        for value in headers.get_all(name) {
            let text = value.to_str().unwrap_or_default();
            let parsed = parse_grant_header(text, permission).map_err(|error| grant_error(&error, name, text))?;
            grants.get_or_insert_default().extend(parsed);
        }
    }
    match (canned, grants) {
        (Some(_), Some(_)) => {
            Err(S3Error::invalid_request("Specifying both Canned ACLs and Header Grants is not allowed."))
        }
        (Some(canned), None) => Ok(Some(RequestedAcl::Canned(canned))),
        (None, Some(grants)) if grants.len() > GRANTS_MAX => {
            Err(grant_error(&AclError::TooMany, "x-amz-grant-read", ""))
        }
        (None, grants) => Ok(grants.map(RequestedAcl::Grants)),
    }
}

fn grant_error(error: &AclError, name: &'static str, value: &str) -> S3Error {
    S3Error::invalid_argument(error.to_string(), name, value)
}

/// The owner and the list of an object that `writer` (`None` without credentials) writes.
///
/// # Errors
/// `AccessControlListNotSupported`, `AccessDenied` for a public list where those are blocked, and those of the grants.
pub(super) async fn acl_of_new_object(
    state: &GatewayState,
    rules: &AclRules<'_>,
    writer: Option<&CanonicalId>,
    requested: Option<RequestedAcl>,
) -> Result<(CanonicalId, Option<Acl>), Refusal> {
    let canned = match &requested {
        Some(RequestedAcl::Canned(canned)) => Some(*canned),
        Some(RequestedAcl::Grants(_)) | None => None,
    };
    let owner = rules.ownership.owner_of_new_object(rules.bucket_owner, writer, canned);
    let Some(requested) = requested else { return Ok((owner, None)) };
    if !rules.ownership.acls_count() {
        check_says_what_holds(&requested, rules.bucket_owner)?;
        return Ok((owner, None));
    }
    let acl = resolve(state, rules, &owner, requested).await?;
    Ok((owner, acl))
}

/// The list of a bucket that is created with these rules.
///
/// # Errors
/// `InvalidBucketAclWithObjectOwnership` where lists will not count, `AccessDenied` for a public list where those will be
/// blocked, and those of the grants.
pub(super) async fn acl_of_new_bucket(
    state: &GatewayState,
    rules: &AclRules<'_>,
    headers: &HeaderMap,
) -> Result<Option<Acl>, Refusal> {
    match acl_of_headers(headers)? {
        None | Some(RequestedAcl::Canned(CannedAcl::Private)) => Ok(None),
        Some(_) if !rules.ownership.acls_count() => Err(S3ErrorCode::InvalidBucketAclWithObjectOwnership.into()),
        Some(requested) => resolve(state, rules, rules.bucket_owner, requested).await,
    }
}

/// Where lists do not count, only one is accepted: full control for the bucket's owner.
fn check_says_what_holds(requested: &RequestedAcl, bucket_owner: &CanonicalId) -> Result<(), S3Error> {
    let is_owners = |grant: &RequestedGrant| {
        grant.permission == Permission::FullControl
            && grant.grantee == GranteeName::Known(Grantee::User(bucket_owner.clone()))
    };
    match requested {
        RequestedAcl::Canned(CannedAcl::BucketOwnerFullControl) => Ok(()),
        RequestedAcl::Grants(grants) if !grants.is_empty() && grants.iter().all(is_owners) => Ok(()),
        RequestedAcl::Canned(_) | RequestedAcl::Grants(_) => {
            Err(S3Error::new(S3ErrorCode::AccessControlListNotSupported))
        }
    }
}

/// The list with everybody in it looked up; `None` for the private one.
///
/// # Errors
/// `InvalidArgument` for a user there is not, `MethodNotAllowed` for an e-mail address, `AccessDenied`.
pub(super) async fn resolve(
    state: &GatewayState,
    rules: &AclRules<'_>,
    owner: &CanonicalId,
    requested: RequestedAcl,
) -> Result<Option<Acl>, Refusal> {
    let acl = match requested {
        RequestedAcl::Canned(canned) => canned.expand(owner, rules.bucket_owner),
        RequestedAcl::Grants(requested) => Some(Acl { grants: look_up(state, requested).await? }),
    };
    if rules.block.block_public_acls && acl.as_ref().is_some_and(is_public) {
        return Err(S3ErrorCode::AccessDenied.into());
    }
    // What tools put back when they were shown the private list.
    let own = Grant { grantee: Grantee::User(owner.clone()), permission: Permission::FullControl };
    Ok(acl.filter(|acl| acl.grants != [own]))
}

async fn look_up(state: &GatewayState, requested: Vec<RequestedGrant>) -> Result<Vec<Grant>, Refusal> {
    let mut grants = Vec::with_capacity(requested.len());
    for RequestedGrant { grantee, permission } in requested {
        match grantee {
            GranteeName::Known(grantee) => grants.push(Grant { grantee, permission }),
            // AWS knows no addresses since October 2025.
            GranteeName::Email(_) => return Err(S3ErrorCode::MethodNotAllowed.into()),
        }
    }
    let users = grants.iter().filter_map(|grant| match &grant.grantee {
        Grantee::User(id) => Some(id),
        Grantee::AllUsers | Grantee::AuthenticatedUsers | Grantee::LogDelivery => None,
    });
    let known = Owners::find(state, users.clone()).await?;
    match users.clone().find(|id| !known.contains(id)) {
        Some(unknown) => Err(S3Error::invalid_argument("Invalid id", "CanonicalUser/ID", unknown.as_str()).into()),
        None => Ok(grants),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<Option<RequestedAcl>, S3Error> {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        acl_of_headers(&pairs.collect())
    }

    #[test]
    fn headers_name_a_list_or_grants() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[("x-amz-acl", "")]).unwrap(), None);
        assert_eq!(read(&[("x-amz-acl", "public-read")]).unwrap(), Some(RequestedAcl::Canned(CannedAcl::PublicRead)));
        let Some(RequestedAcl::Grants(grants)) =
            read(&[("x-amz-grant-full-control", "id=b"), ("x-amz-grant-read", "id=a, id=c")]).unwrap()
        else {
            panic!("grants")
        };
        let permissions: Vec<_> = grants.iter().map(|grant| grant.permission).collect();
        assert_eq!(permissions, [Permission::Read, Permission::Read, Permission::FullControl]);
        for (pairs, code) in [
            (&[("x-amz-acl", "public")][..], S3ErrorCode::InvalidArgument),
            (&[("x-amz-grant-read", "a")], S3ErrorCode::InvalidArgument),
            (&[("x-amz-acl", "private"), ("x-amz-grant-read", "id=a")], S3ErrorCode::InvalidRequest),
        ] {
            assert_eq!(read(pairs).unwrap_err().code(), code, "{pairs:?}");
        }
    }

    #[test]
    fn where_lists_do_not_count_one_may_say_so() {
        let owner = CanonicalId::from("owner");
        let grants = |id: &str, permission| {
            let grantee = GranteeName::Known(Grantee::User(id.into()));
            RequestedAcl::Grants(vec![RequestedGrant { grantee, permission }])
        };
        for (requested, accepted) in [
            (RequestedAcl::Canned(CannedAcl::BucketOwnerFullControl), true),
            (RequestedAcl::Canned(CannedAcl::Private), false),
            (RequestedAcl::Canned(CannedAcl::PublicRead), false),
            (grants("owner", Permission::FullControl), true),
            (grants("owner", Permission::Read), false),
            (grants("other", Permission::FullControl), false),
            (RequestedAcl::Grants(Vec::new()), false),
        ] {
            assert_eq!(check_says_what_holds(&requested, &owner).is_ok(), accepted, "{requested:?}");
        }
    }
}
