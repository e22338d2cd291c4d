//! Coded groups: which data blocks and which parity blocks belong together.
//!
//! A group is formed (parity blocks get records, nothing relies on them yet), committed once every member is stored (the
//! same command lowers what its data blocks ask for to one replica each), released when most of it is dead (its living
//! blocks ask for replicas again) and dropped once they have them.
//!
//! Invariants: a block is a member of one group at most; members are sealed and have bytes; a parity block exists exactly
//! while its group does; a dead data block stays while its group does, because the others may need its bytes; a group has
//! at least one living data block.

use super::apply::Effect;
use super::blocks::{self, get_block};
use super::external;
use super::layout;
use super::records::{BlockRecord, BlockState, GroupMember, GroupRecord, GroupState};
use super::transaction::Transaction;
use super::view::{self, View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::block::BlockKind;
use granary_protocol::erasure::{DATA_MEMBERS_MAX, PARITY_MEMBERS_MAX};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::{GroupId, REPLICAS_MAX};
use granary_protocol::{BlockId, ErrorCode};

/// The record of a group.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn get_group<V: View + ?Sized>(view: &V, group: GroupId) -> Result<Option<GroupRecord>, StateError> {
    view::read(view, &layout::group(group))
}

/// Hands every group to `f`, by id.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn for_each_group<V: View + ?Sized>(view: &V, mut f: impl FnMut(GroupId, GroupRecord)) -> Result<(), StateError> {
    let table = layout::table(layout::GROUP);
    for pair in view.scan(&table, Some(&layout::after_prefix(&table))) {
        let (key, value) = pair?;
        let group = layout::last_number(&key).ok_or_else(|| view::undecodable(&key, "its key has no number"))?;
        f(GroupId(group), view::decode(&key, &value)?);
    }
    Ok(())
}

/// The group a block is in.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn group_of<V: View + ?Sized>(view: &V, block: BlockId) -> Result<Option<GroupId>, StateError> {
    view::read(view, &layout::block_group(block))
}

pub(super) fn form(
    tx: &mut Transaction<'_>,
    class: StorageClass,
    data: &[BlockId],
    parity: u8,
) -> Result<NamenodeReply, Rejection> {
    let fits = (1..=usize::from(DATA_MEMBERS_MAX)).contains(&data.len()) && (1..=PARITY_MEMBERS_MAX).contains(&parity);
    if !fits {
        return Err(refuse(ErrorCode::InvalidArgument, "a group of this shape cannot be"));
    }
    let mut members: Vec<GroupMember> = Vec::with_capacity(data.len());
    for block in data {
        if members.iter().any(|member| member.block == *block) {
            return Err(refuse(ErrorCode::InvalidArgument, format!("block {block} is named twice")));
        }
        members.push(GroupMember { block: *block, length: codable(tx, *block)?.length });
    }
    let longest = members.iter().map(|member| member.length).max().unwrap_or_default();
    let group = GroupId(tx.counters().next_block);
    let parity: Vec<GroupMember> = (0..parity)
        .map(|_| Ok(GroupMember { block: blocks::add_parity(tx, class, longest)?, length: longest }))
        .collect::<Result<_, StateError>>()?;
    let record = GroupRecord { state: GroupState::Encoding, class, data: members, parity };
    for member in record.members() {
        tx.put_record(layout::block_group(member.block), &group);
    }
    store(tx, group, record);
    Ok(NamenodeReply::Done)
}

/// The record of a block that may join a group.
fn codable(tx: &Transaction<'_>, block: BlockId) -> Result<BlockRecord, Rejection> {
    let Some(record) = get_block(tx, block)? else {
        return Err(refuse(ErrorCode::StaleGeneration, format!("block {block} is gone")));
    };
    let data = record.kind != BlockKind::Parity && (record.kind != BlockKind::Owned || record.attached);
    if !data || record.state != BlockState::Sealed || record.length == 0 || record.live_bytes == 0 {
        return Err(refuse(ErrorCode::InvalidArgument, format!("block {block} cannot be a member of a group")));
    }
    if external::external_block(tx, block)?.is_some() {
        return Err(refuse(ErrorCode::Conflict, format!("block {block} is at an archive target")));
    }
    match group_of(tx, block)? {
        None => Ok(record),
        Some(group) => Err(refuse(ErrorCode::Conflict, format!("block {block} is in group {group}"))),
    }
}

