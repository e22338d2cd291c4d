//! Messages about what is kept beside an entry: mode, owner, times, replication, quotas, attributes, lists, policies.

use crate::proto::{AclEntry, AclStatus, BlockStoragePolicy, ErasureCodingPolicy, FsPermission, XAttr};

/// `SetReplicationRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetReplicationRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(uint32, required, tag = "2")]
    pub replication: u32,
}

/// `SetPermissionRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetPermissionRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(message, required, tag = "2")]
    pub permission: FsPermission,
}

/// `SetOwnerRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetOwnerRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(string, optional, tag = "2")]
    pub username: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub groupname: Option<String>,
}

/// `SetTimesRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetTimesRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(uint64, required, tag = "2")]
    pub mtime: u64,
    #[prost(uint64, required, tag = "3")]
    pub atime: u64,
}

/// `SetQuotaRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetQuotaRequest {
    #[prost(string, required, tag = "1")]
    pub path: String,
    #[prost(uint64, required, tag = "2")]
    pub namespace_quota: u64,
    #[prost(uint64, required, tag = "3")]
    pub storagespace_quota: u64,
    #[prost(int32, optional, tag = "4")]
    pub storage_type: Option<i32>,
}

/// `CheckAccessRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CheckAccessRequest {
    #[prost(string, required, tag = "1")]
    pub path: String,
    #[prost(int32, required, tag = "2")]
    pub mode: i32,
}

/// `SetXAttrRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetXAttrRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(message, optional, tag = "2")]
    pub x_attr: Option<XAttr>,
    #[prost(uint32, optional, tag = "3")]
    pub flag: Option<u32>,
}

/// `GetXAttrsRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetXAttrsRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(message, repeated, tag = "2")]
    pub x_attrs: Vec<XAttr>,
}

/// `GetXAttrsResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetXAttrsResponse {
    #[prost(message, repeated, tag = "1")]
    pub x_attrs: Vec<XAttr>,
}

/// `RemoveXAttrRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RemoveXAttrRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(message, optional, tag = "2")]
    pub x_attr: Option<XAttr>,
}

/// A path and a list of entries: `ModifyAclEntriesRequestProto`, `RemoveAclEntriesRequestProto`, `SetAclRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AclRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(message, repeated, tag = "2")]
    pub acl_spec: Vec<AclEntry>,
}

/// `GetAclStatusResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetAclStatusResponse {
    #[prost(message, required, tag = "1")]
    pub result: AclStatus,
}

/// `SetStoragePolicyRequestProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SetStoragePolicyRequest {
    #[prost(string, required, tag = "1")]
    pub src: String,
    #[prost(string, required, tag = "2")]
    pub policy_name: String,
}

/// `GetStoragePolicyResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetStoragePolicyResponse {
    #[prost(message, required, tag = "1")]
    pub storage_policy: BlockStoragePolicy,
}

/// `GetStoragePoliciesResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetStoragePoliciesResponse {
    #[prost(message, repeated, tag = "1")]
    pub policies: Vec<BlockStoragePolicy>,
}

/// `GetErasureCodingPoliciesResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetErasureCodingPoliciesResponse {
    #[prost(message, repeated, tag = "1")]
    pub ec_policies: Vec<ErasureCodingPolicy>,
}

/// `GetErasureCodingPolicyResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetErasureCodingPolicyResponse {
    #[prost(message, optional, tag = "1")]
    pub ec_policy: Option<ErasureCodingPolicy>,
}

/// `GetErasureCodingCodecsResponseProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetErasureCodingCodecsResponse {
    #[prost(message, repeated, tag = "1")]
    pub codec: Vec<Codec>,
}

/// `CodecProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Codec {
    #[prost(string, required, tag = "1")]
    pub codec: String,
    #[prost(string, required, tag = "2")]
    pub coders: String,
}
