//! What a door with a protocol of its own may do: write with overlaps, show bytes before they are durable, continue a
//! replica after its pipeline failed, read an extent as if it were a block.

use crate::support::*;
use granary_datanode::{Appender, Datanode, NewReplica, Piece};
use granary_protocol::block::{BlockKind, Extent};
use granary_protocol::namenode::ReplicaState;
use granary_protocol::token::{AccessMode, BlockToken};
use granary_protocol::*;

const NEXT: GenerationStamp = GenerationStamp(2);

async fn begin(node: &Datanode, block: BlockId) -> Appender {
    let new = NewReplica { volume: None, generation: GEN, copy: false };
    let mut appender = node.create_replica(new, &token(block, AccessMode::Write)).await.unwrap();
    appender.keep();
    appender
}

fn piece(offset: usize, data: &[u8]) -> Piece {
    Piece { offset: offset as u32, data: data.to_vec().into(), sums: None }
}

async fn bytes_of(node: &Datanode, block: BlockId, extent: Extent) -> Vec<u8> {
    let token = BlockToken::sign(&key(), extent, GEN, AccessMode::Read, UnixMillis(u64::MAX));
    let source = node.open_extent(GEN, &token).unwrap();
    assert_eq!(token.block(), block);
    if source.length() == 0 {
        return Vec::new();
    }
    let (mut stream, mut bytes) = (source.read(0, source.length()).unwrap(), Vec::new());
    while let Some(piece) = stream.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

fn whole(block: BlockId) -> Extent {
    Extent { block, offset: 0, length: granary_protocol::block::BLOCK_BYTES_MAX }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_seen_when_the_pipeline_has_them_and_sent_again_they_count_once() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let (block, data) = (BlockId(7), pattern(3_000));
    let appender = begin(&node, block).await;
    appender.write(vec![piece(0, &data[..700])], false).await.unwrap();
    assert_eq!(bytes_of(&node, block, whole(block)).await, b"");
    appender.acknowledged(700);
    assert_eq!(bytes_of(&node, block, whole(block)).await, &data[..700]);
    // The chunk that was short is sent again from its beginning, with its sums.
    let again = Piece {
        offset: 512,
        data: data[512..2_000].to_vec().into(),
        sums: Some(checksum::chunk_checksums(&data[512..2_000])),
    };
    appender.write(vec![again, piece(2_000, &data[2_000..])], false).await.unwrap();
    let gap = appender.write(vec![piece(3_001, b"x")], false).await.unwrap_err();
    assert_eq!(gap.code, ErrorCode::Malformed);
    appender.finalize().await.unwrap();
    assert_eq!(bytes_of(&node, block, whole(block)).await, data);
    let volume = node.volume_ids()[0];
    let done = |told: &Told| told.replicas.get(&(volume, block)).is_some_and(|r| r.state == ReplicaState::Finalized);
    cluster.namenode.wait("the finalized replica is reported", done).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_pipeline_is_continued_and_the_earlier_writer_is_shut_out() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let (block, data) = (BlockId(8), pattern(2_000));
    let first = begin(&node, block).await;
    first.write(vec![piece(0, &data[..1_500])], false).await.unwrap();
    first.acknowledged(600);
    let write = token_at(block, NEXT, AccessMode::Write);
    let short = node.resume_replica(GEN, NEXT, 1_600..=2_000, &write).await.err().unwrap();
    assert_eq!(short.code, ErrorCode::ReplicaNotFound);
    let second = node.resume_replica(GEN, NEXT, 1_000..=2_000, &write).await.unwrap();
    assert_eq!(second.written(), 1_000);
    let late = first.write(vec![piece(1_500, &data[1_500..])], false).await.unwrap_err();
    assert_eq!(late.code, ErrorCode::StaleGeneration);
    drop(first);
    second.write(vec![piece(900, &data[900..])], true).await.unwrap();
    assert_eq!(bytes_of(&node, block, whole(block)).await, data);
    drop(second);
    // What was synced outlives the process, at the generation of the second writer.
    node.stop().await;
    let node = cluster.node(&["a"]).await;
    assert_eq!(node.visible_bytes(block, NEXT).unwrap(), 2_000);
    node.close_replica(NEXT, GenerationStamp(3), 1_999, &token_at(block, NEXT, AccessMode::Write)).await.unwrap();
    assert_eq!(bytes_of(&node, block, whole(block)).await, &data[..1_999]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extent_reads_as_a_block_of_its_own() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let (block, data) = (BlockId(9), pattern(5_000));
    write(&node, block, BlockKind::Owned, pipeline(&node), &data).await;
    let extent = Extent { block, offset: 333, length: 1_234 };
    assert_eq!(bytes_of(&node, block, extent).await, &data[333..333 + 1_234]);
    let forged = BlockToken {
        extent: whole(block),
        ..BlockToken::sign(&key(), extent, GEN, AccessMode::Read, UnixMillis(u64::MAX))
    };
    assert_eq!(node.open_extent(GEN, &forged).err().unwrap().code, ErrorCode::InvalidToken);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_pipeline_never_opened_goes() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let block = BlockId(10);
    let new = NewReplica { volume: None, generation: GEN, copy: false };
    let appender = node.create_replica(new, &token(block, AccessMode::Write)).await.unwrap();
    drop(appender);
    node.stop().await;
    assert!(files(&cluster.path("a"), "").iter().all(|path| !path.to_str().unwrap().contains("blk_")));
}
