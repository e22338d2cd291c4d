//! What is asked of the namenode, and the trait that asks it.
//!
//! Requests are one enum and replies another, so that the same call works in one process and over a socket. Reads are
//! linearizable: a reply shows every write acknowledged before the request was sent. Mutations that were answered
//! with [`crate::ErrorCode::DeadlineExceeded`] or [`crate::ErrorCode::NotLeader`] may or may not have taken effect: a leader
//! learns that it has lost its office after it has written them to its log. Those that carry a [`RequestId`] can be sent again.

use crate::acl::Acl;
use crate::admin::{
    ClusterStatus, DatanodeIntent, MetadataPage, ObjectBlocks, PeerChange, PeerChangeProgress, PeerList, SpaceReport,
};
use crate::archive::{ArchiveChange, ArchiveOutcome, ArchiveTarget, ArchiveTargetStatus, ArchiveTask};
use crate::block::{BlockKind, DatanodeEndpoint, Extent, LocatedBlock, Media, ReplicaLocation};
use crate::bucket::{BucketDocument, BucketInfo, BucketLock, BucketSettings, Versioning};
use crate::datanode_door::DatanodeDoor;
use crate::delegation::DelegationTokenId;
use crate::encryption::SealedRun;
use crate::error::Failure;
use crate::event::{EventId, NewEvent, QueuedEvent};
use crate::filesystem::{FsCall, FsReply};
use crate::ids::*;
use crate::jobs::{JobChange, JobId, JobRows, JobsCall, JobsQuery, JobsReply};
use crate::lifecycle::{
    ClaimedMove, LifecycleBucket, LifecycleProgress, LifecycleStatus, LifecycleStep, Restore, RestoreOutcome,
    RestoreTier, ScanPosition, ScannedPage,
};
use crate::object::*;
use crate::redundancy::{ClassReport, CodingJob, LocatedGroup};
use crate::request_id::RequestId;
use crate::token::{BlockKey, BlockToken};
use crate::user::{EncryptionKey, KeyHolder, NamedPolicy, SecretKey, TokenKey, User};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// The namenode as seen by doors, writers and datanodes: in this process or behind a socket.
pub trait NamenodeService: Send + Sync + 'static {
    /// Answers one request. The reply's variant is the one documented at the request's.
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>>;

    /// As [`Self::call`], of a mutation that takes effect once, however often it is sent under this number, and is answered as
    /// the first time. `InvalidArgument` for requests that are no commands of their own. Services to which no attempt is ever
    /// repeated need not know the number.
    fn call_once(&self, id: RequestId, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        let _ = id;
        self.call(request)
    }
}

/// Method numbers between processes. A call's body is postcard of the request; its answer is postcard of
/// [`NamenodeReply`], or error bytes that are postcard of [`Failure`].
pub mod method {
    /// A call: [`super::NamenodeService::call`].
    pub const CALL: u16 = 1;
    /// A call whose body is `(`[`crate::RequestId`]`, request)`: [`super::NamenodeService::call_once`].
    pub const CALL_ONCE: u16 = 2;
}

