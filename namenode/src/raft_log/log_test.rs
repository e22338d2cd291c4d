//! The log's promises in ordinary operation.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

pub(super) const EVERYTHING: usize = usize::MAX;

/// Small segments, so that tests cross their edges.
pub(super) fn config() -> RaftLogConfig {
    RaftLogConfig { segment_bytes: 1_000, preallocate_bytes: 512 }
}

pub(super) fn open(dir: &Path) -> RaftLog {
    RaftLog::open(dir, config()).unwrap()
}

/// An entry whose payload depends on its index and on who wrote it.
pub(super) fn entry(index: u64, writer: &str) -> LogRecord {
    let payload = format!("{writer}/{index}/").repeat(1 + index as usize % 5);
    LogRecord { index, payload: Bytes::from(payload) }
}

pub(super) fn entries(range: std::ops::Range<u64>, writer: &str) -> Vec<LogRecord> {
    range.map(|index| entry(index, writer)).collect()
}

pub(super) fn everything(log: &RaftLog) -> Vec<LogRecord> {
    log.read(0..u64::MAX, EVERYTHING).unwrap()
}

fn segments(dir: &Path) -> usize {
    fs::read_dir(dir)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().extension() == Some("seg".as_ref()))
        .count()
}

#[test]
fn what_was_appended_is_read_back_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    assert_eq!((log.first_index(), log.last_index(), log.next_index()), (None, None, 0));
    log.append(&[]).unwrap();
    log.append(&entries(0..1, "a")).unwrap();
    log.append(&entries(1..20, "a")).unwrap();
    for index in 20..100 {
        log.append(&[entry(index, "a")]).unwrap();
    }
    assert_eq!(everything(&log), entries(0..100, "a"));
    assert!(segments(dir.path()) > 3);
    drop(log);
    let mut log = open(dir.path());
    assert_eq!((log.first_index(), log.last_index(), log.next_index()), (Some(0), Some(99), 100));
    assert_eq!(everything(&log), entries(0..100, "a"));
    log.append(&entries(100..110, "a")).unwrap();
    assert_eq!(everything(&open_again(log, dir.path())), entries(0..110, "a"));
}

fn open_again(log: RaftLog, dir: &Path) -> RaftLog {
    drop(log);
    open(dir)
}

#[test]
fn a_read_respects_its_range_and_its_budget() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    log.append(&entries(0..50, "a")).unwrap();
    assert_eq!(log.read(10..13, EVERYTHING).unwrap(), entries(10..13, "a"));
    assert_eq!(log.read(48..99, EVERYTHING).unwrap(), entries(48..50, "a"));
    assert_eq!(log.read(50..99, EVERYTHING).unwrap(), []);
    assert_eq!(log.read(13..10, EVERYTHING).unwrap(), []);
    assert_eq!(log.read(7..50, 0).unwrap(), entries(7..8, "a"), "at least one");
    let budget = entry(7, "a").payload.len() + entry(8, "a").payload.len();
    assert_eq!(log.read(7..50, budget).unwrap(), entries(7..9, "a"));
}

#[test]
fn empty_and_large_payloads() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    let sizes = [0, 1, 7, 8, 9, 4_000_000, 0];
    let records: Vec<_> =
        (0..).zip(sizes).map(|(index, size)| LogRecord { index, payload: vec![1; size].into() }).collect();
    log.append(&records[..3]).unwrap();
    log.append(&records[3..]).unwrap();
    assert_eq!(everything(&open_again(log, dir.path())), records);
}

#[test]
fn entries_that_do_not_follow_are_refused_and_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    assert!(matches!(log.append(&[entry(1, "a")]), Err(RaftLogError::OutOfOrder { expected: 0, found: 1 })));
    log.append(&entries(0..3, "a")).unwrap();
    assert!(matches!(log.append(&[entry(2, "a")]), Err(RaftLogError::OutOfOrder { expected: 3, found: 2 })));
    let gap = [entry(3, "a"), entry(5, "a")];
    assert!(matches!(log.append(&gap), Err(RaftLogError::OutOfOrder { expected: 4, found: 5 })));
    let too_long = LogRecord { index: 3, payload: vec![0; PAYLOAD_BYTES_MAX + 1].into() };
    assert!(matches!(log.append(&[too_long]), Err(RaftLogError::PayloadLength { index: 3, .. })));
    log.append(&entries(3..4, "a")).unwrap();
    assert_eq!(everything(&open_again(log, dir.path())), entries(0..4, "a"));
}

#[test]
fn truncation_at_every_place() {
    for from in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path());
        log.append(&entries(0..20, "old")).unwrap();
        for index in 20..60 {
            log.append(&[entry(index, "old")]).unwrap();
        }
        log.truncate_from(from).unwrap();
        assert_eq!(log.next_index(), from);
        let mut log = if from % 2 == 0 { open_again(log, dir.path()) } else { log };
        assert_eq!(everything(&log), entries(0..from, "old"), "truncated from {from}");
        log.append(&entries(from..from + 5, "new")).unwrap();
        let expected = [entries(0..from, "old"), entries(from..from + 5, "new")].concat();
        assert_eq!(everything(&open_again(log, dir.path())), expected, "appended at {from}");
    }
}

#[test]
fn truncating_nothing_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    log.truncate_from(0).unwrap();
    log.append(&entries(0..5, "a")).unwrap();
    log.truncate_from(5).unwrap();
    log.truncate_from(99).unwrap();
    assert_eq!(everything(&log), entries(0..5, "a"));
}

