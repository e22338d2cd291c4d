//! What is answered.

use super::acl::AclStatus;
use super::attributes::{StoragePolicy, XAttr};
use super::file::{FileBlock, LocatedFile};
use super::status::{ContentSummary, FileStatus, FsListing, FsStats, OpenFile, ServerDefaults};
use serde::{Deserialize, Serialize};

/// The answer to an [`super::FsRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FsReply {
    Done,
    Flag(bool),
    Status(Option<Box<FileStatus>>),
    Listing(Option<FsListing>),
    Located(Box<LocatedFile>),
    Summary(ContentSummary),
    Stats(FsStats),
    ServerDefaults(ServerDefaults),
    XAttrs(Vec<XAttr>),
    Acl(Box<AclStatus>),
    StoragePolicy(StoragePolicy),
    OpenFiles {
        files: Vec<OpenFile>,
        more: bool,
    },
    Block(Box<FileBlock>),
    /// A file opened for appending: what it is, and the block to be filled up, which this store never has.
    Appended {
        status: Box<FileStatus>,
        block: Option<Box<FileBlock>>,
    },
    /// Of a namenode to itself, in the middle of a long delete: where to go on; `None` at the end.
    Progress {
        after: Option<String>,
    },
}
