//! The namenode's internal port: requests of other processes, and Raft between peers.
//!
//! Certificates decide who may ask what: only namenodes speak Raft, only datanodes report replicas (and only under
//! their own name). On a plaintext network, which the operator chose, everybody who reaches the port is trusted.

use crate::peers::PeerDoor;
use crate::peers::words::method as peer_method;
use crate::raft::network::{self, method as raft_method};
use crate::service::Namenode;
use bytes::Bytes;
use granary_protocol::jobs::JobsCall;
use granary_protocol::namenode::{NamenodeRequest, NamenodeService, method};
use granary_protocol::{ErrorCode, Failure, RequestId};
use granary_rpc::{BoxFuture, DuplexStream, PeerIdentity, RpcHandler};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The role in a namenode's certificate.
pub const ROLE_NAMENODE: &str = "namenode";
/// The role in a datanode's certificate.
pub const ROLE_DATANODE: &str = "datanode";
/// The role in a gateway's certificate.
pub const ROLE_GATEWAY: &str = "gateway";

/// Answers other processes.
pub struct NamenodeServer {
    door: Arc<PeerDoor>,
}

impl NamenodeServer {
    /// Answers with the peer behind `door`, which may still be on its way.
    pub fn new(door: Arc<PeerDoor>) -> NamenodeServer {
        NamenodeServer { door }
    }

    async fn answer(&self, peer: &PeerIdentity, method: u16, body: Bytes) -> Result<Bytes, Failure> {
        match method {
            method::CALL => {
                let namenode = self.door.namenode().ok_or_else(not_ready)?;
                let request: NamenodeRequest = decode(&body)?;
                authorize(peer, &request, namenode)?;
                encode(&namenode.call(request).await?)
            }
            method::CALL_ONCE => {
                let namenode = self.door.namenode().ok_or_else(not_ready)?;
                let (id, request): (RequestId, NamenodeRequest) = decode(&body)?;
                authorize(peer, &request, namenode)?;
                encode(&namenode.call_once(id, request).await?)
            }
            peer_method::INTRODUCE => {
                require(peer, ROLE_NAMENODE)?;
                encode(&self.door.introduce(peer, &decode(&body)?)?)
            }
            peer_method::ADMIT => {
                require(peer, ROLE_NAMENODE)?;
                encode(&self.door.admit(&decode(&body)?)?)
            }
            _ => {
                require(peer, ROLE_NAMENODE)?;
                let (namenode, own) = self.door.raft_peer().ok_or_else(not_ready)?;
                network::answer(namenode.raft(), own, method, body)
                    .await
                    .map_err(|bytes| decode(&bytes).unwrap_or_else(|failure| failure))
            }
        }
    }
}

impl RpcHandler for NamenodeServer {
    fn call<'a>(&'a self, peer: &'a PeerIdentity, method: u16, body: Bytes) -> BoxFuture<'a, Result<Bytes, Bytes>> {
        Box::pin(async move {
            self.answer(peer, method, body)
                .await
                .map_err(|failure| Bytes::from(postcard::to_stdvec(&failure).expect("a failure always encodes")))
        })
    }

    fn stream<'a>(
        &'a self,
        peer: &'a PeerIdentity,
        method: u16,
        first: Bytes,
        stream: DuplexStream,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let allowed = method == raft_method::SNAPSHOT && require(peer, ROLE_NAMENODE).is_ok();
            if !allowed {
                tracing::warn!(peer = %peer.addr, method, "refused a stream");
                return;
            }
            let Some((namenode, own)) = self.door.raft_peer() else { return };
            if let Err(error) = network::receive_snapshot(namenode.raft(), own, first, stream).await {
                tracing::warn!(peer = %peer.addr, %error, "a snapshot did not arrive");
            }
        })
    }
}

fn require(peer: &PeerIdentity, role: &str) -> Result<(), Failure> {
    if peer.node.is_none() || peer.has_role(role) {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::AccessDenied, format!("only a {role} may ask this")))
}

fn authorize(peer: &PeerIdentity, request: &NamenodeRequest, namenode: &Namenode) -> Result<(), Failure> {
    let Some(node) = &peer.node else { return Ok(()) };
    let own_name = |name: &str| {
        if name == node.name.as_str() {
            return Ok(());
        }
        Err(Failure::new(ErrorCode::AccessDenied, format!("{} may not speak for {name}", node.name)))
    };
    match request {
        NamenodeRequest::RegisterDatanode { datanode, .. } => {
            require(peer, ROLE_DATANODE)?;
            own_name(datanode.name.as_str())
        }
        NamenodeRequest::AnnounceDatanodeDoor(door) => {
            require(peer, ROLE_DATANODE)?;
            own_name(door.name.as_str())
        }
        NamenodeRequest::Heartbeat { datanode, .. }
        | NamenodeRequest::BlockReport { datanode, .. }
        | NamenodeRequest::ReplicasChanged { datanode, .. } => {
            require(peer, ROLE_DATANODE)?;
            // One that is not registered is told so by the service.
            namenode.datanode_name(*datanode).map_or(Ok(()), |name| own_name(name.as_str()))
        }
        NamenodeRequest::Jobs(call) => match &**call {
            JobsCall::Submit(_) | JobsCall::Ask { .. } | JobsCall::Kill { .. } => require(peer, ROLE_GATEWAY),
            JobsCall::Poll(poll) => {
                require(peer, ROLE_DATANODE)?;
                own_name(poll.runner.as_str())
            }
            JobsCall::OpenOutput { runner, .. } | JobsCall::OpenSealedOutput { runner, .. } => {
                require(peer, ROLE_DATANODE)?;
                own_name(runner.as_str())
            }
        },
        NamenodeRequest::ChangeJobs(_) | NamenodeRequest::QueryJobs(_) => require(peer, ROLE_NAMENODE),
        NamenodeRequest::ListPeers | NamenodeRequest::DatanodeDoors => require(peer, ROLE_GATEWAY)
            .or_else(|_| require(peer, ROLE_DATANODE))
            .or_else(|_| require(peer, ROLE_NAMENODE)),
        _ => require(peer, ROLE_GATEWAY),
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    postcard::from_bytes(body).map_err(|error| Failure::new(ErrorCode::Malformed, error.to_string()))
}

fn encode<T: Serialize>(answer: &T) -> Result<Bytes, Failure> {
    let bytes = postcard::to_stdvec(answer).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    Ok(Bytes::from(bytes))
}

fn not_ready() -> Failure {
    Failure::new(ErrorCode::Unavailable, "this namenode is not ready yet")
}
