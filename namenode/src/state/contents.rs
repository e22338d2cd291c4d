//! Contents: immutable byte sequences, shared by reference count.
//!
//! Invariants: a content exists exactly while `references > 0`; a leaf has extents, any other content has slices of
//! leaves, and each slice is one reference to its leaf; `content_bytes` is the sum over leaves.

use super::blocks;
use super::classes;
use super::filesystem;
use super::layout;
use super::leases;
use super::recalls;
use super::records::{ContentData, ContentRecord, Slice};
use super::transaction::Transaction;
use super::view::{self, View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::block::Extent;
use granary_protocol::namenode::{ContentMove, NamenodeReply, NewContent};
use granary_protocol::object::PartInfo;
use granary_protocol::{ContentId, ErrorCode, LeaseId};

/// The most extents of a leaf. 5 GiB, the most one PUT may bring, are 40 whole blocks.
const EXTENTS_MAX: usize = 16 * 1024;
/// The most slices of a content, so that its row stays well under the engine's limit.
const SLICES_MAX: usize = 100_000;
/// The most moves of one `RelocateContents`, and records of one `RecordsAlive`.
pub const RECORDS_MAX: usize = 64 * 1024;

pub(super) fn get<V: View + ?Sized>(view: &V, content: ContentId) -> Result<Option<ContentRecord>, StateError> {
    view::read(view, &layout::content(content))
}

/// The record of a content that something refers to.
pub(super) fn expect<V: View + ?Sized>(view: &V, content: ContentId) -> Result<ContentRecord, StateError> {
    get(view, content)?.ok_or_else(|| inconsistent(format!("content {content} is referred to and does not exist")))
}

/// The parts of a multipart content.
pub(super) fn parts<V: View + ?Sized>(view: &V, content: ContentId) -> Result<Vec<PartInfo>, StateError> {
    Ok(view::read(view, &layout::content_parts(content))?.unwrap_or_default())
}

/// One answer a record: does its content still have it, at exactly this extent?
///
/// # Errors
/// The engine's, or a damaged row.
pub fn records_alive<V: View + ?Sized>(view: &V, records: &[(ContentId, Extent)]) -> Result<Vec<bool>, StateError> {
    let alive = |(content, extent): &(ContentId, Extent)| {
        Ok(get(view, *content)?.is_some_and(|record| match record.data {
            ContentData::Extents(extents) => extents.contains(extent),
            ContentData::Slices(_) => false,
        }))
    };
    records.iter().map(alive).collect()
}

/// Takes in what a writer has stored, with one reference. The caller has seen that no content has this name.
pub(super) fn commit(tx: &mut Transaction<'_>, new: &NewContent, size: u64) -> Result<(), Rejection> {
    if layout::is_own_content(new.content) {
        return Err(refuse(ErrorCode::InvalidArgument, "only the namenode makes contents without a lease"));
    }
    let length: u64 = new.extents.iter().map(|extent| u64::from(extent.length)).sum();
    if length != size || new.extents.is_empty() || new.extents.len() > EXTENTS_MAX {
        let detail = format!("{} extents of {length} bytes for an object of {size}", new.extents.len());
        return Err(refuse(ErrorCode::InvalidArgument, detail));
    }
    let lease = new.content.lease();
    leases::require(tx, lease)?;
    for extent in &new.extents {
        let stored_on = new.stored_on.iter().find(|(block, _)| *block == extent.block);
        blocks::attach(tx, lease, extent, stored_on.map_or(&[], |(_, volumes)| volumes))?;
    }
    insert_leaf(tx, new.content, length, &new.extents);
    Ok(())
}

pub(super) fn insert_leaf(tx: &mut Transaction<'_>, content: ContentId, length: u64, extents: &[Extent]) {
    // The same bytes as a ContentRecord of these extents, without a copy of them.
    let mut row = view::encode(&(1u32, length, 0u32));
    row.extend_from_slice(&view::encode(extents));
    tx.put(layout::content(content), row);
    tx.counters().content_bytes += length;
}

/// A name for a content of the namenode's own.
pub(super) fn new_own(tx: &mut Transaction<'_>) -> ContentId {
    let content = layout::own_content(tx.counters().next_content);
    tx.counters().next_content += 1;
    content
}

/// Where bytes of a content are, each piece with its first byte in the content: at least all that have bytes of a range,
/// whole, and the last of all. Leaves that have none of these are not read.
pub(super) fn pieces_around<V: View + ?Sized>(
    view: &V,
    content: ContentId,
    offset: u64,
    length: u64,
) -> Result<Vec<(u64, Extent)>, StateError> {
    let slices = match expect(view, content)?.data {
        ContentData::Extents(extents) => return Ok(placed(0, extents)),
        ContentData::Slices(slices) => slices,
    };
    let until = offset.saturating_add(length);
    let (mut pieces, mut end, count) = (Vec::new(), 0, slices.len());
    for (number, slice) in slices.into_iter().enumerate() {
        let at = end;
        end += slice.length;
        if (end > offset && at < until) || number + 1 == count {
            let ContentData::Extents(extents) = expect(view, slice.leaf)?.data else {
                return Err(inconsistent(format!("content {} is a slice and not a leaf", slice.leaf)));
            };
            pieces.extend(placed(at, clipped(extents, slice)));
        }
    }
    Ok(pieces)
}

/// Extents that follow one another from byte `at` on.
pub(super) fn placed(mut at: u64, extents: Vec<Extent>) -> Vec<(u64, Extent)> {
    let place = |extent: Extent| {
        let from = at;
        at += u64::from(extent.length);
        (from, extent)
    };
    extents.into_iter().map(place).collect()
}

/// What a slice is of its leaf.
fn clipped(leaf: Vec<Extent>, slice: Slice) -> Vec<Extent> {
    let until = slice.offset + slice.length;
    let mut pieces = Vec::new();
    for (at, extent) in placed(0, leaf) {
        let (from, to) = (at.max(slice.offset), (at + u64::from(extent.length)).min(until));
        if from < to {
            let offset = extent.offset + (from - at) as u32;
            pieces.push(Extent { block: extent.block, offset, length: (to - from) as u32 });
        }
    }
    pieces
}

/// A content of the namenode's own, with one reference. Each slice's reference is the caller's to have taken.
pub(super) fn insert_slices(
    tx: &mut Transaction<'_>,
    slices: Vec<Slice>,
    parts: &[PartInfo],
) -> Result<ContentId, Rejection> {
    check_pieces(slices.len())?;
    let content = new_own(tx);
    let length = slices.iter().map(|slice| slice.length).sum();
    let record = ContentRecord { references: 1, length, data: ContentData::Slices(slices) };
    tx.put_record(layout::content(content), &record);
    if !parts.is_empty() {
        tx.put_record(layout::content_parts(content), parts);
    }
    Ok(content)
}

/// Refuses a content that no piece can be added to.
pub(super) fn check_room<V: View + ?Sized>(view: &V, content: ContentId) -> Result<(), Rejection> {
    match expect(view, content)?.data {
        ContentData::Extents(_) => Ok(()),
        ContentData::Slices(slices) => check_pieces(slices.len() + 1),
    }
}

fn check_pieces(pieces: usize) -> Result<(), Rejection> {
    match pieces <= SLICES_MAX {
        true => Ok(()),
        false => Err(refuse(ErrorCode::InvalidArgument, format!("an object of more than {SLICES_MAX} pieces"))),
    }
}

/// Adds a reference.
pub(super) fn acquire(tx: &mut Transaction<'_>, content: ContentId) -> Result<(), Rejection> {
    let mut record = expect(tx, content)?;
    let Some(references) = record.references.checked_add(1) else {
        return Err(refuse(ErrorCode::InvalidArgument, format!("content {content} has too many copies")));
    };
    record.references = references;
    tx.put_record(layout::content(content), &record);
    Ok(())
}

/// Takes a reference away; with the last one the content goes, and what it alone held. Whether it is still there.
pub(super) fn release(tx: &mut Transaction<'_>, content: ContentId) -> Result<bool, StateError> {
    let mut record = expect(tx, content)?;
    if record.references > 1 {
        record.references -= 1;
        tx.put_record(layout::content(content), &record);
        return Ok(true);
    }
    tx.delete(layout::content(content));
    filesystem::forget_small(tx, content)?;
    match record.data {
        ContentData::Extents(extents) => {
            let counters = tx.counters();
            let freed = -(record.length as i64);
            counters.content_bytes = view::moved(counters.content_bytes, freed, "content_bytes")?;
            for extent in &extents {
                blocks::detach(tx, extent)?;
            }
        }
        ContentData::Slices(slices) => {
            tx.delete(layout::content_parts(content));
            for slice in &slices {
                release(tx, slice.leaf)?;
            }
        }
    }
    Ok(false)
}

/// The slices that `length` bytes of `content` from `offset` are made of. Takes no references.
pub(super) fn slices_of<V: View + ?Sized>(
    view: &V,
    content: ContentId,
    offset: u64,
    length: u64,
) -> Result<Vec<Slice>, StateError> {
    let record = expect(view, content)?;
    let ContentData::Slices(slices) = record.data else {
        return Ok(vec![Slice { leaf: content, offset, length }]);
    };
    let end = offset + length;
    let mut found = Vec::new();
    let mut at = 0;
    for slice in slices {
        let (from, until) = (at.max(offset), (at + slice.length).min(end));
        if from < until {
            found.push(Slice { leaf: slice.leaf, offset: slice.offset + (from - at), length: until - from });
        }
        at += slice.length;
        if at >= end {
            break;
        }
    }
    Ok(found)
}

/// Appends a slice and takes its reference; one that goes on where the last one ends makes that longer instead.
pub(super) fn push_slice(tx: &mut Transaction<'_>, slices: &mut Vec<Slice>, slice: Slice) -> Result<(), Rejection> {
    if let Some(last) = slices.last_mut()
        && last.leaf == slice.leaf
        && last.offset + last.length == slice.offset
    {
        last.length += slice.length;
        return Ok(());
    }
    // Before more is touched than a command may: pieces multiply where contents of many are joined.
    check_pieces(slices.len() + 1)?;
    acquire(tx, slice.leaf)?;
    slices.push(slice);
    Ok(())
}

pub(super) fn relocate(
    tx: &mut Transaction<'_>,
    lease: LeaseId,
    moves: &[ContentMove],
) -> Result<NamenodeReply, Rejection> {
    leases::require(tx, lease)?;
    if moves.len() > RECORDS_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {RECORDS_MAX} moves")));
    }
    let mut moved = Vec::with_capacity(moves.len());
    for step in moves {
        moved.push(relocate_one(tx, lease, step)?);
    }
    Ok(NamenodeReply::Alive(moved))
}

