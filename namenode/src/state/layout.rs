//! The key space: one ordered map, a table a first byte, numbers big-endian so that their order is the keys' order.
//!
//! | byte | table | rest of the key | value |
//! |---|---|---|---|
//! | 1 | meta | name | by name: `layout_version` u32 big-endian, `counters` [`Counters`](super::records::Counters), `cluster` text, `ca` two PEM texts, `block_keys`, `token_key`, `last_peer`, and whatever the Raft shell puts |
//! | 2 | bucket | bucket name | [`BucketRecord`](super::records::BucketRecord) |
//! | 3 | bucket_counts | root directory | [`BucketCounts`](super::records::BucketCounts) |
//! | 4 | entry | parent directory, name | tag 0 and [`DirectoryRecord`](super::records::DirectoryRecord), or tag 1 and [`ObjectRecord`](super::records::ObjectRecord) |
//! | 5 | version | parent directory, shifted name, 0, inverted sequence | as an object's entry: noncurrent versions, newest first |
//! | 6 | null_version | parent directory, shifted name | sequence of the noncurrent `null` version |
//! | 7 | content | content | [`ContentRecord`](super::records::ContentRecord) |
//! | 8 | content_parts | content | the parts of a multipart object |
//! | 9 | upload | root directory, shifted key, 0, upload | [`UploadRecord`](super::records::UploadRecord) |
//! | 10 | part | upload, number (2 bytes) | [`PartRecord`](super::records::PartRecord) |
//! | 11 | block | block | [`BlockRecord`](super::records::BlockRecord) |
//! | 12 | lease | lease | [`LeaseRecord`](super::records::LeaseRecord) |
//! | 13 | lease_holder | node name | the lease it holds |
//! | 14 | lease_block | lease, block | empty: the block is open, or sealed and not yet used |
//! | 15 | join_token | SHA-256 of the secret | [`JoinTokenRecord`](super::records::JoinTokenRecord) |
//! | 16 | bucket_document | root directory, kind (1 byte) | the document as it was given |
//! | 17 | user | user name | [`UserRecord`](super::records::UserRecord) |
//! | 18 | user_id | canonical id | the user's name |
//! | 19 | user_account | account id | the user's name |
//! | 20 | access_key | access key id | [`AccessKeyRecord`](super::records::AccessKeyRecord) |
//! | 21 | policy | policy name | [`PolicyRecord`](super::records::PolicyRecord) |
//! | 22 | encryption_key | key id | [`EncryptionKeyRecord`](super::records::EncryptionKeyRecord) |
//! | 23 | event | event | [`EventRecord`](super::records::EventRecord) |
//! | 24 | event_due | Unix milliseconds, event | empty: from then on the event may be claimed |
//! | 30 | session | client (16 bytes) | [`SessionRecord`](super::sessions): a process that sends numbered requests |
//! | 31 | session_day | day, client (16 bytes) | empty: the last day on which the session was seen |
//! | 32 | outcome | client (16 bytes), number | what came of a numbered request: the reply, or the refusal |
//! | 40 | datanode_intent | node name | what an operator has said about a datanode that is not simply in service |
//! | 41 | directory_counts | directory | [`DirectoryCounts`](super::records::DirectoryCounts) |
//! | 50 | namenode_token | SHA-256 of the secret | [`JoinTokenRecord`](super::records::JoinTokenRecord) of a namenode |
//! | 51 | volume_drain | volume | empty: an operator wants the volume empty |
//! | 60 | file_attributes | parent directory, name | [`Attributes`](super::filesystem) that Hadoop gave a file |
//! | 61 | directory_attributes | directory | [`Attributes`](super::filesystem) that Hadoop gave a directory |
//! | 62 | open_file | file id | a file that is being written through Hadoop |
//! | 63 | open_name | parent directory, name | the id of the file that is being written there |
//! | 64 | file_lease | writer's name | when it was last renewed |
//! | 65 | retry | slot of ten minutes, client (16 bytes), call (4 bytes) | the reply to an at-most-once call |
//! | 66 | detached | directory | a deleted tree whose rows are being removed |
//! | 67 | recovering | file id | empty: the leader ends the file's last block |
//! | 90 | lifecycle_progress | root directory | [`LifecycleProgress`](granary_protocol::lifecycle::LifecycleProgress) |
//! | 91 | content_classes | content | how many versions of each class but STANDARD refer to it |
//! | 92 | content_move | content | the class its record is to be written into |
//! | 93 | restore | version sequence | [`RestoreRecord`](super::records::RestoreRecord) |
//! | 94 | restore_due | Unix milliseconds, version sequence | empty: then a restore is announced or forgotten |
//! | 95 | tiering | content | [`Tiering`](super::records::Tiering) of a content in INTELLIGENT_TIERING |
//! | 96 | tiering_idle | Unix milliseconds, content | empty: a frequent content, by its last access |
//! | 97 | class_changed | block | empty: the block changed its class, and asks for the replicas of the old one yet |
//! | 68 | quota | directory | the limits of a directory |
//! | 69 | quota_count | – | how many directories have limits |
//! | 70 | small_file | content | when the small file that Hadoop wrote was closed: it waits to be packed |
//! | 71 | opened | file id | what was so when a file that is being written was opened |
//! | 72 | delegation_term | when the token ends (Unix milliseconds), its nonce (16 bytes) | until when a delegation token counts that was renewed; 0 if it was cancelled |
//! | 73 | delegation_count | – | how many rows table 72 has |
//! | 80 | group | group | [`GroupRecord`](super::records::GroupRecord) |
//! | 81 | block_group | block | the coded group it is in |
//! | 100 | job | job | [`JobRecord`](granary_protocol::jobs::JobRecord) |
//! | 101 | job_token | SHA-256 of the submitter's account and the client's token | the job |
//! | 102 | job_inputs | job, page | a page of the list of its inputs, as the service wrote it |
//! | 103 | job_plan | job, page | a page of its plan, as the service wrote it |
//! | 104 | job_task | job, kind (1 byte), task | [`TaskRecord`](granary_protocol::jobs::TaskRecord) of a task that is done |
//! | 105 | job_upload | job, upload | the upload's key, and the attempt that writes it |
//! | 110 | archive_target | class name | [`TargetRecord`](super::records::TargetRecord): where the blocks of a class go |
//! | 111 | archive_counts | class name | [`ArchiveCounts`](granary_protocol::archive::ArchiveCounts) of a target |
//! | 112 | external_block | block | [`ExternalBlock`](granary_protocol::archive::ExternalBlock): it is sent to a target, or is there |
//! | 113 | external_garbage | block, key at the target | [`GarbageRecord`](super::records::GarbageRecord): to be deleted there |
//! | 114 | recall | block | until when (Unix milliseconds) the block is wanted here, though its class is kept elsewhere |
//! | 115 | recall_due | Unix milliseconds, block | empty: then the recall ends |
//! | 116 | restore_wait | version sequence | [`RestoreWait`](super::records::RestoreWait): the blocks of a restored version are to be here |
//!
//! Values are postcard unless said otherwise. Ids and sequences take 8 bytes in keys.
//!
//! **Names.** A key is cut after each slash: `a/b//c` is the entry `c` in the directory `/` in `b/` in `a/`, and `a/` is
//! the entry with the empty name in `a/`. A directory's name ends in its slash and a file's has none, so rows in byte
//! order, walked depth first, are keys in byte order.
//!
//! **Shifted names.** Where something follows a name in a key, the name needs an end that sorts before every longer name.
//! UTF-8 never uses bytes above 0xF4, so every byte is stored plus one and 0 ends the name: nothing grows, order stays.
//!
//! **Content ids.** A writer's ids carry its lease in the upper 32 bits; the namenode's own (for contents made of slices)
//! have the top bit set and count below it. Leases stop at 2³¹ − 1, so the two never meet.

