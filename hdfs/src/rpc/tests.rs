//! The server over real sockets, spoken to byte by byte.

use super::envelope::*;
use super::frame::{append_frame, take_delimited, take_message};
use super::*;
use crate::config::HdfsConfig;
use crate::exception::{JavaException, RemoteException};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use prost::Message;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const PROTOCOL: &str = "org.example.Echo";
/// How long a busy machine may take for what takes no time otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Echoes, refuses, panics, or waits for another call.
#[derive(Default)]
struct Echo {
    gate: Notify,
}

impl RpcProtocol for Echo {
    fn name(&self) -> &'static str {
        PROTOCOL
    }

    fn call<'a>(
        &'a self,
        call: &'a Call,
        method: &'a str,
        parameters: Bytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, RemoteException>> {
        async move {
            match method {
                "echo" => Ok(parameters.to_vec()),
                "whoami" => Ok(call.user.name.clone().into_bytes()),
                "wait" => {
                    self.gate.notified().await;
                    Ok(b"waited".to_vec())
                }
                "open" => {
                    self.gate.notify_one();
                    Ok(b"opened".to_vec())
                }
                "panic" => panic!("as asked"),
                "missing" => Err(RemoteException::new(JavaException::FileNotFound, "File does not exist: /f")),
                _ => Err(unknown_method(PROTOCOL, method)),
            }
        }
        .boxed()
    }
}

async fn server(settings: RpcSettings) -> (SocketAddr, CancellationToken) {
    let stop = CancellationToken::new();
    let protocols = vec![Arc::new(Echo::default()) as Arc<dyn RpcProtocol>];
    let hdfs = Arc::new(HdfsConfig::default());
    let server = RpcServer::bind("127.0.0.1:0".parse().unwrap(), settings, hdfs, protocols).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.run(stop.clone()));
    (address, stop)
}

fn request_header(call_id: i32) -> RpcRequestHeader {
    RpcRequestHeader {
        rpc_kind: Some(RPC_KIND_PROTOBUF),
        rpc_op: Some(RPC_FINAL_PACKET),
        call_id,
        client_id: vec![3; 16].into(),
        retry_count: Some(0),
        ..RpcRequestHeader::default()
    }
}

fn encode_frame(header: &impl Message, body: Option<&[u8]>) -> Vec<u8> {
    let mut frame = Vec::new();
    append_frame(&mut frame, header, body);
    frame
}

fn context(user: &str) -> Vec<u8> {
    let info = UserInformation { effective_user: Some(user.to_owned()), real_user: None };
    let context = IpcConnectionContext { user_info: Some(info), protocol: Some(PROTOCOL.to_owned()) };
    encode_frame(&request_header(CONNECTION_CONTEXT_CALL_ID), Some(&context.encode_to_vec()))
}

fn call(call_id: i32, method: &str, parameters: &[u8]) -> Vec<u8> {
    call_of(PROTOCOL, 1, call_id, method, parameters)
}

fn call_of(protocol: &str, version: u64, call_id: i32, method: &str, parameters: &[u8]) -> Vec<u8> {
    let request = RequestHeader {
        method_name: method.to_owned(),
        declaring_class_protocol_name: protocol.to_owned(),
        client_protocol_version: version,
    };
    let mut inner = request_header(call_id).encode_length_delimited_to_vec();
    inner.extend(request.encode_length_delimited_to_vec());
    inner.extend(delimited(parameters));
    let mut frame = (inner.len() as u32).to_be_bytes().to_vec();
    frame.extend(inner);
    frame
}

/// Bytes behind their own length, as a message is.
fn delimited(bytes: &[u8]) -> Vec<u8> {
    let mut delimited = Vec::new();
    prost::encode_length_delimiter(bytes.len(), &mut delimited).unwrap();
    delimited.extend_from_slice(bytes);
    delimited
}

async fn answer(stream: &mut TcpStream) -> (RpcResponseHeader, Bytes) {
    let length = stream.read_u32().await.unwrap();
    let mut frame = vec![0; length as usize];
    stream.read_exact(&mut frame).await.unwrap();
    let mut frame = Bytes::from(frame);
    let header: RpcResponseHeader = take_message(&mut frame).unwrap();
    let body = match header.status() {
        RpcStatus::Success => take_delimited(&mut frame).unwrap(),
        RpcStatus::Error | RpcStatus::Fatal => Bytes::new(),
    };
    assert!(frame.is_empty());
    (header, body)
}

