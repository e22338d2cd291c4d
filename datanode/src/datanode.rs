//! [`Datanode`]: what the namenode's tokens allow, done on this node's volumes.
//!
//! Every request is checked here, before any file is touched: the token, the generation, the bounds. Work on disks goes
//! to blocking threads that are joined at shutdown.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_protocol::block::{BLOCK_BYTES_MAX, Extent, ReplicaLocation};
use granary_protocol::datanode::{
    DatanodeConnector, DatanodeReply, DatanodeRequest, DatanodeService, ReadBlock, ReadStream, WriteBlock, WriteStream,
};
use granary_protocol::namenode::NamenodeService;
use granary_protocol::token::{AccessMode, BlockToken, TokenError};
use granary_protocol::{BlockId, Clock, DatanodeId, ErrorCode, Failure, VolumeId};
use granary_rpc::TaskDied;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::allowance::Allowance;
use crate::changes::ChangeLog;
use crate::commands::CommandQueue;
use crate::config::Config;
use crate::error::{ReplicaError, StartError};
use crate::jobs::Jobs;
use crate::keys::TokenKeys;
use crate::layout::ReplicaName;
use crate::metrics::{DatanodeGauges, DatanodeMetrics};
use crate::namenode_link;
use crate::open_replica::{OpenReplica, Purpose};
use crate::pipeline::{self, Downstream};
use crate::read::open_read;
use crate::replica_writer::ReplicaWriter;
use crate::scrub;
use crate::volume::{Volume, VolumeContext};
use crate::volumes::Volumes;

/// What a datanode is given.
#[derive(Clone)]
pub struct Components {
    /// Tells when tokens expire.
    pub clock: Arc<dyn Clock>,
    /// Every namenode peer known at the start; all of them get heartbeats and reports, until
    /// [`Datanode::set_namenodes`] names others.
    pub namenodes: Vec<Arc<dyn NamenodeService>>,
    /// Reaches the other datanodes.
    pub connector: Arc<dyn DatanodeConnector>,
}

/// A running datanode; clones are the same one.
#[derive(Clone)]
pub struct Datanode {
    pub(crate) node: Arc<Node>,
}

/// What a datanode's parts share.
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) connector: Arc<dyn DatanodeConnector>,
    pub(crate) volumes: Volumes,
    pub(crate) keys: TokenKeys,
    pub(crate) changes: Arc<ChangeLog>,
    pub(crate) metrics: Arc<DatanodeMetrics>,
    pub(crate) shutdown: CancellationToken,
    /// Everything that runs or blocks; joined at shutdown.
    pub(crate) jobs: Jobs,
    pub(crate) pipelines: Arc<Semaphore>,
    /// What may be written for repair, balance and coding.
    pub(crate) copies: Allowance,
    /// What namenodes order goes here; set once, at the start.
    commands: OnceLock<CommandQueue>,
    /// The namenodes that are told, each with what ends that.
    links: Mutex<BTreeMap<String, CancellationToken>>,
}

/// Runs a datanode until `shutdown`, then ends what is under way and lets go of the volumes.
///
/// # Errors
/// [`StartError`]; once started, it goes on until it is told to stop.
pub async fn run(config: Config, components: Components, shutdown: CancellationToken) -> Result<(), StartError> {
    let datanode = Datanode::start(config, components, shutdown.clone()).await?;
    shutdown.cancelled().await;
    datanode.stop().await;
    Ok(())
}

