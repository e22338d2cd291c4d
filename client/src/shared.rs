//! What all parts of one client share: services, settings, the lease, the packers, and the tasks it owns.

use crate::config::ClientConfig;
use crate::error::unexpected;
use crate::lease::LeaseKeeper;
use crate::packer::Packer;
use crate::suspects::Suspects;
use granary_protocol::block::ReplicaLocation;
use granary_protocol::datanode::{DatanodeConnector, DatanodeService};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, DatanodeId, LeaseId};
use granary_rpc::EssentialTasks;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// Abandonments waiting to be told to the namenode. Beyond it they are forgotten here and end with the lease.
pub(crate) const ABANDONED_QUEUE_MAX: usize = 4096;

pub(crate) struct Shared {
    pub config: ClientConfig,
    pub namenode: Arc<dyn NamenodeService>,
    pub datanodes: Arc<dyn DatanodeConnector>,
    pub local_datanode: Option<DatanodeId>,
    pub suspects: Suspects,
    pub lease: LeaseKeeper,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    pub essential: EssentialTasks,
    pub lanes_on: Option<Handle>,
    pub packers: Mutex<HashMap<StorageClass, Arc<Packer>>>,
    pub abandoned: mpsc::Sender<(LeaseId, Vec<BlockId>)>,
}

impl Shared {
    pub fn datanode(&self, replica: &ReplicaLocation) -> Arc<dyn DatanodeService> {
        self.datanodes.datanode(&replica.datanode)
    }

    pub fn packer(&self, class: StorageClass) -> Arc<Packer> {
        let mut packers = self.packers.lock().expect("no code panics while holding this lock");
        packers.entry(class).or_insert_with(|| Arc::new(Packer::new(class, &self.config))).clone()
    }

    /// Tells the namenode, some time soon, that these blocks will not be used. Never waits: callable from `drop`.
    pub fn abandon(&self, lease: LeaseId, blocks: Vec<BlockId>) {
        if !blocks.is_empty() && self.abandoned.try_send((lease, blocks)).is_err() {
            debug!(%lease, "abandoned blocks are left to the end of the lease");
        }
    }

    /// Carries out abandonments until the client stops and none is left.
    pub async fn run_abandonments(self: Arc<Self>, mut abandoned: mpsc::Receiver<(LeaseId, Vec<BlockId>)>) {
        loop {
            let next = tokio::select! {
                biased;
                next = abandoned.recv() => next,
                () = self.stop.cancelled() => return,
            };
            let Some((lease, blocks)) = next else { return };
            match self.namenode.call(NamenodeRequest::AbandonBlocks { lease, blocks }).await {
                Ok(NamenodeReply::Done) => {}
                Ok(other) => warn!(failure = %unexpected(&other), "abandoning blocks"),
                Err(failure) => debug!(%lease, %failure, "abandoned blocks are left to the end of the lease"),
            }
        }
    }
}
