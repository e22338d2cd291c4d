//! What the admin commands show. Every figure is measured, none assumed.

use crate::archive::ArchiveFailure;
use crate::block::{BlockKind, Media};
use crate::ids::*;
use crate::object::StorageClass;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// `granary admin status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// The cluster.
    pub cluster: ClusterId,
    /// The Raft peers.
    pub peers: Vec<PeerStatus>,
    /// The datanodes ever registered with this leader.
    pub datanodes: Vec<DatanodeStatus>,
    /// The redundancy ledger.
    pub redundancy: Redundancy,
    /// Why nothing is repaired yet: the leader has just begun and waits for block reports. `None` otherwise.
    pub safe_mode: Option<String>,
    /// Buckets, objects (current versions) and their bytes.
    pub buckets: u64,
    pub objects: u64,
    pub object_bytes: u64,
}

/// Rows of the metadata, for `granary admin metadata export`. They hold secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataPage {
    /// Names the export in the request for the next page.
    pub export: u64,
    /// Keys and values, in ascending order of keys.
    pub pairs: Vec<(Bytes, Bytes)>,
    /// Whether there are no more.
    pub last: bool,
}

impl std::fmt::Debug for MetadataPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetadataPage").field("export", &self.export).field("last", &self.last).finish_non_exhaustive()
    }
}

/// A Raft peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    pub peer: PeerId,
    pub name: NodeName,
    pub address: String,
    pub leader: bool,
    /// The last log index known to be on this peer; `None` if it cannot be told.
    pub matched_index: Option<u64>,
    /// Whether it counts for a quorum; one that does not is still learning.
    pub votes: bool,
}

impl PeerStatus {
    /// Raft's word for what the peer is.
    pub fn role(&self) -> &'static str {
        match (self.leader, self.votes) {
            (true, _) => "leader",
            (false, true) => "follower",
            (false, false) => "learner",
        }
    }
}

/// Where the namenodes are. Of two lists the one with the higher version holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerList {
    /// Position in the Raft log of the membership this was read from; 0 for one that was configured.
    pub version: u64,
    /// Internal addresses, `host:port`.
    pub addresses: Vec<String>,
}

/// A change of the namenodes, by the names in their certificates. The JSON body of `POST /-/granary/v1/namenodes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PeerChange {
    /// The empty namenode at `address` learns, then votes.
    Add { name: NodeName, address: String },
    /// It votes and learns no more.
    Remove { name: NodeName },
    /// The one comes in, and in the moment it votes `old` goes.
    Replace { old: NodeName, name: NodeName, address: String },
}

/// How far a change has come. The JSON answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerChangeProgress {
    /// Whether there is nothing left to do.
    pub done: bool,
    /// For people.
    pub note: String,
}

impl PeerChangeProgress {
    /// Not done yet.
    pub fn going_on(note: &str) -> PeerChangeProgress {
        PeerChangeProgress { done: false, note: note.to_owned() }
    }
}

/// What an operator has said about a datanode. It outlives restarts of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatanodeIntent {
    /// It takes new replicas and its own count.
    #[default]
    InService,
    /// It is to go: it takes no new replicas, and those it has are copied elsewhere. They are read until it is gone.
    Decommission,
    /// It is away for a while: it takes no new replicas, and until this moment its own count although it is silent, as
    /// long as another one lives.
    Maintenance {
        /// When it counts as any other again, milliseconds since the Unix epoch.
        until: UnixMillis,
    },
}

/// The JSON body of `POST /-/granary/v1/datanode-intent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatanodeIntentQuestion {
    /// The datanode.
    pub name: String,
    /// What is to become of it.
    pub intent: DatanodeIntent,
}

