//! Where Hadoop clients reach a datanode: the ports it opens for them, announced to every namenode.

use crate::ids::{DatanodeId, NodeName, Rack};
use serde::{Deserialize, Serialize};

/// How often a datanode announces its door. One that is silent for several times as long has none.
pub const ANNOUNCE_EVERY_MS: u64 = 3_000;
/// How long an announcement counts.
pub const ANNOUNCEMENT_LIFETIME_MS: u64 = 30_000;

/// A datanode as Hadoop clients see it. Soft state, repeated every [`ANNOUNCE_EVERY_MS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatanodeDoor {
    /// The datanode.
    pub datanode: DatanodeId,
    /// The name in its certificate.
    pub name: NodeName,
    /// The host name clients are told, as schedulers know the machine.
    pub host: String,
    /// The address clients connect to.
    pub address: String,
    /// DataTransferProtocol's port.
    pub transfer_port: u16,
    /// The http port of WebHDFS.
    pub http_port: u16,
    /// Its https port; 0 for none.
    pub https_port: u16,
    /// ClientDatanodeProtocol's port.
    pub ipc_port: u16,
    /// Its failure domain.
    pub rack: Rack,
}
