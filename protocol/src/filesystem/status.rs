//! Files and directories as they are shown.

use super::attributes::{FsQuota, StoragePolicy};
use super::file::{FileId, LocatedFile};
use super::path::FsPath;
use crate::ids::UnixMillis;
use crate::object::StorageClass;
use serde::{Deserialize, Serialize};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileKind {
    Directory,
    File,
}

/// An entry, as `HdfsFileStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    pub kind: FileKind,
    /// The name in its directory; empty for the answer about a path.
    pub name: String,
    /// Bytes; of a file being written, those that are known to be visible. 0 for a directory.
    pub length: u64,
    /// Mode bits, the sticky bit (`0o1000`) included.
    pub permission: u16,
    pub owner: String,
    pub group: String,
    pub modified: UnixMillis,
    pub accessed: UnixMillis,
    /// 0 for a directory.
    pub replication: u16,
    /// 0 for a directory.
    pub block_size: u64,
    /// Stable as long as the entry lives, under whatever name.
    pub file_id: FileId,
    /// Entries of a directory, those S3 shows; 0 for a file.
    pub children: u32,
    /// `None`: none was set on the entry itself.
    pub storage_policy: Option<StoragePolicy>,
    /// The class of a file's bytes.
    pub class: StorageClass,
    /// Whether there are access control entries beyond the mode bits.
    pub has_acl: bool,
    /// Whether the bytes are encrypted at rest.
    pub encrypted: bool,
    /// Whether it is being written.
    pub under_construction: bool,
}

/// An entry of a listing, with its blocks where they were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedFile {
    pub status: FileStatus,
    /// Of a file, if locations were asked for.
    pub located: Option<Box<LocatedFile>>,
}

/// A page of a directory: entries in byte order of their names. The listing of a file is the file itself, with an
/// empty name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsListing {
    pub entries: Vec<ListedFile>,
    /// How many follow at least; 0 at the end.
    pub remaining: u32,
}

/// Sums over a tree, as `ContentSummary`. A file counts with its replication in `space_consumed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentSummary {
    pub length: u64,
    pub files: u64,
    /// The directory itself included.
    pub directories: u64,
    pub space_consumed: u64,
    pub quota: FsQuota,
}

/// Figures of the whole file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsStats {
    pub capacity_bytes: u64,
    pub used_bytes: u64,
    pub remaining_bytes: u64,
    pub under_replicated_blocks: u64,
    pub corrupt_blocks: u64,
    pub missing_blocks: u64,
}

/// What clients begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDefaults {
    pub block_size: u64,
    pub replication: u16,
    /// Minutes that deleted files stay in the trash; 0: there is none.
    pub trash_interval_minutes: u64,
}

/// A file that is being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFile {
    pub file_id: FileId,
    pub path: FsPath,
    /// The writer's name.
    pub holder: String,
    /// When its lease was last renewed.
    pub renewed: UnixMillis,
}