impl Datanode {
    /// Opens the volumes and begins to report. `shutdown` ends it; [`Datanode::stop`] waits for that.
    ///
    /// # Errors
    /// [`StartError`]: settings that cannot work, volumes that cannot be used.
    pub async fn start(
        config: Config,
        components: Components,
        shutdown: CancellationToken,
    ) -> Result<Datanode, StartError> {
        config.validate()?;
        let Components { clock, namenodes, connector } = components;
        let changes = Arc::new(ChangeLog::default());
        let metrics = Arc::new(DatanodeMetrics::default());
        let context = VolumeContext {
            changes: changes.clone(),
            metrics: metrics.clone(),
            reserved_bytes: config.reserved_bytes,
            io_errors_max: config.io_errors_max,
            open_replicas_max: config.open_replicas_max.div_ceil(config.volumes.len()),
        };
        let volume_configs = config.volumes.clone();
        let opening = granary_rpc::spawn_blocking(move || Volumes::open(&volume_configs, &context));
        let volumes = opening.await.expect("opening volumes does not panic")?;
        let in_place = config.volumes.len() == 1;
        let node = Arc::new(Node {
            pipelines: Arc::new(Semaphore::new(config.pipelines_max)),
            copies: Allowance::new(config.copy_bytes_per_second),
            config,
            clock,
            connector,
            volumes,
            keys: TokenKeys::default(),
            changes,
            metrics,
            // With one volume the log is on the same disk as a rule, and hangs with it; of several each may hang alone.
            jobs: Jobs::here(shutdown.clone(), in_place),
            shutdown,
            commands: OnceLock::new(),
            links: Mutex::default(),
        });
        let datanode = Datanode { node };
        let commands = CommandQueue::start(&datanode);
        let named = (1..).zip(namenodes).map(|(number, namenode)| (number.to_string(), namenode));
        datanode.follow(named.collect(), &commands);
        datanode.node.commands.set(commands).unwrap_or_else(|_| unreachable!("a datanode is started once"));
        scrub::start(&datanode);
        Ok(datanode)
    }

    /// From now on the namenodes are these, by a name of the caller's choice (their addresses): a new one is registered with
    /// at once, one that is no longer named hears nothing more.
    pub fn set_namenodes(&self, namenodes: Vec<(String, Arc<dyn NamenodeService>)>) {
        if let Some(commands) = self.node.commands.get() {
            self.follow(namenodes, commands);
        }
    }

