//! The task runner beside a datanode: asks the job service for work, runs attempts in slots, tells how they do, serves the
//! map output it keeps to reduces elsewhere.
//!
//! Invariants:
//! - What has ended is told until the service has answered; an order is carried out once.
//! - Scratch is emptied when the runner starts, an attempt's when it ends, a job's map output when the job has ended.
//! - An attempt that was ended, or shows no life for the job's timeout, leaves nothing: its outputs are given back.
//!
//! It does not decide what runs, nor whether a result counts.

mod attempt;
mod history;
mod keys;
mod output;
mod pieces;
mod shuffle;
mod store;

use crate::engine::{Cancel, Progress};
use crate::figures::Figures;
use crate::sandbox::{Account, Execution};
use bytes::Bytes;
use granary_client::Client;
use granary_protocol::jobs::{
    AttemptEnd, AttemptName, AttemptOrder, AttemptProgress, JobId, JobsCall, JobsReply, REASON_BYTES_MAX, RunnerOrder,
    RunnerPoll,
};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::{DatanodeId, Failure, NodeName, Rack};
use granary_rpc::{RpcServer, Security};
use granary_sealing::KeyStore;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long an answer may wait for an order while nothing runs, and while something does.
const WAIT_IDLE: Duration = Duration::from_secs(3);
const WAIT_BUSY: Duration = Duration::from_millis(500);
/// How long a poll may take beyond that.
const POLL_GRACE: Duration = Duration::from_secs(7);
/// The pause after a poll that failed.
const PAUSE: Duration = Duration::from_millis(200);
/// Others may pass through a directory, to what is theirs in it, and see nothing else.
const PASS_ONLY: u32 = 0o711;
/// Nobody else may.
const OWN_ONLY: u32 = 0o700;
/// How long the last word to the service may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a runner is.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// That of the datanode it stands beside, as in its certificate.
    pub name: NodeName,
    pub datanode: DatanodeId,
    pub rack: Rack,
    /// Attempts at a time.
    pub slots: u32,
    /// For scratch; what lies in it goes when the runner starts.
    pub scratch: PathBuf,
    /// Where map output is served to other runners; `None` where there are no others.
    pub shuffle: Option<SocketAddr>,
    /// `host:port` under which others reach that, where it differs.
    pub shuffle_advertised: Option<String>,
    /// The binary that starts programs.
    pub launcher: PathBuf,
    /// The first of as many users of the operating system as there are slots, whom programs run as; `None` where the
    /// process may not change its user.
    pub first_user: Option<u32>,
}

/// What it works with.
pub struct RunnerComponents {
    /// Reads and writes objects, and reaches the leading namenode.
    pub client: Client,
    /// Opens and makes the keys of encrypted objects, where there is a master key.
    pub keys: Option<Arc<dyn KeyStore>>,
    /// Of connections between runners.
    pub security: Security,
    /// Ends the runner: what runs is ended with it.
    pub shutdown: CancellationToken,
}

/// A running task runner.
pub struct TaskRunner {
    config: RunnerConfig,
    client: Client,
    keys: Option<Arc<dyn KeyStore>>,
    security: Security,
    shutdown: CancellationToken,
    session: u64,
    /// Where others reach map output.
    shuffle: String,
    state: Mutex<RunnerState>,
    /// Told when an attempt has ended.
    changed: Notify,
    tasks: TaskTracker,
}

#[derive(Default)]
struct RunnerState {
    epoch: u32,
    orders_taken: u64,
    running: BTreeMap<AttemptName, Arc<Live>>,
    ended: Vec<AttemptEnd>,
    sampled: Vec<(JobId, Result<Bytes, String>)>,
    /// Map output kept for reduces.
    map_outputs: BTreeMap<(JobId, u32), KeptOutput>,
}

/// The output of a map.
#[derive(Clone, Debug)]
struct KeptOutput {
    attempt: u32,
    path: PathBuf,
}

/// An attempt that runs.
struct Live {
    cancel: Cancel,
    progress: Progress,
    /// It was ended because the service said so: nobody waits for its end.
    killed: AtomicBool,
    /// It showed no life for too long.
    timed_out: AtomicBool,
    /// Its slot, which no other attempt has at the time.
    slot: u32,
    timeout: Option<Duration>,
    /// The last sign of life: what the progress counted then, and when.
    beat: Mutex<(u64, Instant)>,
}

