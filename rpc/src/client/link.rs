//! The one connection that carries a client's calls.
//!
//! A link lives until its connection ends, then fails every call it carries and is replaced by a new one; it never
//! reconnects itself. Requests go to the writer through a bounded queue, replies find their caller by id in any order.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::error::RpcError;
use crate::frame::{CALL_BODY_BYTES_MAX, FrameKind, FrameReader, FrameWriter};
use crate::server::Status;
use crate::transport::{Connection, ReadIo, WriteIo};

/// Frames waiting for the socket. Beyond it, callers wait in line.
const OUTGOING_FRAMES_MAX: usize = 128;
/// A connection that gave no sign of life for this many keep-alive intervals is dead.
const SILENT_INTERVALS_MAX: u32 = 3;

type Answer = Result<Bytes, RpcError>;

enum Outgoing {
    Call { id: u64, prefix: [u8; 6], body: Bytes },
    Ping,
    Pong { id: u64 },
}

/// A call nobody waits for any more. It keeps its place among the calls in flight until the server has been told.
struct Cancelled {
    id: u64,
    _place: OwnedSemaphorePermit,
}

pub(super) struct Link {
    addr: Arc<str>,
    outgoing: mpsc::Sender<Outgoing>,
    /// Unbounded in type, bounded by the places its messages hold.
    cancelled: mpsc::UnboundedSender<Cancelled>,
    waiting: Arc<Waiting>,
    next_id: AtomicU64,
}

/// The calls without a reply yet; `None` once the link is dead.
struct Waiting {
    calls: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
    dead: CancellationToken,
}

impl Waiting {
    /// `false` when the link is dead.
    fn add(&self, id: u64, caller: oneshot::Sender<Answer>) -> bool {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.as_mut().map(|calls| calls.insert(id, caller)).is_some()
    }

    fn take(&self, id: u64) -> Option<oneshot::Sender<Answer>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.remove(&id)
    }

    fn fail_all(&self, error: &RpcError) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner).take();
        for caller in calls.into_iter().flat_map(HashMap::into_values) {
            // A caller that has gone away needs no answer.
            let _ = caller.send(Err(error.clone()));
        }
        self.dead.cancel();
    }
}

impl Link {
    /// The link, and the work that keeps it going until the connection ends or `stop` is cancelled: spawn it.
    pub(super) fn new(
        addr: Arc<str>,
        connection: Connection,
        keepalive: Duration,
        stop: CancellationToken,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let (outgoing, outgoing_rx) = mpsc::channel(OUTGOING_FRAMES_MAX);
        let (cancelled, cancelled_rx) = mpsc::unbounded_channel();
        let waiting = Arc::new(Waiting { calls: Mutex::new(Some(HashMap::new())), dead: CancellationToken::new() });
        let link = Self { addr: addr.clone(), outgoing, cancelled, waiting, next_id: AtomicU64::new(1) };
        let (waiting, pongs) = (link.waiting.clone(), link.outgoing.downgrade());
        let heard = connection.reader.progress();
        let work = async move {
            let Connection { reader, mut writer, .. } = connection;
            let pings = pongs.clone();
            let error = tokio::select! {
                error = read_replies(reader, &addr, &waiting, pongs) => error,
                result = write_requests(&mut writer, outgoing_rx, cancelled_rx) => match result {
                    Ok(()) => RpcError::ClientClosed,
                    Err(error) => RpcError::disconnected(&addr, true, error),
                },
                () = keep_alive(&heard, pings, keepalive) => {
                    RpcError::disconnected(&addr, true, io::ErrorKind::TimedOut.into())
                }
                () = stop.cancelled() => RpcError::ClientClosed,
            };
            tracing::debug!(%addr, %error, "rpc link ended");
            waiting.fail_all(&error);
        };
        (Arc::new(link), work)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.waiting.dead.is_cancelled()
    }

    /// Makes one call; `place` is its place among the calls in flight. Sets `sent` when the request may leave.
    pub(super) async fn call(
        self: Arc<Self>,
        method: u16,
        body: Bytes,
        until: Instant,
        place: OwnedSemaphorePermit,
        sent: &AtomicBool,
    ) -> Answer {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (caller, answer) = oneshot::channel();
        if !self.waiting.add(id, caller) {
            return Err(self.lost(false));
        }
        let mut cancel_on_drop = CancelOnDrop { link: &self, id, place: Some(place), handed_over: false };
        let queue_slot = self.outgoing.reserve().await.map_err(|_| self.lost(false))?;
        let left_ms = until.saturating_duration_since(Instant::now()).as_millis();
        let left_ms = u32::try_from(left_ms).unwrap_or(u32::MAX);
        let ([m0, m1], [d0, d1, d2, d3]) = (method.to_be_bytes(), left_ms.to_be_bytes());
        sent.store(true, Ordering::Relaxed);
        cancel_on_drop.handed_over = true;
        queue_slot.send(Outgoing::Call { id, prefix: [m0, m1, d0, d1, d2, d3], body });
        let answer = answer.await.unwrap_or_else(|_| Err(self.lost(true)));
        cancel_on_drop.handed_over = false;
        answer
    }

