//! The rows of the state, as postcard writes them. Fields are only ever added behind a raised layout version.
//!
//! Records of which the write path needs only the beginning keep that beginning in a struct of its own, so that it can be
//! decoded alone: postcard writes a struct's fields one after another.

use bytes::Bytes;
use granary_protocol::archive::ArchiveTarget;
use granary_protocol::block::{BlockKind, Extent};
use granary_protocol::bucket::{BucketInfo, BucketLock, Versioning};
use granary_protocol::lifecycle::Restore;
use granary_protocol::object::{
    ChecksumAlgorithm, ChecksumType, ETag, ObjectChecksum, ObjectDetails, ObjectLock, ObjectVersion, PartInfo,
    StorageClass, UploadInfo,
};
use granary_protocol::user::{AccessKey, EncryptionKey, SecretKey, User};
use granary_protocol::{
    BlockId, BucketName, CanonicalId, ContentId, DirectoryId, GenerationStamp, LeaseId, NodeName, ObjectKey,
    UnixMillis, UploadId, VersionId, VolumeId,
};
use serde::{Deserialize, Serialize};

/// The next number of every kind, and sums over the whole state. Sums are exact after every command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub next_block: u64,
    pub next_directory: u64,
    pub next_lease: u64,
    pub next_upload: u64,
    /// Of the namenode's own contents.
    pub next_content: u64,
    /// The next version sequence: one a write of an object or a delete marker.
    pub next_version: u64,
    /// The next revision of a bucket's settings: one a change of any bucket.
    pub next_revision: u64,
    /// The next place in the queue of events.
    pub next_event: u64,
    /// Buckets.
    pub buckets: u64,
    /// Current versions that are not delete markers.
    pub objects: u64,
    /// Their bytes; a content that two objects share counts twice.
    pub object_bytes: u64,
    /// Bytes of contents that anything refers to, each once: current objects, versions, parts.
    pub content_bytes: u64,
    /// Blocks with a record, open ones included.
    pub blocks: u64,
    /// Bytes of blocks: sealed lengths, and the committed lengths of open ones.
    pub block_bytes: u64,
    /// Of those, bytes that contents refer to, record headers included.
    pub live_bytes: u64,
    /// Users.
    pub users: u64,
    /// Named policies.
    pub policies: u64,
    /// Keys of the key store.
    pub encryption_keys: u64,
    /// Events queued.
    pub events: u64,
    /// Bytes of their targets and messages.
    pub event_bytes: u64,
}

impl Counters {
    /// Bytes of blocks that no content refers to.
    pub fn dead_bytes(&self) -> u64 {
        self.block_bytes.saturating_sub(self.live_bytes)
    }
}

/// What every write into a bucket needs of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BucketHead {
    pub(super) root: DirectoryId,
    pub(super) versioning: Versioning,
    /// Present where Object Lock is enabled.
    pub(super) lock: Option<BucketLock>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BucketRecord {
    pub(super) head: BucketHead,
    pub(super) owner: CanonicalId,
    pub(super) created: UnixMillis,
    pub(super) region: String,
    pub(super) revision: u64,
}

impl BucketRecord {
    pub(super) fn info(self, name: BucketName) -> BucketInfo {
        BucketInfo {
            name,
            owner: self.owner,
            created: self.created,
            region: self.region,
            versioning: self.head.versioning,
            object_lock: self.head.lock,
        }
    }
}

/// Sums over a bucket, and the counts of its root directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketCounts {
    /// Current versions that are not delete markers.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of the root directory.
    pub entries: u64,
    /// Of those, rows that a listing shows or descends into.
    pub listed: u64,
}

/// A directory other than a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DirectoryRecord {
    pub(super) id: DirectoryId,
    /// Whether a listing shows or descends into anything of it.
    pub(super) listed: bool,
}

/// The rows of a directory other than a root. Apart from its record, because they change with nearly every write: a
/// listing that passes the record would meet all its past versions that the engine has not dropped yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DirectoryCounts {
    /// A name with noncurrent versions has a row, so a directory without rows has no versions either.
    pub(super) entries: u64,
    /// Of those, objects that are not delete markers, and directories that are `listed`.
    pub(super) listed: u64,
}