/// Everything that is asked of the namenode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamenodeRequest {
    /// → `Done`. Creates a bucket; re-creating one's own answers `BucketAlreadyOwnedByYou`.
    CreateBucket {
        bucket: BucketName,
        owner: CanonicalId,
        region: String,
        /// Enables Object Lock, and versioning with it.
        object_lock: bool,
        /// What it is configured with from the beginning.
        documents: Vec<(BucketDocument, Bytes)>,
    },
    /// → `Done`. Refused with `BucketNotEmpty` while it has objects, versions or uploads (aborted uploads do not count).
    DeleteBucket { bucket: BucketName },
    /// → `Bucket`.
    GetBucket { bucket: BucketName },
    /// → `BucketSettings`. The bucket with all of its documents.
    GetBucketSettings { bucket: BucketName },
    /// → `Done`. `Off` is refused once versioning was switched on; anything but `Enabled` with `InvalidBucketState`
    /// where Object Lock is enabled.
    SetVersioning { bucket: BucketName, versioning: Versioning },
    /// → `Done`. Enables Object Lock (`InvalidBucketState` unless versioning is enabled) or changes its default.
    SetBucketLock { bucket: BucketName, lock: BucketLock },
    /// → `Done`. Replaces a document; `None` removes it, which is a success also where there is none.
    SetBucketDocument { bucket: BucketName, kind: BucketDocument, document: Option<Bytes> },
    /// → `Buckets`, by name, starting after `after`.
    ListBuckets { prefix: String, after: Option<BucketName>, limit: u32 },

    /// → `Object`. The current version, or the one named.
    GetObject { bucket: BucketName, key: ObjectKey, version: Option<VersionId>, window: Window },
    /// → `Located`. More blocks of a content, for a reader that has consumed its first page or whose locations are stale.
    LocateContent { content: ContentId, offset: u64, length: u64 },
    /// → `ObjectParts`. The parts of a finished multipart object, by number, starting after `after`; none for any other.
    ListObjectParts { bucket: BucketName, key: ObjectKey, version: Option<VersionId>, after: u16, limit: u32 },
    /// → `Versions`. All versions and delete markers, by key, newest first; common prefixes as in `ListObjects`.
    ListVersions { bucket: BucketName, prefix: String, delimiter: String, after: VersionAfter, limit: u32 },
    /// → `Listing`.
    ListObjects { bucket: BucketName, prefix: String, delimiter: String, after: ListAfter, limit: u32 },
    /// → `Put`. Makes a written content the object's current version: this is the moment a PUT takes effect.
    PutObject {
        bucket: BucketName,
        key: ObjectKey,
        content: Option<NewContent>,
        object: NewObject,
        condition: WriteCondition,
    },
    /// → `Put`. Shares the source's content; no bytes move.
    CopyObject {
        source_bucket: BucketName,
        source_key: ObjectKey,
        source_version: Option<VersionId>,
        /// Refused with `PreconditionFailed` unless the source still has this tag: the caller judged that version.
        source_etag: ETag,
        bucket: BucketName,
        key: ObjectKey,
        object: NewObject,
        condition: WriteCondition,
    },
    /// → `Deleted`, one result a key in the same order. At most [`PAGE_ENTRIES_MAX`]; one metadata command.
    DeleteObjects {
        bucket: BucketName,
        objects: Vec<DeleteTarget>,
        /// Who owns the delete markers this makes.
        deleter: CanonicalId,
        /// Whether a governance retention does not count. A legal hold and a compliance retention always do:
        /// `ObjectLocked`.
        bypass_governance: bool,
    },
    /// → `Amended`. Changes what is kept beside a version; its bytes, tag and time stay.
    AmendObject { bucket: BucketName, key: ObjectKey, version: Option<VersionId>, change: ObjectChange },
    /// → `Put`. Gives an object another key of the same bucket: one command, no bytes move. The destination's current
    /// version is replaced (or becomes noncurrent) as a PUT would. Only where versioning is off, as AWS has it;
    /// `InvalidBucketState` otherwise.
    RenameObject {
        bucket: BucketName,
        source: ObjectKey,
        source_condition: WriteCondition,
        key: ObjectKey,
        condition: WriteCondition,
    },

    /// → `Upload`.
    CreateUpload {
        bucket: BucketName,
        key: ObjectKey,
        owner: CanonicalId,
        class: StorageClass,
        checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
        lock: ObjectLock,
        details: ObjectDetails,
    },
    /// → `UploadFound`.
    GetUpload { bucket: BucketName, key: ObjectKey, upload: UploadId },
    /// → `Done`. Replaces an earlier part of this number.
    PutPart { bucket: BucketName, key: ObjectKey, upload: UploadId, part: PartInfo, content: Option<NewContent> },
    /// → `Done`. A part that shares `length` bytes of a source from `offset`; no bytes move.
    CopyPart {
        source_bucket: BucketName,
        source_key: ObjectKey,
        source_version: Option<VersionId>,
        source_etag: ETag,
        offset: u64,
        bucket: BucketName,
        key: ObjectKey,
        upload: UploadId,
        /// `part.size` is the number of bytes shared.
        part: PartInfo,
    },
    /// → `Parts`, by number, starting after `after`.
    ListParts { bucket: BucketName, key: ObjectKey, upload: UploadId, after: u16, limit: u32 },
    /// → `Uploads`, by key, then upload.
    ListUploads { bucket: BucketName, prefix: String, delimiter: String, after: UploadAfter, limit: u32 },
    /// → `Put`. Concatenates the named parts into the object. Repeating it after success answers as the first time
    /// (for as long as the object is still that version).
    CompleteUpload {
        bucket: BucketName,
        key: ObjectKey,
        upload: UploadId,
        parts: Vec<CompletedPart>,
        etag: ETag,
        checksum: Option<ObjectChecksum>,
        condition: WriteCondition,
    },
    /// → `Done`.
    AbortUpload { bucket: BucketName, key: ObjectKey, upload: UploadId },

    /// → `Lease`. An earlier lease of the same `holder` is revoked: its process is gone.
    OpenLease { holder: NodeName },
    /// → `LeaseRenewed`.
    RenewLease { lease: LeaseId },
    /// → `Done`. A writer that shuts down cleanly.
    CloseLease { lease: LeaseId },
    /// → `Blocks`. Blocks to write, each with its pipeline and a write token.
    AllocateBlocks {
        lease: LeaseId,
        kind: BlockKind,
        count: u32,
        class: StorageClass,
        writer: Option<DatanodeId>,
        exclude: Vec<VolumeId>,
    },
    /// → `Sealed`. No byte is ever added to the block again. With `recovered` the generation is raised first, because
    /// a member of the pipeline failed: `stored_on` are the survivors and `length` is what all of them have synced.
    SealBlock { lease: LeaseId, block: BlockId, length: u32, stored_on: Vec<VolumeId>, recovered: bool },
    /// → `Done`. Blocks that were allocated and will not be used.
    AbandonBlocks { lease: LeaseId, blocks: Vec<BlockId> },

    /// → `Compaction`. A sealed packed block worth rewriting, claimed for this lease; `None` when there is none.
    ClaimCompaction { lease: LeaseId },
    /// → `Alive`, one answer a record: is it still referred to, at exactly this extent?
    RecordsAlive { records: Vec<(ContentId, Extent)> },
    /// → `Alive`, one answer a move: did it happen? A move whose content is gone or elsewhere is skipped.
    RelocateContents { lease: LeaseId, moves: Vec<ContentMove> },

    /// → `Registered`. Soft state; repeated at every reconnect and whenever a reply asks for it.
    RegisterDatanode { datanode: DatanodeEndpoint, volumes: Vec<VolumeReport> },
    /// → `Heartbeat`.
    Heartbeat { datanode: DatanodeId, volumes: Vec<VolumeReport> },
    /// → `Done`. One page of a full report of a volume; the namenode forgets replicas of the volume that no page names
    /// once the last page is in. Pages of one report share `report`.
    BlockReport {
        datanode: DatanodeId,
        volume: VolumeId,
        report: u64,
        page: u32,
        last: bool,
        replicas: Vec<ReplicaReport>,
    },
    /// → `Done`. What has changed since the last report.
    ReplicasChanged { datanode: DatanodeId, changes: Vec<ReplicaChange> },

    /// → `User`. Adds a user, with a first key if one is given: `(access key, secret key)`. `EntityAlreadyExists`.
    AddUser { user: NewUser, key: Option<(String, SecretKey)> },
    /// → `User`. `NoSuchEntity`.
    GetUser { name: String },
    /// → `Users`, by name, starting after `after`.
    ListUsers { after: Option<String>, limit: u32 },
    /// → `Done`. Its keys go with it; buckets and objects stay and keep their owner.
    RemoveUser { name: String },
    /// → `Done`.
    SetUserDisabled { name: String, disabled: bool },
    /// → `Done`. A further key. `EntityAlreadyExists` if any user has it, `LimitExceeded`.
    AddAccessKey { user: String, access_key: String, secret_key: SecretKey },
    /// → `Done`.
    SetAccessKeyDisabled { user: String, access_key: String, disabled: bool },
    /// → `Done`.
    RemoveAccessKey { user: String, access_key: String },
    /// → `KeyHolder`. `None` for a key that is unknown or disabled, or whose user is.
    FindAccessKey { access_key: String },
    /// → `Owners`: the users with these canonical ids, for those that are known, in any order. At most
    /// [`PAGE_ENTRIES_MAX`].
    FindOwners { owners: Vec<CanonicalId> },
    /// → `Done`. Adds or replaces a named policy. The document was checked by the caller.
    PutPolicy { name: String, document: String },
    /// → `Policies`, by name, starting after `after`.
    ListPolicies { after: Option<String>, limit: u32 },
    /// → `Done`. `Conflict` while it is attached to a user.
    RemovePolicy { name: String },
    /// → `Done`. Attaching twice is a success, detaching what is not attached is not: `NoSuchEntity`.
    AttachPolicy { user: String, policy: String, attached: bool },
    /// → `TokenKey`. The cluster's secret under which temporary credentials are made.
    GetTokenKey,

    /// → `Done`. `EntityAlreadyExists`.
    AddEncryptionKey { key_id: String, wrapped: Vec<u8> },
    /// → `EncryptionKey`. `None` if there is none of this name.
    GetEncryptionKey { key_id: String },
    /// → `EncryptionKeys`, by name, starting after `after`.
    ListEncryptionKeys { after: Option<String>, limit: u32 },
    /// → `Done`.
    SetEncryptionKeyDisabled { key_id: String, disabled: bool },

    /// → `Done`. Queues events; `Busy` when [`crate::event::EVENTS_MAX`] are queued.
    AppendEvents { events: Vec<NewEvent> },
    /// → `Events`. Up to `limit` events that are due, oldest first; nobody else is given them for `claim_ms`.
    ClaimEvents { limit: u32, claim_ms: u64 },
    /// → `Done`. Removes events that were delivered or given up, and says when others are tried again.
    SettleEvents { settled: Vec<EventId>, retry: Vec<(EventId, UnixMillis)> },

    /// → `Status`.
    Status,
    /// → `Space`.
    Space,
    /// → `ObjectBlocks`.
    DescribeBlocks { bucket: BucketName, key: ObjectKey },
    /// → `Done`. What is to become of a datanode; it need not be known yet.
    SetDatanodeIntent { name: NodeName, intent: DatanodeIntent },
    /// → `JoinToken`. A secret with which one node enrols once, valid for `lifetime_ms`.
    CreateJoinToken { name: Option<NodeName>, lifetime_ms: u64 },
    /// → `Enrolled`. Spends a join token on a certificate.
    Enrol { secret: String, name: NodeName, role: NodeRole, csr_pem: String },
    /// → `FileSystem`. The namespace as a file system.
    FileSystem(Box<FsCall>),
    /// → `Done`. Soft state: where Hadoop clients reach a datanode. Repeated by the datanode.
    AnnounceDatanodeDoor(DatanodeDoor),
    /// → `DatanodeDoors`. Those that were announced lately, by id.
    DatanodeDoors,

    /// → `Peers`. The namenodes as the one that is asked knows them, whether it leads or not.
    ListPeers,
    /// → `PeersChanged`. One step of a change of the namenodes; repeated until it is answered `done`.
    ChangePeers(PeerChange),
    /// → `JoinToken`. A secret with which the namenode of this name enrols once.
    CreateNamenodeToken { name: NodeName, lifetime_ms: u64 },
    /// → `Done`. Whether a volume is to be emptied. It outlives restarts of everything.
    SetVolumeDrain { volume: VolumeId, drain: bool },
    /// → `MetadataPage`. The metadata after the key `after`, all pages of one `export` from one moment; 0 begins one.
    ExportMetadata { export: u64, after: Bytes },

    /// → `LifecycleBuckets`. Of the next `limit` buckets by name after `after`, those that have lifecycle rules.
    ListLifecycleBuckets { after: Option<BucketName>, limit: u32 },
    /// → `Scanned`. Versions of the keys with `prefix`, as rules see them, at most `limit` and never more than
    /// [`crate::lifecycle::LIFECYCLE_PAGE_MAX`].
    ScanVersions { bucket: BucketName, prefix: String, from: ScanPosition, limit: u32 },
    /// → `LifecycleApplied`, one answer a step in the same order. One command; at most
    /// [`crate::lifecycle::LIFECYCLE_PAGE_MAX`] steps. `Conflict` for all of it if the bucket's settings have another
    /// `revision` than the one that was judged by; nothing is done then, and no progress kept.
    ApplyLifecycle { bucket: BucketName, revision: u64, steps: Vec<LifecycleStep>, progress: LifecycleProgress },
    /// → `Moves`. Contents after `after`, in the order of their ids, whose bytes belong into another class, claimed for
    /// this lease. None while another lease has a claim.
    ClaimMoves { lease: LeaseId, after: Option<ContentId>, limit: u32 },
    /// → `LifecycleStatus`.
    GetLifecycleStatus,
    /// → `Restored`. Makes an archived version readable from `delay_ms` from now until `lasts_ms` after that.
    /// `InvalidBucketState` for a version that is not archived.
    RestoreObject {
        bucket: BucketName,
        key: ObjectKey,
        version: Option<VersionId>,
        tier: RestoreTier,
        delay_ms: u64,
        lasts_ms: u64,
    },
    /// → `Restores`, one answer a version in the same order; `None` for one without a restore. At most
    /// [`PAGE_ENTRIES_MAX`].
    GetRestores { bucket: BucketName, versions: Vec<(ObjectKey, VersionId)> },
    /// → `RestoresSettled`: restores that have become readable or expired since were announced; how many.
    SettleRestores { limit: u32 },
    /// → `SmallFiles`. Small files that Hadoop wrote, each in a block of its own, claimed for this lease: they are to be
    /// written again as records and moved with `RelocateContents`.
    ClaimSmallFiles { lease: LeaseId },
    /// → `Group`. The other members of a block's coded group, with tokens for these bytes of each; `None` when the block
    /// is in no committed group.
    LocateGroup { block: BlockId, offset: u32, length: u32 },
    /// → `Classes`.
    Classes,
    /// → `Done`. An encryption key sealed anew, under another master key: `to` takes the place of `from`. `Conflict` if
    /// neither of the two is kept, `NoSuchEntity` for a key that there is not.
    ReplaceEncryptionKey { key_id: String, from: Vec<u8>, to: Vec<u8> },
    /// → `DelegationTerm`. Until when a delegation token counts that was renewed or cancelled; `None` for any other.
    GetDelegationTerm { token: DelegationTokenId },
    /// → `Done`. Renews a token or, with [`crate::delegation::CANCELLED`], ends it. `NoSuchEntity` for one that was cancelled
    /// or can be renewed no more, `LimitExceeded`.
    SetDelegationTerm { token: DelegationTokenId, until: UnixMillis },
    /// → `Jobs`. Something for the job service of the leading namenode.
    Jobs(Box<JobsCall>),
    /// → as documented at the change. The job service's own.
    ChangeJobs(Box<JobChange>),
    /// → `JobRows`. The job service's own.
    QueryJobs(JobsQuery),
    /// → `Done`. Where the blocks of an archived class go; with `None` they return, and then the target is forgotten.
    /// `Conflict` for another place while there are blocks at the one that is known.
    SetArchiveTarget { class: StorageClass, target: Option<Box<ArchiveTarget>> },
    /// → `ArchiveTargets`.
    ListArchiveTargets,
    /// → `ArchiveTasks`. Work for a worker that is busy with the blocks it names: those stay its own, the new ones become it.
    ClaimArchiveWork { lease: LeaseId, busy: Vec<BlockId>, limit: u32 },
    /// → as documented at the change.
    ChangeArchive(ArchiveChange),
    /// → `Done`. What came of tasks; soft state. The worker is no longer busy with their blocks.
    ReportArchive { lease: LeaseId, outcomes: Vec<ArchiveOutcome> },
}

