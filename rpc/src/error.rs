//! What can go wrong between two processes, named for what happened.
//!
//! Two questions decide what a caller does next, and both are answered here rather than by matching on variants:
//! [`RpcError::is_retryable`] (could the same request succeed later or elsewhere?) and [`RpcError::was_sent`] (may the
//! peer have executed it already?). Application errors travel as opaque bytes in [`RpcError::Remote`].

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use granary_protocol::MESSAGES_VERSION;

/// Why a call or a stream operation did not succeed. Cheap to clone: a dead connection hands one to each of its calls.
///
/// `addr` is the peer: as given to the client for calls, the socket's own address for streams.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RpcError {
    /// No connection could be made, or one failed moments ago and the next attempt is not due yet.
    #[error("cannot connect to {addr}: {source}")]
    ConnectFailed { addr: Arc<str>, source: Arc<io::Error> },

    /// The peer was reached, and one side rejected the other: certificate, magic, role of the connection.
    #[error("handshake with {addr} refused: {reason}")]
    HandshakeRefused { addr: Arc<str>, reason: String },

    /// The peer speaks another version of the wire format.
    #[error("{addr} speaks wire version {theirs}, this process speaks {ours}")]
    WireVersionMismatch { addr: Arc<str>, ours: u16, theirs: u16 },

    /// The peer speaks another version of the messages.
    #[error("{addr} speaks version {theirs} of the messages, this process speaks {MESSAGES_VERSION}")]
    MessagesVersionMismatch { addr: Arc<str>, theirs: u8 },

    /// The connection ended before the operation did. `sent`: the request may have reached the peer.
    #[error("connection to {addr} lost: {source}")]
    Disconnected { addr: Arc<str>, sent: bool, source: Arc<io::Error> },

    /// The caller's deadline passed first. `sent`: the request may have reached the peer.
    #[error("deadline exceeded for {addr} (request sent: {sent})")]
    DeadlineExceeded { addr: Arc<str>, sent: bool },

    /// A body is over its bound. `sent`: it was the peer's reply that was too large, so the call was executed.
    #[error("frame of {bytes} bytes is over the bound of {bytes_max}")]
    FrameTooLarge { bytes: u64, bytes_max: u64, sent: bool },

    /// The peer has as much of our work in hand as it allows; nothing was executed.
    #[error("{addr} is busy: too many calls in flight")]
    Busy { addr: Arc<str> },

    /// The peer is going down and takes no new work; nothing was executed.
    #[error("{addr} is shutting down")]
    ShuttingDown { addr: Arc<str> },

    /// The peer's handler died while executing the call. A bug at the other end.
    #[error("the handler at {addr} failed")]
    HandlerFailed { addr: Arc<str> },

    /// The peer sent something the wire format does not allow; the connection is closed.
    #[error("{addr} broke the wire format: {reason}")]
    ProtocolViolation { addr: Arc<str>, reason: &'static str },

    /// The stream was used after `finish`, or after an earlier operation left it unusable.
    #[error("the stream to {addr} is already closed for this direction")]
    StreamClosed { addr: Arc<str> },

    /// [`RpcClient::close`](crate::RpcClient::close) was called.
    #[error("this client is closed")]
    ClientClosed,

    /// The handler answered with an application error; its bytes are the application's own encoding.
    #[error("the call was answered with an application error of {} bytes", .0.len())]
    Remote(Bytes),
}

impl RpcError {
    /// Whether the same request could succeed later, or at another peer. Says nothing about doing it twice: a request
    /// that is not idempotent also needs `!was_sent()`.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ConnectFailed { .. }
            | Self::Disconnected { .. }
            | Self::DeadlineExceeded { .. }
            | Self::Busy { .. }
            | Self::ShuttingDown { .. } => true,
            Self::HandshakeRefused { .. }
            | Self::WireVersionMismatch { .. }
            | Self::MessagesVersionMismatch { .. }
            | Self::FrameTooLarge { .. }
            | Self::HandlerFailed { .. }
            | Self::ProtocolViolation { .. }
            | Self::StreamClosed { .. }
            | Self::ClientClosed
            | Self::Remote(_) => false,
        }
    }

    /// Whether the peer may have executed the request, wholly or in part. `false` is a promise; `true` is a maybe.
    pub fn was_sent(&self) -> bool {
        match self {
            Self::Disconnected { sent, .. }
            | Self::DeadlineExceeded { sent, .. }
            | Self::FrameTooLarge { sent, .. } => *sent,
            Self::HandlerFailed { .. }
            | Self::ProtocolViolation { .. }
            | Self::StreamClosed { .. }
            | Self::Remote(_) => true,
            Self::ConnectFailed { .. }
            | Self::HandshakeRefused { .. }
            | Self::WireVersionMismatch { .. }
            | Self::MessagesVersionMismatch { .. }
            | Self::Busy { .. }
            | Self::ShuttingDown { .. }
            | Self::ClientClosed => false,
        }
    }

    pub(crate) fn disconnected(addr: &Arc<str>, sent: bool, source: io::Error) -> Self {
        Self::Disconnected { addr: addr.clone(), sent, source: Arc::new(source) }
    }
}

/// Why a certificate, key or name could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Names are 1–63 ASCII letters, digits, `-`, `_` or `.`, and begin with a letter or digit.
    #[error(
        "{name:?} is not a usable name: 1-63 ASCII letters, digits, '-', '_', '.', beginning with a letter or digit"
    )]
    InvalidName { name: String },

    /// The text does not hold the PEM or DER structure it should.
    #[error("cannot read the {what}")]
    Unreadable { what: &'static str },

    /// The private key and the certificate do not belong together.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,

    /// The certificate is not one of a Granary cluster CA.
    #[error("not a cluster CA certificate: {reason}")]
    NotAClusterCa { reason: &'static str },

    /// The certificate carries no usable node identity.
    #[error("not a node certificate: {reason}")]
    NotANodeCertificate { reason: &'static str },

    /// A signing request asked for another name than the one being enrolled.
    #[error("the signing request names {found:?}, expected {expected}")]
    NameMismatch { expected: String, found: String },

    /// A signing request asked for something a node certificate may not have.
    #[error("the signing request is refused: {reason}")]
    RequestRefused { reason: &'static str },

    /// Creating or signing a certificate failed.
    #[error("certificate generation failed: {0}")]
    Generation(#[from] rcgen::Error),

    /// The TLS library rejected the material.
    #[error("TLS configuration rejected: {0}")]
    Rustls(#[from] rustls::Error),
}
