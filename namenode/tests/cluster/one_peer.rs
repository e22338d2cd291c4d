//! A cluster of one: what it acknowledges is there after a stop and after a crash, leases end, the log stays short.

use crate::fake_datanode::FakeDatanode;
use crate::peers::{Cluster, wait_until};
use crate::writer::{BUCKET, Writer, create_bucket, get};
use granary_protocol::namenode::{DeleteTarget, NamenodeReply, NamenodeRequest, ReplicaReport, ReplicaState};
use granary_protocol::{BucketName, CanonicalId, ErrorCode, GenerationStamp, ObjectKey};
use std::path::Path;
use std::time::Duration;

async fn cluster_with_objects(count: usize) -> (Cluster, FakeDatanode, Writer) {
    let cluster = Cluster::started(1, |_| {}).await;
    create_bucket(&cluster).await;
    let datanode = FakeDatanode::new(&cluster, 1);
    datanode.register(0).await;
    let mut writer = Writer::new(&cluster, "gateway-1").await;
    for number in 0..count {
        writer.put(&cluster, &format!("object-{number}")).await.unwrap();
    }
    (cluster, datanode, writer)
}

#[tokio::test(flavor = "multi_thread")]
async fn state_and_soft_state_come_back_after_a_restart() {
    let (mut cluster, datanode, writer) = cluster_with_objects(50).await;
    assert_eq!(get(&cluster, "object-49").await.unwrap().extents[0].located.replicas.len(), 1);
    assert!(cluster.stop(0).await < Duration::from_secs(30));

    cluster.start(0).await;
    let read = get(&cluster, "object-49").await.unwrap();
    assert_eq!((read.object.size, read.extents.len()), (100, 1));
    assert!(read.extents[0].located.replicas.is_empty(), "no datanode has registered yet");

    // A block that is open in the state is found on its pipeline's volume as soon as that registers.
    assert_eq!(datanode.heartbeat(0).await, None);
    datanode.register(0).await;
    assert_eq!(get(&cluster, "object-0").await.unwrap().extents[0].located.replicas.len(), 1);

    // The lease outlived the restart, too.
    let renewed = cluster.ask_leader(NamenodeRequest::RenewLease { lease: writer.lease }).await.unwrap();
    assert!(matches!(renewed, NamenodeReply::LeaseRenewed { .. }));
    cluster.ask_leader(NamenodeRequest::CloseLease { lease: writer.lease }).await.unwrap();
    let read = get(&cluster, "object-0").await.unwrap();
    let located = &read.extents[0].located;
    let sealed = ReplicaReport {
        block: located.block,
        generation: located.generation,
        length: located.length,
        state: ReplicaState::Finalized,
    };
    assert_eq!(sealed.generation, GenerationStamp(2), "a closed lease fences its writer");
    datanode.report(0, vec![sealed]).await.unwrap();
    let NamenodeReply::Status(status) = cluster.ask_leader(NamenodeRequest::Status).await.unwrap() else { panic!() };
    assert_eq!((status.redundancy.replicas_live, status.redundancy.missing_blocks, status.objects), (1, 0, 50));
    assert!(status.datanodes[0].live && status.peers[0].leader);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_crash_in_the_middle_of_writes() {
    let (mut cluster, _datanode, mut writer) = cluster_with_objects(1).await;
    for round in 0..3 {
        let requests: Vec<_> = (0..200).map(|n| (n, writer.put_request(&format!("r{round}-{n}")))).collect();
        let acknowledged = std::sync::Mutex::new(Vec::new());
        {
            let puts = requests.into_iter().map(|(number, request)| {
                let (cluster, acknowledged) = (&cluster, &acknowledged);
                async move {
                    if cluster.ask(0, request).await.is_ok() {
                        acknowledged.lock().unwrap().push(number);
                    }
                }
            });
            let all = futures_util::future::join_all(puts);
            let some = wait_until("half of them are acknowledged", Duration::from_secs(120), async || {
                acknowledged.lock().unwrap().len() >= 100
            });
            futures_util::future::select(Box::pin(all), Box::pin(some)).await;
        }
        cluster.kill(0);
        cluster.start(0).await;
        for number in acknowledged.into_inner().unwrap() {
            get(&cluster, &format!("r{round}-{number}")).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_writer_loses_its_lease_and_its_blocks_are_sealed() {
    let cluster = Cluster::started(1, |config| config.lease_timeout_ms = 5_000).await;
    create_bucket(&cluster).await;
    let datanode = FakeDatanode::new(&cluster, 1);
    datanode.register(0).await;
    let mut writer = Writer::new(&cluster, "gateway-1").await;
    writer.put(&cluster, "object").await.unwrap();
    assert_eq!(cluster.figure(0, "leases"), 1);
    let sealed = async || {
        let request = NamenodeRequest::DescribeBlocks { bucket: BUCKET.into(), key: "object".into() };
        match cluster.ask_leader(request).await.unwrap() {
            NamenodeReply::ObjectBlocks(found) => found.blocks[0].sealed,
            other => panic!("{other:?}"),
        }
    };
    for _ in 0..15 {
        cluster.ask_leader(NamenodeRequest::RenewLease { lease: writer.lease }).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(!sealed().await, "it renewed");
    wait_until("the block is sealed", Duration::from_secs(60), sealed).await;
    let refused = cluster.ask(0, NamenodeRequest::RenewLease { lease: writer.lease }).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::LeaseExpired);
    assert_eq!(writer.put(&cluster, "late").await.unwrap_err().code, ErrorCode::LeaseExpired);
    assert_eq!(cluster.figure(0, "leases"), 0);
    // The datanode hears that its replica ends where the commits do.
    datanode.register(0).await;
    let open =
        ReplicaReport { block: writer.block, generation: GenerationStamp(1), length: 500, state: ReplicaState::Open };
    datanode.report(0, vec![open]).await.unwrap();
    let commands = datanode.heartbeat(0).await.unwrap();
    assert!(!commands.is_empty(), "it is told to finalize");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_purged_and_the_disk_does_not_fill() {
    let mut cluster = Cluster::started(1, |config| {
        config.snapshot_entries = 200;
        (config.raft_log.segment_bytes, config.raft_log.preallocate_bytes) = (32 << 10, 32 << 10);
    })
    .await;
    create_bucket(&cluster).await;
    FakeDatanode::new(&cluster, 1).register(0).await;
    let mut writer = Writer::new(&cluster, "gateway-1").await;
    for number in 0..1_500 {
        writer.put(&cluster, &format!("object-{}", number % 10)).await.unwrap();
    }
    assert!(cluster.figure(0, "batches_total") >= 1_500, "one command at a time is one entry each");
    assert_eq!(cluster.figure(0, "proposals_total"), cluster.figure(0, "batches_total"));
    // About 250 bytes an entry: what is kept is a few hundred entries and a segment.
    let limit = Duration::from_secs(60);
    wait_until("the log is purged", limit, async || cluster.figure(0, "raft_log_bytes") < 256 << 10).await;
    let raft = cluster.data(0).join("raft");
    wait_until("its segments are removed", limit, async || bytes_below(&raft) < 512 << 10).await;
    cluster.kill(0);
    cluster.start(0).await;
    get(&cluster, "object-9").await.unwrap();
}

fn bytes_below(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| entry.metadata().unwrap()).filter(|found| found.is_file()).map(|found| found.len()).sum()
}

/// More than what the batches on their way may hold waits for them, and follows.
#[tokio::test(flavor = "multi_thread")]
async fn deletes_of_many_keys_at_once_are_all_done() {
    const REQUESTS: usize = 24;
    let (cluster, _datanode, _writer) = cluster_with_objects(1).await;
    let delete = |request: usize| {
        let target = |number: usize| DeleteTarget {
            key: ObjectKey(format!("absent-{request}-{number}")),
            version: None,
            if_match: None,
            if_modified_s: None,
            if_size: None,
        };
        NamenodeRequest::DeleteObjects {
            bucket: BucketName::from(BUCKET),
            objects: (0..1000).map(target).collect(),
            deleter: CanonicalId::default(),
            bypass_governance: false,
        }
    };
    let deletes = (0..REQUESTS).map(|request| cluster.ask(0, delete(request)));
    for reply in futures_util::future::join_all(deletes).await {
        let NamenodeReply::Deleted(outcomes) = reply.unwrap() else { panic!("another reply") };
        assert!(outcomes.len() == 1000 && outcomes.iter().all(Result::is_ok));
    }
    assert!(get(&cluster, "object-0").await.is_ok());
}
