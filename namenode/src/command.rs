//! The commands that Raft orders: one per mutating request, and a few of the namenode's own.
//!
//! A command carries everything its outcome depends on beyond the state: the time, chosen secrets and keys, and the
//! volumes that placement chose. Applying it reads no clock and draws no random number, so every peer comes to the same
//! state and the same reply. Commands are stored in the Raft log: variants and fields are only ever added at the end.

#![deny(clippy::disallowed_methods)]

use bytes::Bytes;
use granary_protocol::admin::DatanodeIntent;
use granary_protocol::archive::{ArchiveChange, ArchiveTarget};
use granary_protocol::block::BlockKind;
use granary_protocol::bucket::{BucketDocument, BucketLock, Versioning};
use granary_protocol::delegation::DelegationTokenId;
use granary_protocol::event::{EventId, NewEvent};
use granary_protocol::filesystem::{FileId, FsCall, FsCaller, FsPath};
use granary_protocol::jobs::JobChange;
use granary_protocol::lifecycle::{LifecycleProgress, LifecycleStep, RestoreTier};
use granary_protocol::namenode::{
    CompletedPart, ContentMove, DeleteTarget, NamenodeRequest, NewContent, NewObject, NewUser, ObjectChange,
    WriteCondition,
};
use granary_protocol::object::{
    ChecksumAlgorithm, ChecksumType, ETag, ObjectChecksum, ObjectDetails, ObjectLock, PartInfo, StorageClass,
};
use granary_protocol::redundancy::GroupId;
use granary_protocol::token::BlockKey;
use granary_protocol::user::{SecretKey, TokenKey};
use granary_protocol::{
    BlockId, BucketName, CanonicalId, ClusterId, ContentId, DirectoryId, LeaseId, NodeName, ObjectKey, PeerId,
    RequestId, UnixMillis, UploadId, VersionId, VolumeId,
};
use serde::{Deserialize, Serialize};

/// One change of the hard state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The leader's clock when it proposed the command. Shown to users and compared with expiry times; never used to
    /// order writes.
    pub now: UnixMillis,
    /// What to do.
    pub action: Action,
}

