//! Block records: opening, sealing, what contents take from them and give back, and when they go.
//!
//! Invariants: `live_bytes` is the sum over the extents that contents have in the block, record headers included;
//! `live_bytes <= length`; a block is in its lease's index exactly while it is open, or sealed and owned by nobody yet;
//! a sealed packed block without live bytes exists only as a member of a coded group ([`super::groups`]). Who rewrites mostly dead blocks is decided by soft state.

use super::apply::Effect;
use super::external;
use super::groups;
use super::layout;
use super::leases;
use super::records::{BlockRecord, BlockState};
use super::transaction::Transaction;
use super::view::{self, View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, Extent, LocatedBlock};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::StorageClass;
use granary_protocol::record::HEADER_BYTES;
use granary_protocol::token::{AccessMode, BlockToken};
use granary_protocol::{BlockId, ErrorCode, GenerationStamp, LeaseId, UnixMillis, VolumeId};

/// The most blocks one command allocates.
pub const ALLOCATED_BLOCKS_MAX: usize = 1024;

/// The most volumes of a pipeline.
pub(super) const PIPELINE_VOLUMES_MAX: usize = 16;

/// The record of a block.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn get_block<V: View + ?Sized>(view: &V, block: BlockId) -> Result<Option<BlockRecord>, StateError> {
    view::read(view, &layout::block(block))
}

/// The record of a block that a content, a group, a lease or an open file refers to.
pub(super) fn expect<V: View + ?Sized>(view: &V, block: BlockId) -> Result<BlockRecord, StateError> {
    get_block(view, block)?.ok_or_else(|| inconsistent(format!("block {block} is referred to and does not exist")))
}

/// Gives a block that one content owns another class; the leader gives it the redundancy of that.
pub(super) fn set_class(tx: &mut Transaction<'_>, block: BlockId, mut record: BlockRecord, class: StorageClass) {
    if record.class != class {
        record.class = class;
        tx.put_record(layout::block(block), &record);
        tx.put(layout::class_changed(block), Vec::new());
        tx.block_changed(block, record);
    }
}

/// Blocks that changed their class and ask for the replicas of the old one yet, with their class now: `None` for one
/// that is gone.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn class_changes<V: View + ?Sized>(
    view: &V,
    limit: usize,
) -> Result<Vec<(BlockId, Option<StorageClass>)>, StateError> {
    let table = layout::table(layout::CLASS_CHANGED);
    let mut changes = Vec::new();
    for pair in view.scan(&table, Some(&layout::after_prefix(&table))).take(limit) {
        let (key, _) = pair?;
        let number = layout::last_number(&key).ok_or_else(|| view::undecodable(&key, "its key has no number"))?;
        let block = BlockId(number);
        changes.push((block, get_block(view, block)?.map(|record| record.class)));
    }
    Ok(changes)
}

/// Blocks that changed their class ask for the replicas of the new one, if that is what they are in still. One in a coded
/// group relies on that.
pub(super) fn settle_classes(
    tx: &mut Transaction<'_>,
    settled: &[(BlockId, Option<(StorageClass, u8)>)],
) -> Result<NamenodeReply, Rejection> {
    if settled.len() > ALLOCATED_BLOCKS_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {ALLOCATED_BLOCKS_MAX} blocks")));
    }
    for (block, asks) in settled {
        let record = get_block(tx, *block)?;
        if record.as_ref().map(|record| record.class) != asks.map(|(class, _)| class) {
            continue;
        }
        tx.delete(layout::class_changed(*block));
        let (Some(record), Some((_, replicas))) = (record, asks) else { continue };
        let is_elsewhere = external::belongs_elsewhere(tx, *block, record.class)?;
        let asks = !is_elsewhere && groups::group_of(tx, *block)?.is_none();
        if record.replicas_wanted != *replicas && *replicas > 0 && asks {
            set_wanted(tx, *block, *replicas)?;
        }
    }
    Ok(NamenodeReply::Done)
}

/// Hands every block to `f`, by id. This is how soft state begins.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn for_each_block<V: View + ?Sized>(view: &V, mut f: impl FnMut(BlockId, BlockRecord)) -> Result<(), StateError> {
    let table = layout::table(layout::BLOCK);
    for pair in view.scan(&table, Some(&layout::after_prefix(&table))) {
        let (key, value) = pair?;
        let block = layout::last_number(&key).ok_or_else(|| view::undecodable(&key, "its key has no number"))?;
        f(BlockId(block), view::decode(&key, &value)?);
    }
    Ok(())
}

/// Bytes that an extent takes of its block.
fn taken(kind: BlockKind, extent: &Extent) -> u64 {
    let header = match kind {
        BlockKind::Packed => HEADER_BYTES as u64,
        BlockKind::Owned | BlockKind::Parity => 0,
    };
    u64::from(extent.length) + header
}

