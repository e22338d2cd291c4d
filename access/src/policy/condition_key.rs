//! The condition keys there are, and which actions know them.
//!
//! Source: "Actions, resources, and condition keys for Amazon S3", Service Authorization Reference; "AWS global condition
//! context keys", IAM user guide.

use crate::action::Action;

/// For which actions a request can have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// For all.
    Every,
    /// For listings of keys and versions.
    Listing,
    /// For what writes an object.
    Write,
    /// For what sets an access control list.
    Acl,
    /// For what sets tags of an object.
    Tags,
    /// For what names a version.
    Version,
    /// For what is about an object that is there.
    Existing,
    /// For what sets a lock.
    Lock,
    /// For what makes a bucket.
    Bucket,
}

/// Keys by name; those that end in a slash are followed by the key of a tag.
const KEYS: &[(&str, Scope)] = &[
    ("s3:authType", Scope::Every),
    ("s3:signatureversion", Scope::Every),
    ("s3:signatureAge", Scope::Every),
    ("s3:TlsVersion", Scope::Every),
    ("s3:x-amz-content-sha256", Scope::Every),
    ("s3:ResourceAccount", Scope::Every),
    ("s3:AccessPointNetworkOrigin", Scope::Every),
    ("s3:DataAccessPointAccount", Scope::Every),
    ("s3:DataAccessPointArn", Scope::Every),
    ("s3:BucketTag/", Scope::Every),
    ("s3:prefix", Scope::Listing),
    ("s3:delimiter", Scope::Listing),
    ("s3:max-keys", Scope::Listing),
    ("s3:x-amz-acl", Scope::Acl),
    ("s3:x-amz-grant-full-control", Scope::Acl),
    ("s3:x-amz-grant-read", Scope::Acl),
    ("s3:x-amz-grant-read-acp", Scope::Acl),
    ("s3:x-amz-grant-write", Scope::Acl),
    ("s3:x-amz-grant-write-acp", Scope::Acl),
    ("s3:x-amz-copy-source", Scope::Write),
    ("s3:x-amz-metadata-directive", Scope::Write),
    ("s3:x-amz-server-side-encryption", Scope::Write),
    ("s3:x-amz-server-side-encryption-aws-kms-key-id", Scope::Write),
    ("s3:x-amz-server-side-encryption-customer-algorithm", Scope::Write),
    ("s3:x-amz-storage-class", Scope::Write),
    ("s3:x-amz-website-redirect-location", Scope::Write),
    ("s3:if-match", Scope::Write),
    ("s3:if-none-match", Scope::Write),
    ("s3:ObjectCreationOperation", Scope::Write),
    ("s3:RequestObjectTag/", Scope::Tags),
    ("s3:RequestObjectTagKeys", Scope::Tags),
    ("s3:ExistingObjectTag/", Scope::Existing),
    ("s3:VersionId", Scope::Version),
    ("s3:object-lock-mode", Scope::Lock),
    ("s3:object-lock-retain-until-date", Scope::Lock),
    ("s3:object-lock-remaining-retention-days", Scope::Lock),
    ("s3:object-lock-legal-hold", Scope::Lock),
    ("s3:LocationConstraint", Scope::Bucket),
    ("s3:x-amz-object-ownership", Scope::Bucket),
    ("aws:CalledVia", Scope::Every),
    ("aws:CalledViaFirst", Scope::Every),
    ("aws:CalledViaLast", Scope::Every),
    ("aws:CurrentTime", Scope::Every),
    ("aws:EpochTime", Scope::Every),
    ("aws:FederatedProvider", Scope::Every),
    ("aws:MultiFactorAuthAge", Scope::Every),
    ("aws:MultiFactorAuthPresent", Scope::Every),
    ("aws:PrincipalAccount", Scope::Every),
    ("aws:PrincipalArn", Scope::Every),
    ("aws:PrincipalIsAWSService", Scope::Every),
    ("aws:PrincipalOrgID", Scope::Every),
    ("aws:PrincipalOrgPaths", Scope::Every),
    ("aws:PrincipalServiceName", Scope::Every),
    ("aws:PrincipalServiceNamesList", Scope::Every),
    ("aws:PrincipalTag/", Scope::Every),
    ("aws:PrincipalType", Scope::Every),
    ("aws:Referer", Scope::Every),
    ("aws:RequestedRegion", Scope::Every),
    ("aws:RequestTag/", Scope::Every),
    ("aws:ResourceAccount", Scope::Every),
    ("aws:ResourceOrgID", Scope::Every),
    ("aws:ResourceOrgPaths", Scope::Every),
    ("aws:ResourceTag/", Scope::Every),
    ("aws:SecureTransport", Scope::Every),
    ("aws:SourceAccount", Scope::Every),
    ("aws:SourceArn", Scope::Every),
    ("aws:SourceIdentity", Scope::Every),
    ("aws:SourceIp", Scope::Every),
    ("aws:SourceOrgID", Scope::Every),
    ("aws:SourceOrgPaths", Scope::Every),
    ("aws:SourceOwner", Scope::Every),
    ("aws:SourceVpc", Scope::Every),
    ("aws:SourceVpcArn", Scope::Every),
    ("aws:SourceVpce", Scope::Every),
    ("aws:TagKeys", Scope::Every),
    ("aws:TokenIssueTime", Scope::Every),
    ("aws:UserAgent", Scope::Every),
    ("aws:userid", Scope::Every),
    ("aws:username", Scope::Every),
    ("aws:ViaAWSService", Scope::Every),
    ("aws:VpcSourceIp", Scope::Every),
];

