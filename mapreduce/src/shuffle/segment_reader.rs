//! Reading a segment, record by record, every frame verified first.

use super::format::*;
use crate::engine::{Counter, Progress, TaskFailure};
use crate::records::{Order, Records};
use std::io::{Error, ErrorKind, Read, Result};

/// Where a segment's bytes come from, for messages and counters.
pub(crate) enum Origin<'a> {
    /// A file of the attempt's own.
    Scratch,
    /// The output of a map.
    Map { source: u32, partition: u32, progress: &'a Progress },
}

/// A segment that is being read.
pub(crate) struct SegmentReader<'a> {
    from: Box<dyn Read + Send + 'a>,
    origin: Origin<'a>,
    header: SegmentHeader,
    records_left: u64,
    stored: Vec<u8>,
    frame: Vec<u8>,
    /// Where the next record begins in the frame.
    next: usize,
    key: (usize, usize),
    value: (usize, usize),
    /// Of the current key, kept by the merge.
    pub(super) prefix: u64,
}

/// Bytes that wait to be read: of a file, and of a segment that comes from another node.
const FILE_READ_AHEAD: u64 = 64 << 10;
const MAP_READ_AHEAD: u64 = 1 << 20;

/// Bytes of memory that reading a segment takes, whose longest frame has this many.
pub(super) fn reader_bytes(frame_bytes_max: u32) -> u64 {
    2 * u64::from(frame_bytes_max) + FILE_READ_AHEAD
}

impl<'a> SegmentReader<'a> {
    /// Reads the header. Of each frame no more is trusted than it says.
    pub fn open(mut from: Box<dyn Read + Send + 'a>, origin: Origin<'a>) -> std::result::Result<Self, TaskFailure> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        let header = from
            .read_exact(&mut bytes)
            .and_then(|()| SegmentHeader::decode(&bytes).ok_or_else(|| damaged("the header of a segment")));
        let header = header.map_err(|error| origin.failure(&error))?;
        Ok(SegmentReader {
            from,
            origin,
            header,
            records_left: header.records,
            stored: Vec::new(),
            frame: Vec::new(),
            next: 0,
            key: (0, 0),
            value: (0, 0),
            prefix: 0,
        })
    }

    /// Bytes of memory it takes at most.
    pub fn memory_bytes(&self) -> u64 {
        let ahead = match self.origin {
            Origin::Scratch => 0,
            Origin::Map { .. } => MAP_READ_AHEAD,
        };
        reader_bytes(self.header.frame_bytes_max) + ahead
    }

    /// Bytes of records in it.
    pub fn record_bytes(&self) -> u64 {
        self.header.record_bytes
    }

    pub(super) fn advance_in(&mut self, order: &Order) -> std::result::Result<bool, TaskFailure> {
        let more = self.advance()?;
        if more {
            self.prefix = order.prefix(self.key());
        }
        Ok(more)
    }

    fn step(&mut self) -> Result<()> {
        if self.next == self.frame.len() {
            self.read_frame()?;
        }
        let length = |frame: &[u8], at: &mut usize| take_length(frame, at).ok_or_else(|| damaged("a record"));
        let mut at = self.next;
        let key_bytes = length(&self.frame, &mut at)?;
        let value_bytes = length(&self.frame, &mut at)?;
        self.key = (at, at + key_bytes);
        self.value = (at + key_bytes, at + key_bytes + value_bytes);
        self.next = self.value.1;
        self.records_left -= 1;
        if self.next > self.frame.len() { Err(damaged("a record")) } else { Ok(()) }
    }

    fn read_frame(&mut self) -> Result<()> {
        let mut head = [0; FRAME_HEADER_BYTES];
        self.from.read_exact(&mut head)?;
        let (length, stored, crc) = (u32_at(&head, 0), u32_at(&head, 4), u32_at(&head, 8));
        if length > self.header.frame_bytes_max || stored > length || length == 0 {
            return Err(damaged("the header of a frame"));
        }
        self.stored.resize(stored as usize, 0);
        self.from.read_exact(&mut self.stored)?;
        if crc32c(&self.stored) != crc {
            return Err(damaged("a frame"));
        }
        self.next = 0;
        if stored == length {
            std::mem::swap(&mut self.frame, &mut self.stored);
        } else {
            self.frame.resize(length as usize, 0);
            let inflated = lz4_flex::block::decompress_into(&self.stored, &mut self.frame);
            if inflated.ok() != Some(length as usize) {
                return Err(damaged("a frame"));
            }
        }
        if let Origin::Map { progress, .. } = &self.origin {
            progress.count(Counter::ReduceShuffleBytes, (FRAME_HEADER_BYTES + stored as usize) as u64);
            progress.advance(length.into());
        }
        Ok(())
    }
}

impl Records for SegmentReader<'_> {
    fn advance(&mut self) -> std::result::Result<bool, TaskFailure> {
        if self.records_left == 0 {
            return Ok(false);
        }
        self.step().map_err(|error| self.origin.failure(&error))?;
        Ok(true)
    }

    fn key(&self) -> &[u8] {
        &self.frame[self.key.0..self.key.1]
    }

    fn value(&self) -> &[u8] {
        &self.frame[self.value.0..self.value.1]
    }
}

impl Origin<'_> {
    fn failure(&self, error: &Error) -> TaskFailure {
        let reason = error.to_string();
        match *self {
            Origin::Scratch => TaskFailure::Scratch { reason },
            Origin::Map { source, partition, .. } => {
                TaskFailure::MapOutputLost { source_map: source, partition, reason }
            }
        }
    }
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("{what} is damaged"))
}