pub(super) fn allocate(
    tx: &mut Transaction<'_>,
    lease: LeaseId,
    kind: BlockKind,
    class: StorageClass,
    pipelines: &[Vec<VolumeId>],
    replicas_wanted: u8,
) -> Result<NamenodeReply, Rejection> {
    leases::require(tx, lease)?;
    let pipelines_fit = pipelines.iter().all(|volumes| !volumes.is_empty() && volumes.len() <= PIPELINE_VOLUMES_MAX);
    if pipelines.len() > ALLOCATED_BLOCKS_MAX || !pipelines_fit || replicas_wanted == 0 {
        return Err(refuse(ErrorCode::InvalidArgument, "too many blocks, or a pipeline that cannot be"));
    }
    let mut located = Vec::with_capacity(pipelines.len());
    for pipeline in pipelines {
        let block = BlockId(tx.counters().next_block);
        tx.counters().next_block += 1;
        tx.counters().blocks += 1;
        let record = BlockRecord {
            generation: GenerationStamp(1),
            kind,
            class,
            replicas_wanted,
            state: BlockState::Open { lease, pipeline: pipeline.clone() },
            length: 0,
            live_bytes: 0,
            attached: false,
        };
        tx.put_record(layout::block(block), &record);
        tx.put(layout::lease_block(lease, block), Vec::new());
        located.push(unlocated(block, &record));
        tx.effect(Effect::BlockOpened { block, record });
    }
    Ok(NamenodeReply::Blocks(located))
}

/// A new block for the reply. Replicas and a real token are soft state's to add: this token is signed by no key.
pub(super) fn unlocated(block: BlockId, record: &BlockRecord) -> LocatedBlock {
    LocatedBlock {
        block,
        generation: record.generation,
        length: 0,
        replicas: Vec::new(),
        token: BlockToken {
            extent: Extent { block, offset: 0, length: BLOCK_BYTES_MAX },
            generation: record.generation,
            mode: AccessMode::Write,
            expires: UnixMillis(0),
            key_id: 0,
            mac: [0; 32],
        },
    }
}

/// Gives an extent to a content that `lease` commits. `stored_on` are the volumes that acknowledged an owned block.
pub(super) fn attach(
    tx: &mut Transaction<'_>,
    lease: LeaseId,
    extent: &Extent,
    stored_on: &[VolumeId],
) -> Result<(), Rejection> {
    let Some(record) = get_block(tx, extent.block)? else {
        return Err(refuse(ErrorCode::StaleGeneration, format!("block {} is gone", extent.block)));
    };
    match record.kind {
        BlockKind::Packed => attach_packed(tx, lease, extent, record),
        BlockKind::Owned => attach_owned(tx, lease, extent, stored_on, record),
        BlockKind::Parity => {
            Err(refuse(ErrorCode::InvalidArgument, format!("block {} is parity: nothing is in it", extent.block)))
        }
    }
}

fn attach_packed(
    tx: &mut Transaction<'_>,
    lease: LeaseId,
    extent: &Extent,
    mut record: BlockRecord,
) -> Result<(), Rejection> {
    let block = extent.block;
    let end = extent.offset.checked_add(extent.length).filter(|end| *end <= BLOCK_BYTES_MAX);
    let Some(end) = end.filter(|_| extent.length > 0 && extent.offset >= HEADER_BYTES as u32) else {
        return Err(refuse(ErrorCode::InvalidArgument, format!("no record can be at {extent:?}")));
    };
    let before = sums(&record);
    match &record.state {
        BlockState::Open { lease: writer, .. } if *writer == lease => record.length = record.length.max(end),
        BlockState::Sealed if end <= record.length => {}
        BlockState::Open { .. } => {
            return Err(refuse(ErrorCode::LeaseExpired, format!("block {block} is written under another lease")));
        }
        BlockState::Sealed => {
            return Err(refuse(
                ErrorCode::StaleGeneration,
                format!("block {block} was sealed at {} bytes", record.length),
            ));
        }
    }
    record.live_bytes += taken(BlockKind::Packed, extent);
    if record.live_bytes > u64::from(record.length) {
        return Err(refuse(ErrorCode::InvalidArgument, format!("{extent:?} overlaps another record")));
    }
    store(tx, block, before, &record)?;
    tx.block_changed(block, record);
    Ok(())
}

