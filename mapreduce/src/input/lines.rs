//! Lines of the pieces of a split, handed out many at a time.
//!
//! A line ends with `\n` (a `\r` before it is part of the line) or with its object, and belongs to the piece its first
//! byte lies in: a reader begins one byte early and drops what it finds up to the first `\n`, and reads past the end of its
//! piece to finish its last line. So any division of an object gives each line once. Objects of gzip and zstd cannot be
//! divided and are one piece each; those of bzip2 are divided at their blocks.

use super::Source;
use super::bzip2_piece::Bzip2Piece;
use super::codec::Codec;
use super::metered::{input_failure, open};
use crate::engine::{Counter, TaskFailure};
use crate::plan::Piece;
use std::io::Read;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// The same where the object is small.
const CHUNK_BYTES_MIN: usize = 4 << 10;
/// Bytes first asked for past the end of a piece; doubled while the line does not end.
const TAIL_BYTES: u64 = 64 << 10;

/// The lines of one piece.
pub(crate) struct Lines<'a> {
    source: Source<'a>,
    piece: &'a Piece,
    codec: Codec,
    from: Box<dyn Read + Send + 'a>,
    buffer: Vec<u8>,
    /// Of the buffer: what was read and not handed out.
    start: usize,
    end: usize,
    /// Before the first `\n`, in a piece that does not begin its object.
    skipping: bool,
    /// Where in the object (decompressed) the buffer's `start` lies.
    offset: u64,
    /// Where to go on past the piece, once it is read.
    tail: Option<u64>,
    tail_bytes: u64,
    ended: bool,
}

impl<'a> Lines<'a> {
    pub fn open(source: Source<'a>, piece: &'a Piece) -> Result<Self, TaskFailure> {
        let codec = Codec::of(&piece.file.key);
        let end = piece.offset + piece.length;
        let skipping = codec == Codec::Plain && piece.offset > 0;
        let begin = piece.offset - u64::from(skipping);
        let from: std::io::Result<Box<dyn Read + Send>> = if codec == Codec::Bzip2 {
            let raw = open(source, &piece.file, begin, piece.file.length - begin)?;
            Bzip2Piece::open(raw, begin, end).map(|lines| Box::new(lines) as _)
        } else {
            codec.decode(open(source, &piece.file, begin, end - begin)?)
        };
        let from = from.map_err(|error| read_failure(codec, piece, begin, &error))?;
        Ok(Lines {
            source,
            piece,
            codec,
            from,
            buffer: Vec::new(),
            start: 0,
            end: 0,
            skipping,
            offset: begin,
            tail: (codec == Codec::Plain && end < piece.file.length).then_some(end),
            tail_bytes: TAIL_BYTES,
            ended: false,
        })
    }

    /// Whole lines, each with its `\n`; only the very last of an object may lack it. `None`: there are no more.
    pub fn next(&mut self) -> Result<Option<&[u8]>, TaskFailure> {
        loop {
            if self.source.cancel.is_cancelled() {
                return Err(TaskFailure::Cancelled);
            }
            let whole = if self.ended { self.end - self.start } else { self.whole_lines() };
            if whole > 0 {
                return self.hand_out(whole).map(Some);
            }
            if self.ended {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Bytes of the buffer up to its last line end.
    fn whole_lines(&mut self) -> usize {
        if self.skipping {
            self.skip();
        }
        memchr::memrchr(b'\n', &self.buffer[self.start..self.end]).map_or(0, |place| place + 1)
    }

    /// Drops the rest of a line that began before the piece.
    fn skip(&mut self) {
        let found = memchr::memchr(b'\n', &self.buffer[self.start..self.end]);
        let dropped = found.map_or(self.end - self.start, |place| place + 1);
        self.skipping = found.is_none();
        self.start += dropped;
        self.offset += dropped as u64;
    }

    fn hand_out(&mut self, bytes: usize) -> Result<&[u8], TaskFailure> {
        let range = self.start..self.start + bytes;
        self.check_lengths(&self.buffer[range.clone()])?;
        self.start += bytes;
        self.offset += bytes as u64;
        let lines = &self.buffer[range];
        let ends = memchr::memchr_iter(b'\n', lines).count() + usize::from(lines.last() != Some(&b'\n'));
        self.source.progress.count(Counter::MapInputRecords, ends as u64);
        Ok(lines)
    }

    /// Lines that fit into what is read at a time can still be longer than a smaller limit.
    fn check_lengths(&self, lines: &[u8]) -> Result<(), TaskFailure> {
        let limit = self.source.line_bytes_max as usize;
        let mut begin = 0;
        if lines.len() <= limit {
            return Ok(());
        }
        for end in memchr::memchr_iter(b'\n', lines).chain([lines.len()]) {
            if end.saturating_sub(begin) > limit {
                return Err(self.too_long(begin));
            }
            begin = end + 1;
        }
        Ok(())
    }

    fn too_long(&self, place: usize) -> TaskFailure {
        TaskFailure::LineTooLong {
            url: self.piece.file.url(),
            offset: self.offset + place as u64,
            limit: self.source.line_bytes_max.into(),
        }
    }

    /// Reads more; at the end of the piece, what its last line lacks.
    fn fill(&mut self) -> Result<(), TaskFailure> {
        let kept = self.end - self.start;
        if kept > self.source.line_bytes_max as usize {
            return Err(self.too_long(0));
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, kept);
        // A long line doubles the buffer, up to its limit and a chunk.
        let wanted = kept + kept.max(CHUNK_BYTES.min(self.piece.file.length as usize).max(CHUNK_BYTES_MIN));
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        let read = self.from.read(&mut self.buffer[kept..]);
        let read = read.map_err(|error| read_failure(self.codec, self.piece, self.offset + kept as u64, &error))?;
        self.end += read;
        if read == 0 { self.go_past() } else { Ok(()) }
    }

    /// The piece, or what was asked for past it, is read.
    fn go_past(&mut self) -> Result<(), TaskFailure> {
        let unfinished = self.end > self.start && !self.skipping;
        match self.tail.filter(|_| unfinished) {
            Some(at) => {
                let length = self.tail_bytes.min(self.piece.file.length - at);
                self.from = Box::new(FirstLine { from: open(self.source, &self.piece.file, at, length)?, done: false });
                self.tail = (at + length < self.piece.file.length).then_some(at + length);
                self.tail_bytes = (self.tail_bytes * 2).min(CHUNK_BYTES as u64);
            }
            None => {
                if self.skipping {
                    self.start = self.end;
                }
                self.ended = true;
            }
        }
        Ok(())
    }
}

fn read_failure(codec: Codec, piece: &Piece, offset: u64, error: &std::io::Error) -> TaskFailure {
    match codec {
        Codec::Plain => input_failure(&piece.file, error),
        _ => TaskFailure::InputDamaged { url: piece.file.url(), offset, reason: error.to_string() },
    }
}

/// The bytes up to and with the first `\n`.
struct FirstLine<R> {
    from: R,
    done: bool,
}

impl<R: Read> Read for FirstLine<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.done {
            return Ok(0);
        }
        let read = self.from.read(into)?;
        let found = memchr::memchr(b'\n', &into[..read]);
        self.done = found.is_some();
        Ok(found.map_or(read, |place| place + 1))
    }
}
