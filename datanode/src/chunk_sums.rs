//! The checksums of one replica: a CRC32C per 512-byte chunk, in memory and in the replica's `.crc` file.
//!
//! The file is a 16-byte header and then one big-endian `u32` a chunk (the order and size Hadoop clients expect):
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `GCRC` |
//! | 4..8 | layout version, big-endian |
//! | 8..12 | bytes a chunk, big-endian: 512 |
//! | 12 | kind: 1 owned, 2 packed |
//! | 13..16 | zero |
//!
//! The length of the data is not in it: the number of sums says it up to a chunk, the data file or the last sum itself
//! says the rest. Pure code: no I/O.

use granary_protocol::LAYOUT_VERSION;
use granary_protocol::block::BlockKind;
use granary_protocol::checksum::{CHUNK_BYTES, crc32c};

/// Bytes before the first sum of a `.crc` file.
pub const SUMS_HEADER_BYTES: usize = 16;
/// Bytes of a sum.
pub const SUM_BYTES: usize = 4;
const MAGIC: [u8; 4] = *b"GCRC";

/// The size of the `.crc` file of a replica of `length` bytes.
pub fn sums_file_bytes(length: u32) -> u64 {
    (SUMS_HEADER_BYTES + chunks_of(length) * SUM_BYTES) as u64
}

/// Chunks of a replica of `length` bytes, the last perhaps short.
pub fn chunks_of(length: u32) -> usize {
    (length as usize).div_ceil(CHUNK_BYTES)
}

/// The header of a `.crc` file.
pub fn encode_header(kind: BlockKind) -> [u8; SUMS_HEADER_BYTES] {
    let mut header = [0u8; SUMS_HEADER_BYTES];
    header[0..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&LAYOUT_VERSION.to_be_bytes());
    header[8..12].copy_from_slice(&(CHUNK_BYTES as u32).to_be_bytes());
    header[12] = match kind {
        BlockKind::Owned => 1,
        BlockKind::Packed => 2,
        BlockKind::Parity => 3,
    };
    header
}

/// The sums in the bytes of a `.crc` file; `None` if it is not one for `kind`. A torn last sum is left out.
pub fn decode_file(bytes: &[u8], kind: BlockKind) -> Option<Vec<u32>> {
    let sums = bytes.strip_prefix(&encode_header(kind))?;
    Some(decode_sums(sums))
}

/// The sums in a slice of a `.crc` file.
pub fn decode_sums(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<SUM_BYTES>().0.iter().map(|sum| u32::from_be_bytes(*sum)).collect()
}

/// Whether every chunk of `data`, which starts at a chunk boundary, has the sum given for it. Says which chunk has not.
pub fn check_chunks(data: &[u8], sums: &[u32]) -> Result<(), usize> {
    let chunks = data.chunks(CHUNK_BYTES);
    if chunks.len() != sums.len() {
        return Err(chunks.len().min(sums.len()));
    }
    match chunks.zip(sums).position(|(chunk, sum)| crc32c(chunk) != *sum) {
        Some(chunk) => Err(chunk),
        None => Ok(()),
    }
}

/// How many bytes of `data` the sums of an unfinished replica vouch for: whole chunks up to the first that does not
/// match, and of the last chunk that has a sum the longest part that matches it.
pub fn vouched_bytes(data: &[u8], sums: &[u32]) -> usize {
    let mut vouched = 0;
    for (chunk, sum) in data.chunks(CHUNK_BYTES).zip(sums) {
        if chunk.len() == CHUNK_BYTES && crc32c(chunk) == *sum {
            vouched += CHUNK_BYTES;
            continue;
        }
        let longest = (1..=chunk.len()).rev().find(|&length| crc32c(&chunk[..length]) == *sum);
        return vouched + longest.unwrap_or(0);
    }
    vouched
}

/// The sums of a replica that grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkSums {
    /// Sums of whole chunks.
    whole: Vec<u32>,
    /// The bytes of the last, short chunk: fewer than a chunk. Kept so that an append extends it without reading.
    tail: Vec<u8>,
}

impl ChunkSums {
    /// The sums of `bytes`.
    pub fn of(bytes: &[u8]) -> ChunkSums {
        let mut sums = ChunkSums::default();
        sums.append(bytes);
        sums
    }

    /// Bytes covered.
    pub fn length(&self) -> u32 {
        (self.whole.len() * CHUNK_BYTES + self.tail.len()) as u32
    }

