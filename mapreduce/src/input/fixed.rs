//! Records of one length: a record belongs to the piece its first byte lies in.

use super::Source;
use super::metered::{input_failure, open};
use crate::engine::{Counter, TaskFailure};
use crate::plan::{InputFile, Piece};
use std::io::Read;

/// Bytes read at a time, about.
const CHUNK_BYTES: usize = 1 << 20;

/// The records of a piece, many at a time.
pub(crate) struct FixedRecords<'a> {
    source: Source<'a>,
    file: &'a InputFile,
    from: Box<dyn Read + Send + 'a>,
    record_bytes: usize,
    buffer: Vec<u8>,
    left: u64,
}

impl<'a> FixedRecords<'a> {
    pub fn open(source: Source<'a>, piece: &'a Piece, record_bytes: u64) -> Result<Self, TaskFailure> {
        let begin = piece.offset.next_multiple_of(record_bytes);
        let end = (piece.offset + piece.length).next_multiple_of(record_bytes).min(piece.file.length);
        let left = end.saturating_sub(begin);
        let from = Box::new(open(source, &piece.file, begin, left)?);
        Ok(FixedRecords {
            source,
            file: &piece.file,
            from,
            record_bytes: record_bytes as usize,
            buffer: Vec::new(),
            left,
        })
    }

    /// Whole records one after the other. `None`: there are no more.
    pub fn next(&mut self) -> Result<Option<&[u8]>, TaskFailure> {
        if self.source.cancel.is_cancelled() {
            return Err(TaskFailure::Cancelled);
        }
        let chunk = CHUNK_BYTES / self.record_bytes * self.record_bytes;
        let wanted = chunk.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(None);
        }
        self.buffer.resize(wanted, 0);
        self.from.read_exact(&mut self.buffer).map_err(|error| input_failure(self.file, &error))?;
        self.left -= wanted as u64;
        self.source.progress.count(Counter::MapInputRecords, (wanted / self.record_bytes) as u64);
        Ok(Some(&self.buffer))
    }
}
