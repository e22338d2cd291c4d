//! What is kept beside an entry: mode, owner, times, replication, quotas, extended attributes, lists, storage policies.

use super::context::{ClientProtocol, path, unexpected};
use super::messages::*;
use super::namespace::mode;
use super::writing::policy_named;
use crate::exception::{JavaException, RemoteException};
use crate::proto::{self, XATTR_CREATE, XATTR_REPLACE};
use crate::rpc::Call;
use crate::translate;
use granary_protocol::UnixMillis;
use granary_protocol::filesystem::{AclChange, AclEntry, FsReply, FsRequest, StoragePolicy, XAttr, XAttrName};

/// A time that stays: -1 as an unsigned number.
const TIME_KEPT: u64 = u64::MAX;
/// A quota that stays: the largest signed number.
const QUOTA_KEPT: u64 = i64::MAX as u64;
/// A quota that is taken away: -1 as an unsigned number.
const QUOTA_RESET: u64 = u64::MAX;
/// Attributes or entries of a list that one call may name.
const ENTRIES_MAX: usize = 1024;

type Answer<T> = Result<T, RemoteException>;

impl ClientProtocol {
    pub(super) async fn set_replication(&self, call: &Call, request: SetReplicationRequest) -> Answer<FlagReply> {
        let replication = u16::try_from(request.replication).unwrap_or(u16::MAX);
        let result = self.flag(call, FsRequest::SetReplication { path: path(&request.src)?, replication }).await?;
        Ok(FlagReply { result })
    }

    pub(super) async fn set_permission(&self, call: &Call, request: SetPermissionRequest) -> Answer<Empty> {
        let permission = mode(request.permission);
        self.done(call, FsRequest::SetPermission { path: path(&request.src)?, permission }).await?;
        Ok(Empty {})
    }

    pub(super) async fn set_owner(&self, call: &Call, request: SetOwnerRequest) -> Answer<Empty> {
        let (owner, group) = (request.username, request.groupname);
        self.done(call, FsRequest::SetOwner { path: path(&request.src)?, owner, group }).await?;
        Ok(Empty {})
    }

    pub(super) async fn set_times(&self, call: &Call, request: SetTimesRequest) -> Answer<Empty> {
        let time = |time: u64| (time != TIME_KEPT).then_some(UnixMillis(time));
        let (modified, accessed) = (time(request.mtime), time(request.atime));
        let path = path(&request.src)?;
        let set = self.done(call, FsRequest::SetTimes { path: path.clone(), modified, accessed }).await;
        set.map_err(|refused| match refused.class {
            JavaException::FileNotFound => {
                RemoteException { message: format!("File/Directory {path} does not exist."), ..refused }
            }
            _ => refused,
        })?;
        Ok(Empty {})
    }

    pub(super) async fn set_quota(&self, call: &Call, request: SetQuotaRequest) -> Answer<Empty> {
        if request.storage_type.is_some() {
            let message = "Quotas by storage type are not offered: volumes belong to storage classes here";
            return Err(RemoteException::new(JavaException::UnsupportedOperation, message));
        }
        let quota = |quota: u64| match quota {
            QUOTA_KEPT => None,
            QUOTA_RESET => Some(None),
            quota => Some(Some(quota)),
        };
        let (names, space_bytes) = (quota(request.namespace_quota), quota(request.storagespace_quota));
        self.done(call, FsRequest::SetQuota { path: path(&request.path)?, names, space_bytes }).await?;
        Ok(Empty {})
    }

    pub(super) async fn check_access(&self, call: &Call, request: CheckAccessRequest) -> Answer<Empty> {
        let mode = u8::try_from(request.mode).ok().filter(|mode| *mode <= 7).ok_or_else(|| illegal("no such mode"))?;
        self.done(call, FsRequest::CheckAccess { path: path(&request.path)?, mode }).await?;
        Ok(Empty {})
    }

    pub(super) async fn set_xattr(&self, call: &Call, request: SetXAttrRequest) -> Answer<Empty> {
        let attribute = request.x_attr.ok_or_else(|| illegal("no attribute is named"))?;
        let flags = request.flag.unwrap_or_default();
        let attribute = XAttr { name: xattr_name(&attribute)?, value: attribute.value.unwrap_or_default() };
        let (create, replace) = (flags & XATTR_CREATE != 0, flags & XATTR_REPLACE != 0);
        self.done(call, FsRequest::SetXAttr { path: path(&request.src)?, attribute, create, replace }).await?;
        Ok(Empty {})
    }

    pub(super) async fn get_xattrs(&self, call: &Call, request: GetXAttrsRequest) -> Answer<GetXAttrsResponse> {
        let names = request.x_attrs.iter().take(ENTRIES_MAX).map(xattr_name).collect::<Answer<Vec<_>>>()?;
        self.xattrs(call, FsRequest::GetXAttrs { path: path(&request.src)?, names }).await
    }

