//! openraft's network over [`granary_rpc`], and the answering side.

use super::snapshot::SnapshotData;
use super::{LogId, PeerNode, Raft, TypeConfig};
use bytes::Bytes;
use granary_protocol::{Failure, PeerId};
use granary_rpc::{DuplexStream, RpcClient, RpcError, Security};
use openraft::error::{NetworkError, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse};
use openraft::{CommittedLeaderId, Snapshot, SnapshotMeta, Vote};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

/// Method numbers between peers. Each message names the peer it is for, because an address may come to be another peer's,
/// whose answer must not count as that of the one before. 201 to 203 were these without the name.
pub mod method {
    /// `AppendEntries`.
    pub const APPEND: u16 = 206;
    /// `RequestVote`.
    pub const VOTE: u16 = 207;
    /// A whole snapshot, as a stream.
    pub const SNAPSHOT: u16 = 208;
    /// A vote that is promised before it is asked for; answered by whether it is.
    pub const PROMISE: u16 = 209;
    /// Stand for election now; answered by nothing.
    pub const CAMPAIGN: u16 = 210;
}

/// Bytes of pairs in one packet of a snapshot.
const SNAPSHOT_PACKET_BYTES: usize = 512 << 10;
/// How long one packet of a snapshot may take.
const SNAPSHOT_PACKET_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes connections to peers, one to each: openraft asks for a new client at every confirmation of leadership, which
/// would cost a TLS handshake each time.
pub struct PeerNetwork {
    security: Security,
    clients: HashMap<u64, (String, RpcClient)>,
}

impl PeerNetwork {
    /// Connections secured by `security`.
    pub fn new(security: Security) -> PeerNetwork {
        PeerNetwork { security, clients: HashMap::new() }
    }
}

impl RaftNetworkFactory<TypeConfig> for PeerNetwork {
    type Network = PeerConnection;

    async fn new_client(&mut self, target: u64, node: &PeerNode) -> PeerConnection {
        match self.clients.get(&target) {
            Some((address, client)) if *address == node.address => PeerConnection { target, client: client.clone() },
            _ => {
                let client = RpcClient::new(node.address.as_str(), self.security.clone());
                self.clients.insert(target, (node.address.clone(), client.clone()));
                PeerConnection { target, client }
            }
        }
    }
}

/// A connection to one peer.
pub struct PeerConnection {
    target: u64,
    client: RpcClient,
}

type CallError = RPCError<u64, PeerNode, RaftError<u64>>;

impl PeerConnection {
    /// A connection of its own.
    pub fn new(target: u64, node: &PeerNode, security: Security) -> PeerConnection {
        PeerConnection { target, client: RpcClient::new(node.address.as_str(), security) }
    }

    /// Has the peer promise its vote; whether it does.
    ///
    /// # Errors
    /// Whatever happened on the way, or the peer's refusal.
    pub async fn promise(&self, vote: Vote<u64>, deadline: Duration) -> Result<bool, RpcError> {
        self.order(method::PROMISE, &vote, deadline).await
    }

    /// Has the peer stand for election.
    ///
    /// # Errors
    /// Whatever happened on the way, or the peer's refusal.
    pub async fn campaign(&self, deadline: Duration) -> Result<(), RpcError> {
        self.order(method::CAMPAIGN, &(), deadline).await
    }

    async fn order<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: u16,
        question: &Q,
        deadline: Duration,
    ) -> Result<A, RpcError> {
        let body = postcard::to_stdvec(&(self.target, question)).map_err(malformed)?;
        let reply = self.client.call(method, Bytes::from(body), deadline).await?;
        postcard::from_bytes(&reply).map_err(malformed)
    }

    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        method: u16,
        request: &Q,
        option: RPCOption,
    ) -> Result<A, CallError> {
        let body = postcard::to_stdvec(&(self.target, request)).map_err(|error| NetworkError::new(&error))?;
        let reply = self.client.call(method, Bytes::from(body), option.hard_ttl()).await.map_err(rpc_error)?;
        let answer: Result<A, RaftError<u64>> =
            postcard::from_bytes(&reply).map_err(|error| NetworkError::new(&error))?;
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.target, error)))
    }
}

fn rpc_error(error: RpcError) -> CallError {
    if error.was_sent() {
        RPCError::Network(NetworkError::new(&error))
    } else {
        RPCError::Unreachable(Unreachable::new(&error))
    }
}

