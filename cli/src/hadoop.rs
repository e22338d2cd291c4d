//! The Hadoop door as processes open it: `hdfs://` and WebHDFS beside a namenode; block transfers, IPC and WebHDFS beside
//! a datanode.

use anyhow::Context;
use axum::Router;
use granary_client::Client;
use granary_datanode::Datanode;
use granary_gateway::config::Account;
use granary_hdfs::cluster_key::ClusterKey;
use granary_hdfs::config::HdfsConfig;
use granary_hdfs::datanode_directory::{DatanodeDirectory, announce};
use granary_hdfs::datanode_ports::DatanodePorts;
use granary_hdfs::door::FileSystemDoor;
use granary_hdfs::fsck::Fsck;
use granary_hdfs::namenode_door::NamenodeDoor;
use granary_hdfs::principal::Principals;
use granary_hdfs::rpc::RpcSettings;
use granary_hdfs::sealed::{Locator, SealedReads};
use granary_hdfs::webhdfs::{DataSide, DelegationKeys, WebHdfs};
use granary_namenode::service::Namenode;
use granary_protocol::CanonicalId;
use granary_protocol::datanode::DatanodeConnector;
use granary_protocol::datanode_door::DatanodeDoor;
use granary_protocol::namenode::NamenodeService;
use granary_sealing::{KeyStore, LocalKeyStore, MasterKey};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Who owns what no user of the store owns: the account behind the root key.
fn operator() -> CanonicalId {
    CanonicalId(Account::default().canonical_id)
}

/// What a namenode answers to clients that the settings of its Hadoop door say: both doors tell what the namenode does.
pub fn settle(namenode: &mut granary_namenode::Config, door: &HdfsConfig) {
    namenode.trash_interval_minutes = namenode.trash_interval_minutes.max(door.trash_interval_minutes);
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
    let (datanodes, locator) = (door.datanodes.clone(), door.locator.clone());
    WebHdfs::new(door.door.clone(), datanodes, locator, config, keys, rpc.to_string(), None)
}

/// What a namenode's http port serves to Hadoop clients: WebHDFS and `fsck`.
pub fn namenode_router(door: &NamenodeDoor, namenode: Arc<dyn NamenodeService>, rpc: SocketAddr) -> Router {
    let fsck = Fsck::new(door.door.clone(), door.datanodes.clone(), door.config().clone());
    namenode_webhdfs(door, namenode, rpc).router().merge(fsck.router())
}

/// What the Hadoop door of a datanode is made of.
pub struct DatanodeDoorOf {
    /// The datanode.
    pub datanode: Arc<Datanode>,
    /// Reaches the leader.
    pub namenode: Arc<dyn NamenodeService>,
    /// Where datanodes are reached.
    pub datanodes: Arc<DatanodeDirectory>,
    /// Whom the door believes.
    pub config: Arc<HdfsConfig>,
    /// Reads.
    pub client: Client,
    /// Reaches the pipelines of new blocks.
    pub connector: Arc<dyn DatanodeConnector>,
    /// How WebHDFS' answers name `hdfs://`.
    pub namenode_rpc: String,
    /// Opens the keys of encrypted files.
    pub master_key: Option<MasterKey>,
}

/// The Hadoop door of a datanode.
pub struct DatanodeSide {
    datanode: Arc<Datanode>,
    datanodes: Arc<DatanodeDirectory>,
    config: Arc<HdfsConfig>,
    sealed: Arc<SealedReads>,
    web: Arc<WebHdfs>,
}

impl DatanodeDoorOf {
    /// Puts the door together; nothing is served yet.
    pub fn build(self) -> DatanodeSide {
        let DatanodeDoorOf { datanode, namenode, datanodes, config, client, connector, namenode_rpc, master_key } =
            self;
        // Keys are only opened here: none is made.
        let keys =
            master_key.map(|master| Arc::new(LocalKeyStore::new(client.clone(), master, false)) as Arc<dyn KeyStore>);
        let key = || ClusterKey::new(namenode.clone());
        let sealed = Arc::new(SealedReads::new(client.clone(), keys, key()));
        let principals = Principals::new(namenode.clone(), config.clone(), operator());
        let door = Arc::new(FileSystemDoor::new(namenode.clone(), principals));
        let locator = Arc::new(Locator::new(door.clone(), datanodes.clone(), key()));
        let data = DataSide { client, connector, sealed: sealed.clone(), host: host_of(&datanode) };
        let delegation = DelegationKeys::new(namenode.clone());
        let web = WebHdfs::new(door, datanodes.clone(), locator, config.clone(), delegation, namenode_rpc, Some(data));
        DatanodeSide { datanode, datanodes, config, sealed, web }
    }
}

impl DatanodeSide {
    /// What the http port serves to Hadoop clients.
    pub fn webhdfs(&self) -> Router {
        self.web.router()
    }

    /// Opens the ports, serves them until `shutdown` and announces them to the namenodes there are at the time; where
    /// they are.
    pub async fn serve(
        &self,
        addresses: DatanodeAddresses,
        namenodes: impl Fn() -> Vec<Arc<dyn NamenodeService>> + Send + 'static,
        tasks: &TaskTracker,
        shutdown: CancellationToken,
    ) -> anyhow::Result<DatanodeAddresses> {
        let DatanodeAddresses { transfer, ipc, .. } = addresses;
        let (datanode, known) = (self.datanode.clone(), self.datanodes.clone());
        let ports = DatanodePorts::bind(transfer, ipc, self.config.clone(), datanode, known, self.sealed.clone()).await;
        let ports = ports.with_context(|| format!("cannot listen on {transfer} and {ipc} for Hadoop clients"))?;
        let bound = DatanodeAddresses { transfer: ports.transfer_address(), ipc: ports.ipc_address(), ..addresses };
        let door = door_of(&self.datanode, bound);
        tasks.spawn(announce(namenodes, door, shutdown.clone()));
        tasks.spawn(ports.run(shutdown));
        Ok(bound)
    }
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
    fn the_longer_trash_interval_counts_wherever_it_is_set() {
        for (namenode, door) in [(30, 0), (0, 30), (30, 10), (10, 30)] {
            let mut config = granary_namenode::Config::single("/d".into());
            config.trash_interval_minutes = namenode;
            settle(&mut config, &HdfsConfig { trash_interval_minutes: door, ..HdfsConfig::default() });
            assert_eq!(config.trash_interval_minutes, 30);
        }
    }

    #[test]
    fn clients_are_told_an_address_they_can_reach() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(reachable(ip("10.0.0.7"), "10.0.0.9:1"), ip("10.0.0.7"));
        assert_eq!(reachable(ip("0.0.0.0"), "10.0.0.9:1"), ip("10.0.0.9"));
        assert_eq!(reachable(ip("::"), ""), ip("127.0.0.1"));
    }
}