use crate::engine::KEY_BYTES_MAX;
use granary_protocol::bucket::BucketDocument;
use granary_protocol::delegation::DelegationTokenId;
use granary_protocol::event::EventId;
use granary_protocol::filesystem::{FileId, RetryId};
use granary_protocol::jobs::{JobId, TaskKind, TaskName};
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::GroupId;
use granary_protocol::{
    BlockId, BucketName, CanonicalId, ContentId, DirectoryId, LeaseId, NodeName, ObjectKey, UnixMillis, UploadId,
    VolumeId,
};

/// The layout this version reads and writes.
pub const LAYOUT_VERSION: u32 = 3;

/// The first lease id that may not be given out.
pub(super) const LEASES_END: u64 = 1 << 31;
/// The lease of the file system itself, under which blocks of Hadoop's writers are open. It never ends, and no process is
/// given it.
pub const FILESYSTEM_LEASE: LeaseId = LeaseId(LEASES_END - 1);
/// Marks the namenode's own content ids.
const OWN_CONTENT: u64 = 1 << 63;

pub(super) const META: u8 = 1;
pub(super) const BUCKET: u8 = 2;
pub(super) const BUCKET_COUNTS: u8 = 3;
pub(super) const ENTRY: u8 = 4;
pub(super) const VERSION: u8 = 5;
pub(super) const NULL_VERSION: u8 = 6;
pub(super) const CONTENT: u8 = 7;
pub(super) const CONTENT_PARTS: u8 = 8;
pub(super) const UPLOAD: u8 = 9;
pub(super) const PART: u8 = 10;
pub(super) const BLOCK: u8 = 11;
pub(super) const LEASE: u8 = 12;
pub(super) const LEASE_HOLDER: u8 = 13;
pub(super) const LEASE_BLOCK: u8 = 14;
pub(super) const JOIN_TOKEN: u8 = 15;
pub(super) const BUCKET_DOCUMENT: u8 = 16;
pub(super) const USER: u8 = 17;
pub(super) const USER_ID: u8 = 18;
pub(super) const USER_ACCOUNT: u8 = 19;
pub(super) const ACCESS_KEY: u8 = 20;
pub(super) const POLICY: u8 = 21;
pub(super) const ENCRYPTION_KEY: u8 = 22;
pub(super) const EVENT: u8 = 23;
pub(super) const EVENT_DUE: u8 = 24;
pub(super) const SESSION: u8 = 30;
pub(super) const SESSION_DAY: u8 = 31;
pub(super) const OUTCOME: u8 = 32;
pub(super) const DATANODE_INTENT: u8 = 40;
pub(super) const DIRECTORY_COUNTS: u8 = 41;
pub(super) const NAMENODE_TOKEN: u8 = 50;
pub(super) const VOLUME_DRAIN: u8 = 51;
pub(super) const FILE_ATTRIBUTES: u8 = 60;
pub(super) const DIRECTORY_ATTRIBUTES: u8 = 61;
pub(super) const OPEN_FILE: u8 = 62;
pub(super) const OPEN_NAME: u8 = 63;
pub(super) const FILE_LEASE: u8 = 64;
pub(super) const RETRY: u8 = 65;
pub(super) const DETACHED: u8 = 66;
pub(super) const RECOVERING: u8 = 67;
pub(super) const LIFECYCLE_PROGRESS: u8 = 90;
pub(super) const CONTENT_CLASSES: u8 = 91;
pub(super) const CONTENT_MOVE: u8 = 92;
pub(super) const RESTORE: u8 = 93;
pub(super) const RESTORE_DUE: u8 = 94;
pub(super) const TIERING: u8 = 95;
pub(super) const TIERING_IDLE: u8 = 96;
pub(super) const CLASS_CHANGED: u8 = 97;
pub(super) const QUOTA: u8 = 68;
pub(super) const QUOTA_COUNT: u8 = 69;
pub(super) const SMALL_FILE: u8 = 70;
pub(super) const OPENED: u8 = 71;
pub(super) const DELEGATION_TERM: u8 = 72;
pub(super) const DELEGATION_COUNT: u8 = 73;
pub(super) const GROUP: u8 = 80;
pub(super) const BLOCK_GROUP: u8 = 81;
pub(super) const JOB: u8 = 100;
pub(super) const JOB_TOKEN: u8 = 101;
pub(super) const JOB_INPUTS: u8 = 102;
pub(super) const JOB_PLAN: u8 = 103;
pub(super) const JOB_TASK: u8 = 104;
pub(super) const JOB_UPLOAD: u8 = 105;
pub(super) const ARCHIVE_TARGET: u8 = 110;
pub(super) const ARCHIVE_COUNTS: u8 = 111;
pub(super) const EXTERNAL_BLOCK: u8 = 112;
pub(super) const EXTERNAL_GARBAGE: u8 = 113;
pub(super) const RECALL: u8 = 114;
pub(super) const RECALL_DUE: u8 = 115;
pub(super) const RESTORE_WAIT: u8 = 116;

