//! CRC32C (Castagnoli), the checksum of everything Granary stores or sends, in the chunking that HDFS uses.

use crc_fast::{CrcAlgorithm, Digest, checksum};

/// Bytes covered by one checksum of a replica. HDFS's `dfs.bytes-per-checksum`, so that Hadoop clients see their own.
pub const CHUNK_BYTES: usize = 512;

/// CRC32C of `bytes`.
pub fn crc32c(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// CRC32C of several pieces as if they were one.
pub fn crc32c_of_parts(parts: &[&[u8]]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    digest.finalize() as u32
}

/// CRC32C of bytes that come one after another.
pub struct RunningCrc32c(Digest);

impl RunningCrc32c {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc32Iscsi))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all that came.
    pub fn value(&self) -> u32 {
        self.0.finalize() as u32
    }
}

impl Default for RunningCrc32c {
    fn default() -> Self {
        Self::new()
    }
}

/// The checksum of every chunk of `bytes`, which starts at a chunk boundary; the last chunk may be short.
pub fn chunk_checksums(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(CHUNK_BYTES).map(crc32c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c_of_parts(&[b"1234", b"", b"56789"]), 0xe306_9283);
        let mut running = RunningCrc32c::new();
        [&b"1234"[..], b"", b"56789"].iter().for_each(|part| running.update(part));
        assert_eq!(running.value(), 0xe306_9283);
    }

    #[test]
    fn chunks_are_independent() {
        let bytes = vec![7u8; 2 * CHUNK_BYTES + 3];
        let sums = chunk_checksums(&bytes);
        assert_eq!(sums.len(), 3);
        assert_eq!(sums[0], sums[1]);
        assert_eq!(sums[2], crc32c(&[7u8; 3]));
    }
}
