//! Batch jobs: the rows that outlive a leader, and what people, doors and task runners say to the job service.
//!
//! The namenode's state keeps jobs as rows it hardly looks into: what a job is to do (`spec`, JSON), its plan (pages), the
//! tasks that are done. What it does look after is output: every output file is an upload that belongs to the job, so
//! that all of them become objects in one command, or none does.

use crate::encryption::ObjectEncryption;
use crate::error::Failure;
use crate::ids::*;
use crate::namenode::CompletedPart;
use crate::object::{ETag, StorageClass};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

/// The longest job specification, in JSON.
pub const SPEC_BYTES_MAX: usize = 2 << 20;
/// The longest page of a plan or a list of inputs.
pub const PAGE_BYTES_MAX: usize = 1 << 20;
/// Input files of one job at most.
pub const INPUT_FILES_MAX: usize = 100_000;
/// Bytes of the list of input files of one job at most, so that a submission fits into one message.
pub const INPUT_LIST_BYTES_MAX: usize = 12 << 20;
/// Tasks of one job at most.
pub const TASKS_MAX: u32 = 100_000;
/// Output files of one job at most: they become visible in one command.
pub const OUTPUTS_MAX: usize = 10_000;
/// Jobs that have not ended, at most.
pub const ACTIVE_JOBS_MAX: usize = 1_000;
/// What is kept of a task that is done, in bytes: counters and where a map's output is.
pub const RESULT_BYTES_MAX: usize = 64 << 10;
/// The longest text that says why a task or a job failed.
pub const REASON_BYTES_MAX: usize = 8 << 10;

/// A job: numbered by the namenode, ordered by submission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "job_{:06}", self.0)
    }
}

impl JobId {
    /// Reads what [`Display`](std::fmt::Display) writes; the number alone will do, too.
    pub fn parse(text: &str) -> Option<JobId> {
        text.strip_prefix("job_").unwrap_or(text).parse().ok().map(JobId)
    }
}

/// The two kinds of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskKind {
    /// Reads a split.
    Map,
    /// Reads a partition of what the maps made.
    Reduce,
}

/// A task of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskName {
    pub kind: TaskKind,
    /// From zero, maps and reduces each for themselves.
    pub index: u32,
}

/// One run of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptName {
    pub job: JobId,
    pub task: TaskName,
    /// The first one under the n-th leader of a job is n × 1,000, as in Hadoop.
    pub number: u32,
}

impl std::fmt::Display for AttemptName {
    /// As Hadoop writes it: `attempt_000007_m_000012_0`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.task.kind {
            TaskKind::Map => 'm',
            TaskKind::Reduce => 'r',
        };
        write!(f, "attempt_{:06}_{kind}_{:06}_{}", self.job.0, self.task.index, self.number)
    }
}

/// On whose behalf a job runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitter {
    /// Owns what the job makes, and may ask about it.
    pub account: CanonicalId,
    /// For people.
    pub user: String,
}

/// Where a job's output goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPlace {
    pub bucket: BucketName,
    /// Every output key begins with it; it ends in a slash.
    pub prefix: String,
    pub class: StorageClass,
}

/// An input, at the version it had when the job was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    pub bucket: BucketName,
    pub key: ObjectKey,
    pub version: VersionId,
    pub size: u64,
    /// Of that version. Without versioning it tells whether the object is still the one that was planned.
    pub etag: ETag,
    /// How many bytes of the key belong to the place that was given as input.
    pub base: u32,
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Its splits are being made.
    Planning,
    /// Its tasks run.
    Running,
    /// Its output is visible.
    Succeeded,
    /// Nothing of it is.
    Failed,
    /// Nothing of it is: somebody ended it.
    Killed,
}

impl JobState {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, JobState::Succeeded | JobState::Failed | JobState::Killed)
    }

    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Planning => "PLANNING",
            JobState::Running => "RUNNING",
            JobState::Succeeded => "SUCCEEDED",
            JobState::Failed => "FAILED",
            JobState::Killed => "KILLED",
        }
    }
}

/// A job, as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    pub submitter: Submitter,
    /// Owns the bucket that histories are kept in.
    pub operator: CanonicalId,
    /// JSON.
    pub spec: Bytes,
    pub output: Option<OutputPlace>,
    /// Given by the client: the same submission again is the same job.
    pub token: Option<String>,
    pub submitted: UnixMillis,
    pub started: Option<UnixMillis>,
    pub finished: Option<UnixMillis>,
    pub state: JobState,
    /// Why it failed or was killed.
    pub reason: String,
    /// Pages of the list of inputs, and of the plan.
    pub input_pages: u32,
    pub plan_pages: u32,
    pub maps: u32,
    pub reduces: u32,
    /// What the service keeps of a job that has ended: counters, in JSON.
    pub summary: Bytes,
}

