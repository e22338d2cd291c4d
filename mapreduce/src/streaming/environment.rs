//! The environment of a task's processes.
//!
//! Hadoop exports the whole configuration of a job, which is how "Argument list too long" comes about. Here it is a fixed
//! set, what the submitter set, and nothing of the daemon's own.

use crate::engine::{Attempt, TaskInput};
use crate::plan::Piece;
use std::path::Path;

/// Where programs are looked for, the working directory first.
const PATH: &str = ".:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Name and value of each variable.
pub(super) fn variables(attempt: &Attempt<'_>, piece: Option<&Piece>, directory: &Path) -> Vec<(String, String)> {
    let is_map = matches!(attempt.input, TaskInput::Map { .. });
    let (job, kind) = (attempt.job, if is_map { 'm' } else { 'r' });
    let number = job.strip_prefix("job_").unwrap_or(job);
    let task = format!("task_{number}_{kind}_{:06}", attempt.task);
    let try_id = format!("attempt_{number}_{kind}_{:06}_{}", attempt.task, attempt.number);
    let directory = directory.display().to_string();
    let mut variables: Vec<(String, String)> = [
        ("PATH", PATH.into()),
        ("HOME", directory.clone()),
        ("PWD", directory.clone()),
        ("TMPDIR", format!("{directory}/tmp")),
        ("LANG", "C.UTF-8".into()),
        ("USER", "granary-task".into()),
        ("mapreduce_job_id", job.into()),
        ("mapreduce_job_name", attempt.spec.name.clone()),
        ("mapreduce_job_reduces", attempt.spec.reduces().to_string()),
        ("mapreduce_task_id", task),
        ("mapreduce_task_attempt_id", try_id),
        ("mapreduce_task_partition", attempt.task.to_string()),
        ("mapreduce_task_ismap", is_map.to_string()),
        ("mapreduce_task_output_dir", attempt.spec.output.clone()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into();
    if let Some(piece) = piece {
        variables.push(("mapreduce_map_input_file".into(), piece.file.url()));
        variables.push(("mapreduce_map_input_start".into(), piece.offset.to_string()));
        variables.push(("mapreduce_map_input_length".into(), piece.length.to_string()));
    }
    for (name, value) in &attempt.spec.conf {
        variables.push((variable(name), value.clone()));
    }
    for (name, value) in &attempt.spec.environment {
        variables.push((name.clone(), value.clone()));
    }
    variables
}

/// A setting's name as a variable: what is no letter or digit becomes `_`.
fn variable(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}
