//! Which actions an operation of S3 needs.
//!
//! Source: "Required permissions for Amazon S3 API operations", Amazon S3 user guide.

use crate::action::Action;

/// What of a request decides which actions it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationTraits {
    /// It names a version.
    pub version: bool,
    /// It sets tags of an object that it writes.
    pub tags: bool,
    /// It sets an access control list beside something else.
    pub acl: bool,
    /// It sets a retention of an object that it writes.
    pub retention: bool,
    /// It sets a legal hold of an object that it writes.
    pub legal_hold: bool,
    /// It wants governance retentions not to count.
    pub bypass_governance: bool,
    /// It makes a bucket with Object Lock.
    pub bucket_lock: bool,
    /// It makes a bucket with a setting of ownership.
    pub ownership: bool,
}

/// The actions that an operation needs on its bucket or object; all of them. Those about a copy's source, or about each
/// key of DeleteObjects, are not among them: they are asked about as the keys become known. `None` for an operation that
/// this table does not know, which nobody may do.
pub fn required_actions(operation: &str, traits: OperationTraits) -> Option<Vec<Action>> {
    use Action::*;
    let versioned = |plain: Action, of_version: Action| if traits.version { of_version } else { plain };
    let one = match operation {
        "PutObject" | "PostObject" | "CopyObject" | "CreateMultipartUpload" => return Some(writing(traits)),
        "CreateBucket" => return Some(creating_bucket(traits)),
        "DeleteObject" => {
            return Some(bypassing(versioned(DeleteObject, DeleteObjectVersion), traits));
        }
        "PutObjectRetention" => return Some(bypassing(PutObjectRetention, traits)),
        "GetObjectAttributes" => {
            return Some(vec![
                versioned(GetObject, GetObjectVersion),
                versioned(GetObjectAttributes, GetObjectVersionAttributes),
            ]);
        }
        "DeleteObjects" => return Some(Vec::new()),
        "ListBuckets" => ListAllMyBuckets,
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => ListBucket,
        "ListObjectVersions" => ListBucketVersions,
        "ListMultipartUploads" => ListBucketMultipartUploads,
        "DeleteBucket" => DeleteBucket,
        "GetBucketLocation" => GetBucketLocation,
        "GetBucketVersioning" => GetBucketVersioning,
        "PutBucketVersioning" => PutBucketVersioning,
        "GetBucketAcl" => GetBucketAcl,
        "PutBucketAcl" => PutBucketAcl,
        "GetBucketPolicy" => GetBucketPolicy,
        "PutBucketPolicy" => PutBucketPolicy,
        "DeleteBucketPolicy" => DeleteBucketPolicy,
        "GetBucketPolicyStatus" => GetBucketPolicyStatus,
        "GetBucketOwnershipControls" => GetBucketOwnershipControls,
        "PutBucketOwnershipControls" | "DeleteBucketOwnershipControls" => PutBucketOwnershipControls,
        "GetPublicAccessBlock" => GetBucketPublicAccessBlock,
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => PutBucketPublicAccessBlock,
        "GetBucketCors" => GetBucketCORS,
        "PutBucketCors" | "DeleteBucketCors" => PutBucketCORS,
        "GetBucketTagging" => GetBucketTagging,
        "PutBucketTagging" | "DeleteBucketTagging" => PutBucketTagging,
        "GetBucketWebsite" => GetBucketWebsite,
        "PutBucketWebsite" => PutBucketWebsite,
        "DeleteBucketWebsite" => DeleteBucketWebsite,
        "GetBucketLogging" => GetBucketLogging,
        "PutBucketLogging" => PutBucketLogging,
        "GetBucketNotificationConfiguration" => GetBucketNotification,
        "PutBucketNotificationConfiguration" => PutBucketNotification,
        "GetBucketRequestPayment" => GetBucketRequestPayment,
        "PutBucketRequestPayment" => PutBucketRequestPayment,
        "GetObjectLockConfiguration" => GetBucketObjectLockConfiguration,
        "PutObjectLockConfiguration" => PutBucketObjectLockConfiguration,
        "GetBucketEncryption" => GetEncryptionConfiguration,
        "PutBucketEncryption" | "DeleteBucketEncryption" => PutEncryptionConfiguration,
        "GetBucketLifecycle" | "GetBucketLifecycleConfiguration" => GetLifecycleConfiguration,
        "PutBucketLifecycle" | "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle" => PutLifecycleConfiguration,
        "GetBucketReplication" => GetReplicationConfiguration,
        "PutBucketReplication" | "DeleteBucketReplication" => PutReplicationConfiguration,
        "GetBucketAccelerateConfiguration" => GetAccelerateConfiguration,
        "PutBucketAccelerateConfiguration" => PutAccelerateConfiguration,
        "GetBucketAnalyticsConfiguration" | "ListBucketAnalyticsConfigurations" => GetAnalyticsConfiguration,
        "PutBucketAnalyticsConfiguration" | "DeleteBucketAnalyticsConfiguration" => PutAnalyticsConfiguration,
        "GetBucketInventoryConfiguration" | "ListBucketInventoryConfigurations" => GetInventoryConfiguration,
        "PutBucketInventoryConfiguration" | "DeleteBucketInventoryConfiguration" => PutInventoryConfiguration,
        "GetBucketMetricsConfiguration" | "ListBucketMetricsConfigurations" => GetMetricsConfiguration,
        "PutBucketMetricsConfiguration" | "DeleteBucketMetricsConfiguration" => PutMetricsConfiguration,
        "GetBucketIntelligentTieringConfiguration" | "ListBucketIntelligentTieringConfigurations" => {
            GetIntelligentTieringConfiguration
        }
        "PutBucketIntelligentTieringConfiguration" | "DeleteBucketIntelligentTieringConfiguration" => {
            PutIntelligentTieringConfiguration
        }
        "GetBucketAbac" => GetBucketAbac,
        "PutBucketAbac" => PutBucketAbac,
        "GetObject" | "HeadObject" | "SelectObjectContent" => versioned(GetObject, GetObjectVersion),
        "GetObjectAcl" => versioned(GetObjectAcl, GetObjectVersionAcl),
        "PutObjectAcl" => versioned(PutObjectAcl, PutObjectVersionAcl),
        "GetObjectTagging" => versioned(GetObjectTagging, GetObjectVersionTagging),
        "PutObjectTagging" => versioned(PutObjectTagging, PutObjectVersionTagging),
        "DeleteObjectTagging" => versioned(DeleteObjectTagging, DeleteObjectVersionTagging),
        "GetObjectRetention" => GetObjectRetention,
        "GetObjectLegalHold" => GetObjectLegalHold,
        "PutObjectLegalHold" => PutObjectLegalHold,
        "GetObjectTorrent" => versioned(GetObjectTorrent, GetObjectVersionTorrent),
        "RestoreObject" => RestoreObject,
        "UpdateObjectEncryption" => UpdateObjectEncryption,
        "UploadPart" | "UploadPartCopy" | "CompleteMultipartUpload" | "RenameObject" => PutObject,
        "AbortMultipartUpload" => AbortMultipartUpload,
        "ListParts" => ListMultipartUploadParts,
        _ => return None,
    };
    Some(vec![one])
}

