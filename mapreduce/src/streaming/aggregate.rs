//! Hadoop's `aggregate` library: the mapper's keys say how their values are combined, as in `LongValueSum:word TAB 1`.

use crate::engine::{Attempt, Counter, Part, TaskFailure};
use crate::records::{Fold, Records};
use std::collections::BTreeMap;

/// Distinct values of a key that are kept at most; beyond that the task fails.
const DISTINCT_MAX: usize = 1_000_000;

/// How the values of a key are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    LongValueSum,
    LongValueMax,
    LongValueMin,
    DoubleValueSum,
    StringValueMax,
    StringValueMin,
    UniqValueCount,
    ValueHistogram,
}

impl Kind {
    /// The kind and the rest of a key.
    fn of(key: &[u8]) -> Option<(Kind, &[u8])> {
        let place = memchr::memchr(b':', key)?;
        let kind = match &key[..place] {
            b"LongValueSum" => Kind::LongValueSum,
            b"LongValueMax" => Kind::LongValueMax,
            b"LongValueMin" => Kind::LongValueMin,
            b"DoubleValueSum" => Kind::DoubleValueSum,
            b"StringValueMax" => Kind::StringValueMax,
            b"StringValueMin" => Kind::StringValueMin,
            b"UniqValueCount" => Kind::UniqValueCount,
            b"ValueHistogram" => Kind::ValueHistogram,
            _ => return None,
        };
        Some((kind, &key[place + 1..]))
    }

    fn fold(self, total: &[u8], value: &[u8]) -> Result<Vec<u8>, TaskFailure> {
        Ok(match self {
            Kind::LongValueSum => number::<i64>(total)?.wrapping_add(number(value)?).to_string().into_bytes(),
            Kind::LongValueMax => number::<i64>(total)?.max(number(value)?).to_string().into_bytes(),
            Kind::LongValueMin => number::<i64>(total)?.min(number(value)?).to_string().into_bytes(),
            Kind::DoubleValueSum => (number::<f64>(total)? + number::<f64>(value)?).to_string().into_bytes(),
            Kind::StringValueMax => total.max(value).to_vec(),
            Kind::StringValueMin => total.min(value).to_vec(),
            Kind::UniqValueCount | Kind::ValueHistogram => total.to_vec(),
        })
    }

    /// Whether two values make one that stands for both.
    fn folds(self) -> bool {
        !matches!(self, Kind::UniqValueCount | Kind::ValueHistogram)
    }
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Result<T, TaskFailure> {
    let text = String::from_utf8_lossy(value);
    text.trim().parse().map_err(|_| TaskFailure::Malformed { what: "a value to aggregate".into(), given: text.into() })
}

/// A value without the separator before it.
fn bare(value: &[u8]) -> &[u8] {
    value.strip_prefix(super::map::REDUCE_SEPARATOR).unwrap_or(value)
}

fn kind(key: &[u8]) -> Result<(Kind, &[u8]), TaskFailure> {
    Kind::of(key).ok_or_else(|| TaskFailure::Malformed {
        what: "the kind of a key to aggregate".into(),
        given: String::from_utf8_lossy(key).into(),
    })
}

/// The combiner: kinds that fold.
pub(crate) struct Aggregate;

impl Fold for Aggregate {
    fn fold(&self, key: &[u8], total: &mut Vec<u8>, value: &[u8]) -> Result<(), TaskFailure> {
        let (kind, _) = kind(key)?;
        let folded = kind.fold(bare(total), bare(value))?;
        total.clear();
        total.extend_from_slice(super::map::REDUCE_SEPARATOR);
        total.extend_from_slice(&folded);
        Ok(())
    }

    fn folds(&self, key: &[u8]) -> bool {
        Kind::of(key).is_none_or(|(kind, _)| kind.folds())
    }
}

/// The reducer: `key TAB aggregate` for each key.
pub(super) fn write(attempt: &Attempt<'_>, records: &mut dyn Records, part: &mut Part<'_>) -> Result<(), TaskFailure> {
    let mut group: Option<Group> = None;
    let (mut groups, mut count) = (0, 0);
    while records.advance()? {
        count += 1;
        if group.as_ref().is_none_or(|group| group.key != records.key()) {
            groups += 1;
            if let Some(group) = group.take() {
                group.write(part)?;
            }
        }
        match &mut group {
            Some(group) => group.add(bare(records.value()))?,
            None => group = Some(Group::new(records.key(), bare(records.value()))?),
        }
    }
    if let Some(group) = group {
        group.write(part)?;
    }
    attempt.progress.count(Counter::ReduceInputRecords, count);
    attempt.progress.count(Counter::ReduceInputGroups, groups);
    attempt.progress.count(Counter::ReduceOutputRecords, groups);
    Ok(())
}

/// The values of one key.
struct Group {
    key: Vec<u8>,
    kind: Kind,
    total: Vec<u8>,
    /// Of the kinds that do not fold: how often each value came.
    distinct: BTreeMap<Vec<u8>, u64>,
}

impl Group {
    fn new(key: &[u8], value: &[u8]) -> Result<Self, TaskFailure> {
        let (kind, _) = kind(key)?;
        let mut group = Group { key: key.into(), kind, total: Vec::new(), distinct: BTreeMap::new() };
        if kind.folds() {
            // A single value is written as a sum of one would be.
            group.total = kind.fold(value, value).map(|_| value.to_vec())?;
        } else {
            group.add(value)?;
        }
        Ok(group)
    }

    fn add(&mut self, value: &[u8]) -> Result<(), TaskFailure> {
        if self.kind.folds() {
            self.total = self.kind.fold(&self.total, value)?;
            return Ok(());
        }
        // A histogram's values may come with how often: `value TAB count`.
        let (value, times) = match (self.kind, memchr::memchr(b'\t', value)) {
            (Kind::ValueHistogram, Some(place)) => (&value[..place], number(&value[place + 1..])?),
            _ => (value, 1),
        };
        if let Some(seen) = self.distinct.get_mut(value) {
            *seen += times;
        } else if self.distinct.len() < DISTINCT_MAX {
            self.distinct.insert(value.into(), times);
        } else {
            let limit = format!("{DISTINCT_MAX} distinct values of a key");
            return Err(TaskFailure::LimitReached { what: "room to aggregate".into(), limit });
        }
        Ok(())
    }

    fn write(self, part: &mut Part<'_>) -> Result<(), TaskFailure> {
        let (_, name) = kind(&self.key)?;
        part.write(name)?;
        part.write(b"\t")?;
        match self.kind {
            Kind::UniqValueCount => part.write(self.distinct.len().to_string().as_bytes())?,
            Kind::ValueHistogram => part.write(histogram(&self.distinct).as_bytes())?,
            _ => part.write(&self.total)?,
        }
        part.write(b"\n")
    }
}

/// Distinct values, and of how often they came the least, the median, the most, the mean and the standard deviation.
fn histogram(distinct: &BTreeMap<Vec<u8>, u64>) -> String {
    let mut times: Vec<u64> = distinct.values().copied().collect();
    times.sort_unstable();
    let (Some(least), Some(most)) = (times.first(), times.last()) else { return "0".into() };
    let mean = times.iter().sum::<u64>() as f64 / times.len() as f64;
    let variance = times.iter().map(|&time| (time as f64 - mean).powi(2)).sum::<f64>() / times.len() as f64;
    format!("{}\t{least}\t{}\t{most}\t{mean}\t{}", times.len(), times[times.len() / 2], variance.sqrt())
}
