//! A cluster on paper: takes the actions of the placement to be carried out at once, and holds it to its invariants.

use crate::placement::*;
use std::collections::{BTreeMap, BTreeSet};

pub struct Cluster {
    pub state: State,
    pub now: u64,
    /// What runs where.
    pub running: BTreeMap<AttemptId, (NodeId, Locality)>,
    slots: BTreeMap<NodeId, u32>,
    pub killed: Vec<(AttemptId, KillReason)>,
    pub succeeded: Vec<JobId>,
    pub failed: Vec<JobId>,
    pub hot: Vec<InputId>,
    pub wake: Option<u64>,
    started: BTreeSet<AttemptId>,
    /// Every action so far.
    pub log: Vec<Action>,
}

impl Cluster {
    pub fn new(policy: Policy) -> Self {
        Cluster {
            state: State::new(policy),
            now: 0,
            running: BTreeMap::new(),
            slots: BTreeMap::new(),
            killed: Vec::new(),
            succeeded: Vec::new(),
            failed: Vec::new(),
            hot: Vec::new(),
            wake: None,
            started: BTreeSet::new(),
            log: Vec::new(),
        }
    }

    /// Two racks, nodes dealt to them in turn.
    pub fn with_nodes(policy: Policy, nodes: u32, slots: u32) -> Self {
        let mut cluster = Cluster::new(policy);
        for node in 0..nodes {
            cluster.join(node, slots);
        }
        cluster
    }

    pub fn join(&mut self, node: u32, slots: u32) {
        self.slots.insert(NodeId(node), slots);
        self.tell(Event::NodeJoined { node: NodeId(node), rack: RackId(node % 2), slots });
    }

    pub fn lose(&mut self, node: u32) {
        self.slots.remove(&NodeId(node));
        self.running.retain(|_, (on, _)| *on != NodeId(node));
        self.tell(Event::NodeLost { node: NodeId(node) });
    }

    pub fn is_up(&self, node: u32) -> bool {
        self.slots.contains_key(&NodeId(node))
    }

    pub fn tell(&mut self, event: Event) {
        for action in decide(&mut self.state, Millis(self.now), event) {
            self.carry_out(&action);
            self.log.push(action);
        }
        for (node, slots) in &self.slots {
            let used = self.running.values().filter(|(on, _)| on == node).count();
            assert!(used <= *slots as usize, "{node:?} runs {used} of {slots}");
        }
    }

    fn carry_out(&mut self, action: &Action) {
        match *action {
            Action::Start { attempt, node, locality } => {
                assert!(self.slots.contains_key(&node), "{attempt:?} starts on a node that is there");
                assert!(self.started.insert(attempt), "{attempt:?} starts once");
                self.running.insert(attempt, (node, locality));
            }
            Action::Kill { attempt, node, reason } => {
                let (on, _) = self.running.remove(&attempt).expect("what is killed runs");
                assert_eq!(on, node);
                self.killed.push((attempt, reason));
            }
            Action::ReplicateInput { input } => self.hot.push(input),
            Action::JobSucceeded { job } => self.succeeded.push(job),
            Action::JobFailed { job, .. } => self.failed.push(job),
            Action::WakeAt(when) => self.wake = Some(when.0),
        }
    }

    pub fn submit(&mut self, job: u64, user: u32, replicas: &[&[u32]], reduces: u32) {
        self.submit_plan(plan(job, user, replicas, reduces));
    }

    pub fn submit_plan(&mut self, plan: JobPlan) {
        self.tell(Event::JobSubmitted(plan));
    }

    /// Lets so many milliseconds pass, waking the placement as it asked.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            self.wake = None;
            self.now = self.now.max(wake);
            self.tell(Event::Timer);
        }
        self.now = end;
    }

    pub fn succeed(&mut self, attempt: AttemptId) {
        self.running.remove(&attempt).expect("what succeeds runs");
        self.tell(Event::AttemptSucceeded { attempt, output_bytes: 10 });
    }

    pub fn fail(&mut self, attempt: AttemptId) {
        self.running.remove(&attempt).expect("what fails runs");
        self.tell(Event::AttemptFailed { attempt });
    }

    pub fn of_job(&self, job: u64, kind: TaskKind) -> Vec<(AttemptId, NodeId, Locality)> {
        let of = |id: &AttemptId| id.task.job == JobId(job) && id.task.kind == kind;
        self.running.iter().filter(|(id, _)| of(id)).map(|(&id, &(node, locality))| (id, node, locality)).collect()
    }
}

/// One map for each list of nodes that hold its input.
pub fn plan(job: u64, user: u32, replicas: &[&[u32]], reduces: u32) -> JobPlan {
    let map = |(index, nodes): (usize, &&[u32])| MapPlan {
        input: InputId(job * 1_000_000 + index as u64),
        bytes: 1 << 20,
        replicas: nodes.iter().copied().map(NodeId).collect(),
    };
    JobPlan {
        job: JobId(job),
        user: UserId(user),
        user_weight: 1,
        maps: replicas.iter().enumerate().map(map).collect(),
        reduces,
        speculative: true,
        first_attempt: 0,
        failures_max: None,
    }
}
