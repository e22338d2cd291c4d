//! Moving messages between Granary processes: connections, deadlines, back-pressure, mutual TLS. And what else every
//! role of a process needs: tasks whose death ends it ([`EssentialTasks`]),
//! and the thread on which small writes reach the disk ([`StorageThread`]).
//!
//! Two shapes of traffic, each on connections of its own:
//!
//! - *Calls*: a small request, a small reply, many at once over one connection per [`RpcClient`], answered in any
//!   order. Every call has a deadline; a caller that stops waiting stops the work at the other end.
//! - *Streams*: packets in both directions at once over a connection that belongs to the stream until both sides
//!   have finished cleanly ([`DuplexStream`]). TCP itself is the back-pressure.
//!
//! This crate knows method numbers, bytes and statuses. What a method means, who may call it, how a body is encoded
//! and what an application error says belong to its users.

mod blocking;
mod client;
mod error;
mod essential;
mod frame;
mod hello;
mod identity;
mod network;
mod server;
mod storage_thread;
mod stream;
mod tls;
mod transport;

pub use blocking::{BlockingInTurn, blocks_in_turn, done_in_turn, spawn_blocking};
pub use client::{RpcClient, RpcClientConfig};
pub use error::{RpcError, TlsError};
pub use essential::{EssentialTasks, TaskDied};
pub use frame::{CALL_BODY_BYTES_MAX, STREAM_PACKET_BYTES_MAX};
pub use futures_util::future::BoxFuture;
pub use hello::WIRE_VERSION;
pub use identity::{ClusterName, NodeIdentity, NodeName, PeerIdentity};
pub use network::{Carrier, Network, NetworkListener};
pub use server::{RpcHandler, RpcServer, RpcServerConfig};
pub use storage_thread::{StorageThread, may_block_here};
pub use stream::{DuplexStream, RecvHalf, SendHalf};
pub use tls::{
    CA_VALIDITY_DAYS, CaFingerprint, ClusterCa, NODE_DNS_NAME, NODE_VALIDITY_DAYS, NodeCertificate, NodeKey,
    TlsMaterial,
};
pub use transport::Security;
