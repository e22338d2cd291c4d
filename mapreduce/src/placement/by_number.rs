//! Hash maps by number. Most of placement's work is finding jobs and their lists; numbers that the service gives itself
//! need no protection from whoever would make them collide.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub(super) type ByNumber<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Of one number, by a multiplication (Fibonacci hashing: Knuth, volume 3, 6.4).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberHasher(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        // The table looks at the lowest bits, into which only the lowest of the number have gone.
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(GOLDEN);
    }
}
