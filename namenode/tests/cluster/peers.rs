//! Peers that can be started, stopped in order, and killed in the middle of whatever they do.
//!
//! Each peer has a runtime of its own, and is killed by ending it: no task gets to run another step.

use granary_namenode::Config;
use granary_namenode::clock::SystemClock;
use granary_namenode::config::{JoinConfig, PeerConfig};
use granary_namenode::peers::PeerDoor;
use granary_namenode::server::NamenodeServer;
use granary_namenode::service::Namenode;
use granary_namenode::startup::{Components, NamenodeError, Running, start};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, method};
use granary_protocol::{ErrorCode, Failure, PeerId, RequestId};
use granary_rpc::{ClusterCa, ClusterName, NodeName, RpcClient, RpcServer, Security, TlsMaterial};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

pub const CALL_DEADLINE: Duration = Duration::from_secs(10);
/// How long an election may take on a machine that is busy with other things.
const ELECTED_WITHIN: Duration = Duration::from_secs(90);
/// How long the files and the port of a peer that was killed may stay in use.
const LET_GO_WITHIN: Duration = Duration::from_secs(60);

/// A cluster's directories, authority and addresses, and the peers that run.
pub struct Cluster {
    pub authority: ClusterCa,
    pub configs: Vec<Config>,
    addresses: Vec<String>,
    peers: Vec<Option<Peer>>,
    newcomers: HashMap<usize, Newcomer>,
    clients: Vec<RpcClient>,
    directory: TempDir,
}

/// A peer that waits to be admitted.
type Newcomer =
    (Runtime, tokio::task::JoinHandle<Result<Running, NamenodeError>>, CancellationToken, tokio::task::JoinHandle<()>);

