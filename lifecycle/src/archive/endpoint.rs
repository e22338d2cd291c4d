//! One HTTP exchange with an S3 endpoint: a connection to an address that was judged, a signed request, a bounded answer, a
//! deadline for all of it.
//!
//! No redirect is followed: it could lead anywhere. An administrator names the endpoint, so private addresses and loopback
//! are as good as others: an archive often stands next door. Link-local addresses, where clouds keep their metadata
//! services, are refused whoever names them.

use super::error::ArchiveError;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an exchange may take: a part at 100 KB/s.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(100);

/// An endpoint, and who asks there.
pub(super) struct Endpoint {
    authority: String,
    host: String,
    port: u16,
    is_tls: bool,
    tls: TlsConnector,
    region: String,
    credentials: Credentials,
}

/// What was answered.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Checks that an endpoint is the URL of a host and nothing else.
///
/// # Errors
/// `NotAnEndpoint`.
pub fn check_endpoint(url: &str) -> Result<(), ArchiveError> {
    parse_endpoint(url).map(drop)
}

fn parse_endpoint(url: &str) -> Result<Uri, ArchiveError> {
    let refused = || ArchiveError::NotAnEndpoint(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| refused())?;
    let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_bare = uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    let authority = uri.authority().ok_or_else(refused)?;
    if !is_web || !is_bare || authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(refused());
    }
    Ok(uri)
}

impl Endpoint {
    /// # Errors
    /// `NotAnEndpoint`, `Authorities`.
    pub fn new(url: &str, region: &str, ca_pem: &str, credentials: Credentials) -> Result<Self, ArchiveError> {
        let uri = parse_endpoint(url)?;
        let authority = uri.authority().expect("checked when it was parsed");
        let is_tls = uri.scheme_str() == Some("https");
        Ok(Self {
            authority: authority.as_str().to_owned(),
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            is_tls,
            tls: TlsConnector::from(Arc::new(trusting(ca_pem)?)),
            region: region.to_owned(),
            credentials,
        })
    }

    /// Sends one request; `target` is path and query as they go on the wire. Answers of more than `answer_bytes_max` bytes
    /// are refused.
    ///
    /// # Errors
    /// Whatever kept an answer from coming. A refusal is an answer.
    pub async fn exchange(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, String)],
        body: Bytes,
        answer_bytes_max: usize,
    ) -> Result<Answer, ArchiveError> {
        let request = self.request(method, target, headers, body)?;
        let exchange = async {
            let stream = self.connect().await?;
            if !self.is_tls {
                return send(stream, request, answer_bytes_max).await;
            }
            let name = ServerName::try_from(self.host.clone())?;
            let shaken = tokio::time::timeout(CONNECT_TIMEOUT, self.tls.connect(name, stream)).await;
            let stream = shaken.map_err(|_| ArchiveError::Timeout)?.map_err(ArchiveError::Connect)?;
            send(stream, request, answer_bytes_max).await
        };
        tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await.map_err(|_| ArchiveError::Timeout)?
    }

    fn request(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ArchiveError> {
        let mut builder = Request::builder().method(method).uri(target).header(HOST, &self.authority);
        for (name, value) in headers {
            builder = builder.header(*name, value);
        }
        let mut request = builder.body(Full::new(body.clone()))?;
        self.sign(&mut request, &body)?;
        let own = HeaderValue::from_static(concat!("Granary/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(USER_AGENT, own);
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Ok(request)
    }

    fn sign(&self, request: &mut Request<Full<Bytes>>, body: &[u8]) -> Result<(), ArchiveError> {
        let failed = |error: &dyn std::fmt::Display| ArchiveError::Signing(error.to_string());
        let identity = self.credentials.clone().into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let scheme = if self.is_tls { "https" } else { "http" };
        let url = format!("{scheme}://{}{}", self.authority, request.uri());
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let signable = SignableRequest::new(request.method().as_str(), url, headers, SignableBody::Bytes(body))
            .map_err(|error| failed(&error))?;
        let (instructions, _) = sign(signable, &parameters).map_err(|error| failed(&error))?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }

    /// A connection to an address of the host that may be used. Asking for the name again could give another one.
    async fn connect(&self) -> Result<TcpStream, ArchiveError> {
        let found = lookup_host((self.host.as_str(), self.port)).await.map_err(ArchiveError::Resolve)?;
        let allowed: Vec<SocketAddr> = found.filter(|address| may_be_connected_to(address.ip())).collect();
        if allowed.is_empty() {
            return Err(ArchiveError::ForbiddenAddress);
        }
        let connecting = TcpStream::connect(allowed.as_slice());
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.map_err(|_| ArchiveError::Timeout)?;
        let stream = connected.map_err(ArchiveError::Connect)?;
        stream.set_nodelay(true).map_err(ArchiveError::Connect)?;
        Ok(stream)
    }
}

/// Neither link-local nor multicast nor unspecified, and none of these inside an IPv6 address.
fn may_be_connected_to(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            !(address.is_link_local() || address.is_multicast() || address.is_broadcast() || address.octets()[0] == 0)
        }
        IpAddr::V6(address) if address.is_loopback() => true,
        IpAddr::V6(address) => match address.to_ipv4() {
            Some(inner) => may_be_connected_to(IpAddr::V4(inner)),
            // fd00:ec2::254 is a cloud's metadata service in a range that is otherwise anybody's own.
            None => {
                let [first, second, ..] = address.segments();
                !(address.is_unicast_link_local() || address.is_multicast() || (first, second) == (0xfd00, 0x0ec2))
            }
        },
    }
}

