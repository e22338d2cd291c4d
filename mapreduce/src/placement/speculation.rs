//! Stragglers: an attempt that will end later than a new one would, beside its input and on a usual node.
//! After Zaharia et al.: "Improving MapReduce Performance in Heterogeneous Environments" (LATE), 2008.

use super::ids::{AttemptId, NodeId, TaskKind};
use super::job::{Attempt, Job};
use super::node::USUAL;
use super::state::Turn;

/// How much sooner the new attempt must be expected to end, in thousandths of its own time.
const GAIN_PERMILLE: u64 = 250;
/// How long an attempt that has read all its input is expected to go on, in thousandths of its age.
const READ_PERMILLE: u64 = 750;
/// Idle nodes looked at.
const IDLE_MAX: usize = 16;

impl Turn<'_> {
    /// Starts a second attempt of a straggler's task, where there is an idle slot for it and nothing else needs one more.
    pub(super) fn consider_overtaking(&mut self, id: AttemptId, permille: u16) {
        let task = id.task;
        let Some(job) = self.state.jobs.get(&task.job) else { return };
        let Some(entry) = job.tasks(task.kind).get(task.index as usize) else { return };
        let [attempt] = entry.attempts[..] else { return };
        if attempt.number != id.number || !self.may_speculate(job) || !self.straggles(job, task.kind, attempt, permille)
        {
            return;
        }
        let Some(node) = self.faster_node(job, task.kind, task.index, attempt.node) else { return };
        match task.kind {
            TaskKind::Map => self.start_map(task.job, task.index, node, true),
            TaskKind::Reduce => self.start(task, node, attempt.locality, true),
        }
    }

    fn may_speculate(&self, job: &Job) -> bool {
        let cap = (self.state.running * self.state.policy.speculation_max_permille / 1_000).max(1);
        self.state.policy.speculation
            && job.speculative
            && job.waiting_maps == 0
            && self.state.speculative < cap
            && self.state.nodes.any_idle()
    }

    fn straggles(&self, job: &Job, kind: TaskKind, attempt: Attempt, permille: u16) -> bool {
        let age = self.now.since(attempt.started);
        if age < self.state.policy.speculation_age_min_ms {
            return false;
        }
        // Without peers of its job to compare with, only an attempt on a node that is known to be slow is one.
        let times = if kind == TaskKind::Map { job.map_times } else { job.reduce_times };
        let node = self.state.nodes.get(attempt.node);
        let remaining = match permille {
            0 => age,
            // Its input is read, perhaps into a pipe, and what is done with it nobody sees: it may well go on.
            1_000.. => age * READ_PERMILLE / 1_000,
            _ => age * (1_000 - u64::from(permille)) / u64::from(permille),
        };
        let fresh = match times.comparable() {
            Some(mean) => mean,
            None if node.slow() => (age + remaining) * USUAL / node.slowness_permille,
            None => return false,
        };
        remaining > fresh + fresh * GAIN_PERMILLE / 1_000
    }

    /// An idle node of usual speed: one that holds the input, one on its rack, any.
    fn faster_node(&self, job: &Job, kind: TaskKind, index: u32, not: NodeId) -> Option<NodeId> {
        let fits = |node: &NodeId| {
            let state = self.state.nodes.get(*node);
            *node != not
                && state.free() > 0
                && !state.slow()
                && !job.excluded.contains(node)
                && !self.quarantined(*node)
        };
        let replicas = match kind {
            TaskKind::Map => job.inputs[index as usize].replicas.as_slice(),
            TaskKind::Reduce => &[],
        };
        let on_racks = || {
            let racks = replicas.iter().map(|&replica| self.state.nodes.get(replica).rack);
            racks.flat_map(|rack| self.state.nodes.idle_on(rack).take(IDLE_MAX)).find(fits)
        };
        replicas
            .iter()
            .copied()
            .find(fits)
            .or_else(on_racks)
            .or_else(|| self.state.nodes.idle().take(IDLE_MAX).find(fits))
    }
}