/// A version of an object, without its details.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectHead {
    pub(super) version: VersionId,
    /// The order of writes; `version` unless that is null.
    pub(super) sequence: u64,
    pub(super) delete_marker: bool,
    pub(super) size: u64,
    pub(super) etag: ETag,
    pub(super) modified: UnixMillis,
    pub(super) owner: CanonicalId,
    pub(super) class: StorageClass,
    pub(super) checksum: Option<ObjectChecksum>,
    pub(super) content: Option<ContentId>,
    /// Of a multipart object; its content then has a row in `content_parts`.
    pub(super) parts_count: u16,
    /// The upload that made it, so that completing it again is recognised.
    pub(super) upload: Option<UploadId>,
    pub(super) lock: ObjectLock,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ObjectRecord {
    pub(super) head: ObjectHead,
    pub(super) details: ObjectDetails,
}

impl ObjectHead {
    pub(super) fn into_version(self, details: ObjectDetails) -> ObjectVersion {
        ObjectVersion {
            version: self.version,
            delete_marker: self.delete_marker,
            size: self.size,
            etag: self.etag,
            modified: self.modified,
            owner: self.owner,
            class: self.class,
            checksum: self.checksum,
            lock: self.lock,
            details,
        }
    }
}

/// An immutable byte sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ContentRecord {
    /// Versions, parts and slices that refer to it.
    pub(super) references: u32,
    /// Bytes.
    pub(super) length: u64,
    pub(super) data: ContentData,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ContentData {
    /// Its own bytes: a leaf.
    Extents(Vec<Extent>),
    /// Bytes of leaves, never of other slices.
    Slices(Vec<Slice>),
}

/// Bytes of a leaf content. Holds one reference to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slice {
    pub(super) leaf: ContentId,
    pub(super) offset: u64,
    pub(super) length: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UploadRecord {
    pub(super) initiated: UnixMillis,
    pub(super) owner: CanonicalId,
    pub(super) class: StorageClass,
    pub(super) checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    pub(super) lock: ObjectLock,
    pub(super) details: ObjectDetails,
}

impl UploadRecord {
    pub(super) fn info(self, key: ObjectKey, upload: UploadId) -> UploadInfo {
        UploadInfo {
            upload,
            key,
            initiated: self.initiated,
            owner: self.owner,
            class: self.class,
            checksum: self.checksum,
            lock: self.lock,
            details: self.details,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartRecord {
    pub(super) info: PartInfo,
    pub(super) content: Option<ContentId>,
}

/// A block, as far as all peers must agree on it. Where its replicas are is soft state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// 1 when allocated; raised when its pipeline is recovered.
    pub generation: GenerationStamp,
    /// Who uses it.
    pub kind: BlockKind,
    /// The storage class it was allocated for.
    pub class: StorageClass,
    /// What that class asks for.
    pub replicas_wanted: u8,
    /// Who writes it, if anyone.
    pub state: BlockState,
    /// Durable bytes that are known of: the sealed length, or the end of the last committed record of an open block.
    pub length: u32,
    /// Bytes that contents refer to, record headers included.
    pub live_bytes: u64,
    /// Of an owned block: whether its content was committed.
    pub attached: bool,
}

/// Whether a block is being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockState {
    /// By the holder of this lease, through this pipeline.
    Open { lease: LeaseId, pipeline: Vec<VolumeId> },
    /// Never again.
    Sealed,
}

/// A coded group of blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// How far it is.
    pub state: GroupState,
    /// The storage class its blocks had when it was formed.
    pub class: StorageClass,
    /// Blocks that contents refer to, in coding order.
    pub data: Vec<GroupMember>,
    /// Blocks computed from them, in coding order.
    pub parity: Vec<GroupMember>,
}