/// What a command does. The fields are those of the request of the same name unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// The first command ever: everything else is refused before it, and it is refused after itself.
    Format(Box<Format>),
    /// A new key for block tokens. Keys past their expiry are dropped.
    AddBlockKey {
        key: BlockKey,
    },
    /// A secret that lets one node enrol. Only its hash is kept.
    CreateJoinToken {
        secret_sha256: [u8; 32],
        name: Option<NodeName>,
        expires: UnixMillis,
    },
    /// Uses a join token up. `AccessDenied` if it is unknown, expired or for another name.
    SpendJoinToken {
        secret_sha256: [u8; 32],
        name: NodeName,
    },

    CreateBucket(Box<CreateBucket>),
    /// Uploads in progress do not keep a bucket alive; they are aborted with it.
    DeleteBucket {
        bucket: BucketName,
    },
    /// `Off` is refused once versioning was switched on: S3 knows no way back.
    SetVersioning {
        bucket: BucketName,
        versioning: Versioning,
    },
    SetBucketLock {
        bucket: BucketName,
        lock: BucketLock,
    },
    SetBucketDocument {
        bucket: BucketName,
        kind: BucketDocument,
        document: Option<Bytes>,
    },

    PutObject(Box<PutObject>),
    CopyObject(Box<CopyObject>),
    DeleteObjects(Box<DeleteObjects>),
    AmendObject(Box<AmendObject>),
    RenameObject(Box<RenameObject>),

    CreateUpload(Box<CreateUpload>),
    PutPart(Box<PutPart>),
    CopyPart(Box<CopyPart>),
    CompleteUpload(Box<CompleteUpload>),
    AbortUpload {
        bucket: BucketName,
        key: ObjectKey,
        upload: UploadId,
    },

    OpenLease {
        holder: NodeName,
    },
    CloseLease {
        lease: LeaseId,
    },
    /// The leader has not heard from the holder for too long.
    ExpireLease {
        lease: LeaseId,
    },
    /// One block a pipeline, which placement chose before the command was proposed.
    AllocateBlocks {
        lease: LeaseId,
        kind: BlockKind,
        class: StorageClass,
        pipelines: Vec<Vec<VolumeId>>,
        /// What the storage class asks for; a pipeline may be shorter where there are fewer volumes.
        replicas_wanted: u8,
    },
    SealBlock {
        lease: LeaseId,
        block: BlockId,
        length: u32,
        stored_on: Vec<VolumeId>,
        recovered: bool,
    },
    AbandonBlocks {
        lease: LeaseId,
        blocks: Vec<BlockId>,
    },
    RelocateContents {
        lease: LeaseId,
        moves: Vec<ContentMove>,
    },

    ChangeUsers(Box<UserChange>),
    AddEncryptionKey {
        key_id: String,
        wrapped: Vec<u8>,
    },
    SetEncryptionKeyDisabled {
        key_id: String,
        disabled: bool,
    },

    SetDatanodeIntent {
        name: NodeName,
        intent: DatanodeIntent,
    },

    AppendEvents {
        events: Vec<NewEvent>,
    },
    ClaimEvents {
        limit: u32,
        claim_ms: u64,
    },
    SettleEvents {
        settled: Vec<EventId>,
        retry: Vec<(EventId, UnixMillis)>,
    },

    /// A secret with which the namenode of this name enrols once.
    CreateNamenodeToken {
        secret_sha256: [u8; 32],
        name: NodeName,
        expires: UnixMillis,
    },
    SpendNamenodeToken {
        secret_sha256: [u8; 32],
        name: NodeName,
    },
    /// A number for a new peer, above `above` and all that were given out before.
    AllotPeer {
        above: PeerId,
    },

    FileSystem(Box<FileSystemAction>),
    SetVolumeDrain {
        volume: VolumeId,
        drain: bool,
    },

    ApplyLifecycle(Box<ApplyLifecycle>),
    /// Contents that were to be moved and are gone or have arrived; others are left alone.
    ForgetMoves {
        contents: Vec<ContentId>,
    },
    RestoreObject(Box<RestoreObject>),
    SettleRestores {
        limit: u32,
    },

    /// Parity blocks are added to these sealed blocks; nothing relies on them yet.
    FormGroup {
        class: StorageClass,
        data: Vec<BlockId>,
        parity: u8,
    },
    /// Every member is stored, on failure domains of its own: data blocks ask for one replica each.
    CommitGroup {
        group: GroupId,
    },
    /// Most of the group is dead: its living blocks ask for so many replicas again.
    ReleaseGroup {
        group: GroupId,
        replicas_wanted: u8,
    },
    /// Nothing relies on the group: parity and dead blocks go.
    DropGroup {
        group: GroupId,
    },

    /// Contents in INTELLIGENT_TIERING that were read.
    NoteAccess {
        contents: Vec<ContentId>,
    },
    /// Contents in INTELLIGENT_TIERING that were not read for so long are kept as infrequent ones.
    SettleTiering {
        idle_ms: u64,
        limit: u32,
    },
    /// Blocks that changed their class: the class they are in now, and the replicas it asks for; `None` for those that are
    /// gone.
    SettleClasses {
        blocks: Vec<(BlockId, Option<(StorageClass, u8)>)>,
    },

    /// An action that its client may have sent before: it is carried out once and answered as the first time. Never one of
    /// these inside another.
    Once {
        id: RequestId,
        action: Box<Action>,
    },
    /// An encryption key is kept as it was sealed anew.
    ReplaceEncryptionKey {
        key_id: String,
        from: Vec<u8>,
        to: Vec<u8>,
    },
    /// See [`NamenodeRequest::SetDelegationTerm`].
    SetDelegationTerm {
        token: DelegationTokenId,
        until: UnixMillis,
    },
    ChangeJobs(Box<JobChange>),

    /// See [`NamenodeRequest::SetArchiveTarget`].
    SetArchiveTarget {
        class: StorageClass,
        target: Option<Box<ArchiveTarget>>,
    },
    /// Blocks that are about to be sent to the targets of their classes, each under a key of its own.
    ReserveExternal {
        blocks: Vec<(BlockId, StorageClass, String)>,
    },
    ChangeArchive(ArchiveChange),
    /// Blocks at targets where they do not belong: these ask for so many replicas here, those are here and forgotten there.
    SettleExternal {
        home: Vec<(BlockId, u8)>,
        forget: Vec<BlockId>,
    },
    /// Blocks are wanted here until a moment, with so many replicas each.
    RecallBlocks {
        blocks: Vec<(BlockId, u8)>,
        until: UnixMillis,
    },
    /// Some blocks were wanted here until now.
    EndRecalls {
        limit: u32,
    },
    /// The blocks of a restored version are here.
    FinishRestore {
        sequence: u64,
    },
}

