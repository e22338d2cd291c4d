//! One connection from its first byte to its last.
//!
//! Head and small body leave in one write, and the socket does not wait for company (TCP_NODELAY): either alone costs a
//! client with delayed acknowledgements 40 ms a request.
//!
//! A request refused before its body was read closes the connection. It is closed in two steps: our side first, then,
//! after the client has had a moment to read the answer, the rest. Closing at once would reset the connection under a
//! client that is still sending, which then never sees why.
//!
//! A head that could be read in two ways never reaches the HTTP library: it is answered here, and the connection ends.

use super::framing::Ambiguity;
use super::front::Front;
use super::guarded::Guarded;
use super::request_facts::Peer;
use super::state::GatewayState;
use super::write_stall::WriteStall;
use crate::error::{S3Error, S3ErrorCode};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ProtocolVersion;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The most that is read ahead of a body, and the most that is queued for writing.
const BUFFER_BYTES_MAX: usize = 512 << 10;
/// How long, and for how many bytes, a client that was refused may go on sending.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES_MAX: usize = 32 << 20;

/// What all connections of a listener share.
pub(super) struct Listening {
    pub(super) front: Front,
    pub(super) state: Arc<GatewayState>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) shutdown: CancellationToken,
}

/// Serves a connection to its end. Failures of the peer are not ours to report louder than debug.
pub(super) async fn serve(listening: Arc<Listening>, socket: TcpStream) {
    let _open = listening.state.metrics.connection_opens();
    let peer = socket.peer_addr().ok().map(|address| Peer { address, tls_version: None });
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let stall_timeout = listening.state.config.stall_timeout();
    let Some(tls) = &listening.tls else {
        let is_private = peer.is_some_and(|peer| peer.address.ip().to_canonical().is_loopback());
        return serve_http(&listening, peer, WriteStall::new(socket, stall_timeout), is_private).await;
    };
    let limit = Duration::from_millis(listening.state.config.handshake_timeout_ms);
    match tokio::time::timeout(limit, tls.accept(socket)).await {
        Ok(Ok(stream)) => {
            let tls_version = stream.get_ref().1.protocol_version().and_then(version_name);
            let peer = peer.map(|peer| Peer { tls_version, ..peer });
            serve_http(&listening, peer, WriteStall::new(stream, stall_timeout), true).await;
        }
        Ok(Err(error)) => {
            listening.state.metrics.connection_refused();
            tracing::debug!(%error, "TLS handshake");
        }
        Err(_elapsed) => listening.state.metrics.connection_refused(),
    }
}

/// As policies name it.
fn version_name(version: ProtocolVersion) -> Option<&'static str> {
    match version {
        ProtocolVersion::TLSv1_2 => Some("1.2"),
        ProtocolVersion::TLSv1_3 => Some("1.3"),
        _ => None,
    }
}

/// Whether a connection `is_private` (nobody else's machine carries it in clear) decides what may be sent through it.
async fn serve_http<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    listening: &Listening,
    peer: Option<Peer>,
    stream: T,
    is_private: bool,
) {
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(listening.state.config.header_timeout_ms))
        .max_buf_size(BUFFER_BYTES_MAX)
        .serve_connection(TokioIo::new(Guarded::new(stream)), listening.front.for_connection(peer, is_private));
    let ended = tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
        () = listening.shutdown.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|context| connection.poll_without_shutdown(context)).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
    let (mut stream, ambiguity) = connection.into_parts().io.into_inner().into_parts();
    if let Some(ambiguity) = ambiguity {
        refuse(&mut stream, ambiguity, &listening.state).await;
    }
    linger(stream, &listening.shutdown).await;
}

/// Says why the connection ends. A client that cannot be told is left alone.
async fn refuse<T: AsyncWrite + Unpin>(stream: &mut T, ambiguity: Ambiguity, state: &GatewayState) {
    tracing::debug!(?ambiguity, "request refused");
    // The request whose body this was has its own answer.
    if ambiguity == Ambiguity::Chunk {
        return;
    }
    let host_id = state.request_ids.host_id().to_str().unwrap_or_default();
    let error = S3Error::with_message(S3ErrorCode::BadRequest, "The request's framing is ambiguous.");
    let body = error.to_xml(state.request_ids.next().as_str(), host_id);
    let head = format!(
        "HTTP/1.1 {}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        error.status(),
        body.len()
    );
    let answer = [head.as_bytes(), body.as_bytes()].concat();
    if let Err(error) = stream.write_all(&answer).await {
        tracing::debug!(%error, "refusal not sent");
    }
}

/// Closes our side, then waits for the peer's, within limits.
async fn linger<T: AsyncRead + AsyncWrite + Unpin>(mut stream: T, shutdown: &CancellationToken) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let discard = async {
        let mut buffer = vec![0; 64 << 10];
        let mut left = LINGER_BYTES_MAX;
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    };
    tokio::select! {
        _done_or_late = tokio::time::timeout(LINGER, discard) => {}
        () = shutdown.cancelled() => {}
    }
}
