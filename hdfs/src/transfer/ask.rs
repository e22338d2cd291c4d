//! What this process asks of a datanode's transfer port as a client: the checksum of a block.

use super::message::{BaseHeader, BlockChecksumOptions, BlockChecksumType, BlockOpResponse, OpBlockChecksum, Status};
use super::mirror::address_of;
use super::server::{Connection, within};
use super::wire::{self, Op};
use crate::proto::{DatanodeInfo, LocatedBlock};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a datanode may take to be reached and to sum a block of 128 MiB.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Which sum of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChecksumKind {
    /// MD5 of its chunks' CRCs.
    Md5Crc,
    /// CRC of all of its bytes.
    CompositeCrc,
}

/// The sum of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockChecksumReply {
    /// 16 bytes of MD5, or 4 of CRC.
    pub sum: Vec<u8>,
    /// Chunks of the block.
    pub crcs: u64,
}

/// Has a block summed by the first of its datanodes that answers.
///
/// # Errors
/// That of the last one.
pub async fn ask_block_checksum(block: &LocatedBlock, kind: BlockChecksumKind) -> io::Result<BlockChecksumReply> {
    let mut failed = io::Error::other("no datanode has the block");
    for datanode in &block.locs {
        match within(TIMEOUT, ask(datanode, block, kind)).await {
            Ok(reply) => return Ok(reply),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn ask(datanode: &DatanodeInfo, block: &LocatedBlock, kind: BlockChecksumKind) -> io::Result<BlockChecksumReply> {
    let mut connection = Connection::new(TcpStream::connect(address_of(datanode)).await?)?;
    let kind = match kind {
        BlockChecksumKind::Md5Crc => BlockChecksumType::Md5Crc,
        BlockChecksumKind::CompositeCrc => BlockChecksumType::CompositeCrc,
    };
    let request = OpBlockChecksum {
        header: BaseHeader { block: block.b.clone(), token: Some(block.block_token.clone()) },
        block_checksum_options: Some(BlockChecksumOptions {
            block_checksum_type: Some(kind as i32),
            stripe_length: None,
        }),
    };
    wire::write_request(&mut connection.writer, Op::BlockChecksum, &request).await?;
    let response: BlockOpResponse = wire::read_message(&mut connection.reader).await?;
    match response.checksum_response {
        Some(sum) if response.status == Status::Success as i32 => {
            Ok(BlockChecksumReply { sum: sum.block_checksum, crcs: sum.crc_per_block })
        }
        _ => Err(io::Error::other(response.message.unwrap_or_default())),
    }
}
