//! Multipart uploads in progress: creating, parts, listing, aborting. Completing is in `upload_complete`.

use super::buckets;
use super::contents;
use super::layout;
use super::listing::roll_up;
use super::locks;
use super::objects::{check_details, check_source};
use super::path::check_key;
use super::reads::{self, Source};
use super::records::{PartRecord, UploadRecord};
use super::sealed;
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use crate::command::{CopyPart, CreateUpload, PutPart};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::namenode::{NamenodeReply, UploadAfter, UploadListing};
use granary_protocol::object::{PAGE_ENTRIES_MAX, PART_BYTES_MAX, PARTS_MAX, PartInfo, UploadInfo};
use granary_protocol::{BucketName, ContentId, DirectoryId, ErrorCode, ObjectKey, UnixMillis, UploadId};

/// The most uploads and parts that go with a bucket, so that deleting one is a bounded command. Beyond them the bucket
/// counts as not empty.
const ABORTED_UPLOADS_MAX: usize = 1_000;
const ABORTED_PARTS_MAX: usize = 20_000;

/// An upload in progress.
///
/// # Errors
/// `NoSuchBucket`, `NoSuchUpload`.
pub fn get_upload<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    key: &ObjectKey,
    upload: UploadId,
) -> Result<UploadInfo, Rejection> {
    let root = buckets::head(view, bucket)?.root;
    Ok(find(view, root, key, upload)?.info(key.clone(), upload))
}

/// An upload, its parts with numbers above `after` in order, at most `limit`, and whether there are more.
///
/// # Errors
/// `NoSuchBucket`, `NoSuchUpload`.
pub fn list_parts<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    key: &ObjectKey,
    upload: UploadId,
    after: u16,
    limit: u32,
) -> Result<(UploadInfo, Vec<PartInfo>, bool), Rejection> {
    let info = get_upload(view, bucket, key, upload)?;
    let limit = limit.min(PAGE_ENTRIES_MAX) as usize;
    let mut parts = Vec::new();
    let Some(first) = after.checked_add(1) else { return Ok((info, parts, false)) };
    let until = layout::after_prefix(&layout::parts_of(upload));
    for pair in view.scan(&layout::part(upload, first), Some(&until)) {
        let (key, value) = pair?;
        if parts.len() == limit {
            return Ok((info, parts, limit > 0));
        }
        parts.push(view::decode::<PartRecord>(&key, &value)?.info);
    }
    Ok((info, parts, false))
}

/// A page of the uploads whose key has `prefix`, by key, then upload. Keys with `delimiter` behind the prefix are rolled
/// up. Uploads and common prefixes count against `limit` alike.
///
/// # Errors
/// `NoSuchBucket`.
pub fn list_uploads<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    prefix: &str,
    delimiter: &str,
    after: &UploadAfter,
    limit: u32,
) -> Result<UploadListing, Rejection> {
    let root = buckets::head(view, bucket)?.root;
    let limit = limit.min(PAGE_ENTRIES_MAX) as usize;
    let mut listing = UploadListing { uploads: Vec::new(), common_prefixes: Vec::new(), next: None };
    if limit == 0 {
        return Ok(listing);
    }
    let all = layout::uploads_of(root, prefix.as_bytes(), false);
    let until = layout::after_prefix(&all);
    let mut from = upload_start(root, prefix, delimiter, after).max(all);
    let mut last = UploadAfter::default();
    'seek: loop {
        for pair in view.scan(&from, Some(&until)) {
            let (row, value) = pair?;
            if listing.uploads.len() + listing.common_prefixes.len() == limit {
                listing.next = Some(last);
                break 'seek;
            }
            let (key, upload) = layout::decode_upload(&row).ok_or_else(|| undecodable(&row, "not an upload's key"))?;
            if let Some(end) = roll_up(key.as_str().as_bytes(), prefix.len(), delimiter.as_bytes()) {
                let common = key.as_str()[..end].to_owned();
                from = layout::after_prefix(&layout::uploads_of(root, common.as_bytes(), false));
                last = UploadAfter { key: common.clone(), upload: None };
                listing.common_prefixes.push(common);
                continue 'seek;
            }
            last = UploadAfter { key: key.as_str().to_owned(), upload: Some(upload) };
            listing.uploads.push(view::decode::<UploadRecord>(&row, &value)?.info(key, upload));
        }
        break;
    }
    Ok(listing)
}

