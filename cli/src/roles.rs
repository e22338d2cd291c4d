//! Single roles as processes of their own: what `granary namenode|datanode|gateway` run.

use crate::args::RoleOptions;
use crate::config::{self, DatanodeFile, GatewayFile, NamenodeFile};
use crate::credentials::RootCredentials;
use crate::hadoop::{self, DatanodeAddresses, DatanodeDoorOf};
use crate::jobs;
use crate::lifecycle;
use crate::master_key;
use crate::node_certificate::{control_security, data_security};
use crate::role_http;
use crate::server::{datanode_report, namenode_report};
use crate::shutdown;
use anyhow::Context;
use axum::Router;
use granary_client::remote::{NamenodeCluster, PeerListFollower, RemoteDatanodes, RemoteNamenode};
use granary_client::{Client, ClientComponents, ClientConfig};
use granary_datanode::{Datanode, DatanodeRpc, VolumeConfig};
use granary_gateway::auth::Secret;
use granary_gateway::config::{EncryptionConfig, KmsConfig, NewBuckets, NotificationSettings, TlsFiles};
use granary_gateway::server::Gateway;
use granary_hdfs::datanode_directory::DatanodeDirectory;
use granary_lifecycle::LifecycleSettings;
use granary_namenode::peers::PeerDoor;
use granary_namenode::server::NamenodeServer;
use granary_namenode::service::Namenode;
use granary_protocol::datanode::{DatanodeConnector, DatanodeService};
use granary_protocol::namenode::NamenodeService;
use granary_protocol::{DatanodeId, NodeName, Rack};
use granary_rpc::{ClusterCa, RpcClient, RpcClientConfig, RpcServer, Security};
use granary_sealing::MasterKey;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a datanode waits for one namenode's answer.
const NAMENODE_CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// `granary namenode`.
pub async fn namenode(options: RoleOptions) -> anyhow::Result<()> {
    let mut file: NamenodeFile = config::load(&options)?;
    hadoop::settle(&mut file.namenode, &file.hdfs);
    let security = control_security(&file.tls)?;
    let authority = match &file.ca_key {
        Some(key) => Some(ClusterCa::from_pem(&config::read_pem(&file.tls.ca)?, &config::read_pem(key)?)?),
        None => None,
    };
    let told_to_stop = shutdown::on_signals()?;
    let shutdown = CancellationToken::new();
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    // The port opens first: first peers look for each other, and a new one waits there to be admitted.
    let door = PeerDoor::new();
    let server = listen(file.rpc, security.clone(), Arc::new(NamenodeServer::new(door.clone()))).await?;
    let serving = tokio::spawn(server.run(shutdown.clone()));
    let lifecycle = lifecycle::settings(file.lifecycle)?;
    file.namenode.tiering.day_ms = lifecycle.calendar().day_ms();
    let components = granary_namenode::startup::Components {
        clock: Arc::new(granary_namenode::clock::SystemClock),
        security,
        authority,
        door,
        shutdown: stop.clone(),
    };
    // A peer that cannot go on cancels `stop` itself; the process ends with it, so that whoever supervises it notices.
    shutdown::end_with(&stop, &shutdown);
    if file.namenode.join.is_some() {
        tracing::info!(rpc = %file.rpc, "a namenode that joins; admit it with `granary admin namenode` if it has no data yet");
    }
    let running = tokio::select! {
        started = granary_namenode::startup::start(file.namenode, components) => started.context("starting the namenode")?,
        () = told_to_stop.cancelled() => return Ok(()),
        () = shutdown.cancelled() => return Ok(()),
    };
    hand_over_before(told_to_stop, running.namenode.clone(), shutdown.clone());
    let mut further = Router::new();
    if let Some(address) = file.hadoop_rpc {
        let door = hadoop::namenode_door(running.namenode.clone(), file.hdfs);
        let hadoop_rpc = hadoop::serve_rpc(&door, address, &tasks, shutdown.clone()).await?;
        further = hadoop::namenode_router(&door, running.namenode.clone(), hadoop_rpc);
        tracing::info!(%hadoop_rpc, "hdfs:// and webhdfs:// are served");
    }
    if let Some(https) = &file.https {
        role_http::serve_tls(https, further.clone(), &tasks, shutdown.clone()).await?;
    }
    let service = jobs::start_service(&running.namenode, &tasks, shutdown.clone());
    let report = namenode_report(&running.namenode).with_figures(move || service.exposition());
    let http = role_http::serve(file.http, report, further, &tasks, shutdown.clone()).await?;
    lifecycle::start_scanner(lifecycle, &running.namenode, &tasks, shutdown.clone());
    tracing::info!(rpc = %file.rpc, %http, "namenode is up");

    serving.await.context("serving other processes")?;
    tasks.close();
    tasks.wait().await;
    stop.cancel();
    Ok(running.join().await?)
}