fn writing(traits: OperationTraits) -> Vec<Action> {
    let further = [
        (traits.tags, Action::PutObjectTagging),
        (traits.acl, Action::PutObjectAcl),
        (traits.retention, Action::PutObjectRetention),
        (traits.legal_hold, Action::PutObjectLegalHold),
    ];
    with(Action::PutObject, &further)
}

fn creating_bucket(traits: OperationTraits) -> Vec<Action> {
    let further = [
        (traits.acl, Action::PutBucketAcl),
        (traits.bucket_lock, Action::PutBucketObjectLockConfiguration),
        (traits.bucket_lock, Action::PutBucketVersioning),
        (traits.ownership, Action::PutBucketOwnershipControls),
    ];
    with(Action::CreateBucket, &further)
}

fn bypassing(action: Action, traits: OperationTraits) -> Vec<Action> {
    with(action, &[(traits.bypass_governance, Action::BypassGovernanceRetention)])
}

fn with(first: Action, further: &[(bool, Action)]) -> Vec<Action> {
    let wanted = further.iter().filter(|(wanted, _)| *wanted).map(|(_, action)| *action);
    std::iter::once(first).chain(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_carries_adds_to_what_it_needs() {
        let plain = OperationTraits::default();
        let version = OperationTraits { version: true, ..plain };
        let all = OperationTraits {
            version: true,
            tags: true,
            acl: true,
            retention: true,
            legal_hold: true,
            bypass_governance: true,
            bucket_lock: true,
            ownership: true,
        };
        for (operation, traits, expected) in [
            ("HeadObject", plain, vec![Action::GetObject]),
            ("HeadObject", version, vec![Action::GetObjectVersion]),
            ("PutObject", plain, vec![Action::PutObject]),
            (
                "PutObject",
                all,
                vec![
                    Action::PutObject,
                    Action::PutObjectTagging,
                    Action::PutObjectAcl,
                    Action::PutObjectRetention,
                    Action::PutObjectLegalHold,
                ],
            ),
            ("DeleteObject", plain, vec![Action::DeleteObject]),
            ("DeleteObject", all, vec![Action::DeleteObjectVersion, Action::BypassGovernanceRetention]),
            ("GetObjectAttributes", plain, vec![Action::GetObject, Action::GetObjectAttributes]),
            ("UploadPart", all, vec![Action::PutObject]),
            ("DeleteObjects", all, vec![]),
            (
                "CreateBucket",
                all,
                vec![
                    Action::CreateBucket,
                    Action::PutBucketAcl,
                    Action::PutBucketObjectLockConfiguration,
                    Action::PutBucketVersioning,
                    Action::PutBucketOwnershipControls,
                ],
            ),
        ] {
            assert_eq!(required_actions(operation, traits), Some(expected), "{operation}");
        }
        assert_eq!(required_actions("InventedOperation", plain), None);
    }
}
