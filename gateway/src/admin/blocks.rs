//! Where an object's bytes are, and whether each replica is good: every checksum is read and checked for the answer.

use super::json::Json;
use super::refusal::Refused;
use super::signed::Signed;
use crate::error::S3Error;
use crate::request;
use crate::server::GatewayState;
use axum::extract::State;
use futures_util::stream::{self, StreamExt};
use granary_protocol::admin::{BlockAnswer, BlockDescription, BlocksAnswer, GroupAnswer, MemberAnswer, ReplicaAnswer};
use granary_protocol::block::{BlockKind, LocatedBlock, ReplicaLocation};
use granary_protocol::datanode::{DatanodeReply, DatanodeRequest};
use granary_protocol::redundancy::{CodingSource, LocatedGroup, RedundancyPolicy};
use granary_protocol::{BucketName, ObjectKey};
use std::sync::Arc;

/// Blocks whose replicas are verified at once: reading whole replicas is what datanodes do worst beside serving.
const BLOCKS_AT_ONCE: usize = 4;

/// `GET /-/granary/v1/blocks?bucket=&key=[&verify=false]`
pub(super) async fn blocks(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<BlocksAnswer>, Refused> {
    let text = |name| signed.query.get(name).unwrap_or_default();
    let bucket = BucketName(request::BucketName::parse(text("bucket"))?.into_string());
    let key = ObjectKey(request::ObjectKey::parse(text("key"))?.into_string());
    let verify = match text("verify") {
        "" | "true" => true,
        "false" => false,
        other => return Err(S3Error::invalid_argument("verify must be true or false", "verify", other).into()),
    };
    let found = state.client.describe_blocks(bucket, key).await?;
    let blocks = stream::iter(found.blocks)
        .map(|block| list_block(&state, block, verify))
        .buffered(BLOCKS_AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    Ok(Json(BlocksAnswer { size: found.size, blocks }))
}

async fn list_block(state: &GatewayState, block: BlockDescription, verify: bool) -> BlockAnswer {
    let located = &block.located;
    let kind = match block.kind {
        BlockKind::Owned => "owned",
        BlockKind::Packed => "packed",
        BlockKind::Parity => "parity",
    };
    let mut replicas = Vec::with_capacity(located.replicas.len());
    for replica in &located.replicas {
        let checksum = match verify {
            true => verify_replica(state, located, replica).await,
            false => "unchecked".to_owned(),
        };
        replicas.push(ReplicaAnswer {
            datanode: replica.datanode.name.0.clone(),
            rack: replica.datanode.rack.0.clone(),
            host: replica.datanode.host.clone(),
            volume: replica.volume.0,
            checksum,
        });
    }
    // Who cannot tell of a group still tells of the block.
    let group = state.client.locate_group(located.block, 0, located.length).await.ok().flatten().map(list_group);
    BlockAnswer {
        group,
        block: located.block.0,
        generation: located.generation.0,
        kind: kind.to_owned(),
        sealed: block.sealed,
        object_offset: block.object_offset,
        length: block.length,
        block_offset: block.block_offset,
        block_length: located.length,
        replicas,
    }
}

fn list_group(group: LocatedGroup) -> GroupAnswer {
    let policy = RedundancyPolicy::ReedSolomon { data: group.data, parity: group.parity };
    let readable = group.readable() as u64;
    let replica = |replica: &ReplicaLocation| format!("{} {:016x}", replica.datanode.name, replica.volume.0);
    let member = |member: CodingSource| MemberAnswer {
        place: member.place,
        kind: if member.place < group.data { "data" } else { "parity" }.to_owned(),
        block: member.located.block.0,
        length: member.located.length,
        replicas: member.located.replicas.iter().map(replica).collect(),
    };
    GroupAnswer {
        group: group.group.0,
        policy: policy.to_string(),
        place: group.place,
        readable,
        others: group.others.into_iter().map(member).collect(),
    }
}

/// `good`, or why not.
async fn verify_replica(state: &GatewayState, located: &LocatedBlock, replica: &ReplicaLocation) -> String {
    let request = DatanodeRequest::Verify { volume: replica.volume, token: located.token.clone() };
    match state.datanodes.datanode(&replica.datanode).call(request).await {
        Ok(DatanodeReply::Verified { length }) if length >= located.length => "good".to_owned(),
        Ok(DatanodeReply::Verified { length }) => {
            format!("short: {length} of {} bytes", located.length)
        }
        Ok(DatanodeReply::Done) => "the datanode did not answer the question".to_owned(),
        Err(failure) => failure.to_string(),
    }
}
