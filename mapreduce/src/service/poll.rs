//! A runner's poll: heartbeat, what has ended, and the wait for orders.

use super::board::Followup;
use super::job::{Done, FailedAttempt};
use super::{JobService, document};
use futures_util::future::join_all;
use granary_protocol::jobs::{
    AttemptEnd, AttemptName, AttemptOutcome, JobChange, JobsReply, REASON_BYTES_MAX, RESULT_BYTES_MAX, RunnerPoll,
    TaskRecord,
};
use granary_protocol::{DatanodeId, ErrorCode, Failure, NodeName, UnixMillis};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The longest an answer waits, below what any caller waits for one.
const WAIT_MAX: Duration = Duration::from_secs(4);

impl JobService {
    pub(super) async fn poll(self: &Arc<Self>, mut poll: RunnerPoll) -> Result<JobsReply, Failure> {
        let until = Instant::now() + Duration::from_millis(poll.wait_ms.into()).min(WAIT_MAX);
        let followups = self.board().hear(&poll);
        self.follow(followups);
        for (job, sampled) in std::mem::take(&mut poll.sampled) {
            self.board().sampled(job, sampled);
        }
        let ends = std::mem::take(&mut poll.ended);
        for outcome in join_all(ends.into_iter().map(|end| self.ended(&poll.runner, end))).await {
            outcome?;
        }
        loop {
            let (epoch, orders, changed) = {
                let board = self.board();
                let Some(runner) = board.runners.get(&poll.runner) else {
                    return Ok(JobsReply::Orders { epoch: board.epoch, orders: Vec::new() });
                };
                (board.epoch, runner.waiting(), runner.changed.clone())
            };
            let told = changed.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            // An order may have come between the look and the wait.
            let fresh = self.board().runners.get(&poll.runner).is_some_and(|runner| !runner.waiting().is_empty());
            if !orders.is_empty() || poll.leaving || Instant::now() >= until {
                return Ok(JobsReply::Orders { epoch, orders });
            }
            if !fresh {
                let _ = tokio::time::timeout_at(until, told).await;
            }
        }
    }

    /// Takes in the end of an attempt. An error means that the runner has to tell it again.
    async fn ended(self: &Arc<Self>, runner: &NodeName, end: AttemptEnd) -> Result<(), Failure> {
        let attempt = end.attempt;
        if self.board().expect_running(runner, attempt).is_err() {
            // It crossed the order to end it, or its job has ended.
            return Ok(());
        }
        let followups = match end.outcome {
            AttemptOutcome::Succeeded { outputs, output_bytes, counters } => {
                let done = Done {
                    attempt: attempt.number,
                    runner: runner.clone(),
                    datanode: self.datanode_of(runner),
                    counters,
                    elapsed_ms: end.elapsed_ms,
                    output_bytes,
                };
                let record = TaskRecord {
                    attempt: attempt.number,
                    runner: runner.clone(),
                    finished: UnixMillis(0),
                    outputs,
                    output_bytes,
                    result: document::result_of(self.locality_of(attempt), &done),
                };
                self.commit(attempt, record, done).await?
            }
            AttemptOutcome::Failed { reason, is_final } => {
                let reason = document::clipped(&reason, REASON_BYTES_MAX);
                let stderr = document::clipped_start(&end.stderr, REASON_BYTES_MAX);
                let failure = FailedAttempt { attempt, runner: runner.clone(), reason, stderr };
                self.board().failed(failure, is_final)
            }
            AttemptOutcome::InputsLost { maps } => self.inputs_lost(attempt, &maps),
            AttemptOutcome::Killed => self.board().lost(attempt),
        };
        self.follow(followups);
        Ok(())
    }

    fn datanode_of(&self, runner: &NodeName) -> DatanodeId {
        self.board().runners.get(runner).map(|runner| runner.datanode).unwrap_or_default()
    }

    fn locality_of(&self, attempt: AttemptName) -> Option<crate::placement::Locality> {
        let board = self.board();
        board.jobs.get(&attempt.job)?.running.get(&attempt)?.locality
    }

    async fn commit(&self, attempt: AttemptName, record: TaskRecord, done: Done) -> Result<Vec<Followup>, Failure> {
        if record.result.len() > RESULT_BYTES_MAX {
            let reason = "the counters of the task take too much".to_owned();
            let failure = FailedAttempt { attempt, runner: done.runner, reason, stderr: String::new() };
            return Ok(self.board().failed(failure, true));
        }
        match self.rows.carry_out(JobChange::CommitTask { attempt, record: Box::new(record) }).await {
            Ok(()) => Ok(self.board().succeeded(attempt, done)),
            Err(failure) => match failure.code {
                // Somebody else has done the task, or the job has ended.
                ErrorCode::Conflict | ErrorCode::NoSuchEntity => Ok(self.board().lost(attempt)),
                ErrorCode::NoSuchUpload | ErrorCode::InvalidArgument => {
                    let reason = format!("its output was not taken: {failure}");
                    let failed = FailedAttempt { attempt, runner: done.runner, reason, stderr: String::new() };
                    Ok(self.board().failed(failed, false))
                }
                _ => Err(failure),
            },
        }
    }

    /// A reduce could not read what these maps made: they have to run again, and it after them.
    fn inputs_lost(&self, attempt: AttemptName, maps: &[u32]) -> Vec<Followup> {
        let mut board = self.board();
        let mut followups = Vec::new();
        for map in maps {
            followups.extend(board.output_lost(attempt.job, *map));
        }
        followups.extend(board.lost(attempt));
        followups
    }
}
