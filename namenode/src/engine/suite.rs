//! `metadata_engine_suite`: the behaviours every metadata engine must show, run on each adapter.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::layout::allocated_bytes;
use super::{
    Engine, EngineConfig, EngineError, EngineKind, EngineSnapshot, KEY_BYTES_MAX, Scan, VALUE_BYTES_MAX, WriteBatch,
    open,
};

fn config() -> EngineConfig {
    // Small memtables, so that the suite also meets data that has been written out.
    EngineConfig { cache_bytes: 8 << 20, memtable_bytes: 1 << 20 }
}

fn batch(pairs: &[(&[u8], &[u8])]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for (key, value) in pairs {
        batch.put(key.to_vec(), value.to_vec());
    }
    batch
}

fn put(engine: &dyn Engine, key: &[u8], value: &[u8]) {
    engine.write(batch(&[(key, value)])).unwrap();
}

fn delete(engine: &dyn Engine, key: &[u8]) {
    let mut batch = WriteBatch::new();
    batch.delete(key.to_vec());
    engine.write(batch).unwrap();
}

fn keys(scan: Scan<'_>) -> Vec<Vec<u8>> {
    scan.map(|pair| pair.unwrap().0.to_vec()).collect()
}

fn pairs(scan: Scan<'_>) -> Vec<(Bytes, Bytes)> {
    scan.collect::<Result<_, _>>().unwrap()
}

fn keys_are_ordered_by_bytes(engine: &dyn Engine) {
    let mut expected: Vec<Vec<u8>> =
        [&b"a.txt"[..], b"a/", b"a/b", b"a0", b"\0", b"\xff", b"\xff\xff", b"a", b"\0\0", b"A"]
            .map(<[u8]>::to_vec)
            .into();
    for key in &expected {
        put(engine, key, key);
    }
    expected.sort();
    assert_eq!(keys(engine.scan(b"", None)), expected);
    assert_eq!(keys(engine.scan(b"a/", None)), [&b"a/"[..], b"a/b", b"a0", b"\xff", b"\xff\xff"]);
}

fn a_scan_ends_before_its_end(engine: &dyn Engine) {
    engine.write(batch(&[(b"a/1", b"1"), (b"a/2", b"2"), (b"a0", b"x"), (b"a.", b"x")])).unwrap();
    assert_eq!(keys(engine.scan(b"a/", Some(b"a0"))), [b"a/1", b"a/2"]);
    assert_eq!(keys(engine.scan(b"a/2", Some(b"a/2"))), Vec::<Vec<u8>>::new());
    assert_eq!(keys(engine.scan(b"b", Some(b"a"))), Vec::<Vec<u8>>::new());
    assert_eq!(keys(engine.scan(b"zzz", None)), Vec::<Vec<u8>>::new());
    let view = engine.snapshot().unwrap();
    assert_eq!(keys(view.scan(b"a/", Some(b"a0"))), [b"a/1", b"a/2"]);
    assert_eq!(keys(view.scan(b"b", Some(b"a"))), Vec::<Vec<u8>>::new());
}

fn the_last_of_a_range_is_found(engine: &dyn Engine) {
    engine.write(batch(&[(b"a", b"1"), (b"c", b"3"), (b"e", b"5")])).unwrap();
    let last = |from: &[u8], until: &[u8]| engine.last_in(from, until).unwrap().map(|(key, _)| key.to_vec());
    assert_eq!(last(b"a", b"z"), Some(b"e".to_vec()));
    assert_eq!(last(b"a", b"e"), Some(b"c".to_vec()));
    assert_eq!(last(b"b", b"d"), Some(b"c".to_vec()));
    assert_eq!(last(b"b", b"c"), None);
    assert_eq!(last(b"e", b"a"), None);
    delete(engine, b"e");
    assert_eq!(last(b"a", b"z"), Some(b"c".to_vec()));
}

