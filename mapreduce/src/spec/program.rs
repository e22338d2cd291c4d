//! The programs a job can run: the built-in operators and the Hadoop Streaming contract.

use crate::sandbox::Invocation;
use serde::{Deserialize, Serialize};

/// What the tasks of a job do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// Copies lines: to as many parts as there are maps or, with reduces, sorted by line.
    Identity,
    /// Counts words (what lies between white space): `word TAB count`, sorted by word within a part.
    Wordcount,
    /// The lines that match, or the matches counted.
    Grep(Grep),
    /// Lines in the order of their bytes, over all parts.
    Sort,
    /// Copies objects as they are, names below the inputs kept.
    Distcp,
    /// A line `checksum TAB bytes TAB url` for each object.
    Checksum(ChecksumAlgorithm),
    /// Makes this many records of 100 bytes for `terasort`.
    Teragen(u64),
    /// Sorts records of 100 bytes by their first ten, over all parts.
    Terasort,
    /// Verifies the order of `terasort`'s output: a line for each fault, and `checksum TAB sum` of all records.
    Teravalidate,
    /// Processes that read and write lines.
    Streaming(Streaming),
}

/// `grep`'s options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grep {
    /// A regular expression in the syntax of the `regex` crate, matched against the bytes of each line.
    pub pattern: String,
    pub ignore_case: bool,
    /// The lines that do not match.
    pub invert: bool,
    /// Instead of lines: `count TAB match`, as Hadoop's example program writes it.
    pub count: bool,
}

/// `checksum`'s algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumAlgorithm {
    #[default]
    Crc32c,
    Crc64nvme,
    Md5,
    Sha256,
}

/// A job after Hadoop's Streaming contract: lines into a process, lines out of it, `key TAB value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Streaming {
    pub mapper: Stage,
    pub combiner: Option<Stage>,
    /// `None`: `-reducer NONE`, the mappers' output is the job's.
    pub reducer: Option<Stage>,
    /// Where a line of the mapper's output divides into key and value.
    pub map_output: FieldSplit,
    /// The same for the reducer's; only of use where something reads its keys.
    pub reduce_output: FieldSplit,
    /// `stream.non.zero.exit.is.failure`.
    pub nonzero_exit_is_failure: bool,
}

impl Default for Streaming {
    fn default() -> Self {
        Streaming {
            mapper: Stage::Identity,
            combiner: None,
            reducer: Some(Stage::Identity),
            map_output: FieldSplit::default(),
            reduce_output: FieldSplit::default(),
            nonzero_exit_is_failure: true,
        }
    }
}

impl Streaming {
    /// Mapper, combiner and reducer, those there are.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        std::iter::once(&self.mapper).chain(&self.combiner).chain(&self.reducer)
    }
}

/// A mapper, combiner or reducer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Lines pass unchanged (IdentityMapper, IdentityReducer, `cat`).
    Identity,
    /// A program and its arguments, found in the working directory first and then on the PATH. No shell reads it.
    Command(Vec<String>),
    /// Hadoop's `aggregate`: keys say how their values are combined (`LongValueSum:word`).
    Aggregate,
    /// A WebAssembly module for WASI preview 1, by its name among the job's files, and its arguments. Unlike a command it
    /// needs no permission.
    Module(Vec<String>),
}

impl Stage {
    /// The program that is run for it, if there is one.
    pub(crate) fn invocation(&self) -> Option<Invocation<'_>> {
        match self {
            Stage::Command(words) => Some(Invocation { words, is_module: false }),
            Stage::Module(words) => Some(Invocation { words, is_module: true }),
            Stage::Identity | Stage::Aggregate => None,
        }
    }
}

/// Where a line divides into key and value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FieldSplit {
    pub separator: String,
    /// The key is this many fields, the value the rest. A line with fewer is all key.
    pub key_fields: u32,
}

impl Default for FieldSplit {
    fn default() -> Self {
        FieldSplit { separator: "\t".into(), key_fields: 1 }
    }
}

impl Program {
    /// The name people use.
    pub fn name(&self) -> &'static str {
        match self {
            Program::Identity => "identity",
            Program::Wordcount => "wordcount",
            Program::Grep(_) => "grep",
            Program::Sort => "sort",
            Program::Distcp => "distcp",
            Program::Checksum(_) => "checksum",
            Program::Teragen(_) => "teragen",
            Program::Terasort => "terasort",
            Program::Teravalidate => "teravalidate",
            Program::Streaming(_) => "streaming",
        }
    }

    /// Whether the job reads objects.
    pub fn has_input(&self) -> bool {
        !matches!(self, Program::Teragen(_))
    }

    /// Whether a task takes an object as a whole, empty ones too.
    pub fn takes_whole_objects(&self) -> bool {
        matches!(self, Program::Distcp | Program::Checksum(_) | Program::Teravalidate)
    }

    /// Bytes of a record, where all are equally long.
    pub fn record_bytes(&self) -> Option<u64> {
        match self {
            Program::Terasort | Program::Teragen(_) => Some(super::limits::TERA_RECORD_BYTES),
            _ => None,
        }
    }

    pub(super) fn sorts_totally(&self) -> bool {
        matches!(self, Program::Sort | Program::Terasort)
    }

    pub(super) fn may_reduce(&self) -> bool {
        match self {
            Program::Distcp | Program::Checksum(_) | Program::Teragen(_) => false,
            Program::Streaming(streaming) => streaming.reducer.is_some(),
            _ => true,
        }
    }

    pub(super) fn reduces_by_default(&self) -> u32 {
        match self {
            Program::Identity => 0,
            Program::Grep(grep) => u32::from(grep.count),
            Program::Distcp | Program::Checksum(_) | Program::Teragen(_) => 0,
            Program::Wordcount | Program::Sort | Program::Terasort | Program::Teravalidate | Program::Streaming(_) => 1,
        }
    }
}
