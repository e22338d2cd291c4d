//! Services behind sockets: the same traits over rpc, against servers that speak the agreed wire form.
//!
//! Time runs here: sockets do not wait for a paused clock.

use crate::cluster::*;
use crate::fake_datanode::FakeDatanode;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::future::BoxFuture;
use granary_client::remote::{NamenodeCluster, RemoteDatanodes};
use granary_client::{Client, ClientComponents, ClientConfig};
use granary_protocol::block::DatanodeEndpoint;
use granary_protocol::datanode::*;
use granary_protocol::namenode::NamenodeService;
use granary_protocol::*;
use granary_rpc::{DuplexStream, PeerIdentity, RpcClientConfig, RpcHandler, RpcServer, Security};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const STEP: Duration = Duration::from_secs(60);

fn encode<T: serde::Serialize>(message: &T) -> Bytes {
    postcard::to_stdvec(message).unwrap().into()
}

struct NamenodeDoor(Cluster);

impl RpcHandler for NamenodeDoor {
    fn call<'a>(&'a self, _: &'a PeerIdentity, method: u16, body: Bytes) -> BoxFuture<'a, Result<Bytes, Bytes>> {
        Box::pin(async move {
            let request = match method {
                namenode::method::CALL => postcard::from_bytes(&body).unwrap(),
                namenode::method::CALL_ONCE => postcard::from_bytes::<(RequestId, _)>(&body).unwrap().1,
                other => panic!("method {other}"),
            };
            self.0.call(request).await.map(|reply| encode(&reply)).map_err(|failure| encode(&failure))
        })
    }

    fn stream<'a>(&'a self, _: &'a PeerIdentity, _: u16, _: Bytes, _: DuplexStream) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

/// A datanode's data port as the wire form describes it.
struct DatanodeDoor {
    datanode: FakeDatanode,
    /// Streams that ended cleanly.
    clean: Arc<AtomicUsize>,
}

impl DatanodeDoor {
    async fn write(&self, first: Bytes, mut stream: DuplexStream) -> Option<()> {
        let opened = self.datanode.write(postcard::from_bytes(&first).ok()?).await;
        let ready = opened.as_ref().map(|_| ()).map_err(Failure::clone);
        stream.send(encode(&ready), STEP).await.ok()?;
        let mut pipeline = opened.ok()?;
        let mut last = false;
        while !last {
            let mut frame = stream.recv(STEP).await.ok()??;
            let data = frame.split_off(2 + usize::from(u16::from_le_bytes([frame[0], frame[1]])));
            let header: PacketHeader = postcard::from_bytes(&frame[2..]).unwrap();
            let PacketHeader { sequence, offset, sync, data_crc, .. } = header;
            last = header.last;
            // One at a time is enough for a test.
            let packet = Packet { sequence, offset, sync, last, data_crc, data };
            let _ = pipeline.packets.send(packet).await;
            let ack = pipeline.acks.next().await;
            stream.send(encode(&ack), STEP).await.ok()?;
            ack.ok()?;
        }
        stream.finish(STEP).await.ok()?;
        assert_eq!(stream.recv(STEP).await.unwrap(), None);
        Some(())
    }

    async fn read(&self, first: Bytes, mut stream: DuplexStream) -> Option<()> {
        let opened = self.datanode.read(postcard::from_bytes(&first).ok()?).await;
        let ready = opened.as_ref().map(|_| ()).map_err(Failure::clone);
        stream.send(encode(&ready), STEP).await.ok()?;
        let mut replica = opened.ok()?;
        loop {
            let (kind, body) = match replica.next().await {
                Ok(Some(piece)) => (method::FRAME_DATA, piece),
                Ok(None) => break,
                Err(failure) => (method::FRAME_FAILURE, encode(&failure)),
            };
            let mut frame = BytesMut::with_capacity(1 + body.len());
            frame.put_u8(kind);
            frame.extend_from_slice(&body);
            stream.send(frame.freeze(), STEP).await.ok()?;
            if kind == method::FRAME_FAILURE {
                return None;
            }
        }
        stream.finish(STEP).await.ok()?;
        assert_eq!(stream.recv(STEP).await.ok()?, None);
        Some(())
    }
}

impl RpcHandler for DatanodeDoor {
    fn call<'a>(&'a self, _: &'a PeerIdentity, method: u16, body: Bytes) -> BoxFuture<'a, Result<Bytes, Bytes>> {
        Box::pin(async move {
            assert_eq!(method, method::CALL);
            let request = postcard::from_bytes(&body).unwrap();
            self.datanode.call(request).await.map(|reply| encode(&reply)).map_err(|failure| encode(&failure))
        })
    }

