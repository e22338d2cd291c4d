//! What a job is: its input, its program, its output and its bounds, as the person who submits it says it.
//!
//! The same structures are the body of `POST /v1/jobs` (JSON) and a record of the job service (postcard), so they use
//! nothing that needs a self-describing format. New kinds of programs are appended at the end of their enums; a field
//! that is not given has the default that [`JobSpec::default`] shows.
//!
//! Invariant: the engine runs only specifications that [`JobSpec::validate`] has accepted.

mod bytes64;
mod check;
mod error;
mod key_fields;
pub mod limits;
mod program;
mod resources;

pub use error::SpecError;
pub use key_fields::{KeyField, KeyFields};
pub use program::{ChecksumAlgorithm, FieldSplit, Grep, Program, Stage, Streaming};
pub use resources::{CachedFile, FileSource, Resources};

use granary_protocol::encryption::EncryptionMode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A job as submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSpec {
    /// For people; empty: the program's name.
    pub name: String,
    /// `s3://bucket/prefix` or `hdfs:///bucket/path`, globs allowed. Empty only for programs without input.
    pub inputs: Vec<String>,
    /// Where the part files go. Nothing may be there before.
    pub output: String,
    pub program: Program,
    /// Number of reduces; `None` is what the program needs by itself: see [`JobSpec::reduces`].
    pub reduces: Option<u32>,
    pub input_format: InputFormat,
    pub partitioner: Partitioner,
    pub order: KeyOrder,
    /// Splits are not cut below this many bytes, if the object has so many.
    pub split_bytes_min: u64,
    /// Splits are not longer than this many bytes (times 1.1 for the last one of an object).
    pub split_bytes_max: u64,
    /// Lines longer than this many bytes fail the job.
    pub line_bytes_max: u32,
    pub archived: Archived,
    /// No part file for a task that writes nothing.
    pub lazy_output: bool,
    /// Attempts of a task before its failure is the job's.
    pub attempts_max: u32,
    /// An attempt without progress for so long, in milliseconds, is ended. Zero: never.
    pub timeout_ms: u64,
    /// Whether a task may run twice at a time. Not for tasks with effects outside of the store.
    pub speculative: bool,
    /// Files put into the working directory of every task.
    pub files: Vec<CachedFile>,
    /// Added to the environment of the program's processes (`-cmdenv`).
    pub environment: BTreeMap<String, String>,
    /// Settings that nothing here reads; exported to the program's processes with `_` for `.`.
    pub conf: BTreeMap<String, String>,
    pub resources: Resources,
    /// How the output is encrypted. What the place of the output wants is put here by the door that lets the job in,
    /// whatever stood there.
    pub output_encryption: Option<EncryptionMode>,
}

impl Default for JobSpec {
    fn default() -> Self {
        JobSpec {
            name: String::new(),
            inputs: Vec::new(),
            output: String::new(),
            program: Program::Identity,
            reduces: None,
            input_format: InputFormat::Text,
            partitioner: Partitioner::Hash,
            order: KeyOrder::Bytes,
            split_bytes_min: 1,
            split_bytes_max: limits::SPLIT_BYTES_DEFAULT,
            line_bytes_max: limits::LINE_BYTES_DEFAULT,
            archived: Archived::Fail,
            lazy_output: false,
            attempts_max: limits::ATTEMPTS_DEFAULT,
            timeout_ms: limits::TIMEOUT_MS_DEFAULT,
            speculative: true,
            files: Vec::new(),
            environment: BTreeMap::new(),
            conf: BTreeMap::new(),
            resources: Resources::default(),
            output_encryption: None,
        }
    }
}

impl JobSpec {
    /// Reduces the job has: as asked, or what its program needs. Zero: the maps write the output.
    pub fn reduces(&self) -> u32 {
        if !self.program.may_reduce() {
            return 0;
        }
        self.reduces.unwrap_or(self.program.reduces_by_default())
    }

    /// How map output is divided over the reduces.
    pub fn partitioner(&self) -> &Partitioner {
        if self.program.sorts_totally() { &Partitioner::TotalOrder } else { &self.partitioner }
    }

    /// Whether keys have to be sampled before the first map starts, see [`crate::engine::sample_cuts`].
    pub fn needs_cuts(&self) -> bool {
        *self.partitioner() == Partitioner::TotalOrder && self.reduces() > 1
    }

    /// Whether tasks start processes of their own that run the submitter's native code.
    pub fn runs_native_code(&self) -> bool {
        match &self.program {
            Program::Streaming(streaming) => streaming.stages().any(|stage| matches!(stage, Stage::Command(_))),
            _ => false,
        }
    }
}

/// How the bytes of the input become records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputFormat {
    /// Lines, ended by `\n`; the mapper sees the line (Hadoop's TextInputFormat without its offsets).
    #[default]
    Text,
    /// The same for lines that are `key TAB value` (KeyValueTextInputFormat).
    KeyValueText,
}

/// How map output is divided over the reduces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partitioner {
    /// By a hash of the key.
    #[default]
    Hash,
    /// By a hash of some fields of the key, as `-k1,2` (KeyFieldBasedPartitioner).
    KeyFields(KeyFields),
    /// By ranges of sampled keys, so that the parts one after the other are sorted (TotalOrderPartitioner).
    TotalOrder,
}

/// How a reduce's keys are ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOrder {
    /// By their bytes.
    #[default]
    Bytes,
    /// By fields of the key, as `-k2,2nr` (KeyFieldBasedComparator).
    KeyFields(KeyFields),
}

/// What happens to input objects whose class must be restored before it can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Archived {
    /// The job fails and names them.
    #[default]
    Fail,
    /// They are left out.
    Skip,
    /// They are restored, and the job waits for that.
    Restore,
}

#[cfg(test)]
mod tests;