// The longest key of all: a version or an upload of a 1,024-byte key.
const _: () = assert!(1 + 8 + granary_protocol::object::KEY_BYTES_MAX + 1 + 8 <= KEY_BYTES_MAX);

/// The `counter`-th content that the namenode itself makes.
pub(super) fn own_content(counter: u64) -> ContentId {
    assert!(counter < OWN_CONTENT, "2^63 contents have been made");
    ContentId(OWN_CONTENT | counter)
}

/// Whether the namenode made this content.
pub(super) fn is_own_content(content: ContentId) -> bool {
    content.0 & OWN_CONTENT != 0
}

pub(crate) fn meta(name: &str) -> Vec<u8> {
    text(META, name.as_bytes())
}

pub(super) fn bucket(name: &BucketName) -> Vec<u8> {
    text(BUCKET, name.as_str().as_bytes())
}

pub(super) fn bucket_counts(root: DirectoryId) -> Vec<u8> {
    number(BUCKET_COUNTS, root.0)
}

pub(super) fn directory_counts(directory: DirectoryId) -> Vec<u8> {
    number(DIRECTORY_COUNTS, directory.0)
}

/// The row of `name` in `parent`; with an empty name, also the start of the directory's rows.
pub(super) fn entry(parent: DirectoryId, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + name.len());
    key.push(ENTRY);
    key.extend_from_slice(&parent.0.to_be_bytes());
    key.extend_from_slice(name);
    key
}

