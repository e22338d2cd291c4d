//! The checks a specification has to pass before anything is stored or run for it.

use super::limits::*;
use super::{FieldSplit, FileSource, JobSpec, KeyOrder, Partitioner, Program, Resources, SpecError, Stage, Streaming};
use crate::wasm;
use flate2::read::GzDecoder;
use std::collections::BTreeSet;
use std::io::Read;

impl JobSpec {
    /// Everything about the job that can be known without looking into the store.
    pub fn validate(&self) -> Result<(), SpecError> {
        at_most("the job's name", self.name.len(), NAME_BYTES_MAX)?;
        self.check_places()?;
        self.check_program()?;
        self.check_order()?;
        self.check_sizes()?;
        self.check_files()?;
        self.check_environment()?;
        self.resources.validate()
    }

    fn check_places(&self) -> Result<(), SpecError> {
        let program = self.program.name();
        match (self.program.has_input(), self.inputs.is_empty()) {
            (true, true) => return Err(SpecError::InputMissing),
            (false, false) => return Err(SpecError::InputUnexpected { program }),
            _ => {}
        }
        at_most("inputs", self.inputs.len(), INPUTS_MAX)?;
        if self.output.is_empty() {
            return Err(SpecError::OutputMissing);
        }
        self.inputs.iter().chain([&self.output]).try_for_each(|url| check_url(url))
    }

    fn check_program(&self) -> Result<(), SpecError> {
        match &self.program {
            Program::Grep(grep) => {
                at_most("the regular expression", grep.pattern.len(), PATTERN_BYTES_MAX)?;
                crate::operators::grep_pattern(grep)
                    .map_err(|error| SpecError::PatternInvalid { reason: error.to_string() })?;
            }
            Program::Teragen(rows) => at_most_u64("rows", *rows, TERA_ROWS_MAX)?,
            Program::Streaming(streaming) => {
                check_streaming(streaming)?;
                self.check_modules(streaming)?;
            }
            _ => {}
        }
        match self.reduces {
            Some(reduces) if reduces > 0 && !self.program.may_reduce() => {
                Err(SpecError::ReducesUnexpected { program: self.program.name() })
            }
            Some(0) if self.program.sorts_totally() || matches!(self.program, Program::Wordcount) => {
                Err(SpecError::TooSmall { what: "reduces", given: 0, min: 1 })
            }
            Some(reduces) => at_most_u64("reduces", reduces.into(), REDUCES_MAX.into()),
            None => Ok(()),
        }
    }

    /// Each module is a file of the job and, where it travels with the specification, can run.
    fn check_modules(&self, streaming: &Streaming) -> Result<(), SpecError> {
        let named = streaming.stages().filter_map(|stage| match stage {
            Stage::Module(words) => words.first(),
            Stage::Identity | Stage::Command(_) | Stage::Aggregate => None,
        });
        for name in named.collect::<BTreeSet<_>>() {
            let file = self.files.iter().find(|file| file.name == *name);
            let checked = match &file.ok_or_else(|| SpecError::ModuleMissing { name: name.clone() })?.source {
                FileSource::Inline(bytes) => wasm::check(bytes),
                FileSource::Gzip(packed) => wasm::check(&unpacked(packed)),
                // It is checked before it is compiled.
                FileSource::Stored(_) => Ok(()),
            };
            checked.map_err(|reason| SpecError::ModuleInvalid { name: name.clone(), reason })?;
        }
        Ok(())
    }