impl GroupRecord {
    /// All members by their place in the group.
    pub fn members(&self) -> impl Iterator<Item = &GroupMember> + '_ {
        self.data.iter().chain(&self.parity)
    }
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// The block.
    pub block: BlockId,
    /// Its bytes. Parity is as long as the longest data block; shorter ones count as followed by zeros.
    pub length: u32,
}

/// The life of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum GroupState {
    /// Parity is being computed; data blocks have all their replicas.
    Encoding,
    /// Data blocks rely on the group.
    Coded,
    /// Living data blocks are getting replicas again.
    Dissolving,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// The process that writes under it.
    pub holder: NodeName,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JoinTokenRecord {
    /// The only name it may be spent for.
    pub(super) name: Option<NodeName>,
    pub(super) expires: UnixMillis,
}

/// A user; its name is its row's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UserRecord {
    pub(super) canonical_id: CanonicalId,
    pub(super) account_id: String,
    pub(super) display_name: String,
    pub(super) created: UnixMillis,
    pub(super) disabled: bool,
    pub(super) keys: Vec<AccessKey>,
    pub(super) policies: Vec<String>,
}

impl UserRecord {
    pub(super) fn into_user(self, name: String) -> User {
        User {
            name,
            canonical_id: self.canonical_id,
            account_id: self.account_id,
            display_name: self.display_name,
            created: self.created,
            disabled: self.disabled,
            keys: self.keys,
            policies: self.policies,
        }
    }
}

/// An access key, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccessKeyRecord {
    /// The name of the user who lists it.
    pub(super) user: String,
    pub(super) secret_key: SecretKey,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PolicyRecord {
    pub(super) document: String,
    pub(super) changed: UnixMillis,
    /// The users who list it.
    pub(super) attached: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EncryptionKeyRecord {
    pub(super) wrapped: Vec<u8>,
    pub(super) created: UnixMillis,
    pub(super) disabled: bool,
}

impl EncryptionKeyRecord {
    pub(super) fn named(self, key_id: String) -> EncryptionKey {
        EncryptionKey { key_id, wrapped: self.wrapped, created: self.created, disabled: self.disabled }
    }
}

/// A restore, and which version it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RestoreRecord {
    pub(super) restore: Restore,
    pub(super) bucket: BucketName,
    pub(super) key: ObjectKey,
    pub(super) version: VersionId,
    /// Whether it was told that the version can be read.
    pub(super) announced: bool,
}

impl RestoreRecord {
    /// The next moment at which there is something to tell.
    pub(super) fn due(&self) -> UnixMillis {
        if self.announced { self.restore.expires } else { self.restore.ready }
    }
}

/// Where the blocks of an archived class go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TargetRecord {
    pub(super) target: ArchiveTarget,
    /// It was removed: what is there returns.
    pub(super) returning: bool,
}

/// An object at a target that nothing refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GarbageRecord {
    /// Whose target.
    pub class: StorageClass,
    /// The upload it was sent by, if it was not known to be complete.
    pub upload: Option<String>,
    /// Deleted from then on: a worker that was sending it has given up.
    pub not_before: UnixMillis,
}

/// A restored version whose blocks are to be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreWait {
    pub content: ContentId,
    /// Until then: its copy expires.
    pub expires: UnixMillis,
    /// Whether the version counts as not restored until they are.
    pub hides: bool,
}

/// What is known of a content in INTELLIGENT_TIERING.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tiering {
    /// When it was last read, or written; a read less than a day later may not be noted.
    pub accessed: UnixMillis,
    /// Whether it was not read for so long that its bytes are kept as those of STANDARD_IA.
    pub infrequent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EventRecord {
    /// From when on it may be claimed: its place in `event_due`.
    pub(super) due: UnixMillis,
    pub(super) queued: UnixMillis,
    /// How often it was claimed.
    pub(super) attempts: u32,
    pub(super) target: String,
    pub(super) body: Bytes,
}

impl EventRecord {
    /// What it counts against the queue's bound.
    pub(super) fn bytes(&self) -> usize {
        self.target.len() + self.body.len()
    }
}
