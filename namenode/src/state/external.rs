//! Blocks at archive targets: on their way there, there, and garbage that they leave.
//!
//! A block is *reserved* (a key of its own at the target, before anything is sent), *stored* (the target has all of its
//! bytes; the same command has it ask for no replicas here) and *forgotten* (it is gone, or at home again; the object there
//! becomes garbage). Invariants: a key is reserved once and never again; an object may exist at a target only under a key
//! that is in `external_block` or `external_garbage`; a stored block of the target's class asks for replicas only while it
//! is recalled or its target is emptied; a stored block is in no coded group.

use super::apply::Effect;
use super::archive_targets::{self, count};
use super::blocks::{self, ALLOCATED_BLOCKS_MAX};
use super::groups;
use super::layout;
use super::recalls;
use super::records::{BlockRecord, BlockState, GarbageRecord};
use super::transaction::Transaction;
use super::view::{self, View, inconsistent, undecodable};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::archive::{ArchiveChange, ExternalBlock, REMOTE_UPLOAD_BYTES_MAX};
use granary_protocol::block::BlockKind;
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, ErrorCode, UnixMillis};

/// How long after a block that was being sent is forgotten what there is of it is deleted: whoever was sending it has
/// given up by then.
const SENDING_MS: u64 = 120_000;
/// The longest key at a target: what a prefix may have, and the name of a block.
const REMOTE_KEY_BYTES_MAX: usize = 1024;

/// Where a block is at its target, if it is there or on its way.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn external_block<V: View + ?Sized>(view: &V, block: BlockId) -> Result<Option<ExternalBlock>, StateError> {
    view::read(view, &layout::external_block(block))
}

/// Hands every block that is at a target, or on its way, to `f`.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn for_each_external<V: View + ?Sized>(
    view: &V,
    mut f: impl FnMut(BlockId, ExternalBlock),
) -> Result<(), StateError> {
    let table = layout::table(layout::EXTERNAL_BLOCK);
    for pair in view.scan(&table, Some(&layout::after_prefix(&table))) {
        let (key, value) = pair?;
        let block = layout::last_number(&key).ok_or_else(|| undecodable(&key, "its key has no number"))?;
        f(BlockId(block), view::decode(&key, &value)?);
    }
    Ok(())
}

