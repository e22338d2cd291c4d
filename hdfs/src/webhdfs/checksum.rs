//! GETFILECHECKSUM: the checksum of a file from those of its blocks, as Hadoop's clients compute it.
//!
//! Datanodes sum their own replicas; no byte of the file travels. With `combinemode=COMPOSITE_CRC` (Hadoop's
//! `dfs.checksum.combine.mode`, which its servers take from their configuration) the result does not depend on how the
//! file is cut into blocks.

use super::error::WebError;
use super::request::Parameters;
use super::service::WebHdfs;
use crate::principal::Principal;
use crate::transfer::{BlockChecksumKind, BlockChecksumReply, ask_block_checksum};
use crate::translate::BlockView;
use crc_fast::{CrcAlgorithm, checksum_combine};
use granary_protocol::filesystem::FsPath;
use md5::{Digest, Md5};
use serde_json::{Value, json};

/// Where Java's buffer of digests begins; it doubles, and is summed whole.
const BUFFER_BYTES_MIN: usize = 32;
const MD5_BYTES: usize = 16;
const CHUNK_BYTES: u32 = 512;

/// A block's sum and its bytes.
struct BlockSum {
    reply: BlockChecksumReply,
    length: u64,
}

/// `FileChecksum`.
pub async fn file_checksum(
    service: &WebHdfs,
    principal: &Principal,
    path: FsPath,
    parameters: &Parameters,
) -> Result<Value, WebError> {
    let kind = match parameters.get("combinemode").map(str::to_ascii_uppercase).as_deref() {
        None | Some("MD5MD5CRC") => BlockChecksumKind::Md5Crc,
        Some("COMPOSITE_CRC") => BlockChecksumKind::CompositeCrc,
        Some(other) => return Err(WebError::parameter("combinemode", format!("{other} is not known"))),
    };
    let found = service.locator.locate(principal, &path, 0, u64::MAX).await?;
    service.datanodes.refresh().await;
    let view = BlockView { cluster: service.cluster().await?, datanodes: &service.datanodes };
    let mut sums = Vec::with_capacity(found.file.blocks.len());
    for block in &found.file.blocks {
        let message = view.block_of(&found, block);
        let reply = ask_block_checksum(&message, kind).await.map_err(|error| {
            WebError::io(format!("Fail to get block checksum for block {}: {error}", message.b.block_id))
        })?;
        sums.push(BlockSum { reply, length: u64::from(block.extent.length) });
    }
    let (algorithm, bytes, padding) = match kind {
        BlockChecksumKind::Md5Crc => {
            let (algorithm, bytes) = md5_of_md5s(&sums);
            // Java prints the whole buffer of its digest.
            (algorithm, bytes, "00000000")
        }
        BlockChecksumKind::CompositeCrc => ("COMPOSITE-CRC32C".to_owned(), composite(&sums).to_vec(), ""),
    };
    let text = format!("{}{padding}", hex::encode(&bytes));
    Ok(json!({ "FileChecksum": { "algorithm": algorithm, "bytes": text, "length": bytes.len() } }))
}

/// `MD5-of-xMD5-of-yCRC32C`: name and bytes.
fn md5_of_md5s(blocks: &[BlockSum]) -> (String, Vec<u8>) {
    let mut buffer: Vec<u8> = blocks.iter().flat_map(|block| block.reply.sum.iter().copied()).collect();
    let mut capacity = BUFFER_BYTES_MIN;
    while capacity < buffer.len().max(blocks.len() * MD5_BYTES) {
        capacity *= 2;
    }
    buffer.resize(capacity, 0);
    let crcs = if blocks.len() > 1 { blocks[0].reply.crcs } else { 0 };
    let chunk = if blocks.is_empty() { 0 } else { CHUNK_BYTES };
    let mut bytes = chunk.to_be_bytes().to_vec();
    bytes.extend_from_slice(&crcs.to_be_bytes());
    bytes.extend_from_slice(&Md5::digest(&buffer));
    (format!("MD5-of-{crcs}MD5-of-{chunk}CRC32C"), bytes)
}

fn composite(blocks: &[BlockSum]) -> [u8; 4] {
    let sum = |block: &BlockSum| block.reply.sum.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let combined = blocks
        .iter()
        .fold(0, |before, block| checksum_combine(CrcAlgorithm::Crc32Iscsi, before, sum(block), block.length));
    (combined as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::checksum::crc32c;

    fn block(sum: &[u8], crcs: u64, length: u64) -> BlockSum {
        BlockSum { reply: BlockChecksumReply { sum: sum.to_vec(), crcs }, length }
    }

    #[test]
    fn small_and_empty_files_have_apaches_sums() {
        let md5 = hex::decode("0631cc594ec0589d7bbe76dce1a7953b").unwrap();
        let (name, bytes) = md5_of_md5s(&[block(&md5, 1, 6)]);
        assert_eq!(name, "MD5-of-0MD5-of-512CRC32C");
        assert_eq!(hex::encode(bytes), "0000020000000000000000002b559725e23eb93541b0675b41e25ab3");
        let (name, bytes) = md5_of_md5s(&[]);
        assert_eq!(name, "MD5-of-0MD5-of-0CRC32C");
        assert_eq!(hex::encode(&bytes[12..]), "70bc8f4b72a86921468bf8e8441dce51");
        let (name, _) = md5_of_md5s(&[block(&md5, 2048, 1 << 20), block(&md5, 2048, 1 << 20), block(&md5, 1, 6)]);
        assert_eq!(name, "MD5-of-2048MD5-of-512CRC32C");
    }

    #[test]
    fn a_composite_is_the_sum_of_all_bytes() {
        let part = |bytes: &[u8]| block(&crc32c(bytes).to_be_bytes(), 1, bytes.len() as u64);
        assert_eq!(composite(&[part(b"hello "), part(b"wo"), part(b"rld")]), crc32c(b"hello world").to_be_bytes());
        assert_eq!(composite(&[]), [0; 4]);
    }
}
