//! The bytes of segments, frames and the index. All numbers are little endian.

use crc_fast::CrcAlgorithm;

/// A segment's first bytes.
pub(super) const SEGMENT_MAGIC: u32 = u32::from_le_bytes(*b"GSG1");
/// A file's last bytes.
pub(super) const FILE_MAGIC: u32 = u32::from_le_bytes(*b"GMO1");
/// A frame is closed when it holds so many bytes of records; only a single record is ever longer.
pub(super) const FRAME_BYTES: usize = 64 << 10;
pub(super) const SEGMENT_HEADER_BYTES: usize = 32;
pub(super) const FRAME_HEADER_BYTES: usize = 12;
/// Of the index: offset and length of a segment.
pub(super) const INDEX_ENTRY_BYTES: usize = 16;
/// After the index: its CRC32C, how many segments, magic.
pub(super) const FOOTER_BYTES: usize = 12;

pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// What a segment says of itself: magic, longest frame, bytes of records, records, CRC32C of these, zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Bytes of records in its longest frame.
    pub frame_bytes_max: u32,
    pub record_bytes: u64,
    pub records: u64,
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..4].copy_from_slice(&SEGMENT_MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.frame_bytes_max.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.record_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.records.to_le_bytes());
        let crc = crc32c(&bytes[..24]);
        bytes[24..28].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Option<Self> {
        let intact = u32_at(bytes, 0) == SEGMENT_MAGIC && u32_at(bytes, 24) == crc32c(&bytes[..24]);
        intact.then(|| SegmentHeader {
            frame_bytes_max: u32_at(bytes, 4),
            record_bytes: u64_at(bytes, 8),
            records: u64_at(bytes, 16),
        })
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// A length in seven-bit groups, the lowest first.
pub(super) fn put_length(mut length: usize, into: &mut Vec<u8>) {
    while length >= 0x80 {
        into.push(length as u8 | 0x80);
        length >>= 7;
    }
    into.push(length as u8);
}

/// Reads what [`put_length`] wrote and goes past it. `None`: the bytes are no length.
pub(super) fn take_length(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut length = 0;
    for shift in (0..35).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(length);
        }
    }
    None
}
