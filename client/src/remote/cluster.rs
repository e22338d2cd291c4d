//! Several namenode peers as one service: finds the leader, tries again, never applies a mutation twice.
//!
//! What may be repeated is decided per request in [`repeatable`]. A request that is not repeatable is tried again only
//! when its failure promises that nothing happened (`NotLeader`, `Busy`, `Unavailable`); with `DeadlineExceeded` the
//! caller is told, because only the caller's user can know whether doing it twice is harmless.

use super::namenode::RemoteNamenode;
use futures_util::future::BoxFuture;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_protocol::{Advice, ErrorCode, Failure};
use granary_rpc::{RpcClient, RpcClientConfig, Security};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// How long one peer may take to answer before another is asked.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The time a request is given when the caller names none.
const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Peers by internal address.
type Peers = Arc<Vec<(String, Arc<dyn NamenodeService>)>>;

fn reach_peer(address: &str, (security, rpc): &(Security, RpcClientConfig)) -> (String, Arc<dyn NamenodeService>) {
    let rpc = RpcClient::with_config(address, security.clone(), rpc.clone());
    (address.to_owned(), Arc::new(RemoteNamenode::new(rpc, CALL_TIMEOUT)))
}

/// The namenode group, reached through whichever peer leads it.
pub struct NamenodeCluster {
    peers: RwLock<Peers>,
    /// How a peer is reached that was not known at first; `None` where peers are given as services.
    reach: Option<(Security, RpcClientConfig)>,
    /// Index of the peer that answered last.
    leader: AtomicUsize,
    deadline: Duration,
}

impl NamenodeCluster {
    /// The peers at these internal addresses (`host:port`), over rpc, with a deadline of 30 s a request.
    ///
    /// # Panics
    /// Without an address.
    pub fn connect(addresses: &[String], security: &Security, rpc: &RpcClientConfig) -> Self {
        let reach = (security.clone(), rpc.clone());
        let peers = addresses.iter().map(|address| reach_peer(address, &reach)).collect();
        let mut cluster = Self::of_peers(peers, DEADLINE);
        cluster.reach = Some(reach);
        cluster
    }

    /// From now on the peers are those at these addresses. Requests under way go on.
    ///
    /// # Panics
    /// Without an address.
    pub fn learn(&self, addresses: &[String]) {
        assert!(!addresses.is_empty(), "a namenode group has at least one peer");
        let Some(reach) = &self.reach else { return };
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let leader = peers.get(self.leader.load(Ordering::Relaxed) % peers.len()).map(|(address, _)| address.clone());
        let known = |address: &String| peers.iter().find(|(known, _)| known == address).cloned();
        let now: Vec<_> =
            addresses.iter().map(|address| known(address).unwrap_or_else(|| reach_peer(address, reach))).collect();
        let at = now.iter().position(|(address, _)| Some(address) == leader.as_ref());
        *peers = Arc::new(now);
        self.leader.store(at.unwrap_or(0), Ordering::Relaxed);
    }

