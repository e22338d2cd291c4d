//! The storage class of contents: which classes their versions are in, and where their bytes belong.
//!
//! A content can be shared by versions of several classes; its bytes belong where the warmest of them is, so that nobody
//! waits for what somebody else has archived. Versions in other classes than STANDARD are counted here, a row a content;
//! what refers to a content and is not counted (versions in STANDARD, parts, slices) holds its bytes where they are.
//! Those in INTELLIGENT_TIERING follow how they are read ([`super::tiering`]).
//!
//! Bytes follow in two ways. A block that one content owns changes its class by its record alone. A record in a packed
//! block waits in `content_move` until a mover has written it into a packed block of the class.

use super::blocks;
use super::contents;
use super::layout;
use super::records::{ContentData, ContentRecord};
use super::tiering;
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use crate::error::StateError;
use granary_protocol::block::BlockKind;
use granary_protocol::lifecycle::BACKLOG_COUNTED_MAX;
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, ContentId};
use std::collections::BTreeMap;

/// Versions in classes other than STANDARD, a count a class.
type Referrers = Vec<(StorageClass, u32)>;

/// A version in `class` begins to refer to `content`.
pub(super) fn refer(tx: &mut Transaction<'_>, content: ContentId, class: StorageClass) -> Result<(), StateError> {
    if class == StorageClass::Standard {
        return Ok(());
    }
    if class == StorageClass::IntelligentTiering {
        tiering::watch(tx, content)?;
    }
    let mut referrers = referrers(tx, content)?;
    match referrers.iter_mut().find(|(other, _)| *other == class) {
        Some((_, count)) => *count = count.saturating_add(1),
        None => referrers.push((class, 1)),
    }
    tx.put_record(layout::content_classes(content), &referrers);
    Ok(())
}

/// A version in `class` no longer refers to `content`. One that was written before versions were counted is not there.
pub(super) fn unrefer(tx: &mut Transaction<'_>, content: ContentId, class: StorageClass) -> Result<(), StateError> {
    if class == StorageClass::Standard {
        return Ok(());
    }
    let mut referrers = referrers(tx, content)?;
    let Some((_, count)) = referrers.iter_mut().find(|(other, _)| *other == class) else { return Ok(()) };
    *count -= 1;
    if class == StorageClass::IntelligentTiering && *count == 0 {
        tiering::forget(tx, content)?;
    }
    referrers.retain(|(_, count)| *count > 0);
    match referrers.is_empty() {
        true => tx.delete(layout::content_classes(content)),
        false => tx.put_record(layout::content_classes(content), &referrers),
    }
    Ok(())
}

fn referrers<V: View + ?Sized>(view: &V, content: ContentId) -> Result<Referrers, StateError> {
    Ok(view::read(view, &layout::content_classes(content))?.unwrap_or_default())
}

/// Sends the bytes of a content to the warmest class of its versions, if all that refer to it are counted.
pub(super) fn settle(tx: &mut Transaction<'_>, content: ContentId) -> Result<(), StateError> {
    let referrers = referrers(tx, content)?;
    let Some(warmest) = referrers.iter().map(|(class, _)| *class).min_by_key(|class| coldness(*class)) else {
        return Ok(());
    };
    let Some(record) = contents::get(tx, content)? else { return Ok(()) };
    let counted: u32 = referrers.iter().map(|(_, count)| count).sum();
    if counted < record.references {
        return Ok(());
    }
    let class = tiering::kept_as(tx, content, warmest)?;
    send(tx, content, &record, class)
}

/// Sends the bytes of a content to a class that is at least as warm as all that its versions are in.
pub(super) fn warm(tx: &mut Transaction<'_>, content: ContentId, class: StorageClass) -> Result<(), StateError> {
    let record = contents::expect(tx, content)?;
    send(tx, content, &record, class)
}

/// The order of classes from warm to cold.
pub(super) fn coldness(class: StorageClass) -> usize {
    StorageClass::ALL.iter().position(|other| *other == class).expect("every class is among all")
}