/// Ends the process once it was told to and another namenode leads, so that clients wait for no election.
fn hand_over_before(told_to_stop: CancellationToken, namenode: Arc<Namenode>, shutdown: CancellationToken) {
    tokio::spawn(async move {
        tokio::select! {
            () = told_to_stop.cancelled() => {}
            () = shutdown.cancelled() => return,
        }
        namenode.hand_over().await;
        drop(namenode);
        shutdown.cancel();
    });
}

/// `granary datanode`.
pub async fn datanode(options: RoleOptions) -> anyhow::Result<()> {
    let file: DatanodeFile = config::load(&options)?;
    let control = control_security(&file.tls)?;
    let kept = config::known_namenodes(&file.namenodes_file, &options);
    let follower = PeerListFollower::new(kept, &file.namenodes, control.clone(), RpcClientConfig::default());
    let data = data_security(&control, file.data_security);
    let shutdown = shutdown::on_signals()?;
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let mut settings = file.datanode;
    if let Some(advertised) = &file.advertise {
        settings.address = advertised.clone();
    }
    let (runner_name, rack) = (settings.name.0.clone(), settings.rack.clone());
    let first_volume = settings.volumes.first().map(|volume| volume.path.clone()).unwrap_or_default();
    let to_namenodes = control.clone();
    let namenode = move |address: &String| {
        let rpc = RpcClient::new(address.as_str(), to_namenodes.clone());
        (address.clone(), Arc::new(RemoteNamenode::new(rpc, NAMENODE_CALL_TIMEOUT)) as Arc<dyn NamenodeService>)
    };
    let components = granary_datanode::Components {
        clock: Arc::new(granary_datanode::SystemClock),
        namenodes: Vec::new(),
        connector: Arc::new(RemoteDatanodes::new(data.clone(), RpcClientConfig::default(), None)),
    };
    shutdown::end_with(&stop, &shutdown);
    let datanode = Arc::new(Datanode::start(settings, components, stop).await.context("starting the datanode")?);
    let first: Vec<_> = follower.addresses().iter().map(&namenode).collect();
    let cluster = Arc::new(NamenodeCluster::connect(follower.addresses(), &control, &RpcClientConfig::default()));
    let peers = Arc::new(Mutex::new(services(&first)));
    datanode.set_namenodes(first);
    let (follows, learns, told) = (datanode.clone(), cluster.clone(), peers.clone());
    tasks.spawn(follower.run(shutdown.clone(), move |addresses| {
        let namenodes: Vec<_> = addresses.iter().map(&namenode).collect();
        *told.lock().expect("held to copy a list only") = services(&namenodes);
        learns.learn(addresses);
        follows.set_namenodes(namenodes);
    }));
    let server = listen(file.rpc, data, Arc::new(DatanodeRpc::new(datanode.clone()))).await?;
    let mut report = datanode_report(&datanode);
    let local = (datanode.id(), datanode.clone() as Arc<dyn DatanodeService>);
    let connector: Arc<dyn DatanodeConnector> = Arc::new(RemoteDatanodes::new(
        data_security(&control, file.data_security),
        RpcClientConfig::default(),
        Some(local),
    ));
    // What WebHDFS and the task runner read and write with, where there are such.
    let own_client = match file.hadoop.is_some() || file.tasks.is_some() {
        true => {
            let stop_client = CancellationToken::new();
            shutdown::end_with(&stop_client, &shutdown);
            Some(Client::start(
                // Compaction is the gateways' work.
                ClientConfig { compaction: false, ..ClientConfig::default() },
                ClientComponents {
                    namenode: cluster.clone(),
                    datanodes: connector.clone(),
                    local_datanode: Some(datanode.id()),
                    holder: NodeName::from(format!("webhdfs-{}", datanode.id())),
                    lanes_on: None,
                    shutdown: stop_client,
                },
            )?)
        }
        false => None,
    };
    if let (Some(settings), Some(client)) = (&file.tasks, &own_client) {
        let place = jobs::RunnerPlace {
            name: NodeName::from(runner_name.as_str()),
            datanode: datanode.id(),
            rack,
            slots: settings.slots,
            scratch: settings.scratch.clone().unwrap_or_else(|| first_volume.join(jobs::SCRATCH)),
            shuffle: Some(settings.shuffle),
            shuffle_advertised: settings.advertise.clone(),
        };
        let of_door = file.hadoop.as_ref().and_then(|ports| ports.master_key_file.as_deref());
        let key = master_key::from_environment_or(settings.master_key_file.as_deref().or(of_door))?;
        let runner = jobs::start_runner(place, client, key, control.clone(), &tasks, shutdown.clone()).await?;
        report = report.with_figures(move || runner.exposition());
    }
    if let (Some(ports), Some(client)) = (file.hadoop, &own_client) {
        let config = Arc::new(file.hdfs);
        let door = DatanodeDoorOf {
            datanode: datanode.clone(),
            datanodes: Arc::new(DatanodeDirectory::new(cluster.clone())),
            namenode: cluster,
            config,
            client: client.clone(),
            connector,
            namenode_rpc: ports.namenode_rpc.clone().unwrap_or_default(),
            master_key: master_key::from_environment_or(ports.master_key_file.as_deref())?,
        };
        let door = door.build();
        let web = door.webhdfs();
        let https = match &file.https {
            Some(https) => Some(role_http::serve_tls(https, web.clone(), &tasks, shutdown.clone()).await?),
            None => None,
        };
        let http = role_http::serve(file.http, report, web.clone(), &tasks, shutdown.clone()).await?;
        let addresses = DatanodeAddresses { transfer: ports.transfer, ipc: ports.ipc, http, https };
        let namenodes = move || peers.lock().expect("held to copy a list only").clone();
        let bound = door.serve(addresses, namenodes, &tasks, shutdown.clone()).await?;
        tracing::info!(transfer = %bound.transfer, ipc = %bound.ipc, "Hadoop clients are served");
    } else {
        role_http::serve(file.http, report, Router::new(), &tasks, shutdown.clone()).await?;
    }
    tracing::info!(rpc = %file.rpc, http = %file.http, "datanode is up");

    server.run(shutdown).await;
    if let Some(client) = &own_client {
        client.stop().await;
    }
    tasks.close();
    tasks.wait().await;
    datanode.stop().await;
    let client_died = own_client.and_then(|client| client.failure());
    datanode.failure().or(client_died).map_or(Ok(()), |died| Err(died.into()))
}

