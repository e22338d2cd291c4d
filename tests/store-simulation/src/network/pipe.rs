//! One direction of a connection.

use super::{HostId, PipeId, State};
use crate::trace;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes sent and not read, at most; then writers wait.
const WINDOW_BYTES: usize = 1 << 20;

pub(super) struct PipeState {
    pub(super) from: HostId,
    pub(super) to: HostId,
    /// The other direction.
    pub(super) twin: PipeId,
    /// On their way, with the time of their arrival; `None` is the end.
    sent: VecDeque<(u64, Option<Bytes>)>,
    arrived: VecDeque<Bytes>,
    bytes: usize,
    last_due: u64,
    ended: bool,
    /// The machine at one end is gone, and the other has not been told.
    lost: bool,
    broken: bool,
    reader_gone: bool,
    writer_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl PipeState {
    fn new(from: HostId, to: HostId) -> PipeState {
        PipeState {
            from,
            to,
            twin: 0,
            sent: VecDeque::new(),
            arrived: VecDeque::new(),
            bytes: 0,
            last_due: 0,
            ended: false,
            lost: false,
            broken: false,
            reader_gone: false,
            writer_gone: false,
            reader: None,
            writer: None,
        }
    }

    fn wake(&mut self) {
        [self.reader.take(), self.writer.take()].into_iter().flatten().for_each(Waker::wake);
    }

    /// The machine at one end is gone; `told`: the other end learns it at once.
    pub(super) fn lose_host(&mut self, told: bool) {
        if told { self.break_off() } else { self.lost = true }
    }

    pub(super) fn break_off(&mut self) {
        self.broken = true;
        self.wake();
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost && !self.broken
    }

    pub(super) fn is_over(&self) -> bool {
        self.reader_gone && self.writer_gone
    }

    pub(super) fn deliver(&mut self, now: u64) {
        while let Some((due, _)) = self.sent.front() {
            if *due > now {
                break;
            }
            match self.sent.pop_front() {
                Some((_, Some(bytes))) => {
                    trace::note("arrive", &[self.from as u64, self.to as u64, now], &bytes);
                    self.arrived.push_back(bytes);
                }
                _ => self.ended = true,
            }
        }
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

impl State {
    /// A new pipe and a handle on the network for its two ends.
    pub(super) fn new_pipe(&mut self, from: HostId, to: HostId) -> (Handle, PipeId) {
        let id = self.next_pipe;
        self.next_pipe += 1;
        self.pipes.insert(id, PipeState::new(from, to));
        (self.own.clone(), id)
    }

    fn send(&mut self, id: PipeId, bytes: Option<Bytes>) {
        let arrival = self.arrival();
        let Some(pipe) = self.pipes.get_mut(&id) else { return };
        // Nothing overtakes what was sent before.
        pipe.last_due = arrival.max(pipe.last_due);
        pipe.bytes += bytes.as_ref().map_or(0, Bytes::len);
        pipe.sent.push_back((pipe.last_due, bytes));
        let due = (pipe.last_due, id);
        self.due.insert(due);
    }
}

type Handle = Weak<Mutex<State>>;

/// Works on the state, if the run goes on.
fn with_state<T>(handle: &Handle, work: impl FnOnce(&mut State) -> T) -> Option<T> {
    let state = handle.upgrade()?;
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    Some(work(&mut state))
}

pub(super) struct PipeReader {
    handle: Handle,
    id: PipeId,
}

pub(super) struct PipeWriter {
    handle: Handle,
    id: PipeId,
}

impl PipeReader {
    pub(super) fn new(handle: Handle, id: PipeId) -> PipeReader {
        PipeReader { handle, id }
    }
}

impl PipeWriter {
    pub(super) fn new(handle: Handle, id: PipeId) -> PipeWriter {
        PipeWriter { handle, id }
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = with_state(&self.handle, |state| {
            let Some(pipe) = state.pipes.get_mut(&self.id) else { return Poll::Ready(Ok(())) };
            if let Some(first) = pipe.arrived.front_mut() {
                let length = first.len().min(buf.remaining());
                buf.put_slice(&first[..length]);
                first.advance(length);
                if first.is_empty() {
                    pipe.arrived.pop_front();
                }
                pipe.bytes -= length;
                if let Some(writer) = pipe.writer.take() {
                    writer.wake();
                }
                return Poll::Ready(Ok(()));
            }
            if pipe.broken {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if pipe.ended {
                return Poll::Ready(Ok(()));
            }
            pipe.reader = Some(cx.waker().clone());
            Poll::Pending
        });
        read.unwrap_or(Poll::Ready(Ok(())))
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        with_state(&self.handle, |state| {
            if let Some(pipe) = state.pipes.get_mut(&self.id) {
                pipe.reader_gone = true;
                if let Some(writer) = pipe.writer.take() {
                    writer.wake();
                }
            }
        });
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = with_state(&self.handle, |state| {
            let Some(pipe) = state.pipes.get_mut(&self.id) else {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            };
            if pipe.broken || pipe.reader_gone {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if pipe.bytes >= WINDOW_BYTES {
                pipe.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let length = buf.len().min(WINDOW_BYTES - pipe.bytes);
            state.send(self.id, Some(Bytes::copy_from_slice(&buf[..length])));
            Poll::Ready(Ok(length))
        });
        written.unwrap_or_else(|| Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        with_state(&self.handle, |state| state.send(self.id, None));
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        with_state(&self.handle, |state| {
            let ends = state.pipes.get_mut(&self.id).is_some_and(|pipe| {
                pipe.writer_gone = true;
                // A machine that is gone closes nothing.
                !pipe.lost && !pipe.broken
            });
            if ends {
                state.send(self.id, None);
            }
        });
    }
}
