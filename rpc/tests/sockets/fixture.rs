//! A server whose methods misbehave on request, certificates for everybody, and waiting for a condition.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use granary_protocol::MESSAGES_VERSION;
use granary_rpc::{
    BoxFuture, ClusterCa, ClusterName, DuplexStream, NodeName, PeerIdentity, RpcClient, RpcHandler, RpcServer,
    RpcServerConfig, Security, TlsMaterial, WIRE_VERSION,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const LONG: Duration = Duration::from_secs(120);

/// Answers with the request's body.
pub const ECHO: u16 = 1;
/// Sleeps for the milliseconds (u64) in the body, then echoes it.
pub const SLEEP: u16 = 2;
/// Never answers.
pub const HANG: u16 = 3;
/// Answers with an application error.
pub const FAIL: u16 = 4;
/// Panics.
pub const PANIC: u16 = 5;
/// Answers with the proved name of the caller.
pub const WHO: u16 = 6;
/// Answers with one byte more than fits.
pub const TOO_LARGE: u16 = 7;
/// Stream: acknowledges each packet with its length (u64); finishes after the peer does.
pub const ACK: u16 = 11;
/// Stream: sends one packet, then goes away without finishing.
pub const CUT: u16 = 12;
/// Stream: receives nothing.
pub const DEAF: u16 = 13;
/// Stream: sends one packet, finishes, and leaves what the peer sends unread.
pub const CURT: u16 = 14;

#[derive(Default)]
pub struct Misbehaving {
    pub calls_running: Arc<AtomicUsize>,
}

struct Running(Arc<AtomicUsize>);

impl Running {
    fn enter(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl RpcHandler for Misbehaving {
    fn call<'a>(&'a self, peer: &'a PeerIdentity, method: u16, body: Bytes) -> BoxFuture<'a, Result<Bytes, Bytes>> {
        Box::pin(async move {
            let _running = Running::enter(&self.calls_running);
            match method {
                ECHO => Ok(body),
                SLEEP => {
                    tokio::time::sleep(Duration::from_millis(body.clone().get_u64())).await;
                    Ok(body)
                }
                HANG => std::future::pending().await,
                FAIL => Err(Bytes::from_static(b"no such block")),
                PANIC => panic!("asked to"),
                WHO => Ok(Bytes::from(peer.name().map(ToString::to_string).unwrap_or_default())),
                TOO_LARGE => Ok(Bytes::from(vec![0; granary_rpc::CALL_BODY_BYTES_MAX + 1])),
                _ => Err(Bytes::from_static(b"unknown method")),
            }
        })
    }

    fn stream<'a>(
        &'a self,
        _peer: &'a PeerIdentity,
        method: u16,
        first: Bytes,
        mut stream: DuplexStream,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            match method {
                ACK => {
                    while let Ok(Some(packet)) = stream.recv(LONG).await {
                        let ack = Bytes::copy_from_slice(&(packet.len() as u64).to_be_bytes());
                        if stream.send(ack, LONG).await.is_err() {
                            return;
                        }
                    }
                    let _ = stream.finish(LONG).await;
                }
                CUT => {
                    let _ = stream.send(first, LONG).await;
                }
                DEAF => std::future::pending().await,
                CURT => {
                    let _ = stream.send(first, LONG).await;
                    let _ = stream.finish(LONG).await;
                }
                _ => {}
            }
        })
    }
}

pub struct TestServer {
    pub addr: SocketAddr,
    pub calls_running: Arc<AtomicUsize>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<()>,
}

impl TestServer {
    pub async fn start(security: Security) -> Self {
        Self::start_with(security, "127.0.0.1:0".parse().unwrap(), RpcServerConfig::default()).await
    }

    pub async fn start_with(security: Security, addr: SocketAddr, config: RpcServerConfig) -> Self {
        let handler = Arc::new(Misbehaving::default());
        let calls_running = handler.calls_running.clone();
        let server = RpcServer::bind(addr, security, handler).await.unwrap().with_config(config);
        let addr = server.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.run(shutdown.clone()));
        Self { addr, calls_running, shutdown, task }
    }

    pub fn client(&self, security: Security) -> RpcClient {
        RpcClient::new(self.addr.to_string(), security)
    }

    /// Ends it the hard way: every socket closes at once.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

pub fn ca() -> ClusterCa {
    ClusterCa::generate(&ClusterName::new("test").unwrap()).unwrap()
}

pub fn node(ca: &ClusterCa, name: &str) -> Security {
    let certificate = ca.issue(&NodeName::new(name).unwrap(), &["datanode"], &[]).unwrap();
    Security::MutualTls(Arc::new(TlsMaterial::from_pem(ca.cert_pem(), &certificate).unwrap()))
}

/// A hello of this version whose seventh byte, the purpose or the verdict, is `word`.
pub const fn hello(word: u8) -> [u8; 8] {
    let [major, minor] = WIRE_VERSION.to_be_bytes();
    [b'G', b'R', b'N', b'Y', major, minor, word, MESSAGES_VERSION]
}

/// Server and client settings, for each way of protection.
pub fn both_ways() -> [(Security, Security); 2] {
    let ca = ca();
    [(Security::Plaintext, Security::Plaintext), (node(&ca, "server"), node(&ca, "client"))]
}

pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("did not happen in 60 s: {what}");
}
