//! Memory does not grow with the object: a large upload takes no more than a small one. `GRANARY_LARGE_MIB` sets the size
//! of the large one.

use granary_tests::{Pattern, Server};

const MIB: u64 = 1 << 20;

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
