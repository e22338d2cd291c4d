//! DeleteObjects: one command for up to a page of keys, each judged for itself.

use super::buckets;
use super::locks::Remover;
use super::objects;
use super::path::{self, KeyPath};
use super::records::{BucketHead, ObjectHead};
use super::transaction::Transaction;
use super::versions;
use crate::command::DeleteObjects;
use crate::error::{Rejection, refuse};
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::{DeleteOutcome, DeleteTarget, NamenodeReply};
use granary_protocol::object::{ObjectDetails, PAGE_ENTRIES_MAX};
use granary_protocol::{CanonicalId, ErrorCode, Failure, UnixMillis, VersionId};

pub(super) fn delete_objects(
    tx: &mut Transaction<'_>,
    delete: &DeleteObjects,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    if delete.objects.len() > PAGE_ENTRIES_MAX as usize {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {PAGE_ENTRIES_MAX} keys")));
    }
    let bucket = buckets::head(tx, &delete.bucket)?;
    let remover = Remover { now, bypass_governance: delete.bypass_governance };
    let mut results = Vec::with_capacity(delete.objects.len());
    for target in &delete.objects {
        results.push(match delete_one(tx, bucket, target, &delete.deleter, remover) {
            Ok(outcome) => Ok(outcome),
            // A target is refused before anything of it is written, so the others stand.
            Err(Rejection::Refused(failure)) => Err::<_, Failure>(failure),
            Err(broken @ Rejection::Broken(_)) => return Err(broken),
        });
    }
    Ok(NamenodeReply::Deleted(results))
}

fn delete_one(
    tx: &mut Transaction<'_>,
    bucket: BucketHead,
    target: &DeleteTarget,
    deleter: &CanonicalId,
    remover: Remover,
) -> Result<DeleteOutcome, Rejection> {
    let mut path = KeyPath::resolve(tx, bucket.root, &target.key)?;
    let current = path.current(tx)?;
    if let Some(version) = target.version {
        return delete_version(tx, bucket, &mut path, current.map(|current| current.head), version, target, remover);
    }
    check_target(target, current.as_ref().map(|current| &current.head))?;
    if bucket.versioning == Versioning::Off {
        if let Some(current) = current {
            versions::remove_current(tx, bucket, &mut path, &current.head, remover)?;
        }
        return Ok(DeleteOutcome::default());
    }
    let mut marker = objects::delete_marker(deleter.clone(), remover.now);
    versions::install(
        tx,
        bucket,
        &mut path,
        current,
        &mut marker,
        &ObjectDetails::default(),
        Remover::ordinary(remover.now),
    )?;
    Ok(DeleteOutcome { version: Some(marker.version), delete_marker: true })
}

/// Removes one version for good.
fn delete_version(
    tx: &mut Transaction<'_>,
    bucket: BucketHead,
    path: &mut KeyPath<'_>,
    current: Option<ObjectHead>,
    version: VersionId,
    target: &DeleteTarget,
    remover: Remover,
) -> Result<DeleteOutcome, Rejection> {
    let removed = match current {
        None => {
            check_target(target, None)?;
            None
        }
        Some(current) if current.version == version => {
            check_target(target, Some(&current))?;
            versions::remove_current(tx, bucket, path, &current, remover)?;
            Some(current)
        }
        Some(_) => {
            if has_conditions(target) {
                let found = versions::find_noncurrent(tx, path.parent(), path.name(), version)?;
                let found = found.map(|(key, row)| path::decode_object_head(&key, &row)).transpose()?;
                check_target(target, found.as_ref())?;
            }
            versions::remove_noncurrent(tx, path.parent(), path.name(), version, remover)?
        }
    };
    let delete_marker = removed.is_some_and(|head| head.delete_marker);
    Ok(DeleteOutcome { version: Some(version), delete_marker })
}

fn has_conditions(target: &DeleteTarget) -> bool {
    target.if_match.is_some() || target.if_modified_s.is_some() || target.if_size.is_some()
}

/// Checks the conditions of a delete against the version it is about. A delete marker counts as absent.
fn check_target(target: &DeleteTarget, found: Option<&ObjectHead>) -> Result<(), Rejection> {
    if !has_conditions(target) {
        return Ok(());
    }
    let Some(found) = found.filter(|head| !head.delete_marker) else {
        return Err(refuse(ErrorCode::NoSuchKey, "a condition on a key that does not exist"));
    };
    objects::check_if_match(target.if_match.as_ref(), Some(found))?;
    if target.if_modified_s.is_some_and(|modified_s| modified_s != found.modified.0 / 1000) {
        return Err(refuse(ErrorCode::PreconditionFailed, "the object was written at another time"));
    }
    if target.if_size.is_some_and(|size| size != found.size) {
        return Err(refuse(ErrorCode::PreconditionFailed, "the object has another size"));
    }
    Ok(())
}
