//! Blocks, extents and where replicas live.

use crate::ids::{BlockId, DatanodeId, GenerationStamp, NodeName, Rack, VolumeId};
use crate::token::BlockToken;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most bytes a block holds: 128 MiB.
pub const BLOCK_BYTES_MAX: u32 = 128 << 20;

/// Objects up to this size share packed blocks; larger ones own their blocks. 8 MiB.
pub const PACKED_OBJECT_BYTES_MAX: u32 = 8 << 20;

/// A run of bytes in one block.
///
/// In a packed block `offset` is where the record's payload starts, so the record's header is the
/// [`crate::record::HEADER_BYTES`] before it. In an owned block it is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Extent {
    /// The block.
    pub block: BlockId,
    /// First byte, from the start of the block.
    pub offset: u32,
    /// Bytes, at least 1.
    pub length: u32,
}

/// Who uses a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlockKind {
    /// One content, whole.
    Owned,
    /// Records of many small contents ([`crate::record`]).
    Packed,
    /// Parity of a coded group of blocks ([`crate::redundancy`]). No content refers to it.
    Parity,
}

/// The media of a volume; storage classes name the ones their blocks belong on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Media {
    /// Flash.
    #[serde(alias = "ssd")]
    Ssd,
    /// Spinning or unspecified.
    #[default]
    #[serde(alias = "disk")]
    Disk,
    /// Cheap and slow, for archived classes.
    #[serde(alias = "archive")]
    Archive,
}

impl Media {
    /// Every media.
    pub const ALL: [Media; 3] = [Media::Ssd, Media::Disk, Media::Archive];

    /// The word for it in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Media::Ssd => "ssd",
            Media::Disk => "disk",
            Media::Archive => "archive",
        }
    }

    /// The media of this name.
    pub fn from_name(name: &str) -> Option<Media> {
        Media::ALL.into_iter().find(|media| media.name() == name)
    }
}

/// How to reach a datanode and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DatanodeEndpoint {
    /// Its id.
    pub id: DatanodeId,
    /// The name in its certificate.
    pub name: NodeName,
    /// The host name it advertises to batch schedulers.
    pub host: String,
    /// `ip:port` of its internal data port; empty when it serves this process only.
    pub address: String,
    /// `ip:port` of its http port (metrics, health); empty when not served.
    pub http: String,
    /// Its failure domain.
    pub rack: Rack,
}

/// One replica of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReplicaLocation {
    /// The datanode.
    pub datanode: Arc<DatanodeEndpoint>,
    /// The volume on it.
    pub volume: VolumeId,
}

/// A block a reader may read or a writer may write: where it is and the token that allows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocatedBlock {
    /// The block.
    pub block: BlockId,
    /// Its current generation stamp; replicas with a lower one are stale.
    pub generation: GenerationStamp,
    /// Bytes known to be durable: the sealed length, or the committed length of a block still being written.
    pub length: u32,
    /// Replicas, best first for the caller. For a writer: the pipeline, in order.
    pub replicas: Vec<ReplicaLocation>,
    /// Allows what was asked for.
    pub token: BlockToken,
}