/// The start of the noncurrent versions of all names in a directory.
pub(super) fn versions_in(parent: DirectoryId) -> Vec<u8> {
    number(VERSION, parent.0)
}

/// The start of the noncurrent versions of `name`.
pub(super) fn versions_of(parent: DirectoryId, name: &[u8]) -> Vec<u8> {
    shifted(VERSION, parent.0, name, true)
}

/// The version written as number `sequence`. Later versions sort first.
pub(super) fn version(parent: DirectoryId, name: &[u8], sequence: u64) -> Vec<u8> {
    let mut key = versions_of(parent, name);
    key.extend_from_slice(&(!sequence).to_be_bytes());
    key
}

pub(super) fn null_version(parent: DirectoryId, name: &[u8]) -> Vec<u8> {
    shifted(NULL_VERSION, parent.0, name, false)
}

pub(super) fn content(content: ContentId) -> Vec<u8> {
    number(CONTENT, content.0)
}

pub(super) fn content_parts(content: ContentId) -> Vec<u8> {
    number(CONTENT_PARTS, content.0)
}

/// The start of the uploads of a bucket.
pub(super) fn uploads_of_bucket(root: DirectoryId) -> Vec<u8> {
    number(UPLOAD, root.0)
}

/// The start of the uploads whose key begins with `prefix`; with `whole`, of exactly that key.
pub(super) fn uploads_of(root: DirectoryId, prefix: &[u8], whole: bool) -> Vec<u8> {
    shifted(UPLOAD, root.0, prefix, whole)
}

pub(super) fn upload(root: DirectoryId, key: &ObjectKey, upload: UploadId) -> Vec<u8> {
    let mut row = uploads_of(root, key.as_str().as_bytes(), true);
    row.extend_from_slice(&upload.0.to_be_bytes());
    row
}

/// The key and the upload of a row of the upload table.
pub(super) fn decode_upload(row: &[u8]) -> Option<(ObjectKey, UploadId)> {
    let (rest, upload) = row.get(9..)?.split_last_chunk::<8>()?;
    let (end, shifted) = rest.split_last()?;
    if *end != 0 {
        return None;
    }
    let key = shifted.iter().map(|byte| byte.checked_sub(1)).collect::<Option<Vec<u8>>>()?;
    Some((ObjectKey(String::from_utf8(key).ok()?), UploadId(u64::from_be_bytes(*upload))))
}

/// The start of the parts of an upload.
pub(super) fn parts_of(upload: UploadId) -> Vec<u8> {
    number(PART, upload.0)
}

