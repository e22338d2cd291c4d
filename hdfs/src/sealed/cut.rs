//! Where an encrypted file is cut into blocks, and which sealed bytes each is. Pure.
//!
//! A run (an object written in one piece, or one part) is cut every [`PLAIN_BLOCK_BYTES`] of its plaintext, so that the cuts
//! are the same whatever window of the file is looked at.

use granary_protocol::block::{BLOCK_BYTES_MAX, LocatedBlock};
use granary_protocol::encryption::{SealedRun, sealed_length, sealed_range};
use granary_protocol::namenode::{LocatedExtent, ObjectRead};

/// Plaintext of a block, but for the last one of a run.
pub const PLAIN_BLOCK_BYTES: u64 = BLOCK_BYTES_MAX as u64;

/// A block of plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutBlock {
    /// First byte in the file.
    pub offset: u64,
    /// Where the sealed bytes of its run, all of it, begin in the content.
    pub run_starts_at: u64,
    /// What of the run it is.
    pub run: SealedRun,
    /// The block that has most of its sealed bytes.
    pub located: LocatedBlock,
}

/// A window of an encrypted file, as the namenode located it.
#[derive(Clone, Copy, Debug)]
pub struct SealedWindow<'a> {
    /// First byte in the file.
    pub offset: u64,
    /// First sealed byte in the content.
    pub stored_offset: u64,
    /// What the sealed bytes are, run after run.
    pub runs: &'a [SealedRun],
    /// Where they are; perhaps not all.
    pub extents: &'a [LocatedExtent],
}

impl SealedWindow<'_> {
    /// How many bytes lie between the cut before the window and its first byte.
    pub fn bytes_since_cut(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.offset % PLAIN_BLOCK_BYTES)
    }
}

impl<'a> From<&'a ObjectRead> for SealedWindow<'a> {
    fn from(read: &'a ObjectRead) -> Self {
        let ObjectRead { offset, stored_offset, sealed, extents, .. } = read;
        SealedWindow { offset: *offset, stored_offset: *stored_offset, runs: sealed, extents }
    }
}

/// The blocks that are whole in a window that begins at a cut, and whose sealed bytes are located. The first one always is
/// if the window has [`PLAIN_BLOCK_BYTES`] or reaches the file's end.
pub fn cut(window: SealedWindow<'_>) -> Vec<CutBlock> {
    let mut blocks = Vec::new();
    let mut offset = window.offset;
    let mut run_starts_at = None;
    for run in window.runs {
        let first = sealed_range(run.offset, run.length, run.plain_size).0;
        let starts_at = run_starts_at.unwrap_or(window.stored_offset - first);
        let end = run.offset + run.length;
        let mut at = run.offset;
        while at < end {
            let length = (run.plain_size - at).min(PLAIN_BLOCK_BYTES - at % PLAIN_BLOCK_BYTES);
            if at + length > end {
                return blocks;
            }
            let run = SealedRun { offset: at, length, ..*run };
            let (from, bytes) = sealed_range(at, length, run.plain_size);
            let Some(located) = most_of(window.extents, starts_at + from, bytes) else { return blocks };
            blocks.push(CutBlock { offset, run_starts_at: starts_at, run, located: located.clone() });
            offset += length;
            at += length;
        }
        run_starts_at = Some(starts_at + sealed_length(run.plain_size));
    }
    blocks
}

