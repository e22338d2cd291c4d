//! The Hadoop door as processes open it: `hdfs://` and WebHDFS beside a namenode; block transfers, IPC and WebHDFS beside
//! a datanode.

use anyhow::Context;
use axum::Router;
use granary_client::Client;
use granary_datanode::Datanode;
use granary_gateway::config::Account;
use granary_hdfs::config::HdfsConfig;
use granary_hdfs::datanode_directory::{DatanodeDirectory, announce};
use granary_hdfs::datanode_ports::DatanodePorts;
use granary_hdfs::door::FileSystemDoor;
use granary_hdfs::fsck::Fsck;
use granary_hdfs::namenode_door::NamenodeDoor;
use granary_hdfs::principal::Principals;
use granary_hdfs::rpc::RpcSettings;
use granary_hdfs::webhdfs::{DataSide, DelegationKeys, WebHdfs};
use granary_namenode::service::Namenode;
use granary_protocol::CanonicalId;
use granary_protocol::datanode::DatanodeConnector;
use granary_protocol::datanode_door::DatanodeDoor;
use granary_protocol::namenode::NamenodeService;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Who owns what no user of the store owns: the account behind the root key.
fn operator() -> CanonicalId {
    CanonicalId(Account::default().canonical_id)
}

/// The Hadoop door of a namenode.
pub fn namenode_door(namenode: Arc<Namenode>, config: HdfsConfig) -> NamenodeDoor {
    NamenodeDoor::new(namenode, config, operator())
}

/// Opens the port of `hdfs://` and serves it until `shutdown`; where it is.
pub async fn serve_rpc(
    door: &NamenodeDoor,
    address: SocketAddr,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let server = door.listen(address, RpcSettings::default()).await;
    let server = server.with_context(|| format!("cannot listen on {address} for hdfs://"))?;
    let bound = server.local_addr();
    tasks.spawn(server.run(shutdown));
    Ok(bound)
}

/// WebHDFS beside a namenode, whose `hdfs://` is at `rpc`. Bytes are the datanodes' business.
fn namenode_webhdfs(door: &NamenodeDoor, namenode: Arc<dyn NamenodeService>, rpc: SocketAddr) -> Arc<WebHdfs> {
    let (config, keys) = (door.config().clone(), DelegationKeys::new(namenode));
    WebHdfs::new(door.door.clone(), door.datanodes.clone(), config, keys, rpc.to_string(), None)
}

/// What a namenode's http port serves to Hadoop clients: WebHDFS and `fsck`.
pub fn namenode_router(door: &NamenodeDoor, namenode: Arc<dyn NamenodeService>, rpc: SocketAddr) -> Router {
    let fsck = Fsck::new(door.door.clone(), door.datanodes.clone(), door.config().clone());
    namenode_webhdfs(door, namenode, rpc).router().merge(fsck.router())
}

/// WebHDFS beside a datanode. `namenode` reaches the leader.
#[allow(clippy::too_many_arguments, reason = "what a door is made of")]
pub fn datanode_webhdfs(
    datanode: &Datanode,
    namenode: Arc<dyn NamenodeService>,
    datanodes: Arc<DatanodeDirectory>,
    config: Arc<HdfsConfig>,
    client: Client,
    connector: Arc<dyn DatanodeConnector>,
    rpc: String,
) -> Arc<WebHdfs> {
    let principals = Principals::new(namenode.clone(), config.clone(), operator());
    let door = Arc::new(FileSystemDoor::new(namenode.clone(), principals));
    let host = host_of(datanode);
    let data = DataSide { client, connector, host };
    WebHdfs::new(door, datanodes, config, DelegationKeys::new(namenode), rpc, Some(data))
}

/// Where a datanode's ports for Hadoop clients are.
#[derive(Clone, Copy, Debug)]
pub struct DatanodeAddresses {
    /// DataTransferProtocol.
    pub transfer: SocketAddr,
    /// ClientDatanodeProtocol.
    pub ipc: SocketAddr,
    /// The http port, open already.
    pub http: SocketAddr,
    /// The https port, open already, if there is one.
    pub https: Option<SocketAddr>,
}

/// Opens a datanode's ports for Hadoop clients, serves them until `shutdown` and announces them to the namenodes there
/// are at the time; where they are.
pub async fn serve_datanode(
    datanode: &Arc<Datanode>,
    addresses: DatanodeAddresses,
    config: Arc<HdfsConfig>,
    known: Arc<DatanodeDirectory>,
    namenodes: impl Fn() -> Vec<Arc<dyn NamenodeService>> + Send + 'static,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> anyhow::Result<DatanodeAddresses> {
    let DatanodeAddresses { transfer, ipc, .. } = addresses;
    let ports = DatanodePorts::bind(transfer, ipc, config, datanode.clone(), known).await;
    let ports = ports.with_context(|| format!("cannot listen on {transfer} and {ipc} for Hadoop clients"))?;
    let bound = DatanodeAddresses { transfer: ports.transfer_address(), ipc: ports.ipc_address(), ..addresses };
    let door = door_of(datanode, bound);
    tasks.spawn(announce(namenodes, door, shutdown.clone()));
    tasks.spawn(ports.run(shutdown));
    Ok(bound)
}

fn endpoint_of(datanode: &Datanode) -> Arc<granary_protocol::block::DatanodeEndpoint> {
    let volume = *datanode.volume_ids().first().expect("a datanode has a volume");
    datanode.location(volume).datanode
}

fn host_of(datanode: &Datanode) -> String {
    endpoint_of(datanode).host.clone()
}

fn door_of(datanode: &Datanode, bound: DatanodeAddresses) -> DatanodeDoor {
    let endpoint = endpoint_of(datanode);
    DatanodeDoor {
        datanode: endpoint.id,
        name: endpoint.name.clone(),
        host: endpoint.host.clone(),
        address: reachable(bound.transfer.ip(), &endpoint.address).to_string(),
        transfer_port: bound.transfer.port(),
        http_port: bound.http.port(),
        https_port: bound.https.map_or(0, |https| https.port()),
        ipc_port: bound.ipc.port(),
        rack: endpoint.rack.clone(),
    }
}

/// The address clients connect to: the one listened on, or, where that is "all", the one other processes are told.
fn reachable(listening: IpAddr, advertised: &str) -> IpAddr {
    if !listening.is_unspecified() {
        return listening;
    }
    let advertised = advertised.parse::<SocketAddr>().map(|address| address.ip());
    advertised.ok().filter(|address| !address.is_unspecified()).unwrap_or(IpAddr::from([127, 0, 0, 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_an_address_they_can_reach() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(reachable(ip("10.0.0.7"), "10.0.0.9:1"), ip("10.0.0.7"));
        assert_eq!(reachable(ip("0.0.0.0"), "10.0.0.9:1"), ip("10.0.0.9"));
        assert_eq!(reachable(ip("::"), ""), ip("127.0.0.1"));
    }
}
