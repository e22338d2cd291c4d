//! One open block: packets down its pipeline, acknowledgements back, and what is known when a member fails.
//!
//! At most [`PACKETS_IN_FLIGHT_MAX`] packets are unacknowledged, and each is kept until it is acknowledged, so that
//! what a broken pipeline owes can be written elsewhere. Every wait has a limit. Recovery itself is not here (`seal`).

use crate::lease::Lease;
use crate::shared::Shared;
use bytes::Bytes;
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, LocatedBlock};
use granary_protocol::checksum::crc32c;
use granary_protocol::datanode::{Ack, PACKET_BYTES_MAX, PACKETS_IN_FLIGHT_MAX, Packet, WriteBlock, WriteStream};
use granary_protocol::{ErrorCode, Failure, VolumeId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a pipeline that has failed may take to say which member it was.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(500);

/// A failed pipeline: why, and which member to avoid. No member is blamed when the block itself is no longer ours.
#[derive(Clone, Debug)]
pub(crate) struct PipelineFailure {
    pub member: Option<VolumeId>,
    pub failure: Failure,
}

/// How a packet is to be handled beyond being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Acknowledge when written.
    None,
    /// Acknowledge when on stable storage.
    Sync,
    /// Finalize the replicas.
    Last,
}

pub(crate) struct OpenBlock {
    pub located: LocatedBlock,
    pub kind: BlockKind,
    pub lease: Arc<Lease>,
    stream: WriteStream,
    ack_timeout: Duration,
    next_sequence: u64,
    sent_bytes: u32,
    acked_bytes: u32,
    synced_bytes: u32,
    unacked: VecDeque<Packet>,
    opened: Instant,
}

/// What is left of a block whose pipeline failed.
pub(crate) struct BrokenBlock {
    pub located: LocatedBlock,
    pub kind: BlockKind,
    pub lease: Arc<Lease>,
    pub failure: PipelineFailure,
    /// Bytes that every member has written.
    pub acked_bytes: u32,
    /// Bytes that every member has on stable storage.
    pub synced_bytes: u32,
    /// Data after `acked_bytes`, in order.
    pub unacked: Vec<Bytes>,
    /// Since when the pipeline was open; its token is a little older.
    pub opened: Instant,
}

impl OpenBlock {
    pub async fn open(
        shared: &Shared,
        located: &LocatedBlock,
        kind: BlockKind,
        lease: &Arc<Lease>,
    ) -> Result<OpenBlock, PipelineFailure> {
        let failed = |failure| attribute(located, failure);
        let Some(first) = located.replicas.first() else {
            return Err(failed(Failure::new(ErrorCode::NotEnoughTargets, "a block without a pipeline")));
        };
        let request = WriteBlock {
            block: located.block,
            generation: located.generation,
            kind,
            pipeline: located.replicas.clone(),
            token: located.token.clone(),
        };
        let datanode = shared.datanode(first);
        let stream = match timeout(shared.config.open_timeout(), datanode.write(request)).await {
            Ok(opened) => opened.map_err(failed)?,
            Err(_) => return Err(failed(silent("opening the pipeline"))),
        };
        Ok(OpenBlock {
            located: located.clone(),
            kind,
            lease: lease.clone(),
            stream,
            ack_timeout: shared.config.ack_timeout(),
            next_sequence: 0,
            sent_bytes: 0,
            acked_bytes: 0,
            synced_bytes: 0,
            unacked: VecDeque::with_capacity(PACKETS_IN_FLIGHT_MAX + 1),
            opened: Instant::now(),
        })
    }

    /// Bytes handed to the pipeline so far; the next packet's place in the block.
    pub fn sent_bytes(&self) -> u32 {
        self.sent_bytes
    }

    pub fn room(&self) -> u32 {
        BLOCK_BYTES_MAX - self.sent_bytes
    }

    pub fn volumes(&self) -> Vec<VolumeId> {
        self.located.replicas.iter().map(|replica| replica.volume).collect()
    }