fn the_last_change_of_a_key_in_a_batch_counts(engine: &dyn Engine) {
    put(engine, b"kept", b"old");
    let mut batch = WriteBatch::new();
    batch.put(&b"gone"[..], &b"1"[..]);
    batch.put(&b"twice"[..], &b"1"[..]);
    batch.delete(&b"kept"[..]);
    batch.put(&b"twice"[..], &b"2"[..]);
    batch.delete(&b"gone"[..]);
    batch.put(&b"kept"[..], &b"new"[..]);
    engine.write(batch).unwrap();
    assert_eq!(engine.get(b"gone").unwrap(), None);
    assert_eq!(engine.get(b"twice").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(engine.get(b"kept").unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(keys(engine.scan(b"", None)), [&b"kept"[..], b"twice"]);
    engine.write(WriteBatch::new()).unwrap();
}

fn sizes_at_the_limits(engine: &dyn Engine) {
    let long_key = vec![b'k'; 1_300];
    let longest_key = vec![b'l'; KEY_BYTES_MAX];
    let large_value = vec![7; 1 << 20];
    let largest_value = vec![8; VALUE_BYTES_MAX];
    put(engine, b"empty", b"");
    put(engine, &long_key, &large_value);
    put(engine, &longest_key, &largest_value);
    assert_eq!(engine.get(b"empty").unwrap().as_deref(), Some(&b""[..]));
    assert_eq!(engine.get(&long_key).unwrap().as_deref(), Some(&large_value[..]));
    assert_eq!(engine.get(&longest_key).unwrap().as_deref(), Some(&largest_value[..]));
    assert_eq!(keys(engine.scan(b"", None)), [b"empty".to_vec(), long_key, longest_key.clone()]);

    let refused = |batch: WriteBatch| engine.write(batch).unwrap_err();
    assert!(matches!(refused(batch(&[(b"x", b"1"), (b"", b"")])), EngineError::KeyLength { key_bytes: 0 }));
    let too_long = vec![0; KEY_BYTES_MAX + 1];
    assert!(matches!(refused(batch(&[(b"x", b"1"), (&too_long, b"")])), EngineError::KeyLength { .. }));
    let too_large = vec![0; VALUE_BYTES_MAX + 1];
    assert!(matches!(refused(batch(&[(b"x", b"1"), (b"y", &too_large)])), EngineError::ValueLength { .. }));
    assert_eq!(engine.get(b"x").unwrap(), None, "a refused batch changes nothing");
    assert_eq!(engine.get(b"").unwrap(), None);
    assert_eq!(engine.get(&too_long).unwrap(), None);
}

fn a_snapshot_does_not_see_later_writes(engine: &dyn Engine) {
    for number in 0..100u32 {
        put(engine, &number.to_be_bytes(), b"before");
    }
    let expected = pairs(engine.scan(b"", None));
    let view = engine.snapshot().unwrap();
    let mut running = view.scan(b"", None);
    let mut seen: Vec<_> = running.by_ref().take(10).map(Result::unwrap).collect();

    for number in 0..100u32 {
        match number % 3 {
            0 => put(engine, &number.to_be_bytes(), b"after"),
            1 => delete(engine, &number.to_be_bytes()),
            _ => put(engine, &[&number.to_be_bytes()[..], b"+"].concat(), b"inserted"),
        }
    }
    put(engine, b"\xff", b"inserted");
    delete(engine, &0u32.to_be_bytes());
    put(engine, &0u32.to_be_bytes(), b"again");

    seen.extend(running.map(Result::unwrap));
    assert_eq!(seen, expected, "a scan begun before the writes");
    assert_eq!(pairs(view.scan(b"", None)), expected, "a scan of an old snapshot");
    assert_eq!(view.get(&0u32.to_be_bytes()).unwrap().as_deref(), Some(&b"before"[..]));
    assert_eq!(view.get(&1u32.to_be_bytes()).unwrap().as_deref(), Some(&b"before"[..]));
    assert_eq!(view.get(b"\xff").unwrap(), None);
    assert_eq!(engine.get(&1u32.to_be_bytes()).unwrap(), None);
    assert_eq!(engine.get(b"\xff").unwrap().as_deref(), Some(&b"inserted"[..]));
}

/// One thread moves a token between two keys in one batch; no view may ever see it twice or not at all.
fn a_view_sees_whole_batches_only(engine: &dyn Engine) {
    const ROUNDS: u32 = 2_000;
    let place = |round: u32| format!("token/{:03}", round * 37 % 101).into_bytes();
    put(engine, &place(0), b"0");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for round in 1..ROUNDS {
                let mut batch = WriteBatch::new();
                batch.delete(place(round - 1));
                batch.put(place(round), round.to_string());
                engine.write(batch).unwrap();
            }
            is_done.store(true, Ordering::Release);
        });
        while !is_done.load(Ordering::Acquire) {
            assert_eq!(keys(engine.scan(b"token/", Some(b"token0"))).len(), 1);
            let view = engine.snapshot().unwrap();
            let first = pairs(view.scan(b"token/", None));
            assert_eq!(first.len(), 1);
            assert_eq!(view.get(&first[0].0).unwrap().as_ref(), Some(&first[0].1));
            assert_eq!(pairs(view.scan(b"", None)), first);
        }
    });
}

