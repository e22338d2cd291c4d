//! The loop that asks for work at archive targets, keeps some of it going at once, and reports.
//!
//! It runs beside every gateway that has the master key; the namenode divides the work. Stopping it at any moment is safe.

use super::error::ArchiveError;
use super::remote::Remote;
use super::tasks::{Moved, carry_out};
use granary_client::Client;
use granary_protocol::archive::{ArchiveOutcome, ArchiveTarget, ArchiveTask};
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, Failure, LeaseId};
use granary_sealing::KeyStore;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Tasks at once; each holds a part in memory.
const TASKS_MAX: usize = 4;
/// How often work is asked for, and said that its blocks are still worked on.
const POLL: Duration = Duration::from_secs(1);

/// What an [`Archiver`] works with.
pub struct ArchiverComponents {
    /// Reads and writes blocks, and reaches the namenode.
    pub client: Client,
    /// Opens the secrets of targets.
    pub keys: Arc<dyn KeyStore>,
    pub shutdown: CancellationToken,
}

/// Moves blocks to archive targets and back.
pub struct Archiver {
    components: ArchiverComponents,
    /// Blocks that tasks are at.
    busy: BTreeSet<BlockId>,
    tasks: JoinSet<(LeaseId, ArchiveOutcome)>,
    /// Targets as they were opened last.
    remotes: BTreeMap<StorageClass, (ArchiveTarget, Arc<Remote>)>,
}

impl Archiver {
    pub fn new(components: ArchiverComponents) -> Self {
        Self { components, busy: BTreeSet::new(), tasks: JoinSet::new(), remotes: BTreeMap::new() }
    }

    /// Works until shutdown.
    pub async fn run(mut self) {
        let shutdown = self.components.shutdown.clone();
        shutdown.run_until_cancelled(self.work()).await;
        self.tasks.shutdown().await;
    }

    async fn work(&mut self) {
        let mut polls = tokio::time::interval(POLL);
        polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let finished = tokio::select! {
                finished = self.tasks.join_next(), if !self.tasks.is_empty() => finished,
                _ = polls.tick() => None,
            };
            if let Some(finished) = finished {
                self.report(finished).await;
            }
            if let Err(failure) = self.take_work().await {
                tracing::debug!(%failure, "work at archive targets pauses");
            }
        }
    }

    async fn report(&mut self, finished: Result<(LeaseId, ArchiveOutcome), tokio::task::JoinError>) {
        let (lease, outcome) = match finished {
            Ok(finished) => finished,
            Err(error) => {
                // Which block it was at is not known any more: none is claimed as busy, so the namenode gives it out again.
                tracing::error!(%error, "a task at an archive target died");
                self.busy.clear();
                return;
            }
        };
        self.busy.remove(&outcome.block);
        if let Err(failure) = self.components.client.report_archive(lease, vec![outcome]).await {
            tracing::debug!(%failure, "the outcome of a task is not told");
        }
    }

    async fn take_work(&mut self) -> Result<(), Failure> {
        let room = TASKS_MAX.saturating_sub(self.tasks.len());
        let busy = self.busy.iter().copied().collect();
        let (lease, tasks) = self.components.client.claim_archive_work(busy, room as u32).await?;
        if tasks.is_empty() {
            return Ok(());
        }
        let targets = self.components.client.archive_targets().await?;
        let targets: BTreeMap<StorageClass, ArchiveTarget> =
            targets.into_iter().map(|status| (status.class, status.target)).collect();
        self.remotes.retain(|class, (target, _)| targets.get(class) == Some(target));
        for task in tasks {
            let Some(target) = targets.get(&task.class) else { continue };
            self.busy.insert(task.block);
            let remote = self.remote(task.class, target).await;
            let client = self.components.client.clone();
            self.tasks.spawn(async move { (lease, outcome_of(&client, remote, task).await) });
        }
        Ok(())
    }

    async fn remote(&mut self, class: StorageClass, target: &ArchiveTarget) -> Result<Arc<Remote>, ArchiveError> {
        if let Some((_, remote)) = self.remotes.get(&class) {
            return Ok(remote.clone());
        }
        let remote = Arc::new(Remote::open(class, target, &*self.components.keys).await?);
        self.remotes.insert(class, (target.clone(), remote.clone()));
        Ok(remote)
    }
}

async fn outcome_of(client: &Client, remote: Result<Arc<Remote>, ArchiveError>, task: ArchiveTask) -> ArchiveOutcome {
    let mut moved = Moved::default();
    let done = match remote {
        Ok(remote) => carry_out(client, &remote, &task, &mut moved).await,
        Err(error) => Err(error),
    };
    let failure = done.err().map(|error| error.to_string());
    ArchiveOutcome { block: task.block, sent_bytes: moved.sent, fetched_bytes: moved.fetched, failure }
}
