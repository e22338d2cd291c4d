//! Gathers commands into batches and takes them through Raft: the namenode's group commit.
//!
//! While a batch waits for its sync, commands gather; the next batch takes all of them, up to a number and a size. Two
//! batches are on their way at once, so that one is applied while the next is synced.

use crate::command::{Action, Command};
use crate::metrics::Metrics;
use crate::raft::{BatchReply, CommandBatch, Raft, TypeConfig};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{Clock, ErrorCode, Failure, UnixMillis};
use openraft::error::ClientWriteError;
use openraft::raft::ClientWriteResponse;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{RwLock, RwLockWriteGuard, mpsc, oneshot};

/// Commands waiting for a batch at most; callers wait for room beyond that.
const WAITING_MAX: usize = 4_096;
/// Commands of one batch at most.
const BATCH_COMMANDS_MAX: usize = 512;
/// Bytes of one batch at most, and of one command: an entry must fit into one call between peers, and a log record.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Keys that the commands of one batch change at most, unless a single one changes more: a batch is applied at a stretch,
/// and its rows are in memory until then.
const BATCH_KEYS_MAX: usize = 4_096;
/// How long after the end of its leadership a peer may still learn what became of its batches.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// Batches on their way at once.
const BATCHES_IN_FLIGHT: usize = 2;

type Outcome = Result<NamenodeReply, Failure>;
type Waiter = oneshot::Sender<Outcome>;
type Written = Result<ClientWriteResponse<TypeConfig>, ClientWriteError<u64, crate::raft::PeerNode>>;

struct Proposal {
    action: Action,
    bytes: usize,
    waiter: Waiter,
}

/// Takes commands.
#[derive(Clone)]
pub struct Proposer {
    queue: mpsc::Sender<Proposal>,
    /// Read by everybody who waits for an outcome.
    under_way: Arc<RwLock<()>>,
}

impl Proposer {
    /// A proposer and the task that drives it; the task ends when the last proposer is dropped.
    pub fn new(raft: Raft, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> (Proposer, impl Future<Output = ()>) {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        (Proposer { queue, under_way: Arc::default() }, drive(raft, clock, metrics, waiting))
    }

    /// Returns once the command is committed and applied.
    ///
    /// # Errors
    /// `Unavailable` means that it did not take effect, `InvalidArgument` that it is larger than a command may be.
    /// `DeadlineExceeded` means that it may have, and `NotLeader` too: the peer may have lost its leadership with the command
    /// in its log, from where a later leader can still commit it.
    pub async fn propose(&self, action: Action) -> Outcome {
        let bytes = postcard::serialize_with_flavor(&action, postcard::ser_flavors::Size::default())
            .map_err(|error| Failure::new(ErrorCode::InvalidArgument, error.to_string()))?;
        if bytes > BATCH_BYTES_MAX {
            let detail = format!("the request takes {bytes} bytes in the log; {BATCH_BYTES_MAX} are allowed");
            return Err(Failure::new(ErrorCode::InvalidArgument, detail));
        }
        let _under_way = self.under_way.read().await;
        let (waiter, outcome) = oneshot::channel();
        let stopped = || Failure::new(ErrorCode::Unavailable, "this namenode is shutting down");
        self.queue.send(Proposal { action, bytes, waiter }).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| {
            Failure::new(ErrorCode::DeadlineExceeded, "this namenode stopped while the command was on its way")
        })?
    }

    /// Waits for the outcome of every command under way. Others wait for as long as what this returns is kept.
    pub async fn hold(&self) -> RwLockWriteGuard<'_, ()> {
        self.under_way.write().await
    }
}

async fn drive(raft: Raft, clock: Arc<dyn Clock>, metrics: Arc<Metrics>, mut waiting: mpsc::Receiver<Proposal>) {
    let mut in_flight = FuturesOrdered::new();
    let mut last = UnixMillis(0);
    let mut gathered = Vec::with_capacity(BATCH_COMMANDS_MAX);
    loop {
        tokio::select! {
            biased;
            Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
            count = waiting.recv_many(&mut gathered, BATCH_COMMANDS_MAX),
                if gathered.is_empty() && in_flight.len() < BATCHES_IN_FLIGHT =>
            {
                if count == 0 {
                    break;
                }
            }
        }
        // Leaves commands behind only with all batches on their way, so one branch above is always open.
        while !gathered.is_empty() && in_flight.len() < BATCHES_IN_FLIGHT {
            // A clock that steps back must not make a later write look older than an earlier one.
            last = last.max(clock.now());
            let (commands, waiters) = next_batch(&mut gathered, last);
            metrics.batch_proposed(commands.len());
            let metrics = metrics.clone();
            let led = raft.server_metrics().borrow().state.is_leader();
            match raft.client_write_ff(CommandBatch(Arc::new(commands))).await {
                Ok(written) => {
                    let raft = raft.clone();
                    in_flight.push_back(async move {
                        let written = tokio::select! {
                            biased;
                            written = written => written.ok(),
                            () = leadership_lost(&raft) => None,
                        };
                        if !deliver(written, led, waiters) {
                            metrics.batch_failed();
                        }
                    });
                }
                Err(fatal) => {
                    metrics.batch_failed();
                    refuse(waiters, &Failure::new(ErrorCode::Unavailable, fatal.to_string()));
                }
            }
        }
    }
    while in_flight.next().await.is_some() {}
}

