//! `granary admin volume`: volumes of datanodes, and emptying them.

use crate::admin::{bytes, draining, get, send};
use crate::args::{Connection, VolumeCommand};
use anyhow::bail;
use granary_protocol::admin::{ClusterStatus, VolumeDrainQuestion, VolumeStatus};
use hyper::Method;

/// Runs the command.
pub async fn run(connection: &Connection, command: VolumeCommand) -> anyhow::Result<()> {
    let (_, status): (_, ClusterStatus) = get(connection, "status").await?;
    let volumes: Vec<(String, VolumeStatus)> = status
        .datanodes
        .into_iter()
        .flat_map(|node| node.volumes.into_iter().map(move |v| (format!("{}:{}", node.name, v.path), v)))
        .collect();
    match command {
        VolumeCommand::List { json: true } => {
            let named: Vec<_> =
                volumes.iter().map(|(name, v)| serde_json::json!({"name": name, "volume": v})).collect();
            println!("{}", serde_json::to_string_pretty(&named)?);
            Ok(())
        }
        VolumeCommand::List { json: false } => {
            for (name, volume) in &volumes {
                let failed = volume.failed.as_ref().map_or(String::new(), |why| format!("  FAILED: {why}"));
                println!(
                    "{name}  {}  {} in {} replicas{}{failed}",
                    volume.media.name(),
                    bytes(volume.used_bytes),
                    volume.replicas,
                    draining(volume)
                );
            }
            Ok(())
        }
        VolumeCommand::Drain { volume } => set(connection, &volumes, &volume, true).await,
        VolumeCommand::Cancel { volume } => set(connection, &volumes, &volume, false).await,
    }
}

async fn set(
    connection: &Connection,
    volumes: &[(String, VolumeStatus)],
    wanted: &str,
    drain: bool,
) -> anyhow::Result<()> {
    let Some((_, volume)) = volumes.iter().find(|(name, _)| name == wanted) else {
        let names: Vec<&str> = volumes.iter().map(|(name, _)| name.as_str()).collect();
        bail!("there is no volume {wanted:?}; there are {}", names.join(", "));
    };
    let question = VolumeDrainQuestion { volume: volume.volume, drain };
    send(connection, Method::POST, "volume-drain", &question).await
}
