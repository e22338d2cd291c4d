//! Peers come, go and take each other's place while the others serve; a disk that was emptied does not vote.

use crate::peers::{Cluster, wait_until};
use crate::writer::{Writer, cluster_with_writer, get};
use granary_protocol::admin::{PeerChange, PeerList, PeerStatus};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::{ErrorCode, PeerId};
use std::time::{Duration, Instant};

const SETTLE: Duration = Duration::from_secs(120);

/// With so little log that newcomers learn by snapshot.
async fn small_log() -> (Cluster, Writer) {
    let adjust = |config: &mut granary_namenode::Config| {
        config.snapshot_entries = 50;
        // A newcomer votes when the datanodes that live have told it of their replicas. Those of these tests never do: they
        // must count as dead by then.
        config.liveness.dead_after_ms = 10_000;
        (config.raft_log.segment_bytes, config.raft_log.preallocate_bytes) = (16 << 10, 16 << 10);
    };
    let (cluster, _, writer) = cluster_with_writer(adjust, SETTLE).await;
    (cluster, writer)
}

/// Repeats a change until it is done, while objects are written.
async fn change(cluster: &Cluster, writer: &mut Writer, change: PeerChange) {
    let started = Instant::now();
    for number in 0.. {
        assert!(started.elapsed() < SETTLE, "{change:?} is not done");
        match cluster.ask_leader(NamenodeRequest::ChangePeers(change.clone())).await {
            Ok(NamenodeReply::PeersChanged(progress)) if progress.done => return,
            Ok(NamenodeReply::PeersChanged(_)) => {}
            other => panic!("{change:?}: {other:?}"),
        }
        writer.put(cluster, &format!("during/{number}")).await.unwrap();
    }
}

async fn peers(cluster: &Cluster) -> Vec<PeerStatus> {
    match cluster.ask_leader(NamenodeRequest::Status).await.unwrap() {
        NamenodeReply::Status(status) => status.peers,
        other => panic!("{other:?}"),
    }
}

async fn list(cluster: &Cluster, at: usize) -> PeerList {
    match cluster.ask(at, NamenodeRequest::ListPeers).await.unwrap() {
        NamenodeReply::Peers(list) => list,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_three_are_replaced_one_by_one_and_the_last_to_go_takes_nothing_along() {
    let (mut cluster, mut writer) = small_log().await;
    for number in 0..300 {
        writer.put(&cluster, &format!("object-{number}")).await.unwrap();
    }
    let first = list(&cluster, 0).await;
    for old in 0..3 {
        let name = format!("newcomer-{old}");
        let new = cluster.newcomer(&name);
        let address = cluster.address(new).to_owned();
        cluster.start_newcomer(new).await;
        let old_name = cluster.configs[old].name();
        let replace = PeerChange::Replace { old: old_name, name: name.as_str().into(), address };
        change(&cluster, &mut writer, replace).await;
        cluster.started_newcomer(new).await;
        cluster.kill(old);
    }
    let status = peers(&cluster).await;
    let members: Vec<(PeerId, bool)> = status.iter().map(|peer| (peer.peer, peer.votes)).collect();
    assert_eq!(members, [(PeerId(4), true), (PeerId(5), true), (PeerId(6), true)]);
    for number in 0..300 {
        get(&cluster, &format!("object-{number}")).await.unwrap();
    }
    let last = list(&cluster, 4).await;
    assert!(last.version > first.version && last.addresses.iter().all(|address| !first.addresses.contains(address)));
    // They are a quorum among themselves: one may go, and the others go on.
    let leader = cluster.leader().await;
    cluster.kill(leader);
    writer.put(&cluster, "afterwards").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_disk_does_not_come_back_under_its_number() {
    let (mut cluster, mut writer) = small_log().await;
    for number in 0..300 {
        writer.put(&cluster, &format!("object-{number}")).await.unwrap();
    }
    let empty = (cluster.leader().await + 1) % 3;
    cluster.kill(empty);
    wait_until("its files are let go of", SETTLE, async || std::fs::remove_dir_all(cluster.data(empty)).is_ok()).await;
    cluster.start(empty).await;
    wait_until("it ends", SETTLE, async || cluster.has_ended(empty)).await;
    cluster.kill(empty);

    // The same name and address, as a newcomer: it learns by snapshot and takes its own place under a new number.
    let name = cluster.configs[empty].name();
    let (address, new) = (cluster.address(empty).to_owned(), cluster.newcomer(name.as_str()));
    cluster.move_to(new, &address);
    cluster.start_newcomer(new).await;
    let again = PeerChange::Add { name: name.clone(), address: address.clone() };
    let refused = cluster.ask_leader(NamenodeRequest::ChangePeers(again)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument, "{refused}");
    change(&cluster, &mut writer, PeerChange::Replace { old: name.clone(), name, address }).await;
    cluster.started_newcomer(new).await;
    assert_eq!(std::fs::read_to_string(cluster.data(new).join("state/CURRENT")).unwrap().trim(), "1");
    assert!(peers(&cluster).await.iter().any(|peer| peer.peer == PeerId(4) && peer.votes));

    // What it received is the state, and survives its own restart: with it and one other alive everything is there.
    cluster.kill(new);
    cluster.start(new).await;
    let gone = (0..3).find(|at| *at != empty).unwrap();
    cluster.kill(gone);
    for number in 0..300 {
        get(&cluster, &format!("object-{number}")).await.unwrap();
    }
    writer.put(&cluster, "afterwards").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn three_become_one_and_strangers_stay_outside() {
    let (mut cluster, mut writer) = small_log().await;
    let leader = cluster.leader().await;
    let name = cluster.configs[leader].name();
    let nobody = PeerChange::Add { name: "nobody".into(), address: "127.0.0.1:9".to_owned() };
    let refused = cluster.ask_leader(NamenodeRequest::ChangePeers(nobody)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument, "{refused}");

    // The leader itself goes; the others choose another one.
    change(&cluster, &mut writer, PeerChange::Remove { name: name.clone() }).await;
    assert!(peers(&cluster).await.iter().all(|peer| peer.name != name));
    writer.put(&cluster, "without it").await.unwrap();
    let other = (0..3).find(|at| *at != leader).unwrap();
    let second = cluster.configs[other].name();
    change(&cluster, &mut writer, PeerChange::Remove { name: second }).await;
    let last = (0..3).find(|at| ![leader, other].contains(at)).unwrap();
    let only = PeerChange::Remove { name: cluster.configs[last].name() };
    let refused = cluster.ask_leader(NamenodeRequest::ChangePeers(only)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument, "{refused}");
    cluster.kill(leader);
    cluster.kill(other);
    writer.put(&cluster, "alone").await.unwrap();
}
