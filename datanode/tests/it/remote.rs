//! The data port, frame by frame as the protocol describes it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use granary_datanode::DatanodeRpc;
use granary_protocol::block::BlockKind::Owned;
use granary_protocol::datanode::{Ack, DatanodeReply, DatanodeRequest, PacketHeader, method};
use granary_protocol::token::AccessMode;
use granary_protocol::*;
use granary_rpc::{RecvHalf, RpcClient, RpcError, RpcServer, Security};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::support::*;

const SOON: Duration = Duration::from_secs(60);

fn encode(value: &impl Serialize) -> Bytes {
    postcard::to_stdvec(value).unwrap().into()
}

fn frame(header: PacketHeader) -> Bytes {
    let header = postcard::to_stdvec(&header).unwrap();
    [&(header.len() as u16).to_le_bytes(), header.as_slice()].concat().into()
}

async fn answer<T: DeserializeOwned>(receiver: &mut RecvHalf) -> Result<T, Failure> {
    postcard::from_bytes(&receiver.recv(SOON).await.unwrap().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_written_read_and_verified_over_a_socket() {
    let cluster = Cluster::new();
    let node = cluster.node(&["a", "b"]).await;
    let handler = Arc::new(DatanodeRpc::new(Arc::new(node.clone())));
    let server = RpcServer::bind("127.0.0.1:0".parse().unwrap(), Security::Plaintext, handler).await.unwrap();
    let client = RpcClient::new(server.local_addr().unwrap().to_string(), Security::Plaintext);
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(server.run(shutdown.clone()));

    let (block, volume) = (BlockId(1), node.volume_ids()[1]);
    let data = Bytes::from(pattern(3_000_000));
    let request = write_request(block, Owned, pipeline(&node));
    let stream = client.open_stream(method::WRITE, encode(&request), SOON).await.unwrap();
    let (mut sender, mut receiver) = stream.split();
    answer::<()>(&mut receiver).await.unwrap();
    let mut offset = 0;
    for sequence in 0..4u64 {
        let piece = data.slice(offset..data.len().min(offset + 1_000_000));
        let (last, data_crc) = (sequence == 3, granary_protocol::checksum::crc32c(&piece));
        let header = frame(PacketHeader { sequence, offset: offset as u32, sync: false, last, data_crc });
        offset += piece.len();
        sender.send_vectored(header, piece, SOON).await.unwrap();
    }
    sender.finish(SOON).await.unwrap();
    for sequence in 0..4 {
        assert_eq!(answer::<Ack>(&mut receiver).await.unwrap().sequence, sequence);
    }
    assert!(receiver.recv(SOON).await.unwrap().is_none());
    drop((sender, receiver));

    let request = read_request(volume, block, 5, 2_999_990);
    let mut stream = client.open_stream(method::READ, encode(&request), SOON).await.unwrap();
    stream.finish(SOON).await.unwrap();
    let (_sender, mut receiver) = stream.split();
    answer::<()>(&mut receiver).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = receiver.recv(SOON).await.unwrap() {
        assert_eq!(piece[0], method::FRAME_DATA);
        bytes.extend_from_slice(&piece[1..]);
    }
    assert!(bytes == data[5..2_999_995]);

    // The second megabyte is damaged: what comes before it is delivered, then the failure.
    let path = files(&cluster.path("b"), ".o").pop().unwrap();
    let mut damaged = std::fs::read(&path).unwrap();
    damaged[1_500_000] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let mut stream =
        client.open_stream(method::READ, encode(&read_request(volume, block, 0, 3_000_000)), SOON).await.unwrap();
    stream.finish(SOON).await.unwrap();
    let (_sender, mut receiver) = stream.split();
    answer::<()>(&mut receiver).await.unwrap();
    let first = receiver.recv(SOON).await.unwrap().unwrap();
    assert!(first[1..] == data[..first.len() - 1]);
    let failed = receiver.recv(SOON).await.unwrap().unwrap();
    assert_eq!(failed[0], method::FRAME_FAILURE);
    assert_eq!(postcard::from_bytes::<Failure>(&failed[1..]).unwrap().code, ErrorCode::CorruptReplica);
    assert!(receiver.recv(SOON).await.unwrap().is_none());

    let verify = |mode| DatanodeRequest::Verify { volume: node.volume_ids()[0], token: token(block, mode) };
    let reply = client.call(method::CALL, encode(&verify(AccessMode::Copy)), SOON).await.unwrap();
    assert_eq!(postcard::from_bytes(&reply), Ok(DatanodeReply::Verified { length: 3_000_000 }));
    let Err(RpcError::Remote(refused)) = client.call(method::CALL, encode(&verify(AccessMode::Read)), SOON).await
    else {
        panic!("a wrong token is refused");
    };
    assert_eq!(postcard::from_bytes::<Failure>(&refused).unwrap().code, ErrorCode::InvalidToken);

    // A pipeline that cannot be opened, and one that is given a bad packet.
    let stream = client.open_stream(method::WRITE, encode(&request_again(&node)), SOON).await.unwrap();
    let (_sender, mut receiver) = stream.split();
    assert_eq!(answer::<()>(&mut receiver).await.unwrap_err().code, ErrorCode::StaleGeneration);
    let request = write_request(BlockId(2), Owned, pipeline(&node));
    let stream = client.open_stream(method::WRITE, encode(&request), SOON).await.unwrap();
    let (mut sender, mut receiver) = stream.split();
    answer::<()>(&mut receiver).await.unwrap();
    sender.send(Bytes::from_static(b"\xff\xff no packet"), SOON).await.unwrap();
    assert_eq!(answer::<Ack>(&mut receiver).await.unwrap_err().code, ErrorCode::Malformed);
    assert!(receiver.recv(SOON).await.unwrap().is_none());

    drop((sender, receiver));
    client.close().await;
    shutdown.cancel();
    serving.await.unwrap();
}

fn request_again(node: &granary_datanode::Datanode) -> granary_protocol::datanode::WriteBlock {
    write_request(BlockId(1), Owned, vec![node.location(node.volume_ids()[0])])
}
