//! Where the plaintext of an encrypted input is: its blocks hold sealed bytes, which are a little longer. Pure.

use granary_protocol::encryption::{SEGMENT_BYTES, SealedRun, TAG_BYTES, sealed_range};

/// A window of an encrypted object, as the namenode located it.
pub(super) struct SealedWindow<'a> {
    /// First byte of the plaintext, and first sealed byte.
    pub offset: u64,
    pub stored_offset: u64,
    /// What the sealed bytes are, run after run.
    pub runs: &'a [SealedRun],
}

impl SealedWindow<'_> {
    /// The first byte of plaintext whose segment begins at a sealed byte or around it; the end of the window behind the
    /// last. Never less for a later byte, so that consecutive blocks of sealed bytes are consecutive in plaintext.
    pub fn plain_offset(&self, stored: u64) -> u64 {
        let (mut plain, mut at) = (self.offset, self.stored_offset);
        for run in self.runs {
            let (_, bytes) = sealed_range(run.offset, run.length, run.plain_size);
            if stored < at + bytes {
                let segments = stored.saturating_sub(at) / (SEGMENT_BYTES + TAG_BYTES);
                let since_segment = run.offset % SEGMENT_BYTES;
                return plain + (segments * SEGMENT_BYTES).saturating_sub(since_segment).min(run.length);
            }
            plain += run.length;
            at += bytes;
        }
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::encryption::{SealSalt, sealed_length};

    fn run(plain_size: u64) -> SealedRun {
        SealedRun { salt: SealSalt([0; 16]), plain_size, offset: 0, length: plain_size }
    }

    #[test]
    fn blocks_of_sealed_bytes_cover_the_plaintext_once() {
        let parts = [3 * SEGMENT_BYTES + 7, 1, 10 * SEGMENT_BYTES];
        let runs: Vec<SealedRun> = parts.iter().map(|bytes| run(*bytes)).collect();
        let plain: u64 = parts.iter().sum();
        let stored: u64 = parts.iter().map(|bytes| sealed_length(*bytes)).sum();
        let window = SealedWindow { offset: 0, stored_offset: 0, runs: &runs };
        assert_eq!((window.plain_offset(0), window.plain_offset(stored)), (0, plain));
        let offsets: Vec<u64> = (0..=stored).step_by(1_000).map(|at| window.plain_offset(at)).collect();
        assert!(offsets.is_sorted());
        let segment = SEGMENT_BYTES + TAG_BYTES;
        assert_eq!(window.plain_offset(2 * segment), 2 * SEGMENT_BYTES);
        assert_eq!(window.plain_offset(sealed_length(parts[0])), parts[0]);
    }

    #[test]
    fn a_window_may_begin_within_a_segment() {
        let runs = [SealedRun { offset: SEGMENT_BYTES + 5, length: 2 * SEGMENT_BYTES, ..run(9 * SEGMENT_BYTES) }];
        let segment = SEGMENT_BYTES + TAG_BYTES;
        let window = SealedWindow { offset: SEGMENT_BYTES + 5, stored_offset: segment, runs: &runs };
        assert_eq!(window.plain_offset(segment), SEGMENT_BYTES + 5);
        assert_eq!(window.plain_offset(2 * segment), 2 * SEGMENT_BYTES);
        assert_eq!(window.plain_offset(4 * segment), 3 * SEGMENT_BYTES + 5);
    }
}
