//! A small HTTP client for the admin commands: one request, one connection, signed as S3 requests are.

use crate::args::Connection;
use crate::credentials::{ACCESS_KEY_VARIABLE, RootCredentials, SECRET_KEY_VARIABLE};
use anyhow::{Context, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The longest answer read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a request may take; verifying the blocks of a large object reads all of it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);

/// What a gateway answered instead of doing it.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the gateway answered {}: {}", self.status, self.text)
    }
}

impl std::error::Error for Refusal {}

/// What requests are signed with.
#[derive(Clone)]
pub struct SigningKey {
    pub access_key: String,
    pub secret_key: String,
    /// Of keys that were given for a while (STS).
    pub session_token: Option<String>,
}

impl From<&RootCredentials> for SigningKey {
    fn from(root: &RootCredentials) -> Self {
        let RootCredentials { access_key, secret_key } = root.clone();
        SigningKey { access_key, secret_key, session_token: None }
    }
}

/// A request to a gateway.
pub struct AdminClient {
    endpoint: Uri,
    ca_file: Option<std::path::PathBuf>,
    region: String,
}

impl AdminClient {
    /// A client of the gateway at `connection.endpoint`.
    pub fn new(connection: &Connection) -> anyhow::Result<AdminClient> {
        let endpoint: Uri =
            connection.endpoint.parse().with_context(|| format!("{:?} is not a URL", connection.endpoint))?;
        if !matches!(endpoint.scheme_str(), Some("http" | "https")) || endpoint.host().is_none() {
            bail!("the endpoint must look like http://host:port or https://host:port, not {:?}", connection.endpoint);
        }
        Ok(AdminClient { endpoint, ca_file: connection.ca_file.clone(), region: connection.region.clone() })
    }

    /// Whether the same request may succeed later: the gateway did not refuse it for good.
    pub fn may_pass(error: &anyhow::Error) -> bool {
        error.downcast_ref::<Refusal>().is_none_or(|refusal| refusal.status.is_server_error())
    }

    /// Sends a request signed with the root key of the environment; returns the answer's body.
    pub async fn signed(&self, method: Method, path_and_query: &str, body: Bytes) -> anyhow::Result<Bytes> {
        let credentials = RootCredentials::from_environment()?
            .with_context(|| format!("set {ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE} to the root key"))?;
        self.signed_by(&(&credentials).into(), method, path_and_query, body).await
    }

    /// Sends a request signed with `key`.
    pub async fn signed_by(
        &self,
        key: &SigningKey,
        method: Method,
        path_and_query: &str,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let mut request = self.request(method, path_and_query, body.clone())?;
        self.sign(&mut request, &body, key)?;
        self.send(request).await
    }

    /// Sends a request that carries its own proof.
    pub async fn unsigned(&self, method: Method, path_and_query: &str, body: Bytes) -> anyhow::Result<Bytes> {
        self.send(self.request(method, path_and_query, body)?).await
    }

    fn authority(&self) -> &str {
        self.endpoint.authority().expect("checked when the client was made").as_str()
    }

    fn request(&self, method: Method, path_and_query: &str, body: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
        Ok(Request::builder()
            .method(method)
            .uri(path_and_query)
            .header("host", self.authority())
            .header("content-type", "application/json")
            .header("content-length", body.len())
            .body(Full::new(body))?)
    }

    fn sign(&self, request: &mut Request<Full<Bytes>>, body: &[u8], key: &SigningKey) -> anyhow::Result<()> {
        let SigningKey { access_key, secret_key, session_token } = key;
        let identity = Credentials::new(access_key, secret_key, session_token.clone(), None, "granary").into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = aws_sigv4::http_request::PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()?
            .into();
        let url = format!("{}://{}{}", self.endpoint.scheme_str().unwrap_or("http"), self.authority(), request.uri());
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let signable = SignableRequest::new(request.method().as_str(), url, headers, SignableBody::Bytes(body))?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Bytes> {
        let answered = tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(request));
        answered.await.with_context(|| format!("{} did not answer in time", self.endpoint))?
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Bytes> {
        let host = self.endpoint.host().expect("checked when the client was made").trim_matches(['[', ']']);
        let tls = self.endpoint.scheme_str() == Some("https");
        let port = self.endpoint.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let stream = TcpStream::connect((host, port))
            .await
            .with_context(|| format!("no gateway answers at {}", self.endpoint))?;
        if tls {
            let connector = tokio_rustls::TlsConnector::from(Arc::new(client_tls(self.ca_file.as_deref())?));
            let name = ServerName::try_from(host.to_owned())?;
            exchange_over(connector.connect(name, stream).await?, request).await
        } else {
            exchange_over(stream, request).await
        }
    }
}

async fn exchange_over(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<Bytes> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!(error))?
        .to_bytes();
    drop(sender);
    driver.abort();
    if !status.is_success() {
        return Err(Refusal { status, text: readable(&body) }.into());
    }
    Ok(body)
}

/// The code and message of an S3 error, or the body as it is.
fn readable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(value, _)| value.to_owned())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => text.trim().to_owned(),
    }
}

/// Trusts the given authority and no other.
fn client_tls(ca_file: Option<&Path>) -> anyhow::Result<rustls::ClientConfig> {
    let Some(path) = ca_file else {
        bail!("an https endpoint needs --ca-file with the authority that signed its certificate")
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).with_context(|| format!("reading {}", path.display()))? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
