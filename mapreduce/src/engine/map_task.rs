//! A map: its split through its program, into a part file or into sorted segments for the reduces.

use super::{Attempt, AttemptDone, Part, TaskFailure};
use crate::operators;
use crate::plan::Split;
use crate::records::{Collector, CollectorSettings, Combine, Divide, Order, Sum};
use crate::shuffle::Scratch;
use crate::spec::{Program, Stage, Streaming};
use crate::streaming;

pub(super) fn run(attempt: &Attempt<'_>, split: &Split, scratch: &Scratch) -> Result<AttemptDone, TaskFailure> {
    attempt.progress.set_total(match split {
        Split::Pieces(_) => split.bytes(),
        Split::Rows { count, .. } => *count,
    });
    match &attempt.spec.program {
        Program::Distcp => operators::distcp(attempt, split).map(AttemptDone::Outputs),
        _ if attempt.spec.reduces() == 0 => write_part(attempt, split, scratch),
        _ => collect(attempt, split, scratch),
    }
}

/// A map whose job has no reduces.
fn write_part(attempt: &Attempt<'_>, split: &Split, scratch: &Scratch) -> Result<AttemptDone, TaskFailure> {
    let mut part = Part::of_task(attempt);
    match &attempt.spec.program {
        Program::Identity => operators::copy_lines(attempt, split, &mut part)?,
        Program::Grep(grep) => operators::grep_lines(attempt, split, grep, &mut part)?,
        Program::Checksum(algorithm) => operators::checksum(attempt, split, *algorithm, &mut part)?,
        Program::Teragen(_) => operators::teragen(attempt, split, &mut part)?,
        Program::Streaming(streaming) => streaming::map_to_part(attempt, streaming, split, scratch, &mut part)?,
        program => unreachable!("{} has reduces", program.name()),
    }
    Ok(AttemptDone::Outputs(part.finish()?.into_iter().collect()))
}

/// A map whose output is sorted and divided over the reduces.
fn collect(attempt: &Attempt<'_>, split: &Split, scratch: &Scratch) -> Result<AttemptDone, TaskFailure> {
    let order = Order::of(attempt.spec)?;
    let divide = Divide::of(attempt.spec, attempt.cuts)?;
    let command = streaming::CommandCombiner::of(attempt, scratch);
    let combine: Option<&dyn Combine> = match &attempt.spec.program {
        Program::Wordcount => Some(&Sum),
        Program::Grep(grep) if grep.count => Some(&Sum),
        Program::Streaming(Streaming { reducer: Some(Stage::Aggregate), .. }) => Some(&streaming::Aggregate),
        Program::Streaming(Streaming { combiner: Some(Stage::Aggregate), .. }) => Some(&streaming::Aggregate),
        Program::Streaming(_) => command.as_ref().map(|command| command as &dyn Combine),
        _ => None,
    };
    let settings = CollectorSettings {
        order: &order,
        divide: &divide,
        reduces: attempt.spec.reduces(),
        budget: attempt.spec.resources.buffer_bytes,
        combine,
        scratch,
        progress: attempt.progress,
        cancel: attempt.cancel,
    };
    let output = match &attempt.spec.program {
        Program::Wordcount => operators::wordcount(attempt, split, settings)?,
        Program::Grep(grep) if grep.count => operators::grep_count(attempt, split, grep, settings)?,
        program => {
            let mut collector = Collector::new(settings);
            match program {
                Program::Grep(grep) => operators::grep_sorted(attempt, split, grep, &mut collector)?,
                Program::Terasort => operators::tera_records(attempt, split, &mut collector)?,
                Program::Teravalidate => operators::tera_check(attempt, split, &mut collector)?,
                Program::Streaming(streaming) => {
                    streaming::map_to_reduces(attempt, streaming, split, scratch, &mut collector)?;
                }
                _ => operators::collect_lines(attempt, split, &mut collector)?,
            }
            collector.finish()?
        }
    };
    Ok(AttemptDone::MapOutput { path: output.path, bytes: output.bytes })
}
