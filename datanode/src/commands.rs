//! Carries out what the namenode orders, off the heartbeats' path.
//!
//! Three bounded queues (removals, finalizations, replicas to be made), one worker each, so that a long removal holds up
//! neither a recovery nor a copy. A full queue drops the command: the namenode repeats whatever it does not see done.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use granary_protocol::namenode::{DatanodeCommand, ReplicaChange};
use granary_protocol::redundancy::CodingJob;
use granary_protocol::{BlockId, Failure, GenerationStamp, VolumeId};
use tokio::sync::{Semaphore, mpsc};

use crate::coding::code;
use crate::copy::{CopyOrder, copy};
use crate::datanode::Datanode;

/// Commands waiting in each queue.
const QUEUED_MAX: usize = 1024;

struct Removal {
    volume: VolumeId,
    replicas: Vec<(BlockId, GenerationStamp)>,
}

struct Finalization {
    volume: VolumeId,
    block: BlockId,
    generation: GenerationStamp,
    /// `None`: it is not to be finalized yet, only to be measured.
    length: Option<u32>,
}

/// Where commands are put.
#[derive(Clone)]
pub(crate) struct CommandQueue {
    removals: mpsc::Sender<Removal>,
    finalizations: mpsc::Sender<Finalization>,
    copies: mpsc::Sender<Making>,
    /// Copies waiting or under way: the namenode may repeat itself.
    copying: Arc<Mutex<HashSet<(VolumeId, BlockId)>>>,
}

impl CommandQueue {
    /// Starts the workers; they end at shutdown.
    pub(crate) fn start(datanode: &Datanode) -> CommandQueue {
        let (removals, removals_rx) = mpsc::channel(QUEUED_MAX);
        let (finalizations, finalizations_rx) = mpsc::channel(QUEUED_MAX);
        let (copies, copies_rx) = mpsc::channel(QUEUED_MAX);
        let copying = Arc::<Mutex<HashSet<_>>>::default();
        let jobs = &datanode.node.jobs;
        let removing = remove_all(datanode.clone(), removals_rx);
        let finalizing = finalize_all(datanode.clone(), finalizations_rx);
        let copying_all = copy_all(datanode.clone(), copies_rx, copying.clone());
        jobs.spawn_essential("the remover of replicas", until_shutdown(datanode.clone(), removing));
        jobs.spawn_essential("the finalizer of replicas", until_shutdown(datanode.clone(), finalizing));
        jobs.spawn_essential("the copier of replicas", until_shutdown(datanode.clone(), copying_all));
        CommandQueue { removals, finalizations, copies, copying }
    }

    /// Takes a command; never waits.
    pub(crate) fn obey(&self, command: DatanodeCommand) {
        let taken = match command {
            DatanodeCommand::Remove { volume, replicas } => {
                self.removals.try_send(Removal { volume, replicas }).is_ok()
            }
            DatanodeCommand::Finalize { volume, block, kind: _, generation, length } => {
                let length = Some(length);
                self.finalizations.try_send(Finalization { volume, block, generation, length }).is_ok()
            }
            DatanodeCommand::Measure { volume, block, generation } => {
                self.finalizations.try_send(Finalization { volume, block, generation, length: None }).is_ok()
            }
            DatanodeCommand::Copy { volume, block, kind, generation, length, targets, token } => {
                self.queue(Making::Copy(CopyOrder { volume, block, kind, generation, length, targets, token }))
            }
            DatanodeCommand::Code { volume, job } => self.queue(Making::Members(volume, job)),
        };
        if !taken {
            tracing::debug!("too many commands are waiting; the namenode will repeat this one");
        }
    }

    /// `false` if there is no room. What is on its way already is not queued again.
    fn queue(&self, order: Making) -> bool {
        let Some(key) = order.made().first().map(|(block, _)| (order.volume(), *block)) else { return true };
        let mut copying = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        if !copying.insert(key) {
            return true;
        }
        let taken = self.copies.try_send(order).is_ok();
        if !taken {
            copying.remove(&key);
        }
        taken
    }
}

/// Replicas that are to be made.
enum Making {
    /// Of one that is here.
    Copy(CopyOrder),
    /// From other members of a coded group; the volume is the one by which the work is named.
    Members(VolumeId, Box<CodingJob>),
}

impl Making {
    /// The volume by which the work is named.
    fn volume(&self) -> VolumeId {
        match self {
            Making::Copy(order) => order.volume,
            Making::Members(volume, _) => *volume,
        }
    }

    /// The blocks of which replicas are made.
    fn made(&self) -> Vec<(BlockId, GenerationStamp)> {
        match self {
            Making::Copy(order) => vec![(order.block, order.generation)],
            Making::Members(_, job) => job.targets.iter().map(|target| (target.block, target.generation)).collect(),
        }
    }

    async fn make(self, datanode: &Datanode) -> Result<(), Failure> {
        match self {
            Making::Copy(order) => copy(datanode, order).await,
            Making::Members(_, job) => code(datanode, &job).await,
        }
    }
}

async fn until_shutdown(datanode: Datanode, work: impl Future<Output = ()>) {
    tokio::select! {
        () = datanode.node.shutdown.cancelled() => {}
        () = work => {}
    }
}

async fn remove_all(datanode: Datanode, mut removals: mpsc::Receiver<Removal>) {
    while let Some(Removal { volume, replicas }) = removals.recv().await {
        let Ok(volume) = datanode.volume(volume) else { continue };
        let shutdown = datanode.node.shutdown.clone();
        let removed = datanode.blocking(move || {
            for (block, generation) in replicas {
                if shutdown.is_cancelled() {
                    break;
                }
                volume.remove(block, generation);
            }
            Ok(())
        });
        if let Err(error) = removed.await {
            tracing::error!(%error, "removal of replicas ended early");
        }
    }
}

async fn finalize_all(datanode: Datanode, mut finalizations: mpsc::Receiver<Finalization>) {
    while let Some(Finalization { volume, block, generation, length }) = finalizations.recv().await {
        let Ok(volume) = datanode.volume(volume) else { continue };
        // The namenode's word needs no token and names no earlier generation.
        let known = GenerationStamp(0);
        let done = datanode.blocking(move || match length {
            Some(length) => volume.finalize_as(block, known, generation, length),
            None => volume.measure(block, generation),
        });
        if let Err(error) = done.await {
            tracing::warn!(%block, %generation, ?length, %error, "replica not finalized or measured as ordered");
        }
    }
}

async fn copy_all(
    datanode: Datanode,
    mut orders: mpsc::Receiver<Making>,
    copying: Arc<Mutex<HashSet<(VolumeId, BlockId)>>>,
) {
    let places = Arc::new(Semaphore::new(datanode.node.config.copies_max));
    while let Some(order) = orders.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (worker, copying) = (datanode.clone(), copying.clone());
        let task = async move {
            let (volume, made) = (order.volume(), order.made());
            if let Err(error) = order.make(&worker).await {
                for (block, generation) in &made {
                    tracing::warn!(%block, %generation, %error, "replica not made as ordered");
                    worker.node.changes.push(ReplicaChange::CopyFailed(volume, *block, *generation));
                }
            }
            if let Some((block, _)) = made.first() {
                copying.lock().unwrap_or_else(PoisonError::into_inner).remove(&(volume, *block));
            }
            drop(place);
        };
        datanode.node.jobs.spawn(until_shutdown(datanode.clone(), task));
    }
}
