//! A reduce: its segments of all maps merged, through its program, into a part file.

use super::{Attempt, AttemptDone, Part, TaskFailure};
use crate::operators;
use crate::records::{CollectorSettings, Combine, Divide, Order, Sum, write_segment};
use crate::shuffle::{MERGE_WIDTH_MAX, Merge, Origin, RunFile, Scratch, SegmentReader};
use crate::spec::Program;
use crate::streaming;
use std::collections::VecDeque;

pub(super) fn run(
    attempt: &Attempt<'_>,
    partition: u32,
    sources: &[u32],
    scratch: &Scratch,
) -> Result<AttemptDone, TaskFailure> {
    let order = Order::of(attempt.spec)?;
    let combine: Option<&dyn Combine> = match &attempt.spec.program {
        Program::Wordcount => Some(&Sum),
        Program::Grep(grep) if grep.count => Some(&Sum),
        _ => None,
    };
    let settings = CollectorSettings {
        order: &order,
        divide: &Divide::One,
        reduces: 1,
        budget: attempt.spec.resources.buffer_bytes,
        combine,
        scratch,
        progress: attempt.progress,
        cancel: attempt.cancel,
    };
    let mut shuffle = Shuffle { attempt, partition, settings, waiting: VecDeque::new(), merged: Vec::new() };
    shuffle.waiting.extend(sources.iter().map(|&source| Waiting::Map(source)));
    let mut records = shuffle.merge()?;
    let mut part = Part::of_task(attempt);
    match &attempt.spec.program {
        Program::Wordcount => operators::write_counts(attempt, &mut records, &mut part)?,
        Program::Grep(grep) if grep.count => operators::write_by_count(attempt, &mut records, &settings, &mut part)?,
        Program::Terasort => operators::write_records(attempt, &mut records, &mut part)?,
        Program::Teravalidate => operators::tera_verdict(attempt, &mut records, &mut part)?,
        Program::Streaming(streaming) => streaming::reduce(attempt, streaming, &mut records, scratch, &mut part)?,
        _ => operators::write_lines(attempt, &mut records, &mut part)?,
    }
    Ok(AttemptDone::Outputs(part.finish()?.into_iter().collect()))
}

/// Segments on their way into one merge.
struct Shuffle<'s, 'a> {
    attempt: &'s Attempt<'a>,
    partition: u32,
    settings: CollectorSettings<'s>,
    waiting: VecDeque<Waiting>,
    /// Runs made of earlier segments.
    merged: Vec<RunFile>,
}

enum Waiting {
    /// The output of a map.
    Map(u32),
    /// A run in scratch.
    Run(RunFile),
}

impl<'s> Shuffle<'s, '_> {
    /// One merge of everything. Segments that do not fit into memory together are merged into runs first, neighbours
    /// with neighbours, so that equal keys come in the order of the maps.
    fn merge(&mut self) -> Result<Merge<'s, 's>, TaskFailure> {
        loop {
            let (readers, runs) = self.open_some()?;
            if self.waiting.is_empty() && self.merged.is_empty() {
                // The runs stay until the scratch directory is emptied: they are being read.
                return Merge::new(self.settings.order, readers);
            }
            let mut file = crate::shuffle::SegmentFile::create(self.settings.scratch)?;
            let merge = Merge::new(self.settings.order, readers)?;
            write_segment(merge, self.settings.combine, self.settings.progress, &mut file)?;
            self.merged.push(file.finish()?);
            self.settings.scratch.remove(&runs)?;
            if self.waiting.is_empty() {
                self.waiting = std::mem::take(&mut self.merged).into_iter().map(Waiting::Run).collect();
            }
        }
    }

    /// As many of the waiting segments as memory allows, two at least.
    fn open_some(&mut self) -> Result<(Vec<SegmentReader<'s>>, Vec<RunFile>), TaskFailure> {
        let (mut readers, mut runs, mut memory) = (Vec::new(), Vec::new(), 0);
        while readers.len() < MERGE_WIDTH_MAX && (readers.len() < 2 || memory < self.settings.budget) {
            if self.attempt.cancel.is_cancelled() {
                return Err(TaskFailure::Cancelled);
            }
            let Some(next) = self.waiting.pop_front() else { break };
            let reader = match next {
                Waiting::Map(source) => self.open_map(source)?,
                Waiting::Run(run) => {
                    let reader = run.open()?.reader(0)?;
                    runs.push(run);
                    reader
                }
            };
            memory += reader.memory_bytes();
            readers.push(reader);
        }
        Ok((readers, runs))
    }

    fn open_map(&self, source: u32) -> Result<SegmentReader<'s>, TaskFailure> {
        let Shuffle { attempt, partition, .. } = *self;
        let from = attempt.map_outputs.open(source, partition).map_err(|error| TaskFailure::MapOutputLost {
            source_map: source,
            partition,
            reason: error.to_string(),
        })?;
        let reader = SegmentReader::open(from, Origin::Map { source, partition, progress: attempt.progress })?;
        attempt.progress.add_total(reader.record_bytes());
        Ok(reader)
    }
}
