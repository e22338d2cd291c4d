//! What is asked. Rules and exceptions are those of the method of Hadoop's `ClientProtocol` named at each request.

use super::acl::AclChange;
use super::attributes::{CreateFlags, StoragePolicy, XAttr, XAttrName};
use super::file::{ClientBlock, FileId, NewBlockHints, PipelineMember};
use super::path::FsPath;
use crate::ids::{CanonicalId, DatanodeId, UnixMillis};
use serde::{Deserialize, Serialize};

/// One call: who, which attempt, what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsCall {
    pub caller: FsCaller,
    /// Names the call over all its attempts. A repeated at-most-once call is answered as the first time.
    pub retry: Option<RetryId>,
    pub request: FsRequest,
}

/// On whose behalf a call is made, as the door has established it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsCaller {
    pub user: String,
    /// Groups, the primary one first.
    pub groups: Vec<String>,
    /// Mode bits and lists do not count for it.
    pub superuser: bool,
    /// The account that buckets it makes belong to.
    pub account: CanonicalId,
    /// Whether it may make buckets.
    pub makes_buckets: bool,
    /// Where it calls from, an address or a host name: locations are sorted by it. Empty when unknown.
    pub host: String,
}

/// A call of a client, as Hadoop RPC numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RetryId {
    pub client: [u8; 16],
    pub call: i32,
}

/// What is asked. The answer is the variant of [`super::FsReply`] named with `→`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FsRequest {
    /// → `Status`, `None` where there is nothing. `getFileInfo`.
    Status { path: FsPath },
    /// → `Listing`, `None` where there is nothing. `getListing`: entries with names greater than `after`.
    List { path: FsPath, after: String, locations: bool },
    /// → `Located`. `getBlockLocations`: `FileNotFound`.
    Locate { path: FsPath, offset: u64, length: u64 },
    /// → `Summary`. `getContentSummary`: `FileNotFound`.
    ContentSummary { path: FsPath },
    /// → `Stats`. `getFsStats`.
    Stats,
    /// → `ServerDefaults`. `getServerDefaults`.
    ServerDefaults,
    /// → `Flag`. `isFileClosed`.
    IsFileClosed { path: FsPath },
    /// → `Done`. `checkAccess`: `mode` is `rwx` as three bits.
    CheckAccess { path: FsPath, mode: u8 },
    /// → `XAttrs`. `getXAttrs`: those named (all if none is); `XAttrNotFound` if one is not there.
    GetXAttrs { path: FsPath, names: Vec<XAttrName> },
    /// → `XAttrs` without values. `listXAttrs`.
    ListXAttrs { path: FsPath },
    /// → `Acl`. `getAclStatus`.
    AclStatus { path: FsPath },
    /// → `StoragePolicy`: the entry's own, or that of the nearest directory above that has one. `getStoragePolicy`.
    StoragePolicy { path: FsPath },
    /// → `OpenFiles`, by id, from after `after`. `listOpenFiles`, superuser only.
    OpenFiles { after: FileId, limit: u32 },

    /// → `Flag(true)`. `mkdirs`: missing parents are made too, if `create_parent`. `/name` makes a bucket.
    Mkdirs { path: FsPath, permission: u16, unmasked: Option<u16>, create_parent: bool },
    /// → `Status`. `create`.
    Create(Box<CreateFile>),
    /// → `Block`. `addBlock`: `previous` has the final length of the block before. A repeated call is recognised by it.
    AddBlock { path: FsPath, file: FileId, holder: String, previous: Option<ClientBlock>, hints: NewBlockHints },
    /// → `Done`. `abandonBlock`.
    AbandonBlock { path: FsPath, file: FileId, holder: String, block: ClientBlock },
    /// → `Flag`: `false` when the last block is not known to be stored yet; ask again. `complete`.
    Complete { path: FsPath, file: FileId, holder: String, last: Option<ClientBlock> },
    /// → `Done`. `fsync`: `length` bytes of the last block are visible; `None` leaves what is known.
    Fsync { path: FsPath, file: FileId, holder: String, length: Option<u64> },
    /// → `Appended`. `append`. The file goes on in a new block: the answer never has one to be filled up.
    Append { path: FsPath, holder: String },
    /// → `Flag(true)`. `truncate`.
    Truncate { path: FsPath, length: u64, holder: String },
    /// → `Done`. `concat`: the sources' bytes in order behind the target's; the sources go.
    Concat { target: FsPath, sources: Vec<FsPath> },
    /// → `Flag`. `rename`: into `to` if that is a directory; `false` where it cannot be done.
    Rename { from: FsPath, to: FsPath },
    /// → `Done`. `rename2`.
    Rename2 { from: FsPath, to: FsPath, overwrite: bool },
    /// → `Flag`: `false` if there was nothing. `delete`.
    Delete { path: FsPath, recursive: bool },
    /// → `Done`. `setPermission`.
    SetPermission { path: FsPath, permission: u16 },
    /// → `Done`. `setOwner`: `None` leaves it.
    SetOwner { path: FsPath, owner: Option<String>, group: Option<String> },
    /// → `Done`. `setTimes`: `None` leaves it.
    SetTimes { path: FsPath, modified: Option<UnixMillis>, accessed: Option<UnixMillis> },
    /// → `Flag`: `false` for a directory. `setReplication`.
    SetReplication { path: FsPath, replication: u16 },
    /// → `Done`. `renewLease`.
    RenewLease { holder: String },
    /// → `Flag`: whether the file is closed. `recoverLease`.
    RecoverLease { path: FsPath, holder: String },
    /// → `Block` with the generation to go on with, and a token. `updateBlockForPipeline`.
    UpdateBlockForPipeline { block: ClientBlock, holder: String },
    /// → `Done`. `updatePipeline`: the block goes on under `new`'s generation on these members.
    UpdatePipeline { holder: String, old: ClientBlock, new: ClientBlock, members: Vec<PipelineMember> },
    /// → `Block`: the existing members and `count` more. `getAdditionalDatanode`.
    AdditionalDatanode {
        path: FsPath,
        file: FileId,
        holder: String,
        block: ClientBlock,
        existing: Vec<PipelineMember>,
        exclude: Vec<DatanodeId>,
        count: u32,
    },
    /// → `Done`. `setQuota`, superuser only: `None` leaves a limit, `Some(None)` takes it away.
    SetQuota { path: FsPath, names: Option<Option<u64>>, space_bytes: Option<Option<u64>> },
    /// → `Done`. `setXAttr`: at least one of `create` and `replace` must be said.
    SetXAttr { path: FsPath, attribute: XAttr, create: bool, replace: bool },
    /// → `Done`. `removeXAttr`: `XAttrNotFound`.
    RemoveXAttr { path: FsPath, name: XAttrName },
    /// → `Done`. The five calls that change access control lists.
    ChangeAcl { path: FsPath, change: AclChange },
    /// → `Done`. `setStoragePolicy`; `None` is `unsetStoragePolicy`. Counts for what is written afterwards.
    SetStoragePolicy { path: FsPath, policy: Option<StoragePolicy> },
}