/// The first row behind `after`. A marker that is itself a common prefix of this listing stands for all it rolled up.
fn upload_start(root: DirectoryId, prefix: &str, delimiter: &str, after: &UploadAfter) -> Vec<u8> {
    let key = after.key.as_str();
    if key.is_empty() {
        return layout::uploads_of_bucket(root);
    }
    if let Some(upload) = after.upload {
        let mut row = layout::upload(root, &ObjectKey::from(key), upload);
        row.push(0);
        return row;
    }
    let is_common_prefix =
        key.starts_with(prefix) && roll_up(key.as_bytes(), prefix.len(), delimiter.as_bytes()) == Some(key.len());
    layout::after_prefix(&layout::uploads_of(root, key.as_bytes(), !is_common_prefix))
}

pub(super) fn find<V: View + ?Sized>(
    view: &V,
    root: DirectoryId,
    key: &ObjectKey,
    upload: UploadId,
) -> Result<UploadRecord, Rejection> {
    view::read(view, &layout::upload(root, key, upload))?
        .ok_or_else(|| refuse(ErrorCode::NoSuchUpload, format!("upload {upload} of {key}")))
}

pub(super) fn create(
    tx: &mut Transaction<'_>,
    create: &CreateUpload,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    check_key(&create.key)?;
    let bucket = buckets::head(tx, &create.bucket)?;
    locks::check_allowed(bucket, &create.lock, now)?;
    check_details(&create.details)?;
    let upload = UploadId(tx.counters().next_upload);
    tx.counters().next_upload += 1;
    let record = UploadRecord {
        initiated: now,
        owner: create.owner.clone(),
        class: create.class,
        checksum: create.checksum,
        lock: create.lock,
        details: create.details.clone(),
    };
    tx.put_record(layout::upload(bucket.root, &create.key, upload), &record);
    Ok(NamenodeReply::Upload(upload))
}

pub(super) fn put_part(tx: &mut Transaction<'_>, put: &PutPart, now: UnixMillis) -> Result<NamenodeReply, Rejection> {
    let root = buckets::head(tx, &put.bucket)?.root;
    let upload = find(tx, root, &put.key, put.upload)?;
    check_part(&put.part)?;
    let encrypted = upload.details.encryption.is_some();
    sealed::check_part(encrypted, &put.part)?;
    if put.content.is_some() != (put.part.size > 0) {
        return Err(refuse(ErrorCode::InvalidArgument, "a part has a content exactly if it has bytes"));
    }
    let content = put.content.as_ref().map(|new| new.content);
    if let Some(content) = content
        && tx.get(&layout::content(content))?.is_some()
    {
        // The answer to the first attempt was lost.
        let stored: Option<PartRecord> = view::read(tx, &layout::part(put.upload, put.part.number))?;
        return match stored {
            Some(stored) if stored.content == Some(content) => Ok(NamenodeReply::Done),
            _ => Err(refuse(ErrorCode::Conflict, format!("content {content} was committed before"))),
        };
    }
    if let Some(new) = &put.content {
        contents::commit(tx, new, sealed::stored_size(put.part.size, encrypted))?;
    }
    store_part(tx, put.upload, &put.part, content, now)
}

pub(super) fn copy_part(
    tx: &mut Transaction<'_>,
    copy: &CopyPart,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let root = buckets::head(tx, &copy.bucket)?.root;
    let upload = find(tx, root, &copy.key, copy.upload)?;
    check_part(&copy.part)?;
    sealed::check_part(upload.details.encryption.is_some(), &copy.part)?;
    let Source { head: source, details } =
        reads::find_object(tx, &copy.source_bucket, &copy.source_key, copy.source_version)?;
    check_source(&source, &copy.source_etag)?;
    if copy.offset.checked_add(copy.part.size).is_none_or(|end| end > source.size) {
        let detail = format!("{} bytes from {} of {}", copy.part.size, copy.offset, source.size);
        return Err(refuse(ErrorCode::InvalidRange, detail));
    }
    sealed::check_shared_part(&source, details.encryption.as_ref(), copy.offset, &copy.part)?;
    let content = match source.content {
        // Of what is sealed, all or nothing is shared.
        Some(content) if copy.part.size > 0 && copy.part.salt.is_some() => {
            contents::acquire(tx, content)?;
            Some(content)
        }
        Some(content) if copy.part.size > 0 => Some(share(tx, content, source.size, copy.offset, copy.part.size)?),
        _ => None,
    };
    store_part(tx, copy.upload, &copy.part, content, now)
}

