//! INTELLIGENT_TIERING: contents that are watched by when they were last read.
//!
//! A content that was not read for a while is *infrequent*: its bytes belong where STANDARD_IA keeps them, though its
//! versions say INTELLIGENT_TIERING all along. Reading it makes it frequent again. Times are coarse: a read is noted only
//! when it makes a difference of a day, so a content costs two rows and at most one small command a day. Contents below
//! [`WATCHED_BYTES_MIN`] stay frequent, as AWS keeps them.
//!
//! Invariants: every row of `tiering` is of a content that a version in INTELLIGENT_TIERING refers to; a content has a row
//! in `tiering_idle`, at the moment of its last access, exactly while it is frequent and in `tiering`.

use super::classes;
use super::contents;
use super::layout;
use super::records::Tiering;
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::{PAGE_ENTRIES_MAX, StorageClass};
use granary_protocol::{ContentId, ErrorCode, UnixMillis};

/// Smaller contents are not watched.
const WATCHED_BYTES_MIN: u64 = 128 << 10;
/// The most contents of one command.
pub const TIERED_MAX: usize = PAGE_ENTRIES_MAX as usize;

/// A version in the class begins to refer to the content: it counts as read now.
pub(super) fn watch(tx: &mut Transaction<'_>, content: ContentId) -> Result<(), StateError> {
    let is_small = contents::get(tx, content)?.is_some_and(|record| record.length < WATCHED_BYTES_MIN);
    if is_small {
        return Ok(());
    }
    forget(tx, content)?;
    put(tx, content, tx.now());
    Ok(())
}

fn put(tx: &mut Transaction<'_>, content: ContentId, accessed: UnixMillis) {
    tx.put_record(layout::tiering(content), &Tiering { accessed, infrequent: false });
    tx.put(layout::tiering_idle(accessed, content), Vec::new());
}

/// No version in the class refers to the content any more.
pub(super) fn forget(tx: &mut Transaction<'_>, content: ContentId) -> Result<(), StateError> {
    if let Some(known) = tiering_of(tx, content)? {
        tx.delete(layout::tiering(content));
        if !known.infrequent {
            tx.delete(layout::tiering_idle(known.accessed, content));
        }
    }
    Ok(())
}

/// The class whose blocks keep a content that belongs into `class`.
pub(super) fn kept_as<V: View + ?Sized>(
    view: &V,
    content: ContentId,
    class: StorageClass,
) -> Result<StorageClass, StateError> {
    let infrequent = class == StorageClass::IntelligentTiering
        && tiering_of(view, content)?.is_some_and(|tiering| tiering.infrequent);
    Ok(if infrequent { StorageClass::StandardIa } else { class })
}

/// When a content was last read, and where it is; `None` for one that is not watched.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn tiering_of<V: View + ?Sized>(view: &V, content: ContentId) -> Result<Option<Tiering>, StateError> {
    view::read(view, &layout::tiering(content))
}

/// Whether some content was not read since `before`.
///
/// # Errors
/// The engine's.
pub fn is_any_idle<V: View + ?Sized>(view: &V, before: UnixMillis) -> Result<bool, StateError> {
    match view.scan(&layout::table(layout::TIERING_IDLE), Some(&layout::tiering_idle(before, ContentId(0)))).next() {
        Some(row) => Ok(row.map(|_| true)?),
        None => Ok(false),
    }
}

/// These contents were read now: infrequent ones become frequent.
pub(super) fn note_access(tx: &mut Transaction<'_>, contents: &[ContentId]) -> Result<NamenodeReply, Rejection> {
    if contents.len() > TIERED_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {TIERED_MAX} contents")));
    }
    for content in contents {
        // One that is gone, or left the class, since it was read.
        let Some(known) = tiering_of(tx, *content)? else { continue };
        forget(tx, *content)?;
        put(tx, *content, tx.now());
        if known.infrequent {
            classes::settle(tx, *content)?;
        }
    }
    Ok(NamenodeReply::Done)
}

/// Contents that were not read for `idle_ms` become infrequent, the longest idle first.
pub(super) fn settle_idle(tx: &mut Transaction<'_>, idle_ms: u64, limit: u32) -> Result<NamenodeReply, Rejection> {
    let before = UnixMillis(tx.now().0.saturating_sub(idle_ms));
    let until = layout::tiering_idle(before, ContentId(0));
    let limit = (limit as usize).min(TIERED_MAX);
    let rows: Result<Vec<Vec<u8>>, _> = tx
        .scan(&layout::table(layout::TIERING_IDLE), Some(&until))
        .take(limit)
        .map(|pair| pair.map(|(key, _)| key.to_vec()))
        .collect();
    for row in rows? {
        let content = ContentId(layout::last_number(&row).ok_or_else(|| undecodable(&row, "its key has no number"))?);
        tx.delete(row);
        let Some(known) = tiering_of(tx, content)? else { continue };
        tx.put_record(layout::tiering(content), &Tiering { infrequent: true, ..known });
        classes::settle(tx, content)?;
    }
    Ok(NamenodeReply::Done)
}
