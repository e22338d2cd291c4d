//! Who and what is turned away at the door.

use bytes::Bytes;
use granary_rpc::{NodeName, RpcClient, RpcClientConfig, RpcError, RpcServerConfig, Security, WIRE_VERSION};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::*;

async fn refusal(client: &RpcClient) -> RpcError {
    let error = client.call(ECHO, Bytes::new(), LONG).await.unwrap_err();
    assert!(!error.was_sent(), "{error:?}");
    error
}

#[tokio::test]
async fn a_node_of_the_cluster_is_known_by_name() {
    let ca = ca();
    let server = TestServer::start(node(&ca, "dn-1")).await;
    let client = server.client(node(&ca, "dn-2"));
    assert_eq!(client.call(WHO, Bytes::new(), LONG).await.unwrap(), "dn-2");
    let stream = client.open_stream(ACK, Bytes::new(), LONG).await.unwrap();
    assert_eq!(stream.peer().name().unwrap().as_str(), "dn-1");
    assert!(stream.peer().has_role("datanode") && !stream.peer().has_role("namenode"));

    let plain = TestServer::start(Security::Plaintext).await;
    assert_eq!(plain.client(Security::Plaintext).call(WHO, Bytes::new(), LONG).await.unwrap(), "");
    plain.stop().await;
    server.kill().await;
}