/// The block that has most of these bytes of the content.
fn most_of(extents: &[LocatedExtent], from: u64, bytes: u64) -> Option<&LocatedBlock> {
    let shared = |extent: &LocatedExtent| {
        let end = extent.content_offset + u64::from(extent.extent.length);
        end.min(from + bytes).saturating_sub(extent.content_offset.max(from))
    };
    extents.iter().filter(|extent| shared(extent) > 0).max_by_key(|extent| shared(extent)).map(|extent| &extent.located)
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::block::Extent;
    use granary_protocol::encryption::SealSalt;
    use granary_protocol::token::{AccessMode, BlockKey, BlockToken};
    use granary_protocol::{BlockId, GenerationStamp, UnixMillis};
    use proptest::prelude::*;

    const STORED_BLOCK_BYTES: u64 = BLOCK_BYTES_MAX as u64;

    fn extent(block: u64, content_offset: u64, length: u64) -> LocatedExtent {
        let extent = Extent { block: BlockId(block), offset: 0, length: length as u32 };
        let key = BlockKey { id: 1, secret: [0; 32], expires: UnixMillis(9) };
        let token = BlockToken::sign(&key, extent, GenerationStamp(1), AccessMode::Read, UnixMillis(9));
        let located = LocatedBlock {
            block: extent.block,
            generation: GenerationStamp(1),
            length: extent.length,
            replicas: Vec::new(),
            token,
        };
        LocatedExtent { content_offset, extent, located }
    }

    /// Runs and extents of a window as a namenode answers, over parts whose sealed bytes fill blocks one after another.
    fn window(parts: &[u64], from: u64, until: u64) -> (u64, Vec<SealedRun>, Vec<LocatedExtent>) {
        let (mut plain_at, mut stored_at, mut runs, mut needed) = (0, 0, Vec::new(), None);
        for (number, size) in parts.iter().enumerate() {
            let (first, last) = (from.clamp(plain_at, plain_at + size), until.clamp(plain_at, plain_at + size));
            if first < last {
                let salt = SealSalt([number as u8; 16]);
                let run = SealedRun { salt, plain_size: *size, offset: first - plain_at, length: last - first };
                let (at, bytes) = sealed_range(run.offset, run.length, *size);
                let start = needed.map_or(stored_at + at, |(start, _)| start);
                needed = Some((start, stored_at + at + bytes));
                runs.push(run);
            }
            plain_at += size;
            stored_at += sealed_length(*size);
        }
        let (start, end) = needed.unwrap_or_default();
        let blocks = start / STORED_BLOCK_BYTES..end.div_ceil(STORED_BLOCK_BYTES);
        let extents = blocks.map(|block| {
            let (at, to) = ((block * STORED_BLOCK_BYTES).max(start), ((block + 1) * STORED_BLOCK_BYTES).min(end));
            extent(block, at, to - at)
        });
        (start, runs, extents.collect())
    }

    proptest! {
        /// Whatever window is looked at, the blocks are those of the whole file, without a gap, each within one run.
        #[test]
        fn cuts_are_the_same_in_every_window(
            parts in prop::collection::vec(1..3 * PLAIN_BLOCK_BYTES, 1..5),
            at in any::<prop::sample::Index>(),
        ) {
            let size: u64 = parts.iter().sum();
            let look = |from: u64| {
                let (stored_offset, runs, extents) = window(&parts, from, size);
                let window = SealedWindow { offset: from, stored_offset, runs: &runs, extents: &extents };
                (window.bytes_since_cut(), cut(window))
            };
            let all = look(0).1;
            let mut end = 0;
            for block in &all {
                prop_assert_eq!(block.offset, end);
                prop_assert!(block.run.length > 0 && block.run.length <= PLAIN_BLOCK_BYTES);
                prop_assert!(block.run.offset + block.run.length <= block.run.plain_size);
                end += block.run.length;
                // Where it is has most of it: at least half, since a block of plaintext lies in two blocks at most.
                let (from, bytes) = sealed_range(block.run.offset, block.run.length, block.run.plain_size);
                let (from, until) = (block.run_starts_at + from, block.run_starts_at + from + bytes);
                let stored = block.located.block.0 * STORED_BLOCK_BYTES;
                let there = until.min(stored + STORED_BLOCK_BYTES) - from.max(stored);
                prop_assert!(there * 3 >= bytes, "{there} of {bytes}");
            }
            prop_assert_eq!(end, size);
            let byte = at.index(size as usize) as u64;
            let since = look(byte).0;
            let from_cut = look(byte - since).1;
            let same = all.iter().filter(|block| block.offset + block.run.length > byte);
            let what = |block: &CutBlock| (block.offset, block.run_starts_at, block.run, block.located.block);
            prop_assert_eq!(from_cut.iter().map(what).collect::<Vec<_>>(), same.map(what).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_block_that_is_not_whole_in_the_window_is_left_to_the_next() {
        let size = 2 * PLAIN_BLOCK_BYTES + 5;
        let (stored_offset, runs, extents) = window(&[size], 0, PLAIN_BLOCK_BYTES + 7);
        let window = SealedWindow { offset: 0, stored_offset, runs: &runs, extents: &extents };
        assert_eq!(cut(window).len(), 1);
        assert!(cut(SealedWindow { extents: &[], ..window }).is_empty());
    }
}
