//! The rows of the file system. As all rows, they only grow behind a raised layout version.

use granary_protocol::block::Extent;
use granary_protocol::filesystem::{AclEntry, FileId, StoragePolicy, XAttr};
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, BucketName, ContentId, DirectoryId, GenerationStamp, UnixMillis};
use serde::{Deserialize, Serialize};

/// What Hadoop keeps beside a file or directory. Everything that is not said is by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// The number of a file; 0 where it follows from the object or the directory.
    pub file: FileId,
    pub owner: Option<String>,
    pub group: Option<String>,
    pub permission: Option<u16>,
    pub modified: Option<UnixMillis>,
    pub accessed: Option<UnixMillis>,
    /// 0: the cluster's.
    pub replication: u16,
    /// 0: the largest.
    pub block_size: u64,
    pub policy: Option<StoragePolicy>,
    /// Entries beyond the mode bits, sorted. While there are any of the access scope, the group bits of `permission` are
    /// the mask and the group's own entry is here.
    pub acl: Vec<AclEntry>,
    /// Sorted by name.
    pub xattrs: Vec<XAttr>,
    /// Of a directory other than a root: where it is. All directories around one that has it have it too.
    pub link: Option<(DirectoryId, String)>,
}

/// A file that is being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFileRecord {
    pub bucket: BucketName,
    pub parent: DirectoryId,
    pub name: String,
    /// The writer; [`super::lease::RECOVERER`] once its file was taken from it.
    pub holder: String,
    pub attributes: Attributes,
    pub class: StorageClass,
    /// What it had when it was opened to be appended to. One reference is held here.
    pub base: Option<ContentId>,
    pub base_bytes: u64,
    /// Sealed blocks behind that, in order.
    pub blocks: Vec<Extent>,
    /// The block being written.
    pub last: Option<OpenBlock>,
}

/// What was so when a file was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenedRecord {
    /// Versions of this sequence and above were written since.
    pub(super) next_version: u64,
    /// Whether there was a file, to be appended to.
    pub(super) appends: bool,
}

/// The block of an open file that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenBlock {
    pub block: BlockId,
    /// Bytes that the writer has declared visible.
    pub visible: u32,
    /// The highest generation promised to a pipeline or a recovery.
    pub promised: GenerationStamp,
}

impl OpenFileRecord {
    /// Bytes of the sealed blocks.
    pub fn sealed_bytes(&self) -> u64 {
        self.blocks.iter().map(|extent| u64::from(extent.length)).sum()
    }

    /// Bytes that a reader may count on.
    pub fn visible_bytes(&self) -> u64 {
        self.base_bytes + self.sealed_bytes() + self.last.map_or(0, |last| u64::from(last.visible))
    }
}

/// A writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileLeaseRecord {
    pub(super) renewed: UnixMillis,
}

/// A tree that was deleted and whose rows are being removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachedRecord {
    /// The root of the bucket whose sums it still counts in; `None` if that is gone.
    pub root: Option<DirectoryId>,
}
