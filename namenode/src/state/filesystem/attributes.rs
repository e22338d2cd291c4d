//! What Hadoop keeps beside entries, and what holds where it keeps nothing.
//!
//! Defaults: the owner is the bucket's owner (by name), the group `supergroup`, files are 0640 and directories 0750:
//! private, as objects are. A directory without a row was last changed when its marker was, or its bucket.

use super::records::Attributes;
use super::resolve::{Bucket, Step};
use crate::error::StateError;
use crate::state::layout;
use crate::state::path;
use crate::state::transaction::Transaction;
use crate::state::view::{self, View};
use granary_protocol::filesystem::{AclEntry, FileId};
use granary_protocol::{DirectoryId, UnixMillis};

/// The mode bits of files that S3 made.
const FILE_PERMISSION: u16 = 0o640;
/// The mode bits of directories that S3 made.
const DIRECTORY_PERMISSION: u16 = 0o750;
/// The group of what S3 made, as `dfs.permissions.superusergroup`.
pub(super) const SUPERGROUP: &str = "supergroup";
/// Who owns `/`.
const ROOT_OWNER: &str = "hdfs";
/// Who owns what belongs to an account without a user.
const NOBODY: &str = "granary";
/// Directories and files are numbered from here, after `/`.
const FIRST_FILE_ID: u64 = FileId::ROOT.0 + 1;
/// Marks the numbers of files that S3 made, which are those of their writes.
const OF_OBJECT: u64 = 1 << 62;

/// What is kept beside a file, and whose it is.
pub(super) struct Kept<'a> {
    pub(super) parent: DirectoryId,
    pub(super) name: &'a str,
    pub(super) attributes: &'a Attributes,
}

/// What access is judged by.
pub(super) struct Inode {
    pub(super) owner: String,
    pub(super) group: String,
    pub(super) permission: u16,
    pub(super) acl: Vec<AclEntry>,
    pub(super) directory: bool,
}

impl Inode {
    /// `/`.
    pub(super) fn root() -> Inode {
        Inode {
            owner: ROOT_OWNER.to_owned(),
            group: SUPERGROUP.to_owned(),
            permission: 0o755,
            acl: Vec::new(),
            directory: true,
        }
    }

    /// An entry of a bucket.
    pub(super) fn of<V: View + ?Sized>(
        view: &V,
        bucket: &Bucket,
        attributes: &Attributes,
        directory: bool,
    ) -> Result<Inode, StateError> {
        let default = if directory { DIRECTORY_PERMISSION } else { FILE_PERMISSION };
        Ok(Inode {
            owner: match &attributes.owner {
                Some(owner) => owner.clone(),
                None => account_name(view, bucket)?,
            },
            group: attributes.group.clone().unwrap_or_else(|| SUPERGROUP.to_owned()),
            permission: attributes.permission.unwrap_or(default),
            acl: attributes.acl.clone(),
            directory,
        })
    }
}

fn account_name<V: View + ?Sized>(view: &V, bucket: &Bucket) -> Result<String, StateError> {
    Ok(view::read(view, &layout::user_id(&bucket.owner))?.unwrap_or_else(|| NOBODY.to_owned()))
}

pub(super) fn of_directory<V: View + ?Sized>(view: &V, directory: DirectoryId) -> Result<Attributes, StateError> {
    Ok(view::read(view, &layout::directory_attributes(directory))?.unwrap_or_default())
}

pub(super) fn of_file<V: View + ?Sized>(view: &V, parent: DirectoryId, name: &str) -> Result<Attributes, StateError> {
    Ok(view::read(view, &layout::file_attributes(parent, name.as_bytes()))?.unwrap_or_default())
}

pub(super) fn put_directory(tx: &mut Transaction<'_>, directory: DirectoryId, attributes: &Attributes) {
    tx.put_record(layout::directory_attributes(directory), attributes);
}

pub(super) fn put_file(tx: &mut Transaction<'_>, parent: DirectoryId, name: &str, attributes: &Attributes) {
    tx.put_record(layout::file_attributes(parent, name.as_bytes()), attributes);
}

/// An entry's object was replaced or removed: what was kept beside it goes.
pub(in crate::state) fn forget_file(
    tx: &mut Transaction<'_>,
    parent: DirectoryId,
    name: &[u8],
) -> Result<(), StateError> {
    let key = layout::file_attributes(parent, name);
    if tx.get(&key)?.is_some() {
        tx.delete(key);
    }
    Ok(())
}

/// A directory has gone.
pub(in crate::state) fn forget_directory(tx: &mut Transaction<'_>, directory: DirectoryId) -> Result<(), StateError> {
    let key = layout::directory_attributes(directory);
    if tx.get(&key)?.is_some() {
        tx.delete(key);
    }
    super::quota::forget(tx, directory)
}

/// A number for a new file. Directories are numbered by their ids, from the same counter.
pub(super) fn new_file_id(tx: &mut Transaction<'_>) -> FileId {
    FileId(FIRST_FILE_ID + crate::state::buckets::new_directory(tx).0)
}

pub(super) fn directory_file_id(directory: DirectoryId) -> FileId {
    FileId(FIRST_FILE_ID + directory.0)
}

/// The number of a file whose object was written as number `sequence`.
pub(super) fn file_id(attributes: &Attributes, sequence: u64) -> FileId {
    match attributes.file {
        FileId(0) => FileId(OF_OBJECT | sequence),
        known => known,
    }
}

/// When a directory was last changed.
pub(super) fn directory_modified<V: View + ?Sized>(
    view: &V,
    bucket: &Bucket,
    directory: DirectoryId,
    attributes: &Attributes,
) -> Result<UnixMillis, StateError> {
    if let Some(modified) = attributes.modified {
        return Ok(modified);
    }
    let marker = layout::entry(directory, b"");
    Ok(match view.get(&marker)? {
        Some(row) => path::decode_object_head(&marker, &row)?.modified,
        None => bucket.created,
    })
}

/// Notes that the entries of the last directory have changed, and where it is.
pub(super) fn touch(tx: &mut Transaction<'_>, above: &[Step], now: UnixMillis) -> Result<(), StateError> {
    link(tx, above)?;
    let Some(last) = above.last() else { return Ok(()) };
    let mut attributes = of_directory(tx, last.directory)?;
    attributes.modified = Some(now);
    put_directory(tx, last.directory, &attributes);
    Ok(())
}

/// Notes where these directories are, innermost first, as far as it is not known.
pub(super) fn link(tx: &mut Transaction<'_>, above: &[Step]) -> Result<(), StateError> {
    for pair in above.windows(2).rev() {
        let [parent, step] = pair else { break };
        let mut attributes = of_directory(tx, step.directory)?;
        if attributes.link.is_some() {
            break;
        }
        attributes.link = Some((parent.directory, step.name.clone()));
        put_directory(tx, step.directory, &attributes);
    }
    Ok(())
}
