//! Messages of writers: creating, blocks and pipelines, leases.

use crate::proto::{DatanodeId, DatanodeInfo, ExtendedBlock, FsPermission, HdfsFileStatus, LocatedBlock};

/// `CreateRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(message, required, tag = "2")]
    pub masked: FsPermission,
    #[prost(string, required, tag = "3")]
    pub client_name: String,
    #[prost(uint32, required, tag = "4")]
    pub create_flag: u32,
    #[prost(bool, required, tag = "5")]
    pub create_parent: bool,
    #[prost(uint32, required, tag = "6")]
    pub replication: u32,
    #[prost(uint64, required, tag = "7")]
    pub block_size: u64,
    #[prost(int32, repeated, packed = "false", tag = "8")]
    pub crypto_protocol_version: Vec<i32>,
    #[prost(message, optional, tag = "9")]
    pub unmasked: Option<FsPermission>,
    #[prost(string, optional, tag = "10")]
    pub ec_policy_name: Option<String>,
    #[prost(string, optional, tag = "11")]
    pub storage_policy: Option<String>,
}

/// `AppendRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AppendRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(string, required, tag = "2")]
    pub client_name: String,
    #[prost(uint32, optional, tag = "3")]
    pub flag: Option<u32>,
}

/// `AppendResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AppendResponse {
    #[prost(message, optional, tag = "1")]
    pub block: Option<LocatedBlock>,
    #[prost(message, optional, tag = "2")]
    pub stat: Option<HdfsFileStatus>,
}

/// `AbandonBlockRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AbandonBlockRequest {
    #[prost(message, required, tag = "1")]
    pub b: ExtendedBlock,
    #[prost(string, required, tag = "2")]
    pub src: String,
    #[prost(string, required, tag = "3")]
    pub holder: String,
    #[prost(uint64, optional, tag = "4")]
    pub file_id: Option<u64>,
}

/// `AddBlockRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AddBlockRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(string, required, tag = "2")]
    pub client_name: String,
    #[prost(message, optional, tag = "3")]
    pub previous: Option<ExtendedBlock>,
    #[prost(message, repeated, tag = "4")]
    pub exclude_nodes: Vec<DatanodeInfo>,
    #[prost(uint64, optional, tag = "5")]
    pub file_id: Option<u64>,
    #[prost(string, repeated, tag = "6")]
    pub favored_nodes: Vec<String>,
    #[prost(int32, repeated, packed = "false", tag = "7")]
    pub flags: Vec<i32>,
}

/// `GetAdditionalDatanodeRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetAdditionalDatanodeRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(message, required, tag = "2")]
    pub blk: ExtendedBlock,
    #[prost(message, repeated, tag = "3")]
    pub existings: Vec<DatanodeInfo>,
    #[prost(message, repeated, tag = "4")]
    pub excludes: Vec<DatanodeInfo>,
    #[prost(uint32, required, tag = "5")]
    pub num_additional_nodes: u32,
    #[prost(string, required, tag = "6")]
    pub client_name: String,
    #[prost(string, repeated, tag = "7")]
    pub existing_storage_uuids: Vec<String>,
    #[prost(uint64, optional, tag = "8")]
    pub file_id: Option<u64>,
}

/// `CompleteRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CompleteRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(string, required, tag = "2")]
    pub client_name: String,
    #[prost(message, optional, tag = "3")]
    pub last: Option<ExtendedBlock>,
    #[prost(uint64, optional, tag = "4")]
    pub file_id: Option<u64>,
}

/// `FsyncRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FsyncRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(string, required, tag = "2")]
    pub client: String,
    #[prost(sint64, optional, tag = "3")]
    pub last_block_length: Option<i64>,
    #[prost(uint64, optional, tag = "4")]
    pub file_id: Option<u64>,
}

/// `TruncateRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TruncateRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(uint64, required, tag = "2")]
    pub new_length: u64,
    #[prost(string, required, tag = "3")]
    pub client_name: String,
}

/// `RenewLeaseRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RenewLeaseRequest {
    #[prost(string, required, tag = "1")]
    pub client_name: String,
    #[prost(string, repeated, tag = "2")]
    pub namespaces: Vec<String>,
}

/// `RecoverLeaseRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RecoverLeaseRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(string, required, tag = "2")]
    pub client_name: String,
}

/// `UpdateBlockForPipelineRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateBlockForPipelineRequest {
    #[prost(message, required, tag = "1")]
    pub block: ExtendedBlock,
    #[prost(string, required, tag = "2")]
    pub client_name: String,
}

/// `UpdatePipelineRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdatePipelineRequest {
    #[prost(string, required, tag = "1")]
    pub client_name: String,
    #[prost(message, required, tag = "2")]
    pub old_block: ExtendedBlock,
    #[prost(message, required, tag = "3")]
    pub new_block: ExtendedBlock,
    #[prost(message, repeated, tag = "4")]
    pub new_nodes: Vec<DatanodeId>,
    #[prost(string, repeated, tag = "5")]
    pub storage_ids: Vec<String>,
}

/// `ReportBadBlocksRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReportBadBlocksRequest {
    #[prost(message, repeated, tag = "1")]
    pub blocks: Vec<LocatedBlock>,
}

/// `ListOpenFilesRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListOpenFilesRequest {
    #[prost(int64, required, tag = "1")]
    pub id: i64,
    #[prost(int32, repeated, packed = "false", tag = "2")]
    pub types: Vec<i32>,
    #[prost(string, optional, tag = "3")]
    pub path: Option<String>,
}

/// `ListOpenFilesResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListOpenFilesResponse {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<OpenFilesBatchResponse>,
    #[prost(bool, required, tag = "2")]
    pub has_more: bool,
    #[prost(int32, repeated, packed = "false", tag = "3")]
    pub types: Vec<i32>,
}

/// `OpenFilesBatchResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct OpenFilesBatchResponse {
    #[prost(int64, required, tag = "1")]
    pub id: i64,
    #[prost(string, required, tag = "2")]
    pub path: String,
    #[prost(string, required, tag = "3")]
    pub client_name: String,
    #[prost(string, required, tag = "4")]
    pub client_machine: String,
}
