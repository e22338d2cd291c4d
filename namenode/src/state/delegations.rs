//! Delegation tokens whose term was changed. A token without a row counts as long as it says itself.
//!
//! Rows are ordered by when their tokens end, so that those that have ended are found first and go as others come.

use super::layout;
use super::transaction::Transaction;
use super::view::{self, View};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::delegation::{CANCELLED, DELEGATION_TERMS_MAX, DelegationTokenId};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{ErrorCode, UnixMillis};

/// Rows of tokens that have ended which one change takes away.
const FORGOTTEN_AT_ONCE: usize = 16;

/// Until when a token counts, if its term was changed.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn get_delegation_term<V: View + ?Sized>(
    view: &V,
    token: &DelegationTokenId,
) -> Result<Option<UnixMillis>, StateError> {
    view::read(view, &layout::delegation_term(token))
}

pub(super) fn set(
    tx: &mut Transaction<'_>,
    token: &DelegationTokenId,
    until: UnixMillis,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    if token.ends <= now {
        return Err(refuse(ErrorCode::NoSuchEntity, "the token has ended"));
    }
    let row = layout::delegation_term(token);
    let known: Option<UnixMillis> = view::read(tx, &row)?;
    if known == Some(CANCELLED) {
        return Err(refuse(ErrorCode::NoSuchEntity, "the token was cancelled"));
    }
    let mut count = count(tx)?;
    let ended: Vec<Vec<u8>> = tx
        .scan(&layout::table(layout::DELEGATION_TERM), Some(&layout::delegation_terms_ending_by(now)))
        .take(FORGOTTEN_AT_ONCE)
        .map(|row| row.map(|(key, _)| key.to_vec()))
        .collect::<Result<_, _>>()?;
    count -= (ended.len() as u64).min(count);
    ended.into_iter().for_each(|row| tx.delete(row));
    if known.is_none() {
        if count >= DELEGATION_TERMS_MAX {
            return Err(refuse(ErrorCode::LimitExceeded, "too many tokens were renewed or cancelled"));
        }
        count += 1;
    }
    tx.put_record(layout::table(layout::DELEGATION_COUNT), &count);
    tx.put_record(row, &until.min(token.ends));
    Ok(NamenodeReply::Done)
}

fn count<V: View + ?Sized>(view: &V) -> Result<u64, StateError> {
    Ok(view::read(view, &layout::table(layout::DELEGATION_COUNT))?.unwrap_or(0))
}
