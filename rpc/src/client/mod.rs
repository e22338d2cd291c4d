//! The calling side: one [`RpcClient`] per peer address.

mod backoff;
mod link;
mod pool;
mod rpc_client;

pub use rpc_client::{RpcClient, RpcClientConfig};
