//! Archived objects at another S3 endpoint: one store keeps its blocks in a bucket of another. They go, return for as long as
//! they are restored, and leave nothing behind; the endpoint may be away, or damage them, and the store may be killed.

use bytes::Bytes;
use granary_tests::{Pattern, S3, Server, eventually};
use http::{Method, StatusCode};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(240);
/// Of three parts at the target.
const LARGE_BYTES: u64 = 20 << 20;
const SMALL_BYTES: u64 = 300_000;
const PREFIX: &str = "kept/";

/// A store, and the one that keeps its archive.
struct Pair {
    disk: PathBuf,
    store: Server,
    target: Server,
    _scratch: TempDir,
}

impl Pair {
    async fn start() -> Pair {
        let scratch = tempfile::tempdir().unwrap();
        let [disk, elsewhere] = ["disk", "elsewhere"].map(|name| scratch.path().join(name));
        let class = ["--class", "STANDARD=replicas-1", "--class", "GLACIER=replicas-1"];
        let ages = ["--coding-settle-s", "1", "--lifecycle-day-seconds", "2"];
        let store = Server::start_with(&[&disk], &[class, ages].concat()).await.unwrap();
        let target = Server::start_with(&[&elsewhere], &["--class", "STANDARD=replicas-1"]).await.unwrap();
        target.s3().create_bucket("cold").await.unwrap();
        store.s3().create_bucket("own").await.unwrap();
        let secret = scratch.path().join("secret");
        std::fs::write(&secret, "granary-test-secret\n").unwrap();
        let pair = Pair { disk, store, target, _scratch: scratch };
        pair.set_target(&pair.target.address(), &secret).unwrap();
        pair
    }

    fn set_target(&self, address: &str, secret: &Path) -> anyhow::Result<String> {
        let (to, secret) = (format!("http://{address}"), secret.to_str().unwrap());
        let place = ["--to", &to, "--bucket", "cold", "--prefix", PREFIX];
        let keys = ["--access-key", "granary-test", "--secret-key-file", secret];
        self.store.command(&[&["archive-target", "set", "GLACIER"], &place[..], &keys].concat())
    }

    async fn put(&self, key: &str, seed: u64, size: u64) {
        let headers = [("x-amz-storage-class", "GLACIER")];
        let body = Pattern(seed).bytes(0, size as usize);
        let put = self.store.s3().send_with(Method::PUT, &format!("/own/{key}"), &[], &headers, body).await;
        put.unwrap().ok().unwrap();
    }

