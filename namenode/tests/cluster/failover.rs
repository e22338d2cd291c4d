//! Three peers: one may die at any time, and nothing that was acknowledged goes with it.

use crate::peers::{Cluster, wait_until};
use crate::writer::{Writer, cluster_with_writer, get, get_request};
use granary_protocol::admin::PeerChange;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::{ErrorCode, Failure, RequestId};
use std::time::Duration;

const SETTLE: Duration = Duration::from_secs(120);

/// The last entry that a peer has applied.
fn applied(cluster: &Cluster, at: usize) -> u64 {
    cluster.figure(at, "applied_index")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_loses_nothing_and_returns_as_a_follower() {
    let (mut cluster, datanode, mut writer) = cluster_with_writer(|_| {}, SETTLE).await;
    for number in 0..30 {
        writer.put(&cluster, &format!("before-{number}")).await.unwrap();
    }
    let nowhere = writer.put_request("nowhere");
    let mut old = 0;
    // On a busy machine the leader may change between two questions.
    wait_until("both followers refuse and name the leader", SETTLE, async || {
        old = cluster.leader().await;
        let leader = ErrorCode::NotLeader { leader: Some(cluster.address(old).to_owned()) };
        for at in (0..3).filter(|at| *at != old) {
            for request in [get_request("before-0"), nowhere.clone()] {
                if !cluster.ask(at, request).await.is_err_and(|refused| refused.code == leader) {
                    return false;
                }
            }
        }
        true
    })
    .await;

    cluster.kill(old);
    let new = cluster.leader().await;
    assert_ne!(new, old);
    for number in 0..30 {
        let read = get(&cluster, &format!("before-{number}")).await.unwrap();
        assert_eq!(read.extents[0].located.replicas.len(), 1, "the new leader knows where the bytes are");
    }
    wait_until("the new leader asks the datanode to report", SETTLE, async || datanode.heartbeat(new).await.is_none())
        .await;
    datanode.register(new).await;
    // The writer's lease is the new leader's to renew, and its block is still open.
    cluster.ask_leader(NamenodeRequest::RenewLease { lease: writer.lease }).await.unwrap();
    for number in 0..30 {
        writer.put(&cluster, &format!("after-{number}")).await.unwrap();
    }

    cluster.start(old).await;
    wait_until("the old leader has caught up", SETTLE, async || applied(&cluster, old) == applied(&cluster, new)).await;
    let NamenodeReply::Status(status) = cluster.ask(new, NamenodeRequest::Status).await.unwrap() else { panic!() };
    assert_eq!((status.objects, status.peers.iter().filter(|peer| peer.leader).count()), (60, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_see_every_acknowledged_write_while_leaders_come_and_go() {
    let (mut cluster, _datanode, mut writer) = cluster_with_writer(|_| {}, SETTLE).await;
    for round in 0..3 {
        for number in 0..10 {
            let key = format!("key-{round}-{number}");
            writer.put(&cluster, &key).await.unwrap();
            get(&cluster, &key).await.unwrap();
        }
        let leader = cluster.leader().await;
        cluster.kill(leader);
        get(&cluster, &format!("key-{round}-9")).await.unwrap();
        cluster.start(leader).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_numbered_request_is_done_once_whichever_leaders_it_comes_to() {
    let (mut cluster, _datanode, mut writer) = cluster_with_writer(|_| {}, SETTLE).await;
    let put = |writer: &mut Writer, if_absent| match writer.put_request("object") {
        NamenodeRequest::PutObject { bucket, key, content, object, mut condition } => {
            condition.if_absent = if_absent;
            NamenodeRequest::PutObject { bucket, key, content, object, condition }
        }
        other => panic!("{other:?}"),
    };
    let id = |number| RequestId { client: [3; 16], number, answered_below: 0 };
    let (first, second) = (put(&mut writer, true), put(&mut writer, true));
    let leader = cluster.leader().await;
    let done = cluster.ask_once(leader, id(0), &first).await.unwrap();
    let refused = cluster.ask_once(leader, id(1), &second).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::PreconditionFailed);

    cluster.kill(leader);
    let new = cluster.leader().await;
    assert_eq!(cluster.ask_once(new, id(0), &first).await, Ok(done.clone()));
    assert_eq!(cluster.ask_once(new, id(1), &second).await, Err(refused));
    cluster.start(leader).await;
    wait_until("the old leader has caught up", SETTLE, async || applied(&cluster, leader) == applied(&cluster, new))
        .await;
    cluster.kill(new);
    let third = cluster.leader().await;
    assert_eq!(cluster.ask_once(third, id(0), &first).await, Ok(done));
    let read = NamenodeRequest::Status;
    assert_eq!(cluster.ask_once(third, id(9), &read).await.unwrap_err().code, ErrorCode::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_without_a_quorum_serves_no_read_and_gives_no_order() {
    let (mut cluster, datanode, mut writer) = cluster_with_writer(|_| {}, SETTLE).await;
    writer.put(&cluster, "object").await.unwrap();
    let leader = cluster.leader().await;
    wait_until("the leader has asked for a report", SETTLE, async || {
        datanode.register(leader).await;
        datanode.heartbeat(leader).await.is_some()
    })
    .await;
    for at in (0..3).filter(|at| *at != leader) {
        cluster.kill(at);
    }
    let refused = cluster.ask(leader, get_request("object")).await.unwrap_err();
    assert!(matches!(refused.code, ErrorCode::Unavailable | ErrorCode::NotLeader { .. }), "{refused}");
    // A replica of a block it does not know: perhaps garbage, perhaps its successor's.
    let unknown = granary_protocol::namenode::ReplicaReport {
        block: granary_protocol::BlockId(1_000),
        generation: granary_protocol::GenerationStamp(1),
        length: 1,
        state: granary_protocol::namenode::ReplicaState::Finalized,
    };
    datanode.report(leader, vec![unknown]).await.unwrap();
    assert!(datanode.heartbeat(leader).await.is_none_or(|commands| commands.is_empty()));
}

/// Followers wait for a silent leader for longer than one that goes takes to have another one lead.
const ELECTION_TIMEOUT_MS: u64 = 4_000;

async fn patient_cluster(count: u64) -> Cluster {
    Cluster::started(count, |config| config.election_timeout_ms = ELECTION_TIMEOUT_MS).await
}

async fn make_bucket(cluster: &Cluster, number: usize) {
    let request = NamenodeRequest::CreateBucket {
        bucket: format!("bucket-{number}").as_str().into(),
        owner: "owner".into(),
        region: "here".to_owned(),
        object_lock: false,
        documents: Vec::new(),
    };
    match cluster.ask_leader(request).await {
        Ok(_) => {}
        // It was asked again, because a leader was elected on a machine that is busy with other things.
        Err(failure) => assert_eq!(failure.code, ErrorCode::BucketAlreadyOwnedByYou, "{failure}"),
    }
}

/// Has the leader hand over; who led. On a busy machine it may give up, and is asked again.
async fn hand_over(cluster: &Cluster) -> usize {
    let mut old = 0;
    wait_until("another leads when the leader has handed over", SETTLE, async || {
        old = cluster.leader().await;
        let namenode = cluster.namenode(old);
        let own = namenode.raft().metrics().borrow().id;
        namenode.hand_over().await && namenode.raft().metrics().borrow().current_leader.is_some_and(|now| now != own)
    })
    .await;
    old
}

async fn hands_over(count: u64) {
    let mut cluster = patient_cluster(count).await;
    // Whatever is asked meanwhile is done by the one or by the other.
    let working = async {
        for number in 0..20 {
            make_bucket(&cluster, number).await;
        }
    };
    let (old, ()) = tokio::join!(hand_over(&cluster), working);
    cluster.stop(old).await;
    assert_ne!(hand_over(&cluster).await, old);
    make_bucket(&cluster, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_a_leader_that_goes_has_another_lead_before() {
    hands_over(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_five_a_leader_that_goes_has_another_lead_before() {
    hands_over(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_removed_has_another_lead_before() {
    let cluster = patient_cluster(3).await;
    let mut removed = None;
    wait_until("the leader says who goes on", SETTLE, async || {
        let old = cluster.leader().await;
        let name = cluster.configs[old].name();
        let answer = cluster.ask(old, NamenodeRequest::ChangePeers(PeerChange::Remove { name: name.clone() })).await;
        removed = Some(name);
        let others: Vec<&str> = (0..3).filter(|at| *at != old).map(|at| cluster.address(at)).collect();
        matches!(answer, Err(Failure { code: ErrorCode::NotLeader { leader: Some(leader) }, .. }) if others.contains(&leader.as_str()))
    })
    .await;
    let remove = PeerChange::Remove { name: removed.unwrap() };
    wait_until("it is no peer any more", SETTLE, async || {
        let reply = cluster.ask_leader(NamenodeRequest::ChangePeers(remove.clone())).await.unwrap();
        matches!(reply, NamenodeReply::PeersChanged(progress) if progress.done)
    })
    .await;
    make_bucket(&cluster, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_voter_has_nobody_to_hand_over_to() {
    let cluster = Cluster::started(1, |_| {}).await;
    assert!(!cluster.namenode(0).hand_over().await);
    make_bucket(&cluster, 0).await;
}