async fn connected(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"hrpc\x09\x00\x00").await.unwrap();
    stream.write_all(&context("ann")).await.unwrap();
    stream
}

async fn ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{rest:?}");
}

#[tokio::test]
async fn calls_run_side_by_side_and_the_user_is_known() {
    let (address, _stop) = server(RpcSettings::default()).await;
    let mut stream = connected(address).await;
    stream.write_all(&call(0, "wait", b"")).await.unwrap();
    stream.write_all(&encode_frame(&request_header(PING_CALL_ID), None)).await.unwrap();
    stream.write_all(&call(1, "whoami", b"")).await.unwrap();
    let (header, body) = answer(&mut stream).await;
    assert_eq!((header.call_id, body.as_ref()), (1, b"ann".as_ref()));
    assert_eq!((header.client_id, header.retry_count), (Some(vec![3; 16].into()), Some(0)));
    stream.write_all(&call(2, "open", b"")).await.unwrap();
    let mut ids = [answer(&mut stream).await.0.call_id, answer(&mut stream).await.0.call_id];
    ids.sort_unstable();
    assert_eq!(ids, [0, 2]);
}

#[tokio::test]
async fn a_connection_is_read_no_further_than_its_calls_allow() {
    let settings = RpcSettings { calls_per_connection_max: 1, ..RpcSettings::default() };
    let (address, _stop) = server(settings).await;
    let mut waiting = connected(address).await;
    waiting.write_all(&call(0, "wait", b"")).await.unwrap();
    waiting.write_all(&call(1, "open", b"")).await.unwrap();
    // The second call would open the gate for the first; it is not begun. Another connection's is.
    let mut other = connected(address).await;
    other.write_all(&call(7, "open", b"")).await.unwrap();
    assert_eq!(answer(&mut other).await.0.call_id, 7);
    assert_eq!(answer(&mut waiting).await.0.call_id, 0);
    assert_eq!(answer(&mut waiting).await.0.call_id, 1);
}

#[tokio::test]
async fn exceptions_carry_class_message_and_detail_and_keep_the_connection() {
    let (address, _stop) = server(RpcSettings::default()).await;
    let mut stream = connected(address).await;
    let frames = [
        (call(0, "missing", b""), "java.io.FileNotFoundException", RpcErrorCode::Application),
        (call(1, "nonsense", b""), "org.apache.hadoop.ipc.RpcNoSuchMethodException", RpcErrorCode::NoSuchMethod),
        (
            call_of("org.example.Other", 1, 2, "echo", b""),
            "org.apache.hadoop.ipc.RpcNoSuchProtocolException",
            RpcErrorCode::NoSuchProtocol,
        ),
        (
            call_of(PROTOCOL, 2, 3, "echo", b""),
            "org.apache.hadoop.ipc.RPC$VersionMismatch",
            RpcErrorCode::RpcVersionMismatch,
        ),
        (call(4, "panic", b""), "java.io.IOException", RpcErrorCode::Application),
    ];
    for (frame, class, detail) in frames {
        stream.write_all(&frame).await.unwrap();
        let (header, _) = answer(&mut stream).await;
        assert_eq!(header.status(), RpcStatus::Error);
        assert_eq!(header.exception_class_name.as_deref(), Some(class));
        assert_eq!(header.error_detail(), detail);
        assert!(!header.error_msg().is_empty());
    }
    stream.write_all(&call(9, "echo", b"still here")).await.unwrap();
    assert_eq!(answer(&mut stream).await.1.as_ref(), b"still here");
}

