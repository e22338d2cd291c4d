//! `granary local`: a real cluster of separate processes on loopback, for trying things out and for tests.
//!
//! Everything about it is in one directory: `cluster.json` (what runs where, and the root key), and for each process a
//! directory with its configuration, certificate, data and log. Processes outlive the command that started them.

mod layout;
mod process;
mod replace;

use crate::args::{Connection, LocalUpOptions};
use crate::credentials::RootCredentials;
use crate::http_client::AdminClient;
use anyhow::{Context, bail};
use bytes::Bytes;
use granary_protocol::admin::ClusterStatus;
use hyper::Method;
use layout::Cluster;
pub use replace::replace;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a whole cluster may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(180);
/// How long one process may take to end when asked.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Starts a new cluster, or all stopped processes of one that exists in the directory.
pub async fn up(options: LocalUpOptions) -> anyhow::Result<()> {
    let mut cluster = match Cluster::load(&options.dir) {
        Ok(cluster) => cluster,
        Err(_) if !options.dir.join(layout::CLUSTER_FILE).exists() => Cluster::create(&options)?,
        Err(error) => return Err(error),
    };
    for name in cluster.names() {
        if !cluster.is_running(&name) {
            cluster.start(&name)?;
        }
    }
    cluster.save()?;
    wait_until_ready(&cluster).await?;
    println!(
        "{} namenodes, {} datanodes, {} gateways are up in {}",
        cluster.file.namenodes.len(),
        cluster.file.datanodes.len(),
        cluster.file.gateways.len(),
        options.dir.display()
    );
    for gateway in &cluster.file.gateways {
        println!("  S3: http://{}", gateway.s3);
    }
    println!(
        "  export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}",
        cluster.file.access_key, cluster.file.secret_key
    );
    Ok(())
}

/// Kills one process at once.
pub fn kill(dir: &Path, name: &str) -> anyhow::Result<()> {
    let cluster = Cluster::load(dir)?;
    let pid = cluster.running_pid(name)?;
    process::kill(pid)?;
    wait(|| !cluster.is_running(name), STOP_TIMEOUT, || format!("{name} (pid {pid}) does not die"))
}

/// Asks one process to end, and waits until it has.
pub fn stop(dir: &Path, name: &str) -> anyhow::Result<()> {
    let cluster = Cluster::load(dir)?;
    let pid = cluster.running_pid(name)?;
    process::terminate(pid)?;
    wait(|| !cluster.is_running(name), STOP_TIMEOUT, || format!("{name} (pid {pid}) does not stop; see its log"))
}

/// Starts a stopped or killed process again, and waits until it answers.
pub async fn start(dir: &Path, name: &str) -> anyhow::Result<()> {
    let mut cluster = Cluster::load(dir)?;
    if cluster.is_running(name) {
        bail!("{name} is running already");
    }
    cluster.start(name)?;
    cluster.save()?;
    let deadline = Instant::now() + READY_TIMEOUT;
    while process::health(&cluster.http_of(name)?, "live").await.is_err() {
        cluster.check_alive(name)?;
        if Instant::now() > deadline {
            bail!("{name} does not answer; see {}", cluster.log_of(name).display());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Ends every process: gently, then not.
pub fn down(dir: &Path) -> anyhow::Result<()> {
    let cluster = Cluster::load(dir)?;
    let running: Vec<String> = cluster.names().into_iter().filter(|name| cluster.is_running(name)).collect();
    // Gateways first: they seal what they have open while datanodes and namenodes still answer.
    for role in ["gateway", "datanode", "namenode"] {
        let members: Vec<&String> = running.iter().filter(|name| name.starts_with(role)).collect();
        for name in &members {
            process::terminate(cluster.running_pid(name)?)?;
        }
        let gone = || members.iter().all(|name| !cluster.is_running(name));
        if wait(gone, STOP_TIMEOUT, String::new).is_err() {
            for name in members.iter().filter(|name| cluster.is_running(name)) {
                eprintln!("{name} did not stop in {} s and is killed", STOP_TIMEOUT.as_secs());
                process::kill(cluster.running_pid(name)?)?;
            }
        }
    }
    Ok(())
}

fn wait(done: impl Fn() -> bool, timeout: Duration, complaint: impl Fn() -> String) -> anyhow::Result<()> {
    let deadline = Instant::now() + timeout;
    while !done() {
        if Instant::now() > deadline {
            bail!(complaint());
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// Ready: every gateway says so, and every datanode is live in the leader's eyes.
async fn wait_until_ready(cluster: &Cluster) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        for name in cluster.names() {
            cluster.check_alive(&name)?;
        }
        let missing = match what_is_missing(cluster).await {
            Ok(None) => return Ok(()),
            Ok(Some(missing)) => missing,
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() > deadline {
            bail!("the cluster is not ready after {} s: {missing}", READY_TIMEOUT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn what_is_missing(cluster: &Cluster) -> anyhow::Result<Option<String>> {
    for gateway in &cluster.file.gateways {
        if let Err(error) = process::health(&gateway.s3, "ready").await {
            return Ok(Some(format!("{} is not ready: {error:#}", gateway.name)));
        }
    }
    let Some(gateway) = cluster.file.gateways.first() else { return Ok(None) };
    let connection =
        Connection { endpoint: format!("http://{}", gateway.s3), ca_file: None, region: "us-east-1".to_owned() };
    let root =
        RootCredentials { access_key: cluster.file.access_key.clone(), secret_key: cluster.file.secret_key.clone() };
    let body = AdminClient::new(&connection)?
        .signed_by(&(&root).into(), Method::GET, "/-/granary/v1/status", Bytes::new())
        .await?;
    let status: ClusterStatus = serde_json::from_slice(&body).context("status is not understood")?;
    let live = status.datanodes.iter().filter(|node| node.live).count();
    let wanted = cluster.file.datanodes.len();
    Ok((live < wanted).then(|| format!("{live} of {wanted} datanodes are live")))
}
