//! Opening what was sealed: sealed bytes of a window in, its plaintext out.
//!
//! Invariant: no byte is handed out before the segment it was in has been authenticated, and the window is only complete
//! when all of its segments were. Bound: less than one segment waits for its rest; what comes out is never longer than
//! what went in and that.

use crate::layers::{LayerKeys, SegmentKeys};
use crate::segment::{Position, SEGMENT, TAG};
use bytes::{Bytes, BytesMut};
use granary_protocol::encryption::{SEGMENT_BYTES, SealedRun};
use std::collections::VecDeque;

/// Why sealed bytes could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A segment is not what was sealed: bytes or key are wrong.
    #[error("segment {index} is not authentic")]
    NotAuthentic {
        /// Its number in the object or part.
        index: u64,
    },
    /// There were more bytes than the window has.
    #[error("there are more sealed bytes than the window has")]
    TooLong,
    /// The bytes ended within the window.
    #[error("the sealed bytes end before the window does")]
    TooShort,
}

/// Opens the sealed bytes of one window, run after run.
pub struct WindowOpener {
    keys: LayerKeys,
    runs: VecDeque<SealedRun>,
    current: Option<OpenRun>,
    /// Sealed bytes of a segment that is not complete yet.
    waiting: BytesMut,
}

/// A run that is being opened.
struct OpenRun {
    keys: SegmentKeys,
    run: SealedRun,
    /// The next segment.
    index: u64,
}

impl WindowOpener {
    /// An opener for the window that `runs` describe.
    pub fn new(keys: LayerKeys, runs: Vec<SealedRun>) -> Self {
        let runs = runs.into_iter().filter(|run| run.length > 0).collect();
        let mut opener = Self { keys, runs, current: None, waiting: BytesMut::new() };
        opener.begin_run();
        opener
    }

    /// Takes the next sealed bytes of the window, of any length; the plaintext they complete. Often none.
    ///
    /// # Errors
    /// See [`OpenError`]. The opener is of no further use then.
    pub fn push(&mut self, mut sealed: &[u8]) -> Result<Bytes, OpenError> {
        let mut plain = BytesMut::with_capacity(self.waiting.len() + sealed.len());
        while !sealed.is_empty() {
            let current = self.current.as_mut().ok_or(OpenError::TooLong)?;
            let missing = current.sealed_length() - self.waiting.len();
            if sealed.len() < missing {
                self.waiting.extend_from_slice(sealed);
                break;
            }
            let (now, rest) = sealed.split_at(missing);
            sealed = rest;
            current.open_next(&self.waiting, now, &mut plain)?;
            self.waiting.clear();
            if current.is_done() {
                self.begin_run();
            }
        }
        Ok(plain.freeze())
    }

    /// Says that there are no more bytes.
    ///
    /// # Errors
    /// `TooShort` unless the window is complete.
    pub fn finish(&self) -> Result<(), OpenError> {
        if self.current.is_some() { Err(OpenError::TooShort) } else { Ok(()) }
    }

    fn begin_run(&mut self) {
        self.current = self.runs.pop_front().map(|run| OpenRun {
            keys: SegmentKeys::new(&self.keys, &run.salt),
            run,
            index: run.offset / SEGMENT_BYTES,
        });
    }
}

impl OpenRun {
    fn position(&self) -> Position {
        Position { index: self.index, is_last: (self.index + 1) * SEGMENT_BYTES >= self.run.plain_size }
    }

    fn is_done(&self) -> bool {
        self.index * SEGMENT_BYTES >= self.run.offset + self.run.length
    }

    /// Bytes of the next segment with its tag.
    fn sealed_length(&self) -> usize {
        let plain = (self.run.plain_size - self.index * SEGMENT_BYTES).min(SEGMENT_BYTES);
        plain as usize + TAG
    }

    /// Opens the next segment, which is `head` and `tail` together; what the window has of it goes behind `plain`.
    fn open_next(&mut self, head: &[u8], tail: &[u8], plain: &mut BytesMut) -> Result<(), OpenError> {
        let start = plain.len();
        plain.extend_from_slice(head);
        plain.extend_from_slice(tail);
        let opened = self.keys.open(self.position(), &mut plain[start..]);
        let length = opened.ok_or(OpenError::NotAuthentic { index: self.index })?;
        let segment_start = self.index * SEGMENT_BYTES;
        // The window may begin and end within a segment.
        let skip = self.run.offset.saturating_sub(segment_start).min(SEGMENT as u64) as usize;
        let end = (self.run.offset + self.run.length - segment_start).min(length as u64) as usize;
        if skip > 0 {
            plain.copy_within(start + skip..start + end, start);
        }
        plain.truncate(start + end - skip);
        self.index += 1;
        Ok(())
    }
}
