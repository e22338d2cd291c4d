//! A namenode whose directory is lost comes back with a copy of its metadata, and the datanodes' blocks are its own again.

use granary_tests::{MiniCluster, MiniClusterOptions, Pattern, eventually, run};
use std::fs;
use std::time::Duration;

const OBJECT_BYTES: u64 = 50_000;
const LARGE_BYTES: u64 = 20 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exported_metadata_is_imported_into_an_empty_directory() {
    let options = MiniClusterOptions { namenodes: 1, datanodes: 3, gateways: 1, racks: 1 };
    let cluster = MiniCluster::start(options).unwrap();
    let mut s3 = cluster.s3().unwrap();
    s3.create_bucket("data").await.unwrap();
    s3.put_pattern("data", "large", Pattern(7), LARGE_BYTES, |_| {}).await.unwrap().ok().unwrap();
    for number in 0..20 {
        let body = Pattern(number).bytes(0, OBJECT_BYTES as usize);
        s3.put("data", &format!("small/{number}"), body).await.unwrap().ok().unwrap();
    }
    let file = cluster.directory().join("backup.meta");
    let path = file.to_str().unwrap();
    let exported = cluster.order(&["metadata", "export", path]).unwrap();
    assert!(cluster.order(&["metadata", "export", path]).is_err(), "nothing is written over");
    // It takes the same directory into use twice only if nobody looks.
    let config = cluster.directory().join("namenode-1/config.toml");
    let config = config.to_str().unwrap();
    let import = |file: &str| run(&["admin", "metadata", "import", file, "--config", config], &[]);
    assert!(import(path).is_err(), "the directory is in use");

    cluster.kill("namenode-1").unwrap();
    let verified = run(&["admin", "metadata", "verify", "--config", config], &[]).unwrap();
    let hash = |text: &str| text.split("sha256 ").nth(1).unwrap()[..64].to_owned();
    let data = cluster.file().unwrap().namenodes[0].data.clone();
    fs::rename(&data, data.with_extension("lost")).unwrap();
    let mut altered = fs::read(&file).unwrap();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    let damaged = cluster.directory().join("damaged.meta");
    fs::write(&damaged, altered).unwrap();
    assert!(import(damaged.to_str().unwrap()).is_err(), "an altered file is refused");
    fs::remove_dir_all(&data).unwrap();
    let imported = import(path).unwrap();
    assert_eq!(hash(&imported), hash(&exported));
    assert!(verified.contains("good"));

    cluster.restart("namenode-1").unwrap();
    eventually("every block to be found again", Duration::from_secs(240), || async {
        let status = cluster.admin(&["status"]).map_err(|error| error.to_string())?;
        let redundancy = &status["redundancy"];
        let found = redundancy["missing_blocks"] == 0 && redundancy["under_replicated_blocks"] == 0;
        if found && redundancy["blocks"] != 0 { Ok(()) } else { Err(redundancy.to_string()) }
    })
    .await;
    let mut s3 = cluster.s3().unwrap();
    s3.check_pattern("data", "large", Pattern(7), LARGE_BYTES, |_| {}).await.unwrap();
    for number in 0..20 {
        s3.check_pattern("data", &format!("small/{number}"), Pattern(number), OBJECT_BYTES, |_| {}).await.unwrap();
    }
    eventually("writes to be taken", Duration::from_secs(240), || async {
        let mut s3 = cluster.s3().map_err(|error| error.to_string())?;
        let body = Pattern(99).bytes(0, OBJECT_BYTES as usize);
        s3.put("data", "new", body).await.and_then(|answer| answer.ok()).map(drop).map_err(|error| error.to_string())
    })
    .await;
    s3.check_pattern("data", "new", Pattern(99), OBJECT_BYTES, |_| {}).await.unwrap();
    println!("imported: {}", imported.lines().next().unwrap_or_default());
}
