//! `granary-bench`: drives any S3 endpoint with presigned requests and prints what it did and what it cost.
//!
//! Owns the command line and the order of things. Starting and comparing servers is the business of the `run` script
//! beside this crate.

mod drive;
mod http;
mod payload;
mod presign;
mod report;
mod request;
mod usage;
mod workload;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use time::OffsetDateTime;

use crate::drive::Target;
use crate::http::{Body, Connection};
use crate::presign::{KeyPair, Presigner};
use crate::report::{Figures, Report};
use crate::workload::{Plan, Session, Workload};

const READY_WITHIN: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(100);

/// Load generator for S3 endpoints: presigned requests over keep-alive HTTP/1.1.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The endpoint, `http://HOST:PORT`.
    #[arg(long)]
    endpoint: String,
    /// Process whose tree is charged with the server's CPU time and memory.
    #[arg(long)]
    pid: Option<u32>,
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide_env_values = true)]
    access_key: String,
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true)]
    secret_key: String,
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// Created if it does not exist.
    #[arg(long, default_value = "granary-bench")]
    bucket: String,
    /// Short phases, about a minute in all, listings over 10,000 keys instead of 100,000.
    #[arg(long)]
    quick: bool,
    /// Run only these workloads (repeatable).
    #[arg(long, value_enum)]
    only: Vec<Workload>,
    /// Length of each phase; 3 with --quick, otherwise 8.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Keys in each listed directory.
    #[arg(long)]
    list_keys: Option<usize>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Also write the figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Name of the server in the JSON output.
    #[arg(long, default_value = "server")]
    label: String,
    /// Delete the objects afterwards.
    #[arg(long)]
    clean_up: bool,
    /// The endpoint is a WebDAV server that ignores signatures (to measure the generator): creates no bucket and
    /// takes 201 and 204 for a PUT.
    #[arg(long)]
    webdav: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let host = arguments.endpoint.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let host = host.context("the endpoint must start with http://")?;
    let address = host
        .to_socket_addrs()
        .with_context(|| format!("resolving {host}"))?
        .next()
        .context("the endpoint has no address")?;
    let keys = KeyPair { access_key: arguments.access_key.clone(), secret_key: arguments.secret_key.clone() };
    let presigner = Presigner::new(&keys, &arguments.region, host, OffsetDateTime::now_utc());
    if !arguments.webdav {
        create_bucket(address, &presigner, &arguments.bucket)?;
    }

    let report = measure(&arguments, address, presigner)?;
    if let Some(path) = &arguments.json {
        report.write_json(path)?;
    }
    Ok(if report.errors() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(arguments: &Arguments, address: SocketAddr, presigner: Presigner) -> Result<Report> {
    let mut plan = if arguments.quick { Plan::quick() } else { Plan::full() };
    if let Some(seconds) = arguments.seconds {
        plan.phase = Duration::try_from_secs_f64(seconds).context("--seconds")?;
    }
    if let Some(keys) = arguments.list_keys {
        ensure!(keys >= 2, "--list-keys must be at least 2");
        plan.list_keys = keys;
    }
    ensure!(arguments.threads > 0, "--threads must be at least 1");
    let mut report = Report {
        label: arguments.label.clone(),
        endpoint: arguments.endpoint.clone(),
        mode: plan.mode,
        threads: arguments.threads,
        phases: Vec::new(),
    };
    let target = Target { address, pid: arguments.pid, lenient: arguments.webdav, threads: arguments.threads };
    let mut session = Session::new(target, presigner, plan, arguments.bucket.clone());
    println!("{}", report::HEADER);
    for workload in Workload::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(workload) {
            continue;
        }
        let figures = Figures::new(workload.name(), workload.connections(), session.run(*workload)?);
        println!("{}", figures.row());
        if let Some(error) = &figures.first_error {
            eprintln!("{}: {error}", figures.name);
        }
        report.phases.push(figures);
    }
    if arguments.clean_up {
        session.clean_up()?;
    }
    Ok(report)
}

/// Creates the bucket and stores one object, waiting for a server that is still starting.
fn create_bucket(address: SocketAddr, presigner: &Presigner, bucket: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let give_up = Instant::now() + READY_WITHIN;
        // 409: it exists. Whether it is ours, the object tells.
        for (path, accepted) in [(format!("/{bucket}"), &[200, 409][..]), (format!("/{bucket}/ready"), &[200][..])] {
            while let Err(error) = put_empty(address, presigner, &path, accepted).await {
                if Instant::now() > give_up {
                    return Err(error.context(format!("PUT {path} within {READY_WITHIN:?}")));
                }
                tokio::time::sleep(READY_POLL).await;
            }
        }
        Ok(())
    })
}

async fn put_empty(address: SocketAddr, presigner: &Presigner, path: &str, accepted: &[u16]) -> Result<()> {
    let target = presigner.target("PUT", path, &[]);
    let head = format!("PUT {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", presigner.host());
    let mut connection = Connection::open(address).await?;
    let exchange = connection.exchange(head.as_bytes(), b"", Body::Keep);
    let response = tokio::time::timeout(READY_WITHIN, exchange).await??;
    if !accepted.contains(&response.status) {
        bail!("status {}: {}", response.status, String::from_utf8_lossy(connection.kept()));
    }
    Ok(())
}
