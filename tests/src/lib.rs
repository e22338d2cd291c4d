//! The harness of the cluster tests: real processes of the real binary, real sockets, real disks.
//!
//! [`Server`] is one `granary server`; [`MiniCluster`] is what `granary local up` starts, so that people can start the
//! same thing by hand. [`S3`] is a small client that signs with the AWS SDK's signer and hides nothing: tests see
//! every status. [`Pattern`] makes bytes that can be checked without being kept.

mod binary;
mod cluster;
mod pattern;
mod s3;
mod server;

pub use binary::{granary, run};
pub use cluster::{ClusterFile, MiniCluster, MiniClusterOptions};
pub use pattern::Pattern;
pub use s3::{Answer, S3};
pub use server::Server;

use std::time::{Duration, Instant};

/// Waits until `check` answers `Ok`; panics with its last complaint after `timeout`.
pub async fn eventually<T, F: Future<Output = Result<T, String>>>(
    what: &str,
    timeout: Duration,
    mut check: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        match check().await {
            Ok(value) => return value,
            Err(complaint) => assert!(Instant::now() < deadline, "waited {timeout:?} for {what}: {complaint}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
