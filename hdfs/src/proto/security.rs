//! Tokens and permissions (`Security.proto`, `acl.proto`).

/// `TokenProto`. All four fields must be present; empty ones are a token that proves nothing.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Token {
    #[prost(bytes = "vec", required, tag = "1")]
    pub identifier: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub password: Vec<u8>,
    #[prost(string, required, tag = "3")]
    pub kind: String,
    #[prost(string, required, tag = "4")]
    pub service: String,
}

/// `FsPermissionProto`: the low twelve bits of a mode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct FsPermission {
    #[prost(uint32, required, tag = "1")]
    pub perm: u32,
}
