//! [`TransferServer`]: the listening socket, its bounds, and the operations of a connection one after another.

use super::message::{BlockOpResponse, ShortCircuitRefusal, Status};
use super::wire::{self, Op};
use super::{block_checksum, read_block, transfer_block, write_block};
use crate::accept::accept;
use crate::block_token;
use crate::config::HdfsConfig;
use crate::identity;
use crate::proto::Token;
use crate::sealed::SealedReads;
use futures_util::future::BoxFuture;
use granary_datanode::Datanode;
use granary_protocol::token::BlockToken;
use granary_protocol::{ErrorCode, Failure};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What is read from a socket ahead: enough for requests, acknowledgements and the beginning of a packet. The rest of a packet
/// is read to where it stays.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// The bounds of a server.
#[derive(Clone, Debug)]
pub struct TransferSettings {
    /// Connections at a time; further ones are closed at once. HDFS calls it `dfs.datanode.max.transfer.threads`.
    pub connections_max: usize,
    /// How long a new connection may take to ask for something.
    pub request_timeout: Duration,
    /// How long a connection is kept for another request after one is done: HDFS' 4 s, a second more than its clients do.
    pub keepalive: Duration,
    /// How long a writer may send nothing: clients say every 30 s that they live.
    pub packet_timeout: Duration,
    /// How long a reader may take to accept what it is sent.
    pub write_timeout: Duration,
    /// How long the next member of a pipeline may take to be reached and to be ready, for each member behind it.
    pub setup_timeout: Duration,
    /// How long a member may take to acknowledge what this one is done with, for each member behind it. A client waits
    /// for 60 s and 5 for each member: the one that hangs must have been named before.
    pub ack_timeout: Duration,
}

impl Default for TransferSettings {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            request_timeout: Duration::from_secs(60),
            keepalive: Duration::from_secs(4),
            packet_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(480),
            setup_timeout: Duration::from_secs(10),
            ack_timeout: Duration::from_secs(20),
        }
    }
}

/// Knows the datanodes of the cluster. A pipeline's members are named by its client; nobody else is connected to.
pub trait KnownDatanodes: Send + Sync + 'static {
    /// Whether a datanode takes transfers at `address`, written `ip:port`.
    fn is_known<'a>(&'a self, address: &'a str) -> BoxFuture<'a, bool>;
}

/// What every connection of a server shares.
pub(super) struct Shared {
    pub settings: TransferSettings,
    pub known: Arc<dyn KnownDatanodes>,
    pub sealed: Arc<SealedReads>,
    pub hdfs: Arc<HdfsConfig>,
    pub datanode: Arc<Datanode>,
}

/// A listening server.
pub struct TransferServer {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl TransferServer {
    /// Listens. Port 0 takes a free one; [`TransferServer::local_addr`] tells which.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        settings: TransferSettings,
        hdfs: Arc<HdfsConfig>,
        datanode: Arc<Datanode>,
        known: Arc<dyn KnownDatanodes>,
        sealed: Arc<SealedReads>,
    ) -> io::Result<TransferServer> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(TransferServer { listener, address, shared: Arc::new(Shared { settings, known, sealed, hdfs, datanode }) })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop; then ends every connection.
    pub async fn run(self, shutdown: CancellationToken) {
        let connections_max = self.shared.settings.connections_max;
        accept(self.listener, connections_max, "data transfer", shutdown, |stream, peer, stop| {
            let shared = self.shared.clone();
            async move {
                if let Some(Err(error)) = stop.run_until_cancelled(serve(stream, shared)).await {
                    tracing::debug!(%peer, %error, "a data transfer ended early");
                }
            }
        })
        .await;
    }
}

/// The two directions of a connection.
pub(super) struct Connection {
    pub peer: SocketAddr,
    pub reader: BufReader<OwnedReadHalf>,
    pub writer: OwnedWriteHalf,
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        let (reader, writer) = stream.into_split();
        Ok(Connection { peer, reader: BufReader::with_capacity(READ_BUFFER_BYTES, reader), writer })
    }

    /// Answers an operation.
    pub async fn respond(&mut self, response: &BlockOpResponse) -> io::Result<()> {
        wire::write_message(&mut self.writer, response).await
    }
}

