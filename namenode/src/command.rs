//! The commands that Raft orders: one per mutating request, and a few of the namenode's own.
//!
//! A command carries everything its outcome depends on beyond the state: the time, chosen secrets and keys, and the
//! volumes that placement chose. Applying it reads no clock and draws no random number, so every peer comes to the same
//! state and the same reply. Commands are stored in the Raft log: variants and fields are only ever added at the end.

#![deny(clippy::disallowed_methods)]

use granary_protocol::block::BlockKind;
use granary_protocol::namenode::{
    CompletedPart, ContentMove, DeleteTarget, NamenodeRequest, NewContent, NewObject, WriteCondition,
};
use granary_protocol::object::{
    ChecksumAlgorithm, ChecksumType, ETag, ObjectChecksum, ObjectHeaders, PartInfo, StorageClass, Versioning,
};
use granary_protocol::token::BlockKey;
use granary_protocol::{
    BlockId, BucketName, CanonicalId, ClusterId, LeaseId, NodeName, ObjectKey, UnixMillis, UploadId, VersionId,
    VolumeId,
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

    CreateBucket {
        bucket: BucketName,
        owner: CanonicalId,
        region: String,
    },
    /// Uploads in progress do not keep a bucket alive; they are aborted with it.
    DeleteBucket {
        bucket: BucketName,
    },
    /// `Off` is refused once versioning was switched on: S3 knows no way back.
    SetVersioning {
        bucket: BucketName,
        versioning: Versioning,
    },

    PutObject(Box<PutObject>),
    CopyObject(Box<CopyObject>),
    DeleteObjects {
        bucket: BucketName,
        objects: Vec<DeleteTarget>,
    },

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

/// See [`NamenodeRequest::CreateUpload`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateUpload {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub owner: CanonicalId,
    pub class: StorageClass,
    pub headers: ObjectHeaders,
    pub checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
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

impl TryFrom<NamenodeRequest> for Action {
    type Error = Box<NamenodeRequest>;

    /// The action of a mutating request that says all there is to say. Gives back reads, soft state, and requests that
    /// need something chosen first: `AllocateBlocks` (targets), `CreateJoinToken` (a secret), `Enrol`.
    fn try_from(request: NamenodeRequest) -> Result<Action, Box<NamenodeRequest>> {
        use NamenodeRequest as R;
        Ok(match request {
            R::CreateBucket { bucket, owner, region } => Action::CreateBucket { bucket, owner, region },
            R::DeleteBucket { bucket } => Action::DeleteBucket { bucket },
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
            R::DeleteObjects { bucket, objects } => Action::DeleteObjects { bucket, objects },
            R::CreateUpload { bucket, key, owner, class, headers, checksum } => {
                Action::CreateUpload(Box::new(CreateUpload { bucket, key, owner, class, headers, checksum }))
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
            R::RelocateContents { lease, moves } => Action::RelocateContents { lease, moves },
            other => return Err(Box::new(other)),
        })
    }
}
