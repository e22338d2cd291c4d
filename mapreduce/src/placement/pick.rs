//! Which waiting task a free slot is given to.

use super::ids::{JobId, NodeId};
use super::job::Job;
use super::policy::{Order, Patience};
use super::state::Turn;
use super::user::{ONE_START, User};

/// Waiting maps of a job on a node that are compared; the lists are of the job's own maps, in no order that matters.
const COMPARED_MAX: usize = 32;

/// What a job's claim is judged by, smallest first.
pub(super) type Claim = (u64, u64, u64);

/// A task that may start.
enum Choice {
    Map(JobId, u32),
    Reduce(JobId),
}

impl Turn<'_> {
    /// The job's place in the order.
    pub(super) fn claim(&self, job: &Job) -> Claim {
        match self.state.policy.order {
            Order::Fifo => (0, 0, job.sequence),
            Order::Fair => self.claim_of_user(job, User::slots_in_use),
            Order::SmallFirst { first_tasks, .. } => self.claim_of_user(job, |user| {
                let (started, first) = (user.started(self.now), first_tasks * ONE_START);
                let is_small = started + user.unfinished * ONE_START < first;
                if is_small { started } else { first + user.slots_in_use() }
            }),
        }
    }

    fn claim_of_user(&self, job: &Job, part: impl Fn(&User) -> u64) -> Claim {
        let share = self.state.users.get(&job.user).map_or(0, part);
        (share, u64::from(job.running), job.sequence)
    }

    /// Offers the slots that fell free.
    pub(super) fn fill_freed(&mut self) {
        while let Some(node) = self.freed.pop_first() {
            while self.state.nodes.get(node).free() > 0 && !self.quarantined(node) {
                match self.choose(node) {
                    Some(Choice::Map(job, map)) => self.start_map(job, map, node, false),
                    Some(Choice::Reduce(job)) => self.start_reduce(job, node),
                    None => break,
                }
            }
        }
    }

    fn choose(&mut self, node: NodeId) -> Option<Choice> {
        let map = match self.state.policy.patience {
            Patience::ByCost { .. } => self.local_map(node),
            Patience::None => self.map_in_order(node, 0, 0),
            Patience::Fixed { node_ms, rack_ms } => self.map_in_order(node, node_ms, node_ms + rack_ms),
        };
        let reduce = self.reduce_for(node);
        match (map, reduce) {
            (Some((map_claim, ..)), Some((reduce_claim, job))) if reduce_claim < map_claim => Some(Choice::Reduce(job)),
            (Some((_, job, map)), _) => Some(Choice::Map(job, map)),
            (None, Some((_, job))) => Some(Choice::Reduce(job)),
            (None, None) => None,
        }
    }

    /// The map with the best claim among those whose input is on the node.
    fn local_map(&mut self, node: NodeId) -> Option<(Claim, JobId, u32)> {
        let mut demand = std::mem::take(&mut self.state.nodes.get_mut(node).demand);
        let mut best: Option<(Claim, JobId)> = None;
        demand.retain(|&id| {
            let Some(job) = self.state.jobs.get_mut(&id) else { return false };
            let Some(list) = job.by_node.get_mut(&node) else { return false };
            if Job::last_waiting(&job.maps, list).is_none() {
                job.by_node.remove(&node);
                return false;
            }
            let job = &self.state.jobs[&id];
            if !job.excluded.contains(&node) {
                let claim = self.claim(job);
                if best.is_none_or(|(other, _)| claim < other) {
                    best = Some((claim, id));
                }
            }
            true
        });
        self.state.nodes.get_mut(node).demand = demand;
        let here = best.and_then(|(claim, id)| self.rarest(id, node).map(|map| (claim, id, map)));
        match (here, self.homeless_map(node)) {
            (Some(here), Some(homeless)) if homeless.0 < here.0 => Some(homeless),
            (None, homeless) => homeless,
            (here, _) => here,
        }
    }

    /// Of the job's maps that wait for the node, the one with the fewest chances elsewhere.
    fn rarest(&self, id: JobId, node: NodeId) -> Option<u32> {
        let job = &self.state.jobs[&id];
        let list = job.by_node.get(&node)?;
        list.iter()
            .rev()
            .filter(|&&map| job.maps[map as usize].waits())
            .take(COMPARED_MAX)
            .min_by_key(|&&map| (self.chances(job, map, node), map))
            .copied()
    }

    /// Slots of other nodes that the map may hope for, each shared by those that wait for it. In thousandths.
    fn chances(&self, job: &Job, map: u32, besides: NodeId) -> u64 {
        let replicas = job.inputs[map as usize].replicas.iter().filter(|&&replica| replica != besides);
        replicas
            .map(|&replica| self.state.nodes.get(replica))
            .filter(|node| node.alive)
            .map(|node| u64::from(node.slots) * 1_000 / u64::from(node.pressure.max(1)))
            .sum()
    }

    /// A map without replicas to be near to, of the job with the best claim: it is at home here as anywhere.
    fn homeless_map(&self, node: NodeId) -> Option<(Claim, JobId, u32)> {
        let jobs = self.state.homeless.iter().take(COMPARED_MAX).map(|&(_, id)| (id, &self.state.jobs[&id]));
        let willing = jobs.filter(|(_, job)| !job.excluded.contains(&node));
        let first = willing.filter_map(|(id, job)| Some((self.claim(job), id, *job.homeless.first()?)));
        first.min()
    }

    /// The first job in order that has a map for the node: beside its input, or after it has declined slots for so many
    /// milliseconds on its rack, or anywhere.
    fn map_in_order(&mut self, node: NodeId, rack_after: u64, any_after: u64) -> Option<(Claim, JobId, u32)> {
        let mut jobs: Vec<(Claim, JobId)> =
            self.state.mapping.iter().map(|&(_, id)| (self.claim(&self.state.jobs[&id]), id)).collect();
        jobs.sort_unstable();
        let (now, rack) = (self.now, self.state.nodes.get(node).rack);
        for (claim, id) in jobs {
            let job = self.state.jobs.get_mut(&id).expect("jobs with waiting maps are known");
            if job.excluded.contains(&node) {
                continue;
            }
            if let Some(map) = job.by_node.get_mut(&node).and_then(|list| Job::last_waiting(&job.maps, list)) {
                job.declined_since = None;
                return Some((claim, id, map));
            }
            let declined_ms = now.since(*job.declined_since.get_or_insert(now));
            let on_rack = job.by_rack.get_mut(&rack).and_then(|list| Job::last_waiting(&job.maps, list));
            let found = match on_rack {
                Some(map) if declined_ms >= rack_after => Some(map),
                _ if declined_ms >= any_after => job.longest_waiting(),
                _ => None,
            };
            if let Some(map) = found {
                return Some((claim, id, map));
            }
        }
        None
    }
}

impl Job {
    /// The map that has waited longest, those that wait no more dropped from the front.
    pub(super) fn longest_waiting(&mut self) -> Option<u32> {
        while let Some(&map) = self.queue.front() {
            if self.maps[map as usize].waits() {
                return Some(map);
            }
            self.queue.pop_front();
        }
        None
    }
}