    fn status(&self) -> Result<Value, String> {
        let answer = self.store.admin(&["archive-target", "list"]).map_err(|error| format!("{error:#}"))?;
        Ok(answer["targets"][0].clone())
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        eventually(what, PATIENCE, || async {
            let status = self.status()?;
            if is_so(&status) { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    /// Waits until so many blocks are at the target and nowhere else.
    async fn until_away(&self, blocks: u64) {
        self.until("the blocks to be at the target alone", |status| {
            let none = ["here_too", "sending", "waiting", "wanted", "garbage"];
            status["blocks"] == blocks && none.iter().all(|figure| status[figure] == 0)
        })
        .await;
        eventually("the replicas to go", PATIENCE, || async {
            let left = replica_bytes(&self.disk);
            if left < LARGE_BYTES { Ok(()) } else { Err(format!("{left} bytes")) }
        })
        .await;
    }

    async fn kept(&self) -> Vec<String> {
        self.target.s3().list_all("cold", "").await.unwrap()
    }

    async fn restore(&self, key: &str, days: u32) -> StatusCode {
        let body = format!(
            "<RestoreRequest><Days>{days}</Days><GlacierJobParameters><Tier>Expedited</Tier></GlacierJobParameters>\
             </RestoreRequest>"
        );
        self.store
            .s3()
            .send(Method::POST, &format!("/own/{key}"), &[("restore", "")], body.into())
            .await
            .unwrap()
            .status
    }

    /// Restores an object and reads it; asks again where it expired before it was read.
    async fn restore_and_read(&self, key: &str, seed: u64, size: u64) {
        eventually("the object to be read", PATIENCE, || async {
            self.restore(key, 10).await;
            let answer = self.store.s3().get("own", key).await.map_err(|error| error.to_string())?;
            match answer.status {
                StatusCode::OK => {
                    assert_eq!((answer.body.len() as u64, Pattern(seed).mismatch(0, &answer.body)), (size, None));
                    Ok(())
                }
                status => Err(status.to_string()),
            }
        })
        .await;
    }

    async fn code_of(&self, key: &str) -> Option<String> {
        self.store.s3().get("own", key).await.unwrap().element("Code")
    }
}

/// Bytes of the finalized replicas of a volume.
fn replica_bytes(disk: &Path) -> u64 {
    let Ok(finalized) = std::fs::read_dir(disk.join("datanode/finalized")) else { return 0 };
    let files = finalized.flatten().filter_map(|bucket| std::fs::read_dir(bucket.path()).ok()).flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

async fn uploads_left(s3: &mut S3) -> usize {
    let answer = s3.send(Method::GET, "/cold", &[("uploads", "")], Bytes::new()).await.unwrap().ok().unwrap();
    answer.elements("UploadId").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_objects_go_elsewhere_and_return() {
    let mut pair = Pair::start().await;
    let refused = pair.set_target("169.254.169.254", &pair.disk.join("../secret")).unwrap_err().to_string();
    assert!(refused.contains("link-local"), "{refused}");
    assert!(!pair.store.command(&["archive-target", "list"]).unwrap().contains("granary-test-secret"));

    pair.put("large", 1, LARGE_BYTES).await;
    pair.put("small", 2, SMALL_BYTES).await;
    pair.until_away(2).await;
    let kept = pair.kept().await;
    assert!(kept.len() == 2 && kept.iter().all(|key| key.starts_with(PREFIX)), "{kept:?}");
    for key in ["large", "small"] {
        assert_eq!(pair.code_of(key).await.as_deref(), Some("InvalidObjectState"));
    }
    assert!(pair.store.command(&["class"]).unwrap().contains("GLACIER is kept at http://"));
    let health = pair.store.admin(&["status"]).unwrap();
    assert_eq!(health["redundancy"]["missing_blocks"], 0, "{health}");

    // The bytes return for as long as they are restored; nothing is lost by a restart meanwhile.
    pair.restore_and_read("large", 1, LARGE_BYTES).await;
    pair.store.kill().unwrap();
    pair.store.restart().await.unwrap();
    pair.restore_and_read("small", 2, SMALL_BYTES).await;
    pair.until_away(2).await;
    assert_eq!(pair.code_of("large").await.as_deref(), Some("InvalidObjectState"));

    // Damaged there: said so, and not served; mended there: read.
    let large = pair.largest_kept().await;
    let good = pair.target.s3().get("cold", &large).await.unwrap().ok().unwrap().body;
    let mut bad = good.to_vec();
    bad[LARGE_BYTES as usize / 2] ^= 1;
    pair.target.s3().put("cold", &large, bad.into()).await.unwrap().ok().unwrap();
    assert_eq!(pair.restore("large", 10).await, StatusCode::ACCEPTED);
    pair.until("the damage to be told", |status| status["failures"][0]["what"].to_string().contains("damaged")).await;
    assert_eq!(pair.code_of("large").await.as_deref(), Some("InvalidObjectState"));
    let head = pair.store.s3().send(Method::HEAD, "/own/large", &[], Bytes::new()).await.unwrap();
    assert_eq!(head.headers["x-amz-restore"], "ongoing-request=\"true\"");
    pair.target.s3().put("cold", &large, good).await.unwrap().ok().unwrap();
    pair.restore_and_read("large", 1, LARGE_BYTES).await;

    // Another class: the block is at home again, and its target forgets it.
    eventually("the object to leave its class", PATIENCE, || async {
        pair.restore("large", 10).await;
        let headers = [("x-amz-copy-source", "/own/large"), ("x-amz-storage-class", "STANDARD")];
        let copy = pair.store.s3().send_with(Method::PUT, "/own/large", &[], &headers, Bytes::new()).await;
        copy.and_then(|answer| answer.ok()).map(drop).map_err(|error| format!("{error:#}"))
    })
    .await;
    pair.until("the target to forget the block", |status| status["blocks"] == 1 && status["garbage"] == 0).await;
    let answer = pair.store.s3().get("own", "large").await.unwrap().ok().unwrap();
    assert_eq!((answer.body.len() as u64, Pattern(1).mismatch(0, &answer.body)), (LARGE_BYTES, None));

    let gone = pair.store.s3().send(Method::DELETE, "/own/small", &[], Bytes::new()).await.unwrap();
    gone.ok().unwrap();
    pair.until("the target to be empty", |status| status["blocks"] == 0 && status["garbage"] == 0).await;
    assert_eq!(pair.kept().await, Vec::<String>::new());
    assert_eq!(uploads_left(&mut pair.target.s3()).await, 0);
}

impl Pair {
    async fn largest_kept(&self) -> String {
        let mut sizes = Vec::new();
        for key in self.kept().await {
            let head = self.target.s3().send(Method::HEAD, &format!("/cold/{key}"), &[], Bytes::new()).await.unwrap();
            let length: u64 = head.headers["content-length"].to_str().unwrap().parse().unwrap();
            sizes.push((length, key));
        }
        sizes.into_iter().max().unwrap().1
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_target_is_away_or_the_store_is_killed() {
    let mut pair = Pair::start().await;
    pair.target.kill().unwrap();
    pair.put("first", 10, LARGE_BYTES).await;
    pair.until("the target to be missed", |status| {
        status["failures"][0]["what"].to_string().contains("connection") && status["waiting"] == 1
    })
    .await;
    // What could not be sent is here, and is restored from here.
    pair.restore_and_read("first", 10, LARGE_BYTES).await;
    pair.target.restart().await.unwrap();
    for seed in 11..15u64 {
        pair.put(&format!("next-{seed}"), seed, LARGE_BYTES).await;
        eventually("a block to be under way", PATIENCE, || async {
            let status = pair.status()?;
            let under_way = status["sending"].as_u64() > Some(0) || status["blocks"].as_u64() > Some(seed - 11);
            if under_way { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
        pair.store.kill().unwrap();
        pair.store.restart().await.unwrap();
    }
    pair.until_away(5).await;
    assert_eq!((pair.kept().await.len(), uploads_left(&mut pair.target.s3()).await), (5, 0));
    for seed in 11..15 {
        pair.restore_and_read(&format!("next-{seed}"), seed, LARGE_BYTES).await;
    }
    // A target that is removed gives everything back, and is forgotten.
    pair.store.command(&["archive-target", "remove", "GLACIER"]).unwrap();
    pair.until("the target to be forgotten", |status| status.is_null()).await;
    assert_eq!(pair.kept().await, Vec::<String>::new());
    pair.restore_and_read("first", 10, LARGE_BYTES).await;
}
