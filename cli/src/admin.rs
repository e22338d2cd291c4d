//! `granary admin`: what a running store says of itself.

use crate::args::{Connection, DatanodeCommand};
use crate::classes;
use crate::http_client::AdminClient;
use anyhow::{Context, bail};
use bytes::Bytes;
use granary_protocol::UnixMillis;
use granary_protocol::admin::{
    BlocksAnswer, ClusterStatus, DatanodeIntent, DatanodeIntentQuestion, DatanodeStatus, JoinTokenAnswer,
    JoinTokenQuestion, SpaceReport, VolumeStatus,
};
use granary_protocol::redundancy::ClassReport;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::SystemTime;

const PREFIX: &str = "/-/granary/v1";

pub(crate) async fn get<T: DeserializeOwned>(connection: &Connection, path: &str) -> anyhow::Result<(Bytes, T)> {
    let body = AdminClient::new(connection)?.signed(Method::GET, &format!("{PREFIX}/{path}"), Bytes::new()).await?;
    let parsed =
        serde_json::from_slice(&body).context("the gateway's answer is not understood; is it another version?")?;
    Ok((body, parsed))
}

pub(crate) fn print_json(body: &[u8]) -> anyhow::Result<()> {
    let value: serde_json::Value = serde_json::from_slice(body)?;
    println!("{}", serde_json::to_string_pretty(&value)?);
    Ok(())
}

/// Sends a question and reads the answer.
pub(crate) async fn send<Q: Serialize, A: DeserializeOwned>(
    connection: &Connection,
    method: Method,
    path: &str,
    question: &Q,
) -> anyhow::Result<A> {
    let body = serde_json::to_vec(question)?;
    let answer = AdminClient::new(connection)?.signed(method, &format!("{PREFIX}/{path}"), body.into()).await?;
    serde_json::from_slice(&answer).context("the gateway's answer is not understood; is it another version?")
}

/// Removes something.
pub(crate) async fn delete(connection: &Connection, path: &str) -> anyhow::Result<()> {
    AdminClient::new(connection)?.signed(Method::DELETE, &format!("{PREFIX}/{path}"), Bytes::new()).await?;
    Ok(())
}

/// `granary admin status`.
pub async fn status(connection: &Connection, json: bool) -> anyhow::Result<()> {
    let (body, status): (_, ClusterStatus) = get(connection, "status").await?;
    let (classes_body, classes): (_, ClassReport) = get(connection, "classes").await?;
    if json {
        return print_status_json(&body, &classes_body);
    }
    println!("cluster {}", status.cluster);
    println!("  {} buckets, {} objects, {}", status.buckets, status.objects, bytes(status.object_bytes));
    println!("namenodes");
    for peer in &status.peers {
        let role = peer.role();
        let index = peer.matched_index.map_or("unknown".to_owned(), |index| index.to_string());
        println!("  {:<16} {:<9} log index {:<10} {}", peer.name, role, index, peer.address);
    }
    println!("datanodes");
    for node in &status.datanodes {
        let state = if node.live { "live".to_owned() } else { format!("DEAD, silent for {} s", node.silent_ms / 1000) };
        println!("  {:<16} {:<9} rack {} {}{}", node.name, state, node.rack, node.address, intent_of(node));
        for volume in &node.volumes {
            let draining = draining(volume);
            let slow = if volume.slow_ms > 0 { format!("  SLOW: {} ms", volume.slow_ms) } else { String::new() };
            let failed = volume.failed.as_ref().map_or(String::new(), |why| format!("  FAILED: {why}"));
            println!(
                "    {}: {} of {} free, {} in {} replicas{draining}{slow}{failed}",
                volume.path,
                bytes(volume.free_bytes),
                bytes(volume.capacity_bytes),
                bytes(volume.used_bytes),
                volume.replicas
            );
        }
    }
    let redundancy = &status.redundancy;
    if let Some(reason) = &status.safe_mode {
        println!("safe mode: {reason}");
    }
    println!("redundancy");
    println!(
        "  {} blocks, {} replicas wanted, {} live",
        redundancy.blocks, redundancy.replicas_wanted, redundancy.replicas_live
    );
    println!(
        "  {} blocks under target ({})",
        redundancy.under_replicated_blocks,
        bytes(redundancy.under_replicated_bytes)
    );
    println!("  {} blocks without a live replica ({})", redundancy.missing_blocks, bytes(redundancy.missing_bytes));
    if redundancy.over_replicated_blocks > 0 {
        println!("  {} blocks above target", redundancy.over_replicated_blocks);
    }
    if redundancy.mis_replicated_blocks > 0 {
        println!("  {} blocks on one rack only", redundancy.mis_replicated_blocks);
    }
    if redundancy.policy_shortfall_replicas > 0 {
        println!(
            "  {} replicas fewer than the policy asks for: there are too few volumes",
            redundancy.policy_shortfall_replicas
        );
    }
    classes::print_groups(&classes);
    Ok(())
}

/// The status with the ledger of coded groups in it.
fn print_status_json(status: &[u8], classes: &[u8]) -> anyhow::Result<()> {
    let mut status: serde_json::Value = serde_json::from_slice(status)?;
    let classes: serde_json::Value = serde_json::from_slice(classes)?;
    status["groups"] = classes["groups"].clone();
    println!("{}", serde_json::to_string_pretty(&status)?);
    Ok(())
}

/// How far a volume that is to be empty has come.
pub(crate) fn draining(volume: &VolumeStatus) -> String {
    match (volume.draining, volume.blocks_left) {
        (false, _) => String::new(),
        (true, 0) => "  drained: it may be taken out".to_owned(),
        (true, blocks) => format!("  draining: {} in {blocks} blocks left", bytes(volume.bytes_left)),
    }
}