    fn follow(&self, namenodes: Vec<(String, Arc<dyn NamenodeService>)>, commands: &CommandQueue) {
        let mut links = self.node.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|name, link| {
            let stays = namenodes.iter().any(|(named, _)| named == name);
            if !stays {
                link.cancel();
            }
            stays
        });
        for (name, namenode) in namenodes {
            links.entry(name).or_insert_with_key(|name| namenode_link::start(self, name, namenode, commands.clone()));
        }
    }

    /// Asks everything to end, waits until it has, and lets go of the volumes. Open pipelines and reads fail.
    pub async fn stop(&self) {
        self.node.shutdown.cancel();
        self.node.jobs.join().await;
        for volume in self.node.volumes.all() {
            volume.close();
        }
    }

    /// Why this node ended by itself, if it did.
    pub fn failure(&self) -> Option<TaskDied> {
        self.node.jobs.failure()
    }

    /// This node's id, as its volumes have it.
    pub fn id(&self) -> DatanodeId {
        self.node.volumes.datanode
    }

    /// The volumes, in the order of the configuration.
    pub fn volume_ids(&self) -> Vec<VolumeId> {
        self.node.volumes.all().iter().map(|volume| volume.id).collect()
    }

    /// Where a replica on one of this node's volumes is.
    pub fn location(&self, volume: VolumeId) -> ReplicaLocation {
        ReplicaLocation { datanode: Arc::new(self.node.config.endpoint(self.id())), volume }
    }

    /// Whether a namenode has answered and tokens can be checked.
    pub fn ready(&self) -> bool {
        self.node.keys.any() && self.node.volumes.all().iter().any(|volume| volume.failed().is_none())
    }

    /// The counters and gauges in Prometheus' text format.
    pub fn render_metrics(&self) -> String {
        let volumes = self.node.volumes.all();
        let in_service = || volumes.iter().filter(|volume| volume.failed().is_none());
        self.node.metrics.render(DatanodeGauges {
            replicas: in_service().map(|volume| volume.replicas().len() as u64).sum(),
            replica_bytes: in_service().map(|volume| volume.used_bytes()).sum(),
            volumes: volumes.len() as u64,
            volumes_failed: (volumes.len() - in_service().count()) as u64,
            pipelines: (self.node.config.pipelines_max - self.node.pipelines.available_permits()) as u64,
        })
    }

    /// The counters.
    pub fn metrics(&self) -> &DatanodeMetrics {
        &self.node.metrics
    }

    pub(crate) fn volume(&self, id: VolumeId) -> Result<Arc<Volume>, ReplicaError> {
        self.node.volumes.get(id).cloned().ok_or(ReplicaError::NoSuchVolume)
    }

    /// Runs `work`, which may block, on a thread where it may. It is finished even if nobody waits for it any more.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ReplicaError> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.node.jobs.spawn_blocking(work).await {
            Ok(done) => done.map_err(Failure::from),
            Err(error) => Err(Failure::new(ErrorCode::Internal, error.to_string())),
        }
    }

    pub(crate) fn check_running(&self) -> Result<(), ReplicaError> {
        if self.node.shutdown.is_cancelled() { Err(ReplicaError::ShuttingDown) } else { Ok(()) }
    }

    pub(crate) fn check_token(&self, token: &BlockToken, wanted: Extent, mode: AccessMode) -> Result<(), ReplicaError> {
        self.node.keys.verify(token, wanted, mode, self.node.clock.now()).map_err(|error| {
            self.node.metrics.tokens_refused.add(1);
            error.into()
        })
    }

    async fn open_write(&self, request: WriteBlock) -> Result<WriteStream, Failure> {
        self.check_running()?;
        let WriteBlock { block, generation, kind, ref pipeline, ref token } = request;
        // Copies between datanodes carry their own mode; everybody else writes.
        let mode = if token.mode == AccessMode::Copy { AccessMode::Copy } else { AccessMode::Write };
        self.check_token(token, Extent { block, offset: 0, length: BLOCK_BYTES_MAX }, mode)?;
        if token.generation != generation {
            return Err(ReplicaError::Token(TokenError::NotCovered).into());
        }
        let Some(own) = pipeline.first().filter(|first| first.datanode.id == self.id()) else {
            let reason = "this datanode is not the first member of the pipeline".to_owned();
            return Err(ReplicaError::Malformed { block, reason }.into());
        };
        let volume = self.volume(own.volume)?;
        let place = self.node.pipelines.clone().try_acquire_owned().map_err(|_| ReplicaError::Busy)?;
        let purpose = if mode == AccessMode::Copy { Purpose::Copy } else { Purpose::Write };
        let name = ReplicaName { block, generation, kind };
        let bytes_max = token.extent.length;
        let (created, downstream) =
            tokio::join!(self.create(volume.clone(), name, purpose), self.open_downstream(&request));
        let mut created = created?;
        let downstream = match downstream {
            Ok(downstream) => downstream,
            Err(failure) => {
                // Gone before the writer hears of it: it may begin the same block again at once.
                created.discard().await;
                return Err(failure);
            }
        };
        let replica = created.take();
        self.node.metrics.pipelines_opened.add(1);
        let (writer, acks) = ReplicaWriter::new(volume, replica, bytes_max, self.node.jobs.clone(), place);
        let patience = Duration::from_millis(self.node.config.pipeline_ack_timeout_ms);
        Ok(pipeline::join(writer, acks, downstream, patience))
    }

    pub(crate) async fn create(
        &self,
        volume: Arc<Volume>,
        name: ReplicaName,
        purpose: Purpose,
    ) -> Result<Created, Failure> {
        let jobs = self.node.jobs.clone();
        let create = move || {
            let replica = volume.create(name, purpose)?;
            Ok(Created { volume, replica: Some(replica), jobs })
        };
        self.blocking(create).await
    }

    /// Opens the rest of the pipeline, if there is any.
    async fn open_downstream(&self, request: &WriteBlock) -> Result<Option<Downstream>, Failure> {
        let Some(rest) = request.pipeline.get(1..).filter(|rest| !rest.is_empty()) else { return Ok(None) };
        let volume = rest[0].volume;
        let service = self.service_of(&rest[0]);
        let request = WriteBlock { pipeline: rest.to_vec(), ..request.clone() };
        let limit = Duration::from_millis(self.node.config.pipeline_open_timeout_ms);
        let stream = pipeline::within(limit, volume, service.write(request)).await?;
        Ok(Some(Downstream { volume, stream }))
    }

    /// Who answers for a replica's node: this one itself, without a detour, or the one that the connector finds.
    pub(crate) fn service_of(&self, location: &ReplicaLocation) -> Arc<dyn DatanodeService> {
        if location.datanode.id == self.id() {
            Arc::new(self.clone())
        } else {
            self.node.connector.datanode(&location.datanode)
        }
    }

    fn start_read(&self, request: ReadBlock) -> Result<Box<dyn ReadStream>, ReplicaError> {
        self.check_running()?;
        let ReadBlock { volume, generation, offset, length, token } = request;
        let block = token.block();
        self.check_token(&token, Extent { block, offset, length }, AccessMode::Read)?;
        let volume = self.volume(volume)?;
        let malformed = |reason: &str| ReplicaError::Malformed { block, reason: reason.to_owned() };
        let end = offset.checked_add(length).ok_or_else(|| malformed("a read past what a block can hold"))?;
        if length == 0 {
            return Err(malformed("a read of no bytes"));
        }
        let source = volume.source(block, generation.max(token.generation))?;
        if source.length() < end {
            let reason = format!("{} bytes here, up to {end} asked for", source.length());
            return Err(ReplicaError::NotFound { block, reason });
        }
        self.node.metrics.reads.add(1);
        Ok(open_read(volume, source, offset, end, self.node.jobs.clone()))
    }

    async fn answer(&self, request: DatanodeRequest) -> Result<DatanodeReply, Failure> {
        self.check_running()?;
        match request {
            DatanodeRequest::Finalize { volume, generation, length, kind: _, token } => {
                let (block, known) = (token.block(), token.generation);
                self.check_token(&token, Extent { block, offset: 0, length }, AccessMode::Write)?;
                let volume = self.volume(volume)?;
                self.blocking(move || volume.finalize_as(block, known, generation, length)).await?;
                Ok(DatanodeReply::Done)
            }
            DatanodeRequest::Verify { volume, token } => {
                let volume = self.volume(volume)?;
                let block: BlockId = token.block();
                let at = |length| Extent { block, offset: 0, length };
                self.check_token(&token, at(0), AccessMode::Copy)?;
                let source = volume.source(block, token.generation)?;
                self.check_token(&token, at(source.length()), AccessMode::Copy)?;
                let length = self.blocking(move || volume.verify(source)).await?;
                Ok(DatanodeReply::Verified { length })
            }
        }
    }
}

