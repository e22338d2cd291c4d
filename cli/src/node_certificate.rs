//! Files of certificates: reading a node's own, writing new ones.

use crate::config::{CertificateConfig, DataSecurity, read_pem};
use anyhow::Context;
use granary_rpc::{NodeCertificate, Security, TlsMaterial};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Names of the files in a node's certificate directory.
pub const CA_FILE: &str = "ca.pem";
pub const CERTIFICATE_FILE: &str = "node.pem";
pub const KEY_FILE: &str = "node-key.pem";

/// This node's identity, read from its files.
pub fn control_security(config: &CertificateConfig) -> anyhow::Result<Security> {
    let node = NodeCertificate { cert_pem: read_pem(&config.certificate)?, key_pem: read_pem(&config.key)? };
    let material = TlsMaterial::from_pem(&read_pem(&config.ca)?, &node)
        .with_context(|| format!("{} is not a certificate of this cluster", config.certificate.display()))?;
    Ok(Security::MutualTls(Arc::new(material)))
}

/// How block data travels.
pub fn data_security(control: &Security, choice: DataSecurity) -> Security {
    match choice {
        DataSecurity::Tls => control.clone(),
        DataSecurity::Plaintext => Security::Plaintext,
    }
}

/// Writes a node's certificate, its key and the authority's certificate into `directory`.
pub fn write(directory: &Path, ca_pem: &str, node: &NodeCertificate) -> anyhow::Result<CertificateConfig> {
    fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
    let config = CertificateConfig {
        ca: directory.join(CA_FILE),
        certificate: directory.join(CERTIFICATE_FILE),
        key: directory.join(KEY_FILE),
    };
    fs::write(&config.ca, ca_pem)?;
    fs::write(&config.certificate, &node.cert_pem)?;
    write_secret(&config.key, &node.key_pem)?;
    Ok(config)
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("creating {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
