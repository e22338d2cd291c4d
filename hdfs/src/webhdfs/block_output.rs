//! One block being written through its pipeline, over the cluster's own protocol.
//!
//! At most [`PACKETS_IN_FLIGHT_MAX`] packets are unacknowledged, every wait has a limit.

use bytes::Bytes;
use granary_protocol::block::{BlockKind, LocatedBlock};
use granary_protocol::checksum::crc32c;
use granary_protocol::datanode::{
    DatanodeConnector, PACKET_BYTES_MAX, PACKETS_IN_FLIGHT_MAX, Packet, WriteBlock, WriteStream,
};
use granary_protocol::{DatanodeId, ErrorCode, Failure};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a pipeline may take to be ready.
const OPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long it may take to accept or acknowledge a packet.
const PACKET_TIMEOUT: Duration = Duration::from_secs(60);

/// A pipeline that failed.
#[derive(Debug)]
pub struct PipelineFailure {
    /// The member to avoid, if one is to blame.
    pub member: Option<DatanodeId>,
    pub failure: Failure,
}

/// An open pipeline.
pub struct BlockOutput {
    located: LocatedBlock,
    stream: WriteStream,
    sequence: u64,
    sent: u32,
    unacknowledged: usize,
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = || Failure::new(ErrorCode::DeadlineExceeded, "the pipeline was silent");
    timeout(limit, work).await.unwrap_or_else(|_elapsed| Err(late()))
}

fn blame(located: &LocatedBlock, failure: Failure) -> PipelineFailure {
    let first = located.replicas.first();
    let member = match failure.code {
        ErrorCode::DownstreamFailed { volume } => {
            located.replicas.iter().find(|replica| replica.volume == volume).or(first)
        }
        _ => first,
    };
    PipelineFailure { member: member.map(|replica| replica.datanode.id), failure }
}

impl BlockOutput {
    /// Opens the pipeline of a new block.
    pub async fn open(
        connector: &Arc<dyn DatanodeConnector>,
        located: LocatedBlock,
    ) -> Result<BlockOutput, PipelineFailure> {
        let Some(first) = located.replicas.first() else {
            let failure = Failure::new(ErrorCode::NotEnoughTargets, "a block without a pipeline");
            return Err(PipelineFailure { member: None, failure });
        };
        let request = WriteBlock {
            block: located.block,
            generation: located.generation,
            kind: BlockKind::Owned,
            pipeline: located.replicas.clone(),
            token: located.token.clone(),
        };
        let datanode = connector.datanode(&first.datanode);
        match within(OPEN_TIMEOUT, datanode.write(request)).await {
            Ok(stream) => Ok(BlockOutput { located, stream, sequence: 0, sent: 0, unacknowledged: 0 }),
            Err(failure) => Err(blame(&located, failure)),
        }
    }

    /// Bytes sent so far.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// The block.
    pub fn located(&self) -> &LocatedBlock {
        &self.located
    }

    /// Sends bytes; waits while the pipeline is behind.
    pub async fn send(&mut self, mut data: Bytes) -> Result<(), PipelineFailure> {
        while !data.is_empty() {
            let packet = data.split_to(data.len().min(PACKET_BYTES_MAX));
            self.send_packet(packet, false).await.map_err(|failure| blame(&self.located, failure))?;
        }
        Ok(())
    }

    /// Has every member finalize its replica; returns once all have.
    pub async fn finish(mut self) -> Result<LocatedBlock, PipelineFailure> {
        let finished = async {
            self.send_packet(Bytes::new(), true).await?;
            while self.unacknowledged > 0 {
                self.take_ack().await?;
            }
            Ok(())
        };
        match finished.await {
            Ok(()) => Ok(self.located),
            Err(failure) => Err(blame(&self.located, failure)),
        }
    }

    async fn send_packet(&mut self, data: Bytes, last: bool) -> Result<(), Failure> {
        while self.unacknowledged >= PACKETS_IN_FLIGHT_MAX {
            self.take_ack().await?;
        }
        let bytes = data.len() as u32;
        let packet =
            Packet { sequence: self.sequence, offset: self.sent, sync: last, last, data_crc: crc32c(&data), data };
        within(PACKET_TIMEOUT, self.stream.packets.send(packet)).await?;
        self.sequence += 1;
        self.sent += bytes;
        self.unacknowledged += 1;
        Ok(())
    }

    async fn take_ack(&mut self) -> Result<(), Failure> {
        within(PACKET_TIMEOUT, self.stream.acks.next()).await?;
        self.unacknowledged -= 1;
        Ok(())
    }
}