fn a_snapshot_outlives_the_call_that_took_it(engine: &dyn Engine) {
    put(engine, b"k", b"v");
    let view: Box<dyn EngineSnapshot> = engine.snapshot().unwrap();
    let found = std::thread::spawn(move || keys(view.scan(b"", None)).len()).join().unwrap();
    assert_eq!(found, 1);
}

fn a_scan_passes_over_what_was_deleted(engine: &dyn Engine) {
    let key = |number: u32| format!("dir/{number:06}").into_bytes();
    for chunk in 0..20 {
        let mut batch = WriteBatch::new();
        for number in chunk * 1_000..(chunk + 1) * 1_000 {
            batch.put(key(number), vec![b'v'; 100]);
        }
        engine.write(batch).unwrap();
    }
    for chunk in 0..20 {
        let mut batch = WriteBatch::new();
        for number in (chunk * 1_000..(chunk + 1) * 1_000).filter(|number| number % 5_000 != 4_999) {
            batch.delete(key(number));
        }
        engine.write(batch).unwrap();
    }
    let left: Vec<_> = [4_999, 9_999, 14_999, 19_999].map(key).into();
    assert_eq!(keys(engine.scan(b"dir/", Some(b"dir0"))), left);
    assert_eq!(keys(engine.scan(&key(5_000), Some(&key(15_000)))), left[1..3]);
    assert_eq!(engine.get(&key(17)).unwrap(), None);
}

const EMPTY_ENGINE_BEHAVIOURS: &[(&str, fn(&dyn Engine))] = &[
    ("keys_are_ordered_by_bytes", keys_are_ordered_by_bytes),
    ("a_scan_ends_before_its_end", a_scan_ends_before_its_end),
    ("the_last_of_a_range_is_found", the_last_of_a_range_is_found),
    ("the_last_change_of_a_key_in_a_batch_counts", the_last_change_of_a_key_in_a_batch_counts),
    ("sizes_at_the_limits", sizes_at_the_limits),
    ("a_snapshot_does_not_see_later_writes", a_snapshot_does_not_see_later_writes),
    ("a_view_sees_whole_batches_only", a_view_sees_whole_batches_only),
    ("a_snapshot_outlives_the_call_that_took_it", a_snapshot_outlives_the_call_that_took_it),
    ("a_scan_passes_over_what_was_deleted", a_scan_passes_over_what_was_deleted),
];

fn metadata_engine_suite(kind: EngineKind) {
    for (name, behaviour) in EMPTY_ENGINE_BEHAVIOURS {
        println!("{kind}: {name}");
        let dir = tempfile::tempdir().unwrap();
        behaviour(&*open(kind, dir.path(), &config()).unwrap());
    }
}

/// What engines on disk must show besides.
fn durable_engine_suite(kind: EngineKind) {
    let dir = tempfile::tempdir().unwrap();
    what_was_synced_is_there_after_reopening(kind, dir.path());
    a_directory_in_use_is_refused(kind, dir.path());
    a_foreign_layout_is_refused(kind, dir.path());
}

fn what_was_synced_is_there_after_reopening(kind: EngineKind, dir: &Path) {
    for round in 0..3u32 {
        let engine = open(kind, dir, &config()).unwrap();
        assert_eq!(keys(engine.scan(b"round", None)).len(), round as usize);
        put(&*engine, format!("round{round}").as_bytes(), b"");
        put(&*engine, b"moving", &round.to_be_bytes());
        delete(&*engine, b"gone");
        put(&*engine, b"large", &vec![round as u8; 1 << 20]);
        engine.sync().unwrap();
        assert!(engine.disk_bytes().unwrap() > 0);
    }
    let engine = open(kind, dir, &config()).unwrap();
    assert_eq!(engine.get(b"moving").unwrap().as_deref(), Some(&2u32.to_be_bytes()[..]));
    assert_eq!(engine.get(b"gone").unwrap(), None);
    assert_eq!(engine.get(b"large").unwrap().as_deref(), Some(&vec![2; 1 << 20][..]));
    assert_eq!(keys(engine.scan(b"", None)), [&b"large"[..], b"moving", b"round0", b"round1", b"round2"]);
}

