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
    pub done: BTreeMap<TaskName, Done>,
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

    /// The counters of all tasks that are done, and so far of those that run.
    pub fn counters(&self) -> Counters {
        let mut all = Counters::new();
        let running = self.running.values().map(|running| &running.counters);
        for (group, name, value) in self.done.values().map(|done| &done.counters).chain(running).flatten() {
            let key = (group.clone(), name.clone());
            if all.len() < COUNTERS_MAX || all.contains_key(&key) {
                let sum = all.entry(key).or_default();
                *sum = sum.saturating_add(*value);
            }
        }
        all
    }
}
