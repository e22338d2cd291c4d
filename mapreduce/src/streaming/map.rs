//! The mapper: lines of the split through its program.

use super::process::Process;
use super::program_lines::ProgramLines;
use crate::engine::{Attempt, Part, TaskFailure};
use crate::input::Lines;
use crate::operators;
use crate::plan::{Piece, Split};
use crate::records::{Collector, count_output, split_line};
use crate::sandbox::Invocation;
use crate::shuffle::Scratch;
use crate::spec::{FieldSplit, Streaming};

/// A mapper whose output is the job's.
pub(crate) fn map_to_part(
    attempt: &Attempt<'_>,
    streaming: &Streaming,
    split: &Split,
    scratch: &Scratch,
    part: &mut Part<'_>,
) -> Result<(), TaskFailure> {
    let Some(program) = streaming.mapper.invocation() else { return operators::copy_lines(attempt, split, part) };
    for_pieces(attempt, streaming, split, scratch, program, &mut |chunk| {
        part.write(chunk)?;
        if chunk.last() != Some(&b'\n') {
            part.write(b"\n")?;
        }
        let lines = memchr::memchr_iter(b'\n', chunk).count() as u64;
        count_output(attempt.progress, lines, chunk.len() as u64);
        Ok(())
    })
}

/// A mapper whose output goes to reduces.
pub(crate) fn map_to_reduces(
    attempt: &Attempt<'_>,
    streaming: &Streaming,
    split: &Split,
    scratch: &Scratch,
    collector: &mut Collector<'_>,
) -> Result<(), TaskFailure> {
    let mut emit = |chunk: &[u8]| emit_lines(attempt, &streaming.map_output, chunk, collector);
    match streaming.mapper.invocation() {
        Some(program) => for_pieces(attempt, streaming, split, scratch, program, &mut emit),
        None => operators::for_lines(attempt, split, emit),
    }
}

/// What separates key and value on the way to the reducer.
pub(super) const REDUCE_SEPARATOR: &[u8] = b"\t";

/// Each line divided into its key and, with the separator a reducer sees before it, its value.
fn emit_lines(
    attempt: &Attempt<'_>,
    split: &FieldSplit,
    chunk: &[u8],
    collector: &mut Collector<'_>,
) -> Result<(), TaskFailure> {
    let as_is = split.separator.as_bytes() == REDUCE_SEPARATOR && split.key_fields > 0;
    let mut joined = Vec::new();
    let mut lines = 0;
    for line in operators::each_line(chunk) {
        lines += 1;
        match split_line(line, split) {
            (key, None) => collector.emit(&line[..key], &[])?,
            (key, Some(_)) if as_is => collector.emit(&line[..key], &line[key..])?,
            (key, Some(value)) => {
                joined.clear();
                joined.extend_from_slice(REDUCE_SEPARATOR);
                joined.extend_from_slice(&line[value..]);
                collector.emit(&line[..key], &joined)?;
            }
        }
    }
    count_output(attempt.progress, lines, chunk.len() as u64);
    Ok(())
}

/// A process for each piece; whole lines of their output, many at a time.
fn for_pieces(
    attempt: &Attempt<'_>,
    streaming: &Streaming,
    split: &Split,
    scratch: &Scratch,
    program: Invocation<'_>,
    work: &mut (dyn FnMut(&[u8]) -> Result<(), TaskFailure> + Send),
) -> Result<(), TaskFailure> {
    for piece in operators::pieces(split) {
        let exit_counts = streaming.nonzero_exit_is_failure;
        let process = Process { attempt, scratch, program, piece: Some(piece), exit_counts };
        process.run(
            |feed| feed_piece(attempt, piece, feed),
            |stdout| {
                let mut lines = ProgramLines::new(stdout, &program.words[0], attempt.spec.line_bytes_max);
                while let Some(chunk) = lines.next()? {
                    work(chunk)?;
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

fn feed_piece(attempt: &Attempt<'_>, piece: &Piece, feed: &mut dyn super::pipes::Lines) -> Result<(), TaskFailure> {
    let mut lines = Lines::open(attempt.source(), piece)?;
    while let Some(chunk) = lines.next()? {
        feed.write(chunk)?;
        if chunk.last() != Some(&b'\n') {
            feed.write(b"\n")?;
        }
        if !feed.wanted() {
            break;
        }
    }
    Ok(())
}
