//! Reading one object: its version, and the window of its bytes a caller wants.

use super::buckets;
use super::contents;
use super::layout;
use super::locate::{self, FoundExtent};
use super::path;
use super::records::{ObjectHead, ObjectRecord};
use super::sealed::{self, Stored};
use super::versions;
use super::view::{View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use bytes::Bytes;
use granary_protocol::encryption::SealedRun;
use granary_protocol::namenode::{LOCATED_EXTENTS_MAX, Window};
use granary_protocol::object::{ObjectVersion, PAGE_ENTRIES_MAX, PartInfo};
use granary_protocol::{BucketName, ContentId, ErrorCode, ObjectKey, VersionId};

/// A version and where its bytes are, but for the replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectFound {
    /// The version.
    pub object: ObjectVersion,
    /// Parts of a multipart object; 0 otherwise.
    pub parts_count: u16,
    /// The part asked for by [`Window::Part`].
    pub part: Option<PartInfo>,
    /// The content; `None` for an object without bytes.
    pub content: Option<ContentId>,
    /// First byte of the window.
    pub offset: u64,
    /// Bytes of the window.
    pub length: u64,
    /// First byte of the content that is needed for the window.
    pub stored_offset: u64,
    /// Bytes of the content that are needed.
    pub stored_length: u64,
    /// Of an encrypted object: what the stored bytes are.
    pub sealed: Vec<SealedRun>,
    /// The stored bytes from `stored_offset` on, at most [`LOCATED_EXTENTS_MAX`] extents.
    pub extents: Vec<FoundExtent>,
}

/// The current version of a key, or the one named, and its bytes in `window`.
///
/// # Errors
/// `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`, `DeleteMarker`, `InvalidRange`, `InvalidPartNumber`.
pub fn get_object<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<VersionId>,
    window: Window,
) -> Result<ObjectFound, Rejection> {
    let (row_key, row) = find_row(view, bucket, key, version)?;
    let ObjectRecord { head, details } = path::decode_object(&row_key, &row)?;
    check_readable(&head, version)?;
    let (offset, length, part) = resolve(view, &head, window)?;
    let content = head.content.filter(|_| head.size > 0);
    let stored = match (content, &details.encryption) {
        (Some(content), Some(encryption)) => sealed::cover(view, content, encryption.salt, head.size, offset, length)?,
        _ => Stored { offset, length, runs: Vec::new() },
    };
    let extents = match content {
        Some(content) if length > 0 => {
            locate::extents(view, content, stored.offset, stored.length, LOCATED_EXTENTS_MAX)?
        }
        _ => Vec::new(),
    };
    let parts_count = head.parts_count;
    Ok(ObjectFound {
        object: head.into_version(details),
        parts_count,
        part,
        content,
        offset,
        length,
        stored_offset: stored.offset,
        stored_length: stored.length,
        sealed: stored.runs,
        extents,
    })
}

/// The parts of a finished multipart object with numbers above `after`, in order, at most `limit`; the object itself, how
/// many parts it has, and whether there are more.
///
/// # Errors
/// Those of [`get_object`].
pub fn list_object_parts<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<VersionId>,
    after: u16,
    limit: u32,
) -> Result<(ObjectVersion, u16, Vec<PartInfo>, bool), Rejection> {
    let Source { head, details } = find_object(view, bucket, key, version)?;
    let mut parts = match head.content {
        Some(content) if head.parts_count > 0 => contents::parts(view, content)?,
        _ => Vec::new(),
    };
    parts.retain(|part| part.number > after);
    let limit = limit.min(PAGE_ENTRIES_MAX) as usize;
    let truncated = limit > 0 && parts.len() > limit;
    parts.truncate(limit);
    let parts_count = head.parts_count;
    Ok((head.into_version(details), parts_count, parts, truncated))
}

/// A version as its row has it.
pub(super) type Source = ObjectRecord;

/// A version that has bytes to be copied.
pub(super) fn find_object<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<Source, Rejection> {
    let (row_key, row) = find_row(view, bucket, key, version)?;
    let record = path::decode_object(&row_key, &row)?;
    check_readable(&record.head, version)?;
    Ok(record)
}

/// Refuses a delete marker.
pub(super) fn check_readable(head: &ObjectHead, asked: Option<VersionId>) -> Result<(), Rejection> {
    match head.delete_marker {
        false => Ok(()),
        true => {
            let (version, modified, current) = (head.version, head.modified, asked.is_none());
            Err(ErrorCode::DeleteMarker { version, modified, current }.into())
        }
    }
}

pub(super) fn find_row<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<(Vec<u8>, Bytes), Rejection> {
    let absent = || match version {
        None => refuse(ErrorCode::NoSuchKey, key.as_str()),
        Some(version) => refuse(ErrorCode::NoSuchVersion, format!("version {version} of {key}")),
    };
    let root = buckets::head(view, bucket)?.root;
    let (parent, name) = path::lookup(view, root, key)?.ok_or_else(absent)?;
    let row_key = layout::entry(parent, name);
    let row = view.get(&row_key)?.ok_or_else(absent)?;
    match version {
        None => Ok((row_key, row)),
        Some(version) if path::decode_object_head(&row_key, &row)?.version == version => Ok((row_key, row)),
        Some(version) => Ok(versions::find_noncurrent(view, parent, name, version)?.ok_or_else(absent)?),
    }
}

/// First byte and bytes of a window, and the part it is.
fn resolve<V: View + ?Sized>(
    view: &V,
    head: &ObjectHead,
    window: Window,
) -> Result<(u64, u64, Option<PartInfo>), Rejection> {
    let size = head.size;
    let invalid_range = || refuse(ErrorCode::InvalidRange, format!("{window:?} of {size} bytes"));
    match window {
        Window::Nothing => Ok((0, 0, None)),
        // All of it, also when there is nothing.
        Window::Range { first: 0, last: None } => Ok((0, size, None)),
        Window::Range { first, last } => {
            if first >= size || last.is_some_and(|last| last < first) {
                return Err(invalid_range());
            }
            let last = last.map_or(size - 1, |last| last.min(size - 1));
            Ok((first, last - first + 1, None))
        }
        Window::Suffix { length } => {
            if length == 0 || size == 0 {
                return Err(invalid_range());
            }
            let length = length.min(size);
            Ok((size - length, length, None))
        }
        Window::Part { number } if head.parts_count > 0 => {
            find_part(view, head, number)?.ok_or_else(|| refuse(ErrorCode::InvalidPartNumber, format!("part {number}")))
        }
        Window::Part { number: 1 } => Ok((0, size, None)),
        Window::Part { number } => Err(refuse(ErrorCode::InvalidPartNumber, format!("part {number}"))),
    }
}

fn find_part<V: View + ?Sized>(
    view: &V,
    head: &ObjectHead,
    number: u16,
) -> Result<Option<(u64, u64, Option<PartInfo>)>, StateError> {
    let content = head.content.ok_or_else(|| inconsistent("a multipart object without a content"))?;
    let mut offset = 0;
    for part in contents::parts(view, content)? {
        if part.number == number {
            return Ok(Some((offset, part.size, Some(part))));
        }
        offset += part.size;
    }
    Ok(None)
}