pub(super) fn part(upload: UploadId, number: u16) -> Vec<u8> {
    let mut key = parts_of(upload);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

pub(super) fn block(block: BlockId) -> Vec<u8> {
    number(BLOCK, block.0)
}

pub(super) fn group(group: GroupId) -> Vec<u8> {
    number(GROUP, group.0)
}

pub(super) fn block_group(block: BlockId) -> Vec<u8> {
    number(BLOCK_GROUP, block.0)
}

pub(super) fn job(job: JobId) -> Vec<u8> {
    number(JOB, job.0)
}

pub(super) fn job_token(digest: &[u8; 32]) -> Vec<u8> {
    text(JOB_TOKEN, digest)
}

/// The start of a job's rows in one of its tables.
pub(super) fn of_job(table: u8, job: JobId) -> Vec<u8> {
    number(table, job.0)
}

/// A page of a job in one of its tables of pages.
pub(super) fn job_page(table: u8, job: JobId, page: u32) -> Vec<u8> {
    let mut key = of_job(table, job);
    key.extend_from_slice(&page.to_be_bytes());
    key
}

pub(super) fn job_task(job: JobId, task: TaskName) -> Vec<u8> {
    let mut key = of_job(JOB_TASK, job);
    key.push(match task.kind {
        TaskKind::Map => 0,
        TaskKind::Reduce => 1,
    });
    key.extend_from_slice(&task.index.to_be_bytes());
    key
}

/// The task of a row of the task table.
pub(super) fn decode_job_task(row: &[u8]) -> Option<TaskName> {
    let (kind, index) = row.get(9..)?.split_first()?;
    let kind = match kind {
        0 => TaskKind::Map,
        1 => TaskKind::Reduce,
        _ => return None,
    };
    Some(TaskName { kind, index: u32::from_be_bytes(index.try_into().ok()?) })
}

pub(super) fn job_upload(job: JobId, upload: UploadId) -> Vec<u8> {
    let mut key = of_job(JOB_UPLOAD, job);
    key.extend_from_slice(&upload.0.to_be_bytes());
    key
}

pub(super) fn lease(lease: LeaseId) -> Vec<u8> {
    number(LEASE, lease.0)
}

pub(super) fn lease_holder(holder: &NodeName) -> Vec<u8> {
    text(LEASE_HOLDER, holder.as_str().as_bytes())
}

/// The start of the blocks that a lease has in hand.
pub(super) fn lease_blocks(lease: LeaseId) -> Vec<u8> {
    number(LEASE_BLOCK, lease.0)
}

pub(super) fn lease_block(lease: LeaseId, block: BlockId) -> Vec<u8> {
    let mut key = lease_blocks(lease);
    key.extend_from_slice(&block.0.to_be_bytes());
    key
}

pub(super) fn namenode_token(secret_sha256: &[u8; 32]) -> Vec<u8> {
    text(NAMENODE_TOKEN, secret_sha256)
}

pub(super) fn join_token(secret_sha256: &[u8; 32]) -> Vec<u8> {
    text(JOIN_TOKEN, secret_sha256)
}

/// The start of the documents of a bucket.
pub(super) fn bucket_documents(root: DirectoryId) -> Vec<u8> {
    number(BUCKET_DOCUMENT, root.0)
}

pub(super) fn bucket_document(root: DirectoryId, kind: BucketDocument) -> Vec<u8> {
    let mut key = bucket_documents(root);
    let place = BucketDocument::ALL.iter().position(|known| *known == kind).expect("all kinds are in the list");
    key.push(u8::try_from(place).expect("there are few kinds"));
    key
}

/// The kind of document a row holds.
pub(super) fn decode_bucket_document(row: &[u8]) -> Option<BucketDocument> {
    BucketDocument::ALL.get(usize::from(*row.last()?)).copied()
}

pub(super) fn volume_drain(volume: VolumeId) -> Vec<u8> {
    number(VOLUME_DRAIN, volume.0)
}

pub(super) fn datanode_intent(name: &NodeName) -> Vec<u8> {
    text(DATANODE_INTENT, name.as_str().as_bytes())
}

pub(super) fn user(name: &str) -> Vec<u8> {
    text(USER, name.as_bytes())
}

pub(super) fn user_id(canonical_id: &CanonicalId) -> Vec<u8> {
    text(USER_ID, canonical_id.as_str().as_bytes())
}

pub(super) fn user_account(account_id: &str) -> Vec<u8> {
    text(USER_ACCOUNT, account_id.as_bytes())
}

pub(super) fn access_key(access_key: &str) -> Vec<u8> {
    text(ACCESS_KEY, access_key.as_bytes())
}

pub(super) fn policy(name: &str) -> Vec<u8> {
    text(POLICY, name.as_bytes())
}

pub(super) fn encryption_key(key_id: &str) -> Vec<u8> {
    text(ENCRYPTION_KEY, key_id.as_bytes())
}

/// How far the scan of a bucket has come.
pub(super) fn lifecycle_progress(root: DirectoryId) -> Vec<u8> {
    number(LIFECYCLE_PROGRESS, root.0)
}

pub(super) fn content_classes(content: ContentId) -> Vec<u8> {
    number(CONTENT_CLASSES, content.0)
}

pub(super) fn content_move(content: ContentId) -> Vec<u8> {
    number(CONTENT_MOVE, content.0)
}

/// The restore of the version written as number `sequence`.
pub(super) fn restore(sequence: u64) -> Vec<u8> {
    number(RESTORE, sequence)
}

pub(super) fn restore_due(due: UnixMillis, sequence: u64) -> Vec<u8> {
    let mut key = number(RESTORE_DUE, due.0);
    key.extend_from_slice(&sequence.to_be_bytes());
    key
}

pub(super) fn tiering(content: ContentId) -> Vec<u8> {
    number(TIERING, content.0)
}

pub(super) fn tiering_idle(accessed: UnixMillis, content: ContentId) -> Vec<u8> {
    let mut key = number(TIERING_IDLE, accessed.0);
    key.extend_from_slice(&content.0.to_be_bytes());
    key
}

pub(super) fn class_changed(block: BlockId) -> Vec<u8> {
    number(CLASS_CHANGED, block.0)
}

/// The row of `name` in a table whose keys are names.
pub(super) fn named(table: u8, name: &str) -> Vec<u8> {
    text(table, name.as_bytes())
}

/// Whether IAM would let a user or a policy be called so.
pub(super) fn is_entity_name(name: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
}

pub(super) fn event(event: EventId) -> Vec<u8> {
    number(EVENT, event.0)
}

pub(super) fn event_due(due: UnixMillis, event: EventId) -> Vec<u8> {
    let mut key = number(EVENT_DUE, due.0);
    key.extend_from_slice(&event.0.to_be_bytes());
    key
}

/// When an event may be claimed, and which.
pub(super) fn decode_event_due(row: &[u8]) -> Option<(UnixMillis, EventId)> {
    let (due, event) = row.get(1..)?.split_first_chunk::<8>()?;
    let event: [u8; 8] = event.try_into().ok()?;
    Some((UnixMillis(u64::from_be_bytes(*due)), EventId(u64::from_be_bytes(event))))
}

pub(super) fn file_attributes(parent: DirectoryId, name: &[u8]) -> Vec<u8> {
    in_directory(FILE_ATTRIBUTES, parent, name)
}

pub(super) fn directory_attributes(directory: DirectoryId) -> Vec<u8> {
    number(DIRECTORY_ATTRIBUTES, directory.0)
}

pub(super) fn open_file(file: FileId) -> Vec<u8> {
    number(OPEN_FILE, file.0)
}

/// The row of a file that is being written; with an empty name, also the start of those in the directory.
pub(super) fn open_name(parent: DirectoryId, name: &[u8]) -> Vec<u8> {
    in_directory(OPEN_NAME, parent, name)
}

pub(super) fn file_lease(holder: &str) -> Vec<u8> {
    text(FILE_LEASE, holder.as_bytes())
}

pub(super) fn retry(slot: u64, id: RetryId) -> Vec<u8> {
    let mut key = number(RETRY, slot);
    key.extend_from_slice(&id.client);
    key.extend_from_slice(&id.call.to_be_bytes());
    key
}

/// The slot of a row of the retry table.
pub(super) fn retry_slot(row: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*row.get(1..)?.first_chunk::<8>()?))
}