/// `create`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateFile {
    pub path: FsPath,
    /// The writer's name, under which it holds its lease.
    pub holder: String,
    /// Mode bits, the writer's mask already applied.
    pub permission: u16,
    /// Mode bits before it, for directories with default lists.
    pub unmasked: Option<u16>,
    pub flags: CreateFlags,
    pub create_parent: bool,
    pub replication: u16,
    pub block_size: u64,
    pub policy: Option<StoragePolicy>,
}

impl FsRequest {
    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        use FsRequest::*;
        matches!(
            self,
            Status { .. }
                | List { .. }
                | Locate { .. }
                | ContentSummary { .. }
                | Stats
                | ServerDefaults
                | IsFileClosed { .. }
                | CheckAccess { .. }
                | GetXAttrs { .. }
                | ListXAttrs { .. }
                | AclStatus { .. }
                | StoragePolicy { .. }
                | OpenFiles { .. }
        )
    }

    /// Whether a repeated call must be answered as the first time, because doing it again would do something else.
    pub fn at_most_once(&self) -> bool {
        use FsRequest::*;
        matches!(
            self,
            Create(_)
                | Append { .. }
                | Concat { .. }
                | Rename { .. }
                | Rename2 { .. }
                | Delete { .. }
                | UpdatePipeline { .. }
                | SetXAttr { .. }
                | RemoveXAttr { .. }
        )
    }
}
