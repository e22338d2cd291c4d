//! Files, directories and what is known of them (`hdfs.proto`).

use super::{ErasureCodingPolicy, FsPermission, LocatedBlocks, StorageType};

/// `HdfsFileStatusProto.FileType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum FileType {
    Dir = 1,
    File = 2,
    Symlink = 3,
}

/// Bit of [`HdfsFileStatus::flags`]: there is an access control list.
pub const FLAG_HAS_ACL: u32 = 1;

/// `HdfsFileStatusProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HdfsFileStatus {
    #[prost(enumeration = "FileType", required, tag = "1")]
    pub file_type: i32,
    /// The last name of the path in a listing; empty where the caller named the path.
    #[prost(bytes = "vec", required, tag = "2")]
    pub path: Vec<u8>,
    #[prost(uint64, required, tag = "3")]
    pub length: u64,
    #[prost(message, required, tag = "4")]
    pub permission: FsPermission,
    #[prost(string, required, tag = "5")]
    pub owner: String,
    #[prost(string, required, tag = "6")]
    pub group: String,
    /// Milliseconds since the Unix epoch.
    #[prost(uint64, required, tag = "7")]
    pub modification_time: u64,
    #[prost(uint64, required, tag = "8")]
    pub access_time: u64,
    #[prost(bytes = "vec", optional, tag = "9")]
    pub symlink: Option<Vec<u8>>,
    /// 0 for directories, as the next.
    #[prost(uint32, optional, tag = "10", default = "0")]
    pub block_replication: Option<u32>,
    #[prost(uint64, optional, tag = "11", default = "0")]
    pub blocksize: Option<u64>,
    #[prost(message, optional, tag = "12")]
    pub locations: Option<LocatedBlocks>,
    #[prost(uint64, optional, tag = "13", default = "0")]
    pub file_id: Option<u64>,
    #[prost(int32, optional, tag = "14", default = "-1")]
    pub children_num: Option<i32>,
    #[prost(uint32, optional, tag = "16", default = "0")]
    pub storage_policy: Option<u32>,
    #[prost(message, optional, tag = "17")]
    pub ec_policy: Option<ErasureCodingPolicy>,
    /// 1 access control list, 2 encrypted, 4 erasure coded, 8 snapshots allowed.
    #[prost(uint32, optional, tag = "18", default = "0")]
    pub flags: Option<u32>,
}

/// `DirectoryListingProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DirectoryListing {
    #[prost(message, repeated, tag = "1")]
    pub partial_listing: Vec<HdfsFileStatus>,
    #[prost(uint32, required, tag = "2")]
    pub remaining_entries: u32,
}

/// `FsServerDefaultsProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct FsServerDefaults {
    #[prost(uint64, required, tag = "1")]
    pub block_size: u64,
    #[prost(uint32, required, tag = "2")]
    pub bytes_per_checksum: u32,
    #[prost(uint32, required, tag = "3")]
    pub write_packet_size: u32,
    #[prost(uint32, required, tag = "4")]
    pub replication: u32,
    #[prost(uint32, required, tag = "5")]
    pub file_buffer_size: u32,
    #[prost(bool, optional, tag = "6", default = "false")]
    pub encrypt_data_transfer: Option<bool>,
    /// Minutes.
    #[prost(uint64, optional, tag = "7", default = "0")]
    pub trash_interval: Option<u64>,
    #[prost(enumeration = "super::ChecksumType", optional, tag = "8")]
    pub checksum_type: Option<i32>,
    /// Present and empty: there is no key server, do not look for one.
    #[prost(string, optional, tag = "9")]
    pub key_provider_uri: Option<String>,
    #[prost(uint32, optional, tag = "10", default = "0")]
    pub policy_id: Option<u32>,
    #[prost(bool, optional, tag = "11", default = "false")]
    pub snapshot_trash_root_enabled: Option<bool>,
}

/// `StorageTypeQuotaInfosProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct StorageTypeQuotaInfos {
    #[prost(message, repeated, tag = "1")]
    pub type_quota_info: Vec<StorageTypeQuotaInfo>,
}

/// `StorageTypeQuotaInfoProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct StorageTypeQuotaInfo {
    #[prost(enumeration = "StorageType", optional, tag = "1")]
    pub storage_type: Option<i32>,
    #[prost(uint64, required, tag = "2")]
    pub quota: u64,
    #[prost(uint64, required, tag = "3")]
    pub consumed: u64,
}

/// What a quota is where none is set: -1 as an unsigned number.
pub const NO_QUOTA: u64 = u64::MAX;

/// `ContentSummaryProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ContentSummary {
    #[prost(uint64, required, tag = "1")]
    pub length: u64,
    #[prost(uint64, required, tag = "2")]
    pub file_count: u64,
    /// The directory asked about counts too.
    #[prost(uint64, required, tag = "3")]
    pub directory_count: u64,
    #[prost(uint64, required, tag = "4")]
    pub quota: u64,
    #[prost(uint64, required, tag = "5")]
    pub space_consumed: u64,
    #[prost(uint64, required, tag = "6")]
    pub space_quota: u64,
    #[prost(message, optional, tag = "7")]
    pub type_quota_infos: Option<StorageTypeQuotaInfos>,
    #[prost(uint64, optional, tag = "8")]
    pub snapshot_length: Option<u64>,
    #[prost(uint64, optional, tag = "9")]
    pub snapshot_file_count: Option<u64>,
    #[prost(uint64, optional, tag = "10")]
    pub snapshot_directory_count: Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    pub snapshot_space_consumed: Option<u64>,
    #[prost(string, optional, tag = "12")]
    pub erasure_coding_policy: Option<String>,
}

/// `QuotaUsageProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct QuotaUsage {
    #[prost(uint64, required, tag = "1")]
    pub file_and_directory_count: u64,
    #[prost(uint64, required, tag = "2")]
    pub quota: u64,
    #[prost(uint64, required, tag = "3")]
    pub space_consumed: u64,
    #[prost(uint64, required, tag = "4")]
    pub space_quota: u64,
    #[prost(message, optional, tag = "5")]
    pub type_quota_infos: Option<StorageTypeQuotaInfos>,
}

/// `BlockStoragePolicyProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BlockStoragePolicy {
    #[prost(uint32, required, tag = "1")]
    pub policy_id: u32,
    #[prost(string, required, tag = "2")]
    pub name: String,
    #[prost(message, required, tag = "3")]
    pub creation_policy: StorageTypes,
    #[prost(message, optional, tag = "4")]
    pub creation_fallback_policy: Option<StorageTypes>,
    #[prost(message, optional, tag = "5")]
    pub replication_fallback_policy: Option<StorageTypes>,
}

/// `StorageTypesProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct StorageTypes {
    #[prost(enumeration = "StorageType", repeated, packed = "false", tag = "1")]
    pub storage_types: Vec<i32>,
}
