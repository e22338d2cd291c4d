//! The compactor moves what is alive, nothing else, and nothing is lost on the way.

use crate::cluster::*;
use granary_client::ClientConfig;
use granary_protocol::{BlockId, VolumeId};
use std::time::Duration;

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
