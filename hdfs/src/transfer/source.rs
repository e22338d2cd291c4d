//! What a read is from: a replica on this datanode, or the plaintext of an encrypted file, wherever its bytes are.

use super::message::BaseHeader;
use super::server::{Connection, Shared, admit, token_of};
use crate::sealed::{SealedSource, is_sealed};
use granary_datanode::ExtentSource;
use granary_protocol::datanode::ReadStream;
use granary_protocol::token::AccessMode;
use granary_protocol::{BlockId, ErrorCode, Failure, GenerationStamp};

/// Bytes that a client may read.
pub(super) enum Source {
    Replica(ExtentSource),
    Sealed(SealedSource),
}

impl Source {
    /// What a request for reading names, if its token allows it.
    pub async fn open(connection: &Connection, shared: &Shared, header: &BaseHeader) -> Result<Source, Failure> {
        let block = BlockId(header.block.block_id);
        if let Some(token) = header.token.as_ref().filter(|token| is_sealed(token)) {
            admit(connection, shared)?;
            return shared.sealed.open(token, block).await.map(Source::Sealed);
        }
        let token = token_of(connection, shared, header.token.as_ref())?;
        if token.block() != block || token.mode != AccessMode::Read {
            return Err(Failure::new(ErrorCode::InvalidToken, "the block token is for something else"));
        }
        shared.datanode.open_extent(GenerationStamp(header.block.generation_stamp), &token).map(Source::Replica)
    }

    /// Bytes there are.
    pub fn length(&self) -> u32 {
        match self {
            Source::Replica(extent) => extent.length(),
            Source::Sealed(sealed) => sealed.length(),
        }
    }

    /// Some of them, which must be there.
    pub fn read(self, start: u32, bytes: u32) -> Result<Box<dyn ReadStream>, Failure> {
        match self {
            Source::Replica(extent) => extent.read(start, bytes),
            Source::Sealed(sealed) => Ok(sealed.read(start, bytes)),
        }
    }
}