/// An output file of a task: an upload whose parts are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutput {
    pub key: ObjectKey,
    pub upload: UploadId,
    pub parts: Vec<CompletedPart>,
    pub etag: ETag,
    pub size: u64,
}

/// A task that is done, as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Which attempt did it.
    pub attempt: u32,
    /// Where.
    pub runner: NodeName,
    pub finished: UnixMillis,
    pub outputs: Vec<TaskOutput>,
    /// Of a map with reduces: bytes that those will read.
    pub output_bytes: u64,
    /// What the service keeps beside: counters and times, in JSON.
    pub result: Bytes,
}

/// A change of the rows of jobs. One command each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobChange {
    /// → `JobCreated`. The same submitter's job with the same token is answered instead of a new one. `LimitExceeded`.
    /// `record.input_pages` is the number of pages that follow.
    Create { record: Box<JobRecord> },
    /// → `Done`. A page of the list of inputs, while the job is planned.
    StoreInputs { job: JobId, page: u32, data: Bytes },
    /// → `Done`. A page of the plan, while it is planned.
    StorePlan { job: JobId, page: u32, data: Bytes },
    /// → `Done`. The plan is complete.
    Start { job: JobId, maps: u32, reduces: u32, plan_pages: u32 },
    /// → `Upload`. An output file of an attempt; the key lies under the job's prefix.
    OpenOutput { attempt: AttemptName, key: ObjectKey },
    /// → `Done`. The first attempt of a task that says so has done it; another one is refused with `Conflict`. A map whose
    /// output reduces read may be done again, because its output lies on one node only: the last one counts.
    CommitTask { attempt: AttemptName, record: Box<TaskRecord> },
    /// → `Done`. The end of a job. With `Succeeded`, the output of every task becomes visible, and `_SUCCESS` with it; all
    /// other uploads of the job go. `Conflict` unless as many tasks are done as the job has.
    Finish { job: JobId, state: JobState, reason: String, summary: Bytes },
    /// → `Done`. A job that ended: its rows go.
    Forget { job: JobId },
    /// → `JobsEpoch`. A leader takes the jobs over; how often that has happened.
    TakeOver,
    /// → `Upload`. As `OpenOutput`, of an output that is encrypted.
    OpenSealedOutput { attempt: AttemptName, key: ObjectKey, encryption: Box<ObjectEncryption> },
}

/// What is asked about the rows of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobsQuery {
    /// → `Jobs`, ascending from after `after`.
    Jobs { after: Option<JobId>, limit: u32 },
    /// → `Jobs` with the one.
    Job { job: JobId },
    /// → `Page`.
    Inputs { job: JobId, page: u32 },
    /// → `Page`.
    Plan { job: JobId, page: u32 },
    /// → `Tasks`, in order from after `after`.
    Tasks { job: JobId, after: Option<TaskName>, limit: u32 },
}

/// Rows of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobRows {
    Jobs(Vec<(JobId, JobRecord)>),
    Page(Bytes),
    Tasks(Vec<(TaskName, TaskRecord)>),
}

/// Who asks about jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAsker {
    pub account: CanonicalId,
    /// The operator may ask about everybody's.
    pub is_operator: bool,
}

/// A job that a door has let in: its inputs were found and may be read by the submitter, its output may be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    pub submitter: Submitter,
    /// Whether the submitter may run programs of its own (`job:ExecNative`).
    pub may_exec_native: bool,
    pub operator: CanonicalId,
    /// JSON.
    pub spec: Bytes,
    pub inputs: Vec<InputFile>,
    pub output: Option<OutputPlace>,
    pub token: Option<String>,
}

/// What people ask, answered in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobQuestion {
    /// Jobs, latest first.
    List { limit: u32 },
    /// One job: progress, locality, counters, failed attempts.
    Status { job: JobId },
    /// Its tasks and attempts.
    Tasks { job: JobId },
    /// What failed attempts wrote to stderr, the last KiB of each.
    Logs { job: JobId },
    /// Lines of JSON: what was submitted, the tasks that were done, how it ended.
    History { job: JobId },
}

