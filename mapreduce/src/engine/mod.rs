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
mod failure;
mod progress;
mod store;

pub use cancel::Cancel;
pub use failure::TaskFailure;
pub use progress::{Counter, Progress, ProgressReport, UserCounter};
pub use store::{MapOutputs, TaskOutput, TaskStore};

use crate::plan::Split;
use crate::sandbox::Execution;
use crate::spec::JobSpec;
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