pub(super) fn session(client: &[u8; 16]) -> Vec<u8> {
    text(SESSION, client)
}

pub(super) fn session_day(day: u64, client: &[u8; 16]) -> Vec<u8> {
    let mut key = number(SESSION_DAY, day);
    key.extend_from_slice(client);
    key
}

/// The day and the client of a row of the table of days.
pub(super) fn decode_session_day(row: &[u8]) -> Option<(u64, [u8; 16])> {
    let (day, client) = row.get(1..)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*day), client.try_into().ok()?))
}

/// What begins the rows of a client's outcomes.
pub(super) fn outcomes_of(client: &[u8; 16]) -> Vec<u8> {
    text(OUTCOME, client)
}

pub(super) fn outcome(client: &[u8; 16], number: u64) -> Vec<u8> {
    let mut key = outcomes_of(client);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

pub(super) fn detached(directory: DirectoryId) -> Vec<u8> {
    number(DETACHED, directory.0)
}

pub(super) fn quota(directory: DirectoryId) -> Vec<u8> {
    number(QUOTA, directory.0)
}

pub(super) fn small_file(content: ContentId) -> Vec<u8> {
    number(SMALL_FILE, content.0)
}

pub(super) fn opened(file: FileId) -> Vec<u8> {
    number(OPENED, file.0)
}

pub(super) fn recovering(file: FileId) -> Vec<u8> {
    number(RECOVERING, file.0)
}

pub(super) fn delegation_term(token: &DelegationTokenId) -> Vec<u8> {
    let mut key = number(DELEGATION_TERM, token.ends.0);
    key.extend_from_slice(&token.nonce);
    key
}

/// The first key after those of tokens that have ended by `now`.
pub(super) fn delegation_terms_ending_by(now: UnixMillis) -> Vec<u8> {
    number(DELEGATION_TERM, now.0.saturating_add(1))
}

pub(super) fn archive_target(class: StorageClass) -> Vec<u8> {
    text(ARCHIVE_TARGET, class.name().as_bytes())
}

pub(super) fn archive_counts(class: StorageClass) -> Vec<u8> {
    text(ARCHIVE_COUNTS, class.name().as_bytes())
}

pub(super) fn external_block(block: BlockId) -> Vec<u8> {
    number(EXTERNAL_BLOCK, block.0)
}

pub(super) fn external_garbage(block: BlockId, remote_key: &str) -> Vec<u8> {
    let mut key = number(EXTERNAL_GARBAGE, block.0);
    key.extend_from_slice(remote_key.as_bytes());
    key
}

/// The block of a row of the garbage at targets, and the key there.
pub(super) fn decode_external_garbage(row: &[u8]) -> Option<(BlockId, &str)> {
    let (block, remote_key) = row.get(1..)?.split_first_chunk::<8>()?;
    Some((BlockId(u64::from_be_bytes(*block)), std::str::from_utf8(remote_key).ok()?))
}

pub(super) fn recall(block: BlockId) -> Vec<u8> {
    number(RECALL, block.0)
}

pub(super) fn recall_due(until: UnixMillis, block: BlockId) -> Vec<u8> {
    let mut key = number(RECALL_DUE, until.0);
    key.extend_from_slice(&block.0.to_be_bytes());
    key
}

pub(super) fn restore_wait(sequence: u64) -> Vec<u8> {
    number(RESTORE_WAIT, sequence)
}

/// What a table is called, for people.
pub(super) fn table_name(table: u8) -> &'static str {
    match table {
        META => "meta",
        BUCKET => "bucket",
        BUCKET_COUNTS => "bucket_counts",
        ENTRY => "entry",
        VERSION => "version",
        NULL_VERSION => "null_version",
        CONTENT => "content",
        CONTENT_PARTS => "content_parts",
        UPLOAD => "upload",
        PART => "part",
        BLOCK => "block",
        LEASE => "lease",
        LEASE_HOLDER => "lease_holder",
        LEASE_BLOCK => "lease_block",
        JOIN_TOKEN => "join_token",
        NAMENODE_TOKEN => "namenode_token",
        VOLUME_DRAIN => "volume_drain",
        BUCKET_DOCUMENT => "bucket_document",
        USER => "user",
        USER_ID => "user_id",
        USER_ACCOUNT => "user_account",
        ACCESS_KEY => "access_key",
        POLICY => "policy",
        ENCRYPTION_KEY => "encryption_key",
        EVENT => "event",
        EVENT_DUE => "event_due",
        SESSION => "session",
        SESSION_DAY => "session_day",
        OUTCOME => "outcome",
        DATANODE_INTENT => "datanode_intent",
        DIRECTORY_COUNTS => "directory_counts",
        FILE_ATTRIBUTES => "file_attributes",
        DIRECTORY_ATTRIBUTES => "directory_attributes",
        OPEN_FILE => "open_file",
        OPEN_NAME => "open_name",
        FILE_LEASE => "file_lease",
        RETRY => "retry",
        DETACHED => "detached",
        RECOVERING => "recovering",
        LIFECYCLE_PROGRESS => "lifecycle_progress",
        CONTENT_CLASSES => "content_classes",
        CONTENT_MOVE => "content_move",
        RESTORE => "restore",
        RESTORE_DUE => "restore_due",
        TIERING => "tiering",
        TIERING_IDLE => "tiering_idle",
        CLASS_CHANGED => "class_changed",
        QUOTA => "quota",
        QUOTA_COUNT => "quota_count",
        SMALL_FILE => "small_file",
        OPENED => "opened",
        DELEGATION_TERM => "delegation_term",
        DELEGATION_COUNT => "delegation_count",
        GROUP => "group",
        BLOCK_GROUP => "block_group",
        JOB => "job",
        JOB_TOKEN => "job_token",
        JOB_INPUTS => "job_inputs",
        JOB_PLAN => "job_plan",
        JOB_TASK => "job_task",
        JOB_UPLOAD => "job_upload",
        ARCHIVE_TARGET => "archive_target",
        ARCHIVE_COUNTS => "archive_counts",
        EXTERNAL_BLOCK => "external_block",
        EXTERNAL_GARBAGE => "external_garbage",
        RECALL => "recall",
        RECALL_DUE => "recall_due",
        RESTORE_WAIT => "restore_wait",
        _ => "?",
    }
}

