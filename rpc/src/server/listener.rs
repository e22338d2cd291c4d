//! [`RpcServer`]: accepts connections, bounds them, and ends them in order at shutdown.
//!
//! Every connection is a task in one set that [`RpcServer::run`] owns: when `run` returns, nothing is left running; when
//! its future is dropped, everything is aborted.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::handler::RpcHandler;
use super::{calls, streams};
use crate::hello::Purpose;
use crate::network::NetworkListener;
use crate::transport::{Accepted, Security, accept};

/// Bounds of a server.
#[derive(Clone, Debug)]
pub struct RpcServerConfig {
    /// Connections at one time, those still in their handshake included; further ones are closed. Default 4,096.
    pub connections_max: usize,
    /// Calls in work per connection; further ones are answered `Busy`. Default 1,024.
    pub calls_in_flight_max: usize,
    /// Bytes of the requests of those calls, per connection. Default 128 MiB.
    pub call_bytes_in_flight_max: usize,
    /// For TLS and hello together. Default 10 s.
    pub handshake_timeout: Duration,
    /// A connection on which nothing arrives for this long is closed. Clients ping theirs. Default 60 s.
    pub idle_timeout: Duration,
    /// How long calls and streams may go on after shutdown was asked for. Default 5 s.
    pub drain_timeout: Duration,
}

impl Default for RpcServerConfig {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            calls_in_flight_max: 1024,
            call_bytes_in_flight_max: 128 * 1024 * 1024,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// What every connection of a server shares.
pub(super) struct Service {
    pub(super) handler: Arc<dyn RpcHandler>,
    pub(super) config: RpcServerConfig,
    pub(super) shutdown: CancellationToken,
    security: Security,
}

/// Where connections arrive.
enum Listening {
    Tcp(TcpListener),
    Carried(Box<dyn NetworkListener>),
}

impl Listening {
    async fn accept(&self) -> io::Result<(Accepted, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(tcp, addr)| (Accepted::Tcp(tcp), addr)),
            Self::Carried(listener) => {
                let carrier = listener.accept().await?;
                let addr = carrier.peer;
                Ok((Accepted::Carried(carrier), addr))
            }
        }
    }
}

/// A bound listener, not yet accepting.
pub struct RpcServer {
    listener: Listening,
    security: Security,
    handler: Arc<dyn RpcHandler>,
    config: RpcServerConfig,
}

impl RpcServer {
    /// Binds `addr`; port 0 picks a free one. Connections wait in the backlog until [`run`](Self::run).
    ///
    /// # Errors
    /// The system's, when the address cannot be bound.
    pub async fn bind(addr: SocketAddr, security: Security, handler: Arc<dyn RpcHandler>) -> io::Result<Self> {
        let listener = match &security {
            Security::Carried(network) => Listening::Carried(network.listen(addr)?),
            _ => Listening::Tcp(TcpListener::bind(addr).await?),
        };
        Ok(Self { listener, security, handler, config: RpcServerConfig::default() })
    }

    /// Replaces the default bounds.
    #[must_use]
    pub fn with_config(mut self, config: RpcServerConfig) -> Self {
        self.config = config;
        self
    }

    /// Where it listens, with the port that was picked.
    ///
    /// # Errors
    /// The system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.listener {
            Listening::Tcp(listener) => listener.local_addr(),
            Listening::Carried(listener) => Ok(listener.local_addr()),
        }
    }

    /// Serves until `shutdown` is cancelled; then accepts nothing more, answers new calls `ShuttingDown`, lets work in
    /// hand go on for the drain timeout, and returns when the last connection is closed.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { listener, security, handler, config } = self;
        let service = Arc::new(Service { handler, config, shutdown: shutdown.clone(), security });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((accepted, addr)) if connections.len() < service.config.connections_max => {
                        connections.spawn(serve(accepted, addr, service.clone()));
                    }
                    Ok((_, addr)) => {
                        tracing::warn!(%addr, connections_max = service.config.connections_max, "connection refused: too many");
                    }
                    Err(error) => {
                        // Out of descriptors, most likely: accepting again at once would spin.
                        tracing::warn!(%error, "accept failed");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.join_next() => log_panic(ended),
                () = shutdown.cancelled() => break,
            }
        }
        drop(listener);
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection task panicked");
    }
}

async fn serve(accepted: Accepted, addr: SocketAddr, service: Arc<Service>) {
    let accepted = tokio::select! {
        accepted = timeout(service.config.handshake_timeout, accept(accepted, &service.security)) => accepted,
        () = service.shutdown.cancelled() => return,
    };
    match accepted {
        Ok(Ok((connection, Purpose::Calls))) => calls::serve(connection, service).await,
        Ok(Ok((connection, Purpose::Streams))) => streams::serve(connection, service).await,
        Ok(Err(reason)) => tracing::info!(%addr, reason, "connection refused"),
        Err(_) => tracing::info!(%addr, "connection refused: handshake too slow"),
    }
}
