//! The execution of tasks: [`run_attempt`] runs one attempt of one task from its first byte of input to its last of output.
//!
//! Blocking code on its caller's thread and threads of its own, which have ended when it returns. What surrounds it (which
//! task, where, when; which attempt counts; timeouts) is the job service's; how bytes are fetched and stored is behind
//! [`TaskStore`] and [`MapOutputs`].
//!
//! Invariants:
//! - Memory for records is within `Resources::buffer_bytes`, whatever the input.
//! - Nothing is visible of an attempt but what it created through [`TaskStore::create`] and what it left in its scratch
//!   directory; if it fails, its outputs are dropped unfinished.
//! - The same input gives the same output, byte for byte, if the program does: attempts can replace each other.

mod cancel;
mod cuts;
mod failure;
mod map_task;
mod part;
mod progress;
mod reduce_task;
mod store;

pub use cancel::Cancel;
pub use cuts::sample_cuts;
pub use failure::TaskFailure;
pub use progress::{Counter, Progress, ProgressReport, UserCounter};
pub use store::{MapOutputs, TaskOutput, TaskStore};

pub(crate) use part::Part;

use crate::input::Source;
use crate::plan::Split;
use crate::sandbox::Execution;
use crate::shuffle::Scratch;
use crate::spec::{JobSpec, SpecError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a task reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskInput {
    /// A map's split.
    Map { split: Split },
    /// A reduce's partition of the outputs of these maps, by their indexes.
    Reduce { partition: u32, sources: Vec<u32> },
}

/// One attempt of a task, and everything it may touch.
pub struct Attempt<'a> {
    pub spec: &'a JobSpec,
    /// The job's name as shown to its programs, as `job_20261121_0001`.
    pub job: &'a str,
    /// The task's index among the maps or reduces: names its part file.
    pub task: u32,
    /// The attempt's number among those of the task.
    pub number: u32,
    pub input: &'a TaskInput,
    /// Of [`sample_cuts`], where [`JobSpec::needs_cuts`] says so.
    pub cuts: &'a [Vec<u8>],
    pub store: &'a dyn TaskStore,
    pub map_outputs: &'a dyn MapOutputs,
    /// An empty directory of its own. Emptying it afterwards is the caller's.
    pub scratch: &'a Path,
    pub progress: &'a Progress,
    pub cancel: &'a Cancel,
    pub execution: &'a Execution,
}

/// What an attempt has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptDone {
    /// Of a map whose job has reduces: a file in its scratch directory, see [`crate::shuffle::MapOutputFile`].
    MapOutput { path: PathBuf, bytes: u64 },
    /// Of all others: the outputs that were finished, by name.
    Outputs(Vec<OutputFile>),
}

/// A finished output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Its name below the job's output.
    pub name: String,
    pub bytes: u64,
}

/// Runs the attempt to its end. Returns soon after `cancel` was thrown; until then its caller's thread is busy.
///
/// Whether it succeeded or not, its processes have ended and its threads too. Its scratch directory then holds the map
/// output that it names, if any, and otherwise nothing of worth.
pub fn run_attempt(attempt: &Attempt<'_>) -> Result<AttemptDone, TaskFailure> {
    let scratch = Scratch::new(attempt.scratch, attempt.spec.resources.scratch_bytes);
    let done = match attempt.input {
        TaskInput::Map { split } => map_task::run(attempt, split, &scratch),
        TaskInput::Reduce { partition, sources } => reduce_task::run(attempt, *partition, sources, &scratch),
    };
    if attempt.cancel.is_cancelled() { Err(TaskFailure::Cancelled) } else { done }
}

impl<'a> Attempt<'a> {
    pub(crate) fn source(&self) -> Source<'a> {
        Source {
            store: self.store,
            progress: self.progress,
            cancel: self.cancel,
            line_bytes_max: self.spec.line_bytes_max,
        }
    }
}

impl From<SpecError> for TaskFailure {
    fn from(error: SpecError) -> Self {
        TaskFailure::Malformed { what: "the specification".into(), given: error.to_string() }
    }
}

#[cfg(test)]
mod tests;
