//! The configuration files of single roles: TOML, with overrides from the command line.

use crate::args::RoleOptions;
use anyhow::{Context, bail};
use granary_client::remote::KnownNamenodes;
use granary_gateway::config::{EncryptionConfig, KmsConfig, NewBuckets, NotificationSettings};
use granary_hdfs::config::HdfsConfig;
use granary_lifecycle::LifecycleSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How a process proves to its peers that it belongs to the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// The cluster's authority (PEM).
    pub ca: PathBuf,
    /// This node's certificate (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

/// How block data travels. Control traffic is always under mutual TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataSecurity {
    /// Under mutual TLS.
    #[default]
    Tls,
    /// In clear, for a trusted network; block tokens and checksums stay.
    Plaintext,
}

/// `granary namenode`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamenodeFile {
    /// Where other processes reach this peer (mutual TLS).
    pub rpc: SocketAddr,
    /// Metrics and health.
    pub http: SocketAddr,
    /// Where hdfs:// is served (Hadoop RPC). Not served if absent.
    #[serde(default)]
    pub hadoop_rpc: Option<SocketAddr>,
    /// Where WebHDFS is served under TLS. Not served if absent.
    #[serde(default)]
    pub https: Option<HttpsConfig>,
    pub tls: CertificateConfig,
    /// The authority's private key: needed by the peers that form a new cluster, and not afterwards.
    #[serde(default)]
    pub ca_key: Option<PathBuf>,
    /// Whom the Hadoop door believes.
    #[serde(default)]
    pub hdfs: HdfsConfig,
    /// The namenode's own settings.
    pub namenode: granary_namenode::Config,
    /// How fast lifecycle rules are carried out, and how long their days are.
    #[serde(default)]
    pub lifecycle: LifecycleSettings,
}

/// `granary datanode`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatanodeFile {
    /// Where other processes reach this datanode.
    pub rpc: SocketAddr,
    /// The address it is advertised under, where that differs from `rpc` (behind address translation, or bound to 0.0.0.0).
    #[serde(default)]
    pub advertise: Option<String>,
    /// Metrics and health.
    pub http: SocketAddr,
    pub tls: CertificateConfig,
    #[serde(default)]
    pub data_security: DataSecurity,
    /// The internal addresses of the namenodes, as far as they are known when this is written: the process learns of others.
    pub namenodes: Vec<String>,
    /// Where the namenodes' addresses are kept when they have changed, for the next start. Default: beside this file, with
    /// `.namenodes` at its end.
    #[serde(default)]
    pub namenodes_file: Option<PathBuf>,
    /// The ports for Hadoop clients. Not opened if absent.
    #[serde(default)]
    pub hadoop: Option<HadoopPorts>,
    /// Where WebHDFS is served under TLS. Not served if absent.
    #[serde(default)]
    pub https: Option<HttpsConfig>,
    /// Whom the Hadoop door believes.
    #[serde(default)]
    pub hdfs: HdfsConfig,
    /// The task runner. None if absent.
    #[serde(default)]
    pub tasks: Option<TasksConfig>,
    /// The datanode's own settings.
    pub datanode: granary_datanode::Config,
}

/// `[https]`: WebHDFS under TLS (`swebhdfs://`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpsConfig {
    /// Where it is served.
    pub listen: SocketAddr,
    /// The certificate chain (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

/// `[tasks]` of a datanode: the task runner beside it, for which the node's certificate needs the role `gateway` beside
/// `datanode`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TasksConfig {
    /// Tasks at a time.
    pub slots: u32,
    /// Where other runners read map output (mutual TLS).
    pub shuffle: SocketAddr,
    /// The address it is advertised under, where that differs.
    #[serde(default)]
    pub advertise: Option<String>,
    /// Where tasks keep what they sort and their programs write. Default: in the first volume's directory.
    #[serde(default)]
    pub scratch: Option<PathBuf>,
    /// The master key of server-side encryption (32 bytes in base64), the same as the gateways'. The environment variable
    /// wins over it. Default: that of `[hadoop]`. Without any, tasks here neither read nor write encrypted objects.
    #[serde(default)]
    pub master_key_file: Option<PathBuf>,
}

/// `[hadoop]` of a datanode. With it the http port serves WebHDFS too, for which the node's certificate needs the role
/// `gateway` beside `datanode`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HadoopPorts {
    /// DataTransferProtocol.
    pub transfer: SocketAddr,
    /// ClientDatanodeProtocol.
    pub ipc: SocketAddr,
    /// `host:port` of `hdfs://`, or the name of the nameservice, as WebHDFS' answers name it. Default: not named.
    #[serde(default)]
    pub namenode_rpc: Option<String>,
    /// The master key of server-side encryption (32 bytes in base64), the same as the gateways'. The environment variable
    /// wins over it. Without either, encrypted files are not readable through this datanode.
    #[serde(default)]
    pub master_key_file: Option<PathBuf>,
}

