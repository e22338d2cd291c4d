//! Leases: who may commit what it has written, and which blocks are in whose hands.
//!
//! Hard state knows no time of renewal: the leader keeps that, and proposes `ExpireLease`. A holder has one lease at
//! most, so a process that starts again takes its predecessor's blocks out of its hands.

use super::apply::Effect;
use super::blocks;
use super::layout;
use super::records::LeaseRecord;
use super::transaction::Transaction;
use super::view::{self, View};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{BlockId, ErrorCode, LeaseId, NodeName};

/// Who holds the lease of the file system: no process can have this name.
const FILESYSTEM_HOLDER: &str = "/";
/// The longest name of a holder, in bytes.
const HOLDER_BYTES_MAX: usize = 255;

/// The lease, if it has not ended.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn get_lease<V: View + ?Sized>(view: &V, lease: LeaseId) -> Result<Option<LeaseRecord>, StateError> {
    view::read(view, &layout::lease(lease))
}

/// Every lease, by id.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn leases<V: View + ?Sized>(view: &V) -> Result<Vec<(LeaseId, LeaseRecord)>, StateError> {
    let table = layout::table(layout::LEASE);
    let mut leases = Vec::new();
    for pair in view.scan(&table, Some(&layout::after_prefix(&table))) {
        let (key, value) = pair?;
        let lease = layout::last_number(&key).ok_or_else(|| view::undecodable(&key, "its key has no number"))?;
        leases.push((LeaseId(lease), view::decode(&key, &value)?));
    }
    Ok(leases)
}

/// Refuses with `LeaseExpired` unless the lease is current.
pub(super) fn require(tx: &Transaction<'_>, lease: LeaseId) -> Result<(), Rejection> {
    match tx.get(&layout::lease(lease))? {
        Some(_) => Ok(()),
        None => Err(refuse(ErrorCode::LeaseExpired, format!("lease {lease} has ended"))),
    }
}

pub(super) fn open(tx: &mut Transaction<'_>, holder: &NodeName) -> Result<NamenodeReply, Rejection> {
    let name = holder.as_str();
    if name.is_empty() || name.len() > HOLDER_BYTES_MAX || name == FILESYSTEM_HOLDER {
        return Err(refuse(ErrorCode::InvalidArgument, "a holder's name has 1 to 255 bytes"));
    }
    let of_holder = layout::lease_holder(holder);
    if let Some(earlier) = view::read::<_, LeaseId>(tx, &of_holder)? {
        end(tx, earlier)?;
    }
    let lease = LeaseId(tx.counters().next_lease);
    if lease >= layout::FILESYSTEM_LEASE {
        return Err(refuse(ErrorCode::Internal, "all leases that content ids have room for were given out"));
    }
    tx.counters().next_lease += 1;
    tx.put_record(layout::lease(lease), &LeaseRecord { holder: holder.clone() });
    tx.put_record(of_holder, &lease);
    tx.effect(Effect::LeaseOpened { lease, holder: holder.clone() });
    Ok(NamenodeReply::Lease(lease))
}

/// Opens the lease of the file system, unless it is open.
pub(super) fn ensure_filesystem(tx: &mut Transaction<'_>) -> Result<(), StateError> {
    let lease = layout::FILESYSTEM_LEASE;
    if get_lease(tx, lease)?.is_none() {
        let holder = NodeName::from(FILESYSTEM_HOLDER);
        tx.put_record(layout::lease_holder(&holder), &lease);
        tx.put_record(layout::lease(lease), &LeaseRecord { holder });
    }
    Ok(())
}

/// Ends a lease. One that has ended already is none the worse.
pub(super) fn end(tx: &mut Transaction<'_>, lease: LeaseId) -> Result<NamenodeReply, Rejection> {
    if lease == layout::FILESYSTEM_LEASE {
        return Err(refuse(ErrorCode::InvalidArgument, "the lease of the file system does not end"));
    }
    let Some(record) = get_lease(tx, lease)? else { return Ok(NamenodeReply::Done) };
    for block in in_hand(tx, lease)? {
        blocks::let_go(tx, lease, block)?;
    }
    tx.delete(layout::lease(lease));
    tx.delete(layout::lease_holder(&record.holder));
    tx.effect(Effect::LeaseClosed { lease });
    Ok(NamenodeReply::Done)
}

fn in_hand(tx: &Transaction<'_>, lease: LeaseId) -> Result<Vec<BlockId>, StateError> {
    let from = layout::lease_blocks(lease);
    let mut blocks = Vec::new();
    for pair in tx.scan(&from, Some(&layout::after_prefix(&from))) {
        let (key, _) = pair?;
        blocks.push(BlockId(layout::last_number(&key).ok_or_else(|| view::undecodable(&key, "its key is short"))?));
    }
    Ok(blocks)
}
