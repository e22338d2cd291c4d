//! Objects of a coded class: from three replicas to one and a half times their bytes, through losses and repair. One
//! process with nine volumes, which are its failure domains.

use granary_tests::{Pattern, Server, eventually};
use http::Method;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const VOLUMES: usize = 9;
const OBJECTS: u64 = 6;
/// More than a packed object may have: each owns a block.
const OBJECT_BYTES: usize = 9 << 20;
const QUICK: [&str; 4] = ["--coding-settle-s", "1", "--coding-patience-s", "60"];

struct Store {
    directories: Vec<PathBuf>,
    server: Server,
    _scratch: TempDir,
}

impl Store {
    async fn start() -> Store {
        let scratch = tempfile::tempdir().unwrap();
        let directories: Vec<PathBuf> = (0..VOLUMES).map(|n| scratch.path().join(format!("disk-{n}"))).collect();
        let paths: Vec<&Path> = directories.iter().map(PathBuf::as_path).collect();
        let server = Server::start_with(&paths, &QUICK).await.unwrap();
        Store { directories, server, _scratch: scratch }
    }

    fn class(&self) -> (Value, Value) {
        let report = self.server.admin(&["class"]).unwrap();
        let classes = report["classes"].as_array().unwrap();
        (classes.iter().find(|class| class["class"] == "STANDARD_IA").unwrap().clone(), report["groups"].clone())
    }

    /// Waits until all is coded, on nine domains, and nothing is left to do.
    async fn until_whole(&self, within: Duration) {
        eventually("every block to be coded and whole", within, || async {
            let (class, groups) = self.class();
            let (kept, stored) = (class["live_bytes"].as_u64().unwrap(), class["stored_bytes"].as_u64().unwrap());
            let whole = class["coded_blocks"] == OBJECTS && groups["members_live"] == 9 && groups["members_lost"] == 0;
            if whole && stored * 100 <= kept * 151 { Ok(()) } else { Err(format!("{class} {groups}")) }
        })
        .await;
    }

    /// Objects whose block has its only replica on this disk.
    fn replicas(&self, disk: usize) -> Vec<PathBuf> {
        let finalized = self.directories[disk].join("datanode/finalized");
        let mut found = Vec::new();
        for bucket in std::fs::read_dir(finalized).unwrap() {
            found.extend(std::fs::read_dir(bucket.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()));
        }
        found
    }

    /// Loses what is on these disks, behind the store's back.
    async fn lose(&mut self, disks: &[usize]) {
        self.server.kill().unwrap();
        for disk in disks {
            self.replicas(*disk).iter().for_each(|path| std::fs::remove_file(path).unwrap());
        }
        self.server.restart().await.unwrap();
    }

    async fn check_all(&self) {
        let mut s3 = self.server.s3();
        for number in 0..OBJECTS {
            let key = format!("object-{number}");
            s3.check_pattern("cold", &key, Pattern(number), OBJECT_BYTES as u64, |_| {}).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold_objects_are_coded_survive_three_losses_and_are_repaired() {
    let mut store = Store::start().await;
    let mut s3 = store.server.s3();
    s3.create_bucket("cold").await.unwrap();
    for number in 0..OBJECTS {
        let body = Pattern(number).bytes(0, OBJECT_BYTES);
        let headers = [("x-amz-storage-class", "STANDARD_IA")];
        let path = format!("/cold/object-{number}");
        s3.send_with(Method::PUT, &path, &[], &headers, body).await.unwrap().ok().unwrap();
    }
    store.until_whole(Duration::from_secs(300)).await;
    let blocks = store.server.admin(&["blocks", "s3://cold/object-0"]).unwrap();
    let group = &blocks["blocks"][0]["group"];
    assert_eq!((&group["policy"], &group["readable"]), (&Value::from("rs-6-3"), &Value::from(8)), "{blocks}");
    // What is surplus is no longer counted when its removal is ordered; the datanode hears of it with a heartbeat.
    eventually("one replica and its checksums on every disk", Duration::from_secs(120), || async {
        let files: Vec<usize> = (0..VOLUMES).map(|disk| store.replicas(disk).len()).collect();
        if files.iter().all(|files| *files == 2) { Ok(()) } else { Err(format!("{files:?}")) }
    })
    .await;
    let shown = store.server.command(&["class"]).unwrap();
    assert!(shown.contains("9 failure domains") && shown.contains("rs-6-3") && shown.contains("1.50"), "{shown}");
    store.check_all().await;

    store.lose(&[0, 3, 7]).await;
    store.check_all().await;
    store.until_whole(Duration::from_secs(300)).await;
    store.check_all().await;

    store.lose(&[1, 2, 3, 4]).await;
    // A server that has just started waits for its volumes' reports before it calls anything lost.
    eventually("an object to be called lost", Duration::from_secs(300), || async {
        let mut s3 = store.server.s3();
        for number in 0..OBJECTS {
            let answer = s3.get("cold", &format!("object-{number}")).await.map_err(|error| error.to_string())?;
            if answer.status == 503 {
                return Ok(());
            }
        }
        Err("all are read".to_owned())
    })
    .await;
    let (mut read, mut refused) = (0, 0);
    for number in 0..OBJECTS {
        let before = Instant::now();
        let answer = s3.get("cold", &format!("object-{number}")).await.unwrap();
        match answer.status.as_u16() {
            200 => {
                assert!(answer.body == Pattern(number).bytes(0, OBJECT_BYTES), "object-{number}");
                read += 1;
            }
            503 => {
                assert!(before.elapsed() < Duration::from_secs(25), "{:?}", before.elapsed());
                refused += 1;
            }
            other => panic!("object-{number} was answered {other}"),
        }
    }
    println!("four of nine lost: {read} objects read, {refused} refused in time");
    assert!(refused >= 1 && read >= 2 && refused <= 4, "{read} read, {refused} refused");
}
