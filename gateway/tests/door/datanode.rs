//! A datanode whose replicas are vectors.

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use granary_protocol::block::DatanodeEndpoint;
use granary_protocol::datanode::*;
use granary_protocol::{BlockId, ErrorCode, Failure};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

type Replicas = Arc<Mutex<HashMap<BlockId, Vec<u8>>>>;

/// The only datanode of its world.
#[derive(Clone, Default)]
pub struct MemoryDatanode {
    replicas: Replicas,
}

impl MemoryDatanode {
    /// Cuts every replica short, as a disk that lost its tail would.
    pub fn truncate_all(&self, length: usize) {
        for replica in self.replicas.lock().unwrap().values_mut() {
            replica.truncate(length);
        }
    }

    /// Flips one bit of every replica's byte `at`, as a disk without checksums might.
    pub fn flip_all(&self, at: usize) {
        for replica in self.replicas.lock().unwrap().values_mut() {
            if let Some(byte) = replica.get_mut(at) {
                *byte ^= 1;
            }
        }
    }

    /// Whether any replica holds these bytes.
    pub fn holds(&self, marker: &[u8]) -> bool {
        let replicas = self.replicas.lock().unwrap();
        replicas.values().any(|replica| replica.windows(marker.len()).any(|window| window == marker))
    }

    /// Bytes of all replicas.
    pub fn bytes(&self) -> usize {
        self.replicas.lock().unwrap().values().map(Vec::len).sum()
    }
}

impl DatanodeConnector for MemoryDatanode {
    fn datanode(&self, _: &DatanodeEndpoint) -> Arc<dyn DatanodeService> {
        Arc::new(self.clone())
    }
}

struct Sink {
    block: BlockId,
    replicas: Replicas,
    acks: mpsc::UnboundedSender<Ack>,
}

struct Source(mpsc::UnboundedReceiver<Ack>);
struct Pieces(std::vec::IntoIter<Piece>);

type Piece = Result<Bytes, Failure>;

impl PacketSink for Sink {
    fn send(&mut self, packet: Packet) -> BoxFuture<'_, Result<(), Failure>> {
        let mut replicas = self.replicas.lock().unwrap();
        let replica = replicas.entry(self.block).or_default();
        assert_eq!(replica.len(), packet.offset as usize);
        replica.extend_from_slice(&packet.data);
        let _gone = self.acks.send(Ack { sequence: packet.sequence, synced_bytes: replica.len() as u32 });
        Box::pin(ready(Ok(())))
    }
}

impl AckSource for Source {
    fn next(&mut self) -> BoxFuture<'_, Result<Ack, Failure>> {
        Box::pin(async { self.0.recv().await.ok_or_else(|| ErrorCode::Unavailable.into()) })
    }
}

impl ReadStream for Pieces {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(ready(self.0.next().transpose()))
    }
}

impl DatanodeService for MemoryDatanode {
    fn write(&self, request: WriteBlock) -> BoxFuture<'_, Result<WriteStream, Failure>> {
        let (acks, source) = mpsc::unbounded_channel();
        let sink = Sink { block: request.block, replicas: self.replicas.clone(), acks };
        Box::pin(ready(Ok(WriteStream { packets: Box::new(sink), acks: Box::new(Source(source)) })))
    }

    fn read(&self, request: ReadBlock) -> BoxFuture<'_, Result<Box<dyn ReadStream>, Failure>> {
        let replicas = self.replicas.lock().unwrap();
        let (first, end) = (request.offset as usize, (request.offset + request.length) as usize);
        let replica = replicas.get(&request.token.block()).map(Vec::as_slice).unwrap_or_default();
        let there = replica.get(first..end.min(replica.len())).unwrap_or_default();
        let mut pieces: Vec<Piece> =
            there.chunks(READ_PIECE_BYTES_MAX).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if replica.len() < end {
            pieces.push(Err(ErrorCode::CorruptReplica.into()));
        }
        let stream: Box<dyn ReadStream> = Box::new(Pieces(pieces.into_iter()));
        Box::pin(ready(Ok(stream)))
    }

    fn call(&self, request: DatanodeRequest) -> BoxFuture<'_, Result<DatanodeReply, Failure>> {
        Box::pin(ready(match request {
            DatanodeRequest::Finalize { .. } => Ok(DatanodeReply::Done),
            DatanodeRequest::Verify { token, .. } => match self.replicas.lock().unwrap().get(&token.block()) {
                Some(replica) => Ok(DatanodeReply::Verified { length: replica.len() as u32 }),
                None => Err(ErrorCode::ReplicaNotFound.into()),
            },
        }))
    }
}
