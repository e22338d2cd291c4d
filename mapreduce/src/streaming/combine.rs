//! A combiner that is a program: run over the sorted records of a partition before they are written.

use super::process::Process;
use super::program_lines::ProgramLines;
use super::reduce::feed_lines;
use crate::engine::{Attempt, TaskFailure};
use crate::operators::each_line;
use crate::records::{Combine, Order, Records, split_line};
use crate::sandbox::Invocation;
use crate::shuffle::{Scratch, SegmentFile};
use crate::spec::{FieldSplit, Program, Stage};
use std::cmp::Ordering;

pub(crate) struct CommandCombiner<'a> {
    attempt: &'a Attempt<'a>,
    scratch: &'a Scratch,
    program: Invocation<'a>,
    exit_counts: bool,
}

impl<'a> CommandCombiner<'a> {
    /// The job's combiner, if it has one that is a program.
    pub fn of(attempt: &'a Attempt<'a>, scratch: &'a Scratch) -> Option<Self> {
        let Program::Streaming(streaming) = &attempt.spec.program else { return None };
        let program = streaming.combiner.as_ref().and_then(Stage::invocation)?;
        Some(CommandCombiner { attempt, scratch, program, exit_counts: streaming.nonzero_exit_is_failure })
    }
}

impl Combine for CommandCombiner<'_> {
    fn combine(&self, records: &mut dyn Records, into: &mut SegmentFile) -> Result<(), TaskFailure> {
        let CommandCombiner { attempt, scratch, program, exit_counts } = *self;
        let order = Order::of(attempt.spec)?;
        // As it was given to the program: a key that has tabs of its own is that many fields.
        let split = FieldSplit { key_fields: tabs_in_key(attempt), ..FieldSplit::default() };
        // A process for nothing would be one for each reduce and spill.
        if !records.advance()? {
            return Ok(());
        }
        let mut records = Again { records, first: true };
        let process = Process { attempt, scratch, program, piece: None, exit_counts };
        process.run(
            |feed| {
                let give = |lines: &[u8]| {
                    feed.write(lines)?;
                    Ok(feed.wanted())
                };
                feed_lines(&mut records, give).map(drop)
            },
            |stdout| {
                let mut lines = ProgramLines::new(stdout, &program.words[0], attempt.spec.line_bytes_max);
                let mut before = Vec::new();
                while let Some(chunk) = lines.next()? {
                    for line in each_line(chunk) {
                        let (key, _) = split_line(line, &split);
                        let (key, value) = line.split_at(key);
                        if order.compare(&before, key) == Ordering::Greater {
                            return Err(TaskFailure::CombinerChangedKeys {
                                key: String::from_utf8_lossy(key).into_owned(),
                            });
                        }
                        before.clear();
                        before.extend_from_slice(key);
                        into.push(key, value)?;
                    }
                }
                Ok(())
            },
        )
    }
}

/// Fields a key has where its mapper's separator is the reducers'; otherwise the first tab ends it.
fn tabs_in_key(attempt: &Attempt<'_>) -> u32 {
    match &attempt.spec.program {
        Program::Streaming(streaming) if streaming.map_output.separator == "\t" => {
            streaming.map_output.key_fields.max(1)
        }
        _ => 1,
    }
}

/// Records that have been advanced to the first.
struct Again<'a> {
    records: &'a mut dyn Records,
    first: bool,
}

impl Records for Again<'_> {
    fn advance(&mut self) -> Result<bool, TaskFailure> {
        if std::mem::take(&mut self.first) { Ok(true) } else { self.records.advance() }
    }

    fn key(&self) -> &[u8] {
        self.records.key()
    }

    fn value(&self) -> &[u8] {
        self.records.value()
    }
}