/// `granary gateway`.
pub async fn gateway(options: RoleOptions) -> anyhow::Result<()> {
    let file: GatewayFile = config::load(&options)?;
    let control = control_security(&file.tls)?;
    let data = data_security(&control, file.data_security);
    let root = match (RootCredentials::from_environment()?, &file.root_credentials) {
        (Some(root), _) => root,
        (None, Some(path)) => RootCredentials::from_file(path)?,
        (None, None) => anyhow::bail!("no root key: set `root_credentials` or the environment variables"),
    };
    let master_key = master_key::from_environment_or(file.master_key_file.as_deref())?;
    let shutdown = shutdown::on_signals()?;
    let stop = CancellationToken::new();
    shutdown::end_with(&stop, &shutdown);
    let datanodes: Arc<dyn DatanodeConnector> = Arc::new(RemoteDatanodes::new(data, RpcClientConfig::default(), None));
    let kept = config::known_namenodes(&file.namenodes_file, &options);
    let follower = PeerListFollower::new(kept, &file.namenodes, control.clone(), RpcClientConfig::default());
    let namenodes = Arc::new(NamenodeCluster::connect(follower.addresses(), &control, &RpcClientConfig::default()));
    let learns = namenodes.clone();
    let following = tokio::spawn(follower.run(shutdown.clone(), move |addresses| learns.learn(addresses)));
    let components = ClientComponents {
        namenode: namenodes,
        datanodes: datanodes.clone(),
        local_datanode: file.local_datanode.map(DatanodeId),
        holder: NodeName::from(file.name.as_str()),
        lanes_on: None,
        shutdown: stop.clone(),
    };
    let client = Client::start(ClientConfig::default(), components)?;
    let door = DoorSettings {
        s3: file.s3,
        root,
        region: file.region,
        new_buckets: file.new_buckets,
        tls_cert: file.s3_tls_cert,
        tls_key: file.s3_tls_key,
        public_urls: file.public_urls,
        master_key,
        encryption: file.encryption,
        kms: file.kms,
        website_domains: file.website_domains,
        access_log_interval_s: file.access_log_interval_s,
        notifications: file.notifications,
        lifecycle: lifecycle::settings(file.lifecycle)?,
    };
    let tasks = TaskTracker::new();
    let gateway = open_door(door, client.clone(), datanodes, &tasks, shutdown).await?;
    tracing::info!(s3 = %gateway.local_addr(), "gateway is up");

    gateway.run().await;
    tasks.close();
    tasks.wait().await;
    client.stop().await;
    following.await.context("following the namenodes")?;
    client.failure().map_or(Ok(()), |died| Err(died.into()))
}