    pub(super) async fn list_xattrs(&self, call: &Call, request: PathRequest) -> Answer<GetXAttrsResponse> {
        self.xattrs(call, FsRequest::ListXAttrs { path: path(&request.path)? }).await
    }

    async fn xattrs(&self, call: &Call, request: FsRequest) -> Answer<GetXAttrsResponse> {
        match self.ask(call, request).await? {
            FsReply::XAttrs(found) => {
                Ok(GetXAttrsResponse { x_attrs: found.into_iter().map(translate::xattr).collect() })
            }
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn remove_xattr(&self, call: &Call, request: RemoveXAttrRequest) -> Answer<Empty> {
        let attribute = request.x_attr.ok_or_else(|| illegal("no attribute is named"))?;
        let name = xattr_name(&attribute)?;
        self.done(call, FsRequest::RemoveXAttr { path: path(&request.src)?, name }).await?;
        Ok(Empty {})
    }

    pub(super) async fn modify_acl_entries(&self, call: &Call, request: AclRequest) -> Answer<Empty> {
        let change = AclChange::Modify(acl_entries(&request)?);
        self.change_acl(call, &request.src, change).await
    }

    pub(super) async fn remove_acl_entries(&self, call: &Call, request: AclRequest) -> Answer<Empty> {
        let change = AclChange::Remove(acl_entries(&request)?);
        self.change_acl(call, &request.src, change).await
    }

    pub(super) async fn set_acl(&self, call: &Call, request: AclRequest) -> Answer<Empty> {
        let change = AclChange::Set(acl_entries(&request)?);
        self.change_acl(call, &request.src, change).await
    }

    pub(super) async fn remove_default_acl(&self, call: &Call, request: PathRequest) -> Answer<Empty> {
        self.change_acl(call, &request.path, AclChange::RemoveDefault).await
    }

    pub(super) async fn remove_acl(&self, call: &Call, request: PathRequest) -> Answer<Empty> {
        self.change_acl(call, &request.path, AclChange::RemoveAll).await
    }

    async fn change_acl(&self, call: &Call, text: &str, change: AclChange) -> Answer<Empty> {
        self.done(call, FsRequest::ChangeAcl { path: path(text)?, change }).await?;
        Ok(Empty {})
    }

    pub(super) async fn get_acl_status(&self, call: &Call, request: PathRequest) -> Answer<GetAclStatusResponse> {
        match self.ask(call, FsRequest::AclStatus { path: path(&request.path)? }).await? {
            FsReply::Acl(status) => Ok(GetAclStatusResponse { result: translate::acl_status(&status) }),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn set_storage_policy(&self, call: &Call, request: SetStoragePolicyRequest) -> Answer<Empty> {
        let policy = Some(policy_named(&request.policy_name)?);
        self.done(call, FsRequest::SetStoragePolicy { path: path(&request.src)?, policy }).await?;
        Ok(Empty {})
    }

    pub(super) async fn unset_storage_policy(&self, call: &Call, request: PathRequest) -> Answer<Empty> {
        self.done(call, FsRequest::SetStoragePolicy { path: path(&request.path)?, policy: None }).await?;
        Ok(Empty {})
    }

    pub(super) async fn get_storage_policy(
        &self,
        call: &Call,
        request: PathRequest,
    ) -> Answer<GetStoragePolicyResponse> {
        match self.ask(call, FsRequest::StoragePolicy { path: path(&request.path)? }).await? {
            FsReply::StoragePolicy(policy) => {
                Ok(GetStoragePolicyResponse { storage_policy: translate::storage_policy(policy) })
            }
            other => Err(unexpected(&other)),
        }
    }

    pub(super) async fn get_storage_policies(&self, _call: &Call, _: Empty) -> Answer<GetStoragePoliciesResponse> {
        Ok(GetStoragePoliciesResponse { policies: StoragePolicy::ALL.map(translate::storage_policy).to_vec() })
    }
}

fn xattr_name(attribute: &proto::XAttr) -> Answer<XAttrName> {
    translate::xattr_name(attribute).ok_or_else(|| illegal("an attribute of no known namespace"))
}

fn acl_entries(request: &AclRequest) -> Answer<Vec<AclEntry>> {
    let entries = request.acl_spec.iter().take(ENTRIES_MAX + 1).map(translate::acl_entry_from);
    let entries: Option<Vec<_>> = entries.collect();
    let entries = entries.filter(|entries| entries.len() <= ENTRIES_MAX);
    entries.ok_or_else(|| RemoteException::new(JavaException::Acl, "Invalid ACL: an entry that is none, or too many"))
}

fn illegal(message: &str) -> RemoteException {
    RemoteException::new(JavaException::IllegalArgument, message)
}
