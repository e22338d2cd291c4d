//! Version rules: what becomes of the current version when a new one is written, and who follows when it goes.
//!
//! Invariants: a key with noncurrent versions has a current one; sequences of a key's versions fall from the current one
//! through the table; there is one null version at most, and `null_version` points to it exactly while it is noncurrent.

use super::classes;
use super::contents;
use super::layout;
use super::locks::{self, Remover};
use super::path::{self, Current, KeyPath};
use super::records::{BucketHead, ObjectHead};
use super::restores;
use super::transaction::Transaction;
use super::view::{self, View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use bytes::Bytes;
use granary_protocol::bucket::Versioning;
use granary_protocol::object::ObjectDetails;
use granary_protocol::{DirectoryId, ErrorCode, VersionId};

/// The most bytes that all versions together may say they have: copies cost nothing, and the sum of them must have room.
const OBJECT_BYTES_SUM_MAX: u64 = 1 << 62;

/// Makes `head` the current version. Its `version` and `sequence` are set here. Refused with `ObjectLocked` if it would
/// replace a locked version; nothing is changed then.
pub(super) fn install(
    tx: &mut Transaction<'_>,
    bucket: BucketHead,
    path: &mut KeyPath<'_>,
    current: Option<Current>,
    head: &mut ObjectHead,
    details: &ObjectDetails,
    remover: Remover,
) -> Result<(), Rejection> {
    if tx.counters().object_bytes.saturating_add(head.size) > OBJECT_BYTES_SUM_MAX {
        return Err(refuse(ErrorCode::LimitExceeded, "the sizes of all objects cannot be added up any more"));
    }
    head.sequence = tx.counters().next_version;
    tx.counters().next_version += 1;
    head.version = match bucket.versioning {
        Versioning::Enabled => VersionId(head.sequence),
        Versioning::Off | Versioning::Suspended => VersionId::NULL,
    };
    // Before anything is dropped: what is replaced may be of the same content.
    if let Some(content) = head.content {
        classes::refer(tx, content, head.class)?;
    }
    if let Some(current) = &current {
        let replaces = head.version == VersionId::NULL && current.head.version == VersionId::NULL;
        if replaces {
            drop_version(tx, &current.head, remover)?;
        } else {
            if head.version == VersionId::NULL {
                remove_noncurrent_null(tx, path.parent(), path.name(), remover)?;
            }
            retire(tx, path.parent(), path.name(), current);
        }
    }
    let row = path::encode_object(head, details);
    Ok(path.put_current(tx, current.as_ref().map(|current| &current.head), head, row.into())?)
}

/// Removes the current version; the newest of the others takes its place.
pub(super) fn remove_current(
    tx: &mut Transaction<'_>,
    bucket: BucketHead,
    path: &mut KeyPath<'_>,
    current: &ObjectHead,
    remover: Remover,
) -> Result<(), Rejection> {
    drop_version(tx, current, remover)?;
    // Without versioning there never were others, and no scan is needed to know it.
    let next = match bucket.versioning {
        Versioning::Off => None,
        Versioning::Enabled | Versioning::Suspended => newest_noncurrent(tx, path.parent(), path.name())?,
    };
    let Some((key, row)) = next else { return Ok(path.remove_current(tx, current)?) };
    let head = path::decode_object_head(&key, &row)?;
    tx.delete(key);
    if head.version == VersionId::NULL {
        tx.delete(layout::null_version(path.parent(), path.name()));
    }
    Ok(path.put_current(tx, Some(current), &head, row)?)
}

/// Removes a noncurrent version. `None` if there is no such version.
pub(super) fn remove_noncurrent(
    tx: &mut Transaction<'_>,
    parent: DirectoryId,
    name: &[u8],
    version: VersionId,
    remover: Remover,
) -> Result<Option<ObjectHead>, Rejection> {
    let Some((key, row)) = find_noncurrent(tx, parent, name, version)? else { return Ok(None) };
    let head = path::decode_object_head(&key, &row)?;
    drop_version(tx, &head, remover)?;
    tx.delete(key);
    if version == VersionId::NULL {
        tx.delete(layout::null_version(parent, name));
    }
    Ok(Some(head))
}

/// The row of a noncurrent version, and where it is.
pub(super) fn find_noncurrent<V: View + ?Sized>(
    view: &V,
    parent: DirectoryId,
    name: &[u8],
    version: VersionId,
) -> Result<Option<(Vec<u8>, Bytes)>, StateError> {
    let sequence = match version {
        VersionId::NULL => match view::read(view, &layout::null_version(parent, name))? {
            Some(sequence) => sequence,
            None => return Ok(None),
        },
        VersionId(sequence) => sequence,
    };
    let key = layout::version(parent, name, sequence);
    let Some(row) = view.get(&key)? else { return Ok(None) };
    // A null version may sit where a number was asked for: its sequence is not its name.
    let found = path::decode_object_head(&key, &row)?.version == version;
    Ok(found.then_some((key, row)))
}

fn newest_noncurrent(
    tx: &Transaction<'_>,
    parent: DirectoryId,
    name: &[u8],
) -> Result<Option<(Vec<u8>, Bytes)>, StateError> {
    let from = layout::versions_of(parent, name);
    match tx.scan(&from, Some(&layout::after_prefix(&from))).next() {
        Some(pair) => {
            let (key, row) = pair?;
            Ok(Some((key.to_vec(), row)))
        }
        None => Ok(None),
    }
}

fn retire(tx: &mut Transaction<'_>, parent: DirectoryId, name: &[u8], current: &Current) {
    let sequence = current.head.sequence;
    tx.put_bytes(layout::version(parent, name, sequence), current.row.clone());
    if current.head.version == VersionId::NULL {
        tx.put_record(layout::null_version(parent, name), &sequence);
    }
}

fn remove_noncurrent_null(
    tx: &mut Transaction<'_>,
    parent: DirectoryId,
    name: &[u8],
    remover: Remover,
) -> Result<(), Rejection> {
    let pointed = tx.get(&layout::null_version(parent, name))?.is_some();
    let removed = remove_noncurrent(tx, parent, name, VersionId::NULL, remover)?.is_some();
    if pointed != removed {
        return Err(inconsistent("a null version is pointed to and does not exist").into());
    }
    Ok(())
}

/// The one place where a version dies.
fn drop_version(tx: &mut Transaction<'_>, head: &ObjectHead, remover: Remover) -> Result<(), Rejection> {
    locks::check_removal(head, remover)?;
    restores::forget(tx, head)?;
    if let Some(content) = head.content {
        classes::unrefer(tx, content, head.class)?;
        if contents::release(tx, content)? {
            classes::settle(tx, content)?;
        }
    }
    Ok(())
}
