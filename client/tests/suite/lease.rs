//! A lease lost at the worst moments.

use crate::cluster::*;
use granary_client::ClientConfig;
use granary_protocol::{ErrorCode, GenerationStamp};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn small_contents_are_written_again_under_the_next_lease() {
    let cluster = Cluster::new(2, 2);
    let client = cluster.client_with(ClientConfig {
        pack_lanes_min: 1,
        pack_lanes_max: 1,
        compaction: false,
        ..ClientConfig::default()
    });
    put(&client, "before", &body(100, 1)).await.unwrap();
    let content = store(&client, None, &[body(100, 2)]).await.unwrap();
    cluster.state().leases.clear();
    commit(&client, "between", content).await.unwrap();
    put(&client, "after", &body(100, 3)).await.unwrap();
    for (key, seed) in [("before", 1), ("between", 2), ("after", 3)] {
        assert_eq!(get(&client, key).await.unwrap(), body(100, seed));
    }
    let state = cluster.state();
    let leases: Vec<_> = state.blocks.values().map(|block| block.lease).collect();
    assert_eq!(leases.len(), 2);
    assert_ne!(leases[0], leases[1], "nothing is added to a block of the lost lease");
}

#[tokio::test(start_paused = true)]
async fn a_block_recovered_under_the_writer_is_given_up() {
    let cluster = Cluster::new(2, 2);
    let client = cluster.client();
    put(&client, "before", &body(100, 1)).await.unwrap();
    for replica in cluster.state().replicas.values_mut() {
        replica.generation = GenerationStamp(9);
    }
    cluster.state().blocks.values_mut().for_each(|block| block.generation = GenerationStamp(9));
    cluster.state().faults.refuse_commits = vec![ErrorCode::StaleGeneration];
    put(&client, "after", &body(100, 2)).await.unwrap();
    assert_eq!(get(&client, "before").await.unwrap(), body(100, 1));
    assert_eq!(get(&client, "after").await.unwrap(), body(100, 2));
}

#[tokio::test(start_paused = true)]
async fn a_large_content_of_a_lost_lease_is_a_retryable_error() {
    let cluster = Cluster::new(2, 2);
    let client = cluster.client();
    let large = body(9 << 20, 2);
    let content = store(&client, None, std::slice::from_ref(&large)).await.unwrap();
    cluster.state().leases.clear();
    assert_eq!(commit(&client, "k", content).await.unwrap_err().code, ErrorCode::Unavailable);
    put(&client, "k", &large).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_definite_refusal_is_handed_on() {
    let cluster = Cluster::new(2, 2);
    let client = cluster.client();
    cluster.state().faults.refuse_commits = vec![ErrorCode::PreconditionFailed];
    let content = store(&client, None, &[body(9 << 20, 2)]).await.unwrap();
    assert_eq!(commit(&client, "k", content).await.unwrap_err().code, ErrorCode::PreconditionFailed);
    settle().await;
    assert!(cluster.state().blocks.values().all(|block| block.abandoned), "its blocks are given back");
}

#[tokio::test(start_paused = true)]
async fn the_namenode_may_ask_for_a_block_to_be_sealed() {
    let cluster = Cluster::new(2, 2);
    let client = cluster.client();
    put(&client, "k", &body(100, 1)).await.unwrap();
    let open = *cluster.state().blocks.keys().next().unwrap();
    cluster.state().faults.seal = vec![open];
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(cluster.state().blocks[&open].sealed, Some(132));
    put(&client, "l", &body(100, 2)).await.unwrap();
    assert_eq!(cluster.state().blocks.len(), 2);
}
