//! What a bucket is configured with: versioning, its lock, and the documents that doors understand.
//!
//! Invariants: every change gives the bucket a new revision, and no two changes of any buckets have the same; a bucket
//! with a lock has versioning enabled; a document has at most [`DOCUMENT_BYTES_MAX`] bytes.

use super::layout;
use super::locks;
use super::records::BucketRecord;
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use super::{buckets, buckets::no_such};
use crate::error::{Rejection, StateError, refuse};
use bytes::Bytes;
use granary_protocol::bucket::{BucketDocument, BucketLock, BucketSettings, DOCUMENT_BYTES_MAX, Versioning};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{BucketName, DirectoryId, ErrorCode};

/// A bucket with all of its documents.
///
/// # Errors
/// `NoSuchBucket`.
pub fn get_bucket_settings<V: View + ?Sized>(view: &V, bucket: &BucketName) -> Result<BucketSettings, Rejection> {
    let record = find(view, bucket)?;
    let (root, revision) = (record.head.root, record.revision);
    let documents = documents(view, root)?;
    Ok(BucketSettings { info: record.info(bucket.clone()), revision, documents })
}

fn find<V: View + ?Sized>(view: &V, bucket: &BucketName) -> Result<BucketRecord, Rejection> {
    view::read(view, &layout::bucket(bucket))?.ok_or_else(|| no_such(bucket))
}

fn documents<V: View + ?Sized>(view: &V, root: DirectoryId) -> Result<Vec<(BucketDocument, Bytes)>, StateError> {
    let from = layout::bucket_documents(root);
    let mut documents = Vec::new();
    for pair in view.scan(&from, Some(&layout::after_prefix(&from))) {
        let (key, value) = pair?;
        let kind = layout::decode_bucket_document(&key).ok_or_else(|| undecodable(&key, "an unknown document"))?;
        documents.push((kind, value));
    }
    Ok(documents)
}

/// The next revision.
pub(super) fn new_revision(tx: &mut Transaction<'_>) -> u64 {
    let revision = tx.counters().next_revision;
    tx.counters().next_revision += 1;
    revision
}

pub(super) fn set_versioning(
    tx: &mut Transaction<'_>,
    bucket: &BucketName,
    versioning: Versioning,
) -> Result<NamenodeReply, Rejection> {
    let mut record = find(tx, bucket)?;
    if versioning != Versioning::Enabled && record.head.lock.is_some() {
        return Err(refuse(ErrorCode::InvalidBucketState, "Object Lock keeps versioning enabled"));
    }
    if versioning == Versioning::Off && record.head.versioning != Versioning::Off {
        return Err(refuse(ErrorCode::InvalidArgument, "versioning can be suspended, not switched off"));
    }
    record.head.versioning = versioning;
    change(tx, bucket, record)
}

pub(super) fn set_lock(
    tx: &mut Transaction<'_>,
    bucket: &BucketName,
    lock: BucketLock,
) -> Result<NamenodeReply, Rejection> {
    let mut record = find(tx, bucket)?;
    locks::check_bucket_lock(record.head.versioning, &lock)?;
    record.head.lock = Some(lock);
    change(tx, bucket, record)
}

pub(super) fn set_document(
    tx: &mut Transaction<'_>,
    bucket: &BucketName,
    kind: BucketDocument,
    document: Option<&Bytes>,
) -> Result<NamenodeReply, Rejection> {
    let record = find(tx, bucket)?;
    match document {
        Some(document) => put_document(tx, record.head.root, kind, document)?,
        None => tx.delete(layout::bucket_document(record.head.root, kind)),
    }
    change(tx, bucket, record)
}

fn change(tx: &mut Transaction<'_>, bucket: &BucketName, mut record: BucketRecord) -> Result<NamenodeReply, Rejection> {
    record.revision = new_revision(tx);
    tx.put_record(layout::bucket(bucket), &record);
    Ok(NamenodeReply::Done)
}

pub(super) fn put_document(
    tx: &mut Transaction<'_>,
    root: DirectoryId,
    kind: BucketDocument,
    document: &Bytes,
) -> Result<(), Rejection> {
    if document.len() > DOCUMENT_BYTES_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("a document of {} bytes", document.len())));
    }
    tx.put_bytes(layout::bucket_document(root, kind), document.clone());
    Ok(())
}

/// Removes the documents of a bucket that goes.
pub(super) fn remove_all(tx: &mut Transaction<'_>, bucket: &BucketName) -> Result<(), Rejection> {
    let root = buckets::head(tx, bucket)?.root;
    for (kind, _) in documents(tx, root)? {
        tx.delete(layout::bucket_document(root, kind));
    }
    Ok(())
}