/// What is done to the namespace as a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileSystemAction {
    /// A call of a client that changes something.
    Call {
        call: FsCall,
        /// Where a new block goes, or an old one goes on.
        volumes: Vec<VolumeId>,
        /// The cluster's replication, for files that name none.
        replication: u16,
    },
    /// Gives objects of a tree in a bucket with versions delete markers, from the first key above `after` on.
    DeletePage { caller: FsCaller, path: FsPath, after: Option<String> },
    /// Removes some rows of deleted trees, from their first directory on; what earlier releases order.
    Reclaim,
    /// The writer has been silent beyond the hard limit.
    ExpireHolder { holder: String },
    /// Another writer wants the file, whose writer has been silent beyond the soft limit.
    RecoverPath { path: FsPath },
    /// The replicas of a recovered file's last block have been asked: these members have this much of it.
    FinishRecovery { file: FileId, block: BlockId, length: u32, members: Vec<VolumeId> },
    /// These writers have been silent beyond the hard limit.
    ExpireHolders { holders: Vec<String> },
    /// Removes some rows of deleted trees, from this directory on.
    ReclaimFrom { directory: DirectoryId },
}

/// See the requests of the same names: users, their keys and policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserChange {
    AddUser { user: NewUser, key: Option<(String, SecretKey)> },
    RemoveUser { name: String },
    SetUserDisabled { name: String, disabled: bool },
    AddAccessKey { user: String, access_key: String, secret_key: SecretKey },
    SetAccessKeyDisabled { user: String, access_key: String, disabled: bool },
    RemoveAccessKey { user: String, access_key: String },
    PutPolicy { name: String, document: String },
    RemovePolicy { name: String },
    AttachPolicy { user: String, policy: String, attached: bool },
}

/// The beginning of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Its random name.
    pub cluster: ClusterId,
    /// The certificate of its authority.
    pub ca_cert_pem: String,
    /// The authority's private key. Secret.
    pub ca_key_pem: String,
    /// The first key for block tokens.
    pub key: BlockKey,
    /// The secret under which temporary credentials are made.
    pub token_key: TokenKey,
}

/// See [`NamenodeRequest::CreateBucket`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateBucket {
    pub bucket: BucketName,
    pub owner: CanonicalId,
    pub region: String,
    pub object_lock: bool,
    pub documents: Vec<(BucketDocument, Bytes)>,
}

/// See [`NamenodeRequest::PutObject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub content: Option<NewContent>,
    pub object: NewObject,
    pub condition: WriteCondition,
}

/// See [`NamenodeRequest::CopyObject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyObject {
    pub source_bucket: BucketName,
    pub source_key: ObjectKey,
    pub source_version: Option<VersionId>,
    pub source_etag: ETag,
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub object: NewObject,
    pub condition: WriteCondition,
}

/// See [`NamenodeRequest::DeleteObjects`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteObjects {
    pub bucket: BucketName,
    pub objects: Vec<DeleteTarget>,
    pub deleter: CanonicalId,
    pub bypass_governance: bool,
}

/// See [`NamenodeRequest::AmendObject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmendObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub change: ObjectChange,
}

