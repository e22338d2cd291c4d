//! One connection: handshake, connection context, then calls side by side until the client leaves.
//!
//! One task reads, one writes, one a call; the reader stops reading when too many calls are under way. What ends the
//! connection is answered first, in the form the client understands.

use super::envelope::*;
use super::frame::{FrameError, encode_frame, read_frame, take_delimited, take_message};
use super::handshake::{HEADER_BYTES, HTTP_ANSWER, Opening, SaslStep, opening, sasl_step};
use super::protocol::Call;
use super::server::Shared;
use crate::exception::{JavaException, RemoteException};
use crate::identity::{self, ClaimedUser};
use bytes::Bytes;
use futures_util::FutureExt;
use prost::Message;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Answers that wait for the socket; calls wait beyond them.
const ANSWERS_QUEUED_MAX: usize = 64;
/// How long, and for how many bytes, a refused client may still send before the connection is torn down.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: u64 = 1 << 20;
/// The longest client id kept; Hadoop's have 16 bytes.
const CLIENT_ID_BYTES_MAX: usize = 64;

/// Why a connection ends.
enum End {
    /// The client left, or nothing can be said to it.
    Quiet,
    /// These bytes are no frame; the client is told so.
    Raw(&'static [u8]),
    /// The client is told in a frame.
    Fatal { call_id: i32, code: RpcErrorCode, exception: RemoteException },
}

impl End {
    fn header(message: impl Into<String>) -> End {
        let exception = RemoteException::new(JavaException::RpcServer, message);
        End::Fatal { call_id: INVALID_CALL_ID, code: RpcErrorCode::FatalInvalidRpcHeader, exception }
    }

    fn unauthorized(exception: RemoteException) -> End {
        End::Fatal { call_id: AUTHORIZATION_FAILED_CALL_ID, code: RpcErrorCode::FatalUnauthorized, exception }
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, stop: CancellationToken) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (reader, writer) = stream.into_split();
    let (answers, queue) = mpsc::channel(ANSWERS_QUEUED_MAX);
    let tasks = TaskTracker::new();
    let write_timeout = shared.settings.write_timeout;
    tasks.spawn(write_answers(writer, queue, write_timeout, stop.clone()));
    let calls = Arc::new(Semaphore::new(shared.settings.calls_per_connection_max));
    let mut connection = Connection { reader, peer, shared, answers, calls, tasks, stop: stop.clone(), user: None };
    let end = stop.run_until_cancelled(connection.run()).await;
    connection.finish(end).await;
}

struct Connection {
    reader: OwnedReadHalf,
    peer: SocketAddr,
    shared: Arc<Shared>,
    answers: mpsc::Sender<Vec<u8>>,
    calls: Arc<Semaphore>,
    tasks: TaskTracker,
    stop: CancellationToken,
    user: Option<Arc<ClaimedUser>>,
}

impl Connection {
    async fn run(&mut self) -> End {
        let timeout = self.shared.settings.handshake_timeout;
        match tokio::time::timeout(timeout, self.introduce()).await {
            Ok(Ok(())) => {}
            Ok(Err(end)) => return end,
            Err(_) => return End::Quiet,
        }
        loop {
            let frame = match self.next_frame().await {
                Ok(frame) => frame,
                Err(end) => return end,
            };
            if let Err(end) = self.take_call(frame).await {
                return end;
            }
        }
    }

    /// The connection header, SASL if asked for, the connection context.
    async fn introduce(&mut self) -> Result<(), End> {
        let mut header = [0u8; HEADER_BYTES];
        self.reader.read_exact(&mut header).await.map_err(|_| End::Quiet)?;
        let sasl = match opening(header) {
            Opening::Simple => false,
            Opening::Sasl => true,
            Opening::Http => return Err(End::Raw(HTTP_ANSWER)),
            Opening::Stranger => return Err(End::Quiet),
            Opening::Version(version) => return Err(version_mismatch(version)),
            Opening::Authentication(_) => {
                return Err(End::header("Unknown authentication protocol in the connection header"));
            }
        };
        identity::admit(&self.shared.hdfs, self.peer).map_err(End::unauthorized)?;
        let mut negotiating = sasl;
        loop {
            let mut frame = read_frame(&mut self.reader).await.map_err(end_of)?;
            let header = read_header(&mut frame)?;
            match header.call_id {
                SASL_CALL_ID if negotiating => negotiating = self.negotiate(&mut frame).await?,
                CONNECTION_CONTEXT_CALL_ID if !negotiating => return self.take_context(&mut frame),
                SASL_CALL_ID => return Err(End::header("SASL message on a connection that does not negotiate")),
                _ if negotiating => return Err(End::header("SASL negotiation is not complete")),
                _ => return Err(End::header("Connection context not found")),
            }
        }
    }

