//! [`RpcClient`]: calls and streams to one address, over connections it makes when they are needed.
//!
//! Nothing connects until the first call. A lost connection is replaced by the next call; while the peer cannot be
//! reached, calls fail at once between attempts (see [`Backoff`]).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::backoff::Backoff;
use super::link::Link;
use super::pool::StreamPool;
use crate::error::RpcError;
use crate::frame::{CALL_BODY_BYTES_MAX, FrameKind, STREAM_PACKET_BYTES_MAX};
use crate::hello::Purpose;
use crate::identity::NodeName;
use crate::stream::{DuplexStream, Returned};
use crate::transport::{Connection, Security, connect};

/// The longest deadline that is kept to; longer ones are shortened to it.
const DEADLINE_MAX: Duration = Duration::from_secs(24 * 3600);

/// How a client treats its peer.
#[derive(Clone, Debug)]
pub struct RpcClientConfig {
    /// How long TCP, TLS and hello may take together. Default 3 s.
    pub connect_timeout: Duration,
    /// Calls without a reply at one time; further ones wait within their deadline. Default 1,024.
    pub calls_in_flight_max: usize,
    /// Streams open at one time, each a connection; further ones wait within their deadline. Default 256.
    pub streams_open_max: usize,
    /// Connections kept between streams. Default 8.
    pub idle_streams_max: usize,
    /// How long they are kept. Shorter than the server's idle timeout. Default 30 s.
    pub idle_timeout: Duration,
    /// Silence after which the peer is pinged; with three pings unanswered the connection is taken for dead. Default
    /// 10 s.
    pub keepalive: Duration,
    /// Refuse a peer that is another node than this one. Needs mutual TLS. Default: any node of the cluster.
    pub expected_peer: Option<NodeName>,
}

impl Default for RpcClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            calls_in_flight_max: 1024,
            streams_open_max: 256,
            idle_streams_max: 8,
            idle_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(10),
            expected_peer: None,
        }
    }
}

/// A handle to one peer. Clones share its connections; the last one dropped closes them.
#[derive(Clone)]
pub struct RpcClient {
    handle: Arc<Handle>,
}

/// Held by the handles alone, never by the tasks, so that tasks end when the handles are gone.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.pool.clear();
    }
}

struct Shared {
    addr: Arc<str>,
    security: Security,
    config: RpcClientConfig,
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    link: Mutex<LinkState>,
    backoff: Backoff,
    pool: StreamPool,
    sweeping: AtomicBool,
    stop: CancellationToken,
    tasks: TaskTracker,
}

type Attempt = Option<Result<Arc<Link>, RpcError>>;

enum LinkState {
    None,
    Connecting(watch::Receiver<Attempt>),
    Up(Arc<Link>),
}

impl RpcClient {
    /// A client of `addr` (host:port; a name is resolved at each connection attempt), with the default configuration.
    /// Does no I/O.
    pub fn new(addr: impl Into<Arc<str>>, security: Security) -> Self {
        Self::with_config(addr, security, RpcClientConfig::default())
    }

    /// As [`new`](Self::new), with `config`.
    pub fn with_config(addr: impl Into<Arc<str>>, security: Security, config: RpcClientConfig) -> Self {
        let shared = Shared {
            addr: addr.into(),
            security,
            calls: Arc::new(Semaphore::new(config.calls_in_flight_max)),
            streams: Arc::new(Semaphore::new(config.streams_open_max)),
            link: Mutex::new(LinkState::None),
            backoff: Backoff::new(config.connect_timeout),
            pool: StreamPool::new(config.idle_streams_max, config.idle_timeout),
            sweeping: AtomicBool::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config,
        };
        Self { handle: Arc::new(Handle { shared: Arc::new(shared) }) }
    }

    /// The address given at construction.
    pub fn addr(&self) -> &str {
        &self.handle.shared.addr
    }

