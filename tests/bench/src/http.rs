//! The smallest HTTP/1.1 client that measures a server instead of itself.
//!
//! Owns one keep-alive connection. A request whose head is already bytes goes out in one vectored write together with
//! its body; the response head is parsed in place and its body is drained through one fixed buffer, compared with
//! expected bytes, or kept. Understands `Content-Length`, chunked coding and interim 1xx responses. It does not
//! pipeline, follow redirects, decompress or read bodies delimited by the end of the connection.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Large enough that a body costs few system calls, small enough to stay in the cache while it is overwritten.
const BUFFER_BYTES: usize = 256 << 10;
/// A listing of a thousand keys is about 350 KB.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// What to do with the bytes of a successful response. Other responses are always kept, for the error message.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    Drain,
    Compare(&'a [u8]),
    Keep,
}

/// One response, read to its end.
pub struct Response {
    pub status: u16,
    /// Bytes of body received; for HEAD, the length the server declared.
    pub body_bytes: u64,
    /// False if the body was compared and differed.
    pub body_matches: bool,
}

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
    filled: usize,
    consumed: usize,
    kept: Vec<u8>,
    closing: bool,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            filled: 0,
            consumed: 0,
            kept: Vec::new(),
            closing: false,
        })
    }

    /// True once the server has said that it closes the connection.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// The body of the last response that was kept.
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Sends one request and reads its response. After an error the connection must be dropped.
    pub async fn exchange(&mut self, head: &[u8], body: &[u8], wanted: Body<'_>) -> Result<Response> {
        self.send(head, body).await.context("sending")?;
        let head_only = head.starts_with(b"HEAD ");
        let parsed = loop {
            let parsed = self.read_head().await?;
            if parsed.status >= 200 {
                break parsed;
            }
        };
        self.closing = parsed.closing;
        let mut sink = Sink::new(if parsed.status < 300 { wanted } else { Body::Keep }, &mut self.kept);
        let mut source = Source {
            stream: &mut self.stream,
            buffer: &mut self.buffer,
            filled: &mut self.filled,
            consumed: &mut self.consumed,
        };
        let body_bytes = match parsed.framing {
            Framing::Length(bytes) if head_only => return Ok(sink.respond(parsed.status, bytes)),
            _ if head_only || parsed.status == 204 || parsed.status == 304 => 0,
            Framing::Length(bytes) => source.drain(bytes, &mut sink).await.map(|()| bytes)?,
            Framing::Chunked => source.drain_chunks(&mut sink).await?,
            Framing::None => bail!("a response with neither Content-Length nor chunked coding"),
        };
        ensure!(self.consumed == self.filled, "bytes after the end of the response");
        Ok(sink.respond(parsed.status, body_bytes))
    }

    async fn send(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < head.len() {
            let written = self.stream.write_vectored(&[IoSlice::new(&head[sent..]), IoSlice::new(body)]).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            sent += written;
        }
        self.stream.write_all(&body[sent - head.len()..]).await
    }

    async fn read_head(&mut self) -> Result<Head> {
        loop {
            let unread = &self.buffer[self.consumed..self.filled];
            if let Some((head, bytes)) = Head::parse(unread)? {
                self.consumed += bytes;
                return Ok(head);
            }
            if self.consumed == self.filled {
                (self.consumed, self.filled) = (0, 0);
            }
            ensure!(self.filled < self.buffer.len(), "response head too large");
            let read = self.stream.read(&mut self.buffer[self.filled..]).await.context("reading the head")?;
            ensure!(read > 0, "connection closed before a response");
            self.filled += read;
        }
    }
}

enum Framing {
    Length(u64),
    Chunked,
    None,
}

struct Head {
    status: u16,
    framing: Framing,
    closing: bool,
}

impl Head {
    /// Reads a head from the start of `bytes`, in one pass; how many bytes it had, with its blank line. `None` if the blank
    /// line has not come yet.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>> {
        let mut head = Head { status: 0, framing: Framing::None, closing: false };
        let mut at = 0;
        while let Some(length) = bytes[at..].iter().position(|byte| *byte == b'\n') {
            let line = bytes[at..at + length].trim_ascii_end();
            at += length + 1;
            match line.first() {
                None => return Ok(Some((head, at))),
                Some(_) if head.status == 0 => {
                    ensure!(line.starts_with(b"HTTP/1."), "not an HTTP/1 response");
                    let status = line.get(9..12).and_then(decimal).context("status line without a status")?;
                    head.status = status as u16;
                }
                // The fields that matter begin so; the others are most.
                Some(b'C' | b'c' | b'T' | b't') => head.take_field(line)?,
                Some(_) => {}
            }
        }
        Ok(None)
    }

    fn take_field(&mut self, line: &[u8]) -> Result<()> {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(()) };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            self.framing = Framing::Length(decimal(value).context("unreadable Content-Length")?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            ensure!(value.eq_ignore_ascii_case(b"chunked"), "unknown transfer coding");
            self.framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.closing = value.eq_ignore_ascii_case(b"close");
        }
        Ok(())
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Where body bytes go.
struct Sink<'a> {
    body: Body<'a>,
    kept: &'a mut Vec<u8>,
    received: usize,
    matches: bool,
}

