//! From an ordered call to its answer.

use super::directories::Mode;
use super::{
    acl, append, blocks, concat, create, delete, directories, lease, policies, quota, reclaim, recovery, rename, retry,
    settings, xattrs,
};
use crate::command::FileSystemAction;
use crate::error::{Rejection, refuse};
use crate::state::transaction::Transaction;
use granary_protocol::filesystem::{FsCall, FsReply, FsRequest};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{DirectoryId, ErrorCode, UnixMillis, VolumeId};

/// Carries out what the leader ordered.
pub(crate) fn perform(
    tx: &mut Transaction<'_>,
    action: &FileSystemAction,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let reply = match action {
        FileSystemAction::Call { call, volumes, replication } => answer(tx, call, volumes, *replication, now)?,
        FileSystemAction::DeletePage { caller, path, after } => {
            reclaim::delete_page(tx, caller, path, after.as_deref(), now)?
        }
        FileSystemAction::Reclaim => {
            reclaim::step(tx, DirectoryId(0))?;
            FsReply::Done
        }
        FileSystemAction::ReclaimFrom { directory } => {
            reclaim::step(tx, *directory)?;
            FsReply::Done
        }
        FileSystemAction::ExpireHolder { holder } => {
            lease::expire(tx, std::slice::from_ref(holder), now)?;
            FsReply::Done
        }
        FileSystemAction::ExpireHolders { holders } => {
            lease::expire(tx, holders, now)?;
            FsReply::Done
        }
        FileSystemAction::RecoverPath { path } => recovery::recover_path(tx, path, now)?,
        FileSystemAction::FinishRecovery { file, block, length, members } => {
            recovery::finish(tx, *file, *block, *length, members, now)?;
            FsReply::Done
        }
    };
    Ok(NamenodeReply::FileSystem(Box::new(reply)))
}

fn answer(
    tx: &mut Transaction<'_>,
    call: &FsCall,
    volumes: &[VolumeId],
    replication: u16,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let remembered = retry::remembered_as(call);
    if let Some(id) = remembered
        && let Some(reply) = retry::recall(tx, id, now)?
    {
        return Ok(reply);
    }
    let reply = dispatch(tx, call, volumes, replication, now)?;
    if let Some(id) = remembered {
        retry::remember(tx, id, &reply, now)?;
    }
    Ok(reply)
}

fn dispatch(
    tx: &mut Transaction<'_>,
    call: &FsCall,
    volumes: &[VolumeId],
    replication: u16,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    use FsRequest as Q;
    let caller = &call.caller;
    match &call.request {
        Q::Mkdirs { path, permission, unmasked, create_parent } => {
            let mode = Mode { masked: *permission, unmasked: *unmasked };
            directories::mkdirs(tx, caller, path, mode, *create_parent, now)
        }
        Q::Create(create) => create::create(tx, caller, create, now),
        Q::AddBlock { path, file, holder, previous, .. } => {
            blocks::add(tx, path, *file, holder, previous.as_ref(), volumes)
        }
        Q::AbandonBlock { path, file, holder, block } => blocks::abandon(tx, path, *file, holder, block.block),
        Q::Complete { path, file, holder, last } => blocks::complete(tx, path, *file, holder, last.as_ref(), now),
        Q::Fsync { path, file, holder, length } => blocks::fsync(tx, path, *file, holder, *length),
        Q::Append { path, holder } => append::append(tx, caller, path, holder, replication, now),
        Q::Truncate { path, length, holder } => append::truncate(tx, caller, path, *length, holder, now),
        Q::Concat { target, sources } => concat::concat(tx, caller, target, sources, now),
        Q::Rename { from, to } => rename::rename(tx, caller, from, to, now),
        Q::Rename2 { from, to, overwrite } => rename::rename2(tx, caller, from, to, *overwrite, now),
        Q::Delete { path, recursive } => delete::delete(tx, caller, path, *recursive, now),
        Q::SetPermission { path, permission } => settings::set_permission(tx, caller, path, *permission),
        Q::SetOwner { path, owner, group } => settings::set_owner(tx, caller, path, owner.as_ref(), group.as_ref()),
        Q::SetTimes { path, modified, accessed } => settings::set_times(tx, caller, path, *modified, *accessed),
        Q::SetReplication { path, replication } => settings::set_replication(tx, caller, path, *replication),
        Q::RenewLease { holder } => lease::renew_known(tx, holder, now),
        Q::RecoverLease { path, holder } => recovery::recover_lease(tx, caller, path, holder, now),
        Q::UpdateBlockForPipeline { block, holder } => blocks::promise_generation(tx, block, holder),
        Q::UpdatePipeline { holder, old, new, .. } => blocks::update_pipeline(tx, holder, old, new, volumes),
        Q::SetQuota { path, names, space_bytes } => quota::set(tx, caller, path, *names, *space_bytes),
        Q::SetXAttr { path, attribute, create, replace } => xattrs::set(tx, caller, path, attribute, *create, *replace),
        Q::RemoveXAttr { path, name } => xattrs::remove(tx, caller, path, name),
        Q::ChangeAcl { path, change } => acl::change(tx, caller, path, change),
        Q::SetStoragePolicy { path, policy } => policies::set(tx, caller, path, *policy),
        Q::AdditionalDatanode { .. }
        | Q::Status { .. }
        | Q::List { .. }
        | Q::Locate { .. }
        | Q::ContentSummary { .. }
        | Q::Stats
        | Q::ServerDefaults
        | Q::IsFileClosed { .. }
        | Q::CheckAccess { .. }
        | Q::GetXAttrs { .. }
        | Q::ListXAttrs { .. }
        | Q::AclStatus { .. }
        | Q::StoragePolicy { .. }
        | Q::OpenFiles { .. } => Err(refuse(ErrorCode::InvalidArgument, "a read is not ordered")),
    }
}
