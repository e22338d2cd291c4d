//! Blocks of files as Hadoop clients see them.

use crate::block::{Extent, LocatedBlock};
use crate::encryption::ObjectEncryption;
use crate::ids::{BlockId, DatanodeId, GenerationStamp, VolumeId};
use serde::{Deserialize, Serialize};

/// A file or directory as Hadoop numbers them. 0 is no file: the caller does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId(pub u64);

impl FileId {
    /// `/`.
    pub const ROOT: FileId = FileId(16_385);
}

/// A block as a client names it: `ExtendedBlock` without the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClientBlock {
    pub block: BlockId,
    pub generation: GenerationStamp,
    /// Bytes, as the client says.
    pub length: u64,
}

/// A block of a file: an extent, which the client takes for a block of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBlock {
    /// First byte in the file.
    pub offset: u64,
    /// Where the bytes are. Of a block being written: from 0, as many as are known to be visible.
    pub extent: Extent,
    /// Whether no byte is added any more.
    pub complete: bool,
    /// Replicas nearest first (for a writer: the pipeline in order), generation and token. The token covers the extent.
    pub located: LocatedBlock,
}

/// Where a file's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocatedFile {
    /// Bytes of the file; of one being written, without its last block.
    pub length: u64,
    /// Whether it is being written.
    pub under_construction: bool,
    /// Blocks that have bytes of the range asked for, in order and whole; without one that is being written.
    pub blocks: Vec<FileBlock>,
    /// The file's last block, in the range or not; `None` for an empty file.
    pub last: Option<Box<FileBlock>>,
    /// How the bytes are encrypted: offsets and lengths above are those of the plaintext only if this is `None`;
    /// otherwise `blocks` and `last` are empty, and the object is read through [`crate::namenode::NamenodeRequest::GetObject`].
    pub encryption: Option<ObjectEncryption>,
}

/// What a client says about where its next block should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBlockHints {
    /// Datanodes that failed it.
    pub exclude: Vec<DatanodeId>,
    /// Host names it would like, best first.
    pub favored: Vec<String>,
}

/// A member of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PipelineMember {
    pub datanode: DatanodeId,
    /// Where a datanode has several; `None` when the client does not say.
    pub volume: Option<VolumeId>,
}
