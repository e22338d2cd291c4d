//! Lines that pass unchanged: `identity` and `sort`.

use super::{each_line, for_lines};
use crate::engine::{Attempt, Counter, Part, TaskFailure};
use crate::plan::Split;
use crate::records::{Collector, Records, count_output};

/// The split's lines into the part. The last line of an object gets the end it lacks.
pub(crate) fn copy_lines(attempt: &Attempt<'_>, split: &Split, part: &mut Part<'_>) -> Result<(), TaskFailure> {
    for_lines(attempt, split, |chunk| {
        part.write(chunk)?;
        if chunk.last() == Some(&b'\n') { Ok(()) } else { part.write(b"\n") }
    })?;
    let progress = attempt.progress;
    progress.count(Counter::MapOutputRecords, progress.counted(Counter::MapInputRecords));
    Ok(())
}

/// Each line as a key.
pub(crate) fn collect_lines(
    attempt: &Attempt<'_>,
    split: &Split,
    collector: &mut Collector<'_>,
) -> Result<(), TaskFailure> {
    for_lines(attempt, split, |chunk| {
        let mut lines = 0;
        for line in each_line(chunk) {
            collector.emit(line, &[])?;
            lines += 1;
        }
        count_output(attempt.progress, lines, chunk.len() as u64);
        Ok(())
    })
}

/// Records as lines: the key and, behind it, whatever the value is.
pub(crate) fn write_lines(
    attempt: &Attempt<'_>,
    records: &mut dyn Records,
    part: &mut Part<'_>,
) -> Result<(), TaskFailure> {
    write_each(attempt, records, part, b"\n")
}

/// The key of each record and, behind it, its value and `end`.
pub(super) fn write_each(
    attempt: &Attempt<'_>,
    records: &mut dyn Records,
    part: &mut Part<'_>,
    end: &[u8],
) -> Result<(), TaskFailure> {
    let mut count = 0;
    while records.advance()? {
        part.write(records.key())?;
        part.write(records.value())?;
        part.write(end)?;
        count += 1;
    }
    attempt.progress.count(Counter::ReduceInputRecords, count);
    attempt.progress.count(Counter::ReduceOutputRecords, count);
    Ok(())
}
