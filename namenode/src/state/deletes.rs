//! DeleteObjects: one command for up to a page of keys, each judged for itself.

use super::buckets;
use super::objects;
use super::path::{self, KeyPath};
use super::records::{BucketHead, BucketRecord};
use super::transaction::Transaction;
use super::versions;
use super::view;
use super::{layout, records::ObjectHead};
use crate::error::{Rejection, refuse};
use granary_protocol::namenode::{DeleteOutcome, DeleteTarget, NamenodeReply};
use granary_protocol::object::{ObjectHeaders, PAGE_ENTRIES_MAX, Versioning};
use granary_protocol::{BucketName, CanonicalId, ErrorCode, Failure, UnixMillis, VersionId};

pub(super) fn delete_objects(
    tx: &mut Transaction<'_>,
    bucket: &BucketName,
    objects: &[DeleteTarget],
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    if objects.len() > PAGE_ENTRIES_MAX as usize {
        return Err(refuse(ErrorCode::InvalidArgument, format!("more than {PAGE_ENTRIES_MAX} keys")));
    }
    let head = buckets::head(tx, bucket)?;
    let mut results = Vec::with_capacity(objects.len());
    for target in objects {
        results.push(match delete_one(tx, bucket, head, target, now) {
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
    bucket: &BucketName,
    head: BucketHead,
    target: &DeleteTarget,
    now: UnixMillis,
) -> Result<DeleteOutcome, Rejection> {
    let mut path = KeyPath::resolve(tx, head.root, &target.key)?;
    let current = path.current(tx)?;
    if let Some(version) = target.version {
        return delete_version(tx, head, &mut path, current.map(|current| current.head), version, target);
    }
    let live = current.as_ref().map(|current| &current.head).filter(|head| !head.delete_marker);
    objects::check_if_match(target.if_match.as_ref(), live)?;
    if head.versioning == Versioning::Off {
        if let Some(current) = current {
            versions::remove_current(tx, head, &mut path, &current.head)?;
        }
        return Ok(DeleteOutcome::default());
    }
    let mut marker = objects::delete_marker(owner(tx, bucket)?, now);
    versions::install(tx, head, &mut path, current, &mut marker, &ObjectHeaders::default())?;
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
) -> Result<DeleteOutcome, Rejection> {
    let removed = match current {
        None => {
            objects::check_if_match(target.if_match.as_ref(), None)?;
            None
        }
        Some(current) if current.version == version => {
            objects::check_if_match(target.if_match.as_ref(), Some(&current))?;
            versions::remove_current(tx, bucket, path, &current)?;
            Some(current)
        }
        Some(_) => {
            if target.if_match.is_some() {
                let found = versions::find_noncurrent(tx, path.parent(), path.name(), version)?;
                let found = found.map(|(key, row)| path::decode_object_head(&key, &row)).transpose()?;
                objects::check_if_match(target.if_match.as_ref(), found.as_ref())?;
            }
            versions::remove_noncurrent(tx, path.parent(), path.name(), version)?
        }
    };
    let delete_marker = removed.is_some_and(|head| head.delete_marker);
    Ok(DeleteOutcome { version: Some(version), delete_marker })
}

/// A marker belongs to the bucket's owner: the command does not say who deletes.
fn owner(tx: &Transaction<'_>, bucket: &BucketName) -> Result<CanonicalId, Rejection> {
    let record: Option<BucketRecord> = view::read(tx, &layout::bucket(bucket))?;
    Ok(record.map(|record| record.owner).unwrap_or_default())
}
