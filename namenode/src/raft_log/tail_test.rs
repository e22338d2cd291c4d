//! What opening does with the end of the log after a crash: an interrupted append is cut, damage is refused.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::log_test::{config, entries, entry, everything, open};
use super::*;

fn segment_paths(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension() == Some("seg".as_ref()));
    paths.sort();
    paths
}

fn last_segment(dir: &Path) -> PathBuf {
    segment_paths(dir).pop().unwrap()
}

/// The last segment's bytes and where its records end.
fn written(log: RaftLog, dir: &Path) -> (PathBuf, Vec<u8>, usize) {
    let tail = log.reader().shared.index().segments.back().unwrap().tail;
    drop(log);
    let path = last_segment(dir);
    let bytes = fs::read(&path).unwrap();
    (path, bytes, tail as usize)
}

fn refusal(dir: &Path) -> RaftLogError {
    RaftLog::open(dir, config()).err().expect("damage must be refused")
}

/// Three entries in single appends, then two in one append: `start` and `tail` enclose the last append.
fn log_with_last_append(dir: &Path) -> (PathBuf, Vec<u8>, usize, usize) {
    let mut log = open(dir);
    for index in 0..3 {
        log.append(&[entry(index, "a")]).unwrap();
    }
    let start = log.reader().shared.index().segments.back().unwrap().tail as usize;
    log.append(&entries(3..5, "a")).unwrap();
    let (path, bytes, tail) = written(log, dir);
    (path, bytes, start, tail)
}

/// What the log may hold after its last append was interrupted: a prefix that has everything acknowledged before.
fn assert_prefix_and_usable(dir: &Path, what: &str) {
    let mut log = open(dir);
    let kept = log.next_index();
    assert!((3..=5).contains(&kept), "{what}: next index {kept}");
    assert_eq!(everything(&log), entries(0..kept, "a"), "{what}");
    log.append(&entries(kept..kept + 2, "b")).unwrap();
    drop(log);
    let log = open(dir);
    assert_eq!(everything(&log), [entries(0..kept, "a"), entries(kept..kept + 2, "b")].concat(), "{what}");
}

#[test]
fn a_write_that_stopped_at_any_byte_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes, start, tail) = log_with_last_append(dir.path());
    for stop in start..tail {
        let mut zeros_behind = bytes.clone();
        zeros_behind[stop..].fill(0);
        fs::write(&path, &zeros_behind).unwrap();
        assert_prefix_and_usable(dir.path(), &format!("zeros from {stop}"));

        fs::write(&path, &bytes[..stop]).unwrap();
        assert_prefix_and_usable(dir.path(), &format!("file ends at {stop}"));
    }
}

#[test]
fn any_bad_byte_in_the_last_append_is_cut_and_never_read() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes, start, tail) = log_with_last_append(dir.path());
    for at in start..tail {
        let mut bad = bytes.clone();
        bad[at] ^= 0x40;
        fs::write(&path, &bad).unwrap();
        assert_prefix_and_usable(dir.path(), &format!("bad byte at {at}"));
    }
}

/// A disk writes sectors in any order: the first record of the last append may be missing and the second whole.
#[test]
fn a_hole_in_the_last_append_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut bytes, start, _) = log_with_last_append(dir.path());
    bytes[start..start + 40].fill(0);
    fs::write(&path, &bytes).unwrap();
    let log = open(dir.path());
    assert_eq!(everything(&log), entries(0..3, "a"));
}

#[test]
fn any_bad_byte_before_the_last_append_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes, start, _) = log_with_last_append(dir.path());
    let mut padding = 0;
    for at in 64..start {
        let mut bad = bytes.clone();
        bad[at] ^= 0x01;
        fs::write(&path, &bad).unwrap();
        match RaftLog::open(dir.path(), config()) {
            Err(RaftLogError::Corrupt { .. }) => {}
            // Padding is written but never used.
            Ok(log) if everything(&log) == entries(0..5, "a") => padding += 1,
            other => panic!("bad byte at {at}: {other:?}"),
        }
    }
    assert!(padding < 3 * 8, "{padding} bytes do not matter");
    fs::write(&path, &bytes).unwrap();
    assert_eq!(everything(&open(dir.path())), entries(0..5, "a"));
}