fn send(
    tx: &mut Transaction<'_>,
    content: ContentId,
    record: &ContentRecord,
    class: StorageClass,
) -> Result<(), StateError> {
    let ContentData::Slices(slices) = &record.data else { return send_leaf(tx, content, record, class) };
    let mut shares = BTreeMap::<ContentId, u32>::new();
    for slice in slices {
        *shares.entry(slice.leaf).or_default() += 1;
    }
    for (leaf, shares) in shares {
        let record = contents::expect(tx, leaf)?;
        // A leaf that others use too stays where it is.
        if record.references == shares {
            send_leaf(tx, leaf, &record, class)?;
        }
    }
    Ok(())
}

fn send_leaf(
    tx: &mut Transaction<'_>,
    content: ContentId,
    record: &ContentRecord,
    class: StorageClass,
) -> Result<(), StateError> {
    let ContentData::Extents(extents) = &record.data else { return Ok(()) };
    for extent in extents {
        let block = blocks::expect(tx, extent.block)?;
        match block.kind {
            BlockKind::Owned => blocks::set_class(tx, extent.block, block, class),
            BlockKind::Packed if block.class == class => tx.delete(layout::content_move(content)),
            BlockKind::Packed => tx.put_record(layout::content_move(content), &class),
            // No content refers to parity.
            BlockKind::Parity => {}
        }
    }
    Ok(())
}

/// A record was written again into `block`: it has arrived if that is of the class it was sent to.
pub(super) fn arrived(tx: &mut Transaction<'_>, content: ContentId, block: BlockId) -> Result<(), StateError> {
    let row = layout::content_move(content);
    if let Some(class) = view::read::<_, StorageClass>(tx, &row)?
        && blocks::expect(tx, block)?.class == class
    {
        tx.delete(row);
    }
    Ok(())
}

/// Forgets moves of contents that are gone or have arrived.
pub(super) fn forget_moves(tx: &mut Transaction<'_>, contents: &[ContentId]) -> Result<(), StateError> {
    for content in contents {
        let row = layout::content_move(*content);
        if let Some(class) = view::read::<_, StorageClass>(tx, &row)?
            && waiting(tx, *content, class)?.is_none()
        {
            tx.delete(row);
        }
    }
    Ok(())
}

/// Contents that wait to be moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingMoves {
    /// The contents, by id, with the class each belongs into.
    pub waiting: Vec<(ContentId, StorageClass)>,
    /// Contents among them that are gone or where they belong: their rows may be forgotten.
    pub stale: Vec<ContentId>,
}

/// The next moves after `after`.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn list_moves<V: View + ?Sized>(
    view: &V,
    after: Option<ContentId>,
    limit: usize,
) -> Result<WaitingMoves, StateError> {
    let from = match after {
        Some(after) => layout::content_move(ContentId(after.0.saturating_add(1))),
        None => layout::table(layout::CONTENT_MOVE),
    };
    let until = layout::after_prefix(&layout::table(layout::CONTENT_MOVE));
    let mut moves = WaitingMoves::default();
    for pair in view.scan(&from, Some(&until)).take(limit) {
        let (key, value) = pair?;
        let content = layout::last_number(&key).ok_or_else(|| undecodable(&key, "its key has no number"))?;
        let (content, class) = (ContentId(content), view::decode(&key, &value)?);
        match waiting(view, content, class)? {
            Some(()) => moves.waiting.push((content, class)),
            None => moves.stale.push(content),
        }
    }
    Ok(moves)
}

/// `None` for a content that is gone, or where it belongs.
fn waiting<V: View + ?Sized>(view: &V, content: ContentId, class: StorageClass) -> Result<Option<()>, StateError> {
    let Some(record) = contents::get(view, content)? else { return Ok(None) };
    let ContentData::Extents(extents) = &record.data else { return Ok(None) };
    let [extent] = extents.as_slice() else { return Ok(None) };
    Ok((blocks::expect(view, extent.block)?.class != class).then_some(()))
}

/// How many contents wait, counted up to [`BACKLOG_COUNTED_MAX`].
///
/// # Errors
/// The engine's.
pub fn moves_waiting<V: View + ?Sized>(view: &V) -> Result<u64, StateError> {
    let table = layout::table(layout::CONTENT_MOVE);
    let rows = view.scan(&table, Some(&layout::after_prefix(&table)));
    Ok(rows.take(BACKLOG_COUNTED_MAX as usize).count() as u64)
}
