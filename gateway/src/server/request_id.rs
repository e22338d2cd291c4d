//! Names of requests: unique in this process, unlikely to meet those of another.

use http::HeaderValue;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes request ids and knows this process's host id.
pub(super) struct RequestIds {
    next: AtomicU64,
    host_id: HeaderValue,
}

/// 16 upper-case hexadecimal digits.
#[derive(Clone, Copy)]
pub(crate) struct RequestId([u8; 16]);

/// Odd, so that multiplying by it permutes all 64-bit numbers: consecutive requests get unlike ids, none twice.
const SCATTER: u64 = 0x9E37_79B9_7F4A_7C15;

impl RequestIds {
    /// `seed` is random: two processes with the same one would use the same ids.
    pub(super) fn new(seed: [u8; 40]) -> Self {
        use base64::Engine as _;
        let (first, host) = seed.split_at(8);
        let first = first.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let host_id = base64::engine::general_purpose::STANDARD.encode(host);
        Self { next: AtomicU64::new(first), host_id: HeaderValue::from_str(&host_id).expect("base64 is visible ASCII") }
    }

    pub(super) fn next(&self) -> RequestId {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let number = self.next.fetch_add(1, Ordering::Relaxed).wrapping_mul(SCATTER);
        let mut text = [0; 16];
        for (at, digit) in text.iter_mut().enumerate() {
            *digit = DIGITS[(number >> (60 - 4 * at)) as usize & 15];
        }
        RequestId(text)
    }

    pub(super) fn host_id(&self) -> &HeaderValue {
        &self.host_id
    }
}

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }

    /// The id as a number.
    pub(super) fn number(&self) -> u64 {
        u64::from_str_radix(self.as_str(), 16).expect("16 hexadecimal digits are 64 bits")
    }

    pub(super) fn header_value(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).expect("hexadecimal digits are visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_hexadecimal() {
        let ids = RequestIds::new([7; 40]);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            let id = ids.next();
            assert!(id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(seen.insert(id.as_str().to_owned()));
        }
    }
}
