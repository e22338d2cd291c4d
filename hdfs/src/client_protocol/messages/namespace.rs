//! Messages about paths: what is there, and changing which names there are.

use crate::proto::{
    ContentSummary, DirectoryListing, FsPermission, HdfsFileStatus, LocatedBlock, LocatedBlocks, QuotaUsage,
};

/// A request or an answer without fields.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Empty {}

/// A request that names a path and nothing else (`src`, `path`, `filename`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct PathRequest {
    #[prost(string, required, tag = "1")]
    pub path: String,
}

/// An answer of yes or no.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct FlagReply {
    #[prost(bool, required, tag = "1")]
    pub result: bool,
}

/// An answer with what is known of an entry, or nothing if there is none (`fs`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct StatusReply {
    #[prost(message, optional, tag = "1")]
    pub fs: Option<HdfsFileStatus>,
}

/// An answer with a block (`block`).
#[derive(Clone, PartialEq, prost::Message)]
pub struct BlockReply {
    #[prost(message, required, tag = "1")]
    pub block: LocatedBlock,
}

/// `GetListingRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetListingRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(bytes = "vec", required, tag = "2")]
    pub start_after: Vec<u8>,
    #[prost(bool, required, tag = "3")]
    pub need_location: bool,
}

/// `GetListingResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetListingResponse {
    #[prost(message, optional, tag = "1")]
    pub dir_list: Option<DirectoryListing>,
}

/// `GetBatchedListingRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetBatchedListingRequest {
    #[prost(string, repeated, tag = "1")]
    pub paths: Vec<String>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub start_after: Vec<u8>,
    #[prost(bool, required, tag = "3")]
    pub need_location: bool,
}

/// `GetBatchedListingResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetBatchedListingResponse {
    #[prost(message, repeated, tag = "1")]
    pub listings: Vec<BatchedDirectoryListing>,
    #[prost(bool, required, tag = "2")]
    pub has_more: bool,
    #[prost(bytes = "vec", required, tag = "3")]
    pub start_after: Vec<u8>,
}

/// `BatchedDirectoryListingProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct BatchedDirectoryListing {
    #[prost(message, repeated, tag = "1")]
    pub partial_listing: Vec<HdfsFileStatus>,
    #[prost(uint32, required, tag = "2")]
    pub parent_idx: u32,
    #[prost(message, optional, tag = "3")]
    pub exception: Option<RemoteException>,
}

/// `RemoteExceptionProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoteException {
    #[prost(string, required, tag = "1")]
    pub class_name: String,
    #[prost(string, optional, tag = "2")]
    pub message: Option<String>,
}

/// `GetBlockLocationsRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetBlockLocationsRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(uint64, required, tag = "2")]
    pub offset: u64,
    #[prost(uint64, required, tag = "3")]
    pub length: u64,
}

/// `GetBlockLocationsResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetBlockLocationsResponse {
    #[prost(message, optional, tag = "1")]
    pub locations: Option<LocatedBlocks>,
}

/// `GetLocatedFileInfoRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetLocatedFileInfoRequest {
    #[prost(string, optional, tag = "1")]
    pub src: Option<String>,
    #[prost(bool, optional, tag = "2")]
    pub need_block_token: Option<bool>,
}

/// `GetContentSummaryResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetContentSummaryResponse {
    #[prost(message, required, tag = "1")]
    pub summary: ContentSummary,
}

/// `GetQuotaUsageResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetQuotaUsageResponse {
    #[prost(message, required, tag = "1")]
    pub usage: QuotaUsage,
}

/// `MkdirsRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct MkdirsRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(message, required, tag = "2")]
    pub masked: FsPermission,
    #[prost(bool, required, tag = "3")]
    pub create_parent: bool,
    #[prost(message, optional, tag = "4")]
    pub unmasked: Option<FsPermission>,
}

/// `RenameRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RenameRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(string, required, tag = "2")]
    pub dst: String,
}

/// `Rename2RequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Rename2Request {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(string, required, tag = "2")]
    pub dst: String,
    #[prost(bool, required, tag = "3")]
    pub overwrite_dest: bool,
    #[prost(bool, optional, tag = "4")]
    pub move_to_trash: Option<bool>,
}

/// `DeleteRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DeleteRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(bool, required, tag = "2")]
    pub recursive: bool,
}

/// `ConcatRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConcatRequest {
    #[prost(string, required, tag = "1")]
    pub trg: String,
    #[prost(string, repeated, tag = "2")]
    pub srcs: Vec<String>,
}

/// `GetPreferredBlockSizeResponseProto`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct GetPreferredBlockSizeResponse {
    #[prost(uint64, required, tag = "1")]
    pub bsize: u64,
}

/// `GetLinkTargetResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetLinkTargetResponse {
    #[prost(string, optional, tag = "1")]
    pub target_path: Option<String>,
}

/// `GetEnclosingRootRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetEnclosingRootRequest {
    #[prost(string, optional, tag = "1")]
    pub filename: Option<String>,
}

/// `GetEnclosingRootResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetEnclosingRootResponse {
    #[prost(string, optional, tag = "1")]
    pub enclosing_root_path: Option<String>,
}
