//! Restores of archived versions: from when until when each can be read.
//!
//! A restore is two moments: whether a version can be read is asked of the clock, so no job can be late. Only where blocks are
//! kept at an archive target a version waits for its own, besides, in `restore_wait`.
//! Rows in `restore_due` remember whom to tell that a moment has come. Invariants: a restore has one row in `restore_due`,
//! at `ready` until that was announced and at `expires` afterwards; it goes with its version, or when it has expired.

use super::archive_targets;
use super::buckets;
use super::events;
use super::layout;
use super::path;
use super::reads;
use super::records::{ObjectHead, RestoreRecord, RestoreWait};
use super::transaction::Transaction;
use super::versions;
use super::view::{self, View, undecodable};
use crate::command::RestoreObject;
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::bucket::BucketDocument;
use granary_protocol::event::NewEvent;
use granary_protocol::lifecycle::{
    BACKLOG_COUNTED_MAX, LIFECYCLE_TARGET, LifecycleEventKind, LifecycleHappened, Restore, RestoreOutcome,
};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::PAGE_ENTRIES_MAX;
use granary_protocol::{BucketName, ContentId, ErrorCode, ObjectKey, UnixMillis, VersionId};

pub(super) fn restore(
    tx: &mut Transaction<'_>,
    request: &RestoreObject,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let (row_key, row) = reads::find_row(tx, &request.bucket, &request.key, request.version)?;
    let head = path::decode_object_head(&row_key, &row)?;
    reads::check_readable(&head, request.version)?;
    if !head.class.is_archive() {
        return Err(refuse(ErrorCode::InvalidBucketState, "the version is not archived"));
    }
    let found = get(tx, &head)?;
    match found.as_ref().map(|record| record.restore) {
        Some(restore) if waits(tx, head.sequence)? => {
            return Ok(NamenodeReply::Restored(RestoreOutcome::InProgress(restore)));
        }
        Some(restore) if now < restore.ready => {
            return Ok(NamenodeReply::Restored(RestoreOutcome::InProgress(restore)));
        }
        Some(restore) if restore.is_readable(now) => {
            let expires = UnixMillis(now.0.saturating_add(request.lasts_ms));
            let restore = Restore { expires, ..restore };
            put(tx, &head, found, RestoreRecord { announced: true, ..record_of(request, &head, restore) });
            wait(tx, &head, expires, false)?;
            return Ok(NamenodeReply::Restored(RestoreOutcome::Extended(restore)));
        }
        Some(_) | None => {}
    }
    let ready = UnixMillis(now.0.saturating_add(request.delay_ms));
    let expires = UnixMillis(ready.0.saturating_add(request.lasts_ms));
    let restore = Restore { requested: now, tier: request.tier, ready, expires };
    put(tx, &head, found, record_of(request, &head, restore));
    wait(tx, &head, expires, true)?;
    Ok(NamenodeReply::Restored(RestoreOutcome::Begun(restore)))
}

/// Has the blocks of a restored version be here until it expires, if classes are kept at archive targets at all.
fn wait(tx: &mut Transaction<'_>, head: &ObjectHead, expires: UnixMillis, hides: bool) -> Result<(), StateError> {
    let Some(content) = head.content else { return Ok(()) };
    if archive_targets::are_any(tx)? {
        tx.put_record(layout::restore_wait(head.sequence), &RestoreWait { content, expires, hides });
    }
    Ok(())
}

/// Whether a version is not restored yet because its blocks are not here.
fn waits<V: View + ?Sized>(view: &V, sequence: u64) -> Result<bool, StateError> {
    let wait: Option<RestoreWait> = view::read(view, &layout::restore_wait(sequence))?;
    Ok(wait.is_some_and(|wait| wait.hides))
}

/// A restore as readers see it: one whose blocks are not here is ready at no time.
fn shown<V: View + ?Sized>(view: &V, sequence: u64, restore: Restore) -> Result<Restore, StateError> {
    let ready = if waits(view, sequence)? { UnixMillis(u64::MAX) } else { restore.ready };
    Ok(Restore { ready, expires: if ready == restore.ready { restore.expires } else { ready }, ..restore })
}

