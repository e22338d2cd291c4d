//! The memory of at-most-once calls: a call that comes again is answered as the first time.
//!
//! Rows are kept by ten-minute slots of the commands' time, so that the oldest are the first of the table; some calls take
//! old ones along, more of them than came since. An outcome is remembered for one to two slots. Refusals are not remembered: doing the call
//! again is refused again, or works by then, as in HDFS.

use crate::error::StateError;
use crate::state::layout;
use crate::state::transaction::Transaction;
use crate::state::view::{self, View, undecodable};
use granary_protocol::UnixMillis;
use granary_protocol::filesystem::{FsCall, FsReply, RETRY_MEMORY_MS, RetryId};

/// One call of so many looks for outcomes to forget: each look is a scan.
const CALLS_PER_LOOK: u64 = 16;
/// Forgotten outcomes removed at a look: several for each that was added since the last one, so that there are never many.
const FORGOTTEN_PER_LOOK: usize = 4 * CALLS_PER_LOOK as usize;

fn slot(now: UnixMillis) -> u64 {
    now.0 / RETRY_MEMORY_MS
}

/// What a call was answered the first time, if it is one that is remembered.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn recalled<V: View + ?Sized>(view: &V, call: &FsCall, now: UnixMillis) -> Result<Option<FsReply>, StateError> {
    match remembered_as(call) {
        Some(id) => recall(view, id, now),
        None => Ok(None),
    }
}

/// By what the outcome of a call is remembered.
pub(super) fn remembered_as(call: &FsCall) -> Option<RetryId> {
    call.retry.filter(|_| call.request.at_most_once())
}

/// What the call was answered the first time.
pub(super) fn recall<V: View + ?Sized>(view: &V, id: RetryId, now: UnixMillis) -> Result<Option<FsReply>, StateError> {
    let current = slot(now);
    for slot in [Some(current), current.checked_sub(1)].into_iter().flatten() {
        if let Some(reply) = view::read(view, &layout::retry(slot, id))? {
            return Ok(Some(reply));
        }
    }
    Ok(None)
}

pub(super) fn remember(
    tx: &mut Transaction<'_>,
    id: RetryId,
    reply: &FsReply,
    now: UnixMillis,
) -> Result<(), StateError> {
    let current = slot(now);
    if looks(id) {
        for key in forgotten(tx, current)? {
            tx.delete(key);
        }
    }
    tx.put_record(layout::retry(current, id), reply);
    Ok(())
}

/// Whether this call looks for outcomes to forget. Clients have names of their own and count their calls, of which only some
/// are remembered, perhaps every other one: multiplied, the numbers of any such series fall everywhere.
fn looks(id: RetryId) -> bool {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let name = u128::from_be_bytes(id.client);
    let client = ((name >> 64) as u64 ^ (name as u64).rotate_left(23)).wrapping_mul(GOLDEN) >> 32;
    let mixed = client.wrapping_add(u64::from(id.call as u32)).wrapping_mul(GOLDEN);
    mixed < u64::MAX / CALLS_PER_LOOK
}

fn forgotten(tx: &Transaction<'_>, current: u64) -> Result<Vec<Vec<u8>>, StateError> {
    let table = layout::table(layout::RETRY);
    let mut old = Vec::new();
    for pair in tx.scan(&table, Some(&layout::after_prefix(&table))).take(FORGOTTEN_PER_LOOK) {
        let (key, _) = pair?;
        let of = layout::retry_slot(&key).ok_or_else(|| undecodable(&key, "its key has no slot"))?;
        if of + 1 >= current {
            break;
        }
        old.push(key.to_vec());
    }
    Ok(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_whatever_stride_look_often_enough() {
        for stride in [1, 2, 3, 4, 8, 16, 48, 64, 100] {
            let looking = (0..1_600).filter(|step| looks(RetryId { client: [0; 16], call: step * stride })).count();
            assert!((50..200).contains(&looking), "{looking} of 1600 calls with stride {stride}");
        }
    }
}
