//! The datanode's settings: data only, checked at start. Components (clock, peers) are passed in separately.

use std::path::PathBuf;

use granary_protocol::block::{DatanodeEndpoint, Media};
use granary_protocol::{DatanodeId, NodeName, Rack};
use serde::{Deserialize, Serialize};

use crate::error::StartError;

/// A copy that is slower is planned anew by the namenode.
const SLOWEST_COPY_BYTES_PER_SECOND: u64 = 4 << 20;

/// Settings of a datanode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The name in this node's certificate.
    pub name: NodeName,
    /// The host name shown to batch schedulers. Default: `localhost`.
    #[serde(default = "default_host")]
    pub host: String,
    /// `ip:port` at which others reach the data port. Default: empty, reachable from this process only.
    #[serde(default)]
    pub address: String,
    /// `ip:port` of the http port, as told to others. Default: empty, not served.
    #[serde(default)]
    pub http: String,
    /// The failure domain of this node. Default: `/default-rack`.
    #[serde(default = "default_rack")]
    pub rack: Rack,
    /// Where replicas are kept; at least one.
    pub volumes: Vec<VolumeConfig>,
    /// Bytes of each file system left free for others. Default: 1 GiB or 1 % of it, whichever is smaller.
    #[serde(default)]
    pub reserved_bytes: Option<u64>,
    /// Time between heartbeats. Default: 1,000 ms.
    #[serde(default = "default_heartbeat_interval_ms")]
    pub heartbeat_interval_ms: u64,
    /// Time between full block reports, besides those at registration. Default: 6 hours.
    #[serde(default = "default_block_report_interval_ms")]
    pub block_report_interval_ms: u64,
    /// How long a namenode may take to answer. Default: 5,000 ms.
    #[serde(default = "default_namenode_timeout_ms")]
    pub namenode_timeout_ms: u64,
    /// How long the next member of a pipeline may take to be ready. Default: 5,000 ms.
    #[serde(default = "default_pipeline_open_timeout_ms")]
    pub pipeline_open_timeout_ms: u64,
    /// How long the next member may take to accept a packet, or to acknowledge one that is done here. Default: 30,000 ms.
    #[serde(default = "default_pipeline_ack_timeout_ms")]
    pub pipeline_ack_timeout_ms: u64,
    /// Pipelines open at one time; further writers are told `Busy`. Default: 1,024.
    #[serde(default = "default_pipelines_max")]
    pub pipelines_max: usize,
    /// Finalized replicas kept open for reading, two file descriptors each, over all volumes. Default: 512.
    #[serde(default = "default_open_replicas_max")]
    pub open_replicas_max: usize,
    /// Replicas copied to other volumes at one time. Default: 2.
    #[serde(default = "default_copies_max")]
    pub copies_max: usize,
    /// Bytes that this node sends for copies and for members of coded groups in a second, all of them together: what
    /// repair, balance and emptying a node leave to clients. 0: as many as it can; else at least 4 MiB for each of
    /// `copies_max`, because the namenode takes slower copies for lost. Default: 128 MiB/s.
    #[serde(default = "default_copy_bytes_per_second")]
    pub copy_bytes_per_second: u64,
    /// I/O errors after which a volume is out of service until the next start. Default: 3.
    #[serde(default = "default_io_errors_max")]
    pub io_errors_max: u32,
    /// How fast the scrubber reads each volume again; 0 switches it off. Default: 8 MiB/s.
    #[serde(default = "default_scrub_bytes_per_second")]
    pub scrub_bytes_per_second: u64,
    /// Time from the beginning of one round of the scrubber to the next. Default: 21 days.
    #[serde(default = "default_scrub_interval_ms")]
    pub scrub_interval_ms: u64,
}

/// A directory for replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeConfig {
    /// The directory; made if missing.
    pub path: PathBuf,
    /// What it is on. Default: `Disk`.
    #[serde(default)]
    pub media: Media,
}

