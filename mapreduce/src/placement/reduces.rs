//! Reduces: they start when every map of their job is done, so that a slot never idles in wait for maps that need it.

use super::event::{Action, Locality};
use super::ids::{JobId, NodeId, TaskId, TaskKind};
use super::job::{Job, Phase};
use super::pick::Claim;
use super::state::Turn;
use std::cmp::Reverse;

impl Turn<'_> {
    /// Every map of the job is done: its reduces wait, or the job is done.
    pub(super) fn maps_are_done(&mut self, id: JobId) {
        let Some(job) = self.state.jobs.get_mut(&id) else { return };
        let mut waiting = 0;
        for task in &mut job.reduces {
            if matches!(task.phase, Phase::Blocked) {
                task.phase = Phase::Waiting { since: self.now };
                waiting += 1;
            }
        }
        job.waiting_reduces += waiting;
        if job.waiting_reduces > 0 {
            self.state.reducing.insert((job.sequence, id));
            self.offer_idle(id);
        } else if job.done() {
            self.actions.push(Action::JobSucceeded { job: id });
            self.end_job(id);
        }
    }

    /// Idle nodes in order of the map output they keep.
    fn offer_idle(&mut self, id: JobId) {
        let output_on = &self.state.jobs[&id].output_on;
        let mut nodes: Vec<(Reverse<u64>, NodeId)> =
            self.state.nodes.idle().map(|node| (Reverse(output_on.get(&node).copied().unwrap_or(0)), node)).collect();
        nodes.sort_unstable();
        for (_, node) in nodes {
            if self.state.jobs[&id].waiting_reduces == 0 {
                return;
            }
            if self.usable(id, node) && self.below_cap(&self.state.jobs[&id], node) {
                self.start_reduce(id, node);
            }
        }
    }

    /// Reduces of a job are spread: no node gets more than one above the even share.
    fn below_cap(&self, job: &Job, node: NodeId) -> bool {
        let even = (job.reduces.len() as u32).div_ceil(self.state.nodes.live().max(1));
        job.reduces_on.get(&node).copied().unwrap_or(0) <= even
    }

    /// The job with the best claim that has a reduce for the node.
    pub(super) fn reduce_for(&self, node: NodeId) -> Option<(Claim, JobId)> {
        self.state
            .reducing
            .iter()
            .map(|&(_, id)| (id, &self.state.jobs[&id]))
            .filter(|(_, job)| !job.excluded.contains(&node) && self.below_cap(job, node))
            .map(|(id, job)| (self.claim(job), id))
            .min()
    }

    pub(super) fn start_reduce(&mut self, id: JobId, node: NodeId) {
        let Some(job) = self.state.jobs.get_mut(&id) else { return };
        let Some(index) = job.reduces.iter().position(|task| task.waits()) else { return };
        job.reduces[index].phase = Phase::Running;
        job.waiting_reduces -= 1;
        *job.reduces_on.entry(node).or_default() += 1;
        if job.waiting_reduces == 0 {
            self.state.reducing.remove(&(job.sequence, id));
        }
        let task = TaskId { job: id, kind: TaskKind::Reduce, index: index as u32 };
        // A reduce reads from every node that ran maps: it has no one home.
        self.start(task, node, Locality::DataLocal, false);
    }

    /// The reduce waits again, or until the maps are done again.
    pub(super) fn requeue_reduce(&mut self, id: JobId, index: u32, from: NodeId) {
        let Some(job) = self.state.jobs.get_mut(&id) else { return };
        if let Some(count) = job.reduces_on.get_mut(&from) {
            *count = count.saturating_sub(1);
        }
        if job.maps_done() {
            job.reduces[index as usize].phase = Phase::Waiting { since: self.now };
            job.waiting_reduces += 1;
            self.state.reducing.insert((job.sequence, id));
        } else {
            job.reduces[index as usize].phase = Phase::Blocked;
        }
    }

    /// A map has to run again: reduces that wait cannot start before.
    pub(super) fn block_reduces(&mut self, id: JobId) {
        let Some(job) = self.state.jobs.get_mut(&id) else { return };
        for task in job.reduces.iter_mut().filter(|task| task.waits()) {
            task.phase = Phase::Blocked;
        }
        job.waiting_reduces = 0;
        self.state.reducing.remove(&(job.sequence, id));
    }
}
