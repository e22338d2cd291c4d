//! Why a specification is refused. The text is for the person who submitted it.

use thiserror::Error;

/// A fault of a job's specification.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpecError {
    #[error("a job needs an input (-input)")]
    InputMissing,
    #[error("{program} takes no input")]
    InputUnexpected { program: &'static str },
    #[error("a job needs an output (-output)")]
    OutputMissing,
    #[error("{url:?} is no place in the store: s3://bucket/key or hdfs:///bucket/path is meant")]
    UrlInvalid { url: String },
    #[error("{what}: {given} is more than {max}")]
    TooLarge { what: &'static str, given: u64, max: u64 },
    #[error("{what}: {given} is less than {min}")]
    TooSmall { what: &'static str, given: u64, min: u64 },
    #[error("{program} has no reduces")]
    ReducesUnexpected { program: &'static str },
    #[error("{program} is ordered and divided by itself: no partitioner or comparator can be set")]
    OrderUnexpected { program: &'static str },
    #[error("a command must name a program")]
    CommandEmpty,
    #[error("{what} contains a NUL character")]
    Nul { what: &'static str },
    #[error("{text:?} does not say key fields, as in -k1,2 or -k2,2nr")]
    KeyFieldsInvalid { text: String },
    #[error("the regular expression is not valid: {reason}")]
    PatternInvalid { reason: String },
    #[error("the separator of fields is empty")]
    SeparatorEmpty,
    #[error("{name:?} is no name for a file in the working directory")]
    FileNameInvalid { name: String },
    #[error("two files are named {name:?}")]
    FileNameTaken { name: String },
    #[error("{name:?} cannot be a variable of the environment")]
    VariableInvalid { name: String },
    #[error("aggregate combines in its reducer: the mapper cannot be aggregate")]
    AggregateMapper,
    #[error("{name:?} is no WebAssembly module that can run here: {reason}")]
    ModuleInvalid { name: String, reason: String },
    #[error("the module {name:?} is not among the job's files")]
    ModuleMissing { name: String },
    #[error("a total order over several reduces is by the bytes of the keys: it cannot be combined with a comparator")]
    TotalOrderComparator,
}
