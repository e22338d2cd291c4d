//! Objects on volumes of the media that their class belongs on: archived ones move to the archive volumes, are read from
//! there while they are restored, and leave nothing behind when they are deleted. One process with two disks and two
//! archive volumes.

use bytes::Bytes;
use granary_tests::{Pattern, S3, Server, eventually};
use http::{Method, StatusCode};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// More than a packed object may have: it owns a block.
const LARGE_BYTES: u64 = 9 << 20;
const SMALL_BYTES: u64 = 300_000;
const PATIENCE: Duration = Duration::from_secs(120);

struct Store {
    disks: Vec<PathBuf>,
    archives: Vec<PathBuf>,
    server: Server,
    _scratch: TempDir,
}

impl Store {
    async fn start() -> Store {
        let scratch = tempfile::tempdir().unwrap();
        let named = |name: &str| (0..2).map(|n| scratch.path().join(format!("{name}-{n}"))).collect::<Vec<_>>();
        let (disks, archives) = (named("disk"), named("archive"));
        let mut arguments: Vec<&str> = Vec::new();
        for archive in &archives {
            arguments.extend(["--archive", archive.to_str().unwrap()]);
        }
        arguments.extend(["--class", "STANDARD=replicas-2", "--class", "GLACIER=replicas-2,archive"]);
        arguments.extend(["--coding-settle-s", "1", "--lifecycle-day-seconds", "2"]);
        let paths: Vec<&Path> = disks.iter().map(PathBuf::as_path).collect();
        let server = Server::start_with(&paths, &arguments).await.unwrap();
        Store { disks, archives, server, _scratch: scratch }
    }

    /// Waits until the large object's replicas are so many on the disks and so many on the archive volumes.
    async fn until_large_is(&self, on_disks: usize, on_archives: usize) {
        let found =
            |directories: &[PathBuf]| directories.iter().map(|directory| large_replicas(directory)).sum::<usize>();
        eventually("replicas to be where they belong", PATIENCE, || async {
            let found = (found(&self.disks), found(&self.archives));
            if found == (on_disks, on_archives) { Ok(()) } else { Err(format!("{found:?} on disks and archives")) }
        })
        .await;
    }

    async fn until_class_is(&self, key: &str, class: &str) {
        eventually("the object to change its class", PATIENCE, || async {
            let mut s3 = self.server.s3();
            let answer = s3.send(Method::HEAD, &format!("/cold/{key}"), &[], Bytes::new()).await;
            let answer = answer.map_err(|error| error.to_string())?;
            let found = answer.headers.get("x-amz-storage-class").map(|value| value.to_str().unwrap().to_owned());
            if found.as_deref() == Some(class) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

/// Finalized replicas of the large object in a volume.
fn large_replicas(directory: &Path) -> usize {
    let Ok(finalized) = std::fs::read_dir(directory.join("datanode/finalized")) else { return 0 };
    let files = finalized.flatten().filter_map(|bucket| std::fs::read_dir(bucket.path()).ok()).flatten().flatten();
    files.filter(|file| file.metadata().is_ok_and(|metadata| metadata.len() >= LARGE_BYTES)).count()
}

async fn put_rules(s3: &mut S3, actions: &str) {
    let body = format!(
        "<LifecycleConfiguration><Rule><ID>age</ID><Filter/><Status>Enabled</Status>{actions}</Rule>\
         </LifecycleConfiguration>"
    );
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body.as_bytes()) as u32;
    let digest = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, sum.to_be_bytes());
    let headers = [("x-amz-checksum-crc32", digest.as_str())];
    s3.send_with(Method::PUT, "/cold", &[("lifecycle", "")], &headers, body.into()).await.unwrap().ok().unwrap();
}

/// Restores an object and reads it, again and again until it can be read.
async fn restore_and_read(s3: &mut S3, key: &str, seed: u64, size: u64) {
    let body = "<RestoreRequest><Days>30</Days><GlacierJobParameters><Tier>Expedited</Tier></GlacierJobParameters>\
                </RestoreRequest>";
    let asked = s3.send(Method::POST, &format!("/cold/{key}"), &[("restore", "")], body.into()).await.unwrap();
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let answer = s3.get("cold", key).await.unwrap();
        if answer.status == StatusCode::OK {
            assert_eq!((answer.body.len() as u64, Pattern(seed).mismatch(0, &answer.body)), (size, None));
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{key} cannot be read: {:?}", answer.status);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_objects_move_to_archive_volumes_and_are_read_from_there() {
    let store = Store::start().await;
    let mut s3 = store.server.s3();
    s3.create_bucket("cold").await.unwrap();
    for (seed, (key, size)) in [("large", LARGE_BYTES), ("small", SMALL_BYTES)].into_iter().enumerate() {
        s3.put_pattern("cold", key, Pattern(seed as u64), size, |_| {}).await.unwrap().ok().unwrap();
    }
    store.until_large_is(2, 0).await;
    put_rules(&mut s3, "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>").await;
    store.until_class_is("large", "GLACIER").await;
    store.until_class_is("small", "GLACIER").await;
    store.until_large_is(0, 2).await;
    assert_eq!(s3.get("cold", "large").await.unwrap().element("Code").as_deref(), Some("InvalidObjectState"));
    restore_and_read(&mut s3, "large", 0, LARGE_BYTES).await;
    restore_and_read(&mut s3, "small", 1, SMALL_BYTES).await;
    let report = store.server.admin(&["class"]).unwrap();
    let glacier = report["classes"].as_array().unwrap().iter().find(|class| class["class"] == "GLACIER").unwrap();
    assert_eq!(
        (&glacier["media"], &glacier["has_media"], &glacier["other_media_bytes"]),
        (&"archive".into(), &true.into(), &0.into())
    );
    assert!(glacier["restore"].as_str().unwrap().contains("Expedited"), "{glacier}");
    assert!(store.server.command(&["class"]).unwrap().contains("replicas-2"));
    // Another class, another media: restored objects may be copied onto themselves.
    put_rules(&mut s3, "<Expiration><Days>3650</Days></Expiration>").await;
    let headers = [("x-amz-copy-source", "/cold/large"), ("x-amz-storage-class", "STANDARD")];
    s3.send_with(Method::PUT, "/cold/large", &[], &headers, Bytes::new()).await.unwrap().ok().unwrap();
    store.until_large_is(2, 0).await;
    for key in ["large", "small"] {
        s3.send(Method::DELETE, &format!("/cold/{key}"), &[], Bytes::new()).await.unwrap().ok().unwrap();
    }
    store.until_large_is(0, 0).await;
}
