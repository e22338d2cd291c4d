//! What is said of jobs in JSON: to people, in the rows of tasks, and as history.

use super::JobService;
use super::job::{Counters, Done, Job};
use super::restores::Restoring;
use crate::placement::Locality;
use crate::spec::{JobSpec, Program};
use bytes::Bytes;
use granary_protocol::jobs::*;
use granary_protocol::{DatanodeId, ErrorCode, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// The group of the service's own counters, by Hadoop's name.
pub const COUNTER_GROUP: &str = "Job Counters";
/// Hadoop's names of how near maps were to their input.
const LOCALITIES: [&str; 3] = ["DATA_LOCAL_MAPS", "RACK_LOCAL_MAPS", "OTHER_LOCAL_MAPS"];
/// The state of a job that is not planned because its input is being restored.
const RESTORING: &str = "RESTORING";
/// Jobs listed at most.
const LISTED_MAX: usize = 1_000;
/// Tasks shown at most.
const TASKS_SHOWN_MAX: usize = 10_000;

/// What a task's row keeps beside its outputs.
#[derive(Serialize, Deserialize)]
struct TaskResult {
    locality: Option<usize>,
    elapsed_ms: u64,
    /// The datanode beside which it was done.
    datanode: u64,
    counters: Vec<(String, String, i64)>,
}

pub(super) fn result_of(locality: Option<Locality>, done: &Done) -> Bytes {
    let counters = done.counters.clone();
    let result = TaskResult {
        locality: locality.map(|at| at as usize),
        elapsed_ms: done.elapsed_ms,
        datanode: done.datanode.0,
        counters,
    };
    serde_json::to_vec(&result).map(Bytes::from).unwrap_or_default()
}

fn read_result(result: &[u8]) -> TaskResult {
    let nothing = TaskResult { locality: None, elapsed_ms: 0, datanode: 0, counters: Vec::new() };
    serde_json::from_slice(result).unwrap_or(nothing)
}

pub(super) fn locality_in(result: &[u8]) -> Option<usize> {
    read_result(result).locality.filter(|place| *place < LOCALITIES.len())
}

/// A task that is done, from its row.
pub(super) fn done_of(record: TaskRecord) -> Done {
    let TaskResult { elapsed_ms, datanode, counters, .. } = read_result(&record.result);
    Done {
        attempt: record.attempt,
        runner: record.runner,
        datanode: DatanodeId(datanode),
        counters,
        elapsed_ms,
        output_bytes: record.output_bytes,
    }
}

/// Its submitter and the operator may ask about a job; to all others there is none.
pub(super) fn may_ask(asker: &JobAsker, record: &JobRecord, job: JobId) -> Result<(), Failure> {
    match asker.is_operator || asker.account == record.submitter.account {
        true => Ok(()),
        false => Err(Failure::new(ErrorCode::NoSuchEntity, format!("there is no {job}"))),
    }
}

/// What stays of a job that has ended.
pub(super) fn summary_of(job: Option<&Job>) -> Bytes {
    let Some(job) = job else { return Bytes::from_static(b"{}") };
    let summary = json!({
        "counters": counters(job),
        "bytes": locality_bytes(job),
        "failures": failures(job),
    });
    serde_json::to_vec(&summary).map(Bytes::from).unwrap_or_default()
}

fn counters(job: &Job) -> Value {
    let mut all: Counters = job.counters();
    let mut own = |name: &str, value: u64| {
        all.insert((COUNTER_GROUP.to_owned(), name.to_owned()), i64::try_from(value).unwrap_or(i64::MAX));
    };
    for (name, count) in LOCALITIES.iter().zip(job.locality) {
        own(name, count);
    }
    own("TOTAL_MAPS", job.splits.len() as u64);
    own("TOTAL_REDUCES", job.reduces.into());
    own("NUM_FAILED_MAPS", job.failed[0]);
    own("NUM_FAILED_REDUCES", job.failed[1]);
    own("NUM_KILLED_MAPS", job.killed[0]);
    own("NUM_KILLED_REDUCES", job.killed[1]);
    let mut groups = serde_json::Map::new();
    for ((group, name), value) in all {
        groups.entry(group).or_insert_with(|| json!({}))[name] = json!(value);
    }
    Value::Object(groups)
}

fn locality_bytes(job: &Job) -> Value {
    let [node, rack, other] = job.locality_bytes;
    json!({ "data_local": node, "rack_local": rack, "other": other })
}

fn failures(job: &Job) -> Value {
    let failure = |failed: &super::job::FailedAttempt| {
        json!({
            "attempt": failed.attempt.to_string(),
            "runner": failed.runner.as_str(),
            "reason": failed.reason,
            "stderr": failed.stderr,
        })
    };
    job.failures.iter().map(failure).collect()
}

/// What is shown of a specification. The files that travel with one are not even read.
#[derive(Deserialize)]
struct ShownSpec {
    #[serde(default)]
    name: String,
    #[serde(default)]
    inputs: Vec<String>,
    #[serde(default = "default_program")]
    program: Program,
}

fn default_program() -> Program {
    JobSpec::default().program
}

/// What every answer about a job begins with.
fn head(id: JobId, record: &JobRecord) -> Value {
    let spec: Option<ShownSpec> = serde_json::from_slice(&record.spec).ok();
    let name = spec.as_ref().map(|spec| match spec.name.as_str() {
        "" => spec.program.name().to_owned(),
        name => name.to_owned(),
    });
    json!({
        "job": id.to_string(),
        "name": name,
        "program": spec.as_ref().map(|spec| spec.program.name()),
        "user": record.submitter.user,
        "state": record.state.name(),
        "reason": record.reason,
        "inputs": spec.as_ref().map(|spec| spec.inputs.clone()),
        "output": record.output.as_ref().map(|place| format!("s3://{}/{}", place.bucket, place.prefix)),
        "submitted_ms": record.submitted.0,
        "started_ms": record.started.map(|at| at.0),
        "finished_ms": record.finished.map(|at| at.0),
        "maps": { "total": record.maps },
        "reduces": { "total": record.reduces },
    })
}

/// Thousandths done of tasks of one kind: what is done, and so far of what runs.
fn add_progress(document: &mut Value, job: &Job) {
    for (kind, name, total) in
        [(TaskKind::Map, "maps", job.splits.len()), (TaskKind::Reduce, "reduces", job.reduces as usize)]
    {
        let done = job.done().keys().filter(|task| task.kind == kind).count();
        let running: Vec<_> = job.running.iter().filter(|(attempt, _)| attempt.task.kind == kind).collect();
        let mut furthest = std::collections::BTreeMap::new();
        for (attempt, at) in &running {
            let so_far: &mut u64 = furthest.entry(attempt.task).or_default();
            *so_far = (*so_far).max(at.permille.into());
        }
        let permille = match total {
            0 => 1_000,
            total => (done as u64 * 1_000 + furthest.values().sum::<u64>()) / total as u64,
        };
        document[name] = json!({
            "total": total,
            "done": done,
            "running": running.len(),
            "percent": (permille.min(1_000) as f64) / 10.0,
            "failed_attempts": job.failed[if kind == TaskKind::Map { 0 } else { 1 }],
            "killed_attempts": job.killed[if kind == TaskKind::Map { 0 } else { 1 }],
        });
    }
}

impl JobService {
    pub(super) async fn list(&self, asker: &JobAsker, limit: u32) -> Result<Bytes, Failure> {
        let limit = LISTED_MAX.min(limit as usize);
        let mut shown: VecDeque<Value> = VecDeque::new();
        let show = |id, record: JobRecord| {
            if limit == 0 || may_ask(asker, &record, id).is_err() {
                return;
            }
            let mut document = head(id, &record);
            if let Some(job) = self.board().jobs.get(&id) {
                add_progress(&mut document, job);
            }
            self.add_restoring(&mut document, id);
            // Latest first.
            shown.push_front(document);
            shown.truncate(limit);
        };
        self.rows.each_job(show).await?;
        bytes_of(&json!({ "jobs": shown }))
    }

    pub(super) async fn status(&self, asker: &JobAsker, id: JobId) -> Result<Bytes, Failure> {
        let record = self.rows.job(id).await?;
        may_ask(asker, &record, id)?;
        let mut document = head(id, &record);
        match self.board().jobs.get(&id) {
            Some(job) => {
                add_progress(&mut document, job);
                document["counters"] = counters(job);
                document["bytes"] = locality_bytes(job);
                document["failures"] = failures(job);
                document["time_left_ms"] = time_left(job, &record, self.now().0);
            }
            None => add_summary(&mut document, &record),
        }
        self.add_restoring(&mut document, id);
        bytes_of(&document)
    }

    /// What a job that is not planned yet waits for.
    fn add_restoring(&self, document: &mut Value, job: JobId) {
        if let Some(Restoring { objects, ready }) = self.board().restoring.get(&job).copied() {
            document["state"] = json!(RESTORING);
            document["restoring"] = json!({ "objects": objects, "ready_ms": ready.0 });
        }
    }

    pub(super) async fn list_tasks(&self, asker: &JobAsker, id: JobId) -> Result<Bytes, Failure> {
        let record = self.rows.job(id).await?;
        may_ask(asker, &record, id)?;
        let done = self.rows.tasks(id).await?;
        let mut shown: Vec<Value> =
            done.iter().take(TASKS_SHOWN_MAX).map(|(task, record)| task_document(id, *task, record)).collect();
        if let Some(job) = self.board().jobs.get(&id) {
            let running = job.running.iter().take(TASKS_SHOWN_MAX).map(|(attempt, at)| {
                json!({
                    "attempt": attempt.to_string(),
                    "state": "RUNNING",
                    "runner": at.runner.as_str(),
                    "percent": f64::from(at.permille) / 10.0,
                    "status": at.status,
                    "elapsed_ms": at.started.elapsed().as_millis() as u64,
                })
            });
            shown.extend(running);
        }
        bytes_of(&json!({ "job": id.to_string(), "tasks": shown }))
    }

    /// What failed attempts wrote to stderr.
    pub(super) async fn logs(&self, asker: &JobAsker, id: JobId) -> Result<Bytes, Failure> {
        let record = self.rows.job(id).await?;
        may_ask(asker, &record, id)?;
        let failed = match self.board().jobs.get(&id) {
            Some(job) => failures(job),
            None => summary(&record)["failures"].clone(),
        };
        bytes_of(&json!({ "job": id.to_string(), "failures": failed }))
    }

    /// A job as lines of JSON: what was submitted, each task that was done, how it ended.
    pub(super) async fn history_lines(&self, asker: &JobAsker, id: JobId) -> Result<Bytes, Failure> {
        let record = self.rows.job(id).await?;
        may_ask(asker, &record, id)?;
        let tasks = self.rows.tasks(id).await?;
        Ok(history(id, &record, &tasks))
    }
}

fn task_document(job: JobId, task: TaskName, record: &TaskRecord) -> Value {
    let attempt = AttemptName { job, task, number: record.attempt };
    let result = read_result(&record.result);
    json!({
        "attempt": attempt.to_string(),
        "state": "SUCCEEDED",
        "runner": record.runner.as_str(),
        "finished_ms": record.finished.0,
        "elapsed_ms": result.elapsed_ms,
        "locality": result.locality.and_then(|place| LOCALITIES.get(place)),
        "output_bytes": record.output_bytes + record.outputs.iter().map(|output| output.size).sum::<u64>(),
        "outputs": record.outputs.iter().map(|output| output.key.as_str()).collect::<Vec<_>>(),
    })
}

fn summary(record: &JobRecord) -> Value {
    serde_json::from_slice(&record.summary).unwrap_or_else(|_| json!({}))
}

fn add_summary(document: &mut Value, record: &JobRecord) {
    let summary = summary(record);
    for name in ["counters", "bytes", "failures"] {
        document[name] = summary[name].clone();
    }
    if record.state == JobState::Succeeded {
        for (name, total) in [("maps", record.maps), ("reduces", record.reduces)] {
            document[name] = json!({ "total": total, "done": total, "running": 0, "percent": 100.0 });
        }
    }
}

/// By the pace so far, with maps and reduces taken for equally long.
fn time_left(job: &Job, record: &JobRecord, now_ms: u64) -> Value {
    let Some(started) = record.started else { return Value::Null };
    let total = job.splits.len() + job.reduces as usize;
    let running: f64 = job.running.values().map(|at| f64::from(at.permille) / 1_000.0).sum();
    let done = job.done().len() as f64 + running;
    if done <= 0.0 || total == 0 {
        return Value::Null;
    }
    let elapsed = now_ms.saturating_sub(started.0) as f64;
    json!((elapsed * (total as f64 - done).max(0.0) / done) as u64)
}

/// A job as lines of JSON.
pub(super) fn history(id: JobId, record: &JobRecord, tasks: &[(TaskName, TaskRecord)]) -> Bytes {
    let mut submitted = head(id, record);
    submitted["event"] = json!("JOB_SUBMITTED");
    let mut lines = vec![submitted];
    for (task, record) in tasks {
        let mut line = task_document(id, *task, record);
        line["event"] = json!("TASK_FINISHED");
        lines.push(line);
    }
    let mut finished = summary(record);
    finished["event"] = json!("JOB_FINISHED");
    finished["state"] = json!(record.state.name());
    finished["reason"] = json!(record.reason);
    finished["finished_ms"] = json!(record.finished.map(|at| at.0));
    if record.state.is_final() {
        lines.push(finished);
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    Bytes::from(text)
}

fn bytes_of(document: &Value) -> Result<Bytes, Failure> {
    serde_json::to_vec(document).map(Bytes::from).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))
}

/// The beginning of a text, at most so many bytes.
pub(super) fn clipped(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The end of a text, at most so many bytes.
pub(super) fn clipped_start(text: &str, bytes_max: usize) -> String {
    let mut start = text.len().saturating_sub(bytes_max);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].to_owned()
}
