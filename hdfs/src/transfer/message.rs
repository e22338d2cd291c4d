//! Messages of DataTransferProtocol (`datatransfer.proto`).

use crate::proto::{ChecksumType, DatanodeInfo, ExtendedBlock, StorageType, Token};

/// `Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Status {
    Success = 0,
    Error = 1,
    ErrorChecksum = 2,
    ErrorInvalid = 3,
    ErrorExists = 4,
    ErrorAccessToken = 5,
    ChecksumOk = 6,
    ErrorUnsupported = 7,
    OobRestart = 8,
    InProgress = 12,
    ErrorBlockPinned = 13,
}

/// `BaseHeaderProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BaseHeader {
    #[prost(message, required, tag = "1")]
    pub block: ExtendedBlock,
    #[prost(message, optional, tag = "2")]
    pub token: Option<Token>,
}

/// `ClientOperationHeaderProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ClientOperationHeader {
    #[prost(message, required, tag = "1")]
    pub base_header: BaseHeader,
    #[prost(string, required, tag = "2")]
    pub client_name: String,
}

/// `CachingStrategyProto`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct CachingStrategy {
    #[prost(bool, optional, tag = "1")]
    pub drop_behind: Option<bool>,
    #[prost(int64, optional, tag = "2")]
    pub readahead: Option<i64>,
}

/// `OpReadBlockProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OpReadBlock {
    #[prost(message, required, tag = "1")]
    pub header: ClientOperationHeader,
    #[prost(uint64, required, tag = "2")]
    pub offset: u64,
    #[prost(uint64, required, tag = "3")]
    pub len: u64,
    #[prost(bool, optional, tag = "4", default = "true")]
    pub send_checksums: Option<bool>,
    #[prost(message, optional, tag = "5")]
    pub caching_strategy: Option<CachingStrategy>,
}

/// `ChecksumProto`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Checksum {
    #[prost(enumeration = "ChecksumType", required, tag = "1")]
    pub checksum_type: i32,
    #[prost(uint32, required, tag = "2")]
    pub bytes_per_checksum: u32,
}

/// `OpWriteBlockProto.BlockConstructionStage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Stage {
    PipelineSetupAppend = 0,
    PipelineSetupAppendRecovery = 1,
    DataStreaming = 2,
    PipelineSetupStreamingRecovery = 3,
    PipelineClose = 4,
    PipelineCloseRecovery = 5,
    PipelineSetupCreate = 6,
    TransferRbw = 7,
    TransferFinalized = 8,
}

/// `OpWriteBlockProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OpWriteBlock {
    #[prost(message, required, tag = "1")]
    pub header: ClientOperationHeader,
    /// The members behind the one asked.
    #[prost(message, repeated, tag = "2")]
    pub targets: Vec<DatanodeInfo>,
    #[prost(message, optional, tag = "3")]
    pub source: Option<DatanodeInfo>,
    #[prost(enumeration = "Stage", required, tag = "4")]
    pub stage: i32,
    #[prost(uint32, required, tag = "5")]
    pub pipeline_size: u32,
    /// Bytes that the client knows every member to have.
    #[prost(uint64, required, tag = "6")]
    pub min_bytes_rcvd: u64,
    /// Bytes that the client has sent.
    #[prost(uint64, required, tag = "7")]
    pub max_bytes_rcvd: u64,
    #[prost(uint64, required, tag = "8")]
    pub latest_generation_stamp: u64,
    #[prost(message, required, tag = "9")]
    pub requested_checksum: Checksum,
    #[prost(message, optional, tag = "10")]
    pub caching_strategy: Option<CachingStrategy>,
    #[prost(enumeration = "StorageType", optional, tag = "11")]
    pub storage_type: Option<i32>,
    #[prost(enumeration = "StorageType", repeated, packed = "false", tag = "12")]
    pub target_storage_types: Vec<i32>,
    #[prost(bool, optional, tag = "13")]
    pub allow_lazy_persist: Option<bool>,
    #[prost(bool, optional, tag = "14")]
    pub pinning: Option<bool>,
    #[prost(bool, repeated, packed = "false", tag = "15")]
    pub target_pinnings: Vec<bool>,
    #[prost(string, optional, tag = "16")]
    pub storage_id: Option<String>,
    #[prost(string, repeated, tag = "17")]
    pub target_storage_ids: Vec<String>,
}

/// `OpTransferBlockProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OpTransferBlock {
    #[prost(message, required, tag = "1")]
    pub header: ClientOperationHeader,
    #[prost(message, repeated, tag = "2")]
    pub targets: Vec<DatanodeInfo>,
    #[prost(enumeration = "StorageType", repeated, packed = "false", tag = "3")]
    pub target_storage_types: Vec<i32>,
    #[prost(string, repeated, tag = "4")]
    pub target_storage_ids: Vec<String>,
}

