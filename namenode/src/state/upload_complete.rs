//! CompleteMultipartUpload: from parts to an object, without a byte moved.
//!
//! The object's content is a list of slices of leaves: parts that were uploaded are leaves and hand their reference over;
//! parts that were copied are flattened.

use super::buckets;
use super::contents;
use super::layout;
use super::locks::{self, Remover};
use super::objects;
use super::path::KeyPath;
use super::records::{ContentData, ObjectHead, PartRecord, Slice, UploadRecord};
use super::transaction::Transaction;
use super::uploads;
use super::versions;
use super::view;
use crate::command::CompleteUpload;
use crate::error::{Rejection, refuse};
use granary_protocol::namenode::{CompletedPart, NamenodeReply};
use granary_protocol::object::{OBJECT_BYTES_MAX, PART_BYTES_MIN, PARTS_MAX, PartInfo};
use granary_protocol::{ErrorCode, UnixMillis, VersionId};

pub(super) fn complete(
    tx: &mut Transaction<'_>,
    complete: &CompleteUpload,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let bucket = buckets::head(tx, &complete.bucket)?;
    let mut path = KeyPath::resolve(tx, bucket.root, &complete.key)?;
    let current = path.current(tx)?;
    let upload_row = layout::upload(bucket.root, &complete.key, complete.upload);
    let Some(upload) = view::read::<_, UploadRecord>(tx, &upload_row)? else {
        // Done before, perhaps; the answer may have been lost.
        return match &current {
            Some(current) if current.head.upload == Some(complete.upload) => {
                Ok(objects::outcome(bucket, &current.head))
            }
            _ => Err(refuse(ErrorCode::NoSuchUpload, format!("upload {} of {}", complete.upload, complete.key))),
        };
    };
    let (named, unnamed) = choose(&complete.parts, uploads::all_parts(tx, complete.upload)?)?;
    let size = check_sizes(&named)?;
    objects::check_condition(&complete.condition, current.as_ref().map(|current| &current.head))?;

    let parts_count = named.len() as u16;
    let slices = concatenate(tx, &named)?;
    let infos: Vec<PartInfo> = named.into_iter().map(|part| part.info).collect();
    let content = contents::insert_slices(tx, slices, &infos)?;
    for part in &infos {
        tx.delete(layout::part(complete.upload, part.number));
    }
    for part in &unnamed {
        uploads::remove_part(tx, complete.upload, part)?;
    }
    tx.delete(upload_row);

    let mut head = ObjectHead {
        version: VersionId::NULL,
        sequence: 0,
        delete_marker: false,
        size,
        etag: complete.etag,
        modified: now,
        owner: upload.owner,
        class: upload.class,
        checksum: complete.checksum.clone(),
        content: Some(content),
        parts_count,
        upload: Some(complete.upload),
        lock: locks::of_new_version(bucket, upload.lock, now),
    };
    versions::install(tx, bucket, &mut path, current, &mut head, &upload.details, Remover::ordinary(now))?;
    Ok(objects::outcome(bucket, &head))
}

/// Divides the stored parts into those that were named, in order, and the rest.
fn choose(named: &[CompletedPart], stored: Vec<PartRecord>) -> Result<(Vec<PartRecord>, Vec<PartRecord>), Rejection> {
    if named.is_empty() || named.len() > usize::from(PARTS_MAX) {
        return Err(refuse(ErrorCode::InvalidArgument, format!("{} parts", named.len())));
    }
    if !named.is_sorted_by(|one, next| one.number < next.number) {
        return Err(refuse(ErrorCode::InvalidPartOrder, "part numbers must ascend"));
    }
    let mut wanted = named.iter().peekable();
    let (mut chosen, mut rest) = (Vec::with_capacity(named.len()), Vec::new());
    for part in stored {
        match wanted.next_if(|want| want.number == part.info.number) {
            Some(want) if matches(want, &part.info) => chosen.push(part),
            Some(want) => return Err(refuse(ErrorCode::InvalidPart, format!("part {} is another", want.number))),
            None => rest.push(part),
        }
    }
    match wanted.next() {
        Some(want) => Err(refuse(ErrorCode::InvalidPart, format!("part {} was never uploaded", want.number))),
        None => Ok((chosen, rest)),
    }
}

fn matches(want: &CompletedPart, part: &PartInfo) -> bool {
    want.md5 == part.md5 && (want.checksum.is_none() || want.checksum == part.checksum)
}

fn check_sizes(parts: &[PartRecord]) -> Result<u64, Rejection> {
    let (_, all_but_last) = parts.split_last().expect("`choose` refuses an empty list");
    if let Some(small) = all_but_last.iter().find(|part| part.info.size < PART_BYTES_MIN) {
        let detail = format!("part {} has {} bytes", small.info.number, small.info.size);
        return Err(refuse(ErrorCode::EntityTooSmall, detail));
    }
    let size = parts.iter().map(|part| part.info.size).sum();
    if size > OBJECT_BYTES_MAX {
        return Err(refuse(ErrorCode::EntityTooLarge, format!("{size} bytes")));
    }
    Ok(size)
}

/// The slices of all parts together. The parts' own references are used up.
fn concatenate(tx: &mut Transaction<'_>, parts: &[PartRecord]) -> Result<Vec<Slice>, Rejection> {
    let mut slices = Vec::with_capacity(parts.len());
    for part in parts {
        let Some(content) = part.content else { continue };
        let record = contents::expect(tx, content)?;
        match record.data {
            ContentData::Extents(_) => slices.push(Slice { leaf: content, offset: 0, length: record.length }),
            ContentData::Slices(copied) => flatten(tx, content, copied, &mut slices)?,
        }
    }
    Ok(slices)
}

fn flatten(
    tx: &mut Transaction<'_>,
    content: granary_protocol::ContentId,
    copied: Vec<Slice>,
    slices: &mut Vec<Slice>,
) -> Result<(), Rejection> {
    for slice in copied {
        contents::push_slice(tx, slices, slice)?;
    }
    contents::release(tx, content)?;
    Ok(())
}