/// What a process of the cluster is, as its certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NodeRole {
    Namenode,
    Datanode,
    Gateway,
}

impl NodeRole {
    /// The word in certificates.
    pub fn name(self) -> &'static str {
        match self {
            NodeRole::Namenode => "namenode",
            NodeRole::Datanode => "datanode",
            NodeRole::Gateway => "gateway",
        }
    }
}

/// Every reply of the namenode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamenodeReply {
    Done,
    Bucket(BucketInfo),
    BucketSettings(Box<BucketSettings>),
    Buckets {
        buckets: Vec<BucketInfo>,
        truncated: bool,
    },
    Object(Box<ObjectRead>),
    Located(Vec<LocatedExtent>),
    Listing(Listing),
    ObjectParts {
        /// The object the parts are of.
        object: Box<ObjectVersion>,
        parts_count: u16,
        parts: Vec<PartInfo>,
        truncated: bool,
    },
    Versions(VersionListing),
    Put(PutOutcome),
    /// The version that was changed.
    Amended(VersionId),
    Deleted(Vec<Result<DeleteOutcome, Failure>>),
    Upload(UploadId),
    UploadFound(Box<UploadInfo>),
    Parts {
        upload: Box<UploadInfo>,
        parts: Vec<PartInfo>,
        truncated: bool,
    },
    Uploads(UploadListing),
    Lease(LeaseId),
    /// `seal`: open packed blocks of this lease that are mostly dead or short of replicas; their writer should seal them.
    LeaseRenewed {
        seal: Vec<BlockId>,
    },
    Blocks(Vec<LocatedBlock>),
    /// The generation the block now has.
    Sealed(GenerationStamp),
    /// The block, and the class its records are written again for.
    Compaction(Option<(LocatedBlock, StorageClass)>),
    Alive(Vec<bool>),
    Registered {
        cluster: ClusterId,
        keys: Vec<BlockKey>,
    },
    Heartbeat {
        keys: Vec<BlockKey>,
        commands: Vec<DatanodeCommand>,
        register_again: bool,
    },
    User(Box<User>),
    Users {
        users: Vec<User>,
        truncated: bool,
    },
    KeyHolder(Option<Box<KeyHolder>>),
    /// `(canonical id, account id, display name)`.
    Owners(Vec<(CanonicalId, String, String)>),
    Policies {
        policies: Vec<NamedPolicy>,
        truncated: bool,
    },
    TokenKey(TokenKey),
    EncryptionKey(Option<EncryptionKey>),
    EncryptionKeys {
        keys: Vec<EncryptionKey>,
        truncated: bool,
    },
    Events(Vec<QueuedEvent>),
    Status(Box<ClusterStatus>),
    Space(Box<SpaceReport>),
    ObjectBlocks(ObjectBlocks),
    JoinToken {
        secret: String,
    },
    Enrolled {
        certificate_pem: String,
        ca_pem: String,
    },
    FileSystem(Box<FsReply>),
    DatanodeDoors(Vec<DatanodeDoor>),
    Peers(PeerList),
    PeersChanged(PeerChangeProgress),
    /// The number of a new Raft peer.
    PeerAllotted(PeerId),
    MetadataPage(MetadataPage),
    LifecycleBuckets {
        buckets: Vec<LifecycleBucket>,
        /// The last bucket looked at; `None` at the end.
        next: Option<BucketName>,
    },
    Scanned(ScannedPage),
    LifecycleApplied(Vec<Result<(), Failure>>),
    Moves(Vec<ClaimedMove>),
    LifecycleStatus(LifecycleStatus),
    Restored(RestoreOutcome),
    Restores(Vec<Option<Restore>>),
    RestoresSettled(u32),
    SmallFiles(Vec<SmallFile>),
    Group(Option<Box<LocatedGroup>>),
    Classes(Box<ClassReport>),
    DelegationTerm(Option<UnixMillis>),
    Jobs(Box<JobsReply>),
    JobCreated(JobId),
    JobsEpoch(u32),
    JobRows(Box<JobRows>),
    ArchiveTargets(Vec<ArchiveTargetStatus>),
    ArchiveTasks(Vec<ArchiveTask>),
}

