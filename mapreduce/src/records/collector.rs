//! The map side: records come in any order and leave as one file with a sorted segment for each reduce.

use super::fold::write_segment;
use super::{Combine, Divide, Order, SortBuffer};
use crate::engine::{Cancel, Counter, Progress, TaskFailure};
use crate::shuffle::{MapOutputFile, Merge, RunFile, Scratch, SegmentFile, merge_down};

/// What a collector works with.
#[derive(Clone, Copy)]
pub(crate) struct CollectorSettings<'a> {
    pub order: &'a Order,
    pub divide: &'a Divide,
    pub reduces: u32,
    /// Bytes for buffers.
    pub budget: u64,
    pub combine: Option<&'a dyn Combine>,
    pub scratch: &'a Scratch,
    pub progress: &'a Progress,
    pub cancel: &'a Cancel,
}

/// Sorts in memory, and in runs on disk when memory is full.
pub(crate) struct Collector<'a> {
    settings: CollectorSettings<'a>,
    buffer: SortBuffer,
    runs: Vec<RunFile>,
}

/// Parts of the budget that the sort buffer gets, in sixteenths; the rest is for writing and merging.
const SORT_SIXTEENTHS: u64 = 13;

impl<'a> Collector<'a> {
    pub fn new(settings: CollectorSettings<'a>) -> Self {
        let buffer = SortBuffer::new(settings.order.clone(), settings.budget / 16 * SORT_SIXTEENTHS);
        Collector { settings, buffer, runs: Vec::new() }
    }

    /// Takes a record.
    pub fn emit(&mut self, key: &[u8], value: &[u8]) -> Result<(), TaskFailure> {
        let partition = self.settings.divide.partition(key);
        if self.buffer.push(partition, key, value) {
            return Ok(());
        }
        self.spill()?;
        if self.buffer.push(partition, key, value) {
            return Ok(());
        }
        let bytes = (key.len() + value.len()) as u64;
        Err(TaskFailure::RecordTooLong { bytes, limit: self.settings.budget })
    }

    /// The buffer as a run on disk.
    fn spill(&mut self) -> Result<(), TaskFailure> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.settings.cancel.is_cancelled() {
            return Err(TaskFailure::Cancelled);
        }
        let mut file = SegmentFile::create(self.settings.scratch)?;
        let mut sorted = self.buffer.sort();
        for partition in 0..self.settings.reduces {
            let records = sorted.partition(partition);
            write_segment(records, self.settings.combine, self.settings.progress, &mut file)?;
        }
        self.runs.push(file.finish()?);
        self.buffer.clear();
        Ok(())
    }

    /// All records as one file.
    pub fn finish(mut self) -> Result<RunFile, TaskFailure> {
        if self.runs.is_empty() && self.buffer.is_empty() {
            return self.empty();
        }
        self.spill()?;
        if self.runs.len() == 1 {
            return Ok(self.runs.remove(0));
        }
        let Collector { settings, runs, buffer } = self;
        drop(buffer);
        let runs = merge_down(runs, &settings)?;
        merge_runs(&runs, &settings)
    }

    fn empty(&self) -> Result<RunFile, TaskFailure> {
        let mut file = SegmentFile::create(self.settings.scratch)?;
        for _ in 0..self.settings.reduces {
            file.begin_segment()?;
            file.end_segment()?;
        }
        file.finish()
    }
}

/// One run made of several.
pub(crate) fn merge_runs(runs: &[RunFile], settings: &CollectorSettings<'_>) -> Result<RunFile, TaskFailure> {
    let mut file = SegmentFile::create(settings.scratch)?;
    let files: Vec<MapOutputFile> = runs.iter().map(RunFile::open).collect::<Result<_, _>>()?;
    for partition in 0..settings.reduces {
        if settings.cancel.is_cancelled() {
            return Err(TaskFailure::Cancelled);
        }
        let readers = files.iter().map(|file| file.reader(partition)).collect::<Result<Vec<_>, _>>()?;
        let merge = Merge::new(settings.order, readers)?;
        write_segment(merge, settings.combine, settings.progress, &mut file)?;
    }
    file.finish()
}

/// Counts a record of map output.
pub(crate) fn count_output(progress: &Progress, records: u64, bytes: u64) {
    progress.count(Counter::MapOutputRecords, records);
    progress.count(Counter::MapOutputBytes, bytes);
}
