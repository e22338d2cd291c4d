//! Measures one metadata engine, or the Raft log: the numbers behind `docs/decisions/0001-metadata-engine.md`.
//!
//! ```text
//! cargo run --release -p granary-namenode --example engine_measure -- fjall [records] [value_bytes] [dir]
//! cargo run --release -p granary-namenode --example engine_measure -- log [appends] [payload_bytes] [dir]
//! ```
//!
//! One subject a process, because memory is measured too. `dir` should be on the disk in question; default is a temporary
//! directory. Values are random bytes, so compression wins nothing.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};
use granary_namenode::engine::{Engine, EngineConfig, EngineKind, WriteBatch, open};
use granary_namenode::raft_log::{LogRecord, RaftLog, RaftLogConfig};

/// As many changes as one group of commands makes.
const BATCH: u64 = 100;
const DIRECTORIES: u64 = 10_000;
const GETS: u64 = 100_000;
const SEEKS: u64 = 20_000;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let subject = arguments.next().unwrap_or_else(|| EngineKind::default().to_string());
    let count = arguments.next().map(|word| word.parse()).transpose()?.unwrap_or(1_000_000);
    let value_bytes = arguments.next().map(|word| word.parse()).transpose()?.unwrap_or(300);
    let temporary = tempfile::tempdir()?;
    let dir = arguments.next().map_or(temporary.path().to_owned(), Into::into);
    match subject.as_str() {
        "log" => measure_log(&dir, count, value_bytes),
        name => measure_engine(name.parse()?, &dir, count, value_bytes),
    }
}

fn measure_engine(kind: EngineKind, dir: &Path, records: u64, value_bytes: usize) -> anyhow::Result<()> {
    let config = EngineConfig::default();
    let engine = open(kind, dir, &config)?;
    let raw_bytes = records * (key(0).len() + value_bytes) as u64;
    println!("{kind}: {records} records, {} B keys, {value_bytes} B values", key(0).len());

    let start = Instant::now();
    for from in (0..records).step_by(BATCH as usize) {
        let mut batch = WriteBatch::new();
        for number in from..(from + BATCH).min(records) {
            batch.put(key(number), value(number, value_bytes));
        }
        engine.write(batch)?;
    }
    engine.sync()?;
    println!(
        "load            {:8.1} s    RSS {} MB, peak {} MB",
        start.elapsed().as_secs_f64(),
        rss("VmRSS")?,
        rss("VmHWM")?
    );
    let disk_bytes = engine.disk_bytes()?;
    println!("disk            {:8.2} x raw ({} MB)", disk_bytes as f64 / raw_bytes as f64, disk_bytes >> 20);

    // The first pass reads from disk into the cache, the second mostly from memory.
    for pass in ["first", "second"] {
        let start = Instant::now();
        for number in (0..GETS).map(|at| mix(at) % records) {
            let found = engine.get(&key(number))?.context("a loaded key")?;
            ensure!(found.len() == value_bytes);
        }
        println!("get {pass:<6}      {:8.1} us", micros_each(start, GETS));
    }

    let start = Instant::now();
    let mut rows = 0;
    for pair in engine.scan(b"", None) {
        black_box(pair?);
        rows += 1;
    }
    ensure!(rows == records, "scanned {rows}");
    println!("scan            {:8.0} krow/s", rows as f64 / start.elapsed().as_secs_f64() / 1e3);

    let start = Instant::now();
    for at in 0..SEEKS {
        let prefix = directory(mix(at) % DIRECTORIES);
        black_box(engine.scan(prefix.as_bytes(), None).next().transpose()?);
    }
    println!(
        "seek per prefix {:8.1} us    RSS {} MB, peak {} MB",
        micros_each(start, SEEKS),
        rss("VmRSS")?,
        rss("VmHWM")?
    );

    measure_durable_writes(&*engine, records, value_bytes)?;
    measure_deletes(&*engine, records)?;

    drop(engine);
    let start = Instant::now();
    let engine = open(kind, dir, &config)?;
    black_box(engine.get(&key(0))?);
    println!("open            {:8.2} s", start.elapsed().as_secs_f64());
    println!("disk            {:8.0} MB after reopening", engine.disk_bytes()? >> 20);
    Ok(())
}

