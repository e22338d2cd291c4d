//! `terasort`: records of 100 bytes, sorted by their first ten.

use super::lines::write_each;
use super::pieces;
use crate::engine::{Attempt, Part, TaskFailure};
use crate::input::FixedRecords;
use crate::plan::Split;
use crate::records::{Collector, Records, TERA_KEY_BYTES, count_output};
use crate::spec::limits::TERA_RECORD_BYTES;

/// Each record by its key.
pub(crate) fn tera_records(
    attempt: &Attempt<'_>,
    split: &Split,
    collector: &mut Collector<'_>,
) -> Result<(), TaskFailure> {
    for piece in pieces(split) {
        let mut records = FixedRecords::open(attempt.source(), piece, TERA_RECORD_BYTES)?;
        while let Some(chunk) = records.next()? {
            for record in chunk.chunks_exact(TERA_RECORD_BYTES as usize) {
                let (key, value) = record.split_at(TERA_KEY_BYTES);
                collector.emit(key, value)?;
            }
            count_output(attempt.progress, chunk.len() as u64 / TERA_RECORD_BYTES, chunk.len() as u64);
        }
    }
    Ok(())
}

/// Records one behind the other.
pub(crate) fn write_records(
    attempt: &Attempt<'_>,
    records: &mut dyn Records,
    part: &mut Part<'_>,
) -> Result<(), TaskFailure> {
    write_each(attempt, records, part, b"")
}
