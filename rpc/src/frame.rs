//! Frames: what travels on every connection after the hello.
//!
//! ```text
//! body length u32 | kind u8 | id u64 | body        integers big-endian; 13 bytes before the body
//! ```
//!
//! The length counts the body alone. The id is a call's, or a stream's on its connection.
//!
//! [`FrameReader::read`] may be dropped half-way and called again: what has been read is kept. [`FrameWriter`] may not:
//! a write dropped half-way leaves a torn frame on the wire, so the writer refuses all further use.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

/// Bound on the body of a call and of its reply. Larger transfers are streams.
pub const CALL_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bound on one packet of a stream: 4 MiB of data and room for a header with their checksums.
pub const STREAM_PACKET_BYTES_MAX: usize = 4 * 1024 * 1024 + 64 * 1024;
/// Room for what this crate puts before a caller's body.
pub(crate) const PREFIX_BYTES_MAX: usize = 16;

const HEAD_BYTES: usize = 13;
const READ_BUFFER_BYTES: usize = 8 * 1024;
/// Bodies up to this size are copied behind their head so that many frames leave in one write.
const COALESCED_BODY_BYTES_MAX: usize = 8 * 1024;
/// The write buffer goes out when it holds this much, flushed or not.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// method u16, deadline in ms u32, request body. Client to server.
    Call = 1,
    /// status u8, reply body. Server to client.
    Reply = 2,
    /// No body: the caller has stopped waiting. Client to server.
    Cancel = 3,
    /// No body: answered with Pong.
    Ping = 4,
    /// No body.
    Pong = 5,
    /// method u16, first body. Begins a stream. Client to server.
    Open = 6,
    /// One packet of a stream, either way.
    Data = 7,
    /// No body: this direction of the stream is complete.
    End = 8,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Call,
            2 => Self::Reply,
            3 => Self::Cancel,
            4 => Self::Ping,
            5 => Self::Pong,
            6 => Self::Open,
            7 => Self::Data,
            8 => Self::End,
            _ => return None,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) id: u64,
    pub(crate) body: Bytes,
}

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a frame of {bytes} bytes is over the bound of {bytes_max}")]
    TooLarge { bytes: u64, bytes_max: u64 },
    #[error("a frame of unknown kind")]
    UnknownKind,
}

impl FrameError {
    /// For connections that end here, whatever the reason.
    pub(crate) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}

pub(crate) struct FrameReader<R> {
    io: BufReader<R>,
    body_bytes_max: usize,
    head: [u8; HEAD_BYTES],
    head_filled: usize,
    partial: Option<Partial>,
    bytes_read: Arc<AtomicU64>,
}

struct Partial {
    kind: FrameKind,
    id: u64,
    body: BytesMut,
    body_bytes: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(io: R, body_bytes_max: usize) -> Self {
        Self {
            io: BufReader::with_capacity(READ_BUFFER_BYTES, io),
            body_bytes_max,
            head: [0; HEAD_BYTES],
            head_filled: 0,
            partial: None,
            bytes_read: Arc::default(),
        }
    }

    /// How many bytes have arrived, unfinished frames included: tells a slow large frame from a dead peer.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// [`bytes_read`](Self::bytes_read) for somebody else to watch.
    pub(crate) fn progress(&self) -> Arc<AtomicU64> {
        self.bytes_read.clone()
    }

    /// The next frame; `None` when the peer closed the connection between two frames. Cancel-safe.
    pub(crate) async fn read(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.partial.is_none() && !self.read_head().await? {
            return Ok(None);
        }
        while let Some(partial) = &mut self.partial {
            let missing = partial.body_bytes - partial.body.len();
            if missing == 0 {
                break;
            }
            let read = self.io.read_buf(&mut (&mut partial.body).limit(missing)).await?;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        }
        Ok(self.partial.take().map(|frame| Frame { kind: frame.kind, id: frame.id, body: frame.body.freeze() }))
    }

    /// Reads a head and makes room for its body, exactly. `false` at a clean end.
    async fn read_head(&mut self) -> Result<bool, FrameError> {
        while self.head_filled < HEAD_BYTES {
            let read = self.io.read(&mut self.head[self.head_filled..]).await?;
            if read == 0 {
                if self.head_filled == 0 {
                    return Ok(false);
                }
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            self.head_filled += read;
            self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        }
        let mut head = &self.head[..];
        let body_bytes = head.get_u32() as usize;
        let kind = FrameKind::from_byte(head.get_u8()).ok_or(FrameError::UnknownKind)?;
        let id = head.get_u64();
        if body_bytes > self.body_bytes_max {
            return Err(FrameError::TooLarge { bytes: body_bytes as u64, bytes_max: self.body_bytes_max as u64 });
        }
        self.head_filled = 0;
        self.partial = Some(Partial { kind, id, body: BytesMut::with_capacity(body_bytes), body_bytes });
        Ok(true)
    }
}

pub(crate) struct FrameWriter<W> {
    io: W,
    buffer: BytesMut,
    /// A write is under way, or was dropped or failed half-way.
    torn: bool,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    pub(crate) fn new(io: W) -> Self {
        Self { io, buffer: BytesMut::new(), torn: false }
    }

