//! Packs small files that Hadoop wrote: each has a block of its own at first, which many of them would be too many of.
//!
//! As compaction does: the bytes are written again as a record of a packed block under the content's own name, and the
//! namenode moves the content there if it is still as it was. The old block goes then.

use crate::error::{unavailable, unexpected};
use crate::reader::ContentReader;
use crate::shared::Shared;
use bytes::Bytes;
use futures_util::future::join_all;
use granary_protocol::namenode::{ContentMove, NamenodeReply, NamenodeRequest, SmallFile};
use granary_protocol::{ContentId, Failure};
use std::sync::Arc;
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
    let moves: Vec<ContentMove> =
        join_all(files.iter().map(|file| pack(shared, file))).await.into_iter().flatten().collect();
    if moves.is_empty() {
        return Err(unavailable("no small file could be packed"));
    }
    let packed = moves.len();
    // The lease under which the records' blocks are open; it may have changed since the claim.
    let lease = shared.lease.current().await?.id;
    match shared.namenode.call(NamenodeRequest::RelocateContents { lease, moves }).await? {
        NamenodeReply::Alive(happened) => {
            let moved = happened.into_iter().filter(|happened| *happened).count();
            info!(packed, moved, "small files packed");
            Ok(true)
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
            debug!(content = %ContentId(file.content.0), %failure, "a small file is not packed now");
            None
        }
    }
}

async fn read(shared: &Arc<Shared>, file: &SmallFile) -> Result<Vec<Bytes>, Failure> {
    let length = u64::from(file.located.extent.length);
    let mut reader = ContentReader::located(shared.clone(), vec![file.located.clone()], 0, length);
    let mut payload = Vec::new();
    while let Some(piece) = reader.next().await? {
        payload.push(piece);
    }
    Ok(payload)
}
