//! A stream whose requests are checked for ambiguous framing while the HTTP library reads it.

use super::framing::{Ambiguity, Framing};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Wraps a stream; from the first ambiguity on, reading fails and nothing of it is handed on.
pub(super) struct Guarded<T> {
    inner: T,
    framing: Framing,
    found: Option<Ambiguity>,
}

impl<T> Guarded<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, framing: Framing::new(), found: None }
    }

    /// The stream, and the ambiguity that ended its reading.
    pub(super) fn into_parts(self) -> (T, Option<Ambiguity>) {
        (self.inner, self.found)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guarded = &mut *self;
        if guarded.found.is_none() {
            let before = buffer.filled().len();
            std::task::ready!(Pin::new(&mut guarded.inner).poll_read(context, buffer))?;
            guarded.found = guarded.framing.feed(&buffer.filled()[before..]).err();
        }
        Poll::Ready(match guarded.found {
            None => Ok(()),
            Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "ambiguous framing")),
        })
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
