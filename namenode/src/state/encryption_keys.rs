//! The key store: keys that objects are encrypted under, each wrapped under a master key that the namenode never sees.

use super::layout;
use super::records::EncryptionKeyRecord;
use super::transaction::Transaction;
use super::view::{self, View};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::user::EncryptionKey;
use granary_protocol::{ErrorCode, UnixMillis};

/// The most keys of a cluster. They are disabled, never removed: objects need them.
pub const ENCRYPTION_KEYS_MAX: u64 = 10_000;
const KEY_ID_BYTES_MAX: usize = 256;
const WRAPPED_BYTES_MAX: usize = 1024;

/// A key; `None` if there is none of this name.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn get_encryption_key<V: View + ?Sized>(view: &V, key_id: &str) -> Result<Option<EncryptionKey>, StateError> {
    let found: Option<EncryptionKeyRecord> = view::read(view, &layout::encryption_key(key_id))?;
    Ok(found.map(|record| record.named(key_id.to_owned())))
}

/// Keys by name, starting after `after`; and whether there are more.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn list_encryption_keys<V: View + ?Sized>(
    view: &V,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<EncryptionKey>, bool), StateError> {
    let (found, more) = view::page_by_name::<_, EncryptionKeyRecord>(view, layout::ENCRYPTION_KEY, after, limit)?;
    Ok((found.into_iter().map(|(key_id, record)| record.named(key_id)).collect(), more))
}

pub(super) fn add(
    tx: &mut Transaction<'_>,
    key_id: &str,
    wrapped: &[u8],
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    if key_id.is_empty() || key_id.len() > KEY_ID_BYTES_MAX || wrapped.len() > WRAPPED_BYTES_MAX {
        return Err(refuse(
            ErrorCode::InvalidArgument,
            "a key's name or its wrapped bytes are too long, or it has none",
        ));
    }
    let row = layout::encryption_key(key_id);
    if tx.get(&row)?.is_some() {
        return Err(refuse(ErrorCode::EntityAlreadyExists, format!("encryption key {key_id}")));
    }
    if tx.counters().encryption_keys >= ENCRYPTION_KEYS_MAX {
        return Err(refuse(ErrorCode::LimitExceeded, format!("there are {ENCRYPTION_KEYS_MAX} encryption keys")));
    }
    tx.counters().encryption_keys += 1;
    tx.put_record(row, &EncryptionKeyRecord { wrapped: wrapped.to_vec(), created: now, disabled: false });
    Ok(NamenodeReply::Done)
}

/// Puts a key that was sealed anew in the place of the same key as it was. Asked again, it has been done.
pub(super) fn replace(
    tx: &mut Transaction<'_>,
    key_id: &str,
    from: &[u8],
    to: &[u8],
) -> Result<NamenodeReply, Rejection> {
    if to.len() > WRAPPED_BYTES_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, "a key's wrapped bytes are too long"));
    }
    let row = layout::encryption_key(key_id);
    let Some(mut record) = view::read::<_, EncryptionKeyRecord>(tx, &row)? else {
        return Err(refuse(ErrorCode::NoSuchEntity, format!("encryption key {key_id}")));
    };
    if record.wrapped != from && record.wrapped != to {
        return Err(refuse(ErrorCode::Conflict, format!("encryption key {key_id} was sealed anew meanwhile")));
    }
    record.wrapped = to.to_vec();
    tx.put_record(row, &record);
    Ok(NamenodeReply::Done)
}

pub(super) fn set_disabled(tx: &mut Transaction<'_>, key_id: &str, disabled: bool) -> Result<NamenodeReply, Rejection> {
    let row = layout::encryption_key(key_id);
    let Some(mut record) = view::read::<_, EncryptionKeyRecord>(tx, &row)? else {
        return Err(refuse(ErrorCode::NoSuchEntity, format!("encryption key {key_id}")));
    };
    record.disabled = disabled;
    tx.put_record(row, &record);
    Ok(NamenodeReply::Done)
}