/// `granary lifecycle explain`: what rules will do to a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifecycleExplanation {
    pub bucket: BucketName,
    pub key: ObjectKey,
    /// As S3 shows it.
    pub version: String,
    pub class: StorageClass,
    pub size: u64,
    pub written: UnixMillis,
    /// What it is among the versions of its key.
    pub standing: String,
    /// Whether a lock keeps it from being deleted or archived now.
    pub locked: bool,
    /// Milliseconds of a day of this store.
    pub day_ms: u64,
    /// When this was judged.
    pub now: UnixMillis,
    /// What is due already, and the rule that says so.
    pub next: Option<(String, String)>,
    /// Every rule of the bucket, in order.
    pub rules: Vec<RuleExplanation>,
}

/// What one rule says of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleExplanation {
    /// Its id.
    pub rule: String,
    /// Its filter, as AWS writes it.
    pub filter: String,
    /// Why it asks for nothing.
    pub why_not: Option<String>,
    /// What it asks for.
    pub plans: Vec<PlanExplanation>,
}

/// Something a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanExplanation {
    /// What.
    pub action: String,
    /// From when on; `None` while enough newer versions are missing.
    pub at: Option<UnixMillis>,
}

/// A datanode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatanodeStatus {
    pub datanode: DatanodeId,
    pub name: NodeName,
    pub address: String,
    pub rack: Rack,
    pub live: bool,
    /// Since the last heartbeat.
    pub silent_ms: u64,
    /// What an operator has said about it.
    pub intent: DatanodeIntent,
    /// Of a datanode that is to go: blocks on it, and their bytes, that are not yet redundant without it.
    pub blocks_left: u64,
    pub bytes_left: u64,
    pub volumes: Vec<VolumeStatus>,
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeStatus {
    pub volume: VolumeId,
    pub path: String,
    pub media: Media,
    pub capacity_bytes: u64,
    pub free_bytes: u64,
    pub used_bytes: u64,
    pub replicas: u64,
    pub failed: Option<String>,
    /// How long half of its accesses take at least, while that is much longer than on others; 0 otherwise. Writers avoid a
    /// slow volume, and readers ask others first.
    pub slow_ms: u32,
    /// Whether an operator wants it empty: it takes no new replicas, and those it has are copied elsewhere.
    pub draining: bool,
    /// Of a volume that is to be empty: blocks on it, and their bytes, that are not yet redundant without it.
    pub blocks_left: u64,
    pub bytes_left: u64,
}

/// The JSON body of `POST /-/granary/v1/volume-drain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeDrainQuestion {
    pub volume: VolumeId,
    /// Whether it is to be emptied; `false` takes that back.
    pub drain: bool,
}

/// Wanted against live redundancy of every block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redundancy {
    /// Blocks that hold data.
    pub blocks: u64,
    /// Replicas that the policies ask for.
    pub replicas_wanted: u64,
    /// Replicas that live datanodes have reported.
    pub replicas_live: u64,
    /// Blocks with fewer live replicas than wanted, and their bytes.
    pub under_replicated_blocks: u64,
    pub under_replicated_bytes: u64,
    /// Blocks with no live replica.
    pub missing_blocks: u64,
    pub missing_bytes: u64,
    /// Blocks with more live replicas than wanted.
    pub over_replicated_blocks: u64,
    /// Blocks whose live replicas all stand on one rack, though there are others.
    pub mis_replicated_blocks: u64,
    /// Wanted by policy, but not possible with the failure domains there are.
    pub policy_shortfall_replicas: u64,
}

/// `granary admin df`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceReport {
    /// Bytes of current objects, versions and parts, each content once.
    pub content_bytes: u64,
    /// Bytes of blocks, each block once: contents, record headers and what is not yet compacted.
    pub block_bytes: u64,
    /// Of those, bytes that no content refers to.
    pub dead_bytes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Bytes of the metadata engine and the Raft log on this leader's disk.
    pub metadata_bytes: u64,
    /// Every volume.
    pub volumes: Vec<(NodeName, VolumeStatus)>,
}

/// `granary admin blocks s3://bucket/key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectBlocks {
    /// Bytes of the object.
    pub size: u64,
    /// Its extents in order.
    pub blocks: Vec<BlockDescription>,
}

