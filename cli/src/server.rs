//! `granary server`: every role in one process. Roles call each other directly; no internal port is opened. The namenode
//! and the packing of small contents share one thread with the syncs they wait for ([`StorageThread`]).

use crate::args::ServerOptions;
use crate::config::HttpsConfig;
use crate::credentials::RootCredentials;
use crate::hadoop::{self, DatanodeAddresses, DatanodeDoorOf};
use crate::jobs;
use crate::lifecycle;
use crate::master_key;
use crate::role_http::{self, RoleReport};
use crate::roles::{self, DoorSettings};
use crate::shutdown;
use anyhow::Context;
use granary_client::remote::RemoteDatanodes;
use granary_client::{Client, ClientComponents, ClientConfig};
use granary_datanode::{Datanode, VolumeConfig};
use granary_gateway::config::{EncryptionConfig, KmsConfig};
use granary_lifecycle::LifecycleSettings;
use granary_namenode::service::Namenode;
use granary_protocol::block::Media;
use granary_protocol::datanode::{DatanodeConnector, DatanodeService};
use granary_protocol::namenode::NamenodeService;
use granary_protocol::{NodeName, Rack};
use granary_rpc::{RpcClientConfig, Security, StorageThread};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the roles may take to find each other.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// The file of a root key that was made here.
const ROOT_FILE: &str = "root-credentials.json";

