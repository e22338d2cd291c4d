//! The actions of S3 that policies name, each with the kind of resource it is about.
//!
//! Source: "Actions, resources, and condition keys for Amazon S3", Service Authorization Reference.

/// What an action is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// Everything an account has.
    Account,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// Expands the actions into the enum and their names.
macro_rules! actions {
    ($($kind:ident { $($name:ident)+ })+) => {
        /// An action.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[doc = concat!("`s3:", stringify!($name), "`")] $name,)+)+
        }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Action] = &[$($(Action::$name,)+)+];

            /// The name policies use.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Action::$name => concat!("s3:", stringify!($name)),)+)+
                }
            }

            /// What it is about.
            pub const fn kind(self) -> ResourceKind {
                match self {
                    $($(Action::$name => ResourceKind::$kind,)+)+
                }
            }
        }
    };
}

actions! {
    Account {
        ListAllMyBuckets
        GetAccountPublicAccessBlock PutAccountPublicAccessBlock
        CreateJob ListJobs ListAccessPoints ListStorageLensConfigurations
    }
    Bucket {
        CreateBucket DeleteBucket ListBucket ListBucketVersions ListBucketMultipartUploads
        GetBucketLocation GetBucketVersioning PutBucketVersioning
        GetBucketAcl PutBucketAcl
        GetBucketPolicy PutBucketPolicy DeleteBucketPolicy GetBucketPolicyStatus
        GetBucketOwnershipControls PutBucketOwnershipControls
        GetBucketPublicAccessBlock PutBucketPublicAccessBlock
        GetBucketCORS PutBucketCORS
        GetBucketTagging PutBucketTagging
        GetBucketWebsite PutBucketWebsite DeleteBucketWebsite
        GetBucketLogging PutBucketLogging
        GetBucketNotification PutBucketNotification
        GetBucketRequestPayment PutBucketRequestPayment
        GetBucketObjectLockConfiguration PutBucketObjectLockConfiguration
        GetEncryptionConfiguration PutEncryptionConfiguration
        GetLifecycleConfiguration PutLifecycleConfiguration
        GetReplicationConfiguration PutReplicationConfiguration
        GetAccelerateConfiguration PutAccelerateConfiguration
        GetAnalyticsConfiguration PutAnalyticsConfiguration
        GetInventoryConfiguration PutInventoryConfiguration
        GetMetricsConfiguration PutMetricsConfiguration
        GetIntelligentTieringConfiguration PutIntelligentTieringConfiguration
        GetBucketMetadataTableConfiguration CreateBucketMetadataTableConfiguration
        DeleteBucketMetadataTableConfiguration
        GetBucketAbac PutBucketAbac
        TagResource UntagResource ListTagsForResource
    }
    Object {
        GetObject GetObjectVersion GetObjectAttributes GetObjectVersionAttributes
        GetObjectAcl GetObjectVersionAcl PutObjectAcl PutObjectVersionAcl
        GetObjectTagging GetObjectVersionTagging PutObjectTagging PutObjectVersionTagging
        DeleteObjectTagging DeleteObjectVersionTagging
        GetObjectRetention PutObjectRetention GetObjectLegalHold PutObjectLegalHold BypassGovernanceRetention
        GetObjectTorrent GetObjectVersionTorrent GetObjectVersionForReplication
        PutObject DeleteObject DeleteObjectVersion
        AbortMultipartUpload ListMultipartUploadParts
        RestoreObject UpdateObjectEncryption
        ReplicateObject ReplicateDelete ReplicateTags InitiateReplication
        ObjectOwnerOverrideToBucketOwner
    }
}

impl Action {
    /// Whether it reads or changes an object that is there, so that the object's owner and list count.
    pub const fn concerns_existing_object(self) -> bool {
        matches!(self.kind(), ResourceKind::Object)
            && !matches!(
                self,
                Action::PutObject
                    | Action::DeleteObject
                    | Action::DeleteObjectVersion
                    | Action::AbortMultipartUpload
                    | Action::ListMultipartUploadParts
                    | Action::BypassGovernanceRetention
                    | Action::ReplicateObject
                    | Action::ReplicateDelete
                    | Action::ReplicateTags
                    | Action::InitiateReplication
                    | Action::ObjectOwnerOverrideToBucketOwner
            )
    }

    /// Whether it reads an object that is there, or what is kept beside it.
    pub(crate) const fn reads_object(self) -> bool {
        matches!(
            self,
            Action::GetObject
                | Action::GetObjectVersion
                | Action::GetObjectAttributes
                | Action::GetObjectVersionAttributes
                | Action::GetObjectAcl
                | Action::GetObjectVersionAcl
                | Action::GetObjectTagging
                | Action::GetObjectVersionTagging
        )
    }

    /// Whether it reads or changes the bucket's policy.
    pub(crate) const fn concerns_bucket_policy(self) -> bool {
        matches!(self, Action::GetBucketPolicy | Action::PutBucketPolicy | Action::DeleteBucketPolicy)
    }
}
