//! Rows of jobs: created, planned, their tasks committed, and the one command in which all output of a job becomes visible.
//!
//! Invariants: a task has at most one row, that of its first attempt to commit unless reduces read its output; an upload of a job belongs to one attempt and goes
//! with the job, as an object or for good; a job that has ended has no uploads; `active` counts those that have not.

use super::layout;
use super::objects;
use super::transaction::Transaction;
use super::upload_complete;
use super::uploads;
use super::view::{self, View, undecodable};
use crate::command::{CompleteUpload, CreateUpload, PutObject};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::encryption::ObjectEncryption;
use granary_protocol::jobs::{
    ACTIVE_JOBS_MAX, AttemptName, JobChange, JobId, JobRecord, JobRows, JobState, JobsQuery, OUTPUTS_MAX, OutputPlace,
    PAGE_BYTES_MAX, REASON_BYTES_MAX, RESULT_BYTES_MAX, SPEC_BYTES_MAX, TASKS_MAX, TaskKind, TaskName, TaskOutput,
    TaskRecord,
};
use granary_protocol::namenode::{NamenodeReply, NewObject, WriteCondition};
use granary_protocol::object::{ETag, ObjectDetails, ObjectLock};
use granary_protocol::{CanonicalId, ErrorCode, ObjectKey, UnixMillis, UploadId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of the row of [`JobCounters`].
const COUNTERS: &str = "jobs";
/// Rows of one reply at most, and about how many bytes they may take.
const ROWS_MAX: usize = 1_000;
const ROWS_BYTES_MAX: usize = 4 << 20;
/// MD5 of nothing.
const EMPTY_MD5: [u8; 16] =
    [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e];
/// The object that says that a job has succeeded, as Hadoop calls it.
const SUCCESS: &str = "_SUCCESS";

/// What is counted over all jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct JobCounters {
    last_job: u64,
    /// Jobs that have not ended.
    active: u64,
    /// How often a leader has taken them over.
    epoch: u32,
}

/// Whose an upload of a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct JobUpload {
    key: ObjectKey,
    task: TaskName,
    attempt: u32,
}

/// Rows of jobs.
///
/// # Errors
/// `NoSuchEntity` for a job or a page that is not there.
pub fn query_jobs<V: View + ?Sized>(view: &V, query: &JobsQuery) -> Result<JobRows, Rejection> {
    Ok(match query {
        JobsQuery::Jobs { after, limit } => {
            let from = after.map_or_else(|| layout::table(layout::JOB), |after| layout::job(JobId(after.0 + 1)));
            let until = layout::after_prefix(&layout::table(layout::JOB));
            let rows = page(view, &from, &until, *limit, |row| layout::last_number(row).map(JobId))?;
            JobRows::Jobs(rows)
        }
        JobsQuery::Job { job } => JobRows::Jobs(vec![(*job, find(view, *job)?)]),
        JobsQuery::Inputs { job, page } => JobRows::Page(one_page(view, layout::JOB_INPUTS, *job, *page)?),
        JobsQuery::Plan { job, page } => JobRows::Page(one_page(view, layout::JOB_PLAN, *job, *page)?),
        JobsQuery::Tasks { job, after, limit } => {
            let all = layout::of_job(layout::JOB_TASK, *job);
            let mut from = after.map_or_else(|| all.clone(), |after| layout::job_task(*job, after));
            if after.is_some() {
                from.push(0);
            }
            JobRows::Tasks(page(view, &from, &layout::after_prefix(&all), *limit, layout::decode_job_task)?)
        }
    })
}

fn page<V: View + ?Sized, K, T: for<'de> Deserialize<'de>>(
    view: &V,
    from: &[u8],
    until: &[u8],
    limit: u32,
    name: impl Fn(&[u8]) -> Option<K>,
) -> Result<Vec<(K, T)>, StateError> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for pair in view.scan(from, Some(until)) {
        let (key, value) = pair?;
        if rows.len() >= ROWS_MAX.min(limit as usize) || bytes > ROWS_BYTES_MAX {
            break;
        }
        bytes += value.len();
        let named = name(&key).ok_or_else(|| undecodable(&key, "not a job's row"))?;
        rows.push((named, view::decode(&key, &value)?));
    }
    Ok(rows)
}

fn one_page<V: View + ?Sized>(view: &V, table: u8, job: JobId, page: u32) -> Result<bytes::Bytes, Rejection> {
    view.get(&layout::job_page(table, job, page))
        .map_err(StateError::from)?
        .ok_or_else(|| refuse(ErrorCode::NoSuchEntity, format!("page {page} of {job}")))
}

