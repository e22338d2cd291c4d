//! Byte connections: TCP with or without TLS, after the hello, split into two halves that may be used at once.
//!
//! Nagle's algorithm is off on every socket: small frames leave at once, and large ones are written whole.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::error::RpcError;
use crate::frame::{CALL_BODY_BYTES_MAX, FrameReader, FrameWriter, PREFIX_BYTES_MAX, STREAM_PACKET_BYTES_MAX};
use crate::hello::{self, HelloError, Purpose, WIRE_VERSION};
use crate::identity::{NodeIdentity, PeerIdentity};
use crate::network::{Carrier, Network};
use crate::tls::TlsMaterial;

/// How connections are protected; the same on every node of a cluster.
#[derive(Clone, Debug)]
pub enum Security {
    /// TLS 1.3 with certificates of the cluster CA on both sides.
    MutualTls(Arc<TlsMaterial>),
    /// Nothing: whoever reaches the port is a peer, and bytes are readable on the way. For a trusted network, by choice.
    Plaintext,
    /// Nothing, and no sockets either: the network given carries the connections. For simulations.
    Carried(Arc<dyn Network>),
}

pub(crate) enum ReadIo {
    Tcp(OwnedReadHalf),
    Tls(ReadHalf<TlsStream<TcpStream>>),
    Carried(Box<dyn AsyncRead + Send + Sync + Unpin>),
}

pub(crate) enum WriteIo {
    Tcp(OwnedWriteHalf),
    Tls(WriteHalf<TlsStream<TcpStream>>),
    Carried(Box<dyn AsyncWrite + Send + Sync + Unpin>),
}

/// A connection of somebody else, before TLS and hello.
pub(crate) enum Accepted {
    Tcp(TcpStream),
    Carried(Carrier),
}

/// A connection both sides have agreed on.
pub(crate) struct Connection {
    pub(crate) reader: FrameReader<ReadIo>,
    pub(crate) writer: FrameWriter<WriteIo>,
    pub(crate) peer: Arc<PeerIdentity>,
}

impl Connection {
    fn new(reader: ReadIo, writer: WriteIo, peer: PeerIdentity, purpose: Purpose) -> Self {
        let body_bytes_max = match purpose {
            Purpose::Calls => CALL_BODY_BYTES_MAX,
            Purpose::Streams => STREAM_PACKET_BYTES_MAX,
        };
        Self {
            reader: FrameReader::new(reader, body_bytes_max + PREFIX_BYTES_MAX),
            writer: FrameWriter::new(writer),
            peer: Arc::new(peer),
        }
    }
}

/// Connects to `addr` (host:port, resolved now). Dropping the future abandons the attempt; the caller bounds its time.
pub(crate) async fn connect(addr: &Arc<str>, security: &Security, purpose: Purpose) -> Result<Connection, RpcError> {
    let failed = |source: io::Error| RpcError::ConnectFailed { addr: addr.clone(), source: Arc::new(source) };
    let (mut reader, mut writer, peer) = match security {
        Security::Carried(network) => carried(network.connect(addr).await.map_err(failed)?),
        Security::Plaintext => plain(TcpStream::connect(&**addr).await.map_err(failed)?).map_err(failed)?,
        Security::MutualTls(material) => {
            let tcp = TcpStream::connect(&**addr).await.map_err(failed)?;
            tcp.set_nodelay(true).map_err(failed)?;
            let connector = TlsConnector::from(material.client());
            let tls = connector.connect(TlsMaterial::server_name(), tcp).await.map_err(|error| refused(addr, error))?;
            encrypted(tls.into()).map_err(|error| refused(addr, error))?
        }
    };
    hello::greet(&mut reader, &mut writer, purpose).await.map_err(|error| match error {
        HelloError::Version { theirs } => {
            RpcError::WireVersionMismatch { addr: addr.clone(), ours: WIRE_VERSION, theirs }
        }
        HelloError::Messages { theirs } => RpcError::MessagesVersionMismatch { addr: addr.clone(), theirs },
        other => RpcError::HandshakeRefused { addr: addr.clone(), reason: other.to_string() },
    })?;
    Ok(Connection::new(reader, writer, peer, purpose))
}

/// Takes an accepted socket through TLS and hello. The caller bounds its time.
///
/// # Errors
/// The text for the log: there is nobody else to tell.
pub(crate) async fn accept(accepted: Accepted, security: &Security) -> Result<(Connection, Purpose), String> {
    let (mut reader, mut writer, peer) = match (accepted, security) {
        (Accepted::Carried(carrier), _) => carried(carrier),
        (Accepted::Tcp(tcp), Security::Plaintext | Security::Carried(_)) => {
            plain(tcp).map_err(|error| error.to_string())?
        }
        (Accepted::Tcp(tcp), Security::MutualTls(material)) => {
            tcp.set_nodelay(true).map_err(|error| error.to_string())?;
            let acceptor = TlsAcceptor::from(material.server());
            let tls = acceptor.accept(tcp).await.map_err(|error| error.to_string())?;
            encrypted(tls.into()).map_err(|error| error.to_string())?
        }
    };
    let purpose = hello::welcome(&mut reader, &mut writer).await.map_err(|error| error.to_string())?;
    Ok((Connection::new(reader, writer, peer, purpose), purpose))
}

fn carried(Carrier { reader, writer, peer }: Carrier) -> (ReadIo, WriteIo, PeerIdentity) {
    (ReadIo::Carried(reader), WriteIo::Carried(writer), PeerIdentity { addr: peer, node: None })
}

fn plain(tcp: TcpStream) -> io::Result<(ReadIo, WriteIo, PeerIdentity)> {
    tcp.set_nodelay(true)?;
    let peer = PeerIdentity { addr: tcp.peer_addr()?, node: None };
    let (reader, writer) = tcp.into_split();
    Ok((ReadIo::Tcp(reader), WriteIo::Tcp(writer), peer))
}

fn encrypted(tls: TlsStream<TcpStream>) -> io::Result<(ReadIo, WriteIo, PeerIdentity)> {
    let (tcp, session) = tls.get_ref();
    let addr = tcp.peer_addr()?;
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    let leaf = leaf.ok_or_else(|| io::Error::new(io::ErrorKind::PermissionDenied, "the peer showed no certificate"))?;
    let node =
        NodeIdentity::from_certificate(leaf).map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
    let (reader, writer) = tokio::io::split(tls);
    Ok((ReadIo::Tls(reader), WriteIo::Tls(writer), PeerIdentity { addr, node: Some(node) }))
}

fn refused(addr: &Arc<str>, error: io::Error) -> RpcError {
    RpcError::HandshakeRefused { addr: addr.clone(), reason: error.to_string() }
}

impl AsyncRead for ReadIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
            Self::Carried(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for WriteIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
            Self::Carried(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Carried(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
            Self::Carried(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
            Self::Carried(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
            Self::Carried(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
