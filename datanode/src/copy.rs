//! Copies a finalized replica down a pipeline, as the namenode asked: verified reads on one side, a writer with a copy
//! token on the other.

use std::time::Duration;

use granary_protocol::block::{BlockKind, ReplicaLocation};
use granary_protocol::checksum::crc32c;
use granary_protocol::datanode::{
    AckSource, Packet, PacketSink, READ_PIECE_BYTES_MAX, ReadStream, WriteBlock, WriteStream,
};
use granary_protocol::token::BlockToken;
use granary_protocol::{BlockId, Failure, GenerationStamp, VolumeId};

use crate::datanode::Datanode;
use crate::error::ReplicaError;
use crate::pipeline::within;
use crate::read::open_read;
use crate::volume::ReplicaSource;

/// A copy to be made.
#[derive(Clone, Debug)]
pub(crate) struct CopyOrder {
    pub(crate) volume: VolumeId,
    pub(crate) block: BlockId,
    pub(crate) kind: BlockKind,
    pub(crate) generation: GenerationStamp,
    pub(crate) length: u32,
    pub(crate) targets: Vec<ReplicaLocation>,
    pub(crate) token: BlockToken,
}

/// Makes the copy; returns once the targets have finalized it.
///
/// # Errors
/// Whatever the replica or a target answered. The namenode plans anew from the reports; nothing is repeated here.
pub(crate) async fn copy(datanode: &Datanode, order: CopyOrder) -> Result<(), Failure> {
    let CopyOrder { volume, block, kind, generation, length, targets, token } = order;
    let source_volume = datanode.volume(volume)?;
    let source = source_volume.source(block, generation)?;
    if matches!(source, ReplicaSource::Open(_)) || source.name().generation != generation || source.length() != length {
        let reason = format!("no finalized replica of {length} bytes at generation {generation}");
        return Err(ReplicaError::NotFound { block, reason }.into());
    }
    let request = WriteBlock { block, generation, kind, pipeline: targets, token };
    let reading = open_read(source_volume, source, 0, length, datanode.node.jobs.clone());
    write_replica(datanode, request, reading, length).await?;
    datanode.node.metrics.replicas_copied.add(1);
    Ok(())
}

/// Writes `length` bytes, which come in full pieces but for the last, down a pipeline; returns once it has finalized them.
///
/// # Errors
/// Whatever the bytes' source or a target answered.
pub(crate) async fn write_replica(
    datanode: &Datanode,
    request: WriteBlock,
    reading: Box<dyn ReadStream>,
    length: u32,
) -> Result<(), Failure> {
    let block = request.block;
    let Some(first) = request.pipeline.first() else {
        return Err(ReplicaError::Malformed { block, reason: "a copy without targets".to_owned() }.into());
    };
    let (target, service) = (first.volume, datanode.service_of(first));
    let config = &datanode.node.config;
    let opening = within(Duration::from_millis(config.pipeline_open_timeout_ms), target, service.write(request));
    let WriteStream { packets, acks } = opening.await?;
    let patience = Duration::from_millis(config.pipeline_ack_timeout_ms);
    let packets_max = u64::from(length).div_ceil(READ_PIECE_BYTES_MAX as u64) + 1;
    tokio::try_join!(send(datanode, reading, packets, target, patience), receive(acks, packets_max, target, patience))?;
    Ok(())
}

async fn send(
    datanode: &Datanode,
    mut reading: Box<dyn ReadStream>,
    mut packets: Box<dyn PacketSink>,
    target: VolumeId,
    patience: Duration,
) -> Result<(), Failure> {
    let (mut sequence, mut offset) = (0, 0);
    loop {
        let piece = reading.next().await?;
        let last = piece.is_none();
        let data = piece.unwrap_or_default();
        let length = data.len() as u32;
        datanode.node.copies.take(u64::from(length)).await;
        let packet = Packet { sequence, offset, sync: last, last, data_crc: crc32c(&data), data };
        within(patience, target, packets.send(packet)).await?;
        if last {
            return Ok(());
        }
        sequence += 1;
        offset += length;
    }
}

async fn receive(
    mut acks: Box<dyn AckSource>,
    packets: u64,
    target: VolumeId,
    patience: Duration,
) -> Result<(), Failure> {
    for _ in 0..packets {
        within(patience, target, acks.next()).await?;
    }
    Ok(())
}
