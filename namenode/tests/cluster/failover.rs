//! Three peers: one may die at any time, and nothing that was acknowledged goes with it.

use crate::peers::{Cluster, wait_until};
use crate::writer::{Writer, cluster_with_writer, get, get_request};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::{ErrorCode, RequestId};
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