    /// Sends `body` (at most [`CALL_BODY_BYTES_MAX`]) to the peer's handler for `method` and waits for its answer.
    ///
    /// The deadline covers everything: waiting for a place, connecting, the work, the reply. It travels with the call,
    /// and the server stops the work when it passes, when this future is dropped, or when the connection ends.
    ///
    /// # Errors
    /// [`RpcError::Remote`] is the handler's own error; every other variant is this crate's. Ask
    /// [`RpcError::was_sent`] before repeating a call that is not idempotent.
    pub async fn call(&self, method: u16, body: Bytes, deadline: Duration) -> Result<Bytes, RpcError> {
        let shared = &self.handle.shared;
        check_size(body.len(), CALL_BODY_BYTES_MAX)?;
        let until = Instant::now() + deadline.min(DEADLINE_MAX);
        let sent = AtomicBool::new(false);
        let call = async {
            let place = shared.calls.clone().acquire_owned().await.map_err(|_| RpcError::ClientClosed)?;
            let link = shared.link().await?;
            link.call(method, body, until, place, &sent).await
        };
        match timeout_at(until, call).await {
            Ok(answer) => answer,
            Err(_) => Err(shared.too_late(sent.load(Ordering::Relaxed))),
        }
    }

    /// Opens a stream to the peer's handler for `method`, which receives `first` (at most
    /// [`STREAM_PACKET_BYTES_MAX`]) with it. Does not wait for the handler: a peer that does not want the stream cuts it.
    /// `deadline` is for the opening alone.
    ///
    /// # Errors
    /// As for [`call`](Self::call), without `Remote`.
    pub async fn open_stream(&self, method: u16, first: Bytes, deadline: Duration) -> Result<DuplexStream, RpcError> {
        let shared = &self.handle.shared;
        check_size(first.len(), STREAM_PACKET_BYTES_MAX)?;
        let until = Instant::now() + deadline.min(DEADLINE_MAX);
        let sent = AtomicBool::new(false);
        match timeout_at(until, shared.open_stream(method, first, &sent)).await {
            Ok(opened) => opened,
            Err(_) => Err(shared.too_late(sent.load(Ordering::Relaxed))),
        }
    }

    /// Fails all calls with [`RpcError::ClientClosed`], now and later, and waits until the connections for calls are
    /// closed. Streams that are open stay open.
    pub async fn close(&self) {
        let shared = &self.handle.shared;
        shared.stop.cancel();
        shared.pool.clear();
        shared.tasks.close();
        shared.tasks.wait().await;
    }
}

impl Shared {
    fn too_late(&self, sent: bool) -> RpcError {
        RpcError::DeadlineExceeded { addr: self.addr.clone(), sent }
    }

    /// The live link, or a new one. All callers share one attempt, which none of them can abandon.
    async fn link(self: &Arc<Self>) -> Result<Arc<Link>, RpcError> {
        let mut attempt = match self.live_or_attempt()? {
            Ok(link) => return Ok(link),
            Err(attempt) => attempt,
        };
        let made = attempt.wait_for(Option::is_some).await.ok().and_then(|made| made.clone());
        made.unwrap_or(Err(RpcError::ClientClosed))
    }

    fn live_or_attempt(self: &Arc<Self>) -> Result<Result<Arc<Link>, watch::Receiver<Attempt>>, RpcError> {
        let mut state = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stop.is_cancelled() {
            return Err(RpcError::ClientClosed);
        }
        match &*state {
            LinkState::Up(link) if !link.is_dead() => return Ok(Ok(link.clone())),
            LinkState::Connecting(attempt) => {
                return self.backoff.failing().map_or_else(|| Ok(Err(attempt.clone())), Err);
            }
            LinkState::Up(_) | LinkState::None => {}
        }
        self.backoff.admit(Instant::now())?;
        let (done, attempt) = watch::channel(None);
        *state = LinkState::Connecting(attempt.clone());
        let shared = self.clone();
        self.tasks.spawn(async move { shared.connect_link(done).await });
        Ok(Err(attempt))
    }

