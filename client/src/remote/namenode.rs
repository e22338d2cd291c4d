//! One namenode peer behind a socket.

use super::failure::{decode, encode, of_call};
use futures_util::future::BoxFuture;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService, method};
use granary_protocol::{Failure, RequestId};
use granary_rpc::RpcClient;
use std::time::Duration;

/// A namenode peer at one address. Asks once: finding the leader and trying again belong to
/// [`super::NamenodeCluster`].
///
/// A call whose fate is unknown (sent, no answer) fails with `DeadlineExceeded`; one that certainly did not reach the
/// peer with `Unavailable` or `Busy`.
pub struct RemoteNamenode {
    rpc: RpcClient,
    call_timeout: Duration,
}

impl RemoteNamenode {
    /// The peer that `rpc` reaches; every call is given `call_timeout`.
    pub fn new(rpc: RpcClient, call_timeout: Duration) -> Self {
        Self { rpc, call_timeout }
    }
}

impl NamenodeService for RemoteNamenode {
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        Box::pin(async move {
            let reply = self.rpc.call(method::CALL, encode(&request), self.call_timeout).await.map_err(of_call)?;
            decode(&reply)
        })
    }

    fn call_once(&self, id: RequestId, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        Box::pin(async move {
            let body = encode(&(id, request));
            let reply = self.rpc.call(method::CALL_ONCE, body, self.call_timeout).await.map_err(of_call)?;
            decode(&reply)
        })
    }
}
