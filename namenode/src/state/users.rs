//! Users and their access keys.
//!
//! Invariants: a user's name, canonical id and account id are its alone; an access key is one user's, and its row in
//! `access_key` exists exactly while the user lists it; whether a key or its user is disabled is kept with the user alone.

use super::layout;
use super::policies;
use super::records::{AccessKeyRecord, UserRecord};
use super::transaction::Transaction;
use super::view::{self, View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::namenode::{NamenodeReply, NewUser};
use granary_protocol::object::PAGE_ENTRIES_MAX;
use granary_protocol::user::{ACCESS_KEYS_MAX, AccessKey, KeyHolder, SecretKey, User};
use granary_protocol::{CanonicalId, ErrorCode, UnixMillis};

/// The most users of a cluster.
pub const USERS_MAX: u64 = 100_000;
const NAME_BYTES_MAX: usize = 64;
const DISPLAY_NAME_BYTES_MAX: usize = 256;
const CANONICAL_ID_DIGITS: usize = 64;
const ACCOUNT_ID_DIGITS: usize = 12;
const ACCESS_KEY_BYTES_MIN: usize = 3;
const ACCESS_KEY_BYTES_MAX: usize = 128;
const SECRET_KEY_BYTES_MIN: usize = 8;
const SECRET_KEY_BYTES_MAX: usize = 128;

/// A user with its keys.
///
/// # Errors
/// `NoSuchEntity`.
pub fn get_user<V: View + ?Sized>(view: &V, name: &str) -> Result<User, Rejection> {
    Ok(find(view, name)?.into_user(name.to_owned()))
}

/// Users by name, starting after `after`; and whether there are more.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn list_users<V: View + ?Sized>(
    view: &V,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<User>, bool), StateError> {
    let (users, more) = view::page_by_name::<_, UserRecord>(view, layout::USER, after, limit)?;
    Ok((users.into_iter().map(|(name, record)| record.into_user(name)).collect(), more))
}

/// Who holds an access key, and what it may do; `None` if it opens nothing.
///
/// # Errors
/// The engine's, or rows that contradict each other.
pub fn find_access_key<V: View + ?Sized>(view: &V, access_key: &str) -> Result<Option<KeyHolder>, StateError> {
    let Some(held) = view::read::<_, AccessKeyRecord>(view, &layout::access_key(access_key))? else { return Ok(None) };
    let unlisted = || inconsistent("an access key that its user does not list");
    let mut record: UserRecord = view::read(view, &layout::user(&held.user))?.ok_or_else(unlisted)?;
    let keys = std::mem::take(&mut record.keys);
    let key = keys.iter().find(|key| key.access_key == access_key).ok_or_else(unlisted)?;
    if key.disabled || record.disabled {
        return Ok(None);
    }
    let policies = policies::documents(view, &record.policies)?;
    Ok(Some(KeyHolder { secret_key: held.secret_key, user: record.into_user(held.user), policies }))
}

/// Canonical id, account id and display name of those of `owners` that are users.
///
/// # Errors
/// `InvalidArgument` for more than a page.
pub fn find_owners<V: View + ?Sized>(
    view: &V,
    owners: &[CanonicalId],
) -> Result<Vec<(CanonicalId, String, String)>, Rejection> {
    if owners.len() > PAGE_ENTRIES_MAX as usize {
        return Err(refuse(ErrorCode::InvalidArgument, format!("{} owners", owners.len())));
    }
    let mut found = Vec::new();
    for owner in owners {
        if let Some(name) = view::read::<_, String>(view, &layout::user_id(owner))? {
            let record = find(view, &name)?;
            found.push((record.canonical_id, record.account_id, record.display_name));
        }
    }
    Ok(found)
}

pub(super) fn find<V: View + ?Sized>(view: &V, name: &str) -> Result<UserRecord, Rejection> {
    let found = view::read(view, &layout::user(name))?;
    found.ok_or_else(|| refuse(ErrorCode::NoSuchEntity, format!("user {name}")))
}

pub(super) fn add(
    tx: &mut Transaction<'_>,
    new: &NewUser,
    key: Option<&(String, SecretKey)>,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    check_user(new)?;
    let rows = [layout::user(&new.name), layout::user_id(&new.canonical_id), layout::user_account(&new.account_id)];
    for row in &rows {
        if tx.get(row)?.is_some() {
            return Err(refuse(ErrorCode::EntityAlreadyExists, format!("user {} or one of its ids", new.name)));
        }
    }
    if tx.counters().users >= USERS_MAX {
        return Err(refuse(ErrorCode::LimitExceeded, format!("there are {USERS_MAX} users")));
    }
    tx.counters().users += 1;
    let mut record = UserRecord {
        canonical_id: new.canonical_id.clone(),
        account_id: new.account_id.clone(),
        display_name: new.display_name.clone(),
        created: now,
        disabled: false,
        keys: Vec::new(),
        policies: Vec::new(),
    };
    if let Some((access_key, secret_key)) = key {
        push_key(tx, &new.name, &mut record, access_key, secret_key, now)?;
    }
    let [by_name, by_id, by_account] = rows;
    tx.put_record(by_id, &new.name);
    tx.put_record(by_account, &new.name);
    tx.put_record(by_name, &record);
    Ok(NamenodeReply::User(Box::new(record.into_user(new.name.clone()))))
}

