//! How fast the engine is by itself: built-in operators over local files, as many tasks at a time as there are processors.
//!
//! `cargo run --release -p granary-mapreduce --example throughput -- DIRECTORY [MIB]` makes its input below the directory
//! (text of Zipf-distributed words, and records of 100 bytes) and prints seconds for each operator. Maps and reduces
//! are the engine's own; only the store is replaced by files, so what a job takes beyond this is the store and scheduling.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use granary_mapreduce::engine::{
    Attempt, AttemptDone, Cancel, MapOutputs, Progress, TaskInput, TaskOutput, TaskStore, run_attempt, sample_cuts,
};
use granary_mapreduce::plan::{InputFile, LocatedFile, Split, plan};
use granary_mapreduce::sandbox::{Execution, LAUNCHER_ARGUMENT, launcher_main};
use granary_mapreduce::shuffle::MapOutputFile;
use granary_mapreduce::spec::{JobSpec, Program, Stage, Streaming};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::fs::File;
use std::io::{BufWriter, Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

struct FileStore {
    inputs: PathBuf,
    outputs: PathBuf,
}

struct FileOutput(File);

impl Write for FileOutput {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl TaskOutput for FileOutput {
    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

impl TaskStore for FileStore {
    fn open(&self, file: &InputFile, offset: u64, length: u64) -> Result<Box<dyn Read + Send>> {
        let mut input = File::open(self.inputs.join(&file.key))?;
        input.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(input.take(length)))
    }

    fn open_url(&self, _: &str) -> Result<Box<dyn Read + Send>> {
        Err(ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> Result<Box<dyn TaskOutput>> {
        Ok(Box::new(FileOutput(File::create(self.outputs.join(name))?)))
    }
}

struct Outputs(Mutex<Vec<Option<MapOutputFile>>>);

impl MapOutputs for Outputs {
    fn open(&self, source: u32, partition: u32) -> Result<Box<dyn Read + Send>> {
        let file = self.0.lock().unwrap()[source as usize].clone().ok_or_else(|| Error::from(ErrorKind::NotFound))?;
        Ok(Box::new(file.segment(partition).unwrap()))
    }
}

/// Runs a job over one input file and says how long it took.
fn run(spec: &JobSpec, input: &str, directory: &Path) {
    spec.validate().unwrap();
    let store = FileStore { inputs: directory.into(), outputs: directory.join("out") };
    let _ = std::fs::remove_dir_all(&store.outputs);
    std::fs::create_dir_all(&store.outputs).unwrap();
    let length = std::fs::metadata(directory.join(input)).unwrap().len();
    let file = InputFile { bucket: "in".into(), key: input.into(), version: "1".into(), length, base: 0 };
    let (begun, used) = (Instant::now(), cpu_seconds());
    let splits = plan(spec, &[LocatedFile { file, blocks: Vec::new() }], 2).unwrap();
    let splits: Vec<Split> = splits.into_iter().map(|planned| planned.split).collect();
    let cuts = match spec.needs_cuts() {
        true => sample_cuts(spec, &splits, &store, &Cancel::default()).unwrap(),
        false => Vec::new(),
    };
    let outputs = Outputs(Mutex::new(vec![None; splits.len()]));
    let sources: Vec<u32> = (0..splits.len() as u32).collect();
    let maps: Vec<TaskInput> = splits.into_iter().map(|split| TaskInput::Map { split }).collect();
    let reduce = |partition| TaskInput::Reduce { partition, sources: sources.clone() };
    let reduces: Vec<TaskInput> = (0..spec.reduces()).map(reduce).collect();
    let mut phases = Vec::new();
    for (kind, tasks) in [("map", maps), ("reduce", reduces)] {
        let phase = Instant::now();
        run_tasks(spec, &cuts, &store, &outputs, &directory.join("scratch").join(kind), &tasks);
        phases.push(format!("{kind} {:.2}", phase.elapsed().as_secs_f64()));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let name = spec.program.name();
    let cpu = cpu_seconds() - used;
    println!(
        "{name:12} {seconds:6.2} s, {cpu:6.2} s of processors  {:6.0} MB/s  ({})",
        length as f64 / 1e6 / seconds,
        phases.join(", ")
    );
    std::fs::remove_dir_all(directory.join("scratch")).unwrap();
}

/// Seconds of processor time of this process and those it has waited for.
fn cpu_seconds() -> f64 {
    let of = |who| {
        let usage = getrusage(who).unwrap();
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    };
    of(UsageWho::RUSAGE_SELF) + of(UsageWho::RUSAGE_CHILDREN)
}

fn run_tasks(
    spec: &JobSpec,
    cuts: &[Vec<u8>],
    store: &FileStore,
    outputs: &Outputs,
    scratch: &Path,
    tasks: &[TaskInput],
) {
    let next = AtomicUsize::new(0);
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let execution = Execution { launcher: std::env::current_exe().unwrap(), account: None };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let task = next.fetch_add(1, Ordering::Relaxed);
                    let Some(input) = tasks.get(task) else { return };
                    let scratch = scratch.join(task.to_string());
                    std::fs::create_dir_all(&scratch).unwrap();
                    let attempt = Attempt {
                        spec,
                        job: "job_0_0",
                        task: task as u32,
                        number: 0,
                        input,
                        cuts,
                        store,
                        map_outputs: outputs,
                        scratch: &scratch,
                        progress: &progress,
                        cancel: &cancel,
                        execution: &execution,
                    };
                    if let AttemptDone::MapOutput { path, .. } = run_attempt(&attempt).unwrap() {
                        outputs.0.lock().unwrap()[task] = Some(MapOutputFile::open(&path).unwrap());
                    }
                }
            });
        }
    });
}

