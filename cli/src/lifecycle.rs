//! Lifecycles: the shortened day of tests, the scanner beside a namenode, and what moves blocks to archive targets beside a
//! gateway.

use anyhow::Context;
use granary_client::Client;
use granary_lifecycle::LifecycleSettings;
use granary_lifecycle::archive::{Archiver, ArchiverComponents};
use granary_lifecycle::workers::{Scanner, ScannerComponents};
use granary_namenode::service::Namenode;
use granary_protocol::UnixMillis;
use granary_sealing::{LocalKeyStore, MasterKey};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shortens the days of this process.
pub const DAY_SECONDS: &str = "GRANARY_LIFECYCLE_DAY_SECONDS";

/// Settings of a role's file, with the day of the environment, which wins.
pub fn settings(file: LifecycleSettings) -> anyhow::Result<LifecycleSettings> {
    let day_seconds = match std::env::var(DAY_SECONDS) {
        Ok(text) if !text.is_empty() => text.parse().with_context(|| format!("{DAY_SECONDS}={text}"))?,
        Ok(_) | Err(_) => file.day_seconds,
    };
    let settings = LifecycleSettings { day_seconds, ..file };
    settings.validate()?;
    if settings.calendar().is_shortened() {
        tracing::warn!(day_seconds, "lifecycle days are shortened: objects expire much sooner than their rules say");
    }
    Ok(settings)
}

/// Starts the scanner. It works while the namenode leads, until `shutdown`.
pub fn start_scanner(
    settings: LifecycleSettings,
    namenode: &Arc<Namenode>,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) {
    let leader = namenode.clone();
    let components = ScannerComponents {
        namenode: namenode.clone(),
        leads: Box::new(move || leader.is_leader()),
        now: Box::new(now),
        read_rules: granary_gateway::lifecycle_rules,
        shutdown,
    };
    tasks.spawn(Scanner::new(settings, components).run());
}

/// Starts what moves blocks to archive targets and back, until `shutdown`.
pub fn start_archiver(client: Client, master_key: MasterKey, tasks: &TaskTracker, shutdown: CancellationToken) {
    let keys = Arc::new(LocalKeyStore::new(client.clone(), master_key, false));
    let components = ArchiverComponents { client, keys, shutdown };
    tasks.spawn(Archiver::new(components).run());
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
