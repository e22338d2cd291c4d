//! The compactor moves what is alive, nothing else, and nothing is lost on the way.

use crate::cluster::*;
use granary_client::ClientConfig;
use granary_protocol::{BlockId, ContentId, VolumeId};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn only_living_records_move() {
    let cluster = Cluster::new(3, 2);
    let writer = cluster.client_with(ClientConfig {
        pack_lanes_min: 1,
        pack_lanes_max: 1,
        compaction: false,
        ..ClientConfig::default()
    });
    for index in 0..200 {
        put(&writer, &format!("k{index}"), &body(1 + index * 997, index as u64)).await.unwrap();
    }
    writer.stop().await;
    let old: BlockId = *cluster.state().blocks.keys().next().unwrap();
    {
        let mut state = cluster.state();
        assert_eq!(state.blocks.len(), 1);
        for index in (0..200).filter(|index| index % 10 != 0) {
            let content = state.objects.remove(&format!("k{index}")).unwrap().unwrap();
            state.contents.remove(&content);
        }
        // One replica is damaged in the middle: the other one is read from there on.
        let replica = state.replicas.get_mut(&(VolumeId(1), old)).unwrap();
        let middle = replica.data.len() / 2;
        replica.data[middle] ^= 1;
        state.faults.compact = vec![old];
    }
    let compacting = cluster.client_with(ClientConfig::default());
    let wait = async {
        while cluster.state().contents.values().any(|extents| extents[0].block == old) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), wait).await.expect("every living record moves");
    for index in (0..200).step_by(10) {
        assert_eq!(get(&compacting, &format!("k{index}")).await.unwrap(), body(1 + index * 997, index as u64));
    }
    let state = cluster.state();
    let living: usize = (0..200).step_by(10).map(|index| 1 + index * 997 + 32).sum();
    let rewritten: usize =
        state.replicas.iter().filter(|((_, block), _)| *block != old).map(|(_, replica)| replica.data.len()).sum();
    assert_eq!(rewritten, 2 * living, "two replicas of the living records and nothing else");
}

#[tokio::test(start_paused = true)]
async fn small_files_are_packed_with_few_bytes_in_hand_and_no_faster_than_allowed() {
    const FILES: usize = 12;
    const FILE_BYTES: usize = 4 << 20;
    let cluster = Cluster::new(3, 2);
    let writer = cluster.client();
    for index in 0..FILES {
        put(&writer, &format!("k{index}"), &body(FILE_BYTES, index as u64)).await.unwrap();
    }
    writer.stop().await;
    let contents: Vec<ContentId> = cluster.state().objects.values().map(|content| content.unwrap()).collect();
    cluster.state().faults.small_files = contents;
    let rate = 1 << 20;
    let started = Instant::now();
    let packing = cluster.client_with(ClientConfig { compaction_bytes_per_second: rate, ..ClientConfig::default() });
    let wait = async {
        while cluster.state().relocated.len() < 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), wait).await.expect("both batches are packed");
    assert_eq!(cluster.state().relocated, [32 << 20, 16 << 20]);
    assert!(started.elapsed() >= Duration::from_secs(32), "{:?}", started.elapsed());
    for index in 0..FILES {
        assert!(get(&packing, &format!("k{index}")).await.unwrap() == body(FILE_BYTES, index as u64));
    }
}