    /// Covers `bytes` too.
    pub fn append(&mut self, mut bytes: &[u8]) {
        if !self.tail.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.tail.len()));
            self.tail.extend_from_slice(head);
            bytes = rest;
            if self.tail.len() == CHUNK_BYTES {
                self.whole.push(crc32c(&self.tail));
                self.tail.clear();
            }
        }
        let (chunks, rest) = bytes.as_chunks::<CHUNK_BYTES>();
        self.whole.extend(chunks.iter().map(|chunk| crc32c(chunk)));
        self.tail.extend_from_slice(rest);
    }

    /// Covers `bytes` too, with the sum of each of their chunks known; what is covered so far ends at a chunk boundary.
    pub fn append_summed(&mut self, bytes: &[u8], sums: &[u32]) {
        assert!(self.tail.is_empty() && sums.len() == bytes.len().div_ceil(CHUNK_BYTES), "one sum a chunk");
        let whole = bytes.len() / CHUNK_BYTES;
        self.whole.extend_from_slice(&sums[..whole]);
        self.tail.extend_from_slice(&bytes[whole * CHUNK_BYTES..]);
    }

    /// Covers only the first `length` bytes from now on, at most as many as before. `last_chunk` are the bytes of the
    /// chunk that becomes short, at least as many of them as remain.
    pub fn truncate(&mut self, length: u32, last_chunk: &[u8]) {
        assert!(length <= self.length(), "checksums cannot be cut to more than they cover");
        let short = length as usize % CHUNK_BYTES;
        self.whole.truncate(length as usize / CHUNK_BYTES);
        self.tail.clear();
        self.tail.extend_from_slice(&last_chunk[..short]);
    }

    /// The sums of chunks `first..end`, the short last one included; empty where there are none.
    pub fn range(&self, first: usize, end: usize) -> Vec<u32> {
        let whole = self.whole.len();
        let mut sums = self.whole[first.min(whole)..end.min(whole)].to_vec();
        if !self.tail.is_empty() && (first..end).contains(&whole) {
            sums.push(crc32c(&self.tail));
        }
        sums
    }

    /// The bytes of the `.crc` file.
    pub fn encode_file(&self, kind: BlockKind) -> Vec<u8> {
        let sums = self.range(0, self.whole.len() + 1);
        let mut bytes = Vec::with_capacity(SUMS_HEADER_BYTES + sums.len() * SUM_BYTES);
        bytes.extend_from_slice(&encode_header(kind));
        for sum in sums {
            bytes.extend_from_slice(&sum.to_be_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn appending_in_pieces_is_appending_at_once(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..1500), 0..8)) {
            let mut grown = ChunkSums::default();
            for piece in &pieces {
                grown.append(piece);
            }
            let all = pieces.concat();
            prop_assert_eq!(&grown, &ChunkSums::of(&all));
            let mut summed = ChunkSums::default();
            summed.append_summed(&all, &granary_protocol::checksum::chunk_checksums(&all));
            prop_assert_eq!(&grown, &summed);
            prop_assert_eq!(grown.length() as usize, all.len());
            let file = grown.encode_file(BlockKind::Owned);
            prop_assert_eq!(file.len() as u64, sums_file_bytes(all.len() as u32));
            let sums = decode_file(&file, BlockKind::Owned).unwrap();
            prop_assert_eq!(check_chunks(&all, &sums), Ok(()));
            prop_assert_eq!(decode_file(&file, BlockKind::Packed), None);
        }

        #[test]
        fn cutting_is_never_having_had_more(all in proptest::collection::vec(any::<u8>(), 0..3000), cut in 0usize..3000) {
            let cut = cut.min(all.len());
            let mut sums = ChunkSums::of(&all);
            sums.truncate(cut as u32, &all[cut / CHUNK_BYTES * CHUNK_BYTES..]);
            prop_assert_eq!(sums, ChunkSums::of(&all[..cut]));
        }

        #[test]
        fn exactly_what_was_summed_is_vouched_for(all in proptest::collection::vec(any::<u8>(), 0..3000), more in 0usize..700) {
            let sums = ChunkSums::of(&all).range(0, usize::MAX);
            let mut longer = all.clone();
            longer.resize(all.len() + more, 0);
            prop_assert_eq!(vouched_bytes(&longer, &sums), all.len());
        }
    }
}
