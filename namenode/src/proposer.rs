//! Gathers commands into batches and takes them through Raft: the namenode's group commit.
//!
//! While a batch waits for its sync, commands gather; the next batch takes all of them. Two batches are on their way at
//! once, so that one is applied while the next is synced.

use crate::clock::Clock;
use crate::command::{Action, Command};
use crate::raft::{BatchReply, CommandBatch, Raft, TypeConfig};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{ErrorCode, Failure, UnixMillis};
use openraft::error::ClientWriteError;
use openraft::raft::ClientWriteResponse;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Commands waiting for a batch at most; callers wait for room beyond that.
const WAITING_MAX: usize = 4_096;
/// Commands of one batch at most.
const BATCH_COMMANDS_MAX: usize = 512;
/// Batches on their way at once.
const BATCHES_IN_FLIGHT: usize = 2;

type Outcome = Result<NamenodeReply, Failure>;
type Waiter = oneshot::Sender<Outcome>;
type Written = Result<ClientWriteResponse<TypeConfig>, ClientWriteError<u64, crate::raft::PeerNode>>;

/// Takes commands.
#[derive(Clone)]
pub struct Proposer {
    queue: mpsc::Sender<(Action, Waiter)>,
}

impl Proposer {
    /// A proposer and the task that drives it; the task ends when the last proposer is dropped.
    pub fn new(raft: Raft, clock: Arc<dyn Clock>) -> (Proposer, impl Future<Output = ()>) {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        (Proposer { queue }, drive(raft, clock, waiting))
    }

    /// Returns once the command is committed and applied.
    ///
    /// # Errors
    /// `NotLeader` and `Unavailable` mean that it did not take effect; `DeadlineExceeded` that it may have.
    pub async fn propose(&self, action: Action) -> Outcome {
        let (waiter, outcome) = oneshot::channel();
        let stopped = || Failure::new(ErrorCode::Unavailable, "this namenode is shutting down");
        self.queue.send((action, waiter)).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| {
            Failure::new(ErrorCode::DeadlineExceeded, "this namenode stopped while the command was on its way")
        })?
    }
}

async fn drive(raft: Raft, clock: Arc<dyn Clock>, mut waiting: mpsc::Receiver<(Action, Waiter)>) {
    let mut in_flight = FuturesOrdered::new();
    let mut last = UnixMillis(0);
    let mut gathered = Vec::with_capacity(BATCH_COMMANDS_MAX);
    loop {
        tokio::select! {
            biased;
            Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
            count = waiting.recv_many(&mut gathered, BATCH_COMMANDS_MAX), if in_flight.len() < BATCHES_IN_FLIGHT => {
                if count == 0 {
                    break;
                }
                // A clock that steps back must not make a later write look older than an earlier one.
                last = last.max(clock.now());
                let (commands, waiters): (Vec<Command>, Vec<Waiter>) =
                    gathered.drain(..).map(|(action, waiter)| (Command { now: last, action }, waiter)).unzip();
                let batch = CommandBatch(Arc::new(commands));
                match raft.client_write_ff(batch).await {
                    Ok(written) => in_flight.push_back(async move { deliver(written.await.ok(), waiters) }),
                    Err(fatal) => refuse(waiters, &Failure::new(ErrorCode::Unavailable, fatal.to_string())),
                }
            }
        }
    }
    while in_flight.next().await.is_some() {}
}

fn deliver(written: Option<Written>, waiters: Vec<Waiter>) {
    match written {
        Some(Ok(response)) => {
            let BatchReply(replies) = response.data;
            debug_assert_eq!(replies.len(), waiters.len(), "one reply a command");
            for (waiter, reply) in waiters.into_iter().zip(replies) {
                // A caller that has gone away no longer wants the reply.
                let _ = waiter.send(reply);
            }
        }
        Some(Err(ClientWriteError::ForwardToLeader(forward))) => {
            let leader = forward.leader_node.map(|node| node.address);
            refuse(waiters, &Failure::new(ErrorCode::NotLeader { leader }, "this namenode does not lead"));
        }
        Some(Err(ClientWriteError::ChangeMembershipError(error))) => {
            refuse(waiters, &Failure::new(ErrorCode::Internal, error.to_string()));
        }
        None => {
            refuse(waiters, &Failure::new(ErrorCode::DeadlineExceeded, "Raft stopped while the command was on its way"))
        }
    }
}

fn refuse(waiters: Vec<Waiter>, failure: &Failure) {
    for waiter in waiters {
        let _ = waiter.send(Err(failure.clone()));
    }
}