/// Returns a while after this peer has ceased to lead: what it had proposed is answered by then, or never will be. A leader
/// that was removed from the membership answers nothing.
async fn leadership_lost(raft: &Raft) {
    let mut metrics = raft.server_metrics();
    // The sender is gone only when Raft is.
    let _ = metrics.wait_for(|metrics| !metrics.state.is_leader()).await;
    tokio::time::sleep(LAST_ANSWERS).await;
}

/// Takes as many commands from the front as one batch may have.
fn next_batch(gathered: &mut Vec<Proposal>, now: UnixMillis) -> (Vec<Command>, Vec<Waiter>) {
    let (mut bytes, mut keys) = (0, 0);
    let fits = |proposal: &Proposal| {
        bytes += proposal.bytes;
        keys += keys_changed(&proposal.action);
        bytes <= BATCH_BYTES_MAX && keys <= BATCH_KEYS_MAX
    };
    let count = gathered.iter().map(fits).take_while(|fits| *fits).count().max(1);
    gathered.drain(..count).map(|proposal| (Command { now, action: proposal.action }, proposal.waiter)).unzip()
}

fn keys_changed(action: &Action) -> usize {
    match action {
        Action::DeleteObjects(delete) => delete.objects.len(),
        Action::Once { action, .. } => keys_changed(action),
        _ => 1,
    }
}

/// Hands out the outcome of a batch that was proposed when the peer `led`, as far as was known. `false` when it did not take
/// effect or may not have.
fn deliver(written: Option<Written>, led: bool, waiters: Vec<Waiter>) -> bool {
    match written {
        Some(Ok(response)) => {
            let BatchReply(replies) = response.data;
            debug_assert_eq!(replies.len(), waiters.len(), "one reply a command");
            for (waiter, reply) in waiters.into_iter().zip(replies) {
                // A caller that has gone away no longer wants the reply.
                let _ = waiter.send(reply);
            }
            return true;
        }
        // It was in this peer's log and had to give way there; another peer may have it still.
        Some(Err(ClientWriteError::ForwardToLeader(_))) if led => refuse(waiters, &unknown()),
        Some(Err(ClientWriteError::ForwardToLeader(forward))) => {
            let leader = forward.leader_node.map(|node| node.address);
            refuse(waiters, &Failure::new(ErrorCode::NotLeader { leader }, "this namenode does not lead"));
        }
        Some(Err(ClientWriteError::ChangeMembershipError(error))) => {
            refuse(waiters, &Failure::new(ErrorCode::Internal, error.to_string()));
        }
        None => refuse(waiters, &unknown()),
    }
    false
}

fn unknown() -> Failure {
    Failure::new(ErrorCode::DeadlineExceeded, "this namenode ceased to lead while the command was on its way")
}

fn refuse(waiters: Vec<Waiter>, failure: &Failure) {
    for waiter in waiters {
        let _ = waiter.send(Err(failure.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::DeleteObjects;
    use granary_protocol::namenode::DeleteTarget;
    use granary_protocol::{BucketName, CanonicalId, LeaseId, ObjectKey};

    fn proposal(bytes: usize) -> Proposal {
        let (waiter, _) = oneshot::channel();
        Proposal { action: Action::CloseLease { lease: LeaseId(1) }, bytes, waiter }
    }

    #[test]
    fn a_batch_is_bounded_in_bytes_and_takes_at_least_one() {
        let mut gathered: Vec<_> = [BATCH_BYTES_MAX / 2, BATCH_BYTES_MAX / 2, 1, BATCH_BYTES_MAX].map(proposal).into();
        let mut sizes = Vec::new();
        while !gathered.is_empty() {
            sizes.push(next_batch(&mut gathered, UnixMillis(0)).0.len());
        }
        assert_eq!(sizes, [2, 1, 1]);
    }

    #[test]
    fn a_batch_is_bounded_in_keys() {
        let target = DeleteTarget {
            key: ObjectKey::from("k"),
            version: None,
            if_match: None,
            if_modified_s: None,
            if_size: None,
        };
        let delete = |keys: usize| {
            let (bucket, objects) = (BucketName::from("b"), vec![target.clone(); keys]);
            let delete = DeleteObjects { bucket, objects, deleter: CanonicalId::default(), bypass_governance: false };
            Proposal { action: Action::DeleteObjects(Box::new(delete)), ..proposal(1) }
        };
        let mut gathered: Vec<_> = [1000, 3000, 96, 1, 5000].map(delete).into();
        let mut sizes = Vec::new();
        while !gathered.is_empty() {
            sizes.push(next_batch(&mut gathered, UnixMillis(0)).0.len());
        }
        assert_eq!(sizes, [3, 1, 1]);
    }
}