/// A replica whose pipeline is not open yet. Unless it is taken, it goes again: its writer has left, or another member
/// could not be opened.
pub(crate) struct Created {
    volume: Arc<Volume>,
    replica: Option<Arc<OpenReplica>>,
    jobs: Jobs,
}

impl Created {
    pub(crate) fn take(&mut self) -> Arc<OpenReplica> {
        self.replica.take().expect("a created replica is taken once")
    }

    /// Takes the replica away again; done when it is gone.
    async fn discard(mut self) {
        if let Some(discarding) = self.discarding() {
            // A job that panicked has left nothing to wait for.
            let _ = discarding.await;
        }
    }

    fn discarding(&mut self) -> Option<JoinHandle<()>> {
        let (volume, replica) = (self.volume.clone(), self.replica.take()?);
        Some(self.jobs.spawn_blocking(move || {
            volume.forget(&replica);
            volume.discard(&replica, "its pipeline was not opened");
        }))
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        self.discarding();
    }
}

impl DatanodeService for Datanode {
    fn write(&self, request: WriteBlock) -> BoxFuture<'_, Result<WriteStream, Failure>> {
        self.open_write(request).boxed()
    }

    fn read(&self, request: ReadBlock) -> BoxFuture<'_, Result<Box<dyn ReadStream>, Failure>> {
        std::future::ready(self.start_read(request).map_err(Failure::from)).boxed()
    }

    fn call(&self, request: DatanodeRequest) -> BoxFuture<'_, Result<DatanodeReply, Failure>> {
        self.answer(request).boxed()
    }
}
