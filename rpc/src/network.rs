//! What carries connections where that is not TCP: a network of the process's own, as a simulation has.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A network as one of its hosts sees it.
pub trait Network: Debug + Send + Sync {
    /// Connects to `addr` (host:port).
    fn connect<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Carrier>>;

    /// Listens at `addr` of this host.
    ///
    /// # Errors
    /// The network's, when the address cannot be had.
    fn listen(&self, addr: SocketAddr) -> io::Result<Box<dyn NetworkListener>>;
}

/// Where connections of others arrive.
pub trait NetworkListener: Send + Sync {
    /// The next one.
    fn accept(&self) -> BoxFuture<'_, io::Result<Carrier>>;

    /// Where it listens.
    fn local_addr(&self) -> SocketAddr;
}

/// A connection: bytes in both directions, in order. Dropping both halves ends it.
pub struct Carrier {
    /// From the other side.
    pub reader: Box<dyn AsyncRead + Send + Sync + Unpin>,
    /// To the other side.
    pub writer: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    /// The other side.
    pub peer: SocketAddr,
}
