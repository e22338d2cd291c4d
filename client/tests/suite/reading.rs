//! Reads: ranges, failing over at every kind of place, stale locations.

use crate::cluster::*;
use granary_protocol::{ErrorCode, VolumeId};
use std::time::Duration;

const MIB: usize = 1 << 20;

#[tokio::test(start_paused = true)]
async fn a_replica_that_fails_anywhere_is_replaced_at_the_byte() {
    let kinds = [
        ReadFaultKind::Fails("bad checksum"),
        ReadFaultKind::EndsEarly,
        ReadFaultKind::ServesTooMuch,
        ReadFaultKind::IsSilent,
    ];
    let body = body(5000, 9);
    for how in kinds {
        for after in [0, 1, 511, 512, 999, 1000, 1001, 4000, 4999] {
            let cluster = Cluster::new(3, 3);
            let client = cluster.client();
            put(&client, "k", &body).await.unwrap();
            for volume in [1, 2] {
                cluster.state().faults.reads.insert(VolumeId(volume), ReadFault { after, how });
            }
            assert!(get(&client, "k").await.unwrap() == body, "{how:?} after {after}");
            assert_eq!(cluster.state().located, 0, "a third replica was left");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_datanode_that_dies_mid_stream_is_not_noticed() {
    let cluster = Cluster::new(3, 2);
    let client = cluster.client();
    let body = body(200 * MIB, 4);
    put(&client, "k", &body).await.unwrap();
    cluster.state().faults.piece_bytes = MIB;
    let read = client.get_object("b".into(), "k".into(), None, range(0, None)).await.unwrap();
    let mut reader = client.read(read);
    let (mut bytes, mut pieces) = (Vec::new(), 0);
    while let Some(piece) = reader.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
        pieces += 1;
        if pieces == 125 {
            // The next block's stream is open already, and dies too.
            cluster.state().faults.dead.insert(VolumeId(1));
        }
    }
    assert!(bytes == body);
}

fn range(first: u64, last: Option<u64>) -> granary_protocol::namenode::Window {
    granary_protocol::namenode::Window::Range { first, last }
}

#[tokio::test(start_paused = true)]
async fn ranges_cross_blocks_and_pages_of_locations() {
    let cluster = Cluster::new(1, 1);
    let client = cluster.client();
    let body = body(400 * MIB, 4);
    put(&client, "k", &body).await.unwrap();
    cluster.state().faults.piece_bytes = MIB;
    let block = 128 * MIB as u64;
    for (first, last) in [(0, 0), (block - 1, block), (block, block), (5, 3 * block + 7), (3 * block - 1, 4 * block)] {
        let got = get_range(&client, "k", first, Some(last)).await.unwrap();
        assert!(got == body[first as usize..(last as usize + 1).min(body.len())], "{first}-{last}");
    }
    assert!(cluster.state().located > 0, "the fake locates two extents at a time");
}

#[tokio::test(start_paused = true)]
async fn moved_replicas_are_looked_up_again() {
    let cluster = Cluster::new(3, 1);
    let client = cluster.client();
    let body = body(5000, 9);
    put(&client, "k", &body).await.unwrap();
    let read = client.get_object("b".into(), "k".into(), None, range(0, None)).await.unwrap();
    {
        let mut state = cluster.state();
        let id = *state.blocks.keys().next().unwrap();
        let replica = state.replicas.remove(&(VolumeId(1), id)).unwrap();
        state.replicas.insert((VolumeId(3), id), replica);
        state.blocks.get_mut(&id).unwrap().volumes = vec![VolumeId(3)];
    }
    let mut reader = client.read(read);
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(bytes, body);
    assert_eq!(cluster.state().located, 1);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_comes_back_in_time_is_waited_for() {
    let cluster = Cluster::new(1, 1);
    let client = cluster.client();
    put(&client, "k", &body(5000, 9)).await.unwrap();
    cluster.state().faults.dead.insert(VolumeId(1));
    let revive = cluster.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        revive.state().faults.dead.clear();
    });
    assert_eq!(get(&client, "k").await.unwrap(), body(5000, 9));
}

#[tokio::test(start_paused = true)]
async fn a_lost_object_is_an_error_after_the_deadline() {
    let cluster = Cluster::new(1, 1);
    let client = cluster.client();
    put(&client, "k", &body(5000, 9)).await.unwrap();
    cluster.state().faults.dead.insert(VolumeId(1));
    let started = tokio::time::Instant::now();
    assert_eq!(get(&client, "k").await.unwrap_err().code, ErrorCode::Unavailable);
    assert!(started.elapsed() > Duration::from_secs(25) && started.elapsed() < Duration::from_secs(60));
}
