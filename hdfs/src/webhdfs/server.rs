//! [`HttpServer`]: the http port of a role, in clear or under TLS, with bounds.
//!
//! What is served is a router of the caller's; it finds the [`Peer`] of a request among its extensions.

use crate::accept::accept;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The most that is read ahead of a body, and the most that is queued for writing.
const BUFFER_BYTES_MAX: usize = 256 << 10;

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it came under TLS.
    pub tls: bool,
}

impl Peer {
    /// Whether nobody else reads along: under TLS, or on this machine.
    pub fn is_private(&self) -> bool {
        self.tls || self.address.ip().to_canonical().is_loopback()
    }
}

/// The bounds of a server.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Connections at a time; further ones are closed at once.
    pub connections_max: usize,
    /// How long a request's head, and a TLS handshake, may take; and how long a connection may be idle.
    pub head_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { connections_max: 4096, head_timeout: Duration::from_secs(30) }
    }
}

/// A listening server.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    settings: HttpSettings,
    tls: Option<TlsAcceptor>,
}

impl HttpServer {
    /// Listens. Port 0 takes a free one; [`HttpServer::local_addr`] tells which.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(address: SocketAddr, settings: HttpSettings, tls: Option<TlsAcceptor>) -> io::Result<HttpServer> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(HttpServer { listener, address, settings, tls })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until it is told to stop; requests under way are answered.
    pub async fn run(self, router: Router, shutdown: CancellationToken) {
        let (tls, limit) = (self.tls, self.settings.head_timeout);
        accept(self.listener, self.settings.connections_max, "http", shutdown, |stream, address, stop| {
            serve(stream, address, router.clone(), tls.clone(), limit, stop)
        })
        .await;
    }
}

async fn serve(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    tls: Option<TlsAcceptor>,
    limit: Duration,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let Some(tls) = tls else {
        let peer = Peer { address, tls: false };
        return serve_http(stream, peer, router, limit, stop).await;
    };
    match tokio::time::timeout(limit, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve_http(stream, Peer { address, tls: true }, router, limit, stop).await,
        Ok(Err(error)) => tracing::debug!(peer = %address, %error, "TLS handshake"),
        Err(_elapsed) => tracing::debug!(peer = %address, "a TLS handshake took too long"),
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: Peer,
    router: Router,
    limit: Duration,
    stop: CancellationToken,
) {
    let service = TowerToHyperService::new(router.layer(axum::Extension(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit)
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %peer.address, %error, "connection ended");
    }
}
