//! Batch jobs: built-in programs and Streaming ones from submission to `_SUCCESS`; jobs that fail, are killed, or lose
//! their leading namenode.

use bytes::Bytes;
use granary_tests::{MiniCluster, MiniClusterOptions, S3, Server, eventually, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `granary job` against a store.
struct Jobs {
    endpoint: String,
    keys: [String; 2],
}

impl Jobs {
    fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let all = [&["job", arguments[0], "--endpoint", &self.endpoint], &arguments[1..]].concat();
        let [access_key, secret_key] = &self.keys;
        run(&all, &[("GRANARY_ROOT_ACCESS_KEY", access_key), ("GRANARY_ROOT_SECRET_KEY", secret_key)])
    }

    fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.command(arguments)?)?)
    }

    /// Submits a job and leaves it alone; its name.
    fn detach(&self, arguments: &[&str]) -> String {
        self.command(&[&["run", "--detach"], arguments].concat()).unwrap().trim().to_owned()
    }

    async fn until_final(&self, job: &str) -> Value {
        eventually("the job to end", PATIENCE, || async {
            // While a leader is elected nobody knows.
            let status = self.json(&["status", job, "--json"]).map_err(|error| format!("{error:#}"))?;
            match status["state"].as_str() {
                Some("SUCCEEDED" | "FAILED" | "KILLED") => Ok(status),
                _ => Err(status.to_string()),
            }
        })
        .await
    }
}

