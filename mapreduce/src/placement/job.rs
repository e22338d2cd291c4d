//! A job under way: the phases of its tasks, and which of them wait for which node.

use super::by_number::ByNumber;
use super::event::{JobPlan, Locality, MapPlan};
use super::ids::{Millis, NodeId, RackId, TaskKind, UserId};
use super::learning::Times;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How far a task has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Of a reduce: its maps are not done.
    Blocked,
    Waiting {
        since: Millis,
    },
    Running,
    Done {
        node: NodeId,
        output_bytes: u64,
    },
}

/// An attempt that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub number: u32,
    pub node: NodeId,
    pub started: Millis,
    pub locality: Locality,
    pub speculative: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Task {
    pub phase: Phase,
    pub attempts: Vec<Attempt>,
    pub next_number: u32,
    pub failures: u32,
    /// How often its output turned out to be unreadable.
    pub outputs_lost: u32,
}

impl Task {
    pub fn new(phase: Phase, first_attempt: u32) -> Self {
        Task { phase, attempts: Vec::new(), next_number: first_attempt, failures: 0, outputs_lost: 0 }
    }

    pub fn waits(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    pub fn done(&self) -> bool {
        matches!(self.phase, Phase::Done { .. })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub user: UserId,
    /// The order of submission.
    pub sequence: u64,
    pub speculative: bool,
    pub failures_max: Option<u32>,
    pub inputs: Vec<MapPlan>,
    pub maps: Vec<Task>,
    pub reduces: Vec<Task>,
    pub waiting_maps: u32,
    pub done_maps: u32,
    pub waiting_reduces: u32,
    pub done_reduces: u32,
    /// Attempts.
    pub running: u32,
    /// Waiting maps by a node that holds their input, and some that wait no more: those are dropped when met.
    pub by_node: ByNumber<NodeId, Vec<u32>>,
    /// The same by rack.
    pub by_rack: ByNumber<RackId, Vec<u32>>,
    /// Waiting maps that have no node to be near to.
    pub homeless: BTreeSet<u32>,
    /// Waiting maps of all kinds, longest waiting first, and some that wait no more.
    pub queue: VecDeque<u32>,
    pub failures_on: BTreeMap<NodeId, u32>,
    pub excluded: BTreeSet<NodeId>,
    /// Bytes of map output, by node.
    pub output_on: BTreeMap<NodeId, u64>,
    pub reduces_on: BTreeMap<NodeId, u32>,
    pub map_times: Times,
    pub reduce_times: Times,
    /// Under [`super::Patience::Fixed`]: since when it has declined slots.
    pub declined_since: Option<Millis>,
}

impl Job {
    pub fn new(plan: JobPlan, sequence: u64) -> Self {
        Job {
            user: plan.user,
            sequence,
            speculative: plan.speculative,
            failures_max: plan.failures_max,
            maps: plan.maps.iter().map(|_| Task::new(Phase::Blocked, plan.first_attempt)).collect(),
            inputs: plan.maps,
            reduces: (0..plan.reduces).map(|_| Task::new(Phase::Blocked, plan.first_attempt)).collect(),
            waiting_maps: 0,
            done_maps: 0,
            waiting_reduces: 0,
            done_reduces: 0,
            running: 0,
            by_node: ByNumber::default(),
            by_rack: ByNumber::default(),
            homeless: BTreeSet::new(),
            queue: VecDeque::new(),
            failures_on: BTreeMap::new(),
            excluded: BTreeSet::new(),
            output_on: BTreeMap::new(),
            reduces_on: BTreeMap::new(),
            map_times: Times::default(),
            reduce_times: Times::default(),
            declined_since: None,
        }
    }

    pub fn tasks_mut(&mut self, kind: TaskKind) -> &mut Vec<Task> {
        match kind {
            TaskKind::Map => &mut self.maps,
            TaskKind::Reduce => &mut self.reduces,
        }
    }

    pub fn tasks(&self, kind: TaskKind) -> &[Task] {
        match kind {
            TaskKind::Map => &self.maps,
            TaskKind::Reduce => &self.reduces,
        }
    }

    pub fn maps_done(&self) -> bool {
        self.done_maps as usize == self.maps.len()
    }

    pub fn done(&self) -> bool {
        self.maps_done() && self.done_reduces as usize == self.reduces.len()
    }

    /// The last waiting map of a list, those that wait no more dropped from its end.
    pub fn last_waiting(maps: &[Task], list: &mut Vec<u32>) -> Option<u32> {
        while let Some(&index) = list.last() {
            if maps[index as usize].waits() {
                return Some(index);
            }
            list.pop();
        }
        None
    }
}