    /// Takes a frame whose body is `prefix`, `first` and `rest` in a row. Small ones wait for [`flush`](Self::flush);
    /// large bodies are written from where they are. The caller has checked the size.
    pub(crate) async fn write(
        &mut self,
        kind: FrameKind,
        id: u64,
        prefix: &[u8],
        first: Bytes,
        rest: Bytes,
    ) -> io::Result<()> {
        if self.torn {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        debug_assert!(prefix.len() <= PREFIX_BYTES_MAX);
        let body_bytes = prefix.len() + first.len() + rest.len();
        let length = u32::try_from(body_bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.buffer.reserve(HEAD_BYTES + prefix.len());
        self.buffer.put_u32(length);
        self.buffer.put_u8(kind as u8);
        self.buffer.put_u64(id);
        self.buffer.put_slice(prefix);
        if body_bytes <= COALESCED_BODY_BYTES_MAX {
            self.buffer.put_slice(&first);
            self.buffer.put_slice(&rest);
            if self.buffer.len() < WRITE_BUFFER_BYTES {
                return Ok(());
            }
            return self.write_out(Bytes::new(), Bytes::new()).await;
        }
        self.write_out(first, rest).await
    }

    /// Puts everything taken so far on the wire.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.torn {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.write_out(Bytes::new(), Bytes::new()).await?;
        self.torn = true;
        self.io.flush().await?;
        self.torn = false;
        Ok(())
    }

    /// Flushes and tells the peer that nothing follows.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.torn = true;
        self.io.shutdown().await
    }

    async fn write_out(&mut self, first: Bytes, rest: Bytes) -> io::Result<()> {
        self.torn = true;
        let mut pending = Buf::chain(&self.buffer[..], first).chain(rest);
        self.io.write_all_buf(&mut pending).await?;
        self.buffer.clear();
        self.torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    async fn encode(frames: &[(FrameKind, u64, Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let mut writer = FrameWriter::new(io::Cursor::new(Vec::new()));
        for (kind, id, first, rest) in frames {
            writer
                .write(*kind, *id, b"pre", Bytes::copy_from_slice(first), Bytes::copy_from_slice(rest))
                .await
                .unwrap();
        }
        writer.flush().await.unwrap();
        writer.io.into_inner()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read(sizes in prop::collection::vec((0usize..20_000, 0usize..20_000, any::<u64>()), 0..8)) {
            block_on(async {
                let frames: Vec<_> = sizes.iter()
                    .map(|(a, b, id)| (FrameKind::Data, *id, vec![b'a'; *a], vec![b'b'; *b]))
                    .collect();
                let wire = encode(&frames).await;
                let mut reader = FrameReader::new(&wire[..], 64 * 1024);
                for (kind, id, first, rest) in &frames {
                    let frame = reader.read().await.unwrap().unwrap();
                    assert_eq!((frame.kind, frame.id), (*kind, *id));
                    assert_eq!(frame.body, [b"pre", &first[..], &rest[..]].concat());
                }
                assert!(reader.read().await.unwrap().is_none());
                assert_eq!(reader.bytes_read(), wire.len() as u64);
            });
        }

        #[test]
        fn any_bytes_are_a_frame_an_error_or_the_end(wire in prop::collection::vec(any::<u8>(), 0..200)) {
            block_on(async {
                let mut reader = FrameReader::new(&wire[..], 1024);
                while let Ok(Some(frame)) = reader.read().await {
                    assert!(frame.body.len() <= 1024);
                }
            });
        }
    }

    #[test]
    fn a_cut_inside_a_frame_is_an_error() {
        block_on(async {
            let wire = encode(&[(FrameKind::Data, 1, vec![7; 100], vec![])]).await;
            for cut in 1..wire.len() {
                let error = FrameReader::new(&wire[..cut], 1024).read().await.unwrap_err();
                assert_eq!(error.into_io().kind(), io::ErrorKind::UnexpectedEof);
            }
        });
    }

    #[test]
    fn an_oversize_frame_is_refused_before_its_body() {
        block_on(async {
            let wire = encode(&[(FrameKind::Data, 1, vec![7; 2000], vec![])]).await;
            let error = FrameReader::new(&wire[..HEAD_BYTES], 1024).read().await.unwrap_err();
            assert!(matches!(error, FrameError::TooLarge { bytes: 2003, bytes_max: 1024 }));
        });
    }

    #[test]
    fn a_read_may_be_dropped_and_resumed() {
        block_on(async {
            let wire = encode(&[(FrameKind::Data, 9, vec![7; 3000], vec![8; 3000])]).await;
            let (mut near, far) = tokio::io::duplex(64);
            let mut reader = FrameReader::new(far, 64 * 1024);
            let feed = tokio::spawn(async move {
                for piece in wire.chunks(50) {
                    near.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                near
            });
            let frame = loop {
                match futures_util::FutureExt::now_or_never(reader.read()) {
                    Some(read) => break read.unwrap().unwrap(),
                    None => tokio::task::yield_now().await,
                }
            };
            assert_eq!((frame.id, frame.body.len()), (9, 6003));
            drop(feed.await.unwrap());
        });
    }

    #[test]
    fn a_torn_writer_stays_unusable() {
        block_on(async {
            let (near, _far) = tokio::io::duplex(64);
            let mut writer = FrameWriter::new(near);
            let large = Bytes::from(vec![0; 100_000]);
            let write = writer.write(FrameKind::Data, 1, &[], large, Bytes::new());
            assert!(futures_util::FutureExt::now_or_never(write).is_none());
            let again = writer.write(FrameKind::Data, 1, &[], Bytes::new(), Bytes::new()).await;
            assert_eq!(again.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        });
    }
}
