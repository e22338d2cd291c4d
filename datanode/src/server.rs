//! Lets other processes reach a datanode: from rpc calls and streams to [`DatanodeService`], in the wire form that
//! [`granary_protocol::datanode`] describes. Data bytes are not copied on their way.
//!
//! Who may connect is the transport's business; what a peer may do is said by the tokens in its requests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use granary_protocol::datanode::{
    Ack, AckSource, DatanodeRequest, DatanodeService, PACKET_BYTES_MAX, Packet, PacketHeader, PacketSink, ReadBlock,
    WriteBlock, WriteStream, method,
};
use granary_protocol::{ErrorCode, Failure};
use granary_rpc::{BoxFuture, DuplexStream, PeerIdentity, RecvHalf, RpcError, RpcHandler, SendHalf};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

/// How long a peer may take to accept a frame.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a writer may be silent: its pipeline may be idle between bursts, but a peer whose machine is gone must not
/// hold its place for ever.
const WRITER_SILENT_MAX: Duration = Duration::from_secs(60 * 60);
/// Bytes before a packet's header.
const HEADER_LENGTH_BYTES: usize = 2;

/// The handler of a datanode's data port.
pub struct DatanodeRpc {
    service: Arc<dyn DatanodeService>,
}

impl DatanodeRpc {
    /// Answers for `service`.
    pub fn new(service: Arc<dyn DatanodeService>) -> DatanodeRpc {
        DatanodeRpc { service }
    }

    async fn answer(&self, method: u16, body: &[u8]) -> Result<Bytes, Failure> {
        if method != method::CALL {
            return Err(unknown_method(method));
        }
        let request: DatanodeRequest = decode(body)?;
        self.service.call(request).await.map(|reply| encode(&reply))
    }

    async fn serve_write(&self, first: Bytes, mut stream: DuplexStream) -> Result<(), RpcError> {
        let opened = match decode::<WriteBlock>(&first) {
            Ok(request) => self.service.write(request).await,
            Err(failure) => Err(failure),
        };
        let WriteStream { packets, acks } = match opened {
            Ok(pipeline) => pipeline,
            Err(failure) => return refuse(&mut stream, failure).await,
        };
        stream.send(encode(&Ok::<(), Failure>(())), SEND_TIMEOUT).await?;
        let (sender, receiver) = stream.split();
        let (end, end_rx) = oneshot::channel();
        tokio::try_join!(send_acks(acks, sender, end_rx), receive_packets(packets, receiver, end))?;
        Ok(())
    }

    async fn serve_read(&self, first: Bytes, mut stream: DuplexStream) -> Result<(), RpcError> {
        let opened = match decode::<ReadBlock>(&first) {
            Ok(request) => self.service.read(request).await,
            Err(failure) => Err(failure),
        };
        let mut pieces = match opened {
            Ok(pieces) => pieces,
            Err(failure) => return refuse(&mut stream, failure).await,
        };
        stream.send(encode(&Ok::<(), Failure>(())), SEND_TIMEOUT).await?;
        loop {
            match pieces.next().await {
                Ok(Some(piece)) => {
                    let marker = Bytes::from_static(&[method::FRAME_DATA]);
                    stream.send_vectored(marker, piece, SEND_TIMEOUT).await?;
                }
                Ok(None) => break,
                Err(failure) => {
                    let marker = Bytes::from_static(&[method::FRAME_FAILURE]);
                    stream.send_vectored(marker, encode(&failure), SEND_TIMEOUT).await?;
                    break;
                }
            }
        }
        finish(&mut stream).await
    }
}

/// Answers a request that could not be opened.
async fn refuse(stream: &mut DuplexStream, failure: Failure) -> Result<(), RpcError> {
    stream.send(encode(&Err::<(), Failure>(failure)), SEND_TIMEOUT).await?;
    finish(stream).await
}

/// Ends our direction, and waits for the peer to end its own, so that the connection can serve another stream.
async fn finish(stream: &mut DuplexStream) -> Result<(), RpcError> {
    stream.finish(SEND_TIMEOUT).await?;
    while stream.recv(SEND_TIMEOUT).await?.is_some() {}
    Ok(())
}

/// How the packets of a pipeline ended. Without a word the client has left.
enum End {
    /// This is the last packet; its acknowledgement is the last one.
    Last { sequence: u64 },
    /// The pipeline does not take packets any more, or what came is none.
    Broken(Failure),
}