/// Lines of words, some of them far more frequent than others.
fn make_text(path: &Path, bytes: u64) {
    let mut text = BufWriter::new(File::create(path).unwrap());
    let (mut random, mut written, mut column) = (1_u64, 0, 0);
    while written < bytes {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let uniform = (random >> 11) as f64 / (1_u64 << 53) as f64;
        // The inverse of a distribution in which rank and frequency are about inverse.
        let rank = (uniform * 200_000_f64.ln()).exp() as u64;
        let word = format!(
            "{}{:x}",
            ["ta", "ne", "or", "wi", "se"][(rank % 5) as usize],
            rank.wrapping_mul(2_654_435_761) % 16_777_213
        );
        column += word.len() + 1;
        written += word.len() as u64 + 1;
        text.write_all(word.as_bytes()).unwrap();
        text.write_all(if column > 80 { b"\n" } else { b" " }).unwrap();
        column = if column > 80 { 0 } else { column };
    }
    text.write_all(b"\n").unwrap();
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == LAUNCHER_ARGUMENT
    {
        std::process::exit(launcher_main(rest));
    }
    let directory = PathBuf::from(arguments.first().expect("a directory"));
    let mebibytes: u64 = arguments.get(1).map_or(1_000, |text| text.parse().unwrap());
    std::fs::create_dir_all(&directory).unwrap();
    let text = directory.join("text");
    if !text.exists() {
        make_text(&text, mebibytes << 20);
    }
    let job = |program: Program| JobSpec {
        inputs: if program.has_input() { vec!["s3://in/".into()] } else { Vec::new() },
        output: "s3://out/".into(),
        program,
        ..JobSpec::default()
    };
    run(&job(Program::Wordcount), "text", &directory);
    run(&JobSpec { reduces: Some(2), ..job(Program::Sort) }, "text", &directory);
    run(&job(Program::Identity), "text", &directory);
    run(&job(Program::Checksum(Default::default())), "text", &directory);
    run(&job(Program::Teragen((mebibytes << 20) / 100)), "text", &directory);
    let tera = File::create(directory.join("tera")).unwrap();
    let mut tera = BufWriter::new(tera);
    for part in 0..2 {
        let mut from = File::open(directory.join(format!("out/part-{part:05}"))).unwrap();
        std::io::copy(&mut from, &mut tera).unwrap();
    }
    tera.into_inner().unwrap();
    run(&JobSpec { reduces: Some(2), ..job(Program::Terasort) }, "tera", &directory);
    let cat = Streaming { mapper: Stage::Command(vec!["cat".into()]), reducer: None, ..Streaming::default() };
    run(&job(Program::Streaming(cat)), "text", &directory);
}