fn attach_owned(
    tx: &mut Transaction<'_>,
    lease: LeaseId,
    extent: &Extent,
    stored_on: &[VolumeId],
    mut record: BlockRecord,
) -> Result<(), Rejection> {
    let block = extent.block;
    let in_hand = layout::lease_block(lease, block);
    if record.attached || tx.get(&in_hand)?.is_none() {
        return Err(refuse(ErrorCode::StaleGeneration, format!("block {block} is not in the hands of lease {lease}")));
    }
    if extent.offset != 0 || extent.length == 0 || extent.length > BLOCK_BYTES_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("{extent:?} is not a whole block")));
    }
    let before = sums(&record);
    let was_open = matches!(record.state, BlockState::Open { .. });
    if was_open {
        if stored_on.is_empty() {
            return Err(refuse(ErrorCode::InvalidArgument, format!("block {block} is not said to be stored anywhere")));
        }
        record.state = BlockState::Sealed;
        record.length = extent.length;
    } else if record.length != extent.length {
        return Err(refuse(ErrorCode::StaleGeneration, format!("block {block} was sealed at {} bytes", record.length)));
    }
    record.attached = true;
    record.live_bytes = taken(BlockKind::Owned, extent);
    store(tx, block, before, &record)?;
    tx.delete(in_hand);
    if was_open {
        tx.effect(Effect::BlockSealed { block, record, stored_on: stored_on.to_vec() });
    } else {
        tx.block_changed(block, record);
    }
    Ok(())
}

/// Takes an extent from a content that is gone or has moved.
pub(super) fn detach(tx: &mut Transaction<'_>, extent: &Extent) -> Result<(), StateError> {
    let block = extent.block;
    let mut record = expect(tx, block)?;
    let before = sums(&record);
    record.live_bytes = record
        .live_bytes
        .checked_sub(taken(record.kind, extent))
        .ok_or_else(|| inconsistent(format!("block {block} has fewer live bytes than contents in it")))?;
    if record.live_bytes > 0 || record.state != BlockState::Sealed {
        store(tx, block, before, &record)?;
        tx.block_changed(block, record);
        return Ok(());
    }
    if groups::group_of(tx, block)?.is_none() {
        return remove(tx, block, before, record);
    }
    store(tx, block, before, &record)?;
    tx.block_changed(block, record);
    groups::data_block_died(tx, block)
}

/// A parity block of `length` bytes, whose replica is about to be made.
pub(super) fn add_parity(tx: &mut Transaction<'_>, class: StorageClass, length: u32) -> Result<BlockId, StateError> {
    let block = BlockId(tx.counters().next_block);
    tx.counters().next_block += 1;
    tx.counters().blocks += 1;
    let record = BlockRecord {
        generation: GenerationStamp(1),
        kind: BlockKind::Parity,
        class,
        replicas_wanted: 1,
        state: BlockState::Sealed,
        length,
        // All of it is needed for as long as it exists.
        live_bytes: u64::from(length),
        attached: true,
    };
    store(tx, block, (0, 0), &record)?;
    tx.effect(Effect::BlockOpened { block, record });
    Ok(block)
}

/// Changes how many replicas a block asks for.
pub(super) fn set_wanted(tx: &mut Transaction<'_>, block: BlockId, replicas: u8) -> Result<(), StateError> {
    let mut record = expect(tx, block)?;
    record.replicas_wanted = replicas;
    tx.put_record(layout::block(block), &record);
    tx.block_changed(block, record);
    Ok(())
}

/// Removes a member of a group that is being taken apart.
pub(super) fn remove_block(tx: &mut Transaction<'_>, block: BlockId) -> Result<(), StateError> {
    let record = expect(tx, block)?;
    remove(tx, block, sums(&record), record)
}

pub(super) fn seal(
    tx: &mut Transaction<'_>,
    lease: LeaseId,
    block: BlockId,
    length: u32,
    stored_on: &[VolumeId],
    recovered: bool,
) -> Result<NamenodeReply, Rejection> {
    leases::require(tx, lease)?;
    let Some(record) = get_block(tx, block)? else {
        return Err(refuse(ErrorCode::StaleGeneration, format!("block {block} is gone")));
    };
    match &record.state {
        BlockState::Open { lease: writer, .. } if *writer == lease => {}
        BlockState::Open { .. } => {
            return Err(refuse(ErrorCode::LeaseExpired, format!("block {block} is written under another lease")));
        }
        // The answer to the first attempt was lost.
        BlockState::Sealed if record.length == length => return Ok(NamenodeReply::Sealed(record.generation)),
        BlockState::Sealed => {
            return Err(refuse(
                ErrorCode::StaleGeneration,
                format!("block {block} was sealed at {} bytes", record.length),
            ));
        }
    }
    if length < record.length || length > BLOCK_BYTES_MAX {
        let detail = format!("block {block} has {} committed bytes and cannot be sealed at {length}", record.length);
        return Err(refuse(ErrorCode::InvalidArgument, detail));
    }
    let generation = GenerationStamp(record.generation.0 + u64::from(recovered));
    close(tx, lease, block, record, length, generation, stored_on)?;
    Ok(NamenodeReply::Sealed(generation))
}

