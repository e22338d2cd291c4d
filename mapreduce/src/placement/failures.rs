//! What goes wrong: attempts, nodes, lost outputs, killed jobs, moved inputs.

use super::event::{Action, KillReason};
use super::ids::{AttemptId, JobId, Millis, NodeId, TaskId, TaskKind};
use super::job::Phase;
use super::state::Turn;

/// A failure in the fixed point of `Node::trouble`.
const ONE_FAILURE: u64 = 1_000;
/// A job does without at most one of so many nodes: a job that fails everywhere is not the nodes' fault.
const EXCLUDED_PART: usize = 3;
/// How many times more must fail on a node than on the others on average.
const QUARANTINE_FACTOR: u64 = 3;

impl Turn<'_> {
    pub(super) fn failed(&mut self, id: AttemptId) {
        let Some(attempt) = self.release(id) else { return };
        self.blame(id.task.job, attempt.node);
        let failures_max = self.state.policy.failures_max;
        let job = self.state.jobs.get_mut(&id.task.job).expect("release found it");
        let failures_max = job.failures_max.unwrap_or(failures_max);
        let task = &mut job.tasks_mut(id.task.kind)[id.task.index as usize];
        task.failures += 1;
        if task.failures >= failures_max {
            self.actions.push(Action::JobFailed { job: id.task.job, task: id.task });
            self.end_job(id.task.job);
        } else {
            self.run_again(id.task, attempt.node);
        }
    }

    /// The attempt has ended and nobody is to blame.
    pub(super) fn lost(&mut self, id: AttemptId) {
        if let Some(attempt) = self.release(id) {
            self.run_again(id.task, attempt.node);
        }
    }

    /// Counts a failure against the node, for the job and for all.
    fn blame(&mut self, id: JobId, node: NodeId) {
        let live = self.state.nodes.live() as usize;
        if let Some(job) = self.state.jobs.get_mut(&id) {
            let failures = job.failures_on.entry(node).or_default();
            *failures += 1;
            if *failures >= self.state.policy.node_failures_max && (job.excluded.len() + 1) * EXCLUDED_PART <= live {
                job.excluded.insert(node);
            }
        }
        let trouble = self.trouble(node) + ONE_FAILURE;
        let entry = self.state.nodes.get_mut(node);
        entry.trouble = trouble;
        entry.trouble_at = self.now;
        self.consider_quarantine(node, trouble);
    }

    /// A node on which much more fails than on others gets nothing for a while. What fails everywhere is the programs'
    /// fault, and a third of the nodes at most do without work.
    fn consider_quarantine(&mut self, node: NodeId, trouble: u64) {
        let limit = self.state.policy.quarantine_failures.saturating_mul(ONE_FAILURE).max(1);
        if trouble < limit {
            return;
        }
        let live: Vec<NodeId> = self.state.nodes.live_nodes().collect();
        let others = live.iter().filter(|&&other| other != node);
        let elsewhere: u64 = others.map(|&other| self.trouble(other)).sum();
        let mean = elsewhere / (live.len() as u64).saturating_sub(1).max(1);
        let kept_out = live.iter().filter(|&&other| other != node && self.quarantined(other)).count();
        if trouble < mean.saturating_mul(QUARANTINE_FACTOR) || (kept_out + 1) * EXCLUDED_PART > live.len() {
            return;
        }
        let half_lives = (1..64).find(|&count| trouble >> count < limit).unwrap_or(64);
        let until = self.now.plus(half_lives * self.state.policy.quarantine_half_life_ms);
        self.state.nodes.get_mut(node).quarantined_until = until;
    }

    /// Failures on the node, each halved every half-life, in thousandths.
    fn trouble(&self, node: NodeId) -> u64 {
        let entry = self.state.nodes.get(node);
        let half_lives = self.now.since(entry.trouble_at) / self.state.policy.quarantine_half_life_ms.max(1);
        entry.trouble >> half_lives.min(63)
    }

    /// Whether so much more has failed on the node lately than on others that it gets nothing.
    pub(super) fn quarantined(&self, node: NodeId) -> bool {
        self.now < self.state.nodes.get(node).quarantined_until
    }

    /// The task has lost an attempt: unless another runs, it waits again.
    fn run_again(&mut self, task: TaskId, from: NodeId) {
        let Some(job) = self.state.jobs.get(&task.job) else { return };
        let entry = &job.tasks(task.kind)[task.index as usize];
        if entry.done() || !entry.attempts.is_empty() {
            return;
        }
        match task.kind {
            TaskKind::Map => self.enqueue_map(task.job, task.index),
            TaskKind::Reduce => self.requeue_reduce(task.job, task.index, from),
        }
        self.try_at_once(task);
    }

    /// A map that waits again is offered the idle slots beside its input.
    fn try_at_once(&mut self, task: TaskId) {
        if task.kind == TaskKind::Map {
            let replicas = &self.state.jobs[&task.job].inputs[task.index as usize].replicas;
            self.freed.extend(replicas.iter().copied().filter(|&node| self.state.nodes.get(node).free() > 0));
        }
    }

    pub(super) fn node_lost(&mut self, node: NodeId) {
        let running = self.state.nodes.lose(node);
        for id in running {
            if let Some(attempt) = self.release(id) {
                self.run_again(id.task, attempt.node);
            }
        }
        for id in self.jobs_with_output_on(node) {
            let maps = &self.state.jobs[&id].maps;
            let lost = |task: &super::job::Task| matches!(task.phase, Phase::Done { node: on, .. } if on == node);
            let lost: Vec<u32> = (0..maps.len() as u32).filter(|&map| lost(&maps[map as usize])).collect();
            for map in lost {
                self.map_output_lost(id, map);
            }
        }
    }

    /// Jobs that still need map outputs of the node, by submission.
    fn jobs_with_output_on(&self, node: NodeId) -> Vec<JobId> {
        let mut jobs: Vec<(u64, JobId)> = self
            .state
            .jobs
            .iter()
            .filter(|(_, job)| !job.reduces.is_empty() && job.output_on.contains_key(&node))
            .map(|(&id, job)| (job.sequence, id))
            .collect();
        jobs.sort_unstable();
        jobs.into_iter().map(|(_, id)| id).collect()
    }

    /// A reduce could not read the map's output. That can go on for ever where nodes do not reach each other.
    pub(super) fn output_unreadable(&mut self, id: JobId, map: u32) {
        let Some(job) = self.state.jobs.get_mut(&id) else { return };
        let Some(task) = job.maps.get_mut(map as usize).filter(|task| task.done()) else { return };
        task.outputs_lost += 1;
        if task.outputs_lost > self.state.policy.outputs_lost_max {
            let task = TaskId { job: id, kind: TaskKind::Map, index: map };
            self.actions.push(Action::JobFailed { job: id, task });
            self.end_job(id);
        } else {
            self.map_output_lost(id, map);
        }
    }

    /// The map has to run again, if anything still needs its output.
    pub(super) fn map_output_lost(&mut self, id: JobId, map: u32) {
        let Some(job) = self.state.jobs.get_mut(&id) else { return };
        let Some(task) = job.maps.get(map as usize) else { return };
        let Phase::Done { node, output_bytes } = task.phase else { return };
        job.done_maps -= 1;
        let kept = job.output_on.get_mut(&node).map(|kept| {
            *kept = kept.saturating_sub(output_bytes);
            *kept
        });
        if kept == Some(0) {
            job.output_on.remove(&node);
        }
        job.maps[map as usize].phase = Phase::Running;
        self.block_reduces(id);
        self.enqueue_map(id, map);
        self.try_at_once(TaskId { job: id, kind: TaskKind::Map, index: map });
        self.make_room(id);
    }

    /// If reduces hold every slot while they wait for a map of theirs, the youngest gives its slot up.
    fn make_room(&mut self, id: JobId) {
        if self.state.nodes.any_idle() {
            return;
        }
        let job = &self.state.jobs[&id];
        let youngest = (0..job.reduces.len() as u32)
            .flat_map(|index| job.reduces[index as usize].attempts.iter().map(move |attempt| (attempt, index)))
            .max_by_key(|(attempt, index)| (attempt.started, *index));
        if let Some((attempt, index)) = youngest {
            let (number, node) = (attempt.number, attempt.node);
            let task = TaskId { job: id, kind: TaskKind::Reduce, index };
            self.kill(AttemptId { task, number }, KillReason::SlotNeeded);
            self.run_again(task, node);
        }
    }

    /// The input of a waiting map lies elsewhere now.
    pub(super) fn move_input(&mut self, id: JobId, map: u32, replicas: Vec<NodeId>) {
        let Some(job) = self.state.jobs.get(&id) else { return };
        let Some(task) = job.maps.get(map as usize) else { return };
        let since = match task.phase {
            Phase::Waiting { since } => Some(since),
            Phase::Blocked | Phase::Running | Phase::Done { .. } => None,
        };
        for &node in &replicas {
            self.state.nodes.known(node);
        }
        if since.is_some() {
            self.leave_queue(id, map, Phase::Blocked);
        }
        let job = self.state.jobs.get_mut(&id).expect("found above");
        job.inputs[map as usize].replicas = replicas;
        if let Some(since) = since {
            self.enqueue_map(id, map);
            self.keep_waiting_since(id, map, since);
            self.try_at_once(TaskId { job: id, kind: TaskKind::Map, index: map });
        }
    }

    fn keep_waiting_since(&mut self, id: JobId, map: u32, since: Millis) {
        if let Some(job) = self.state.jobs.get_mut(&id) {
            job.maps[map as usize].phase = Phase::Waiting { since };
        }
    }

    /// The job is over, whether it succeeded, failed or was killed: nothing of it runs or waits any more.
    pub(super) fn end_job(&mut self, id: JobId) {
        let Some(job) = self.state.jobs.get(&id) else { return };
        let (user, sequence) = (job.user, job.sequence);
        let waiting: Vec<u32> = (0..job.maps.len() as u32).filter(|&map| job.maps[map as usize].waits()).collect();
        let attempts = |kind: TaskKind| {
            job.tasks(kind).iter().enumerate().flat_map(move |(index, task)| {
                let task_id = TaskId { job: id, kind, index: index as u32 };
                task.attempts.iter().map(move |attempt| AttemptId { task: task_id, number: attempt.number })
            })
        };
        let running: Vec<AttemptId> = attempts(TaskKind::Map).chain(attempts(TaskKind::Reduce)).collect();
        for map in waiting {
            self.leave_queue(id, map, Phase::Blocked);
        }
        for attempt in running {
            self.kill(attempt, KillReason::JobEnded);
        }
        self.state.reducing.remove(&(sequence, id));
        self.state.homeless.remove(&(sequence, id));
        let mut tasks = 0;
        if let Some(job) = self.state.jobs.remove(&id) {
            tasks = job.tasks(TaskKind::Map).len() as u64 + job.tasks(TaskKind::Reduce).len() as u64;
            for &node in job.by_node.keys() {
                self.state.nodes.get_mut(node).demand.retain(|&other| other != id);
            }
        }
        // What a user without jobs has started still counts; it is forgotten when the next job comes, if it is nothing by then.
        if let Some(entry) = self.state.users.get_mut(&user) {
            entry.jobs -= 1;
            entry.unfinished -= tasks;
        }
    }
}
