//! Archive targets: where the blocks of archived classes go, and how much is there.
//!
//! Invariants: a target's counts are the sums over `external_block` and `external_garbage`; a target that has anything, or
//! may get something, keeps its place; one that was removed stays, as `returning`, until nothing is left there.

use super::apply::Effect;
use super::layout;
use super::records::{RestoreRecord, RestoreWait, TargetRecord};
use super::restores;
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::ErrorCode;
use granary_protocol::archive::{ArchiveCounts, ArchiveTarget, TARGET_CA_BYTES_MAX, TARGET_TEXT_BYTES_MAX};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::StorageClass;

/// Restored copies there may be when a target is set: each is told to keep its blocks here.
const RESTORES_MAX: usize = 10_000;

/// Every target: its class, where it is, whether it is being emptied, and what is there.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn archive_targets<V: View + ?Sized>(
    view: &V,
) -> Result<Vec<(StorageClass, ArchiveTarget, bool, ArchiveCounts)>, StateError> {
    let table = layout::table(layout::ARCHIVE_TARGET);
    let mut found = Vec::new();
    for pair in view.scan(&table, Some(&layout::after_prefix(&table))) {
        let (key, value) = pair?;
        let name = std::str::from_utf8(&key[1..]).ok().and_then(StorageClass::from_name);
        let class = name.ok_or_else(|| undecodable(&key, "it names no storage class"))?;
        let TargetRecord { target, returning } = view::decode(&key, &value)?;
        found.push((class, target, returning, counts(view, class)?));
    }
    Ok(found)
}

/// The classes that have targets, and whether each is being emptied.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn target_classes<V: View + ?Sized>(view: &V) -> Result<Vec<(StorageClass, bool)>, StateError> {
    Ok(archive_targets(view)?.into_iter().map(|(class, _, returning, _)| (class, returning)).collect())
}

/// The target of a class.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn archive_target<V: View + ?Sized>(view: &V, class: StorageClass) -> Result<Option<ArchiveTarget>, StateError> {
    let record: Option<TargetRecord> = view::read(view, &layout::archive_target(class))?;
    Ok(record.map(|record| record.target))
}

/// Whether blocks of the class go to a target.
pub(super) fn is_active<V: View + ?Sized>(view: &V, class: StorageClass) -> Result<bool, StateError> {
    let record: Option<TargetRecord> = view::read(view, &layout::archive_target(class))?;
    Ok(record.is_some_and(|record| !record.returning))
}

/// Whether there is any target.
pub(super) fn are_any<V: View + ?Sized>(view: &V) -> Result<bool, StateError> {
    let table = layout::table(layout::ARCHIVE_TARGET);
    let found = view.scan(&table, Some(&layout::after_prefix(&table))).next();
    found.map_or(Ok(false), |row| Ok(row.map(|_| true)?))
}

fn counts<V: View + ?Sized>(view: &V, class: StorageClass) -> Result<ArchiveCounts, StateError> {
    Ok(view::read(view, &layout::archive_counts(class))?.unwrap_or_default())
}

/// Changes what is counted at a target.
pub(super) fn count(
    tx: &mut Transaction<'_>,
    class: StorageClass,
    change: impl FnOnce(&mut ArchiveCounts),
) -> Result<(), StateError> {
    let mut counts = counts(tx, class)?;
    change(&mut counts);
    match counts == ArchiveCounts::default() {
        true => tx.delete(layout::archive_counts(class)),
        false => tx.put_record(layout::archive_counts(class), &counts),
    }
    Ok(())
}

pub(super) fn set(
    tx: &mut Transaction<'_>,
    class: StorageClass,
    target: Option<&ArchiveTarget>,
) -> Result<NamenodeReply, Rejection> {
    let known: Option<TargetRecord> = view::read(tx, &layout::archive_target(class))?;
    let is_empty = counts(tx, class)? == ArchiveCounts::default();
    match (target, known) {
        (Some(target), known) => {
            check(class, target)?;
            if known.as_ref().is_some_and(|known| !known.target.is_same_place(target)) && !is_empty {
                let why = format!("there are blocks of {} at its target: remove that first", class.name());
                return Err(refuse(ErrorCode::Conflict, why));
            }
            if known.is_none_or(|known| known.returning) {
                keep_restored(tx)?;
            }
            tx.put_record(layout::archive_target(class), &TargetRecord { target: target.clone(), returning: false });
        }
        (None, None) => return Err(refuse(ErrorCode::NoSuchEntity, format!("{} has no target", class.name()))),
        (None, Some(_)) if is_empty => tx.delete(layout::archive_target(class)),
        (None, Some(known)) => {
            tx.put_record(layout::archive_target(class), &TargetRecord { returning: true, ..known });
        }
    }
    let targets = target_classes(tx)?;
    tx.effect(Effect::ArchiveTargetsChanged { targets });
    Ok(NamenodeReply::Done)
}

fn check(class: StorageClass, target: &ArchiveTarget) -> Result<(), Rejection> {
    if !class.is_archive() {
        return Err(refuse(ErrorCode::InvalidArgument, "only archived classes are kept elsewhere"));
    }
    let texts = [&target.endpoint, &target.bucket, &target.prefix, &target.region, &target.access_key];
    let fits = texts.iter().all(|text| text.len() <= TARGET_TEXT_BYTES_MAX)
        && target.sealed_secret.len() <= TARGET_TEXT_BYTES_MAX
        && target.ca_pem.len() <= TARGET_CA_BYTES_MAX;
    if !fits || target.endpoint.is_empty() || target.bucket.is_empty() {
        return Err(refuse(ErrorCode::InvalidArgument, "a target names an endpoint and a bucket, in bounded words"));
    }
    Ok(())
}

/// Versions that are restored now stay readable although their blocks are about to go elsewhere.
fn keep_restored(tx: &mut Transaction<'_>) -> Result<(), Rejection> {
    let table = layout::table(layout::RESTORE);
    let rows: Result<Vec<_>, _> = tx.scan(&table, Some(&layout::after_prefix(&table))).take(RESTORES_MAX + 1).collect();
    let rows = rows.map_err(StateError::from)?;
    if rows.len() > RESTORES_MAX {
        return Err(refuse(ErrorCode::LimitExceeded, format!("there are more than {RESTORES_MAX} restored copies")));
    }
    for (key, value) in rows {
        let sequence = layout::last_number(&key).ok_or_else(|| undecodable(&key, "its key has no number"))?;
        let record: RestoreRecord = view::decode(&key, &value)?;
        if let Some(content) = restores::content_of(tx, &record)? {
            let wait = RestoreWait { content, expires: record.restore.expires, hides: false };
            tx.put_record(layout::restore_wait(sequence), &wait);
        }
    }
    Ok(())
}
