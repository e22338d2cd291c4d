//! Takes the framing off a body. Sans-io: bytes in, events out, nothing hashed, data never copied.
//!
//! aws-chunked: `hex-size[;chunk-signature=hex64] CRLF data CRLF`, a chunk of size 0, trailers, CRLF. Chunks of any size
//! stream through; only header and trailer lines are held, and those are bounded.

use bytes::Bytes;

use super::spec::{BodySpec, Framing, too_large};
use super::trailer::{Trailers, malformed, parse_signature};
use crate::checksum::{ChecksumAlgorithm, DeclaredChecksum};
use crate::error::{S3Error, S3ErrorCode};
use crate::request::hex_value;

/// Longest chunk header or trailer line, in bytes: 16 hex digits, a signature and room for a long checksum name.
const LINE_BYTES_MAX: usize = 256;
/// Every chunk but the last must have this many bytes, or signatures cost more than the data (AWS's rule).
const SIGNED_CHUNK_BYTES_MIN: u64 = 8192;
/// Blank lines tolerated around the trailers: some clients end them with one or two more than documented.
const BLANK_LINES_MAX: u8 = 2;
/// CR and LF tolerated after the end, for the same reason.
const BYTES_AFTER_END_MAX: usize = 4;

/// What a body consists of, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyEvent {
    /// Bytes of the object.
    Data(Bytes),
    /// The chunk made of the data since the last `ChunkEnd` is complete; it carried this signature.
    ChunkEnd([u8; 64]),
    /// The trailers, complete.
    Trailers(Trailers),
}

impl BodyEvent {
    /// The bytes of the object in it.
    pub(super) fn data(&self) -> Option<&Bytes> {
        match self {
            BodyEvent::Data(data) => Some(data),
            BodyEvent::ChunkEnd(_) | BodyEvent::Trailers(_) => None,
        }
    }
}

pub(super) struct Deframer {
    state: State,
    framing: Framing,
    announced: Option<ChecksumAlgorithm>,
    line: Vec<u8>,
    blank_lines: u8,
    bytes_after_end: usize,
    trailers: Trailers,
    last_chunk_bytes: Option<u64>,
    decoded: u64,
    declared: Option<u64>,
    bytes_max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Plain,
    ChunkHeader,
    ChunkData {
        remaining: u64,
        signature: Option<[u8; 64]>,
    },
    ChunkDataEnd {
        signature: Option<[u8; 64]>,
    },
    /// After the chunk of size 0: trailers and the blank line.
    Trailers,
    End,
}

impl Deframer {
    pub(super) fn new(spec: &BodySpec) -> Self {
        let announced = match spec.declared {
            DeclaredChecksum::Trailer(algorithm) => Some(algorithm),
            DeclaredChecksum::Absent | DeclaredChecksum::Header(_) => None,
        };
        Self {
            state: match spec.framing {
                Framing::Plain => State::Plain,
                Framing::Chunked { .. } => State::ChunkHeader,
            },
            framing: spec.framing,
            announced,
            line: Vec::new(),
            blank_lines: 0,
            bytes_after_end: 0,
            trailers: Trailers::default(),
            last_chunk_bytes: None,
            decoded: 0,
            declared: spec.length,
            bytes_max: spec.bytes_max,
        }
    }

