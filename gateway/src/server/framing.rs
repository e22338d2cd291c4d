//! Where one request ends and the next begins, read as strictly as HTTP/1.1 is written. Pure.
//!
//! Two programs that read one stream of bytes differently let a client smuggle a request past the first of them. The HTTP
//! library is lenient where RFC 9112 allows it: it ends lines at a bare LF, joins equal lengths, and forgets a length that
//! stands beside `Transfer-Encoding`. What is ambiguous is refused here before the library sees it. Everything else about a
//! head (names, bytes in values, sizes) is the library's to judge.

/// The longest line that is kept to be looked at; the library refuses longer heads itself.
const LINE_BYTES_MAX: usize = 512 << 10;
/// Digits of the largest chunk size.
const CHUNK_SIZE_DIGITS_MAX: usize = 16;
const CRLF_BYTES: u64 = 2;

/// Why a stream of requests is not read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ambiguity {
    /// A line of a head ends in LF without CR.
    BareLineFeed,
    /// A header continues on the next line (obs-fold).
    FoldedHeader,
    /// `Content-Length` and `Transfer-Encoding` in one head.
    LengthAndChunked,
    /// More than one `Content-Length`, or one that is not a number.
    Length,
    /// A `Transfer-Encoding` other than one `chunked`.
    TransferCoding,
    /// The frames of a chunked body cannot be followed; the head was handed on already.
    Chunk,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Body {
        left: u64,
    },
    ChunkSize,
    ChunkData {
        left: u64,
    },
    Trailers,
    /// A line is too long to follow: the library ends such a connection.
    Lost,
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    line: Vec<u8>,
    begun: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    pub(super) fn new() -> Self {
        Self { state: State::Head, line: Vec::new(), begun: false, length: None, chunked: false }
    }

    /// Takes the next bytes of the connection, in pieces of any size.
    ///
    /// # Errors
    /// The first ambiguity; the connection must not be read further.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Ambiguity> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Body { left } => {
                    let (rest, left) = skip(bytes, left);
                    self.state = if left == 0 { State::Head } else { State::Body { left } };
                    rest
                }
                State::ChunkData { left } => {
                    let (rest, left) = skip(bytes, left);
                    self.state = if left == 0 { State::ChunkSize } else { State::ChunkData { left } };
                    rest
                }
                State::Head | State::ChunkSize | State::Trailers => self.feed_line(bytes)?,
                State::Lost => return Ok(()),
            };
        }
        Ok(())
    }

    fn feed_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Ambiguity> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (piece, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
        if self.line.len() + piece.len() > LINE_BYTES_MAX {
            self.state = State::Lost;
            self.line = Vec::new();
            return Ok(&[]);
        }
        self.line.extend_from_slice(piece);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            let taken = self.take_line(&line);
            self.line = line;
            self.line.clear();
            taken?;
        }
        Ok(rest)
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), Ambiguity> {
        let line = line.strip_suffix(b"\r\n");
        match self.state {
            State::ChunkSize => self.take_chunk_size(line.ok_or(Ambiguity::Chunk)?),
            State::Trailers => {
                if line.ok_or(Ambiguity::Chunk)?.is_empty() {
                    self.state = State::Head;
                }
                Ok(())
            }
            _ => self.take_head_line(line.ok_or(Ambiguity::BareLineFeed)?),
        }
    }

    fn take_head_line(&mut self, line: &[u8]) -> Result<(), Ambiguity> {
        if line.is_empty() {
            // Empty lines before a request line are nobody's.
            return if self.begun { self.end_head() } else { Ok(()) };
        }
        if !self.begun {
            self.begun = true;
            return Ok(());
        }
        if line[0] == b' ' || line[0] == b'\t' {
            return Err(Ambiguity::FoldedHeader);
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            if self.length.is_some() {
                return Err(Ambiguity::Length);
            }
            self.length = Some(decimal(value).ok_or(Ambiguity::Length)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Ambiguity::TransferCoding);
            }
            self.chunked = true;
        }
        Ok(())
    }

    fn end_head(&mut self) -> Result<(), Ambiguity> {
        let (length, chunked) = (self.length.take(), std::mem::take(&mut self.chunked));
        self.begun = false;
        self.state = match (length, chunked) {
            (Some(_), true) => return Err(Ambiguity::LengthAndChunked),
            (None, true) => State::ChunkSize,
            (Some(left @ 1..), false) => State::Body { left },
            (Some(0) | None, false) => State::Head,
        };
        Ok(())
    }

    fn take_chunk_size(&mut self, line: &[u8]) -> Result<(), Ambiguity> {
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = hexadecimal(digits).ok_or(Ambiguity::Chunk)?;
        self.state = match size {
            0 => State::Trailers,
            _ => State::ChunkData { left: size.checked_add(CRLF_BYTES).ok_or(Ambiguity::Chunk)? },
        };
        Ok(())
    }
}

fn skip(bytes: &[u8], left: u64) -> (&[u8], u64) {
    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (&bytes[taken..], left - taken as u64)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let all = (1..=CHUNK_SIZE_DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    all.then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const AMBIGUOUS: [(&str, Ambiguity); 13] = [
        ("GET / HTTP/1.1\nHost: x\n\n", Ambiguity::BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: x\n\r\n", Ambiguity::BareLineFeed),
        ("GET / HTTP/1.1\r\nHost: x\r\n\n", Ambiguity::BareLineFeed),
        ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Ambiguity::FoldedHeader),
        ("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", Ambiguity::FoldedHeader),
        ("PUT / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", Ambiguity::LengthAndChunked),
        ("PUT / HTTP/1.1\r\ntransfer-encoding:chunked\r\ncontent-length : 0\r\n\r\n", Ambiguity::LengthAndChunked),
        ("PUT / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", Ambiguity::Length),
        ("PUT / HTTP/1.1\r\nContent-Length: +3\r\n\r\n", Ambiguity::Length),
        ("PUT / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\n", Ambiguity::Length),
        ("PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Ambiguity::TransferCoding),
        (
            "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Ambiguity::TransferCoding,
        ),
        ("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Ambiguity::Chunk),
    ];
    /// Bodies hold what would be ambiguous in a head.
    const CLEAR: [&str; 5] = [
        PLAIN,
        "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 8\r\n\r\na\n\nb\n c\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n4;ext=1\r\na\n\nb\r\n0A\r\n0123456789\r\n0\r\nx-amz-trailer: y\r\n\r\n",
        "PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ];

    fn feed_in_pieces(stream: &str, piece_bytes: usize) -> Result<(), Ambiguity> {
        let mut framing = Framing::new();
        stream.as_bytes().chunks(piece_bytes).try_for_each(|piece| framing.feed(piece))
    }

    proptest! {
        #[test]
        fn what_is_clear_passes_and_the_rest_is_found_behind_it(
            before in proptest::collection::vec(0..CLEAR.len(), 0..5), bad in 0..AMBIGUOUS.len(), piece_bytes in 1usize..64,
        ) {
            let clear: String = before.into_iter().map(|index| CLEAR[index]).collect();
            prop_assert_eq!(feed_in_pieces(&format!("{clear}{PLAIN}"), piece_bytes), Ok(()));
            let (stream, ambiguity) = AMBIGUOUS[bad];
            prop_assert_eq!(feed_in_pieces(&format!("{clear}{stream}"), piece_bytes), Err(ambiguity));
        }
    }

    #[test]
    fn endless_lines_are_not_kept() {
        let mut framing = Framing::new();
        for _ in 0..100 {
            framing.feed(&[b'a'; 10_000]).unwrap();
        }
        assert!(framing.line.is_empty());
    }
}