    fn stream<'a>(&'a self, _: &'a PeerIdentity, method: u16, first: Bytes, stream: DuplexStream) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let ended = match method {
                method::WRITE => self.write(first, stream).await,
                method::READ => self.read(first, stream).await,
                other => panic!("no such stream: {other}"),
            };
            self.clean.fetch_add(usize::from(ended.is_some()), Ordering::Relaxed);
        })
    }
}

async fn serve(handler: Arc<dyn RpcHandler>, stop: &CancellationToken) -> String {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = RpcServer::bind(any, Security::Plaintext, handler).await.unwrap();
    let address = server.local_addr().unwrap().to_string();
    tokio::spawn(server.run(stop.clone()));
    address
}

/// Knows where each datanode listens, as the namenode would have said.
struct Addressed {
    addresses: Vec<String>,
    remote: RemoteDatanodes,
}

impl DatanodeConnector for Addressed {
    fn datanode(&self, datanode: &DatanodeEndpoint) -> Arc<dyn DatanodeService> {
        let address = self.addresses[datanode.id.0 as usize - 1].clone();
        self.remote.datanode(&DatanodeEndpoint { address, ..datanode.clone() })
    }
}

#[tokio::test]
async fn objects_travel_over_sockets_and_survive_a_datanode() {
    let cluster = Cluster::new(4, 2);
    cluster.state().faults.piece_bytes = PACKET_BYTES_MAX;
    let stop = CancellationToken::new();
    let clean = Arc::new(AtomicUsize::new(0));
    let mut addresses = Vec::new();
    for volume in 1..=4 {
        let datanode = FakeDatanode { cluster: cluster.clone(), volume: VolumeId(volume) };
        addresses.push(serve(Arc::new(DatanodeDoor { datanode, clean: clean.clone() }), &stop).await);
    }
    // The first address answers nobody.
    let namenodes = ["127.0.0.1:1".to_owned(), serve(Arc::new(NamenodeDoor(cluster.clone())), &stop).await];
    let rpc = RpcClientConfig::default();
    let client = Client::start(
        ClientConfig { compaction: false, ..ClientConfig::default() },
        ClientComponents {
            namenode: Arc::new(NamenodeCluster::connect(&namenodes, &Security::Plaintext, &rpc)),
            datanodes: Arc::new(Addressed {
                addresses,
                remote: RemoteDatanodes::new(Security::Plaintext, rpc.clone(), None),
            }),
            local_datanode: None,
            holder: NodeName::from("tests"),
            lanes_on: None,
            shutdown: CancellationToken::new(),
        },
    )
    .unwrap();

    let sizes = [1usize, 4096, 3 << 20, 20 << 20];
    for (index, size) in sizes.into_iter().enumerate() {
        put(&client, &format!("k{index}"), &body(size, index as u64)).await.unwrap();
    }
    cluster.state().faults.dies_at_packet = Some((VolumeId(1), 5));
    put(&client, "during", &body(20 << 20, 77)).await.unwrap();
    assert!(cluster.state().faults.dead.contains(&VolumeId(1)));

    for (index, size) in sizes.into_iter().enumerate() {
        assert!(get(&client, &format!("k{index}")).await.unwrap() == body(size, index as u64), "{size} bytes");
    }
    assert!(get(&client, "during").await.unwrap() == body(20 << 20, 77));
    assert_eq!(get(&client, "absent").await.unwrap_err().code, ErrorCode::NoSuchKey);

    client.stop().await;
    assert!(cluster.state().leases.is_empty());
    // Two large contents, one of them in two blocks of which one broke, and every read: 5 contents in 6 extents.
    // The datanodes count after the clients have gone on.
    let counted = async {
        while clean.load(Ordering::Relaxed) < 8 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(STEP, counted)
        .await
        .expect("streams end cleanly, so that their connections can be used again");
    stop.cancel();
}
