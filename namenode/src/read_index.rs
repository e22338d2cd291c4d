//! Linearizable reads: a read is answered from the applied state once this peer is known to lead *after* the read arrived
//! and has applied everything that was committed then (Raft dissertation, §6.4).
//!
//! Reads that arrive while a round is on its way share the next one. A cluster of one voter needs no round: nobody can
//! depose it, and a write is acknowledged only after it was applied.

use crate::raft::Raft;
use crate::raft::log_store::FoundLog;
use futures_util::future::BoxFuture;
use granary_protocol::{ErrorCode, Failure};
use openraft::ServerState;
use openraft::error::{CheckIsLeaderError, RaftError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

/// Reads waiting for a round at most.
const WAITING_MAX: usize = 16_384;
/// How long a peer may take to apply what was committed.
const APPLY_TIMEOUT: Duration = Duration::from_secs(5);

type Waiter = oneshot::Sender<Result<(), Failure>>;

/// Says when the applied state may be read.
#[derive(Clone)]
pub(crate) enum Admission {
    /// After a round.
    Index(ReadIndex),
    /// When the component says so that the peer was started with.
    Given(Arc<dyn AdmitReads>),
}

impl Admission {
    /// Returns when the applied state may be read.
    pub(crate) async fn admit(&self) -> Result<(), Failure> {
        match self {
            Admission::Index(index) => index.admit().await,
            Admission::Given(given) => given.admit().await,
        }
    }
}

/// Admits reads in place of the read index. A peer is linearizable with the latter alone: this is where a simulation
/// proves that it would find one that is not.
pub trait AdmitReads: Send + Sync {
    /// Returns when the applied state may be read.
    fn admit(&self) -> BoxFuture<'_, Result<(), Failure>>;
}

/// Admits reads.
#[derive(Clone)]
pub struct ReadIndex {
    queue: mpsc::Sender<Waiter>,
    alone: Arc<AtomicBool>,
}

impl ReadIndex {
    /// A read index and the task that drives it, for a peer that `found` this in its log when it started.
    pub fn new(
        raft: Raft,
        applied: watch::Receiver<Option<u64>>,
        found: FoundLog,
    ) -> (ReadIndex, impl Future<Output = ()>) {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let alone = Arc::new(AtomicBool::new(false));
        (ReadIndex { queue, alone: alone.clone() }, async move {
            tokio::join!(
                drive(raft.clone(), applied.clone(), waiting, found),
                watch_alone(raft, applied, alone, found)
            );
        })
    }

    /// Returns when the applied state may be read.
    pub async fn admit(&self) -> Result<(), Failure> {
        if self.alone.load(Ordering::Acquire) {
            return Ok(());
        }
        let (waiter, admitted) = oneshot::channel();
        let stopped = || Failure::new(ErrorCode::Unavailable, "this namenode is shutting down");
        self.queue.try_send(waiter).map_err(|error| match error {
            TrySendError::Full(_) => Failure::new(ErrorCode::Busy, "too many reads are waiting"),
            TrySendError::Closed(_) => stopped(),
        })?;
        admitted.await.map_err(|_| stopped())?
    }
}

async fn drive(
    raft: Raft,
    mut applied: watch::Receiver<Option<u64>>,
    mut waiting: mpsc::Receiver<Waiter>,
    found: FoundLog,
) {
    let mut round = Vec::new();
    while waiting.recv_many(&mut round, WAITING_MAX).await > 0 {
        let outcome = one_round(&raft, &mut applied, found).await;
        for waiter in round.drain(..) {
            // A caller that has gone away no longer wants the answer.
            let _ = waiter.send(outcome.clone());
        }
    }
}

async fn one_round(raft: &Raft, applied: &mut watch::Receiver<Option<u64>>, found: FoundLog) -> Result<(), Failure> {
    let (read, _) = raft.get_read_log_id().await.map_err(not_leading)?;
    // Its term is the leader's: the first entry of that is the least there is.
    let wanted = read.map(|log_id| log_id.index).max(read.and_then(|log_id| found.to_apply(log_id.leader_id.term)));
    match tokio::time::timeout(APPLY_TIMEOUT, applied.wait_for(|index| *index >= wanted)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(Failure::new(ErrorCode::Unavailable, "this namenode is shutting down")),
        Err(_) => Err(Failure::new(ErrorCode::Unavailable, "this namenode is behind its own log")),
    }
}

fn not_leading(error: RaftError<u64, CheckIsLeaderError<u64, crate::raft::PeerNode>>) -> Failure {
    match error {
        RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward)) => {
            let leader = forward.leader_node.map(|node| node.address);
            Failure::new(ErrorCode::NotLeader { leader }, "this namenode does not lead")
        }
        RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(error)) => {
            Failure::new(ErrorCode::Unavailable, error.to_string())
        }
        RaftError::Fatal(error) => Failure::new(ErrorCode::Unavailable, error.to_string()),
    }
}

/// Keeps `alone` true while this peer is the only voter, leads, and has applied its log.
async fn watch_alone(raft: Raft, mut applied: watch::Receiver<Option<u64>>, alone: Arc<AtomicBool>, found: FoundLog) {
    let alone = ResetOnDrop(alone);
    let mut metrics = raft.metrics();
    let mut leadership = raft.server_metrics();
    loop {
        let is_alone = {
            // Of the two, openraft tells this one first.
            let now = leadership.borrow_and_update();
            let only_voter = now.membership_config.membership().voter_ids().eq([now.id]);
            // The blank entry of its own term is the proof that everything before it is applied, and what was found in the
            // log that everything is which an earlier start of this term acknowledged.
            let term = now.vote.leader_id().term;
            let last = metrics.borrow_and_update().last_applied;
            let is_current =
                last.is_some_and(|last| last.leader_id.term == term && Some(last.index) >= found.to_apply(term));
            only_voter && now.state == ServerState::Leader && is_current
        };
        alone.0.store(is_alone, Ordering::Release);
        if is_alone {
            // Membership can only change through this peer's own log, and with it these metrics; they do not with each entry.
            if leadership.changed().await.is_err() {
                break;
            }
        } else {
            tokio::select! {
                changed = metrics.changed() => if changed.is_err() { break },
                changed = applied.changed() => if changed.is_err() { break },
            }
        }
    }
}

/// However the watching ends, nobody is admitted by it any more.
struct ResetOnDrop(Arc<AtomicBool>);

impl Drop for ResetOnDrop {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