/// A small content in a block of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SmallFile {
    /// Its name, which its record will have.
    pub content: ContentId,
    /// All of its bytes.
    pub located: LocatedExtent,
    /// The class its record is written for.
    pub class: StorageClass,
}

/// Which bytes of an object a reader wants located, so that one call answers a GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// None: metadata only.
    Nothing,
    /// From `first` up to and including `last`, or to the end. `InvalidRange` if `first` is past the end.
    Range { first: u64, last: Option<u64> },
    /// The last `length` bytes.
    Suffix { length: u64 },
    /// One part of a multipart object; part 1 of any other object is all of it.
    Part { number: u16 },
}

/// A version, and where the bytes of the window are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRead {
    /// The version.
    pub object: ObjectVersion,
    /// Parts of a multipart object; 0 otherwise.
    pub parts_count: u16,
    /// The part asked for by [`Window::Part`] (its size and checksum).
    pub part: Option<PartInfo>,
    /// The content, `None` for an empty object.
    pub content: Option<ContentId>,
    /// First byte of the window.
    pub offset: u64,
    /// Bytes of the window.
    pub length: u64,
    /// First byte of the content that is needed for the window: `offset`, or where its first sealed segment begins.
    pub stored_offset: u64,
    /// Bytes of the content that are needed: `length`, or those of the sealed segments.
    pub stored_length: u64,
    /// Of an encrypted object: what the stored bytes are, run after run. Together they are the window.
    pub sealed: Vec<SealedRun>,
    /// The blocks of the stored bytes from `stored_offset` on, at most [`LOCATED_EXTENTS_MAX`]; the rest by
    /// `LocateContent`.
    pub extents: Vec<LocatedExtent>,
}