/// The scope of a key; `None` if there is no such key.
pub(super) fn scope_of(key: &str) -> Option<Scope> {
    let is_key = |name: &str| match name.strip_suffix('/') {
        None => name.eq_ignore_ascii_case(key),
        Some(prefix) => {
            key.split_once('/').is_some_and(|(before, tag)| prefix.eq_ignore_ascii_case(before) && !tag.is_empty())
        }
    };
    KEYS.iter().find(|(name, _)| is_key(name)).map(|(_, scope)| *scope)
}

impl Scope {
    /// Whether requests for an action can have keys of this scope.
    pub fn includes(self, action: Action) -> bool {
        let sets_acl = matches!(action, Action::PutObjectAcl | Action::PutObjectVersionAcl);
        match self {
            Scope::Every => true,
            Scope::Listing => {
                matches!(action, Action::ListBucket | Action::ListBucketVersions | Action::ListBucketMultipartUploads)
            }
            Scope::Write => matches!(action, Action::PutObject | Action::ReplicateObject | Action::DeleteObject),
            Scope::Acl => sets_acl || matches!(action, Action::PutObject | Action::CreateBucket | Action::PutBucketAcl),
            Scope::Tags => matches!(
                action,
                Action::PutObject | Action::PutObjectTagging | Action::PutObjectVersionTagging | Action::ReplicateTags
            ),
            Scope::Version => action.kind() == crate::action::ResourceKind::Object,
            Scope::Existing => action.concerns_existing_object() || action == Action::DeleteObject,
            Scope::Lock => matches!(
                action,
                Action::PutObject
                    | Action::PutObjectRetention
                    | Action::PutObjectLegalHold
                    | Action::BypassGovernanceRetention
                    | Action::ReplicateObject
            ),
            Scope::Bucket => matches!(action, Action::CreateBucket | Action::PutBucketOwnershipControls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_name_and_by_tag() {
        for (key, scope) in [
            ("s3:PREFIX", Some(Scope::Listing)),
            ("s3:ExistingObjectTag/security", Some(Scope::Existing)),
            ("s3:ExistingObjectTag/", None),
            ("s3:ExistingObjectTag", None),
            ("aws:SourceIp", Some(Scope::Every)),
            ("s3:nonsense", None),
            ("ec2:Region", None),
        ] {
            assert_eq!(scope_of(key), scope, "{key}");
        }
    }
}