impl RaftNetwork<TypeConfig> for PeerConnection {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, CallError> {
        self.call(method::APPEND, &rpc, option).await
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> Result<VoteResponse<u64>, CallError> {
        self.call(method::VOTE, &rpc, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, openraft::error::Fatal<u64>>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send_snapshot(&self.client, self.target, vote, snapshot, option.hard_ttl()) => sent.map_err(|error| StreamingError::Network(NetworkError::new(&error))),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(Duration::from_millis(200)))
    }
}

#[derive(Serialize, Deserialize)]
struct SnapshotHeader {
    target: u64,
    vote: Vote<u64>,
    meta: SnapshotMeta<u64, PeerNode>,
}

type Pairs = Vec<(Bytes, Bytes)>;

async fn send_snapshot(
    client: &RpcClient,
    target: u64,
    vote: Vote<u64>,
    snapshot: Snapshot<TypeConfig>,
    deadline: Duration,
) -> Result<SnapshotResponse<u64>, RpcError> {
    let header = SnapshotHeader { target, vote, meta: snapshot.meta };
    let first = postcard::to_stdvec(&header).map_err(malformed)?;
    let mut stream = client.open_stream(method::SNAPSHOT, Bytes::from(first), deadline).await?;
    let SnapshotData::View(view) = *snapshot.snapshot else {
        return Err(malformed("a received snapshot cannot be sent"));
    };
    let mut from: Option<Bytes> = Some(Bytes::new());
    while let Some(start) = from.take() {
        let view = view.clone();
        let page = granary_rpc::spawn_blocking(move || -> Result<_, crate::engine::EngineError> {
            let mut pairs: Pairs = Vec::new();
            let mut bytes = 0;
            for pair in view.scan(&start, None) {
                let (key, value) = pair?;
                if bytes > SNAPSHOT_PACKET_BYTES {
                    return Ok((pairs, Some(key)));
                }
                bytes += key.len() + value.len();
                pairs.push((key, value));
            }
            Ok((pairs, None))
        });
        let (pairs, next) = page.await.map_err(malformed)?.map_err(malformed)?;
        from = next;
        let packet = postcard::to_stdvec(&pairs).map_err(malformed)?;
        stream.send(Bytes::from(packet), SNAPSHOT_PACKET_TIMEOUT).await?;
    }
    stream.finish(SNAPSHOT_PACKET_TIMEOUT).await?;
    let reply =
        stream.recv(deadline.max(SNAPSHOT_PACKET_TIMEOUT)).await?.ok_or_else(|| malformed("no reply to a snapshot"))?;
    postcard::from_bytes(&reply).map_err(malformed)
}

fn malformed(error: impl ToString) -> RpcError {
    RpcError::Remote(Bytes::from(error.to_string()))
}

/// Answers a call of another peer to this one, which is `own`.
pub async fn answer(raft: &Raft, own: PeerId, method: u16, body: Bytes) -> Result<Bytes, Bytes> {
    match method {
        method::APPEND => encode(&raft.append_entries(decode(own, &body)?).await),
        method::VOTE => encode(&raft.vote(decode(own, &body)?).await),
        method::PROMISE => {
            encode(&promise(raft, decode(own, &body)?).await.map_err(|error| refusal(error.to_string()))?)
        }
        method::CAMPAIGN => {
            let () = decode(own, &body)?;
            encode(&raft.trigger().elect().await.map_err(|error| refusal(error.to_string()))?)
        }
        _ => Err(refusal(format!("no method {method} between peers"))),
    }
}

/// Promises this peer's vote, whatever leader it hears from; whether it was not given in this or a later term to another.
///
/// openraft takes a later term from any message. This one has nothing to append, and names an entry before it that is in no
/// log, so that the vote is all that comes of it.
///
/// # Errors
/// Raft has stopped.
pub async fn promise(raft: &Raft, vote: Vote<u64>) -> Result<bool, RaftError<u64>> {
    let nowhere = LogId::new(CommittedLeaderId::new(vote.leader_id().term, vote.leader_id().node_id), u64::MAX - 1);
    let vote = Vote { committed: false, ..vote };
    let message = AppendEntriesRequest { vote, prev_log_id: Some(nowhere), entries: Vec::new(), leader_commit: None };
    Ok(!matches!(raft.append_entries(message).await?, AppendEntriesResponse::HigherVote(_)))
}

/// Takes in a snapshot of another peer for this one, which is `own`.
pub async fn receive_snapshot(
    raft: &Raft,
    own: PeerId,
    first: Bytes,
    mut stream: DuplexStream,
) -> Result<(), RpcError> {
    let header: SnapshotHeader = postcard::from_bytes(&first).map_err(malformed)?;
    if header.target != own.0 {
        return Err(malformed(format!("a snapshot for peer {}; this is peer {own}", header.target)));
    }
    let data = raft.begin_receiving_snapshot().await.map_err(malformed)?;
    let SnapshotData::Received(receiving) = &*data else {
        return Err(malformed("a snapshot is received into a fresh engine"));
    };
    while let Some(packet) = stream.recv(SNAPSHOT_PACKET_TIMEOUT).await? {
        let pairs: Pairs = postcard::from_bytes(&packet).map_err(malformed)?;
        let engine = receiving.engine.clone();
        granary_rpc::spawn_blocking(move || {
            let mut batch = crate::engine::WriteBatch::new();
            for (key, value) in pairs {
                batch.put(key, value);
            }
            engine.write(batch)
        })
        .await
        .map_err(malformed)?
        .map_err(malformed)?;
    }
    let snapshot = Snapshot { meta: header.meta, snapshot: data };
    let installed = raft.install_full_snapshot(header.vote, snapshot).await.map_err(malformed)?;
    stream.send(Bytes::from(postcard::to_stdvec(&installed).map_err(malformed)?), SNAPSHOT_PACKET_TIMEOUT).await?;
    stream.finish(SNAPSHOT_PACKET_TIMEOUT).await
}

fn decode<T: DeserializeOwned>(own: PeerId, body: &[u8]) -> Result<T, Bytes> {
    let malformed = |error: postcard::Error| refusal(error.to_string());
    let (target, rest): (u64, &[u8]) = postcard::take_from_bytes(body).map_err(malformed)?;
    if target != own.0 {
        return Err(refusal(format!("a call for peer {target}; this is peer {own}")));
    }
    postcard::from_bytes(rest).map_err(malformed)
}

fn encode<T: Serialize>(answer: &T) -> Result<Bytes, Bytes> {
    postcard::to_stdvec(answer).map(Bytes::from).map_err(|error| refusal(error.to_string()))
}

fn refusal(detail: String) -> Bytes {
    let failure = Failure::new(granary_protocol::ErrorCode::Malformed, detail);
    Bytes::from(postcard::to_stdvec(&failure).expect("a failure always encodes"))
}
