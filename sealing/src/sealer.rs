//! Sealing a stream: plaintext in, sealed segments out.
//!
//! Bound: one segment is held back, because only its successor or the end tells whether it is the last.

use crate::layers::{LayerKeys, SegmentKeys};
use crate::segment::{Position, SEGMENT, TAG};
use bytes::{Bytes, BytesMut};
use granary_protocol::encryption::SealSalt;

/// Seals the bytes of one object or one part.
pub struct StreamSealer {
    /// A kilobyte, which every writer would carry about, most of them for nothing.
    keys: Box<SegmentKeys>,
    /// The segment that `held` will be.
    index: u64,
    /// Plaintext of the segment that is being gathered; a whole one stays until more comes.
    held: BytesMut,
}

impl StreamSealer {
    /// A sealer for what will be stored with this salt. No salt may be used twice with an object's keys.
    pub fn new(keys: &LayerKeys, salt: &SealSalt) -> Self {
        Self { keys: Box::new(SegmentKeys::new(keys, salt)), index: 0, held: BytesMut::new() }
    }

    /// Takes plaintext of any length; the segments that it completes, sealed. Often none.
    pub fn push(&mut self, mut plain: &[u8]) -> Bytes {
        // A byte must follow a segment before it is known not to be the last.
        let complete = (self.held.len() + plain.len()).saturating_sub(1) / SEGMENT;
        let mut sealed = BytesMut::with_capacity(complete * (SEGMENT + TAG));
        for _ in 0..complete {
            let (now, rest) = plain.split_at(SEGMENT - self.held.len());
            plain = rest;
            self.seal_next(now, false, &mut sealed);
        }
        if !plain.is_empty() {
            self.held.reserve((SEGMENT - self.held.len()).min(plain.len().max(SEGMENT / 16)));
            self.held.extend_from_slice(plain);
        }
        sealed.freeze()
    }

    /// Ends the stream; its last segment, sealed. No bytes for a stream without any.
    pub fn finish(mut self) -> Bytes {
        let mut sealed = BytesMut::with_capacity(self.held.len() + TAG);
        if !self.held.is_empty() {
            self.seal_next(&[], true, &mut sealed);
        }
        sealed.freeze()
    }

    /// Seals what is held and `more` as the next segment, behind `sealed`.
    fn seal_next(&mut self, more: &[u8], is_last: bool, sealed: &mut BytesMut) {
        let start = sealed.len();
        sealed.extend_from_slice(&self.held);
        sealed.extend_from_slice(more);
        self.held.clear();
        let tag = self.keys.seal(Position { index: self.index, is_last }, &mut sealed[start..]);
        sealed.extend_from_slice(&tag);
        self.index += 1;
    }
}
