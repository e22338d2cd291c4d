//! Posting a message to a webhook: one connection a message, to an address that was judged, with a deadline for all of it.
//!
//! No redirect is followed: it could lead anywhere. The answer's body is not read.

use super::address::is_public;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

/// How long a delivery may take, from the name's resolution to the answer's head.
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Receivers tell a message that comes twice by this.
const EVENT_ID: &str = "x-granary-event-id";

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error("the URL has no host")]
    NoHost,
    #[error("the name cannot be resolved: {0}")]
    Resolve(io::Error),
    #[error("every address of the target is private, and private targets are not allowed")]
    PrivateAddress,
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("the host is no name a certificate could be for: {0}")]
    ServerName(#[from] InvalidDnsNameError),
    #[error("http: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be written: {0}")]
    Request(#[from] http::Error),
    #[error("no answer in time")]
    Timeout,
    #[error("the target answered {0}")]
    Refused(StatusCode),
}

/// Sends messages.
#[derive(Clone)]
pub(super) struct Webhook {
    allow_private: bool,
    tls: TlsConnector,
}

impl Webhook {
    /// Certificates are verified against the authorities the web's browsers trust.
    pub(super) fn new(allow_private: bool) -> Self {
        let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows the default protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { allow_private, tls: TlsConnector::from(Arc::new(config)) }
    }

    /// Posts a message; a 2xx answer is a delivery.
    pub(super) async fn post(&self, url: &Uri, event_id: u64, body: Bytes) -> Result<(), WebhookError> {
        let exchange = self.exchange(url, event_id, body);
        let status = tokio::time::timeout(DELIVERY_TIMEOUT, exchange).await.map_err(|_| WebhookError::Timeout)??;
        if status.is_success() { Ok(()) } else { Err(WebhookError::Refused(status)) }
    }

    async fn exchange(&self, url: &Uri, event_id: u64, body: Bytes) -> Result<StatusCode, WebhookError> {
        let authority = url.authority().ok_or(WebhookError::NoHost)?;
        let host = authority.host().trim_matches(['[', ']']);
        let is_tls = url.scheme_str() == Some("https");
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = self.resolve(host, port).await?;
        let socket = TcpStream::connect(address).await.map_err(WebhookError::Connect)?;
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, authority.as_str())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, HeaderValue::from_static(concat!("Granary/", env!("CARGO_PKG_VERSION"))))
            .header(EVENT_ID, event_id)
            .body(Full::new(body))?;
        if !is_tls {
            return send(socket, request).await;
        }
        let name = ServerName::try_from(host.to_owned())?;
        send(self.tls.connect(name, socket).await.map_err(WebhookError::Connect)?, request).await
    }

    /// An address of the host that may be used. The connection goes to it and nowhere else: asking for the name again
    /// could give another one.
    async fn resolve(&self, host: &str, port: u16) -> Result<SocketAddr, WebhookError> {
        let addresses = lookup_host((host, port)).await.map_err(WebhookError::Resolve)?;
        let mut allowed = addresses.filter(|address| self.allow_private || is_public(address.ip()));
        allowed.next().ok_or(WebhookError::PrivateAddress)
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, WebhookError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = sender.send_request(request);
    tokio::pin!(exchange, connection);
    // Whichever ends first, dropping the connection afterwards is its end.
    let answer = tokio::select! {
        biased;
        answer = &mut exchange => answer?,
        ended = &mut connection => {
            ended?;
            exchange.await?
        }
    };
    Ok(answer.status())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn answered_with(answer: &'static str, allow_private: bool) -> (Result<(), WebhookError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Uri = format!("http://{}/hook?a=b", listener.local_addr().unwrap()).parse().unwrap();
        let receiver = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"{}") {
                if socket.read_buf(&mut received).await.unwrap() == 0 {
                    break;
                }
            }
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(received).unwrap()
        });
        let outcome = Webhook::new(allow_private).post(&url, 7, Bytes::from_static(b"{}")).await;
        let received = if allow_private { receiver.await.unwrap() } else { String::new() };
        (outcome, received)
    }

    #[tokio::test]
    async fn a_success_is_a_delivery_and_nothing_else_is() {
        let (outcome, received) = answered_with("HTTP/1.1 204 No Content\r\n\r\n", true).await;
        outcome.unwrap();
        assert!(received.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{received}");
        assert!(received.contains("x-granary-event-id: 7\r\n"), "{received}");
        for answer in [
            "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 307 There\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
        ] {
            let (outcome, _) = answered_with(answer, true).await;
            assert!(matches!(outcome, Err(WebhookError::Refused(_))), "{outcome:?}");
        }
        let (outcome, _) = answered_with("nonsense\r\n\r\n", true).await;
        assert!(matches!(outcome, Err(WebhookError::Http(_))), "{outcome:?}");
    }

    #[tokio::test]
    async fn private_addresses_are_not_connected_to() {
        let (outcome, _) = answered_with("", false).await;
        assert!(matches!(outcome, Err(WebhookError::PrivateAddress)), "{outcome:?}");
        for url in ["http://localhost:1/", "http://[::1]:1/", "http://[::ffff:10.0.0.1]/"] {
            let outcome = Webhook::new(false).post(&url.parse().unwrap(), 1, Bytes::new()).await;
            assert!(matches!(outcome, Err(WebhookError::PrivateAddress)), "{url}: {outcome:?}");
        }
    }
}
