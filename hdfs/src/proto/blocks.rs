//! Blocks and where they are (`hdfs.proto`).

use super::{DatanodeInfo, ErasureCodingPolicy, Token};

/// `ExtendedBlockProto`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ExtendedBlock {
    /// Names the cluster; never empty.
    #[prost(string, required, tag = "1")]
    pub pool_id: String,
    #[prost(uint64, required, tag = "2")]
    pub block_id: u64,
    #[prost(uint64, required, tag = "3")]
    pub generation_stamp: u64,
    /// Bytes; in a request to write a new block, a hint.
    #[prost(uint64, optional, tag = "4", default = "0")]
    pub num_bytes: Option<u64>,
}

/// `StorageTypeProto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum StorageType {
    Disk = 1,
    Ssd = 2,
    Archive = 3,
    RamDisk = 4,
    Provided = 5,
    Nvdimm = 6,
}

/// `ChecksumTypeProto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ChecksumType {
    Null = 0,
    /// The polynomial of gzip.
    Crc32 = 1,
    /// Castagnoli's.
    Crc32c = 2,
}

/// `LocatedBlockProto`. `locs`, `is_cached`, `storage_types` and `storage_ids` are of equal length, nearest first.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LocatedBlock {
    #[prost(message, required, tag = "1")]
    pub b: ExtendedBlock,
    /// First byte in the file.
    #[prost(uint64, required, tag = "2")]
    pub offset: u64,
    #[prost(message, repeated, tag = "3")]
    pub locs: Vec<DatanodeInfo>,
    #[prost(bool, required, tag = "4")]
    pub corrupt: bool,
    #[prost(message, required, tag = "5")]
    pub block_token: Token,
    #[prost(bool, repeated, packed = "true", tag = "6")]
    pub is_cached: Vec<bool>,
    #[prost(enumeration = "StorageType", repeated, packed = "false", tag = "7")]
    pub storage_types: Vec<i32>,
    #[prost(string, repeated, tag = "8")]
    pub storage_ids: Vec<String>,
    /// Of striped block groups only: its presence makes a client read the block as one.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub block_indices: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "10")]
    pub block_tokens: Vec<Token>,
}

/// `LocatedBlocksProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LocatedBlocks {
    #[prost(uint64, required, tag = "1")]
    pub file_length: u64,
    #[prost(message, repeated, tag = "2")]
    pub blocks: Vec<LocatedBlock>,
    #[prost(bool, required, tag = "3")]
    pub under_construction: bool,
    /// Set for every file that is not empty.
    #[prost(message, optional, tag = "4")]
    pub last_block: Option<LocatedBlock>,
    #[prost(bool, required, tag = "5")]
    pub is_last_block_complete: bool,
    #[prost(message, optional, tag = "7")]
    pub ec_policy: Option<ErasureCodingPolicy>,
}
