//! Leases of Hadoop's writers: a name, and when it was last renewed.
//!
//! The time is the command's, so it survives a change of leaders. A writer whose lease is older than the soft limit may be
//! robbed of a file by another writer; beyond the hard limit the leader closes its files.

use super::open::{self, Opened};
use super::records::{FileLeaseRecord, OpenFileRecord};
use super::recovery;
use crate::error::{Rejection, StateError, refuse};
use crate::state::layout;
use crate::state::transaction::Transaction;
use crate::state::view::{self, View, undecodable};
use granary_protocol::filesystem::{FileId, FsReply, LEASE_HARD_LIMIT_MS, LEASE_SOFT_LIMIT_MS};
use granary_protocol::{ErrorCode, UnixMillis};
use std::collections::BTreeSet;

/// Who holds a file that was taken from its writer, as in HDFS.
pub(in crate::state) const RECOVERER: &str = "HDFS_NameNode";
/// The longest name of a writer, in bytes.
const HOLDER_BYTES_MAX: usize = 1024;
/// A renewal is not worth a row before the one it replaces is this old.
const RENEWAL_STEP_MS: u64 = 5_000;
/// Files taken from writers by one command at most.
const EXPIRED_FILES_MAX: usize = 100;
/// Writers expired at a time at most.
pub const EXPIRED_HOLDERS_MAX: usize = 256;

/// A writer shows that it lives, by beginning to write or by saying so.
pub(super) fn renew(tx: &mut Transaction<'_>, holder: &str, now: UnixMillis) -> Result<(), Rejection> {
    if holder.is_empty() || holder.len() > HOLDER_BYTES_MAX || holder == RECOVERER {
        return Err(refuse(ErrorCode::InvalidArgument, "a writer's name has 1 to 1024 bytes"));
    }
    let key = layout::file_lease(holder);
    let known: Option<FileLeaseRecord> = view::read(tx, &key)?;
    if known.is_none_or(|known| known.renewed.0 + RENEWAL_STEP_MS <= now.0) {
        tx.put_record(key, &FileLeaseRecord { renewed: now });
    }
    Ok(())
}

/// `renewLease`: of a writer without open files there is nothing to renew.
pub(super) fn renew_known(tx: &mut Transaction<'_>, holder: &str, now: UnixMillis) -> Result<FsReply, Rejection> {
    if view::read::<_, FileLeaseRecord>(tx, &layout::file_lease(holder))?.is_some() {
        renew(tx, holder, now)?;
    }
    Ok(FsReply::Done)
}

/// Whether another writer may take this one's files.
pub(super) fn is_soft_expired<V: View + ?Sized>(view: &V, holder: &str, now: UnixMillis) -> Result<bool, StateError> {
    let renewed = renewed(view, holder)?;
    Ok(renewed.0 + LEASE_SOFT_LIMIT_MS < now.0)
}

pub(super) fn renewed<V: View + ?Sized>(view: &V, holder: &str) -> Result<UnixMillis, StateError> {
    let record: Option<FileLeaseRecord> = view::read(view, &layout::file_lease(holder))?;
    Ok(record.map_or(UnixMillis(0), |record| record.renewed))
}

/// Writers that have been silent beyond the hard limit, by name, from the first behind `after` on; at most
/// [`EXPIRED_HOLDERS_MAX`].
///
/// # Errors
/// The engine's, or a damaged row.
pub fn expired_holders<V: View + ?Sized>(view: &V, after: &str, now: UnixMillis) -> Result<Vec<String>, StateError> {
    let mut from = layout::file_lease(after);
    from.push(0);
    let table_end = layout::after_prefix(&layout::table(layout::FILE_LEASE));
    let mut expired = Vec::new();
    for pair in view.scan(&from, Some(&table_end)) {
        let (key, value) = pair?;
        let record: FileLeaseRecord = view::decode(&key, &value)?;
        if record.renewed.0 + LEASE_HARD_LIMIT_MS < now.0 {
            let holder = std::str::from_utf8(&key[1..]).map_err(|error| undecodable(&key, error.to_string()))?;
            expired.push(holder.to_owned());
            if expired.len() == EXPIRED_HOLDERS_MAX {
                break;
            }
        }
    }
    Ok(expired)
}

/// Takes silent writers' files from them, some at a time; the leases end when there are no more. Files are not indexed by
/// their writers, so many are asked about together: writers that have closed theirs are nearly all of them.
pub(super) fn expire(tx: &mut Transaction<'_>, holders: &[String], now: UnixMillis) -> Result<(), Rejection> {
    let mut silent = BTreeSet::new();
    for holder in holders.iter().take(EXPIRED_HOLDERS_MAX) {
        if renewed(tx, holder)?.0 + LEASE_HARD_LIMIT_MS < now.0 {
            silent.insert(holder.as_str());
        }
    }
    let files = files_of(tx, &silent, EXPIRED_FILES_MAX)?;
    if files.len() < EXPIRED_FILES_MAX {
        for holder in &silent {
            tx.delete(layout::file_lease(holder));
        }
    }
    for opened in files {
        recovery::begin(tx, opened, now)?;
    }
    Ok(())
}

/// Files of these writers, but for those in trees that are being removed, which take them along.
fn files_of(tx: &Transaction<'_>, holders: &BTreeSet<&str>, limit: usize) -> Result<Vec<Opened>, Rejection> {
    let table = layout::table(layout::OPEN_FILE);
    let mut files = Vec::new();
    if holders.is_empty() {
        return Ok(files);
    }
    for pair in tx.scan(&table, Some(&layout::after_prefix(&table))) {
        let (key, value) = pair?;
        let record: OpenFileRecord = view::decode(&key, &value)?;
        if !holders.contains(record.holder.as_str()) {
            continue;
        }
        let id = layout::last_number(&key).ok_or_else(|| undecodable(&key, "its key has no number"))?;
        files.extend(open::reach(tx, FileId(id), record, None)?);
        if files.len() == limit {
            break;
        }
    }
    Ok(files)
}
