//! One connection's streams, one after the other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::listener::Service;
use crate::frame::{Frame, FrameKind, FrameReader};
use crate::stream::{DuplexStream, Returned};
use crate::transport::{Connection, ReadIo};

/// A handler may leave before it has received the peer's end of stream. Closing then could destroy, on the way, the last
/// packets it sent: for this long, and this much, what still arrives is read and thrown away.
const LEFTOVER_TIME_MAX: Duration = Duration::from_secs(2);
const LEFTOVER_FRAMES_MAX: usize = 64;

/// Serves streams until the connection ends, one of them is cut, nothing comes, or the server stops.
pub(super) async fn serve(mut connection: Connection, service: Arc<Service>) {
    while let Some((id, method, first)) = next_open(&mut connection, &service).await {
        let (deliver, returned) = oneshot::channel::<Returned>();
        let peer = connection.peer.clone();
        let stream = DuplexStream::new(connection, id, Box::new(move |over| drop(deliver.send(over))));
        let handling = AssertUnwindSafe(async { service.handler.stream(&peer, method, first, stream).await });
        tokio::select! {
            handled = handling.catch_unwind() => if handled.is_err() {
                tracing::error!(%peer, method, "a stream handler panicked");
            },
            () = drained(&service) => return,
        }
        // The handler may have left its halves to tasks of its own.
        let over = tokio::select! {
            over = returned => over,
            () = drained(&service) => return,
        };
        let Ok(Returned { connection: mut back, received_all }) = over else { return };
        if !received_all && !discard_leftovers(&mut back.reader, id).await {
            return;
        }
        connection = back;
    }
}

async fn next_open(connection: &mut Connection, service: &Service) -> Option<(u64, u16, bytes::Bytes)> {
    let read = tokio::select! {
        read = timeout(service.config.idle_timeout, connection.reader.read()) => read.ok()?,
        () = service.shutdown.cancelled() => return None,
    };
    match read {
        Ok(Some(Frame { kind: FrameKind::Open, id, mut body })) => Some((id, body.try_get_u16().ok()?, body)),
        Ok(Some(_)) => {
            tracing::warn!(peer = %connection.peer, "a frame outside any stream: connection closed");
            None
        }
        Ok(None) => None,
        Err(error) => {
            tracing::debug!(peer = %connection.peer, error = %error.into_io(), "stream connection ended");
            None
        }
    }
}

/// Resolves when shutdown was asked for and the time to finish is over.
async fn drained(service: &Service) {
    service.shutdown.cancelled().await;
    sleep(service.config.drain_timeout).await;
}

/// Whether the stream's end was found, so that the connection can serve another.
async fn discard_leftovers(reader: &mut FrameReader<ReadIo>, id: u64) -> bool {
    let discard = async {
        for _ in 0..LEFTOVER_FRAMES_MAX {
            match reader.read().await {
                Ok(Some(frame)) if frame.id == id && frame.kind == FrameKind::End => return true,
                Ok(Some(frame)) if frame.id == id && frame.kind == FrameKind::Data => {}
                _ => return false,
            }
        }
        false
    };
    timeout(LEFTOVER_TIME_MAX, discard).await.unwrap_or(false)
}
