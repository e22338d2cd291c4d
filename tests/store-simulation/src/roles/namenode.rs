//! A namenode peer.

use super::Machine;
use crate::mutation::{Mutation, OnItsOwnWord};
use crate::network::SimulatedNetwork;
use granary_namenode::Config;
use granary_namenode::blocks::LivenessConfig;
use granary_namenode::config::PeerConfig;
use granary_namenode::engine::EngineKind;
use granary_namenode::peers::PeerDoor;
use granary_namenode::raft_log::RaftLogConfig;
use granary_namenode::read_index::AdmitReads;
use granary_namenode::server::NamenodeServer;
use granary_namenode::startup::{Components, start_admitting};
use granary_protocol::{NodeName, PeerId};
use granary_rpc::RpcServer;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs the peer until its machine ends.
pub async fn run(machine: Machine) {
    let shared = machine.shared.clone();
    let (security, shutdown) = (shared.security(machine.host), CancellationToken::new());
    let door = PeerDoor::new();
    let handler = Arc::new(NamenodeServer::new(door.clone()));
    let server = RpcServer::bind(SimulatedNetwork::address(machine.host), security.clone(), handler).await;
    let server = server.expect("an address of its own");
    tokio::spawn(server.run(shutdown.clone()));
    let components = Components {
        clock: Arc::new(machine.clock.clone()),
        security,
        authority: None,
        door,
        shutdown: shutdown.clone(),
    };
    let broken = (shared.mutation == Mutation::StaleLeaderRead).then(|| Arc::new(OnItsOwnWord::default()));
    let admission = broken.clone().map(|broken| broken as Arc<dyn AdmitReads>);
    match start_admitting(config(&machine), components, admission).await {
        Ok(running) => {
            shared.knows_namenode(machine.host, &running.namenode);
            if let Some(broken) = broken {
                broken.of(&running.namenode);
            }
            shutdown.cancelled().await;
            let why = running.join().await.err().map(|died| died.to_string());
            shared.history.violation(format!("namenode {} ended by itself: {why:?}", machine.host));
        }
        Err(error) => shared.history.violation(format!("namenode {} does not start: {error}", machine.host)),
    }
}

fn config(machine: &Machine) -> Config {
    let peer = |host: usize| PeerConfig {
        peer: PeerId(host as u64 + 1),
        name: NodeName::from(format!("namenode-{}", host + 1).as_str()),
        address: SimulatedNetwork::address(host).to_string(),
    };
    Config {
        peer: PeerId(machine.host as u64 + 1),
        peers: (0..machine.shared.shape.namenodes).map(peer).collect(),
        engine: EngineKind::Memory,
        raft_log: RaftLogConfig { segment_bytes: 64 << 10, preallocate_bytes: 16 << 10 },
        lease_timeout_ms: 6_000,
        liveness: LivenessConfig { stale_after_ms: 1_500, dead_after_ms: 4_000 },
        // The engine is in memory and begins empty: the whole log is what a start replays.
        log_bytes_max: u64::MAX,
        snapshot_entries: 1 << 40,
        ..Config::single(machine.directory.join("namenode"))
    }
}
