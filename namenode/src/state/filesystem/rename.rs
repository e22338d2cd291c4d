//! `rename` and `rename2`: one entry of one directory becomes one of another, whatever lies below it.
//!
//! Where versions are kept, a file is renamed as S3 would do it: its content becomes a new version of the new key, and the
//! old key gets a delete marker; a directory takes the histories of its keys along. From bucket to bucket files go, trees
//! do not; and where Object Lock is enabled trees do not move at all, because locked versions must stay where they are.

use super::access;
use super::attributes::{self, Kept};
use super::delete;
use super::directories;
use super::open;
use super::records::{Attributes, OpenFileRecord};
use super::resolve::{self, Found, Place};
use crate::error::{Rejection, refuse};
use crate::state::classes;
use crate::state::contents;
use crate::state::layout;
use crate::state::locks::{self, Remover};
use crate::state::path::{self, KeyPath};
use crate::state::records::{DirectoryRecord, ObjectHead};
use crate::state::restores;
use crate::state::transaction::Transaction;
use crate::state::versions;
use granary_protocol::bucket::Versioning;
use granary_protocol::filesystem::{FileId, FsCaller, FsPath, FsReply};
use granary_protocol::object::{KEY_BYTES_MAX, ObjectDetails, ObjectLock};
use granary_protocol::{ErrorCode, ObjectKey, UnixMillis};

/// Version 1: into the target if that is a directory; `false` for nearly everything that cannot be done.
pub(super) fn rename(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    from: &FsPath,
    to: &FsPath,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let source = resolve::resolve(tx, from)?;
    access::check_traverse(tx, caller, &source)?;
    let mut target = resolve::resolve(tx, to)?;
    let inner;
    if target.is_directory() && source.exists() && to != from {
        inner = to.child(from.name()).map_err(|error| refuse(ErrorCode::InvalidPath, error.to_string()))?;
        target = resolve::resolve(tx, &inner)?;
    }
    let to = target.path;
    if !source.exists() || from.is_root() {
        return Ok(FsReply::Flag(false));
    }
    check_may(tx, caller, &source, &target)?;
    if to == from {
        return Ok(FsReply::Flag(true));
    }
    if from.holds(to) || target.exists() || !target.whole {
        return Ok(FsReply::Flag(false));
    }
    move_entry(tx, &source, &target, now)?;
    Ok(FsReply::Flag(true))
}

/// Version 2: exceptions tell why not, and an existing target may be replaced.
pub(super) fn rename2(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    from: &FsPath,
    to: &FsPath,
    overwrite: bool,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let source = resolve::resolve(tx, from)?;
    access::check_traverse(tx, caller, &source)?;
    let target = resolve::resolve(tx, to)?;
    let io = |detail: String| Err(refuse(ErrorCode::FileSystemRefused, detail));
    if !source.exists() {
        return Err(refuse(ErrorCode::FileNotFound, format!("rename source {from} is not found.")));
    }
    if from.is_root() {
        return io("rename source cannot be the root".to_owned());
    }
    if to.is_root() {
        return io("rename destination cannot be the root".to_owned());
    }
    check_may(tx, caller, &source, &target)?;
    if from == to {
        let detail = format!("The source {from} and destination {to} are the same");
        return Err(refuse(ErrorCode::FileAlreadyExists, detail));
    }
    if from.holds(to) {
        return io(format!("Rename destination {to} is a directory or file under source {from}"));
    }
    if target.exists() {
        replace_target(tx, caller, &source, &target, overwrite, now)?;
    } else if !target.whole {
        let parent = to.parent().unwrap_or_else(FsPath::root);
        return Err(refuse(ErrorCode::FileNotFound, format!("rename destination parent {parent} not found.")));
    }
    move_entry(tx, &source, &target, now)?;
    Ok(FsReply::Done)
}

