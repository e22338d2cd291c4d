//! The contract: lines, keys, environment, reporter, exit codes, files.

use crate::Case;
use crate::engine::{Cancel, Progress, TaskFailure};
use crate::fixture::{Files, Ran, run_job, run_watched, spec};
use crate::spec::{CachedFile, FileSource, JobSpec, Program, Stage, Streaming};

pub const CASES: [Case; 9] = [
    ("words are counted by a mapper and a reducer", words_are_counted),
    ("a combiner makes the shuffle smaller and changes nothing", combiner),
    ("a combiner that changes keys is refused", changed_keys),
    ("the environment is the task's alone", environment),
    ("packed objects have a process each", packed),
    ("what the reporter is told is counted", reporter),
    ("an exit code is a failure unless it may be", exit_codes),
    ("a program may leave its input unread", unread),
    ("files are in the working directory", files),
];

pub fn shell(script: &str) -> Stage {
    Stage::Command(vec!["sh".into(), "-c".into(), script.into()])
}

pub fn job(mapper: Stage, reducer: Option<Stage>) -> JobSpec {
    spec(Program::Streaming(Streaming { mapper, reducer, ..Streaming::default() }))
}

pub fn one(text: &str) -> Files {
    Files::from([("text".to_string(), text.as_bytes().to_vec())])
}

const SPLIT_WORDS: &str = r#"awk '{ for (i = 1; i <= NF; i++) print $i "\t1" }'"#;
const SUM: &str =
    r#"awk -F'\t' '($1 "") != k { if (n) print k "\t" n; k = $1; n = 0 } { n += $2 } END { if (n) print k "\t" n }'"#;

fn text() -> Files {
    let lines: Vec<String> = (0..2_000).map(|number| format!("w{} the {}", number % 37, number % 5)).collect();
    one(&lines.join("\n"))
}

pub fn counted(spec: &JobSpec) -> (Vec<String>, Ran) {
    let ran = run_job(&JobSpec { split_bytes_max: 7_000, reduces: Some(2), ..spec.clone() }, &text(), 5_000).unwrap();
    let mut lines: Vec<String> = ran.text().lines().map(str::to_string).collect();
    lines.sort();
    (lines, ran)
}

fn words_are_counted() {
    let (streamed, ran) = counted(&job(shell(SPLIT_WORDS), Some(shell(SUM))));
    assert_eq!(streamed, counted(&spec(Program::Wordcount)).0);
    assert!(streamed.contains(&"the\t2000".to_string()), "{streamed:?}");
    assert_eq!(ran.maps, 4, "processes for several splits");
    assert_eq!((ran.counters["MAP_INPUT_RECORDS"], ran.counters["MAP_OUTPUT_RECORDS"]), (2_000, 6_000));
    assert_eq!(ran.counters["REDUCE_OUTPUT_RECORDS"] as usize, streamed.len());
}

fn combiner() {
    let combined = Program::Streaming(Streaming {
        mapper: shell(SPLIT_WORDS),
        combiner: Some(shell(SUM)),
        reducer: Some(shell(SUM)),
        ..Streaming::default()
    });
    let (lines, ran) = counted(&spec(combined));
    assert_eq!(lines, counted(&spec(Program::Wordcount)).0);
    assert!(ran.counters["REDUCE_INPUT_RECORDS"] < 500, "{:?}", ran.counters);
}

fn changed_keys() {
    let reversing = Program::Streaming(Streaming {
        mapper: shell("cat"),
        combiner: Some(shell("tac")),
        reducer: Some(shell("cat")),
        ..Streaming::default()
    });
    let failure = run_job(&spec(reversing), &one("a\nb\n"), 100).unwrap_err();
    assert!(matches!(failure, TaskFailure::CombinerChangedKeys { .. }), "{failure}");
}

fn environment() {
    let mut job = job(shell("env"), None);
    job.conf.insert("my.own-setting".into(), "a b".into());
    job.environment.insert("GIVEN".into(), "yes".into());
    let text = run_job(&job, &one("x\n"), 100).unwrap().text();
    let has = |line: &str| assert!(text.lines().any(|other| other == line), "{line} in {text}");
    has("mapreduce_job_id=job_1_1");
    has("mapreduce_task_id=task_1_1_m_000000");
    has("mapreduce_task_attempt_id=attempt_1_1_m_000000_0");
    has("mapreduce_task_partition=0");
    has("mapreduce_task_ismap=true");
    has("mapreduce_map_input_file=s3://in/text");
    has("mapreduce_map_input_start=0");
    has("mapreduce_map_input_length=2");
    has("my_own_setting=a b");
    has("GIVEN=yes");
    assert!(!text.contains("CARGO"), "the daemon's own environment: {text}");
}

fn packed() {
    let objects: Files = (0..3).map(|number| (format!("o{number}"), format!("{number}").into_bytes())).collect();
    let ran = run_job(&job(shell(r#"echo "$mapreduce_map_input_file $(cat)""#), None), &objects, 100).unwrap();
    assert_eq!(ran.text(), "s3://in/o0 0\ns3://in/o1 1\ns3://in/o2 2\n");
}

fn reporter() {
    let progress = Progress::default();
    let script = "echo reporter:counter:G,C,5 >&2; echo reporter:status:busy >&2; echo plain >&2; cat";
    run_watched(&job(shell(script), None), &one("x\n"), 100, None, &progress, &Cancel::default()).unwrap();
    let report = progress.report();
    assert_eq!((report.status.as_str(), report.stderr.as_str()), ("busy", "plain\n"));
    assert_eq!(report.user_counters[0].1, 5);
}

fn exit_codes() {
    let progress = Progress::default();
    let mut job = job(shell("cat; echo why >&2; exit 3"), None);
    let failure = run_watched(&job, &one("x\n"), 100, None, &progress, &Cancel::default()).unwrap_err();
    assert!(failure.to_string().ends_with("exited with code 3"), "{failure}");
    assert_eq!(progress.report().stderr, "why\n");
    if let Program::Streaming(streaming) = &mut job.program {
        streaming.nonzero_exit_is_failure = false;
    }
    assert_eq!(run_job(&job, &one("x\n"), 100).unwrap().text(), "x\n");
    let absent = Stage::Command(vec!["no-such-program".into()]);
    let progress = Progress::default();
    let failure = run_watched(&self::job(absent, None), &one("x\n"), 100, None, &progress, &Cancel::default());
    assert!(matches!(failure, Err(TaskFailure::ProgramNotStarted { .. })), "{failure:?}");
    assert!(progress.report().stderr.contains("no-such-program"), "{}", progress.report().stderr);
}

fn unread() {
    let text = "line\n".repeat(1_000_000);
    assert_eq!(run_job(&job(shell("head -n 1"), None), &one(&text), 1 << 30).unwrap().text(), "line\n");
}

fn files() {
    let file = |name: &str, text: &str| CachedFile {
        name: name.into(),
        source: FileSource::Inline(text.into()),
        executable: true,
    };
    let mapper = Stage::Command(vec!["map.sh".into()]);
    let spec = JobSpec {
        files: vec![file("map.sh", "#!/bin/sh\ncat side.txt -"), file("side.txt", "side\n")],
        ..job(mapper, None)
    };
    assert_eq!(run_job(&spec, &one("x\n"), 100).unwrap().text(), "side\nx\n");
}
