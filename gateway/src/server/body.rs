//! Response bodies: known bytes, which leave in one write with their head, or a stream of an object's.
//!
//! Invariant: a stream that cannot deliver every byte it promised ends in an error, which closes the connection; it never
//! ends early as if it were complete.

use super::metrics::Metrics;
use bytes::Bytes;
use granary_protocol::Failure;
use granary_sealing::ObjectReader;
use http_body::{Body, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The body of a response.
pub enum ResponseBody {
    /// All of it, once.
    Known(Bytes),
    /// An object's bytes as they are read.
    Object(Box<ObjectStream>),
    /// Whatever the service routes answer.
    Service(axum::body::Body),
}

impl ResponseBody {
    /// No bytes.
    pub const fn empty() -> Self {
        Self::Known(Bytes::new())
    }
}

/// Why a response was cut off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The store could not deliver the rest.
    #[error("object could not be read to its end: {0}")]
    Unreadable(Failure),
    /// The store ended before the length it promised.
    #[error("object ended {0} bytes early")]
    Short(u64),
    /// A service route's body failed.
    #[error("response body failed: {0}")]
    Service(axum::Error),
}

type NextPiece = Pin<Box<dyn Future<Output = (ObjectReader, Result<Option<Bytes>, Failure>)> + Send>>;

/// The bytes of an object, read ahead by one piece.
pub struct ObjectStream {
    ready: Option<Bytes>,
    next: Option<NextPiece>,
    remaining: u64,
    metrics: Arc<Metrics>,
    what: String,
}

impl ObjectStream {
    /// `first` and then what `reader` has, `length` bytes together. `what` names it in the log.
    pub(crate) fn new(first: Bytes, reader: ObjectReader, length: u64, metrics: Arc<Metrics>, what: String) -> Self {
        Self { ready: Some(first), next: Some(next_piece(reader)), remaining: length, metrics, what }
    }

    fn hand_out(&mut self, piece: Bytes) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.remaining = self.remaining.saturating_sub(piece.len() as u64);
        self.metrics.sent(piece.len());
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        tracing::warn!(object = %self.what, %error, "response cut off");
        self.next = None;
        Poll::Ready(Some(Err(error)))
    }
}

fn next_piece(mut reader: ObjectReader) -> NextPiece {
    Box::pin(async move {
        let piece = reader.next().await;
        (reader, piece)
    })
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Known(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Known(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Object(stream) => stream.poll_piece(context),
            Self::Service(body) => Pin::new(body).poll_frame(context).map_err(BodyError::Service),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Known(bytes) => bytes.is_empty(),
            Self::Object(stream) => stream.remaining == 0,
            Self::Service(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Known(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Object(stream) => SizeHint::with_exact(stream.remaining),
            Self::Service(body) => body.size_hint(),
        }
    }
}

impl ObjectStream {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(piece) = self.ready.take() {
            return self.hand_out(piece);
        }
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        let Some(next) = &mut self.next else { return Poll::Ready(None) };
        let Poll::Ready((reader, piece)) = next.as_mut().poll(context) else { return Poll::Pending };
        match piece {
            Ok(Some(piece)) => {
                self.next = Some(next_piece(reader));
                self.hand_out(piece)
            }
            Ok(None) => self.fail(BodyError::Short(self.remaining)),
            Err(failure) => self.fail(BodyError::Unreadable(failure)),
        }
    }
}