/// Whether a row goes so soon after it was written that the engine forgets both by itself.
pub(crate) fn is_short_lived(row: &[u8]) -> bool {
    row.first() == Some(&OUTCOME)
}

/// All rows of a table.
pub(super) fn table(table: u8) -> Vec<u8> {
    vec![table]
}

/// The number at the end of a key.
pub(super) fn last_number(row: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*row.last_chunk::<8>()?))
}

/// The first key after all keys that begin with `prefix`, in byte order. Text prefixes are UTF-8 and table prefixes begin
/// with a small byte, so there is always one.
pub(super) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(byte) = end.pop() {
        if byte < u8::MAX {
            end.push(byte + 1);
            return end;
        }
    }
    unreachable!("a prefix of 0xFF bytes alone is neither UTF-8 nor in a table")
}

/// The directories of a key, each with its slash, and the name of the entry in the last one.
pub(super) fn split_key(key: &[u8]) -> (impl Iterator<Item = &[u8]>, &[u8]) {
    let name_at = key.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (directories, name) = key.split_at(name_at);
    (directories.split_inclusive(|byte| *byte == b'/'), name)
}

fn in_directory(table: u8, directory: DirectoryId, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(9 + name.len());
    key.push(table);
    key.extend_from_slice(&directory.0.to_be_bytes());
    key.extend_from_slice(name);
    key
}

