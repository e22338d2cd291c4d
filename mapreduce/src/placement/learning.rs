//! What is learned from tasks that have ended: how long they take, what distance costs, which nodes are slow.

use super::event::Locality;
use super::ids::{JobId, NodeId, TaskKind};
use super::job::Job;
use super::node::USUAL;
use super::state::Turn;

/// Ended tasks of a job from which its mean is compared with single ones.
const COMPARABLE: u64 = 4;
/// Weight of a new observation in a smoothed figure: one in so many.
const SMOOTHING: u64 = 16;

/// Times of ended tasks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    count: u64,
    sum_ms: u64,
}

impl Times {
    fn add(&mut self, ms: u64) {
        self.count += 1;
        self.sum_ms += ms;
    }

    /// Milliseconds, of at least one task.
    pub fn mean(&self) -> Option<u64> {
        (self.count > 0).then(|| (self.sum_ms / self.count).max(1))
    }

    /// The mean of enough tasks to compare one with.
    pub fn comparable(&self) -> Option<u64> {
        self.mean().filter(|_| self.count >= COMPARABLE)
    }
}

/// What holds for all jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimates {
    /// Time of a task, in milliseconds, smoothed.
    pub task_ms: u64,
    /// Time of a map that reads over the network relative to its job's mean, in thousandths, smoothed.
    pub remote_permille: u64,
}

impl Estimates {
    pub fn new(first_guess_ms: u64) -> Self {
        Estimates { task_ms: first_guess_ms.max(1), remote_permille: USUAL }
    }

    /// Milliseconds that a task of the job is expected to take.
    pub fn expected_ms(&self, job: &Job, kind: TaskKind) -> u64 {
        let times = match kind {
            TaskKind::Map => &job.map_times,
            TaskKind::Reduce => &job.reduce_times,
        };
        times.mean().unwrap_or(self.task_ms)
    }
}

fn smoothed(old: u64, new: u64) -> u64 {
    (old * (SMOOTHING - 1) + new) / SMOOTHING
}

impl Turn<'_> {
    /// A task of the job took so long on the node.
    pub(super) fn learn(&mut self, job: JobId, kind: TaskKind, node: NodeId, locality: Locality, ms: u64) {
        let estimates = &mut self.state.estimates;
        estimates.task_ms = smoothed(estimates.task_ms, ms).max(1);
        let Some(job) = self.state.jobs.get_mut(&job) else { return };
        let times = match kind {
            TaskKind::Map => &mut job.map_times,
            TaskKind::Reduce => &mut job.reduce_times,
        };
        if let Some(mean) = times.comparable() {
            let relative = (ms * USUAL / mean).min(20 * USUAL);
            if locality == Locality::DataLocal {
                let node = self.state.nodes.get_mut(node);
                node.slowness_permille = smoothed(node.slowness_permille, relative).max(1);
            } else {
                estimates.remote_permille = smoothed(estimates.remote_permille, relative).max(1);
            }
        }
        times.add(ms);
    }
}