/// The most extents located by one reply: 8 GiB of whole blocks.
pub const LOCATED_EXTENTS_MAX: usize = 64;

/// Consecutive bytes of a content in one block. The extents of a reply follow each other without gaps, clipped to what
/// was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocatedExtent {
    /// First byte in the content.
    pub content_offset: u64,
    /// Where it is in the block, clipped.
    pub extent: Extent,
    /// The block. The token covers the extent.
    pub located: LocatedBlock,
}

/// A content whose bytes are durable and that is about to become visible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewContent {
    /// Its name, made from the writer's lease.
    pub content: ContentId,
    /// Where it is, in order. Together they are its length.
    pub extents: Vec<Extent>,
    /// For each owned block: the volumes that acknowledged all of it. Empty for packed blocks.
    pub stored_on: Vec<(BlockId, Vec<VolumeId>)>,
}

/// What an object will be, besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewObject {
    /// Bytes; the content has as many, or [`crate::encryption::sealed_length`] of them if the object is encrypted.
    pub size: u64,
    /// The entity tag.
    pub etag: ETag,
    /// Who owns it.
    pub owner: CanonicalId,
    /// Its storage class.
    pub class: StorageClass,
    /// Its checksum.
    pub checksum: Option<ObjectChecksum>,
    /// Its lock. Without a retention it gets the bucket's default. `ObjectLockNotEnabled` where the bucket has none.
    pub lock: ObjectLock,
    /// The rest.
    pub details: ObjectDetails,
}

