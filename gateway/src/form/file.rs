//! The file of a form: its bytes as they stream, counted against the range the policy allows.
//!
//! Invariant: the end is reported only after the form was complete and the length within the range.

use super::parser::{FormEvent, FormParser};
use crate::error::{S3Error, S3ErrorCode};
use bytes::Bytes;

/// A file being received.
#[derive(Debug)]
pub(crate) struct FormFile {
    parser: FormParser,
    bytes_min: u64,
    bytes_max: u64,
    received: u64,
}

impl FormFile {
    /// The file that `parser` has come to. `range` is the policy's, both ends included.
    pub(crate) fn new(parser: FormParser, range: Option<(u64, u64)>) -> Self {
        let (bytes_min, bytes_max) = range.unwrap_or((0, u64::MAX));
        Self { parser, bytes_min, bytes_max, received: 0 }
    }

    /// Adds bytes of the form.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.parser.push(bytes);
    }

    /// The next bytes of the file; `None` when more of the form is needed.
    ///
    /// # Errors
    /// `EntityTooLarge` and `EntityTooSmall` outside of the range, and those of the parser.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Bytes>, S3Error> {
        while let Some(event) = self.parser.next_event()? {
            match event {
                FormEvent::Data(piece) => {
                    self.received += piece.len() as u64;
                    if self.received > self.bytes_max {
                        return Err(self.refused(S3ErrorCode::EntityTooLarge, "MaxSizeAllowed", self.bytes_max));
                    }
                    return Ok(Some(piece));
                }
                FormEvent::FileEnd if self.received < self.bytes_min => {
                    return Err(self.refused(S3ErrorCode::EntityTooSmall, "MinSizeAllowed", self.bytes_min));
                }
                // What follows the file is ignored, as AWS ignores it.
                FormEvent::FileEnd | FormEvent::Field { .. } | FormEvent::File { .. } => {}
            }
        }
        Ok(None)
    }

    /// After the form's last byte.
    ///
    /// # Errors
    /// `MalformedPOSTRequest` if the form is not complete.
    pub(crate) fn finish(&self) -> Result<(), S3Error> {
        self.parser.finish()
    }

    fn refused(&self, code: S3ErrorCode, bound: &'static str, bytes: u64) -> S3Error {
        S3Error::new(code).field("ProposedSize", self.received.to_string()).field(bound, bytes.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(length: usize, range: Option<(u64, u64)>) -> Result<usize, S3ErrorCode> {
        let mut parser = FormParser::new("B");
        parser.push(b"--B\r\nContent-Disposition: form-data; name=file\r\n\r\n");
        assert!(matches!(parser.next_event(), Ok(Some(FormEvent::File { .. }))));
        let mut file = FormFile::new(parser, range);
        file.push(&vec![b'x'; length]);
        file.push(b"\r\n--B--");
        let mut read = 0;
        while let Some(piece) = file.next_piece().map_err(|error| error.code())? {
            read += piece.len();
        }
        file.finish().map_err(|error| error.code()).map(|()| read)
    }

    #[test]
    fn the_range_holds_for_the_bytes_received() {
        for (length, range, expected) in [
            (0, None, Ok(0)),
            (9, None, Ok(9)),
            (10, Some((10, 10)), Ok(10)),
            (0, Some((0, 0)), Ok(0)),
            (9, Some((10, 20)), Err(S3ErrorCode::EntityTooSmall)),
            (0, Some((1, 20)), Err(S3ErrorCode::EntityTooSmall)),
            (21, Some((10, 20)), Err(S3ErrorCode::EntityTooLarge)),
        ] {
            assert_eq!(received(length, range), expected, "{length} {range:?}");
        }
    }
}