/// Every member is stored: data blocks ask for one replica from now on.
pub(super) fn commit(tx: &mut Transaction<'_>, group: GroupId) -> Result<NamenodeReply, Rejection> {
    let mut record = require(tx, group, &[GroupState::Encoding, GroupState::Coded])?;
    record.state = GroupState::Coded;
    for member in &record.data {
        blocks::set_wanted(tx, member.block, 1)?;
    }
    store(tx, group, record);
    Ok(NamenodeReply::Done)
}

/// Living data blocks ask for replicas again; the group protects them until it is dropped.
pub(super) fn release(
    tx: &mut Transaction<'_>,
    group: GroupId,
    replicas_wanted: u8,
) -> Result<NamenodeReply, Rejection> {
    if !(1..=REPLICAS_MAX).contains(&replicas_wanted) {
        return Err(refuse(ErrorCode::InvalidArgument, "so many replicas cannot be"));
    }
    let mut record = require(tx, group, &[GroupState::Coded, GroupState::Dissolving])?;
    record.state = GroupState::Dissolving;
    for member in &record.data {
        if blocks::expect(tx, member.block)?.live_bytes > 0 {
            blocks::set_wanted(tx, member.block, replicas_wanted)?;
        }
    }
    store(tx, group, record);
    Ok(NamenodeReply::Done)
}

/// Takes a group apart that nothing relies on: one that was never committed, or whose living blocks have their replicas.
/// Parity and dead data blocks go.
pub(super) fn drop_group(tx: &mut Transaction<'_>, group: GroupId) -> Result<NamenodeReply, Rejection> {
    let record = require(tx, group, &[GroupState::Encoding, GroupState::Dissolving])?;
    dismantle(tx, group, &record)?;
    Ok(NamenodeReply::Done)
}

/// A data block of a group has lost its last living byte: it stays while others may need it, and goes with the last.
pub(super) fn data_block_died(tx: &mut Transaction<'_>, block: BlockId) -> Result<(), StateError> {
    let Some(group) = group_of(tx, block)? else { return Ok(()) };
    let record = get_group(tx, group)?
        .ok_or_else(|| inconsistent(format!("block {block} is in group {group}, which is gone")))?;
    for member in &record.data {
        if blocks::expect(tx, member.block)?.live_bytes > 0 {
            return Ok(());
        }
    }
    dismantle(tx, group, &record)
}

fn dismantle(tx: &mut Transaction<'_>, group: GroupId, record: &GroupRecord) -> Result<(), StateError> {
    tx.delete(layout::group(group));
    tx.effect(Effect::GroupChanged { group, record: None });
    for member in record.members() {
        tx.delete(layout::block_group(member.block));
    }
    for member in &record.parity {
        blocks::remove_block(tx, member.block)?;
    }
    for member in &record.data {
        if blocks::expect(tx, member.block)?.live_bytes == 0 {
            blocks::remove_block(tx, member.block)?;
        }
    }
    Ok(())
}

fn require(tx: &Transaction<'_>, group: GroupId, states: &[GroupState]) -> Result<GroupRecord, Rejection> {
    let Some(record) = get_group(tx, group)? else {
        return Err(refuse(ErrorCode::NoSuchEntity, format!("group {group} is gone")));
    };
    if !states.contains(&record.state) {
        return Err(refuse(ErrorCode::Conflict, format!("group {group} is {:?}", record.state)));
    }
    Ok(record)
}

fn store(tx: &mut Transaction<'_>, group: GroupId, record: GroupRecord) {
    tx.put_record(layout::group(group), &record);
    tx.effect(Effect::GroupChanged { group, record: Some(record) });
}
