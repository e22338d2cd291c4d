//! What the cluster is: its name, its certificate authority, the keys of block tokens, join tokens, the layout version.

use super::apply::Effect;
use super::layout;
use super::records::{Counters, JoinTokenRecord};
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use crate::command::Format;
use crate::engine::WriteBatch;
use crate::error::{Rejection, StateError, refuse};
use bytes::Bytes;
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::token::BlockKey;
use granary_protocol::user::TokenKey;
use granary_protocol::{ClusterId, ErrorCode, NodeName, PeerId, UnixMillis};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most keys kept for block tokens; the oldest go first.
const BLOCK_KEYS_MAX: usize = 16;
/// The most join tokens outstanding.
const JOIN_TOKENS_MAX: usize = 1000;

const LAYOUT: &str = "layout_version";
const CLUSTER: &str = "cluster";
const AUTHORITY: &str = "ca";
const BLOCK_KEYS: &str = "block_keys";
const TOKEN_KEY: &str = "token_key";
/// The highest number that was given to a peer since the cluster was formed.
const LAST_PEER: &str = "last_peer";

/// The authority that signs the certificates of the cluster's processes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateAuthority {
    /// Its certificate.
    pub cert_pem: String,
    /// Its private key. Secret.
    pub key_pem: String,
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateAuthority").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// Whether this state is formatted, and in a layout that this version knows. To be asked before anything else.
///
/// # Errors
/// [`StateError::LayoutVersion`] for any other layout.
pub fn check_layout<V: View + ?Sized>(view: &V) -> Result<bool, StateError> {
    let Some(stored) = get_meta(view, LAYOUT)? else { return Ok(false) };
    let stored = stored.first_chunk::<4>().ok_or_else(|| undecodable(&[layout::META], "layout_version is short"))?;
    match u32::from_be_bytes(*stored) {
        layout::LAYOUT_VERSION => Ok(true),
        found => Err(StateError::LayoutVersion { found, known: layout::LAYOUT_VERSION }),
    }
}

/// A row that was put with [`Transaction::put_meta`].
///
/// # Errors
/// The engine's.
pub fn get_meta<V: View + ?Sized>(view: &V, name: &str) -> Result<Option<Bytes>, StateError> {
    Ok(view.get(&layout::meta(name))?)
}

/// The cluster's name; `None` before it is formatted.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn cluster_id<V: View + ?Sized>(view: &V) -> Result<Option<ClusterId>, StateError> {
    view::read(view, &layout::meta(CLUSTER))
}

/// The cluster's certificate authority; `None` before it is formatted.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn certificate_authority<V: View + ?Sized>(view: &V) -> Result<Option<CertificateAuthority>, StateError> {
    view::read(view, &layout::meta(AUTHORITY))
}

/// The keys of block tokens, newest last.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn block_keys<V: View + ?Sized>(view: &V) -> Result<Vec<BlockKey>, StateError> {
    Ok(view::read(view, &layout::meta(BLOCK_KEYS))?.unwrap_or_default())
}

/// The secret under which temporary credentials are made; `None` before the cluster is formatted.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn token_key<V: View + ?Sized>(view: &V) -> Result<Option<TokenKey>, StateError> {
    view::read(view, &layout::meta(TOKEN_KEY))
}

/// Ids that are skipped when rows are restored from a copy: more than are given out while a copy is of any use.
const BLOCKS_SKIPPED: u64 = 1 << 40;
const LEASES_SKIPPED: u64 = 1 << 20;

/// The change that keeps restored rows from giving out an id again that was given out after they were copied; and the next
/// block.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn skip_ids<V: View + ?Sized>(view: &V) -> Result<(WriteBatch, u64), StateError> {
    let mut counters: Counters = view::read(view, &layout::meta("counters"))?.unwrap_or_default();
    for id in [
        &mut counters.next_block,
        &mut counters.next_directory,
        &mut counters.next_upload,
        &mut counters.next_content,
        &mut counters.next_version,
        &mut counters.next_revision,
        &mut counters.next_event,
    ] {
        *id += BLOCKS_SKIPPED;
    }
    counters.next_lease += LEASES_SKIPPED;
    let mut batch = WriteBatch::new();
    batch.put(layout::meta("counters"), view::encode(&counters));
    Ok((batch, counters.next_block))
}

