//! [`RpcProtocol`]: a set of methods under the name of a Java interface, and what a method is told of its caller.

use crate::exception::{JavaException, RemoteException};
use crate::identity::ClaimedUser;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use prost::Message;
use std::net::SocketAddr;
use std::sync::Arc;

/// A call, without its parameters.
#[derive(Clone, Debug)]
pub struct Call {
    /// On whose behalf.
    pub user: Arc<ClaimedUser>,
    /// From where.
    pub peer: SocketAddr,
    /// Names the client's process; with `call_id` the call, over all of its retries.
    pub client_id: Bytes,
    /// The call.
    pub call_id: i32,
    /// How often it was sent before; -1 if the client does not say.
    pub retry_count: i32,
}

/// The methods of one Java interface.
pub trait RpcProtocol: Send + Sync + 'static {
    /// The interface's full name, as clients send it.
    fn name(&self) -> &'static str;

    /// Answers a call with the bytes of the method's response message. An unknown method is [`unknown_method`].
    fn call<'a>(
        &'a self,
        call: &'a Call,
        method: &'a str,
        parameters: Bytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, RemoteException>>;

    /// The last state this server has applied, told in every answer; `None` where there is no such thing.
    fn state_id(&self) -> Option<i64> {
        None
    }
}

/// The refusal of a method that `protocol` does not have. Clients of newer versions fall back to older calls by it.
pub fn unknown_method(protocol: &str, method: &str) -> RemoteException {
    RemoteException::new(JavaException::NoSuchMethod, format!("Unknown method {method} called on {protocol} protocol."))
}

/// Reads a method's parameters.
///
/// # Errors
/// An exception for the client if they are none.
pub fn decode<M: Message + Default>(parameters: Bytes) -> Result<M, RemoteException> {
    M::decode(parameters).map_err(|error| {
        RemoteException::new(JavaException::RpcServer, format!("IPC server unable to read call parameters: {error}"))
    })
}

/// The bytes of a method's response.
pub fn encode(response: &impl Message) -> Vec<u8> {
    response.encode_to_vec()
}