fn text(table: u8, text: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + text.len());
    key.push(table);
    key.extend_from_slice(text);
    key
}

fn number(table: u8, number: u64) -> Vec<u8> {
    // Room for a second number, which several tables append.
    let mut key = Vec::with_capacity(17);
    key.push(table);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn shifted(table: u8, id: u64, name: &[u8], ended: bool) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + 8 + name.len() + 1 + 8);
    key.push(table);
    key.extend_from_slice(&id.to_be_bytes());
    key.extend(name.iter().map(|byte| byte.checked_add(1).expect("names are UTF-8, which has no byte 0xFF")));
    if ended {
        key.push(0);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_cut_after_each_slash() {
        let cut = |key: &'static str| {
            let (directories, name) = split_key(key.as_bytes());
            let mut pieces: Vec<_> = directories.map(|d| std::str::from_utf8(d).unwrap()).collect();
            pieces.push(std::str::from_utf8(name).unwrap());
            pieces
        };
        assert_eq!(cut("a/b//c"), ["a/", "b/", "/", "c"]);
        assert_eq!(cut("a/"), ["a/", ""]);
        assert_eq!(cut("a"), ["a"]);
        assert_eq!(cut("//"), ["/", "/", ""]);
    }

    #[test]
    fn versions_sort_by_name_then_newest_first() {
        let parent = DirectoryId(3);
        let keys = [
            version(parent, b"a", 9),
            version(parent, b"a", 2),
            version(parent, b"a\0", 5),
            version(parent, b"a!", 1),
            version(parent, b"b", 7),
        ];
        assert!(keys.is_sorted());
        assert!(keys[2] >= after_prefix(&versions_of(parent, b"a")));
    }

    #[test]
    fn an_upload_row_gives_back_its_key() {
        let key = ObjectKey::from("é/\0\u{1f600}");
        let row = upload(DirectoryId(u64::MAX), &key, UploadId(12));
        assert_eq!(decode_upload(&row), Some((key, UploadId(12))));
        assert_eq!(decode_upload(&row[..12]), None);
    }

    #[test]
    fn the_end_of_a_prefix_carries() {
        assert_eq!(after_prefix(&[4, 0xff, 0xff]), [5]);
        assert_eq!(after_prefix(b"a/"), b"a0");
    }

    #[test]
    fn own_contents_meet_no_lease() {
        let last = ContentId::of_lease(LeaseId(LEASES_END - 1), u32::MAX).unwrap();
        assert!(!is_own_content(last));
        assert!(is_own_content(own_content(0)) && own_content(0) > last);
    }
}