/// Whether the connection can carry another operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Operation,
    Close,
}

/// Waits for what must come in time.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    let mut patience = shared.settings.request_timeout;
    loop {
        let version = match within(patience, connection.reader.read_u16()).await {
            Ok(version) => version,
            // Between two operations a client may leave, or be asked to come again.
            Err(_) if patience == shared.settings.keepalive => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        if version != wire::VERSION {
            let what = if version == wire::SASL_MAGIC { "a client that wants SASL" } else { "an unknown version" };
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{what} ({version:#06x})")));
        }
        let limit = shared.settings.request_timeout;
        let code = within(limit, connection.reader.read_u8()).await?;
        match operate(&mut connection, &shared, Op::from_code(code)).await? {
            Next::Operation => patience = shared.settings.keepalive,
            Next::Close => return Ok(()),
        }
    }
}

async fn operate(connection: &mut Connection, shared: &Shared, op: Option<Op>) -> io::Result<Next> {
    let Some(op) = op else {
        connection.respond(&BlockOpResponse::refusal(Status::ErrorUnsupported, "unknown operation")).await?;
        return Ok(Next::Close);
    };
    let limit = shared.settings.request_timeout;
    macro_rules! request {
        () => {
            within(limit, wire::read_message(&mut connection.reader)).await?
        };
    }
    match op {
        Op::ReadBlock => {
            let request = request!();
            read_block::serve(connection, shared, request).await
        }
        Op::WriteBlock => {
            let request = request!();
            write_block::serve(connection, shared, request).await.map(|()| Next::Close)
        }
        Op::BlockChecksum => {
            let request = request!();
            block_checksum::serve(connection, shared, request).await
        }
        Op::TransferBlock => {
            let request = request!();
            transfer_block::serve(connection, shared, request).await
        }
        Op::RequestShortCircuitShm | Op::ReleaseShortCircuitFds => {
            let error = "shared memory is handed out over a UNIX domain socket only".to_owned();
            let refusal = ShortCircuitRefusal { status: Status::ErrorInvalid as i32, error: Some(error) };
            wire::write_message(&mut connection.writer, &refusal).await?;
            Ok(Next::Close)
        }
        Op::RequestShortCircuitFds => {
            let message = "file descriptors are passed over a UNIX domain socket only";
            connection.respond(&BlockOpResponse::refusal(Status::ErrorUnsupported, message)).await?;
            Ok(Next::Close)
        }
        Op::ReplaceBlock | Op::CopyBlock | Op::BlockGroupChecksum => {
            let message = "not offered by this datanode";
            connection.respond(&BlockOpResponse::refusal(Status::ErrorUnsupported, message)).await?;
            Ok(Next::Close)
        }
    }
}

/// The token of a request. Whether it allows anything is the datanode's to say. Tokens are what counts here; where they
/// are carried in the clear, the machine's own network is asked for as well, as it is for names.
pub(super) fn token_of(connection: &Connection, shared: &Shared, token: Option<&Token>) -> Result<BlockToken, Failure> {
    admit(connection, shared)?;
    token
        .and_then(block_token::from_hadoop)
        .ok_or_else(|| Failure::new(ErrorCode::InvalidToken, "a block token is needed"))
}

/// Refuses who may not come at all.
pub(super) fn admit(connection: &Connection, shared: &Shared) -> Result<(), Failure> {
    identity::admit(&shared.hdfs, connection.peer)
        .map_err(|refused| Failure::new(ErrorCode::InvalidToken, refused.message))
}

/// What a client is told of a failure. Its text goes into the client's log.
pub(super) fn refusal(failure: &Failure) -> BlockOpResponse {
    let status = match failure.code {
        ErrorCode::InvalidToken => Status::ErrorAccessToken,
        _ => Status::Error,
    };
    BlockOpResponse::refusal(status, failure.detail.clone())
}
