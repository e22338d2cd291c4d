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

#[cfg(test)]
mod tests {
    use std::time::Duration as StdDuration;

    use bytes::Bytes;
    use futures_util::future::BoxFuture;
    use time::{Duration, OffsetDateTime};
    use tokio_util::sync::CancellationToken;

    use super::super::authority::{ClusterCa, Validity};
    use super::*;
    use crate::identity::{ClusterName, NodeName, PeerIdentity};
    use crate::{DuplexStream, RpcClient, RpcError, RpcHandler, RpcServer, Security};

    struct Echo;

    impl RpcHandler for Echo {
        fn call<'a>(&'a self, _: &'a PeerIdentity, _: u16, body: Bytes) -> BoxFuture<'a, Result<Bytes, Bytes>> {
            Box::pin(async { Ok(body) })
        }

        fn stream<'a>(&'a self, _: &'a PeerIdentity, _: u16, _: Bytes, _: DuplexStream) -> BoxFuture<'a, ()> {
            Box::pin(async {})
        }
    }

    fn node(ca: &ClusterCa, from_days: i64, to_days: i64) -> Security {
        let now = OffsetDateTime::now_utc();
        let validity =
            Validity { not_before: now + Duration::days(from_days), not_after: now + Duration::days(to_days) };
        let certificate = ca.issue_for(&NodeName::new("n").unwrap(), &[], &[], validity).unwrap();
        Security::MutualTls(Arc::new(TlsMaterial::from_pem(ca.cert_pem(), &certificate).unwrap()))
    }

    async fn call(server: Security, client: Security) -> Result<Bytes, RpcError> {
        let server = RpcServer::bind("127.0.0.1:0".parse().unwrap(), server, Arc::new(Echo)).await.unwrap();
        let client = RpcClient::new(server.local_addr().unwrap().to_string(), client);
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(server.run(shutdown.clone()));
        let answer = client.call(1, Bytes::from_static(b"x"), StdDuration::from_secs(20)).await;
        shutdown.cancel();
        serving.await.unwrap();
        answer
    }

    #[tokio::test]
    async fn certificates_count_only_while_they_are_valid() {
        let ca = ClusterCa::generate(&ClusterName::new("test").unwrap()).unwrap();
        assert!(call(node(&ca, -1, 1), node(&ca, -1, 1)).await.is_ok());
        for invalid in [(-10, -1), (1, 10)] {
            let (client, server) = (node(&ca, invalid.0, invalid.1), node(&ca, -1, 1));
            let error = call(server.clone(), client.clone()).await.unwrap_err();
            assert!(matches!(error, RpcError::HandshakeRefused { .. }), "by the server: {error:?}");
            let error = call(client, server).await.unwrap_err();
            assert!(matches!(error, RpcError::HandshakeRefused { .. }), "by the client: {error:?}");
        }
    }

    #[test]
    fn a_key_of_somebody_else_is_no_material() {
        let ca = ClusterCa::generate(&ClusterName::new("test").unwrap()).unwrap();
        let (a, b) = (NodeName::new("a").unwrap(), NodeName::new("b").unwrap());
        let mut certificate = ca.issue(&a, &[], &[]).unwrap();
        certificate.key_pem = ca.issue(&b, &[], &[]).unwrap().key_pem;
        assert!(matches!(TlsMaterial::from_pem(ca.cert_pem(), &certificate), Err(TlsError::Rustls(_))));
    }
}
