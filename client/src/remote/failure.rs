//! From what happened to a connection to what the caller should do.

use granary_protocol::{ErrorCode, Failure};
use granary_rpc::RpcError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a failed call means: the peer's own refusal, or a code that says whether it may have taken effect.
/// `DeadlineExceeded` is a maybe, `Busy` and `Unavailable` promise that nothing happened.
pub(super) fn of_call(error: RpcError) -> Failure {
    let code = match &error {
        RpcError::Remote(body) => return refusal(body),
        RpcError::Busy { .. } => ErrorCode::Busy,
        RpcError::FrameTooLarge { sent: false, .. } => ErrorCode::InvalidArgument,
        RpcError::HandlerFailed { .. } => ErrorCode::Internal,
        other if other.was_sent() => ErrorCode::DeadlineExceeded,
        _ => ErrorCode::Unavailable,
    };
    Failure::new(code, error.to_string())
}

/// What a failed stream of a replica means: this datanode cannot be had now.
pub(super) fn of_stream(error: RpcError) -> Failure {
    let code = match &error {
        RpcError::Remote(body) => return refusal(body),
        RpcError::DeadlineExceeded { .. } => ErrorCode::DeadlineExceeded,
        RpcError::Busy { .. } => ErrorCode::Busy,
        RpcError::ProtocolViolation { .. } | RpcError::FrameTooLarge { .. } => ErrorCode::Malformed,
        _ => ErrorCode::Unavailable,
    };
    Failure::new(code, error.to_string())
}

fn refusal(body: &[u8]) -> Failure {
    decode(body).unwrap_or_else(|malformed| malformed)
}

/// Reads a message of a peer.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    postcard::from_bytes(body).map_err(|error| Failure::new(ErrorCode::Malformed, format!("a peer's message: {error}")))
}

/// Writes a message of ours.
pub(super) fn encode<T: Serialize>(message: &T) -> bytes::Bytes {
    postcard::to_stdvec(message).expect("our messages are plain data, and memory grows as needed").into()
}
