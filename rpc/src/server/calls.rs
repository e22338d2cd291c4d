//! One connection's calls: each a task, answered in the order they finish.
//!
//! The connection's task reads; a second one writes, fed by a bounded queue; each call is a task of its own. A call that
//! cannot write its reply keeps its place, so a client that does not read replies runs into its own bound.

use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::listener::Service;
use crate::frame::{CALL_BODY_BYTES_MAX, Frame, FrameKind, FrameReader, FrameWriter};
use crate::identity::PeerIdentity;
use crate::transport::{Connection, ReadIo, WriteIo};

const REPLIES_QUEUED_MAX: usize = 64;
/// For replies already queued when the connection ends.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// The first byte of every reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    Ok = 0,
    ApplicationError = 1,
    /// Not executed: too many calls in flight.
    Busy = 2,
    /// Not executed: the server takes no new work.
    ShuttingDown = 3,
    HandlerFailed = 4,
    DeadlineExceeded = 5,
    /// Executed; the reply's size (u64) follows.
    ReplyTooLarge = 6,
}

impl Status {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Ok,
            1 => Self::ApplicationError,
            2 => Self::Busy,
            3 => Self::ShuttingDown,
            4 => Self::HandlerFailed,
            5 => Self::DeadlineExceeded,
            6 => Self::ReplyTooLarge,
            _ => return None,
        })
    }
}

enum Outgoing {
    Reply { id: u64, status: Status, body: Bytes },
    Pong { id: u64 },
}

/// Calls in work, by id.
#[derive(Default)]
struct InWork {
    calls: HashMap<u64, (AbortHandle, usize)>,
    bytes: usize,
}

impl InWork {
    fn remove(&mut self, id: u64) -> Option<AbortHandle> {
        let (task, bytes) = self.calls.remove(&id)?;
        self.bytes -= bytes;
        Some(task)
    }
}

struct Calls {
    service: Arc<Service>,
    peer: Arc<PeerIdentity>,
    replies: mpsc::Sender<Outgoing>,
    in_work: Arc<Mutex<InWork>>,
    tasks: JoinSet<()>,
}

/// Serves the connection to its end.
pub(super) async fn serve(connection: Connection, service: Arc<Service>) {
    let Connection { mut reader, writer, peer } = connection;
    let (replies, replies_rx) = mpsc::channel(REPLIES_QUEUED_MAX);
    let mut writing = JoinSet::new();
    writing.spawn(write_replies(writer, replies_rx));
    let mut calls = Calls { service, peer: peer.clone(), replies, in_work: Arc::default(), tasks: JoinSet::new() };
    let ended = calls.read_requests(&mut reader).await;
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "rpc connection ended");
    }
    let Calls { replies, mut tasks, .. } = calls;
    tasks.shutdown().await;
    drop(replies);
    // Joined either way: at its own pace for a moment, then by force.
    let _ = timeout(LAST_FLUSH, writing.join_next()).await;
    writing.shutdown().await;
}

