//! The namespace as a file system: what the Hadoop doors ask of the namenode, and what it answers.
//!
//! The same entries that S3 shows, under paths `/bucket/key`. One [`FsCall`] is one remote procedure of Hadoop's
//! `ClientProtocol`, with its rules; the doors only translate. [`crate::namenode::NamenodeRequest::FileSystem`] carries it.

mod acl;
mod attributes;
mod file;
mod path;
mod reply;
mod request;
mod status;

pub use acl::{ACL_ENTRIES_MAX, AclChange, AclEntry, AclEntryKind, AclScope, AclStatus};
pub use attributes::{
    CreateFlags, FsQuota, StoragePolicy, XATTR_NAME_BYTES_MAX, XATTR_VALUE_BYTES_MAX, XATTRS_MAX, XAttr, XAttrName,
    XAttrNamespace,
};
pub use file::{ClientBlock, FileBlock, FileId, LocatedFile, NewBlockHints, PipelineMember};
pub use path::{COMPONENT_BYTES_MAX, FsPath, PATH_BYTES_MAX, PATH_LEVELS_MAX, PathError, is_component};
pub use reply::FsReply;
pub use request::{CreateFile, FsCall, FsCaller, FsRequest, RetryId};
pub use status::{ContentSummary, FileKind, FileStatus, FsListing, FsStats, ListedFile, OpenFile, ServerDefaults};

/// The most entries of one page of a directory listing, as `dfs.ls.limit`.
pub const LISTING_ENTRIES_MAX: usize = 1000;
/// Another writer may take a file over when its writer's lease was not renewed for so long: 60 s.
pub const LEASE_SOFT_LIMIT_MS: u64 = 60 * 1000;
/// A file whose writer has not renewed its lease for so long is closed: 20 minutes.
pub const LEASE_HARD_LIMIT_MS: u64 = 20 * 60 * 1000;
/// The most blocks of a file that is written through Hadoop.
pub const FILE_BLOCKS_MAX: usize = 10_000;
/// The smallest block size a file may be created with: 1 MiB. Larger than [`crate::block::BLOCK_BYTES_MAX`] is cut to it.
pub const BLOCK_SIZE_MIN: u64 = 1 << 20;
/// How long the outcome of an at-most-once call is remembered at least: 10 minutes.
pub const RETRY_MEMORY_MS: u64 = 10 * 60 * 1000;
