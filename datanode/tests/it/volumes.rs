//! Directories: whose they are, that nobody else has them, what happens when they are full or fail.

use std::fs;
use std::path::Path;
use std::process::Command;

use granary_datanode::StartError;
use granary_protocol::block::BlockKind::{Owned, Packed};
use granary_protocol::datanode::{DatanodeService, PACKET_BYTES_MAX};
use granary_protocol::*;

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_belongs_to_one_process() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    let lock = cluster.path("a").join("lock");
    let held = || !Command::new("flock").arg("-n").arg(&lock).arg("true").status().unwrap().success();
    assert!(held(), "another process gets the lock");
    let second = cluster.try_node(config(&[cluster.path("a")])).await.err().unwrap();
    assert!(matches!(second, StartError::InUse { .. }), "{second}");
    node.stop().await;
    assert!(!held(), "the lock outlives the node");
    // `cat` holds the lock until its input ends.
    let mut other = Command::new("flock").arg(&lock).arg("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    while !held() {
        tokio::task::yield_now().await;
    }
    let refused = cluster.try_node(config(&[cluster.path("a")])).await.err().unwrap();
    assert!(matches!(refused, StartError::InUse { .. }), "{refused}");
    drop(other.stdin.take());
    other.wait().unwrap();
    cluster.node(&["a"]).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_that_do_not_belong_together_are_refused() {
    let cluster = Cluster::new();
    cluster.node(&["a", "b"]).await.stop().await;
    cluster.node(&["c"]).await.stop().await;
    let start = |names: &[&str]| {
        let paths: Vec<_> = names.iter().map(|name| cluster.path(name)).collect();
        cluster.try_node(config(&paths))
    };
    assert!(matches!(start(&["a", "c"]).await, Err(StartError::Mixed { .. })));
    fs::create_dir(cluster.path("copy")).unwrap();
    fs::copy(cluster.path("a").join("VERSION"), cluster.path("copy").join("VERSION")).unwrap();
    assert!(matches!(start(&["a", "copy"]).await, Err(StartError::Mixed { .. })));
    let version = cluster.path("b").join("VERSION");
    let text = fs::read_to_string(&version).unwrap();
    assert!(text.contains("cluster=test\n"), "{text}");
    fs::write(&version, text.replace("cluster=test", "cluster=other")).unwrap();
    assert!(matches!(start(&["a", "b"]).await, Err(StartError::Mixed { .. })));
    fs::write(&version, text.replace("layout_version=2", "layout_version=1")).unwrap();
    let newer = start(&["b"]).await.err().unwrap();
    assert!(newer.to_string().contains("layout version is 1"), "{newer}");
    fs::remove_file(&version).unwrap();
    assert!(matches!(start(&["b"]).await, Err(StartError::Unreadable { .. })));
    // A new volume joins those that are there.
    let grown = start(&["a", "new"]).await.unwrap();
    assert_eq!(grown.volume_ids().len(), 2);
    let invalid = granary_datanode::Config { volumes: vec![], ..config(&[]) };
    assert!(matches!(cluster.try_node(invalid).await, Err(StartError::InvalidConfig { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_speak_of_what_happened() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a"]).await;
    write(&node, BlockId(1), Owned, pipeline(&node), &pattern(1000)).await;
    let text = node.render_metrics();
    for line in
        ["written_bytes_total 1000", "replicas 1", "replicas_finalized_total 1", "volumes 1", "volumes_failed 0"]
    {
        assert!(text.contains(&format!("\ngranary_datanode_{line}\n")), "{line} in {text}");
    }
}

/// A small file system, gone with the value.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(path: &Path, mebibytes: u64) -> Option<SmallDisk<'_>> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={mebibytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).status();
        mounted.is_ok_and(|status| status.success()).then_some(SmallDisk(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_of_one_replica_and_passes() {
    let cluster = Cluster::new();
    let root = cluster.path("small");
    let Some(_disk) = SmallDisk::mount(&root, 200) else {
        eprintln!("SKIPPED: no right to mount a small file system; a full disk was not tested");
        return;
    };
    let node = cluster.node(&["small"]).await;
    let volume = node.volume_ids()[0];
    let data = pattern(1_000_000);
    write(&node, BlockId(1), Owned, pipeline(&node), &data).await;
    let mut open = Writer::open(&node, write_request(BlockId(2), Packed, pipeline(&node))).await.unwrap();
    // The open replica may still need what is left: nobody else gets a promise.
    let refused = node.write(write_request(BlockId(3), Owned, pipeline(&node))).await.err().unwrap();
    assert_eq!(refused.code, ErrorCode::DiskFull);
    open.put(&data, true, false).await.unwrap();
    // Somebody else takes the room that was promised.
    fs::write(root.join("ballast"), vec![1u8; 150 << 20]).unwrap();
    let piece = pattern(PACKET_BYTES_MAX);
    let failure = loop {
        match open.put(&piece, true, false).await {
            Ok(_) => {}
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.code, ErrorCode::DiskFull);
    assert_eq!(read(&node, volume, BlockId(1), 0, 1_000_000).await.unwrap(), data);
    assert_eq!(read(&node, volume, BlockId(2), 0, 1_000_000).await.unwrap(), data);
    fs::remove_file(root.join("ballast")).unwrap();
    drop(open);
    let recovering = async {
        while let Err(failure) = node.write(write_request(BlockId(4), Owned, pipeline(&node))).await {
            assert_eq!(failure.code, ErrorCode::DiskFull);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, recovering).await.expect("the volume recovers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_vanishes_takes_its_volume_out_of_service() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a", "b"]).await;
    write(&node, BlockId(1), Owned, pipeline(&node), b"data").await;
    fs::rename(cluster.path("a"), cluster.path("gone")).unwrap();
    let failed = |told: &Told| told.volumes.iter().filter(|volume| volume.failed.is_some()).count() == 1;
    cluster.namenode.wait("report of the failed volume", failed).await;
    let kept = |told: &Told| told.replicas.len() == 1;
    cluster.namenode.wait("a report without its replicas", kept).await;
    let (lost, good) = (node.volume_ids()[0], node.volume_ids()[1]);
    assert_eq!(read(&node, lost, BlockId(1), 0, 4).await.unwrap_err().code, ErrorCode::DiskFailed);
    assert_eq!(read(&node, good, BlockId(1), 0, 4).await.unwrap(), b"data");
}