/// The blocks of a restored version are here, and wanted for as long as was known. Days count from when they came, if that
/// was later than the delay of the tier; the blocks are then wanted for longer.
pub(super) fn finish(tx: &mut Transaction<'_>, sequence: u64, now: UnixMillis) -> Result<NamenodeReply, Rejection> {
    let row = layout::restore_wait(sequence);
    let Some(wait) = view::read::<_, RestoreWait>(tx, &row)? else { return Ok(NamenodeReply::Done) };
    tx.delete(row.clone());
    let Some(mut record) = view::read::<_, RestoreRecord>(tx, &layout::restore(sequence))? else {
        return Ok(NamenodeReply::Done);
    };
    if !wait.hides {
        return Ok(NamenodeReply::Done);
    }
    tx.delete(layout::restore_due(record.due(), sequence));
    if record.restore.ready < now {
        let lasts_ms = record.restore.expires.0.saturating_sub(record.restore.ready.0);
        record.restore.ready = now;
        record.restore.expires = UnixMillis(now.0.saturating_add(lasts_ms));
        tx.put_record(layout::restore(sequence), &record);
        tx.put_record(row, &RestoreWait { expires: record.restore.expires, hides: false, ..wait });
    }
    tx.put(layout::restore_due(record.due(), sequence), Vec::new());
    Ok(NamenodeReply::Done)
}

/// The content of the version that a restore is of; `None` if that is gone or empty.
pub(super) fn content_of<V: View + ?Sized>(view: &V, record: &RestoreRecord) -> Result<Option<ContentId>, StateError> {
    match reads::find_row(view, &record.bucket, &record.key, Some(record.version)) {
        Ok((row_key, row)) => Ok(path::decode_object_head(&row_key, &row)?.content),
        Err(Rejection::Refused(_)) => Ok(None),
        Err(Rejection::Broken(broken)) => Err(broken),
    }
}

fn record_of(request: &RestoreObject, head: &ObjectHead, restore: Restore) -> RestoreRecord {
    RestoreRecord {
        restore,
        bucket: request.bucket.clone(),
        key: request.key.clone(),
        version: head.version,
        announced: false,
    }
}

fn put(tx: &mut Transaction<'_>, head: &ObjectHead, replaced: Option<RestoreRecord>, record: RestoreRecord) {
    if let Some(replaced) = replaced {
        tx.delete(layout::restore_due(replaced.due(), head.sequence));
    }
    tx.put(layout::restore_due(record.due(), head.sequence), Vec::new());
    tx.put_record(layout::restore(head.sequence), &record);
}

fn get<V: View + ?Sized>(view: &V, head: &ObjectHead) -> Result<Option<RestoreRecord>, StateError> {
    view::read(view, &layout::restore(head.sequence))
}

/// The restore of a version, if there is one.
pub(super) fn restore_of<V: View + ?Sized>(view: &V, head: &ObjectHead) -> Result<Option<Restore>, StateError> {
    get(view, head)?.map(|record| shown(view, head.sequence, record.restore)).transpose()
}

/// A version goes, and its restore with it.
pub(super) fn forget(tx: &mut Transaction<'_>, head: &ObjectHead) -> Result<(), StateError> {
    if !head.class.is_archive() {
        return Ok(());
    }
    if let Some(record) = get(tx, head)? {
        tx.delete(layout::restore_due(record.due(), head.sequence));
        tx.delete(layout::restore(head.sequence));
        tx.delete(layout::restore_wait(head.sequence));
    }
    Ok(())
}

/// The restores of some versions, one answer each.
///
/// # Errors
/// `NoSuchBucket`.
pub fn get_restores<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    asked: &[(ObjectKey, VersionId)],
) -> Result<Vec<Option<Restore>>, Rejection> {
    if asked.len() > PAGE_ENTRIES_MAX as usize {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {PAGE_ENTRIES_MAX} versions")));
    }
    let root = buckets::head(view, bucket)?.root;
    let mut restores = Vec::with_capacity(asked.len());
    for (key, version) in asked {
        let sequence = match *version {
            VersionId::NULL => null_sequence(view, root, key)?,
            VersionId(sequence) => Some(sequence),
        };
        restores.push(match sequence {
            Some(sequence) => {
                let record: Option<RestoreRecord> = view::read(view, &layout::restore(sequence))?;
                let mine = record.filter(|record| record.bucket == *bucket && record.key == *key);
                mine.map(|record| shown(view, sequence, record.restore)).transpose()?
            }
            None => None,
        });
    }
    Ok(restores)
}

