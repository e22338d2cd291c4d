//! BLOCK_CHECKSUM: what a client puts the checksum of a file together from.
//!
//! Of an extent, whatever its place in the replica: the MD5 of its chunks' CRCs, or the CRC of all of its bytes.

use super::checksum::ChunkChecksum;
use super::message::{
    BlockChecksumOptions, BlockChecksumType, BlockOpResponse, OpBlockChecksum, OpBlockChecksumResponse,
};
use super::read_block::{PACKET_DATA_BYTES, Pieces};
use super::server::{Connection, Next, Shared, refusal};
use super::source::Source;
use crate::proto::ChecksumType;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use granary_protocol::Failure;
use granary_protocol::checksum::CHUNK_BYTES;
use md5::{Digest as _, Md5};
use std::io;

/// Serves one request.
pub(super) async fn serve(connection: &mut Connection, shared: &Shared, request: OpBlockChecksum) -> io::Result<Next> {
    let options = request.block_checksum_options.unwrap_or_default();
    match compute(connection, shared, &request, options.block_checksum_type()).await {
        Ok(computed) => {
            let response = BlockOpResponse { checksum_response: Some(computed), ..BlockOpResponse::success() };
            connection.respond(&response).await?;
            Ok(Next::Operation)
        }
        Err(failure) => {
            connection.respond(&refusal(&failure)).await?;
            Ok(Next::Close)
        }
    }
}

async fn compute(
    connection: &Connection,
    shared: &Shared,
    request: &OpBlockChecksum,
    kind: BlockChecksumType,
) -> Result<OpBlockChecksumResponse, Failure> {
    let block = &request.header.block;
    let source = Source::open(connection, shared, &request.header).await?;
    // A client that knows of fewer bytes than there are by now asks for the sum of those.
    let length = u32::try_from(block.num_bytes()).map_or(source.length(), |bytes| bytes.min(source.length()));
    let mut sums = BlockSums::new(kind);
    if length > 0 {
        let mut pieces = Pieces::new(source.read(0, length)?);
        let mut left = length as usize;
        while left > 0 {
            let data = pieces.take(left.min(PACKET_DATA_BYTES)).await?;
            left -= data.len();
            sums.update(&data);
        }
    }
    Ok(OpBlockChecksumResponse {
        bytes_per_crc: CHUNK_BYTES as u32,
        crc_per_block: u64::from(length).div_ceil(CHUNK_BYTES as u64),
        block_checksum: sums.finish(),
        crc_type: Some(ChecksumType::Crc32c as i32),
        block_checksum_options: Some(BlockChecksumOptions {
            block_checksum_type: Some(kind as i32),
            stripe_length: Some(0),
        }),
    })
}

/// The checksum of a block that is read in pieces of whole chunks.
enum BlockSums {
    Md5Crc(Box<Md5>),
    CompositeCrc(Box<Crc>),
}

impl BlockSums {
    fn new(kind: BlockChecksumType) -> BlockSums {
        match kind {
            BlockChecksumType::Md5Crc => BlockSums::Md5Crc(Box::default()),
            BlockChecksumType::CompositeCrc => BlockSums::CompositeCrc(Box::new(Crc::new(CrcAlgorithm::Crc32Iscsi))),
        }
    }

    fn update(&mut self, data: &[u8]) {
        match self {
            BlockSums::Md5Crc(md5) => md5.update(ChunkChecksum::STORED.sums(data)),
            BlockSums::CompositeCrc(crc) => crc.update(data),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            BlockSums::Md5Crc(md5) => md5.finalize().to_vec(),
            BlockSums::CompositeCrc(crc) => (crc.finalize() as u32).to_be_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_a_small_block_is_apaches() {
        let mut sums = BlockSums::new(BlockChecksumType::Md5Crc);
        sums.update(b"hello\n");
        assert_eq!(hex::encode(sums.finish()), "0631cc594ec0589d7bbe76dce1a7953b");
        let mut sums = BlockSums::new(BlockChecksumType::CompositeCrc);
        sums.update(b"hello\n");
        assert_eq!(hex::encode(sums.finish()), "353dd8be");
    }
}
