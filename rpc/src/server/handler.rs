//! The trait a service implements to be reached.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::identity::PeerIdentity;
use crate::stream::DuplexStream;

/// What a server does with calls and streams. Who the peer is has been proved (mutual TLS) or not (`peer.node` is
/// `None`); what it may do is the handler's decision.
///
/// Futures are *dropped* at any await when the caller gives up, its deadline passes, its connection ends, or the server
/// stops. Work that must not stop half-way belongs in a task of the handler's own.
pub trait RpcHandler: Send + Sync + 'static {
    /// Answers a call. The error is the application's, in its own encoding; it reaches the caller as
    /// [`RpcError::Remote`](crate::RpcError::Remote). An unknown `method` is an application error, too.
    fn call<'a>(&'a self, peer: &'a PeerIdentity, method: u16, body: Bytes) -> BoxFuture<'a, Result<Bytes, Bytes>>;

    /// Serves a stream until it is over. Dropping `stream` unfinished cuts it, which is how one is refused.
    fn stream<'a>(
        &'a self,
        peer: &'a PeerIdentity,
        method: u16,
        first: Bytes,
        stream: DuplexStream,
    ) -> BoxFuture<'a, ()>;
}