pub(super) fn format(tx: &mut Transaction<'_>, format: &Format) -> Result<NamenodeReply, Rejection> {
    if tx.formatted() {
        return Err(refuse(ErrorCode::Conflict, "the cluster is formatted already"));
    }
    tx.set_formatted();
    // Ids begin at 1, and version 0 is the null version.
    *tx.counters() = Counters {
        next_block: 1,
        next_directory: 1,
        next_lease: 1,
        next_upload: 1,
        next_content: 1,
        next_version: 1,
        next_revision: 1,
        next_event: 1,
        ..Counters::default()
    };
    tx.put(layout::meta(LAYOUT), layout::LAYOUT_VERSION.to_be_bytes().to_vec());
    tx.put_record(layout::meta(CLUSTER), &format.cluster);
    let authority = CertificateAuthority { cert_pem: format.ca_cert_pem.clone(), key_pem: format.ca_key_pem.clone() };
    tx.put_record(layout::meta(AUTHORITY), &authority);
    tx.put_record(layout::meta(BLOCK_KEYS), std::slice::from_ref(&format.key));
    tx.put_record(layout::meta(TOKEN_KEY), &format.token_key);
    tx.effect(Effect::KeysChanged);
    Ok(NamenodeReply::Done)
}

pub(super) fn add_block_key(
    tx: &mut Transaction<'_>,
    key: &BlockKey,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let mut keys = block_keys(tx)?;
    keys.retain(|old| old.expires >= now && old.id != key.id);
    keys.push(key.clone());
    let surplus = keys.len().saturating_sub(BLOCK_KEYS_MAX);
    keys.drain(..surplus);
    tx.put_record(layout::meta(BLOCK_KEYS), &keys);
    tx.effect(Effect::KeysChanged);
    Ok(NamenodeReply::Done)
}

pub(super) fn create_join_token(
    tx: &mut Transaction<'_>,
    secret_sha256: &[u8; 32],
    name: Option<&NodeName>,
    expires: UnixMillis,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    make_room(tx, layout::JOIN_TOKEN, now)?;
    tx.put_record(layout::join_token(secret_sha256), &JoinTokenRecord { name: name.cloned(), expires });
    Ok(NamenodeReply::Done)
}

pub(super) fn spend_join_token(
    tx: &mut Transaction<'_>,
    secret_sha256: &[u8; 32],
    name: &NodeName,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let why = "the join token is unknown, spent, expired or for another node";
    spend(tx, layout::join_token(secret_sha256), name, now, why)
}

/// Like a join token, and always for one node.
pub(super) fn create_namenode_token(
    tx: &mut Transaction<'_>,
    secret_sha256: &[u8; 32],
    name: &NodeName,
    expires: UnixMillis,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    make_room(tx, layout::NAMENODE_TOKEN, now)?;
    let token = JoinTokenRecord { name: Some(name.clone()), expires };
    tx.put_record(layout::namenode_token(secret_sha256), &token);
    Ok(NamenodeReply::Done)
}

pub(super) fn spend_namenode_token(
    tx: &mut Transaction<'_>,
    secret_sha256: &[u8; 32],
    name: &NodeName,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    let why = "the token is unknown, spent, expired, for another node or not for a namenode";
    spend(tx, layout::namenode_token(secret_sha256), name, now, why)
}

/// Removes the tokens of a table that have expired; refuses one more where as many as may be are outstanding.
fn make_room(tx: &mut Transaction<'_>, table: u8, now: UnixMillis) -> Result<(), Rejection> {
    let mut outstanding = 0;
    for (key, token) in tokens(tx, table)? {
        if token.expires < now {
            tx.delete(key);
        } else {
            outstanding += 1;
        }
    }
    if outstanding >= JOIN_TOKENS_MAX {
        return Err(refuse(ErrorCode::Busy, format!("{JOIN_TOKENS_MAX} join tokens are outstanding")));
    }
    Ok(())
}

/// A token is good once, for the node it names if it names one.
fn spend(
    tx: &mut Transaction<'_>,
    key: Vec<u8>,
    name: &NodeName,
    now: UnixMillis,
    refusal: &str,
) -> Result<NamenodeReply, Rejection> {
    let token: Option<JoinTokenRecord> = view::read(tx, &key)?;
    let valid = token.is_some_and(|token| token.expires >= now && token.name.is_none_or(|only| only == *name));
    if !valid {
        return Err(refuse(ErrorCode::AccessDenied, refusal));
    }
    tx.delete(key);
    Ok(NamenodeReply::Done)
}

/// A number for a peer, above `above` and above every number that was given out before.
pub(super) fn allot_peer(tx: &mut Transaction<'_>, above: PeerId) -> Result<NamenodeReply, Rejection> {
    let last: Option<PeerId> = view::read(tx, &layout::meta(LAST_PEER))?;
    let number = PeerId(last.unwrap_or_default().max(above).0 + 1);
    tx.put_record(layout::meta(LAST_PEER), &number);
    Ok(NamenodeReply::PeerAllotted(number))
}

fn tokens(tx: &Transaction<'_>, table: u8) -> Result<Vec<(Vec<u8>, JoinTokenRecord)>, StateError> {
    let table = layout::table(table);
    let mut tokens = Vec::new();
    for pair in tx.scan(&table, Some(&layout::after_prefix(&table))) {
        let (key, value) = pair?;
        tokens.push((key.to_vec(), view::decode(&key, &value)?));
    }
    Ok(tokens)
}