/// How an attempt is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptProgress {
    pub attempt: AttemptName,
    /// Thousandths.
    pub permille: u16,
    /// What it said of itself.
    pub status: String,
    /// Counters so far: group, name, value.
    pub counters: Vec<(String, String, i64)>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptOutcome {
    /// It has done its task, if it is the first.
    Succeeded {
        outputs: Vec<TaskOutput>,
        /// Of a map with reduces: bytes that those will read.
        output_bytes: u64,
        counters: Vec<(String, String, i64)>,
    },
    /// It has not.
    Failed {
        reason: String,
        /// Whether another attempt would fail alike.
        is_final: bool,
    },
    /// A reduce could not read the output of these maps.
    InputsLost { maps: Vec<u32> },
    /// It was ended because the service said so.
    Killed,
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptEnd {
    pub attempt: AttemptName,
    pub outcome: AttemptOutcome,
    /// The end of what it wrote to stderr.
    pub stderr: String,
    pub elapsed_ms: u64,
}

/// A task runner says what it does and asks what to do: heartbeat and long poll in one. Repeated until it is answered; what
/// has ended is repeated until an answer comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerPoll {
    pub runner: NodeName,
    /// Random, of this process: another one means that what ran before does not.
    pub session: u64,
    pub datanode: DatanodeId,
    pub rack: Rack,
    pub slots: u32,
    /// `host:port` where map output is read from it; empty where nobody else is to read it.
    pub shuffle: String,
    /// The leader's epoch whose orders it has, and the last of them.
    pub epoch: u32,
    pub orders_taken: u64,
    pub running: Vec<AttemptProgress>,
    pub ended: Vec<AttemptEnd>,
    /// Keys that it has sampled: the ranges of a job's reduces in the engine's form, or why there are none.
    pub sampled: Vec<(JobId, Result<Bytes, String>)>,
    /// How long the answer may wait for something to do, in milliseconds.
    pub wait_ms: u32,
    /// It is about to stop: nothing is to be started.
    pub leaving: bool,
}

/// Where a reduce finds the output of a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapSource {
    pub map: u32,
    pub attempt: u32,
    /// `host:port`; empty for the runner itself.
    pub address: String,
}

/// What a runner is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunnerOrder {
    Start(Box<AttemptOrder>),
    Kill {
        attempt: AttemptName,
    },
    /// The job has ended: map output and everything else of it goes.
    CleanUp {
        job: JobId,
    },
    /// Sample keys of these splits, in the plan's own form, for the ranges of the job's reduces.
    Sample {
        job: JobId,
        spec: Bytes,
        splits: Vec<Bytes>,
    },
    /// Write a job's history as an object.
    WriteHistory {
        job: JobId,
        operator: CanonicalId,
        bucket: BucketName,
        key: ObjectKey,
        lines: Bytes,
    },
}

/// An attempt to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptOrder {
    pub attempt: AttemptName,
    pub user: String,
    pub spec: Bytes,
    pub output: Option<OutputPlace>,
    pub maps: u32,
    pub reduces: u32,
    /// Ranges of the reduces, in the engine's form; empty where they are not sampled.
    pub cuts: Bytes,
    pub work: AttemptWork,
}

/// What an attempt works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptWork {
    /// A split, in the plan's own form.
    Map {
        split: Bytes,
    },
    Reduce {
        sources: Vec<MapSource>,
    },
}

/// What is said to the job service at the leading namenode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobsCall {
    /// → `Submitted`. Through a gateway.
    Submit(Box<Submission>),
    /// → `Document`. Through a gateway.
    Ask { asker: JobAsker, question: JobQuestion },
    /// → `Done`. Through a gateway. A job that has ended stays as it is.
    Kill { asker: JobAsker, job: JobId },
    /// → `Orders`. From a runner.
    Poll(Box<RunnerPoll>),
    /// → `Upload`. From a runner: an output file of an attempt that it runs.
    OpenOutput { runner: NodeName, attempt: AttemptName, key: ObjectKey },
    /// → `Upload`. The same, of an output that is encrypted.
    OpenSealedOutput { runner: NodeName, attempt: AttemptName, key: ObjectKey, encryption: Box<ObjectEncryption> },
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobsReply {
    Done,
    Submitted { job: JobId },
    Document(Bytes),
    Orders { epoch: u32, orders: Vec<(u64, RunnerOrder)> },
    Upload(UploadId),
}

/// The job service as the namenode beside it sees it.
pub trait JobsService: Send + Sync + 'static {
    /// Answers one call. The reply's variant is the one documented at the call's.
    fn call(&self, call: JobsCall) -> BoxFuture<'_, Result<JobsReply, Failure>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_named_and_read_back() {
        assert_eq!(JobId(7).to_string(), "job_000007");
        assert_eq!(JobId::parse("job_000007"), Some(JobId(7)));
        assert_eq!(JobId::parse("1234567"), Some(JobId(1_234_567)));
        assert_eq!(JobId::parse("job_x"), None);
        let task = TaskName { kind: TaskKind::Reduce, index: 3 };
        let attempt = AttemptName { job: JobId(7), task, number: 1000 };
        assert_eq!(attempt.to_string(), "attempt_000007_r_000003_1000");
    }
}