    /// Sends one packet, first waiting for a place among those in flight. After a failure only [`OpenBlock::broken`]
    /// makes sense.
    pub async fn send(&mut self, data: Bytes, flush: Flush) -> Result<(), PipelineFailure> {
        assert!(data.len() <= PACKET_BYTES_MAX && data.len() <= self.room() as usize, "a packet is cut to fit");
        let packet = Packet {
            sequence: self.next_sequence,
            offset: self.sent_bytes,
            sync: flush != Flush::None,
            last: flush == Flush::Last,
            data_crc: crc32c(&data),
            data,
        };
        self.next_sequence += 1;
        self.sent_bytes += packet.data.len() as u32;
        // Owed from here on, even if the wait for a place is what fails.
        self.unacked.push_back(packet.clone());
        while self.unacked.len() > PACKETS_IN_FLIGHT_MAX {
            self.take_ack().await?;
        }
        match timeout(self.ack_timeout, self.stream.packets.send(packet)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(failure)) => Err(self.last_words(failure).await),
            Err(_) => Err(self.last_words(silent("taking a packet")).await),
        }
    }

    /// Waits until every packet sent is acknowledged.
    pub async fn drain(&mut self) -> Result<(), PipelineFailure> {
        while !self.unacked.is_empty() {
            self.take_ack().await?;
        }
        Ok(())
    }

    /// Gives the pipeline up, keeping what has to be written again.
    pub fn broken(self, failure: PipelineFailure) -> BrokenBlock {
        BrokenBlock {
            located: self.located,
            kind: self.kind,
            lease: self.lease,
            failure,
            acked_bytes: self.acked_bytes,
            synced_bytes: self.synced_bytes,
            opened: self.opened,
            unacked: self.unacked.into_iter().map(|packet| packet.data).filter(|data| !data.is_empty()).collect(),
        }
    }

    async fn take_ack(&mut self) -> Result<(), PipelineFailure> {
        let answer = match timeout(self.ack_timeout, self.stream.acks.next()).await {
            Ok(answer) => answer,
            Err(_) => Err(silent("acknowledging")),
        };
        answer.and_then(|ack| self.record(ack)).map_err(|failure| attribute(&self.located, failure))
    }

    fn record(&mut self, ack: Ack) -> Result<(), Failure> {
        let malformed = |what: &str| Failure::new(ErrorCode::Malformed, what.to_owned());
        let packet = self.unacked.pop_front().filter(|packet| packet.sequence == ack.sequence);
        let packet = packet.ok_or_else(|| malformed("an acknowledgement out of order"))?;
        let end = packet.offset + packet.data.len() as u32;
        let synced_wanted = if packet.sync { end } else { self.synced_bytes };
        if ack.synced_bytes < synced_wanted || ack.synced_bytes > self.sent_bytes {
            self.unacked.push_front(packet);
            return Err(malformed("an acknowledgement of the wrong number of bytes"));
        }
        self.acked_bytes = end;
        self.synced_bytes = ack.synced_bytes;
        Ok(())
    }

    /// A packet could not be sent. The acknowledgements say how far the pipeline came and, better than our own end,
    /// which member failed.
    async fn last_words(&mut self, failure: Failure) -> PipelineFailure {
        while !self.unacked.is_empty() {
            match timeout(LAST_WORDS_TIMEOUT, self.stream.acks.next()).await {
                Ok(Ok(ack)) => {
                    if self.record(ack).is_err() {
                        break;
                    }
                }
                Ok(Err(last)) => return attribute(&self.located, last),
                Err(_) => break,
            }
        }
        attribute(&self.located, failure)
    }
}

/// Who is to blame: the member named, or the one we talk to.
fn attribute(located: &LocatedBlock, failure: Failure) -> PipelineFailure {
    let first = located.replicas.first().map(|replica| replica.volume);
    let member = match failure.code {
        ErrorCode::StaleGeneration | ErrorCode::InvalidToken | ErrorCode::LeaseExpired => None,
        ErrorCode::DownstreamFailed { volume } => {
            located.replicas.iter().map(|replica| replica.volume).find(|member| *member == volume).or(first)
        }
        _ => first,
    };
    PipelineFailure { member, failure }
}

fn silent(doing: &str) -> Failure {
    Failure::new(ErrorCode::DeadlineExceeded, format!("the pipeline was silent while {doing}"))
}
