//! From blocks that a Hadoop client has written to an object.

use super::attributes;
use super::records::OpenFileRecord;
use super::resolve::Bucket;
use crate::error::{Rejection, StateError};
use crate::state::blocks;
use crate::state::contents;
use crate::state::layout::{self, FILESYSTEM_LEASE};
use crate::state::locks::{self, Remover};
use crate::state::path::KeyPath;
use crate::state::records::{ObjectHead, Slice};
use crate::state::transaction::Transaction;
use crate::state::versions;
use granary_protocol::filesystem::FileId;
use granary_protocol::object::{ETag, ObjectDetails, ObjectLock, StorageClass};
use granary_protocol::{ContentId, ObjectKey, UnixMillis, VersionId};
use sha2::{Digest, Sha256};

/// MD5 of nothing.
const EMPTY_MD5: [u8; 16] =
    [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e];

/// The tag of an object without bytes.
pub(super) fn empty_etag() -> ETag {
    ETag { md5: EMPTY_MD5, parts: None }
}

/// The tag of a content that nobody has hashed: unique, and by its `-N` no MD5.
pub(super) fn etag_of(content: ContentId, pieces: usize) -> ETag {
    let digest = Sha256::digest(content.0.to_be_bytes());
    let mut md5 = [0; 16];
    md5.copy_from_slice(&digest[..16]);
    ETag { md5, parts: Some(u16::try_from(pieces.max(1)).unwrap_or(u16::MAX)) }
}

/// The head of an object that Hadoop makes. Like all objects of a bucket without lists it is the bucket owner's.
pub(super) fn new_head(
    bucket: &Bucket,
    etag: ETag,
    size: u64,
    content: Option<ContentId>,
    class: StorageClass,
    now: UnixMillis,
) -> ObjectHead {
    ObjectHead {
        version: VersionId::NULL,
        sequence: 0,
        delete_marker: false,
        size,
        etag,
        modified: now,
        owner: bucket.owner.clone(),
        class,
        checksum: None,
        content,
        parts_count: 0,
        upload: None,
        lock: locks::of_new_version(bucket.head, ObjectLock::default(), now),
    }
}

/// Makes an object of a content that the caller holds a reference to, with what Hadoop keeps beside it.
pub(super) fn install(
    tx: &mut Transaction<'_>,
    bucket: &Bucket,
    key: &ObjectKey,
    mut head: ObjectHead,
    kept: &attributes::Kept<'_>,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let mut path = KeyPath::resolve_directory(tx, bucket.head.root, key.as_str())?;
    let current = path.current(tx)?;
    versions::install(
        tx,
        bucket.head,
        &mut path,
        current,
        &mut head,
        &ObjectDetails::default(),
        Remover::ordinary(now),
    )?;
    attributes::put_file(tx, kept.parent, kept.name, kept.attributes);
    Ok(())
}

/// Closes an open file whose blocks are all sealed: it becomes the object of `key`, and its row of open files goes.
pub(super) fn close(
    tx: &mut Transaction<'_>,
    bucket: &Bucket,
    id: FileId,
    record: OpenFileRecord,
    key: &ObjectKey,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let since = Since::of(tx, bucket, id, &record, key)?;
    let size = record.base_bytes + record.sealed_bytes();
    let mut attributes = record.attributes.clone();
    attributes.modified = None;
    if since.appends && record.blocks.is_empty() {
        // Nothing was appended: whatever the key names by now stays.
        discard(tx, &record)?;
        if since.current == Current::Same {
            attributes::put_file(tx, record.parent, &record.name, &attributes);
        }
        return super::open::remove_rows(tx, bucket, id, &record, key);
    }
    let (content, pieces) = gather(tx, &record, now)?;
    let etag = content.map_or_else(empty_etag, |content| etag_of(content, pieces));
    let head = new_head(bucket, etag, size, content, record.class, now);
    let kept = attributes::Kept { parent: record.parent, name: &record.name, attributes: &attributes };
    install(tx, bucket, key, head, &kept, now)?;
    // Last, so that the directory never looks empty in between.
    super::open::remove_rows(tx, bucket, id, &record, key)
}

