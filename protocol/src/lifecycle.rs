//! What passes between the namenode and those who carry out lifecycle rules: versions as they are judged, actions that
//! name exactly what was judged, how far a bucket's scan has come, contents on their way to another class, restores.

use crate::block::Extent;
use crate::bucket::BucketSettings;
use crate::event::NewEvent;
use crate::ids::*;
use crate::namenode::LocatedExtent;
use crate::object::{ETag, ObjectLock, StorageClass, Tag};
use serde::{Deserialize, Serialize};

/// The most versions of one page of a scan, and actions of one command.
pub const LIFECYCLE_PAGE_MAX: u32 = 1000;
/// The most contents handed to a mover at once.
pub const MOVES_CLAIMED_MAX: u32 = 512;
/// The target of events that gateways turn into notifications and log lines: [`LifecycleHappened`] in postcard. No target
/// of a client has such a name: theirs begin with `arn:`.
pub const LIFECYCLE_TARGET: &str = "granary:lifecycle";

/// Where a scan of a bucket goes on: at this key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanPosition {
    /// The first key still to be seen.
    pub key: String,
    /// If some versions of that key were seen: the last of them.
    pub seen: Option<SeenVersion>,
}

/// The last version of a key that a scan has seen, and what the next one needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenVersion {
    /// Its place in the order of writes.
    pub sequence: u64,
    /// When it was written: since then the next one is noncurrent.
    pub written: UnixMillis,
    /// Noncurrent versions seen so far.
    pub noncurrent: u32,
}

/// A version as rules see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedVersion {
    pub key: ObjectKey,
    pub version: VersionId,
    /// Its place in the order of writes; no two writes have the same.
    pub sequence: u64,
    pub delete_marker: bool,
    /// Bytes.
    pub size: u64,
    pub etag: ETag,
    /// When it was written.
    pub written: UnixMillis,
    pub class: StorageClass,
    pub lock: ObjectLock,
    pub tags: Vec<Tag>,
    pub standing: ScannedStanding,
}

/// What a version is among the versions of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScannedStanding {
    /// The current one. `alone`: there are no others.
    Current { alone: bool },
    /// Noncurrent since a moment, with so many newer noncurrent ones.
    Noncurrent { since: UnixMillis, newer: u32 },
}

/// A page of a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedPage {
    /// By key, newest first.
    pub versions: Vec<ScannedVersion>,
    /// Where the next page begins; `None` at the end of the bucket.
    pub next: Option<ScanPosition>,
}

/// A bucket that has lifecycle rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleBucket {
    /// The bucket with its documents.
    pub settings: BucketSettings,
    /// How far its scan has come; `None` before the first.
    pub progress: Option<LifecycleProgress>,
}

/// How far the scan of a bucket has come, or what the last one did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleProgress {
    /// The revision of the bucket's settings that is being applied.
    pub revision: u64,
    /// Milliseconds of a day it was judged with.
    pub day_ms: u64,
    /// When it began.
    pub started: UnixMillis,
    /// Where it goes on; `None` once it has ended.
    pub position: Option<ScanPosition>,
    /// When it ended.
    pub finished: Option<UnixMillis>,
    /// The earliest moment known at which something more is to be done.
    pub next_due: Option<UnixMillis>,
    /// Versions judged by this scan.
    pub scanned: u64,
    /// Versions and delete markers deleted for good, by all scans of the bucket so far; likewise below.
    pub deleted: u64,
    /// Objects hidden behind a delete marker.
    pub hidden: u64,
    /// Versions that changed their class.
    pub moved: u64,
    /// Uploads aborted.
    pub aborted: u64,
    /// Actions that were not carried out, because the version had changed or is locked.
    pub refused: u64,
}

/// An action on exactly the version that was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleStep {
    pub key: ObjectKey,
    /// [`ScannedVersion::sequence`]; `Conflict` if the key has no such version any more.
    pub sequence: u64,
    /// What is to be done.
    pub act: LifecycleAct,
    /// The tags that were judged, where a rule asked for tags; `Conflict` if the version has others now.
    pub tags: Option<Vec<Tag>>,
    /// Queued in the same command if the action took place.
    pub event: Option<NewEvent>,
}

/// What is done to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LifecycleAct {
    /// It is deleted for good. A current delete marker only while it hides nothing. `ObjectLocked`.
    Delete,
    /// The current version is hidden behind a delete marker.
    Hide,
    /// It changes its class. `Conflict` unless it has the class it had when it was judged; `ObjectLocked` where that would
    /// make a locked version unreadable.
    Move { from: StorageClass, to: StorageClass },
}

/// Something a rule or a restore did, for notifications and logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleHappened {
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// The version it happened to; `NULL` also where the bucket keeps none.
    pub version: VersionId,
    pub size: u64,
    pub etag: ETag,
    pub at: UnixMillis,
    pub kind: LifecycleEventKind,
    /// The rule that asked for it; empty for restores.
    pub rule: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LifecycleEventKind {
    /// A version is gone.
    Deleted,
    /// A delete marker was made.
    Hidden,
    /// A version changed its class.
    Moved { from: StorageClass, to: StorageClass },
    /// A restored copy can be read, until a moment.
    RestoreCompleted { class: StorageClass, until: UnixMillis },
    /// A restored copy has expired.
    RestoreExpired { class: StorageClass },
}

/// A content whose bytes are to be written again for another class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimedMove {
    pub content: ContentId,
    /// The record as it is now.
    pub from: Extent,
    /// The class its bytes are to be in.
    pub class: StorageClass,
    /// Where to read it.
    pub located: LocatedExtent,
}

/// What lifecycles have done and have left to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleStatus {
    /// Every bucket with a scan, by name: at most [`STATUS_BUCKETS_MAX`].
    pub buckets: Vec<(BucketName, LifecycleProgress)>,
    /// Small contents that wait for their bytes to be written into their class, counted up to [`BACKLOG_COUNTED_MAX`].
    pub moves_waiting: u64,
    /// Restores that have not completed yet, and restored copies that have not expired, counted up to
    /// [`BACKLOG_COUNTED_MAX`].
    pub restores: u64,
}

/// The most buckets of a status.
pub const STATUS_BUCKETS_MAX: usize = 1000;
/// So far a backlog is counted.
pub const BACKLOG_COUNTED_MAX: u64 = 100_000;

/// How fast an archived object is to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestoreTier {
    Expedited,
    #[default]
    Standard,
    Bulk,
}

impl RestoreTier {
    /// The name S3 uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expedited => "Expedited",
            Self::Standard => "Standard",
            Self::Bulk => "Bulk",
        }
    }

    /// The tier of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Expedited, Self::Standard, Self::Bulk].into_iter().find(|tier| tier.name() == name)
    }
}

/// A restore of an archived version. It is a matter of time alone: readable from one moment until another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// When it was asked for.
    pub requested: UnixMillis,
    /// How.
    pub tier: RestoreTier,
    /// From when on it can be read.
    pub ready: UnixMillis,
    /// Until when.
    pub expires: UnixMillis,
}

impl Restore {
    /// Whether the version can be read at `now`.
    pub fn is_readable(&self, now: UnixMillis) -> bool {
        (self.ready..self.expires).contains(&now)
    }
}

/// What became of a request to restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestoreOutcome {
    /// It has begun.
    Begun(Restore),
    /// The version can be read already; it expires later now.
    Extended(Restore),
    /// An earlier request is not done yet.
    InProgress(Restore),
}