struct Peer {
    runtime: Runtime,
    namenode: Arc<Namenode>,
    running: Option<Running>,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Cluster {
    /// `count` peers, configured and not started.
    pub fn new(count: u64, adjust: impl Fn(&mut Config)) -> Cluster {
        let directory = tempfile::tempdir().unwrap();
        let authority = ClusterCa::generate(&ClusterName::new("test").unwrap()).unwrap();
        let peers: Vec<PeerConfig> = free_ports(count as usize)
            .into_iter()
            .zip(1..)
            .map(|(port, peer)| PeerConfig {
                peer: PeerId(peer),
                name: format!("namenode-{peer}").into(),
                address: format!("127.0.0.1:{port}"),
            })
            .collect();
        let configs: Vec<Config> = peers
            .iter()
            .map(|peer| {
                let mut config = Config::single(directory.path().join(peer.name.as_str()));
                (config.peer, config.peers) = (peer.peer, peers.clone());
                (config.heartbeat_interval_ms, config.election_timeout_ms) = (150, 600);
                // Writers of these tests do not renew, and datanodes are silent.
                config.lease_timeout_ms = 3_600_000;
                config.liveness.dead_after_ms = 3_600_000;
                adjust(&mut config);
                config
            })
            .collect();
        let gateway = security(&authority, "gateway-1", &["gateway"]);
        let addresses: Vec<String> = peers.iter().map(|peer| peer.address.clone()).collect();
        let clients = addresses.iter().map(|address| RpcClient::new(address.as_str(), gateway.clone())).collect();
        Cluster {
            authority,
            configs,
            addresses,
            peers: (0..count).map(|_| None).collect(),
            newcomers: HashMap::new(),
            clients,
            directory,
        }
    }

    /// One more peer, configured to join and not started; its place.
    pub fn newcomer(&mut self, name: &str) -> usize {
        let address = format!("127.0.0.1:{}", free_ports(1)[0]);
        let mut config = self.configs[0].clone();
        (config.peer, config.peers) = (PeerId::default(), Vec::new());
        config.join = Some(JoinConfig { name: name.into() });
        config.data = self.directory.path().join(format!("{name}-{}", self.configs.len()));
        self.configs.push(config);
        let gateway = security(&self.authority, "gateway-1", &["gateway"]);
        self.clients.push(RpcClient::new(address.as_str(), gateway));
        self.addresses.push(address);
        self.peers.push(None);
        self.peers.len() - 1
    }

    /// As `new`, and all of them started, with a leader.
    pub async fn started(count: u64, adjust: impl Fn(&mut Config)) -> Cluster {
        let mut cluster = Cluster::new(count, adjust);
        for at in 0..count as usize {
            cluster.start(at).await;
        }
        cluster.leader().await;
        cluster
    }

    pub fn data(&self, at: usize) -> PathBuf {
        self.configs[at].data.clone()
    }

    pub fn address(&self, at: usize) -> &str {
        &self.addresses[at]
    }

    pub fn namenode(&self, at: usize) -> &Arc<Namenode> {
        &self.peers[at].as_ref().expect("the peer runs").namenode
    }

    /// Starts a peer. One that was killed a moment ago may still hold its files and its port.
    pub async fn start(&mut self, at: usize) {
        let (address, security, shutdown) = self.place(at);
        let runtime = runtime();
        let deadline = Instant::now() + LET_GO_WITHIN;
        let door = PeerDoor::new();
        let serving = serve(&runtime, address, security.clone(), door.clone(), shutdown.clone());
        let running = loop {
            let components = Components {
                clock: Arc::new(SystemClock),
                security: security.clone(),
                authority: Some(ClusterCa::from_pem(self.authority.cert_pem(), &self.authority.key_pem()).unwrap()),
                door: door.clone(),
                shutdown: shutdown.clone(),
            };
            match runtime.spawn(start(self.configs[at].clone(), components)).await.unwrap() {
                Ok(running) => break running,
                Err(error) if Instant::now() < deadline => {
                    eprintln!("peer {at} does not start yet: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("peer {at} does not start: {error}"),
            }
        };
        let namenode = running.namenode.clone();
        self.peers[at] = Some(Peer { runtime, namenode, running: Some(running), shutdown, serving });
    }

    /// Starts a peer that waits to be admitted, without waiting for that.
    pub async fn start_newcomer(&mut self, at: usize) {
        let (address, security, shutdown) = self.place(at);
        let runtime = runtime();
        let door = PeerDoor::new();
        let serving = serve(&runtime, address, security.clone(), door.clone(), shutdown.clone());
        let components =
            Components { clock: Arc::new(SystemClock), security, authority: None, door, shutdown: shutdown.clone() };
        let starting = runtime.spawn(start(self.configs[at].clone(), components));
        self.newcomers.insert(at, (runtime, starting, shutdown, serving));
        wait_until("its port is open", LET_GO_WITHIN, async || tokio::net::TcpStream::connect(address).await.is_ok())
            .await;
    }

    /// Waits until it was admitted.
    pub async fn started_newcomer(&mut self, at: usize) {
        let (runtime, starting, shutdown, serving) = self.newcomers.remove(&at).expect("it was started");
        let running = starting.await.unwrap().unwrap();
        let namenode = running.namenode.clone();
        self.peers[at] = Some(Peer { runtime, namenode, running: Some(running), shutdown, serving });
    }

    /// Lets a peer that is not started listen elsewhere.
    pub fn move_to(&mut self, at: usize, address: &str) {
        self.addresses[at] = address.to_owned();
        self.clients[at] = RpcClient::new(address, security(&self.authority, "gateway-1", &["gateway"]));
    }

    /// Whether a peer has given up by itself.
    pub fn has_ended(&self, at: usize) -> bool {
        self.peers[at].as_ref().expect("the peer was started").shutdown.is_cancelled()
    }

    fn place(&self, at: usize) -> (SocketAddr, Security, CancellationToken) {
        let security = security(&self.authority, self.configs[at].name().as_str(), &["namenode"]);
        (self.address(at).parse().unwrap(), security, CancellationToken::new())
    }

    /// Ends a peer as a crash would.
    pub fn kill(&mut self, at: usize) {
        let peer = self.peers[at].take().expect("the peer runs");
        peer.runtime.shutdown_background();
    }

    /// Ends a peer in order; how long that took.
    pub async fn stop(&mut self, at: usize) -> Duration {
        let mut peer = self.peers[at].take().expect("the peer runs");
        let started = Instant::now();
        peer.shutdown.cancel();
        peer.serving.await.unwrap();
        drop(peer.namenode);
        peer.running.take().unwrap().join().await.unwrap();
        let took = started.elapsed();
        peer.runtime.shutdown_background();
        took
    }

    /// The peer that leads and answers.
    pub async fn leader(&self) -> usize {
        let mut leader = None;
        wait_until("a leader answers", ELECTED_WITHIN, async || {
            for at in 0..self.peers.len() {
                if self.peers[at].is_some() && self.ask(at, NamenodeRequest::Status).await.is_ok() {
                    leader = Some(at);
                    return true;
                }
            }
            false
        })
        .await;
        leader.unwrap()
    }

    /// Asks one peer, over its socket, as a gateway.
    pub async fn ask(&self, at: usize, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        ask(&self.clients[at], request).await
    }

    /// Asks one peer under a number.
    pub async fn ask_once(
        &self,
        at: usize,
        id: RequestId,
        request: &NamenodeRequest,
    ) -> Result<NamenodeReply, Failure> {
        let body = postcard::to_stdvec(&(id, request)).unwrap();
        answer_of(self.clients[at].call(method::CALL_ONCE, body.into(), CALL_DEADLINE).await)
    }

    /// Asks whoever leads, for as long as that takes: also a newcomer, which may be elected as soon as it votes.
    pub async fn ask_leader(&self, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
        // Long enough for elections on a machine that is busy with other tests.
        let deadline = Instant::now() + ELECTED_WITHIN;
        loop {
            for at in 0..self.peers.len() {
                if self.peers[at].is_none() && !self.newcomers.contains_key(&at) {
                    continue;
                }
                match self.ask(at, request.clone()).await {
                    Err(failure) if moves_on(&failure) && Instant::now() < deadline => {}
                    outcome => return outcome,
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn figure(&self, at: usize, name: &str) -> u64 {
        let text = self.namenode(at).metrics_text();
        let line = text.lines().find(|line| line.starts_with(&format!("granary_namenode_{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for peer in self.peers.iter_mut().filter_map(Option::take) {
            peer.runtime.shutdown_background();
        }
    }
}

fn moves_on(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::NotLeader { .. } | ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Busy
    )
}

/// One call. What goes wrong on the way is `Unavailable`.
pub async fn ask(client: &RpcClient, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
    let body = postcard::to_stdvec(&request).unwrap();
    answer_of(client.call(method::CALL, body.into(), CALL_DEADLINE).await)
}

fn answer_of(called: Result<bytes::Bytes, granary_rpc::RpcError>) -> Result<NamenodeReply, Failure> {
    match called {
        Ok(reply) => Ok(postcard::from_bytes(&reply).unwrap()),
        Err(granary_rpc::RpcError::Remote(failure)) => Err(postcard::from_bytes(&failure).unwrap()),
        Err(error) => Err(Failure::new(ErrorCode::Unavailable, error.to_string())),
    }
}

pub fn security(authority: &ClusterCa, name: &str, roles: &[&str]) -> Security {
    let certificate = authority.issue(&NodeName::new(name).unwrap(), roles, &[]).unwrap();
    Security::MutualTls(Arc::new(TlsMaterial::from_pem(authority.cert_pem(), &certificate).unwrap()))
}

pub async fn wait_until(what: &str, limit: Duration, mut check: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !check().await {
        assert!(started.elapsed() < limit, "{what}: not after {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Opens a peer's port, on the peer's own runtime, so that it lives and dies with it.
fn serve(
    runtime: &Runtime,
    address: SocketAddr,
    security: Security,
    door: Arc<PeerDoor>,
    shutdown: CancellationToken,
) -> tokio::task::JoinHandle<()> {
    let handler = Arc::new(NamenodeServer::new(door));
    let deadline = Instant::now() + LET_GO_WITHIN;
    runtime.spawn(async move {
        loop {
            match RpcServer::bind(address, security.clone(), handler.clone()).await {
                Ok(server) => break server.run(shutdown).await,
                Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => panic!("{address}: {error}"),
            }
        }
    })
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}
