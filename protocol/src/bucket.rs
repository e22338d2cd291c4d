//! Buckets: what they are, how they are configured, and the rules that hold for everything in them.

use crate::ids::{BucketName, CanonicalId, UnixMillis};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A bucket as shown to doors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketInfo {
    /// Its name.
    pub name: BucketName,
    /// Who owns it.
    pub owner: CanonicalId,
    /// When it was created.
    pub created: UnixMillis,
    /// The region it was created in.
    pub region: String,
    /// Whether versions are kept.
    pub versioning: Versioning,
    /// Whether objects may be locked, and how new ones are by default.
    pub object_lock: Option<BucketLock>,
}

/// Whether overwritten and deleted objects leave versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Versioning {
    /// Never enabled: every object is the `null` version.
    #[default]
    Off,
    /// Every write makes a version.
    Enabled,
    /// New writes replace the `null` version; older versions stay.
    Suspended,
}

/// Object Lock of a bucket. Its presence says that it is enabled, which cannot be taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BucketLock {
    /// What an object gets that names no retention of its own.
    pub default: Option<DefaultRetention>,
}

/// The retention of objects that name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// How strict.
    pub mode: RetentionMode,
    /// For how long from the moment an object is written.
    pub period: RetentionPeriod,
}

/// How strictly a retention holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RetentionMode {
    /// Those with a special right may shorten it or delete anyway.
    Governance,
    /// Nobody may.
    Compliance,
}

/// How long a default retention lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RetentionPeriod {
    /// Days of 24 hours; at least 1.
    Days(u32),
    /// Years of 365 days; at least 1.
    Years(u32),
}

impl RetentionPeriod {
    /// The period in milliseconds.
    pub fn millis(self) -> u64 {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        match self {
            RetentionPeriod::Days(days) => u64::from(days) * DAY_MS,
            RetentionPeriod::Years(years) => u64::from(years) * 365 * DAY_MS,
        }
    }
}

/// A part of a bucket's configuration that the namenode keeps and doors understand. One document of each kind a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BucketDocument {
    /// The bucket policy: the JSON text as it was sent.
    Policy,
    /// The bucket's access control list.
    Acl,
    /// Who owns objects that others write, and whether lists count.
    OwnershipControls,
    /// The four settings that keep a bucket from becoming public.
    PublicAccessBlock,
    /// Cross-origin rules.
    Cors,
    /// Default encryption of new objects.
    Encryption,
    /// Lifecycle rules.
    Lifecycle,
    /// Where access logs go.
    Logging,
    /// Where events go.
    Notification,
    /// Who pays.
    RequestPayment,
    /// Transfer acceleration.
    Accelerate,
    /// Tags of the bucket.
    Tagging,
    /// How the bucket is served as a web site.
    Website,
}

impl BucketDocument {
    /// Every kind, in order.
    pub const ALL: [BucketDocument; 13] = [
        Self::Policy,
        Self::Acl,
        Self::OwnershipControls,
        Self::PublicAccessBlock,
        Self::Cors,
        Self::Encryption,
        Self::Lifecycle,
        Self::Logging,
        Self::Notification,
        Self::RequestPayment,
        Self::Accelerate,
        Self::Tagging,
        Self::Website,
    ];
}

/// The largest document: AWS's limit of a policy is 20 KiB, of a lifecycle configuration 1,000 rules.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 20;

/// A bucket with all of its documents, as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSettings {
    /// The bucket.
    pub info: BucketInfo,
    /// Raised by every change of the bucket's settings; a bucket of the same name made later has a higher one.
    pub revision: u64,
    /// Its documents, by kind.
    pub documents: Vec<(BucketDocument, Bytes)>,
}
