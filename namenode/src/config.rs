//! The namenode's settings: data only, validated at start.

use crate::blocks::{BalanceConfig, LivenessConfig};
use crate::engine::{EngineConfig, EngineKind};
use crate::raft_log::RaftLogConfig;
use crate::redundancy::{ClassConfig, ClassPolicies, CodingConfig};
use crate::startup::NamenodeError;
use granary_protocol::{NodeName, PeerId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Settings of one namenode peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This peer; one of `peers`. Left out by one that joins a cluster.
    #[serde(default)]
    pub peer: PeerId,
    /// The peers the cluster starts with, 1, 3 or 5. Used only while the data directory is empty. Left out by one that
    /// joins a cluster.
    #[serde(default)]
    pub peers: Vec<PeerConfig>,
    /// How this peer joins a cluster that exists, instead of `peer` and `peers`.
    #[serde(default)]
    pub join: Option<JoinConfig>,
    /// Where the Raft log and the applied state live.
    pub data: PathBuf,
    /// The key-value engine of the applied state. Default `fjall`.
    #[serde(default = "default_engine")]
    pub engine: EngineKind,
    /// The engine's memory.
    #[serde(default)]
    pub engine_config: EngineConfig,
    /// The Raft log's files.
    #[serde(default)]
    pub raft_log: RaftLogConfig,
    /// Replicas that STANDARD wants. Default 3.
    #[serde(default = "default_replication")]
    pub replication: u8,
    /// A writer silent for this long loses its lease. Default 60,000 ms.
    #[serde(default = "default_lease_timeout_ms")]
    pub lease_timeout_ms: u64,
    /// Minutes that files deleted through Hadoop's shell stay in the trash, as clients are told; 0: there is none. Default 0.
    #[serde(default)]
    pub trash_interval_minutes: u64,
    /// When a silent datanode is given up.
    #[serde(default)]
    pub liveness: LivenessConfig,
    /// What storage classes ask for, by their S3 names; the others have defaults that fit the cluster.
    #[serde(default)]
    pub classes: BTreeMap<String, ClassConfig>,
    /// How blocks are put into coded groups.
    #[serde(default)]
    pub coding: CodingConfig,
    /// When replicas are moved from full volumes to emptier ones.
    #[serde(default)]
    pub balance: BalanceConfig,
    /// When objects in INTELLIGENT_TIERING count as infrequently read.
    #[serde(default)]
    pub tiering: TieringConfig,
    /// How often the leader tells followers that it lives. Default 200 ms.
    #[serde(default = "default_heartbeat_interval_ms")]
    pub heartbeat_interval_ms: u64,
    /// A follower that hears nothing for this long (up to twice as long, at random) stands for election. Default 1,000 ms.
    #[serde(default = "default_election_timeout_ms")]
    pub election_timeout_ms: u64,
    /// Bytes of log after which the state is synced and the log purged. Default 64 MiB.
    #[serde(default = "default_log_bytes_max")]
    pub log_bytes_max: u64,
    /// Log entries after which the state is synced and the log purged. Default 20,000.
    #[serde(default = "default_snapshot_entries")]
    pub snapshot_entries: u64,
}

/// When objects in INTELLIGENT_TIERING count as infrequently read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TieringConfig {
    /// A day, which is also how often a read of an object is noted at most. Default 86,400,000 ms.
    pub day_ms: u64,
    /// Days without a read after which an object is kept as those in STANDARD_IA are. Default 30.
    pub infrequent_after_days: u32,
}

impl Default for TieringConfig {
    fn default() -> Self {
        TieringConfig { day_ms: 24 * 60 * 60 * 1000, infrequent_after_days: 30 }
    }
}

/// A Raft peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its number, unique for ever.
    pub peer: PeerId,
    /// Its name in certificates.
    pub name: NodeName,
    /// `ip:port` of its internal port; may be empty for a single peer.
    pub address: String,
}