/// `BlockChecksumOptionsProto.BlockChecksumTypeProto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum BlockChecksumType {
    Md5Crc = 1,
    CompositeCrc = 2,
}

/// `BlockChecksumOptionsProto`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct BlockChecksumOptions {
    #[prost(enumeration = "BlockChecksumType", optional, tag = "1", default = "Md5Crc")]
    pub block_checksum_type: Option<i32>,
    #[prost(uint64, optional, tag = "2", default = "0")]
    pub stripe_length: Option<u64>,
}

/// `OpBlockChecksumProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OpBlockChecksum {
    #[prost(message, required, tag = "1")]
    pub header: BaseHeader,
    #[prost(message, optional, tag = "2")]
    pub block_checksum_options: Option<BlockChecksumOptions>,
}

/// `OpBlockChecksumResponseProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct OpBlockChecksumResponse {
    #[prost(uint32, required, tag = "1")]
    pub bytes_per_crc: u32,
    #[prost(uint64, required, tag = "2")]
    pub crc_per_block: u64,
    #[prost(bytes = "vec", required, tag = "3")]
    pub block_checksum: Vec<u8>,
    #[prost(enumeration = "ChecksumType", optional, tag = "4")]
    pub crc_type: Option<i32>,
    #[prost(message, optional, tag = "5")]
    pub block_checksum_options: Option<BlockChecksumOptions>,
}

/// `ReadOpChecksumInfoProto`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct ReadOpChecksumInfo {
    #[prost(message, required, tag = "1")]
    pub checksum: Checksum,
    /// Where the first packet begins: a chunk boundary at or before the offset asked for.
    #[prost(uint64, required, tag = "2")]
    pub chunk_offset: u64,
}

/// `BlockOpResponseProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct BlockOpResponse {
    #[prost(enumeration = "Status", required, tag = "1")]
    pub status: i32,
    /// `ip:port` of the member of a pipeline that could not be reached; empty if all could.
    #[prost(string, optional, tag = "2")]
    pub first_bad_link: Option<String>,
    #[prost(message, optional, tag = "3")]
    pub checksum_response: Option<OpBlockChecksumResponse>,
    #[prost(message, optional, tag = "4")]
    pub read_op_checksum_info: Option<ReadOpChecksumInfo>,
    #[prost(string, optional, tag = "5")]
    pub message: Option<String>,
}

/// `ClientReadStatusProto`, and the answers to requests about shared memory, of which the status is all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct BareStatus {
    #[prost(enumeration = "Status", required, tag = "1")]
    pub status: i32,
}

/// `ShortCircuitShmResponseProto` and `ReleaseShortCircuitAccessResponseProto`, as they refuse.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ShortCircuitRefusal {
    #[prost(enumeration = "Status", required, tag = "1")]
    pub status: i32,
    #[prost(string, optional, tag = "2")]
    pub error: Option<String>,
}

/// `PacketHeaderProto`. The first four fields are of fixed size and always written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct PacketHeader {
    #[prost(sfixed64, required, tag = "1")]
    pub offset_in_block: i64,
    #[prost(sfixed64, required, tag = "2")]
    pub seqno: i64,
    #[prost(bool, required, tag = "3")]
    pub last_packet_in_block: bool,
    #[prost(sfixed32, required, tag = "4")]
    pub data_len: i32,
    #[prost(bool, optional, tag = "5", default = "false")]
    pub sync_block: Option<bool>,
}

/// The sequence number of a packet that only says that its sender lives.
pub const HEARTBEAT_SEQNO: i64 = -1;

/// `PipelineAckProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PipelineAck {
    #[prost(sint64, required, tag = "1")]
    pub seqno: i64,
    /// One a member, the one that answers first.
    #[prost(enumeration = "Status", repeated, packed = "false", tag = "2")]
    pub reply: Vec<i32>,
    #[prost(uint64, optional, tag = "3", default = "0")]
    pub downstream_ack_time_nanos: Option<u64>,
    /// One a member: the status again in the low four bits, congestion above them (none is ever reported).
    #[prost(uint32, repeated, packed = "true", tag = "4")]
    pub flag: Vec<u32>,
}

impl PipelineAck {
    /// The acknowledgement of packet `seqno` with each member's status.
    pub fn of(seqno: i64, reply: Vec<i32>) -> PipelineAck {
        let flag = reply.iter().map(|status| *status as u32 & 0xf).collect();
        PipelineAck { seqno, reply, downstream_ack_time_nanos: Some(0), flag }
    }
}

impl BlockOpResponse {
    /// Success, with nothing else said.
    pub fn success() -> BlockOpResponse {
        BlockOpResponse { status: Status::Success as i32, ..BlockOpResponse::default() }
    }

    /// A refusal.
    pub fn refusal(status: Status, message: impl Into<String>) -> BlockOpResponse {
        BlockOpResponse { status: status as i32, message: Some(message.into()), ..BlockOpResponse::default() }
    }
}