    /// One SASL message; whether another one comes.
    async fn negotiate(&mut self, frame: &mut Bytes) -> Result<bool, End> {
        let message: RpcSasl = take_message(frame).map_err(unreadable)?;
        match sasl_step(&message) {
            SaslStep::Answer(answer) => {
                let header = RpcResponseHeader {
                    call_id: SASL_CALL_ID as u32,
                    server_ipc_version_num: Some(u32::from(RPC_VERSION)),
                    client_id: Some(Vec::new()),
                    retry_count: Some(INVALID_RETRY_COUNT),
                    ..RpcResponseHeader::default()
                };
                self.send(encode_frame(&header, Some(&answer.encode_to_vec()))).await?;
                Ok(true)
            }
            SaslStep::Simple => Ok(false),
            SaslStep::Refused(message) => {
                Err(End::unauthorized(RemoteException::new(JavaException::AccessControl, message)))
            }
        }
    }

    fn take_context(&mut self, frame: &mut Bytes) -> Result<(), End> {
        let context: IpcConnectionContext = take_message(frame).map_err(unreadable)?;
        let info = context.user_info.unwrap_or_default();
        let (effective, real) = (info.effective_user.as_deref(), info.real_user.as_deref());
        let user = identity::claim(&self.shared.hdfs, self.peer, effective, real).map_err(End::unauthorized)?;
        self.user = Some(Arc::new(user));
        Ok(())
    }

    /// The next frame. A connection without calls may not be silent for ever.
    async fn next_frame(&mut self) -> Result<Bytes, End> {
        let idle = self.shared.settings.idle_timeout;
        let (calls, calls_max) = (self.calls.clone(), self.shared.settings.calls_per_connection_max);
        let mut reading = std::pin::pin!(read_frame(&mut self.reader));
        loop {
            match tokio::time::timeout(idle, &mut reading).await {
                Ok(frame) => return frame.map_err(end_of),
                Err(_) if calls.available_permits() < calls_max => {}
                Err(_) => return Err(End::Quiet),
            }
        }
    }

    /// Begins a call; its answer follows when it is ready.
    async fn take_call(&mut self, mut frame: Bytes) -> Result<(), End> {
        let header = read_header(&mut frame)?;
        match header.call_id {
            PING_CALL_ID => return Ok(()),
            0.. => {}
            CONNECTION_CONTEXT_CALL_ID => return Err(End::header("Connection context already processed")),
            SASL_CALL_ID => return Err(End::header("SASL message on a connection that does not negotiate")),
            other => return Err(End::header(format!("Unknown out of band call #{other}"))),
        }
        if header.rpc_op != Some(RPC_FINAL_PACKET) {
            return Err(End::header("IPC Server does not implement rpc header operation"));
        }
        if header.rpc_kind != Some(RPC_KIND_PROTOBUF) {
            return Err(End::header("Unknown rpc kind in rpc header"));
        }
        let request: RequestHeader = take_message(&mut frame).map_err(unreadable)?;
        let parameters = take_delimited(&mut frame).map_err(unreadable)?;
        let user = self.user.clone().expect("calls are taken after the introduction");
        let call = Call {
            user,
            peer: self.peer,
            client_id: Bytes::from(header.client_id),
            call_id: header.call_id,
            retry_count: header.retry_count.unwrap_or(INVALID_RETRY_COUNT),
        };
        let own = self.calls.clone().acquire_owned().await.expect("never closed");
        let (shared, answers) = (self.shared.clone(), self.answers.clone());
        self.tasks.spawn(self.stop.child_token().run_until_cancelled_owned(async move {
            let answer = answer(&shared, &call, &request, parameters).await;
            // Without a connection there is nobody to answer.
            let _ = answers.send(answer).await;
            drop(own);
        }));
        Ok(())
    }

    async fn send(&self, frame: Vec<u8>) -> Result<(), End> {
        self.answers.send(frame).await.map_err(|_| End::Quiet)
    }

