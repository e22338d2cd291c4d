//! A client as a gateway has one.

use super::Machine;
use granary_client::remote::{NamenodeCluster, RemoteDatanodes};
use granary_client::{Client, ClientComponents, ClientConfig};
use granary_protocol::NodeName;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Starts the client of a machine.
pub fn start(machine: &Machine) -> Client {
    let shared = &machine.shared;
    let (security, rpc) = (shared.security(machine.host), shared.rpc());
    let components = ClientComponents {
        namenode: Arc::new(NamenodeCluster::connect(&shared.shape.namenode_addresses(), &security, &rpc)),
        datanodes: Arc::new(RemoteDatanodes::new(security, rpc, None)),
        local_datanode: None,
        holder: NodeName::from(format!("{}-{}", machine.holder, machine.host).as_str()),
        lanes_on: None,
        shutdown: CancellationToken::new(),
    };
    let config = ClientConfig {
        lane_idle_seal_ms: 4_000,
        lease_renew_ms: 1_000,
        open_timeout_ms: 3_000,
        ack_timeout_ms: 3_000,
        read_timeout_ms: 2_000,
        suspect_ms: 3_000,
        // One machine's replicas may go bad in a run: what is acknowledged must stand on another as well.
        min_replication: 2,
        compaction_pause_min_ms: 1_000,
        compaction_pause_max_ms: 4_000,
        ..ClientConfig::default()
    };
    Client::start(config, components).expect("settings within their ranges")
}
