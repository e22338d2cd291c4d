//! Numbered requests: each is carried out once, and answered the same however often it comes.
//!
//! A client says with each request below which number it waits for none any more. Outcomes below that go, and an attempt
//! that arrives after them (it was held up in a peer that had stopped, or in a queue) is not carried out: nobody would be told.
//! So a client costs about as many rows as it has requests on their way. The order of the log decides what was first; time
//! only says when clients that have fallen silent are forgotten, so that a clock that is set takes nothing away.
//!
//! Refusals that ask the caller to come again are not remembered: coming again is what this is for.

use super::apply::{Applied, apply_action};
use super::layout;
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use crate::command::Action;
use crate::error::{Rejection, StateError};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::request_id::CLIENT_MEMORY_MS;
use granary_protocol::{Advice, ErrorCode, Failure, RequestId, UnixMillis};
use serde::{Deserialize, Serialize};

/// Outcomes go in steps of so many, so that the session's row is not written with every request.
const FORGOTTEN_AT_ONCE: u64 = 64;
/// The most that go with one command.
const FORGOTTEN_MAX: u64 = 1024;
/// Silent clients that a new one takes along, and outcomes of each.
const SESSIONS_PER_SWEEP: usize = 4;
const OUTCOMES_PER_SWEEP: usize = 256;

type Outcome = Result<NamenodeReply, Failure>;

/// A process that sends numbered requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Requests below are not carried out any more, and have no outcome.
    pub floor: u64,
    /// The last day on which it was seen; its row in the table of days is there.
    pub day: u64,
}

/// What came of a numbered request, while it is remembered.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn outcome<V: View + ?Sized>(view: &V, id: RequestId) -> Result<Option<Outcome>, StateError> {
    view::read(view, &layout::outcome(&id.client, id.number))
}

/// Applies an action unless that was done before.
pub(super) fn apply_once(
    tx: &mut Transaction<'_>,
    id: &RequestId,
    action: &Action,
    now: UnixMillis,
) -> Result<Applied, StateError> {
    let known: Option<SessionRecord> = view::read(tx, &layout::session(&id.client))?;
    if known.is_some_and(|session| id.number < session.floor) {
        let why = "an attempt of a request that its client does not wait for any more";
        return Ok(answered(Err(Failure::new(ErrorCode::DeadlineExceeded, why))));
    }
    if let Some(reply) = outcome(tx, *id)? {
        return Ok(answered(reply));
    }
    let applied = apply_action(tx, action, now)?;
    if is_final(&applied.reply) {
        tx.put_record(layout::outcome(&id.client, id.number), &applied.reply);
        keep_session(tx, id, known, now)?;
        if let Err(Rejection::Refused(failure)) = tx.check_rows() {
            // What cannot be remembered is not done: it would be done again.
            tx.roll_back();
            return Ok(answered(Err(failure)));
        }
    }
    Ok(applied)
}

fn answered(reply: Outcome) -> Applied {
    Applied { reply, effects: Vec::new() }
}

/// Whether the client hands the answer on, rather than send the request again.
fn is_final(reply: &Outcome) -> bool {
    match reply {
        Ok(_) => true,
        Err(failure) => matches!(failure.code.advice(), Advice::GiveUp | Advice::OtherReplica),
    }
}

fn keep_session(
    tx: &mut Transaction<'_>,
    id: &RequestId,
    known: Option<SessionRecord>,
    now: UnixMillis,
) -> Result<(), StateError> {
    let today = now.0 / CLIENT_MEMORY_MS;
    // Of a client that is new here nothing is remembered.
    let mut session = known.unwrap_or(SessionRecord { floor: id.answered_below.min(id.number), day: today });
    if known.is_none() {
        sweep(tx, today)?;
        tx.put(layout::session_day(today, &id.client), Vec::new());
    } else if session.day < today {
        tx.delete(layout::session_day(session.day, &id.client));
        tx.put(layout::session_day(today, &id.client), Vec::new());
        session.day = today;
    }
    session.floor = forget_answered(tx, id, session.floor);
    if known != Some(session) {
        tx.put_record(layout::session(&id.client), &session);
    }
    Ok(())
}

/// Forgets what the client has been told; the new floor.
fn forget_answered(tx: &mut Transaction<'_>, id: &RequestId, floor: u64) -> u64 {
    let answered = id.answered_below.min(id.number);
    if answered < floor.saturating_add(FORGOTTEN_AT_ONCE) {
        return floor;
    }
    let until = answered.min(floor.saturating_add(FORGOTTEN_MAX));
    for number in floor..until {
        tx.delete(layout::outcome(&id.client, number));
    }
    until
}

/// Forgets some clients that have been silent for a day at least.
fn sweep(tx: &mut Transaction<'_>, today: u64) -> Result<(), StateError> {
    for (day, client) in silent(tx, today)? {
        let outcomes = layout::outcomes_of(&client);
        let rows = tx.scan(&outcomes, Some(&layout::after_prefix(&outcomes))).take(OUTCOMES_PER_SWEEP);
        let rows: Vec<_> = rows.map(|pair| Ok(pair?.0.to_vec())).collect::<Result<_, StateError>>()?;
        let all = rows.len() < OUTCOMES_PER_SWEEP;
        for row in rows {
            tx.delete(row);
        }
        if all {
            tx.delete(layout::session(&client));
            tx.delete(layout::session_day(day, &client));
        }
    }
    Ok(())
}

/// The longest silent clients, and when each was seen.
fn silent(tx: &Transaction<'_>, today: u64) -> Result<Vec<(u64, [u8; 16])>, StateError> {
    let table = layout::table(layout::SESSION_DAY);
    let mut found = Vec::new();
    for pair in tx.scan(&table, Some(&layout::after_prefix(&table))).take(SESSIONS_PER_SWEEP) {
        let (key, _) = pair?;
        let (day, client) =
            layout::decode_session_day(&key).ok_or_else(|| undecodable(&key, "not a day of a client"))?;
        if day.saturating_add(1) >= today {
            break;
        }
        found.push((day, client));
    }
    Ok(found)
}
