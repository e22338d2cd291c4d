//! Writing a file of segments: records gathered into frames, frames compressed, an index at the end.

use super::format::*;
use super::scratch::{RunFile, Scratch, ScratchFile, scratch_failure};
use super::segment_reader::reader_bytes;
use crate::engine::TaskFailure;
use std::os::unix::fs::FileExt;

/// Bytes gathered before they are written to the file.
const PENDING_BYTES: usize = 256 << 10;

/// A file of segments that is being written: for each segment `begin_segment`, `push`…, `end_segment`; then `finish`.
pub(crate) struct SegmentFile<'a> {
    file: ScratchFile<'a>,
    /// Not yet in the file.
    pending: Vec<u8>,
    /// Records of the frame under way.
    frame: Vec<u8>,
    header: SegmentHeader,
    /// Where the segment under way begins.
    begin: u64,
    frame_bytes_max: u32,
    index: Vec<u8>,
    segments: u32,
}

impl<'a> SegmentFile<'a> {
    pub fn create(scratch: &'a Scratch) -> Result<Self, TaskFailure> {
        Ok(SegmentFile {
            file: scratch.create()?,
            pending: Vec::with_capacity(PENDING_BYTES),
            frame: Vec::with_capacity(FRAME_BYTES),
            header: SegmentHeader::default(),
            begin: 0,
            frame_bytes_max: 0,
            index: Vec::new(),
            segments: 0,
        })
    }

    fn position(&self) -> u64 {
        self.file.bytes + self.pending.len() as u64
    }

    pub fn begin_segment(&mut self) -> Result<(), TaskFailure> {
        self.begin = self.position();
        self.header = SegmentHeader::default();
        self.put(&[0; SEGMENT_HEADER_BYTES])
    }

    /// Records of the segment under way so far.
    pub fn segment_records(&self) -> u64 {
        self.header.records
    }

    /// Appends a record. Keys come in order.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), TaskFailure> {
        const LENGTHS: usize = 10;
        let record = key.len() + value.len() + LENGTHS;
        if record > u32::MAX as usize {
            return Err(TaskFailure::RecordTooLong { bytes: record as u64, limit: u32::MAX.into() });
        }
        if !self.frame.is_empty() && self.frame.len() + record > FRAME_BYTES {
            self.close_frame()?;
        }
        put_length(key.len(), &mut self.frame);
        put_length(value.len(), &mut self.frame);
        self.frame.extend_from_slice(key);
        self.frame.extend_from_slice(value);
        self.header.records += 1;
        Ok(())
    }

    fn close_frame(&mut self) -> Result<(), TaskFailure> {
        let frame = std::mem::take(&mut self.frame);
        self.header.record_bytes += frame.len() as u64;
        self.header.frame_bytes_max = self.header.frame_bytes_max.max(frame.len() as u32);
        let start = self.pending.len();
        let room = FRAME_HEADER_BYTES + lz4_flex::block::get_maximum_output_size(frame.len());
        self.pending.resize(start + room, 0);
        let payload = &mut self.pending[start + FRAME_HEADER_BYTES..];
        let stored = match lz4_flex::block::compress_into(&frame, payload) {
            Ok(length) if length < frame.len() => length,
            // Not worth it: stored as it is, which equal lengths say.
            _ => {
                payload[..frame.len()].copy_from_slice(&frame);
                frame.len()
            }
        };
        let crc = crc32c(&payload[..stored]);
        self.pending.truncate(start + FRAME_HEADER_BYTES + stored);
        for (at, number) in [frame.len() as u32, stored as u32, crc].into_iter().enumerate() {
            self.pending[start + 4 * at..][..4].copy_from_slice(&number.to_le_bytes());
        }
        self.frame = frame;
        self.frame.clear();
        // One long record is no reason to keep its memory.
        self.frame.shrink_to(FRAME_BYTES);
        if self.pending.len() >= PENDING_BYTES { self.flush() } else { Ok(()) }
    }

    pub fn end_segment(&mut self) -> Result<(), TaskFailure> {
        if !self.frame.is_empty() {
            self.close_frame()?;
        }
        let header = self.header.encode();
        match self.begin.checked_sub(self.file.bytes) {
            Some(at) => self.pending[at as usize..][..SEGMENT_HEADER_BYTES].copy_from_slice(&header),
            None => self.patch(&header)?,
        }
        self.frame_bytes_max = self.frame_bytes_max.max(self.header.frame_bytes_max);
        let length = self.position() - self.begin;
        self.index.extend_from_slice(&self.begin.to_le_bytes());
        self.index.extend_from_slice(&length.to_le_bytes());
        self.segments += 1;
        Ok(())
    }

    /// The header of a segment whose beginning is in the file already, wholly or in part.
    fn patch(&mut self, header: &[u8; SEGMENT_HEADER_BYTES]) -> Result<(), TaskFailure> {
        self.flush()?;
        self.file.file.write_all_at(header, self.begin).map_err(scratch_failure)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), TaskFailure> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PENDING_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TaskFailure> {
        self.file.write(&self.pending)?;
        self.pending.clear();
        self.pending.shrink_to(PENDING_BYTES * 2);
        Ok(())
    }

    /// Writes the index.
    pub fn finish(mut self) -> Result<RunFile, TaskFailure> {
        let index = std::mem::take(&mut self.index);
        self.put(&index)?;
        let mut footer = [0; FOOTER_BYTES];
        footer[..4].copy_from_slice(&crc32c(&index).to_le_bytes());
        footer[4..8].copy_from_slice(&self.segments.to_le_bytes());
        footer[8..].copy_from_slice(&FILE_MAGIC.to_le_bytes());
        self.put(&footer)?;
        self.flush()?;
        let reader_bytes = reader_bytes(self.frame_bytes_max);
        Ok(RunFile { path: self.file.path, bytes: self.file.bytes, reader_bytes })
    }
}
