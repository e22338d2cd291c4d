//! What a peer counts about itself, and its figures in Prometheus' text format.
//!
//! Counters are atomics of one peer: several peers in one process do not share them.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one peer since it started.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Commands that were handed to Raft.
    pub(crate) proposals: AtomicU64,
    /// Batches, and so log entries, they went in.
    pub(crate) batches: AtomicU64,
    /// Commands in the largest batch.
    pub(crate) batch_commands_max: AtomicU64,
    /// Batches that Raft did not take or did not finish.
    pub(crate) batches_failed: AtomicU64,
    /// Bytes of the engine's files when they were last added up.
    pub(crate) engine_bytes: AtomicU64,
}

impl Metrics {
    pub(crate) fn batch_proposed(&self, commands: usize) {
        self.proposals.fetch_add(commands as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.batch_commands_max.fetch_max(commands as u64, Ordering::Relaxed);
    }

    pub(crate) fn batch_failed(&self) {
        self.batches_failed.fetch_add(1, Ordering::Relaxed);
    }
}

/// The value of a counter.
pub(crate) fn value(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// What a figure may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grow.
    Counter,
    /// Grow and shrink.
    Gauge,
}

/// Figures, written out one after another. Their names begin with `granary_namenode_`.
#[derive(Default)]
pub(crate) struct Figures {
    text: String,
}

impl Figures {
    pub(crate) fn add(&mut self, name: &str, kind: Kind, help: &str, value: u64) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let name = format!("granary_namenode_{name}");
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
            .expect("a String takes whatever is written to it");
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}