/// Trusts the authorities of `ca_pem`, or those of the public web if there are none.
fn trusting(ca_pem: &str) -> Result<rustls::ClientConfig, ArchiveError> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate.map_err(|_| ArchiveError::Authorities)?).map_err(|_| ArchiveError::Authorities)?;
    }
    match (ca_pem.is_empty(), roots.is_empty()) {
        (true, _) => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        (false, true) => return Err(ArchiveError::Authorities),
        (false, false) => {}
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth())
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
    answer_bytes_max: usize,
) -> Result<Answer, ArchiveError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, answer_bytes_max).collect().await.map_err(|error| {
            match error.downcast::<hyper::Error>() {
                Ok(error) => ArchiveError::Http(*error),
                Err(other) if other.is::<LengthLimitError>() => ArchiveError::Length("a request"),
                Err(_) => ArchiveError::Answer("a request"),
            }
        })?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    };
    tokio::pin!(exchange, connection);
    // Whichever ends first, dropping the connection afterwards is its end.
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = &mut connection => {
            ended?;
            exchange.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_the_url_of_a_host() {
        for good in [
            "http://127.0.0.1:9000",
            "https://s3.eu-central-1.amazonaws.com",
            "https://cold.example/",
            "http://[::1]:1",
        ] {
            check_endpoint(good).unwrap();
        }
        for bad in [
            "",
            "cold.example",
            "ftp://cold.example",
            "http://",
            "http://a@b",
            "https://cold.example/path",
            "http://h?x=y",
        ] {
            assert!(check_endpoint(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn metadata_services_are_not_connected_to() {
        for refused in [
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "ff02::1",
            "::",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
        ] {
            assert!(!may_be_connected_to(refused.parse().unwrap()), "{refused}");
        }
        for good in
            ["127.0.0.1", "10.0.0.1", "192.168.1.1", "52.219.1.1", "::1", "fd12::1", "2600::1", "::ffff:10.0.0.1"]
        {
            assert!(may_be_connected_to(good.parse().unwrap()), "{good}");
        }
    }

    #[test]
    fn authorities_are_certificates() {
        assert!(trusting("").is_ok());
        assert!(matches!(trusting("nonsense"), Err(ArchiveError::Authorities)));
    }
}