#[tokio::test]
async fn sasl_lists_simple_and_goes_on_without_an_answer() {
    let (address, _stop) = server(RpcSettings::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // As hdfs-native does: in pieces.
    for piece in [&b"hrpc"[..], b"\x09", b"\x00", b"\xdf"] {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
    }
    let header = RpcRequestHeader { client_id: Bytes::new(), retry_count: Some(-1), ..request_header(SASL_CALL_ID) };
    let negotiate = RpcSasl { state: SaslState::Negotiate as i32, ..RpcSasl::default() };
    stream.write_all(&encode_frame(&header, Some(&negotiate.encode_to_vec()))).await.unwrap();
    let (answered, body) = answer(&mut stream).await;
    assert_eq!(answered.call_id, SASL_CALL_ID as u32);
    let offer = RpcSasl::decode(body).unwrap();
    assert_eq!((offer.state(), offer.auths[0].method.as_str()), (SaslState::Negotiate, "SIMPLE"));
    let choice = RpcSasl { state: SaslState::Initiate as i32, token: Some(Vec::new()), ..offer };
    stream.write_all(&encode_frame(&header, Some(&choice.encode_to_vec()))).await.unwrap();
    stream.write_all(&context("bob")).await.unwrap();
    stream.write_all(&call(0, "whoami", b"")).await.unwrap();
    assert_eq!(answer(&mut stream).await.1.as_ref(), b"bob");
}

#[tokio::test]
async fn what_cannot_be_served_is_told_so_and_the_connection_ends() {
    let (address, _stop) = server(RpcSettings::default()).await;
    let early = [b"hrpc\x09\x00\x00".to_vec(), call(0, "echo", b"")].concat();
    let unnamed = [b"hrpc\x09\x00\x00".to_vec(), context("")].concat();
    let twice = [b"hrpc\x09\x00\x00".to_vec(), context("ann"), context("ann")].concat();
    let huge = [b"hrpc\x09\x00\x00".to_vec(), context("ann"), vec![0x7f, 0xff, 0xff, 0xff]].concat();
    let noise = [b"hrpc\x09\x00\x00".to_vec(), context("ann"), vec![0, 0, 0, 4, 9, 9, 9, 9]].concat();
    let odd = [b"hrpc\x09\x00\x00".to_vec(), context("ann"), encode_frame(&request_header(-5), None)].concat();
    let frames = [
        (b"hrpc\x07\x00\x00".to_vec(), RpcErrorCode::FatalVersionMismatch),
        (early, RpcErrorCode::FatalInvalidRpcHeader),
        (unnamed, RpcErrorCode::FatalUnauthorized),
        (twice, RpcErrorCode::FatalInvalidRpcHeader),
        (huge, RpcErrorCode::FatalInvalidRpcHeader),
        (noise, RpcErrorCode::FatalInvalidRpcHeader),
        (odd, RpcErrorCode::FatalInvalidRpcHeader),
    ];
    for (bytes, code) in frames {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let (header, _) = answer(&mut stream).await;
        assert_eq!((header.status(), header.error_detail()), (RpcStatus::Fatal, code), "{bytes:?}");
        ends(&mut stream).await;
    }
    let mut browser = TcpStream::connect(address).await.unwrap();
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut text = String::new();
    browser.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 404 Not Found"), "{text}");
}

#[tokio::test]
async fn silent_and_surplus_connections_are_closed() {
    let settings = RpcSettings {
        connections_max: 1,
        handshake_timeout: Duration::from_millis(50),
        idle_timeout: Duration::from_millis(50),
        ..RpcSettings::default()
    };
    let (address, _stop) = server(settings).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut surplus = TcpStream::connect(address).await.unwrap();
    ends(&mut surplus).await;
    ends(&mut silent).await;
}

/// `GRANARY_FUZZ_ROUNDS` plays more of them.
#[tokio::test]
async fn mutated_conversations_do_not_stop_the_server() {
    let rounds: u64 = std::env::var("GRANARY_FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    // Each conversation ends with its bytes: nothing here waits for a limit of time.
    let settings = RpcSettings { handshake_timeout: PATIENCE, ..RpcSettings::default() };
    let (address, _stop) = server(settings).await;
    let negotiate = RpcSasl { state: SaslState::Negotiate as i32, ..RpcSasl::default() };
    let negotiation = encode_frame(&request_header(SASL_CALL_ID), Some(&negotiate.encode_to_vec()));
    let seeds = [
        [b"hrpc\x09\x00\x00".to_vec(), context("ann"), call(0, "echo", b"abc"), call(1, "whoami", b"")].concat(),
        [b"hrpc\x09\x00\xdf".to_vec(), negotiation, context("ann")].concat(),
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for round in 0..rounds {
        let mut bytes = seeds[round as usize % seeds.len()].clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        bytes.truncate(random(bytes.len()) + 1);
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may have closed it by now, which is its right.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
    }
    let mut stream = connected(address).await;
    stream.write_all(&call(0, "echo", b"still here")).await.unwrap();
    assert_eq!(answer(&mut stream).await.1.as_ref(), b"still here");
}
