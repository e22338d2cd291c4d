//! Access control lists of files (`acl.proto`).

use super::FsPermission;

/// `AclEntryProto.AclEntryScopeProto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum AclEntryScope {
    Access = 0,
    Default = 1,
}

/// `AclEntryProto.AclEntryTypeProto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum AclEntryType {
    User = 0,
    Group = 1,
    Mask = 2,
    Other = 3,
}

/// `AclEntryProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AclEntry {
    #[prost(enumeration = "AclEntryType", required, tag = "1")]
    pub entry_type: i32,
    #[prost(enumeration = "AclEntryScope", required, tag = "2")]
    pub scope: i32,
    /// Read 4, write 2, execute 1. Hadoop's enumeration counts the same way.
    #[prost(int32, required, tag = "3")]
    pub permissions: i32,
    #[prost(string, optional, tag = "4")]
    pub name: Option<String>,
}

/// `AclStatusProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AclStatus {
    #[prost(string, required, tag = "1")]
    pub owner: String,
    #[prost(string, required, tag = "2")]
    pub group: String,
    #[prost(bool, required, tag = "3")]
    pub sticky: bool,
    #[prost(message, repeated, tag = "4")]
    pub entries: Vec<AclEntry>,
    #[prost(message, optional, tag = "5")]
    pub permission: Option<FsPermission>,
}
