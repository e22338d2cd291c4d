//! A datanode is emptied under load and goes: nobody notices.

use granary_tests::{MiniCluster, MiniClusterOptions, Pattern, S3, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const OBJECT_BYTES: u64 = 100_000;
const LARGE_BYTES: u64 = 20 << 20;
const VICTIM: &str = "datanode-2";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decommissioned_datanode_holds_nothing_that_counts() {
    let options = MiniClusterOptions { namenodes: 1, datanodes: 4, gateways: 1, racks: 2 };
    let cluster = MiniCluster::start(options).unwrap();
    let mut s3 = cluster.s3().unwrap();
    s3.create_bucket("data").await.unwrap();
    s3.put_pattern("data", "large", Pattern(7), LARGE_BYTES, |_| {}).await.unwrap().ok().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..4).map(|writer| tokio::spawn(write_until(cluster.s3().unwrap(), writer, stop.clone()))).collect();
    cluster.order(&["datanode", "decommission", VICTIM]).unwrap();
    eventually("the datanode to be empty", Duration::from_secs(600), || async {
        let status = cluster.admin(&["status"]).map_err(|error| error.to_string())?;
        let node = status["datanodes"].as_array().unwrap().iter().find(|node| node["name"] == VICTIM).unwrap();
        assert_eq!(node["intent"], "decommission");
        if node["blocks_left"] == 0 { Ok(()) } else { Err(node.to_string()) }
    })
    .await;
    eventually("the datanode to be said to be free", Duration::from_secs(180), || async {
        let status = cluster.order(&["status"]).map_err(|error| error.to_string())?;
        if status.contains("it may be stopped") { Ok(()) } else { Err(status) }
    })
    .await;
    cluster.kill(VICTIM).unwrap();
    eventually("the datanode to count as dead", Duration::from_secs(180), || async {
        let status = cluster.admin(&["status"]).map_err(|error| error.to_string())?;
        let dead = status["datanodes"].as_array().unwrap().iter().any(|node| node["live"] == false);
        if dead { Ok(()) } else { Err("all live".to_owned()) }
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let mut read_back = 0;
    for writer in writers {
        for (key, seed) in writer.await.unwrap() {
            s3.check_pattern("data", &key, Pattern(seed), OBJECT_BYTES, |_| {}).await.unwrap();
            read_back += 1;
        }
    }
    assert!(read_back > 0);
    s3.check_pattern("data", "large", Pattern(7), LARGE_BYTES, |_| {}).await.unwrap();
    let redundancy = cluster.admin(&["status"]).unwrap()["redundancy"].clone();
    assert_eq!(redundancy["missing_blocks"], 0, "{redundancy}");
    println!("{VICTIM} was emptied under load and killed; {read_back} acknowledged objects read back");
    cluster.restart(VICTIM).unwrap();
    cluster.order(&["datanode", "recommission", VICTIM]).unwrap();
    eventually("the datanode to be back", Duration::from_secs(180), || async {
        let status = cluster.admin(&["status"]).map_err(|error| error.to_string())?;
        let node = status["datanodes"].as_array().unwrap().iter().find(|node| node["name"] == VICTIM).unwrap().clone();
        if node["live"] == true && node["intent"] == "in-service" { Ok(()) } else { Err(node.to_string()) }
    })
    .await;
    let refused = cluster.order(&["datanode", "decommission", "nobody"]);
    assert!(format!("{:#}", refused.unwrap_err()).contains("no datanode is called"));
}

/// Writes without a pause; the keys and seeds that were acknowledged. Every write must be.
async fn write_until(mut s3: S3, writer: u64, stop: Arc<AtomicBool>) -> Vec<(String, u64)> {
    let mut acknowledged = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let seed = writer << 32 | acknowledged.len() as u64;
        let key = format!("load/{writer}/{}", acknowledged.len());
        let body = Pattern(seed).bytes(0, OBJECT_BYTES as usize);
        s3.put("data", &key, body).await.unwrap().ok().unwrap();
        acknowledged.push((key, seed));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    acknowledged
}