    fn check_order(&self) -> Result<(), SpecError> {
        let plain = self.partitioner == Partitioner::Hash && self.order == KeyOrder::Bytes;
        if !plain && !matches!(self.program, Program::Streaming(_) | Program::Identity) {
            return Err(SpecError::OrderUnexpected { program: self.program.name() });
        }
        if self.partitioner == Partitioner::TotalOrder && self.order != KeyOrder::Bytes {
            return Err(SpecError::TotalOrderComparator);
        }
        let partition = if let Partitioner::KeyFields(fields) = &self.partitioner { Some(fields) } else { None };
        let order = if let KeyOrder::KeyFields(fields) = &self.order { Some(fields) } else { None };
        for fields in partition.into_iter().chain(order) {
            check_separator(&fields.separator)?;
            at_most("key fields", fields.options.len(), PATTERN_BYTES_MAX)?;
            fields.parse()?;
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), SpecError> {
        at_least("the longest split", self.split_bytes_max, 1)?;
        at_least("the longest line", self.line_bytes_max.into(), 1)?;
        at_most_u64("the longest line", self.line_bytes_max.into(), LINE_BYTES_MAX.into())?;
        at_least("attempts", self.attempts_max.into(), 1)?;
        at_most_u64("attempts", self.attempts_max.into(), ATTEMPTS_MAX.into())?;
        at_most_u64("the timeout", self.timeout_ms, TIMEOUT_MS_MAX)
    }

    fn check_files(&self) -> Result<(), SpecError> {
        at_most("files", self.files.len(), FILES_MAX)?;
        let mut names = BTreeSet::new();
        let mut inline = 0;
        for file in &self.files {
            if !is_component(&file.name) {
                return Err(SpecError::FileNameInvalid { name: file.name.clone() });
            }
            if !names.insert(&file.name) {
                return Err(SpecError::FileNameTaken { name: file.name.clone() });
            }
            match &file.source {
                FileSource::Inline(bytes) | FileSource::Gzip(bytes) => inline += bytes.len(),
                FileSource::Stored(url) => check_url(url)?,
            }
        }
        at_most("the bytes of files inside of the specification", inline, INLINE_BYTES_MAX)
    }

    fn check_environment(&self) -> Result<(), SpecError> {
        at_most("variables of the environment", self.environment.len(), ENVIRONMENT_MAX)?;
        at_most("settings", self.conf.len(), ENVIRONMENT_MAX)?;
        let bytes = |(name, value): (&String, &String)| name.len() + value.len() + 2;
        let total = self.environment.iter().map(bytes).sum::<usize>() + self.conf.iter().map(bytes).sum::<usize>();
        at_most("the environment", total, ENVIRONMENT_BYTES_MAX)?;
        for name in self.environment.keys() {
            if name.is_empty() || name.contains('=') {
                return Err(SpecError::VariableInvalid { name: name.clone() });
            }
        }
        let texts = self.environment.iter().chain(&self.conf).flat_map(|(name, value)| [name, value]);
        no_nul("the environment", texts)
    }
}

impl Resources {
    fn validate(&self) -> Result<(), SpecError> {
        let between = |what, given, min, max| at_least(what, given, min).and(at_most_u64(what, given, max));
        between("buffers", self.buffer_bytes, BUFFER_BYTES_MIN, BUFFER_BYTES_MAX)?;
        between("memory", self.process_memory_bytes, PROCESS_MEMORY_MIN, PROCESS_MEMORY_MAX)?;
        between("processor seconds", self.cpu_seconds, 1, CPU_SECONDS_MAX)?;
        between("processes", self.processes.into(), 1, PROCESSES_MAX.into())?;
        between("open files", self.open_files.into(), OPEN_FILES_MIN.into(), OPEN_FILES_MAX.into())?;
        between("scratch bytes", self.scratch_bytes, SCRATCH_BYTES_MIN, SCRATCH_BYTES_MAX)
    }
}

fn check_streaming(streaming: &Streaming) -> Result<(), SpecError> {
    if streaming.mapper == Stage::Aggregate {
        return Err(SpecError::AggregateMapper);
    }
    for stage in streaming.stages() {
        if let Stage::Command(words) | Stage::Module(words) = stage {
            at_most("arguments of a command", words.len(), COMMAND_ARGUMENTS_MAX)?;
            at_most("a command", words.iter().map(|word| word.len() + 1).sum(), COMMAND_BYTES_MAX)?;
            if words.first().is_none_or(|program| program.is_empty()) {
                return Err(SpecError::CommandEmpty);
            }
            no_nul("a command", words.iter())?;
        }
    }
    check_split(&streaming.map_output)?;
    check_split(&streaming.reduce_output)
}

/// A packed module, or as much of it as there is and shows that it cannot be one.
fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What does not unpack ends early, and is no module.
    let _ = GzDecoder::new(packed).take(wasm::MODULE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    bytes
}

fn check_split(split: &FieldSplit) -> Result<(), SpecError> {
    at_most_u64("fields of the key", split.key_fields.into(), KEY_FIELDS_MAX.into())?;
    check_separator(&split.separator)
}

fn check_separator(separator: &str) -> Result<(), SpecError> {
    if separator.is_empty() {
        return Err(SpecError::SeparatorEmpty);
    }
    at_most("a separator", separator.len(), SEPARATOR_BYTES_MAX)
}

/// Only the form: whether there is such a place is for the store to say.
fn check_url(url: &str) -> Result<(), SpecError> {
    at_most("a URL", url.len(), URL_BYTES_MAX)?;
    let place = match url.split_once("://") {
        Some(("s3" | "s3a" | "s3n", place)) => Some(place),
        // The authority is a namenode or empty.
        Some(("hdfs" | "webhdfs", rest)) => rest.split_once('/').map(|(_, path)| path),
        _ => None,
    };
    match place.and_then(|place| place.split('/').next()) {
        Some(bucket) if !bucket.is_empty() && !url.contains('\0') => Ok(()),
        _ => Err(SpecError::UrlInvalid { url: url.into() }),
    }
}

/// Whether the text names a file in a directory and nothing outside of it.
fn is_component(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= FILE_NAME_BYTES_MAX
        && name != "."
        && name != ".."
        && !name.contains(['/', '\\', '\0'])
}

fn no_nul<'a>(what: &'static str, texts: impl IntoIterator<Item = &'a String>) -> Result<(), SpecError> {
    if texts.into_iter().any(|text| text.contains('\0')) { Err(SpecError::Nul { what }) } else { Ok(()) }
}

fn at_most(what: &'static str, given: usize, max: usize) -> Result<(), SpecError> {
    at_most_u64(what, given as u64, max as u64)
}

fn at_most_u64(what: &'static str, given: u64, max: u64) -> Result<(), SpecError> {
    if given > max { Err(SpecError::TooLarge { what, given, max }) } else { Ok(()) }
}

fn at_least(what: &'static str, given: u64, min: u64) -> Result<(), SpecError> {
    if given < min { Err(SpecError::TooSmall { what, given, min }) } else { Ok(()) }
}
