//! Disks that fail: what is lost is one replica, and after the third time the volume.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, Media};
use granary_protocol::checksum::crc32c;
use granary_protocol::datanode::Packet;
use granary_protocol::namenode::ReplicaChange;
use granary_protocol::{BlockId, ErrorCode, Failure, GenerationStamp};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::changes::{ChangeLog, Due};
use crate::config::VolumeConfig;
use crate::jobs::Jobs;
use crate::layout::ReplicaName;
use crate::open_replica::Purpose;
use crate::replica_writer::ReplicaWriter;
use crate::volume::{Volume, VolumeContext};
use crate::volumes::Volumes;

const GEN: GenerationStamp = GenerationStamp(1);

fn open_volume(directory: &tempfile::TempDir, changes: &Arc<ChangeLog>) -> Arc<Volume> {
    let context = VolumeContext {
        changes: changes.clone(),
        metrics: Arc::default(),
        reserved_bytes: Some(0),
        io_errors_max: 3,
        open_replicas_max: 2,
    };
    let config = VolumeConfig { path: directory.path().to_owned(), media: Media::Ssd };
    Volumes::open(&[config], &context).unwrap().all()[0].clone()
}

/// Writes one packet to a replica whose next sync fails; the failure that the writer sees.
async fn write_with_failing_sync(volume: &Arc<Volume>, block: BlockId, last: bool) -> Failure {
    let name = ReplicaName { block, generation: GEN, kind: BlockKind::Packed };
    let replica = volume.create(name, Purpose::Write).unwrap();
    replica.fail_next_sync.store(true, Ordering::Relaxed);
    let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let (writer, mut acks) = ReplicaWriter::new(
        volume.clone(),
        replica.clone(),
        BLOCK_BYTES_MAX,
        Jobs::here(CancellationToken::new(), false),
        place,
    );
    let data = Bytes::from_static(b"bytes");
    let packet = Packet { sequence: 0, offset: 0, sync: true, last, data_crc: crc32c(&data), data };
    writer.submit(packet.clone()).await.unwrap();
    let failure = acks.recv().await.unwrap().unwrap_err();
    // The kernel would say "fine" to the next sync; nobody may ask.
    assert!(writer.submit(Packet { sequence: 1, offset: 5, ..packet }).await.is_err());
    assert!(!replica.path.exists());
    failure
}

#[tokio::test]
async fn a_failed_sync_is_final_for_the_replica_and_three_are_for_the_volume() {
    let directory = tempfile::tempdir().unwrap();
    let changes = Arc::new(ChangeLog::default());
    let outbox = changes.add_outbox();
    let volume = open_volume(&directory, &changes);
    for block in 1..=3 {
        assert!(volume.failed().is_none());
        let failure = write_with_failing_sync(&volume, BlockId(block), block == 2).await;
        assert_eq!(failure.code, ErrorCode::DiskFailed);
        let corrupt = ReplicaChange::Corrupt(volume.id, BlockId(block), GEN);
        assert_eq!(outbox.take(10), Due::Changes(vec![corrupt]));
    }
    assert!(volume.failed().unwrap().contains("3 i/o errors"));
    assert!(volume.source(BlockId(1), GEN).is_err());
    let name = ReplicaName { block: BlockId(9), generation: GEN, kind: BlockKind::Owned };
    assert!(volume.create(name, Purpose::Write).is_err());
    assert!(volume.replica_reports().is_empty());
    assert_eq!(volume.used_bytes(), 0);
}

#[tokio::test]
async fn files_of_finalized_replicas_are_kept_open_only_so_many_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let volume = open_volume(&directory, &Arc::new(ChangeLog::default()));
    for block in 1..=5 {
        let name = ReplicaName { block: BlockId(block), generation: GEN, kind: BlockKind::Owned };
        let replica = volume.create(name, Purpose::Write).unwrap();
        replica.append(&mut replica.lock(), b"bytes").unwrap();
        volume.finalize(&replica, GEN, 5).unwrap();
        volume.open_files(name, 5).unwrap();
    }
    let kept: Vec<u64> = (1..=5).filter(|block| volume.files().get(BlockId(*block), GEN).is_some()).collect();
    assert_eq!(kept, [4, 5]);
    assert!(volume.files().get(BlockId(5), GenerationStamp(2)).is_none());
}
