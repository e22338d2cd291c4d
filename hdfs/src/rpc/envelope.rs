//! What stands around every call: `RpcHeader.proto`, `ProtobufRpcEngine2.proto`, `IpcConnectionContext.proto`.

use bytes::Bytes;

/// The version of Hadoop RPC, in the connection header and in every answer.
pub const RPC_VERSION: u8 = 9;
/// The call id of the connection context.
pub const CONNECTION_CONTEXT_CALL_ID: i32 = -3;
/// The call id of a ping, which has no body and no answer.
pub const PING_CALL_ID: i32 = -4;
/// The call id of SASL messages.
pub const SASL_CALL_ID: i32 = -33;
/// The call id of answers that belong to no call.
pub const INVALID_CALL_ID: i32 = -2;
/// The call id of an answer that refuses the connection.
pub const AUTHORIZATION_FAILED_CALL_ID: i32 = -1;
/// `retryCount` where there is none.
pub const INVALID_RETRY_COUNT: i32 = -1;
/// `RpcKindProto.RPC_PROTOCOL_BUFFER`.
pub const RPC_KIND_PROTOBUF: i32 = 2;
/// `OperationProto.RPC_FINAL_PACKET`.
pub const RPC_FINAL_PACKET: i32 = 0;

/// `RpcRequestHeaderProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcRequestHeader {
    #[prost(int32, optional, tag = "1")]
    pub rpc_kind: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub rpc_op: Option<i32>,
    #[prost(sint32, required, tag = "3")]
    pub call_id: i32,
    #[prost(bytes = "bytes", required, tag = "4")]
    pub client_id: Bytes,
    #[prost(sint32, optional, tag = "5", default = "-1")]
    pub retry_count: Option<i32>,
    #[prost(message, optional, tag = "7")]
    pub caller_context: Option<RpcCallerContext>,
    /// The last state the client has seen.
    #[prost(int64, optional, tag = "8")]
    pub state_id: Option<i64>,
}

/// `RPCCallerContextProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcCallerContext {
    #[prost(string, required, tag = "1")]
    pub context: String,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub signature: Option<Vec<u8>>,
}

/// `RequestHeaderProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RequestHeader {
    #[prost(string, required, tag = "1")]
    pub method_name: String,
    #[prost(string, required, tag = "2")]
    pub declaring_class_protocol_name: String,
    #[prost(uint64, required, tag = "3")]
    pub client_protocol_version: u64,
}

/// `RpcStatusProto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum RpcStatus {
    Success = 0,
    /// The call failed; the connection stays.
    Error = 1,
    /// The connection is closed after this.
    Fatal = 2,
}

/// `RpcErrorCodeProto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum RpcErrorCode {
    Application = 1,
    NoSuchMethod = 2,
    NoSuchProtocol = 3,
    RpcServer = 4,
    SerializingResponse = 5,
    RpcVersionMismatch = 6,
    FatalUnknown = 10,
    FatalUnsupportedSerialization = 11,
    FatalInvalidRpcHeader = 12,
    FatalDeserializingRequest = 13,
    FatalVersionMismatch = 14,
    FatalUnauthorized = 15,
}

/// `RpcResponseHeaderProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcResponseHeader {
    /// Unlike in requests not zigzag: negative ids take five bytes.
    #[prost(uint32, required, tag = "1")]
    pub call_id: u32,
    #[prost(enumeration = "RpcStatus", required, tag = "2")]
    pub status: i32,
    #[prost(uint32, optional, tag = "3")]
    pub server_ipc_version_num: Option<u32>,
    #[prost(string, optional, tag = "4")]
    pub exception_class_name: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub error_msg: Option<String>,
    #[prost(enumeration = "RpcErrorCode", optional, tag = "6")]
    pub error_detail: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub client_id: Option<Bytes>,
    #[prost(sint32, optional, tag = "8", default = "-1")]
    pub retry_count: Option<i32>,
    /// What this server has applied.
    #[prost(int64, optional, tag = "9")]
    pub state_id: Option<i64>,
}

/// `IpcConnectionContextProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct IpcConnectionContext {
    #[prost(message, optional, tag = "2")]
    pub user_info: Option<UserInformation>,
    #[prost(string, optional, tag = "3")]
    pub protocol: Option<String>,
}

/// `UserInformationProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct UserInformation {
    #[prost(string, optional, tag = "1")]
    pub effective_user: Option<String>,
    /// Who speaks for the effective user, if that is somebody else.
    #[prost(string, optional, tag = "2")]
    pub real_user: Option<String>,
}

/// `RpcSaslProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcSasl {
    #[prost(uint32, optional, tag = "1")]
    pub version: Option<u32>,
    #[prost(enumeration = "SaslState", required, tag = "2")]
    pub state: i32,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub token: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "4")]
    pub auths: Vec<SaslAuth>,
}

/// `RpcSaslProto.SaslState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum SaslState {
    Success = 0,
    Negotiate = 1,
    Initiate = 2,
    Challenge = 3,
    Response = 4,
    Wrap = 5,
}

/// `RpcSaslProto.SaslAuth`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SaslAuth {
    #[prost(string, required, tag = "1")]
    pub method: String,
    #[prost(string, required, tag = "2")]
    pub mechanism: String,
    #[prost(string, optional, tag = "3")]
    pub protocol: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub server_id: Option<String>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub challenge: Option<Vec<u8>>,
}
