//! What a leading peer does by itself: formats a new cluster, expires leases, rotates block keys, plans repairs.
//!
//! Every peer runs the loop, so that each keeps its picture of datanodes; only the leader proposes.

use crate::archive;
use crate::blocks::KEY_ROTATION_MS;
use crate::coding;
use crate::command::{Action, Format};
use crate::file_recovery::FileRecovery;
use crate::service::Namenode;
use crate::startup::NamenodeError;
use crate::state;
use crate::tiering;
use granary_protocol::token::BlockKey;
use granary_protocol::user::TokenKey;
use granary_protocol::{ClusterId, Failure, UnixMillis};
use granary_rpc::{ClusterCa, ClusterName, EssentialTasks};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often the loop looks.
const TICK: Duration = Duration::from_millis(500);
/// A clock that differs by more from what it should show was set.
const CLOCK_SET_MS: u64 = 3_000;
/// Blocks planned for repair in one tick at most.
const REPAIRS_PER_TICK: usize = 256;
/// Ticks between two looks at the size of the engine's files.
const TICKS_PER_SIZING: u64 = 20;

/// Runs until `shutdown`, and fails the peer when Raft has stopped for good: a peer whose log or state cannot be written
/// must not look alive.
pub(crate) async fn run(
    namenode: Arc<Namenode>,
    authority: Option<ClusterCa>,
    shutdown: CancellationToken,
    essential: EssentialTasks,
) {
    let clock = (namenode.clock.now(), Instant::now());
    let mut leader = Leader { namenode, authority, leading: false, files: FileRecovery::default(), clock };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Changes with the leader only, where the other changes with every entry.
    let mut leadership = leader.namenode.raft.server_metrics();
    let metrics = leader.namenode.raft.metrics();
    let mut count: u64 = 0;
    let watch = async {
        loop {
            let leading = leader.leading;
            let mut raft_ended = false;
            tokio::select! {
                _ = ticks.tick() => {}
                changed = leadership.wait_for(|now| (now.state == openraft::ServerState::Leader) != leading) => {
                    raft_ended = changed.is_err();
                }
            }
            let running = metrics.borrow().running_state.clone();
            match running {
                Ok(()) if raft_ended => {
                    essential.fail("raft", "its task has ended");
                    break;
                }
                Ok(()) => {}
                Err(openraft::error::Fatal::Stopped) => break,
                Err(fatal) => {
                    essential.fail("raft", fatal.to_string());
                    break;
                }
            }
            leader.step().await;
            if count.is_multiple_of(TICKS_PER_SIZING) {
                leader.size_engine().await;
            }
            count += 1;
        }
    };
    shutdown.run_until_cancelled(watch).await;
    shutdown.cancel();
}

struct Leader {
    namenode: Arc<Namenode>,
    authority: Option<ClusterCa>,
    leading: bool,
    files: FileRecovery,
    /// The clock at the last look, and when that was.
    clock: (UnixMillis, Instant),
}

impl Leader {
    async fn step(&mut self) {
        let namenode = &self.namenode;
        let leads = namenode.is_leader();
        if leads && !self.leading && !take_over(namenode, &self.authority).await {
            // Not settled yet (no quorum, log still being applied); try again soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return;
        }
        let now = namenode.clock.now();
        let passed = self.clock.1.elapsed().as_millis() as u64;
        let expected = UnixMillis(self.clock.0.0.saturating_add(passed));
        self.clock = (now, Instant::now());
        if now.0.abs_diff(expected.0) > CLOCK_SET_MS {
            tracing::warn!(expected_ms = expected.0, now_ms = now.0, "the clock was set; silence is counted from now");
            namenode.applied.with_blocks(|blocks| blocks.clock_set(expected, now));
            if self.leading && !restart_leases(namenode) {
                return;
            }
        }
        if leads != self.leading {
            tracing::info!(leading = leads, "leadership changed");
            namenode.applied.with_blocks(|blocks| blocks.set_leading(leads, now));
            self.leading = leads;
        }
        namenode.applied.with_blocks(|blocks| blocks.tick(now, REPAIRS_PER_TICK));
        if self.leading {
            coding::settle_classes(namenode).await;
            coding::step(namenode, now).await;
            expire_leases(namenode, now).await;
            rotate_keys(namenode, now).await;
            tiering::step(namenode, now).await;
            archive::step(namenode, now).await;
            self.files.step(namenode, now).await;
        }
    }

    /// Adds up the engine's files, for the metrics.
    async fn size_engine(&self) {
        let engine = self.namenode.applied.engine();
        match granary_rpc::spawn_blocking(move || engine.disk_bytes()).await {
            Ok(Ok(bytes)) => self.namenode.metrics.engine_bytes.store(bytes, Ordering::Relaxed),
            Ok(Err(error)) => tracing::debug!(%error, "the engine's files cannot be added up now"),
            Err(error) => tracing::debug!(%error, "the engine's files cannot be added up now"),
        }
    }
}

/// A new leader may act once everything committed before its term is applied. The first leader ever formats.
async fn take_over(namenode: &Namenode, authority: &Option<ClusterCa>) -> bool {
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
    restart_leases(namenode)
}

/// Counts the silence of all writers from now on.
fn restart_leases(namenode: &Namenode) -> bool {
    let leases = match namenode.applied.view().map_err(NamenodeError::from).and_then(|view| Ok(state::leases(&*view)?))
    {
        Ok(leases) => leases,
        Err(error) => {
            tracing::error!(%error, "the leases cannot be read");
            return false;
        }
    };
    let now = namenode.clock.now();
    // The file system's own lease has no holder that could renew it.
    let leases = leases.into_iter().map(|(lease, _)| lease).filter(|lease| *lease != state::FILESYSTEM_LEASE);
    namenode.leases.lock().expect("held for map operations only").restart(leases, now);
    true
}

async fn format_if_new(namenode: &Namenode, authority: &Option<ClusterCa>) -> Result<(), NamenodeError> {
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
        Some(authority) => authority,
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
        token_key: TokenKey(random()?),
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
        namenode.applied.with_blocks(|blocks| blocks.release_claims(lease));
        if !report("expire a lease", namenode.propose(Action::ExpireLease { lease }).await) {
            break;
        }
    }
}

async fn rotate_keys(namenode: &Namenode, now: UnixMillis) {
    let newest = namenode.applied.with_blocks(|blocks| blocks.keys().last().map(|key| (key.id, key.expires)));
    let Some((id, expires)) = newest else { return };
    if expires.0.saturating_sub(now.0) > KEY_ROTATION_MS {
        return;
    }
    match new_key(id + 1, now) {
        Ok(key) => {
            report("rotate the block key", namenode.propose(Action::AddBlockKey { key }).await);
        }
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
fn report<T>(what: &str, outcome: Result<T, Failure>) -> bool {
    if let Err(failure) = &outcome {
        tracing::debug!(%failure, "could not {what} now");
    }
    outcome.is_ok()
}
