//! A datanode with one volume.

use super::Machine;
use crate::mutation::{AckBeforeReplica, Mutation};
use crate::network::SimulatedNetwork;
use granary_client::remote::{RemoteDatanodes, RemoteNamenode};
use granary_datanode::{Components, Config, Datanode, DatanodeRpc, VolumeConfig};
use granary_protocol::block::Media;
use granary_protocol::datanode::DatanodeService;
use granary_protocol::namenode::NamenodeService;
use granary_protocol::{NodeName, Rack};
use granary_rpc::{RpcClient, RpcServer};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs the datanode until its machine ends.
pub async fn run(machine: Machine) {
    let shared = machine.shared.clone();
    let (security, shutdown) = (shared.security(machine.host), CancellationToken::new());
    let timeout = Duration::from_secs(2);
    let reach = |address: String| {
        let rpc = RpcClient::with_config(address.as_str(), security.clone(), shared.rpc());
        Arc::new(RemoteNamenode::new(rpc, timeout)) as Arc<dyn NamenodeService>
    };
    let components = Components {
        clock: Arc::new(machine.clock.clone()),
        namenodes: shared.shape.namenode_addresses().into_iter().map(reach).collect(),
        connector: Arc::new(RemoteDatanodes::new(security.clone(), shared.rpc(), None)),
    };
    let datanode = match Datanode::start(config(&machine), components, shutdown.clone()).await {
        Ok(datanode) => Arc::new(datanode) as Arc<dyn DatanodeService>,
        Err(error) => {
            // A disk without room for the files of a new volume; the operator starts it again.
            let full = crate::os::with_disk(|disk| disk.faults(machine.host).full);
            if !full {
                shared.history.violation(format!("datanode {} does not start: {error}", machine.host));
            }
            return;
        }
    };
    let service = match shared.mutation {
        Mutation::AckBeforeReplica => Arc::new(AckBeforeReplica(datanode)),
        _ => datanode,
    };
    let handler = Arc::new(DatanodeRpc::new(service));
    let server = RpcServer::bind(SimulatedNetwork::address(machine.host), security, handler).await;
    server.expect("an address of its own").run(shutdown).await;
}

fn config(machine: &Machine) -> Config {
    let volume = VolumeConfig { path: machine.directory.join("volume"), media: Media::Disk };
    let name = NodeName::from(format!("datanode-{}", machine.host).as_str());
    Config {
        address: SimulatedNetwork::address(machine.host).to_string(),
        rack: Rack::from(format!("/rack-{}", machine.host % 2).as_str()),
        reserved_bytes: Some(0),
        heartbeat_interval_ms: 400,
        block_report_interval_ms: 20_000,
        namenode_timeout_ms: 2_000,
        pipeline_open_timeout_ms: 2_000,
        pipeline_ack_timeout_ms: 4_000,
        scrub_interval_ms: 15_000,
        ..Config::new(name, vec![volume])
    }
}
