//! A cluster of processes: placement over racks, death of a datanode in mid-stream, death of the leading namenode.

use granary_tests::{MiniCluster, MiniClusterOptions, Pattern, S3, eventually};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// One cluster for all of it: starting eight processes is the slow part, and a cluster that has been through one failure
/// must stand the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_its_word() {
    let cluster = Arc::new(MiniCluster::start(MiniClusterOptions::default()).unwrap());
    cluster.s3().unwrap().create_bucket("data").await.unwrap();
    three_blocks_on_three_datanodes_of_two_racks(&cluster).await;
    a_datanode_dies_during_an_upload(&cluster).await;
    a_datanode_dies_during_a_download(&cluster).await;
    the_leading_namenode_dies_during_writes(&cluster).await;
    everything_is_replicated_again(&cluster).await;
    let errors = cluster.error_lines();
    assert!(errors.is_empty(), "ERROR means that a human must look:\n{}", errors.join("\n"));
}

async fn three_blocks_on_three_datanodes_of_two_racks(cluster: &MiniCluster) {
    let mut s3 = cluster.s3().unwrap();
    s3.put_pattern("data", "large", Pattern(1), 300 * MIB, |_| {}).await.unwrap().ok().unwrap();
    let answer = cluster.admin(&["blocks", "s3://data/large"]).unwrap();
    let blocks = answer["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 3, "300 MiB are three blocks: {answer}");
    for block in blocks {
        let replicas = block["replicas"].as_array().unwrap();
        let distinct =
            |field: &str| replicas.iter().map(|replica| replica[field].to_string()).collect::<BTreeSet<_>>().len();
        assert_eq!((replicas.len(), distinct("datanode"), distinct("rack")), (3, 3, 2), "{block}");
        assert!(replicas.iter().all(|replica| replica["checksum"] == "good"), "{block}");
    }
    s3.check_pattern("data", "large", Pattern(1), 300 * MIB, |_| {}).await.unwrap();
}

/// A datanode that holds a replica of the object's first block.
fn holder(cluster: &MiniCluster, key: &str) -> String {
    let answer = cluster.admin(&["blocks", &format!("s3://data/{key}")]).unwrap();
    answer["blocks"][0]["replicas"][0]["datanode"].as_str().unwrap().to_owned()
}

async fn a_datanode_dies_during_an_upload(cluster: &Arc<MiniCluster>) {
    let sent = Arc::new(AtomicU64::new(0));
    let victim = "datanode-1";
    let mut s3 = cluster.s3().unwrap();
    let progress = sent.clone();
    let upload = tokio::spawn(async move {
        let progress = move |offset| progress.store(offset, Ordering::Relaxed);
        s3.put_pattern("data", "uploaded", Pattern(2), 1024 * MIB, progress).await.unwrap().ok().unwrap();
    });
    eventually("a part of the upload", Duration::from_secs(600), || async {
        let sent = sent.load(Ordering::Relaxed);
        if sent > 200 * MIB { Ok(()) } else { Err(format!("{sent} bytes sent")) }
    })
    .await;
    cluster.kill(victim).unwrap();
    upload.await.unwrap();
    let mut s3 = cluster.s3().unwrap();
    s3.check_pattern("data", "uploaded", Pattern(2), 1024 * MIB, |_| {}).await.unwrap();
    cluster.restart(victim).unwrap();
    live_datanodes(cluster, 4).await;
}

async fn a_datanode_dies_during_a_download(cluster: &Arc<MiniCluster>) {
    let victim = holder(cluster, "uploaded");
    let mut s3 = cluster.s3().unwrap();
    let mut killed = false;
    let progress = |offset| {
        if offset > 50 * MIB && !killed {
            killed = true;
            cluster.kill(&victim).unwrap();
        }
    };
    s3.check_pattern("data", "uploaded", Pattern(2), 1024 * MIB, progress).await.unwrap();
    assert!(killed, "the download was over before {victim} was killed");
    cluster.restart(&victim).unwrap();
    live_datanodes(cluster, 4).await;
}

async fn live_datanodes(cluster: &MiniCluster, wanted: usize) {
    eventually("datanodes to be live", Duration::from_secs(180), || async {
        let status = cluster.admin(&["status"]).map_err(|error| error.to_string())?;
        let live = status["datanodes"].as_array().unwrap().iter().filter(|node| node["live"] == true).count();
        if live == wanted { Ok(()) } else { Err(format!("{live} live")) }
    })
    .await;
}

async fn the_leading_namenode_dies_during_writes(cluster: &Arc<MiniCluster>) {
    let leader = cluster.leader().unwrap();
    let stop = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> =
        (0..8u64).map(|writer| tokio::spawn(write_until(cluster.s3().unwrap(), writer, stop.clone()))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.kill(&leader).unwrap();
    let killed = Instant::now();
    let mut probe = cluster.s3().unwrap();
    let resumed = loop {
        if probe.put("data", "probe", "x".into()).await.is_ok_and(|answer| answer.status.is_success()) {
            break killed.elapsed();
        }
        assert!(killed.elapsed() < Duration::from_secs(120), "writing does not resume");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(1, Ordering::Relaxed);
    let mut s3 = cluster.s3().unwrap();
    let mut checked = 0;
    for writer in writers {
        let (acknowledged, strange) = writer.await.unwrap();
        assert_eq!(strange, Vec::<String>::new(), "clients see retryable errors only");
        for (key, seed) in acknowledged {
            s3.check_pattern("data", &key, Pattern(seed), 10_000, |_| {}).await.unwrap();
            checked += 1;
        }
    }
    assert!(checked > 0);
    println!("writing resumed {resumed:?} after the leader died; {checked} acknowledged objects read back");
    cluster.restart(&leader).unwrap();
}

async fn write_until(mut s3: S3, writer: u64, stop: Arc<AtomicU64>) -> (Vec<(String, u64)>, Vec<String>) {
    let (mut acknowledged, mut strange) = (Vec::new(), Vec::new());
    let mut number = 0;
    while stop.load(Ordering::Relaxed) == 0 {
        let key = format!("failover/{writer}/{number}");
        let seed = writer << 32 | number;
        number += 1;
        match s3.put("data", &key, Pattern(seed).bytes(0, 10_000)).await {
            Ok(answer) if answer.status.is_success() => acknowledged.push((key, seed)),
            Ok(answer) if [500, 502, 503, 504].contains(&answer.status.as_u16()) => {
                tokio::time::sleep(Duration::from_millis(50)).await
            }
            Ok(answer) => strange.push(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body))),
            Err(error) => strange.push(format!("{error:#}")),
        }
    }
    (acknowledged, strange)
}

async fn everything_is_replicated_again(cluster: &MiniCluster) {
    live_datanodes(cluster, 4).await;
    eventually("full redundancy", Duration::from_secs(900), || async {
        let status = cluster.admin(&["status"]).map_err(|error| error.to_string())?;
        let redundancy = &status["redundancy"];
        if redundancy["under_replicated_blocks"] == 0 && redundancy["missing_blocks"] == 0 {
            Ok(())
        } else {
            Err(redundancy.to_string())
        }
    })
    .await;
}
