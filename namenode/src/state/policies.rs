//! Named policies and their attachment to users. What a document means is judged by doors.
//!
//! Invariant: a policy's `attached` is the number of users that list it.

use super::layout;
use super::records::PolicyRecord;
use super::transaction::Transaction;
use super::users;
use super::view::{self, View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::user::{ATTACHED_POLICIES_MAX, NamedPolicy, POLICY_BYTES_MAX};
use granary_protocol::{ErrorCode, UnixMillis};

/// The most named policies of a cluster.
pub const POLICIES_MAX: u64 = 10_000;
const NAME_BYTES_MAX: usize = 128;

/// Policies by name, starting after `after`; and whether there are more.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn list_policies<V: View + ?Sized>(
    view: &V,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<NamedPolicy>, bool), StateError> {
    let (found, more) = view::page_by_name::<_, PolicyRecord>(view, layout::POLICY, after, limit)?;
    let named = |(name, record): (String, PolicyRecord)| NamedPolicy {
        name,
        document: record.document,
        changed: record.changed,
    };
    Ok((found.into_iter().map(named).collect(), more))
}

/// The documents of policies that a user lists.
pub(super) fn documents<V: View + ?Sized>(view: &V, names: &[String]) -> Result<Vec<String>, StateError> {
    let document = |name: &String| {
        let record: Option<PolicyRecord> = view::read(view, &layout::policy(name))?;
        record.map(|record| record.document).ok_or_else(|| inconsistent(format!("policy {name} is attached and gone")))
    };
    names.iter().map(document).collect()
}

fn find<V: View + ?Sized>(view: &V, name: &str) -> Result<PolicyRecord, Rejection> {
    let found = view::read(view, &layout::policy(name))?;
    found.ok_or_else(|| refuse(ErrorCode::NoSuchEntity, format!("policy {name}")))
}

pub(super) fn put(
    tx: &mut Transaction<'_>,
    name: &str,
    document: &str,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    if !layout::is_entity_name(name, NAME_BYTES_MAX) || document.len() > POLICY_BYTES_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, "a policy's name cannot be this, or it is too long"));
    }
    let row = layout::policy(name);
    let replaced: Option<PolicyRecord> = view::read(tx, &row)?;
    if replaced.is_none() {
        if tx.counters().policies >= POLICIES_MAX {
            return Err(refuse(ErrorCode::LimitExceeded, format!("there are {POLICIES_MAX} policies")));
        }
        tx.counters().policies += 1;
    }
    let attached = replaced.map_or(0, |record| record.attached);
    tx.put_record(row, &PolicyRecord { document: document.to_owned(), changed: now, attached });
    Ok(NamenodeReply::Done)
}

pub(super) fn remove(tx: &mut Transaction<'_>, name: &str) -> Result<NamenodeReply, Rejection> {
    if find(tx, name)?.attached > 0 {
        return Err(refuse(ErrorCode::Conflict, format!("policy {name} is attached to users")));
    }
    tx.delete(layout::policy(name));
    tx.counters().policies = view::moved(tx.counters().policies, -1, "the number of policies")?;
    Ok(NamenodeReply::Done)
}

pub(super) fn attach(
    tx: &mut Transaction<'_>,
    user: &str,
    policy: &str,
    attached: bool,
) -> Result<NamenodeReply, Rejection> {
    let mut record = users::find(tx, user)?;
    find(tx, policy)?;
    let place = record.policies.iter().position(|name| name == policy);
    match (place, attached) {
        (Some(_), true) => return Ok(NamenodeReply::Done),
        (None, false) => {
            return Err(refuse(ErrorCode::NoSuchEntity, format!("policy {policy} is not attached to {user}")));
        }
        (None, true) if record.policies.len() >= ATTACHED_POLICIES_MAX => {
            return Err(refuse(ErrorCode::LimitExceeded, format!("{user} has {ATTACHED_POLICIES_MAX} policies")));
        }
        (None, true) => {
            record.policies.push(policy.to_owned());
            count_attached(tx, policy, 1)?;
        }
        (Some(place), false) => {
            record.policies.remove(place);
            count_attached(tx, policy, -1)?;
        }
    }
    tx.put_record(layout::user(user), &record);
    Ok(NamenodeReply::Done)
}

pub(super) fn count_attached(tx: &mut Transaction<'_>, name: &str, delta: i64) -> Result<(), Rejection> {
    let mut record = find(tx, name)?;
    record.attached = view::moved(record.attached, delta, "the users of a policy")?;
    tx.put_record(layout::policy(name), &record);
    Ok(())
}
