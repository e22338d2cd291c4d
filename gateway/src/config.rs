//! The settings of the S3 door: what it is called, where it listens, and every bound it keeps.
//!
//! Credentials are no settings: the root key is handed to [`crate::server::Gateway::start`] beside this, so that a
//! printed or stored configuration never holds a secret.

use crate::notifications::Targets;
pub use crate::notifications::{NotificationSettings, TargetError, TargetSettings};
use crate::request::BaseDomains;
use granary_lifecycle::LifecycleSettings;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a gateway. Every field has a default that suits one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen. Default `127.0.0.1:9000`; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The region signatures must name and buckets are created in. Default `us-east-1`.
    pub region: String,
    /// URLs under which clients know this store, for instance `https://s3.example.com`. Their host names are base
    /// domains of virtual-hosted buckets and are accepted in signatures made for a proxy. `localhost` always is one.
    pub public_urls: Vec<String>,
    /// Serve TLS with this certificate and key. Default: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The root account, which owns every bucket.
    pub account: Account,
    /// What buckets are created with. Default `standard`.
    pub new_buckets: NewBuckets,
    /// Server-side encryption.
    pub encryption: EncryptionConfig,
    /// The key store of SSE-KMS.
    pub kms: KmsConfig,
    /// Connections open at once; further ones wait to be accepted. Default 4,096.
    pub connections_max: usize,
    /// How long a request head may take, from the end of the one before; so also how long a connection may idle.
    /// Default 30 s.
    pub header_timeout_ms: u64,
    /// How long a body may make no progress in either direction. Default 60 s.
    pub stall_timeout_ms: u64,
    /// How long a TLS handshake may take. Default 10 s.
    pub handshake_timeout_ms: u64,
    /// How long requests in flight may take to end when the gateway stops. Default 20 s.
    pub drain_timeout_ms: u64,
    /// Names and values of a request's headers together. Default 64 KiB.
    pub header_bytes_max: usize,
    /// XML request bodies, except the two below. Default 1 MiB.
    pub xml_bytes_max: u64,
    /// The body of DeleteObjects: 1,000 keys. Default 2 MiB.
    pub delete_xml_bytes_max: u64,
    /// The body of CompleteMultipartUpload: 10,000 parts with checksums. Default 4 MiB.
    pub complete_xml_bytes_max: u64,
    /// Domains below which buckets are served as web sites: `BUCKET.DOMAIN`. Default: none.
    pub website_domains: Vec<String>,
    /// Where events may go.
    pub notifications: NotificationSettings,
    /// How often access logs are delivered. Default 60 s.
    pub access_log_interval_s: u64,
    /// How long days are in lifecycle rules, and how long restores take.
    pub lifecycle: LifecycleSettings,
}

/// What buckets are created with where a request does not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewBuckets {
    /// Nothing is public, and everything is the bucket's owner's. Whether lists are wanted is left open: where nobody has
    /// chosen, a list that the owner puts counts, and so does a policy.
    #[default]
    Standard,
    /// Block Public Access is on and lists are off, as on AWS since April 2023: nobody makes a bucket public by one request.
    Guarded,
    /// Objects belong to whoever writes them and lists count from the beginning, as on AWS before.
    Open,
}

/// The account behind the root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// 64 hexadecimal digits, shown as the owner of buckets and objects.
    pub canonical_id: String,
    /// Shown beside it. Default `granary`.
    pub display_name: String,
    /// Twelve digits, compared with `x-amz-expected-bucket-owner`. Default all zero.
    pub account_id: String,
}

/// What holds for encryption where neither a request nor a bucket says anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncryptionConfig {
    /// How objects are stored. Default `none`: as they are.
    pub default: StoreDefault,
    /// Whether SSE-C keys are taken from other machines over plain HTTP, where they can be listened to. From this machine
    /// itself and over TLS they always are. Default false.
    pub customer_keys_in_clear: bool,
}

/// How an object is stored of which neither request nor bucket say how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StoreDefault {
    /// As it is, and no response says otherwise.
    #[default]
    #[serde(rename = "none")]
    None,
    /// SSE-S3, as on AWS.
    #[serde(rename = "AES256")]
    Aes256,
}

impl std::str::FromStr for StoreDefault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "AES256" => Ok(Self::Aes256),
            other => Err(format!("default encryption is none or AES256, not {other:?}")),
        }
    }
}

/// The key store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KmsConfig {
    /// Whether a key that does not exist is made when an object is first to be encrypted under it. Without this, such a
    /// request is refused as AWS does. Default true.
    pub create_missing_keys: bool,
}

impl Default for KmsConfig {
    fn default() -> Self {
        Self { create_missing_keys: true }
    }
}

