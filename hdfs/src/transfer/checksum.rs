//! The checksums of packets: one a chunk, 4 bytes big-endian.

use super::message::Checksum;
use crate::proto::ChecksumType;
use crc_fast::{CrcAlgorithm, checksum};
use granary_protocol::checksum::{CHUNK_BYTES, crc32c};

/// Bytes of a checksum.
const SUM_BYTES: usize = 4;
/// The largest chunk a client may choose.
const CHUNK_BYTES_MAX: u32 = 16 << 20;

/// How data is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkChecksum {
    kind: ChecksumType,
    chunk_bytes: usize,
}

impl ChunkChecksum {
    /// What replicas are stored with and reads are sent with: CRC32C of 512 bytes.
    pub const STORED: ChunkChecksum = ChunkChecksum { kind: ChecksumType::Crc32c, chunk_bytes: CHUNK_BYTES };
    /// None.
    pub const NONE: ChunkChecksum = ChunkChecksum { kind: ChecksumType::Null, chunk_bytes: CHUNK_BYTES };

    /// What a client asks for; `None` for what is not known.
    pub fn from_message(message: &Checksum) -> Option<ChunkChecksum> {
        let kind = ChecksumType::try_from(message.checksum_type).ok()?;
        let in_range = kind == ChecksumType::Null || (1..=CHUNK_BYTES_MAX).contains(&message.bytes_per_checksum);
        in_range.then_some(ChunkChecksum { kind, chunk_bytes: message.bytes_per_checksum.max(1) as usize })
    }

    /// As clients are told.
    pub fn message(self) -> Checksum {
        Checksum { checksum_type: self.kind as i32, bytes_per_checksum: self.chunk_bytes as u32 }
    }

    /// Bytes of checksums for so many bytes of data.
    pub fn bytes_of(self, data_bytes: usize) -> usize {
        match self.kind {
            ChecksumType::Null => 0,
            ChecksumType::Crc32 | ChecksumType::Crc32c => data_bytes.div_ceil(self.chunk_bytes) * SUM_BYTES,
        }
    }

    /// The checksums of data, as they are sent.
    pub fn sums(self, data: &[u8]) -> Vec<u8> {
        match self.kind {
            ChecksumType::Null => Vec::new(),
            kind => data.chunks(self.chunk_bytes).flat_map(|chunk| crc(kind, chunk).to_be_bytes()).collect(),
        }
    }

    /// Whether the checksums are those of the data. There are as many as [`ChunkChecksum::bytes_of`] says.
    pub fn matches(self, sums: &[u8], data: &[u8]) -> bool {
        match self.kind {
            ChecksumType::Null => true,
            kind => {
                let sums = sums.as_chunks::<SUM_BYTES>().0.iter();
                data.chunks(self.chunk_bytes).zip(sums).all(|(chunk, sum)| crc(kind, chunk).to_be_bytes() == *sum)
            }
        }
    }

    /// The checksums as a replica keeps them, if they are of that kind.
    pub fn stored(self, sums: &[u8]) -> Option<Vec<u32>> {
        (self == Self::STORED)
            .then(|| sums.as_chunks::<SUM_BYTES>().0.iter().map(|sum| u32::from_be_bytes(*sum)).collect())
    }
}

fn crc(kind: ChecksumType, chunk: &[u8]) -> u32 {
    match kind {
        ChecksumType::Null => 0,
        ChecksumType::Crc32 => checksum(CrcAlgorithm::Crc32IsoHdlc, chunk) as u32,
        ChecksumType::Crc32c => crc32c(chunk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_polynomials_have_their_check_values() {
        assert_eq!(crc(ChecksumType::Crc32, b"123456789"), 0xcbf4_3926);
        assert_eq!(crc(ChecksumType::Crc32c, b"123456789"), 0xe306_9283);
        // "hello\n" as a Java client sent it.
        assert_eq!(ChunkChecksum::STORED.sums(b"hello\n"), [0x35, 0x3d, 0xd8, 0xbe]);
    }

    #[test]
    fn a_wrong_byte_is_seen_in_whatever_chunk() {
        let kinds = [(ChecksumType::Crc32, 512), (ChecksumType::Crc32c, 512), (ChecksumType::Crc32c, 100)];
        for (kind, chunk) in kinds {
            let message = Checksum { checksum_type: kind as i32, bytes_per_checksum: chunk };
            let checksum = ChunkChecksum::from_message(&message).unwrap();
            let mut data = vec![3u8; 1300];
            let sums = checksum.sums(&data);
            assert_eq!(sums.len(), checksum.bytes_of(data.len()));
            assert!(checksum.matches(&sums, &data));
            data[1299] ^= 1;
            assert!(!checksum.matches(&sums, &data));
        }
        assert!(ChunkChecksum::NONE.matches(&[], &[1, 2]));
        for message in [
            Checksum { checksum_type: 9, bytes_per_checksum: 512 },
            Checksum { checksum_type: 2, bytes_per_checksum: 0 },
        ] {
            assert_eq!(ChunkChecksum::from_message(&message), None);
        }
    }
}