fn default_host() -> String {
    "localhost".to_owned()
}
fn default_rack() -> Rack {
    Rack::from("/default-rack")
}
fn default_heartbeat_interval_ms() -> u64 {
    1_000
}
fn default_block_report_interval_ms() -> u64 {
    6 * 60 * 60 * 1_000
}
fn default_namenode_timeout_ms() -> u64 {
    5_000
}
fn default_pipeline_open_timeout_ms() -> u64 {
    5_000
}
fn default_pipeline_ack_timeout_ms() -> u64 {
    30_000
}
fn default_pipelines_max() -> usize {
    1_024
}
fn default_open_replicas_max() -> usize {
    512
}
fn default_copies_max() -> usize {
    2
}
fn default_copy_bytes_per_second() -> u64 {
    128 << 20
}
fn default_io_errors_max() -> u32 {
    3
}
fn default_scrub_bytes_per_second() -> u64 {
    8 << 20
}
fn default_scrub_interval_ms() -> u64 {
    21 * 24 * 60 * 60 * 1_000
}

impl Config {
    /// The defaults, for a node of this name on these directories.
    pub fn new(name: NodeName, volumes: Vec<VolumeConfig>) -> Config {
        Config {
            name,
            host: default_host(),
            address: String::new(),
            http: String::new(),
            rack: default_rack(),
            volumes,
            reserved_bytes: None,
            heartbeat_interval_ms: default_heartbeat_interval_ms(),
            block_report_interval_ms: default_block_report_interval_ms(),
            namenode_timeout_ms: default_namenode_timeout_ms(),
            pipeline_open_timeout_ms: default_pipeline_open_timeout_ms(),
            pipeline_ack_timeout_ms: default_pipeline_ack_timeout_ms(),
            pipelines_max: default_pipelines_max(),
            open_replicas_max: default_open_replicas_max(),
            copies_max: default_copies_max(),
            copy_bytes_per_second: default_copy_bytes_per_second(),
            io_errors_max: default_io_errors_max(),
            scrub_bytes_per_second: default_scrub_bytes_per_second(),
            scrub_interval_ms: default_scrub_interval_ms(),
        }
    }

    /// Refuses settings that cannot work.
    ///
    /// # Errors
    /// [`StartError::InvalidConfig`] names the first one.
    pub fn validate(&self) -> Result<(), StartError> {
        let positive = [
            ("heartbeat_interval_ms", self.heartbeat_interval_ms),
            ("block_report_interval_ms", self.block_report_interval_ms),
            ("namenode_timeout_ms", self.namenode_timeout_ms),
            ("pipeline_open_timeout_ms", self.pipeline_open_timeout_ms),
            ("pipeline_ack_timeout_ms", self.pipeline_ack_timeout_ms),
            ("pipelines_max", self.pipelines_max as u64),
            ("open_replicas_max", self.open_replicas_max as u64),
            ("copies_max", self.copies_max as u64),
            ("io_errors_max", self.io_errors_max.into()),
        ];
        if self.volumes.is_empty() {
            return Err(StartError::InvalidConfig { reason: "volumes: at least one is needed".to_owned() });
        }
        let slowest = SLOWEST_COPY_BYTES_PER_SECOND.saturating_mul(self.copies_max as u64);
        if self.copy_bytes_per_second > 0 && self.copy_bytes_per_second < slowest {
            let reason =
                format!("copy_bytes_per_second: must be 0 or at least {slowest} with copies_max = {}", self.copies_max);
            return Err(StartError::InvalidConfig { reason });
        }
        match positive.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(StartError::InvalidConfig { reason: format!("{name}: must be at least 1") }),
            None => Ok(()),
        }
    }

    /// What the namenode is told about this node.
    pub(crate) fn endpoint(&self, id: DatanodeId) -> DatanodeEndpoint {
        DatanodeEndpoint {
            id,
            name: self.name.clone(),
            host: self.host.clone(),
            address: self.address.clone(),
            http: self.http.clone(),
            rack: self.rack.clone(),
        }
    }
}
