//! The built-in operators: programs of the engine's own, without a process.

mod checksum;
mod copy;
mod counts;
mod grep;
mod lines;
mod short_words;
mod tera;
mod teragen;
mod teravalidate;
mod wordcount;

pub(crate) use checksum::checksum;
pub(crate) use copy::distcp;
pub(crate) use counts::Counts;
pub(crate) use grep::{grep_count, grep_lines, grep_pattern, grep_sorted, write_by_count};
pub(crate) use lines::{collect_lines, copy_lines, write_lines};
pub(crate) use tera::{tera_records, write_records};
pub(crate) use teragen::teragen;
pub(crate) use teravalidate::{tera_check, tera_verdict};
pub(crate) use wordcount::{wordcount, write_counts};

use crate::engine::{Attempt, TaskFailure};
use crate::input::Lines;
use crate::plan::{Piece, Split};

/// The pieces of a split; none if it has none.
pub(crate) fn pieces(split: &Split) -> &[Piece] {
    match split {
        Split::Pieces(pieces) => pieces,
        Split::Rows { .. } => &[],
    }
}

/// Whole lines of a split, many at a time; only the last of an object may lack its `\n`.
pub(crate) fn for_lines(
    attempt: &Attempt<'_>,
    split: &Split,
    mut work: impl FnMut(&[u8]) -> Result<(), TaskFailure>,
) -> Result<(), TaskFailure> {
    for piece in pieces(split) {
        let mut lines = Lines::open(attempt.source(), piece)?;
        while let Some(chunk) = lines.next()? {
            work(chunk)?;
        }
    }
    Ok(())
}

/// The lines of a chunk, without their ends.
pub(crate) fn each_line(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut begin = 0;
    let last = if chunk.last() == Some(&b'\n') { None } else { Some(chunk.len()) };
    memchr::memchr_iter(b'\n', chunk).chain(last).map(move |end| {
        let line = &chunk[begin..end];
        begin = end + 1;
        line
    })
}
