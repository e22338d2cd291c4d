//! POSIX access control lists, as HDFS has them: permissions for named users and groups beside the mode bits.

use serde::{Deserialize, Serialize};

/// The most entries of one scope of a list, as HDFS limits them.
pub const ACL_ENTRIES_MAX: usize = 32;

/// Whether an entry counts for the entry itself or for what is made in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AclScope {
    Access,
    /// Directories only: what new entries begin with.
    Default,
}

/// For whom an entry counts. The order is that of evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AclEntryKind {
    User,
    Group,
    Mask,
    Other,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AclEntry {
    pub scope: AclScope,
    pub kind: AclEntryKind,
    /// The user or group; `None` for the owner, the owning group, the mask and the others.
    pub name: Option<String>,
    /// `rwx` as the low three bits; ignored where entries are removed.
    pub permission: u8,
}

/// A change of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AclChange {
    /// Adds entries or gives them other permissions.
    Modify(Vec<AclEntry>),
    /// Takes entries away.
    Remove(Vec<AclEntry>),
    /// Takes all entries of the default scope away.
    RemoveDefault,
    /// Takes everything away but the mode bits.
    RemoveAll,
    /// Replaces the list.
    Set(Vec<AclEntry>),
}

/// A list as it is shown: entries beyond the mode bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclStatus {
    pub owner: String,
    pub group: String,
    pub sticky: bool,
    /// Without owner, mask and others of the access scope, which are the mode bits.
    pub entries: Vec<AclEntry>,
    /// The mode bits.
    pub permission: u16,
}
