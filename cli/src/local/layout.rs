//! The directory of a local cluster: who is in it, on which ports, with which configuration.

use super::process;
use crate::args::LocalUpOptions;
use crate::config::{
    CertificateConfig, DataSecurity, DatanodeFile, GatewayFile, HadoopPorts, NamenodeFile, TasksConfig,
};
use crate::credentials::RootCredentials;
use crate::master_key;
use crate::node_certificate;
use anyhow::{Context, bail};
use granary_datanode::VolumeConfig;
use granary_gateway::config::{EncryptionConfig, KmsConfig, NotificationSettings};
use granary_hdfs::config::HdfsConfig;
use granary_lifecycle::LifecycleSettings;
use granary_namenode::config::{JoinConfig, PeerConfig};
use granary_protocol::block::Media;
use granary_protocol::{NodeName, PeerId};
use granary_rpc::{ClusterCa, ClusterName};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// Describes the cluster.
pub const CLUSTER_FILE: &str = "cluster.json";
const ROOT_FILE: &str = "root-credentials.json";

/// `cluster.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterFile {
    pub access_key: String,
    pub secret_key: String,
    pub gateways: Vec<GatewayEntry>,
    pub namenodes: Vec<NamenodeEntry>,
    pub datanodes: Vec<DatanodeEntry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GatewayEntry {
    pub name: String,
    pub pid: u32,
    pub s3: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamenodeEntry {
    pub name: String,
    pub pid: u32,
    /// `hdfs://`.
    pub rpc: String,
    /// Where the cluster's own processes meet.
    #[serde(default)]
    pub internal: String,
    pub http: String,
    pub data: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatanodeEntry {
    pub name: String,
    pub pid: u32,
    /// Where the cluster's own processes reach it.
    pub rpc: String,
    /// WebHDFS, metrics and health.
    pub http: String,
    /// Hadoop's DataTransferProtocol.
    #[serde(default)]
    pub transfer: String,
    /// Hadoop's ClientDatanodeProtocol.
    #[serde(default)]
    pub ipc: String,
    /// Where other task runners read map output; empty without a task runner.
    #[serde(default)]
    pub shuffle: String,
    pub data: PathBuf,
    pub rack: String,
}

/// A local cluster and its directory.
pub struct Cluster {
    pub dir: PathBuf,
    pub file: ClusterFile,
}

impl Cluster {
    /// Reads the cluster of `dir`.
    pub fn load(dir: &Path) -> anyhow::Result<Cluster> {
        let dir = dir.canonicalize().with_context(|| format!("there is no cluster in {}", dir.display()))?;
        let path = dir.join(CLUSTER_FILE);
        let text = fs::read_to_string(&path).with_context(|| format!("there is no cluster in {}", dir.display()))?;
        let file = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Cluster { dir, file })
    }

    /// Writes `cluster.json`; it holds the root key, so its owner alone may read it.
    pub fn save(&self) -> anyhow::Result<()> {
        let temporary = self.dir.join("cluster.json.new");
        node_certificate::write_secret(&temporary, &(serde_json::to_string_pretty(&self.file)? + "\n"))?;
        fs::rename(&temporary, self.dir.join(CLUSTER_FILE))?;
        Ok(())
    }

    /// Lays out a new cluster: names, ports, certificates, configuration files.
    pub fn create(options: &LocalUpOptions) -> anyhow::Result<Cluster> {
        if options.namenodes % 2 == 0 {
            bail!("--namenodes must be odd: an even number tolerates no more failures");
        }
        if options.datanodes == 0 || options.gateways == 0 || options.racks == 0 {
            bail!("a cluster needs at least one datanode, one gateway and one rack");
        }
        fs::create_dir_all(&options.dir).with_context(|| format!("creating {}", options.dir.display()))?;
        let dir = options.dir.canonicalize()?;
        let root = RootCredentials::from_environment()?.map_or_else(RootCredentials::generate, Ok)?;
        root.write(&dir.join(ROOT_FILE))?;
        master_key::create(&dir.join(master_key::FILE))?;
        let mut ports = FreePorts::default();
        let namenodes = (1..=options.namenodes)
            .map(|number| {
                let name = format!("namenode-{number}");
                let data = dir.join(&name).join("data");
                let (rpc, internal, http) = (ports.next()?, ports.next()?, ports.next()?);
                Ok(NamenodeEntry { name, pid: 0, rpc, internal, http, data })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let datanodes = (0..options.datanodes)
            .map(|index| {
                let name = format!("datanode-{}", index + 1);
                let data = dir.join(&name).join("data");
                let rack = format!("/rack-{}", index % options.racks + 1);
                let (rpc, http, transfer, ipc) = (ports.next()?, ports.next()?, ports.next()?, ports.next()?);
                let shuffle = if options.task_slots > 0 { ports.next()? } else { String::new() };
                Ok(DatanodeEntry { name, pid: 0, rpc, http, transfer, ipc, shuffle, data, rack })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let gateways = (1..=options.gateways)
            .map(|number| {
                let s3 = match (number, options.s3_port) {
                    (1, port @ 1..) => format!("127.0.0.1:{port}"),
                    _ => ports.next()?,
                };
                Ok(GatewayEntry { name: format!("gateway-{number}"), pid: 0, s3 })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let file =
            ClusterFile { access_key: root.access_key, secret_key: root.secret_key, gateways, namenodes, datanodes };
        drop(ports);
        let cluster = Cluster { dir, file };
        cluster.write_configurations(options)?;
        cluster.save()?;
        Ok(cluster)
    }

    fn write_configurations(&self, options: &LocalUpOptions) -> anyhow::Result<()> {
        let mut random = [0u8; 4];
        getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
        let authority = ClusterCa::generate(&ClusterName::new(format!("local-{}", hex::encode(random)))?)?;
        let ca_key = self.dir.join("ca-key.pem");
        node_certificate::write_secret(&ca_key, &authority.key_pem())?;
        let data_security = if options.plaintext_data { DataSecurity::Plaintext } else { DataSecurity::Tls };
        let namenode_addresses: Vec<String> = self.file.namenodes.iter().map(|node| node.internal.clone()).collect();
        let peers: Vec<PeerConfig> = (1..)
            .zip(&self.file.namenodes)
            .map(|(number, node)| PeerConfig {
                peer: PeerId(number),
                name: NodeName::from(node.name.as_str()),
                address: node.internal.clone(),
            })
            .collect();

        for (peer, node) in peers.iter().zip(&self.file.namenodes) {
            let mut namenode = granary_namenode::Config::single(node.data.clone());
            namenode.peer = peer.peer;
            namenode.peers = peers.clone();
            options.redundancy.apply(&mut namenode);
            let file = NamenodeFile {
                rpc: parse(&node.internal)?,
                http: parse(&node.http)?,
                hadoop_rpc: Some(parse(&node.rpc)?),
                https: None,
                hdfs: HdfsConfig::default(),
                tls: self.certificate(&authority, &node.name, &["namenode"])?,
                ca_key: Some(ca_key.clone()),
                namenode,
                lifecycle: LifecycleSettings::default(),
            };
            self.write_configuration(&node.name, &file)?;
        }
        for (index, node) in self.file.datanodes.iter().enumerate() {
            let mut volumes = vec![VolumeConfig { path: node.data.clone(), media: Media::default() }];
            if index < usize::from(options.archives) {
                volumes.push(VolumeConfig { path: self.dir.join(&node.name).join("archive"), media: Media::Archive });
            }
            let file = DatanodeFile {
                rpc: parse(&node.rpc)?,
                advertise: None,
                http: parse(&node.http)?,
                tls: self.certificate(&authority, &node.name, &["datanode", "gateway"])?,
                data_security,
                namenodes: namenode_addresses.clone(),
                namenodes_file: None,
                https: None,
                hadoop: Some(HadoopPorts {
                    transfer: parse(&node.transfer)?,
                    ipc: parse(&node.ipc)?,
                    namenode_rpc: self.file.namenodes.first().map(|namenode| namenode.rpc.clone()),
                    master_key_file: Some(self.dir.join(master_key::FILE)),
                }),
                hdfs: HdfsConfig::default(),
                tasks: match node.shuffle.as_str() {
                    "" => None,
                    shuffle => Some(TasksConfig {
                        slots: options.task_slots,
                        shuffle: parse(shuffle)?,
                        advertise: None,
                        scratch: None,
                        master_key_file: None,
                    }),
                },
                datanode: crate::roles::datanode_config(&node.name, &node.rack, &node.rpc, &node.http, volumes),
            };
            self.write_configuration(&node.name, &file)?;
        }
        for gateway in &self.file.gateways {
            let file = GatewayFile {
                name: gateway.name.clone(),
                s3: parse(&gateway.s3)?,
                tls: self.certificate(&authority, &gateway.name, &["gateway"])?,
                data_security,
                namenodes: namenode_addresses.clone(),
                namenodes_file: None,
                local_datanode: None,
                root_credentials: Some(self.dir.join(ROOT_FILE)),
                master_key_file: Some(self.dir.join(master_key::FILE)),
                encryption: EncryptionConfig::default(),
                kms: KmsConfig::default(),
                s3_tls_cert: None,
                s3_tls_key: None,
                public_urls: Vec::new(),
                website_domains: Vec::new(),
                access_log_interval_s: 60,
                notifications: NotificationSettings::default(),
                region: "us-east-1".to_owned(),
                new_buckets: granary_gateway::config::NewBuckets::default(),
                lifecycle: LifecycleSettings::default(),
            };
            self.write_configuration(&gateway.name, &file)?;
        }
        Ok(())
    }

    /// Lays out one more namenode, which waits to be admitted; it is noted when it was.
    pub fn new_namenode(&self) -> anyhow::Result<NamenodeEntry> {
        let number = (1..).find(|number| !self.dir.join(format!("namenode-{number}")).exists());
        let name = format!("namenode-{}", number.context("there is no number left")?);
        let mut ports = FreePorts::default();
        let data = self.dir.join(&name).join("data");
        fs::create_dir_all(&data)?;
        let (rpc, internal, http) = (ports.next()?, ports.next()?, ports.next()?);
        Ok(NamenodeEntry { name, pid: 0, rpc, internal, http, data })
    }

    /// Writes the configuration of a namenode that joins with these certificates.
    pub fn write_newcomer(&self, node: &NamenodeEntry, tls: CertificateConfig) -> anyhow::Result<()> {
        let mut namenode = granary_namenode::Config::single(node.data.clone());
        (namenode.peer, namenode.peers) = (PeerId::default(), Vec::new());
        namenode.join = Some(JoinConfig { name: NodeName::from(node.name.as_str()) });
        let file = NamenodeFile {
            rpc: parse(&node.internal)?,
            http: parse(&node.http)?,
            hadoop_rpc: Some(parse(&node.rpc)?),
            https: None,
            hdfs: HdfsConfig::default(),
            tls,
            ca_key: None,
            namenode,
            lifecycle: LifecycleSettings::default(),
        };
        self.write_configuration(&node.name, &file)
    }

    fn certificate(&self, authority: &ClusterCa, name: &str, roles: &[&str]) -> anyhow::Result<CertificateConfig> {
        let node = authority.issue(&granary_rpc::NodeName::new(name)?, roles, &[])?;
        node_certificate::write(&self.dir.join(name).join("tls"), authority.cert_pem(), &node)
    }

    fn write_configuration(&self, name: &str, file: &impl Serialize) -> anyhow::Result<()> {
        let path = self.config_of(name);
        fs::write(&path, toml::to_string_pretty(file)?).with_context(|| format!("writing {}", path.display()))
    }

    /// Every process: namenodes, datanodes, gateways.
    pub fn names(&self) -> Vec<String> {
        let namenodes = self.file.namenodes.iter().map(|node| &node.name);
        let datanodes = self.file.datanodes.iter().map(|node| &node.name);
        let gateways = self.file.gateways.iter().map(|node| &node.name);
        namenodes.chain(datanodes).chain(gateways).cloned().collect()
    }

    pub fn config_of(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("config.toml")
    }

    /// A process's log.
    pub fn log_of(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("log")
    }

    fn pid_of(&self, name: &str) -> Option<u32> {
        let namenodes = self.file.namenodes.iter().map(|node| (&node.name, node.pid));
        let datanodes = self.file.datanodes.iter().map(|node| (&node.name, node.pid));
        let gateways = self.file.gateways.iter().map(|node| (&node.name, node.pid));
        namenodes.chain(datanodes).chain(gateways).find(|(other, _)| *other == name).map(|(_, pid)| pid)
    }

    /// Where a process answers health checks.
    pub fn http_of(&self, name: &str) -> anyhow::Result<String> {
        let namenodes = self.file.namenodes.iter().map(|node| (&node.name, &node.http));
        let datanodes = self.file.datanodes.iter().map(|node| (&node.name, &node.http));
        let gateways = self.file.gateways.iter().map(|node| (&node.name, &node.s3));
        let found = namenodes.chain(datanodes).chain(gateways).find(|(other, _)| *other == name);
        found.map(|(_, http)| http.clone()).with_context(|| format!("there is no {name} in this cluster"))
    }

    /// Whether the process runs.
    pub fn is_running(&self, name: &str) -> bool {
        self.pid_of(name).is_some_and(|pid| pid != 0 && process::is_running(pid, &self.config_of(name)))
    }

    /// The pid of a process that runs.
    pub fn running_pid(&self, name: &str) -> anyhow::Result<u32> {
        let pid =
            self.pid_of(name).with_context(|| format!("there is no {name}; there are {}", self.names().join(", ")))?;
        if !self.is_running(name) {
            bail!("{name} is not running");
        }
        Ok(pid)
    }

    /// An error with the end of the log if the process has ended.
    pub fn check_alive(&self, name: &str) -> anyhow::Result<()> {
        if self.is_running(name) {
            return Ok(());
        }
        let log = fs::read_to_string(self.log_of(name)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        let end: Vec<&str> = lines.into_iter().rev().collect();
        bail!("{name} has ended; the end of its log:\n{}", end.join("\n"))
    }

    /// Starts a process and notes its pid.
    pub fn start(&mut self, name: &str) -> anyhow::Result<()> {
        let role = name.split_once('-').map(|(role, _)| role).unwrap_or(name).to_owned();
        if self.pid_of(name).is_none() {
            bail!("there is no {name}; there are {}", self.names().join(", "));
        }
        let pid = process::spawn(&role, &self.config_of(name), &self.log_of(name))?;
        let namenodes = self.file.namenodes.iter_mut().map(|node| (&node.name, &mut node.pid));
        let datanodes = self.file.datanodes.iter_mut().map(|node| (&node.name, &mut node.pid));
        let gateways = self.file.gateways.iter_mut().map(|node| (&node.name, &mut node.pid));
        if let Some((_, slot)) = namenodes.chain(datanodes).chain(gateways).find(|(other, _)| *other == name) {
            *slot = pid;
        }
        Ok(())
    }
}

fn parse(address: &str) -> anyhow::Result<SocketAddr> {
    address.parse().with_context(|| format!("{address} is not an address"))
}

/// Free loopback ports. They stay bound until all are chosen, so that none is chosen twice.
#[derive(Default)]
struct FreePorts {
    held: Vec<TcpListener>,
}

impl FreePorts {
    fn next(&mut self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        self.held.push(listener);
        Ok(address)
    }
}
