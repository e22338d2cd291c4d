//! Object contents: one shared random buffer, read at a different offset for every object.
//!
//! Costs nothing per request, cannot be compressed or deduplicated by aligned chunks, and lets any response be
//! compared with what was stored without keeping a copy. Not cryptographically random.

use std::ops::Range;

/// Distance the offsets spread over. Odd step and unaligned offsets, so that equal blocks do not line up.
const WINDOW_BYTES: usize = 4 << 20;
const OFFSET_STEP: u64 = 2_654_435_761;

/// Random bytes, long enough for the largest object at any offset.
pub struct Payload {
    bytes: Vec<u8>,
}

impl Payload {
    /// A buffer from which objects of up to `object_bytes_max` can be cut.
    pub fn new(object_bytes_max: usize) -> Self {
        let words = (object_bytes_max + WINDOW_BYTES).div_ceil(8);
        let mut bytes = Vec::with_capacity(words * 8);
        let mut random = SplitMix64::new(0x0067_7261_6e61_7279);
        for _ in 0..words {
            bytes.extend_from_slice(&random.next_u64().to_le_bytes());
        }
        Self { bytes }
    }

    /// Where object `index` of `len` bytes lies in the buffer; the same for every call.
    pub fn range_of(index: u64, len: usize) -> Range<usize> {
        let start = (index.wrapping_mul(OFFSET_STEP) % WINDOW_BYTES as u64) as usize;
        start..start + len
    }

    pub fn slice(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }
}

/// Sebastiano Vigna's SplitMix64: seeded, so that both servers under comparison get the same requests.
pub struct SplitMix64(u64);

impl SplitMix64 {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be zero. The bias of the remainder is far below the noise measured.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % bound as u64) as usize
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
