//! The answering side: a listener, and what it does with each connection.

mod calls;
mod handler;
mod listener;
mod streams;

pub use handler::RpcHandler;
pub use listener::{RpcServer, RpcServerConfig};

pub(crate) use calls::Status;
