//! What a leading peer does by itself: formats a new cluster, expires leases, rotates block keys, plans repairs.
//!
//! Every peer runs the loop, so that each keeps its picture of datanodes; only the leader proposes.

use crate::command::{Action, Format};
use crate::service::Namenode;
use crate::startup::NamenodeError;
use crate::state;
use granary_protocol::token::BlockKey;
use granary_protocol::{ClusterId, Failure, UnixMillis};
use granary_rpc::{ClusterCa, ClusterName};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the loop looks.
const TICK: Duration = Duration::from_millis(500);
/// Blocks planned for repair in one tick at most.
const REPAIRS_PER_TICK: usize = 256;
/// A block key signs tokens for this long and is accepted for twice as long: 10 hours, as in HDFS.
const KEY_ROTATION_MS: u64 = 10 * 60 * 60 * 1000;

/// Runs until `shutdown`.
pub(crate) async fn run(namenode: Arc<Namenode>, mut authority: Option<ClusterCa>, shutdown: CancellationToken) {
    let mut leading = false;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut metrics = namenode.raft.metrics();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
            changed = metrics.wait_for(|metrics| (metrics.state == openraft::ServerState::Leader) != leading) => {
                if changed.is_err() {
                    break;
                }
            }
        }
        let leads = namenode.is_leader();
        if leads && !leading && !take_over(&namenode, &mut authority).await {
            // Not settled yet (no quorum, log still being applied); try again at the next tick.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        if leads != leading {
            tracing::info!(leading = leads, "leadership changed");
            namenode.applied.with_blocks(|blocks| blocks.set_leading(leads));
            leading = leads;
        }
        let now = namenode.clock.now();
        namenode.applied.with_blocks(|blocks| blocks.tick(now, REPAIRS_PER_TICK));
        if leading {
            expire_leases(&namenode, now).await;
            rotate_keys(&namenode, now).await;
        }
    }
}

/// A new leader may act once everything committed before its term is applied. The first leader ever formats.
async fn take_over(namenode: &Namenode, authority: &mut Option<ClusterCa>) -> bool {
    if namenode.reads.admit().await.is_err() {
        return false;
    }
    match format_if_new(namenode, authority).await {
        Ok(()) => {}
        Err(error) => {
            tracing::warn!(%error, "the cluster is not formatted yet");
            return false;
        }
    }
    let leases = match namenode.applied.view().map_err(NamenodeError::from).and_then(|view| Ok(state::leases(&*view)?))
    {
        Ok(leases) => leases,
        Err(error) => {
            tracing::error!(%error, "the leases cannot be read");
            return false;
        }
    };
    let now = namenode.clock.now();
    let leases = leases.into_iter().map(|(lease, _)| lease);
    namenode.leases.lock().expect("held for map operations only").restart(leases, now);
    true
}

async fn format_if_new(namenode: &Namenode, authority: &mut Option<ClusterCa>) -> Result<(), NamenodeError> {
    let view = namenode.applied.view()?;
    if state::cluster_id(&*view)?.is_some() {
        return Ok(());
    }
    let cluster = match authority {
        Some(authority) => authority.cluster().as_str().to_owned(),
        None => format!("granary-{:016x}", u64::from_le_bytes(random()?)),
    };
    let made;
    let authority = match authority {
        Some(authority) => &*authority,
        None => {
            made = ClusterCa::generate(&ClusterName::new(cluster.as_str())?)?;
            &made
        }
    };
    let format = Format {
        cluster: ClusterId(cluster),
        ca_cert_pem: authority.cert_pem().to_owned(),
        ca_key_pem: authority.key_pem(),
        key: new_key(1, namenode.clock.now())?,
    };
    namenode
        .propose(Action::Format(Box::new(format)))
        .await
        .map_err(|failure| NamenodeError::Raft(failure.to_string()))?;
    tracing::info!("formatted a new cluster");
    Ok(())
}

async fn expire_leases(namenode: &Namenode, now: UnixMillis) {
    let expired =
        namenode.leases.lock().expect("held for map operations only").expired(namenode.config.lease_timeout_ms, now);
    for lease in expired {
        tracing::info!(%lease, "a writer has been silent for too long; its lease expires");
        report("expire a lease", namenode.propose(Action::ExpireLease { lease }).await);
        namenode.applied.with_blocks(|blocks| blocks.release_claims(lease));
    }
}

async fn rotate_keys(namenode: &Namenode, now: UnixMillis) {
    let newest = namenode.applied.with_blocks(|blocks| blocks.keys().last().map(|key| (key.id, key.expires)));
    let Some((id, expires)) = newest else { return };
    if expires.0.saturating_sub(now.0) > KEY_ROTATION_MS {
        return;
    }
    match new_key(id + 1, now) {
        Ok(key) => report("rotate the block key", namenode.propose(Action::AddBlockKey { key }).await),
        Err(error) => tracing::error!(%error, "no random bytes for a block key"),
    }
}

fn new_key(id: u32, now: UnixMillis) -> Result<BlockKey, NamenodeError> {
    Ok(BlockKey { id, secret: random()?, expires: UnixMillis(now.0 + 2 * KEY_ROTATION_MS) })
}

fn random<const N: usize>() -> Result<[u8; N], NamenodeError> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|error| NamenodeError::Io(std::io::Error::other(error)))?;
    Ok(bytes)
}

/// Housekeeping that fails is tried again at the next tick; a lost leadership is not worth a warning.
fn report<T>(what: &str, outcome: Result<T, Failure>) {
    if let Err(failure) = outcome {
        tracing::debug!(%failure, "could not {what} now");
    }
}
