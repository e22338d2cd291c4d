//! From a call to its answer: the protocol it is for, what that says, and what stands around it.

use super::envelope::*;
use super::frame::append_frame;
use super::protocol::Call;
use super::server::Shared;
use crate::exception::{JavaException, RemoteException};
use bytes::Bytes;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// What is sent for a call.
pub(super) struct Answer {
    header: RpcResponseHeader,
    /// `None` with a refusal.
    body: Option<Vec<u8>>,
}

impl Answer {
    /// Appends it as a frame.
    pub fn append_to(&self, frames: &mut Vec<u8>) {
        append_frame(frames, &self.header, self.body.as_deref());
    }
}

/// Runs a call.
pub(super) async fn answer(shared: Arc<Shared>, call: Call, request: RequestHeader, parameters: Bytes) -> Answer {
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
            let running = AssertUnwindSafe(protocol.call(&call, &request.method_name, parameters));
            running.catch_unwind().await.unwrap_or_else(|_| {
                tracing::error!(method = %request.method_name, "a Hadoop RPC call ended in a panic");
                Err(RemoteException::new(JavaException::Io, "Internal error"))
            })
        }
    };
    let header = |header: RpcResponseHeader| RpcResponseHeader {
        call_id: call.call_id as u32,
        client_id: Some(call.client_id.clone()),
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
            Answer { header: header(succeeded), body: Some(body) }
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
            Answer { header: header(failed(RpcStatus::Error, code, exception)), body: None }
        }
    }
}

/// The header of a refusal.
pub(super) fn failed(status: RpcStatus, code: RpcErrorCode, exception: RemoteException) -> RpcResponseHeader {
    RpcResponseHeader {
        status: status as i32,
        server_ipc_version_num: Some(u32::from(RPC_VERSION)),
        exception_class_name: Some(exception.class.class_name().to_owned()),
        error_msg: Some(exception.message),
        error_detail: Some(code as i32),
        ..RpcResponseHeader::default()
    }
}