/// A reference to some bytes of a content: to itself if it is all of them.
fn share(
    tx: &mut Transaction<'_>,
    content: ContentId,
    size: u64,
    offset: u64,
    length: u64,
) -> Result<ContentId, Rejection> {
    if length == size {
        contents::acquire(tx, content)?;
        return Ok(content);
    }
    let mut slices = Vec::new();
    for slice in contents::slices_of(tx, content, offset, length)? {
        contents::push_slice(tx, &mut slices, slice)?;
    }
    contents::insert_slices(tx, slices, &[])
}

fn store_part(
    tx: &mut Transaction<'_>,
    upload: UploadId,
    part: &PartInfo,
    content: Option<ContentId>,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let row = layout::part(upload, part.number);
    let replaced: Option<PartRecord> = view::read(tx, &row)?;
    let record = PartRecord { info: PartInfo { modified: now, ..part.clone() }, content };
    tx.put_record(row, &record);
    if let Some(content) = replaced.and_then(|part| part.content) {
        contents::release(tx, content)?;
    }
    Ok(NamenodeReply::Done)
}

fn require(tx: &Transaction<'_>, root: DirectoryId, key: &ObjectKey, upload: UploadId) -> Result<(), Rejection> {
    match tx.get(&layout::upload(root, key, upload))? {
        Some(_) => Ok(()),
        None => Err(refuse(ErrorCode::NoSuchUpload, format!("upload {upload} of {key}"))),
    }
}

fn check_part(part: &PartInfo) -> Result<(), Rejection> {
    if part.number == 0 || part.number > PARTS_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("part numbers are 1 to {PARTS_MAX}")));
    }
    if part.size > PART_BYTES_MAX {
        return Err(refuse(ErrorCode::EntityTooLarge, format!("a part of {} bytes", part.size)));
    }
    Ok(())
}

/// Every part of an upload, by number.
pub(super) fn all_parts(tx: &Transaction<'_>, upload: UploadId) -> Result<Vec<PartRecord>, StateError> {
    let from = layout::parts_of(upload);
    let mut parts = Vec::new();
    for pair in tx.scan(&from, Some(&layout::after_prefix(&from))) {
        let (key, value) = pair?;
        parts.push(view::decode(&key, &value)?);
    }
    Ok(parts)
}

pub(super) fn abort(
    tx: &mut Transaction<'_>,
    bucket: &BucketName,
    key: &ObjectKey,
    upload: UploadId,
) -> Result<NamenodeReply, Rejection> {
    let root = buckets::head(tx, bucket)?.root;
    require(tx, root, key, upload)?;
    for part in all_parts(tx, upload)? {
        remove_part(tx, upload, &part)?;
    }
    tx.delete(layout::upload(root, key, upload));
    Ok(NamenodeReply::Done)
}

pub(super) fn remove_part(tx: &mut Transaction<'_>, upload: UploadId, part: &PartRecord) -> Result<(), StateError> {
    tx.delete(layout::part(upload, part.info.number));
    match part.content {
        Some(content) => contents::release(tx, content).map(|_| ()),
        None => Ok(()),
    }
}

/// Aborts every upload of a bucket that is about to go.
pub(super) fn abort_all(tx: &mut Transaction<'_>, root: DirectoryId) -> Result<(), Rejection> {
    let from = layout::uploads_of_bucket(root);
    let rows: Result<Vec<_>, _> = tx
        .scan(&from, Some(&layout::after_prefix(&from)))
        .take(ABORTED_UPLOADS_MAX + 1)
        .map(|pair| pair.map(|(key, _)| key.to_vec()))
        .collect();
    let (rows, mut parts_removed) = (rows?, 0);
    for row in &rows {
        let (_, upload) = layout::decode_upload(row).ok_or_else(|| undecodable(row, "not an upload's key"))?;
        for part in all_parts(tx, upload)? {
            remove_part(tx, upload, &part)?;
            parts_removed += 1;
        }
        if rows.len() > ABORTED_UPLOADS_MAX || parts_removed > ABORTED_PARTS_MAX {
            return Err(refuse(ErrorCode::BucketNotEmpty, "too many uploads in progress; abort some first"));
        }
        tx.delete(row.clone());
    }
    Ok(())
}
