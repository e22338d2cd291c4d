//! Streams: packets in both directions at once over one connection.
//!
//! A direction ends cleanly with [`SendHalf::finish`]; a connection that ends without it is an error at the other end,
//! so half a transfer is never taken for a whole one. Nothing is queued here: a packet is on its way to the socket when
//! `send` returns, and a receiver that does not receive stops the sender through TCP. Two sides that only send stop each
//! other, until their timeouts: whoever sends much splits the stream and receives in another task.
//!
//! When both directions have ended cleanly, the connection goes back to where it came from and serves another stream.
//! Otherwise dropping both halves closes it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::error::RpcError;
use crate::frame::{Frame, FrameError, FrameKind, FrameReader, FrameWriter, STREAM_PACKET_BYTES_MAX};
use crate::identity::PeerIdentity;
use crate::transport::{Connection, ReadIo, WriteIo};

/// A connection whose stream is over.
pub(crate) struct Returned {
    pub(crate) connection: Connection,
    /// The peer's end of stream was received; otherwise frames of this stream may still arrive.
    pub(crate) received_all: bool,
}

type Deliver = Box<dyn FnOnce(Returned) + Send>;

/// Where the halves meet again. Each gives itself back once, on drop; a half that broke gives back nothing, and the
/// connection closes.
struct Home {
    halves: Mutex<HomeState>,
}

#[derive(Default)]
struct HomeState {
    reader: Option<(FrameReader<ReadIo>, bool)>,
    writer: Option<FrameWriter<WriteIo>>,
    deliver: Option<Deliver>,
}

impl Home {
    /// `with` puts one half back, or says `false`: it is lost.
    fn give_back(&self, peer: &Arc<PeerIdentity>, with: impl FnOnce(&mut HomeState) -> bool) {
        let mut state = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if !with(&mut state) || state.deliver.is_none() {
            // This half is lost, or the other one was: nothing is left worth keeping.
            *state = HomeState::default();
            return;
        }
        let (reader, writer, deliver) = match std::mem::take(&mut *state) {
            HomeState { reader: Some(reader), writer: Some(writer), deliver: Some(deliver) } => {
                (reader, writer, deliver)
            }
            one_half => return *state = one_half,
        };
        drop(state);
        let (reader, received_all) = reader;
        deliver(Returned { connection: Connection { reader, writer, peer: peer.clone() }, received_all });
    }
}

/// Both directions of a stream.
pub struct DuplexStream {
    send: SendHalf,
    recv: RecvHalf,
}

impl DuplexStream {
    pub(crate) fn new(connection: Connection, id: u64, deliver: Deliver) -> Self {
        let Connection { reader, writer, peer } = connection;
        let addr: Arc<str> = peer.addr.to_string().into();
        let home =
            Arc::new(Home { halves: Mutex::new(HomeState { reader: None, writer: None, deliver: Some(deliver) }) });
        let send = SendHalf {
            writer: Some(writer),
            id,
            finished: false,
            peer: peer.clone(),
            addr: addr.clone(),
            home: home.clone(),
        };
        let recv = RecvHalf { reader: Some(reader), id, ended: false, peer, addr, home };
        Self { send, recv }
    }

    /// See [`SendHalf::send`].
    ///
    /// # Errors
    /// As there.
    pub async fn send(&mut self, packet: Bytes, timeout: Duration) -> Result<(), RpcError> {
        self.send.send(packet, timeout).await
    }

    /// See [`SendHalf::send_vectored`].
    ///
    /// # Errors
    /// As there.
    pub async fn send_vectored(&mut self, header: Bytes, data: Bytes, timeout: Duration) -> Result<(), RpcError> {
        self.send.send_vectored(header, data, timeout).await
    }

    /// See [`SendHalf::finish`].
    ///
    /// # Errors
    /// As there.
    pub async fn finish(&mut self, timeout: Duration) -> Result<(), RpcError> {
        self.send.finish(timeout).await
    }

    /// See [`RecvHalf::recv`].
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&mut self, timeout: Duration) -> Result<Option<Bytes>, RpcError> {
        self.recv.recv(timeout).await
    }

    /// The halves, for use by two tasks at once.
    pub fn split(self) -> (SendHalf, RecvHalf) {
        (self.send, self.recv)
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &PeerIdentity {
        &self.send.peer
    }
}

/// The sending direction of a stream. Dropped before [`finish`](Self::finish), it cuts the stream.
pub struct SendHalf {
    /// Gone once a write failed or was abandoned half-way.
    writer: Option<FrameWriter<WriteIo>>,
    id: u64,
    finished: bool,
    peer: Arc<PeerIdentity>,
    addr: Arc<str>,
    home: Arc<Home>,
}

impl SendHalf {
    /// Hands one packet (at most [`STREAM_PACKET_BYTES_MAX`]) to the socket, waiting while the peer is behind.
    ///
    /// # Errors
    /// [`RpcError::FrameTooLarge`] leaves the stream usable. After any other error, or when the future is dropped
    /// half-way, part of the packet may be on the wire and this direction answers [`RpcError::StreamClosed`].
    pub async fn send(&mut self, packet: Bytes, timeout: Duration) -> Result<(), RpcError> {
        self.send_vectored(packet, Bytes::new(), timeout).await
    }