/// Words counted by the simplest means.
fn counted(texts: &[String]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in texts.iter().flat_map(|text| text.split_whitespace()) {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

fn texts(files: usize, lines: usize) -> Vec<String> {
    let line = |file: usize, line: usize| format!("alpha beta{} gamma{} delta\n", line % 17, (file * 31 + line) % 101);
    (0..files).map(|file| (0..lines).map(|number| line(file, number)).collect()).collect()
}

async fn upload(s3: &mut S3, texts: &[String]) {
    for (file, text) in texts.iter().enumerate() {
        s3.put("inp", &format!("text/{file:02}"), Bytes::from(text.clone())).await.unwrap().ok().unwrap();
    }
    // Hidden, as in Hadoop.
    s3.put("inp", "text/_hidden", Bytes::from_static(b"never read")).await.unwrap().ok().unwrap();
}

/// The lines `word TAB count` of all parts below a prefix.
async fn words_of(s3: &mut S3, prefix: &str) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for key in s3.list_all("outp", prefix).await.unwrap() {
        let part = s3.get("outp", &key).await.unwrap().ok().unwrap();
        for line in String::from_utf8_lossy(&part.body).lines() {
            let (word, count) = line.split_once('\t').unwrap();
            let before = counts.insert(word.to_owned(), count.parse().unwrap());
            assert_eq!(before, None, "{word} is in one part only");
        }
    }
    counts
}

async fn uploads_left(s3: &mut S3) -> usize {
    let answer = s3.send(http::Method::GET, "/outp", &[("uploads", "")], Bytes::new()).await.unwrap().ok().unwrap();
    answer.elements("UploadId").len()
}

fn local_maps(status: &Value) -> [u64; 4] {
    let counters = &status["counters"]["Job Counters"];
    ["DATA_LOCAL_MAPS", "RACK_LOCAL_MAPS", "OTHER_LOCAL_MAPS", "TOTAL_MAPS"]
        .map(|name| counters[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_run_on_one_machine() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--task-slots", "2", "--restore-standard-s", "6"];
    let server = Server::start_with(&[directory.path()], &arguments).await.unwrap();
    let jobs = Jobs {
        endpoint: format!("http://{}", server.address()),
        keys: ["granary-test", "granary-test-secret"].map(str::to_owned),
    };
    let mut s3 = server.s3();
    s3.create_bucket("inp").await.unwrap();
    s3.create_bucket("outp").await.unwrap();
    let texts = texts(4, 500);
    upload(&mut s3, &texts).await;

    words_are_counted(&jobs, &mut s3, &texts).await;
    a_streaming_job_counts_alike(&jobs, &mut s3, &texts, directory.path()).await;
    a_failing_mapper_shows_its_words_and_leaves_nothing(&jobs, &mut s3).await;
    a_killed_job_leaves_nothing(&jobs, &mut s3).await;
    modules_count_alike(&jobs, &mut s3, &texts, directory.path()).await;
    encrypted_output_is_encrypted_input(&jobs, &mut s3, &texts).await;
    archived_input_is_restored(&jobs, &mut s3).await;
    let history = s3.list_all("granary-jobs", "history/").await.unwrap();
    assert!(!history.is_empty(), "histories are objects");
}

async fn words_are_counted(jobs: &Jobs, s3: &mut S3, texts: &[String]) {
    let arguments = ["run", "--json", "wordcount", "-input", "s3://inp/text", "-output", "s3://outp/words"];
    let status = jobs.json(&arguments).unwrap();
    assert_eq!(status["state"], "SUCCEEDED", "{status}");
    assert_eq!(words_of(s3, "words/part-").await, counted(texts));
    assert!(s3.list_all("outp", "words/").await.unwrap().contains(&"words/_SUCCESS".to_owned()));
    let [local, rack, other, maps] = local_maps(&status);
    assert_eq!((local, rack, other), (maps, 0, 0), "{status}");
    let again = jobs.json(&arguments).unwrap_err().to_string();
    assert!(again.contains("exists already"), "{again}");
    let job = status["job"].as_str().unwrap();
    let history = jobs.command(&["history", job]).unwrap();
    let last: Value = serde_json::from_str(history.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["state"]), (&"JOB_FINISHED".into(), &"SUCCEEDED".into()));
    assert!(jobs.command(&["list"]).unwrap().contains(job));
}

async fn a_streaming_job_counts_alike(jobs: &Jobs, s3: &mut S3, texts: &[String], directory: &Path) {
    let (mapper, reducer) = (directory.join("map.awk"), directory.join("reduce.awk"));
    std::fs::write(&mapper, "{ for (i = 1; i <= NF; i++) print $i \"\\t\" 1 }\n").unwrap();
    std::fs::write(&reducer, "{ n[$1] += $2 } END { for (w in n) print w \"\\t\" n[w] }\n").unwrap();
    let files = format!("{},{}", mapper.display(), reducer.display());
    let status = jobs
        .json(&[
            "run",
            "--json",
            "-input",
            "s3://inp/text/*",
            "-output",
            "s3://outp/streamed",
            "-mapper",
            "awk -f map.awk",
            "-reducer",
            "awk -f reduce.awk",
            "-files",
            &files,
            "-numReduceTasks",
            "2",
        ])
        .unwrap();
    assert_eq!(status["state"], "SUCCEEDED", "{status}");
    assert_eq!(words_of(s3, "streamed/part-").await, counted(texts));
}

async fn a_failing_mapper_shows_its_words_and_leaves_nothing(jobs: &Jobs, s3: &mut S3) {
    let job = jobs.detach(&[
        "-input",
        "s3://inp/text/00",
        "-output",
        "s3://outp/failed",
        "-mapper",
        "sh -c 'echo broken-mapper >&2; exit 3'",
        "-reducer",
        "NONE",
        "-D",
        "mapreduce.map.maxattempts=2",
    ]);
    let status = jobs.until_final(&job).await;
    assert_eq!(status["state"], "FAILED", "{status}");
    assert_eq!(status["failures"].as_array().unwrap().len(), 2, "{status}");
    assert!(status["failures"][0]["stderr"].as_str().unwrap().contains("broken-mapper"), "{status}");
    assert!(s3.list_all("outp", "failed").await.unwrap().is_empty());
    assert_eq!(uploads_left(s3).await, 0);
}

async fn a_killed_job_leaves_nothing(jobs: &Jobs, s3: &mut S3) {
    let job = jobs.detach(&[
        "-input",
        "s3://inp/text",
        "-output",
        "s3://outp/killed",
        "-mapper",
        "sleep 1000",
        "-reducer",
        "NONE",
    ]);
    eventually("an attempt to run", PATIENCE, || async {
        let status = jobs.json(&["status", &job, "--json"]).map_err(|error| format!("{error:#}"))?;
        if status["maps"]["running"].as_u64() > Some(0) { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    jobs.command(&["kill", &job]).unwrap();
    assert_eq!(jobs.until_final(&job).await["state"], "KILLED");
    assert!(s3.list_all("outp", "killed").await.unwrap().is_empty());
    assert_eq!(uploads_left(s3).await, 0);
}

async fn modules_count_alike(jobs: &Jobs, s3: &mut S3, texts: &[String], directory: &Path) {
    let module = directory.join("words.wasm");
    let text = include_str!("../../mapreduce/tests/processes/words.wat");
    std::fs::write(&module, wat::parse_str(text).unwrap()).unwrap();
    let with = |what: &str| format!("{} {what}", module.display());
    let (mapper, combiner, reducer) = (with("map"), with("reduce"), with("reduce"));
    let output = ["run", "--json", "-input", "s3://inp/text", "-output", "s3://outp/modules"];
    let programs = ["-wasm-mapper", &mapper, "-wasm-combiner", &combiner, "-wasm-reducer", &reducer];
    let status = jobs.json(&[&output[..], &programs[..]].concat()).unwrap();
    assert_eq!(status["state"], "SUCCEEDED", "{status}");
    assert_eq!(words_of(s3, "modules/part-").await, counted(texts));

    std::fs::write(&module, b"#!/bin/sh\n").unwrap();
    let refused = jobs.json(&[&output[..], &["-wasm-mapper", &mapper]].concat()).unwrap_err().to_string();
    assert!(refused.contains("is no WebAssembly module"), "{refused}");
}

async fn encrypted_output_is_encrypted_input(jobs: &Jobs, s3: &mut S3, texts: &[String]) {
    s3.create_bucket("sealed").await.unwrap();
    let rule = "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
                <SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>of-jobs</KMSMasterKeyID>\
                </ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    s3.send(http::Method::PUT, "/sealed", &[("encryption", "")], rule.into()).await.unwrap().ok().unwrap();
    let run = |program: &str, input: &str, output: &str| {
        let status = jobs.json(&["run", "--json", program, "-input", input, "-output", output]).unwrap();
        assert_eq!(status["state"], "SUCCEEDED", "{status}");
    };
    run("identity", "s3://inp/text", "s3://sealed/copy");
    for key in s3.list_all("sealed", "copy/").await.unwrap() {
        let object = s3.get("sealed", &key).await.unwrap().ok().unwrap();
        assert_eq!(object.headers["x-amz-server-side-encryption"], "aws:kms", "{key}");
    }
    run("wordcount", "s3://sealed/copy", "s3://outp/opened");
    assert_eq!(words_of(s3, "opened/part-").await, counted(texts));
}

async fn archived_input_is_restored(jobs: &Jobs, s3: &mut S3) {
    let cold = [("x-amz-storage-class", "GLACIER")];
    let put = s3.send_with(http::Method::PUT, "/inp/cold/a", &[], &cold, Bytes::from_static(b"one two one\n"));
    put.await.unwrap().ok().unwrap();
    let arguments = ["wordcount", "-input", "s3://inp/cold", "-output", "s3://outp/thawed"];
    let refused = jobs.json(&[&["run", "--json"], &arguments[..]].concat()).unwrap_err().to_string();
    assert!(refused.contains("s3://inp/cold/a"), "{refused}");
    let job = jobs.detach(&[&arguments[..], &["--archived", "restore"]].concat());
    eventually("the job to wait for the restore", PATIENCE, || async {
        let status = jobs.json(&["status", &job, "--json"]).map_err(|error| format!("{error:#}"))?;
        if status["state"] == "RESTORING" { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let status = jobs.until_final(&job).await;
    assert_eq!(status["state"], "SUCCEEDED", "{status}");
    assert_eq!(words_of(s3, "thawed/part-").await, counted(&["one two one".to_owned()]));
}

/// Maps and reduces on three machines, the shuffle between them, and the death of the leading namenode in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_outlives_its_leader() {
    let options = MiniClusterOptions { namenodes: 3, datanodes: 3, gateways: 1, racks: 1 };
    let cluster = MiniCluster::start(options).unwrap();
    let file = cluster.file().unwrap();
    let jobs = Jobs {
        endpoint: format!("http://{}", file.gateways[0].s3),
        keys: [file.access_key.clone(), file.secret_key.clone()],
    };
    let mut s3 = cluster.s3().unwrap();
    s3.create_bucket("inp").await.unwrap();
    s3.create_bucket("outp").await.unwrap();
    let texts = texts(6, 200);
    upload(&mut s3, &texts).await;

    // Each map waits a while, so that the leader dies before they are done.
    let mapper = "sh -c 'sleep 4; tr -s \" \" \"\\n\" | sed s/$/\\\\t1/'";
    let job = jobs.detach(&[
        "-input",
        "s3://inp/text",
        "-output",
        "s3://outp/words",
        "-mapper",
        mapper,
        "-reducer",
        "awk -f reduce.awk",
        "-files",
        &reducer_beside(cluster.directory()),
        "-numReduceTasks",
        "3",
        "--split-bytes",
        "4000",
    ]);
    eventually("attempts to run", PATIENCE, || async {
        let status = jobs.json(&["status", &job, "--json"]).map_err(|error| format!("{error:#}"))?;
        if status["maps"]["running"].as_u64() > Some(0) { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let leader = cluster.leader().unwrap();
    cluster.kill(&leader).unwrap();
    let status = jobs.until_final(&job).await;
    assert_eq!(status["state"], "SUCCEEDED", "{status}");
    assert_eq!(words_of(&mut s3, "words/part-").await, counted(&texts));
    assert_eq!(uploads_left(&mut s3).await, 0);
}

fn reducer_beside(directory: &Path) -> String {
    let reducer = directory.join("reduce.awk");
    std::fs::write(&reducer, "{ n[$1] += $2 } END { for (w in n) print w \"\\t\" n[w] }\n").unwrap();
    reducer.display().to_string()
}