impl TaskRunner {
    /// Empties the scratch directory, which is made again for the first attempt, and begins to serve map output.
    ///
    /// # Errors
    /// The scratch directory cannot be emptied, or the port not be bound.
    pub async fn start(config: RunnerConfig, components: RunnerComponents) -> io::Result<Arc<TaskRunner>> {
        match std::fs::remove_dir_all(&config.scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut session = [0; 8];
        getrandom::fill(&mut session).map_err(io::Error::other)?;
        let listener = match config.shuffle {
            Some(address) => Some(shuffle::bind(address, components.security.clone()).await?),
            None => None,
        };
        let bound = match &listener {
            Some((server, _)) => server.local_addr()?.to_string(),
            None => String::new(),
        };
        let runner = Arc::new(TaskRunner {
            shuffle: config.shuffle_advertised.clone().unwrap_or(bound),
            client: components.client,
            keys: components.keys,
            security: components.security,
            shutdown: components.shutdown,
            session: u64::from_le_bytes(session),
            state: Mutex::default(),
            changed: Notify::new(),
            tasks: TaskTracker::new(),
            config,
        });
        if let Some((server, door)) = listener {
            door.open(&runner);
            runner.serve(server);
        }
        Ok(runner)
    }

    fn serve(&self, server: RpcServer) {
        self.tasks.spawn(server.run(self.shutdown.clone()));
    }

    /// Works until the shutdown component is cancelled; what runs then is ended.
    pub async fn run(self: Arc<Self>) {
        let shutdown = self.shutdown.clone();
        shutdown
            .run_until_cancelled(async {
                loop {
                    self.end_silent();
                    if let Err(failure) = self.turn().await {
                        tracing::debug!(%failure, "the job service is not reached");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            })
            .await;
        for live in self.state().running.values() {
            live.killed.store(true, Ordering::Relaxed);
            live.cancel.cancel();
        }
        // The service would notice anyway.
        let _ = tokio::time::timeout(FAREWELL, self.ask(self.message(true))).await;
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = std::fs::remove_dir_all(&self.config.scratch) {
            tracing::debug!(%error, "scratch stays until the next start");
        }
    }

    /// One poll; given up and made anew when an attempt ends meanwhile.
    async fn turn(self: &Arc<Self>) -> Result<(), Failure> {
        let poll = self.message(false);
        let (ended, sampled) = (poll.ended.len(), poll.sampled.len());
        let patience = Duration::from_millis(poll.wait_ms.into()) + POLL_GRACE;
        let reply = tokio::select! {
            reply = tokio::time::timeout(patience, self.ask(poll)) => reply,
            () = self.changed.notified() => return Ok(()),
        };
        let Ok(reply) = reply else { return Ok(()) };
        let JobsReply::Orders { epoch, orders } = reply? else { return Ok(()) };
        {
            let mut state = self.state();
            state.ended.drain(..ended);
            state.sampled.drain(..sampled);
            if state.epoch != epoch {
                (state.epoch, state.orders_taken) = (epoch, 0);
            }
        }
        for (number, order) in orders {
            let is_new = {
                let mut state = self.state();
                let is_new = number > state.orders_taken;
                state.orders_taken = state.orders_taken.max(number);
                is_new
            };
            if is_new {
                self.obey(order);
            }
        }
        Ok(())
    }

    async fn ask(&self, poll: RunnerPoll) -> Result<JobsReply, Failure> {
        self.call(JobsCall::Poll(Box::new(poll))).await
    }

    async fn call(&self, call: JobsCall) -> Result<JobsReply, Failure> {
        match self.client.call(NamenodeRequest::Jobs(Box::new(call))).await? {
            NamenodeReply::Jobs(reply) => Ok(*reply),
            _ => Err(Failure::from(granary_protocol::ErrorCode::Internal)),
        }
    }

    fn message(&self, leaving: bool) -> RunnerPoll {
        let state = self.state();
        let wait = if state.running.is_empty() { WAIT_IDLE } else { WAIT_BUSY };
        RunnerPoll {
            runner: self.config.name.clone(),
            session: self.session,
            datanode: self.config.datanode,
            rack: self.config.rack.clone(),
            slots: self.config.slots,
            shuffle: self.shuffle.clone(),
            epoch: state.epoch,
            orders_taken: state.orders_taken,
            running: state.running.iter().map(|(attempt, live)| live.said(*attempt)).collect(),
            ended: state.ended.clone(),
            sampled: state.sampled.clone(),
            wait_ms: wait.as_millis() as u32,
            leaving,
        }
    }

    fn obey(self: &Arc<Self>, order: RunnerOrder) {
        match order {
            RunnerOrder::Start(order) => self.begin(*order),
            RunnerOrder::Kill { attempt } => {
                if let Some(live) = self.state().running.get(&attempt) {
                    live.killed.store(true, Ordering::Relaxed);
                    live.cancel.cancel();
                }
            }
            RunnerOrder::CleanUp { job } => self.clean_up(job),
            RunnerOrder::Sample { job, spec, splits } => {
                let runner = self.clone();
                self.tasks.spawn_blocking(move || {
                    let sampled = attempt::sample(&runner, &spec, &splits);
                    runner.state().sampled.push((job, sampled));
                    runner.changed.notify_one();
                });
            }
            RunnerOrder::WriteHistory { job, operator, bucket, key, lines } => {
                let runner = self.clone();
                self.tasks.spawn(async move {
                    let client = &runner.client;
                    if let Err(failure) = history::write(client, operator, bucket, key, lines).await {
                        tracing::warn!(%job, %failure, "a job's history was not kept as an object");
                    }
                });
            }
        }
    }

    fn begin(self: &Arc<Self>, order: AttemptOrder) {
        let attempt = order.attempt;
        let live = {
            let mut state = self.state();
            if state.running.contains_key(&attempt) {
                return;
            }
            // One that was ended may still be on its way out, so there can be more attempts than slots.
            let taken: Vec<u32> = state.running.values().map(|live| live.slot).collect();
            let slot = (0..).find(|slot| !taken.contains(slot)).expect("there are more numbers than attempts");
            let live = Arc::new(Live::new(attempt::timeout_of(&order), slot));
            state.running.insert(attempt, live.clone());
            live
        };
        let runner = self.clone();
        self.tasks.spawn_blocking(move || {
            let end = attempt::run(&runner, &order, &live);
            let mut state = runner.state();
            state.running.remove(&attempt);
            if !live.killed.load(Ordering::Relaxed) {
                state.ended.push(end);
            }
            drop(state);
            runner.changed.notify_one();
        });
    }

    /// The job has ended: nothing of it runs on or stays.
    fn clean_up(self: &Arc<Self>, job: JobId) {
        let mut state = self.state();
        for (_, live) in state.running.iter().filter(|(attempt, _)| attempt.job == job) {
            live.killed.store(true, Ordering::Relaxed);
            live.cancel.cancel();
        }
        state.map_outputs.retain(|(of, _), _| *of != job);
        drop(state);
        let directory = self.outputs_of(job);
        self.tasks.spawn_blocking(move || match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, directory = %directory.display(), "map output stays until the next start");
            }
            Ok(()) | Err(_) => {}
        });
    }

