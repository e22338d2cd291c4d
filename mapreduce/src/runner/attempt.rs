//! One attempt: its directory, its way through the engine, what is said of its end.

use super::shuffle::Sources;
use super::store::AttemptStore;
use super::{KeptOutput, Live, OWN_ONLY, PASS_ONLY, TaskRunner, end_of};
use crate::engine::{self, Attempt, AttemptDone, Cancel, ProgressReport, TaskFailure, TaskInput};
use crate::plan::Split;
use crate::spec::JobSpec;
use bytes::Bytes;
use granary_protocol::jobs::{AttemptEnd, AttemptOrder, AttemptOutcome, AttemptWork, TaskKind};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// One attempt may fill at most one of so many parts of the free space.
const FREE_PART: u64 = 2;
/// The group of the engine's counters, by Hadoop's name.
const ENGINE_GROUP: &str = "Map-Reduce Framework";

/// After how long without a sign of life an attempt is ended.
pub(super) fn timeout_of(order: &AttemptOrder) -> Option<Duration> {
    let spec: JobSpec = serde_json::from_slice(&order.spec).ok()?;
    (spec.timeout_ms > 0).then(|| Duration::from_millis(spec.timeout_ms))
}

/// Runs an attempt to its end, on this thread.
#[allow(clippy::disallowed_methods, reason = "this is the edge: times are measured here")]
pub(super) fn run(runner: &Arc<TaskRunner>, order: &AttemptOrder, live: &Live) -> AttemptEnd {
    let started = Instant::now();
    let directory = runner.config.scratch.join(order.attempt.to_string());
    let outcome = runner
        .make_scratch()
        .and_then(|()| DirBuilder::new().mode(PASS_ONLY).create(&directory))
        .map_err(|error| scratch_failed(&error))
        .and_then(|()| run_in(runner, order, live, &directory))
        .unwrap_or_else(|failure| failed(live, failure));
    if let Err(error) = std::fs::remove_dir_all(&directory) {
        tracing::warn!(%error, directory = %directory.display(), "scratch stays until the next start");
    }
    let report = live.progress.report();
    AttemptEnd {
        attempt: order.attempt,
        outcome,
        stderr: end_of(&report.stderr),
        elapsed_ms: started.elapsed().as_millis() as u64,
    }
}

fn run_in(
    runner: &Arc<TaskRunner>,
    order: &AttemptOrder,
    live: &Live,
    directory: &Path,
) -> Result<AttemptOutcome, TaskFailure> {
    let mut spec: JobSpec = serde_json::from_slice(&order.spec).map_err(|error| malformed("the job", &error))?;
    let store = AttemptStore::new(runner.clone(), order, spec.output_encryption.clone());
    let sources = Sources::new(runner.clone(), order);
    let input = input_of(order)?;
    let cuts: Vec<Vec<u8>> = match order.cuts.is_empty() {
        true => Vec::new(),
        false => postcard::from_bytes(&order.cuts).map_err(|error| malformed("ranges of keys", &error))?,
    };
    let job = order.attempt.job.to_string();
    let execution = runner.execution(live.slot);
    let affordable = affordable_bytes(directory).map_err(|error| scratch_failed(&error))?;
    spec.resources.scratch_bytes = spec.resources.scratch_bytes.min(affordable);
    let attempt = Attempt {
        spec: &spec,
        job: &job,
        task: order.attempt.task.index,
        number: order.attempt.number,
        input: &input,
        cuts: &cuts,
        store: &store,
        map_outputs: &sources,
        scratch: directory,
        progress: &live.progress,
        cancel: &live.cancel,
        execution: &execution,
    };
    let done = engine::run_attempt(&attempt)?;
    // Ended on its last step: what it made is nobody's.
    if live.cancel.is_cancelled() {
        return Err(TaskFailure::Cancelled);
    }
    let counters = counters(&live.progress.report());
    match done {
        AttemptDone::MapOutput { path, bytes } => {
            keep(runner, order, &path).map_err(|error| scratch_failed(&error))?;
            Ok(AttemptOutcome::Succeeded { outputs: Vec::new(), output_bytes: bytes, counters })
        }
        AttemptDone::Outputs(_) => {
            Ok(AttemptOutcome::Succeeded { outputs: store.take_outputs(), output_bytes: 0, counters })
        }
    }
}

