//! TRANSFER_BLOCK: a datanode that failed out of a pipeline is replaced, and the newcomer needs what was written so far.
//!
//! This member writes its replica to the newcomers as a client would, up to what readers may have of it; the client then
//! continues the whole pipeline under a higher generation.

use super::checksum::ChunkChecksum;
use super::message::{
    BaseHeader, BlockOpResponse, ClientOperationHeader, OpTransferBlock, OpWriteBlock, PacketHeader, Stage, Status,
};
use super::mirror::{Mirror, MirrorAcks, MirrorPackets, forwarded};
use super::packet::{Packet, last_packet};
use super::read_block::{PACKET_DATA_BYTES, Pieces};
use super::server::{Connection, Next, Shared, refusal, token_of};
use crate::proto::ExtendedBlock;
use granary_datanode::ExtentSource;
use granary_protocol::token::AccessMode;
use granary_protocol::{ErrorCode, Failure, GenerationStamp};
use std::io;
use std::time::Duration;

/// How long a newcomer may take to accept or acknowledge a packet.
const PACKET_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves one request.
pub(super) async fn serve(connection: &mut Connection, shared: &Shared, request: OpTransferBlock) -> io::Result<Next> {
    let response = match transfer(connection, shared, request).await {
        Ok(()) => BlockOpResponse::success(),
        Err(failure) => refusal(&failure),
    };
    connection.respond(&response).await?;
    Ok(Next::Close)
}

async fn transfer(connection: &Connection, shared: &Shared, request: OpTransferBlock) -> Result<(), Failure> {
    let header = &request.header.base_header;
    let token = token_of(connection, shared, header.token.as_ref())?;
    if token.block().0 != header.block.block_id || token.mode != AccessMode::Write {
        return Err(Failure::new(ErrorCode::InvalidToken, "the block token is for something else"));
    }
    let source = shared.datanode.open_extent(GenerationStamp(header.block.generation_stamp), &token)?;
    let write = write_request(&request, &source);
    let Some((target, write)) = forwarded(&write) else {
        return Err(Failure::new(ErrorCode::Malformed, "a transfer without targets"));
    };
    let opened = Mirror::open(&*shared.known, &target, &write, shared.settings.setup_timeout, PACKET_TIMEOUT).await;
    let mirror = opened.map_err(|bad| Failure::new(ErrorCode::Unavailable, bad.message))?;
    let copied = tokio::try_join!(send(&source, mirror.packets), receive_acks(&source, mirror.acks));
    copied.map(|_| ()).map_err(|error| Failure::new(ErrorCode::Unavailable, error.to_string()))
}

/// The request to write the source's bytes, as the client of a pipeline of all targets makes it.
fn write_request(request: &OpTransferBlock, source: &ExtentSource) -> OpWriteBlock {
    let header = &request.header.base_header;
    let generation_stamp = source.generation().0.max(header.block.generation_stamp);
    let block = ExtendedBlock { generation_stamp, num_bytes: Some(source.length().into()), ..header.block.clone() };
    let stage = if source.is_finalized() { Stage::TransferFinalized } else { Stage::TransferRbw };
    OpWriteBlock {
        header: ClientOperationHeader {
            base_header: BaseHeader { block, token: header.token.clone() },
            client_name: request.header.client_name.clone(),
        },
        targets: request.targets.clone(),
        target_storage_types: request.target_storage_types.clone(),
        target_storage_ids: request.target_storage_ids.clone(),
        stage: stage as i32,
        pipeline_size: request.targets.len() as u32,
        max_bytes_rcvd: source.length().into(),
        latest_generation_stamp: generation_stamp,
        requested_checksum: ChunkChecksum::STORED.message(),
        ..OpWriteBlock::default()
    }
}

async fn send(source: &ExtentSource, mut packets: MirrorPackets) -> io::Result<()> {
    let length = source.length();
    let (mut offset, mut seqno) = (0, 0);
    if length > 0 {
        let mut pieces = Pieces::new(source.read(0, length).map_err(io::Error::other)?);
        while offset < length {
            let wanted = ((length - offset) as usize).min(PACKET_DATA_BYTES);
            let data = pieces.take(wanted).await.map_err(io::Error::other)?;
            let header = PacketHeader {
                offset_in_block: offset.into(),
                seqno,
                last_packet_in_block: false,
                data_len: data.len() as i32,
                sync_block: None,
            };
            packets.send_or_fail(&Packet::new(header, &ChunkChecksum::STORED.sums(&data), &data)).await?;
            offset += data.len() as u32;
            seqno += 1;
        }
    }
    packets.send_or_fail(&last_packet(seqno, length.into())).await
}

async fn receive_acks(source: &ExtentSource, mut acks: MirrorAcks) -> io::Result<()> {
    let packets = (source.length() as usize).div_ceil(PACKET_DATA_BYTES) as i64;
    for seqno in 0..=packets {
        let ack = acks.next(seqno).await?;
        if ack.reply.iter().any(|status| *status != Status::Success as i32) {
            return Err(io::Error::other("a target of the transfer failed"));
        }
    }
    Ok(())
}
