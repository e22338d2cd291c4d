//! Large contents: several blocks, members lost at any packet, memory.

use crate::cluster::*;
use bytes::Bytes;
use granary_protocol::block::BLOCK_BYTES_MAX;
use granary_protocol::{ErrorCode, VolumeId};
use std::time::Duration;

const MIB: usize = 1 << 20;

fn pieces(body: &Bytes) -> Vec<Bytes> {
    (0..body.len()).step_by(MIB).map(|at| body.slice(at..(at + MIB).min(body.len()))).collect()
}

async fn write_and_check(cluster: &Cluster, body: &Bytes, hint: Option<u64>) {
    let client = cluster.client();
    let content = store(&client, hint, &pieces(body)).await.unwrap();
    commit(&client, "k", content).await.unwrap();
    cluster.state().faults.piece_bytes = MIB;
    assert!(get(&client, "k").await.unwrap() == body);
    settle().await;
    let state = cluster.state();
    let used = &state.contents.values().next().unwrap();
    let lost: Vec<_> = state
        .blocks
        .iter()
        .filter(|(id, block)| !block.abandoned && !used.iter().any(|extent| extent.block == **id))
        .collect();
    assert!(lost.is_empty(), "{} blocks are neither used nor abandoned", lost.len());
}

#[tokio::test(start_paused = true)]
async fn a_large_content_fills_whole_blocks() {
    for (size, hint) in [(300 * MIB + 5, Some(300 * MIB as u64 + 5)), (256 * MIB, None), (130 * MIB, Some(9_000_000))] {
        let cluster = Cluster::new(2, 1);
        write_and_check(&cluster, &body(size, 3), hint).await;
        let state = cluster.state();
        let extents = state.contents.values().next().unwrap();
        assert_eq!(extents.len(), size.div_ceil(BLOCK_BYTES_MAX as usize));
        assert!(extents[..extents.len() - 1].iter().all(|extent| extent.length == BLOCK_BYTES_MAX));
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_lost_at_any_packet_leaves_the_bytes_exact() {
    let body = body(12 * MIB + 777, 5);
    for victim in 1..=3 {
        // 13 packets, the one that finalizes, and one that is never reached.
        for packet in 0..=15 {
            let cluster = Cluster::new(5, 3);
            cluster.state().faults.dies_at_packet = Some((VolumeId(victim), packet));
            write_and_check(&cluster, &body, Some(body.len() as u64)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_hangs_at_any_packet_leaves_the_bytes_exact() {
    let body = body(12 * MIB, 5);
    for packet in 0..=13 {
        let cluster = Cluster::new(4, 2);
        cluster.state().faults.hangs_at_packet = Some((VolumeId(1), packet));
        write_and_check(&cluster, &body, None).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_members_lost_one_after_the_other() {
    let body = body(140 * MIB, 5);
    let cluster = Cluster::new(5, 3);
    cluster.state().faults.dies_at_packet = Some((VolumeId(2), 20));
    let client = cluster.client();
    let mut writer = client.writer(None, Default::default());
    for (index, piece) in pieces(&body).into_iter().enumerate() {
        if index == 60 {
            assert!(cluster.state().faults.dead.contains(&VolumeId(2)));
            cluster.state().faults.dies_at_packet = Some((VolumeId(1), 3));
        }
        writer.write(piece).await.unwrap();
    }
    commit(&client, "k", writer.finish().await.unwrap()).await.unwrap();
    cluster.state().faults.piece_bytes = MIB;
    assert_eq!(cluster.state().faults.dead.len(), 2);
    assert!(get(&client, "k").await.unwrap() == body);
}

#[tokio::test(start_paused = true)]
async fn the_only_replica_lost_is_an_error_and_not_a_hole() {
    let cluster = Cluster::new(2, 1);
    cluster.state().faults.dies_at_packet = Some((VolumeId(1), 12));
    let failure = store(&cluster.client(), None, &pieces(&body(30 * MIB, 5))).await.err().unwrap();
    assert_eq!(failure.code, ErrorCode::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_slow_datanode_slows_the_writer() {
    let cluster = Cluster::new(1, 1);
    cluster.state().faults.packet_takes = Duration::from_secs(1);
    let client = cluster.client();
    let mut writer = client.writer(Some(100 * MIB as u64), Default::default());
    for written in 0..100 {
        writer.write(body(MIB, written)).await.unwrap();
        let taken = cluster.state().packets;
        assert!(written.saturating_sub(taken) <= 16, "{} MiB are in memory", written - taken);
    }
    assert_eq!(writer.finish().await.unwrap().unwrap().length(), 100 * MIB as u64);
}
