//! Keeps the metadata's own disk space in bounds, on every peer: purges the log by bytes and not only by entries, and has
//! the engine give back what was deleted; ends exports that nobody fetches, whose views keep deleted rows.
//!
//! The first two wait for a quiet moment where they can, so that an idle store takes no more than it needs, and do not where the
//! bound is reached.

use crate::service::Namenode;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks.
const TICK: Duration = Duration::from_secs(2);
/// Ticks without a new entry after which the peer counts as idle.
const IDLE_TICKS: u32 = 3;
/// Log of an idle peer that is not worth a purge.
const IDLE_LOG_BYTES: u64 = 1 << 20;
/// Entries that stay in the log behind a purge, so that a peer that was away for a moment needs no snapshot.
const ENTRIES_KEPT: u64 = 500;
/// Fewer deleted rows than this are not worth a compaction.
const DELETED_ROWS_MIN: u64 = 10_000;

/// Runs until it is dropped.
pub(crate) async fn run(namenode: Arc<Namenode>) {
    let mut idle_ticks = 0;
    let mut last_seen = None;
    loop {
        tokio::time::sleep(TICK).await;
        let applied = *namenode.applied.index().borrow();
        idle_ticks = if applied == last_seen { idle_ticks + 1 } else { 0 };
        last_seen = applied;
        let idle = idle_ticks >= IDLE_TICKS;
        purge_log(&namenode, applied, idle).await;
        compact_engine(&namenode, idle).await;
        namenode.exports.give_up_silent();
    }
}

async fn purge_log(namenode: &Namenode, applied: Option<u64>, idle: bool) {
    let bytes = namenode.log.log_bytes();
    let due = bytes > namenode.config.log_bytes_max || (idle && bytes > IDLE_LOG_BYTES);
    let (Some(applied), true) = (applied, due) else { return };
    let metrics = namenode.raft.metrics().borrow().clone();
    let synced = metrics.snapshot.map(|log_id| log_id.index);
    let purged = metrics.purged.map(|log_id| log_id.index);
    let asked = if synced.is_none_or(|synced| synced + ENTRIES_KEPT < applied) || (idle && synced < Some(applied)) {
        namenode.raft.trigger().snapshot().await
    } else {
        // Synced up to here: what followers have and nobody needs again may go.
        let keep = if idle { 0 } else { ENTRIES_KEPT };
        match synced.map(|synced| synced.saturating_sub(keep)) {
            Some(upto) if purged < Some(upto) => namenode.raft.trigger().purge_log(upto).await,
            _ => Ok(()),
        }
    };
    if let Err(error) = asked {
        tracing::debug!(%error, "the log cannot be purged now");
    }
}

/// The engine rewrites the living rows, so it is asked only when the deleted ones are many beside them: each row is
/// rewritten a bounded number of times, whatever the size of the store.
async fn compact_engine(namenode: &Arc<Namenode>, idle: bool) {
    let deleted = namenode.applied.deleted_rows();
    let living = namenode.living_rows();
    let due = if idle {
        deleted >= DELETED_ROWS_MIN.max(living / 4)
    } else {
        deleted >= (100 * DELETED_ROWS_MIN).max(living)
    };
    if !due {
        return;
    }
    let applied = namenode.applied.clone();
    match granary_rpc::spawn_blocking(move || applied.compact()).await {
        Ok(Ok(())) => tracing::info!(deleted, "the engine gave back the space of deleted rows"),
        Ok(Err(error)) => tracing::error!(%error, "the engine cannot be compacted"),
        Err(error) => tracing::error!(%error, "the compaction of the engine ended early"),
    }
}
