//! The Raft shell around the state machine: openraft's storage and network over our log, engine and rpc.
//!
//! One entry of the log is a batch of commands, because openraft waits for each append's sync before it takes the next
//! entry: group commit happens in [`crate::proposer`], which gathers commands while a batch is on its way.
//!
//! The log's sync is the only one on the path of a write. The applied state is written un-synced, together with
//! `last_applied`, and replayed from the log after a crash; it is synced before the log is purged.

pub mod log_store;
pub mod machine;
pub mod network;
pub mod snapshot;

use crate::command::Command;
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{Failure, NodeName};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

openraft::declare_raft_types!(
    /// The types Raft is instantiated with.
    pub TypeConfig:
        D = CommandBatch,
        R = BatchReply,
        NodeId = u64,
        Node = PeerNode,
        SnapshotData = snapshot::SnapshotData,
);

/// A running Raft peer.
pub type Raft = openraft::Raft<TypeConfig>;
/// Position of an entry in the log.
pub type LogId = openraft::LogId<u64>;
/// An entry of the log.
pub type Entry = openraft::Entry<TypeConfig>;

/// Commands that are appended, applied and answered together, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CommandBatch(pub Arc<Vec<Command>>);

impl fmt::Display for CommandBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} commands", self.0.len())
    }
}

/// One reply a command; empty for entries that carry none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BatchReply(pub Vec<Result<NamenodeReply, Failure>>);

/// A peer as the membership names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerNode {
    /// Its name in certificates.
    pub name: NodeName,
    /// `ip:port` of its internal port; empty where there is only one peer.
    pub address: String,
}

impl fmt::Display for PeerNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.address)
    }
}
