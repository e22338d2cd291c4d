//! A store in memory, and a runner that runs the tasks of a job one after the other.

use crate::engine::*;
use crate::placement::{InputId, NodeId};
use crate::plan::{BlockLocation, InputFile, LocatedFile, Split, plan};
use crate::sandbox::{Account, Execution};
use crate::shuffle::MapOutputFile;
use crate::spec::{JobSpec, Program};
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Objects by key, and finished outputs by name.
#[derive(Clone, Default)]
pub(super) struct MemoryStore {
    pub objects: Arc<Files>,
    pub outputs: Arc<Mutex<Files>>,
}

struct MemoryOutput {
    name: String,
    bytes: Vec<u8>,
    outputs: Arc<Mutex<Files>>,
}

impl Write for MemoryOutput {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl TaskOutput for MemoryOutput {
    fn finish(self: Box<Self>) -> Result<()> {
        let previous = self.outputs.lock().unwrap().insert(self.name.clone(), self.bytes);
        assert!(previous.is_none(), "{} was created twice", self.name);
        Ok(())
    }
}

impl TaskStore for MemoryStore {
    fn open(&self, file: &InputFile, offset: u64, length: u64) -> Result<Box<dyn Read + Send>> {
        let bytes = self.objects.get(&file.key).ok_or_else(|| Error::from(ErrorKind::NotFound))?;
        let begin = (offset as usize).min(bytes.len());
        let end = ((offset + length) as usize).min(bytes.len());
        Ok(Box::new(std::io::Cursor::new(bytes[begin..end].to_vec())))
    }

    fn open_url(&self, _: &str) -> Result<Box<dyn Read + Send>> {
        Err(ErrorKind::NotFound.into())
    }

    fn create(&self, name: &str) -> Result<Box<dyn TaskOutput>> {
        Ok(Box::new(MemoryOutput { name: name.into(), bytes: Vec::new(), outputs: self.outputs.clone() }))
    }
}

/// Map outputs where their attempts left them.
struct Outputs(Vec<MapOutputFile>);

impl MapOutputs for Outputs {
    fn open(&self, source: u32, partition: u32) -> Result<Box<dyn Read + Send>> {
        let segment = self.0[source as usize].segment(partition).ok_or_else(|| Error::from(ErrorKind::NotFound))?;
        Ok(Box::new(segment))
    }
}

/// Objects in blocks of so many bytes, on three nodes in turn.
pub(super) fn located(objects: &Files, block_bytes: u64) -> Vec<LocatedFile> {
    let mut block = 0;
    let mut located = Vec::new();
    for (key, bytes) in objects {
        let length = bytes.len() as u64;
        let file = InputFile { bucket: "in".into(), key: key.clone(), version: "1".into(), length, base: 0 };
        let mut blocks = Vec::new();
        let mut offset = 0;
        while offset < length {
            let run = block_bytes.min(length - offset);
            let nodes = vec![NodeId(block % 3)];
            blocks.push(BlockLocation { offset, length: run, block: InputId(block.into()), nodes });
            (offset, block) = (offset + run, block + 1);
        }
        located.push(LocatedFile { file, blocks });
    }
    located
}

pub(super) fn spec(program: Program) -> JobSpec {
    let inputs = if program.has_input() { vec!["s3://in/".to_string()] } else { Vec::new() };
    JobSpec { inputs, output: "s3://out/there".into(), program, ..JobSpec::default() }
}

/// What a job left.
#[derive(Debug)]
pub(super) struct Ran {
    pub outputs: Files,
    pub counters: BTreeMap<String, u64>,
    /// How many maps there were.
    pub maps: usize,
}

impl Ran {
    /// All parts, one behind the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.outputs.values().flatten().copied().collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

/// Runs a job to its end or its first failure.
pub(super) fn run_job(spec: &JobSpec, objects: &Files, block_bytes: u64) -> std::result::Result<Ran, TaskFailure> {
    run_watched(spec, objects, block_bytes, None, &Progress::default(), &Cancel::default())
}

/// The same, its processes run as `account`, with what is seen of it and a way to end it.
pub(super) fn run_watched(
    spec: &JobSpec,
    objects: &Files,
    block_bytes: u64,
    account: Option<Account>,
    progress: &Progress,
    cancel: &Cancel,
) -> std::result::Result<Ran, TaskFailure> {
    spec.validate().unwrap();
    let store = MemoryStore { objects: Arc::new(objects.clone()), outputs: Arc::default() };
    let splits = plan(spec, &located(objects, block_bytes), 3).unwrap();
    let splits: Vec<Split> = splits.into_iter().map(|planned| planned.split).collect();
    let cuts = if spec.needs_cuts() { sample_cuts(spec, &splits, &store, cancel)? } else { Vec::new() };
    let scratch = TempDir::new().unwrap();
    // Searched by the user that processes run as.
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let execution = Execution { launcher: std::env::current_exe().unwrap(), account };
    let job = JobRun { spec, store: &store, cuts: &cuts, scratch, progress, cancel, execution };
    let mut outputs = Outputs(Vec::new());
    let maps = splits.len();
    for (task, split) in splits.into_iter().enumerate() {
        if let AttemptDone::MapOutput { path, .. } = job.attempt(task as u32, &TaskInput::Map { split }, &outputs)? {
            outputs.0.push(MapOutputFile::open(&path).unwrap());
        }
    }
    for partition in 0..spec.reduces() {
        let sources = (0..maps as u32).collect();
        job.attempt(partition, &TaskInput::Reduce { partition, sources }, &outputs)?;
    }
    let outputs = store.outputs.lock().unwrap().clone();
    Ok(Ran { outputs, counters: progress.report().counters, maps })
}

struct JobRun<'a> {
    spec: &'a JobSpec,
    store: &'a MemoryStore,
    cuts: &'a [Vec<u8>],
    scratch: TempDir,
    progress: &'a Progress,
    cancel: &'a Cancel,
    execution: Execution,
}

impl JobRun<'_> {
    fn attempt(
        &self,
        task: u32,
        input: &TaskInput,
        outputs: &Outputs,
    ) -> std::result::Result<AttemptDone, TaskFailure> {
        let kind = if matches!(input, TaskInput::Map { .. }) { "m" } else { "r" };
        let scratch = self.scratch.path().join(format!("{kind}{task}"));
        std::fs::DirBuilder::new().mode(0o711).create(&scratch).unwrap();
        run_attempt(&Attempt {
            spec: self.spec,
            job: "job_1_1",
            task,
            number: 0,
            input,
            cuts: self.cuts,
            store: self.store,
            map_outputs: outputs,
            scratch: &scratch,
            progress: self.progress,
            cancel: self.cancel,
            execution: &self.execution,
        })
    }
}