fn services(namenodes: &[(String, Arc<dyn NamenodeService>)]) -> Vec<Arc<dyn NamenodeService>> {
    namenodes.iter().map(|(_, service)| service.clone()).collect()
}

async fn listen(
    address: SocketAddr,
    security: Security,
    handler: Arc<dyn granary_rpc::RpcHandler>,
) -> anyhow::Result<RpcServer> {
    RpcServer::bind(address, security, handler).await.with_context(|| format!("cannot listen on {address}"))
}

/// A datanode's settings from the few that differ between nodes. An empty address is not served.
pub fn datanode_config(
    name: &str,
    rack: &str,
    address: &str,
    http: &str,
    volumes: Vec<VolumeConfig>,
) -> granary_datanode::Config {
    let mut config = granary_datanode::Config::new(NodeName::from(name), volumes);
    config.rack = Rack::from(rack);
    config.address = address.to_owned();
    config.http = http.to_owned();
    config
}

/// What the S3 door needs, whichever process it runs in.
pub struct DoorSettings {
    pub s3: SocketAddr,
    pub root: RootCredentials,
    pub region: String,
    pub new_buckets: NewBuckets,
    pub tls_cert: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub public_urls: Vec<String>,
    pub master_key: Option<MasterKey>,
    pub encryption: EncryptionConfig,
    pub kms: KmsConfig,
    pub website_domains: Vec<String>,
    pub access_log_interval_s: u64,
    pub notifications: NotificationSettings,
    pub lifecycle: LifecycleSettings,
}

/// Opens the S3 door; [`Gateway::run`] then serves it until `shutdown`. Beside it, blocks are moved to archive targets and back
/// by one of `tasks`, if there is a master key to open the targets' secrets with.
pub async fn open_door(
    door: DoorSettings,
    client: Client,
    datanodes: Arc<dyn DatanodeConnector>,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> anyhow::Result<Gateway> {
    let config = granary_gateway::config::Config {
        listen: door.s3,
        region: door.region,
        new_buckets: door.new_buckets,
        public_urls: door.public_urls,
        encryption: door.encryption,
        kms: door.kms,
        website_domains: door.website_domains,
        access_log_interval_s: door.access_log_interval_s,
        notifications: door.notifications,
        lifecycle: door.lifecycle,
        tls: door.tls_cert.zip(door.tls_key).map(|(certificate, key)| TlsFiles { certificate, key }),
        ..granary_gateway::config::Config::default()
    };
    let keys = door.master_key.clone();
    let (archiving, stop) = (client.clone(), shutdown.clone());
    let components = granary_gateway::server::Components {
        client,
        datanodes,
        clock: Arc::new(granary_gateway::server::SystemClock),
        root: granary_gateway::server::RootCredentials {
            access_key_id: door.root.access_key,
            secret_access_key: Secret::new(door.root.secret_key),
        },
        master_key: door.master_key,
        shutdown,
    };
    if let Some(keys) = keys {
        lifecycle::start_archiver(archiving, keys, tasks, stop);
    }
    Gateway::start(config, components).await.with_context(|| format!("opening the S3 door at {}", door.s3))
}
