//! Everything the service knows while its namenode leads, and what changes it. Nothing here waits: what has to be done
//! elsewhere comes back as a [`Followup`] or lies ready as a runner's order.

use super::job::{Done, FailedAttempt, Job, Running};
use super::restores::Restoring;
use super::runners::{Runner, Runners, SILENCE_MAX};
use super::totals::Totals;
use crate::placement::{
    self, Action, AttemptId, Event, JobPlan, MapPlan, Millis, NodeId, Policy, RackId, State, TaskId, UserId,
};
use bytes::Bytes;
use granary_protocol::jobs::{
    AttemptName, AttemptOrder, AttemptWork, JobId, JobState, MapSource, RunnerOrder, RunnerPoll, TaskKind, TaskName,
};
use granary_protocol::{CanonicalId, DatanodeId, ErrorCode, Failure, NodeName, Rack};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant};

/// Attempts of a task under one leader. Hadoop counts on so from one application master to the next.
const ATTEMPTS_PER_EPOCH: u32 = 1_000;
/// Histories that wait for a runner to write them, at most.
const HISTORIES_MAX: usize = 1_000;

/// Something that has to be awaited.
#[derive(Debug)]
pub(super) enum Followup {
    /// The job ends so.
    End { job: JobId, state: JobState, reason: String },
}

/// The ranges of a job's reduces, or why there are none.
pub(super) type Sampled = Result<Bytes, String>;

pub(super) struct Board {
    pub epoch: u32,
    active: bool,
    placement: State,
    origin: Instant,
    timer: Option<Instant>,
    pub runners: Runners,
    nodes: HashMap<DatanodeId, NodeId>,
    names: HashMap<NodeId, NodeName>,
    racks: HashMap<Rack, RackId>,
    users: HashMap<CanonicalId, UserId>,
    pub jobs: BTreeMap<JobId, Job>,
    /// Jobs whose splits are being made.
    pub planning: BTreeSet<JobId>,
    /// Those of them whose input is being restored.
    pub restoring: BTreeMap<JobId, Restoring>,
    /// Until then what still runs from before is waited for: nodes join with no more slots than they use.
    holding: Option<Instant>,
    histories: VecDeque<RunnerOrder>,
    pub totals: Totals,
    sampling: HashMap<JobId, oneshot::Sender<Sampled>>,
}

impl Board {
    pub fn new(epoch: u32, policy: Policy) -> Board {
        Board {
            epoch,
            active: false,
            placement: State::new(policy),
            origin: Instant::now(),
            timer: None,
            runners: Runners::new(),
            nodes: HashMap::new(),
            names: HashMap::new(),
            racks: HashMap::new(),
            users: HashMap::new(),
            jobs: BTreeMap::new(),
            planning: BTreeSet::new(),
            restoring: BTreeMap::new(),
            holding: None,
            histories: VecDeque::new(),
            totals: Totals::default(),
            sampling: HashMap::new(),
        }
    }

    pub fn is_active(&self) -> bool {
        self.active
    }

    /// From now on calls are answered; until `holding` has passed, nothing new is started.
    pub fn activate(&mut self, holding: Option<Duration>) {
        self.active = true;
        self.holding = holding.map(|holding| Instant::now() + holding);
    }

    /// Forgets everything: another leader knows it.
    pub fn retire(&mut self) {
        for runner in self.runners.values() {
            runner.changed.notify_waiters();
        }
        self.renew(0);
    }

    /// Begins anew under this epoch; what was counted stays.
    pub fn renew(&mut self, epoch: u32) {
        let totals = std::mem::take(&mut self.totals);
        *self = Board { totals, ..Board::new(epoch, Policy::default()) };
    }

    /// When something is due.
    pub fn next_timer(&self) -> Option<Instant> {
        [self.timer, self.holding].into_iter().flatten().min()
    }

    /// The timer has come; also the end of the wait for what ran before.
    pub fn timer_has_come(&mut self) {
        self.timer = self.timer.filter(|timer| *timer > Instant::now());
    }

    fn now(&self) -> Millis {
        Millis(self.origin.elapsed().as_millis() as u64)
    }

