//! The namenode: all metadata of the store, replicated by Raft.
//!
//! [`state`] is the deterministic state machine over an [`engine`]; [`blocks`] the soft state of replicas; [`raft`] the
//! shell that orders commands through the [`raft_log`]; [`service`] puts them together behind
//! [`granary_protocol::namenode::NamenodeService`]. [`startup::start`] is the entry.

#![allow(
    clippy::disallowed_methods,
    reason = "only the pure modules are held to `clippy.toml`; they deny it themselves"
)]

mod archive;
pub mod backup;
pub mod blocks;
pub mod clock;
mod coding;
pub mod command;
pub mod config;
mod datanode_doors;
pub mod engine;
pub mod error;
mod file_recovery;
mod filesystem;
mod housekeeping;
mod jobs;
mod leader;
pub mod leases;
mod lifecycle;
pub mod metrics;
pub mod peers;
pub mod proposer;
mod quotas;
pub mod raft;
pub mod raft_log;
pub mod read_index;
pub mod redundancy;
pub mod server;
pub mod service;
pub mod startup;
pub mod state;
mod tiering;

pub use config::Config;