/// An extent of an object and the replicas of its block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDescription {
    /// First byte in the object, and bytes.
    pub object_offset: u64,
    pub length: u64,
    /// Where it is in the block.
    pub block_offset: u32,
    pub kind: BlockKind,
    pub sealed: bool,
    /// The block, its replicas and a copy token.
    pub located: crate::block::LocatedBlock,
}

/// The JSON answer of `GET /-/granary/v1/blocks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlocksAnswer {
    /// Bytes of the object.
    pub size: u64,
    /// Its extents in order.
    pub blocks: Vec<BlockAnswer>,
}

/// An extent of an object in [`BlocksAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockAnswer {
    pub block: u64,
    pub generation: u64,
    /// `owned` or `packed`.
    pub kind: String,
    pub sealed: bool,
    /// First byte in the object, and bytes.
    pub object_offset: u64,
    pub length: u64,
    /// Where it is in the block, and the block's durable bytes.
    pub block_offset: u32,
    pub block_length: u32,
    pub replicas: Vec<ReplicaAnswer>,
    /// The coded group that protects it, if one does.
    #[serde(default)]
    pub group: Option<GroupAnswer>,
}

/// A coded group in [`BlockAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAnswer {
    pub group: u64,
    /// Its shape: `rs-6-3`.
    pub policy: String,
    /// The block's place among its members, data members first, from 0.
    pub place: u8,
    /// Members besides the block that have a live replica; as many as there are data members are needed to rebuild it.
    pub readable: u64,
    /// The other members, by place.
    pub others: Vec<MemberAnswer>,
}

/// A member of a coded group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberAnswer {
    pub place: u8,
    /// `data` or `parity`.
    pub kind: String,
    pub block: u64,
    pub length: u32,
    /// Where it lives: `datanode volume`; empty when it is lost.
    pub replicas: Vec<String>,
}

/// A replica in [`BlockAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaAnswer {
    pub datanode: String,
    pub host: String,
    pub rack: String,
    pub volume: u64,
    /// `good`, after every byte was read and checked, or what is wrong.
    pub checksum: String,
}

/// The JSON body of `POST /-/granary/v1/join-tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinTokenQuestion {
    /// The only node that may use the token; any if absent.
    #[serde(default)]
    pub name: Option<String>,
    /// `namenode` for a token of a namenode, which needs a name; one for datanodes and gateways if absent.
    #[serde(default)]
    pub role: Option<String>,
    pub lifetime_ms: u64,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinTokenAnswer {
    pub token: String,
}

/// The JSON body of `POST /-/granary/v1/enrol`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolQuestion {
    /// The join token.
    pub secret: String,
    pub name: String,
    /// `namenode`, `datanode` or `gateway`.
    pub role: String,
    pub csr_pem: String,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolAnswer {
    pub certificate_pem: String,
    pub ca_pem: String,
}

/// `POST` (a new key) and `PUT` (whether it is disabled) of `/-/granary/v1/kms-keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsKeyQuestion {
    /// The key's name.
    pub name: String,
    /// Whether it is to be disabled; of no meaning for a new one.
    #[serde(default)]
    pub disabled: bool,
}

/// `PUT /-/granary/v1/archive-targets`: where the blocks of a class go.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveTargetQuestion {
    /// The S3 name of an archived class.
    pub class: String,
    /// `http://host[:port]` or `https://host[:port]`.
    pub endpoint: String,
    pub bucket: String,
    /// What every key there begins with.
    #[serde(default)]
    pub prefix: String,
    /// The region requests are signed for.
    pub region: String,
    pub access_key: String,
    /// Kept sealed under the store's key, and never shown.
    pub secret_key: String,
    /// PEM certificates of the authorities to trust; empty for those of the public web.
    #[serde(default)]
    pub ca_pem: String,
    /// Takes the target as it is told; otherwise a small object is written, read and deleted there first.
    #[serde(default)]
    pub unchecked: bool,
}

impl std::fmt::Debug for ArchiveTargetQuestion {
    /// Without its keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ArchiveTargetQuestion({} to {}/{}/{})", self.class, self.endpoint, self.bucket, self.prefix)
    }
}

