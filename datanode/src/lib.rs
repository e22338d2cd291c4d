//! Block replicas on local volumes: the write pipeline, verified reads, reports to the namenodes and their commands.
//!
//! [`run`] is the one entry of the role; [`Datanode`] answers [`granary_protocol::datanode::DatanodeService`] in this
//! process, [`DatanodeRpc`] answers it to others.

mod allowance;
mod appender;
mod changes;
mod chunk_sums;
mod clock;
mod coding;
mod commands;
mod config;
mod copy;
mod create;
mod datanode;
mod disk;
mod door;
mod error;
#[cfg(test)]
mod faults_test;
mod finalize;
mod finalized_files;
mod jobs;
mod keys;
mod layout;
mod measure;
mod metrics;
mod namenode_link;
mod open_replica;
mod pace;
mod pipeline;
mod read;
mod recover;
mod remove;
mod replica_writer;
mod resume;
mod scan;
mod scrub;
mod server;
mod version_file;
mod volume;
mod volumes;

pub use appender::{Appender, Piece};
pub use clock::SystemClock;
pub use config::{Config, VolumeConfig};
pub use datanode::{Components, Datanode, run};
pub use door::{ExtentSource, NewReplica};
pub use error::{ReplicaError, StartError};
pub use metrics::{Counter, DatanodeGauges, DatanodeMetrics};
pub use server::DatanodeRpc;
