//! Memory does not grow with the object: a large upload takes no more than a small one. `GRANARY_LARGE_MIB` sets the size
//! of the large one sent in a single PUT, `GRANARY_MULTIPART_MIB` of the large one sent in parts.

use granary_tests::{Pattern, Server};
use std::sync::Arc;

const MIB: u64 = 1 << 20;
const PART_BYTES: u64 = 64 * MIB;
/// Parts sent at once.
const UPLOADERS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_upload_takes_no_more_memory_than_a_small_one() {
    let large: u64 = std::env::var("GRANARY_LARGE_MIB").ok().map_or(2_000, |mib| mib.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut peaks = Vec::new();
    for mib in [200, large] {
        // A server of its own for each, so that one's peak is not the other's.
        let server = Server::start(&[&directory.path().join(mib.to_string())]).await.unwrap();
        let mut s3 = server.s3();
        s3.create_bucket("large").await.unwrap();
        s3.put_pattern("large", "object", Pattern(mib), mib * MIB, |_| {}).await.unwrap().ok().unwrap();
        s3.check_pattern("large", "object", Pattern(mib), mib * MIB, |_| {}).await.unwrap();
        peaks.push(server.memory("VmHWM").unwrap());
    }
    println!("peak of 200 MiB: {} MiB; of {large} MiB: {} MiB", peaks[0] / MIB, peaks[1] / MIB);
    assert!(peaks[1] < peaks[0] + 64 * MIB, "200 MiB took {} bytes, {large} MiB took {}", peaks[0], peaks[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_multipart_upload_takes_no_more_memory_than_a_small_one() {
    let large: u64 = std::env::var("GRANARY_MULTIPART_MIB").ok().map_or(2_000, |mib| mib.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut peaks = Vec::new();
    for mib in [200, large] {
        let server = Arc::new(Server::start(&[&directory.path().join(mib.to_string())]).await.unwrap());
        let mut s3 = server.s3();
        s3.create_bucket("large").await.unwrap();
        upload_in_parts(&server, Pattern(mib), mib * MIB).await;
        let uploaded = server.memory("VmHWM").unwrap();
        s3.check_pattern("large", "object", Pattern(mib), mib * MIB, |_| {}).await.unwrap();
        peaks.push(server.memory("VmHWM").unwrap());
        println!(
            "{mib} MiB in parts: {} MiB at the peak, {} when uploaded",
            peaks[peaks.len() - 1] / MIB,
            uploaded / MIB
        );
    }
    assert!(peaks[1] < peaks[0] + 64 * MIB, "200 MiB took {} bytes, {large} MiB took {}", peaks[0], peaks[1]);
}

async fn upload_in_parts(server: &Arc<Server>, pattern: Pattern, length: u64) {
    let mut s3 = server.s3();
    let upload: Arc<str> = s3.create_upload("large", "object").await.unwrap().into();
    let parts = length.div_ceil(PART_BYTES);
    let uploaders: Vec<_> = (0..UPLOADERS)
        .map(|uploader| {
            let (mut s3, upload) = (server.s3(), upload.clone());
            tokio::spawn(async move {
                let mut etags = Vec::new();
                for part in (uploader..parts).step_by(UPLOADERS as usize) {
                    let bytes = part * PART_BYTES..((part + 1) * PART_BYTES).min(length);
                    let sent = s3.upload_part(("large", "object", &upload), part + 1, pattern, bytes).await;
                    etags.push((part, sent.unwrap()));
                }
                etags
            })
        })
        .collect();
    let mut etags = Vec::new();
    for uploader in uploaders {
        etags.extend(uploader.await.unwrap());
    }
    etags.sort();
    let etags: Vec<String> = etags.into_iter().map(|(_, etag)| etag).collect();
    s3.complete_upload(("large", "object", &upload), &etags).await.unwrap().ok().unwrap();
}