    fn peers(&self) -> Peers {
        self.peers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These peers, each under the internal address by which `NotLeader` names it; one may live in this process.
    /// A request is given up `deadline` after it was first sent.
    ///
    /// # Panics
    /// Without a peer.
    pub fn of_peers(peers: Vec<(String, Arc<dyn NamenodeService>)>, deadline: Duration) -> Self {
        assert!(!peers.is_empty(), "a namenode group has at least one peer");
        Self { peers: RwLock::new(Arc::new(peers)), reach: None, leader: AtomicUsize::new(0), deadline }
    }

    async fn ask(&self, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        let until = Instant::now() + self.deadline;
        let repeatable = repeatable(&request);
        let mut pause = PAUSE_MIN;
        let mut refused_since_pause = 0;
        let mut last = Failure::from(ErrorCode::Unavailable);
        loop {
            let peers = self.peers();
            let index = self.leader.load(Ordering::Relaxed) % peers.len();
            // A request that may not be repeated is waited for to the end: giving up early would not say more.
            let within = if repeatable { CALL_TIMEOUT.min(until - Instant::now()) } else { until - Instant::now() };
            let answer = tokio::time::timeout(within, peers[index].1.call(request.clone())).await;
            let failure = match answer {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new(ErrorCode::DeadlineExceeded, "the namenode did not answer in time"),
            };
            match (failure.code.advice(), &failure.code) {
                (Advice::GiveUp | Advice::OtherReplica, _) | (_, ErrorCode::NotEnoughTargets) => return Err(failure),
                (_, ErrorCode::DeadlineExceeded) if !repeatable => return Err(failure),
                (_, ErrorCode::NotLeader { leader }) => self.turn_to(&peers, leader.as_deref(), index),
                // The leader answered and is merely busy: stay with it.
                (_, ErrorCode::Busy) => refused_since_pause = peers.len(),
                _ => self.turn_to(&peers, None, index),
            }
            last.clone_from(&failure);
            refused_since_pause += 1;
            if refused_since_pause >= peers.len() {
                if Instant::now() + pause >= until {
                    break;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                refused_since_pause = 0;
            }
            if Instant::now() >= until {
                break;
            }
        }
        // `NotLeader` is between peers and clients; users are told to come again.
        Err(match last.code {
            ErrorCode::NotLeader { .. } => Failure::new(ErrorCode::Unavailable, "no namenode leads"),
            _ => last,
        })
    }

    /// Moves on from the peer at `from`, to the one named or else to the next, unless somebody else has moved already.
    fn turn_to(&self, peers: &Peers, leader: Option<&str>, from: usize) {
        let named = leader.and_then(|address| peers.iter().position(|(peer, _)| peer == address));
        if let (Some(leader), None, true) = (leader, named, self.reach.is_some()) {
            // It came after the last list; the peers it replaced go when the next one is learned.
            let all = peers.iter().map(|(address, _)| address.clone()).chain([leader.to_owned()]);
            self.learn(&all.collect::<Vec<_>>());
            return self.leader.store(peers.len(), Ordering::Relaxed);
        }
        let to = named.filter(|to| *to != from).unwrap_or((from + 1) % peers.len());
        let _ = self.leader.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl NamenodeService for NamenodeCluster {
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        Box::pin(self.ask(request))
    }
}

/// Whether doing it twice is the same as doing it once.
fn repeatable(request: &NamenodeRequest) -> bool {
    use NamenodeRequest::*;
    match request {
        GetBucket { .. }
        | GetBucketSettings { .. }
        | ListBuckets { .. }
        | GetObject { .. }
        | LocateContent { .. }
        | ListObjectParts { .. }
        | ListVersions { .. }
        | ListObjects { .. }
        | GetUpload { .. }
        | ListParts { .. }
        | ListUploads { .. }
        | RecordsAlive { .. }
        | ListPeers
        | ExportMetadata { .. }
        | ChangePeers(_)
        | ListLifecycleBuckets { .. }
        | ScanVersions { .. }
        | GetLifecycleStatus
        | GetRestores { .. }
        | Status
        | Space
        | Classes
        | LocateGroup { .. }
        | DescribeBlocks { .. } => true,
        GetUser { .. }
        | ListUsers { .. }
        | FindAccessKey { .. }
        | FindOwners { .. }
        | ListPolicies { .. }
        | GetTokenKey
        | GetEncryptionKey { .. }
        | ListEncryptionKeys { .. } => true,
        // A part replaces the part of the same number, which after the first time is itself.
        PutPart { .. } | CopyPart { .. } | CompleteUpload { .. } => true,
        // What a lost answer leaves behind (a lease without holder, blocks nobody writes) ends with the lease.
        OpenLease { .. } | RenewLease { .. } | CloseLease { .. } | AllocateBlocks { .. } => true,
        SealBlock { .. } | AbandonBlocks { .. } | RelocateContents { .. } => true,
        // An event may be delivered more than once anyway.
        ClaimEvents { .. } | SettleEvents { .. } => true,
        // A move takes place from exactly where the content is; a moment that has come stays so.
        ClaimMoves { .. } | SettleRestores { .. } => true,
        RegisterDatanode { .. } | Heartbeat { .. } | BlockReport { .. } | ReplicasChanged { .. } => true,
        // A second time these find their own effect in the way, make another version or another secret, or undo what
        // somebody else did in between: a PUT whose answer was lost and that was overwritten or deleted since must not
        // come back.
        CreateBucket { .. }
        | DeleteBucket { .. }
        | SetVersioning { .. }
        | SetBucketLock { .. }
        | SetBucketDocument { .. }
        | AmendObject { .. }
        | RenameObject { .. }
        | PutObject { .. }
        | CopyObject { .. }
        | DeleteObjects { .. }
        | CreateUpload { .. }
        | AbortUpload { .. }
        | SetDatanodeIntent { .. }
        | SetVolumeDrain { .. }
        | ClaimCompaction { .. }
        | ClaimSmallFiles { .. }
        | CreateJoinToken { .. }
        | CreateNamenodeToken { .. }
        | Enrol { .. } => false,
        AddUser { .. }
        | RemoveUser { .. }
        | SetUserDisabled { .. }
        | AddAccessKey { .. }
        | SetAccessKeyDisabled { .. }
        | RemoveAccessKey { .. }
        | PutPolicy { .. }
        | RemovePolicy { .. }
        | AttachPolicy { .. }
        | AddEncryptionKey { .. }
        | SetEncryptionKeyDisabled { .. }
        | AppendEvents { .. } => false,
        AnnounceDatanodeDoor(_) | DatanodeDoors => true,
        // Numbered calls are recognised when they come again.
        FileSystem(call) => call.retry.is_some() || !call.request.at_most_once(),
        // An action that took place is told a second time as a conflict, a restore as one that goes on.
        ApplyLifecycle { .. } | RestoreObject { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::BucketName;
    use std::sync::Mutex;

    /// Answers from a script; the last answer stays.
    struct Scripted {
        script: Mutex<Vec<Result<NamenodeReply, Failure>>>,
        asked: AtomicUsize,
    }

    impl Scripted {
        fn new(mut script: Vec<Result<NamenodeReply, Failure>>) -> Arc<Self> {
            script.reverse();
            Arc::new(Self { script: Mutex::new(script), asked: AtomicUsize::new(0) })
        }
    }

    impl NamenodeService for Scripted {
        fn call(&self, _: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let mut script = self.script.lock().unwrap();
            let answer = if script.len() > 1 { script.pop().unwrap() } else { script[0].clone() };
            Box::pin(async move { answer })
        }
    }

    fn cluster(peers: &[&Arc<Scripted>]) -> NamenodeCluster {
        let named = |(index, peer): (usize, &&Arc<Scripted>)| {
            let peer: Arc<dyn NamenodeService> = (*peer).clone();
            (format!("peer-{index}"), peer)
        };
        NamenodeCluster::of_peers(peers.iter().enumerate().map(named).collect(), Duration::from_secs(30))
    }

    fn not_leader(leader: Option<&str>) -> Result<NamenodeReply, Failure> {
        Err(ErrorCode::NotLeader { leader: leader.map(str::to_owned) }.into())
    }

    fn mutation() -> NamenodeRequest {
        NamenodeRequest::DeleteBucket { bucket: BucketName::from("b") }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hint_leads_to_the_leader_and_is_remembered() {
        let (a, b, c) = (
            Scripted::new(vec![not_leader(Some("peer-2"))]),
            Scripted::new(vec![not_leader(None)]),
            Scripted::new(vec![Ok(NamenodeReply::Done)]),
        );
        let cluster = cluster(&[&a, &b, &c]);
        assert_eq!(cluster.call(mutation()).await, Ok(NamenodeReply::Done));
        assert_eq!(cluster.call(mutation()).await, Ok(NamenodeReply::Done));
        let asked = [&a, &b, &c].map(|peer| peer.asked.load(Ordering::Relaxed));
        assert_eq!(asked, [1, 0, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_election_is_waited_for() {
        let a = Scripted::new(vec![not_leader(None), not_leader(None), not_leader(None), Ok(NamenodeReply::Done)]);
        let b = Scripted::new(vec![Err(ErrorCode::Unavailable.into())]);
        assert_eq!(cluster(&[&a, &b]).call(mutation()).await, Ok(NamenodeReply::Done));
    }

    #[tokio::test(start_paused = true)]
    async fn a_mutation_that_may_have_happened_is_not_repeated() {
        let a = Scripted::new(vec![Err(ErrorCode::DeadlineExceeded.into()), Ok(NamenodeReply::Done)]);
        let cluster = cluster(&[&a]);
        assert_eq!(cluster.call(mutation()).await.unwrap_err().code, ErrorCode::DeadlineExceeded);
        assert_eq!(a.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_is_repeated_until_the_deadline() {
        let a = Scripted::new(vec![Err(ErrorCode::DeadlineExceeded.into()), Ok(NamenodeReply::Done)]);
        assert_eq!(cluster(&[&a]).call(NamenodeRequest::Status).await, Ok(NamenodeReply::Done));

        let dead = Scripted::new(vec![not_leader(None)]);
        let started = Instant::now();
        let failure = cluster(&[&dead]).call(NamenodeRequest::Status).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Unavailable);
        assert!(started.elapsed() >= Duration::from_secs(28) && started.elapsed() <= Duration::from_secs(31));
    }
}
