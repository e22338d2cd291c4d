//! `granary job`: submits jobs, waits for them, and shows what became of them.

mod options;
mod show;
mod streaming;
mod words;

use crate::args::{Connection, JobCommand, JobOptions};
use crate::credentials::RootCredentials;
use crate::http_client::{AdminClient, SigningKey};
use anyhow::{Context, bail};
use bytes::Bytes;
use hyper::Method;
use options::RunOptions;
use serde_json::Value;
use std::process::ExitCode;
use std::time::Duration;

/// Paths of the routes.
const JOBS: &str = "/v1/jobs";
/// Pauses between two looks at a job: short ones first.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long a gateway that does not answer is asked again while a job is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests of whoever has the key of the environment.
struct JobClient {
    client: AdminClient,
    key: SigningKey,
}

impl JobClient {
    fn new(connection: &Connection) -> anyhow::Result<JobClient> {
        let aws = || {
            let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
            let (access_key, secret_key) = (read("AWS_ACCESS_KEY_ID")?, read("AWS_SECRET_ACCESS_KEY")?);
            Some(SigningKey { access_key, secret_key, session_token: read("AWS_SESSION_TOKEN") })
        };
        let key = RootCredentials::from_environment()?.as_ref().map(SigningKey::from).or_else(aws);
        let key = key.context(
            "set GRANARY_ROOT_ACCESS_KEY and GRANARY_ROOT_SECRET_KEY, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )?;
        Ok(JobClient { client: AdminClient::new(connection)?, key })
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Bytes> {
        self.client.signed_by(&self.key, method, path, body).await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let body = self.send(Method::GET, path, Bytes::new()).await?;
        serde_json::from_slice(&body).context("the gateway's answer is not understood; is it another version?")
    }
}

/// The exit code is a failure where a job that was waited for has failed.
pub async fn run(options: JobOptions) -> anyhow::Result<ExitCode> {
    let connection = options.connection;
    match options.command {
        JobCommand::Run { words } => return run_job(connection, &words).await,
        JobCommand::Status { job, json } => {
            let status = JobClient::new(&connection)?.get(&path(&job, "")?).await?;
            if json { show::json(&status)? } else { show::status(&status) }
        }
        JobCommand::List { json, limit } => {
            let jobs = JobClient::new(&connection)?.get(&format!("{JOBS}?limit={limit}")).await?;
            if json { show::json(&jobs)? } else { show::list(&jobs) }
        }
        JobCommand::Kill { job } => {
            let body = JobClient::new(&connection)?.send(Method::DELETE, &path(&job, "")?, Bytes::new()).await?;
            let status: Value = serde_json::from_slice(&body)?;
            println!("{} is {}", show::text(&status["job"]), show::text(&status["state"]));
        }
        JobCommand::Logs { job, json } => {
            let logs = JobClient::new(&connection)?.get(&path(&job, "/logs")?).await?;
            if json { show::json(&logs)? } else { show::logs(&logs) }
        }
        JobCommand::Counters { job, json } => {
            let counters = JobClient::new(&connection)?.get(&path(&job, "/counters")?).await?;
            if json { show::json(&counters)? } else { show::counters(&counters) }
        }
        JobCommand::History { job } => {
            let lines = JobClient::new(&connection)?.send(Method::GET, &path(&job, "/history")?, Bytes::new()).await?;
            print!("{}", String::from_utf8_lossy(&lines));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn path(job: &str, part: &str) -> anyhow::Result<String> {
    if job.is_empty() || !job.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        bail!("{job:?} is no job; `granary job list` shows them");
    }
    Ok(format!("{JOBS}/{job}{part}"))
}

async fn run_job(mut connection: Connection, words: &[String]) -> anyhow::Result<ExitCode> {
    let RunOptions { spec, detach, json, endpoint, ca_file, region } = match options::parse(words)? {
        Some(options) => options,
        None => {
            println!("{}", crate::args::JOB_RUN_HELP);
            return Ok(ExitCode::SUCCESS);
        }
    };
    connection.endpoint = endpoint.unwrap_or(connection.endpoint);
    connection.region = region.unwrap_or(connection.region);
    connection.ca_file = ca_file.or(connection.ca_file);
    spec.validate()?;
    let client = JobClient::new(&connection)?;
    let body = client.send(Method::POST, JOBS, serde_json::to_vec(&spec)?.into()).await?;
    let mut status: Value = serde_json::from_slice(&body).context("the gateway's answer is not understood")?;
    let job = show::text(&status["job"]).to_owned();
    if detach {
        if json {
            show::json(&status)?
        } else {
            println!("{job}")
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut bar = show::ProgressBar::new(json);
    let (mut pause, mut answered) = (PAUSE_MIN, tokio::time::Instant::now());
    while !show::is_final(&status) {
        bar.show(&status);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
        match client.get(&path(&job, "")?).await {
            Ok(now) => (status, answered) = (now, tokio::time::Instant::now()),
            // A gateway or a leader that has just gone: the job goes on.
            Err(error) if AdminClient::may_pass(&error) && answered.elapsed() < PATIENCE => {}
            Err(error) => return Err(error.context(format!("{job} goes on, but was not asked about"))),
        }
    }
    bar.show(&status);
    bar.end();
    if json {
        show::json(&status)?
    } else {
        show::status(&status)
    }
    Ok(if status["state"] == "SUCCEEDED" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
