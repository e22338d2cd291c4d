//! A pipeline as its members see it: this node's replica first, the next member behind it.
//!
//! Nothing runs here: packets move when the caller sends, acknowledgements when the caller asks for the next one. A
//! packet is queued for the local disk and then forwarded, so disk and network work at the same time; an acknowledgement
//! is passed up when both the disk and the next member have theirs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_protocol::datanode::{Ack, AckSource, Packet, PacketSink, WriteStream};
use granary_protocol::{ErrorCode, Failure, VolumeId};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::replica_writer::{AckResult, ReplicaWriter};

/// The next member of a pipeline.
pub(crate) struct Downstream {
    pub(crate) volume: VolumeId,
    pub(crate) stream: WriteStream,
}

/// Says that the next member failed, unless the failure already names one further down.
pub(crate) fn blame(volume: VolumeId, failure: Failure) -> Failure {
    match failure.code {
        ErrorCode::DownstreamFailed { .. } => failure,
        _ => Failure::new(ErrorCode::DownstreamFailed { volume }, failure.to_string()),
    }
}

/// Waits for the next member, but not for ever.
pub(crate) async fn within<T>(
    limit: Duration,
    volume: VolumeId,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match timeout(limit, answer).await {
        Ok(answered) => answered.map_err(|failure| blame(volume, failure)),
        Err(_elapsed) => {
            let detail = format!("no answer within {} ms", limit.as_millis());
            Err(Failure::new(ErrorCode::DownstreamFailed { volume }, detail))
        }
    }
}

/// Joins the local writer and the next member.
pub(crate) fn join(
    writer: Arc<ReplicaWriter>,
    acks: mpsc::Receiver<AckResult>,
    downstream: Option<Downstream>,
    patience: Duration,
) -> WriteStream {
    let (next_sink, next_acks) = match downstream {
        Some(Downstream { volume, stream }) => (Some((volume, stream.packets)), Some((volume, stream.acks))),
        None => (None, None),
    };
    WriteStream {
        packets: Box::new(Sink { writer: writer.clone(), next: next_sink, patience, broken: None, complete: false }),
        acks: Box::new(Acks { writer, local: acks, next: next_acks, patience, waiting: None, broken: None }),
    }
}

struct Sink {
    writer: Arc<ReplicaWriter>,
    next: Option<(VolumeId, Box<dyn PacketSink>)>,
    patience: Duration,
    /// Why nothing more is taken.
    broken: Option<Failure>,
    /// The last packet was sent.
    complete: bool,
}

impl Sink {
    async fn send_on(&mut self, packet: Packet) -> Result<(), Failure> {
        if let Some(failure) = &self.broken {
            return Err(failure.clone());
        }
        // Until both members have it: a future dropped half-way leaves a gap that must not be filled.
        self.broken = Some(Failure::new(ErrorCode::Malformed, "an earlier packet was sent half-way"));
        let last = packet.last;
        let sent = match &mut self.next {
            None => self.writer.submit(packet).await,
            Some((volume, next)) => match self.writer.submit(packet.clone()).await {
                Ok(()) => within(self.patience, *volume, next.send(packet)).await,
                Err(failure) => Err(failure),
            },
        };
        self.broken = sent.clone().err();
        self.complete |= sent.is_ok() && last;
        sent
    }
}

impl PacketSink for Sink {
    fn send(&mut self, packet: Packet) -> BoxFuture<'_, Result<(), Failure>> {
        self.send_on(packet).boxed()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if !self.complete {
            self.writer.abandon();
        }
    }
}

struct Acks {
    writer: Arc<ReplicaWriter>,
    local: mpsc::Receiver<AckResult>,
    next: Option<(VolumeId, Box<dyn AckSource>)>,
    patience: Duration,
    /// Acknowledged by the local disk, not yet by the next member. Kept here so that a dropped future loses nothing.
    waiting: Option<Ack>,
    broken: Option<Failure>,
}

impl Acks {
    async fn next_ack(&mut self) -> Result<Ack, Failure> {
        if let Some(failure) = &self.broken {
            return Err(failure.clone());
        }
        let ack = self.joined_ack().await;
        match &ack {
            Ok(_) => self.writer.acknowledged(),
            Err(failure) => self.broken = Some(failure.clone()),
        }
        ack
    }

    async fn joined_ack(&mut self) -> Result<Ack, Failure> {
        let local = match self.waiting {
            Some(ack) => ack,
            None => self.local.recv().await.unwrap_or_else(|| Err(self.writer.failure()))?,
        };
        let Some((volume, next)) = &mut self.next else { return Ok(local) };
        self.waiting = Some(local);
        let theirs = within(self.patience, *volume, next.next()).await?;
        self.waiting = None;
        if theirs.sequence != local.sequence {
            let detail = format!("acknowledged packet {}, expected {}", theirs.sequence, local.sequence);
            return Err(Failure::new(ErrorCode::DownstreamFailed { volume: *volume }, detail));
        }
        Ok(Ack { sequence: local.sequence, synced_bytes: local.synced_bytes.min(theirs.synced_bytes) })
    }
}

impl AckSource for Acks {
    fn next(&mut self) -> BoxFuture<'_, Result<Ack, Failure>> {
        self.next_ack().boxed()
    }
}
