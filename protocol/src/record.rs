//! The record of a packed block: a fixed header, then the payload.
//!
//! A packed block is a sequence of records with nothing between them, so it can be scanned, verified and compacted
//! without the namenode. All integers are little-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `GRN1` |
//! | 4..8 | payload length |
//! | 8..16 | content id, the record's owner |
//! | 16..20 | CRC32C of the payload |
//! | 20..28 | reserved, zero |
//! | 28..32 | CRC32C of bytes 0..28 |

use crate::block::PACKED_OBJECT_BYTES_MAX;
use crate::checksum::crc32c;
use crate::ids::ContentId;

/// Bytes of a record's header.
pub const HEADER_BYTES: usize = 32;
const MAGIC: [u8; 4] = *b"GRN1";

/// A decoded record header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Who owns the payload.
    pub content: ContentId,
    /// Payload bytes, 1 to [`PACKED_OBJECT_BYTES_MAX`].
    pub length: u32,
    /// CRC32C of the payload.
    pub payload_crc: u32,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Fewer bytes than a header, or than the payload it declares.
    #[error("record is cut short")]
    Truncated,
    /// The header does not carry the magic or its checksum.
    #[error("record header is damaged")]
    BadHeader,
    /// The payload does not match its checksum.
    #[error("record payload is damaged")]
    BadPayload,
}

impl RecordHeader {
    /// The header of a record that holds `payload` for `content`.
    pub fn of(content: ContentId, payload: &[u8]) -> RecordHeader {
        let length = u32::try_from(payload.len()).expect("a packed payload is bounded by PACKED_OBJECT_BYTES_MAX");
        assert!(
            length > 0 && length <= PACKED_OBJECT_BYTES_MAX,
            "payload of {length} bytes does not belong in a packed block"
        );
        RecordHeader { content, length, payload_crc: crc32c(payload) }
    }

    /// The header's bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0u8; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.content.0.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c(&bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header from the first [`HEADER_BYTES`] of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<RecordHeader, RecordError> {
        let header = bytes.first_chunk::<HEADER_BYTES>().ok_or(RecordError::Truncated)?;
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if header[0..4] != MAGIC || word(28) != crc32c(&header[..28]) {
            return Err(RecordError::BadHeader);
        }
        let content = ContentId(u64::from(word(8)) | u64::from(word(12)) << 32);
        let header = RecordHeader { content, length: word(4), payload_crc: word(16) };
        if header.length == 0 || header.length > PACKED_OBJECT_BYTES_MAX {
            return Err(RecordError::BadHeader);
        }
        Ok(header)
    }

    /// Checks `payload` against the header.
    pub fn verify(&self, payload: &[u8]) -> Result<(), RecordError> {
        if payload.len() != self.length as usize {
            return Err(RecordError::Truncated);
        }
        if crc32c(payload) != self.payload_crc {
            return Err(RecordError::BadPayload);
        }
        Ok(())
    }

    /// Bytes of the whole record.
    pub fn record_bytes(&self) -> u32 {
        self.length + HEADER_BYTES as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_and_every_flipped_bit_is_seen() {
        let header = RecordHeader::of(ContentId(0x0102_0304_0506_0708), b"payload");
        let bytes = header.encode();
        assert_eq!(RecordHeader::decode(&bytes), Ok(header));
        assert_eq!(header.verify(b"payload"), Ok(()));
        assert_eq!(header.verify(b"paYload"), Err(RecordError::BadPayload));
        assert_eq!(header.verify(b"payloa"), Err(RecordError::Truncated));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&damaged), Err(RecordError::BadHeader), "bit {bit}");
        }
        assert_eq!(RecordHeader::decode(&bytes[..31]), Err(RecordError::Truncated));
    }
}
