//! Streams: both directions at once, back-pressure, clean ends and cuts, reuse of connections.

use std::time::Duration;

use bytes::{Buf, Bytes};
use granary_rpc::{RpcError, STREAM_PACKET_BYTES_MAX, Security};

use crate::fixture::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_transfer_is_acknowledged_packet_by_packet() {
    const PACKET: usize = 256 * 1024;
    const PACKETS: usize = 1024;
    for (server_side, client_side) in both_ways() {
        let server = TestServer::start(server_side).await;
        let client = server.client(client_side);
        let stream = client.open_stream(ACK, Bytes::from_static(b"hello"), LONG).await.unwrap();
        let (mut send, mut recv) = stream.split();
        let sending = tokio::spawn(async move {
            let data = Bytes::from(vec![0x5a; PACKET]);
            for _ in 0..PACKETS {
                send.send_vectored(Bytes::from_static(b"head"), data.clone(), LONG).await.unwrap();
            }
            send.finish(LONG).await.unwrap();
        });
        let mut acknowledged = 0;
        while let Some(mut ack) = recv.recv(LONG).await.unwrap() {
            assert_eq!(ack.get_u64() as usize, PACKET + 4);
            acknowledged += 1;
        }
        assert_eq!(acknowledged, PACKETS);
        sending.await.unwrap();
        server.stop().await;
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_receive_stops_the_sender() {
    for (server_side, client_side) in both_ways() {
        let server = TestServer::start(server_side).await;
        let client = server.client(client_side);
        let mut stream = client.open_stream(DEAF, Bytes::new(), LONG).await.unwrap();
        let data = Bytes::from(vec![1; 256 * 1024]);
        let mut taken = 0;
        let error = loop {
            match stream.send(data.clone(), Duration::from_millis(500)).await {
                Ok(()) => taken += data.len(),
                Err(error) => break error,
            }
            assert!(taken < 64 << 20, "nothing holds the sender back");
        };
        assert!(matches!(error, RpcError::DeadlineExceeded { .. }), "{error:?}");
        // Part of a packet may be out: the direction is over.
        assert!(matches!(stream.send(data, LONG).await, Err(RpcError::StreamClosed { .. })));
        server.kill().await;
    }
}

#[tokio::test]
async fn a_cut_is_an_error_and_a_finish_is_not() {
    for (server_side, client_side) in both_ways() {
        let server = TestServer::start(server_side).await;
        let client = server.client(client_side);
        let mut cut = client.open_stream(CUT, Bytes::from_static(b"x"), LONG).await.unwrap();
        assert_eq!(cut.recv(LONG).await.unwrap().unwrap(), "x");
        let error = cut.recv(LONG).await.unwrap_err();
        assert!(matches!(error, RpcError::Disconnected { .. }), "{error:?}");

        let mut clean = client.open_stream(CURT, Bytes::from_static(b"y"), LONG).await.unwrap();
        assert_eq!(clean.recv(LONG).await.unwrap().unwrap(), "y");
        assert_eq!(clean.recv(LONG).await.unwrap(), None);
        assert_eq!(clean.recv(LONG).await.unwrap(), None);

        let mut unwanted = client.open_stream(999, Bytes::new(), LONG).await.unwrap();
        assert!(matches!(unwanted.recv(LONG).await, Err(RpcError::Disconnected { .. })));
        server.stop().await;
    }
}

#[tokio::test]
async fn a_killed_server_cuts_its_streams() {
    for (server_side, client_side) in both_ways() {
        let server = TestServer::start(server_side).await;
        let client = server.client(client_side);
        let mut stream = client.open_stream(ACK, Bytes::new(), LONG).await.unwrap();
        stream.send(Bytes::from_static(b"1"), LONG).await.unwrap();
        assert!(stream.recv(LONG).await.unwrap().is_some());
        server.kill().await;
        assert!(matches!(stream.recv(LONG).await, Err(RpcError::Disconnected { .. })));
    }
}

#[tokio::test]
async fn a_receive_that_ran_out_of_time_may_be_repeated() {
    let server = TestServer::start(Security::Plaintext).await;
    let client = server.client(Security::Plaintext);
    let mut stream = client.open_stream(ACK, Bytes::new(), LONG).await.unwrap();
    let error = stream.recv(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, RpcError::DeadlineExceeded { .. }));
    stream.send(Bytes::from_static(b"123"), LONG).await.unwrap();
    assert_eq!(stream.recv(LONG).await.unwrap().unwrap().get_u64(), 3);
    stream.finish(LONG).await.unwrap();
    assert!(matches!(stream.send(Bytes::new(), LONG).await, Err(RpcError::StreamClosed { .. })));
    assert_eq!(stream.recv(LONG).await.unwrap(), None);
    server.stop().await;
}

#[tokio::test]
async fn an_oversize_packet_is_refused_and_the_stream_goes_on() {
    let server = TestServer::start(Security::Plaintext).await;
    let client = server.client(Security::Plaintext);
    let mut stream = client.open_stream(ACK, Bytes::new(), LONG).await.unwrap();
    let error = stream.send(vec![0; STREAM_PACKET_BYTES_MAX + 1].into(), LONG).await.unwrap_err();
    assert!(matches!(error, RpcError::FrameTooLarge { sent: false, .. }));
    stream.send(vec![0; STREAM_PACKET_BYTES_MAX].into(), LONG).await.unwrap();
    assert_eq!(stream.recv(LONG).await.unwrap().unwrap().get_u64() as usize, STREAM_PACKET_BYTES_MAX);
    server.stop().await;
}

/// Runs `streams` one after the other through a relay that counts connections.
async fn connections_used(method: u16, streams: usize) -> usize {
    let server = TestServer::start(Security::Plaintext).await;
    let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let relay_addr = relay.local_addr().unwrap().to_string();
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (counted, server_addr) = (count.clone(), server.addr);
    let relaying = tokio::spawn(async move {
        let mut pairs = tokio::task::JoinSet::new();
        while let Ok((mut near, _)) = relay.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let mut far = tokio::net::TcpStream::connect(server_addr).await.unwrap();
            pairs.spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let client = granary_rpc::RpcClient::new(relay_addr, Security::Plaintext);
    for _ in 0..streams {
        let mut stream = client.open_stream(method, Bytes::from_static(b"first"), LONG).await.unwrap();
        stream.send(Bytes::from_static(b"packet"), LONG).await.unwrap();
        stream.finish(LONG).await.unwrap();
        while stream.recv(LONG).await.unwrap().is_some() {}
    }
    relaying.abort();
    server.kill().await;
    count.load(std::sync::atomic::Ordering::SeqCst)
}

#[tokio::test]
async fn finished_streams_hand_their_connection_to_the_next() {
    assert_eq!(connections_used(ACK, 10).await, 1);
    assert_eq!(connections_used(CURT, 10).await, 1, "leftovers of a stream are discarded, not mistaken");
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced() {
    let server = TestServer::start(Security::Plaintext).await;
    let (client, addr) = (server.client(Security::Plaintext), server.addr);
    let mut stream = client.open_stream(ACK, Bytes::new(), LONG).await.unwrap();
    stream.finish(LONG).await.unwrap();
    assert_eq!(stream.recv(LONG).await.unwrap(), None);
    drop(stream);
    server.kill().await;
    let server = TestServer::start_with(Security::Plaintext, addr, Default::default()).await;
    let mut stream = client.open_stream(ACK, Bytes::new(), LONG).await.unwrap();
    stream.send(Bytes::from_static(b"12"), LONG).await.unwrap();
    assert_eq!(stream.recv(LONG).await.unwrap().unwrap().get_u64(), 2);
    server.kill().await;
}