/// A change of what is kept beside a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectChange {
    /// Replaces the tags.
    Tags(Vec<Tag>),
    /// Replaces the access control list.
    Acl(Option<Acl>),
    /// Sets or, with `None`, takes back the retention. A compliance retention can only be lengthened; a governance one
    /// can be shortened, weakened or taken back with `bypass_governance` alone: `ObjectLocked`.
    Retention { retention: Option<Retention>, bypass_governance: bool },
    /// Sets or takes back the legal hold.
    LegalHold(bool),
}

/// A user to be added. The namenode sets the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewUser {
    /// See [`User::name`].
    pub name: String,
    /// See [`User::canonical_id`].
    pub canonical_id: CanonicalId,
    /// See [`User::account_id`].
    pub account_id: String,
    /// See [`User::display_name`].
    pub display_name: String,
}

/// Conditions of a write, checked where it takes effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteCondition {
    /// `If-None-Match: *`: refused with `PreconditionFailed` if the key has a current version.
    pub if_absent: bool,
    /// `If-Match`: `NoSuchKey` without a current version, `PreconditionFailed` with another tag. `Some(None)` is `*`.
    pub if_match: Option<Option<ETag>>,
}

/// What a PUT did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutOutcome {
    /// The version written.
    pub version: VersionId,
    /// Whether the bucket keeps versions (and so shows the id).
    pub versioning: Versioning,
    /// When it was written.
    pub modified: UnixMillis,
    /// The tag written.
    pub etag: ETag,
    /// The checksum written.
    pub checksum: Option<ObjectChecksum>,
}