fn check_may(tx: &Transaction<'_>, caller: &FsCaller, source: &Place<'_>, target: &Place<'_>) -> Result<(), Rejection> {
    access::check_components(target.path)?;
    access::check_above(tx, caller, source, access::WRITE)?;
    access::check_sticky(tx, caller, source)?;
    access::check_above(tx, caller, target, access::WRITE)?;
    if source.is_bucket() || target.is_bucket() || target.path.is_root() {
        let detail = format!("{} cannot be renamed to {}: what is in / are buckets", source.path, target.path);
        return Err(refuse(ErrorCode::Unsupported, detail));
    }
    Ok(())
}

/// Sees to what is at the target: files are replaced, empty directories go.
fn replace_target(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    source: &Place<'_>,
    target: &Place<'_>,
    overwrite: bool,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let (from, to) = (source.path, target.path);
    if source.is_directory() != target.is_directory() {
        let detail = format!("Source {from} and destination {to} must both be directories");
        return Err(refuse(ErrorCode::FileSystemRefused, detail));
    }
    if !overwrite {
        return Err(refuse(ErrorCode::FileAlreadyExists, format!("rename destination {to} already exists")));
    }
    if let Found::Directory { id, .. } = &target.found
        && !directories::is_empty(tx, *id, target.bucket()?.shows())?
    {
        return Err(refuse(ErrorCode::FileSystemRefused, format!("rename destination directory is not empty: {to}")));
    }
    match &target.found {
        Found::Directory { .. } => delete::delete(tx, caller, to, false, now).map(|_| ()),
        // What is put in its place replaces it.
        _ => Ok(()),
    }
}

/// Both are in buckets, the target is free (or a file to be replaced), and its parent exists.
fn move_entry(
    tx: &mut Transaction<'_>,
    source: &Place<'_>,
    target: &Place<'_>,
    now: UnixMillis,
) -> Result<(), Rejection> {
    if target.marker_key().as_str().len() > KEY_BYTES_MAX {
        return Err(refuse(ErrorCode::InvalidPath, format!("{} is longer than a key may be", target.path)));
    }
    // The new place comes first: what the entry leaves is kept only if nothing is left in it.
    match &source.found {
        Found::Directory { record: Some(record), .. } => move_directory(tx, source, target, record, now)?,
        Found::File { head, details, attributes } => {
            let attributes =
                Attributes { file: attributes::file_id(attributes, head.sequence), ..(**attributes).clone() };
            move_object(tx, source, target, head, details, &attributes, now)?;
            if let Found::Open { id, record } = &target.found {
                // Last, so that the directory never looks empty in between.
                open::discard(tx, target, *id, record)?;
            }
        }
        Found::Open { id, record } => move_open(tx, source, target, *id, record, now)?,
        Found::Nothing | Found::Root | Found::Directory { record: None, .. } => {
            return Err(refuse(ErrorCode::Unsupported, format!("{} cannot be renamed", source.path)));
        }
    }
    attributes::touch(tx, &source.above, now)?;
    attributes::touch(tx, &target.above, now)?;
    Ok(())
}

fn move_directory(
    tx: &mut Transaction<'_>,
    source: &Place<'_>,
    target: &Place<'_>,
    record: &DirectoryRecord,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let bucket = source.bucket()?;
    if bucket.head.root != target.bucket()?.head.root {
        let detail = format!("{} is a directory and cannot be renamed into another bucket", source.path);
        return Err(refuse(ErrorCode::Unsupported, detail));
    }
    if bucket.head.lock.is_some() {
        let detail = format!("{} is in a bucket with Object Lock, where directories are not renamed", source.path);
        return Err(refuse(ErrorCode::Unsupported, detail));
    }
    let (parent, name) = (target.parent(), target.path.name());
    let row_name = resolve::row_name(name);
    if path::get_directory(tx, parent, &row_name)?.is_some() {
        let detail = format!("versions of deleted objects are kept under {}", target.path);
        return Err(refuse(ErrorCode::FileSystemRefused, detail));
    }
    let mut path = KeyPath::resolve_directory(tx, bucket.head.root, target.parent_key())?;
    path.count_rows(tx, 1, i64::from(record.listed))?;
    tx.put(layout::entry(parent, &row_name), path::encode_directory(record));
    directories::keep_above(tx, source, now)?;
    delete::detach(tx, source, record)?;
    let mut attributes = attributes::of_directory(tx, record.id)?;
    attributes.link = Some((parent, name.to_owned()));
    attributes::put_directory(tx, record.id, &attributes);
    Ok(())
}

