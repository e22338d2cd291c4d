//! Bytes that are a function of a seed and their position, so that gigabytes can be checked without being kept.

use bytes::Bytes;

/// Endless bytes of one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern(pub u64);

impl Pattern {
    /// `length` bytes from `offset`.
    pub fn bytes(self, offset: u64, length: usize) -> Bytes {
        let mut bytes = Vec::with_capacity(length + 16);
        let mut word = offset / 8;
        let skip = (offset % 8) as usize;
        while bytes.len() < length + skip {
            bytes.extend_from_slice(&self.word(word).to_le_bytes());
            word += 1;
        }
        Bytes::from(bytes).slice(skip..skip + length)
    }

    /// The offset of the first byte of `found` that is not the pattern's, if any.
    pub fn mismatch(self, offset: u64, found: &[u8]) -> Option<u64> {
        let expected = self.bytes(offset, found.len());
        if expected == found {
            return None;
        }
        expected.iter().zip(found).position(|(a, b)| a != b).map(|at| offset + at as u64)
    }

    /// The finalizer of MurmurHash3: every bit of position and seed reaches every bit of the word.
    fn word(self, at: u64) -> u64 {
        let mut z = at.wrapping_add(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        z = (z ^ (z >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        z ^ (z >> 33)
    }
}