/// One object of a bulk delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteTarget {
    /// The key.
    pub key: ObjectKey,
    /// A version to remove for good; `None` deletes as S3 does (a marker where versions are kept).
    pub version: Option<VersionId>,
    /// `If-Match`; `Some(None)` is `*`.
    pub if_match: Option<Option<ETag>>,
    /// Refused with `PreconditionFailed` unless the version was written in this second, Unix time.
    pub if_modified_s: Option<u64>,
    /// Refused with `PreconditionFailed` unless the version has this many bytes.
    pub if_size: Option<u64>,
}

/// What a delete did. Deleting what is not there is a success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteOutcome {
    /// The version removed, or the marker made.
    pub version: Option<VersionId>,
    /// Whether that version is a delete marker.
    pub delete_marker: bool,
}

/// Where a listing goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListAfter {
    /// From the beginning.
    #[default]
    Start,
    /// Keys greater than this one; a common prefix shows up if any such key rolls up into it.
    Key(String),
    /// Keys greater than every key with this prefix.
    Prefix(String),
}

/// A page of a listing: objects and common prefixes merged in key order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The entries.
    pub entries: Vec<ListEntry>,
    /// Whether there is more; go on with [`Listing::next`].
    pub truncated: bool,
}

impl Listing {
    /// Where the next page starts.
    pub fn next(&self) -> ListAfter {
        match self.entries.last() {
            None => ListAfter::Start,
            Some(ListEntry::Object { key, .. }) => ListAfter::Key(key.0.clone()),
            Some(ListEntry::CommonPrefix(prefix)) => ListAfter::Prefix(prefix.clone()),
        }
    }
}

/// An entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListEntry {
    /// An object; `object.details` is left empty.
    Object { key: ObjectKey, object: ObjectVersion },
    /// Keys that share everything up to and including the delimiter.
    CommonPrefix(String),
}

/// Where a listing of versions goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VersionAfter {
    /// From the beginning.
    #[default]
    Start,
    /// After this version of this key. A version that does not exist any more stands where it would be.
    Version(String, VersionId),
    /// After all versions of this key.
    Key(String),
    /// After all keys with this prefix.
    Prefix(String),
}

