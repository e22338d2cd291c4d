//! [`RpcServer`]: the listening socket, its bounds, and the protocols behind it.

use super::connection::serve;
use super::protocol::RpcProtocol;
use crate::accept::accept;
use crate::config::HdfsConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The bounds of a server.
#[derive(Clone, Debug)]
pub struct RpcSettings {
    /// Connections at a time; further ones are closed at once.
    pub connections_max: usize,
    /// Calls under way of one connection; it is not read from beyond them.
    pub calls_per_connection_max: usize,
    /// Calls under way of all connections.
    pub calls_max: usize,
    /// How long a connection may take to say who it is.
    pub handshake_timeout: Duration,
    /// How long a connection without calls may be silent.
    pub idle_timeout: Duration,
    /// How long an answer may wait for its client to read.
    pub write_timeout: Duration,
}

impl Default for RpcSettings {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            calls_per_connection_max: 128,
            calls_max: 4096,
            handshake_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(600),
            write_timeout: Duration::from_secs(60),
        }
    }
}

/// What every connection of a server shares.
pub(super) struct Shared {
    pub settings: RpcSettings,
    pub hdfs: Arc<HdfsConfig>,
    pub protocols: Vec<Arc<dyn RpcProtocol>>,
    pub calls: Arc<Semaphore>,
}

impl Shared {
    pub fn protocol(&self, name: &str) -> Option<&Arc<dyn RpcProtocol>> {
        self.protocols.iter().find(|protocol| protocol.name() == name)
    }
}

/// A listening server.
pub struct RpcServer {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl RpcServer {
    /// Listens. Port 0 takes a free one; [`RpcServer::local_addr`] tells which.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        settings: RpcSettings,
        hdfs: Arc<HdfsConfig>,
        protocols: Vec<Arc<dyn RpcProtocol>>,
    ) -> io::Result<RpcServer> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let calls = Arc::new(Semaphore::new(settings.calls_max));
        Ok(RpcServer { listener, address, shared: Arc::new(Shared { settings, hdfs, protocols, calls }) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop; then ends every connection.
    pub async fn run(self, shutdown: CancellationToken) {
        let connections_max = self.shared.settings.connections_max;
        accept(self.listener, connections_max, "Hadoop RPC", shutdown, |stream, peer, stop| {
            serve(stream, peer, self.shared.clone(), stop)
        })
        .await;
    }
}
