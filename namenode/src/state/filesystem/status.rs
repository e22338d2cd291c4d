//! Entries as they are shown.

use super::attributes::{self, Inode};
use super::records::{Attributes, OpenFileRecord};
use super::resolve::{Bucket, Found, Place};
use crate::error::{Rejection, StateError};
use crate::state::buckets;
use crate::state::layout;
use crate::state::records::{DirectoryCounts, ObjectHead};
use crate::state::view::{self, View};
use granary_protocol::block::BLOCK_BYTES_MAX;
use granary_protocol::filesystem::{FileId, FileKind, FileStatus, StoragePolicy};
use granary_protocol::object::StorageClass;
use granary_protocol::{DirectoryId, UnixMillis};

/// The entry of a place; `None` where there is nothing. `replication` is the cluster's, shown for what names none.
pub(super) fn of_place<V: View + ?Sized>(
    view: &V,
    place: &Place<'_>,
    replication: u16,
) -> Result<Option<FileStatus>, Rejection> {
    let name = String::new();
    Ok(Some(match &place.found {
        Found::Nothing => return Ok(None),
        Found::Root => of_root(view)?,
        Found::Directory { id, record } => of_directory(view, place.bucket()?, *id, record.is_none(), name)?,
        Found::File { head, details, attributes } => {
            let encrypted = details.encryption.is_some();
            of_object(view, place.bucket()?, head, encrypted, attributes, replication, name)?
        }
        Found::Open { id, record } => of_open(view, place.bucket()?, *id, record, name)?,
    }))
}

fn of_root<V: View + ?Sized>(view: &V) -> Result<FileStatus, StateError> {
    let counters = view::counters(view)?;
    Ok(directory(Inode::root(), FileId::ROOT, UnixMillis(0), counters.buckets, None, String::new()))
}

/// A directory; `root`: a bucket's.
pub(super) fn of_directory<V: View + ?Sized>(
    view: &V,
    bucket: &Bucket,
    id: DirectoryId,
    root: bool,
    name: String,
) -> Result<FileStatus, StateError> {
    let attributes = attributes::of_directory(view, id)?;
    let listed = match root {
        true => buckets::counts(view, id)?.listed,
        false => view::read::<_, DirectoryCounts>(view, &layout::directory_counts(id))?.unwrap_or_default().listed,
    };
    let marker = u64::from(view.get(&layout::entry(id, b""))?.is_some());
    let modified = attributes::directory_modified(view, bucket, id, &attributes)?;
    let policy = attributes.policy;
    let inode = Inode::of(view, bucket, &attributes, true)?;
    let file_id = attributes::directory_file_id(id);
    Ok(directory(inode, file_id, modified, listed.saturating_sub(marker), policy, name))
}

fn directory(
    inode: Inode,
    file_id: FileId,
    modified: UnixMillis,
    children: u64,
    storage_policy: Option<StoragePolicy>,
    name: String,
) -> FileStatus {
    FileStatus {
        kind: FileKind::Directory,
        name,
        length: 0,
        permission: inode.permission,
        owner: inode.owner,
        group: inode.group,
        modified,
        accessed: UnixMillis(0),
        replication: 0,
        block_size: 0,
        file_id,
        children: u32::try_from(children).unwrap_or(u32::MAX),
        storage_policy,
        class: StorageClass::Standard,
        has_acl: !inode.acl.is_empty(),
        encrypted: false,
        under_construction: false,
    }
}

/// A file that is an object.
pub(super) fn of_object<V: View + ?Sized>(
    view: &V,
    bucket: &Bucket,
    head: &ObjectHead,
    encrypted: bool,
    attributes: &Attributes,
    replication: u16,
    name: String,
) -> Result<FileStatus, StateError> {
    let modified = attributes.modified.unwrap_or(head.modified);
    let shown = Shown {
        file_id: attributes::file_id(attributes, head.sequence),
        length: head.size,
        modified,
        replication,
        class: head.class,
        encrypted,
        under_construction: false,
    };
    file(view, bucket, attributes, shown, name)
}

/// A file that is being written.
pub(super) fn of_open<V: View + ?Sized>(
    view: &V,
    bucket: &Bucket,
    id: FileId,
    record: &OpenFileRecord,
    name: String,
) -> Result<FileStatus, StateError> {
    let shown = Shown {
        file_id: id,
        length: record.visible_bytes(),
        modified: record.attributes.modified.unwrap_or_default(),
        replication: record.attributes.replication,
        class: record.class,
        encrypted: false,
        under_construction: true,
    };
    file(view, bucket, &record.attributes, shown, name)
}

struct Shown {
    file_id: FileId,
    length: u64,
    modified: UnixMillis,
    replication: u16,
    class: StorageClass,
    encrypted: bool,
    under_construction: bool,
}

fn file<V: View + ?Sized>(
    view: &V,
    bucket: &Bucket,
    attributes: &Attributes,
    shown: Shown,
    name: String,
) -> Result<FileStatus, StateError> {
    let inode = Inode::of(view, bucket, attributes, false)?;
    let or = |value: u64, default: u64| if value == 0 { default } else { value };
    Ok(FileStatus {
        kind: FileKind::File,
        name,
        length: shown.length,
        permission: inode.permission,
        owner: inode.owner,
        group: inode.group,
        modified: shown.modified,
        accessed: attributes.accessed.unwrap_or(shown.modified),
        replication: if attributes.replication == 0 { shown.replication } else { attributes.replication },
        block_size: or(attributes.block_size, u64::from(BLOCK_BYTES_MAX)),
        file_id: shown.file_id,
        children: 0,
        storage_policy: attributes.policy,
        class: shown.class,
        has_acl: !inode.acl.is_empty(),
        encrypted: shown.encrypted,
        under_construction: shown.under_construction,
    })
}
