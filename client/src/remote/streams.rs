//! Packets, acknowledgements and read pieces over an rpc stream.
//!
//! The connection serves another stream afterwards only when both directions ended cleanly, so each type here ends its
//! direction as soon as it knows that nothing follows. Dropping one earlier cuts the connection, which is how the
//! datanode learns that its writer or reader is gone.
//!
//! Bytes read from another process were verified against the replica's checksums by the datanode and carried by TCP
//! (and TLS, where it is on); here their number is checked, not their checksum again.

use super::failure::{decode, encode, of_stream};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use granary_protocol::datanode::{Ack, AckSource, Packet, PacketHeader, PacketSink, ReadStream, WriteStream, method};
use granary_protocol::{ErrorCode, Failure};
use granary_rpc::{DuplexStream, RecvHalf, SendHalf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long one packet or acknowledgement may take. The pipeline's and the reader's own limits are shorter; this only
/// keeps a stream that nobody watches from staying for ever.
const STEP_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the clean end of a read may take once all its bytes are here.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// No packet has this number: the last one has not been sent yet.
const NOT_SENT: u64 = u64::MAX;

/// The two directions of a pipeline over `stream`, which the first member has accepted.
pub(super) fn pipeline(stream: DuplexStream) -> WriteStream {
    let (send, recv) = stream.split();
    let last = Arc::new(AtomicU64::new(NOT_SENT));
    WriteStream {
        packets: Box::new(RemotePackets { send, last: last.clone() }),
        acks: Box::new(RemoteAcks { recv, last }),
    }
}

/// Packets on their way to the first member.
struct RemotePackets {
    send: SendHalf,
    /// Tells the other direction after which acknowledgement nothing follows.
    last: Arc<AtomicU64>,
}

impl PacketSink for RemotePackets {
    fn send(&mut self, packet: Packet) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let (header, sequence, last) = (frame_header(&packet), packet.sequence, packet.last);
            self.send.send_vectored(header, packet.data, STEP_TIMEOUT).await.map_err(of_stream)?;
            if last {
                self.last.store(sequence, Ordering::Release);
                self.send.finish(STEP_TIMEOUT).await.map_err(of_stream)?;
            }
            Ok(())
        })
    }
}

/// `[u16 LE header length][postcard(PacketHeader)]`; the data follows in the same frame.
fn frame_header(packet: &Packet) -> Bytes {
    let header = encode(&PacketHeader {
        sequence: packet.sequence,
        offset: packet.offset,
        sync: packet.sync,
        last: packet.last,
        data_crc: packet.data_crc,
    });
    let mut frame = BytesMut::with_capacity(2 + header.len());
    frame.put_u16_le(u16::try_from(header.len()).expect("a packet header is some 25 bytes"));
    frame.extend_from_slice(&header);
    frame.freeze()
}

/// Acknowledgements from the first member.
struct RemoteAcks {
    recv: RecvHalf,
    last: Arc<AtomicU64>,
}

impl AckSource for RemoteAcks {
    fn next(&mut self) -> BoxFuture<'_, Result<Ack, Failure>> {
        Box::pin(async move {
            let Some(frame) = self.recv.recv(STEP_TIMEOUT).await.map_err(of_stream)? else {
                return Err(Failure::new(ErrorCode::Unavailable, "the pipeline ended"));
            };
            let ack = decode::<Result<Ack, Failure>>(&frame)??;
            if ack.sequence == self.last.load(Ordering::Acquire) {
                // Only decides whether the connection is used again.
                let _ = self.recv.recv(END_TIMEOUT).await;
            }
            Ok(ack)
        })
    }
}

/// Bytes of a replica from another process.
pub(super) struct RemoteRead {
    stream: DuplexStream,
    /// Bytes still to come.
    left: u32,
    ended: bool,
}

impl RemoteRead {
    pub fn new(stream: DuplexStream, length: u32) -> Self {
        Self { stream, left: length, ended: false }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let Some(mut frame) = self.stream.recv(STEP_TIMEOUT).await.map_err(of_stream)? else {
            return Err(self.malformed("the stream ended early"));
        };
        if frame.is_empty() {
            return Err(self.malformed("an empty frame"));
        }
        let body = frame.split_off(1);
        match frame[0] {
            method::FRAME_DATA => {
                let bytes = u32::try_from(body.len()).ok().filter(|bytes| *bytes > 0 && *bytes <= self.left);
                self.left -= bytes.ok_or_else(|| self.malformed("a piece of the wrong size"))?;
                if self.left == 0 {
                    self.end().await;
                }
                Ok(Some(body))
            }
            method::FRAME_FAILURE => Err(decode::<Failure>(&body)?),
            _ => Err(self.malformed("a frame of unknown kind")),
        }
    }

    /// All bytes are here. The peer's end is on its way right behind them; taking it lets the connection be used again.
    async fn end(&mut self) {
        self.ended = true;
        let clean = self.stream.finish(END_TIMEOUT).await.is_ok();
        if clean {
            let _ = self.stream.recv(END_TIMEOUT).await;
        }
    }

    fn malformed(&self, what: &str) -> Failure {
        Failure::new(ErrorCode::Malformed, format!("{what}, with {} bytes of the read to come", self.left))
    }
}

impl ReadStream for RemoteRead {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(self.piece())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_header_is_framed_by_its_length() {
        let packet =
            Packet { sequence: 300, offset: 1 << 20, sync: true, last: false, data_crc: 7, data: Bytes::new() };
        let frame = frame_header(&packet);
        let length = usize::from(u16::from_le_bytes([frame[0], frame[1]]));
        assert_eq!(frame.len(), 2 + length);
        let header: PacketHeader = decode(&frame[2..]).unwrap();
        assert_eq!((header.sequence, header.offset, header.sync), (300, 1 << 20, true));
    }
}
