//! WebAssembly programs: the same contract as processes of native code, and stricter bounds.

use crate::Case;
use crate::engine::{Cancel, Progress, TaskFailure};
use crate::fixture::{Ran, run_watched, spec};
use crate::limits::account;
use crate::spec::{CachedFile, FileSource, JobSpec, Program, Resources, Stage, Streaming};
use crate::streaming::{counted, one};

pub const CASES: [Case; 5] = [
    ("modules count words as processes do", words_are_counted),
    ("a module has the task's environment", environment),
    ("a module has no files", files),
    ("a module's memory and processor time are bounded", bounds),
    ("a module that traps fails its attempt", traps),
];

fn module(what: &str) -> Stage {
    Stage::Module(vec!["words.wasm".into(), what.into()])
}

fn job(mapper: &str, combiner: Option<&str>, reducer: Option<&str>) -> JobSpec {
    let bytes = wat::parse_str(include_str!("words.wat")).unwrap();
    let file = CachedFile { name: "words.wasm".into(), source: FileSource::packed(&bytes), executable: false };
    let program = Program::Streaming(Streaming {
        mapper: module(mapper),
        combiner: combiner.map(module),
        reducer: reducer.map(module),
        ..Streaming::default()
    });
    JobSpec { files: vec![file], ..spec(program) }
}

fn words_are_counted() {
    let expected = counted(&spec(Program::Wordcount)).0;
    let plain = job("map", None, Some("reduce"));
    assert!(!plain.runs_native_code(), "modules need no permission");
    let (lines, ran) = counted(&plain);
    assert_eq!(lines, expected);
    assert_eq!((ran.counters["MAP_INPUT_RECORDS"], ran.counters["MAP_OUTPUT_RECORDS"]), (2_000, 6_000));
    let (lines, ran) = counted(&job("map", Some("reduce"), Some("reduce")));
    assert_eq!(lines, expected);
    assert!(ran.counters["REDUCE_INPUT_RECORDS"] < 500, "{:?}", ran.counters);
}

/// Runs a mapper over a line as another user where the test may.
fn run(mapper: &str, resources: Resources) -> (Result<Ran, TaskFailure>, Progress) {
    let progress = Progress::default();
    let spec = JobSpec { resources, ..job(mapper, None, None) };
    let outcome = run_watched(&spec, &one("x\n"), 100, account(), &progress, &Cancel::default());
    (outcome, progress)
}

fn environment() {
    let text = run("say", Resources::default()).0.unwrap().text();
    let variables: Vec<&str> = text.trim_end().split('\0').collect();
    assert!(variables.contains(&"mapreduce_map_input_file=s3://in/text"), "{text:?}");
    assert!(variables.contains(&"mapreduce_task_ismap=true"), "{text:?}");
    assert!(!text.contains("CARGO"), "{text:?}");
}

fn files() {
    const NO_SYSTEM_CALL: &str = "exited with code 52";
    let (outcome, progress) = run("open", Resources::default());
    let failure = outcome.unwrap_err().to_string();
    assert!(failure.ends_with(NO_SYSTEM_CALL), "{failure}");
    assert_eq!(progress.report().user_counters[0].1, 1, "the reporter is heard");
}

fn bounds() {
    let little = Resources { process_memory_bytes: 64 << 20, cpu_seconds: 5, ..Resources::default() };
    let failure = run("grow", little.clone()).0.unwrap_err().to_string();
    assert!(failure.ends_with("exited with code 77"), "no more memory is granted: {failure}");
    let failure = run("spin", little).0.unwrap_err().to_string();
    assert_eq!(failure, "the task's processor time of 5 seconds is used up");
}

fn traps() {
    let (outcome, progress) = run("trap", Resources::default());
    let failure = outcome.unwrap_err().to_string();
    assert!(failure.contains("trapped"), "{failure}");
    let stderr = progress.report().stderr;
    assert!(stderr.contains("unreachable"), "{stderr}");
}
