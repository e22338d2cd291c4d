//! `wordcount`: what lies between white space, counted.

use super::{Counts, for_lines};
use crate::engine::{Attempt, Counter, Part, TaskFailure};
use crate::plan::Split;
use crate::records::{CollectorSettings, Records, Sum, count_output, fold_groups};
use crate::shuffle::RunFile;

/// Java's `StringTokenizer` divides at these, and so does Hadoop's example program.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

pub(crate) fn wordcount(
    attempt: &Attempt<'_>,
    split: &Split,
    settings: CollectorSettings<'_>,
) -> Result<RunFile, TaskFailure> {
    let mut counts = Counts::new(settings);
    for_lines(attempt, split, |chunk| {
        let (mut words, mut bytes) = (0, 0);
        let mut rest = chunk;
        while let Some(begin) = rest.iter().position(|&byte| !is_space(byte)) {
            rest = &rest[begin..];
            let end = rest.iter().position(|&byte| is_space(byte)).unwrap_or(rest.len());
            counts.add(&rest[..end])?;
            (words, bytes) = (words + 1, bytes + end as u64);
            rest = &rest[end..];
        }
        count_output(attempt.progress, words, bytes);
        Ok(())
    })?;
    counts.finish()
}

/// `word TAB count` for each.
pub(crate) fn write_counts(
    attempt: &Attempt<'_>,
    records: &mut dyn Records,
    part: &mut Part<'_>,
) -> Result<(), TaskFailure> {
    let groups = fold_groups(records, &Sum, |word, total| {
        part.write(word)?;
        part.write(format!("\t{}\n", Sum::read(total)).as_bytes())
    })?;
    attempt.progress.count(Counter::ReduceInputGroups, groups);
    attempt.progress.count(Counter::ReduceOutputRecords, groups);
    Ok(())
}
