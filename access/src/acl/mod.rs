//! Access control lists: what grants allow, what canned lists stand for, and when a list is public.
//!
//! Source: "Access control list (ACL) overview", Amazon S3 user guide.

mod canned;
mod grant_headers;

pub use canned::CannedAcl;
pub use grant_headers::{AclError, GRANT_HEADERS, GranteeName, RequestedGrant, parse_grant_header};

use crate::action::Action;
use crate::caller::Requester;
use granary_protocol::CanonicalId;
use granary_protocol::acl::{Acl, Grant, Grantee, Permission};

/// The URI of everybody.
pub const ALL_USERS_URI: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
/// The URI of everybody with credentials.
pub const AUTHENTICATED_USERS_URI: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
/// The URI of the service that delivers access logs.
pub const LOG_DELIVERY_URI: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// The group of a URI.
pub fn group_of_uri(uri: &str) -> Option<Grantee> {
    match uri {
        ALL_USERS_URI => Some(Grantee::AllUsers),
        AUTHENTICATED_USERS_URI => Some(Grantee::AuthenticatedUsers),
        LOG_DELIVERY_URI => Some(Grantee::LogDelivery),
        _ => None,
    }
}

/// The URI of a group; `None` for a user.
pub fn uri_of_group(grantee: &Grantee) -> Option<&'static str> {
    match grantee {
        Grantee::User(_) => None,
        Grantee::AllUsers => Some(ALL_USERS_URI),
        Grantee::AuthenticatedUsers => Some(AUTHENTICATED_USERS_URI),
        Grantee::LogDelivery => Some(LOG_DELIVERY_URI),
    }
}

/// The name of a permission in documents.
pub const fn permission_name(permission: Permission) -> &'static str {
    match permission {
        Permission::FullControl => "FULL_CONTROL",
        Permission::Read => "READ",
        Permission::Write => "WRITE",
        Permission::ReadAcp => "READ_ACP",
        Permission::WriteAcp => "WRITE_ACP",
    }
}

/// The permission of a name.
pub fn permission_of_name(name: &str) -> Option<Permission> {
    use Permission::*;
    [FullControl, Read, Write, ReadAcp, WriteAcp].into_iter().find(|permission| permission_name(*permission) == name)
}

/// The grants of a list as they are shown: those to groups first. `None` is the owner's full control.
pub fn shown_grants(acl: Option<&Acl>, owner: &CanonicalId) -> Vec<Grant> {
    let Some(acl) = acl else {
        return vec![Grant { grantee: Grantee::User(owner.clone()), permission: Permission::FullControl }];
    };
    let is_group = |grant: &&Grant| !matches!(grant.grantee, Grantee::User(_));
    let groups = acl.grants.iter().filter(is_group);
    groups.chain(acl.grants.iter().filter(|grant| !is_group(grant))).cloned().collect()
}

/// Reads a bucket's stored list. One that cannot be read grants nothing to anybody.
pub fn from_document(document: Option<&[u8]>) -> Option<Acl> {
    document.map(|document| serde_json::from_slice(document).unwrap_or_default())
}

/// The document to be stored.
pub fn to_document(acl: &Acl) -> Vec<u8> {
    serde_json::to_vec(acl).expect("a list of grants is JSON")
}

/// Whether a list lets the public in: everybody, or everybody with credentials.
pub fn is_public(acl: &Acl) -> bool {
    acl.grants.iter().any(|grant| is_public_group(&grant.grantee))
}

fn is_public_group(grantee: &Grantee) -> bool {
    matches!(grantee, Grantee::AllUsers | Grantee::AuthenticatedUsers)
}

/// The permission of a *bucket's* list that allows an action.
pub(crate) fn bucket_permission(action: Action) -> Option<Permission> {
    match action {
        Action::ListBucket | Action::ListBucketVersions | Action::ListBucketMultipartUploads => Some(Permission::Read),
        Action::PutObject | Action::DeleteObject | Action::AbortMultipartUpload | Action::ListMultipartUploadParts => {
            Some(Permission::Write)
        }
        Action::GetBucketAcl => Some(Permission::ReadAcp),
        Action::PutBucketAcl => Some(Permission::WriteAcp),
        _ => None,
    }
}

/// The permission of an *object's* list that allows an action.
pub(crate) fn object_permission(action: Action) -> Option<Permission> {
    match action {
        Action::GetObject
        | Action::GetObjectVersion
        | Action::GetObjectAttributes
        | Action::GetObjectVersionAttributes => Some(Permission::Read),
        Action::GetObjectAcl | Action::GetObjectVersionAcl => Some(Permission::ReadAcp),
        Action::PutObjectAcl | Action::PutObjectVersionAcl => Some(Permission::WriteAcp),
        _ => None,
    }
}

/// Whether a list gives `requester` a permission. Grants to the public count unless they are `ignored`.
pub(crate) fn grants(
    acl: Option<&Acl>,
    owner: &CanonicalId,
    requester: Requester<'_>,
    wanted: Permission,
    public_ignored: bool,
) -> bool {
    let is_owner = requester.caller().is_some_and(|caller| caller.canonical_id == *owner);
    let Some(acl) = acl else { return is_owner };
    acl.grants.iter().any(|grant| {
        let names = match (&grant.grantee, requester) {
            (Grantee::User(id), Requester::Caller(caller)) => *id == caller.canonical_id,
            (Grantee::AllUsers, Requester::Anonymous | Requester::Caller(_)) => !public_ignored,
            (Grantee::AuthenticatedUsers, Requester::Caller(_)) => !public_ignored,
            (Grantee::LogDelivery, Requester::Service(service)) => service == "logging.s3.amazonaws.com",
            _ => false,
        };
        names && (grant.permission == wanted || grant.permission == Permission::FullControl)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for grantee in [Grantee::AllUsers, Grantee::AuthenticatedUsers, Grantee::LogDelivery] {
            assert_eq!(group_of_uri(uri_of_group(&grantee).unwrap()), Some(grantee));
        }
        for name in ["FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP"] {
            assert_eq!(permission_name(permission_of_name(name).unwrap()), name);
        }
        assert_eq!(group_of_uri("http://acs.amazonaws.com/groups/global/Nobody"), None);
        assert_eq!(permission_of_name("read"), None);
    }

    #[test]
    fn groups_are_shown_first_and_documents_lead_back() {
        let owner = CanonicalId::from("o");
        let user = Grant { grantee: Grantee::User(owner.clone()), permission: Permission::FullControl };
        let group = Grant { grantee: Grantee::AllUsers, permission: Permission::Read };
        let acl = Acl { grants: vec![user.clone(), group.clone()] };
        assert_eq!(shown_grants(Some(&acl), &owner), [group, user.clone()]);
        assert_eq!(shown_grants(None, &owner), [user]);
        assert_eq!(shown_grants(Some(&Acl::default()), &owner), []);
        assert_eq!(from_document(Some(&to_document(&acl))), Some(acl));
        assert_eq!(from_document(Some(b"?")), Some(Acl::default()));
        assert_eq!(from_document(None), None);
    }
}