    /// Like [`send`](Self::send) for a packet in two parts, which the peer receives as one. Neither is copied when
    /// they are large.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub async fn send_vectored(&mut self, header: Bytes, data: Bytes, timeout: Duration) -> Result<(), RpcError> {
        let bytes = header.len() + data.len();
        if bytes > STREAM_PACKET_BYTES_MAX {
            let (bytes, bytes_max) = (bytes as u64, STREAM_PACKET_BYTES_MAX as u64);
            return Err(RpcError::FrameTooLarge { bytes, bytes_max, sent: false });
        }
        self.write(FrameKind::Data, header, data, timeout).await
    }

    /// Ends this direction: the peer's `recv` gives `None` after the packets sent so far. Required for the peer to know
    /// that it has everything.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub async fn finish(&mut self, timeout: Duration) -> Result<(), RpcError> {
        self.write(FrameKind::End, Bytes::new(), Bytes::new(), timeout).await?;
        self.finished = true;
        Ok(())
    }

    async fn write(&mut self, kind: FrameKind, first: Bytes, rest: Bytes, within: Duration) -> Result<(), RpcError> {
        // Taken out, so that a future dropped half-way takes the torn writer with it.
        let writer = if self.finished { None } else { self.writer.take() };
        let mut writer = writer.ok_or_else(|| RpcError::StreamClosed { addr: self.addr.clone() })?;
        let id = self.id;
        let write = async {
            writer.write(kind, id, &[], first, rest).await?;
            writer.flush().await
        };
        match timeout(within, write).await {
            Ok(Ok(())) => {
                self.writer = Some(writer);
                Ok(())
            }
            Ok(Err(error)) => Err(RpcError::disconnected(&self.addr, true, error)),
            Err(_) => Err(RpcError::DeadlineExceeded { addr: self.addr.clone(), sent: true }),
        }
    }
}

impl Drop for SendHalf {
    fn drop(&mut self) {
        let writer = self.writer.take().filter(|_| self.finished);
        self.home.give_back(&self.peer, |home| {
            home.writer = writer;
            home.writer.is_some()
        });
    }
}

/// The receiving direction of a stream.
pub struct RecvHalf {
    /// Gone once the connection failed.
    reader: Option<FrameReader<ReadIo>>,
    id: u64,
    ended: bool,
    peer: Arc<PeerIdentity>,
    addr: Arc<str>,
    home: Arc<Home>,
}

impl RecvHalf {
    /// The next packet, as the peer sent it; `None`, from then on, after the peer's `finish`.
    ///
    /// # Errors
    /// [`RpcError::DeadlineExceeded`] loses nothing: receive again to go on. [`RpcError::Disconnected`]: the connection
    /// was cut before the peer finished. [`RpcError::ProtocolViolation`], [`RpcError::FrameTooLarge`]: the peer sent
    /// something no stream holds. After these the direction answers [`RpcError::StreamClosed`].
    pub async fn recv(&mut self, timeout: Duration) -> Result<Option<Bytes>, RpcError> {
        if self.ended {
            return Ok(None);
        }
        let reader = self.reader.as_mut().ok_or_else(|| RpcError::StreamClosed { addr: self.addr.clone() })?;
        // A packet that is already here is delivered even with no time left: the read is polled before the timer.
        let read = match tokio::time::timeout(timeout, reader.read()).await {
            Ok(read) => read,
            Err(_) => return Err(RpcError::DeadlineExceeded { addr: self.addr.clone(), sent: true }),
        };
        let received = self.interpret(read);
        if received.is_err() {
            self.reader = None;
        }
        received
    }

    fn interpret(&mut self, read: Result<Option<Frame>, FrameError>) -> Result<Option<Bytes>, RpcError> {
        let violation = |reason| RpcError::ProtocolViolation { addr: self.addr.clone(), reason };
        match read {
            Ok(Some(frame)) if frame.id != self.id => Err(violation("a frame of another stream")),
            Ok(Some(Frame { kind: FrameKind::Data, body, .. })) => Ok(Some(body)),
            Ok(Some(Frame { kind: FrameKind::End, .. })) => {
                self.ended = true;
                Ok(None)
            }
            Ok(Some(_)) => Err(violation("a frame that does not belong in a stream")),
            Ok(None) => Err(RpcError::disconnected(&self.addr, true, io::ErrorKind::UnexpectedEof.into())),
            Err(FrameError::Io(error)) => Err(RpcError::disconnected(&self.addr, true, error)),
            Err(FrameError::TooLarge { bytes, bytes_max }) => {
                Err(RpcError::FrameTooLarge { bytes, bytes_max, sent: true })
            }
            Err(FrameError::UnknownKind) => Err(violation("a frame of unknown kind")),
        }
    }
}

impl Drop for RecvHalf {
    fn drop(&mut self) {
        let (reader, ended) = (self.reader.take(), self.ended);
        self.home.give_back(&self.peer, |home| {
            home.reader = reader.map(|reader| (reader, ended));
            home.reader.is_some()
        });
    }
}
