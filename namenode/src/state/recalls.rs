//! Recalls: blocks that are wanted here for a while although their class is kept at an archive target, and the restored
//! versions that ask for them.
//!
//! A recall is a moment: until then a block that is at its target asks for replicas here, and one that is sent meanwhile
//! keeps those it has. Invariants: a recall has one row in `recall_due`, at its end; a recall goes with its block.

use super::blocks::{self, ALLOCATED_BLOCKS_MAX};
use super::contents;
use super::external;
use super::layout;
use super::records::{ContentData, RestoreWait};
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{BlockId, ContentId, ErrorCode, UnixMillis};
use std::collections::BTreeSet;

/// Until when a block is wanted here.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn recalled_until<V: View + ?Sized>(view: &V, block: BlockId) -> Result<Option<UnixMillis>, StateError> {
    view::read(view, &layout::recall(block))
}

pub(super) fn is_recalled<V: View + ?Sized>(view: &V, block: BlockId) -> Result<bool, StateError> {
    Ok(recalled_until(view, block)?.is_some())
}

/// The blocks of a content; none for one that is gone.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn blocks_of_content<V: View + ?Sized>(view: &V, content: ContentId) -> Result<BTreeSet<BlockId>, StateError> {
    let Some(record) = contents::get(view, content)? else { return Ok(BTreeSet::new()) };
    let leaves = match record.data {
        ContentData::Extents(extents) => return Ok(extents.into_iter().map(|extent| extent.block).collect()),
        ContentData::Slices(slices) => slices.into_iter().map(|slice| slice.leaf).collect::<BTreeSet<_>>(),
    };
    let mut found = BTreeSet::new();
    for leaf in leaves {
        if let ContentData::Extents(extents) = contents::expect(view, leaf)?.data {
            found.extend(extents.into_iter().map(|extent| extent.block));
        }
    }
    Ok(found)
}

/// Versions that wait for their blocks, after the one with this sequence.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn restore_waits<V: View + ?Sized>(
    view: &V,
    after: u64,
    limit: usize,
) -> Result<Vec<(u64, RestoreWait)>, StateError> {
    let until = layout::after_prefix(&layout::table(layout::RESTORE_WAIT));
    let mut found = Vec::new();
    for pair in view.scan(&layout::restore_wait(after.saturating_add(1)), Some(&until)).take(limit) {
        let (key, value) = pair?;
        let sequence = layout::last_number(&key).ok_or_else(|| undecodable(&key, "its key has no number"))?;
        found.push((sequence, view::decode(&key, &value)?));
    }
    Ok(found)
}

/// Whether a recall has ended and must be settled.
///
/// # Errors
/// The engine's.
pub fn recalls_due<V: View + ?Sized>(view: &V, now: UnixMillis) -> Result<bool, StateError> {
    let until = layout::recall_due(UnixMillis(now.0.saturating_add(1)), BlockId(0));
    let found = view.scan(&layout::table(layout::RECALL_DUE), Some(&until)).next();
    found.map_or(Ok(false), |row| Ok(row.map(|_| true)?))
}

/// Wants blocks here until a moment, with so many replicas each.
pub(super) fn recall(
    tx: &mut Transaction<'_>,
    recalled: &[(BlockId, u8)],
    until: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    if recalled.len() > ALLOCATED_BLOCKS_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {ALLOCATED_BLOCKS_MAX} blocks")));
    }
    for (block, replicas) in recalled {
        let Some(record) = blocks::get_block(tx, *block)? else { continue };
        extend(tx, *block, until)?;
        if record.replicas_wanted == 0 && *replicas > 0 && external::is_stored(tx, *block)? {
            blocks::set_wanted(tx, *block, *replicas)?;
        }
    }
    Ok(NamenodeReply::Done)
}

fn extend(tx: &mut Transaction<'_>, block: BlockId, until: UnixMillis) -> Result<(), StateError> {
    let known = recalled_until(tx, block)?;
    if known.is_some_and(|known| known >= until) {
        return Ok(());
    }
    if let Some(known) = known {
        tx.delete(layout::recall_due(known, block));
    }
    tx.put_record(layout::recall(block), &until);
    tx.put(layout::recall_due(until, block), Vec::new());
    Ok(())
}

/// A record moves: what was wanted of its old block is wanted of the new one.
pub(super) fn follow(tx: &mut Transaction<'_>, from: BlockId, to: BlockId) -> Result<(), StateError> {
    match recalled_until(tx, from)? {
        Some(until) if from != to => extend(tx, to, until),
        Some(_) | None => Ok(()),
    }
}

/// Ends recalls whose moment has passed: the replicas of blocks that belong at their target may go.
pub(super) fn end(tx: &mut Transaction<'_>, limit: u32, now: UnixMillis) -> Result<NamenodeReply, Rejection> {
    let until = layout::recall_due(UnixMillis(now.0.saturating_add(1)), BlockId(0));
    let limit = (limit as usize).min(ALLOCATED_BLOCKS_MAX);
    let rows: Result<Vec<Vec<u8>>, _> = tx
        .scan(&layout::table(layout::RECALL_DUE), Some(&until))
        .take(limit)
        .map(|pair| pair.map(|(key, _)| key.to_vec()))
        .collect();
    for row in rows? {
        let block = layout::last_number(&row).ok_or_else(|| undecodable(&row, "its key has no number"))?;
        let block = BlockId(block);
        tx.delete(row);
        tx.delete(layout::recall(block));
        let Some(record) = blocks::get_block(tx, block)? else { continue };
        if record.replicas_wanted > 0 && external::belongs_elsewhere(tx, block, record.class)? {
            blocks::set_wanted(tx, block, 0)?;
        }
    }
    Ok(NamenodeReply::Done)
}

/// A block is gone, and with it what was wanted of it.
pub(super) fn forget(tx: &mut Transaction<'_>, block: BlockId) -> Result<(), StateError> {
    if let Some(until) = recalled_until(tx, block)? {
        tx.delete(layout::recall(block));
        tx.delete(layout::recall_due(until, block));
    }
    Ok(())
}
