//! What passes between this node and one namenode: registration, heartbeats with the commands that answer them, full
//! block reports and changes.
//!
//! Two tasks a namenode, so that a long report does not hold up heartbeats. They meet in the outbox (what is to be told)
//! and in the registration (whether it will be heard). A peer that follows answers `NotLeader` or has no commands; it is
//! asked again at every heartbeat, so that a new leader knows this node at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService, ReplicaReport, VolumeReport};
use granary_protocol::{ClusterId, ErrorCode, Failure};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::changes::{Due, Outbox};
use crate::commands::CommandQueue;
use crate::datanode::Datanode;
use crate::volume::Volume;

/// Replicas in one page of a report.
const REPORT_PAGE_REPLICAS_MAX: usize = 5_000;
/// Changes in one message.
const CHANGES_PER_MESSAGE_MAX: usize = 5_000;
/// How long a change waits for others to share its message.
const COALESCE: Duration = Duration::from_millis(25);
/// Heartbeats are this far apart at most, however often they have failed.
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// Starts both tasks; they end at shutdown, or when the token that is returned is cancelled.
pub(crate) fn start(
    datanode: &Datanode,
    name: &str,
    namenode: Arc<dyn NamenodeService>,
    commands: CommandQueue,
) -> CancellationToken {
    let end = datanode.node.shutdown.child_token();
    let (registered, registered_rx) = watch::channel(false);
    let outbox = datanode.node.changes.add_outbox();
    let link = Link { datanode: datanode.clone(), name: Arc::from(name), namenode, outbox };
    let (heartbeats, reports) = (link.clone(), link);
    let (ended, ended_too) = (end.clone(), end.clone());
    datanode.node.jobs.spawn_essential("the heartbeat", async move {
        tokio::select! {
            () = ended.cancelled() => {}
            () = heartbeats.heartbeats(registered, commands) => {}
        }
    });
    datanode.node.jobs.spawn_essential("the block reporter", async move {
        let (changes, outbox) = (reports.datanode.node.changes.clone(), reports.outbox.clone());
        tokio::select! {
            () = ended_too.cancelled() => {}
            () = reports.reports(registered_rx) => {}
        }
        changes.remove_outbox(&outbox);
    });
    end
}

#[derive(Clone)]
struct Link {
    datanode: Datanode,
    /// Which of the namenodes, for the log.
    name: Arc<str>,
    namenode: Arc<dyn NamenodeService>,
    outbox: Arc<Outbox>,
}

