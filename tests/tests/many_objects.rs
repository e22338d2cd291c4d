//! Many small objects: loaded, listed in order, deleted, and their space given back by itself.
//! `GRANARY_OBJECTS` sets how many; the claim is made for a million.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use granary_tests::{Pattern, S3, Server, eventually};
use http::Method;
use std::time::{Duration, Instant};

const WRITERS: u64 = 32;
const OBJECT_BYTES: usize = 1024;
/// Metadata that does not depend on what is stored: one segment of the log and the engine's journal.
const METADATA_FIXED: u64 = 48 << 20;
/// What the process may take, whatever the number of objects.
const RSS_MAX: u64 = 400 << 20;

fn key(number: u64) -> String {
    format!("many/{:03}/{number:08}", number % 1000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_objects_are_loaded_listed_and_deleted_within_bounds() {
    let count: u64 = std::env::var("GRANARY_OBJECTS").ok().map_or(100_000, |count| count.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&[directory.path()]).await.unwrap();
    server.s3().create_bucket("many").await.unwrap();
    let empty = blocks_used(&server);

    let began = Instant::now();
    in_parallel(&server, move |mut s3, writer| async move {
        for number in (writer..count).step_by(WRITERS as usize) {
            s3.put("many", &key(number), Pattern(number).bytes(0, OBJECT_BYTES)).await.unwrap().ok().unwrap();
        }
    })
    .await;
    let loaded = began.elapsed();
    let resident = server.memory("VmRSS").unwrap();
    assert!(resident < RSS_MAX, "{} MiB resident with {count} objects", resident >> 20);

    let began = Instant::now();
    let mut s3 = server.s3();
    let listed = s3.list_all("many", "").await.unwrap();
    let listing = began.elapsed();
    let mut expected: Vec<String> = (0..count).map(key).collect();
    expected.sort();
    assert!(listed == expected, "the listing has {} keys, or is out of order", listed.len());
    for number in (0..count).step_by(count as usize / 500 + 1) {
        s3.check_pattern("many", &key(number), Pattern(number), OBJECT_BYTES as u64, |_| {}).await.unwrap();
    }

    let began = Instant::now();
    in_parallel(&server, move |mut s3, writer| async move {
        let mine: Vec<u64> = (writer..count).step_by(WRITERS as usize).collect();
        for page in mine.chunks(1000) {
            delete_all(&mut s3, page).await;
        }
    })
    .await;
    let deleted = began.elapsed();
    assert_eq!(s3.list_all("many", "").await.unwrap(), Vec::<String>::new());

    let began = Instant::now();
    let stored = count * OBJECT_BYTES as u64;
    eventually("the space to come back", Duration::from_secs(900), || async {
        let (blocks, metadata) = (blocks_used(&server), metadata_used(&server));
        let back = blocks <= empty + stored / 10 && metadata <= METADATA_FIXED + stored / 10;
        if back {
            Ok(())
        } else {
            Err(format!(
                "{} KiB of blocks ({} when empty) and {} KiB of metadata",
                blocks >> 10,
                empty >> 10,
                metadata >> 10
            ))
        }
    })
    .await;
    let peak = server.memory("VmHWM").unwrap();
    assert!(peak < RSS_MAX, "{} MiB at the peak with {count} objects", peak >> 20);
    println!(
        "{count} objects: loaded in {loaded:.1?}, listed in {listing:.1?}, deleted in {deleted:.1?}, space back after {:.1?}; {} MiB resident loaded, {} MiB at the peak",
        began.elapsed(),
        resident >> 20,
        peak >> 20
    );
}

/// Bytes that `granary admin df` says the volumes hold.
fn blocks_used(server: &Server) -> u64 {
    let space = server.admin(&["df"]).unwrap();
    space["volumes"].as_array().unwrap().iter().map(|volume| volume[1]["used_bytes"].as_u64().unwrap()).sum()
}

/// Bytes of the metadata, likewise.
fn metadata_used(server: &Server) -> u64 {
    server.admin(&["df"]).unwrap()["metadata_bytes"].as_u64().unwrap()
}

async fn in_parallel<F: Future<Output = ()> + Send + 'static>(server: &Server, work: impl Fn(S3, u64) -> F) {
    let workers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(work(server.s3(), writer))).collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

async fn delete_all(s3: &mut S3, numbers: &[u64]) {
    let objects: String =
        numbers.iter().map(|number| format!("<Object><Key>{}</Key></Object>", key(*number))).collect();
    let body = Bytes::from(format!("<Delete><Quiet>true</Quiet>{objects}</Delete>"));
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &body) as u32;
    let checksum = BASE64_STANDARD.encode(crc.to_be_bytes());
    let headers = [("x-amz-checksum-crc32", checksum.as_str())];
    let answer = s3.send_with(Method::POST, "/many", &[("delete", "")], &headers, body).await.unwrap().ok().unwrap();
    assert_eq!(answer.element("Error"), None);
}
