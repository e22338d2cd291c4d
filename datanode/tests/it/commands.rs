//! What the namenode orders, and how it is told.

use std::sync::atomic::Ordering::Relaxed;

use granary_protocol::block::BlockKind::{Owned, Packed};
use granary_protocol::block::ReplicaLocation;
use granary_protocol::namenode::{DatanodeCommand, ReplicaChange, ReplicaState};
use granary_protocol::token::AccessMode;
use granary_protocol::*;

use crate::support::*;

fn copy(volume: VolumeId, block: BlockId, length: u32, targets: Vec<ReplicaLocation>) -> DatanodeCommand {
    let token = token(block, AccessMode::Copy);
    DatanodeCommand::Copy { volume, block, kind: Owned, generation: GEN, length, targets, token }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_copied_to_this_node_and_others() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a", "b"]).await;
    let other = cluster.node(&["c"]).await;
    let data = pattern((2 << 20) + 5);
    let block = BlockId(1);
    write(&node, block, Owned, pipeline(&node)[..1].to_vec(), &data).await;
    let targets = vec![pipeline(&node)[1].clone(), pipeline(&other)[0].clone()];
    for _repeated in 0..2 {
        cluster.namenode.order(copy(node.volume_ids()[0], block, data.len() as u32, targets.clone()));
    }
    for (holder, volume) in [(&node, targets[0].volume), (&other, targets[1].volume)] {
        let key = (volume, block);
        cluster.namenode.wait("report of the copy", |told| told.replicas.contains_key(&key)).await;
        assert!(read(holder, volume, block, 0, data.len() as u32).await.unwrap() == data);
    }
    assert!(files(&cluster.path("b").join("tmp"), "").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_corrupt_replica_leaves_nothing_behind() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a", "b"]).await;
    let (data, block) = (pattern((2 << 20) + 5), BlockId(1));
    write(&node, block, Owned, pipeline(&node)[..1].to_vec(), &data).await;
    let path = files(&cluster.path("a"), ".o").pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(2 << 20) + 1] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    cluster.namenode.order(copy(node.volume_ids()[0], block, data.len() as u32, vec![pipeline(&node)[1].clone()]));
    let corrupt = ReplicaChange::Corrupt(node.volume_ids()[0], block, GEN);
    cluster.namenode.wait("report of the damage", |told| told.changes.contains(&corrupt)).await;
    until("half a copy goes", || files(&cluster.path("b"), ".o").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_removed_up_to_the_generation_named() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let volume = node.volume_ids()[0];
    let (finalized, open) = (BlockId(1), BlockId(2));
    write(&node, finalized, Packed, pipeline(&node), &pattern(5000)).await;
    let mut writer = Writer::open(&node, write_request(open, Packed, pipeline(&node))).await.unwrap();
    writer.put(b"bytes", true, false).await.unwrap();
    read(&node, volume, finalized, 0, 10).await.unwrap();
    let remove = |generation| DatanodeCommand::Remove {
        volume,
        replicas: vec![(finalized, generation), (open, generation), (BlockId(77), generation)],
    };
    cluster.namenode.order(remove(GenerationStamp(0)));
    let before = cluster.namenode.told.lock().unwrap().heartbeats;
    cluster.namenode.wait("two more heartbeats", |told| told.heartbeats > before + 2).await;
    assert_eq!(read(&node, volume, finalized, 0, 5000).await.unwrap(), pattern(5000));
    cluster.namenode.order(remove(GEN));
    for block in [finalized, open] {
        let removed = ReplicaChange::Removed(volume, block, GEN);
        cluster.namenode.wait("removal", |told| told.changes.contains(&removed)).await;
    }
    assert!(files(&cluster.path("a"), ".p").is_empty());
    assert!(files(&cluster.path("a"), ".crc").is_empty());
    assert_eq!(writer.put(b"late", true, false).await.unwrap_err().code, ErrorCode::StaleGeneration);
    assert_eq!(read(&node, volume, finalized, 0, 1).await.unwrap_err().code, ErrorCode::ReplicaNotFound);
    cluster
        .namenode
        .wait("an empty volume", |told| told.volumes.iter().all(|v| (v.replicas, v.used_bytes) == (0, 0)))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registration_and_reports_are_repeated_when_the_namenode_forgets_or_loses_the_lead() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let volume = node.volume_ids()[0];
    write(&node, BlockId(1), Owned, pipeline(&node), b"one").await;
    cluster.namenode.wait("first replica", |told| told.replicas.len() == 1).await;
    cluster.namenode.told.lock().unwrap().replicas.clear();
    cluster.namenode.forget.store(true, Relaxed);
    let whole = |told: &Told| told.registrations == 2 && told.replicas.contains_key(&(volume, BlockId(1)));
    cluster.namenode.wait("a second registration with a full report", whole).await;

    cluster.namenode.follows.store(true, Relaxed);
    write(&node, BlockId(2), Owned, pipeline(&node), b"two").await;
    cluster.namenode.follows.store(false, Relaxed);
    let both =
        |told: &Told| told.replicas.get(&(volume, BlockId(2))).is_some_and(|r| r.state == ReplicaState::Finalized);
    cluster.namenode.wait("what happened meanwhile", both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_reports_come_in_pages() {
    let cluster = Cluster::new();
    cluster.node(&["a"]).await.stop().await;
    let root = cluster.path("a");
    for block in 0..12_000u64 {
        let path = root.join(format!("finalized/{:02x}/blk_{block}_1.o", block % 256));
        std::fs::write(&path, b"").unwrap();
        std::fs::write(path.with_extension("o.crc"), [0; 16]).unwrap();
    }
    let started = std::time::Instant::now();
    let _node = cluster.node(&["a"]).await;
    let took = started.elapsed();
    cluster.namenode.wait("all replicas", |told| told.replicas.len() == 12_000).await;
    assert!(took.as_secs() < 5, "starting with 12,000 replicas took {took:?}");
}