fn relocate_one(tx: &mut Transaction<'_>, lease: LeaseId, step: &ContentMove) -> Result<bool, Rejection> {
    let Some(mut record) = get(tx, step.content)? else { return Ok(false) };
    match &mut record.data {
        ContentData::Extents(extents) if extents.as_slice() == [step.from] => extents[0] = step.to,
        _ => return Ok(false),
    }
    if step.to.length != step.from.length {
        return Err(refuse(ErrorCode::InvalidArgument, "a record does not change its length when it moves"));
    }
    blocks::attach(tx, lease, &step.to, &[])?;
    recalls::follow(tx, step.from.block, step.to.block)?;
    blocks::detach(tx, &step.from)?;
    tx.put_record(layout::content(step.content), &record);
    classes::arrived(tx, step.content, step.to.block)?;
    filesystem::forget_small(tx, step.content)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::MemoryEngine;
    use granary_protocol::BlockId;

    #[test]
    fn pieces_are_counted_before_they_are_touched() {
        let engine = MemoryEngine::new();
        let mut tx = Transaction::begin(&engine).unwrap();
        let slice = |leaf| Slice { leaf: ContentId(leaf), offset: 0, length: 1 };
        let mut slices = vec![slice(1); SLICES_MAX];
        let refused = push_slice(&mut tx, &mut slices, slice(2));
        assert!(matches!(refused, Err(Rejection::Refused(_))), "{refused:?}");
    }

    #[test]
    fn a_leaf_is_written_as_its_record_would_be() {
        let extents = vec![Extent { block: BlockId(300), offset: 32, length: 7 }; 3];
        let mut row = view::encode(&(1u32, 21u64, 0u32));
        row.extend_from_slice(&view::encode(extents.as_slice()));
        let record = ContentRecord { references: 1, length: 21, data: ContentData::Extents(extents) };
        assert_eq!(row, view::encode(&record));
    }
}
