//! Idle slots and tasks that wait for others: when waiting beside the input costs more than reading from afar.

use super::event::Action;
use super::ids::{JobId, NodeId, TaskKind};
use super::job::Job;
use super::node::USUAL;
use super::pick::Claim;
use super::policy::Patience;
use super::state::Turn;

/// Jobs, tasks of each, and tasks in all that one review weighs.
const JOBS_MAX: usize = 256;
const TASKS_OF_A_JOB_MAX: usize = 32;
const TASKS_MAX: usize = 1_024;
/// Jobs before it in the queue of a node that are counted.
const RIVALS_MAX: usize = 32;
/// Idle nodes looked at for a task that finds none near.
const IDLE_MAX: usize = 16;

impl Turn<'_> {
    /// Weighs waiting tasks against idle slots, at most every `review_ms`, and asks to be woken while both remain.
    pub(super) fn review(&mut self) {
        if !self.unmatched() {
            return;
        }
        if self.now >= self.state.next_review {
            self.state.next_review = self.now.plus(self.state.policy.review_ms.max(1));
            match self.state.policy.patience {
                Patience::ByCost { remote_cost_min_permille, wait_max_factor } => {
                    self.move_impatient(remote_cost_min_permille, wait_max_factor);
                }
                Patience::None | Patience::Fixed { .. } => {
                    self.freed.extend(self.state.nodes.idle());
                    self.fill_freed();
                }
            }
        }
        let wake = self.state.next_review;
        if self.unmatched() && self.state.timer != Some(wake) {
            self.state.timer = Some(wake);
            self.actions.push(Action::WakeAt(wake));
        }
    }

    fn unmatched(&self) -> bool {
        self.state.nodes.any_idle() && !(self.state.mapping.is_empty() && self.state.reducing.is_empty())
    }

    /// Starts the tasks that had better not wait, in fair order.
    fn move_impatient(&mut self, remote_cost_min_permille: u64, wait_max_factor: u64) {
        let remote_cost = remote_cost_min_permille.max(self.state.estimates.remote_permille.saturating_sub(USUAL));
        let mut jobs: Vec<(Claim, JobId)> =
            self.state.mapping.iter().take(JOBS_MAX).map(|&(_, id)| (self.claim(&self.state.jobs[&id]), id)).collect();
        jobs.sort_unstable();
        let mut weighed = 0;
        for (claim, id) in jobs {
            let expected = self.state.estimates.expected_ms(&self.state.jobs[&id], TaskKind::Map);
            for map in self.longest_waiting_maps(id) {
                if weighed == TASKS_MAX || !self.state.nodes.any_idle() {
                    return;
                }
                weighed += 1;
                let job = &self.state.jobs[&id];
                let waited = self.now.since(Self::waiting_since(job, map));
                let too_long = waited > wait_max_factor.saturating_mul(expected);
                let wait = self.expected_wait_ms(job, claim, map);
                if too_long || wait > (expected * remote_cost / USUAL) as f64 {
                    if let Some(node) = self.idle_for(id, map) {
                        self.start_map(id, map, node, false);
                    }
                }
            }
        }
    }

    fn longest_waiting_maps(&mut self, id: JobId) -> Vec<u32> {
        let Some(job) = self.state.jobs.get_mut(&id) else { return Vec::new() };
        job.longest_waiting();
        let waiting = job.queue.iter().copied().filter(|&map| job.maps[map as usize].waits());
        waiting.take(TASKS_OF_A_JOB_MAX).collect()
    }

    /// Milliseconds until a slot beside the map's input falls free for it: the slots of its nodes fall free one a mean
    /// task's time each, and are given to those with better claims first. Infinite without a node that could have it.
    fn expected_wait_ms(&self, job: &Job, claim: Claim, map: u32) -> f64 {
        let replicas = &job.inputs[map as usize].replicas;
        let mut slots_per_ms = 0.0;
        for &replica in replicas {
            let node = self.state.nodes.get(replica);
            if !node.alive || job.excluded.contains(&replica) || self.quarantined(replica) {
                continue;
            }
            let task_ms = (self.state.estimates.task_ms * node.slowness_permille / USUAL).max(1);
            let before = self.maps_before(replica, claim) as f64 / replicas.len() as f64;
            slots_per_ms += f64::from(node.slots) / task_ms as f64 / (1.0 + before);
        }
        if slots_per_ms == 0.0 { f64::INFINITY } else { 1.0 / slots_per_ms }
    }

    /// Maps that wait for the node and will be offered a slot there before one with this claim.
    fn maps_before(&self, node: NodeId, claim: Claim) -> usize {
        let rivals = self.state.nodes.get(node).demand.iter().take(RIVALS_MAX);
        rivals
            .filter_map(|id| self.state.jobs.get(id))
            .map(|rival| {
                let list = rival.by_node.get(&node).map_or(0, Vec::len);
                match self.claim(rival).cmp(&claim) {
                    std::cmp::Ordering::Less => list,
                    // Its own: half of them, on average.
                    std::cmp::Ordering::Equal => list / 2,
                    std::cmp::Ordering::Greater => 0,
                }
            })
            .sum()
    }

    /// An idle node for a map that reads over the network: on the rack of a replica if there is one, and where the
    /// fewest others wait for their own input.
    pub(super) fn idle_for(&self, id: JobId, map: u32) -> Option<NodeId> {
        let may_read = |node: &NodeId| {
            self.usable(id, *node) && self.state.nodes.get(*node).remote_reads < self.state.policy.remote_reads_max
        };
        let calm = |node: &NodeId| {
            let state = self.state.nodes.get(*node);
            (state.slow(), state.pressure, *node)
        };
        let job = &self.state.jobs[&id];
        let replicas = &job.inputs[map as usize].replicas;
        if let Some(node) = replicas.iter().copied().filter(|node| self.usable(id, *node)).min_by_key(calm) {
            return Some(node);
        }
        let racks = replicas.iter().map(|&replica| self.state.nodes.get(replica).rack);
        racks
            .flat_map(|rack| self.state.nodes.idle_on(rack).filter(may_read).take(IDLE_MAX))
            .min_by_key(calm)
            .or_else(|| self.state.nodes.idle().filter(may_read).take(IDLE_MAX).min_by_key(calm))
    }
}
