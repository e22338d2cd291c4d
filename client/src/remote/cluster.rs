//! Several namenode peers as one service: finds the leader, tries again, never applies a mutation twice.
//!
//! Every request is tried again until its deadline. One that must not take effect twice carries a number over all its
//! attempts ([`attempts`] says which), by which the namenodes know it: an answer that was lost is given again, and what a
//! leader wrote to its log before it was deposed is neither done twice nor reported as a failure of its own. When the
//! deadline passes and an attempt may have taken effect, the failure is `DeadlineExceeded`: unknown.

use super::attempts::{Attempts, attempts};
use super::namenode::RemoteNamenode;
use super::numbers::Numbers;
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
    numbers: Numbers,
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
        let (peers, leader) = (RwLock::new(Arc::new(peers)), AtomicUsize::new(0));
        Self { peers, reach: None, leader, deadline, numbers: Numbers::new() }
    }

    async fn ask(&self, mut request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        let until = Instant::now() + self.deadline;
        if let NamenodeRequest::FileSystem(call) = &mut request
            && call.retry.is_none()
            && call.request.at_most_once()
        {
            call.retry = Some(self.numbers.of_file_system());
        }
        let numbered = (attempts(&request) == Attempts::Numbered).then(|| self.numbers.take());
        let mut may_have_happened = false;
        let mut pause = PAUSE_MIN;
        let mut refused_since_pause = 0;
        let mut last = Failure::from(ErrorCode::Unavailable);
        loop {
            let peers = self.peers();
            let index = self.leader.load(Ordering::Relaxed) % peers.len();
            let within = CALL_TIMEOUT.min(until.saturating_duration_since(Instant::now()));
            let call = match &numbered {
                Some(numbered) => peers[index].1.call_once(numbered.id, request.clone()),
                None => peers[index].1.call(request.clone()),
            };
            let answer = tokio::time::timeout(within, call).await;
            let failure = match answer {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::new(ErrorCode::DeadlineExceeded, "the namenode did not answer in time"),
            };
            match (failure.code.advice(), &failure.code) {
                (Advice::GiveUp | Advice::OtherReplica, _) | (_, ErrorCode::NotEnoughTargets) => return Err(failure),
                (_, ErrorCode::NotLeader { leader }) => self.turn_to(&peers, leader.as_deref(), index),
                // The leader answered and is merely busy: stay with it.
                (_, ErrorCode::Busy) => refused_since_pause = peers.len(),
                _ => self.turn_to(&peers, None, index),
            }
            may_have_happened |= numbered.is_some() && failure.code == ErrorCode::DeadlineExceeded;
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
        Err(match last.code {
            _ if may_have_happened => Failure::new(
                ErrorCode::DeadlineExceeded,
                format!("no namenode says what became of the request: {}", last.detail),
            ),
            // `NotLeader` is between peers and clients; users are told to come again.
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

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::{BucketName, RequestId};
    use std::sync::Mutex;

    /// Answers from a script; the last answer stays.
    struct Scripted {
        script: Mutex<Vec<Result<NamenodeReply, Failure>>>,
        asked: AtomicUsize,
        /// The number of each request.
        numbers: Mutex<Vec<Option<RequestId>>>,
    }

    impl Scripted {
        fn new(mut script: Vec<Result<NamenodeReply, Failure>>) -> Arc<Self> {
            script.reverse();
            Arc::new(Self { script: Mutex::new(script), asked: AtomicUsize::new(0), numbers: Mutex::default() })
        }

        fn answer(&self, id: Option<RequestId>) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.numbers.lock().unwrap().push(id);
            let mut script = self.script.lock().unwrap();
            let answer = if script.len() > 1 { script.pop().unwrap() } else { script[0].clone() };
            Box::pin(async move { answer })
        }
    }

    impl NamenodeService for Scripted {
        fn call(&self, _: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
            self.answer(None)
        }

        fn call_once(&self, id: RequestId, _: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
            self.answer(Some(id))
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
    async fn a_mutation_that_may_have_happened_is_asked_about_under_its_number() {
        let (a, b) = (
            Scripted::new(vec![Err(ErrorCode::DeadlineExceeded.into())]),
            Scripted::new(vec![not_leader(None), Ok(NamenodeReply::Done)]),
        );
        let cluster = cluster(&[&a, &b]);
        assert_eq!(cluster.call(mutation()).await, Ok(NamenodeReply::Done));
        assert_eq!(cluster.call(NamenodeRequest::Status).await, Ok(NamenodeReply::Done));
        let numbers =
            |peer: &Arc<Scripted>| peer.numbers.lock().unwrap().iter().flatten().map(|id| id.number).collect();
        let asked: [Vec<u64>; 2] = [numbers(&a), numbers(&b)];
        assert!(
            asked.iter().all(|numbers| !numbers.is_empty() && numbers.iter().all(|number| *number == 0)),
            "{asked:?}"
        );
        assert_eq!(b.numbers.lock().unwrap().last(), Some(&None), "a read needs none");
        assert_eq!(cluster.call(mutation()).await, Ok(NamenodeReply::Done));
        let second = b.numbers.lock().unwrap().last().copied().flatten().unwrap();
        assert_eq!((second.number, second.answered_below), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_have_happened_is_not_called_a_failure() {
        let a = Scripted::new(vec![Err(ErrorCode::DeadlineExceeded.into()), Err(ErrorCode::Unavailable.into())]);
        assert_eq!(cluster(&[&a]).call(mutation()).await.unwrap_err().code, ErrorCode::DeadlineExceeded);
        let never = Scripted::new(vec![Err(ErrorCode::Unavailable.into())]);
        assert_eq!(cluster(&[&never]).call(mutation()).await.unwrap_err().code, ErrorCode::Unavailable);
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
