//! Small files that Hadoop wrote: each begins with a block of its own, and is packed with others later.
//!
//! A row for each waits here, in the order they were written. It goes when the content has moved or is gone.

use crate::error::StateError;
use crate::state::blocks;
use crate::state::contents;
use crate::state::layout;
use crate::state::records::{BlockState, ContentData};
use crate::state::transaction::Transaction;
use crate::state::view::{View, decode, undecodable};
use granary_protocol::block::{BlockKind, Extent, PACKED_OBJECT_BYTES_MAX};
use granary_protocol::object::StorageClass;
use granary_protocol::{ContentId, UnixMillis};

/// A file is left alone for so long after it was closed, because it may be appended to or deleted: 30 s.
const REST_MS: u64 = 30_000;
/// Rows looked at by one claim.
const LOOKED_AT_MAX: usize = 512;

/// A content that is worth packing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallContent {
    pub content: ContentId,
    pub extent: Extent,
    pub class: StorageClass,
}

/// A file was closed.
pub(super) fn note(tx: &mut Transaction<'_>, content: ContentId, blocks: &[Extent], now: UnixMillis) {
    if let [only] = blocks
        && only.length <= PACKED_OBJECT_BYTES_MAX
    {
        tx.put_record(layout::small_file(content), &now);
    }
}

/// A content has moved or is gone.
pub(in crate::state) fn forget(tx: &mut Transaction<'_>, content: ContentId) -> Result<(), StateError> {
    let row = layout::small_file(content);
    if layout::is_own_content(content) && tx.get(&row)?.is_some() {
        tx.delete(row);
    }
    Ok(())
}

/// Contents behind `after` that have rested and want at least `replicas`, oldest first, some of them; and the last one
/// looked at, if there are more. Those that want fewer stay for as long as they do, and must not keep others waiting.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn small_contents<V: View + ?Sized>(
    view: &V,
    after: ContentId,
    now: UnixMillis,
    replicas: u8,
) -> Result<(Vec<SmallContent>, Option<ContentId>), StateError> {
    let from = layout::small_file(ContentId(after.0.saturating_add(1)));
    let table_end = layout::after_prefix(&layout::table(layout::SMALL_FILE));
    let mut found = Vec::new();
    let mut last_looked_at = after;
    for (looked_at, pair) in view.scan(&from, Some(&table_end)).enumerate() {
        let (key, value) = pair?;
        let closed: UnixMillis = decode(&key, &value)?;
        if closed.0 + REST_MS > now.0 {
            break;
        }
        if looked_at == LOOKED_AT_MAX {
            return Ok((found, Some(last_looked_at)));
        }
        let content = ContentId(layout::last_number(&key).ok_or_else(|| undecodable(&key, "its key has no number"))?);
        last_looked_at = content;
        let Some(record) = contents::get(view, content)? else { continue };
        let ContentData::Extents(extents) = record.data else { continue };
        let [extent] = extents.as_slice() else { continue };
        let Some(block) = blocks::get_block(view, extent.block)? else { continue };
        if block.kind == BlockKind::Owned && block.state == BlockState::Sealed && block.replicas_wanted >= replicas {
            found.push(SmallContent { content, extent: *extent, class: block.class });
        }
    }
    Ok((found, None))
}