/// See [`NamenodeRequest::RenameObject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameObject {
    pub bucket: BucketName,
    pub source: ObjectKey,
    pub source_condition: WriteCondition,
    pub key: ObjectKey,
    pub condition: WriteCondition,
}

/// See [`NamenodeRequest::CreateUpload`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateUpload {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub owner: CanonicalId,
    pub class: StorageClass,
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    pub lock: ObjectLock,
    pub details: ObjectDetails,
}

/// See [`NamenodeRequest::PutPart`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutPart {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
    pub part: PartInfo,
    pub content: Option<NewContent>,
}

/// See [`NamenodeRequest::CopyPart`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyPart {
    pub source_bucket: BucketName,
    pub source_key: ObjectKey,
    pub source_version: Option<VersionId>,
    pub source_etag: ETag,
    pub offset: u64,
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
    pub part: PartInfo,
}

/// See [`NamenodeRequest::CompleteUpload`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompleteUpload {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub upload: UploadId,
    pub parts: Vec<CompletedPart>,
    pub etag: ETag,
    pub checksum: Option<ObjectChecksum>,
    pub condition: WriteCondition,
}

/// See [`NamenodeRequest::ApplyLifecycle`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyLifecycle {
    pub bucket: BucketName,
    pub revision: u64,
    pub steps: Vec<LifecycleStep>,
    pub progress: LifecycleProgress,
}

/// See [`NamenodeRequest::RestoreObject`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreObject {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: Option<VersionId>,
    pub tier: RestoreTier,
    pub delay_ms: u64,
    pub lasts_ms: u64,
}

impl TryFrom<NamenodeRequest> for Action {
    type Error = Box<NamenodeRequest>;

