//! AmendObject: what is kept beside a version changes; its bytes, tag and time stay.

use super::buckets;
use super::locks::{self, Remover};
use super::objects;
use super::path;
use super::reads;
use super::records::ObjectRecord;
use super::transaction::Transaction;
use crate::command::AmendObject;
use crate::error::{Rejection, refuse};
use granary_protocol::namenode::{NamenodeReply, ObjectChange};
use granary_protocol::{ErrorCode, UnixMillis};

pub(super) fn amend(
    tx: &mut Transaction<'_>,
    amend: &AmendObject,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let bucket = buckets::head(tx, &amend.bucket)?;
    let (row_key, row) = reads::find_row(tx, &amend.bucket, &amend.key, amend.version)?;
    let mut record = path::decode_object(&row_key, &row)?;
    reads::check_readable(&record.head, amend.version)?;
    if matches!(amend.change, ObjectChange::Retention { .. } | ObjectChange::LegalHold(_)) && bucket.lock.is_none() {
        return Err(refuse(ErrorCode::ObjectLockNotEnabled, "the bucket has no Object Lock"));
    }
    change(&mut record, &amend.change, now)?;
    // Neither its size nor whether it is listed has changed, so no count has.
    tx.put(row_key, path::encode_object(&record.head, &record.details));
    Ok(NamenodeReply::Amended(record.head.version))
}

fn change(record: &mut ObjectRecord, change: &ObjectChange, now: UnixMillis) -> Result<(), Rejection> {
    match change {
        ObjectChange::Tags(tags) => {
            objects::check_tags(tags)?;
            record.details.tags.clone_from(tags);
        }
        ObjectChange::Acl(acl) => {
            objects::check_acl(acl.as_ref())?;
            record.details.acl.clone_from(acl);
        }
        ObjectChange::Retention { retention, bypass_governance } => {
            let remover = Remover { now, bypass_governance: *bypass_governance };
            locks::check_change(record.head.lock.retention, *retention, remover)?;
            record.head.lock.retention = *retention;
        }
        ObjectChange::LegalHold(legal_hold) => record.head.lock.legal_hold = *legal_hold,
    }
    Ok(())
}
