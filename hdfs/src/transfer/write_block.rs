//! WRITE_BLOCK: a member of a pipeline becomes ready, in whatever stage the pipeline is, and takes packets.
//!
//! A block is begun at its generation. After a failure the client has the namenode raise the generation and continues
//! the replicas that are left under it; a replica of the old one is nobody's any more. Finalized replicas are never
//! appended to: the namenode gives a client that appends a new block.

use super::checksum::ChunkChecksum;
use super::message::{BlockOpResponse, OpWriteBlock, Stage, Status};
use super::mirror::{BadLink, Mirror, forwarded};
use super::receiver::{Ending, Receiver};
use super::server::{Connection, Shared, TransferSettings, refusal, token_of};
use crate::names;
use granary_datanode::{Appender, NewReplica};
use granary_protocol::token::{AccessMode, BlockToken};
use granary_protocol::{ErrorCode, Failure, GenerationStamp};
use std::io;

/// What this member is to do.
enum Local {
    /// Take packets.
    Receive(Appender, Ending),
    /// Nothing more: the replica is finalized.
    Closed,
}

/// Serves one request; the connection is of no further use.
pub(super) async fn serve(connection: &mut Connection, shared: &Shared, request: OpWriteBlock) -> io::Result<()> {
    let (local, mirror) = tokio::join!(open_local(connection, shared, &request), open_mirror(shared, &request));
    let local = match local {
        Ok(local) => local,
        Err(failure) => {
            tracing::info!(block = request.header.base_header.block.block_id, %failure, "a block is not written here");
            return connection.respond(&refusal(&failure)).await;
        }
    };
    let mirror = match mirror {
        Ok(mirror) => mirror,
        Err(BadLink { address, status, message }) => {
            tracing::info!(%address, message, "a pipeline could not be opened");
            if let Local::Receive(appender, _) = local {
                // Gone before the writer hears of it: it may begin the same block again at once.
                appender.leave().await;
            }
            let response =
                BlockOpResponse { first_bad_link: Some(address), ..BlockOpResponse::refusal(status, message) };
            return connection.respond(&response).await;
        }
    };
    let ready = BlockOpResponse { first_bad_link: Some(String::new()), ..BlockOpResponse::success() };
    let Local::Receive(mut appender, ending) = local else { return connection.respond(&ready).await };
    let Some(checksum) = ChunkChecksum::from_message(&request.requested_checksum) else {
        let unknown = BlockOpResponse::refusal(Status::ErrorInvalid, "unknown checksum");
        return connection.respond(&unknown).await;
    };
    appender.keep();
    connection.respond(&ready).await?;
    Receiver { appender, checksum, mirror, ending }.run(connection, &shared.settings).await
}

async fn open_mirror(shared: &Shared, request: &OpWriteBlock) -> Result<Option<Mirror>, BadLink> {
    let Some((target, request)) = forwarded(request) else { return Ok(None) };
    let TransferSettings { setup_timeout, ack_timeout, .. } = shared.settings;
    Mirror::open(&*shared.known, &target, &request, setup_timeout, ack_timeout).await.map(Some)
}

async fn open_local(connection: &Connection, shared: &Shared, request: &OpWriteBlock) -> Result<Local, Failure> {
    let header = &request.header.base_header;
    let token = token_of(connection, shared, header.token.as_ref())?;
    let malformed = |what: &str| Failure::new(ErrorCode::Malformed, what.to_owned());
    let stage = Stage::try_from(request.stage).map_err(|_| malformed("unknown stage"))?;
    let known = GenerationStamp(header.block.generation_stamp);
    let generation = match stage {
        Stage::PipelineSetupCreate | Stage::DataStreaming | Stage::TransferRbw | Stage::TransferFinalized => known,
        _ => GenerationStamp(request.latest_generation_stamp),
    };
    check_token(&token, header.block.block_id, generation)?;
    let bytes = |bytes: u64| u32::try_from(bytes).map_err(|_| malformed("more bytes than a block has"));
    let (fewest, most) = (bytes(request.min_bytes_rcvd)?, bytes(request.max_bytes_rcvd)?);
    let datanode = &shared.datanode;
    let create = |copy| {
        let volume = request.storage_id.as_deref().and_then(names::volume_of_storage_id);
        // A client may name a storage of another node after its pipeline has changed.
        let volume = volume.filter(|volume| datanode.volume_ids().contains(volume));
        datanode.create_replica(NewReplica { volume, generation, copy }, &token)
    };
    match stage {
        Stage::PipelineSetupCreate | Stage::DataStreaming => {
            create(false).await.map(|appender| Local::Receive(appender, Ending::Finalize))
        }
        Stage::TransferRbw => create(false).await.map(|appender| Local::Receive(appender, Ending::StayOpen)),
        Stage::TransferFinalized => create(true).await.map(|appender| Local::Receive(appender, Ending::Finalize)),
        Stage::PipelineSetupStreamingRecovery | Stage::PipelineSetupAppendRecovery => {
            let resumed = datanode.resume_replica(known, generation, fewest..=most, &token).await;
            resumed.map(|appender| Local::Receive(appender, Ending::Finalize))
        }
        Stage::PipelineCloseRecovery => {
            datanode.close_replica(known, generation, fewest, &token).await.map(|()| Local::Closed)
        }
        Stage::PipelineSetupAppend => Err(malformed("a finalized block is not appended to: ask for a new one")),
        Stage::PipelineClose => Err(malformed("no request has this stage")),
    }
}

/// A token is for one block, and for its generation then or an earlier one: whoever was left behind by a recovery
/// cannot reach the generation that it made.
fn check_token(token: &BlockToken, block: u64, generation: GenerationStamp) -> Result<(), Failure> {
    match token.block().0 == block && token.mode == AccessMode::Write && generation <= token.generation {
        true => Ok(()),
        false => Err(Failure::new(ErrorCode::InvalidToken, "the block token is for something else")),
    }
}
