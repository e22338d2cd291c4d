//! What the machines of a run are: the product's own roles, started as the `granary` binary starts them.

mod client;
mod datanode;
mod namenode;

pub use client::start as start_client;
pub use datanode::run as run_datanode;
pub use namenode::run as run_namenode;

use crate::history::History;
use crate::host::SkewedClock;
use crate::mutation::Mutation;
use crate::network::{HostId, SimulatedNetwork};
use granary_namenode::service::Namenode;
use granary_rpc::{RpcClientConfig, Security};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How many machines there are of each kind; they are numbered in this order.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub namenodes: usize,
    pub datanodes: usize,
    pub clients: usize,
}

impl Shape {
    /// All machines.
    pub fn hosts(&self) -> usize {
        self.namenodes + self.datanodes + self.clients
    }

    /// The machines with datanodes.
    pub fn datanode_hosts(&self) -> std::ops::Range<HostId> {
        self.namenodes..self.namenodes + self.datanodes
    }

    /// The machines with clients.
    pub fn client_hosts(&self) -> std::ops::Range<HostId> {
        self.namenodes + self.datanodes..self.hosts()
    }

    fn namenode_addresses(&self) -> Vec<String> {
        (0..self.namenodes).map(|host| SimulatedNetwork::address(host).to_string()).collect()
    }
}

/// What the machines of a run share with its driver.
pub struct Shared {
    pub shape: Shape,
    pub mutation: Mutation,
    pub network: SimulatedNetwork,
    pub history: History,
    /// Clients ask for nothing new.
    pub resting: AtomicBool,
    /// The audit at the end is over.
    pub audited: AtomicBool,
    /// Some runs write contents that own their blocks.
    pub large_contents: bool,
    pub seed: u64,
    now: AtomicU64,
    namenodes: Mutex<Vec<Weak<Namenode>>>,
}

impl Shared {
    /// What is shared at the beginning.
    pub fn new(shape: Shape, mutation: Mutation, network: SimulatedNetwork, seed: u64) -> Shared {
        Shared {
            shape,
            mutation,
            network,
            history: History::default(),
            resting: AtomicBool::new(false),
            audited: AtomicBool::new(false),
            large_contents: seed.is_multiple_of(16),
            seed,
            now: AtomicU64::new(0),
            namenodes: Mutex::new((0..shape.namenodes).map(|_| Weak::new()).collect()),
        }
    }

    /// Nanoseconds of the run.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Time goes on.
    pub fn set_now(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
    }

    fn knows_namenode(&self, host: HostId, namenode: &Arc<Namenode>) {
        self.namenodes.lock().unwrap_or_else(PoisonError::into_inner)[host] = Arc::downgrade(namenode);
    }

    /// A peer that takes itself for the leader.
    pub fn leader(&self) -> Option<HostId> {
        let namenodes = self.namenodes.lock().unwrap_or_else(PoisonError::into_inner);
        namenodes.iter().position(|namenode| namenode.upgrade().is_some_and(|namenode| namenode.is_leader()))
    }

    fn security(&self, host: HostId) -> Security {
        Security::Carried(self.network.of(host))
    }

    fn rpc(&self) -> RpcClientConfig {
        RpcClientConfig { keepalive: Duration::from_secs(2), ..RpcClientConfig::default() }
    }
}

/// One machine, as its role is given it.
#[derive(Clone)]
pub struct Machine {
    pub host: HostId,
    pub clock: SkewedClock,
    pub directory: PathBuf,
    /// In whose name its client holds leases.
    pub holder: &'static str,
    /// How often it has started.
    pub incarnation: u64,
    pub shared: Arc<Shared>,
}
