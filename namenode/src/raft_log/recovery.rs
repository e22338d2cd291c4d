//! Finding the end of a segment after a crash, and telling an interrupted write from damage.
//!
//! An append writes its records with one write and one sync. If the machine stops in between, any of its sectors may be
//! missing, also with later ones present: the records of that *last* append are cut from the first bad one on, none was
//! acknowledged. Once a later append has begun, everything before it had been synced; so a whole record of a later append
//! behind a bad one proves that acknowledged bytes were lost, and the log refuses to open.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use super::error::RaftLogError;
use super::record::{ALIGNMENT, HEADER_BYTES, RecordHeader, record_bytes};
use super::segment::{SEGMENT_HEADER_BYTES, Segment, corrupt};

const READ_BUFFER_BYTES: usize = 1 << 20;

/// What lies behind the last good record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remainder {
    /// Nothing, or zeros.
    Clean,
    /// The rest of an append that was never acknowledged.
    Torn,
}

/// Reads all records, fills the segment's index, and judges what follows the last good one.
///
/// # Errors
/// [`RaftLogError::Corrupt`] where a good record of a later append follows a bad one.
pub(super) fn load(segment: &mut Segment) -> Result<Remainder, RaftLogError> {
    read_chain(segment)?;
    judge_remainder(segment)
}

/// Takes records as long as they are whole and follow each other.
fn read_chain(segment: &mut Segment) -> Result<(), RaftLogError> {
    let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, &segment.file);
    let io = |error| RaftLogError::io("read", &segment.path)(error);
    reader.seek(SeekFrom::Start(SEGMENT_HEADER_BYTES)).map_err(io)?;
    let file_bytes = segment.file.metadata().map_err(io)?.len();
    let mut header_bytes = [0; HEADER_BYTES];
    let mut body = Vec::new();
    loop {
        if !read_whole(&mut reader, &mut header_bytes).map_err(io)? {
            return Ok(());
        }
        let Some(header) = RecordHeader::parse(segment.nonce, &header_bytes) else { return Ok(()) };
        let next_index = segment.first_index + segment.offsets.len() as u64;
        let follows = header.index == next_index && header.prev_crc == segment.last_crc;
        let end = segment.tail + record_bytes(header.payload_bytes) as u64;
        if !follows || header.batch_first > header.index || end > file_bytes {
            return Ok(());
        }
        body.resize(record_bytes(header.payload_bytes) - HEADER_BYTES, 0);
        if !read_whole(&mut reader, &mut body).map_err(io)?
            || !header.matches(segment.nonce, &header_bytes, &body[..header.payload_bytes])
        {
            return Ok(());
        }
        segment.offsets.push(segment.tail);
        segment.tail = end;
        segment.last_crc = header.crc;
    }
}

/// Looks at everything behind the last good record.
fn judge_remainder(segment: &Segment) -> Result<Remainder, RaftLogError> {
    let io = |error| RaftLogError::io("read", &segment.path)(error);
    let missing_index = segment.next_index();
    let mut window = vec![0; READ_BUFFER_BYTES];
    let mut window_start = segment.tail;
    let mut remainder = Remainder::Clean;
    loop {
        let read_bytes = read_up_to(segment, &mut window, window_start).map_err(io)?;
        let window_bytes = &window[..read_bytes];
        if window_bytes.iter().any(|&byte| byte != 0) {
            remainder = Remainder::Torn;
            for at in (0..read_bytes.saturating_sub(HEADER_BYTES - 1)).step_by(ALIGNMENT) {
                let header_bytes = window_bytes[at..].first_chunk().expect("the loop stops a header before the end");
                let Some(header) = RecordHeader::parse(segment.nonce, header_bytes) else { continue };
                let start = window_start + at as u64;
                if header.batch_first > missing_index && is_whole(segment, &header, header_bytes, start).map_err(io)? {
                    let found = header.index;
                    let detail =
                        format!("record {missing_index} is bad, but record {found} of a later append is whole");
                    return Err(corrupt(&segment.path, segment.tail, &detail));
                }
            }
        }
        if read_bytes < window.len() {
            return Ok(remainder);
        }
        // Overlap, so that a header across the edge is seen in the next window.
        window_start += (read_bytes - HEADER_BYTES) as u64;
    }
}

fn is_whole(
    segment: &Segment,
    header: &RecordHeader,
    header_bytes: &[u8; HEADER_BYTES],
    start: u64,
) -> io::Result<bool> {
    let mut payload = vec![0; header.payload_bytes];
    match segment.file.read_exact_at(&mut payload, start + HEADER_BYTES as u64) {
        Ok(()) => Ok(header.matches(segment.nonce, header_bytes, &payload)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Fills `buffer`; false where the file ends first.
fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Fills `buffer` from `offset` as far as the file reaches.
fn read_up_to(segment: &Segment, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match segment.file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