    fn lost(&self, sent: bool) -> RpcError {
        RpcError::disconnected(&self.addr, sent, io::ErrorKind::ConnectionAborted.into())
    }
}

struct CancelOnDrop<'a> {
    link: &'a Link,
    id: u64,
    place: Option<OwnedSemaphorePermit>,
    /// The server may know of the call, and no answer has come.
    handed_over: bool,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let unanswered = self.link.waiting.take(self.id).is_some();
        if let (true, true, Some(place)) = (unanswered, self.handed_over, self.place.take()) {
            // A dead link has nobody to tell.
            let _ = self.link.cancelled.send(Cancelled { id: self.id, _place: place });
        }
    }
}

async fn write_requests(
    writer: &mut FrameWriter<WriteIo>,
    mut outgoing: mpsc::Receiver<Outgoing>,
    mut cancelled: mpsc::UnboundedReceiver<Cancelled>,
) -> io::Result<()> {
    loop {
        let call_off = tokio::select! {
            biased;
            frame = outgoing.recv() => match frame {
                Some(frame) => {
                    write_one(writer, frame).await?;
                    None
                }
                None => return writer.close().await,
            },
            Some(call_off) = cancelled.recv() => Some(call_off),
        };
        // The request was queued before its cancellation: after this it has been written before it, too.
        while let Ok(frame) = outgoing.try_recv() {
            write_one(writer, frame).await?;
        }
        if let Some(call_off) = call_off {
            writer.write(FrameKind::Cancel, call_off.id, &[], Bytes::new(), Bytes::new()).await?;
        }
        writer.flush().await?;
    }
}

async fn write_one(writer: &mut FrameWriter<WriteIo>, frame: Outgoing) -> io::Result<()> {
    match frame {
        Outgoing::Call { id, prefix, body } => writer.write(FrameKind::Call, id, &prefix, body, Bytes::new()).await,
        Outgoing::Ping => writer.write(FrameKind::Ping, 0, &[], Bytes::new(), Bytes::new()).await,
        Outgoing::Pong { id } => writer.write(FrameKind::Pong, id, &[], Bytes::new(), Bytes::new()).await,
    }
}

/// Delivers replies until the connection ends; returns why.
async fn read_replies(
    mut reader: FrameReader<ReadIo>,
    addr: &Arc<str>,
    waiting: &Waiting,
    pongs: mpsc::WeakSender<Outgoing>,
) -> RpcError {
    loop {
        let frame = match reader.read().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return RpcError::disconnected(addr, true, io::ErrorKind::UnexpectedEof.into()),
            Err(error) => return RpcError::disconnected(addr, true, error.into_io()),
        };
        match frame.kind {
            FrameKind::Reply => {
                // No caller: it was cancelled while the reply was on its way.
                if let Some(caller) = waiting.take(frame.id) {
                    let _ = caller.send(answer(addr, frame.body));
                }
            }
            FrameKind::Ping => {
                // Never waits: a queue that is full is sign of life enough.
                if let Some(pongs) = pongs.upgrade() {
                    let _ = pongs.try_send(Outgoing::Pong { id: frame.id });
                }
            }
            FrameKind::Pong => {}
            _ => return RpcError::ProtocolViolation { addr: addr.clone(), reason: "a frame only clients send" },
        }
    }
}

fn answer(addr: &Arc<str>, mut body: Bytes) -> Answer {
    let addr = addr.clone();
    let status = if body.is_empty() { None } else { Status::from_byte(body.get_u8()) };
    match status {
        Some(Status::Ok) => Ok(body),
        Some(Status::ApplicationError) => Err(RpcError::Remote(body)),
        Some(Status::Busy) => Err(RpcError::Busy { addr }),
        Some(Status::ShuttingDown) => Err(RpcError::ShuttingDown { addr }),
        Some(Status::HandlerFailed) => Err(RpcError::HandlerFailed { addr }),
        Some(Status::DeadlineExceeded) => Err(RpcError::DeadlineExceeded { addr, sent: true }),
        Some(Status::ReplyTooLarge) => {
            let bytes = body.try_get_u64().unwrap_or(u64::MAX);
            Err(RpcError::FrameTooLarge { bytes, bytes_max: CALL_BODY_BYTES_MAX as u64, sent: true })
        }
        None => Err(RpcError::ProtocolViolation { addr, reason: "a reply without a known status" }),
    }
}

/// Pings when not a byte was heard for an interval; returns when the peer is to be taken for dead.
async fn keep_alive(heard: &AtomicU64, pings: mpsc::WeakSender<Outgoing>, every: Duration) {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut silent) = (0, 0);
    loop {
        ticks.tick().await;
        let now = heard.load(Ordering::Relaxed);
        if now != last {
            (last, silent) = (now, 0);
            continue;
        }
        silent += 1;
        if silent > SILENT_INTERVALS_MAX {
            return;
        }
        if let Some(pings) = pings.upgrade() {
            let _ = pings.try_send(Outgoing::Ping);
        }
    }
}
