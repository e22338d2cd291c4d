//! Deleted bytes are given back: when everything that may be deleted is, the disks have replicas of the blocks that the store
//! still has, as many as it says, and nothing else; and what is dead within them is little.

use crate::audit::Auditor;
use crate::os;
use crate::workload::{PLAIN, delete};
use granary_protocol::admin::{ClusterStatus, SpaceReport};

/// How long it may take.
const WITHIN_S: u64 = 120;

/// Deletes everything that may be deleted and waits for its space.
pub async fn check(auditor: &Auditor) {
    let history = &auditor.shared.history;
    for key in history.keys().keys() {
        if auditor.persist("delete", || delete(&auditor.client, PLAIN, key, None)).await.is_none() {
            history.violation(format!("{key} cannot be deleted though nothing is wrong any more"));
        }
    }
    let mut last = String::from("no namenode answers");
    let began = auditor.shared.now();
    while auditor.shared.now() < began + WITHIN_S * 1_000_000_000 {
        if let (Ok(status), Ok(space)) = (auditor.client.status().await, auditor.client.space().await) {
            match left_over(auditor, &status, &space) {
                None => return,
                Some(why) => last = why,
            }
        }
        auditor.pause().await;
    }
    history.violation(format!("space is not returned {WITHIN_S} s after everything was deleted: {last}"));
}

/// What is there and should not be.
fn left_over(auditor: &Auditor, status: &ClusterStatus, space: &SpaceReport) -> Option<String> {
    let of = |part: &str| {
        let files =
            auditor.shared.shape.datanode_hosts().flat_map(|host| os::with_disk(|disk| disk.files_with(host, part)));
        files.filter(|(path, _)| path.extension().is_none_or(|kind| kind != "crc")).count() as u64
    };
    let (files, live) = (of("/finalized/") + of("/rbw/"), status.redundancy.replicas_live);
    let dead = space.dead_bytes > space.block_bytes / 2 + (64 << 10);
    (files != live || dead).then(|| {
        let SpaceReport { content_bytes, block_bytes, dead_bytes, blocks, .. } = space;
        format!(
            "{files} replicas on the disks, {live} in the ledger; {blocks} blocks of {block_bytes} bytes, {dead_bytes} of \
             them dead, {content_bytes} of contents"
        )
    })
}