/// The same of a file that was taken from a silent writer. It was never closed, so it gives way to what S3 has done with
/// its name since it was opened: that was acknowledged later.
pub(super) fn close_abandoned(
    tx: &mut Transaction<'_>,
    bucket: &Bucket,
    id: FileId,
    record: OpenFileRecord,
    key: &ObjectKey,
    now: UnixMillis,
) -> Result<(), Rejection> {
    match Since::of(tx, bucket, id, &record, key)?.current {
        Current::Same => close(tx, bucket, id, record, key, now),
        Current::Changed => {
            discard(tx, &record)?;
            super::open::remove_rows(tx, bucket, id, &record, key)
        }
    }
}

/// What has become of an open file's key since it was opened.
struct Since {
    /// Whether there was a file, to be appended to.
    appends: bool,
    current: Current,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    /// What the file was opened over, if anything.
    Same,
    /// Another version, or no object where there was one.
    Changed,
}

impl Since {
    fn of(
        tx: &Transaction<'_>,
        bucket: &Bucket,
        id: FileId,
        record: &OpenFileRecord,
        key: &ObjectKey,
    ) -> Result<Since, Rejection> {
        let path = KeyPath::resolve_directory(tx, bucket.head.root, key.as_str())?;
        let head = path.current(tx)?.map(|current| current.head);
        let opened = super::open::opened(tx, id)?;
        // An earlier release did not note it: then the content tells, as far as it can.
        let appends = opened.map_or(record.base.is_some(), |opened| opened.appends);
        let same = match (&head, opened) {
            (Some(head), Some(opened)) => head.sequence < opened.next_version && !(appends && head.delete_marker),
            (Some(head), None) => !appends || head.content == record.base,
            (None, _) => !appends,
        };
        Ok(Since { appends, current: if same { Current::Same } else { Current::Changed } })
    }
}

/// The content of a file's base and blocks, with one reference, and how many pieces it has.
fn gather(
    tx: &mut Transaction<'_>,
    record: &OpenFileRecord,
    now: UnixMillis,
) -> Result<(Option<ContentId>, usize), Rejection> {
    if record.blocks.is_empty() {
        return Ok((record.base, 1));
    }
    let leaf = contents::new_own(tx);
    for extent in &record.blocks {
        blocks::attach(tx, FILESYSTEM_LEASE, extent, &[])?;
    }
    let length = record.sealed_bytes();
    contents::insert_leaf(tx, leaf, length, &record.blocks);
    super::small::note(tx, leaf, &record.blocks, now);
    let Some(base) = record.base else { return Ok((Some(leaf), record.blocks.len())) };
    let mut slices = Vec::new();
    for slice in contents::slices_of(tx, base, 0, record.base_bytes)? {
        contents::push_slice(tx, &mut slices, slice)?;
    }
    // Its one reference passes from here to the slice.
    slices.push(Slice { leaf, offset: 0, length });
    let pieces = slices.len();
    let joined = contents::insert_slices(tx, slices, &[])?;
    contents::release(tx, base)?;
    Ok((Some(joined), pieces))
}

/// The first `length` bytes of a content, with one reference; none of none.
pub(super) fn beginning(
    tx: &mut Transaction<'_>,
    content: ContentId,
    length: u64,
) -> Result<Option<(ContentId, usize)>, Rejection> {
    if length == 0 {
        return Ok(None);
    }
    let mut slices = Vec::new();
    for slice in contents::slices_of(tx, content, 0, length)? {
        contents::push_slice(tx, &mut slices, slice)?;
    }
    let pieces = slices.len();
    Ok(Some((contents::insert_slices(tx, slices, &[])?, pieces)))
}

/// Lets go of everything an open file holds.
pub(super) fn discard(tx: &mut Transaction<'_>, record: &OpenFileRecord) -> Result<(), StateError> {
    let sealed = record.blocks.iter().map(|extent| extent.block);
    for block in sealed.chain(record.last.map(|last| last.block)) {
        if tx_holds(tx, block)? {
            blocks::let_go(tx, FILESYSTEM_LEASE, block)?;
        }
    }
    if let Some(base) = record.base {
        contents::release(tx, base)?;
    }
    Ok(())
}

fn tx_holds(tx: &Transaction<'_>, block: granary_protocol::BlockId) -> Result<bool, StateError> {
    use crate::state::view::View;
    Ok(tx.get(&layout::lease_block(FILESYSTEM_LEASE, block))?.is_some())
}
