//! Combining: records of a key made fewer before they travel.

use super::Records;
use crate::engine::{Counter, Progress, TaskFailure};
use crate::shuffle::SegmentFile;

/// What makes fewer records of one partition's sorted records.
pub(crate) trait Combine: Sync {
    /// Reads all records and pushes what remains of them, in the same order of keys.
    fn combine(&self, records: &mut dyn Records, into: &mut SegmentFile) -> Result<(), TaskFailure>;
}

/// The values of a key taken together, two at a time, in any grouping.
pub(crate) trait Fold: Sync {
    /// Takes `value` into `total`, which was the first value of the key.
    fn fold(&self, key: &[u8], total: &mut Vec<u8>, value: &[u8]) -> Result<(), TaskFailure>;

    /// Whether the values of this key can be taken together at all.
    fn folds(&self, _key: &[u8]) -> bool {
        true
    }
}

/// Values that are counts: 8 bytes, little endian, added.
pub(crate) struct Sum;

impl Fold for Sum {
    fn fold(&self, _: &[u8], total: &mut Vec<u8>, value: &[u8]) -> Result<(), TaskFailure> {
        let sum = Sum::read(total).saturating_add(Sum::read(value));
        total.clear();
        total.extend_from_slice(&sum.to_le_bytes());
        Ok(())
    }
}

impl Sum {
    /// The count in a value.
    pub fn read(value: &[u8]) -> u64 {
        value.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

impl<F: Fold> Combine for F {
    fn combine(&self, records: &mut dyn Records, into: &mut SegmentFile) -> Result<(), TaskFailure> {
        fold_groups(records, self, |key, total| into.push(key, total)).map(drop)
    }
}

/// Each key once with the fold of its values; a key that does not fold, with each of them. Answers how many that were.
pub(crate) fn fold_groups<R: Records + ?Sized>(
    records: &mut R,
    fold: &dyn Fold,
    mut emit: impl FnMut(&[u8], &[u8]) -> Result<(), TaskFailure>,
) -> Result<u64, TaskFailure> {
    let (mut key, mut total) = (Vec::new(), Vec::new());
    let mut groups = 0;
    while records.advance()? {
        if groups > 0 && records.key() == key && fold.folds(&key) {
            fold.fold(&key, &mut total, records.value())?;
            continue;
        }
        if groups > 0 {
            emit(&key, &total)?;
        }
        groups += 1;
        key.clear();
        key.extend_from_slice(records.key());
        total.clear();
        total.extend_from_slice(records.value());
    }
    if groups > 0 {
        emit(&key, &total)?;
    }
    Ok(groups)
}

/// The records as one segment, combined if there is a way to.
pub(crate) fn write_segment<R: Records>(
    records: R,
    combine: Option<&dyn Combine>,
    progress: &Progress,
    into: &mut SegmentFile,
) -> Result<(), TaskFailure> {
    into.begin_segment()?;
    let mut records = Counted { records, count: 0 };
    match combine {
        Some(combine) => {
            combine.combine(&mut records, into)?;
            progress.count(Counter::CombineInputRecords, records.count);
            progress.count(Counter::CombineOutputRecords, into.segment_records());
        }
        None => {
            while records.advance()? {
                into.push(records.key(), records.value())?;
            }
        }
    }
    progress.count(Counter::SpilledRecords, into.segment_records());
    into.end_segment()
}

struct Counted<R> {
    records: R,
    count: u64,
}

impl<R: Records> Records for Counted<R> {
    fn advance(&mut self) -> Result<bool, TaskFailure> {
        let more = self.records.advance()?;
        self.count += u64::from(more);
        Ok(more)
    }

    fn key(&self) -> &[u8] {
        self.records.key()
    }

    fn value(&self) -> &[u8] {
        self.records.value()
    }
}
