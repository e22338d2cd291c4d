//! Jobs: output that becomes visible in one command or never, first attempts that count, tokens that name a job once.

use super::fixture::*;
use super::invariants;
use crate::command::{Action, PutPart};
use crate::state;
use bytes::Bytes;
use granary_protocol::jobs::*;
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::*;

fn change(change: JobChange) -> Action {
    Action::ChangeJobs(Box::new(change))
}

fn record(token: Option<&str>) -> JobRecord {
    JobRecord {
        submitter: Submitter { account: owner(), user: "ann".to_owned() },
        operator: owner(),
        spec: Bytes::from_static(b"{}"),
        output: Some(OutputPlace { bucket: BUCKET.into(), prefix: "out/".to_owned(), class: StorageClass::Standard }),
        token: token.map(str::to_owned),
        submitted: UnixMillis(0),
        started: None,
        finished: None,
        state: JobState::Planning,
        reason: String::new(),
        input_pages: 0,
        plan_pages: 0,
        maps: 0,
        reduces: 0,
        summary: Bytes::new(),
    }
}

fn create(store: &mut Store, token: Option<&str>) -> JobId {
    match store.apply(change(JobChange::Create { record: Box::new(record(token)) })) {
        Ok(NamenodeReply::JobCreated(job)) => job,
        other => panic!("{other:?}"),
    }
}

/// A job of this many maps that writes its output with them.
fn start(store: &mut Store, maps: u32) -> JobId {
    let job = create(store, None);
    store.done(change(JobChange::Start { job, maps, reduces: 0, plan_pages: 0 }));
    job
}

fn attempt(job: JobId, index: u32, number: u32) -> AttemptName {
    AttemptName { job, task: TaskName { kind: TaskKind::Map, index }, number }
}

/// Writes an output file of an attempt.
fn write(store: &mut Store, writer: &mut Writer, attempt: AttemptName, key: &str, size: u32) -> TaskOutput {
    let key = ObjectKey::from(key);
    let reply = store.apply(change(JobChange::OpenOutput { attempt, key: key.clone() }));
    let Ok(NamenodeReply::Upload(upload)) = reply else { panic!("{reply:?}") };
    let part = part_info(1, u64::from(size));
    let content = (size > 0).then(|| writer.pack(store, size));
    let put = PutPart { bucket: BUCKET.into(), key: key.clone(), upload, part: part.clone(), content };
    store.done(Action::PutPart(Box::new(put)));
    let parts = vec![CompletedPart { number: 1, md5: part.md5, checksum: None }];
    TaskOutput { key, upload, parts, etag: etag(1), size: size.into() }
}

fn commit(attempt: AttemptName, outputs: Vec<TaskOutput>) -> Action {
    let record = TaskRecord {
        attempt: attempt.number,
        runner: "datanode-1".into(),
        finished: UnixMillis(0),
        outputs,
        output_bytes: 0,
        result: Bytes::new(),
    };
    change(JobChange::CommitTask { attempt, record: Box::new(record) })
}

fn finish(job: JobId, state: JobState) -> Action {
    change(JobChange::Finish { job, state, reason: String::new(), summary: Bytes::new() })
}

fn keys(store: &Store) -> Vec<String> {
    store.list("", "", ListAfter::Start, 100)
}

fn uploads(store: &Store) -> usize {
    state::list_uploads(store.view(), &BUCKET.into(), "", "", &UploadAfter::default(), 100).unwrap().uploads.len()
}

