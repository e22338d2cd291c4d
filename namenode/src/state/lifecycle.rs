//! Lifecycle rules, as far as the state is concerned: versions as a scan sees them, actions on exactly the version that was
//! judged, and how far each bucket's scan has come.
//!
//! What rules say is decided elsewhere. Invariants: an action that names a version by its sequence never touches another
//! one; Object Lock is checked where a version dies, as for everybody; the progress of a scan is kept in the same command
//! as the actions of its page, so that a new leader goes on where the old one was.

use super::buckets;
use super::classes;
use super::events;
use super::layout;
use super::locks::Remover;
use super::objects;
use super::path::{self, EntryRow, KeyPath};
use super::records::{BucketHead, BucketRecord, ObjectHead, ObjectRecord};
use super::settings;
use super::transaction::Transaction;
use super::versions;
use super::view::{self, View, undecodable};
use super::walk::{Shown, Walk};
use crate::command::ApplyLifecycle;
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::bucket::{BucketDocument, Versioning};
use granary_protocol::lifecycle::{
    LIFECYCLE_PAGE_MAX, LifecycleAct, LifecycleBucket, LifecycleProgress, LifecycleStep, STATUS_BUCKETS_MAX,
    ScanPosition, ScannedPage, ScannedStanding, ScannedVersion, SeenVersion,
};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::{KEY_BYTES_MAX, ObjectDetails};
use granary_protocol::{BucketName, DirectoryId, ErrorCode, Failure, ObjectKey, UnixMillis};

/// The most buckets looked at by one request.
const BUCKETS_LOOKED_AT_MAX: u32 = 1000;

/// Of the next `limit` buckets after `after`, those with lifecycle rules; and the last one looked at, unless it was the
/// last of all.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn list_lifecycle_buckets<V: View + ?Sized>(
    view: &V,
    after: Option<&BucketName>,
    limit: u32,
) -> Result<(Vec<LifecycleBucket>, Option<BucketName>), Rejection> {
    let (looked_at, truncated) = buckets::list_buckets(view, "", after, limit.clamp(1, BUCKETS_LOOKED_AT_MAX))?;
    let mut found = Vec::new();
    for bucket in &looked_at {
        let root = buckets::head(view, &bucket.name)?.root;
        if view.get(&layout::bucket_document(root, BucketDocument::Lifecycle))?.is_some() {
            let settings = settings::get_bucket_settings(view, &bucket.name)?;
            found.push(LifecycleBucket { settings, progress: progress(view, root)? });
        }
    }
    let next = looked_at.into_iter().next_back().map(|bucket| bucket.name).filter(|_| truncated);
    Ok((found, next))
}

/// How far the scans of buckets have come, by the buckets' names.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn list_progress<V: View + ?Sized>(view: &V) -> Result<Vec<(BucketName, LifecycleProgress)>, Rejection> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (looked_at, truncated) = buckets::list_buckets(view, "", after.as_ref(), BUCKETS_LOOKED_AT_MAX)?;
        for bucket in &looked_at {
            let root = buckets::head(view, &bucket.name)?.root;
            if let Some(progress) = progress(view, root)? {
                found.push((bucket.name.clone(), progress));
            }
        }
        if !truncated || found.len() >= STATUS_BUCKETS_MAX {
            found.truncate(STATUS_BUCKETS_MAX);
            return Ok(found);
        }
        after = looked_at.into_iter().next_back().map(|bucket| bucket.name);
    }
}

fn progress<V: View + ?Sized>(view: &V, root: DirectoryId) -> Result<Option<LifecycleProgress>, StateError> {
    view::read(view, &layout::lifecycle_progress(root))
}

/// Forgets how far the scan of a bucket has come that goes.
pub(super) fn forget_progress(tx: &mut Transaction<'_>, root: DirectoryId) {
    tx.delete(layout::lifecycle_progress(root));
}

/// A page of the versions of the keys with `prefix`, from a position on.
///
/// # Errors
/// `NoSuchBucket`.
pub fn scan_versions<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    prefix: &str,
    from: &ScanPosition,
    limit: u32,
) -> Result<ScannedPage, Rejection> {
    let root = buckets::head(view, bucket)?.root;
    let mut page = Page { versions: Vec::new(), limit: limit.clamp(1, LIFECYCLE_PAGE_MAX) as usize };
    if prefix.len() > KEY_BYTES_MAX {
        return Ok(page.ended(None));
    }
    let Some(mut walk) = Walk::of_prefix(view, root, prefix.as_bytes(), Shown::Versions)? else {
        return Ok(page.ended(None));
    };
    walk.seek(from.key.as_bytes().max(prefix.as_bytes()))?;
    while let Some(row) = walk.next()? {
        match row {
            EntryRow::Directory(record) => walk.enter(record.id),
            EntryRow::Object(row) => {
                // Only the first key can be one that an earlier page has begun.
                let seen = from.seen.filter(|_| page.versions.is_empty() && walk.path() == from.key.as_bytes());
                if let Some(next) = page.add_key(&mut walk, &row, seen)? {
                    return Ok(page.ended(Some(next)));
                }
            }
        }
    }
    Ok(page.ended(None))
}