/// `granary gateway`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayFile {
    /// This gateway's name, as in its certificate.
    pub name: String,
    /// Where S3 is served.
    pub s3: SocketAddr,
    pub tls: CertificateConfig,
    #[serde(default)]
    pub data_security: DataSecurity,
    /// The internal addresses of the namenodes, as far as they are known when this is written: the process learns of others.
    pub namenodes: Vec<String>,
    /// Where the namenodes' addresses are kept when they have changed, for the next start. Default: beside this file, with
    /// `.namenodes` at its end.
    #[serde(default)]
    pub namenodes_file: Option<PathBuf>,
    /// The datanode on this machine, if there is one: it is read from and written to first.
    #[serde(default)]
    pub local_datanode: Option<u64>,
    /// The root key (JSON, as `granary server` writes it). The environment variables win over it.
    #[serde(default)]
    pub root_credentials: Option<PathBuf>,
    /// The master key of server-side encryption (32 bytes in base64). The environment variable wins over it. Without
    /// either, only SSE-C is possible. The same for all gateways.
    #[serde(default)]
    pub master_key_file: Option<PathBuf>,
    #[serde(default)]
    pub encryption: EncryptionConfig,
    #[serde(default)]
    pub kms: KmsConfig,
    /// Serve S3 over TLS with this certificate chain and key (PEM).
    #[serde(default)]
    pub s3_tls_cert: Option<PathBuf>,
    #[serde(default)]
    pub s3_tls_key: Option<PathBuf>,
    /// URLs under which clients reach this door.
    #[serde(default)]
    pub public_urls: Vec<String>,
    #[serde(default = "default_region")]
    pub region: String,
    /// What buckets are created with: `standard` (default), `guarded` or `open`.
    #[serde(default)]
    pub new_buckets: NewBuckets,
    /// Domains below which buckets are served as web sites.
    #[serde(default)]
    pub website_domains: Vec<String>,
    /// How often access logs of buckets are delivered.
    #[serde(default = "default_access_log_interval_s")]
    pub access_log_interval_s: u64,
    /// Where events may go: `[notifications.targets.NAME]` with its `url`.
    #[serde(default)]
    pub notifications: NotificationSettings,
    /// How long days are in lifecycle rules, and how long restores take. The same as the namenodes'.
    #[serde(default)]
    pub lifecycle: LifecycleSettings,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_access_log_interval_s() -> u64 {
    60
}

/// Reads a role's file and applies the overrides.
pub fn load<T: DeserializeOwned>(options: &RoleOptions) -> anyhow::Result<T> {
    let path = &options.config;
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut table: toml::Table = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    for setting in &options.overrides {
        apply_override(&mut table, setting)?;
    }
    T::deserialize(table).with_context(|| format!("in {}", path.display()))
}

/// Where a role keeps the namenodes' addresses.
pub fn known_namenodes(configured: &Option<PathBuf>, options: &RoleOptions) -> KnownNamenodes {
    KnownNamenodes::new(configured.clone().unwrap_or_else(|| options.config.with_extension("namenodes")))
}

/// Sets `a.b.c=value` in the table.
fn apply_override(table: &mut toml::Table, setting: &str) -> anyhow::Result<()> {
    let Some((path, value)) = setting.split_once('=') else { bail!("--set wants KEY=VALUE, not {setting:?}") };
    let value = match format!("value = {value}").parse::<toml::Table>() {
        Ok(mut parsed) => parsed.remove("value").unwrap_or_else(|| toml::Value::String(value.to_owned())),
        Err(_) => toml::Value::String(value.to_owned()),
    };
    let mut names: Vec<&str> = path.split('.').collect();
    let last = names.pop().filter(|name| !name.is_empty());
    let Some(last) = last else { bail!("--set wants KEY=VALUE, not {setting:?}") };
    let mut at = table;
    for name in names {
        let next = at.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let Some(next) = next.as_table_mut() else { bail!("{name:?} in {path:?} is not a table") };
        at = next;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

/// Reads a PEM file.
pub fn read_pem(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_reach_into_tables_and_take_toml_or_words() {
        let mut table: toml::Table = "s3 = 'old'\n[namenode]\nreplication = 3".parse().unwrap();
        for setting in ["s3=0.0.0.0:9000", "namenode.replication=2", "a.b=[1, 2]", "flag=true"] {
            apply_override(&mut table, setting).unwrap();
        }
        assert_eq!(table["s3"].as_str(), Some("0.0.0.0:9000"));
        assert_eq!(table["namenode"]["replication"].as_integer(), Some(2));
        assert_eq!(table["a"]["b"].as_array().map(Vec::len), Some(2));
        assert_eq!(table["flag"].as_bool(), Some(true));
        assert!(apply_override(&mut table, "novalue").is_err());
        assert!(apply_override(&mut table, "s3.x=1").is_err());
        assert!(apply_override(&mut table, "=1").is_err());
    }
}
