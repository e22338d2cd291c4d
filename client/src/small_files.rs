//! Packs small files that Hadoop wrote: each has a block of its own at first, which many of them would be too many of.
//!
//! As compaction does: the bytes are written again as a record of a packed block under the content's own name, and the
//! namenode moves the content there if it is still as it was. The old block goes then.

use crate::error::{unavailable, unexpected};
use crate::pace::batches;
use crate::reader::ContentReader;
use crate::shared::Shared;
use bytes::Bytes;
use futures_util::future::join_all;
use granary_protocol::Failure;
use granary_protocol::namenode::{ContentMove, NamenodeReply, NamenodeRequest, SmallFile};
use std::sync::Arc;
use tokio::time::Instant;
use tracing::{debug, info};

/// Packs some small files if the namenode has any for this client; whether there were.
pub(crate) async fn pack_some(shared: &Arc<Shared>) -> Result<bool, Failure> {
    let lease = shared.lease.current().await?.id;
    let files = match shared.namenode.call(NamenodeRequest::ClaimSmallFiles { lease }).await? {
        NamenodeReply::SmallFiles(files) => files,
        other => return Err(unexpected(&other)),
    };
    if files.is_empty() {
        return Ok(false);
    }
    let mut packed = 0;
    for batch in batches(files, bytes_of) {
        let started = Instant::now();
        let bytes = batch.iter().map(bytes_of).sum();
        packed += pack_batch(shared, batch).await?;
        shared.keep_to_rate(bytes, started).await;
    }
    match packed {
        0 => Err(unavailable("no small file could be packed")),
        _ => Ok(true),
    }
}

fn bytes_of(file: &SmallFile) -> u64 {
    u64::from(file.located.extent.length)
}

/// Packs files that are in memory together; how many were written again.
async fn pack_batch(shared: &Arc<Shared>, batch: Vec<SmallFile>) -> Result<usize, Failure> {
    let moves: Vec<ContentMove> =
        join_all(batch.iter().map(|file| pack(shared, file))).await.into_iter().flatten().collect();
    if moves.is_empty() {
        return Ok(0);
    }
    let packed = moves.len();
    // The lease under which the records' blocks are open; it may have changed since the claim.
    let lease = shared.lease.current().await?.id;
    match shared.namenode.call(NamenodeRequest::RelocateContents { lease, moves }).await? {
        NamenodeReply::Alive(happened) => {
            let moved = happened.into_iter().filter(|happened| *happened).count();
            info!(packed, moved, "small files packed");
            Ok(packed)
        }
        other => Err(unexpected(&other)),
    }
}

async fn pack(shared: &Arc<Shared>, file: &SmallFile) -> Option<ContentMove> {
    let packed = async {
        let payload = read(shared, file).await?;
        shared.packer(file.class).store(shared, payload, Some(file.content)).await
    };
    match packed.await {
        Ok(copy) => Some(ContentMove { content: file.content, from: file.located.extent, to: copy.extent }),
        Err(failure) => {
            debug!(content = %file.content, %failure, "a small file is not packed now");
            None
        }
    }
}

async fn read(shared: &Arc<Shared>, file: &SmallFile) -> Result<Vec<Bytes>, Failure> {
    let mut reader = ContentReader::located(shared.clone(), vec![file.located.clone()], 0, bytes_of(file));
    let mut payload = Vec::new();
    while let Some(piece) = reader.next().await? {
        payload.push(piece);
    }
    Ok(payload)
}