impl<'a> Sink<'a> {
    fn new(body: Body<'a>, kept: &'a mut Vec<u8>) -> Self {
        kept.clear();
        Self { body, kept, received: 0, matches: true }
    }

    fn take(&mut self, bytes: &[u8]) {
        let end = self.received + bytes.len();
        match self.body {
            Body::Drain => {}
            Body::Compare(expected) => self.matches &= expected.get(self.received..end) == Some(bytes),
            Body::Keep => {
                let room = KEPT_BYTES_MAX - self.kept.len();
                self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
            }
        }
        self.received = end;
    }

    fn respond(self, status: u16, body_bytes: u64) -> Response {
        let whole = match self.body {
            Body::Compare(expected) => expected.len() == self.received,
            Body::Drain | Body::Keep => true,
        };
        Response { status, body_bytes, body_matches: self.matches && whole }
    }
}

/// The unread part of the buffer, and the stream behind it.
struct Source<'a> {
    stream: &'a mut TcpStream,
    buffer: &'a mut [u8],
    filled: &'a mut usize,
    consumed: &'a mut usize,
}

impl Source<'_> {
    async fn drain(&mut self, bytes: u64, sink: &mut Sink<'_>) -> Result<()> {
        let mut remaining = bytes;
        while remaining > 0 {
            let unread = self.unread().await?;
            let take = unread.len().min(usize::try_from(remaining).unwrap_or(usize::MAX));
            sink.take(&unread[..take]);
            *self.consumed += take;
            remaining -= take as u64;
        }
        Ok(())
    }

    /// Source: RFC 9112, section 7.1. Returns the length without the coding.
    async fn drain_chunks(&mut self, sink: &mut Sink<'_>) -> Result<u64> {
        let mut total = 0;
        loop {
            let line = self.line().await?;
            let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(digits)
                .ok()
                .and_then(|text| u64::from_str_radix(text, 16).ok())
                .context("unreadable chunk size")?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(total);
            }
            self.drain(size, sink).await?;
            ensure!(self.line().await?.is_empty(), "chunk longer than its size");
            total += size;
        }
    }

    /// The next line without its end. Lines are few and short, so they may be copied.
    async fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let unread = self.unread().await?;
            let end = unread.iter().position(|byte| *byte == b'\n');
            line.extend_from_slice(&unread[..end.unwrap_or(unread.len())]);
            *self.consumed += end.map_or(unread.len(), |at| at + 1);
            ensure!(line.len() < 4096, "chunk or trailer line too long");
            if end.is_some() {
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
        }
    }

    /// At least one unread byte, reading more if there is none.
    async fn unread(&mut self) -> Result<&[u8]> {
        if self.consumed == self.filled {
            *self.consumed = 0;
            *self.filled = self.stream.read(self.buffer).await.context("reading the body")?;
            ensure!(*self.filled > 0, "connection closed within a response");
        }
        Ok(&self.buffer[*self.consumed..*self.filled])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// Answers each request (ended by a blank line) with the next of `responses`, in pieces of `piece` bytes.
    async fn serve(responses: Vec<&'static [u8]>, piece: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            for response in responses {
                let mut request = Vec::new();
                while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                for part in response.chunks(piece) {
                    stream.write_all(part).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        address
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    #[tokio::test]
    async fn reads_both_framings_however_they_are_split() {
        let length: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let chunked: &[u8] =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: v\r\n\r\n";
        let interim: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        for piece in [1, 2, 7, 4096] {
            let address = serve(vec![length, chunked, interim], piece).await;
            let mut connection = Connection::open(address).await.unwrap();
            for _ in 0..2 {
                let response = connection.exchange(GET, b"", Body::Compare(b"hello")).await.unwrap();
                assert_eq!((response.status, response.body_bytes), (200, 5));
                assert!(response.body_matches);
            }
            let response = connection.exchange(GET, b"", Body::Keep).await.unwrap();
            assert_eq!((response.status, connection.kept()), (200, &b"hello"[..]));
        }
    }

    #[tokio::test]
    async fn notices_a_wrong_or_short_body_and_keeps_an_error() {
        let short: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell";
        let wrong: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhallo";
        let error: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
        let mut connection = Connection::open(serve(vec![short, wrong, error], 4096).await).await.unwrap();
        for _ in 0..2 {
            assert!(!connection.exchange(GET, b"", Body::Compare(b"hello")).await.unwrap().body_matches);
        }
        let response = connection.exchange(GET, b"", Body::Drain).await.unwrap();
        assert_eq!((response.status, connection.kept()), (403, &b"no"[..]));
        assert!(connection.is_closing());
    }

    #[tokio::test]
    async fn a_head_response_has_a_length_but_no_body() {
        let head: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n";
        let mut connection = Connection::open(serve(vec![head], 4096).await).await.unwrap();
        let response = connection.exchange(b"HEAD / HTTP/1.1\r\n\r\n", b"", Body::Drain).await.unwrap();
        assert_eq!((response.status, response.body_bytes), (200, 4096));
    }
}
