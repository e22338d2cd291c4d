//! Starting and stopping a namenode peer.

use crate::archive::ArchiveDesk;
use crate::backup::Exports;
use crate::blocks::Blocks;
use crate::config::Config;
use crate::datanode_doors::DatanodeDoors;
use crate::engine::EngineError;
use crate::error::StateError;
use crate::housekeeping;
use crate::jobs::JobsSlot;
use crate::leader;
use crate::leases::LeaseTable;
use crate::metrics::Metrics;
use crate::peers::{self, Identity, PeerDoor};
use crate::proposer::Proposer;
use crate::raft::log_store::LogStore;
use crate::raft::machine::{AppliedStore, Machine};
use crate::raft::network::PeerNetwork;
use crate::raft::{PeerNode, Raft};
use crate::raft_log::RaftLogError;
use crate::read_index::{Admission, AdmitReads, ReadIndex};
use crate::service::Namenode;
use crate::state::Effect;
use crate::tiering::Accesses;
use futures_util::FutureExt;
use granary_protocol::{Clock, UnixMillis};
use granary_rpc::{ClusterCa, EssentialTasks, Security, TaskDied, TlsError};
use openraft::SnapshotPolicy;
use openraft::error::{InitializeError, RaftError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a namenode does not start or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum NamenodeError {
    /// Settings that cannot work.
    #[error("configuration: {0}")]
    Config(String),
    /// A file of this peer is damaged.
    #[error("damaged: {0}")]
    Corrupt(String),
    /// The applied state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The Raft log.
    #[error(transparent)]
    RaftLog(#[from] RaftLogError),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Raft itself.
    #[error("raft: {0}")]
    Raft(String),
}

/// What a namenode is given, besides its settings.
pub struct Components {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How peers reach each other.
    pub security: Security,
    /// The cluster's authority, where it was made before the first start (as it must be for several peers, which need
    /// certificates to meet). Otherwise the first leader makes one.
    pub authority: Option<ClusterCa>,
    /// What others meet until the peer runs, and afterwards; the same that the port's [`crate::server::NamenodeServer`] has.
    /// The port must be open before a peer of several is started.
    pub door: Arc<PeerDoor>,
    /// Ends the peer. Is cancelled by the peer itself when it cannot go on; the log says why.
    pub shutdown: CancellationToken,
}

/// A running peer and its tasks.
pub struct Running {
    /// The peer.
    pub namenode: Arc<Namenode>,
    tasks: TaskTracker,
    essential: EssentialTasks,
}

impl Running {
    /// Waits until every task has ended; `shutdown` must have been cancelled.
    ///
    /// # Errors
    /// The peer ended by itself.
    pub async fn join(self) -> Result<(), TaskDied> {
        let Running { namenode, tasks, essential } = self;
        if let Err(error) = namenode.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
        drop(namenode);
        tasks.close();
        tasks.wait().await;
        essential.failure().map_or(Ok(()), Err)
    }
}

/// Starts a peer: opens its log and state, joins or forms the cluster, and begins to answer.
///
/// # Errors
/// Anything on disk that is damaged, or of a version this binary does not know, is an error here rather than a guess.
pub async fn start(config: Config, components: Components) -> Result<Running, NamenodeError> {
    start_admitting(config, components, None).await
}

/// The same with another judge of when reads are admitted: see [`AdmitReads`].
///
/// # Errors
/// As [`start`].
pub async fn start_admitting(
    config: Config,
    components: Components,
    admission: Option<Arc<dyn AdmitReads>>,
) -> Result<Running, NamenodeError> {
    config.validate()?;
    let Components { clock, security, authority, door, shutdown } = components;
    let mut seed = [0u8; 8];
    getrandom::fill(&mut seed).map_err(|error| NamenodeError::Io(std::io::Error::other(error)))?;
    let leases = Arc::new(Mutex::new(LeaseTable::default()));

    let applied = open_state(&config, u64::from_le_bytes(seed), leases.clone(), clock.clone()).await?;
    let log_directory = config.data.join("raft");
    let log_config = config.raft_log.clone();
    let log = granary_rpc::spawn_blocking(move || LogStore::open(&log_directory, log_config))
        .await
        .map_err(|error| NamenodeError::Raft(error.to_string()))??;

    let configured = config.join.is_none().then_some(config.peer);
    let identity = Identity::open(&config.data, configured)?;
    if log.purged().map(|purged| purged.index) > *applied.index().borrow() {
        return Err(NamenodeError::Corrupt("the log was purged beyond what the state has applied".to_owned()));
    }
    // One that joins gets its vote with its number; first peers of several get theirs when they have met.
    let meets = config.peers.len() > 1 && log.is_empty() && identity.founders.is_empty();
    let (incarnation, votes) = (identity.incarnation, !meets && identity.peer.is_some());
    door.open(identity, config.name(), config.peers.clone(), votes);
    let number = tokio::select! {
        number = door.number() => number,
        () = shutdown.cancelled() => return Err(NamenodeError::Raft("stopped before it was admitted".to_owned())),
    };

    let found = log.found();
    let raft = Raft::new(
        number.0,
        Arc::new(raft_config(&config)?),
        PeerNetwork::new(security.clone()),
        log.clone(),
        Machine::new(applied.clone()),
    )
    .await
    .map_err(|error| NamenodeError::Raft(error.to_string()))?;
    if !meets && let Err(error) = form_cluster(&config, &raft).await {
        // What it was doing when it was stopped matters less than why.
        let _ = raft.shutdown().await;
        return Err(error);
    }

    let tasks = TaskTracker::new();
    let metrics = Arc::new(Metrics::default());
    let (proposer, proposing) = Proposer::new(raft.clone(), clock.clone(), metrics.clone());
    let (index, reading) = ReadIndex::new(raft.clone(), applied.index(), found);
    let reads = admission.map_or(Admission::Index(index), Admission::Given);
    let essential = EssentialTasks::new(shutdown.clone());
    // Callers may hold on to the peer after it was told to stop; its tasks do not wait for them.
    let until_stopped = |work| shutdown.clone().run_until_cancelled_owned(work);
    tasks.spawn(essential.guard("the proposer", ended(until_stopped(proposing.boxed()))));
    tasks.spawn(essential.guard("the read index", ended(until_stopped(reading.boxed()))));
    let namenode = Arc::new(Namenode {
        config,
        raft,
        applied,
        log,
        proposer,
        reads,
        leases,
        mover: Mutex::default(),
        archive: ArchiveDesk::default(),
        accesses: Accesses::default(),
        small_files_after: Mutex::default(),
        clock,
        metrics,
        quotas: Default::default(),
        doors: DatanodeDoors::default(),
        jobs: JobsSlot::default(),
        exports: Exports::default(),
        security,
    });
    door.serve(namenode.clone());
    if meets {
        let founding = found_cluster(namenode.clone(), door, incarnation, shutdown.clone(), essential.clone());
        tasks.spawn(essential.guard("the founding of the cluster", founding));
    }
    let housekeeping = housekeeping::run(namenode.clone()).boxed();
    tasks.spawn(essential.guard("the housekeeper", ended(until_stopped(housekeeping))));
    let leading = leader::run(namenode.clone(), authority, shutdown, essential.clone());
    tasks.spawn(essential.guard("the leader's loop", leading));
    Ok(Running { namenode, tasks, essential })
}

/// A task's end, whether it was told to stop or had nothing left to do.
async fn ended(work: impl Future<Output = Option<()>>) {
    work.await;
}

async fn open_state(
    config: &Config,
    seed: u64,
    leases: Arc<Mutex<LeaseTable>>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<AppliedStore>, NamenodeError> {
    let policies = config.policies().map_err(NamenodeError::Config)?;
    let blocks = Blocks::new(config.liveness, config.balance, policies, config.coding, seed);
    let directory = config.data.join("state");
    let (engine, engine_config) = (config.engine, config.engine_config.clone());
    let learn = move |effects: &[Effect]| learn_leases(&leases, effects, clock.now());
    granary_rpc::spawn_blocking(move || AppliedStore::open(&directory, engine, engine_config, blocks, learn))
        .await
        .map_err(|error| NamenodeError::Raft(error.to_string()))?
        .map(Arc::new)
}

fn learn_leases(leases: &Mutex<LeaseTable>, effects: &[Effect], now: UnixMillis) {
    for effect in effects {
        match effect {
            Effect::LeaseOpened { lease, .. } => {
                leases.lock().expect("held for map operations only").opened(*lease, now)
            }
            Effect::LeaseClosed { lease } => leases.lock().expect("held for map operations only").closed(*lease),
            _ => {}
        }
    }
}

fn raft_config(config: &Config) -> Result<openraft::Config, NamenodeError> {
    openraft::Config {
        cluster_name: "granary".to_owned(),
        heartbeat_interval: config.heartbeat_interval_ms,
        election_timeout_min: config.election_timeout_ms,
        election_timeout_max: config.election_timeout_ms * 2,
        install_snapshot_timeout: 120_000,
        max_payload_entries: 64,
        replication_lag_threshold: config.snapshot_entries,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_entries),
        max_in_snapshot_log_to_keep: config.snapshot_entries / 4,
        ..openraft::Config::default()
    }
    .validate()
    .map_err(|error| NamenodeError::Config(error.to_string()))
}

/// Writes the first membership into an empty log. Every first peer does so, with the same membership, and Raft makes
/// sure that one of them prevails.
async fn form_cluster(config: &Config, raft: &Raft) -> Result<(), NamenodeError> {
    if config.join.is_some() {
        return Ok(());
    }
    if raft.is_initialized().await.map_err(|error| NamenodeError::Raft(error.to_string()))? {
        return Ok(());
    }
    let members: BTreeMap<u64, PeerNode> = config
        .peers
        .iter()
        .map(|peer| (peer.peer.0, PeerNode { name: peer.name.clone(), address: peer.address.clone() }))
        .collect();
    match raft.initialize(members).await {
        // Another first peer was faster, and has written to this one's log already.
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(NamenodeError::Raft(error.to_string())),
    }
}

/// Waits until all first peers have met, then forms the cluster; ends a peer that the others know with another disk.
async fn found_cluster(
    namenode: Arc<Namenode>,
    door: Arc<PeerDoor>,
    incarnation: u64,
    shutdown: CancellationToken,
    essential: EssentialTasks,
) {
    let founding = async {
        let founders = peers::found(&namenode.config, incarnation, &namenode.security).await?;
        granary_rpc::spawn_blocking(move || door.founded(founders))
            .await
            .map_err(|error| NamenodeError::Raft(error.to_string()))??;
        form_cluster(&namenode.config, &namenode.raft).await
    };
    match shutdown.run_until_cancelled(founding).await {
        Some(Err(error)) => essential.fail("the founding of the cluster", error.to_string()),
        Some(Ok(())) => tracing::info!("the first peers have met"),
        None => {}
    }
}
