//! Hadoop RPC version 9, the server's side: what `hdfs://` and a datanode's IPC port speak.
//!
//! [`RpcServer`] accepts connections and hands each call to the [`RpcProtocol`] the client named. Calls of one connection
//! run side by side and are answered in any order. Everything a stranger can make grow has a bound: connections, bytes of a
//! frame, calls under way, time without a word.
//!
//! Which calls exist and what they mean is the protocols' business.

mod answer;
mod connection;
mod envelope;
mod frame;
mod handshake;
mod protocol;
mod server;

pub use protocol::{Call, RpcProtocol, decode, encode, unknown_method};
pub use server::{RpcServer, RpcSettings};

#[cfg(test)]
mod tests;
