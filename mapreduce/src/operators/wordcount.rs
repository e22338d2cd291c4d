//! `wordcount`: what lies between white space, counted.

use super::short_words::short_word;
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
        let mut at = 0;
        while let Some(skipped) = chunk[at..].iter().position(|&byte| !is_space(byte)) {
            at += skipped;
            let end = match short_word(&chunk[at..]) {
                Some((word, length)) if is_space(chunk[at + length]) => {
                    counts.add_short(word)?;
                    at + length
                }
                // A long word, one with control characters, or the last of the chunk. That some of them are short and so
                // counted in two places makes no difference: the counts are added when they are sorted.
                _ => {
                    let rest = &chunk[at..];
                    let length = rest.iter().position(|&byte| is_space(byte)).unwrap_or(rest.len());
                    counts.add(&rest[..length])?;
                    at + length
                }
            };
            (words, bytes) = (words + 1, bytes + (end - at) as u64);
            at = end;
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