pub(super) fn abandon(
    tx: &mut Transaction<'_>,
    lease: LeaseId,
    blocks: &[BlockId],
) -> Result<NamenodeReply, Rejection> {
    leases::require(tx, lease)?;
    for block in blocks {
        if tx.get(&layout::lease_block(lease, *block))?.is_some() {
            let_go(tx, lease, *block)?;
        }
    }
    Ok(NamenodeReply::Done)
}

/// Takes a block out of the hands of a lease whose holder will not write to it any more. Committed bytes are on every
/// member of the pipeline, so it is sealed where they end, with a raised generation that fences the writer; without any
/// it goes.
pub(super) fn let_go(tx: &mut Transaction<'_>, lease: LeaseId, block: BlockId) -> Result<(), StateError> {
    let record = expect(tx, block)?;
    let length = match record.kind {
        BlockKind::Packed => record.length,
        BlockKind::Owned | BlockKind::Parity => 0,
    };
    let generation = GenerationStamp(record.generation.0 + 1);
    close(tx, lease, block, record, length, generation, &[])
}

/// Seals a block that is in the hands of `lease`, or removes it if there is nothing in it to keep.
pub(super) fn close(
    tx: &mut Transaction<'_>,
    lease: LeaseId,
    block: BlockId,
    mut record: BlockRecord,
    length: u32,
    generation: GenerationStamp,
    stored_on: &[VolumeId],
) -> Result<(), StateError> {
    let before = sums(&record);
    let in_hand = layout::lease_block(lease, block);
    let useless = match record.kind {
        BlockKind::Packed => record.live_bytes == 0,
        BlockKind::Owned | BlockKind::Parity => length == 0,
    };
    if useless {
        tx.delete(in_hand);
        return remove(tx, block, before, record);
    }
    // An owned block stays in hand until its content is committed.
    if record.kind == BlockKind::Packed {
        tx.delete(in_hand);
    }
    record.state = BlockState::Sealed;
    record.length = length;
    record.generation = generation;
    store(tx, block, before, &record)?;
    tx.effect(Effect::BlockSealed { block, record, stored_on: stored_on.to_vec() });
    Ok(())
}

/// An open block goes on under another generation, on other volumes.
pub(super) fn repipe(
    tx: &mut Transaction<'_>,
    block: BlockId,
    mut record: BlockRecord,
    generation: GenerationStamp,
    members: &[VolumeId],
) -> Result<(), StateError> {
    let BlockState::Open { pipeline, .. } = &mut record.state else {
        return Err(inconsistent(format!("block {block} is sealed and given a pipeline")));
    };
    *pipeline = members.to_vec();
    record.generation = generation;
    tx.put_record(layout::block(block), &record);
    tx.effect(Effect::BlockRepiped { block, record });
    Ok(())
}

/// Changes how many replicas a client wants. A member of a coded group, or one that is kept at an
/// archive target, has the redundancy of its class instead.
pub(super) fn want_replicas(tx: &mut Transaction<'_>, block: BlockId, wanted: u8) -> Result<(), StateError> {
    let mut record = expect(tx, block)?;
    if groups::group_of(tx, block)?.is_some() || external::belongs_elsewhere(tx, block, record.class)? {
        return Ok(());
    }
    if record.kind == BlockKind::Owned && record.replicas_wanted != wanted {
        record.replicas_wanted = wanted;
        tx.put_record(layout::block(block), &record);
        tx.block_changed(block, record);
    }
    Ok(())
}

/// What a record adds to the counters.
fn sums(record: &BlockRecord) -> (u64, u64) {
    (u64::from(record.length), record.live_bytes)
}

fn store(tx: &mut Transaction<'_>, block: BlockId, before: (u64, u64), record: &BlockRecord) -> Result<(), StateError> {
    count(tx, before, sums(record))?;
    tx.put_record(layout::block(block), record);
    Ok(())
}

fn remove(tx: &mut Transaction<'_>, block: BlockId, before: (u64, u64), record: BlockRecord) -> Result<(), StateError> {
    external::block_gone(tx, block)?;
    count(tx, before, (0, 0))?;
    tx.counters().blocks = view::moved(tx.counters().blocks, -1, "the number of blocks")?;
    tx.delete(layout::block(block));
    tx.effect(Effect::BlockRemoved { block, record });
    Ok(())
}

fn count(tx: &mut Transaction<'_>, before: (u64, u64), after: (u64, u64)) -> Result<(), StateError> {
    let counters = tx.counters();
    let delta = |after: u64, before: u64| after.wrapping_sub(before) as i64;
    counters.block_bytes = view::moved(counters.block_bytes, delta(after.0, before.0), "block_bytes")?;
    counters.live_bytes = view::moved(counters.live_bytes, delta(after.1, before.1), "live_bytes")?;
    Ok(())
}