    /// Says what there is to say, lets the client read it, ends every call.
    async fn finish(mut self, end: Option<End>) {
        let last = match end {
            None | Some(End::Quiet) => None,
            Some(End::Raw(bytes)) => Some(bytes.to_vec()),
            Some(End::Fatal { call_id, code, exception }) => {
                tracing::debug!(peer = %self.peer, %exception, "a Hadoop RPC connection is refused");
                let header = RpcResponseHeader {
                    call_id: call_id as u32,
                    client_id: Some(Vec::new()),
                    retry_count: Some(INVALID_RETRY_COUNT),
                    ..failed(RpcStatus::Fatal, code, exception)
                };
                Some(encode_frame(&header, None))
            }
        };
        match last {
            Some(bytes) => {
                let told = self.send(bytes).await.is_ok();
                drop(self.answers);
                if told {
                    let mut rest = (&mut self.reader).take(LINGER_BYTES_MAX);
                    // Whatever comes is not looked at; the client has had its answer or will not have it.
                    let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
                }
            }
            None => drop(self.answers),
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Writes answers in the order they come until there can be no more, or one is not taken in time.
async fn write_answers(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Vec<u8>>,
    timeout: Duration,
    stop: CancellationToken,
) {
    while let Some(answer) = queue.recv().await {
        match tokio::time::timeout(timeout, writer.write_all(&answer)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => {
                stop.cancel();
                return;
            }
        }
    }
    // The client may have left before.
    let _ = writer.shutdown().await;
}

/// Runs a call and frames its answer.
async fn answer(shared: &Shared, call: &Call, request: &RequestHeader, parameters: Bytes) -> Vec<u8> {
    let _slot = shared.calls.acquire().await.expect("never closed");
    let name = request.declaring_class_protocol_name.as_str();
    let protocol = shared.protocol(name);
    let outcome = match protocol {
        None => Err(RemoteException::new(JavaException::NoSuchProtocol, format!("Unknown protocol: {name}"))),
        Some(_) if request.client_protocol_version != 1 => Err(RemoteException::new(
            JavaException::VersionMismatch,
            format!("Protocol {name} version mismatch. (client = {}, server = 1)", request.client_protocol_version),
        )),
        Some(protocol) => {
            let running = AssertUnwindSafe(protocol.call(call, &request.method_name, parameters));
            running.catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(method = %request.method_name, "a Hadoop RPC call ended in a panic");
                Err(RemoteException::new(JavaException::Io, "Internal error"))
            })
        }
    };
    let header = |header: RpcResponseHeader| RpcResponseHeader {
        call_id: call.call_id as u32,
        client_id: Some(call.client_id.to_vec()),
        retry_count: Some(call.retry_count),
        state_id: protocol.and_then(|protocol| protocol.state_id()),
        ..header
    };
    match outcome {
        Ok(body) => {
            let succeeded = RpcResponseHeader {
                server_ipc_version_num: Some(u32::from(RPC_VERSION)),
                ..RpcResponseHeader::default()
            };
            encode_frame(&header(succeeded), Some(&body))
        }
        Err(exception) => {
            tracing::debug!(peer = %call.peer, method = %request.method_name, %exception, "a Hadoop RPC call is refused");
            let code = match exception.class {
                JavaException::NoSuchMethod => RpcErrorCode::NoSuchMethod,
                JavaException::NoSuchProtocol => RpcErrorCode::NoSuchProtocol,
                JavaException::VersionMismatch => RpcErrorCode::RpcVersionMismatch,
                JavaException::RpcServer => RpcErrorCode::RpcServer,
                _ => RpcErrorCode::Application,
            };
            encode_frame(&header(failed(RpcStatus::Error, code, exception)), None)
        }
    }
}

fn failed(status: RpcStatus, code: RpcErrorCode, exception: RemoteException) -> RpcResponseHeader {
    RpcResponseHeader {
        status: status as i32,
        server_ipc_version_num: Some(u32::from(RPC_VERSION)),
        exception_class_name: Some(exception.class.class_name().to_owned()),
        error_msg: Some(exception.message),
        error_detail: Some(code as i32),
        ..RpcResponseHeader::default()
    }
}

fn read_header(frame: &mut Bytes) -> Result<RpcRequestHeader, End> {
    let header: RpcRequestHeader =
        take_message(frame).map_err(|error| End::header(format!("the rpc header cannot be read: {error}")))?;
    match header.client_id.len() <= CLIENT_ID_BYTES_MAX {
        true => Ok(header),
        false => Err(End::header("the client id is too long")),
    }
}

fn unreadable(error: prost::DecodeError) -> End {
    let exception =
        RemoteException::new(JavaException::RpcServer, format!("IPC server unable to read call parameters: {error}"));
    End::Fatal { call_id: INVALID_CALL_ID, code: RpcErrorCode::FatalDeserializingRequest, exception }
}

fn version_mismatch(version: u8) -> End {
    let message = format!("Server IPC version {RPC_VERSION} cannot communicate with client version {version}");
    let exception = RemoteException::new(JavaException::VersionMismatch, message);
    End::Fatal { call_id: AUTHORIZATION_FAILED_CALL_ID, code: RpcErrorCode::FatalVersionMismatch, exception }
}

fn end_of(error: FrameError) -> End {
    match error {
        FrameError::Closed | FrameError::Io(_) => End::Quiet,
        FrameError::Length(length) => End::header(format!("Requested data length {length} is out of range")),
    }
}
