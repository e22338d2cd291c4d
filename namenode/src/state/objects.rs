//! Writing objects: PutObject and CopyObject, and the conditions every write of an object is checked against.

use super::buckets;
use super::classes;
use super::contents;
use super::locks::{self, Remover};
use super::path::KeyPath;
use super::reads;
use super::records::{BucketHead, ObjectHead};
use super::sealed;
use super::transaction::Transaction;
use super::versions;
use super::view::View;
use crate::command::{CopyObject, PutObject};
use crate::error::{Rejection, refuse};
use granary_protocol::acl::{Acl, GRANTS_MAX};
use granary_protocol::namenode::{NamenodeReply, NewObject, PutOutcome, WriteCondition};
use granary_protocol::object::{ETag, OBJECT_BYTES_MAX, ObjectDetails, ObjectLock, TAGS_MAX, Tag};
use granary_protocol::{CanonicalId, ContentId, ErrorCode, UnixMillis, VersionId};

pub(super) fn put(tx: &mut Transaction<'_>, put: &PutObject, now: UnixMillis) -> Result<NamenodeReply, Rejection> {
    let bucket = buckets::head(tx, &put.bucket)?;
    let mut path = KeyPath::resolve(tx, bucket.root, &put.key)?;
    let current = path.current(tx)?;
    let content = put.content.as_ref().map(|new| new.content);
    if let Some(content) = content
        && tx.get(&super::layout::content(content))?.is_some()
    {
        // The answer to the first attempt was lost, and nobody has written since.
        return match &current {
            Some(current) if current.head.content == Some(content) => Ok(outcome(bucket, &current.head)),
            _ => Err(refuse(ErrorCode::Conflict, format!("content {content} was committed before"))),
        };
    }
    check_condition(&put.condition, current.as_ref().map(|current| &current.head))?;
    check_object(bucket, &put.object, now)?;
    if put.content.is_some() != (put.object.size > 0) {
        return Err(refuse(ErrorCode::InvalidArgument, "an object has a content exactly if it has bytes"));
    }
    if let Some(new) = &put.content {
        contents::commit(tx, new, sealed::stored_size(put.object.size, put.object.details.encryption.is_some()))?;
    }
    let mut head = new_head(bucket, &put.object, content, now);
    versions::install(tx, bucket, &mut path, current, &mut head, &put.object.details, Remover::ordinary(now))?;
    Ok(outcome(bucket, &head))
}

pub(super) fn copy(tx: &mut Transaction<'_>, copy: &CopyObject, now: UnixMillis) -> Result<NamenodeReply, Rejection> {
    let reads::Source { head: source, details } = find_source(tx, copy)?;
    let bucket = buckets::head(tx, &copy.bucket)?;
    let mut path = KeyPath::resolve(tx, bucket.root, &copy.key)?;
    let current = path.current(tx)?;
    check_condition(&copy.condition, current.as_ref().map(|current| &current.head))?;
    if copy.object.size != source.size {
        let detail = format!("a copy of {} bytes of an object of {}", copy.object.size, source.size);
        return Err(refuse(ErrorCode::InvalidArgument, detail));
    }
    check_object(bucket, &copy.object, now)?;
    sealed::check_shared(details.encryption.as_ref(), copy.object.details.encryption.as_ref())?;
    // Before anything is released: the copy may replace its own source.
    if let Some(content) = source.content {
        contents::acquire(tx, content)?;
    }
    let mut head = new_head(bucket, &copy.object, source.content, now);
    // A copy that keeps the tag of a multipart object keeps its parts; one with a tag of its own has none.
    head.parts_count = if copy.object.etag.parts.is_some() { source.parts_count } else { 0 };
    versions::install(tx, bucket, &mut path, current, &mut head, &copy.object.details, Remover::ordinary(now))?;
    if let Some(content) = head.content {
        match classes::coldness(head.class) < classes::coldness(source.class) {
            true => classes::warm(tx, content, head.class)?,
            false => classes::settle(tx, content)?,
        }
    }
    Ok(outcome(bucket, &head))
}

