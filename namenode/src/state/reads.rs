//! Reading one object: its version, and the window of its bytes a caller wants.

use super::buckets;
use super::contents;
use super::layout;
use super::locate::{self, FoundExtent};
use super::path;
use super::records::{ObjectHead, ObjectRecord};
use super::versions;
use super::view::{View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use bytes::Bytes;
use granary_protocol::namenode::{LOCATED_EXTENTS_MAX, Window};
use granary_protocol::object::{ObjectVersion, PartInfo};
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
    /// The window from `offset` on, at most [`LOCATED_EXTENTS_MAX`] extents.
    pub extents: Vec<FoundExtent>,
}

/// The current version of a key, or the one named, and its bytes in `window`.
///
/// # Errors
/// `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`, `MethodNotAllowed` for a delete marker asked for by its version,
/// `InvalidRange`, `InvalidPartNumber`.
pub fn get_object<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<VersionId>,
    window: Window,
) -> Result<ObjectFound, Rejection> {
    let (row_key, row) = find_row(view, bucket, key, version)?;
    let ObjectRecord { head, headers } = path::decode_object(&row_key, &row)?;
    check_readable(&head, key, version)?;
    let (offset, length, part) = resolve(view, &head, window)?;
    let content = head.content.filter(|_| head.size > 0);
    let extents = match content {
        Some(content) if length > 0 => locate::extents(view, content, offset, length, LOCATED_EXTENTS_MAX)?,
        _ => Vec::new(),
    };
    let parts_count = head.parts_count;
    Ok(ObjectFound { object: head.into_version(headers), parts_count, part, content, offset, length, extents })
}

/// The head of a version that has bytes to be copied.
pub(super) fn find_object<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<ObjectHead, Rejection> {
    let (row_key, row) = find_row(view, bucket, key, version)?;
    let head = path::decode_object_head(&row_key, &row)?;
    check_readable(&head, key, version)?;
    Ok(head)
}

fn check_readable(head: &ObjectHead, key: &ObjectKey, version: Option<VersionId>) -> Result<(), Rejection> {
    match (head.delete_marker, version) {
        (false, _) => Ok(()),
        (true, None) => Err(refuse(ErrorCode::NoSuchKey, key.as_str())),
        (true, Some(_)) => Err(refuse(ErrorCode::MethodNotAllowed, "the version is a delete marker")),
    }
}

fn find_row<V: View + ?Sized>(
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