    /// Has placement take an event in, and carries out what it decides.
    pub fn tell(&mut self, event: Event) -> Vec<Followup> {
        let mut followups = Vec::new();
        if self.holding.is_some_and(|until| until <= Instant::now()) {
            self.holding = None;
            let slots: Vec<(NodeId, u32)> = self.runners.values().map(|runner| (runner.node, runner.slots)).collect();
            for (node, slots) in slots {
                let now = self.now();
                let actions = placement::decide(&mut self.placement, now, Event::NodeResized { node, slots });
                self.carry_out(actions, &mut followups);
            }
            let absent = self.names.iter().filter(|(_, name)| !self.runners.contains_key(name));
            let absent: Vec<(NodeId, NodeName)> = absent.map(|(node, name)| (*node, name.clone())).collect();
            for (node, name) in absent {
                followups.extend(self.lose_outputs(&name, node));
            }
        }
        let now = self.now();
        let actions = placement::decide(&mut self.placement, now, event);
        self.carry_out(actions, &mut followups);
        followups
    }

    fn carry_out(&mut self, actions: Vec<Action>, followups: &mut Vec<Followup>) {
        for action in actions {
            match action {
                Action::Start { attempt, node, locality } => self.start(name_of(attempt), node, locality),
                Action::Kill { attempt, node, .. } => self.kill(name_of(attempt), node),
                // Blocks keep the redundancy of their class: more replicas of a hot one are not made.
                Action::ReplicateInput { .. } => {}
                Action::JobSucceeded { job } => {
                    let job = JobId(job.0);
                    followups.push(Followup::End { job, state: JobState::Succeeded, reason: String::new() });
                }
                Action::JobFailed { job, task } => {
                    let job = JobId(job.0);
                    followups.push(Followup::End { job, state: JobState::Failed, reason: self.why(job, task) });
                }
                Action::WakeAt(at) => self.timer = Some(self.origin + Duration::from_millis(at.0)),
            }
        }
    }

    fn why(&self, job: JobId, task: TaskId) -> String {
        let task = task_name(task);
        let failures = self.jobs.get(&job).map(|job| job.failures.as_slice()).unwrap_or_default();
        match failures.iter().rev().find(|failure| failure.attempt.task == task) {
            Some(failure) => format!("{} failed: {}", failure.attempt, failure.reason),
            None => "a task has failed, or what it made could not be read, too often".to_owned(),
        }
    }