    /// The action of a mutating request that says all there is to say. Gives back reads, soft state, and requests that
    /// need something chosen first: `AllocateBlocks` (targets), `CreateJoinToken` (a secret), `Enrol`.
    fn try_from(request: NamenodeRequest) -> Result<Action, Box<NamenodeRequest>> {
        use NamenodeRequest as R;
        Ok(match request {
            R::CreateBucket { bucket, owner, region, object_lock, documents } => {
                Action::CreateBucket(Box::new(CreateBucket { bucket, owner, region, object_lock, documents }))
            }
            R::DeleteBucket { bucket } => Action::DeleteBucket { bucket },
            R::SetVersioning { bucket, versioning } => Action::SetVersioning { bucket, versioning },
            R::SetBucketLock { bucket, lock } => Action::SetBucketLock { bucket, lock },
            R::SetBucketDocument { bucket, kind, document } => Action::SetBucketDocument { bucket, kind, document },
            R::PutObject { bucket, key, content, object, condition } => {
                Action::PutObject(Box::new(PutObject { bucket, key, content, object, condition }))
            }
            R::CopyObject {
                source_bucket,
                source_key,
                source_version,
                source_etag,
                bucket,
                key,
                object,
                condition,
            } => Action::CopyObject(Box::new(CopyObject {
                source_bucket,
                source_key,
                source_version,
                source_etag,
                bucket,
                key,
                object,
                condition,
            })),
            R::DeleteObjects { bucket, objects, deleter, bypass_governance } => {
                Action::DeleteObjects(Box::new(DeleteObjects { bucket, objects, deleter, bypass_governance }))
            }
            R::AmendObject { bucket, key, version, change } => {
                Action::AmendObject(Box::new(AmendObject { bucket, key, version, change }))
            }
            R::RenameObject { bucket, source, source_condition, key, condition } => {
                Action::RenameObject(Box::new(RenameObject { bucket, source, source_condition, key, condition }))
            }
            R::CreateUpload { bucket, key, owner, class, checksum, lock, details } => {
                Action::CreateUpload(Box::new(CreateUpload { bucket, key, owner, class, checksum, lock, details }))
            }
            R::PutPart { bucket, key, upload, part, content } => {
                Action::PutPart(Box::new(PutPart { bucket, key, upload, part, content }))
            }
            R::CopyPart {
                source_bucket,
                source_key,
                source_version,
                source_etag,
                offset,
                bucket,
                key,
                upload,
                part,
            } => Action::CopyPart(Box::new(CopyPart {
                source_bucket,
                source_key,
                source_version,
                source_etag,
                offset,
                bucket,
                key,
                upload,
                part,
            })),
            R::CompleteUpload { bucket, key, upload, parts, etag, checksum, condition } => {
                Action::CompleteUpload(Box::new(CompleteUpload {
                    bucket,
                    key,
                    upload,
                    parts,
                    etag,
                    checksum,
                    condition,
                }))
            }
            R::AbortUpload { bucket, key, upload } => Action::AbortUpload { bucket, key, upload },
            R::OpenLease { holder } => Action::OpenLease { holder },
            R::CloseLease { lease } => Action::CloseLease { lease },
            R::SealBlock { lease, block, length, stored_on, recovered } => {
                Action::SealBlock { lease, block, length, stored_on, recovered }
            }
            R::AbandonBlocks { lease, blocks } => Action::AbandonBlocks { lease, blocks },
            R::SetVolumeDrain { volume, drain } => Action::SetVolumeDrain { volume, drain },
            R::SetDatanodeIntent { name, intent } => Action::SetDatanodeIntent { name, intent },
            R::RelocateContents { lease, moves } => Action::RelocateContents { lease, moves },
            R::SetDelegationTerm { token, until } => Action::SetDelegationTerm { token, until },
            R::AddEncryptionKey { key_id, wrapped } => Action::AddEncryptionKey { key_id, wrapped },
            R::SetEncryptionKeyDisabled { key_id, disabled } => Action::SetEncryptionKeyDisabled { key_id, disabled },
            R::ReplaceEncryptionKey { key_id, from, to } => Action::ReplaceEncryptionKey { key_id, from, to },
            R::AppendEvents { events } => Action::AppendEvents { events },
            R::ClaimEvents { limit, claim_ms } => Action::ClaimEvents { limit, claim_ms },
            R::SettleEvents { settled, retry } => Action::SettleEvents { settled, retry },
            R::ApplyLifecycle { bucket, revision, steps, progress } => {
                Action::ApplyLifecycle(Box::new(ApplyLifecycle { bucket, revision, steps, progress }))
            }
            R::RestoreObject { bucket, key, version, tier, delay_ms, lasts_ms } => {
                Action::RestoreObject(Box::new(RestoreObject { bucket, key, version, tier, delay_ms, lasts_ms }))
            }
            R::ChangeJobs(change) => Action::ChangeJobs(change),
            R::SetArchiveTarget { class, target } => Action::SetArchiveTarget { class, target },
            R::ChangeArchive(change) => Action::ChangeArchive(change),
            other => Action::ChangeUsers(Box::new(UserChange::try_from(other)?)),
        })
    }
}

impl TryFrom<NamenodeRequest> for UserChange {
    type Error = Box<NamenodeRequest>;

    /// The change that a request asks for; any other request is given back.
    fn try_from(request: NamenodeRequest) -> Result<UserChange, Box<NamenodeRequest>> {
        use NamenodeRequest as R;
        Ok(match request {
            R::AddUser { user, key } => UserChange::AddUser { user, key },
            R::RemoveUser { name } => UserChange::RemoveUser { name },
            R::SetUserDisabled { name, disabled } => UserChange::SetUserDisabled { name, disabled },
            R::AddAccessKey { user, access_key, secret_key } => {
                UserChange::AddAccessKey { user, access_key, secret_key }
            }
            R::SetAccessKeyDisabled { user, access_key, disabled } => {
                UserChange::SetAccessKeyDisabled { user, access_key, disabled }
            }
            R::RemoveAccessKey { user, access_key } => UserChange::RemoveAccessKey { user, access_key },
            R::PutPolicy { name, document } => UserChange::PutPolicy { name, document },
            R::RemovePolicy { name } => UserChange::RemovePolicy { name },
            R::AttachPolicy { user, policy, attached } => UserChange::AttachPolicy { user, policy, attached },
            other => return Err(Box::new(other)),
        })
    }
}
