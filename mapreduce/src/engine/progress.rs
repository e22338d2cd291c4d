//! How far an attempt has come: written by its threads, read by the task runner while it runs.

use crate::spec::limits::{COUNTER_NAME_BYTES_MAX, COUNTERS_MAX, STATUS_BYTES_MAX, STDERR_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What every task counts. The names are those of Hadoop's "Map-Reduce Framework" group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(usize)]
pub enum Counter {
    MapInputRecords,
    MapInputBytes,
    MapOutputRecords,
    MapOutputBytes,
    CombineInputRecords,
    CombineOutputRecords,
    SpilledRecords,
    ReduceShuffleBytes,
    ReduceInputGroups,
    ReduceInputRecords,
    ReduceOutputRecords,
    OutputBytes,
}

/// All of them, in the order of their numbers.
const COUNTERS: [(Counter, &str); 12] = [
    (Counter::MapInputRecords, "MAP_INPUT_RECORDS"),
    (Counter::MapInputBytes, "MAP_INPUT_BYTES"),
    (Counter::MapOutputRecords, "MAP_OUTPUT_RECORDS"),
    (Counter::MapOutputBytes, "MAP_OUTPUT_BYTES"),
    (Counter::CombineInputRecords, "COMBINE_INPUT_RECORDS"),
    (Counter::CombineOutputRecords, "COMBINE_OUTPUT_RECORDS"),
    (Counter::SpilledRecords, "SPILLED_RECORDS"),
    (Counter::ReduceShuffleBytes, "REDUCE_SHUFFLE_BYTES"),
    (Counter::ReduceInputGroups, "REDUCE_INPUT_GROUPS"),
    (Counter::ReduceInputRecords, "REDUCE_INPUT_RECORDS"),
    (Counter::ReduceOutputRecords, "REDUCE_OUTPUT_RECORDS"),
    (Counter::OutputBytes, "OUTPUT_BYTES"),
];

/// A counter of the program's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserCounter {
    pub group: String,
    pub name: String,
}

/// Shared between the attempt and whoever watches it. Counting takes no lock.
#[derive(Debug, Default)]
pub struct Progress {
    counters: [AtomicU64; COUNTERS.len()],
    /// Units of work done and all there are: bytes for maps, bytes of segments for reduces.
    done: AtomicU64,
    total: AtomicU64,
    /// Changes whenever the attempt does anything that shows it alive.
    beats: AtomicU64,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    counters: BTreeMap<UserCounter, i64>,
    status: String,
    stderr: VecDeque<u8>,
}

/// [`Progress`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressReport {
    /// Thousandths done, as far as can be known.
    pub permille: u16,
    /// Another value than at the last look: the attempt is alive.
    pub beats: u64,
    /// The engine's counters that are not zero, by Hadoop's names.
    pub counters: BTreeMap<String, u64>,
    /// The program's own (`reporter:counter:`).
    pub user_counters: Vec<(UserCounter, i64)>,
    /// What the program said last (`reporter:status:`).
    pub status: String,
    /// The end of what it wrote to standard error, without the lines for the reporter.
    pub stderr: String,
}

impl Progress {
    /// Adds to a counter.
    pub fn count(&self, counter: Counter, by: u64) {
        self.counters[counter as usize].fetch_add(by, Ordering::Relaxed);
        self.beat();
    }

    /// The value of a counter.
    pub fn counted(&self, counter: Counter) -> u64 {
        self.counters[counter as usize].load(Ordering::Relaxed)
    }

    /// The attempt is alive.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_total(&self, units: u64) {
        self.total.store(units, Ordering::Relaxed);
    }

    pub(crate) fn add_total(&self, units: u64) {
        self.total.fetch_add(units, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, units: u64) {
        self.done.fetch_add(units, Ordering::Relaxed);
        self.beat();
    }

    /// `reporter:counter:`. Names beyond the bounds are dropped.
    pub(crate) fn count_user(&self, group: &str, name: &str, by: i64) {
        self.beat();
        if group.len() + name.len() > COUNTER_NAME_BYTES_MAX {
            return;
        }
        let mut said = self.said();
        let key = UserCounter { group: group.into(), name: name.into() };
        if let Some(value) = said.counters.get_mut(&key) {
            *value = value.saturating_add(by);
        } else if said.counters.len() < COUNTERS_MAX {
            said.counters.insert(key, by);
        }
    }

    /// `reporter:status:`.
    pub(crate) fn say_status(&self, text: &str) {
        self.beat();
        let end = (0..=text.len().min(STATUS_BYTES_MAX)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        self.said().status = text[..end].into();
    }

    /// What the program writes to standard error.
    pub(crate) fn keep_stderr(&self, bytes: &[u8]) {
        self.beat();
        let bytes = &bytes[bytes.len().saturating_sub(STDERR_BYTES_MAX)..];
        let mut said = self.said();
        let excess = (said.stderr.len() + bytes.len()).saturating_sub(STDERR_BYTES_MAX);
        said.stderr.drain(..excess);
        said.stderr.extend(bytes);
    }

    /// How far it has come.
    pub fn report(&self) -> ProgressReport {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        let counters = COUNTERS.iter().map(|&(counter, name)| (name.to_string(), self.counted(counter)));
        let said = self.said();
        let (front, back) = said.stderr.as_slices();
        ProgressReport {
            permille: if total == 0 { 0 } else { (u128::from(done.min(total)) * 1000 / u128::from(total)) as u16 },
            beats: self.beats.load(Ordering::Relaxed),
            counters: counters.filter(|&(_, value)| value > 0).collect(),
            user_counters: said.counters.iter().map(|(key, &value)| (key.clone(), value)).collect(),
            status: said.status.clone(),
            stderr: String::from_utf8_lossy(&[front, back].concat()).into_owned(),
        }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
