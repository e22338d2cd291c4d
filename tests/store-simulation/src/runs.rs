//! Runs of one seed in this process, and of many in processes of their own: a fresh process has drawn no random number yet,
//! so nothing of one run can move another.

use crate::Arguments;
use crate::trace;
use crate::world::{Outcome, World};
use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a violation is printed behind.
const VIOLATION: &str = "violation: ";
/// The stack of a run's thread.
const STACK_BYTES: usize = 64 << 20;

/// Runs one seed and prints what was found: the last line is the figures.
pub fn one(seed: u64, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.log {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "off".into());
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    }
    let trace = arguments.trace.as_ref().map(std::fs::File::create).transpose()?;
    // Programs tell each other where their files are: a run must not show where it keeps them.
    let directory = tempfile::Builder::new().prefix("granary-simulation-").tempdir_in(memory_or_temporary())?;
    std::env::set_current_dir(directory.path())?;
    let path = std::path::PathBuf::from("machines");
    let (shape, mutation, log) = (arguments.shape(), arguments.mutation, arguments.log);
    anyhow::ensure!(shape.namenodes % 2 == 1 && shape.datanodes >= 3 && shape.clients >= 1, "too few machines");
    let run = move || {
        if let Some(file) = trace {
            trace::tell(file);
        }
        World::new(seed, shape, mutation, path, log).run()
    };
    let panics = Arc::new(Mutex::new(Vec::new()));
    let heard = panics.clone();
    // A task that panics is the product's; nobody else tells of it.
    std::panic::set_hook(Box::new(move |panic| heard.lock().expect("held for pushes only").push(panic.to_string())));
    let thread = std::thread::Builder::new().name("simulation".to_owned()).stack_size(STACK_BYTES).spawn(run)?;
    let outcome = thread.join().map_err(|_| anyhow::anyhow!("seed {seed}: the simulation itself panicked"))?;
    let mut violations = outcome.violations.clone();
    violations.extend(panics.lock().expect("held for pushes only").drain(..).map(|panic| panic.replace('\n', " ")));
    violations.iter().for_each(|violation| println!("{VIOLATION}{violation}"));
    let Outcome { trace, events, operations, faults, simulated_ms, .. } = outcome;
    println!(
        "seed={seed} trace={trace:016x} events={events} operations={operations} faults={faults} simulated_ms={simulated_ms}"
    );
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where the machines' files are kept: in memory, where there is such a place.
fn memory_or_temporary() -> std::path::PathBuf {
    let memory = std::path::PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

struct Progress {
    next: AtomicU64,
    done: AtomicU64,
    stop: AtomicBool,
    operations: AtomicU64,
    simulated_ms: AtomicU64,
    /// Seeds with violations.
    wrong: Mutex<Vec<u64>>,
}

/// Runs many seeds and prints a line of figures at the end.
pub fn many(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let jobs = match arguments.jobs {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs,
    };
    let progress = Progress {
        next: AtomicU64::new(arguments.first),
        done: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        operations: AtomicU64::new(0),
        simulated_ms: AtomicU64::new(0),
        wrong: Mutex::default(),
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| work(arguments, &progress, began))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    let mut wrong = progress.wrong.into_inner().unwrap_or_default();
    wrong.sort_unstable();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "seeds={} first={} violations={} operations={} simulated_s={} took_s={} mutation={:?}{}",
        count(&progress.done),
        arguments.first,
        wrong.len(),
        count(&progress.operations),
        count(&progress.simulated_ms) / 1000,
        began.elapsed().as_secs(),
        arguments.mutation,
        if wrong.is_empty() { String::new() } else { format!(" wrong={wrong:?}") },
    );
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn work(arguments: &Arguments, progress: &Progress, began: Instant) -> anyhow::Result<()> {
    let until = arguments.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    loop {
        let seed = progress.next.fetch_add(1, Ordering::Relaxed);
        let over = until.map_or(seed >= arguments.first + arguments.seeds, |until| began.elapsed() >= until);
        if over || progress.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        run_apart(seed, arguments, progress)?;
        progress.done.fetch_add(1, Ordering::Relaxed);
    }
}

fn run_apart(seed: u64, arguments: &Arguments, progress: &Progress) -> anyhow::Result<()> {
    let mut child = spawn(seed, arguments)?;
    let output = child.stdout.take().context("the run's output")?;
    let mut told = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        for (name, total) in [("operations=", &progress.operations), ("simulated_ms=", &progress.simulated_ms)] {
            let figure =
                line.split(' ').find_map(|word| word.strip_prefix(name)).and_then(|figure| figure.parse().ok());
            total.fetch_add(figure.unwrap_or(0), Ordering::Relaxed);
        }
        told.push(line);
    }
    if !child.wait()?.success() {
        // What is wrong on the disk of a machine that is not simulated is no finding.
        told.iter().filter(|line| line.starts_with(VIOLATION)).for_each(|line| println!("seed {seed}: {line}"));
        if told.is_empty() {
            println!("seed {seed}: the run ended without a word");
        }
        progress.wrong.lock().expect("held for pushes only").push(seed);
        progress.stop.fetch_or(arguments.until_violation, Ordering::Relaxed);
    }
    Ok(())
}

fn spawn(seed: u64, arguments: &Arguments) -> anyhow::Result<Child> {
    let mutation = clap::ValueEnum::to_possible_value(&arguments.mutation).expect("every mutation has a name");
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--seed", &seed.to_string(), "--mutation", mutation.get_name()]);
    let shape =
        [("--namenodes", arguments.namenodes), ("--datanodes", arguments.datanodes), ("--clients", arguments.clients)];
    for (name, count) in shape {
        command.args([name, &count.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("a run in a process of its own")
}
