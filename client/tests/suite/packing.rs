//! Small contents: round trips, syncs shared, blocks rolled over, members lost.

use crate::cluster::*;
use bytes::Bytes;
use granary_client::ClientConfig;
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind};
use granary_protocol::record::{HEADER_BYTES, RecordHeader};
use granary_protocol::{ErrorCode, VolumeId};
use std::time::Duration;
use tokio::task::JoinSet;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

async fn put_many(
    client: &granary_client::Client,
    count: usize,
    size: impl Fn(usize) -> usize,
) -> Vec<(String, Bytes)> {
    let mut tasks = JoinSet::new();
    for index in 0..count {
        let (client, key, body) = (client.clone(), format!("k{index:05}"), body(size(index), index as u64));
        tasks.spawn(async move {
            put(&client, &key, &body).await.unwrap();
            (key, body)
        });
    }
    tasks.join_all().await
}

async fn check_all(client: &granary_client::Client, written: &[(String, Bytes)]) {
    for (key, body) in written {
        assert!(get(client, key).await.unwrap() == body, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_writers_share_blocks_and_syncs() {
    let cluster = Cluster::new(3, 3);
    cluster.state().faults.sync_takes = Duration::from_millis(1);
    let client = cluster.client();
    let written = put_many(&client, 500, |index| 1 + index * 37 % 20_000).await;
    {
        let state = cluster.state();
        assert!(state.syncs < 50, "{} syncs for 500 contents", state.syncs);
        assert!(state.blocks.len() <= 2, "one block a lane");
    }
    check_all(&client, &written).await;
}

#[tokio::test(start_paused = true)]
async fn a_block_is_records_and_nothing_else() {
    let cluster = Cluster::new(1, 1);
    let client = cluster.client();
    put_many(&client, 50, |index| 1 + index * 20_000).await;
    client.stop().await;
    let state = cluster.state();
    let mut records = 0;
    for (id, block) in &state.blocks {
        let replica = &state.replicas[&(VolumeId(1), *id)];
        assert!(replica.finalized && block.sealed == Some(replica.data.len() as u32), "stopping seals");
        let mut rest = &replica.data[..];
        while !rest.is_empty() {
            let header = RecordHeader::decode(rest).unwrap();
            let end = header.record_bytes() as usize;
            header.verify(&rest[HEADER_BYTES..end]).unwrap();
            assert!(state.contents.contains_key(&header.content));
            rest = &rest[end..];
            records += 1;
        }
    }
    assert_eq!(records, 50);
    assert!(state.leases.is_empty(), "stopping gives the lease back");
}

#[tokio::test(start_paused = true)]
async fn a_full_block_is_sealed_and_the_next_one_is_used() {
    let cluster = Cluster::new(1, 1);
    let client = cluster.client_with(ClientConfig {
        pack_lanes_min: 1,
        pack_lanes_max: 1,
        compaction: false,
        ..ClientConfig::default()
    });
    let large = body(8 * MIB, 1);
    for index in 0..20 {
        put(&client, &format!("k{index}"), &large).await.unwrap();
    }
    settle().await;
    {
        let state = cluster.state();
        let sealed: Vec<u32> = state.blocks.values().filter_map(|block| block.sealed).collect();
        assert_eq!(sealed.len(), 1);
        assert!(sealed[0] <= BLOCK_BYTES_MAX && sealed[0] > BLOCK_BYTES_MAX - 9 * MIB as u32, "{}", sealed[0]);
        assert_eq!(state.blocks.len(), 2, "one block was allocated ahead and used");
    }
    for index in 0..20 {
        assert!(get(&client, &format!("k{index}")).await.unwrap() == large);
    }
}

#[tokio::test(start_paused = true)]
async fn sizes_around_the_limits_come_back() {
    let cluster = Cluster::new(1, 1);
    cluster.state().faults.piece_bytes = MIB;
    let client = cluster.client();
    let sizes = [1, 16 * KIB - 1, 16 * KIB, 256 * KIB - 1, 256 * KIB, MIB - 32, MIB, MIB + 1, 8 * MIB, 8 * MIB + 1];
    for (index, size) in sizes.into_iter().enumerate() {
        for piece in [size, 777, 300 * KIB] {
            let body = body(size, index as u64);
            let mut pieces: Vec<Bytes> = body.chunks(piece.max(size / 3000)).map(Bytes::copy_from_slice).collect();
            pieces.insert(0, Bytes::new());
            for hint in [None, Some(size as u64)] {
                let content = store(&client, hint, &pieces).await.unwrap();
                commit(&client, "k", content).await.unwrap();
                assert!(get(&client, "k").await.unwrap() == body, "{size} bytes in pieces of {piece}");
            }
        }
    }
    assert!(store(&client, None, &[]).await.unwrap().is_none(), "no bytes, no content");
    let owned = |state: &State| state.blocks.values().filter(|block| block.kind == BlockKind::Owned).count();
    assert_eq!(owned(&cluster.state()), 6, "only what is larger than 8 MiB has blocks of its own");
}

#[tokio::test(start_paused = true)]
async fn a_member_lost_at_any_packet_costs_no_content() {
    for victim in 1..=3 {
        for packet in 0..25 {
            let cluster = Cluster::new(5, 3);
            let client = cluster.client();
            let first = put_many(&client, 10, |index| 1 + index * 300).await;
            cluster.state().faults.dies_at_packet = Some((VolumeId(victim), packet));
            let mut tasks = JoinSet::new();
            for index in 0..30usize {
                let client = client.clone();
                tasks.spawn(async move {
                    let (key, body) = (format!("n{index}"), body(1 + index * 23_000, 7 + index as u64));
                    put(&client, &key, &body).await.unwrap();
                    (key, body)
                });
            }
            let second = tasks.join_all().await;
            settle().await;
            check_all(&client, &first).await;
            check_all(&client, &second).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_is_left_behind() {
    let cluster = Cluster::new(4, 3);
    let client = cluster.client();
    put(&client, "before", &body(100, 1)).await.unwrap();
    cluster.state().faults.hangs_at_packet = Some((VolumeId(1), 0));
    put(&client, "after", &body(100, 2)).await.unwrap();
    settle().await;
    assert_eq!(get(&client, "before").await.unwrap(), body(100, 1));
    assert_eq!(get(&client, "after").await.unwrap(), body(100, 2));
    let state = cluster.state();
    let broken = state.blocks.values().find(|block| block.sealed.is_some()).expect("the broken block was sealed");
    assert!(!broken.volumes.contains(&VolumeId(1)), "without the member that hung");
    assert_eq!(broken.sealed, Some(132));
}

#[tokio::test(start_paused = true)]
async fn a_block_open_for_longer_than_its_token_lasts_survives_a_member() {
    let cluster = Cluster::new(4, 3);
    let client = cluster.client_with(ClientConfig {
        pack_lanes_min: 1,
        pack_lanes_max: 1,
        compaction: false,
        ..ClientConfig::default()
    });
    for minute in 0..12 {
        put(&client, &format!("k{minute}"), &body(100, minute)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    cluster.state().faults.write_tokens_expired = true;
    cluster.state().faults.dies_at_packet = Some((VolumeId(2), 0));
    put(&client, "after", &body(100, 99)).await.unwrap();
    settle().await;
    assert_eq!(cluster.state().blocks.values().next().unwrap().sealed, Some(12 * 132));
    for minute in 0..12 {
        assert_eq!(get(&client, &format!("k{minute}")).await.unwrap(), body(100, minute));
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_datanode_a_put_fails_in_bounded_time() {
    let cluster = Cluster::new(2, 2);
    cluster.state().faults.dead.extend([VolumeId(1), VolumeId(2)]);
    let failure = put(&cluster.client(), "k", &body(100, 1)).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Unavailable);
    assert!(cluster.state().objects.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_under_a_slow_datanode() {
    let cluster = Cluster::new(1, 1);
    cluster.state().faults.packet_takes = Duration::from_secs(1);
    let client = cluster.client_with(ClientConfig {
        pack_queue_bytes_max: 16 << 20,
        compaction: false,
        ..ClientConfig::default()
    });
    let written = put_many(&client, 64, |_| MIB).await;
    check_all(&client, &written).await;
}

#[tokio::test(start_paused = true)]
async fn an_aborted_content_leaves_nothing() {
    let cluster = Cluster::new(3, 3);
    let client = cluster.client();
    for size in [100, 20 * MIB] {
        let mut writer = client.writer(None, Default::default());
        writer.write(body(size, 1)).await.unwrap();
        writer.abort();
        let content = store(&client, None, &[body(size, 2)]).await.unwrap();
        drop(content);
    }
    settle().await;
    let state = cluster.state();
    assert!(state.objects.is_empty() && state.contents.is_empty());
    assert!(state.blocks.values().all(|block| block.abandoned || block.kind == BlockKind::Packed));
}

#[tokio::test(start_paused = true)]
async fn idle_lanes_seal_their_blocks() {
    let cluster = Cluster::new(1, 1);
    let client = cluster.client();
    put(&client, "k", &body(5, 1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert!(cluster.state().blocks.values().all(|block| block.sealed == Some(37)));
    put(&client, "l", &body(5, 2)).await.unwrap();
    assert_eq!(get(&client, "l").await.unwrap(), body(5, 2));
}
