//! From bytes of a content to extents in blocks.

use super::blocks;
use super::contents;
use super::records::{BlockRecord, ContentData};
use super::view::{View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::block::Extent;
use granary_protocol::namenode::LOCATED_EXTENTS_MAX;
use granary_protocol::{ContentId, ErrorCode};

/// Consecutive bytes of a content in one block, clipped to what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundExtent {
    /// First byte in the content.
    pub content_offset: u64,
    /// Where it is in the block, clipped.
    pub extent: Extent,
    /// The block.
    pub block: BlockRecord,
}

/// Where `length` bytes of a content from `offset` are; at most [`LOCATED_EXTENTS_MAX`] extents, from the beginning.
/// Bytes past the end are left out.
///
/// # Errors
/// `NoSuchKey` if the content is gone, `InvalidRange` if `offset` is past its end.
pub fn locate_content<V: View + ?Sized>(
    view: &V,
    content: ContentId,
    offset: u64,
    length: u64,
) -> Result<Vec<FoundExtent>, Rejection> {
    let Some(record) = contents::get(view, content)? else {
        return Err(refuse(ErrorCode::NoSuchKey, format!("content {content} is gone")));
    };
    if offset > record.length {
        return Err(refuse(ErrorCode::InvalidRange, format!("byte {offset} of {}", record.length)));
    }
    let length = length.min(record.length - offset);
    let found = find(view, record.data, offset, length, LOCATED_EXTENTS_MAX)?;
    Ok(found)
}

/// The first `limit` extents of `length` bytes from `offset`, which the content has.
pub(super) fn extents<V: View + ?Sized>(
    view: &V,
    content: ContentId,
    offset: u64,
    length: u64,
    limit: usize,
) -> Result<Vec<FoundExtent>, StateError> {
    find(view, contents::expect(view, content)?.data, offset, length, limit)
}

fn find<V: View + ?Sized>(
    view: &V,
    data: ContentData,
    offset: u64,
    length: u64,
    limit: usize,
) -> Result<Vec<FoundExtent>, StateError> {
    let window = Window { from: offset, until: offset + length };
    let mut found = Vec::new();
    match data {
        ContentData::Extents(extents) => window.clip_extents(view, &extents, limit, &mut found)?,
        ContentData::Slices(slices) => {
            let mut at = 0;
            for slice in slices {
                if at >= window.until || found.len() >= limit {
                    break;
                }
                if at + slice.length > window.from {
                    let ContentData::Extents(extents) = contents::expect(view, slice.leaf)?.data else {
                        return Err(inconsistent(format!("content {} is a slice and not a leaf", slice.leaf)));
                    };
                    let within = Window { from: window.from.max(at), until: window.until.min(at + slice.length) };
                    // The leaf's byte 0 would be at `at - slice.offset` of the content.
                    let leaf =
                        Window { from: within.from - at + slice.offset, until: within.until - at + slice.offset };
                    let first = found.len();
                    leaf.clip_extents(view, &extents, limit, &mut found)?;
                    for extent in &mut found[first..] {
                        extent.content_offset = extent.content_offset - slice.offset + at;
                    }
                }
                at += slice.length;
            }
        }
    }
    Ok(found)
}

/// Bytes of a content.
#[derive(Clone, Copy)]
struct Window {
    from: u64,
    until: u64,
}

impl Window {
    /// Adds what of `extents`, the whole of a leaf, lies in the window, up to `limit` in all.
    fn clip_extents<V: View + ?Sized>(
        self,
        view: &V,
        extents: &[Extent],
        limit: usize,
        found: &mut Vec<FoundExtent>,
    ) -> Result<(), StateError> {
        let mut at = 0;
        for extent in extents {
            let end = at + u64::from(extent.length);
            if at >= self.until || found.len() >= limit {
                break;
            }
            let (from, until) = (at.max(self.from), end.min(self.until));
            if from < until {
                let block = blocks::expect(view, extent.block)?;
                let clipped = Extent {
                    block: extent.block,
                    offset: extent.offset + (from - at) as u32,
                    length: (until - from) as u32,
                };
                found.push(FoundExtent { content_offset: from, extent: clipped, block });
            }
            at = end;
        }
        Ok(())
    }
}