#[test]
fn damage_is_refused_far_behind_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let config = RaftLogConfig { segment_bytes: 64 << 20, preallocate_bytes: 4 << 20 };
    let mut log = RaftLog::open(dir.path(), config).unwrap();
    let large = |index| LogRecord { index, payload: vec![index as u8; 3 << 20].into() };
    log.append(&[large(0)]).unwrap();
    log.append(&[large(1)]).unwrap();
    let (path, bytes, _) = written(log, dir.path());
    let mut bad = bytes.clone();
    bad[64 + 8] ^= 0xff; // the length of the first record: its end is unknown
    fs::write(&path, &bad).unwrap();
    assert!(matches!(refusal(dir.path()), RaftLogError::Corrupt { offset: 64, .. }));
}

#[test]
fn damage_in_a_full_segment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    for index in 0..60 {
        log.append(&[entry(index, "a")]).unwrap();
    }
    drop(log);
    let full = segment_paths(dir.path()).swap_remove(1);
    let bytes = fs::read(&full).unwrap();
    for (at, what) in [(0, "magic"), (20, "first index"), (70, "record"), (bytes.len() - 20, "last record")] {
        let mut bad = bytes.clone();
        bad[at] ^= 0x08;
        fs::write(&full, &bad).unwrap();
        assert!(matches!(refusal(dir.path()), RaftLogError::Corrupt { .. }), "{what}");
    }
    fs::write(&full, &bytes[..bytes.len() - 40]).unwrap();
    assert!(matches!(refusal(dir.path()), RaftLogError::Corrupt { .. }), "shortened");
    fs::remove_file(&full).unwrap();
    assert!(matches!(refusal(dir.path()), RaftLogError::Corrupt { .. }), "missing");
    fs::write(&full, &bytes).unwrap();
    assert_eq!(everything(&open(dir.path())), entries(0..60, "a"));
    fs::remove_file(&segment_paths(dir.path())[0]).unwrap();
    assert!(matches!(refusal(dir.path()), RaftLogError::Corrupt { .. }), "first segment missing");
}

#[test]
fn an_unknown_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut bytes, ..) = log_with_last_append(dir.path());
    bytes[8] = 9;
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(refusal(dir.path()), RaftLogError::LayoutVersion { found: 9, .. }));
}

#[test]
fn nothing_of_a_truncated_tail_stays_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    for index in 0..8 {
        log.append(&[entry(index, "old")]).unwrap();
    }
    log.truncate_from(2).unwrap();
    log.append(&[LogRecord { index: 2, payload: "new".into() }]).unwrap();
    let (_, bytes, tail) = written(log, dir.path());
    assert!(bytes[tail..].iter().all(|&byte| byte == 0));
    assert!(!bytes.windows(5).any(|window| window == b"old/3"));
}

/// Should a file system bring the old bytes back nevertheless: they do not chain to the new entry, so they are not read.
#[test]
fn a_stale_record_behind_the_tail_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    for index in 0..4 {
        log.append(&[entry(index, "old")]).unwrap();
    }
    let (path, old_bytes, old_tail) = written(log, dir.path());
    let mut log = open(dir.path());
    log.truncate_from(2).unwrap();
    // The same length as the entry it replaces: the stale entry 3 begins exactly where the next one is expected.
    log.append(&[entry(2, "new")]).unwrap();
    let (_, _, tail) = written(log, dir.path());
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&old_bytes[tail..old_tail], tail as u64).unwrap();

    let mut log = open(dir.path());
    let expected = [entries(0..2, "old"), entries(2..3, "new")].concat();
    assert_eq!(everything(&log), expected);
    log.append(&[entry(3, "new")]).unwrap();
    drop(log);
    assert_eq!(everything(&open(dir.path())), [entries(0..2, "old"), entries(2..4, "new")].concat());
}

#[test]
fn a_record_that_changes_under_a_running_log_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    log.append(&entries(0..3, "a")).unwrap();
    let file = fs::File::options().write(true).open(last_segment(dir.path())).unwrap();
    file.write_all_at(b"X", 64 + 32).unwrap();
    assert!(matches!(log.read(0..3, usize::MAX), Err(RaftLogError::Corrupt { offset: 64, .. })));
    assert_eq!(log.read(1..3, usize::MAX).unwrap(), entries(1..3, "a"));
}

#[test]
fn an_unfinished_segment_file_is_swept_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path());
    log.append(&entries(0..3, "a")).unwrap();
    drop(log);
    let unfinished = dir.path().join("00000000000000000003.seg.tmp");
    fs::write(&unfinished, b"half a header").unwrap();
    assert_eq!(everything(&open(dir.path())), entries(0..3, "a"));
    assert!(!unfinished.exists());
}