fn find_source(tx: &Transaction<'_>, copy: &CopyObject) -> Result<reads::Source, Rejection> {
    let source = reads::find_object(tx, &copy.source_bucket, &copy.source_key, copy.source_version)?;
    check_source(&source.head, &copy.source_etag)?;
    Ok(source)
}

/// Refuses a source that is another than the one the caller judged.
pub(super) fn check_source(source: &ObjectHead, etag: &ETag) -> Result<(), Rejection> {
    if source.etag != *etag {
        return Err(refuse(ErrorCode::PreconditionFailed, "the source of the copy has changed"));
    }
    Ok(())
}

/// Checks the conditions of a write against the current version.
pub(super) fn check_condition(condition: &WriteCondition, current: Option<&ObjectHead>) -> Result<(), Rejection> {
    let current = current.filter(|head| !head.delete_marker);
    if condition.if_absent && current.is_some() {
        return Err(refuse(ErrorCode::PreconditionFailed, "the key exists"));
    }
    check_if_match(condition.if_match.as_ref(), current)
}

/// `If-Match`: there must be an object, and its tag must be the one named.
pub(super) fn check_if_match(if_match: Option<&Option<ETag>>, current: Option<&ObjectHead>) -> Result<(), Rejection> {
    match (if_match, current) {
        (None, _) | (Some(None), Some(_)) => Ok(()),
        (Some(_), None) => Err(refuse(ErrorCode::NoSuchKey, "If-Match on a key that does not exist")),
        (Some(Some(etag)), Some(head)) if head.etag == *etag => Ok(()),
        (Some(Some(_)), Some(_)) => Err(refuse(ErrorCode::PreconditionFailed, "the object has another tag")),
    }
}

/// Refuses what no object can be, whoever makes it.
fn check_object(bucket: BucketHead, object: &NewObject, now: UnixMillis) -> Result<(), Rejection> {
    if object.size > OBJECT_BYTES_MAX {
        return Err(refuse(ErrorCode::EntityTooLarge, format!("{} bytes", object.size)));
    }
    locks::check_allowed(bucket, &object.lock, now)?;
    check_details(&object.details)
}

/// Refuses more than is kept beside an object.
pub(super) fn check_details(details: &ObjectDetails) -> Result<(), Rejection> {
    check_tags(&details.tags)?;
    check_acl(details.acl.as_ref())
}

pub(super) fn check_tags(tags: &[Tag]) -> Result<(), Rejection> {
    match tags.len() <= TAGS_MAX {
        true => Ok(()),
        false => Err(refuse(ErrorCode::LimitExceeded, format!("{} tags", tags.len()))),
    }
}

pub(super) fn check_acl(acl: Option<&Acl>) -> Result<(), Rejection> {
    match acl.map_or(0, |acl| acl.grants.len()) {
        ..=GRANTS_MAX => Ok(()),
        grants => Err(refuse(ErrorCode::LimitExceeded, format!("{grants} grants"))),
    }
}

fn new_head(bucket: BucketHead, object: &NewObject, content: Option<ContentId>, now: UnixMillis) -> ObjectHead {
    ObjectHead {
        version: VersionId::NULL,
        sequence: 0,
        delete_marker: false,
        size: object.size,
        etag: object.etag,
        modified: now,
        owner: object.owner.clone(),
        class: object.class,
        checksum: object.checksum.clone(),
        content,
        parts_count: 0,
        upload: None,
        lock: locks::of_new_version(bucket, object.lock, now),
    }
}

/// The head of a delete marker.
pub(super) fn delete_marker(owner: CanonicalId, now: UnixMillis) -> ObjectHead {
    ObjectHead {
        version: VersionId::NULL,
        sequence: 0,
        delete_marker: true,
        size: 0,
        etag: ETag { md5: [0; 16], parts: None },
        modified: now,
        owner,
        class: Default::default(),
        checksum: None,
        content: None,
        parts_count: 0,
        upload: None,
        lock: ObjectLock::default(),
    }
}

pub(super) fn outcome(bucket: BucketHead, head: &ObjectHead) -> NamenodeReply {
    NamenodeReply::Put(PutOutcome {
        version: head.version,
        versioning: bucket.versioning,
        modified: head.modified,
        etag: head.etag,
        checksum: head.checksum.clone(),
    })
}
