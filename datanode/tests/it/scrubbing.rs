//! The scrubber: damage that nobody has read yet is found, and restarts do not make it begin anew.

use granary_datanode::Config;
use granary_protocol::block::BlockKind::{Owned, Packed};
use granary_protocol::namenode::ReplicaChange;
use granary_protocol::*;

use crate::support::*;

/// Scrubs without a pause.
fn eager(cluster: &Cluster) -> Config {
    Config { scrub_bytes_per_second: u64::MAX, scrub_interval_ms: 1, ..config(&[cluster.path("a")]) }
}

fn flip_a_bit(cluster: &Cluster, name: &str, at: usize) {
    let path = files(&cluster.path("a"), name).pop().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(&path, &bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_that_nobody_read_is_found_and_reported() {
    let cluster = Cluster::new();
    let node = cluster.try_node(eager(&cluster)).await.unwrap();
    let volume = node.volume_ids()[0];
    let large = pattern((3 << 20) + 77);
    for (block, kind) in [(1, Owned), (2, Packed), (3, Owned)] {
        write(&node, BlockId(block), kind, pipeline(&node), &large).await;
    }
    flip_a_bit(&cluster, "blk_2_1.p", large.len() - 1);
    flip_a_bit(&cluster, "blk_3_1.o.crc", 16 + 9);
    for block in [2, 3] {
        let found = |told: &Told| told.changes.contains(&ReplicaChange::Corrupt(volume, BlockId(block), GEN));
        cluster.namenode.wait("the report of a damaged replica", found).await;
    }
    let rounds = node.metrics().scrub_rounds.get();
    let on = std::time::Instant::now();
    while node.metrics().scrub_rounds.get() < rounds + 2 {
        assert!(on.elapsed().as_secs() < 20, "the scrubber stopped");
        tokio::task::yield_now().await;
    }
    assert_eq!(node.metrics().replicas_corrupt.get(), 2, "the good one stays");
    assert_eq!(read(&node, volume, BlockId(1), 0, large.len() as u32).await.unwrap(), large);
    assert_eq!(files(&cluster.path("a"), ".p").len(), 1, "the bad one is kept in corrupt/");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_round_is_not_repeated_by_a_restart() {
    let cluster = Cluster::new();
    let patient = Config { scrub_interval_ms: 3_600_000, ..eager(&cluster) };
    let node = cluster.try_node(patient.clone()).await.unwrap();
    write(&node, BlockId(1), Owned, pipeline(&node), &pattern(5000)).await;
    let place = cluster.path("a").join("scrub");
    let on = std::time::Instant::now();
    while !std::fs::read_to_string(&place).is_ok_and(|text| text.contains("next=done")) {
        assert!(on.elapsed().as_secs() < 20, "the first round does not end");
        tokio::task::yield_now().await;
    }
    node.stop().await;
    let noted = std::fs::read_to_string(&place).unwrap();
    let node = cluster.try_node(patient).await.unwrap();
    // Long enough for several rounds of the eager kind: heartbeats are 20 ms apart.
    let heartbeats = cluster.namenode.told.lock().unwrap().heartbeats + 10;
    cluster.namenode.wait("ten heartbeats", |told| told.heartbeats >= heartbeats).await;
    assert_eq!(node.metrics().scrub_rounds.get(), 0);
    assert_eq!(std::fs::read_to_string(&place).unwrap(), noted);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pile_of_bad_replicas_is_bounded() {
    let cluster = Cluster::new();
    let node = cluster.try_node(Config { scrub_bytes_per_second: 0, ..eager(&cluster) }).await.unwrap();
    let volume = node.volume_ids()[0];
    for block in 1..=20 {
        write(&node, BlockId(block), Owned, pipeline(&node), &pattern(600)).await;
        flip_a_bit(&cluster, &format!("blk_{block}_1.o"), 5);
        read(&node, volume, BlockId(block), 0, 600).await.unwrap_err();
    }
    assert_eq!(files(&cluster.path("a").join("corrupt"), ".o").len(), 16);
    assert_eq!(files(&cluster.path("a").join("corrupt"), ".o.crc").len(), 16);
    assert_eq!(node.metrics().scrub_rounds.get(), 0, "0 bytes a second switches the scrubber off");
}
