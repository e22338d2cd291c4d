//! Files that are being written: finding them for their writer, and their rows.

use super::lease;
use super::records::{OpenFileRecord, OpenedRecord};
use super::resolve::{self, Bucket, Found, Place};
use crate::error::{Rejection, StateError, refuse};
use crate::state::layout;
use crate::state::path::{self, KeyPath};
use crate::state::transaction::Transaction;
use crate::state::view::{self, View, inconsistent};
use granary_protocol::filesystem::{FileId, FsPath};
use granary_protocol::{DirectoryId, ErrorCode, ObjectKey};

/// Directories above an open file at most, far more than any has: each rename of a tree adds those of one path.
const DEPTH_MAX: usize = 1 << 16;

/// An open file, found for whom holds its lease.
pub(super) struct Opened {
    pub(super) id: FileId,
    pub(super) record: OpenFileRecord,
    pub(super) bucket: Bucket,
    /// Where it is now, which its writer need not know: a directory above it may have been renamed.
    pub(super) key: ObjectKey,
}

/// The open file that a writer names, by its number if it knows it.
///
/// # Errors
/// `FileNotFound`, `FileLeaseExpired`.
pub(super) fn find<V: View + ?Sized>(view: &V, path: &FsPath, file: FileId, holder: &str) -> Result<Opened, Rejection> {
    let id = match file {
        FileId(0) => by_path(view, path)?.ok_or_else(|| no_lease(path, holder))?,
        known => known,
    };
    let record: Option<OpenFileRecord> = view::read(view, &layout::open_file(id))?;
    let Some(record) = record else { return Err(no_lease(path, holder)) };
    // No client is the recoverer, whatever it says.
    if record.holder != holder || holder == lease::RECOVERER {
        let detail = match record.holder.as_str() {
            lease::RECOVERER => format!("{path} (inode {}) is being recovered [Lease.  Holder: {holder}]", id.0),
            other => format!("{path} (inode {}) Client (={other}) is not the lease owner (={holder})", id.0),
        };
        return Err(refuse(ErrorCode::FileLeaseExpired, detail));
    }
    reach(view, id, record, Some(path))?.ok_or_else(|| no_lease(path, holder))
}

fn by_path<V: View + ?Sized>(view: &V, path: &FsPath) -> Result<Option<FileId>, Rejection> {
    Ok(match resolve::resolve(view, path)?.found {
        Found::Open { id, .. } => Some(id),
        _ => None,
    })
}

fn no_lease(path: &FsPath, holder: &str) -> Rejection {
    let detail = format!("File does not exist: {path} Holder {holder} does not have any open files.");
    refuse(ErrorCode::FileNotFound, detail)
}

/// An open file and where it is; `None` if a directory above it was deleted. `hint`: where it may be.
pub(super) fn reach<V: View + ?Sized>(
    view: &V,
    id: FileId,
    record: OpenFileRecord,
    hint: Option<&FsPath>,
) -> Result<Option<Opened>, Rejection> {
    let Some(bucket) = resolve::bucket(view, &record.bucket)? else { return Ok(None) };
    if let Some((name, key)) = hint.and_then(FsPath::bucket_and_key)
        && name == record.bucket
    {
        let key = ObjectKey::from(key);
        if path::lookup(view, bucket.head.root, &key)? == Some((record.parent, record.name.as_bytes())) {
            return Ok(Some(Opened { id, record, bucket, key }));
        }
    }
    let Some(mut key) = directory_key(view, bucket.head.root, record.parent)? else { return Ok(None) };
    key.push_str(&record.name);
    Ok(Some(Opened { id, record, bucket, key: ObjectKey(key) }))
}

/// The key of a directory's marker, empty for the root, by the links that it and those above it have; `None` if one of them
/// is not where its link says.
fn directory_key<V: View + ?Sized>(
    view: &V,
    root: DirectoryId,
    directory: DirectoryId,
) -> Result<Option<String>, StateError> {
    let mut names = Vec::new();
    let mut at = directory;
    while at != root {
        let Some((parent, name)) = super::attributes::of_directory(view, at)?.link else { return Ok(None) };
        let found = path::get_directory(view, parent, &resolve::row_name(&name))?;
        if found.is_none_or(|record| record.id != at) || names.len() > DEPTH_MAX {
            return Ok(None);
        }
        names.push(name);
        at = parent;
    }
    Ok(Some(names.iter().rev().map(|name| format!("{name}/")).collect()))
}

