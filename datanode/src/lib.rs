//! Block replicas on local volumes: the write pipeline, verified reads, reports to the namenodes and their commands.

mod chunk_sums;
mod clock;
mod config;
mod error;
mod metrics;

pub use clock::{Clock, SystemClock};
pub use config::{Config, VolumeConfig};
pub use error::{ReplicaError, StartError};
pub use metrics::{Counter, DatanodeGauges, DatanodeMetrics};