/// A peer that waits to be admitted, with `granary admin namenode add` or `replace`, while its directory is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinConfig {
    /// Its name in its certificate.
    pub name: NodeName,
}

impl Config {
    /// A cluster of one peer, in `data`.
    pub fn single(data: PathBuf) -> Config {
        Config {
            peer: PeerId(1),
            peers: vec![PeerConfig { peer: PeerId(1), name: NodeName::from("namenode-1"), address: String::new() }],
            join: None,
            data,
            engine: default_engine(),
            engine_config: EngineConfig::default(),
            raft_log: RaftLogConfig::default(),
            replication: default_replication(),
            lease_timeout_ms: default_lease_timeout_ms(),
            trash_interval_minutes: 0,
            liveness: LivenessConfig::default(),
            classes: BTreeMap::new(),
            coding: CodingConfig::default(),
            balance: BalanceConfig::default(),
            tiering: TieringConfig::default(),
            heartbeat_interval_ms: default_heartbeat_interval_ms(),
            election_timeout_ms: default_election_timeout_ms(),
            log_bytes_max: default_log_bytes_max(),
            snapshot_entries: default_snapshot_entries(),
        }
    }

    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<(), NamenodeError> {
        let refuse = |why: &str| Err(NamenodeError::Config(why.to_owned()));
        if self.join.is_some() {
            if !self.peers.is_empty() || self.peer != PeerId::default() {
                return refuse("a peer with `join` is given its number: leave out `peer` and `peers`");
            }
            return self.validate_settings();
        }
        if !self.peers.iter().any(|peer| peer.peer == self.peer) {
            return refuse("`peers` does not name `peer`");
        }
        if self.peers.len() % 2 == 0 {
            return refuse(
                "`peers` must be an odd number: an even one tolerates no more failures and needs a larger quorum",
            );
        }
        let mut ids: Vec<_> = self.peers.iter().map(|peer| peer.peer).collect();
        ids.sort();
        ids.dedup();
        if ids.len() != self.peers.len() {
            return refuse("two peers have the same number");
        }
        if self.peers.len() > 1 && self.peers.iter().any(|peer| peer.address.is_empty()) {
            return refuse("with several peers each needs an `address`");
        }
        self.validate_settings()
    }

    fn validate_settings(&self) -> Result<(), NamenodeError> {
        let refuse = |why: &str| Err(NamenodeError::Config(why.to_owned()));
        if !(1..=10).contains(&self.replication) {
            return refuse("`replication` must be 1 to 10");
        }
        if let Err(name) = self.policies() {
            return refuse(&format!("`classes` names {name:?}, which is no storage class of S3"));
        }
        if self.tiering.day_ms == 0 || self.tiering.infrequent_after_days == 0 {
            return refuse("`tiering` needs days longer than nothing, and at least one of them");
        }
        if self.election_timeout_ms < 3 * self.heartbeat_interval_ms {
            return refuse("`election_timeout_ms` must be at least three times `heartbeat_interval_ms`");
        }
        Ok(())
    }

    /// What every storage class asks for.
    ///
    /// # Errors
    /// A name among `classes` that is no storage class.
    pub fn policies(&self) -> Result<ClassPolicies, String> {
        ClassPolicies::new(self.replication, &self.classes)
    }

    /// This peer's name.
    pub fn name(&self) -> NodeName {
        if let Some(join) = &self.join {
            return join.name.clone();
        }
        self.peers.iter().find(|peer| peer.peer == self.peer).map(|peer| peer.name.clone()).unwrap_or_default()
    }
}

fn default_engine() -> EngineKind {
    EngineKind::Fjall
}

fn default_replication() -> u8 {
    3
}

fn default_lease_timeout_ms() -> u64 {
    60_000
}

fn default_heartbeat_interval_ms() -> u64 {
    200
}

fn default_election_timeout_ms() -> u64 {
    1_000
}

fn default_log_bytes_max() -> u64 {
    64 << 20
}

fn default_snapshot_entries() -> u64 {
    20_000
}
