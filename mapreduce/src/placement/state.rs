//! The state of placement, and the one way to change it.

use super::by_number::ByNumber;
use super::event::{Action, Event, JobPlan};
use super::ids::{InputId, JobId, Millis, NodeId, UserId};
use super::job::{Job, Phase};
use super::learning::Estimates;
use super::node::Nodes;
use super::policy::{Patience, Policy};
use super::user::User;
use std::collections::{BTreeMap, BTreeSet};

/// Waiting maps of one input.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InputDemand {
    pub waiting: u32,
    /// A further replica has been asked for.
    pub asked: bool,
}

/// Everything placement knows. Soft: what is lost with it is learned again from what runs.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) policy: Policy,
    pub(super) nodes: Nodes,
    pub(super) jobs: ByNumber<JobId, Job>,
    pub(super) users: BTreeMap<UserId, User>,
    /// Jobs with waiting maps, by submission.
    pub(super) mapping: BTreeSet<(u64, JobId)>,
    /// Those of them with waiting maps that are at home nowhere, by submission.
    pub(super) homeless: BTreeSet<(u64, JobId)>,
    /// Jobs with waiting reduces, by submission.
    pub(super) reducing: BTreeSet<(u64, JobId)>,
    pub(super) inputs: ByNumber<InputId, InputDemand>,
    pub(super) estimates: Estimates,
    pub(super) next_sequence: u64,
    /// Attempts.
    pub(super) running: u64,
    pub(super) speculative: u64,
    pub(super) next_review: Millis,
    pub(super) timer: Option<Millis>,
}

impl State {
    /// No nodes and no jobs.
    pub fn new(policy: Policy) -> Self {
        State {
            estimates: Estimates::new(policy.first_guess_ms),
            policy,
            nodes: Nodes::default(),
            jobs: ByNumber::default(),
            users: BTreeMap::new(),
            mapping: BTreeSet::new(),
            homeless: BTreeSet::new(),
            reducing: BTreeSet::new(),
            inputs: ByNumber::default(),
            next_sequence: 0,
            running: 0,
            speculative: 0,
            next_review: Millis(0),
            timer: None,
        }
    }

    /// Jobs that have not ended.
    pub fn active_jobs(&self) -> usize {
        self.jobs.len()
    }
}

/// Takes in an event and says what is to be done, in order. An event about a job or an attempt that is not known any
/// more is nothing: it crossed the action that ended it.
pub fn decide(state: &mut State, now: Millis, event: Event) -> Vec<Action> {
    let mut turn = Turn { state, now, actions: Vec::new(), freed: BTreeSet::new() };
    turn.take_in(event);
    turn.fill_freed();
    turn.review();
    turn.actions
}

/// One event being worked on. Its methods are spread over the files beside this by what they decide.
pub(super) struct Turn<'s> {
    pub state: &'s mut State,
    pub now: Millis,
    pub actions: Vec<Action>,
    /// Nodes that may have got a free slot.
    pub freed: BTreeSet<NodeId>,
}

impl Turn<'_> {
    fn take_in(&mut self, event: Event) {
        match event {
            Event::NodeJoined { node, rack, slots } => {
                self.state.nodes.join(node, rack, slots);
                self.freed.insert(node);
            }
            Event::NodeReturned { node, rack, slots, running } => self.node_returned(node, rack, slots, running),
            Event::NodeResized { node, slots } => {
                self.state.nodes.resize(node, slots);
                self.freed.insert(node);
            }
            Event::NodeLost { node } => self.node_lost(node),
            Event::JobSubmitted(plan) => self.submit(plan),
            Event::JobKilled { job } => self.end_job(job),
            Event::ReplicasChanged { job, map, replicas } => self.move_input(job, map, replicas),
            Event::AttemptProgressed { attempt, permille } => self.consider_overtaking(attempt, permille),
            Event::AttemptSucceeded { attempt, output_bytes } => self.succeeded(attempt, output_bytes),
            Event::AttemptFailed { attempt } => self.failed(attempt),
            Event::AttemptLost { attempt } => self.lost(attempt),
            Event::TaskFound { task, node, output_bytes } => self.task_found(task, node, output_bytes),
            Event::MapOutputLost { job, map } => self.output_unreadable(job, map),
            Event::Timer => self.state.timer = None,
        }
    }

    fn submit(&mut self, plan: JobPlan) {
        let id = plan.job;
        assert!(!self.state.jobs.contains_key(&id), "a job is submitted once");
        let now = self.now;
        self.state.users.retain(|_, user| user.jobs > 0 || user.started(now) > 0);
        let half_life_ms = self.state.policy.order.half_life_ms();
        let user = self.state.users.entry(plan.user).or_insert_with(|| User::new(half_life_ms));
        user.weight = plan.user_weight.max(1);
        user.jobs += 1;
        user.unfinished += plan.maps.len() as u64 + u64::from(plan.reduces);
        let maps = plan.maps.len() as u32;
        let sequence = self.state.next_sequence;
        self.state.next_sequence += 1;
        self.state.jobs.insert(id, Job::new(plan, sequence));
        for map in 0..maps {
            self.enqueue_map(id, map);
        }
        if maps == 0 {
            self.maps_are_done(id);
        } else {
            self.spread(id);
        }
    }

    /// The maps of a new job onto idle nodes: those with the fewest chances first, each where fewest others wait.
    fn spread(&mut self, id: JobId) {
        if !self.state.nodes.any_idle() {
            return;
        }
        if !matches!(self.state.policy.patience, Patience::ByCost { .. }) {
            self.freed.extend(self.state.nodes.idle());
            return;
        }
        let chances = |state: &State, map: u32| {
            let replicas = &state.jobs[&id].inputs[map as usize].replicas;
            replicas.iter().map(|&node| state.nodes.get(node).free()).sum::<u32>()
        };
        let count = self.state.jobs[&id].maps.len() as u32;
        let mut order: Vec<(u32, u32)> =
            (0..count).map(|map| (chances(self.state, map), map)).filter(|(chances, _)| *chances > 0).collect();
        order.sort_unstable();
        for (_, map) in order {
            let replicas = self.state.jobs[&id].inputs[map as usize].replicas.clone();
            let target = replicas
                .into_iter()
                .filter(|&node| self.usable(id, node))
                .min_by_key(|&node| (self.state.nodes.get(node).slow(), self.state.nodes.get(node).pressure, node));
            if let Some(node) = target {
                self.start_map(id, map, node, false);
            }
        }
        // Maps without a home are at home anywhere.
        if self.state.jobs[&id].inputs.iter().any(|input| input.replicas.is_empty()) {
            self.freed.extend(self.state.nodes.idle());
        }
    }

    /// Whether a task of the job may start on the node now.
    pub(super) fn usable(&self, job: JobId, node: NodeId) -> bool {
        let node_state = self.state.nodes.get(node);
        node_state.free() > 0
            && !self.quarantined(node)
            && !self.state.jobs.get(&job).is_some_and(|job| job.excluded.contains(&node))
    }

    /// Since when a map has waited.
    pub(super) fn waiting_since(job: &Job, map: u32) -> Millis {
        match job.maps[map as usize].phase {
            Phase::Waiting { since } => since,
            Phase::Blocked | Phase::Running | Phase::Done { .. } => Millis(u64::MAX),
        }
    }
}