struct Page {
    versions: Vec<ScannedVersion>,
    limit: usize,
}

impl Page {
    /// Adds the versions of the key whose row was given out last; where to go on if there is no room for all of them.
    fn add_key<V: View + ?Sized>(
        &mut self,
        walk: &mut Walk<'_, V>,
        current: &[u8],
        seen: Option<SeenVersion>,
    ) -> Result<Option<ScanPosition>, StateError> {
        let text =
            std::str::from_utf8(walk.path()).map_err(|error| undecodable(&[layout::ENTRY], error.to_string()))?;
        let key = ObjectKey::from(text);
        if self.is_full() {
            return Ok(Some(ScanPosition { key: key.0, seen }));
        }
        let below = seen.map(|seen| seen.sequence);
        let mut noncurrent = walk.next_noncurrent(below)?;
        let mut last = match seen {
            Some(seen) => seen,
            None => {
                let record: ObjectRecord = view::decode(&[layout::ENTRY], current)?;
                let seen = seen_of(&record.head, 0);
                self.versions.push(scanned(&key, record, ScannedStanding::Current { alone: noncurrent.is_none() }));
                seen
            }
        };
        while let Some((row_key, row)) = noncurrent {
            if self.is_full() {
                return Ok(Some(ScanPosition { key: key.0, seen: Some(last) }));
            }
            let record = path::decode_object(&row_key, &row)?;
            let standing = ScannedStanding::Noncurrent { since: last.written, newer: last.noncurrent };
            last = seen_of(&record.head, last.noncurrent.saturating_add(1));
            self.versions.push(scanned(&key, record, standing));
            noncurrent = walk.next_noncurrent(below)?;
        }
        Ok(None)
    }

    fn is_full(&self) -> bool {
        self.versions.len() >= self.limit
    }

    fn ended(self, next: Option<ScanPosition>) -> ScannedPage {
        ScannedPage { versions: self.versions, next }
    }
}

fn seen_of(head: &ObjectHead, noncurrent: u32) -> SeenVersion {
    SeenVersion { sequence: head.sequence, written: head.modified, noncurrent }
}

fn scanned(key: &ObjectKey, record: ObjectRecord, standing: ScannedStanding) -> ScannedVersion {
    let ObjectRecord { head, details } = record;
    ScannedVersion {
        key: key.clone(),
        version: head.version,
        sequence: head.sequence,
        delete_marker: head.delete_marker,
        size: head.size,
        etag: head.etag,
        written: head.modified,
        class: head.class,
        lock: head.lock,
        tags: details.tags,
        standing,
    }
}

/// Carries out the actions of a page and keeps how far the scan has come.
pub(super) fn apply(
    tx: &mut Transaction<'_>,
    apply: &ApplyLifecycle,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    if apply.steps.len() > LIFECYCLE_PAGE_MAX as usize {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {LIFECYCLE_PAGE_MAX} actions")));
    }
    let record: Option<BucketRecord> = view::read(tx, &layout::bucket(&apply.bucket))?;
    let record = record.ok_or_else(|| buckets::no_such(&apply.bucket))?;
    if record.revision != apply.revision {
        return Err(refuse(ErrorCode::Conflict, "the bucket's settings have changed"));
    }
    let mut answers = Vec::with_capacity(apply.steps.len());
    for step in &apply.steps {
        answers.push(match carry_out(tx, &record, step, now) {
            Ok(()) => Ok(()),
            // A step is refused before anything of it is written, so the others stand.
            Err(Rejection::Refused(failure)) => Err::<_, Failure>(failure),
            Err(broken @ Rejection::Broken(_)) => return Err(broken),
        });
    }
    let happened = apply.steps.iter().zip(&answers).filter(|(_, answer)| answer.is_ok());
    let queued: Vec<_> = happened.filter_map(|(step, _)| step.event.clone()).collect();
    // A queue that is full must not keep objects from expiring; what it cannot take is not told.
    events::append_if_room(tx, &queued, now)?;
    let mut progress = apply.progress.clone();
    progress.refused += answers.iter().filter(|answer| answer.is_err()).count() as u64;
    tx.put_record(layout::lifecycle_progress(record.head.root), &progress);
    Ok(NamenodeReply::LifecycleApplied(answers))
}