    /// Ends attempts that have shown no life for their job's timeout.
    fn end_silent(&self) {
        for (attempt, live) in &self.state().running {
            if live.is_silent() {
                tracing::info!(%attempt, "an attempt has made no progress for too long");
                live.timed_out.store(true, Ordering::Relaxed);
                live.cancel.cancel();
            }
        }
    }

    /// How programs of the attempt in a slot are started.
    fn execution(&self, slot: u32) -> Execution {
        let account = self.config.first_user.map(|first| Account { user: first + slot, group: first + slot });
        Execution { launcher: self.config.launcher.clone(), account }
    }

    /// Makes the scratch directory if it is not there. One that somebody else has made is not used.
    fn make_scratch(&self) -> io::Result<()> {
        let scratch = &self.config.scratch;
        if let Some(above) = scratch.parent() {
            std::fs::create_dir_all(above)?;
        }
        match std::fs::DirBuilder::new().mode(PASS_ONLY).create(scratch) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = std::fs::symlink_metadata(scratch)?;
                match found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw() {
                    true => Ok(()),
                    false => Err(io::Error::other(format!("{} is somebody else's", scratch.display()))),
                }
            }
            made => made,
        }
    }

    fn outputs_of(&self, job: JobId) -> PathBuf {
        self.config.scratch.join(format!("{job}-outputs"))
    }

    fn state(&self) -> MutexGuard<'_, RunnerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Figures of the runner in Prometheus' text format.
    pub fn exposition(&self) -> String {
        let state = self.state();
        let mut figures = Figures::default();
        figures.single("granary_task_runner_slots", "Attempts of tasks at a time.", self.config.slots.into());
        figures.single("granary_task_runner_attempts", "Attempts that run.", state.running.len() as u64);
        let kept = state.map_outputs.len() as u64;
        figures.single("granary_task_runner_map_outputs", "Outputs of maps that are kept for reduces.", kept);
        figures.into_text()
    }
}

impl Live {
    fn new(timeout: Option<Duration>, slot: u32) -> Live {
        Live {
            cancel: Cancel::default(),
            progress: Progress::default(),
            killed: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
            slot,
            timeout,
            beat: Mutex::new((0, Instant::now())),
        }
    }

    fn is_silent(&self) -> bool {
        let Some(timeout) = self.timeout else { return false };
        let beats = self.progress.report().beats;
        let mut beat = self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        if beat.0 != beats {
            *beat = (beats, Instant::now());
        }
        beat.1.elapsed() >= timeout && !self.timed_out.load(Ordering::Relaxed)
    }

    fn said(&self, attempt: AttemptName) -> AttemptProgress {
        let report = self.progress.report();
        AttemptProgress {
            attempt,
            permille: report.permille,
            status: report.status.clone(),
            counters: attempt::counters(&report),
        }
    }
}

/// The end of a text, at most [`REASON_BYTES_MAX`].
fn end_of(text: &str) -> String {
    let mut start = text.len().saturating_sub(REASON_BYTES_MAX);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}
