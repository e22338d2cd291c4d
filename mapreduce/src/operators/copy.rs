//! `distcp`: objects as they are.

use super::pieces;
use crate::engine::{Attempt, Counter, OutputFile, Part, TaskFailure};
use crate::input::{input_failure, open_whole};
use crate::plan::Split;
use std::io::Read;

/// Bytes copied at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Each object of the split under its name below the input. Lists what was written.
pub(crate) fn distcp(attempt: &Attempt<'_>, split: &Split) -> Result<Vec<OutputFile>, TaskFailure> {
    let mut outputs: Vec<OutputFile> = Vec::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    for piece in pieces(split) {
        let name = piece.file.name();
        if outputs.iter().any(|output| output.name == name) {
            return Err(TaskFailure::NameTaken { name: name.into() });
        }
        let mut part = Part::named(attempt, name.into());
        let mut from = open_whole(attempt.source(), &piece.file)?;
        loop {
            let read = from.read(&mut buffer).map_err(|error| input_failure(&piece.file, &error))?;
            if read == 0 {
                break;
            }
            part.write(&buffer[..read])?;
        }
        attempt.progress.count(Counter::MapInputRecords, 1);
        outputs.extend(part.finish()?);
    }
    Ok(outputs)
}