/// The answer of `GET /-/granary/v1/archive-targets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveTargetList {
    /// By class.
    pub targets: Vec<ArchiveTargetDescription>,
}

/// One target in an [`ArchiveTargetList`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveTargetDescription {
    pub class: String,
    pub endpoint: String,
    pub bucket: String,
    pub prefix: String,
    pub region: String,
    pub access_key: String,
    /// It was removed: what is there returns.
    pub returning: bool,
    /// Blocks there, and their bytes.
    pub blocks: u64,
    pub bytes: u64,
    /// Of these, blocks that have replicas here as well.
    pub here_too: u64,
    /// Blocks that are being sent, and that wait to be.
    pub sending: u64,
    pub waiting: u64,
    pub waiting_bytes: u64,
    /// Blocks that wait to be fetched.
    pub wanted: u64,
    pub wanted_bytes: u64,
    /// Objects there that are to be deleted.
    pub garbage: u64,
    /// What fails there now, latest first.
    pub failures: Vec<ArchiveFailure>,
}

/// The answer of `GET /-/granary/v1/kms-keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsKeyList {
    /// Every key, by name.
    pub keys: Vec<KmsKeyDescription>,
}

/// A key of SSE-KMS, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsKeyDescription {
    /// Its name.
    pub name: String,
    /// When it was made, in milliseconds of Unix time.
    pub created_ms: u64,
    /// Whether it neither encrypts nor decrypts.
    pub disabled: bool,
}

/// The answer of `GET` (as it is) and `POST` (after every key was sealed anew) of `/-/granary/v1/master-key`: how many keys
/// of the key store are sealed under which master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterKeyStatus {
    /// Under the one that the gateway seals with.
    pub current: u64,
    /// Under another that it has.
    pub other: u64,
    /// Under one that it does not have.
    pub unknown: u64,
    /// Of the current ones, those sealed anew by this request.
    pub resealed: u64,
}

/// The JSON body of `POST /-/granary/v1/users`, and, with the user's name, of `POST /-/granary/v1/keys`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserQuestion {
    pub name: String,
    /// A key of the operator's choice; generated if absent. Both halves or none.
    #[serde(default)]
    pub access_key: Option<String>,
    #[serde(default)]
    pub secret_key: Option<String>,
}

/// The answer to both: the only time the secret is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserKeyAnswer {
    pub user: UserAnswer,
    pub access_key: String,
    pub secret_key: String,
}

/// A user as the admin routes show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAnswer {
    pub name: String,
    pub canonical_id: String,
    pub account_id: String,
    pub arn: String,
    pub display_name: String,
    pub created_ms: u64,
    pub disabled: bool,
    pub keys: Vec<AccessKeyAnswer>,
    pub policies: Vec<String>,
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKeyAnswer {
    pub access_key: String,
    pub created_ms: u64,
    pub disabled: bool,
}

/// The answer of `GET /-/granary/v1/users`: a page by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsersAnswer {
    pub users: Vec<UserAnswer>,
    /// Whether there are more, after the last of these.
    pub truncated: bool,
}

/// The body of `POST /-/granary/v1/users/state`, and with a key, of `POST /-/granary/v1/keys/state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateQuestion {
    pub user: String,
    #[serde(default)]
    pub access_key: Option<String>,
    pub disabled: bool,
}

/// A named policy: the body of `PUT /-/granary/v1/policies`, and an element of [`PoliciesAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyQuestion {
    pub name: String,
    /// JSON text in the policy language.
    pub document: String,
}

/// The answer of `GET /-/granary/v1/policies`: a page by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoliciesAnswer {
    pub policies: Vec<PolicyQuestion>,
    /// Whether there are more, after the last of these.
    pub truncated: bool,
}

/// The body of `POST /-/granary/v1/policies/attachments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachmentQuestion {
    pub user: String,
    pub policy: String,
    pub attached: bool,
}

/// The answer of what has nothing to say but that it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneAnswer {
    pub done: bool,
}