fn carry_out(
    tx: &mut Transaction<'_>,
    bucket: &BucketRecord,
    step: &LifecycleStep,
    now: UnixMillis,
) -> Result<(), Rejection> {
    match step.act {
        LifecycleAct::Delete => delete(tx, bucket.head, step, now),
        LifecycleAct::Hide => hide(tx, bucket, step, now),
        LifecycleAct::Move { .. } => change_class(tx, bucket.head, step, now),
    }
}

fn delete(
    tx: &mut Transaction<'_>,
    bucket: BucketHead,
    step: &LifecycleStep,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let found = find(tx, bucket, step)?;
    let remover = Remover::ordinary(now);
    let (parent, name) = found.place;
    if !found.is_current {
        versions::remove_noncurrent(tx, parent, &name, found.record.head.version, remover)?;
        return Ok(());
    }
    let versions = layout::versions_of(parent, &name);
    let alone = tx.scan(&versions, Some(&layout::after_prefix(&versions))).next().is_none();
    if found.record.head.delete_marker && !alone {
        return Err(refuse(ErrorCode::Conflict, "the delete marker hides a version again"));
    }
    let mut path = KeyPath::resolve(tx, bucket.root, &step.key)?;
    versions::remove_current(tx, bucket, &mut path, &found.record.head, remover)
}

fn hide(
    tx: &mut Transaction<'_>,
    bucket: &BucketRecord,
    step: &LifecycleStep,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let found = find(tx, bucket.head, step)?;
    if !found.is_current || found.record.head.delete_marker || bucket.head.versioning == Versioning::Off {
        return Err(refuse(ErrorCode::Conflict, "there is no current version to hide"));
    }
    let mut path = KeyPath::resolve(tx, bucket.head.root, &step.key)?;
    let current = path.current(tx)?;
    let mut marker = objects::delete_marker(bucket.owner.clone(), now);
    let remover = Remover::ordinary(now);
    versions::install(tx, bucket.head, &mut path, current, &mut marker, &ObjectDetails::default(), remover)
}

fn change_class(
    tx: &mut Transaction<'_>,
    bucket: BucketHead,
    step: &LifecycleStep,
    now: UnixMillis,
) -> Result<(), Rejection> {
    let LifecycleAct::Move { from, to } = step.act else { unreachable!("the caller has matched") };
    let Found { row_key, mut record, .. } = find(tx, bucket, step)?;
    if record.head.class != from || record.head.delete_marker {
        return Err(refuse(ErrorCode::Conflict, "the version is in another class now"));
    }
    if to.is_archive() && record.head.lock.keeps(now, false) {
        return Err(refuse(ErrorCode::ObjectLocked, "a locked version stays readable"));
    }
    record.head.class = to;
    // Neither its size nor whether it is listed has changed, so no count has.
    tx.put(row_key, path::encode_object(&record.head, &record.details));
    if let Some(content) = record.head.content {
        classes::unrefer(tx, content, from)?;
        classes::refer(tx, content, to)?;
        classes::settle(tx, content)?;
    }
    Ok(())
}

/// The version a step is about, as it is now.
struct Found {
    row_key: Vec<u8>,
    record: ObjectRecord,
    is_current: bool,
    place: (DirectoryId, Vec<u8>),
}

/// `Conflict` unless the key still has exactly the version that was judged.
fn find(tx: &Transaction<'_>, bucket: BucketHead, step: &LifecycleStep) -> Result<Found, Rejection> {
    let gone = || refuse(ErrorCode::Conflict, format!("{} has no such version any more", step.key));
    let (parent, name) = path::lookup(tx, bucket.root, &step.key)?.ok_or_else(gone)?;
    let place = (parent, name.to_vec());
    let current_key = layout::entry(parent, name);
    let row = tx.get(&current_key)?.ok_or_else(gone)?;
    let is_current = path::decode_object_head(&current_key, &row)?.sequence == step.sequence;
    let (row_key, row) = match is_current {
        true => (current_key, row),
        false => {
            let row_key = layout::version(parent, name, step.sequence);
            let row = tx.get(&row_key)?.ok_or_else(gone)?;
            (row_key, row)
        }
    };
    let record = path::decode_object(&row_key, &row)?;
    if step.tags.as_ref().is_some_and(|tags| *tags != record.details.tags) {
        return Err(refuse(ErrorCode::Conflict, "the version has other tags now"));
    }
    Ok(Found { row_key, record, is_current, place })
}
