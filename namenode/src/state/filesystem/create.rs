//! `create`: a file begins to be written.

use super::access;
use super::acl;
use super::attributes::{self, SUPERGROUP};
use super::directories::{self, Mode};
use super::records::{Attributes, OpenFileRecord};
use super::resolve::{self, Found, Place};
use super::{lease, open, policies, status};
use crate::error::{Rejection, refuse};
use crate::state::transaction::Transaction;
use granary_protocol::block::BLOCK_BYTES_MAX;
use granary_protocol::filesystem::{BLOCK_SIZE_MIN, CreateFile, CreateFlags, FileId, FsCaller, FsPath, FsReply};
use granary_protocol::{ErrorCode, UnixMillis};

/// The most replicas that may be asked for, as `dfs.replication.max`.
pub(super) const REPLICATION_MAX: u16 = 512;

pub(super) fn create(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    create: &CreateFile,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let CreateFile { path, flags, .. } = create;
    access::check_components(path)?;
    check_shape(create)?;
    let mut place = resolve::resolve(tx, path)?;
    check_replaceable(tx, caller, create, &place, now)?;
    access::check_above(tx, caller, &place, access::WRITE)?;
    if !place.exists() && !flags.has(CreateFlags::CREATE) {
        let detail = format!("Can't overwrite non-existent {path} for client {}", caller.host);
        return Err(refuse(ErrorCode::FileNotFound, detail));
    }
    if !place.whole {
        make_parents(tx, caller, create, &place, now)?;
        // A directory that was hidden is shown again, and with it what is being written there.
        place = resolve::resolve(tx, path)?;
        check_replaceable(tx, caller, create, &place, now)?;
    }
    begin(tx, caller, create, &place, now)
}

/// Refuses unless the place is free, or has a file that the caller may overwrite and wants to.
fn check_replaceable(
    tx: &Transaction<'_>,
    caller: &FsCaller,
    create: &CreateFile,
    place: &Place<'_>,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let CreateFile { path, flags, holder, .. } = create;
    let overwrite = flags.has(CreateFlags::OVERWRITE);
    match &place.found {
        Found::Root | Found::Directory { .. } => {
            Err(refuse(ErrorCode::FileAlreadyExists, format!("{path} already exists as a directory")))
        }
        Found::Open { .. } | Found::File { .. } if overwrite => access::check_entry(tx, caller, place, access::WRITE),
        Found::Open { record, .. } => refuse_open(tx, "CREATE_FILE", path, record, caller, holder, now),
        Found::File { .. } => {
            let detail = format!("{path} for client {} already exists", caller.host);
            Err(refuse(ErrorCode::FileAlreadyExists, detail))
        }
        Found::Nothing => Ok(()),
    }
}

/// Refuses what no file can be.
fn check_shape(create: &CreateFile) -> Result<(), Rejection> {
    let CreateFile { path, replication, block_size, .. } = create;
    if path.components().count() < 2 {
        return Err(refuse(ErrorCode::InvalidPath, format!("Invalid path name: {path}: files are in buckets")));
    }
    let io = |detail: String| Err(refuse(ErrorCode::FileSystemRefused, detail));
    if *replication == 0 {
        return io(format!("Requested replication factor of 0 is less than the required minimum of 1 for {path}"));
    }
    if *replication > REPLICATION_MAX {
        return io(format!(
            "Requested replication factor of {replication} exceeds maximum of {REPLICATION_MAX} for {path}"
        ));
    }
    if *block_size < BLOCK_SIZE_MIN {
        return io(format!(
            "Specified block size is less than configured minimum value (dfs.namenode.fs-limits.min-block-size): \
             {block_size} < {BLOCK_SIZE_MIN}"
        ));
    }
    Ok(())
}

/// Directories that a file brings with it have the permission of the one they are made in.
fn make_parents(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    create: &CreateFile,
    place: &Place<'_>,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let Some(parent) = create.path.parent().filter(|parent| !parent.is_root()) else { return Ok(()) };
    if !create.create_parent {
        return Err(refuse(ErrorCode::FileNotFound, format!("Parent directory doesn't exist: {parent}")));
    }
    let above = match place.above.last() {
        Some(step) => attributes::of_directory(tx, step.directory)?.permission.unwrap_or(0o755),
        None => 0o755,
    };
    let mode = Mode { masked: above | 0o300, unmasked: None };
    let parent_place = resolve::resolve(tx, &parent)?;
    directories::make(tx, caller, &parent_place, mode, now)
}

fn begin(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    create: &CreateFile,
    place: &Place<'_>,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let bucket = place.bucket()?;
    let parent = place.parent();
    let above = attributes::of_directory(tx, parent)?;
    let policy = match create.policy {
        Some(policy) => Some(policy),
        None => policies::of_directories(tx, &place.above)?,
    };
    let mut attributes = Attributes {
        file: attributes::new_file_id(tx),
        owner: Some(caller.user.clone()),
        group: Some(above.group.clone().unwrap_or_else(|| SUPERGROUP.to_owned())),
        modified: Some(now),
        replication: create.replication,
        block_size: create.block_size.min(u64::from(BLOCK_BYTES_MAX)),
        policy: create.policy,
        ..Attributes::default()
    };
    acl::inherit(&mut attributes, &above, create.permission, create.unmasked, false);
    let id: FileId = attributes.file;
    let record = OpenFileRecord {
        bucket: bucket.name.clone(),
        parent,
        name: create.path.name().to_owned(),
        holder: create.holder.clone(),
        attributes,
        class: policy.unwrap_or_default().class(),
        base: None,
        base_bytes: 0,
        blocks: Vec::new(),
        last: None,
    };
    lease::renew(tx, &create.holder, now)?;
    match &place.found {
        Found::Open { id: given_up, record: of } => open::replace(tx, *given_up, of, id, &record)?,
        _ => open::insert(tx, bucket, id, &record, &place.key())?,
    }
    open::note_opened(tx, id, false);
    attributes::touch(tx, &place.above, now)?;
    let status = status::of_open(tx, bucket, id, &record, String::new())?;
    Ok(FsReply::Status(Some(Box::new(status))))
}

/// Why a file that is being written cannot be opened by another writer, in HDFS' words. `RecoveryInProgress` if its
/// writer's lease is old: the caller has the file recovered then.
pub(super) fn refuse_open(
    tx: &Transaction<'_>,
    operation: &str,
    path: &FsPath,
    record: &OpenFileRecord,
    caller: &FsCaller,
    holder: &str,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let what = format!("Failed to {operation} {path} for {holder} on {}", caller.host);
    if record.holder == lease::RECOVERER {
        let detail = format!("{what} because the file is under construction and lease recovery is in progress.");
        return Err(refuse(ErrorCode::RecoveryInProgress, detail));
    }
    if record.holder == holder {
        let detail = format!("{what} because {holder} is already the current lease holder.");
        return Err(refuse(ErrorCode::AlreadyBeingCreated, detail));
    }
    if lease::is_soft_expired(tx, &record.holder, now)? {
        let detail = format!("{what} because lease recovery is in progress. Try again later.");
        return Err(refuse(ErrorCode::RecoveryInProgress, detail));
    }
    let detail = format!("{what} because this file lease is currently owned by {}", record.holder);
    Err(refuse(ErrorCode::AlreadyBeingCreated, detail))
}
