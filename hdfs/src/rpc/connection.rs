//! One connection: handshake, connection context, then calls side by side until the client leaves.
//!
//! One task does it all. What has arrived is begun before anything is waited for, most reads are answered on the spot, and
//! whatever is answered by then goes out in one write: a client with many threads behind one connection, as Hadoop's have,
//! is woken once for several answers. No more is read while too many calls are under way, or while the client does not take
//! its answers. What ends the connection is answered first, in the form the client understands.

use super::answer::{Answer, answer, failed};
use super::envelope::*;
use super::frame::{FrameError, FrameReader, append_frame, take_delimited, take_message};
use super::handshake::{HTTP_ANSWER, Opening, SaslStep, opening, sasl_step};
use super::protocol::Call;
use super::server::Shared;
use crate::exception::{JavaException, RemoteException};
use crate::identity::{self, ClaimedUser};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use prost::Message;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Bytes of answers that are written before further calls are begun.
const ANSWERS_BYTES_MAX: usize = 256 << 10;
/// What of the room for answers is kept for the next ones.
const ANSWERS_KEPT_BYTES: usize = 16 << 10;
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
    let (frames, calls) = (FrameReader::new(reader), FuturesUnordered::new());
    let mut connection = Connection { frames, writer, peer, shared, answers: Vec::new(), calls, user: None };
    if let Some(end) = stop.run_until_cancelled(connection.run()).await {
        connection.finish(end).await;
    }
}

struct Connection {
    frames: FrameReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    peer: SocketAddr,
    shared: Arc<Shared>,
    /// Answers that are not written yet.
    answers: Vec<u8>,
    /// Calls that wait for something. They end with the connection.
    calls: FuturesUnordered<BoxFuture<'static, Answer>>,
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
        match self.serve_calls().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn serve_calls(&mut self) -> Result<Infallible, End> {
        let idle = self.shared.settings.idle_timeout;
        let mut silence = std::pin::pin!(tokio::time::sleep(idle));
        let mut heard = Instant::now();
        loop {
            while self.takes_calls()
                && let Some(frame) = self.frames.take().map_err(end_of)?
            {
                heard = Instant::now();
                self.take_call(frame)?;
            }
            while self.answers.len() < ANSWERS_BYTES_MAX
                && let Some(Some(answer)) = self.calls.next().now_or_never()
            {
                answer.append_to(&mut self.answers);
            }
            if !self.answers.is_empty() {
                self.write_answers().await?;
                // There may be room for calls that have arrived.
                continue;
            }
            let reads = self.takes_calls();
            tokio::select! {
                biased;
                Some(answer) = self.calls.next() => answer.append_to(&mut self.answers),
                filled = self.frames.fill(), if reads => filled.map_err(end_of)?,
                // A connection without calls may not be silent for ever.
                () = &mut silence => {
                    let since = if self.calls.is_empty() { heard } else { Instant::now() };
                    if since.elapsed() >= idle {
                        return Err(End::Quiet);
                    }
                    silence.as_mut().reset(since + idle);
                }
            }
        }
    }

    fn takes_calls(&self) -> bool {
        self.calls.len() < self.shared.settings.calls_per_connection_max && self.answers.len() < ANSWERS_BYTES_MAX
    }

    /// The connection header, SASL if asked for, the connection context.
    async fn introduce(&mut self) -> Result<(), End> {
        let header = self.frames.first_bytes().await.map_err(end_of)?;
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
            let mut frame = self.frames.next().await.map_err(end_of)?;
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
                    client_id: Some(Bytes::new()),
                    retry_count: Some(INVALID_RETRY_COUNT),
                    ..RpcResponseHeader::default()
                };
                append_frame(&mut self.answers, &header, Some(&answer.encode_to_vec()));
                self.write_answers().await?;
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

    /// Begins a call; its answer follows when it is ready.
    fn take_call(&mut self, mut frame: Bytes) -> Result<(), End> {
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
            client_id: header.client_id,
            call_id: header.call_id,
            retry_count: header.retry_count.unwrap_or(INVALID_RETRY_COUNT),
        };
        let mut begun = answer(self.shared.clone(), call, request, parameters).boxed();
        match (&mut begun).now_or_never() {
            Some(answer) => answer.append_to(&mut self.answers),
            None => self.calls.push(begun),
        }
        Ok(())
    }

    async fn write_answers(&mut self) -> Result<(), End> {
        let timeout = self.shared.settings.write_timeout;
        match tokio::time::timeout(timeout, self.writer.write_all(&self.answers)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(End::Quiet),
        }
        self.answers.clear();
        self.answers.shrink_to(ANSWERS_KEPT_BYTES);
        Ok(())
    }

    /// Says what there is to say and lets the client read it.
    async fn finish(mut self, end: End) {
        match end {
            End::Quiet => return,
            End::Raw(bytes) => self.answers.extend_from_slice(bytes),
            End::Fatal { call_id, code, exception } => {
                tracing::debug!(peer = %self.peer, %exception, "a Hadoop RPC connection is refused");
                let header = RpcResponseHeader {
                    call_id: call_id as u32,
                    client_id: Some(Bytes::new()),
                    retry_count: Some(INVALID_RETRY_COUNT),
                    ..failed(RpcStatus::Fatal, code, exception)
                };
                append_frame(&mut self.answers, &header, None);
            }
        }
        if self.write_answers().await.is_ok() && self.writer.shutdown().await.is_ok() {
            // Whatever comes is not looked at; the client has had its answer or will not have it.
            let _ = tokio::time::timeout(LINGER, self.frames.discard(LINGER_BYTES_MAX)).await;
        }
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
