//! Owners, permissions, times, replication: what is changed beside an entry.

use super::access;
use super::attributes;
use super::create::REPLICATION_MAX;
use super::open;
use super::queries;
use super::records::Attributes;
use super::resolve::{self, Found, Place};
use crate::error::{Rejection, refuse};
use crate::state::blocks::{self as block_records, PIPELINE_VOLUMES_MAX};
use crate::state::contents;
use crate::state::records::{ContentData, ObjectHead};
use crate::state::transaction::Transaction;
use granary_protocol::filesystem::{FsCaller, FsPath, FsReply};
use granary_protocol::{ErrorCode, UnixMillis};

/// The bits a permission may have.
const PERMISSION_BITS: u16 = 0o1777;
/// Blocks whose wanted replicas one call changes at most: half a terabyte of whole blocks.
const CHANGED_BLOCKS_MAX: usize = 4_096;

/// Changes what is kept beside an entry.
pub(super) fn change(
    tx: &mut Transaction<'_>,
    place: &Place<'_>,
    change: impl FnOnce(&mut Attributes) -> Result<(), Rejection>,
) -> Result<(), Rejection> {
    let mut attributes = queries::attributes_of(tx, place)?;
    change(&mut attributes)?;
    match &place.found {
        Found::Directory { id, .. } => attributes::put_directory(tx, *id, &attributes),
        Found::File { head, .. } => {
            attributes.file = attributes::file_id(&attributes, head.sequence);
            attributes::put_file(tx, place.parent(), place.path.name(), &attributes);
        }
        Found::Open { id, record } => {
            let mut record = (**record).clone();
            record.attributes = attributes;
            open::update(tx, *id, &record);
        }
        Found::Root | Found::Nothing => {
            return Err(refuse(ErrorCode::Unsupported, format!("{} has fixed attributes", place.path)));
        }
    }
    Ok(())
}

pub(super) fn set_permission(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    permission: u16,
) -> Result<FsReply, Rejection> {
    let place = queries::existing(tx, caller, path)?;
    access::check_owner(tx, caller, &place)?;
    change(tx, &place, |attributes| {
        attributes.permission = Some(permission & PERMISSION_BITS);
        Ok(())
    })?;
    Ok(FsReply::Done)
}

pub(super) fn set_owner(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    owner: Option<&String>,
    group: Option<&String>,
) -> Result<FsReply, Rejection> {
    let place = queries::existing(tx, caller, path)?;
    access::check_owner(tx, caller, &place)?;
    if !caller.superuser {
        let user = &caller.user;
        if owner.is_some_and(|owner| owner != user) {
            let detail = format!("User {user} is not a super user (non-super user cannot change owner).");
            return Err(refuse(ErrorCode::AccessDenied, detail));
        }
        if let Some(group) = group.filter(|group| !caller.groups.contains(group)) {
            return Err(refuse(ErrorCode::AccessDenied, format!("User {user} does not belong to {group}")));
        }
    }
    change(tx, &place, |attributes| {
        if let Some(owner) = owner {
            attributes.owner = Some(owner.clone());
        }
        if let Some(group) = group {
            attributes.group = Some(group.clone());
        }
        Ok(())
    })?;
    Ok(FsReply::Done)
}

pub(super) fn set_times(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    modified: Option<UnixMillis>,
    accessed: Option<UnixMillis>,
) -> Result<FsReply, Rejection> {
    let place = queries::existing(tx, caller, path)?;
    access::check_entry(tx, caller, &place, access::WRITE)?;
    change(tx, &place, |attributes| {
        attributes.modified = modified.or(attributes.modified);
        attributes.accessed = accessed.or(attributes.accessed);
        Ok(())
    })?;
    Ok(FsReply::Done)
}

/// What is asked for is recorded; blocks that are the file's alone want as many from now on.
pub(super) fn set_replication(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    replication: u16,
) -> Result<FsReply, Rejection> {
    let place = resolve::resolve(tx, path)?;
    if !place.exists() {
        access::check_traverse(tx, caller, &place)?;
        return Ok(FsReply::Flag(false));
    }
    access::check_entry(tx, caller, &place, access::WRITE)?;
    if place.is_directory() {
        return Ok(FsReply::Flag(false));
    }
    if replication == 0 || replication > REPLICATION_MAX {
        let detail = format!(
            "Requested replication factor of {replication} is out of the range 1 to {REPLICATION_MAX} for {path}"
        );
        return Err(refuse(ErrorCode::FileSystemRefused, detail));
    }
    change(tx, &place, |attributes| {
        attributes.replication = replication;
        Ok(())
    })?;
    if let Found::File { head, .. } = &place.found {
        want_replicas(tx, head, replication.min(PIPELINE_VOLUMES_MAX as u16) as u8)?;
    }
    Ok(FsReply::Flag(true))
}

fn want_replicas(tx: &mut Transaction<'_>, head: &ObjectHead, wanted: u8) -> Result<(), Rejection> {
    let Some(content) = head.content else { return Ok(()) };
    let record = contents::expect(tx, content)?;
    let ContentData::Extents(extents) = record.data else { return Ok(()) };
    if record.references > 1 {
        return Ok(());
    }
    for extent in extents.iter().take(CHANGED_BLOCKS_MAX) {
        block_records::want_replicas(tx, extent.block, wanted)?;
    }
    Ok(())
}