impl Link {
    async fn call(&self, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        let limit = Duration::from_millis(self.datanode.node.config.namenode_timeout_ms);
        match timeout(limit, self.namenode.call(request)).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(ErrorCode::DeadlineExceeded.into()),
        }
    }

    async fn heartbeats(self, registered: watch::Sender<bool>, commands: CommandQueue) {
        let node = &self.datanode.node;
        let interval = Duration::from_millis(node.config.heartbeat_interval_ms);
        let report_interval = Duration::from_millis(node.config.block_report_interval_ms);
        let mut reported_at = Instant::now();
        let mut volumes_failed = 0;
        let mut failures: u32 = 0;
        loop {
            let volumes = self.volume_reports(interval).await;
            let failed_now = volumes.iter().filter(|volume| volume.failed.is_some()).count();
            let known = *registered.borrow();
            let outcome = if known { self.heartbeat(volumes, &commands).await } else { self.register(volumes).await };
            let pause = match outcome {
                Ok(still_registered) => {
                    failures = 0;
                    if still_registered
                        && (!known || failed_now != volumes_failed || reported_at.elapsed() > report_interval)
                    {
                        self.outbox.request_full_report();
                        reported_at = Instant::now();
                        volumes_failed = failed_now;
                    }
                    registered.send_replace(still_registered);
                    // The first heartbeat follows the registration at once, and so does the registration asked for.
                    if known == still_registered { interval } else { Duration::ZERO }
                }
                Err(failure) => {
                    registered.send_replace(false);
                    let follows = matches!(failure.code, ErrorCode::NotLeader { .. });
                    failures = if follows { 0 } else { failures.saturating_add(1) };
                    if failures == 1 {
                        tracing::warn!(namenode = %self.name, error = %failure, "namenode does not answer");
                    }
                    let longer = interval.saturating_mul(1 << failures.saturating_sub(1).min(8));
                    longer.min(BACK_OFF_MAX.max(interval))
                }
            };
            sleep(pause).await;
        }
    }

    /// The volumes as they are; as they last were, if a disk takes longer than `patience` to say.
    async fn volume_reports(&self, patience: Duration) -> Vec<VolumeReport> {
        let worker = self.datanode.clone();
        let refreshed = self.datanode.node.jobs.spawn_blocking(move || {
            worker.node.volumes.all().iter().for_each(|volume| volume.refresh());
        });
        if timeout(patience, refreshed).await.is_err() {
            tracing::warn!("a volume is slow to say how much room it has");
        }
        self.datanode.node.volumes.all().iter().map(|volume| volume.report()).collect()
    }

    async fn register(&self, volumes: Vec<VolumeReport>) -> Result<bool, Failure> {
        let node = &self.datanode.node;
        let datanode = node.config.endpoint(self.datanode.id());
        match self.call(NamenodeRequest::RegisterDatanode { datanode, volumes }).await? {
            NamenodeReply::Registered { cluster, keys } => {
                self.join_cluster(cluster).await?;
                node.keys.merge(keys, node.clock.now());
                tracing::info!(namenode = %self.name, "registered");
                Ok(true)
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Volumes of another cluster must not be reported to this one, which would have their replicas removed.
    async fn join_cluster(&self, cluster: ClusterId) -> Result<(), Failure> {
        let (worker, joined) = (self.datanode.clone(), cluster.clone());
        let joining = self.datanode.node.jobs.spawn_blocking(move || worker.node.volumes.join_cluster(&joined));
        match joining.await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                tracing::error!(namenode = %self.name, %cluster, "the namenode is of another cluster than the volumes");
                Err(Failure::new(ErrorCode::InvalidArgument, "the volumes belong to another cluster"))
            }
            Ok(Err(error)) => Err(Failure::new(ErrorCode::DiskFailed, error.to_string())),
            Err(error) => Err(Failure::new(ErrorCode::Internal, error.to_string())),
        }
    }

    /// Says whether the namenode still knows this node.
    async fn heartbeat(&self, volumes: Vec<VolumeReport>, queue: &CommandQueue) -> Result<bool, Failure> {
        let node = &self.datanode.node;
        let datanode = self.datanode.id();
        match self.call(NamenodeRequest::Heartbeat { datanode, volumes }).await? {
            NamenodeReply::Heartbeat { keys, commands, register_again } => {
                node.keys.merge(keys, node.clock.now());
                for command in commands {
                    queue.obey(command);
                }
                Ok(!register_again)
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn reports(self, mut registered: watch::Receiver<bool>) {
        let pause = Duration::from_millis(self.datanode.node.config.heartbeat_interval_ms);
        loop {
            self.outbox.wait().await;
            if registered.wait_for(|registered| *registered).await.is_err() {
                return;
            }
            self.outbox.gather(COALESCE).await;
            let told = match self.outbox.take(CHANGES_PER_MESSAGE_MAX) {
                Due::FullReport => self.full_report().await,
                Due::Changes(changes) if changes.is_empty() => Ok(()),
                Due::Changes(changes) => {
                    let datanode = self.datanode.id();
                    self.call(NamenodeRequest::ReplicasChanged { datanode, changes }).await.map(|_done| ())
                }
            };
            if let Err(failure) = told {
                tracing::debug!(namenode = %self.name, error = %failure, "report not delivered");
                self.outbox.request_full_report();
                sleep(pause).await;
            }
        }
    }

    async fn full_report(&self) -> Result<(), Failure> {
        for volume in self.datanode.node.volumes.all() {
            let replicas = volume.replica_reports();
            let report = self.datanode.node.clock.now().0;
            let pages = replicas.len().div_ceil(REPORT_PAGE_REPLICAS_MAX).max(1);
            for page in 0..pages {
                let start = page * REPORT_PAGE_REPLICAS_MAX;
                let end = replicas.len().min(start + REPORT_PAGE_REPLICAS_MAX);
                self.report_page(volume, report, page as u32, page + 1 == pages, replicas[start..end].to_vec()).await?;
            }
        }
        Ok(())
    }

    async fn report_page(
        &self,
        volume: &Volume,
        report: u64,
        page: u32,
        last: bool,
        replicas: Vec<ReplicaReport>,
    ) -> Result<(), Failure> {
        let (datanode, volume) = (self.datanode.id(), volume.id);
        let request = NamenodeRequest::BlockReport { datanode, volume, report, page, last, replicas };
        self.call(request).await.map(|_done| ())
    }
}

fn unexpected(reply: &NamenodeReply) -> Failure {
    tracing::error!(?reply, "the namenode's reply is not the one for the request");
    Failure::new(ErrorCode::Malformed, "unexpected reply")
}
