//! What a node makes of its files after it went down in the middle of something.

use std::fs;

use granary_protocol::block::BlockKind::{Owned, Packed};
use granary_protocol::datanode::{DatanodeReply, DatanodeRequest, DatanodeService};
use granary_protocol::namenode::{DatanodeCommand, ReplicaReport, ReplicaState};
use granary_protocol::token::AccessMode;
use granary_protocol::*;

use crate::support::*;

/// The volume's `VERSION` and empty directories, from a node that was started and stopped.
async fn formatted(cluster: &Cluster) -> VolumeId {
    let node = cluster.node(&["a"]).await;
    node.stop().await;
    node.volume_ids()[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_survive_a_restart() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a", "b"]).await;
    let data = pattern(100_000);
    write(&node, BlockId(1), Owned, pipeline(&node), &data).await;
    let packed = records(&[b"one", b"two", &data[..5000]]);
    let mut writer = Writer::open(&node, write_request(BlockId(2), Packed, pipeline(&node))).await.unwrap();
    writer.put(&packed, true, false).await.unwrap();
    let mut synced = Writer::open(&node, write_request(BlockId(3), Owned, pipeline(&node))).await.unwrap();
    synced.put(&data[..70_000], true, false).await.unwrap();
    synced.put(&data[70_000..70_001], true, false).await.unwrap();
    let (id, volumes) = (node.id(), node.volume_ids());
    node.stop().await;
    assert!(writer.put(b"late", true, false).await.is_err(), "a stopped node takes nothing");

    let again = cluster.node(&["a", "b"]).await;
    assert_eq!((again.id(), again.volume_ids()), (id, volumes.clone()));
    for volume in volumes {
        assert!(read(&again, volume, BlockId(1), 0, 100_000).await.unwrap() == data);
        assert_eq!(read(&again, volume, BlockId(2), 0, packed.len() as u32).await.unwrap(), packed);
        assert_eq!(read(&again, volume, BlockId(3), 0, 70_001).await.unwrap(), data[..70_001]);
        let report = |block, length, state| ReplicaReport { block: BlockId(block), generation: GEN, length, state };
        let expected = [
            report(1, 100_000, ReplicaState::Finalized),
            report(2, packed.len() as u32, ReplicaState::Recovering),
            report(3, 70_001, ReplicaState::Recovering),
        ];
        let reported = |told: &Told| expected.iter().all(|r| told.replicas.get(&(volume, r.block)) == Some(r));
        cluster.namenode.wait("full report after the restart", reported).await;
        let token = token(BlockId(2), AccessMode::Write);
        let length = packed.len() as u32 - 5032;
        let finalize =
            DatanodeRequest::Finalize { volume, generation: GenerationStamp(2), length, kind: Packed, token };
        assert_eq!(again.call(finalize).await, Ok(DatanodeReply::Done));
        let command = DatanodeCommand::Finalize {
            volume,
            block: BlockId(3),
            kind: Owned,
            generation: GenerationStamp(2),
            length: 69_999,
        };
        cluster.namenode.order(command);
        let finalized = |told: &Told| {
            let replica = told.replicas.get(&(volume, BlockId(3)));
            replica.is_some_and(|r| (r.state, r.length) == (ReplicaState::Finalized, 69_999))
        };
        cluster.namenode.wait("the ordered finalization", finalized).await;
    }
    assert!(files(&cluster.path("a").join("rbw"), "").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_replica_is_recovered_to_its_last_whole_record_wherever_it_was_cut() {
    let cluster = Cluster::new();
    let volume = formatted(&cluster).await;
    let payloads = [pattern(90), b"x".to_vec(), pattern(600), pattern(33)];
    let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    let ends: Vec<usize> = (0..=payloads.len()).map(|count| records(&payloads[..count]).len()).collect();
    let all = records(&payloads);
    // A replica for every length, half of them followed by preallocated zeros, and some by garbage.
    for cut in 0..=all.len() {
        let mut bytes = all[..cut].to_vec();
        match cut % 3 {
            1 => bytes.resize(cut + 4096, 0),
            2 => bytes.extend_from_slice(&[0xab; 100]),
            _ => {}
        }
        fs::write(cluster.path("a").join(format!("rbw/blk_{}_1.p", cut + 1)), bytes).unwrap();
    }
    let node = cluster.node(&["a"]).await;
    let last = BlockId(all.len() as u64 + 1);
    cluster.namenode.wait("report", |told| told.replicas.contains_key(&(volume, last))).await;
    for cut in 0..=all.len() {
        let block = BlockId(cut as u64 + 1);
        let expected = *ends.iter().rfind(|end| **end <= cut).unwrap() as u32;
        let report = cluster.namenode.told.lock().unwrap().replicas[&(volume, block)];
        assert_eq!((report.length, report.state), (expected, ReplicaState::Recovering), "cut at {cut}");
        if expected > 0 {
            assert_eq!(read(&node, volume, block, 0, expected).await.unwrap(), all[..expected as usize]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_bit_of_a_packed_replica_ends_its_recovery_there() {
    let cluster = Cluster::new();
    let volume = formatted(&cluster).await;
    let (first, second) = (pattern(40), pattern(50));
    let all = records(&[&first, &second]);
    let first_end = records(&[&first]).len();
    for bit in 0..all.len() * 8 {
        let mut bytes = all.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(cluster.path("a").join(format!("rbw/blk_{}_1.p", bit + 1)), bytes).unwrap();
    }
    let _node = cluster.node(&["a"]).await;
    let last = BlockId(all.len() as u64 * 8);
    cluster.namenode.wait("report", |told| told.replicas.contains_key(&(volume, last))).await;
    let told = cluster.namenode.told.lock().unwrap();
    for bit in 0..all.len() * 8 {
        let expected = if bit / 8 < first_end { 0 } else { first_end as u32 };
        assert_eq!(told.replicas[&(volume, BlockId(bit as u64 + 1))].length, expected, "bit {bit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owned_replica_is_worth_what_its_checksums_vouch_for() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let volume = node.volume_ids()[0];
    let data = pattern(5000);
    for block in 1..=4 {
        let mut writer = Writer::open(&node, write_request(BlockId(block), Owned, pipeline(&node))).await.unwrap();
        writer.put(&data[..4000], block != 1, false).await.unwrap();
        writer.put(&data[4000..], false, false).await.unwrap();
    }
    node.stop().await;
    let rbw = cluster.path("a").join("rbw");
    let damage = |name: &str, at: usize| {
        let mut bytes = fs::read(rbw.join(name)).unwrap();
        bytes[at] ^= 0x10;
        fs::write(rbw.join(name), bytes).unwrap();
    };
    damage("blk_3_1.o", 1024);
    damage("blk_4_1.o.crc", 3);
    let _again = cluster.node(&["a"]).await;
    let lengths: Vec<u32> = {
        let told = cluster.namenode.told.lock().unwrap();
        (1..=4).map(|block| told.replicas[&(volume, BlockId(block))].length).collect()
    };
    assert_eq!(lengths, [0, 4000, 1024, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_an_interrupted_finalization_is_survived() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let volume = node.volume_ids()[0];
    let data = pattern(3000);
    for block in 1..=6 {
        write(&node, BlockId(block), Owned, pipeline(&node), &data).await;
    }
    node.stop().await;
    let root = cluster.path("a");
    let (rbw, done) =
        (|name: &str| root.join("rbw").join(name), |b: u64, name: &str| root.join(format!("finalized/{b:02x}/{name}")));
    // 1: the sums were moved, the data was about to be.
    fs::rename(done(1, "blk_1_1.o"), rbw("blk_1_1.o")).unwrap();
    // 2: the sums were written and not moved, none of an earlier sync.
    fs::rename(done(2, "blk_2_1.o"), rbw("blk_2_1.o")).unwrap();
    fs::rename(done(2, "blk_2_1.o.crc"), rbw("blk_2_1.o.crc.new")).unwrap();
    // 3: the data is gone, its sums stayed behind a removal.
    fs::remove_file(done(3, "blk_3_1.o")).unwrap();
    // 4: the sums are gone. 5: the data is longer than its sums say.
    fs::remove_file(done(4, "blk_4_1.o.crc")).unwrap();
    fs::File::options().append(true).open(done(5, "blk_5_1.o")).unwrap().set_len(4000).unwrap();
    // 6: an older replica of the same block is still there.
    fs::write(rbw("blk_6_0.o"), b"old").unwrap();
    fs::write(root.join("tmp/blk_9_1.o"), b"half a copy").unwrap();

    let again = cluster.node(&["a"]).await;
    let told: Vec<(u64, u32, ReplicaState)> = {
        let told = cluster.namenode.told.lock().unwrap();
        told.replicas.values().map(|r| (r.block.0, r.length, r.state)).collect()
    };
    let expected =
        [(1, 3000, ReplicaState::Recovering), (2, 0, ReplicaState::Recovering), (6, 3000, ReplicaState::Finalized)];
    assert_eq!(told, expected);
    assert_eq!(read(&again, volume, BlockId(1), 0, 3000).await.unwrap(), data);
    assert_eq!(read(&again, volume, BlockId(6), 0, 3000).await.unwrap(), data);
    assert!(files(&root.join("tmp"), "").is_empty());
    assert_eq!(files(&root.join("corrupt"), ".o").len(), 2);
    assert!(files(&root, "blk_6_0.o").is_empty());
    again.stop().await;
    // Once more: what was recovered is recovered again.
    let third = cluster.node(&["a"]).await;
    assert_eq!(read(&third, volume, BlockId(1), 0, 3000).await.unwrap(), data);
}
