//! The reducer: sorted lines through its program.

use super::aggregate;
use super::process::Process;
use super::program_lines::ProgramLines;
use crate::engine::{Attempt, Counter, Part, TaskFailure};
use crate::operators;
use crate::records::Records;
use crate::shuffle::Scratch;
use crate::spec::{Stage, Streaming};

/// Bytes of lines gathered before they go down the pipe.
const PENDING_BYTES: usize = 256 << 10;

pub(crate) fn reduce(
    attempt: &Attempt<'_>,
    streaming: &Streaming,
    records: &mut dyn Records,
    scratch: &Scratch,
    part: &mut Part<'_>,
) -> Result<(), TaskFailure> {
    if streaming.reducer == Some(Stage::Aggregate) {
        return aggregate::write(attempt, records, part);
    }
    let Some(program) = streaming.reducer.as_ref().and_then(Stage::invocation) else {
        return operators::write_lines(attempt, records, part);
    };
    let process = Process { attempt, scratch, program, piece: None, exit_counts: streaming.nonzero_exit_is_failure };
    process.run(
        |feed| {
            let count = feed_lines(records, |lines| {
                feed.write(lines)?;
                Ok(feed.wanted())
            })?;
            attempt.progress.count(Counter::ReduceInputRecords, count);
            Ok(())
        },
        |stdout| {
            let mut lines = ProgramLines::new(stdout, &program.words[0], attempt.spec.line_bytes_max);
            while let Some(chunk) = lines.next()? {
                part.write(chunk)?;
                if chunk.last() != Some(&b'\n') {
                    part.write(b"\n")?;
                }
                let count = memchr::memchr_iter(b'\n', chunk).count();
                attempt.progress.count(Counter::ReduceOutputRecords, count as u64);
            }
            Ok(())
        },
    )
}

/// Records as lines, many at a time, while they are wanted. Answers how many there were.
pub(super) fn feed_lines<R: Records + ?Sized>(
    records: &mut R,
    mut give: impl FnMut(&[u8]) -> Result<bool, TaskFailure>,
) -> Result<u64, TaskFailure> {
    let mut pending = Vec::with_capacity(PENDING_BYTES);
    let mut count = 0;
    while records.advance()? {
        if pending.len() + records.key().len() + records.value().len() >= PENDING_BYTES {
            if !give(&pending)? {
                return Ok(count);
            }
            pending.clear();
        }
        pending.extend_from_slice(records.key());
        pending.extend_from_slice(records.value());
        pending.push(b'\n');
        count += 1;
    }
    give(&pending)?;
    Ok(count)
}