/// The first `limit` objects at targets that are to be deleted: blocks, keys, and what is known of them.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn external_garbage<V: View + ?Sized>(
    view: &V,
    limit: usize,
    wanted: impl Fn(BlockId, &GarbageRecord) -> bool,
) -> Result<Vec<(BlockId, String, GarbageRecord)>, StateError> {
    let table = layout::table(layout::EXTERNAL_GARBAGE);
    let mut found = Vec::new();
    for pair in view.scan(&table, Some(&layout::after_prefix(&table))) {
        let (key, value) = pair?;
        let (block, remote_key) =
            layout::decode_external_garbage(&key).ok_or_else(|| undecodable(&key, "it names no block and key"))?;
        let record: GarbageRecord = view::decode(&key, &value)?;
        if wanted(block, &record) {
            found.push((block, remote_key.to_owned(), record));
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// Reserves keys for blocks that are to be sent. One that cannot be sent any more is left out.
pub(super) fn reserve(
    tx: &mut Transaction<'_>,
    reserved: &[(BlockId, StorageClass, String)],
) -> Result<NamenodeReply, Rejection> {
    if reserved.len() > ALLOCATED_BLOCKS_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {ALLOCATED_BLOCKS_MAX} blocks")));
    }
    for (block, class, key) in reserved {
        if key.is_empty() || key.len() > REMOTE_KEY_BYTES_MAX {
            return Err(refuse(ErrorCode::InvalidArgument, "so long a key cannot be"));
        }
        let garbage = layout::external_garbage(*block, key);
        let is_new = external_block(tx, *block)?.is_none() && tx.get(&garbage)?.is_none();
        let Some(record) = sendable(tx, *block, *class)?.filter(|_| is_new) else { continue };
        let external =
            ExternalBlock { target: *class, key: key.clone(), length: record.length, crc32c: None, upload: None };
        count(tx, *class, |counts| counts.sending += 1)?;
        put(tx, *block, external);
    }
    Ok(NamenodeReply::Done)
}

/// The record of a block that may be sent to the target of a class.
fn sendable(tx: &Transaction<'_>, block: BlockId, class: StorageClass) -> Result<Option<BlockRecord>, StateError> {
    let Some(record) = blocks::get_block(tx, block)? else { return Ok(None) };
    let is_data = record.kind != BlockKind::Parity && (record.kind != BlockKind::Owned || record.attached);
    let is_whole = record.state == BlockState::Sealed && record.length > 0 && record.live_bytes > 0;
    let fits = is_data && is_whole && record.class == class && archive_targets::is_active(tx, class)?;
    Ok((fits && groups::group_of(tx, block)?.is_none()).then_some(record))
}

/// What a worker has done.
pub(super) fn change(tx: &mut Transaction<'_>, change: &ArchiveChange) -> Result<NamenodeReply, Rejection> {
    match change {
        ArchiveChange::Upload { block, key, upload, replaces } => {
            if upload.len() > REMOTE_UPLOAD_BYTES_MAX {
                return Err(refuse(ErrorCode::InvalidArgument, "so long an upload id cannot be"));
            }
            let mut external = sending(tx, *block, key)?;
            if external.upload.as_ref() == Some(upload) {
                return Ok(NamenodeReply::Done);
            }
            if external.upload != *replaces {
                return Err(refuse(ErrorCode::Conflict, format!("block {block} is sent by another upload")));
            }
            external.upload = Some(upload.clone());
            put(tx, *block, external);
        }
        ArchiveChange::Stored { block, key, crc32c } => stored(tx, *block, key, *crc32c)?,
        ArchiveChange::Deleted { block, key } => {
            let row = layout::external_garbage(*block, key);
            if let Some(garbage) = view::read::<_, GarbageRecord>(tx, &row)? {
                tx.delete(row);
                count(tx, garbage.class, |counts| counts.garbage = counts.garbage.saturating_sub(1))?;
            }
        }
    }
    Ok(NamenodeReply::Done)
}

/// The row of a block that is being sent under a key, and may be still.
fn sending(tx: &Transaction<'_>, block: BlockId, key: &str) -> Result<ExternalBlock, Rejection> {
    let gone = || refuse(ErrorCode::Conflict, format!("block {block} is not being sent as {key}"));
    let external = external_block(tx, block)?.filter(|external| external.key == key).ok_or_else(gone)?;
    sendable(tx, block, external.target)?.ok_or_else(gone)?;
    Ok(external)
}

fn stored(tx: &mut Transaction<'_>, block: BlockId, key: &str, crc32c: u32) -> Result<(), Rejection> {
    let mut external = sending(tx, block, key)?;
    if external.is_stored() {
        return Ok(());
    }
    let bytes = u64::from(external.length);
    external.crc32c = Some(crc32c);
    external.upload = None;
    count(tx, external.target, |counts| {
        counts.sending = counts.sending.saturating_sub(1);
        counts.blocks += 1;
        counts.bytes += bytes;
    })?;
    put(tx, block, external);
    if !recalls::is_recalled(tx, block)? {
        blocks::set_wanted(tx, block, 0)?;
    }
    Ok(())
}

fn put(tx: &mut Transaction<'_>, block: BlockId, external: ExternalBlock) {
    tx.put_record(layout::external_block(block), &external);
    tx.effect(Effect::ExternalChanged { block, external: Some(external) });
}

/// Whether the replicas of a block here are for its target to say: it is there, and belongs there.
pub(super) fn belongs_elsewhere<V: View + ?Sized>(
    view: &V,
    block: BlockId,
    class: StorageClass,
) -> Result<bool, StateError> {
    let Some(external) = external_block(view, block)? else { return Ok(false) };
    Ok(external.is_stored() && external.target == class && archive_targets::is_active(view, class)?)
}

/// Whether the target has all bytes of the block.
pub(super) fn is_stored<V: View + ?Sized>(view: &V, block: BlockId) -> Result<bool, StateError> {
    Ok(external_block(view, block)?.is_some_and(|external| external.is_stored()))
}

/// Blocks that belong at home again ask for replicas; those that have them, and those that are not to be sent any more, are
/// forgotten.
pub(super) fn settle(
    tx: &mut Transaction<'_>,
    home: &[(BlockId, u8)],
    forget: &[BlockId],
) -> Result<NamenodeReply, Rejection> {
    if home.len() > ALLOCATED_BLOCKS_MAX || forget.len() > ALLOCATED_BLOCKS_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {ALLOCATED_BLOCKS_MAX} blocks")));
    }
    for (block, replicas) in home {
        let Some(record) = blocks::get_block(tx, *block)? else { continue };
        let stays = belongs_elsewhere(tx, *block, record.class)?;
        if !stays && record.replicas_wanted == 0 && *replicas > 0 {
            blocks::set_wanted(tx, *block, *replicas)?;
        }
    }
    for block in forget {
        let Some(external) = external_block(tx, *block)? else { continue };
        let Some(record) = blocks::get_block(tx, *block)? else { continue };
        let belongs = match external.is_stored() {
            true => belongs_elsewhere(tx, *block, record.class)? || record.replicas_wanted == 0,
            false => sendable(tx, *block, external.target)?.is_some(),
        };
        if !belongs {
            discard(tx, *block, external)?;
            tx.effect(Effect::ExternalChanged { block: *block, external: None });
        }
    }
    Ok(NamenodeReply::Done)
}

/// A block is gone: what its target has of it is garbage.
pub(super) fn block_gone(tx: &mut Transaction<'_>, block: BlockId) -> Result<(), StateError> {
    recalls::forget(tx, block)?;
    match external_block(tx, block)? {
        Some(external) => discard(tx, block, external),
        None => Ok(()),
    }
}

fn discard(tx: &mut Transaction<'_>, block: BlockId, external: ExternalBlock) -> Result<(), StateError> {
    let not_before = match external.is_stored() {
        true => tx.now(),
        false => UnixMillis(tx.now().0.saturating_add(SENDING_MS)),
    };
    let bytes = u64::from(external.length);
    tx.delete(layout::external_block(block));
    let row = layout::external_garbage(block, &external.key);
    if tx.get(&row)?.is_some() {
        return Err(inconsistent(format!("block {block} has used a key twice")));
    }
    let is_stored = external.is_stored();
    tx.put_record(row, &GarbageRecord { class: external.target, upload: external.upload, not_before });
    count(tx, external.target, |counts| {
        counts.garbage += 1;
        if is_stored {
            counts.blocks = counts.blocks.saturating_sub(1);
            counts.bytes = counts.bytes.saturating_sub(bytes);
        } else {
            counts.sending = counts.sending.saturating_sub(1);
        }
    })
}