    /// Takes the next event off the front of `input`; `None` when all of it is used up.
    pub(super) fn next_event(&mut self, input: &mut Bytes) -> Result<Option<BodyEvent>, S3Error> {
        while !input.is_empty() {
            let event = match self.state {
                State::Plain => {
                    self.count(input.len() as u64)?;
                    Some(BodyEvent::Data(std::mem::take(input)))
                }
                State::ChunkData { remaining, signature } => {
                    Some(BodyEvent::Data(self.take_chunk_data(input, remaining, signature)))
                }
                State::ChunkHeader | State::ChunkDataEnd { .. } | State::Trailers => {
                    if !self.take_line(input)? {
                        return Ok(None);
                    }
                    let line = std::mem::take(&mut self.line);
                    let event = self.on_line(&line)?;
                    self.line = line;
                    self.line.clear();
                    event
                }
                State::End => {
                    self.skip_blank_end(input)?;
                    None
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Called at the end of the input: `IncompleteBody` unless everything declared was there.
    pub(super) fn finish(&self) -> Result<(), S3Error> {
        let complete = match self.state {
            State::Plain | State::End => true,
            State::ChunkHeader | State::ChunkData { .. } | State::ChunkDataEnd { .. } | State::Trailers => false,
        };
        if !complete || self.declared.is_some_and(|declared| declared != self.decoded) {
            return Err(incomplete());
        }
        Ok(())
    }

    fn take_chunk_data(&mut self, input: &mut Bytes, remaining: u64, signature: Option<[u8; 64]>) -> Bytes {
        let take = usize::try_from(remaining).unwrap_or(usize::MAX).min(input.len());
        let data = input.split_to(take);
        let remaining = remaining - take as u64;
        self.state = match remaining {
            0 => State::ChunkDataEnd { signature },
            remaining => State::ChunkData { remaining, signature },
        };
        data
    }

    /// Moves input into the line up to and without LF; true when the line is complete.
    fn take_line(&mut self, input: &mut Bytes) -> Result<bool, S3Error> {
        let room = LINE_BYTES_MAX - self.line.len();
        let window = &input[..input.len().min(room + 1)];
        let end = window.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(window.len());
        if taken > room {
            return Err(malformed_framing());
        }
        let part = input.split_to(taken);
        self.line.extend_from_slice(&part);
        if end.is_some() {
            let _newline = input.split_to(1);
        }
        Ok(end.is_some())
    }

    fn on_line(&mut self, line: &[u8]) -> Result<Option<BodyEvent>, S3Error> {
        match self.state {
            State::ChunkHeader => self.on_chunk_header(line.strip_suffix(b"\r").ok_or_else(malformed_framing)?),
            State::ChunkDataEnd { signature } => {
                if line != b"\r" {
                    return Err(malformed_framing());
                }
                self.state = State::ChunkHeader;
                Ok(signature.map(BodyEvent::ChunkEnd))
            }
            // Trailer lines may end in a bare LF: widely used clients send that, and a line is still a line.
            State::Trailers => self.on_trailer_line(line.strip_suffix(b"\r").unwrap_or(line)),
            State::Plain | State::ChunkData { .. } | State::End => unreachable!("these states take no lines"),
        }
    }

    fn on_chunk_header(&mut self, line: &[u8]) -> Result<Option<BodyEvent>, S3Error> {
        let (size, signature) = parse_chunk_header(line, self.signs_chunks())?;
        if size == 0 {
            self.state = State::Trailers;
            return Ok(signature.map(BodyEvent::ChunkEnd));
        }
        if self.signs_chunks() && self.last_chunk_bytes.is_some_and(|bytes| bytes < SIGNED_CHUNK_BYTES_MIN) {
            return Err(S3Error::new(S3ErrorCode::InvalidChunkSizeError)
                .field("BadChunkSize", self.last_chunk_bytes.unwrap_or_default().to_string()));
        }
        // Counted before the data arrives: a lying size is refused at once.
        self.count(size)?;
        self.last_chunk_bytes = Some(size);
        self.state = State::ChunkData { remaining: size, signature };
        Ok(None)
    }

    fn on_trailer_line(&mut self, line: &[u8]) -> Result<Option<BodyEvent>, S3Error> {
        let has_trailers = matches!(self.framing, Framing::Chunked { trailers: true, .. });
        if !line.is_empty() {
            if !has_trailers {
                return Err(malformed_framing());
            }
            self.trailers.add_line(line, self.announced, self.signs_chunks())?;
            return Ok(None);
        }
        if !has_trailers {
            self.state = State::End;
            return Ok(None);
        }
        if self.trailers.is_complete(self.announced, self.signs_chunks()) {
            self.state = State::End;
            return Ok(Some(BodyEvent::Trailers(std::mem::take(&mut self.trailers))));
        }
        // A blank line between the trailers and their signature is what some signers send; elsewhere something is missing.
        self.count_blank_line()?;
        if self.signs_chunks() && self.trailers.is_complete(self.announced, false) {
            Ok(None)
        } else {
            Err(malformed())
        }
    }

    fn skip_blank_end(&mut self, input: &mut Bytes) -> Result<(), S3Error> {
        let rest = std::mem::take(input);
        self.bytes_after_end += rest.len();
        let is_blank = rest.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if is_blank && self.bytes_after_end <= BYTES_AFTER_END_MAX { Ok(()) } else { Err(malformed_framing()) }
    }

    fn count_blank_line(&mut self) -> Result<(), S3Error> {
        self.blank_lines += 1;
        if self.blank_lines > BLANK_LINES_MAX { Err(malformed_framing()) } else { Ok(()) }
    }

    fn count(&mut self, bytes: u64) -> Result<(), S3Error> {
        self.decoded = self.decoded.saturating_add(bytes);
        if self.declared.is_some_and(|declared| self.decoded > declared) {
            return Err(incomplete());
        }
        if self.decoded > self.bytes_max {
            return Err(too_large(self.decoded, self.bytes_max));
        }
        Ok(())
    }

    fn signs_chunks(&self) -> bool {
        matches!(self.framing, Framing::Chunked { signed_chunks: true, .. })
    }
}

/// `hex-size`, and exactly when chunks are signed `;chunk-signature=hex64`.
fn parse_chunk_header(line: &[u8], signed: bool) -> Result<(u64, Option<[u8; 64]>), S3Error> {
    const SIGNATURE: &[u8] = b"chunk-signature=";
    let (size, extension) = match line.iter().position(|byte| *byte == b';') {
        Some(at) => (&line[..at], Some(&line[at + 1..])),
        None => (line, None),
    };
    if size.is_empty() || size.len() > 16 {
        return Err(malformed_framing());
    }
    let mut value = 0u64;
    for digit in size {
        value = value << 4 | u64::from(hex_value(*digit).ok_or_else(malformed_framing)?);
    }
    match (extension, signed) {
        (None, false) => Ok((value, None)),
        (Some(extension), true) => {
            let signature =
                extension.strip_prefix(SIGNATURE).and_then(parse_signature).ok_or_else(malformed_framing)?;
            Ok((value, Some(signature)))
        }
        // A chunk without its signature is refused like one with a wrong signature, not like a typing error.
        (None, true) => Err(S3Error::new(S3ErrorCode::SignatureDoesNotMatch)),
        (Some(_), false) => Err(malformed_framing()),
    }
}

fn incomplete() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::IncompleteBody,
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )
}

fn malformed_framing() -> S3Error {
    S3Error::invalid_request("The aws-chunked encoding of the request body is malformed")
}