/// Runs until it is told to stop.
pub async fn run(options: ServerOptions) -> anyhow::Result<()> {
    for directory in &options.data {
        fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    }
    let first = options.data[0].canonicalize()?;
    let root = RootCredentials::load_or_create(&first.join(ROOT_FILE))?;
    let master_key = match &options.door.encryption.master_key_file {
        Some(path) if master_key::from_environment()?.is_none() => master_key::from_file(path)?,
        Some(_) | None => master_key::load_or_create(&first.join(master_key::FILE))?,
    };
    let lifecycle = lifecycle::settings(options.door.lifecycle.settings())?;
    let shutdown = shutdown::on_signals()?;
    let tasks = TaskTracker::new();

    // Roles stop in the order of their dependence, each by a token of its own.
    let (stop_namenode, stop_datanode, stop_client) =
        (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let storage = StorageThread::start().context("starting the storage thread")?;
    let namenode = start_namenode(&options, &first, &lifecycle, stop_namenode.clone(), &storage).await?;
    let datanode = start_datanode(&options, namenode.namenode.clone(), stop_datanode.clone()).await?;
    until("the namenode leads and the datanode is known to it", || roles_are_ready(&namenode.namenode, &datanode))
        .await?;
    let local = (datanode.id(), datanode.clone() as Arc<dyn DatanodeService>);
    let datanodes: Arc<dyn DatanodeConnector> =
        Arc::new(RemoteDatanodes::new(Security::Plaintext, RpcClientConfig::default(), Some(local)));
    let components = ClientComponents {
        namenode: namenode.namenode.clone() as Arc<dyn NamenodeService>,
        datanodes: datanodes.clone(),
        local_datanode: Some(datanode.id()),
        holder: NodeName::from("gateway-1"),
        lanes_on: Some(storage.handle().clone()),
        shutdown: stop_client.clone(),
    };
    let client = Client::start(ClientConfig::default(), components)?;

    let hadoop_door = hadoop::namenode_door(namenode.namenode.clone(), options.hdfs.config());
    let hadoop_rpc = hadoop::serve_rpc(&hadoop_door, options.namenode_rpc, &tasks, shutdown.clone()).await?;
    let namenode_web = hadoop::namenode_router(&hadoop_door, namenode.namenode.clone(), hadoop_rpc);
    let datanode_door = DatanodeDoorOf {
        datanode: datanode.clone(),
        namenode: namenode.namenode.clone(),
        datanodes: hadoop_door.datanodes.clone(),
        config: hadoop_door.config().clone(),
        client: client.clone(),
        connector: datanodes.clone(),
        namenode_rpc: hadoop_rpc.to_string(),
        master_key: Some(master_key.clone()),
    };
    let datanode_door = datanode_door.build();
    let datanode_web = datanode_door.webhdfs();
    let mut https = None;
    if let (Some(certificate), Some(key)) = (&options.door.tls_cert, &options.door.tls_key) {
        let under_tls = |listen| HttpsConfig { listen, certificate: certificate.clone(), key: key.clone() };
        if let Some(listen) = options.namenode_https {
            role_http::serve_tls(&under_tls(listen), namenode_web.clone(), &tasks, shutdown.clone()).await?;
        }
        if let Some(listen) = options.datanode_https {
            let settings = under_tls(listen);
            https = Some(role_http::serve_tls(&settings, datanode_web.clone(), &tasks, shutdown.clone()).await?);
        }
    }
    let service = jobs::start_service(&namenode.namenode, &tasks, shutdown.clone());
    let mut datanode_report = datanode_report(&datanode);
    let slots = options.task_slots.unwrap_or_else(jobs::cores);
    if slots > 0 {
        let place = jobs::RunnerPlace {
            name: NodeName::from("datanode-1"),
            datanode: datanode.id(),
            rack: Rack::from("/default-rack"),
            slots,
            scratch: options.task_scratch.clone().unwrap_or_else(|| first.join(jobs::SCRATCH)),
            shuffle: None,
            shuffle_advertised: None,
        };
        let (key, security) = (Some(master_key.clone()), Security::Plaintext);
        let runner = jobs::start_runner(place, &client, key, security, &tasks, shutdown.clone()).await?;
        datanode_report = datanode_report.with_figures(move || runner.exposition());
    }
    let namenode_report = namenode_report(&namenode.namenode).with_figures(move || service.exposition());
    let namenode_http =
        role_http::serve(options.namenode_http, namenode_report, namenode_web, &tasks, shutdown.clone()).await?;
    let datanode_http =
        role_http::serve(options.datanode_http, datanode_report, datanode_web.clone(), &tasks, shutdown.clone())
            .await?;
    let addresses = DatanodeAddresses {
        transfer: options.datanode_transfer,
        ipc: options.datanode_ipc,
        http: datanode_http,
        https,
    };
    let announced_to = namenode.namenode.clone() as Arc<dyn NamenodeService>;
    let namenodes = move || vec![announced_to.clone()];
    datanode_door.serve(addresses, namenodes, &tasks, shutdown.clone()).await?;
    let door = DoorSettings {
        s3: options.s3,
        root,
        region: options.door.region.clone(),
        new_buckets: options.door.new_buckets,
        tls_cert: options.door.tls_cert.clone(),
        tls_key: options.door.tls_key.clone(),
        public_urls: options.door.public_url.clone(),
        master_key: Some(master_key),
        encryption: EncryptionConfig {
            default: options.door.encryption.default_encryption,
            customer_keys_in_clear: options.door.encryption.customer_keys_in_clear,
        },
        kms: KmsConfig { create_missing_keys: !options.door.encryption.no_missing_kms_keys },
        website_domains: options.door.website_domain.clone(),
        access_log_interval_s: options.door.access_log_interval_s,
        notifications: options.door.notifications(),
        lifecycle: lifecycle.clone(),
    };
    // A role that cannot go on cancels its own token; the process ends with it.
    for failed in [&stop_namenode, &stop_datanode, &stop_client] {
        shutdown::end_with(failed, &shutdown);
    }
    lifecycle::start_scanner(lifecycle, &namenode.namenode, &tasks, shutdown.clone());
    let gateway = roles::open_door(door, client.clone(), datanodes, &tasks, shutdown).await?;
    let scheme = if options.door.tls_cert.is_some() { "https" } else { "http" };
    tracing::info!(s3 = %gateway.local_addr(), %hadoop_rpc, %namenode_http, %datanode_http, "granary is up");
    println!("S3 is served at {scheme}://{}", gateway.local_addr());
    println!("hdfs:// is served at hdfs://{hadoop_rpc}, WebHDFS at webhdfs://{namenode_http}");

    gateway.run().await;
    client.stop().await;
    stop_client.cancel();
    tasks.close();
    tasks.wait().await;
    datanode.stop().await;
    stop_namenode.cancel();
    let namenode_ended = namenode.join().await;
    let failures = [namenode_ended.err(), datanode.failure(), client.failure()];
    failures.into_iter().flatten().next().map_or(Ok(()), |died| Err(died.into()))
}

async fn start_namenode(
    options: &ServerOptions,
    first: &std::path::Path,
    lifecycle: &LifecycleSettings,
    shutdown: CancellationToken,
    storage: &StorageThread,
) -> anyhow::Result<granary_namenode::startup::Running> {
    let mut config = granary_namenode::Config::single(first.join("namenode"));
    options.redundancy.apply(&mut config);
    hadoop::settle(&mut config, &options.hdfs.config());
    config.tiering.day_ms = lifecycle.calendar().day_ms();
    let components = granary_namenode::startup::Components {
        clock: Arc::new(granary_namenode::clock::SystemClock),
        security: Security::Plaintext,
        authority: None,
        door: granary_namenode::peers::PeerDoor::new(),
        shutdown,
    };
    // Its tasks stay where they are started.
    let starting = storage.handle().spawn(granary_namenode::startup::start(config, components));
    starting.await?.context("starting the namenode")
}

async fn start_datanode(
    options: &ServerOptions,
    namenode: Arc<Namenode>,
    shutdown: CancellationToken,
) -> anyhow::Result<Arc<Datanode>> {
    let volume = |directory: &PathBuf, media| VolumeConfig { path: directory.join("datanode"), media };
    let disks = options.data.iter().map(|directory| volume(directory, Media::default()));
    let archives = options.archive.iter().map(|directory| volume(directory, Media::Archive));
    let volumes = disks.chain(archives).collect();
    let config = roles::datanode_config("datanode-1", "/default-rack", "", &options.datanode_http.to_string(), volumes);
    let components = granary_datanode::Components {
        clock: Arc::new(granary_datanode::SystemClock),
        namenodes: vec![namenode as Arc<dyn NamenodeService>],
        connector: Arc::new(RemoteDatanodes::new(Security::Plaintext, RpcClientConfig::default(), None)),
    };
    Ok(Arc::new(Datanode::start(config, components, shutdown).await.context("starting the datanode")?))
}

fn roles_are_ready(namenode: &Namenode, datanode: &Datanode) -> bool {
    namenode.is_leader() && datanode.ready() && namenode.volumes_in_service() > 0
}

async fn until(what: &str, ready: impl Fn() -> bool) -> anyhow::Result<()> {
    let wait = async {
        while !ready() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(READY_TIMEOUT, wait)
        .await
        .with_context(|| format!("waited {} s for: {what}", READY_TIMEOUT.as_secs()))
}

/// What a namenode's http port shows.
pub fn namenode_report(namenode: &Arc<Namenode>) -> RoleReport {
    let (metrics, ready) = (namenode.clone(), namenode.clone());
    RoleReport {
        metrics: Box::new(move || metrics.metrics_text()),
        ready: Box::new(move || if ready.is_ready() { Ok(()) } else { Err("no leader is known".to_owned()) }),
    }
}

/// What a datanode's http port shows.
pub fn datanode_report(datanode: &Arc<Datanode>) -> RoleReport {
    let (metrics, ready) = (datanode.clone(), datanode.clone());
    RoleReport {
        metrics: Box::new(move || metrics.render_metrics()),
        ready: Box::new(move || {
            if ready.ready() { Ok(()) } else { Err("no namenode has answered, or no volume is in service".to_owned()) }
        }),
    }
}
