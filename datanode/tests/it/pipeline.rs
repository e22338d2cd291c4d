//! Writing: round trips, order, failures of members.

use granary_protocol::block::BlockKind::{Owned, Packed};
use granary_protocol::datanode::{DatanodeReply, DatanodeRequest, DatanodeService, PACKETS_IN_FLIGHT_MAX};
use granary_protocol::namenode::ReplicaState;
use granary_protocol::token::AccessMode;
use granary_protocol::*;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_and_three_replicas_read_back_as_written() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a", "b", "c"]).await;
    let (near, far) = (cluster.node(&["d"]).await, cluster.node(&["e"]).await);
    let data = pattern(5 * (1 << 20) + 777);
    let remote = [pipeline(&node)[0].clone(), pipeline(&near)[0].clone(), pipeline(&far)[0].clone()];
    let pipelines = [(1, pipeline(&node)[..1].to_vec()), (2, pipeline(&node)), (3, remote.to_vec())];
    for (block, pipeline) in pipelines {
        let block = BlockId(block);
        write(&node, block, Owned, pipeline.clone(), &data).await;
        for member in &pipeline {
            let holder = [&node, &near, &far].into_iter().find(|node| node.id() == member.datanode.id).unwrap();
            assert!(read(holder, member.volume, block, 0, data.len() as u32).await.unwrap() == data);
            let key = (member.volume, block);
            let reported = |told: &Told| told.replicas.get(&key).is_some_and(|r| r.state == ReplicaState::Finalized);
            cluster.namenode.wait("report of the finalized replica", reported).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_replica_is_readable_up_to_its_synced_bytes_while_it_grows() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let (volume, block) = (node.volume_ids()[0], BlockId(1));
    let data = pattern(20_000);
    let mut writer = Writer::open(&node, write_request(block, Packed, pipeline(&node))).await.unwrap();
    let mut written = 0;
    // Sizes around the chunk boundary, so that short chunks are extended in every way.
    for size in [1, 510, 1, 1, 511, 513, 100, 412, 1024, 3, 5000, 1] {
        let ack = writer.put(&data[written..written + size], true, false).await.unwrap();
        written += size;
        assert_eq!(ack.synced_bytes as usize, written);
        assert_eq!(read(&node, volume, block, 0, written as u32).await.unwrap(), data[..written]);
        let last = read(&node, volume, block, written as u32 - 1, 1).await.unwrap();
        assert_eq!(last, data[written - 1..written]);
        let beyond = read(&node, volume, block, 0, written as u32 + 1).await.unwrap_err();
        assert_eq!(beyond.code, ErrorCode::ReplicaNotFound);
    }
    let unsynced = writer.put(&data[written..written + 9], false, false).await.unwrap();
    assert_eq!(unsynced.synced_bytes as usize, written);
    assert!(read(&node, volume, block, 0, written as u32 + 9).await.is_err());
    let mut open_read = node.read(read_request(volume, block, 3, 4000)).await.unwrap();
    writer.put(&data[written + 9..written + 20], true, true).await.unwrap();
    assert_eq!(open_read.next().await.unwrap().unwrap(), data[3..4003]);
    assert_eq!(read(&node, volume, block, 0, written as u32 + 20).await.unwrap(), data[..written + 20]);
    let data_file = &files(&cluster.path("a"), ".p")[0];
    assert_eq!(std::fs::metadata(data_file).unwrap().len() as usize, written + 20, "preallocated bytes are cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_in_flight_are_acknowledged_in_order() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a", "b"]).await;
    let block = BlockId(1);
    let mut stream = node.write(write_request(block, Packed, pipeline(&node))).await.unwrap();
    for round in 0..20u64 {
        for n in 0..PACKETS_IN_FLIGHT_MAX as u64 {
            let sequence = round * PACKETS_IN_FLIGHT_MAX as u64 + n;
            let bytes = pattern(100);
            stream.packets.send(packet(sequence, sequence as u32 * 100, &bytes, n % 3 == 1, false)).await.unwrap();
        }
        for n in 0..PACKETS_IN_FLIGHT_MAX as u64 {
            let ack = stream.acks.next().await.unwrap();
            assert_eq!(ack.sequence, round * PACKETS_IN_FLIGHT_MAX as u64 + n);
            if n % 3 == 1 {
                assert!(u64::from(ack.synced_bytes) >= (ack.sequence + 1) * 100);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_packets_end_the_pipeline_and_leave_what_was_good() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let volume = node.volume_ids()[0];
    let good = pattern(1000);
    let mut damaged = packet(1, 1000, b"data", true, false);
    damaged.data_crc ^= 1;
    let bad = [
        (damaged, ErrorCode::CorruptReplica),
        (packet(1, 999, b"data", true, false), ErrorCode::Malformed),
        (packet(2, 1000, b"data", true, false), ErrorCode::Malformed),
        (packet(1, 1000, &pattern((1 << 20) + 1), true, false), ErrorCode::Malformed),
    ];
    for (index, (bad, code)) in bad.into_iter().enumerate() {
        let block = BlockId(index as u64 + 1);
        let mut writer = Writer::open(&node, write_request(block, Owned, pipeline(&node))).await.unwrap();
        writer.put(&good, true, false).await.unwrap();
        writer.stream.packets.send(bad).await.unwrap();
        assert_eq!(writer.stream.acks.next().await.unwrap_err().code, code);
        assert_eq!(writer.stream.acks.next().await.unwrap_err().code, code);
        assert!(writer.stream.packets.send(packet(2, 1000, b"more", true, false)).await.is_err());
        assert_eq!(read(&node, volume, block, 0, 1000).await.unwrap(), good);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_cannot_be_reached_is_named() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let gone = cluster.node(&["b"]).await;
    let missing = pipeline(&gone)[0].clone();
    cluster.directory.0.lock().unwrap().remove(&gone.id());
    let request = write_request(BlockId(1), Owned, vec![pipeline(&node)[0].clone(), missing.clone()]);
    let failure = node.write(request).await.err().unwrap();
    assert_eq!(failure.code, ErrorCode::DownstreamFailed { volume: missing.volume });
    // The replica made here meanwhile goes again.
    until("the empty replica goes", || files(&cluster.path("a"), ".o").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn survivors_of_a_failed_pipeline_are_finalized_at_a_new_generation() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a", "b"]).await;
    let (block, next) = (BlockId(1), GenerationStamp(2));
    let data = pattern(3000);
    for (volume_index, cut, before) in [(0, 2000, false), (1, 3000, false), (1, 1313, true), (0, 3000, true)] {
        let volume = node.volume_ids()[volume_index];
        let block = BlockId(block.0 + u64::from(cut as u32) * 10 + u64::from(before));
        let mut writer = Writer::open(&node, write_request(block, Owned, pipeline(&node))).await.unwrap();
        writer.put(&data, true, before).await.unwrap();
        let finalize = |length, generation| DatanodeRequest::Finalize {
            volume,
            generation,
            length,
            kind: Owned,
            token: token(block, AccessMode::Write),
        };
        let more = node.call(finalize(3001, next)).await.unwrap_err();
        assert_eq!(more.code, ErrorCode::ReplicaNotFound);
        for _repeated in 0..2 {
            assert_eq!(node.call(finalize(cut, next)).await, Ok(DatanodeReply::Done));
        }
        let stale = node.call(finalize(cut, GEN)).await.unwrap_err();
        assert_eq!(stale.code, ErrorCode::StaleGeneration);
        assert_eq!(read(&node, volume, block, 0, cut).await.unwrap(), data[..cut as usize]);
        assert_eq!(read(&node, volume, block, 0, cut + 1).await.unwrap_err().code, ErrorCode::ReplicaNotFound);
        // The writer that was cut off learns it.
        if !before {
            assert!(writer.put(b"late", true, false).await.is_err());
        }
        let copied = DatanodeRequest::Verify { volume, token: token_at(block, next, AccessMode::Copy) };
        assert_eq!(node.call(copied).await, Ok(DatanodeReply::Verified { length: cut }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_fence_writers_and_readers() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let (volume, block) = (node.volume_ids()[0], BlockId(1));
    let open = |generation| {
        let token = token_at(block, generation, AccessMode::Write);
        node.write(granary_protocol::datanode::WriteBlock {
            generation,
            token,
            ..write_request(block, Owned, pipeline(&node))
        })
    };
    let mut first = Writer::open(&node, write_request(block, Owned, pipeline(&node))).await.unwrap();
    first.put(b"first", true, false).await.unwrap();
    assert_eq!(open(GEN).await.err().unwrap().code, ErrorCode::StaleGeneration);
    let mut second = open(GenerationStamp(2)).await.unwrap();
    assert!(first.put(b"late", true, false).await.is_err());
    second.packets.send(packet(0, 0, b"second", true, true)).await.unwrap();
    second.acks.next().await.unwrap();
    assert_eq!(read(&node, volume, block, 0, 6).await.unwrap(), b"second");
    let future =
        granary_protocol::datanode::ReadBlock { generation: GenerationStamp(3), ..read_request(volume, block, 0, 6) };
    assert_eq!(read_as(&node, future).await.unwrap_err().code, ErrorCode::ReplicaNotFound);
    assert_eq!(files(&cluster.path("a"), ".o").len(), 1, "the older replica is gone");
}
