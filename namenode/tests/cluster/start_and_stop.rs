//! Starting on what a crash, an operator or a disk left behind, and stopping while others wait.

use crate::peers::{Cluster, wait_until};
use crate::writer::create_bucket;
use granary_namenode::Config;
use granary_namenode::clock::SystemClock;
use granary_namenode::startup::{Components, NamenodeError, start};
use granary_protocol::namenode::{NamenodeRequest, NamenodeService};
use granary_protocol::{Clock, ErrorCode, UnixMillis};
use granary_rpc::Security;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

fn components() -> Components {
    Components {
        clock: Arc::new(SystemClock),
        security: Security::Plaintext,
        authority: None,
        door: granary_namenode::peers::PeerDoor::new(),
        shutdown: CancellationToken::new(),
    }
}

async fn refusal(config: Config) -> NamenodeError {
    match start(config, components()).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

/// Tells the time until it is broken; then it panics in whatever task asks.
#[derive(Default)]
struct BreakableClock(AtomicBool);

impl Clock for BreakableClock {
    fn now(&self) -> UnixMillis {
        assert!(!self.0.load(Ordering::Relaxed), "the clock is broken");
        SystemClock.now()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_task_dies_ends_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let (clock, shutdown) = (Arc::new(BreakableClock::default()), CancellationToken::new());
    let components = Components { clock: clock.clone(), shutdown: shutdown.clone(), ..components() };
    let running = start(Config::single(directory.path().join("namenode")), components).await.unwrap();
    let namenode = running.namenode.clone();
    wait_until("it leads", Duration::from_secs(60), async || namenode.is_leader()).await;

    clock.0.store(true, Ordering::Relaxed);
    let refused = namenode.call(NamenodeRequest::OpenLease { holder: "writer".into() }).await;
    assert!(refused.is_err(), "{refused:?}");
    tokio::time::timeout(Duration::from_secs(60), shutdown.cancelled()).await.expect("the peer ends by itself");
    let died = running.join().await.unwrap_err();
    assert!(died.reason.contains("the clock is broken"), "{died}");
    drop(namenode);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_is_prompt_while_callers_wait_for_a_quorum() {
    let mut cluster = Cluster::new(3, |_| {});
    cluster.start(0).await;
    let namenode = cluster.namenode(0).clone();
    let callers: Vec<_> = (0..20)
        .map(|number| {
            let namenode = namenode.clone();
            tokio::spawn(async move {
                let bucket = format!("bucket-{number}").as_str().into();
                let request = NamenodeRequest::CreateBucket {
                    bucket,
                    owner: "o".into(),
                    region: "r".to_owned(),
                    object_lock: false,
                    documents: Vec::new(),
                };
                let written = namenode.call(request).await;
                (written, namenode.call(NamenodeRequest::Status).await)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let took = cluster.stop(0).await;
    assert!(took < Duration::from_secs(15), "stopping took {took:?}");
    let started = Instant::now();
    for caller in callers {
        let (written, read) = caller.await.unwrap();
        assert!(written.is_err() && read.is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(15), "callers are let go of");
    assert!(!namenode.is_ready());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_single_peer_answers_nobody() {
    let mut cluster = Cluster::started(1, |_| {}).await;
    create_bucket(&cluster).await;
    let namenode = cluster.namenode(0).clone();
    let get = || NamenodeRequest::GetBucket { bucket: "bucket".into() };
    assert!(namenode.call(get()).await.is_ok());
    cluster.stop(0).await;
    assert_eq!(namenode.call(get()).await.unwrap_err().code, ErrorCode::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_use_and_impossible_settings_are_refused() {
    let mut cluster = Cluster::started(1, |_| {}).await;
    let in_use = refusal(Config::single(cluster.data(0))).await;
    assert!(in_use.to_string().contains("use"), "{in_use}");
    cluster.stop(0).await;

    let mut two = cluster.configs[0].clone();
    two.peers.push(two.peers[0].clone());
    assert!(matches!(refusal(two).await, NamenodeError::Config(_)));
    let mut stranger = cluster.configs[0].clone();
    stranger.peer.0 = 9;
    assert!(matches!(refusal(stranger).await, NamenodeError::Config(_)));
}

/// What a start says after `damage` was done to a peer that ran and stopped.
async fn refusal_after(damage: impl FnOnce(&Path)) -> String {
    let mut cluster = Cluster::started(1, |_| {}).await;
    create_bucket(&cluster).await;
    cluster.stop(0).await;
    let data = cluster.data(0);
    // Whoever still holds the directory lets go of it.
    wait_until("the peer's files are free", Duration::from_secs(60), async || {
        let log = granary_namenode::raft_log::RaftLog::open(&data.join("raft"), Default::default());
        log.is_ok()
    })
    .await;
    damage(&data);
    refusal(Config::single(data)).await.to_string()
}

fn flip_bytes(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    for byte in &mut bytes[at as usize..at as usize + 8] {
        *byte ^= 0x55;
    }
    fs::write(path, bytes).unwrap();
}

fn segment(data: &Path) -> std::path::PathBuf {
    let mut segments: Vec<_> = fs::read_dir(data.join("raft"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.metadata().unwrap().len() > 4096)
        .collect();
    segments.sort();
    segments.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_files_are_named_and_nothing_is_guessed() {
    let said = refusal_after(|data| fs::write(data.join("state/CURRENT"), "nonsense").unwrap()).await;
    assert!(said.contains("CURRENT"), "{said}");
    let said = refusal_after(|data| fs::write(data.join("state/CURRENT"), "4\n").unwrap()).await;
    assert!(said.contains("state-4"), "{said}");

    let said = refusal_after(|data| flip_bytes(&segment(data), 0)).await;
    assert!(said.contains("raft"), "{said}");

    let said = refusal_after(|data| flip_bytes(&segment(data), 120)).await;
    assert!(said.contains("raft"), "a record in the middle of the log: {said}");

    let said = refusal_after(|data| flip_bytes(&data.join("raft/hard_state"), 4)).await;
    assert!(said.contains("hard_state"), "{said}");
}