fn measure_durable_writes(engine: &dyn Engine, records: u64, value_bytes: usize) -> anyhow::Result<()> {
    const WRITES: u64 = 2_000;
    let start = Instant::now();
    for number in 0..WRITES {
        let mut batch = WriteBatch::new();
        batch.put(key(number % records), value(number, value_bytes));
        engine.write(batch)?;
        engine.sync()?;
    }
    println!("write + sync    {:8.0} /s", WRITES as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

fn measure_deletes(engine: &dyn Engine, records: u64) -> anyhow::Result<()> {
    let start = Instant::now();
    for from in (0..records).step_by(BATCH as usize) {
        let mut batch = WriteBatch::new();
        for number in (from..(from + BATCH).min(records)).filter(|number| number % 10 != 0) {
            batch.delete(key(number));
        }
        engine.write(batch)?;
    }
    engine.sync()?;
    println!("delete 90 %     {:8.1} s    disk {} MB", start.elapsed().as_secs_f64(), engine.disk_bytes()? >> 20);

    let start = Instant::now();
    let left = engine.scan(b"", None).count() as u64;
    ensure!(left == records.div_ceil(10), "{left} left");
    println!("scan what is left {:6.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    engine.compact()?;
    println!(
        "compact         {:8.1} s    disk {} MB, RSS {} MB",
        start.elapsed().as_secs_f64(),
        engine.disk_bytes()? >> 20,
        rss("VmRSS")?
    );
    Ok(())
}

fn measure_log(dir: &Path, appends: u64, payload_bytes: usize) -> anyhow::Result<()> {
    let appends = appends.min(20_000);
    let mut log = RaftLog::open(&dir.join("log"), RaftLogConfig::default())?;
    for batch in [1, 8, 64] {
        let mut next = log.next_index();
        let mut took_us = Vec::new();
        let start = Instant::now();
        for _ in 0..appends / batch.min(8) {
            let entries: Vec<_> = (next..next + batch)
                .map(|index| LogRecord { index, payload: value(index, payload_bytes).into() })
                .collect();
            let append_start = Instant::now();
            log.append(&entries)?;
            took_us.push(append_start.elapsed().as_micros());
            next += batch;
        }
        let elapsed = start.elapsed().as_secs_f64();
        took_us.sort_unstable();
        println!(
            "log: {batch:2} entries of {payload_bytes} B an append: {:6.0} appends/s, {:7.0} entries/s, median {} us, 99 % {} us",
            took_us.len() as f64 / elapsed,
            took_us.len() as f64 * batch as f64 / elapsed,
            took_us[took_us.len() / 2],
            took_us[took_us.len() * 99 / 100],
        );
    }
    let entries = log.next_index();
    let log_bytes = log.reader().log_bytes();
    drop(log);
    let start = Instant::now();
    let log = RaftLog::open(&dir.join("log"), RaftLogConfig::default())?;
    ensure!(log.next_index() == entries);
    println!("log: opening {entries} entries, {} MB: {:.0} ms", log_bytes >> 20, start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

fn directory(number: u64) -> String {
    format!("entries/{number:016x}/")
}

/// 62 bytes: a directory of about a hundred keys, and a name in it. Loaded in an order unlike that of the keys.
fn key(number: u64) -> Vec<u8> {
    let bits = mix(number);
    format!("{}object-{bits:016x}-{number:013}", directory(bits % DIRECTORIES)).into_bytes()
}

fn value(number: u64, value_bytes: usize) -> Vec<u8> {
    (0..value_bytes.div_ceil(8) as u64)
        .flat_map(|word| mix(number << 20 | word).to_le_bytes())
        .take(value_bytes)
        .collect()
}

/// SplitMix64: spreads a number over all bits.
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn micros_each(start: Instant, count: u64) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}

/// A line of `/proc/self/status`, in MB.
fn rss(field: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).context("no such line")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kilobytes >> 10)
}