pub(super) fn remove(tx: &mut Transaction<'_>, name: &str) -> Result<NamenodeReply, Rejection> {
    let record = find(tx, name)?;
    for key in &record.keys {
        tx.delete(layout::access_key(&key.access_key));
    }
    for policy in &record.policies {
        policies::count_attached(tx, policy, -1)?;
    }
    tx.delete(layout::user_id(&record.canonical_id));
    tx.delete(layout::user_account(&record.account_id));
    tx.delete(layout::user(name));
    tx.counters().users = view::moved(tx.counters().users, -1, "the number of users")?;
    Ok(NamenodeReply::Done)
}

pub(super) fn set_disabled(tx: &mut Transaction<'_>, name: &str, disabled: bool) -> Result<NamenodeReply, Rejection> {
    let mut record = find(tx, name)?;
    record.disabled = disabled;
    tx.put_record(layout::user(name), &record);
    Ok(NamenodeReply::Done)
}

pub(super) fn add_key(
    tx: &mut Transaction<'_>,
    user: &str,
    access_key: &str,
    secret_key: &SecretKey,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let mut record = find(tx, user)?;
    push_key(tx, user, &mut record, access_key, secret_key, now)?;
    tx.put_record(layout::user(user), &record);
    Ok(NamenodeReply::Done)
}

pub(super) fn set_key_disabled(
    tx: &mut Transaction<'_>,
    user: &str,
    access_key: &str,
    disabled: bool,
) -> Result<NamenodeReply, Rejection> {
    let mut record = find(tx, user)?;
    let place = place_of(&record, access_key)?;
    record.keys[place].disabled = disabled;
    tx.put_record(layout::user(user), &record);
    Ok(NamenodeReply::Done)
}

pub(super) fn remove_key(tx: &mut Transaction<'_>, user: &str, access_key: &str) -> Result<NamenodeReply, Rejection> {
    let mut record = find(tx, user)?;
    let place = place_of(&record, access_key)?;
    record.keys.remove(place);
    tx.delete(layout::access_key(access_key));
    tx.put_record(layout::user(user), &record);
    Ok(NamenodeReply::Done)
}

fn place_of(record: &UserRecord, access_key: &str) -> Result<usize, Rejection> {
    let place = record.keys.iter().position(|key| key.access_key == access_key);
    place.ok_or_else(|| refuse(ErrorCode::NoSuchEntity, format!("access key {access_key}")))
}

fn push_key(
    tx: &mut Transaction<'_>,
    user: &str,
    record: &mut UserRecord,
    access_key: &str,
    secret_key: &SecretKey,
    now: UnixMillis,
) -> Result<(), Rejection> {
    check_key(access_key, secret_key)?;
    let row = layout::access_key(access_key);
    if tx.get(&row)?.is_some() {
        return Err(refuse(ErrorCode::EntityAlreadyExists, format!("access key {access_key}")));
    }
    if record.keys.len() >= ACCESS_KEYS_MAX {
        return Err(refuse(ErrorCode::LimitExceeded, format!("{user} has {ACCESS_KEYS_MAX} access keys")));
    }
    record.keys.push(AccessKey { access_key: access_key.to_owned(), created: now, disabled: false });
    tx.put_record(row, &AccessKeyRecord { user: user.to_owned(), secret_key: secret_key.clone() });
    Ok(())
}

fn check_user(new: &NewUser) -> Result<(), Rejection> {
    let digits = |text: &str, count: usize, is_digit: fn(&u8) -> bool| {
        text.len() == count && text.as_bytes().iter().all(is_digit)
    };
    let fits = layout::is_entity_name(&new.name, NAME_BYTES_MAX)
        && digits(new.canonical_id.as_str(), CANONICAL_ID_DIGITS, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && digits(&new.account_id, ACCOUNT_ID_DIGITS, u8::is_ascii_digit)
        && new.display_name.len() <= DISPLAY_NAME_BYTES_MAX;
    match fits {
        true => Ok(()),
        false => Err(refuse(ErrorCode::InvalidArgument, "a name or an id that no user has")),
    }
}

fn check_key(access_key: &str, secret_key: &SecretKey) -> Result<(), Rejection> {
    let id = (ACCESS_KEY_BYTES_MIN..=ACCESS_KEY_BYTES_MAX).contains(&access_key.len())
        && access_key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let secret = (SECRET_KEY_BYTES_MIN..=SECRET_KEY_BYTES_MAX).contains(&secret_key.0.len())
        && secret_key.0.bytes().all(|byte| byte.is_ascii_graphic());
    match id && secret {
        true => Ok(()),
        false => Err(refuse(ErrorCode::InvalidArgument, "an access key or a secret that cannot be one")),
    }
}
