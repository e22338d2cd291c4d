//! `grep`: the lines that match, or how often each match came.

use super::{Counts, each_line, for_lines};
use crate::engine::{Attempt, Counter, Part, TaskFailure};
use crate::plan::Split;
use crate::records::{Collector, CollectorSettings, Records, Sum, count_output, fold_groups};
use crate::shuffle::{Merge, RunFile};
use crate::spec::Grep;
use regex::bytes::{Regex, RegexBuilder};

/// Bytes a compiled pattern may take, and its cache while it runs.
const PATTERN_SIZE_MAX: usize = 8 << 20;

/// The compiled pattern; also how a pattern is checked.
pub(crate) fn grep_pattern(grep: &Grep) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&grep.pattern)
        .case_insensitive(grep.ignore_case)
        .size_limit(PATTERN_SIZE_MAX)
        .dfa_size_limit(PATTERN_SIZE_MAX)
        .build()
}

fn compiled(grep: &Grep) -> Result<Regex, TaskFailure> {
    grep_pattern(grep).map_err(|error| TaskFailure::Malformed { what: "the pattern".into(), given: error.to_string() })
}

/// The matching lines, as they come.
pub(crate) fn grep_lines(
    attempt: &Attempt<'_>,
    split: &Split,
    grep: &Grep,
    part: &mut Part<'_>,
) -> Result<(), TaskFailure> {
    for_matching(attempt, split, grep, |line| {
        part.write(line)?;
        part.write(b"\n")
    })
}

/// The matching lines as keys.
pub(crate) fn grep_sorted(
    attempt: &Attempt<'_>,
    split: &Split,
    grep: &Grep,
    collector: &mut Collector<'_>,
) -> Result<(), TaskFailure> {
    for_matching(attempt, split, grep, |line| collector.emit(line, &[]))
}

fn for_matching(
    attempt: &Attempt<'_>,
    split: &Split,
    grep: &Grep,
    mut work: impl FnMut(&[u8]) -> Result<(), TaskFailure>,
) -> Result<(), TaskFailure> {
    let pattern = compiled(grep)?;
    for_lines(attempt, split, |chunk| {
        let (mut lines, mut bytes) = (0, 0);
        for line in each_line(chunk) {
            if pattern.is_match(line) != grep.invert {
                work(line)?;
                (lines, bytes) = (lines + 1, bytes + line.len() as u64);
            }
        }
        count_output(attempt.progress, lines, bytes);
        Ok(())
    })
}

/// How often each match came; with `invert`, each line that does not match.
pub(crate) fn grep_count(
    attempt: &Attempt<'_>,
    split: &Split,
    grep: &Grep,
    settings: CollectorSettings<'_>,
) -> Result<RunFile, TaskFailure> {
    let pattern = compiled(grep)?;
    let mut counts = Counts::new(settings);
    for_lines(attempt, split, |chunk| {
        let mut matches = 0;
        for line in each_line(chunk) {
            if grep.invert {
                if !pattern.is_match(line) {
                    counts.add(line)?;
                    matches += 1;
                }
                continue;
            }
            for found in pattern.find_iter(line) {
                counts.add(found.as_bytes())?;
                matches += 1;
            }
        }
        count_output(attempt.progress, matches, chunk.len() as u64);
        Ok(())
    })?;
    counts.finish()
}

/// `count TAB match`, the most frequent first, as Hadoop's example program sorts them.
pub(crate) fn write_by_count(
    attempt: &Attempt<'_>,
    records: &mut dyn Records,
    settings: &CollectorSettings<'_>,
    part: &mut Part<'_>,
) -> Result<(), TaskFailure> {
    let mut sorted = Collector::new(CollectorSettings { combine: None, budget: settings.budget / 2, ..*settings });
    let groups = fold_groups(records, &Sum, |found, total| {
        let rank = !Sum::read(total);
        sorted.emit(&[&rank.to_be_bytes(), found].concat(), &[])
    })?;
    let run = sorted.finish()?;
    let mut ranked = Merge::new(settings.order, vec![run.open()?.reader(0)?])?;
    while ranked.advance()? {
        let (rank, found) = ranked.key().split_first_chunk().expect("eight bytes were put before each");
        part.write(format!("{}\t", !u64::from_be_bytes(*rank)).as_bytes())?;
        part.write(found)?;
        part.write(b"\n")?;
    }
    attempt.progress.count(Counter::ReduceInputGroups, groups);
    attempt.progress.count(Counter::ReduceOutputRecords, groups);
    Ok(())
}
