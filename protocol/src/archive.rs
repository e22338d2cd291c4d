//! Archive targets: buckets at other S3 endpoints that keep the blocks of archived classes, and the work of moving blocks
//! there and back.
//!
//! A block of a class with a target is copied to the target whole, as one object whose key is never used again; one command
//! then says so, and its replicas go. Bytes return as ordinary replicas of the same block, for as long as something needs
//! them. What the target keeps is deleted after the block is gone, or at home again.

use crate::block::{BlockKind, LocatedBlock};
use crate::ids::{BlockId, UnixMillis};
use crate::object::StorageClass;
use serde::{Deserialize, Serialize};

/// The longest endpoint, bucket, prefix, region, access key and sealed secret of a target, in bytes.
pub const TARGET_TEXT_BYTES_MAX: usize = 1024;
/// The longest list of certificates of authorities of a target, in bytes.
pub const TARGET_CA_BYTES_MAX: usize = 32 << 10;
/// The longest upload id that an endpoint may answer with, in bytes.
pub const REMOTE_UPLOAD_BYTES_MAX: usize = 2048;
/// The most pieces of work handed to one worker by one request.
pub const ARCHIVE_WORK_MAX: u32 = 64;
/// The longest account of a failure, in bytes.
pub const ARCHIVE_FAILURE_BYTES_MAX: usize = 1024;

/// Where the blocks of a class go.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveTarget {
    /// `http://host[:port]` or `https://host[:port]`.
    pub endpoint: String,
    /// A bucket there, addressed in the path.
    pub bucket: String,
    /// What every key begins with; may be empty.
    pub prefix: String,
    /// The region requests are signed for.
    pub region: String,
    pub access_key: String,
    /// The secret key, sealed under the store's key for [`ArchiveTarget::secret_context`].
    pub sealed_secret: Vec<u8>,
    /// PEM certificates of the authorities that an `https` endpoint is trusted by; without any, those of the public web.
    pub ca_pem: String,
}

impl ArchiveTarget {
    /// For what the secret of a class's target is sealed.
    pub fn secret_context(class: StorageClass) -> Vec<u8> {
        [b"granary archive target\0", class.name().as_bytes()].concat()
    }

    /// Whether both name the same place, whoever asks there.
    pub fn is_same_place(&self, other: &ArchiveTarget) -> bool {
        self.endpoint == other.endpoint && self.bucket == other.bucket && self.prefix == other.prefix
    }
}

impl std::fmt::Debug for ArchiveTarget {
    /// Without its keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ArchiveTarget({}/{}/{})", self.endpoint, self.bucket, self.prefix)
    }
}

/// A target, and what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveTargetStatus {
    pub class: StorageClass,
    pub target: ArchiveTarget,
    /// It was removed: what is there returns, and then it goes.
    pub returning: bool,
    pub counts: ArchiveCounts,
    /// Blocks that wait to be sent.
    pub waiting: u64,
    pub waiting_bytes: u64,
    /// Blocks that wait to be fetched, because an object was restored or has left the class.
    pub wanted: u64,
    pub wanted_bytes: u64,
    /// Blocks there that have replicas here as well.
    pub here_too: u64,
    /// What failed last since this namenode leads, and with which block; forgotten once that block has succeeded.
    pub failures: Vec<ArchiveFailure>,
}

/// What a target keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveCounts {
    /// Blocks of which the target has all bytes.
    pub blocks: u64,
    pub bytes: u64,
    /// Blocks that are being sent.
    pub sending: u64,
    /// Objects there that nothing refers to and that are to be deleted.
    pub garbage: u64,
}

/// Something that a worker could not do. It is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveFailure {
    pub block: BlockId,
    pub at: UnixMillis,
    /// How often in a row.
    pub attempts: u32,
    pub what: String,
}

/// Where a block is, or is about to be, at its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalBlock {
    /// Whose target.
    pub target: StorageClass,
    /// The object's key there.
    pub key: String,
    /// Bytes of the block.
    pub length: u32,
    /// CRC32C of all of them once the target has them.
    pub crc32c: Option<u32>,
    /// The multipart upload it is sent by.
    pub upload: Option<String>,
}

impl ExternalBlock {
    /// Whether the target has all bytes.
    pub fn is_stored(&self) -> bool {
        self.crc32c.is_some()
    }
}

/// Something to be done for one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveTask {
    /// Whose target is meant.
    pub class: StorageClass,
    pub block: BlockId,
    /// The object's key there.
    pub key: String,
    pub work: ArchiveWork,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArchiveWork {
    /// Copy the block to the target, then say so. `upload` is what an earlier attempt has begun.
    Send { located: LocatedBlock, upload: Option<String> },
    /// Write the target's bytes as replicas. `located` names the volumes they go to, and allows copying there.
    Fetch { located: LocatedBlock, kind: BlockKind, crc32c: u32 },
    /// Abort every upload of the key, and delete it.
    Delete { upload: Option<String> },
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveOutcome {
    pub block: BlockId,
    /// Bytes sent and fetched.
    pub sent_bytes: u64,
    pub fetched_bytes: u64,
    /// Why it is to be tried again, if it is.
    pub failure: Option<String>,
}

/// A change of what is known of blocks at their targets, made by a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArchiveChange {
    /// → `Done`. The block is sent by this upload; `replaces` is the one known so far. `Conflict` where another is known, or
    /// the block is not to be sent under this key.
    Upload { block: BlockId, key: String, upload: String, replaces: Option<String> },
    /// → `Done`. The target has all bytes of the block: its replicas may go. `Conflict` where it is not being sent under
    /// this key.
    Stored { block: BlockId, key: String, crc32c: u32 },
    /// → `Done`. The target has nothing of this key left.
    Deleted { block: BlockId, key: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_does_not_show_its_keys() {
        let target = ArchiveTarget {
            endpoint: "https://cold.example".to_owned(),
            bucket: "b".to_owned(),
            prefix: "p/".to_owned(),
            region: "r".to_owned(),
            access_key: "AKIDKEY".to_owned(),
            sealed_secret: b"SEALED".to_vec(),
            ca_pem: String::new(),
        };
        let shown = format!("{target:?}");
        assert!(!shown.contains("AKIDKEY") && !shown.contains("83"), "{shown}");
        assert!(target.is_same_place(&ArchiveTarget { access_key: "other".to_owned(), ..target.clone() }));
        assert!(!target.is_same_place(&ArchiveTarget { prefix: String::new(), ..target.clone() }));
    }
}
