//! A run: the workload's events are given to the placement, and its actions carried out in simulated time.

use crate::network::{Flow, Network};
use crate::random::Random;
use crate::workload::{Shape, SimulatedJob};
use granary_mapreduce::placement::{
    Action, AttemptId, Event, JobId, Locality, Millis, NodeId, Policy, RackId, State, TaskKind, decide,
};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Milliseconds from the decision until a task runs: a message, a process, opening the input.
pub const START_MS: u64 = 20;
/// How often a running attempt says how far it is, once it is older than twice that.
const PROGRESS_MS: u64 = 1_000;
/// Milliseconds until a node that was lost is back.
const RETURN_MS: u64 = 30_000;

/// What besides the jobs happens in a run.
#[derive(Clone, Debug, Default)]
pub struct Troubles {
    /// Percent of the nodes that work at a third of the usual speed.
    pub slow_percent: u64,
    /// Attempts that fail, of a million.
    pub failing_ppm: u64,
    /// Nodes lost at random moments, each back after a while.
    pub lost_nodes: u64,
    /// Every node restarts, one after the other, through the run.
    pub rolling_restart: bool,
}

/// Figures of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub jobs_done: u64,
    pub jobs_failed: u64,
    /// Map attempts by locality: beside the input, on its rack, elsewhere.
    pub maps: [u64; 3],
    /// The same of jobs with one or two maps.
    pub small_maps: [u64; 3],
    /// Milliseconds from submission to end of jobs with one or two maps.
    pub small_response_ms: Vec<u64>,
    pub response_ms: Vec<u64>,
    pub speculative: u64,
    pub makespan_ms: u64,
    /// Of every action in order: two runs with the same digest decided the same.
    pub digest: u64,
    pub decisions: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Submit(usize),
    Finish(AttemptId),
    Fail(AttemptId),
    Progress(AttemptId),
    Timer,
    NodeDown(u32),
    NodeUp(u32),
}

struct Running {
    node: u32,
    started_ms: u64,
    duration_ms: u64,
    flow: Option<Flow>,
}

struct Run<'w> {
    shape: &'w Shape,
    jobs: &'w [SimulatedJob],
    troubles: &'w Troubles,
    state: State,
    network: Network,
    queue: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    sequence: u64,
    running: HashMap<AttemptId, Running>,
    up: Vec<bool>,
    timer: Option<u64>,
    open_jobs: usize,
    outcome: Outcome,
}

/// Milliseconds a unit of work takes on a node, in thousandths of the usual.
pub fn slowness(shape: &Shape, troubles: &Troubles, seed: u64) -> Vec<u64> {
    let mut random = Random::new(seed, 2);
    (0..shape.nodes).map(|_| if random.below(100) < troubles.slow_percent { 3_000 } else { 1_000 }).collect()
}

/// Runs the jobs to their end.
pub fn run(shape: &Shape, jobs: &[SimulatedJob], policy: Policy, troubles: &Troubles, seed: u64) -> Outcome {
    let mut run = Run {
        shape,
        jobs,
        troubles,
        state: State::new(policy),
        network: Network::new(shape),
        queue: BinaryHeap::new(),
        sequence: 0,
        running: HashMap::new(),
        up: vec![false; shape.nodes as usize],
        timer: None,
        open_jobs: jobs.len(),
        outcome: Outcome::default(),
    };
    run.prepare(seed);
    run.play(&slowness(shape, troubles, seed), &mut Random::new(seed, 3));
    run.outcome
}