fn find<V: View + ?Sized>(view: &V, job: JobId) -> Result<JobRecord, Rejection> {
    view::read(view, &layout::job(job))?.ok_or_else(|| refuse(ErrorCode::NoSuchEntity, format!("there is no {job}")))
}

pub(super) fn change(
    tx: &mut Transaction<'_>,
    change: &JobChange,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    match change {
        JobChange::Create { record } => create(tx, record, now),
        JobChange::StoreInputs { job, page, data } => store_page(tx, layout::JOB_INPUTS, *job, *page, data),
        JobChange::StorePlan { job, page, data } => store_page(tx, layout::JOB_PLAN, *job, *page, data),
        JobChange::Start { job, maps, reduces, plan_pages } => start(tx, *job, [*maps, *reduces, *plan_pages], now),
        JobChange::OpenOutput { attempt, key } => open_output(tx, *attempt, key, None, now),
        JobChange::OpenSealedOutput { attempt, key, encryption } => {
            open_output(tx, *attempt, key, Some(encryption), now)
        }
        JobChange::CommitTask { attempt, record } => commit_task(tx, *attempt, record, now),
        JobChange::Finish { job, state, reason, summary } => {
            let mut record = find(tx, *job)?;
            if record.state.is_final() {
                // The answer to the first time was lost, or somebody else ended it otherwise.
                let alike = record.state == *state;
                return if alike { Ok(NamenodeReply::Done) } else { Err(ended(*job, &record)) };
            }
            if !state.is_final() || summary.len() > PAGE_BYTES_MAX {
                return Err(refuse(ErrorCode::InvalidArgument, "not the end of a job"));
            }
            settle_output(tx, *job, &record, *state == JobState::Succeeded, now)?;
            (record.state, record.finished, record.summary) = (*state, Some(now), summary.clone());
            record.reason = reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].to_owned();
            tx.put_record(layout::job(*job), &record);
            count(tx, |counters| counters.active = counters.active.saturating_sub(1))?;
            Ok(NamenodeReply::Done)
        }
        JobChange::Forget { job } => forget(tx, *job),
        JobChange::TakeOver => {
            let counters = count(tx, |counters| counters.epoch += 1)?;
            Ok(NamenodeReply::JobsEpoch(counters.epoch))
        }
    }
}

fn count(tx: &mut Transaction<'_>, change: impl FnOnce(&mut JobCounters)) -> Result<JobCounters, StateError> {
    let row = layout::meta(COUNTERS);
    let mut counters: JobCounters = view::read(tx, &row)?.unwrap_or_default();
    change(&mut counters);
    tx.put_record(row, &counters);
    Ok(counters)
}

fn create(tx: &mut Transaction<'_>, record: &JobRecord, now: UnixMillis) -> Result<NamenodeReply, Rejection> {
    let token = record.token.as_ref().map(|token| layout::job_token(&token_digest(&record.submitter.account, token)));
    if let Some(token) = &token
        && let Some(job) = view::read::<_, u64>(tx, token)?
    {
        return Ok(NamenodeReply::JobCreated(JobId(job)));
    }
    if record.spec.len() > SPEC_BYTES_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, "the job's specification is too long"));
    }
    let counters = count(tx, |counters| {
        counters.last_job += 1;
        counters.active += 1;
    })?;
    if counters.active > ACTIVE_JOBS_MAX as u64 {
        return Err(refuse(ErrorCode::LimitExceeded, format!("{ACTIVE_JOBS_MAX} jobs have not ended")));
    }
    let job = JobId(counters.last_job);
    let record =
        JobRecord { submitted: now, started: None, finished: None, state: JobState::Planning, ..record.clone() };
    tx.put_record(layout::job(job), &record);
    if let Some(token) = token {
        tx.put_record(token, &job.0);
    }
    Ok(NamenodeReply::JobCreated(job))
}

fn token_digest(account: &CanonicalId, token: &str) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update((account.as_str().len() as u64).to_be_bytes());
    hasher.update(account.as_str());
    hasher.update(token);
    hasher.finalize().into()
}

/// The job, which must be in this state.
fn expect_state(tx: &Transaction<'_>, job: JobId, state: JobState) -> Result<JobRecord, Rejection> {
    let record = find(tx, job)?;
    if record.state == state { Ok(record) } else { Err(ended(job, &record)) }
}

fn ended(job: JobId, record: &JobRecord) -> Rejection {
    refuse(ErrorCode::Conflict, format!("{job} is {}", record.state.name()))
}