/// A page of versions: versions, delete markers and common prefixes merged in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionListing {
    /// The entries.
    pub entries: Vec<VersionEntry>,
    /// Whether there is more.
    pub truncated: bool,
}

/// An entry of a listing of versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VersionEntry {
    /// A version or a delete marker; `object.details` is left empty.
    Version { key: ObjectKey, object: ObjectVersion, is_latest: bool },
    /// Keys that share everything up to and including the delimiter.
    CommonPrefix(String),
}

/// Where a listing of uploads goes on: after all uploads of `key` up to `upload` (all of them if `None`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadAfter {
    /// The key marker, empty from the beginning.
    pub key: String,
    /// The upload marker.
    pub upload: Option<UploadId>,
}

/// A page of uploads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadListing {
    /// The uploads.
    pub uploads: Vec<UploadInfo>,
    /// Common prefixes, in order.
    pub common_prefixes: Vec<String>,
    /// Where the next page starts, `None` at the end.
    pub next: Option<UploadAfter>,
}

/// A part named by CompleteMultipartUpload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedPart {
    /// Its number.
    pub number: u16,
    /// The MD5 its uploader was told.
    pub md5: [u8; 16],
    /// The checksum named, if any.
    pub checksum: Option<ObjectChecksum>,
}

/// A record that was rewritten into another packed block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentMove {
    /// The record's owner.
    pub content: ContentId,
    /// Where it was.
    pub from: Extent,
    /// Where it is now, durable.
    pub to: Extent,
}

/// A volume as its datanode sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeReport {
    /// The volume.
    pub volume: VolumeId,
    /// Its directory, for people.
    pub path: String,
    /// Its media.
    pub media: Media,
    /// Bytes of the file system.
    pub capacity_bytes: u64,
    /// Bytes free for replicas.
    pub free_bytes: u64,
    /// Bytes its replicas take.
    pub used_bytes: u64,
    /// Replicas on it.
    pub replicas: u64,
    /// Why it is out of service, if it is.
    pub failed: Option<String>,
    /// How long half of its last reads and syncs took at least; 0 where there were hardly any.
    pub wait_ms: u32,
}

/// A replica as its datanode sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// The block.
    pub block: BlockId,
    /// The replica's generation.
    pub generation: GenerationStamp,
    /// Durable bytes.
    pub length: u32,
    /// Whether it is finalized or still being written.
    pub state: ReplicaState,
}

/// The life of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReplicaState {
    /// Being written by a pipeline.
    Open,
    /// Was open when the datanode died; it has at least the reported bytes.
    Recovering,
    /// Complete and never changed again.
    Finalized,
}

/// A change of a datanode's replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaChange {
    /// A replica was finalized or arrived by copy.
    Finalized(VolumeId, ReplicaReport),
    /// A replica was removed.
    Removed(VolumeId, BlockId, GenerationStamp),
    /// A replica does not match its checksums or cannot be read; it is not served any more.
    Corrupt(VolumeId, BlockId, GenerationStamp),
    /// A copy ordered from this volume did not reach its targets.
    CopyFailed(VolumeId, BlockId, GenerationStamp),
    /// A replica's length, as was asked: it does not grow any more.
    Measured(VolumeId, ReplicaReport),
}

/// What the leader tells a datanode to do. Every command may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatanodeCommand {
    /// Remove replicas of this or a lower generation.
    Remove { volume: VolumeId, replicas: Vec<(BlockId, GenerationStamp)> },
    /// Cut an open or recovering replica to `length`, give it `generation`, finalize it.
    Finalize { volume: VolumeId, block: BlockId, kind: BlockKind, generation: GenerationStamp, length: u32 },
    /// Copy a finalized replica down this pipeline.
    Copy {
        volume: VolumeId,
        block: BlockId,
        kind: BlockKind,
        generation: GenerationStamp,
        length: u32,
        targets: Vec<ReplicaLocation>,
        token: BlockToken,
    },
    /// Take an open replica from its writer, at this generation, and say how long it is: [`ReplicaChange::Measured`].
    Measure { volume: VolumeId, block: BlockId, generation: GenerationStamp },
    /// Make members of a coded group from others. `volume` is the one by which the work is named where it fails: a
    /// [`ReplicaChange::CopyFailed`] a target.
    Code { volume: VolumeId, job: Box<CodingJob> },
}
