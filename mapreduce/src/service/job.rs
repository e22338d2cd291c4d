//! A job under way, as people and runners are told of it. What is placed where is placement's.

use crate::placement::Locality;
use crate::spec::JobSpec;
use bytes::Bytes;
use granary_protocol::jobs::{AttemptName, JobRecord, TaskName};
use granary_protocol::{DatanodeId, NodeName};
use std::collections::BTreeMap;

/// Failed attempts whose words are kept.
const FAILURES_KEPT: usize = 50;
/// Counters of a job at most: group and name.
const COUNTERS_MAX: usize = 512;

/// Counters: group, name.
pub(super) type Counters = BTreeMap<(String, String), i64>;

pub(super) struct Job {
    pub record: JobRecord,
    pub spec: JobSpec,
    /// In the plan's own form.
    pub splits: Vec<Bytes>,
    pub cuts: Bytes,
    pub reduces: u32,
    pub running: BTreeMap<AttemptName, Running>,
    done: BTreeMap<TaskName, Done>,
    /// The counters of those, added up: a job is asked about more often than its tasks are done.
    done_counters: Counters,
    pub failures: Vec<FailedAttempt>,
    /// Failed and killed attempts: maps, reduces.
    pub failed: [u64; 2],
    pub killed: [u64; 2],
    /// Launched maps: data-local, rack-local, other.
    pub locality: [u64; 3],
    /// Bytes of the splits of those.
    pub locality_bytes: [u64; 3],
    pub launched_reduces: u64,
    /// Its end is on its way.
    pub ending: bool,
}

/// An attempt that runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub runner: NodeName,
    pub locality: Option<Locality>,
    pub started: tokio::time::Instant,
    pub permille: u16,
    pub status: String,
    pub counters: Vec<(String, String, i64)>,
}

/// A task that is done.
#[derive(Clone, Debug)]
pub(super) struct Done {
    pub attempt: u32,
    pub runner: NodeName,
    pub datanode: DatanodeId,
    pub counters: Vec<(String, String, i64)>,
    pub elapsed_ms: u64,
    pub output_bytes: u64,
}

/// An attempt that failed, for whoever asks why.
#[derive(Clone, Debug)]
pub(super) struct FailedAttempt {
    pub attempt: AttemptName,
    pub runner: NodeName,
    pub reason: String,
    pub stderr: String,
}

impl Job {
    pub fn new(record: JobRecord, spec: JobSpec, splits: Vec<Bytes>, cuts: Bytes) -> Job {
        let reduces = spec.reduces();
        Job {
            record,
            spec,
            splits,
            cuts,
            reduces,
            running: BTreeMap::new(),
            done: BTreeMap::new(),
            done_counters: Counters::new(),
            failures: Vec::new(),
            failed: [0; 2],
            killed: [0; 2],
            locality: [0; 3],
            locality_bytes: [0; 3],
            launched_reduces: 0,
            ending: false,
        }
    }

    pub fn note_failure(&mut self, failure: FailedAttempt) {
        if self.failures.len() >= FAILURES_KEPT {
            self.failures.remove(0);
        }
        self.failures.push(failure);
    }

    /// The tasks that are done.
    pub fn done(&self) -> &BTreeMap<TaskName, Done> {
        &self.done
    }

    /// A task is done, perhaps for the second time.
    pub fn task_done(&mut self, task: TaskName, done: Done) {
        add(&mut self.done_counters, &done.counters, 1);
        if let Some(before) = self.done.insert(task, done) {
            add(&mut self.done_counters, &before.counters, -1);
        }
    }

    /// These tasks have to be done again.
    pub fn undo(&mut self, lost: impl Fn(&TaskName, &Done) -> bool) {
        for (_, done) in self.done.extract_if(.., |task, done| lost(task, done)) {
            add(&mut self.done_counters, &done.counters, -1);
        }
    }

    /// The counters of all tasks that are done, and so far of those that run.
    pub fn counters(&self) -> Counters {
        let mut all = self.done_counters.clone();
        for running in self.running.values() {
            add(&mut all, &running.counters, 1);
        }
        all
    }
}

/// Adds counters `times` times to sums.
fn add(sums: &mut Counters, counters: &[(String, String, i64)], times: i64) {
    for (group, name, value) in counters {
        let key = (group.clone(), name.clone());
        if sums.len() < COUNTERS_MAX || sums.contains_key(&key) {
            let sum = sums.entry(key).or_default();
            *sum = sum.saturating_add(value.saturating_mul(times));
        }
    }
}
