//! Bytes of input, counted as they are read.

use super::Source;
use crate::engine::{Counter, Progress, TaskFailure};
use crate::plan::InputFile;
use std::io::{Error, Read, Result};

/// Counts what it passes on.
pub(super) struct Metered<'a> {
    from: Box<dyn Read + Send>,
    progress: &'a Progress,
}

impl Read for Metered<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let read = self.from.read(into)?;
        self.progress.count(Counter::MapInputBytes, read as u64);
        self.progress.advance(read as u64);
        Ok(read)
    }
}

/// Some bytes of an object.
pub(super) fn open<'a>(
    source: Source<'a>,
    file: &InputFile,
    offset: u64,
    length: u64,
) -> std::result::Result<Metered<'a>, TaskFailure> {
    match source.store.open(file, offset, length) {
        Ok(from) => Ok(Metered { from, progress: source.progress }),
        Err(error) => Err(input_failure(file, &error)),
    }
}

/// All bytes of an object, as they are stored.
pub(crate) fn open_whole<'a>(
    source: Source<'a>,
    file: &InputFile,
) -> std::result::Result<impl Read + use<'a>, TaskFailure> {
    open(source, file, 0, file.length)
}

pub(crate) fn input_failure(file: &InputFile, error: &Error) -> TaskFailure {
    TaskFailure::Input { url: file.url(), reason: error.to_string() }
}