impl Run<'_> {
    fn prepare(&mut self, seed: u64) {
        for node in 0..self.shape.nodes {
            self.at(0, Happening::NodeUp(node));
        }
        for index in 0..self.jobs.len() {
            self.at(self.jobs[index].arrival_ms, Happening::Submit(index));
        }
        let horizon = self.jobs.last().map_or(1, |job| job.arrival_ms).max(1);
        let mut random = Random::new(seed, 4);
        for _ in 0..self.troubles.lost_nodes {
            let (node, when) = (random.below(u64::from(self.shape.nodes)) as u32, 1 + random.below(horizon));
            self.at(when, Happening::NodeDown(node));
        }
        if self.troubles.rolling_restart {
            for node in 0..self.shape.nodes {
                let when = 1 + horizon * u64::from(node) / u64::from(self.shape.nodes);
                self.at(when, Happening::NodeDown(node));
            }
        }
    }

    fn at(&mut self, when: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse((when, self.sequence, happening)));
    }

    fn play(&mut self, slowness: &[u64], luck: &mut Random) {
        while self.open_jobs > 0 {
            let Reverse((now, _, happening)) = self.queue.pop().expect("open jobs have something to wait for");
            let Some(event) = self.event(now, happening) else { continue };
            let actions = decide(&mut self.state, Millis(now), event);
            self.outcome.decisions += 1;
            for action in actions {
                self.note(&action);
                self.carry_out(now, action, slowness, luck);
            }
        }
    }

    fn event(&mut self, now: u64, happening: Happening) -> Option<Event> {
        match happening {
            Happening::Submit(index) => Some(Event::JobSubmitted(self.jobs[index].plan.clone())),
            Happening::Finish(attempt) => {
                self.stop(attempt)?;
                Some(Event::AttemptSucceeded { attempt, output_bytes: 1 << 20 })
            }
            Happening::Fail(attempt) => {
                self.stop(attempt)?;
                Some(Event::AttemptFailed { attempt })
            }
            Happening::Progress(attempt) => {
                let running = self.running.get(&attempt)?;
                let permille = (now - running.started_ms) * 1_000 / running.duration_ms.max(1);
                self.at(now + PROGRESS_MS, Happening::Progress(attempt));
                Some(Event::AttemptProgressed { attempt, permille: permille.min(999) as u16 })
            }
            Happening::Timer => {
                if self.timer != Some(now) {
                    return None;
                }
                self.timer = None;
                Some(Event::Timer)
            }
            Happening::NodeDown(node) => self.take_down(now, node),
            Happening::NodeUp(node) => {
                self.up[node as usize] = true;
                let rack = RackId(self.shape.rack(node));
                Some(Event::NodeJoined { node: NodeId(node), rack, slots: self.shape.slots })
            }
        }
    }

    fn take_down(&mut self, now: u64, node: u32) -> Option<Event> {
        if !std::mem::replace(&mut self.up[node as usize], false) {
            return None;
        }
        let mut lost: Vec<AttemptId> =
            self.running.iter().filter(|(_, running)| running.node == node).map(|(&id, _)| id).collect();
        lost.sort_unstable();
        for attempt in lost {
            self.stop(attempt);
        }
        self.at(now + RETURN_MS, Happening::NodeUp(node));
        Some(Event::NodeLost { node: NodeId(node) })
    }

    fn stop(&mut self, attempt: AttemptId) -> Option<Running> {
        let running = self.running.remove(&attempt)?;
        if let Some(flow) = running.flow {
            self.network.end(flow);
        }
        Some(running)
    }

    fn carry_out(&mut self, now: u64, action: Action, slowness: &[u64], luck: &mut Random) {
        match action {
            Action::Start { attempt, node, locality } => self.start(now, attempt, node.0, locality, slowness, luck),
            Action::Kill { attempt, .. } => {
                self.stop(attempt);
            }
            Action::JobSucceeded { job } => self.job_ended(now, job, true),
            Action::JobFailed { job, .. } => self.job_ended(now, job, false),
            Action::WakeAt(when) => {
                self.timer = Some(when.0.max(now + 1));
                self.at(when.0.max(now + 1), Happening::Timer);
            }
            // A replica takes longer to make than these runs last.
            Action::ReplicateInput { .. } => {}
        }
    }

    fn start(&mut self, now: u64, attempt: AttemptId, node: u32, said: Locality, slowness: &[u64], luck: &mut Random) {
        let job = &self.jobs[attempt.task.job.0 as usize];
        let index = attempt.task.index as usize;
        let (work_ms, flow, read_ms) = match attempt.task.kind {
            TaskKind::Reduce => (job.reduce_ms[index], None, 0),
            TaskKind::Map => {
                let input = &job.plan.maps[index];
                assert_eq!(said == Locality::DataLocal, input.replicas.contains(&NodeId(node)), "the locality is true");
                self.count_map(job.is_small(), said);
                let flow = self.flow(input, node, said);
                let read_ms = flow.map_or(0, |flow| (input.bytes as f64 / self.network.begin(flow) * 1_000.0) as u64);
                (job.map_ms[index], flow, read_ms)
            }
        };
        self.outcome.speculative += u64::from(attempt.number > 0);
        let duration_ms = START_MS + (work_ms * slowness[node as usize] / 1_000).max(read_ms);
        let running = Running { node, started_ms: now, duration_ms, flow };
        assert!(self.running.insert(attempt, running).is_none(), "an attempt starts once");
        if luck.below(1_000_000) < self.troubles.failing_ppm {
            self.at(now + luck.below(duration_ms).max(1), Happening::Fail(attempt));
        } else {
            self.at(now + duration_ms, Happening::Finish(attempt));
        }
        if duration_ms > 2 * PROGRESS_MS {
            self.at(now + 2 * PROGRESS_MS, Happening::Progress(attempt));
        }
    }

    /// The read of a map that is not beside its input: from a replica on its rack if there is one.
    fn flow(&self, input: &granary_mapreduce::placement::MapPlan, to: u32, locality: Locality) -> Option<Flow> {
        if locality == Locality::DataLocal {
            return None;
        }
        let up = input.replicas.iter().filter(|replica| self.up[replica.0 as usize]);
        let from = up.min_by_key(|replica| (self.shape.rack(replica.0) != self.shape.rack(to), replica.0))?;
        Some(Flow { from: from.0, to })
    }

    fn count_map(&mut self, is_small: bool, locality: Locality) {
        let place = match locality {
            Locality::DataLocal => 0,
            Locality::RackLocal => 1,
            Locality::OtherLocal => 2,
        };
        self.outcome.maps[place] += 1;
        if is_small {
            self.outcome.small_maps[place] += 1;
        }
    }

    fn job_ended(&mut self, now: u64, id: JobId, succeeded: bool) {
        let job = &self.jobs[id.0 as usize];
        let response = now - job.arrival_ms;
        self.open_jobs -= 1;
        self.outcome.makespan_ms = now;
        if succeeded {
            self.outcome.jobs_done += 1;
            self.outcome.response_ms.push(response);
            if job.is_small() {
                self.outcome.small_response_ms.push(response);
            }
        } else {
            self.outcome.jobs_failed += 1;
        }
    }

    /// Mixes the action into the digest (FNV-1a over its text).
    fn note(&mut self, action: &Action) {
        struct Fnv(u64);
        impl std::fmt::Write for Fnv {
            fn write_str(&mut self, text: &str) -> std::fmt::Result {
                for byte in text.bytes() {
                    self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
                }
                Ok(())
            }
        }
        let mut digest = Fnv(self.outcome.digest ^ 0xcbf2_9ce4_8422_2325);
        std::fmt::Write::write_fmt(&mut digest, format_args!("{action:?}")).expect("hashing cannot fail");
        self.outcome.digest = digest.0;
    }
}
