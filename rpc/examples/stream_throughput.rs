//! How fast one stream moves packets over loopback, with and without TLS:
//! `cargo run --release -p granary-rpc --example stream_throughput [packet KiB] [total MiB]`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use granary_rpc::{
    BoxFuture, ClusterCa, ClusterName, DuplexStream, NodeName, PeerIdentity, RpcClient, RpcHandler, RpcServer,
    Security, TlsMaterial,
};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const WAIT: Duration = Duration::from_secs(30);
const CALLS: u32 = 20_000;
const CALLERS: u32 = 64;

/// Echoes calls, acknowledges each packet of a stream with an empty one.
struct Sink;

impl RpcHandler for Sink {
    fn call<'a>(&'a self, _: &'a PeerIdentity, _: u16, body: Bytes) -> BoxFuture<'a, Result<Bytes, Bytes>> {
        Box::pin(async { Ok(body) })
    }

    fn stream<'a>(&'a self, _: &'a PeerIdentity, _: u16, _: Bytes, mut stream: DuplexStream) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            while let Ok(Some(_)) = stream.recv(WAIT).await {
                if stream.send(Bytes::new(), WAIT).await.is_err() {
                    return;
                }
            }
            let _ = stream.finish(WAIT).await;
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let packet_kib: usize = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let total_mib: usize = arguments.next().map_or(Ok(2048), |text| text.parse())?;
    let ca = ClusterCa::generate(&ClusterName::new("example")?)?;
    let node = ca.issue(&NodeName::new("node")?, &[], &[])?;
    let tls = Security::MutualTls(Arc::new(TlsMaterial::from_pem(ca.cert_pem(), &node)?));
    for (name, security) in [("plaintext", Security::Plaintext), ("mutual TLS", tls)] {
        let server = RpcServer::bind("127.0.0.1:0".parse()?, security.clone(), Arc::new(Sink)).await?;
        let client = RpcClient::new(server.local_addr()?.to_string(), security);
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(server.run(shutdown.clone()));
        let stream_s = stream(&client, packet_kib * 1024, total_mib * 1024 / packet_kib).await?;
        let calls_s = calls(&client).await?;
        let mib_per_s = total_mib as f64 / stream_s;
        println!("{name}: stream {mib_per_s:.0} MiB/s, {:.0} calls/s", f64::from(CALLS) / calls_s);
        client.close().await;
        shutdown.cancel();
        serving.await?;
    }
    Ok(())
}

async fn stream(client: &RpcClient, packet_bytes: usize, packets: usize) -> Result<f64, Failure> {
    let (mut send, mut recv) = client.open_stream(1, Bytes::new(), WAIT).await?.split();
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        let data = Bytes::from(vec![7; packet_bytes]);
        for _ in 0..packets {
            send.send_vectored(Bytes::from_static(&[0; 32]), data.clone(), WAIT).await?;
        }
        send.finish(WAIT).await
    });
    while recv.recv(WAIT).await?.is_some() {}
    sending.await??;
    Ok(begun.elapsed().as_secs_f64())
}

async fn calls(client: &RpcClient) -> Result<f64, Failure> {
    let begun = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let client = client.clone();
        callers.spawn(async move {
            for _ in 0..CALLS / CALLERS {
                client.call(1, Bytes::from_static(b"a small request"), WAIT).await?;
            }
            Ok::<_, granary_rpc::RpcError>(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    Ok(begun.elapsed().as_secs_f64())
}
