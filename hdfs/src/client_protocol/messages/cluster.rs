//! Messages about the cluster: defaults, figures, datanodes, the states of namenodes.

use crate::proto::{DatanodeInfo, FsServerDefaults};

/// `GetServerDefaultsResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetServerDefaultsResponse {
    #[prost(message, required, tag = "1")]
    pub server_defaults: FsServerDefaults,
}

/// `GetFsStatsResponseProto`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct GetFsStatsResponse {
    #[prost(uint64, required, tag = "1")]
    pub capacity: u64,
    #[prost(uint64, required, tag = "2")]
    pub used: u64,
    #[prost(uint64, required, tag = "3")]
    pub remaining: u64,
    #[prost(uint64, required, tag = "4")]
    pub under_replicated: u64,
    #[prost(uint64, required, tag = "5")]
    pub corrupt_blocks: u64,
    #[prost(uint64, required, tag = "6")]
    pub missing_blocks: u64,
    #[prost(uint64, optional, tag = "7")]
    pub missing_repl_one_blocks: Option<u64>,
    #[prost(uint64, optional, tag = "8")]
    pub blocks_in_future: Option<u64>,
    #[prost(uint64, optional, tag = "9")]
    pub pending_deletion_blocks: Option<u64>,
}

/// `GetFsReplicatedBlockStatsResponseProto`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct GetFsReplicatedBlockStatsResponse {
    #[prost(uint64, required, tag = "1")]
    pub low_redundancy: u64,
    #[prost(uint64, required, tag = "2")]
    pub corrupt_blocks: u64,
    #[prost(uint64, required, tag = "3")]
    pub missing_blocks: u64,
    #[prost(uint64, required, tag = "4")]
    pub missing_repl_one_blocks: u64,
    #[prost(uint64, required, tag = "5")]
    pub blocks_in_future: u64,
    #[prost(uint64, required, tag = "6")]
    pub pending_deletion_blocks: u64,
    #[prost(uint64, optional, tag = "7")]
    pub highest_prio_low_redundancy_blocks: Option<u64>,
}

/// `GetFsECBlockGroupStatsResponseProto`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct GetFsECBlockGroupStatsResponse {
    #[prost(uint64, required, tag = "1")]
    pub low_redundancy: u64,
    #[prost(uint64, required, tag = "2")]
    pub corrupt_blocks: u64,
    #[prost(uint64, required, tag = "3")]
    pub missing_blocks: u64,
    #[prost(uint64, required, tag = "4")]
    pub blocks_in_future: u64,
    #[prost(uint64, required, tag = "5")]
    pub pending_deletion_blocks: u64,
    #[prost(uint64, optional, tag = "6")]
    pub highest_prio_low_redundancy_blocks: Option<u64>,
}

/// `GetDatanodeReportRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetDatanodeReportRequest {
    #[prost(int32, required, tag = "1")]
    pub kind: i32,
}

/// `GetDatanodeReportResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetDatanodeReportResponse {
    #[prost(message, repeated, tag = "1")]
    pub di: Vec<DatanodeInfo>,
}

/// `GetDatanodeStorageReportResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetDatanodeStorageReportResponse {
    #[prost(message, repeated, tag = "1")]
    pub datanode_storage_reports: Vec<DatanodeStorageReport>,
}

/// `DatanodeStorageReportProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DatanodeStorageReport {
    #[prost(message, required, tag = "1")]
    pub datanode_info: DatanodeInfo,
    #[prost(message, repeated, tag = "2")]
    pub storage_reports: Vec<StorageReport>,
}

/// `StorageReportProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StorageReport {
    #[prost(string, required, tag = "1")]
    pub storage_uuid: String,
    #[prost(bool, optional, tag = "2")]
    pub failed: Option<bool>,
    #[prost(uint64, optional, tag = "3")]
    pub capacity: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub dfs_used: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub remaining: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    pub block_pool_used: Option<u64>,
    #[prost(message, optional, tag = "7")]
    pub storage: Option<DatanodeStorage>,
    #[prost(uint64, optional, tag = "8")]
    pub non_dfs_used: Option<u64>,
    #[prost(string, optional, tag = "9")]
    pub mount: Option<String>,
}

/// `DatanodeStorageProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DatanodeStorage {
    #[prost(string, required, tag = "1")]
    pub storage_uuid: String,
    #[prost(int32, optional, tag = "2")]
    pub state: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub storage_type: Option<i32>,
}

/// `GetSlowDatanodeReportResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetSlowDatanodeReportResponse {
    #[prost(message, repeated, tag = "1")]
    pub datanode_info_proto: Vec<DatanodeInfo>,
}

/// `SetSafeModeRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetSafeModeRequest {
    #[prost(int32, required, tag = "1")]
    pub action: i32,
    #[prost(bool, optional, tag = "2")]
    pub checked: Option<bool>,
}

/// `GetCurrentEditLogTxidResponseProto`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct GetCurrentEditLogTxidResponse {
    #[prost(int64, required, tag = "1")]
    pub txid: i64,
}

/// `HAServiceStateResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HaServiceStateResponse {
    #[prost(int32, required, tag = "1")]
    pub state: i32,
}

/// `GetServiceStatusResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetServiceStatusResponse {
    #[prost(int32, required, tag = "1")]
    pub state: i32,
    #[prost(bool, optional, tag = "2")]
    pub ready_to_become_active: Option<bool>,
    #[prost(string, optional, tag = "3")]
    pub not_ready_reason: Option<String>,
}

/// `UpgradeStatusResponseProto`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct UpgradeStatusResponse {
    #[prost(bool, required, tag = "1")]
    pub upgrade_finalized: bool,
}

/// An answer about zones, of which there are none: `ListEncryptionZonesResponseProto`, `ListReencryptionStatusResponseProto`,
/// `ListCacheDirectivesResponseProto`, `ListCachePoolsResponseProto`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct NoneListed {
    #[prost(bool, required, tag = "2")]
    pub has_more: bool,
}

/// `GetGroupsForUserRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetGroupsForUserRequest {
    #[prost(string, required, tag = "1")]
    pub user: String,
}

/// `GetGroupsForUserResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetGroupsForUserResponse {
    #[prost(string, repeated, tag = "1")]
    pub groups: Vec<String>,
}

/// `RollingUpgradeRequestProto`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct RollingUpgradeRequest {
    #[prost(int32, required, tag = "1")]
    pub action: i32,
}