    /// Makes the attempt and, when it succeeds, carries the link to its end.
    async fn connect_link(self: Arc<Self>, done: watch::Sender<Attempt>) {
        let connected = tokio::select! {
            connected = self.connect(Purpose::Calls) => connected,
            () = self.stop.cancelled() => Err(RpcError::ClientClosed),
        };
        let (state, result, work) = match connected {
            Ok(connection) => {
                let (addr, stop) = (self.addr.clone(), self.stop.clone());
                let (link, work) = Link::new(addr, connection, self.config.keepalive, stop);
                (LinkState::Up(link.clone()), Ok(link), Some(work))
            }
            Err(error) => (LinkState::None, Err(error), None),
        };
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = state;
        // Nobody waits any more when all of them ran out of time.
        let _ = done.send(Some(result));
        if let Some(work) = work {
            work.await;
        }
    }

    /// One bounded attempt, admitted by the back-off beforehand; tells it the outcome.
    async fn connect(&self, purpose: Purpose) -> Result<Connection, RpcError> {
        let connected = match timeout(self.config.connect_timeout, connect(&self.addr, &self.security, purpose)).await {
            Ok(connected) => connected.and_then(|connection| self.check_peer(connection)),
            Err(_) => {
                let source = Arc::new(io::Error::from(io::ErrorKind::TimedOut));
                Err(RpcError::ConnectFailed { addr: self.addr.clone(), source })
            }
        };
        match &connected {
            Ok(_) => self.backoff.succeeded(),
            Err(error) => self.backoff.failed(Instant::now(), error),
        }
        connected
    }

    fn check_peer(&self, connection: Connection) -> Result<Connection, RpcError> {
        match &self.config.expected_peer {
            Some(expected) if connection.peer.name() != Some(expected) => Err(RpcError::HandshakeRefused {
                addr: self.addr.clone(),
                reason: format!("expected node {expected}, found {}", connection.peer),
            }),
            _ => Ok(connection),
        }
    }

    async fn open_stream(
        self: &Arc<Self>,
        method: u16,
        first: Bytes,
        sent: &AtomicBool,
    ) -> Result<DuplexStream, RpcError> {
        let place = self.streams.clone().acquire_owned().await.map_err(|_| RpcError::ClientClosed)?;
        if self.stop.is_cancelled() {
            return Err(RpcError::ClientClosed);
        }
        let (connection, id) = match self.reopen(method, &first).await {
            Some(reopened) => reopened,
            None => {
                self.backoff.admit(Instant::now())?;
                let mut connection = self.connect(Purpose::Streams).await?;
                sent.store(true, Ordering::Relaxed);
                let opened = write_open(&mut connection, 1, method, first).await;
                opened.map_err(|error| RpcError::disconnected(&self.addr, true, error))?;
                (connection, 1)
            }
        };
        let shared = Arc::downgrade(self);
        let deliver = move |returned: Returned| {
            drop(place);
            if let Some(shared) = shared.upgrade().filter(|_| returned.received_all) {
                shared.take_back(returned.connection, id);
            }
        };
        Ok(DuplexStream::new(connection, id, Box::new(deliver)))
    }

    /// Opens the stream on a kept connection. `None`: there is none, or the peer closed it before it took the stream.
    async fn reopen(&self, method: u16, first: &Bytes) -> Option<(Connection, u64)> {
        let (mut connection, carried) = self.pool.take()?;
        let id = carried + 1;
        write_open(&mut connection, id, method, first.clone()).await.ok()?;
        Some((connection, id))
    }

    fn take_back(self: &Arc<Self>, connection: Connection, streams_carried: u64) {
        if self.stop.is_cancelled() {
            return;
        }
        self.pool.put(connection, streams_carried);
        if self.sweeping.swap(true, Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let shared = self.clone();
        self.tasks.spawn_on(
            async move {
                let pause = (shared.config.idle_timeout / 2).max(Duration::from_millis(10));
                while timeout(pause, shared.stop.cancelled()).await.is_err() {
                    shared.pool.sweep();
                }
                shared.pool.clear();
            },
            &runtime,
        );
    }
}

async fn write_open(connection: &mut Connection, id: u64, method: u16, first: Bytes) -> io::Result<()> {
    connection.writer.write(FrameKind::Open, id, &method.to_be_bytes(), first, Bytes::new()).await?;
    connection.writer.flush().await
}

fn check_size(bytes: usize, bytes_max: usize) -> Result<(), RpcError> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(RpcError::FrameTooLarge { bytes: bytes as u64, bytes_max: bytes_max as u64, sent: false })
}
