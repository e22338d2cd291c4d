//! The job service: at the leading namenode it takes submissions, plans them, has [`crate::placement`] decide what runs
//! where, hands orders to task runners, and ends jobs.
//!
//! Invariants:
//! - Nothing is answered as done before its row is in the namenode's replicated state: a job, a task's success, an end.
//! - What is in memory can be made again from those rows and from what runners say that runs: a successor does that, and
//!   attempts that run go on.
//! - An attempt's success counts when the namenode has taken it; of two, one is refused.
//!
//! It does not: read input, run programs, or decide who may read what; the door that let a submission in has done that.

mod board;
#[cfg(test)]
mod board_tests;
mod document;
mod finish;
mod job;
mod plan;
mod poll;
mod recover;
mod restores;
mod rows;
mod runners;
mod sealed;
mod totals;

pub use document::COUNTER_GROUP;

use crate::placement::{Event, Policy};
use board::{Board, Followup};
use futures_util::future::BoxFuture;
use granary_protocol::jobs::{JobChange, JobQuestion, JobState, JobsCall, JobsReply, JobsService, Submission};
use granary_protocol::namenode::NamenodeService;
use granary_protocol::{ErrorCode, Failure, UnixMillis};
use rows::Rows;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often leadership and silent runners are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long jobs that ended are kept, with their history.
const KEPT_MS: u64 = 7 * 24 * 3_600_000;
/// Ticks between two looks for jobs that are old enough to go.
const TICKS_PER_SWEEP: u32 = 4 * 60;

/// What the service works with.
pub struct ServiceComponents {
    /// The namenode beside it.
    pub namenode: Arc<dyn NamenodeService>,
    /// Whether that namenode leads.
    pub leads: Box<dyn Fn() -> bool + Send + Sync>,
    /// The store's clock.
    pub now: Box<dyn Fn() -> UnixMillis + Send + Sync>,
    /// Ends the service.
    pub shutdown: CancellationToken,
}

/// The service; [`JobService::run`] drives it.
pub struct JobService {
    components: ServiceComponents,
    rows: Rows,
    board: Mutex<Board>,
    /// Told when the board's timer may have changed.
    rescheduled: Notify,
    tasks: TaskTracker,
}

impl JobService {
    /// A service that knows nothing yet.
    pub fn new(components: ServiceComponents) -> Arc<JobService> {
        Arc::new(JobService {
            rows: Rows::new(components.namenode.clone()),
            board: Mutex::new(Board::new(0, Policy::default())),
            components,
            rescheduled: Notify::new(),
            tasks: TaskTracker::new(),
        })
    }

    /// Takes over and lets go as leadership comes and goes, until the shutdown component is cancelled.
    pub async fn run(self: Arc<Self>) {
        let shutdown = self.components.shutdown.clone();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let work = async {
            let mut count = 0;
            loop {
                let wake = self.board().next_timer();
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = sleep_until(wake) => {
                        self.timer();
                        continue;
                    }
                    () = self.rescheduled.notified() => continue,
                }
                self.watch().await;
                count += 1;
                if count >= TICKS_PER_SWEEP {
                    count = 0;
                    self.forget_old().await;
                }
            }
        };
        shutdown.run_until_cancelled(work).await;
        self.board().retire();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Looks at leadership and at runners that are silent.
    async fn watch(self: &Arc<Self>) {
        let (leads, active) = ((self.components.leads)(), self.board().is_active());
        match (leads, active) {
            (true, false) => {
                if let Err(failure) = self.take_over().await {
                    tracing::debug!(%failure, "jobs are not taken over yet");
                }
            }
            (false, true) => self.board().retire(),
            (true, true) => {
                let followups = self.board().drop_silent_runners();
                self.follow(followups);
            }
            (false, false) => {}
        }
    }

    fn timer(self: &Arc<Self>) {
        let followups = {
            let mut board = self.board();
            board.timer_has_come();
            board.tell(Event::Timer)
        };
        self.follow(followups);
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> UnixMillis {
        (self.components.now)()
    }

    /// Carries out what a change of the board leaves to be done outside of it.
    fn follow(self: &Arc<Self>, followups: Vec<Followup>) {
        self.rescheduled.notify_one();
        for followup in followups {
            let service = self.clone();
            let shutdown = self.components.shutdown.clone();
            self.tasks.spawn(async move {
                shutdown
                    .run_until_cancelled(async {
                        match followup {
                            Followup::End { job, state, reason } => service.end(job, state, reason).await,
                        }
                    })
                    .await;
            });
        }
    }

    async fn submit(self: &Arc<Self>, submission: Submission) -> Result<JobsReply, Failure> {
        let epoch = self.board().epoch;
        let (job, spec) = self.admit(submission).await?;
        if let Some(spec) = spec {
            let service = self.clone();
            let shutdown = self.components.shutdown.clone();
            self.tasks.spawn(async move {
                shutdown.run_until_cancelled(service.plan_and_start(job, spec, epoch)).await;
            });
        }
        Ok(JobsReply::Submitted { job })
    }

    async fn answer(self: Arc<Self>, call: JobsCall) -> Result<JobsReply, Failure> {
        if !self.board().is_active() {
            return Err(Failure::new(ErrorCode::Unavailable, "the job service is taking over"));
        }
        match call {
            JobsCall::Submit(submission) => self.submit(*submission).await,
            JobsCall::Ask { asker, question } => {
                let document = match question {
                    JobQuestion::List { limit } => self.list(&asker, limit).await?,
                    JobQuestion::Status { job } => self.status(&asker, job).await?,
                    JobQuestion::Tasks { job } => self.list_tasks(&asker, job).await?,
                    JobQuestion::Logs { job } => self.logs(&asker, job).await?,
                    JobQuestion::History { job } => self.history_lines(&asker, job).await?,
                };
                Ok(JobsReply::Document(document))
            }
            JobsCall::Kill { asker, job } => {
                let record = self.rows.job(job).await?;
                document::may_ask(&asker, &record, job)?;
                if !record.state.is_final() {
                    self.end(job, JobState::Killed, format!("killed by {}", asker.account)).await;
                }
                Ok(JobsReply::Done)
            }
            JobsCall::Poll(poll) => self.poll(*poll).await,
            JobsCall::OpenOutput { runner, attempt, key } => {
                self.board().expect_running(&runner, attempt)?;
                Ok(JobsReply::Upload(self.rows.open_output(JobChange::OpenOutput { attempt, key }).await?))
            }
            JobsCall::OpenSealedOutput { runner, attempt, key, encryption } => {
                self.board().expect_running(&runner, attempt)?;
                let change = JobChange::OpenSealedOutput { attempt, key, encryption };
                Ok(JobsReply::Upload(self.rows.open_output(change).await?))
            }
        }
    }
}

/// The service as the namenode calls it.
pub struct JobsDoor(pub Arc<JobService>);

impl JobsService for JobsDoor {
    fn call(&self, call: JobsCall) -> BoxFuture<'_, Result<JobsReply, Failure>> {
        Box::pin(self.0.clone().answer(call))
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
