//! The board by example: orders, a successor that adopts what runs, runners that are lost.

use super::board::{Board, Followup};
use super::job::{Done, Job};
use crate::placement::{InputId, MapPlan, Policy};
use crate::spec::{JobSpec, Program};
use bytes::Bytes;
use granary_protocol::jobs::*;
use granary_protocol::{CanonicalId, DatanodeId, NodeName, Rack, UnixMillis};
use std::time::Duration;

const JOB: JobId = JobId(7);

fn job(maps: usize, reduces: u32) -> (Job, Vec<MapPlan>) {
    let spec = JobSpec { program: Program::Wordcount, reduces: Some(reduces), ..JobSpec::default() };
    let record = JobRecord {
        submitter: Submitter { account: CanonicalId::default(), user: "ann".to_owned() },
        operator: CanonicalId::default(),
        spec: Bytes::new(),
        output: None,
        token: None,
        submitted: UnixMillis(0),
        started: None,
        finished: None,
        state: JobState::Running,
        reason: String::new(),
        input_pages: 0,
        plan_pages: 0,
        maps: maps as u32,
        reduces,
        summary: Bytes::new(),
    };
    let plans = (0..maps as u64).map(|map| MapPlan { input: InputId(map), bytes: 1, replicas: Vec::new() }).collect();
    (Job::new(record, spec, vec![Bytes::new(); maps], Bytes::new()), plans)
}

fn board(epoch: u32, holding: Option<Duration>) -> Board {
    let mut board = Board::new(epoch, Policy::default());
    board.activate(holding);
    board
}

fn poll(runner: &str, slots: u32, running: &[AttemptName]) -> RunnerPoll {
    let said = |attempt: &AttemptName| AttemptProgress {
        attempt: *attempt,
        permille: 0,
        status: String::new(),
        counters: Vec::new(),
    };
    RunnerPoll {
        runner: NodeName::from(runner),
        session: 1,
        datanode: DatanodeId(runner.len() as u64),
        rack: Rack::from("/r"),
        slots,
        shuffle: format!("{runner}:1"),
        epoch: 0,
        orders_taken: 0,
        running: running.iter().map(said).collect(),
        ended: Vec::new(),
        sampled: Vec::new(),
        wait_ms: 0,
        leaving: false,
    }
}

fn attempt(kind: TaskKind, index: u32, number: u32) -> AttemptName {
    AttemptName { job: JOB, task: TaskName { kind, index }, number }
}

fn started(board: &Board, runner: &str) -> Vec<AttemptName> {
    let orders = board.runners[&NodeName::from(runner)].waiting();
    let starts = orders.into_iter().filter_map(|(_, order)| match order {
        RunnerOrder::Start(start) => Some(start.attempt),
        _ => None,
    });
    starts.collect()
}

fn done(runner: &str, attempt: AttemptName) -> Done {
    let (datanode, runner) = (DatanodeId(runner.len() as u64), NodeName::from(runner));
    Done { attempt: attempt.number, runner, datanode, counters: Vec::new(), elapsed_ms: 1, output_bytes: 1 }
}

#[test]
fn maps_then_reduces_then_the_end() {
    let mut board = board(1, None);
    let (job, plans) = job(2, 1);
    assert!(board.begin(JOB, job, plans).is_empty());
    board.hear(&poll("a", 2, &[]));
    let maps = started(&board, "a");
    assert_eq!(maps, [attempt(TaskKind::Map, 0, 0), attempt(TaskKind::Map, 1, 0)]);
    for map in maps {
        assert!(board.succeeded(map, done("a", map)).is_empty());
    }
    let reduce = attempt(TaskKind::Reduce, 0, 0);
    assert_eq!(started(&board, "a").last(), Some(&reduce));
    let ends = board.succeeded(reduce, done("a", reduce));
    assert!(matches!(ends[..], [Followup::End { job: JOB, state: JobState::Succeeded, .. }]), "{ends:?}");
    assert_eq!(board.jobs[&JOB].locality, [2, 0, 0]);
}

#[test]
fn a_successor_goes_on_with_what_runs() {
    let mut board = board(2, Some(Duration::ZERO));
    let (job, plans) = job(3, 0);
    board.begin(JOB, job, plans);
    let running = attempt(TaskKind::Map, 1, 0);
    // While it holds, nothing new is started.
    let mut held = self::board(2, Some(Duration::from_secs(60)));
    let (held_job, held_plans) = self::job(3, 0);
    held.begin(JOB, held_job, held_plans);
    held.hear(&poll("a", 3, &[running]));
    assert!(started(&held, "a").is_empty());
    assert!(held.jobs[&JOB].running.contains_key(&running));

    board.hear(&poll("a", 3, &[running]));
    // Numbers of the second leader begin at a thousand, and the map that runs is not among them.
    assert_eq!(started(&board, "a"), [attempt(TaskKind::Map, 0, 1000), attempt(TaskKind::Map, 2, 1000)]);
    assert!(board.succeeded(running, done("a", running)).is_empty());
    assert_eq!(board.jobs[&JOB].done().len(), 1);
}

#[test]
fn a_lost_runner_takes_its_map_output_with_it() {
    let mut board = board(1, None);
    let (job, plans) = job(1, 1);
    board.begin(JOB, job, plans);
    board.hear(&poll("a", 1, &[]));
    let map = attempt(TaskKind::Map, 0, 0);
    board.succeeded(map, done("a", map));
    assert_eq!(started(&board, "a"), [map, attempt(TaskKind::Reduce, 0, 0)]);
    // Another process of the same name: nothing of the first is left.
    board.hear(&RunnerPoll { session: 2, ..poll("a", 1, &[]) });
    assert_eq!(started(&board, "a"), [attempt(TaskKind::Map, 0, 1)]);
    assert!(board.jobs[&JOB].done().is_empty());
}

#[test]
fn an_attempt_that_is_not_known_is_ended() {
    let mut board = board(1, None);
    let stray = attempt(TaskKind::Map, 0, 0);
    board.hear(&poll("a", 1, &[stray]));
    let orders = board.runners[&NodeName::from("a")].waiting();
    assert!(orders.iter().any(|(_, order)| *order == RunnerOrder::Kill { attempt: stray }), "{orders:?}");
    assert!(board.expect_running(&NodeName::from("a"), stray).is_err());
}
