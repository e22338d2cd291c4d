//! Why an attempt ended without a result. The text is for the person who submitted the job.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum TaskFailure {
    #[error("cancelled")]
    Cancelled,
    #[error("cannot read {url}: {reason}")]
    Input { url: String, reason: String },
    #[error("{url} is damaged at byte {offset}: {reason}")]
    InputDamaged { url: String, offset: u64, reason: String },
    #[error("{url}: the line that begins at byte {offset} is longer than {limit} bytes")]
    LineTooLong { url: String, offset: u64, limit: u64 },
    #[error("a record of {bytes} bytes does not fit into buffers of {limit} bytes")]
    RecordTooLong { bytes: u64, limit: u64 },
    #[error("the output of map {source_map} for reduce {partition} cannot be read: {reason}")]
    MapOutputLost { source_map: u32, partition: u32, reason: String },
    #[error("{program} {how}")]
    Program { program: String, how: String },
    #[error("{program} cannot be started: {reason}")]
    ProgramNotStarted { program: String, reason: String },
    #[error("the task's {what} of {limit} is used up")]
    LimitReached { what: String, limit: String },
    #[error("the combiner returned key {key:?} out of order: it must keep the keys it is given")]
    CombinerChangedKeys { key: String },
    #[error("scratch directory: {reason}")]
    Scratch { reason: String },
    #[error("cannot write {name}: {reason}")]
    Output { name: String, reason: String },
    #[error("two inputs are named {name}")]
    NameTaken { name: String },
    #[error("{what}: {given:?} cannot be understood")]
    Malformed { what: String, given: String },
}

impl TaskFailure {
    /// Whether another attempt would fail in the same way, so that the job can fail at once.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            TaskFailure::LineTooLong { .. } | TaskFailure::RecordTooLong { .. } | TaskFailure::NameTaken { .. }
        )
    }
}
