//! `granary local replace`: the commands with which an operator replaces a namenode, one after the other.

use super::layout::Cluster;
use super::{POLL, READY_TIMEOUT, STOP_TIMEOUT, process, wait};
use crate::args::Connection;
use crate::credentials::RootCredentials;
use crate::enrol;
use crate::http_client::AdminClient;
use crate::namenodes;
use anyhow::{Context, bail};
use granary_protocol::NodeName;
use granary_protocol::admin::{JoinTokenAnswer, JoinTokenQuestion, PeerChange};
use hyper::Method;
use std::path::Path;
use std::time::Instant;

/// How long the token of the new namenode lives.
const TOKEN_LIFETIME_MS: u64 = 10 * 60 * 1000;

/// Enrols, starts and admits a new namenode in the place of `old`, and stops that one if it runs. Its directory stays.
pub async fn replace(dir: &Path, old: &str) -> anyhow::Result<()> {
    let mut cluster = Cluster::load(dir)?;
    if !cluster.file.namenodes.iter().any(|node| node.name == old) {
        bail!("{old} is no namenode of this cluster");
    }
    let gateway = cluster.file.gateways.first().context("the cluster has no gateway")?;
    let connection =
        Connection { endpoint: format!("http://{}", gateway.s3), ca_file: None, region: "us-east-1".to_owned() };
    let root =
        RootCredentials { access_key: cluster.file.access_key.clone(), secret_key: cluster.file.secret_key.clone() };
    let client = AdminClient::new(&connection)?;

    let mut node = cluster.new_namenode()?;
    let question = JoinTokenQuestion {
        name: Some(node.name.clone()),
        role: Some("namenode".to_owned()),
        lifetime_ms: TOKEN_LIFETIME_MS,
    };
    let body = serde_json::to_vec(&question)?.into();
    let answer = client.signed_by(&(&root).into(), Method::POST, "/-/granary/v1/join-tokens", body).await?;
    let token: JoinTokenAnswer = serde_json::from_slice(&answer).context("the gateway's answer is not understood")?;
    let tls = cluster.dir.join(&node.name).join("tls");
    let certificates = enrol::enrol(&connection, &token.token, &node.name, "namenode", &tls).await?;
    cluster.write_newcomer(&node, certificates)?;
    let name = node.name.clone();
    node.pid = process::spawn("namenode", &cluster.config_of(&name), &cluster.log_of(&name))?;
    let (internal, http) = (node.internal.clone(), node.http.clone());
    cluster.file.namenodes.push(node);
    cluster.save()?;
    // Its port is open before it can be admitted.
    until_open(&cluster, &name, &internal).await?;

    let change =
        PeerChange::Replace { old: NodeName::from(old), name: NodeName::from(name.as_str()), address: internal };
    namenodes::carry_out(&client, &root, &change, |note| println!("{note}")).await?;
    if let Ok(pid) = cluster.running_pid(old) {
        process::terminate(pid)?;
        wait(|| !cluster.is_running(old), STOP_TIMEOUT, || format!("{old} (pid {pid}) does not stop; see its log"))?;
    }
    cluster.file.namenodes.retain(|node| node.name != old);
    cluster.save()?;
    let deadline = Instant::now() + READY_TIMEOUT;
    while process::health(&http, "ready").await.is_err() {
        cluster.check_alive(&name)?;
        if Instant::now() > deadline {
            bail!("{name} is not ready; see {}", cluster.log_of(&name).display());
        }
        tokio::time::sleep(POLL).await;
    }
    println!("{name} has taken the place of {old}, whose directory stays");
    Ok(())
}

async fn until_open(cluster: &Cluster, name: &str, address: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + READY_TIMEOUT;
    while tokio::net::TcpStream::connect(address).await.is_err() {
        cluster.check_alive(name)?;
        if Instant::now() > deadline {
            bail!("{name} does not listen; see {}", cluster.log_of(name).display());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
