//! RenameObject: an object gets another key of its bucket. Two rows change, whatever the object's size.

use super::buckets;
use super::classes;
use super::locks::Remover;
use super::objects;
use super::path::{self, KeyPath};
use super::reads;
use super::restores;
use super::transaction::Transaction;
use super::versions;
use crate::command::RenameObject;
use crate::error::{Rejection, refuse};
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{ErrorCode, UnixMillis};

pub(super) fn rename(
    tx: &mut Transaction<'_>,
    rename: &RenameObject,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let bucket = buckets::head(tx, &rename.bucket)?;
    if bucket.versioning != Versioning::Off {
        return Err(refuse(ErrorCode::InvalidBucketState, "only objects of a bucket without versions are renamed"));
    }
    let (row_key, row) = reads::find_row(tx, &rename.bucket, &rename.source, None)?;
    let mut source = path::decode_object(&row_key, &row)?;
    reads::check_readable(&source.head, None)?;
    objects::check_condition(&rename.source_condition, Some(&source.head))?;
    if rename.key == rename.source {
        objects::check_condition(&rename.condition, Some(&source.head))?;
        return Ok(objects::outcome(bucket, &source.head));
    }
    // The source goes first: with it may go directories that the new key then makes again. A refusal from here on takes
    // all of it back.
    let mut from = KeyPath::resolve(tx, bucket.root, &rename.source)?;
    restores::forget(tx, &source.head)?;
    if let Some(content) = source.head.content {
        classes::unrefer(tx, content, source.head.class)?;
    }
    from.remove_current(tx, &source.head)?;
    let mut to = KeyPath::resolve(tx, bucket.root, &rename.key)?;
    let replaced = to.current(tx)?;
    objects::check_condition(&rename.condition, replaced.as_ref().map(|current| &current.head))?;
    source.head.upload = None;
    let remover = Remover::ordinary(now);
    versions::install(tx, bucket, &mut to, replaced, &mut source.head, &source.details, remover)?;
    Ok(objects::outcome(bucket, &source.head))
}