#[test]
fn purging_at_every_place_frees_whole_segments_and_is_remembered() {
    for to in 0..60 {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path());
        for index in 0..60 {
            log.append(&[entry(index, "a")]).unwrap();
        }
        let before = segments(dir.path());
        log.purge_to(to).unwrap();
        log.purge_to(to / 2).unwrap();
        assert_eq!(log.purged_index(), Some(to), "purging less than before changes nothing");
        assert_eq!(everything(&log), entries(to + 1..60, "a"));
        assert!(to < 40 || segments(dir.path()) < before);
        assert!(matches!(log.truncate_from(to), Err(RaftLogError::TruncatePurged { .. })));
        let mut log = open_again(log, dir.path());
        assert_eq!((log.purged_index(), log.next_index()), (Some(to), 60));
        assert_eq!(log.first_index(), (to < 59).then_some(to + 1));
        log.append(&entries(60..62, "a")).unwrap();
        log.truncate_from(to + 1).unwrap();
        log.append(&entries(to + 1..to + 4, "b")).unwrap();
        assert_eq!(everything(&open_again(log, dir.path())), entries(to + 1..to + 4, "b"));
    }
}

#[test]
fn purging_beyond_the_end_continues_behind_an_installed_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    log.purge_to(7).unwrap();
    assert_eq!((log.first_index(), log.last_index(), log.next_index()), (None, None, 8));
    log.append(&entries(8..30, "a")).unwrap();
    log.purge_to(1_000).unwrap();
    let mut log = open_again(log, dir.path());
    assert_eq!((log.first_index(), log.last_index(), log.next_index()), (None, None, 1_001));
    assert_eq!(segments(dir.path()), 0);
    log.append(&entries(1_001..1_003, "a")).unwrap();
    assert_eq!(everything(&open_again(log, dir.path())), entries(1_001..1_003, "a"));
}

#[test]
fn an_interrupted_purge_is_finished_by_opening() {
    let dir = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    for index in 0..60 {
        log.append(&[entry(index, "a")]).unwrap();
    }
    for file in fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    for to in [45, 59, 500] {
        log.purge_to(to).unwrap();
        fs::copy(dir.path().join("purged"), copy.path().join("purged")).unwrap();
        let copied = open(copy.path());
        assert_eq!((copied.purged_index(), copied.next_index()), (Some(to), log.next_index()));
        assert_eq!(everything(&copied), everything(&log));
    }
}

#[test]
fn readers_go_on_beside_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    let reader = log.reader();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut seen = 0;
            while seen < 300 {
                let next = reader.next_index();
                assert!(next >= seen, "entries do not vanish");
                for record in reader.read(seen..next, EVERYTHING).unwrap() {
                    assert_eq!(record, entry(seen, "a"));
                    seen += 1;
                }
            }
        });
        for index in (0..300).step_by(3) {
            log.append(&entries(index..index + 3, "a")).unwrap();
        }
    });
}

#[test]
fn after_a_failed_sync_every_call_fails_and_reopening_tells_the_truth() {
    fn failing(_: &File) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(5))
    }
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    let reader = log.reader();
    log.append(&entries(0..3, "a")).unwrap();
    log.sync_data = failing;
    assert!(matches!(log.append(&entries(3..5, "a")), Err(RaftLogError::Io { action: "sync", .. })));
    log.sync_data = File::sync_data;
    assert!(matches!(log.append(&entries(3..5, "a")), Err(RaftLogError::Poisoned)));
    assert!(matches!(log.truncate_from(1), Err(RaftLogError::Poisoned)));
    assert!(matches!(log.purge_to(1), Err(RaftLogError::Poisoned)));
    assert!(matches!(log.read(0..1, EVERYTHING), Err(RaftLogError::Poisoned)));
    assert!(matches!(reader.read(0..1, EVERYTHING), Err(RaftLogError::Poisoned)));
    assert_eq!(log.last_index(), Some(2), "what was not synced was never published");
    let log = open_again(log, dir.path());
    assert_eq!(log.read(0..3, EVERYTHING).unwrap(), entries(0..3, "a"));
}

#[test]
fn a_log_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let _log = open(dir.path());
    assert!(matches!(RaftLog::open(dir.path(), config()), Err(RaftLogError::InUse { .. })));
}

#[derive(Debug, Clone)]
enum Step {
    Append(u64),
    Truncate(u64),
    Purge(u64),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u64..12).prop_map(Step::Append),
        2 => (0u64..20).prop_map(Step::Truncate),
        1 => (0u64..20).prop_map(Step::Purge),
        2 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_behaves_like_a_vector(steps in prop::collection::vec(step(), 1..50)) {
        let dir = tempfile::tempdir().unwrap();
        let mut log = open(dir.path());
        let mut first = 0u64;
        let mut model: Vec<LogRecord> = Vec::new();
        for (round, step) in steps.iter().enumerate() {
            let next = first + model.len() as u64;
            match step {
                Step::Append(count) => {
                    let new = entries(next..next + count, &round.to_string());
                    log.append(&new).unwrap();
                    model.extend(new);
                }
                Step::Truncate(back) => {
                    let from = next.saturating_sub(*back).max(first);
                    log.truncate_from(from).unwrap();
                    model.truncate((from - first) as usize);
                }
                Step::Purge(ahead) => {
                    let to = first + ahead;
                    log.purge_to(to).unwrap();
                    model.retain(|record| record.index > to);
                    first = to + 1;
                }
                Step::Reopen => log = open_again(log, dir.path()),
            }
            prop_assert_eq!(log.next_index(), first + model.len() as u64);
            prop_assert_eq!(log.first_index(), model.first().map(|record| record.index));
            prop_assert_eq!(&everything(&log), &model);
        }
    }
}