fn a_directory_in_use_is_refused(kind: EngineKind, dir: &Path) {
    let _holder: Arc<dyn Engine> = open(kind, dir, &config()).unwrap();
    let refused = open(kind, dir, &config()).err().expect("two handles on one directory");
    assert!(matches!(refused, EngineError::InUse { .. }), "{refused}");
}

fn a_foreign_layout_is_refused(kind: EngineKind, dir: &Path) {
    let refused = |text: Option<&str>| {
        match text {
            Some(text) => std::fs::write(dir.join("LAYOUT"), text).unwrap(),
            None => std::fs::remove_file(dir.join("LAYOUT")).unwrap(),
        }
        open(kind, dir, &config()).err().expect("a foreign layout")
    };
    let other = if kind == EngineKind::Fjall { EngineKind::Sled } else { EngineKind::Fjall };
    let error = refused(Some(&format!("layout_version 1\nengine {other}\n")));
    assert!(
        matches!(error, EngineError::LayoutOtherEngine { found, wanted, .. } if found == other && wanted == kind),
        "{error}"
    );
    let error = refused(Some(&format!("layout_version 2\nsomething else {kind}\n")));
    assert!(matches!(error, EngineError::LayoutVersion { found: 2, .. }), "{error}");
    assert!(matches!(refused(Some("")), EngineError::LayoutUnreadable { .. }));
    assert!(matches!(refused(Some("layout_version 1\nengine rocks\n")), EngineError::LayoutUnreadable { .. }));
    assert!(matches!(refused(None), EngineError::LayoutUnreadable { .. }), "data without a LAYOUT file");
}

#[test]
fn memory_passes_the_suite() {
    metadata_engine_suite(EngineKind::Memory);
}

#[test]
fn fjall_passes_the_suite() {
    metadata_engine_suite(EngineKind::Fjall);
    durable_engine_suite(EngineKind::Fjall);
}

/// sled is not asked: it gives no space back.
#[test]
fn fjall_gives_back_the_space_of_deleted_data() {
    const RECORDS: u32 = 40_000;
    let dir = tempfile::tempdir().unwrap();
    let engine = open(EngineKind::Fjall, dir.path(), &config()).unwrap();
    let view_before = engine.snapshot().unwrap();
    for from in (0..RECORDS).step_by(1_000) {
        let mut batch = WriteBatch::new();
        for number in from..from + 1_000 {
            // Incompressible enough: neighbours share nothing.
            batch.put(number.to_be_bytes().to_vec(), number.wrapping_mul(0x9e37_79b9).to_le_bytes().repeat(64));
        }
        engine.write(batch).unwrap();
    }
    drop(view_before);
    engine.compact().unwrap();
    // Without the journal: it holds up to 64 MiB whatever the tables hold, and this is about the tables.
    let tables = dir.path().join("fjall").join("keyspaces");
    let full_bytes = allocated_bytes(&tables).unwrap();
    let mut batch = WriteBatch::new();
    for number in (0..RECORDS).filter(|number| number % 10 != 0) {
        batch.delete(number.to_be_bytes().to_vec());
    }
    engine.write(batch).unwrap();
    // fjall removes old files in the background, when it next writes one.
    let row = (0u32.to_be_bytes().to_vec(), 0u32.to_le_bytes().repeat(64));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        engine.compact().unwrap();
        let left_bytes = allocated_bytes(&tables).unwrap();
        if left_bytes < full_bytes / 2 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{full_bytes} bytes before, {left_bytes} after");
        let mut batch = WriteBatch::new();
        batch.put(row.0.clone(), row.1.clone());
        engine.write(batch).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let expected: Vec<_> = (0..RECORDS).step_by(10).map(|number| number.to_be_bytes().to_vec()).collect();
    assert_eq!(keys(engine.scan(b"", None)), expected);
}

#[test]
fn sled_passes_the_suite() {
    metadata_engine_suite(EngineKind::Sled);
    durable_engine_suite(EngineKind::Sled);
}

#[test]
fn engine_names_round_trip() {
    for kind in [EngineKind::Fjall, EngineKind::Sled, EngineKind::Memory] {
        assert_eq!(kind.to_string().parse::<EngineKind>().unwrap(), kind);
    }
    assert!(matches!("Fjall".parse::<EngineKind>(), Err(EngineError::UnknownKind { .. })));
}