fn store_page(
    tx: &mut Transaction<'_>,
    table: u8,
    job: JobId,
    page: u32,
    data: &bytes::Bytes,
) -> Result<NamenodeReply, Rejection> {
    expect_state(tx, job, JobState::Planning)?;
    if data.len() > PAGE_BYTES_MAX || page > TASKS_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, "a page is too long"));
    }
    tx.put_bytes(layout::job_page(table, job, page), data.clone());
    Ok(NamenodeReply::Done)
}

fn start(
    tx: &mut Transaction<'_>,
    job: JobId,
    [maps, reduces, plan_pages]: [u32; 3],
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let record = expect_state(tx, job, JobState::Planning)?;
    if maps > TASKS_MAX || reduces > TASKS_MAX {
        return Err(refuse(ErrorCode::LimitExceeded, format!("a job has {TASKS_MAX} tasks at most")));
    }
    let record = JobRecord { state: JobState::Running, started: Some(now), maps, reduces, plan_pages, ..record };
    tx.put_record(layout::job(job), &record);
    Ok(NamenodeReply::Done)
}

fn open_output(
    tx: &mut Transaction<'_>,
    attempt: AttemptName,
    key: &ObjectKey,
    encryption: Option<&ObjectEncryption>,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let record = expect_state(tx, attempt.job, JobState::Running)?;
    let place = expect_place(&record)?;
    if !key.as_str().starts_with(&place.prefix) || key.as_str() == place.prefix {
        return Err(refuse(ErrorCode::InvalidArgument, format!("{key} is not below the job's output")));
    }
    if tx.get(&layout::job_task(attempt.job, attempt.task))?.is_some() {
        return Err(refuse(ErrorCode::Conflict, "another attempt has done the task"));
    }
    let upload = CreateUpload {
        bucket: place.bucket.clone(),
        key: key.clone(),
        owner: record.submitter.account.clone(),
        class: place.class,
        checksum: None,
        lock: ObjectLock::default(),
        details: ObjectDetails { encryption: encryption.cloned(), ..ObjectDetails::default() },
    };
    let reply = uploads::create(tx, &upload, now)?;
    if let NamenodeReply::Upload(id) = &reply {
        let row = JobUpload { key: key.clone(), task: attempt.task, attempt: attempt.number };
        tx.put_record(layout::job_upload(attempt.job, *id), &row);
    }
    Ok(reply)
}

fn expect_place(record: &JobRecord) -> Result<&OutputPlace, Rejection> {
    record.output.as_ref().ok_or_else(|| refuse(ErrorCode::InvalidArgument, "the job has no output"))
}

fn commit_task(
    tx: &mut Transaction<'_>,
    attempt: AttemptName,
    record: &TaskRecord,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let job = expect_state(tx, attempt.job, JobState::Running)?;
    let tasks = match attempt.task.kind {
        TaskKind::Map => job.maps,
        TaskKind::Reduce => job.reduces,
    };
    if attempt.task.index >= tasks || record.attempt != attempt.number || record.result.len() > RESULT_BYTES_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("{attempt} is no attempt of the job")));
    }
    let row = layout::job_task(attempt.job, attempt.task);
    let is_read_by_reduces = attempt.task.kind == TaskKind::Map && job.reduces > 0;
    if let Some(done) = view::read::<_, TaskRecord>(tx, &row)?
        && !is_read_by_reduces
    {
        return match done.attempt == attempt.number {
            true => Ok(NamenodeReply::Done),
            false => Err(refuse(ErrorCode::Conflict, "another attempt has done the task")),
        };
    }
    for output in &record.outputs {
        let upload: Option<JobUpload> = view::read(tx, &layout::job_upload(attempt.job, output.upload))?;
        let own = |upload: &JobUpload| {
            upload.key == output.key && upload.task == attempt.task && upload.attempt == attempt.number
        };
        if !upload.as_ref().is_some_and(own) {
            return Err(refuse(ErrorCode::NoSuchUpload, format!("{} is no output of {attempt}", output.key)));
        }
    }
    tx.put_record(row, &TaskRecord { finished: now, ..record.clone() });
    Ok(NamenodeReply::Done)
}

