//! TLS settings built once from a node's certificate and the cluster CA, for both ends of every connection.
//!
//! TLS 1.3 only. A server demands a certificate of the cluster CA; a client demands one too, under the fixed name
//! [`NODE_DNS_NAME`]. Sessions are never resumed: connections live long, and each new one must prove a certificate that
//! is valid now. Certificates are read at start; a new one is taken up by restarting.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::authority::{NODE_DNS_NAME, NodeCertificate, certificate_from_pem};
use crate::error::TlsError;
use crate::identity::NodeIdentity;

/// What a process needs to take part in mutual TLS: its own certificate and key, and the CA it trusts.
pub struct TlsMaterial {
    identity: NodeIdentity,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl TlsMaterial {
    /// Builds the settings. `ca_cert_pem` is the one trusted root.
    ///
    /// # Errors
    /// [`TlsError::Unreadable`], [`TlsError::NotANodeCertificate`], [`TlsError::Rustls`] when key and certificate do not
    /// belong together. That the CA issued the certificate is found out by the first handshake.
    pub fn from_pem(ca_cert_pem: &str, node: &NodeCertificate) -> Result<Self, TlsError> {
        let provider = provider();
        let mut roots = RootCertStore::empty();
        roots.add(certificate_from_pem(ca_cert_pem, "CA certificate")?)?;
        let roots = Arc::new(roots);
        let certificate = certificate_from_pem(&node.cert_pem, "node certificate")?;
        let identity = NodeIdentity::from_certificate(&certificate)?;
        let key = PrivateKeyDer::from_pem_slice(node.key_pem.as_bytes())
            .map_err(|_| TlsError::Unreadable { what: "node private key" })?;
        let server = server_config(&provider, &roots, certificate.clone(), key.clone_key())?;
        let client = client_config(&provider, &roots, certificate, key)?;
        Ok(Self { identity, server: Arc::new(server), client: Arc::new(client) })
    }

    /// Who this process is to its peers.
    pub fn identity(&self) -> &NodeIdentity {
        &self.identity
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    pub(crate) fn server_name() -> ServerName<'static> {
        ServerName::try_from(NODE_DNS_NAME).expect("the constant is a legal DNS name")
    }
}

impl fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsMaterial").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// ring, with AES-128-GCM first: block data is bulk, and the shorter key costs a quarter less CPU.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = default_provider();
    provider.cipher_suites = vec![
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(provider)
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|_| TlsError::NotAClusterCa { reason: "it cannot be a trust anchor" })?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots.clone())
        .with_client_auth_cert(vec![certificate], key)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}
