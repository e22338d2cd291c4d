//! Datanodes as clients see them (`hdfs.proto`).

/// `DatanodeIDProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct DatanodeId {
    #[prost(string, required, tag = "1")]
    pub ip_addr: String,
    #[prost(string, required, tag = "2")]
    pub host_name: String,
    /// 36 characters; clients tell datanodes apart by it.
    #[prost(string, required, tag = "3")]
    pub datanode_uuid: String,
    /// DataTransferProtocol.
    #[prost(uint32, required, tag = "4")]
    pub xfer_port: u32,
    /// Http.
    #[prost(uint32, required, tag = "5")]
    pub info_port: u32,
    /// ClientDatanodeProtocol.
    #[prost(uint32, required, tag = "6")]
    pub ipc_port: u32,
    /// Https; 0 for none.
    #[prost(uint32, optional, tag = "7", default = "0")]
    pub info_secure_port: Option<u32>,
}

/// `DatanodeInfoProto.AdminState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum AdminState {
    Normal = 0,
    DecommissionInprogress = 1,
    Decommissioned = 2,
    EnteringMaintenance = 3,
    InMaintenance = 4,
}

/// `DatanodeInfoProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct DatanodeInfo {
    #[prost(message, required, tag = "1")]
    pub id: DatanodeId,
    #[prost(uint64, optional, tag = "2", default = "0")]
    pub capacity: Option<u64>,
    #[prost(uint64, optional, tag = "3", default = "0")]
    pub dfs_used: Option<u64>,
    #[prost(uint64, optional, tag = "4", default = "0")]
    pub remaining: Option<u64>,
    #[prost(uint64, optional, tag = "5", default = "0")]
    pub block_pool_used: Option<u64>,
    /// Milliseconds since the Unix epoch.
    #[prost(uint64, optional, tag = "6", default = "0")]
    pub last_update: Option<u64>,
    #[prost(uint32, optional, tag = "7", default = "0")]
    pub xceiver_count: Option<u32>,
    /// The rack, beginning with a slash; never empty.
    #[prost(string, optional, tag = "8")]
    pub location: Option<String>,
    #[prost(uint64, optional, tag = "9")]
    pub non_dfs_used: Option<u64>,
    #[prost(enumeration = "AdminState", optional, tag = "10")]
    pub admin_state: Option<i32>,
    #[prost(uint64, optional, tag = "11", default = "0")]
    pub cache_capacity: Option<u64>,
    #[prost(uint64, optional, tag = "12", default = "0")]
    pub cache_used: Option<u64>,
    #[prost(uint64, optional, tag = "13", default = "0")]
    pub last_update_monotonic: Option<u64>,
    #[prost(string, optional, tag = "14")]
    pub upgrade_domain: Option<String>,
    #[prost(uint64, optional, tag = "15", default = "0")]
    pub last_block_report_time: Option<u64>,
    #[prost(uint64, optional, tag = "16", default = "0")]
    pub last_block_report_monotonic: Option<u64>,
    #[prost(uint32, optional, tag = "17", default = "0")]
    pub num_blocks: Option<u32>,
    #[prost(string, optional, tag = "18")]
    pub software_version: Option<String>,
}
