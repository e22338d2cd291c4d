//! `granary enrol`: a new node makes its key, and gets a certificate against a join token.
//!
//! The token names the authority's fingerprint, so that nobody between the node and the gateway can hand it another one.

use crate::args::{Connection, EnrolOptions};
use crate::config::CertificateConfig;
use crate::http_client::AdminClient;
use crate::node_certificate;
use anyhow::{Context, bail};
use granary_protocol::admin::{EnrolAnswer, EnrolQuestion};
use granary_rpc::{CaFingerprint, NodeCertificate, NodeKey, NodeName};
use hyper::Method;
use std::path::Path;

/// The beginning of every join token of this form.
const TOKEN_PREFIX: &str = "granary1";

/// Runs the command.
pub async fn run(options: EnrolOptions) -> anyhow::Result<()> {
    let connection =
        Connection { endpoint: options.endpoint, ca_file: options.ca_file, region: "us-east-1".to_owned() };
    let files = enrol(&connection, &options.token, &options.name, &options.role, &options.dir).await?;
    println!("{} is enrolled. In its configuration file:", options.name);
    println!("[tls]\nca = {:?}\ncertificate = {:?}\nkey = {:?}", files.ca, files.certificate, files.key);
    Ok(())
}

/// Spends a token on a certificate, and writes that into `dir`.
pub(crate) async fn enrol(
    connection: &Connection,
    token: &str,
    name: &str,
    role: &str,
    dir: &Path,
) -> anyhow::Result<CertificateConfig> {
    let expected = fingerprint_of_token(token)?;
    let key = NodeKey::generate_csr(&NodeName::new(name)?, &[])?;
    let question = EnrolQuestion {
        secret: token.to_owned(),
        name: name.to_owned(),
        role: role.to_owned(),
        csr_pem: key.csr_pem.clone(),
    };
    let body = serde_json::to_vec(&question)?;
    let answer = AdminClient::new(connection)?.unsigned(Method::POST, "/-/granary/v1/enrol", body.into()).await?;
    let answer: EnrolAnswer = serde_json::from_slice(&answer).context("the gateway's answer is not understood")?;
    if CaFingerprint::of_pem(&answer.ca_pem)? != expected {
        bail!("the answer comes from another cluster than the token: its authority has another fingerprint");
    }
    let node = NodeCertificate { cert_pem: answer.certificate_pem, key_pem: key.key_pem };
    node_certificate::write(dir, &answer.ca_pem, &node)
}

fn fingerprint_of_token(token: &str) -> anyhow::Result<CaFingerprint> {
    let mut parts = token.trim().split('.');
    let (prefix, fingerprint) = (parts.next(), parts.next());
    match (prefix, fingerprint) {
        (Some(TOKEN_PREFIX), Some(fingerprint)) => fingerprint.parse().context("the join token is damaged"),
        _ => bail!("that is not a join token; make one with `granary admin join-token`"),
    }
}