fn intent_of(node: &DatanodeStatus) -> String {
    match node.intent {
        DatanodeIntent::InService => String::new(),
        DatanodeIntent::Decommission if node.blocks_left == 0 => "  decommissioned: it may be stopped".to_owned(),
        DatanodeIntent::Decommission => {
            format!("  decommissioning: {} in {} blocks left", bytes(node.bytes_left), node.blocks_left)
        }
        DatanodeIntent::Maintenance { until } => format!("  in maintenance until {} (Unix time)", until.0 / 1000),
    }
}

/// `granary admin df`.
pub async fn df(connection: &Connection, json: bool) -> anyhow::Result<()> {
    let (body, space): (_, SpaceReport) = get(connection, "space").await?;
    if json {
        return print_json(&body);
    }
    println!("{:<16} {:<40} {:>10} {:>10} {:>10} {:>9}", "node", "volume", "capacity", "free", "replicas", "blocks");
    for (node, volume) in &space.volumes {
        println!(
            "{:<16} {:<40} {:>10} {:>10} {:>10} {:>9}",
            node.as_str(),
            volume.path,
            bytes(volume.capacity_bytes),
            bytes(volume.free_bytes),
            bytes(volume.used_bytes),
            volume.replicas
        );
    }
    println!();
    println!("contents   {:>10}  what objects, versions and parts hold", bytes(space.content_bytes));
    println!("blocks     {:>10}  {} blocks, each counted once", bytes(space.block_bytes), space.blocks);
    println!("dead       {:>10}  of those, not yet compacted", bytes(space.dead_bytes));
    println!("metadata   {:>10}  on the leading namenode", bytes(space.metadata_bytes));
    let stored: u64 = space.volumes.iter().map(|(_, volume)| volume.used_bytes).sum();
    if space.content_bytes > 0 {
        let ratio = stored as f64 / space.content_bytes as f64;
        println!("stored     {:>10}  in all replicas and parity: {ratio:.2} times the contents", bytes(stored));
    }
    Ok(())
}

/// `granary admin blocks s3://bucket/key`.
pub async fn blocks(connection: &Connection, url: &str, json: bool) -> anyhow::Result<()> {
    let Some((bucket, key)) = url.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) else {
        bail!("name an object as s3://bucket/key");
    };
    let path = format!("blocks?bucket={}&key={}", encode(bucket), encode(key));
    let (body, answer): (_, BlocksAnswer) = get(connection, &path).await?;
    if json {
        return print_json(&body);
    }
    println!("{url}: {} bytes in {} extents", answer.size, answer.blocks.len());
    for block in &answer.blocks {
        let state = if block.sealed { "sealed" } else { "open" };
        println!(
            "block {} generation {} {} {}: bytes {}..{} of the object at {} of {}",
            block.block,
            block.generation,
            block.kind,
            state,
            block.object_offset,
            block.object_offset + block.length,
            block.block_offset,
            block.block_length
        );
        for replica in &block.replicas {
            println!(
                "  {:<16} rack {:<12} volume {:016x}  checksum {}",
                replica.datanode, replica.rack, replica.volume, replica.checksum
            );
        }
        if let Some(group) = &block.group {
            classes::print_group(group);
        }
    }
    Ok(())
}

/// `granary admin datanode`.
pub async fn datanode(connection: &Connection, command: DatanodeCommand) -> anyhow::Result<()> {
    let (name, intent) = match command {
        DatanodeCommand::Decommission { name } => (name, DatanodeIntent::Decommission),
        DatanodeCommand::Recommission { name } => (name, DatanodeIntent::InService),
        DatanodeCommand::Maintenance { name, minutes } => {
            let since_epoch =
                SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is set before 1970")?;
            let until = UnixMillis(since_epoch.as_millis() as u64 + minutes * 60_000);
            (name, DatanodeIntent::Maintenance { until })
        }
    };
    let (_, status): (_, ClusterStatus) = get(connection, "status").await?;
    if !status.datanodes.iter().any(|node| node.name.as_str() == name) {
        bail!("no datanode is called {name:?}; `granary admin status` shows the names");
    }
    let body = serde_json::to_vec(&DatanodeIntentQuestion { name, intent })?;
    AdminClient::new(connection)?.signed(Method::POST, &format!("{PREFIX}/datanode-intent"), body.into()).await?;
    Ok(())
}

/// `granary admin join-token`.
pub async fn join_token(
    connection: &Connection,
    name: Option<String>,
    role: Option<String>,
    hours: u64,
) -> anyhow::Result<()> {
    let question = JoinTokenQuestion { name, role, lifetime_ms: hours.saturating_mul(60 * 60 * 1000) };
    let body = serde_json::to_vec(&question)?;
    let answer =
        AdminClient::new(connection)?.signed(Method::POST, &format!("{PREFIX}/join-tokens"), body.into()).await?;
    let answer: JoinTokenAnswer = serde_json::from_slice(&answer).context("the gateway's answer is not understood")?;
    println!("{}", answer.token);
    Ok(())
}

/// Percent-encodes all but unreserved characters, as SigV4 wants query values.
pub(crate) fn encode(text: &str) -> String {
    let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes()
        .map(|byte| if unreserved(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Bytes for people, in powers of 1,024.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(300 << 20), "300.0 MiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn keys_are_encoded_whole() {
        assert_eq!(encode("a b/ü+.txt"), "a%20b%2F%C3%BC%2B.txt");
    }
}
