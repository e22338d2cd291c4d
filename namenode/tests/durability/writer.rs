//! The child: writes as fast as it can and says so. It never ends by itself before its time is up.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use granary_namenode::engine::{Engine, EngineKind};
use granary_namenode::raft_log::RaftLog;

use crate::workload::{Mode, applied, batch, doomed_entry, entry, log_config, log_dir, mix, open_engine};

const TASK_VARIABLE: &str = "GRANARY_DURABILITY_TASK";
const ACK: &str = "acked ";

/// A parent that died must not leave a writer behind.
const LIFETIME: Duration = Duration::from_secs(600);

/// Batches between two syncs of the engine that let the log be purged.
const PURGE_EVERY_BATCHES: u64 = 100;
const KEPT_ENTRIES: u64 = 200;

/// Batches between two truncations.
const TRUNCATE_EVERY_BATCHES: u64 = 30;

/// Not a test of its own: the entry of the child process.
#[test]
fn child_writer() {
    let Ok(task) = std::env::var(TASK_VARIABLE) else { return };
    let mut words = task.splitn(3, ' ');
    let mode = words.next().and_then(Mode::from_name).unwrap();
    let kind: EngineKind = words.next().unwrap().parse().unwrap();
    let dir = Path::new(words.next().unwrap());
    let written = match mode {
        Mode::EngineAlone => write_to_engine(kind, dir),
        Mode::LogPurged | Mode::LogKept => write_to_log_and_engine(kind, dir, mode),
    };
    if let Err(error) = written {
        // Expected when the disk goes away; the parent decides what it means.
        println!("stopped: {error:#}");
        std::process::exit(3);
    }
}

fn write_to_engine(kind: EngineKind, dir: &Path) -> anyhow::Result<()> {
    let engine = open_engine(kind, dir)?;
    let mut done = applied(&*engine)?;
    let start = Instant::now();
    while start.elapsed() < LIFETIME {
        let until = done + batch_length(done);
        engine.write(batch(done, until))?;
        engine.sync()?;
        acknowledge(until)?;
        done = until;
    }
    Ok(())
}

fn write_to_log_and_engine(kind: EngineKind, dir: &Path, mode: Mode) -> anyhow::Result<()> {
    let mut log = RaftLog::open(&log_dir(dir), log_config())?;
    let engine = open_engine(kind, dir)?;
    let mut done = log.next_index();
    ensure!(applied(&*engine)? == done, "the parent replays the log before it starts a writer");
    let start = Instant::now();
    for batches in 1.. {
        if start.elapsed() > LIFETIME {
            break;
        }
        let until = done + batch_length(done);
        let entries: Vec<_> = (done..until).map(entry).collect();
        log.append(&entries)?;
        acknowledge(until)?;
        engine.write(batch(done, until))?;
        done = until;
        if batches % TRUNCATE_EVERY_BATCHES == 0 {
            let doomed: Vec<_> = (done..done + 1 + batches % 7).map(doomed_entry).collect();
            log.append(&doomed)?;
            log.truncate_from(done)?;
        }
        if mode == Mode::LogPurged && batches % PURGE_EVERY_BATCHES == 0 {
            purge(&mut log, &*engine, done)?;
        }
    }
    Ok(())
}

fn purge(log: &mut RaftLog, engine: &dyn Engine, applied: u64) -> anyhow::Result<()> {
    engine.sync()?;
    if let Some(to) = applied.checked_sub(KEPT_ENTRIES) {
        log.purge_to(to)?;
    }
    Ok(())
}

fn batch_length(done: u64) -> u64 {
    1 + mix(!done) % 24
}

/// Past the test harness's capture, and before anything else happens.
fn acknowledge(count: u64) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ACK}{count}")?;
    out.flush().context("flush")
}

/// A running writer, seen from the parent.
pub struct Writer {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    /// How many commands are acknowledged.
    pub acked: u64,
    /// The same, before the last acknowledgement.
    pub acked_before_last: u64,
    /// Why the writer stopped, where it did by itself.
    pub stopped: Option<String>,
}

impl Writer {
    pub fn start(mode: Mode, kind: EngineKind, dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["writer::child_writer", "--exact", "--nocapture"])
            .env(TASK_VARIABLE, format!("{} {kind} {}", mode.name(), dir.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, acked: 0, acked_before_last: 0, stopped: None }
    }

    /// Reads until so many more batches are acknowledged.
    pub fn wait_for_batches(&mut self, batches: u64) {
        for _ in 0..batches {
            assert!(self.next_ack(), "the writer stopped early: {:?}", self.stopped);
        }
    }

    /// Stops all threads of the writer where they are; a system call in progress is finished first.
    pub fn freeze(&self) {
        let id = self.child.id();
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::STOP)
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_stopped(id) {
            assert!(Instant::now() < deadline, "the writer does not stop");
            std::thread::yield_now();
        }
    }

    /// `kill -9`, then reads what was still acknowledged before it took effect.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        while self.next_ack() {}
        self.child.wait().unwrap();
    }

    fn next_ack(&mut self) -> bool {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            // The first line shares its line with the harness's "test … ".
            if let Some(at) = line.find(ACK) {
                let Ok(count) = line[at + ACK.len()..].parse() else { continue };
                self.acked_before_last = std::mem::replace(&mut self.acked, count);
                return true;
            }
            if line.contains("stopped: ") {
                self.stopped = Some(line);
            }
        }
        false
    }
}

fn is_stopped(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap()).all(|stat| {
        // The state follows the name, which is in parentheses and may hold anything.
        stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('T'))
    })
}