fn move_object(
    tx: &mut Transaction<'_>,
    source: &Place<'_>,
    target: &Place<'_>,
    head: &ObjectHead,
    details: &ObjectDetails,
    attributes: &Attributes,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let (from, to) = (source.bucket()?, target.bucket()?);
    let remover = Remover::ordinary(now);
    let mut moved = ObjectHead { upload: None, ..head.clone() };
    let in_place = from.head.root == to.head.root && from.head.versioning == Versioning::Off;
    if in_place {
        restores::forget(tx, head)?;
        if let Some(content) = head.content {
            classes::unrefer(tx, content, head.class)?;
        }
    } else {
        if let Some(content) = head.content {
            contents::acquire(tx, content)?;
        }
        moved.owner = to.owner.clone();
        moved.lock = locks::of_new_version(to.head, ObjectLock::default(), now);
    }
    let key = target.key();
    let mut path = KeyPath::resolve(tx, to.head.root, &key)?;
    let replaced = path.current(tx)?;
    versions::install(tx, to.head, &mut path, replaced, &mut moved, details, remover)?;
    let kept = Kept { parent: target.parent(), name: target.path.name(), attributes };
    attributes::put_file(tx, kept.parent, kept.name, kept.attributes);
    directories::keep_above(tx, source, now)?;
    if in_place {
        let key = source.key();
        KeyPath::resolve_directory(tx, from.head.root, key.as_str())?.remove_current(tx, head)?;
    } else {
        delete::remove_object(tx, source, now)?;
    }
    Ok(())
}

/// A file that is being written, and the object it hides, if any.
fn move_open(
    tx: &mut Transaction<'_>,
    source: &Place<'_>,
    target: &Place<'_>,
    id: FileId,
    record: &OpenFileRecord,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let (from, to) = (source.bucket()?, target.bucket()?);
    if from.head.root != to.head.root {
        let detail = format!("{} is being written and cannot be renamed into another bucket", source.path);
        return Err(refuse(ErrorCode::Unsupported, detail));
    }
    let source_key: ObjectKey = source.key();
    let hidden = KeyPath::resolve_directory(tx, from.head.root, source_key.as_str())?.current(tx)?;
    let moved = OpenFileRecord { parent: target.parent(), name: target.path.name().to_owned(), ..record.clone() };
    match &target.found {
        Found::Open { id: given_up, record: of } => open::replace(tx, *given_up, of, id, &moved)?,
        _ => open::insert(tx, to, id, &moved, &target.key())?,
    }
    let opened = open::opened(tx, id)?;
    let overtaken =
        hidden.as_ref().is_some_and(|hidden| opened.is_some_and(|at| hidden.head.sequence >= at.next_version));
    if let Some(hidden) = hidden.filter(|current| !current.head.delete_marker) {
        let row = layout::entry(source.parent(), source.path.name().as_bytes());
        let object = path::decode_object(&row, &hidden.row)?;
        let attributes = attributes::of_file(tx, source.parent(), source.path.name())?;
        move_object(tx, source, target, &object.head, &object.details, &attributes, now)?;
    }
    // Last, so that the directory never looks empty before it is seen to that it stays.
    directories::keep_above(tx, source, now)?;
    let mut path = KeyPath::resolve_directory(tx, from.head.root, source_key.as_str())?;
    path.count_rows(tx, -1, 0)?;
    tx.delete(layout::open_name(record.parent, record.name.as_bytes()));
    if let Some(opened) = opened.filter(|_| !overtaken) {
        // What is at its new name now is what it was opened over.
        open::note_opened(tx, id, opened.appends);
    }
    Ok(())
}