fn null_sequence<V: View + ?Sized>(
    view: &V,
    root: granary_protocol::DirectoryId,
    key: &ObjectKey,
) -> Result<Option<u64>, StateError> {
    let Some((parent, name)) = path::lookup(view, root, key)? else { return Ok(None) };
    let row_key = layout::entry(parent, name);
    let Some(row) = view.get(&row_key)? else { return Ok(None) };
    let current = path::decode_object_head(&row_key, &row)?;
    if current.version == VersionId::NULL {
        return Ok(Some(current.sequence));
    }
    let found = versions::find_noncurrent(view, parent, name, VersionId::NULL)?;
    let head = found.map(|(row_key, row)| path::decode_object_head(&row_key, &row)).transpose()?;
    Ok(head.map(|head| head.sequence))
}

/// Whether the moment of some restore has come.
///
/// # Errors
/// The engine's.
pub fn restores_due<V: View + ?Sized>(view: &V, now: UnixMillis) -> Result<bool, StateError> {
    let until = layout::restore_due(UnixMillis(now.0.saturating_add(1)), 0);
    match view.scan(&layout::table(layout::RESTORE_DUE), Some(&until)).next() {
        Some(row) => Ok(row.map(|_| true)?),
        None => Ok(false),
    }
}

/// How many restores there are, counted up to [`BACKLOG_COUNTED_MAX`].
///
/// # Errors
/// The engine's.
pub fn count_restores<V: View + ?Sized>(view: &V) -> Result<u64, StateError> {
    let table = layout::table(layout::RESTORE);
    let rows = view.scan(&table, Some(&layout::after_prefix(&table)));
    Ok(rows.take(BACKLOG_COUNTED_MAX as usize).count() as u64)
}

/// Announces restores whose moment has come, and forgets those that have expired.
pub(super) fn settle(tx: &mut Transaction<'_>, limit: u32, now: UnixMillis) -> Result<NamenodeReply, Rejection> {
    let until = layout::restore_due(UnixMillis(now.0.saturating_add(1)), 0);
    let limit = limit.min(PAGE_ENTRIES_MAX) as usize;
    let rows: Result<Vec<Vec<u8>>, _> = tx
        .scan(&layout::table(layout::RESTORE_DUE), Some(&until))
        .take(limit)
        .map(|pair| pair.map(|(key, _)| key.to_vec()))
        .collect();
    let (mut settled, mut told) = (0, Vec::new());
    for row in rows? {
        let sequence = layout::last_number(&row).ok_or_else(|| undecodable(&row, "its key has no number"))?;
        tx.delete(row);
        let Some(mut record) = view::read::<_, RestoreRecord>(tx, &layout::restore(sequence))? else { continue };
        settled += 1;
        if waits(tx, sequence)? {
            // Told, and put back, when its blocks are here.
            continue;
        }
        if record.announced || record.restore.expires <= now {
            tx.delete(layout::restore(sequence));
            tx.delete(layout::restore_wait(sequence));
            told.extend(event_of(tx, &record, now, |class, _| LifecycleEventKind::RestoreExpired { class })?);
            continue;
        }
        record.announced = true;
        told.extend(event_of(tx, &record, now, |class, until| LifecycleEventKind::RestoreCompleted { class, until })?);
        tx.put(layout::restore_due(record.due(), sequence), Vec::new());
        tx.put_record(layout::restore(sequence), &record);
    }
    events::append_if_room(tx, &told, now)?;
    Ok(NamenodeReply::RestoresSettled(settled))
}

/// What is told of a restore, in a bucket that wants to be told.
fn event_of(
    tx: &Transaction<'_>,
    record: &RestoreRecord,
    now: UnixMillis,
    kind: impl Fn(granary_protocol::object::StorageClass, UnixMillis) -> LifecycleEventKind,
) -> Result<Option<NewEvent>, Rejection> {
    let found = match reads::find_row(tx, &record.bucket, &record.key, Some(record.version)) {
        Ok((row_key, row)) => path::decode_object_head(&row_key, &row)?,
        Err(Rejection::Refused(_)) => return Ok(None),
        Err(broken) => return Err(broken),
    };
    let root = buckets::head(tx, &record.bucket)?.root;
    let listens = |kind| Ok::<_, StateError>(tx.get(&layout::bucket_document(root, kind))?.is_some());
    if !listens(BucketDocument::Notification)? && !listens(BucketDocument::Logging)? {
        return Ok(None);
    }
    let happened = LifecycleHappened {
        bucket: record.bucket.clone(),
        key: record.key.clone(),
        version: record.version,
        size: found.size,
        etag: found.etag,
        at: now,
        kind: kind(found.class, record.restore.expires),
        rule: String::new(),
    };
    Ok(Some(NewEvent { target: LIFECYCLE_TARGET.to_owned(), body: view::encode(&happened).into() }))
}