/// Takes packets until the client's direction ends. After a failure the rest is read and dropped: closing a socket
/// with unread data could take the failure away from the client before it has read it.
async fn receive_packets(
    packets: Box<dyn PacketSink>,
    mut receiver: RecvHalf,
    end: oneshot::Sender<End>,
) -> Result<(), RpcError> {
    let (mut packets, mut end) = (Some(packets), Some(end));
    loop {
        let patience = if packets.is_some() { WRITER_SILENT_MAX } else { SEND_TIMEOUT };
        // The sink goes with this future: a client that leaves before the last packet leaves the replicas open.
        let Some(frame) = receiver.recv(patience).await? else { return Ok(()) };
        let Some(sink) = &mut packets else { continue };
        let sent = match packet_of(frame) {
            Ok(packet) => {
                if packet.last
                    && let Some(end) = end.take()
                {
                    // Said before the packet goes, so that its acknowledgement cannot come first.
                    let _ = end.send(End::Last { sequence: packet.sequence });
                }
                sink.send(packet).await
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = sent {
            if let Some(end) = end.take() {
                let _ = end.send(End::Broken(failure));
            }
            packets = None;
        }
    }
}

/// Passes acknowledgements up, to the last one or to the first failure.
async fn send_acks(
    mut acks: Box<dyn AckSource>,
    mut sender: SendHalf,
    mut end: oneshot::Receiver<End>,
) -> Result<(), RpcError> {
    let mut last: Option<u64> = None;
    let failure = loop {
        // Acknowledgements first: what is done is said before what has failed.
        let ended = tokio::select! {
            biased;
            ack = acks.next() => match ack {
                Ok(ack) => {
                    sender.send(encode(&Ok::<Ack, Failure>(ack)), SEND_TIMEOUT).await?;
                    let ended = if last.is_none() { end.try_recv().ok() } else { None };
                    if let Some(End::Last { sequence }) = ended {
                        last = Some(sequence);
                    }
                    if last == Some(ack.sequence) {
                        return sender.finish(SEND_TIMEOUT).await;
                    }
                    ended
                }
                // What broke the packets' direction is the cause; that the pipeline is over then is its consequence.
                Err(failure) => break match end.try_recv() {
                    Ok(End::Broken(cause)) => Some(cause),
                    _ => Some(failure),
                },
            },
            ended = &mut end, if last.is_none() => match ended {
                Ok(ended) => Some(ended),
                Err(_left) => break None,
            },
        };
        match ended {
            Some(End::Last { sequence }) => last = Some(sequence),
            Some(End::Broken(failure)) => break Some(failure),
            None => {}
        }
    };
    if let Some(failure) = failure {
        sender.send(encode(&Err::<Ack, Failure>(failure)), SEND_TIMEOUT).await?;
    }
    sender.finish(SEND_TIMEOUT).await
}

fn packet_of(mut frame: Bytes) -> Result<Packet, Failure> {
    let cut_short = || Failure::new(ErrorCode::Malformed, "a packet is cut short");
    if frame.len() < HEADER_LENGTH_BYTES {
        return Err(cut_short());
    }
    let length = frame.split_to(HEADER_LENGTH_BYTES);
    let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
    if frame.len() < length {
        return Err(cut_short());
    }
    let PacketHeader { sequence, offset, sync, last, data_crc } = decode(&frame.split_to(length))?;
    if frame.len() > PACKET_BYTES_MAX {
        return Err(Failure::new(ErrorCode::Malformed, "a packet is too large"));
    }
    Ok(Packet { sequence, offset, sync, last, data_crc, data: frame })
}

fn unknown_method(method: u16) -> Failure {
    Failure::new(ErrorCode::Malformed, format!("unknown method {method}"))
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    postcard::from_bytes(bytes).map_err(|error| Failure::new(ErrorCode::Malformed, error.to_string()))
}

fn encode(value: &impl Serialize) -> Bytes {
    postcard::to_stdvec(value).expect("the protocol's types can all be encoded").into()
}

impl RpcHandler for DatanodeRpc {
    fn call<'a>(&'a self, _peer: &'a PeerIdentity, method: u16, body: Bytes) -> BoxFuture<'a, Result<Bytes, Bytes>> {
        async move { self.answer(method, &body).await.map_err(|failure| encode(&failure)) }.boxed()
    }

    fn stream<'a>(
        &'a self,
        peer: &'a PeerIdentity,
        method: u16,
        first: Bytes,
        mut stream: DuplexStream,
    ) -> BoxFuture<'a, ()> {
        async move {
            let served = match method {
                method::WRITE => self.serve_write(first, stream).await,
                method::READ => self.serve_read(first, stream).await,
                _ => refuse(&mut stream, unknown_method(method)).await,
            };
            if let Err(error) = served {
                tracing::debug!(%peer, method, %error, "stream ended early");
            }
        }
        .boxed()
    }
}
