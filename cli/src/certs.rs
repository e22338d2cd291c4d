//! `granary certs`: the authority of a cluster and the certificates of its nodes, as files.
//!
//! For clusters whose machines are prepared from one place; a single node joins with `granary enrol` instead. Nothing
//! that exists is written over: an authority is made once and then used, a node's certificate is made once.

use crate::args::{CertsOptions, NodeRole};
use crate::config::read_pem;
use crate::node_certificate;
use anyhow::{Context, bail};
use granary_rpc::{ClusterCa, ClusterName, NodeCertificate, NodeName};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The authority's private key, beside its certificate.
pub const CA_KEY_FILE: &str = "ca-key.pem";

/// Runs the command.
pub fn run(options: &CertsOptions) -> anyhow::Result<()> {
    let dir = &options.dir;
    refuse_repetition(dir, &options.nodes)?;
    let existing = existing_authority(dir)?;
    let is_new = existing.is_none();
    let authority = match (existing, &options.cluster) {
        (Some(authority), Some(name)) if authority.cluster().as_str() != name => {
            bail!("the authority in {} is that of cluster {}, not {name}", dir.display(), authority.cluster())
        }
        (Some(authority), _) => authority,
        (None, Some(name)) => ClusterCa::generate(&ClusterName::new(name.as_str())?)?,
        (None, None) => bail!("there is no authority in {} yet: name the new cluster with --cluster", dir.display()),
    };
    // All are made before the first is written, so that a name that cannot be leaves nothing behind.
    let issued = options.nodes.iter().map(|node| issue(&authority, node)).collect::<anyhow::Result<Vec<_>>>()?;

    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    if is_new {
        node_certificate::write_secret(&dir.join(CA_KEY_FILE), &authority.key_pem())?;
        fs::write(dir.join(node_certificate::CA_FILE), authority.cert_pem())?;
        println!("cluster {}: authority {} made", authority.cluster(), authority.fingerprint_sha256());
    }
    for (node, certificate) in options.nodes.iter().zip(&issued) {
        let files = node_certificate::write(&dir.join(&node.name), authority.cert_pem(), certificate)?;
        println!("{}: {} ({})", node.name, files.certificate.display(), node.role);
    }
    Ok(())
}

fn issue(authority: &ClusterCa, node: &NodeRole) -> anyhow::Result<NodeCertificate> {
    let name = NodeName::new(node.name.as_str())?;
    let roles: Vec<&str> = node.role.split('+').collect();
    authority.issue(&name, &roles, &[]).with_context(|| format!("certifying {name}"))
}

/// A name given twice, or one that has a certificate already.
fn refuse_repetition(dir: &Path, nodes: &[NodeRole]) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for node in nodes {
        if !seen.insert(&node.name) {
            bail!("{} is named twice", node.name);
        }
        let home = dir.join(&node.name);
        for file in [node_certificate::CERTIFICATE_FILE, node_certificate::KEY_FILE] {
            if home.join(file).exists() {
                bail!("{} has a certificate already: {}", node.name, home.join(file).display());
            }
        }
    }
    Ok(())
}

/// The authority in `dir`; `None` when there is neither its certificate nor its key.
fn existing_authority(dir: &Path) -> anyhow::Result<Option<ClusterCa>> {
    let (certificate, key) = (dir.join(node_certificate::CA_FILE), dir.join(CA_KEY_FILE));
    match (certificate.exists(), key.exists()) {
        (true, true) => {
            let authority = ClusterCa::from_pem(&read_pem(&certificate)?, &read_pem(&key)?);
            Ok(Some(authority.with_context(|| format!("the authority in {}", dir.display()))?))
        }
        (false, false) => Ok(None),
        (true, false) => bail!("{} is there without its key {}", certificate.display(), key.display()),
        (false, true) => bail!("{} is there without its certificate {}", key.display(), certificate.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CertificateConfig;
    use std::os::unix::fs::PermissionsExt;

    fn options(dir: &Path, cluster: Option<&str>, nodes: &[&str]) -> CertsOptions {
        CertsOptions {
            dir: dir.to_owned(),
            cluster: cluster.map(str::to_owned),
            nodes: nodes.iter().map(|node| node.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn an_authority_is_made_once_and_certifies_later_nodes_too() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().join("certs");
        assert!(run(&options(&dir, None, &["namenode-1:namenode"])).is_err(), "a new authority needs a name");
        assert!(!dir.exists(), "a refused run leaves nothing");
        run(&options(&dir, Some("test"), &["namenode-1:namenode"])).unwrap();
        let authority = fs::read_to_string(dir.join("ca.pem")).unwrap();
        run(&options(&dir, None, &["datanode-1:datanode", "gateway-1:gateway"])).unwrap();
        assert!(run(&options(&dir, Some("other"), &["datanode-2:datanode"])).is_err());
        assert_eq!(fs::read_to_string(dir.join("ca.pem")).unwrap(), authority);

        for name in ["namenode-1", "datanode-1", "gateway-1"] {
            let home = dir.join(name);
            let files = CertificateConfig {
                ca: home.join("ca.pem"),
                certificate: home.join("node.pem"),
                key: home.join("node-key.pem"),
            };
            node_certificate::control_security(&files).unwrap();
        }
        for secret in ["ca-key.pem", "namenode-1/node-key.pem", "gateway-1/node-key.pem"] {
            let mode = fs::metadata(dir.join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path();
        run(&options(dir, Some("test"), &["a:namenode"])).unwrap();
        let key = fs::read_to_string(dir.join("a/node-key.pem")).unwrap();
        assert!(run(&options(dir, None, &["b:datanode", "a:namenode"])).is_err());
        assert!(!dir.join("b").exists(), "a refused run leaves nothing");
        assert!(run(&options(dir, None, &["c:datanode", "c:gateway"])).is_err());
        assert_eq!(fs::read_to_string(dir.join("a/node-key.pem")).unwrap(), key);

        fs::remove_file(dir.join("ca-key.pem")).unwrap();
        assert!(run(&options(dir, Some("test"), &["d:datanode"])).is_err(), "half an authority is not made whole");
        assert!(!dir.join("ca-key.pem").exists());
    }

    #[test]
    fn nodes_are_written_as_name_and_role() {
        let node: NodeRole = "datanode-7:datanode".parse().unwrap();
        assert_eq!((node.name.as_str(), node.role.as_str()), ("datanode-7", "datanode"));
        for bad in ["datanode-7", ":datanode", "a:", "a:king", "../a:gateway", "a/b:gateway", "-a:gateway"] {
            assert!(bad.parse::<NodeRole>().is_err(), "{bad}");
        }
    }
}