/// Writes the rows of a file that begins to be written.
pub(super) fn insert(
    tx: &mut Transaction<'_>,
    bucket: &Bucket,
    id: FileId,
    record: &OpenFileRecord,
    key: &ObjectKey,
) -> Result<(), Rejection> {
    let mut path = KeyPath::resolve(tx, bucket.head.root, key)?;
    path.count_rows(tx, 1, 0)?;
    if path.parent() != record.parent {
        return Err(inconsistent(format!("the directory of {key} is not where it was found")).into());
    }
    put_rows(tx, id, record);
    Ok(())
}

/// The same in the place of an open file that is given up. The directory keeps its number of rows, and so itself, though
/// nothing else may be in it.
pub(super) fn replace(
    tx: &mut Transaction<'_>,
    given_up: FileId,
    of: &OpenFileRecord,
    id: FileId,
    record: &OpenFileRecord,
) -> Result<(), Rejection> {
    super::content::discard(tx, of)?;
    remove_unlinked(tx, given_up, of);
    put_rows(tx, id, record);
    Ok(())
}

fn put_rows(tx: &mut Transaction<'_>, id: FileId, record: &OpenFileRecord) {
    tx.put_record(layout::open_name(record.parent, record.name.as_bytes()), &id);
    update(tx, id, record);
}

/// The number under which a file is opened: its own, unless another file is open under it. A file and an old version of
/// it that came to be current elsewhere have one number.
pub(super) fn free_id(tx: &mut Transaction<'_>, own: FileId) -> Result<FileId, StateError> {
    match tx.get(&layout::open_file(own))? {
        None => Ok(own),
        Some(_) => Ok(super::attributes::new_file_id(tx)),
    }
}

/// A file is open from now on: what its name has now is what it was opened over.
pub(super) fn note_opened(tx: &mut Transaction<'_>, id: FileId, appends: bool) {
    let opened = OpenedRecord { next_version: tx.counters().next_version, appends };
    tx.put_record(layout::opened(id), &opened);
}

/// What was so when a file was opened; `None` of one that an earlier release opened.
pub(super) fn opened<V: View + ?Sized>(view: &V, id: FileId) -> Result<Option<OpenedRecord>, StateError> {
    view::read(view, &layout::opened(id))
}

pub(super) fn update(tx: &mut Transaction<'_>, id: FileId, record: &OpenFileRecord) {
    tx.put_record(layout::open_file(id), record);
}

/// Removes the rows of a file that is not written any more. What it holds is the caller's.
pub(super) fn remove_rows(
    tx: &mut Transaction<'_>,
    bucket: &Bucket,
    id: FileId,
    record: &OpenFileRecord,
    key: &ObjectKey,
) -> Result<(), Rejection> {
    let mut path = KeyPath::resolve_directory(tx, bucket.head.root, key.as_str())?;
    path.count_rows(tx, -1, 0)?;
    remove_unlinked(tx, id, record);
    Ok(())
}

/// The same for a file whose directories have gone.
pub(super) fn remove_unlinked(tx: &mut Transaction<'_>, id: FileId, record: &OpenFileRecord) {
    tx.delete(layout::open_name(record.parent, record.name.as_bytes()));
    tx.delete(layout::open_file(id));
    tx.delete(layout::opened(id));
    if record.holder == lease::RECOVERER {
        tx.delete(layout::recovering(id));
    }
}

/// Gives up a file that is being written, with everything it holds.
pub(super) fn discard(
    tx: &mut Transaction<'_>,
    place: &Place<'_>,
    id: FileId,
    record: &OpenFileRecord,
) -> Result<(), Rejection> {
    super::content::discard(tx, record)?;
    remove_rows(tx, place.bucket()?, id, record, &place.key())
}
