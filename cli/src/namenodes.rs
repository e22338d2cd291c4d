//! `granary admin namenode`: which namenodes there are, and changing that while they serve.

use crate::admin::get;
use crate::args::{Connection, NamenodeCommand};
use crate::credentials::RootCredentials;
use crate::http_client::AdminClient;
use anyhow::{Context, bail};
use granary_protocol::NodeName;
use granary_protocol::admin::{ClusterStatus, PeerChange, PeerChangeProgress};
use hyper::Method;
use std::time::{Duration, Instant};

/// Between two steps of a change.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a change may fail in a row before that is said: a leader that goes takes its place's election along.
const FAILURES_TIMEOUT: Duration = Duration::from_secs(180);

/// Runs the command.
pub async fn run(connection: &Connection, command: NamenodeCommand) -> anyhow::Result<()> {
    let carry_out = async |change: PeerChange| {
        let root = RootCredentials::from_environment()?.context("the root key is not in the environment")?;
        carry_out(&AdminClient::new(connection)?, &root, &change, |note| println!("{note}")).await
    };
    match command {
        NamenodeCommand::List { json } => list(connection, json).await,
        NamenodeCommand::Add { name, address } => carry_out(PeerChange::Add { name: NodeName(name), address }).await,
        NamenodeCommand::Remove { name } => {
            let (_, status): (_, ClusterStatus) = get(connection, "status").await?;
            if !status.peers.iter().any(|peer| peer.name.as_str() == name) {
                bail!("no namenode is called {name:?}; `granary admin namenode list` shows the names");
            }
            carry_out(PeerChange::Remove { name: NodeName(name.clone()) }).await?;
            println!("{name} may be stopped, and its data removed");
            Ok(())
        }
        NamenodeCommand::Replace { old, name, address } => {
            carry_out(PeerChange::Replace { old: NodeName(old.clone()), name: NodeName(name), address }).await?;
            println!("{old} may be stopped, and its data removed");
            Ok(())
        }
    }
}

async fn list(connection: &Connection, json: bool) -> anyhow::Result<()> {
    let (_, status): (_, ClusterStatus) = get(connection, "status").await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&status.peers)?);
        return Ok(());
    }
    println!("{:<6} {:<20} {:<24} {:<9} log index", "peer", "name", "address", "role");
    for peer in &status.peers {
        let role = peer.role();
        let index = peer.matched_index.map_or("unknown".to_owned(), |index| index.to_string());
        println!("{:<6} {:<20} {:<24} {:<9} {index}", peer.peer, peer.name.as_str(), peer.address, role);
    }
    Ok(())
}

/// Repeats a change until it is done; `tell` hears of each stage once.
pub(crate) async fn carry_out(
    client: &AdminClient,
    root: &RootCredentials,
    change: &PeerChange,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<()> {
    let (mut last, mut failing_since) = (String::new(), None);
    loop {
        match step(client, root, change).await {
            Ok(progress) => {
                failing_since = None;
                if progress.note != last {
                    tell(&progress.note);
                    last.clone_from(&progress.note);
                }
                if progress.done {
                    return Ok(());
                }
            }
            Err(error) if !AdminClient::may_pass(&error) => return Err(error),
            Err(error) => {
                let since: Instant = *failing_since.get_or_insert_with(Instant::now);
                if since.elapsed() > FAILURES_TIMEOUT {
                    return Err(error).context("the change is not done; the same command goes on with it");
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn step(client: &AdminClient, root: &RootCredentials, change: &PeerChange) -> anyhow::Result<PeerChangeProgress> {
    let body = serde_json::to_vec(change)?;
    let answer = client.signed_by(&root.into(), Method::POST, "/-/granary/v1/namenodes", body.into()).await?;
    serde_json::from_slice(&answer).context("the gateway's answer is not understood; is it another version?")
}