/// Where a certificate chain and its key are, both PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            canonical_id: hex::encode(Sha256::digest(b"granary root account")),
            display_name: "granary".to_owned(),
            account_id: "000000000000".to_owned(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)),
            region: "us-east-1".to_owned(),
            public_urls: Vec::new(),
            tls: None,
            account: Account::default(),
            new_buckets: NewBuckets::Standard,
            encryption: EncryptionConfig::default(),
            kms: KmsConfig::default(),
            connections_max: 4096,
            header_timeout_ms: 30_000,
            stall_timeout_ms: 60_000,
            handshake_timeout_ms: 10_000,
            drain_timeout_ms: 20_000,
            header_bytes_max: 64 << 10,
            xml_bytes_max: 1 << 20,
            delete_xml_bytes_max: 2 << 20,
            complete_xml_bytes_max: 4 << 20,
            website_domains: Vec::new(),
            notifications: NotificationSettings::default(),
            access_log_interval_s: 60,
            lifecycle: LifecycleSettings::default(),
        }
    }
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("gateway setting {field} must be {must}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it must be.
    pub must: &'static str,
}

impl Config {
    /// Checks every field.
    ///
    /// # Errors
    /// The first that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        let canonical = &self.account.canonical_id;
        let rules = [
            ("region", "lower-case letters, digits and dashes", {
                let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                !self.region.is_empty() && self.region.bytes().all(is_word)
            }),
            ("public_urls", "http:// or https:// URLs without a path", {
                self.public_urls.iter().all(|url| public_authority(url).is_some())
            }),
            ("account.canonical_id", "64 hexadecimal digits", {
                canonical.len() == 64 && canonical.bytes().all(|byte| byte.is_ascii_hexdigit())
            }),
            ("account.account_id", "12 digits", digits(&self.account.account_id, 12)),
            ("connections_max", "1 to 1000000", (1..=1_000_000).contains(&self.connections_max)),
            ("header_timeout_ms", "at least 1", self.header_timeout_ms >= 1),
            ("stall_timeout_ms", "at least 1", self.stall_timeout_ms >= 1),
            ("handshake_timeout_ms", "at least 1", self.handshake_timeout_ms >= 1),
            ("header_bytes_max", "8 KiB to 256 KiB", (8 << 10..=256 << 10).contains(&self.header_bytes_max)),
            ("xml_bytes_max", "at least 1 KiB", self.xml_bytes_max >= 1024),
            ("delete_xml_bytes_max", "at least 1 KiB", self.delete_xml_bytes_max >= 1024),
            ("complete_xml_bytes_max", "at least 1 KiB", self.complete_xml_bytes_max >= 1024),
            ("website_domains", "domain names, other than those of public_urls and localhost", {
                let taken = self.base_domains();
                self.website_domains.iter().all(|domain| is_domain(domain) && !taken.contains(domain))
            }),
            ("notifications.targets", "words naming http:// or https:// URLs", {
                Targets::new(&self.notifications, &self.region).is_ok()
            }),
            (
                "lifecycle",
                "days of 1 to 86400 seconds and delays of at most 30 days",
                self.lifecycle.validate().is_ok(),
            ),
            ("access_log_interval_s", "1 to 86400", (1..=86_400).contains(&self.access_log_interval_s)),
        ];
        match rules.into_iter().find(|(_, _, holds)| !holds) {
            Some((field, must, _)) => Err(ConfigError { field, must }),
            None => Ok(()),
        }
    }

    /// The domains below which the first labels of a Host name a bucket.
    pub(crate) fn base_domains(&self) -> BaseDomains {
        let public = self.public_hosts();
        let names = public.iter().map(|host| host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name));
        BaseDomains::new(names.chain(["localhost"]))
    }

    /// The domains below which the first labels of a Host name a bucket that is a web site.
    pub(crate) fn website_domains(&self) -> BaseDomains {
        BaseDomains::new(&self.website_domains)
    }

    /// The `Host` values a client of the public URLs signs.
    pub(crate) fn public_hosts(&self) -> Vec<String> {
        self.public_urls.iter().filter_map(|url| public_authority(url)).collect()
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        Duration::from_millis(self.stall_timeout_ms)
    }
}

fn is_domain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// `host[:port]` of a URL, without the scheme's default port; `None` unless it is just that.
fn public_authority(url: &str) -> Option<String> {
    let (rest, default_port) = match url.split_once("://")? {
        ("http", rest) => (rest, ":80"),
        ("https", rest) => (rest, ":443"),
        _ => return None,
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    let is_plain =
        !authority.is_empty() && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    is_plain.then(|| authority.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
        let bad = Config { connections_max: 0, ..Config::default() };
        assert_eq!(bad.validate().unwrap_err().field, "connections_max");
        for (domain, is_good) in [("site.example", true), ("LOCALHOST", false), ("a b", false), ("", false)] {
            let config = Config { website_domains: vec![domain.to_owned()], ..Config::default() };
            assert_eq!(config.validate().is_ok(), is_good, "{domain}");
        }
    }

    #[test]
    fn public_urls_become_hosts() {
        for (url, host) in [
            ("https://S3.example.com", Some("s3.example.com")),
            ("https://s3.example.com:443/", Some("s3.example.com")),
            ("http://s3.example.com:443", Some("s3.example.com:443")),
            ("http://10.0.0.1:9000", Some("10.0.0.1:9000")),
            ("https://s3.example.com/path", None),
            ("https://user@host", None),
            ("s3.example.com", None),
            ("ftp://s3.example.com", None),
        ] {
            assert_eq!(public_authority(url).as_deref(), host, "{url}");
        }
    }
}