/// Bytes that an attempt may take of the file system its scratch is on: a part of what is free, because others write there,
/// too, not least the datanode.
fn affordable_bytes(directory: &Path) -> io::Result<u64> {
    let system = nix::sys::statvfs::statvfs(directory)?;
    Ok(system.blocks_available() as u64 * system.fragment_size() as u64 / FREE_PART)
}

/// Moves a map's output to where it stays until the job has ended.
fn keep(runner: &TaskRunner, order: &AttemptOrder, path: &Path) -> io::Result<()> {
    let job = order.attempt.job;
    let directory = runner.outputs_of(job);
    DirBuilder::new().recursive(true).mode(OWN_ONLY).create(&directory)?;
    let kept = directory.join(order.attempt.to_string());
    std::fs::rename(path, &kept)?;
    let output = KeptOutput { attempt: order.attempt.number, path: kept };
    runner.state().map_outputs.insert((job, order.attempt.task.index), output);
    Ok(())
}

fn input_of(order: &AttemptOrder) -> Result<TaskInput, TaskFailure> {
    Ok(match &order.work {
        AttemptWork::Map { split } => TaskInput::Map { split: split_of(split)? },
        AttemptWork::Reduce { sources } => TaskInput::Reduce {
            partition: order.attempt.task.index,
            sources: sources.iter().map(|source| source.map).collect(),
        },
    })
}

fn split_of(bytes: &[u8]) -> Result<Split, TaskFailure> {
    postcard::from_bytes(bytes).map_err(|error| malformed("a split", &error))
}

/// Ranges for a job's reduces from keys of its input, in the form of [`AttemptOrder::cuts`].
pub(super) fn sample(runner: &Arc<TaskRunner>, spec: &Bytes, splits: &[Bytes]) -> Result<Bytes, String> {
    let spec: JobSpec = serde_json::from_slice(spec).map_err(|error| error.to_string())?;
    let splits: Vec<Split> =
        splits.iter().map(|split| split_of(split)).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let store = AttemptStore::reading(runner.clone());
    let cuts =
        engine::sample_cuts(&spec, &splits, &store, &Cancel::default()).map_err(|failure| failure.to_string())?;
    postcard::to_stdvec(&cuts).map(Bytes::from).map_err(|error| error.to_string())
}

fn failed(live: &Live, failure: TaskFailure) -> AttemptOutcome {
    if live.timed_out.load(Ordering::Relaxed) {
        let seconds = live.timeout.unwrap_or_default().as_secs_f64();
        let reason = format!("it made no progress for {seconds} s");
        return AttemptOutcome::Failed { reason, is_final: false };
    }
    match failure {
        TaskFailure::MapOutputLost { source_map, .. } => AttemptOutcome::InputsLost { maps: vec![source_map] },
        failure => AttemptOutcome::Failed { is_final: failure.is_final(), reason: failure.to_string() },
    }
}

/// All counters of an attempt: group, name, value.
pub(super) fn counters(report: &ProgressReport) -> Vec<(String, String, i64)> {
    let engine = report
        .counters
        .iter()
        .map(|(name, value)| (ENGINE_GROUP.to_owned(), name.clone(), i64::try_from(*value).unwrap_or(i64::MAX)));
    let own = report.user_counters.iter().map(|(key, value)| (key.group.clone(), key.name.clone(), *value));
    engine.chain(own).collect()
}

fn scratch_failed(error: &io::Error) -> TaskFailure {
    TaskFailure::Scratch { reason: error.to_string() }
}

fn malformed(what: &str, error: &dyn std::fmt::Display) -> TaskFailure {
    TaskFailure::Malformed { what: what.to_owned(), given: error.to_string() }
}

/// Whether the attempt is of a map.
pub(super) fn is_map(order: &AttemptOrder) -> bool {
    order.attempt.task.kind == TaskKind::Map
}