impl Calls {
    /// Until the peer leaves, breaks the format, falls silent, or the server has drained.
    async fn read_requests(&mut self, reader: &mut FrameReader<ReadIo>) -> io::Result<()> {
        let idle_timeout = self.service.config.idle_timeout;
        let shutdown = self.service.shutdown.clone();
        let mut idle_at = Instant::now() + idle_timeout;
        let mut heard = 0;
        let mut drained_at: Option<Instant> = None;
        let gone = self.replies.clone();
        loop {
            if drained_at.is_some() && self.tasks.is_empty() {
                return Ok(());
            }
            tokio::select! {
                read = reader.read() => {
                    let Some(frame) = read.map_err(crate::frame::FrameError::into_io)? else { return Ok(()) };
                    idle_at = Instant::now() + idle_timeout;
                    self.take(frame, drained_at.is_some()).await?;
                }
                Some(ended) = self.tasks.join_next() => {
                    // Aborted calls are ordinary; panics are caught inside the task.
                    debug_assert!(!ended.is_err_and(|error| error.is_panic()));
                }
                () = gone.closed() => return Err(io::ErrorKind::BrokenPipe.into()),
                () = shutdown.cancelled(), if drained_at.is_none() => {
                    drained_at = Some(Instant::now() + self.service.config.drain_timeout);
                }
                () = sleep_until(drained_at.unwrap_or(idle_at)), if drained_at.is_some() => return Ok(()),
                () = sleep_until(idle_at) => {
                    // A large frame on a slow line is not silence.
                    if reader.bytes_read() == heard {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    heard = reader.bytes_read();
                    idle_at = Instant::now() + idle_timeout;
                }
            }
        }
    }

    async fn take(&mut self, frame: Frame, draining: bool) -> io::Result<()> {
        let refused = match frame.kind {
            FrameKind::Call => match self.start(frame.id, frame.body, draining)? {
                None => return Ok(()),
                Some(status) => Outgoing::Reply { id: frame.id, status, body: Bytes::new() },
            },
            FrameKind::Cancel => {
                let task = self.in_work.lock().unwrap_or_else(PoisonError::into_inner).remove(frame.id);
                if let Some(task) = task {
                    task.abort();
                }
                return Ok(());
            }
            FrameKind::Ping => Outgoing::Pong { id: frame.id },
            FrameKind::Pong => return Ok(()),
            FrameKind::Reply | FrameKind::Open | FrameKind::Data | FrameKind::End => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame that does not belong here"));
            }
        };
        // Reading stops meanwhile, which is right for a peer that floods; not for ever, or it would outlive a shutdown.
        match timeout(self.service.config.drain_timeout, self.replies.send(refused)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Starts a call, or says why not.
    fn start(&mut self, id: u64, mut body: Bytes, draining: bool) -> io::Result<Option<Status>> {
        let malformed = || io::Error::new(io::ErrorKind::InvalidData, "a call without its head");
        let method = body.try_get_u16().map_err(|_| malformed())?;
        let deadline_ms = body.try_get_u32().map_err(|_| malformed())?;
        if draining {
            return Ok(Some(Status::ShuttingDown));
        }
        let config = &self.service.config;
        // Held while spawning: the task takes itself out of the map when it is done, which must come after.
        let mut in_work = self.in_work.lock().unwrap_or_else(PoisonError::into_inner);
        if in_work.calls.contains_key(&id) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a call id that is in use"));
        }
        let bytes = body.len();
        if in_work.calls.len() >= config.calls_in_flight_max
            || in_work.bytes.saturating_add(bytes) > config.call_bytes_in_flight_max
        {
            return Ok(Some(Status::Busy));
        }
        let call =
            execute(self.service.clone(), self.peer.clone(), method, body, Duration::from_millis(deadline_ms.into()));
        let (mine, replies) = (self.in_work.clone(), self.replies.clone());
        let task = self.tasks.spawn(async move {
            let (status, body) = call.await;
            // The place is free before the reply leaves: a client that has its reply may call again.
            let kept = replies.reserve().await;
            mine.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
            if let Ok(queue_slot) = kept {
                queue_slot.send(Outgoing::Reply { id, status, body });
            }
        });
        in_work.calls.insert(id, (task, bytes));
        in_work.bytes += bytes;
        Ok(None)
    }
}

async fn execute(
    service: Arc<Service>,
    peer: Arc<PeerIdentity>,
    method: u16,
    body: Bytes,
    deadline: Duration,
) -> (Status, Bytes) {
    let answer = AssertUnwindSafe(async { service.handler.call(&peer, method, body).await }).catch_unwind();
    match timeout(deadline, answer).await {
        Ok(Ok(Ok(body) | Err(body))) if body.len() > CALL_BODY_BYTES_MAX => {
            tracing::error!(%peer, method, bytes = body.len(), "the handler's reply is too large to send");
            (Status::ReplyTooLarge, Bytes::copy_from_slice(&(body.len() as u64).to_be_bytes()))
        }
        Ok(Ok(Ok(body))) => (Status::Ok, body),
        Ok(Ok(Err(body))) => (Status::ApplicationError, body),
        Ok(Err(_panic)) => {
            tracing::error!(%peer, method, "a call handler panicked");
            (Status::HandlerFailed, Bytes::new())
        }
        Err(_) => (Status::DeadlineExceeded, Bytes::new()),
    }
}

async fn write_replies(mut writer: FrameWriter<WriteIo>, mut replies: mpsc::Receiver<Outgoing>) {
    let written: io::Result<()> = async {
        while let Some(frame) = replies.recv().await {
            write_one(&mut writer, frame).await?;
            while let Ok(frame) = replies.try_recv() {
                write_one(&mut writer, frame).await?;
            }
            writer.flush().await?;
        }
        writer.close().await
    }
    .await;
    if let Err(error) = written {
        tracing::debug!(%error, "replies could not be written");
    }
}

async fn write_one(writer: &mut FrameWriter<WriteIo>, frame: Outgoing) -> io::Result<()> {
    match frame {
        Outgoing::Reply { id, status, body } => {
            writer.write(FrameKind::Reply, id, &[status as u8], body, Bytes::new()).await
        }
        Outgoing::Pong { id } => writer.write(FrameKind::Pong, id, &[], Bytes::new(), Bytes::new()).await,
    }
}
