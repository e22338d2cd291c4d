//! The queue of events: appended, claimed for a while, settled.
//!
//! Invariants: each event has one row in `event_due`, at the moment from which it may be claimed; `events` and
//! `event_bytes` are the sums over the queue and never exceed its bounds.

use super::layout;
use super::records::EventRecord;
use super::transaction::Transaction;
use super::view::{self, View, inconsistent, moved, undecodable};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::event::{
    EVENT_BATCH_MAX, EVENT_BYTES_MAX, EVENT_QUEUE_BYTES_MAX, EVENTS_MAX, EventId, NewEvent, QueuedEvent,
};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{ErrorCode, UnixMillis};

const TARGET_BYTES_MAX: usize = 2048;
/// The longest claim: who claims for longer has no other to fear than its own death.
const CLAIM_MS_MAX: u64 = 60 * 60 * 1000;
/// Bytes of events after which a claim ends, so that a reply stays small.
const CLAIM_BYTES_MAX: usize = 4 << 20;

/// Whether any event may be claimed.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn events_due<V: View + ?Sized>(view: &V, now: UnixMillis) -> Result<bool, StateError> {
    if view::counters(view)?.events == 0 {
        return Ok(false);
    }
    match due(view, now).next() {
        Some(row) => row.map(|_| true),
        None => Ok(false),
    }
}

/// The events that may be claimed, longest due first: since when, and which.
fn due<V: View + ?Sized>(
    view: &V,
    now: UnixMillis,
) -> impl Iterator<Item = Result<(UnixMillis, EventId), StateError>> + '_ {
    let until = layout::event_due(UnixMillis(now.0.saturating_add(1)), EventId(0));
    view.scan(&layout::table(layout::EVENT_DUE), Some(&until)).map(|pair| {
        let (key, _) = pair?;
        layout::decode_event_due(&key).ok_or_else(|| undecodable(&key, "not an event's place"))
    })
}

pub(super) fn append(
    tx: &mut Transaction<'_>,
    events: &[NewEvent],
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    check_batch(events.len())?;
    if events.iter().any(|event| event.body.len() > EVENT_BYTES_MAX || event.target.len() > TARGET_BYTES_MAX) {
        return Err(refuse(ErrorCode::InvalidArgument, "an event is too large"));
    }
    let counters = tx.counters();
    counters.events += events.len() as u64;
    counters.event_bytes += events.iter().map(|event| (event.body.len() + event.target.len()) as u64).sum::<u64>();
    if counters.events > EVENTS_MAX || counters.event_bytes > EVENT_QUEUE_BYTES_MAX {
        return Err(refuse(ErrorCode::Busy, "the queue of events is full"));
    }
    for event in events {
        let id = EventId(tx.counters().next_event);
        tx.counters().next_event += 1;
        let (target, body) = (event.target.clone(), event.body.clone());
        tx.put_record(layout::event(id), &EventRecord { due: now, queued: now, attempts: 0, target, body });
        tx.put(layout::event_due(now, id), Vec::new());
    }
    Ok(NamenodeReply::Done)
}

/// Queues what the queue has room for.
pub(super) fn append_if_room(tx: &mut Transaction<'_>, events: &[NewEvent], now: UnixMillis) -> Result<(), Rejection> {
    let room = EVENTS_MAX.saturating_sub(tx.counters().events);
    let bytes: u64 = events.iter().map(|event| (event.body.len() + event.target.len()) as u64).sum();
    if events.is_empty() || room < events.len() as u64 || tx.counters().event_bytes + bytes > EVENT_QUEUE_BYTES_MAX {
        return Ok(());
    }
    append(tx, events, now).map(|_| ())
}

pub(super) fn claim(
    tx: &mut Transaction<'_>,
    limit: u32,
    claim_ms: u64,
    now: UnixMillis,
) -> Result<NamenodeReply, Rejection> {
    check_batch(limit as usize)?;
    if claim_ms > CLAIM_MS_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, format!("a claim for {claim_ms} ms")));
    }
    let ids: Vec<(UnixMillis, EventId)> = due(tx, now).take(limit as usize).collect::<Result<_, _>>()?;
    let (mut claimed, mut bytes) = (Vec::new(), 0);
    for (_, id) in ids {
        if bytes >= CLAIM_BYTES_MAX {
            break;
        }
        let mut record = expect(tx, id)?;
        bytes += record.bytes();
        claimed.push(QueuedEvent {
            id,
            target: record.target.clone(),
            body: record.body.clone(),
            attempts: record.attempts,
            queued: record.queued,
        });
        record.attempts = record.attempts.saturating_add(1);
        postpone(tx, id, record, UnixMillis(now.0.saturating_add(claim_ms)));
    }
    Ok(NamenodeReply::Events(claimed))
}

pub(super) fn settle(
    tx: &mut Transaction<'_>,
    settled: &[EventId],
    retry: &[(EventId, UnixMillis)],
) -> Result<NamenodeReply, Rejection> {
    check_batch(settled.len())?;
    check_batch(retry.len())?;
    for id in settled {
        // Somebody else may have settled it, whose claim came after this one had run out.
        let Some(record) = view::read::<_, EventRecord>(tx, &layout::event(*id))? else { continue };
        tx.delete(layout::event_due(record.due, *id));
        tx.delete(layout::event(*id));
        let counters = tx.counters();
        counters.events = moved(counters.events, -1, "the number of events")?;
        counters.event_bytes = moved(counters.event_bytes, -(record.bytes() as i64), "event_bytes")?;
    }
    for (id, due) in retry {
        if let Some(record) = view::read::<_, EventRecord>(tx, &layout::event(*id))? {
            postpone(tx, *id, record, *due);
        }
    }
    Ok(NamenodeReply::Done)
}

fn postpone(tx: &mut Transaction<'_>, id: EventId, mut record: EventRecord, due: UnixMillis) {
    tx.delete(layout::event_due(record.due, id));
    tx.put(layout::event_due(due, id), Vec::new());
    record.due = due;
    tx.put_record(layout::event(id), &record);
}

fn expect<V: View + ?Sized>(view: &V, id: EventId) -> Result<EventRecord, StateError> {
    view::read(view, &layout::event(id))?
        .ok_or_else(|| inconsistent(format!("event {} is due and does not exist", id.0)))
}

fn check_batch(events: usize) -> Result<(), Rejection> {
    match events <= EVENT_BATCH_MAX as usize {
        true => Ok(()),
        false => Err(refuse(ErrorCode::InvalidArgument, format!("{events} events"))),
    }
}