#[tokio::test]
async fn another_node_than_expected_is_refused() {
    let ca = ca();
    let server = TestServer::start(node(&ca, "dn-1")).await;
    for (expected, welcome) in [("dn-1", true), ("dn-9", false)] {
        let config = RpcClientConfig { expected_peer: Some(NodeName::new(expected).unwrap()), ..Default::default() };
        let client = RpcClient::with_config(server.addr.to_string(), node(&ca, "client"), config);
        if welcome {
            assert!(client.call(ECHO, Bytes::new(), LONG).await.is_ok());
        } else {
            assert!(matches!(refusal(&client).await, RpcError::HandshakeRefused { .. }));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_node_of_another_cluster_is_refused_by_either_side() {
    let (ours, theirs) = (ca(), ca());
    let server = TestServer::start(node(&ours, "dn-1")).await;
    let error = refusal(&server.client(node(&theirs, "dn-1"))).await;
    assert!(matches!(error, RpcError::HandshakeRefused { .. }), "{error:?}");

    // One that trusts us but holds a certificate of its own making: here it is the server that refuses.
    let forged = theirs.issue(&NodeName::new("dn-1").unwrap(), &["namenode"], &[]).unwrap();
    let forged = granary_rpc::TlsMaterial::from_pem(ours.cert_pem(), &forged).unwrap();
    let error = refusal(&server.client(Security::MutualTls(forged.into()))).await;
    assert!(matches!(error, RpcError::HandshakeRefused { .. }), "{error:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_refused() {
    use rustls_pki_types::pem::PemObject;
    let ca = ca();
    let server = TestServer::start(node(&ca, "dn-1")).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from_pem_slice(ca.cert_pem().as_bytes()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let anonymous = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(anonymous));
    let name = rustls_pki_types::ServerName::try_from(granary_rpc::NODE_DNS_NAME).unwrap();
    // Under TLS 1.3 the client's half ends before the server has judged: the refusal is what it reads next.
    let mut tls = connector.connect(name, tcp).await.unwrap();
    let _ = tls.write_all(&hello(1)).await;
    let error = tls.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn plaintext_and_tls_do_not_mix() {
    let ca = ca();
    let encrypted = TestServer::start(node(&ca, "dn-1")).await;
    let error = refusal(&encrypted.client(Security::Plaintext)).await;
    assert!(matches!(error, RpcError::HandshakeRefused { .. }), "{error:?}");
    encrypted.stop().await;
    let plain = TestServer::start(Security::Plaintext).await;
    let error = refusal(&plain.client(node(&ca, "dn-2"))).await;
    assert!(matches!(error, RpcError::HandshakeRefused { .. }), "{error:?}");
    plain.stop().await;
}

async fn closes(mut peer: TcpStream) {
    let mut rest = Vec::new();
    // Closed or reset, but over.
    let _ = tokio::time::timeout(LONG, peer.read_to_end(&mut rest)).await.expect("the server closes the connection");
}

#[tokio::test]
async fn strangers_and_oversize_frames_are_cut_off() {
    let server = TestServer::start(Security::Plaintext).await;
    let mut stranger = TcpStream::connect(server.addr).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    closes(stranger).await;
    for purpose in [1, 2] {
        for frame in [
            [0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1],
        ] {
            let mut peer = TcpStream::connect(server.addr).await.unwrap();
            peer.write_all(&hello(purpose)).await.unwrap();
            let mut answer = [0; 8];
            peer.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, hello(0));
            peer.write_all(&frame).await.unwrap();
            peer.write_all(b"x").await.unwrap();
            closes(peer).await;
        }
    }
    assert!(server.client(Security::Plaintext).call(ECHO, Bytes::new(), LONG).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn another_wire_version_is_named_to_both_sides() {
    let server = TestServer::start(Security::Plaintext).await;
    let mut newer = TcpStream::connect(server.addr).await.unwrap();
    newer.write_all(b"GRNY\x00\x63\x01\x00").await.unwrap();
    let mut verdict = Vec::new();
    newer.read_to_end(&mut verdict).await.unwrap();
    assert_eq!(verdict, hello(1));
    server.stop().await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = RpcClient::new(listener.local_addr().unwrap().to_string(), Security::Plaintext);
    let answering = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(b"GRNY\x00\x63\x01\x00").await.unwrap();
        peer
    });
    let error = refusal(&client).await;
    assert!(matches!(error, RpcError::WireVersionMismatch { ours: WIRE_VERSION, theirs: 0x63, .. }), "{error:?}");
    drop(answering.await.unwrap());
}

#[tokio::test]
async fn another_version_of_the_messages_is_named_to_both_sides() {
    let server = TestServer::start(Security::Plaintext).await;
    let mut newer = TcpStream::connect(server.addr).await.unwrap();
    newer.write_all(b"GRNY\x00\x01\x01\x09").await.unwrap();
    let mut verdict = Vec::new();
    newer.read_to_end(&mut verdict).await.unwrap();
    assert_eq!(verdict, hello(3), "refused, and told the version here");
    server.stop().await;

    // A server that would take any version: the client refuses by itself.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = RpcClient::new(listener.local_addr().unwrap().to_string(), Security::Plaintext);
    let answering = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(b"GRNY\x00\x01\x00\x09").await.unwrap();
        peer
    });
    let error = refusal(&client).await;
    assert!(matches!(error, RpcError::MessagesVersionMismatch { theirs: 9, .. }), "{error:?}");
    assert!(error.to_string().contains("version 9 of the messages"), "{error}");
    assert!(!error.is_retryable() && !error.was_sent());
    drop(answering.await.unwrap());
}

#[tokio::test]
async fn a_peer_that_does_not_say_its_version_is_refused() {
    let server = TestServer::start(Security::Plaintext).await;
    let mut older = TcpStream::connect(server.addr).await.unwrap();
    older.write_all(b"GRNY\x00\x01\x01\x00").await.unwrap();
    let mut verdict = Vec::new();
    older.read_to_end(&mut verdict).await.unwrap();
    assert_eq!(verdict, hello(3));
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_not_waited_for() {
    let config = RpcServerConfig {
        handshake_timeout: std::time::Duration::from_millis(100),
        idle_timeout: std::time::Duration::from_millis(100),
        connections_max: 2,
        ..Default::default()
    };
    let server = TestServer::start_with(Security::Plaintext, "127.0.0.1:0".parse().unwrap(), config).await;
    let silent = [TcpStream::connect(server.addr).await.unwrap(), TcpStream::connect(server.addr).await.unwrap()];
    closes(TcpStream::connect(server.addr).await.unwrap()).await;
    for peer in silent {
        closes(peer).await;
    }
    let mut idle = TcpStream::connect(server.addr).await.unwrap();
    idle.write_all(&hello(1)).await.unwrap();
    closes(idle).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_that_reads_no_replies_does_not_outlive_a_shutdown() {
    let config = RpcServerConfig {
        calls_in_flight_max: 0,
        drain_timeout: std::time::Duration::from_millis(500),
        ..Default::default()
    };
    let server = TestServer::start_with(Security::Plaintext, "127.0.0.1:0".parse().unwrap(), config).await;
    let mut flood = TcpStream::connect(server.addr).await.unwrap();
    flood.write_all(&hello(1)).await.unwrap();
    let call = [0, 0, 0, 6, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0xff, 0xff];
    let calls = call.repeat(10_000);
    let flooding = async { while flood.write_all(&calls).await.is_ok() {} };
    // Ends when the server has had enough, with or without our help.
    tokio::time::timeout(LONG, flooding).await.expect("the flood is cut off");
    let begun = std::time::Instant::now();
    server.stop().await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
}
