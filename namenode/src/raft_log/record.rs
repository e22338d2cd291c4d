//! One entry in its form on disk.
//!
//! ```text
//!  0  u32  crc32c of the segment's nonce, bytes 4..32 of this header, and the payload
//!  4  u32  marker: drawn from the segment's nonce
//!  8  u32  payload length
//! 12  u32  crc of the record before (of the segment header's `prev_crc` for the first)
//! 16  u64  index
//! 24  u64  index of the first entry of the append call that wrote this record
//! 32       payload, then zeros up to a multiple of 8 bytes
//! ```
//!
//! All numbers little-endian. The previous record's crc chains the records: one left over from before a truncation may be
//! whole, but it does not follow its new neighbour. The nonce is random and never leaves the machine, so a client that
//! chooses payload bytes cannot make them look like a record.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};

/// The longest payload, in bytes. A batch of commands is far smaller; a length beyond this on disk is damage.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 20;

pub(super) const HEADER_BYTES: usize = 32;

/// Records start at multiples of this, so that a search for them need not look at every byte.
pub(super) const ALIGNMENT: usize = 8;

/// An entry of the log: what [`RaftLog::append`](super::RaftLog::append) takes and reads give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Position in the log; consecutive.
    pub index: u64,
    /// The entry, opaque here, at most [`PAYLOAD_BYTES_MAX`].
    pub payload: Bytes,
}

/// What makes one segment's records unlike those of any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonce(pub(super) u64);

impl Nonce {
    /// Never zero: preallocated space must not look like the beginning of a record.
    fn marker(self) -> u32 {
        (self.0 as u32) | 1
    }
}

/// A header read from disk. Believable only after [`RecordHeader::matches`].
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordHeader {
    pub(super) crc: u32,
    pub(super) payload_bytes: usize,
    pub(super) prev_crc: u32,
    pub(super) index: u64,
    pub(super) batch_first: u64,
}

impl RecordHeader {
    /// Reads the fields; `None` where the marker or the length cannot belong to a record of this segment.
    pub(super) fn parse(nonce: Nonce, bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        if u32_at(bytes, 4) != nonce.marker() {
            return None;
        }
        let payload_bytes = u32_at(bytes, 8) as usize;
        (payload_bytes <= PAYLOAD_BYTES_MAX).then(|| Self {
            crc: u32_at(bytes, 0),
            payload_bytes,
            prev_crc: u32_at(bytes, 12),
            index: u64_at(bytes, 16),
            batch_first: u64_at(bytes, 24),
        })
    }

    /// True where header and payload are exactly what was once written.
    pub(super) fn matches(&self, nonce: Nonce, bytes: &[u8; HEADER_BYTES], payload: &[u8]) -> bool {
        payload.len() == self.payload_bytes && record_crc(nonce, &bytes[4..], payload) == self.crc
    }
}

/// Appends the form on disk of `record` to `out` and returns its crc, the link for the next record.
pub(super) fn encode(out: &mut Vec<u8>, nonce: Nonce, prev_crc: u32, batch_first: u64, record: &LogRecord) -> u32 {
    debug_assert!(record.payload.len() <= PAYLOAD_BYTES_MAX);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&nonce.marker().to_le_bytes());
    out.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&prev_crc.to_le_bytes());
    out.extend_from_slice(&record.index.to_le_bytes());
    out.extend_from_slice(&batch_first.to_le_bytes());
    let crc = record_crc(nonce, &out[start + 4..], &record.payload);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&record.payload);
    out.resize(start + record_bytes(record.payload.len()), 0);
    crc
}

/// Bytes on disk of a record with such a payload.
pub(super) fn record_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

fn record_crc(nonce: Nonce, header_after_crc: &[u8], payload: &[u8]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    digest.update(&nonce.0.to_le_bytes());
    digest.update(header_after_crc);
    digest.update(payload);
    digest.finalize() as u32
}

/// The four bytes at `at`, which the caller knows to be there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

/// The eight bytes at `at`, which the caller knows to be there.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}