/// Makes the output of all tasks visible, if that is wanted; removes every other upload of the job.
fn settle_output(
    tx: &mut Transaction<'_>,
    job: JobId,
    record: &JobRecord,
    publish: bool,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let uploads = rows_of::<JobUpload>(tx, layout::JOB_UPLOAD, job)?;
    if publish {
        let tasks = rows_of::<TaskRecord>(tx, layout::JOB_TASK, job)?;
        if tasks.len() as u64 != u64::from(record.maps) + u64::from(record.reduces) {
            return Err(refuse(ErrorCode::Conflict, format!("{} tasks of {job} are done", tasks.len())));
        }
        let outputs: Vec<TaskOutput> = tasks.into_iter().flat_map(|(_, task)| task.outputs).collect();
        if outputs.len() > OUTPUTS_MAX {
            return Err(refuse(ErrorCode::LimitExceeded, format!("{} output files", outputs.len())));
        }
        if let Some(place) = &record.output {
            publish_output(tx, record, place, outputs, now)?;
        }
    }
    for (row, upload) in uploads {
        let id = layout::last_number(&row).ok_or_else(|| undecodable(&row, "not an upload of a job"))?;
        // Those that were published are uploads no more.
        abort(tx, record, &upload.key, UploadId(id))?;
        tx.delete(row);
    }
    Ok(())
}

fn publish_output(
    tx: &mut Transaction<'_>,
    record: &JobRecord,
    place: &OutputPlace,
    outputs: Vec<TaskOutput>,
    now: UnixMillis,
) -> Result<(), Rejection> {
    // Whoever else has written there since is not overwritten.
    let condition = WriteCondition { if_absent: true, if_match: None };
    // Where the output is encrypted, what says that it is there is, too: it has no bytes that a key could be needed for.
    let first = outputs.first().map(|output| uploads::get_upload(tx, &place.bucket, &output.key, output.upload));
    let encryption = first.transpose()?.and_then(|upload| upload.details.encryption);
    for output in outputs {
        let complete = CompleteUpload {
            bucket: place.bucket.clone(),
            key: output.key,
            upload: output.upload,
            parts: output.parts,
            etag: output.etag,
            checksum: None,
            condition: condition.clone(),
        };
        upload_complete::complete(tx, &complete, now)?;
    }
    let success = PutObject {
        bucket: place.bucket.clone(),
        key: ObjectKey(format!("{}{SUCCESS}", place.prefix)),
        content: None,
        object: NewObject {
            size: 0,
            etag: ETag { md5: EMPTY_MD5, parts: None },
            owner: record.submitter.account.clone(),
            class: place.class,
            checksum: None,
            lock: ObjectLock::default(),
            details: ObjectDetails { encryption, ..ObjectDetails::default() },
        },
        condition,
    };
    objects::put(tx, &success, now).map(drop)
}

/// Removes an upload of a job, which somebody else may have aborted, with its bucket perhaps.
fn abort(tx: &mut Transaction<'_>, record: &JobRecord, key: &ObjectKey, upload: UploadId) -> Result<(), Rejection> {
    let Some(place) = &record.output else { return Ok(()) };
    match uploads::abort(tx, &place.bucket, key, upload) {
        Ok(_) => Ok(()),
        Err(Rejection::Refused(failure))
            if matches!(failure.code, ErrorCode::NoSuchUpload | ErrorCode::NoSuchBucket) =>
        {
            Ok(())
        }
        Err(rejection) => Err(rejection),
    }
}

fn rows_of<T: for<'de> Deserialize<'de>>(
    tx: &Transaction<'_>,
    table: u8,
    job: JobId,
) -> Result<Vec<(Vec<u8>, T)>, StateError> {
    let from = layout::of_job(table, job);
    tx.scan(&from, Some(&layout::after_prefix(&from)))
        .map(|pair| {
            let (key, value) = pair?;
            Ok((key.to_vec(), view::decode(&key, &value)?))
        })
        .collect()
}

fn forget(tx: &mut Transaction<'_>, job: JobId) -> Result<NamenodeReply, Rejection> {
    let record = find(tx, job)?;
    if !record.state.is_final() {
        return Err(refuse(ErrorCode::Conflict, format!("{job} has not ended")));
    }
    for table in [layout::JOB_INPUTS, layout::JOB_PLAN, layout::JOB_TASK] {
        let from = layout::of_job(table, job);
        let rows: Result<Vec<_>, _> =
            tx.scan(&from, Some(&layout::after_prefix(&from))).map(|pair| pair.map(|(key, _)| key.to_vec())).collect();
        for row in rows.map_err(StateError::from)? {
            tx.delete(row);
        }
    }
    if let Some(token) = &record.token {
        tx.delete(layout::job_token(&token_digest(&record.submitter.account, token)));
    }
    tx.delete(layout::job(job));
    Ok(NamenodeReply::Done)
}