#[test]
fn all_output_becomes_visible_at_once_and_only_the_winners() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let job = start(&mut store, 2);
    let first = write(&mut store, &mut writer, attempt(job, 0, 0), "out/part-00000", 10);
    let loser = write(&mut store, &mut writer, attempt(job, 0, 1), "out/part-00000", 11);
    let empty = write(&mut store, &mut writer, attempt(job, 1, 0), "out/part-00001", 0);
    store.done(commit(attempt(job, 0, 0), vec![first.clone()]));
    // Once more is the same; another attempt is too late.
    store.done(commit(attempt(job, 0, 0), vec![first]));
    assert_eq!(store.refused(commit(attempt(job, 0, 1), vec![loser])), ErrorCode::Conflict);
    let late = JobChange::OpenOutput { attempt: attempt(job, 0, 2), key: "out/part-00000".into() };
    assert_eq!(store.refused(change(late)), ErrorCode::Conflict);
    assert_eq!(store.refused(finish(job, JobState::Succeeded)), ErrorCode::Conflict, "a map is not done");
    store.done(commit(attempt(job, 1, 0), vec![empty]));
    assert!(keys(&store).is_empty());

    store.done(finish(job, JobState::Succeeded));
    assert_eq!(keys(&store), ["out/_SUCCESS", "out/part-00000", "out/part-00001"]);
    let found = store.get("out/part-00000", None, Window::Range { first: 0, last: None }).unwrap();
    assert_eq!((found.object.size, uploads(&store)), (10, 0));
    store.done(finish(job, JobState::Succeeded));
    assert_eq!(store.refused(finish(job, JobState::Failed)), ErrorCode::Conflict);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_job_that_fails_leaves_nothing() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let job = start(&mut store, 2);
    let done = write(&mut store, &mut writer, attempt(job, 0, 0), "out/part-00000", 10);
    store.done(commit(attempt(job, 0, 0), vec![done]));
    write(&mut store, &mut writer, attempt(job, 1, 0), "out/part-00001", 20);
    store.done(finish(job, JobState::Failed));
    assert_eq!((keys(&store).len(), uploads(&store)), (0, 0));
    assert_eq!(state::counters(store.view()).unwrap().content_bytes, 0);
    assert_eq!(store.refused(commit(attempt(job, 1, 0), Vec::new())), ErrorCode::Conflict);
    store.done(change(JobChange::Forget { job }));
    assert_eq!(store.refused(finish(job, JobState::Failed)), ErrorCode::NoSuchEntity);
    invariants::check(store.view(), &store.told);
}

#[test]
fn what_was_written_there_meanwhile_is_not_overwritten() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let job = start(&mut store, 1);
    let done = write(&mut store, &mut writer, attempt(job, 0, 0), "out/part-00000", 10);
    store.done(commit(attempt(job, 0, 0), vec![done]));
    store.put_empty("out/part-00000");
    assert_eq!(store.refused(finish(job, JobState::Succeeded)), ErrorCode::PreconditionFailed);
    assert_eq!(keys(&store), ["out/part-00000"]);
    store.done(finish(job, JobState::Failed));
    assert_eq!(uploads(&store), 0);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_bucket_that_goes_takes_the_output_with_it() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let job = start(&mut store, 1);
    let done = write(&mut store, &mut writer, attempt(job, 0, 0), "out/part-00000", 10);
    store.done(commit(attempt(job, 0, 0), vec![done]));
    store.done(Action::DeleteBucket { bucket: BUCKET.into() });
    assert_eq!(store.refused(finish(job, JobState::Succeeded)), ErrorCode::NoSuchBucket);
    store.done(finish(job, JobState::Failed));
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_token_names_one_job_of_its_submitter() {
    let mut store = Store::new();
    let job = create(&mut store, Some("a"));
    assert_eq!(create(&mut store, Some("a")), job);
    assert_ne!(create(&mut store, Some("b")), job);
    assert_ne!(create(&mut store, None), create(&mut store, None));
    let outside = JobChange::OpenOutput { attempt: attempt(job, 0, 0), key: "elsewhere".into() };
    assert_eq!(store.refused(change(outside)), ErrorCode::Conflict, "it is still planned");
    store.done(change(JobChange::Start { job, maps: 1, reduces: 0, plan_pages: 0 }));
    let outside = JobChange::OpenOutput { attempt: attempt(job, 0, 0), key: "elsewhere".into() };
    assert_eq!(store.refused(change(outside)), ErrorCode::InvalidArgument);
}

#[test]
fn a_map_whose_output_is_lost_is_done_again() {
    let mut store = Store::new();
    let job = create(&mut store, None);
    store.done(change(JobChange::Start { job, maps: 1, reduces: 1, plan_pages: 0 }));
    store.done(commit(attempt(job, 0, 0), Vec::new()));
    store.done(commit(attempt(job, 0, 1), Vec::new()));
    let JobRows::Tasks(tasks) =
        state::query_jobs(store.view(), &JobsQuery::Tasks { job, after: None, limit: 9 }).unwrap()
    else {
        panic!("tasks were asked for")
    };
    assert_eq!(tasks.iter().map(|(_, task)| task.attempt).collect::<Vec<_>>(), [1]);
}
