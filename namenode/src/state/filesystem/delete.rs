//! `delete`: files, and trees whatever their size.
//!
//! Where versions are not kept a tree is unlinked by one row and its rows are removed later, in bounded steps. Where they
//! are, every object gets a delete marker, as S3 would make it: the leader asks for that page by page before it orders the
//! last step.

use super::access;
use super::attributes;
use super::directories;
use super::records::DetachedRecord;
use super::resolve::{self, Bucket, Found, Place};
use super::{open, reclaim};
use crate::error::{Rejection, refuse};
use crate::state::buckets;
use crate::state::layout;
use crate::state::locks::Remover;
use crate::state::objects;
use crate::state::path::KeyPath;
use crate::state::records::DirectoryRecord;
use crate::state::transaction::Transaction;
use crate::state::versions;
use crate::state::{lifecycle, settings, uploads, view};
use granary_protocol::bucket::Versioning;
use granary_protocol::filesystem::{FsCaller, FsPath, FsReply};
use granary_protocol::object::ObjectDetails;
use granary_protocol::{DirectoryId, ErrorCode, ObjectKey, UnixMillis};

pub(super) fn delete(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    recursive: bool,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let place = resolve::resolve(tx, path)?;
    access::check_traverse(tx, caller, &place)?;
    match &place.found {
        Found::Nothing => return Ok(FsReply::Flag(false)),
        // As HDFS answers for its root.
        Found::Root => return Ok(FsReply::Flag(false)),
        _ => {}
    }
    check_may(tx, caller, &place)?;
    if let Found::Directory { id, record } = &place.found {
        let (id, record) = (*id, *record);
        let empty = directories::is_empty(tx, id, place.bucket()?.shows())?;
        if !recursive && !empty {
            return Err(refuse(ErrorCode::DirectoryNotEmpty, format!("{path} is non empty")));
        }
        if !empty {
            check_tree(tx, caller, &place, id)?;
        }
        match record {
            None => delete_bucket(tx, &place, id)?,
            Some(record) => delete_directory(tx, &place, &record, now)?,
        }
    } else {
        directories::keep_above(tx, &place, now)?;
        if let Found::Open { id, record } = &place.found {
            open::discard(tx, &place, *id, record)?;
        }
        remove_object(tx, &place, now)?;
    }
    if !place.is_bucket() {
        attributes::touch(tx, &place.above, now)?;
    }
    Ok(FsReply::Flag(true))
}

/// Refuses what parents' permissions forbid. A bucket goes by the hand of its account or of a superuser.
fn check_may(tx: &Transaction<'_>, caller: &FsCaller, place: &Place<'_>) -> Result<(), Rejection> {
    if place.is_bucket() {
        let own = place.bucket()?.owner == caller.account && caller.makes_buckets;
        return if own {
            Ok(())
        } else {
            access::check_above(tx, &FsCaller { makes_buckets: false, ..caller.clone() }, place, access::WRITE)
        };
    }
    access::check_above(tx, caller, place, access::WRITE)?;
    access::check_sticky(tx, caller, place)
}

/// Refuses a tree with a directory in it whose entries the caller may not remove. HDFS looks at every directory; so does
/// this, as far as one command may.
fn check_tree(
    tx: &Transaction<'_>,
    caller: &FsCaller,
    place: &Place<'_>,
    directory: DirectoryId,
) -> Result<(), Rejection> {
    if caller.superuser {
        return Ok(());
    }
    reclaim::check_directories(tx, caller, place, directory)
}

/// Removes the object of a place, if there is one: by a delete marker where versions are kept.
pub(super) fn remove_object(tx: &mut Transaction<'_>, place: &Place<'_>, now: UnixMillis) -> Result<(), Rejection> {
    remove_key(tx, place.bucket()?, &place.key(), now)
}

/// The same for a key.
pub(super) fn remove_key(
    tx: &mut Transaction<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    now: UnixMillis,
) -> Result<(), Rejection> {
    // Longer than S3 allows, perhaps: a directory above it was renamed.
    let mut path = KeyPath::resolve_directory(tx, bucket.head.root, key.as_str())?;
    let Some(current) = path.current(tx)?.filter(|current| !current.head.delete_marker) else { return Ok(()) };
    let remover = Remover::ordinary(now);
    if bucket.head.versioning == Versioning::Off {
        return versions::remove_current(tx, bucket.head, &mut path, &current.head, remover);
    }
    let mut marker = objects::delete_marker(bucket.owner.clone(), now);
    versions::install(tx, bucket.head, &mut path, Some(current), &mut marker, &ObjectDetails::default(), remover)
}

/// A directory other than a bucket's root.
fn delete_directory(
    tx: &mut Transaction<'_>,
    place: &Place<'_>,
    record: &DirectoryRecord,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let bucket = place.bucket()?;
    directories::keep_above(tx, place, now)?;
    if bucket.head.versioning == Versioning::Off {
        detach(tx, place, record)?;
        let root = Some(bucket.head.root);
        tx.put_record(layout::detached(record.id), &DetachedRecord { root });
        return Ok(());
    }
    // Only the marker is left, and what is not shown.
    if !directories::is_empty(tx, record.id, bucket.shows())? {
        return Err(refuse(ErrorCode::DirectoryNotEmpty, format!("{} is non empty", place.path)));
    }
    remove_key(tx, bucket, &place.marker_key(), now)
}

/// Takes a directory's row from the one it is in.
pub(super) fn detach(tx: &mut Transaction<'_>, place: &Place<'_>, record: &DirectoryRecord) -> Result<(), Rejection> {
    let mut path = KeyPath::resolve_directory(tx, place.bucket()?.head.root, place.parent_key())?;
    tx.delete(layout::entry(path.parent(), &resolve::row_name(place.path.name())));
    Ok(path.count_rows(tx, -1, -i64::from(record.listed))?)
}

fn delete_bucket(tx: &mut Transaction<'_>, place: &Place<'_>, root: DirectoryId) -> Result<(), Rejection> {
    let bucket = place.bucket()?;
    if buckets::counts(tx, root)?.entries == 0 {
        attributes::forget_directory(tx, root)?;
        buckets::delete(tx, &bucket.name)?;
        return Ok(());
    }
    if bucket.head.versioning != Versioning::Off {
        let detail = format!("{}: versions of objects are kept in the bucket; they go through S3", place.path);
        return Err(refuse(ErrorCode::DirectoryNotEmpty, detail));
    }
    uploads::abort_all(tx, root)?;
    settings::remove_all(tx, &bucket.name)?;
    lifecycle::forget_progress(tx, root);
    tx.delete(layout::bucket(&bucket.name));
    tx.delete(layout::bucket_counts(root));
    tx.counters().buckets = view::moved(tx.counters().buckets, -1, "the number of buckets")?;
    // Its rows are counted in the whole alone from now on, and removed in steps.
    tx.put_record(layout::detached(root), &DetachedRecord { root: None });
    Ok(())
}
