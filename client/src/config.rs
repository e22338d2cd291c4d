//! The settings of a client. Components (services, shutdown) are passed beside them, never inside.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Settings of a [`crate::Client`]. Every field has a default that suits a gateway on one machine of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    /// Packed blocks a storage class keeps open at once when there is little to do. Default 2: one syncs while the
    /// other gathers.
    pub pack_lanes_min: usize,
    /// Packed blocks a storage class may have open under load. Default 4.
    pub pack_lanes_max: usize,
    /// Bytes of small contents queued or being written, over all lanes of a storage class; writers wait beyond it.
    /// A content counts as at least 4 KiB, so this bounds their number too. Default 256 MiB.
    pub pack_queue_bytes_max: u64,
    /// Payload bytes written between two syncs of a lane, give or take one content. Default 8 MiB.
    pub pack_batch_bytes: u64,
    /// Contents written between two syncs of a lane. Default 4096.
    pub pack_batch_contents_max: usize,
    /// A lane without work for this long seals its block. Default 5 minutes.
    pub lane_idle_seal_ms: u64,
    /// The same for storage classes other than STANDARD and INTELLIGENT_TIERING, whose blocks can be coded once they are
    /// sealed. Default 15 s.
    pub cold_lane_idle_seal_ms: u64,
    /// How often the lease is renewed. Default 5 s.
    pub lease_renew_ms: u64,
    /// How long a pipeline may take to open, and a datanode to finalize a replica. Default 10 s.
    pub open_timeout_ms: u64,
    /// How long a pipeline may be silent while packets are unacknowledged. Default 10 s.
    pub ack_timeout_ms: u64,
    /// How long a replica may be silent before a reader turns to another. Default 5 s.
    pub read_timeout_ms: u64,
    /// How long a reader or an allocation without any success keeps trying. Default 30 s.
    pub retry_deadline_ms: u64,
    /// How long a volume that failed is avoided. Default 30 s.
    pub suspect_ms: u64,
    /// Replicas that must hold a byte before it is acknowledged. Default 1.
    pub min_replication: usize,
    /// Pipelines tried for one block's worth of bytes, or for one batch of small contents. Default 5.
    pub pipelines_max: u32,
    /// Whether this client rewrites packed blocks that are mostly dead, and small contents that have changed their class.
    /// Default true; claims keep clients apart.
    pub compaction: bool,
    /// How fast the compactor and the mover read, each. Default 64 MiB/s.
    pub compaction_bytes_per_second: u64,
    /// The compactor's shortest pause after finding nothing. Default 2 s.
    pub compaction_pause_min_ms: u64,
    /// The compactor's longest pause after finding nothing. Default 30 s.
    pub compaction_pause_max_ms: u64,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            pack_lanes_min: 2,
            pack_lanes_max: 4,
            pack_queue_bytes_max: 256 << 20,
            pack_batch_bytes: 8 << 20,
            pack_batch_contents_max: 4096,
            lane_idle_seal_ms: 5 * 60 * 1000,
            cold_lane_idle_seal_ms: 15_000,
            lease_renew_ms: 5_000,
            open_timeout_ms: 10_000,
            ack_timeout_ms: 10_000,
            read_timeout_ms: 5_000,
            retry_deadline_ms: 30_000,
            suspect_ms: 30_000,
            min_replication: 1,
            pipelines_max: 5,
            compaction: true,
            compaction_bytes_per_second: 64 << 20,
            compaction_pause_min_ms: 2_000,
            compaction_pause_max_ms: 30_000,
        }
    }
}

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("client setting {field} must be {must}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub must: &'static str,
}

/// The largest batch that certainly fits an empty block with its headers and one content too many.
const BATCH_BYTES_MAX: u64 = 64 << 20;

impl ClientConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// The first field that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let rules = [
            ("pack_lanes_min", "at least 1", self.pack_lanes_min >= 1),
            ("pack_lanes_max", "at least pack_lanes_min, at most 64", {
                (self.pack_lanes_min..=64).contains(&self.pack_lanes_max)
            }),
            ("pack_queue_bytes_max", "16 MiB to 1 TiB", (16 << 20..=1 << 40).contains(&self.pack_queue_bytes_max)),
            ("pack_batch_bytes", "1 to 64 MiB", (1..=BATCH_BYTES_MAX).contains(&self.pack_batch_bytes)),
            ("pack_batch_contents_max", "1 to 65536", (1..=65536).contains(&self.pack_batch_contents_max)),
            ("lease_renew_ms", "at least 1", self.lease_renew_ms >= 1),
            ("min_replication", "at least 1", self.min_replication >= 1),
            ("pipelines_max", "at least 1", self.pipelines_max >= 1),
            ("compaction_bytes_per_second", "at least 1", self.compaction_bytes_per_second >= 1),
            ("compaction_pause_min_ms", "1 to compaction_pause_max_ms", {
                (1..=self.compaction_pause_max_ms).contains(&self.compaction_pause_min_ms)
            }),
        ];
        match rules.into_iter().find(|(_, _, holds)| !holds) {
            Some((field, must, _)) => Err(ConfigError { field, must }),
            None => Ok(()),
        }
    }

    pub(crate) fn open_timeout(&self) -> Duration {
        Duration::from_millis(self.open_timeout_ms)
    }

    pub(crate) fn ack_timeout(&self) -> Duration {
        Duration::from_millis(self.ack_timeout_ms)
    }

    pub(crate) fn read_timeout(&self) -> Duration {
        Duration::from_millis(self.read_timeout_ms)
    }

    pub(crate) fn retry_deadline(&self) -> Duration {
        Duration::from_millis(self.retry_deadline_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_ranges_are_checked() {
        assert_eq!(ClientConfig::default().validate(), Ok(()));
        let bad = ClientConfig { pack_lanes_max: 1, ..ClientConfig::default() };
        assert_eq!(bad.validate().unwrap_err().field, "pack_lanes_max");
        let bad = ClientConfig { pack_batch_bytes: 65 << 20, ..ClientConfig::default() };
        assert_eq!(bad.validate().unwrap_err().field, "pack_batch_bytes");
    }
}