    fn start(&mut self, attempt: AttemptName, node: NodeId, locality: placement::Locality) {
        let Some(runner) = self.names.get(&node).cloned() else { return };
        let Some(order) = self.order_of(attempt, &runner) else { return };
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return };
        let is_map = attempt.task.kind == TaskKind::Map;
        job.launched_reduces += u64::from(!is_map);
        let running = Running {
            runner: runner.clone(),
            locality: is_map.then_some(locality),
            started: Instant::now(),
            permille: 0,
            status: String::new(),
            counters: Vec::new(),
        };
        job.running.insert(attempt, running);
        if let Some(runner) = self.runners.get_mut(&runner) {
            runner.order(RunnerOrder::Start(Box::new(order)));
        }
    }

    fn order_of(&self, attempt: AttemptName, runner: &NodeName) -> Option<AttemptOrder> {
        let job = self.jobs.get(&attempt.job)?;
        let work = match attempt.task.kind {
            TaskKind::Map => AttemptWork::Map { split: job.splits.get(attempt.task.index as usize)?.clone() },
            TaskKind::Reduce => {
                let maps = job.done().iter().filter(|(task, _)| task.kind == TaskKind::Map);
                let source = |(task, done): (&TaskName, &Done)| MapSource {
                    map: task.index,
                    attempt: done.attempt,
                    address: match done.runner == *runner {
                        true => String::new(),
                        false => self.runners.get(&done.runner).map(|at| at.shuffle.clone()).unwrap_or_default(),
                    },
                };
                AttemptWork::Reduce { sources: maps.map(source).collect() }
            }
        };
        Some(AttemptOrder {
            attempt,
            user: job.record.submitter.user.clone(),
            spec: job.record.spec.clone(),
            output: job.record.output.clone(),
            maps: job.splits.len() as u32,
            reduces: job.reduces,
            cuts: job.cuts.clone(),
            work,
        })
    }

    fn kill(&mut self, attempt: AttemptName, node: NodeId) {
        if let Some(job) = self.jobs.get_mut(&attempt.job)
            && job.running.remove(&attempt).is_some()
        {
            job.killed[kind_index(attempt)] += 1;
            self.totals.killed[kind_index(attempt)] += 1;
        }
        if let Some(runner) = self.names.get(&node).and_then(|name| self.runners.get_mut(name)) {
            runner.order(RunnerOrder::Kill { attempt });
        }
    }

    /// The dense number of a datanode.
    pub fn node_of(&mut self, datanode: DatanodeId) -> NodeId {
        let next = NodeId(self.nodes.len() as u32);
        *self.nodes.entry(datanode).or_insert(next)
    }

    pub fn slots(&self) -> u32 {
        self.runners.values().map(|runner| runner.slots).sum()
    }

    /// Refuses whoever plans a job that another leader plans now, this one anew, or that has ended.
    pub fn expect_planning(&self, job: JobId, epoch: u32) -> Result<(), Failure> {
        match self.epoch == epoch && self.planning.contains(&job) {
            true => Ok(()),
            false => Err(Failure::new(ErrorCode::Unavailable, format!("{job} is not planned here any more"))),
        }
    }

    /// The job is ending: nothing more is made of its plan.
    pub fn give_up_planning(&mut self, job: JobId) {
        self.planning.remove(&job);
        self.restoring.remove(&job);
    }

    /// A job whose splits are known: its tasks wait from now on. `done` are tasks that were done before.
    pub fn begin(&mut self, id: JobId, job: Job, maps: Vec<MapPlan>) -> Vec<Followup> {
        let next = UserId(self.users.len() as u32);
        let user = *self.users.entry(job.record.submitter.account.clone()).or_insert(next);
        let plan = JobPlan {
            job: placement::JobId(id.0),
            user,
            user_weight: 1,
            maps,
            reduces: job.reduces,
            speculative: job.spec.speculative,
            first_attempt: self.epoch.saturating_sub(1).saturating_mul(ATTEMPTS_PER_EPOCH),
            failures_max: Some(job.spec.attempts_max),
        };
        let found: Vec<(TaskName, Done)> = job.done().iter().map(|(task, done)| (*task, done.clone())).collect();
        self.planning.remove(&id);
        self.jobs.insert(id, job);
        let mut followups = self.tell(Event::JobSubmitted(plan));
        for (task, done) in found {
            let (node, output_bytes) = (self.node_of(done.datanode), done.output_bytes);
            // If it does not come back, its map output is lost.
            self.names.entry(node).or_insert(done.runner);
            followups.extend(self.tell(Event::TaskFound { task: task_id(id, task), node, output_bytes }));
        }
        followups
    }

    /// Takes in a heartbeat.
    pub fn hear(&mut self, poll: &RunnerPoll) -> Vec<Followup> {
        let mut followups = Vec::new();
        let known = self.runners.get(&poll.runner).is_some_and(|runner| runner.session == poll.session);
        if !known || poll.leaving {
            followups.extend(self.lose(&poll.runner));
            if poll.leaving {
                return followups;
            }
            followups.extend(self.join(poll));
        }
        let Some(runner) = self.runners.get_mut(&poll.runner) else { return followups };
        runner.heard = Instant::now();
        if poll.epoch == self.epoch {
            runner.taken(poll.orders_taken);
        }
        if let Some(history) = self.histories.pop_front() {
            runner.order(history);
        }
        for progress in &poll.running {
            followups.extend(self.progressed(&poll.runner, progress));
        }
        followups
    }

    fn join(&mut self, poll: &RunnerPoll) -> Vec<Followup> {
        let node = self.node_of(poll.datanode);
        let mut followups = Vec::new();
        // One datanode has one runner: another name is its successor.
        if let Some(before) = self.names.get(&node).filter(|name| **name != poll.runner).cloned() {
            followups.extend(self.lose(&before));
        }
        let next = RackId(self.racks.len() as u32);
        let rack = *self.racks.entry(poll.rack.clone()).or_insert(next);
        self.names.insert(node, poll.runner.clone());
        let runs = poll.running.iter().map(|progress| progress.attempt);
        let running: Vec<AttemptName> = runs.chain(poll.ended.iter().map(|end| end.attempt)).collect();
        let running: Vec<AttemptName> = running
            .into_iter()
            .filter(|attempt| {
                let job = self.jobs.get(&attempt.job).filter(|job| !job.ending);
                job.is_some_and(|job| !job.done().contains_key(&attempt.task) && !job.running.contains_key(attempt))
            })
            .take(poll.slots as usize)
            .collect();
        // Orders are numbered on for a runner that was lost and found under the same leader.
        let taken = if poll.epoch == self.epoch { poll.orders_taken } else { 0 };
        let runner = Runner::new(node, poll, taken + 1);
        self.runners.insert(poll.runner.clone(), runner);
        let slots = if self.holding.is_some() { running.len() as u32 } else { poll.slots };
        let adopted = running.iter().copied().map(attempt_id).collect();
        followups.extend(self.tell(Event::NodeReturned { node, rack, slots, running: adopted }));
        for attempt in &running {
            let locality = match attempt.task.kind {
                TaskKind::Map => self.placement.locality(placement::JobId(attempt.job.0), attempt.task.index, node),
                TaskKind::Reduce => None,
            };
            if let Some(job) = self.jobs.get_mut(&attempt.job) {
                let adopted = Running {
                    runner: poll.runner.clone(),
                    locality,
                    started: Instant::now(),
                    permille: 0,
                    status: String::new(),
                    counters: Vec::new(),
                };
                job.running.insert(*attempt, adopted);
            }
        }
        tracing::info!(runner = %poll.runner, slots = poll.slots, running = running.len(), "a task runner has joined");
        followups
    }

    /// The runner is gone, with what ran there and the map output it kept.
    fn lose(&mut self, name: &NodeName) -> Vec<Followup> {
        let Some(runner) = self.runners.remove(name) else { return Vec::new() };
        runner.changed.notify_waiters();
        tracing::info!(runner = %name, "a task runner is gone");
        for job in self.jobs.values_mut() {
            job.running.retain(|_, running| running.runner != *name);
        }
        self.lose_outputs(name, runner.node)
    }

    /// The map output that a runner kept is gone.
    fn lose_outputs(&mut self, name: &NodeName, node: NodeId) -> Vec<Followup> {
        for job in self.jobs.values_mut().filter(|job| job.reduces > 0) {
            job.undo(|task, done| task.kind == TaskKind::Map && done.runner == *name);
        }
        self.tell(Event::NodeLost { node })
    }

    /// Those that have been silent for too long are gone.
    pub fn drop_silent_runners(&mut self) -> Vec<Followup> {
        let silent: Vec<NodeName> = self
            .runners
            .iter()
            .filter(|(_, runner)| runner.heard.elapsed() > SILENCE_MAX)
            .map(|(name, _)| name.clone())
            .collect();
        silent.iter().flat_map(|name| self.lose(name)).collect()
    }

    fn progressed(&mut self, runner: &NodeName, progress: &granary_protocol::jobs::AttemptProgress) -> Vec<Followup> {
        let attempt = progress.attempt;
        let running = self.jobs.get_mut(&attempt.job).and_then(|job| job.running.get_mut(&attempt));
        match running.filter(|running| running.runner == *runner) {
            Some(running) => {
                running.permille = progress.permille;
                running.status.clone_from(&progress.status);
                running.counters.clone_from(&progress.counters);
                let permille = progress.permille.min(1_000);
                self.tell(Event::AttemptProgressed { attempt: attempt_id(attempt), permille })
            }
            None => {
                if let Some(runner) = self.runners.get_mut(runner) {
                    runner.order(RunnerOrder::Kill { attempt });
                }
                Vec::new()
            }
        }
    }

    /// Refuses a runner that speaks of an attempt it does not run.
    pub fn expect_running(&self, runner: &NodeName, attempt: AttemptName) -> Result<(), Failure> {
        let running = self.jobs.get(&attempt.job).and_then(|job| job.running.get(&attempt));
        match running {
            Some(running) if running.runner == *runner => Ok(()),
            Some(_) | None => Err(Failure::new(ErrorCode::Conflict, format!("{attempt} is not to run on {runner}"))),
        }
    }

    /// The namenode has taken the attempt's success.
    pub fn succeeded(&mut self, attempt: AttemptName, done: Done) -> Vec<Followup> {
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return Vec::new() };
        // It may have been ended while its success was on its way.
        let Some(running) = job.running.remove(&attempt) else { return Vec::new() };
        if let Some(locality) = running.locality {
            let place = locality as usize;
            job.locality[place] += 1;
            let bytes = super::plan::split_bytes(&job.splits, attempt.task.index);
            job.locality_bytes[place] += bytes;
            self.totals.map_counted(locality, bytes);
        }
        self.totals.succeeded[kind_index(attempt)] += 1;
        let output_bytes = done.output_bytes;
        job.task_done(attempt.task, done);
        self.tell(Event::AttemptSucceeded { attempt: attempt_id(attempt), output_bytes })
    }

    /// The attempt has failed.
    pub fn failed(&mut self, failure: FailedAttempt, is_final: bool) -> Vec<Followup> {
        let attempt = failure.attempt;
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return Vec::new() };
        if job.running.remove(&attempt).is_none() {
            return Vec::new();
        }
        job.failed[kind_index(attempt)] += 1;
        self.totals.failed[kind_index(attempt)] += 1;
        let reason = format!("{attempt} failed: {}", failure.reason);
        job.note_failure(failure);
        let mut followups = self.tell(Event::AttemptFailed { attempt: attempt_id(attempt) });
        if is_final {
            followups.push(Followup::End { job: attempt.job, state: JobState::Failed, reason });
        }
        followups
    }

    /// The attempt has ended and is nobody's fault.
    pub fn lost(&mut self, attempt: AttemptName) -> Vec<Followup> {
        let Some(job) = self.jobs.get_mut(&attempt.job) else { return Vec::new() };
        match job.running.remove(&attempt) {
            Some(_) => self.tell(Event::AttemptLost { attempt: attempt_id(attempt) }),
            None => Vec::new(),
        }
    }

    /// A map's output cannot be read any more.
    pub fn output_lost(&mut self, job: JobId, map: u32) -> Vec<Followup> {
        if let Some(entry) = self.jobs.get_mut(&job) {
            let lost = TaskName { kind: TaskKind::Map, index: map };
            entry.undo(|task, _| *task == lost);
        }
        self.tell(Event::MapOutputLost { job: placement::JobId(job.0), map })
    }

    /// The job has ended: what is left of it on runners goes.
    pub fn ended(&mut self, job: JobId, state: JobState, history: Option<RunnerOrder>) {
        self.totals.job_ended(state);
        self.jobs.remove(&job);
        self.give_up_planning(job);
        for runner in self.runners.values_mut() {
            runner.order(RunnerOrder::CleanUp { job });
        }
        let Some(history) = history else { return };
        match self.runners.values_mut().next() {
            Some(runner) => runner.order(history),
            None if self.histories.len() < HISTORIES_MAX => self.histories.push_back(history),
            None => {}
        }
    }

    /// Has some runner sample keys; the receiver hears of it.
    pub fn sample(&mut self, job: JobId, order: RunnerOrder) -> Option<oneshot::Receiver<Sampled>> {
        let runner = self.runners.values_mut().max_by_key(|runner| runner.slots)?;
        let (sender, receiver) = oneshot::channel();
        runner.order(order);
        self.sampling.insert(job, sender);
        Some(receiver)
    }

    pub fn sampled(&mut self, job: JobId, sampled: Sampled) {
        if let Some(waiter) = self.sampling.remove(&job) {
            // Whoever asked may have given up.
            let _ = waiter.send(sampled);
        }
    }
}

pub(super) fn kind_index(attempt: AttemptName) -> usize {
    match attempt.task.kind {
        TaskKind::Map => 0,
        TaskKind::Reduce => 1,
    }
}

fn task_id(job: JobId, task: TaskName) -> TaskId {
    let kind = match task.kind {
        TaskKind::Map => placement::TaskKind::Map,
        TaskKind::Reduce => placement::TaskKind::Reduce,
    };
    TaskId { job: placement::JobId(job.0), kind, index: task.index }
}

fn task_name(task: TaskId) -> TaskName {
    let kind = match task.kind {
        placement::TaskKind::Map => TaskKind::Map,
        placement::TaskKind::Reduce => TaskKind::Reduce,
    };
    TaskName { kind, index: task.index }
}

pub(super) fn attempt_id(attempt: AttemptName) -> AttemptId {
    AttemptId { task: task_id(attempt.job, attempt.task), number: attempt.number }
}

fn name_of(attempt: AttemptId) -> AttemptName {
    AttemptName { job: JobId(attempt.task.job.0), task: task_name(attempt.task), number: attempt.number }
}
