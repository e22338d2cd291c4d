//! Canned lists: names for lists that are often wanted.

use granary_protocol::CanonicalId;
use granary_protocol::acl::{Acl, Grant, Grantee, Permission};

/// A canned list, as `x-amz-acl` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CannedAcl {
    /// `private`
    Private,
    /// `public-read`
    PublicRead,
    /// `public-read-write`
    PublicReadWrite,
    /// `aws-exec-read`
    AwsExecRead,
    /// `authenticated-read`
    AuthenticatedRead,
    /// `bucket-owner-read`: of objects; a bucket takes it for `private`.
    BucketOwnerRead,
    /// `bucket-owner-full-control`: of objects; a bucket takes it for `private`.
    BucketOwnerFullControl,
    /// `log-delivery-write`: of buckets.
    LogDeliveryWrite,
}

impl CannedAcl {
    /// All of them.
    pub const ALL: [CannedAcl; 8] = [
        Self::Private,
        Self::PublicRead,
        Self::PublicReadWrite,
        Self::AwsExecRead,
        Self::AuthenticatedRead,
        Self::BucketOwnerRead,
        Self::BucketOwnerFullControl,
        Self::LogDeliveryWrite,
    ];

    /// The name in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
            Self::AwsExecRead => "aws-exec-read",
            Self::AuthenticatedRead => "authenticated-read",
            Self::BucketOwnerRead => "bucket-owner-read",
            Self::BucketOwnerFullControl => "bucket-owner-full-control",
            Self::LogDeliveryWrite => "log-delivery-write",
        }
    }

    /// The list of this name.
    pub fn from_name(name: &str) -> Option<CannedAcl> {
        Self::ALL.into_iter().find(|canned| canned.name() == name)
    }

    /// Whether it lets the public in.
    pub const fn is_public(self) -> bool {
        matches!(self, Self::PublicRead | Self::PublicReadWrite | Self::AuthenticatedRead)
    }

    /// The grants it stands for on a bucket or object of `owner`; `None` for the owner alone. Grants to groups come
    /// first, the owner's last.
    pub fn expand(self, owner: &CanonicalId, bucket_owner: &CanonicalId) -> Option<Acl> {
        let group = |grantee: Grantee, permission| Grant { grantee, permission };
        let user = |id: &CanonicalId, permission| Grant { grantee: Grantee::User(id.clone()), permission };
        let full = user(owner, Permission::FullControl);
        let grants = match self {
            // EC2 is not here to be given anything.
            Self::Private | Self::AwsExecRead => return None,
            Self::PublicRead => vec![full, group(Grantee::AllUsers, Permission::Read)],
            Self::PublicReadWrite => {
                vec![full, group(Grantee::AllUsers, Permission::Read), group(Grantee::AllUsers, Permission::Write)]
            }
            Self::AuthenticatedRead => vec![full, group(Grantee::AuthenticatedUsers, Permission::Read)],
            Self::LogDeliveryWrite => vec![
                full,
                group(Grantee::LogDelivery, Permission::Write),
                group(Grantee::LogDelivery, Permission::ReadAcp),
            ],
            Self::BucketOwnerRead | Self::BucketOwnerFullControl if owner == bucket_owner => return None,
            Self::BucketOwnerRead => vec![full, user(bucket_owner, Permission::Read)],
            Self::BucketOwnerFullControl => vec![full, user(bucket_owner, Permission::FullControl)],
        };
        Some(Acl { grants })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_grants() {
        let (owner, bucket_owner) = (CanonicalId::from("o"), CanonicalId::from("b"));
        for (canned, grants) in [
            (CannedAcl::Private, 0),
            (CannedAcl::PublicRead, 2),
            (CannedAcl::PublicReadWrite, 3),
            (CannedAcl::AwsExecRead, 0),
            (CannedAcl::AuthenticatedRead, 2),
            (CannedAcl::BucketOwnerRead, 2),
            (CannedAcl::BucketOwnerFullControl, 2),
            (CannedAcl::LogDeliveryWrite, 3),
        ] {
            assert_eq!(CannedAcl::from_name(canned.name()), Some(canned));
            let acl = canned.expand(&owner, &bucket_owner);
            assert_eq!(acl.as_ref().map_or(0, |acl| acl.grants.len()), grants, "{canned:?}");
            assert_eq!(acl.is_some_and(|acl| super::super::is_public(&acl)), canned.is_public(), "{canned:?}");
        }
        assert_eq!(CannedAcl::BucketOwnerRead.expand(&owner, &owner), None);
        assert_eq!(CannedAcl::from_name("Private"), None);
    }
}
