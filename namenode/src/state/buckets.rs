//! Buckets: their records, their sums, making and removing them.

use super::layout;
use super::records::{BucketCounts, BucketHead, BucketRecord};
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use super::{filesystem, lifecycle, settings, uploads};
use crate::command::CreateBucket;
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::bucket::{BucketInfo, BucketLock, Versioning};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::PAGE_ENTRIES_MAX;
use granary_protocol::{BucketName, DirectoryId, ErrorCode, UnixMillis};

/// The most buckets of a cluster: AWS's default quota of an account.
pub const BUCKETS_MAX: u64 = 10_000;
/// The most buckets of one `ListBuckets` page.
const BUCKETS_LISTED_MAX: u32 = 10 * PAGE_ENTRIES_MAX;

/// A bucket as doors show it.
///
/// # Errors
/// `NoSuchBucket`.
pub fn get_bucket<V: View + ?Sized>(view: &V, bucket: &BucketName) -> Result<BucketInfo, Rejection> {
    let record: Option<BucketRecord> = view::read(view, &layout::bucket(bucket))?;
    Ok(record.ok_or_else(|| no_such(bucket))?.info(bucket.clone()))
}

/// The sums over a bucket.
///
/// # Errors
/// `NoSuchBucket`.
pub fn bucket_counts<V: View + ?Sized>(view: &V, bucket: &BucketName) -> Result<BucketCounts, Rejection> {
    Ok(counts(view, head(view, bucket)?.root)?)
}

/// Buckets whose name begins with `prefix`, by name, starting after `after`; and whether there are more.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn list_buckets<V: View + ?Sized>(
    view: &V,
    prefix: &str,
    after: Option<&BucketName>,
    limit: u32,
) -> Result<(Vec<BucketInfo>, bool), StateError> {
    let limit = limit.min(BUCKETS_LISTED_MAX) as usize;
    let all = layout::bucket(&BucketName::from(prefix));
    let until = layout::after_prefix(&all);
    let from = match after.map(layout::bucket) {
        Some(mut after) => {
            after.push(0);
            after.max(all)
        }
        None => all,
    };
    let mut buckets = Vec::new();
    for pair in view.scan(&from, Some(&until)) {
        let (key, value) = pair?;
        if buckets.len() == limit {
            return Ok((buckets, limit > 0));
        }
        let name = std::str::from_utf8(&key[1..]).map_err(|error| undecodable(&key, error.to_string()))?;
        let record: BucketRecord = view::decode(&key, &value)?;
        buckets.push(record.info(BucketName::from(name)));
    }
    Ok((buckets, false))
}

/// What writes need of a bucket.
pub(super) fn head<V: View + ?Sized>(view: &V, bucket: &BucketName) -> Result<BucketHead, Rejection> {
    view::read_head(view, &layout::bucket(bucket))?.ok_or_else(|| no_such(bucket))
}

pub(super) fn counts<V: View + ?Sized>(view: &V, root: DirectoryId) -> Result<BucketCounts, StateError> {
    Ok(view::read(view, &layout::bucket_counts(root))?.unwrap_or_default())
}

pub(super) fn no_such(bucket: &BucketName) -> Rejection {
    refuse(ErrorCode::NoSuchBucket, bucket.as_str())
}

pub(super) fn create(
    tx: &mut Transaction<'_>,
    create: &CreateBucket,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let CreateBucket { bucket, owner, region, object_lock, documents } = create;
    let key = layout::bucket(bucket);
    if let Some(existing) = view::read::<_, BucketRecord>(tx, &key)? {
        let code = match existing.owner == *owner {
            true => ErrorCode::BucketAlreadyOwnedByYou,
            false => ErrorCode::BucketAlreadyExists,
        };
        return Err(refuse(code, bucket.as_str()));
    }
    // AWS's rules are the door's to check; these two keep the key space sound.
    if bucket.as_str().is_empty() || bucket.as_str().len() > 255 {
        return Err(refuse(ErrorCode::InvalidArgument, "a bucket's name has 1 to 255 bytes"));
    }
    if tx.counters().buckets >= BUCKETS_MAX {
        return Err(refuse(ErrorCode::TooManyBuckets, format!("there are {BUCKETS_MAX} buckets")));
    }
    let root = new_directory(tx);
    let (versioning, lock) = match object_lock {
        true => (Versioning::Enabled, Some(BucketLock::default())),
        false => (Versioning::Off, None),
    };
    let record = BucketRecord {
        head: BucketHead { root, versioning, lock },
        owner: owner.clone(),
        created: now,
        region: region.clone(),
        revision: settings::new_revision(tx),
    };
    tx.put_record(key, &record);
    for (kind, document) in documents {
        settings::put_document(tx, root, *kind, document)?;
    }
    tx.put_record(layout::bucket_counts(root), &BucketCounts::default());
    tx.counters().buckets += 1;
    Ok(NamenodeReply::Done)
}

pub(super) fn delete(tx: &mut Transaction<'_>, bucket: &BucketName) -> Result<NamenodeReply, Rejection> {
    let root = head(tx, bucket)?.root;
    if counts(tx, root)?.entries > 0 {
        return Err(refuse(ErrorCode::BucketNotEmpty, bucket.as_str()));
    }
    uploads::abort_all(tx, root)?;
    settings::remove_all(tx, bucket)?;
    filesystem::forget_directory(tx, root)?;
    lifecycle::forget_progress(tx, root);
    tx.delete(layout::bucket(bucket));
    tx.delete(layout::bucket_counts(root));
    tx.counters().buckets = view::moved(tx.counters().buckets, -1, "the number of buckets")?;
    Ok(NamenodeReply::Done)
}

pub(super) fn new_directory(tx: &mut Transaction<'_>) -> DirectoryId {
    let directory = DirectoryId(tx.counters().next_directory);
    tx.counters().next_directory += 1;
    directory
}
