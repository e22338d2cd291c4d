//! Numbered requests, by example: done once, answered alike, forgotten in time.

use super::fixture::*;
use crate::command::{Action, Command};
use crate::engine::{Engine, MemoryEngine};
use crate::state::{self, Transaction, layout};
use granary_protocol::namenode::*;
use granary_protocol::request_id::CLIENT_MEMORY_MS;
use granary_protocol::*;

const CLIENT: [u8; 16] = [7; 16];

fn id(number: u64, answered_below: u64) -> RequestId {
    RequestId { client: CLIENT, number, answered_below }
}

fn once(id: RequestId, action: Action) -> Action {
    Action::Once { id, action: Box::new(action) }
}

fn if_absent() -> WriteCondition {
    WriteCondition { if_absent: true, if_match: None }
}

fn rows(store: &Store, table: u8) -> usize {
    Engine::scan(store.view(), &[table], Some(&[table + 1])).count()
}

#[test]
fn what_was_done_is_answered_again_and_does_not_come_back() {
    let mut store = Store::new();
    let first = once(id(0, 0), put_if("k", None, 0, if_absent()));
    let answer = store.apply(first.clone()).unwrap();
    assert_eq!(store.apply(first.clone()), Ok(answer.clone()), "no 412 for its own first try");
    store.delete("k", None);
    assert_eq!(store.apply(first), Ok(answer));
    assert_eq!(store.get("k", None, Window::Nothing).err(), Some(ErrorCode::NoSuchKey), "it does not come back");
    assert!(store.effects.is_empty());

    // The same request under another number is another request.
    assert!(store.apply(once(id(1, 1), put_if("k", None, 0, if_absent()))).is_ok());
    let other = RequestId { client: [8; 16], ..id(0, 0) };
    let refused = store.apply_numbered(once(other, put_if("k", None, 0, if_absent()))).unwrap_err();
    assert_eq!(refused.code, ErrorCode::PreconditionFailed);
}

#[test]
fn a_refusal_stands_once_it_was_told() {
    let mut store = Store::new();
    store.put_empty("k");
    let refused = once(id(0, 0), put_if("k", None, 0, if_absent()));
    // The fixture holds refusals to writing nothing; this one writes itself down.
    let told = store.apply_numbered(refused.clone()).unwrap_err();
    assert_eq!(told.code, ErrorCode::PreconditionFailed);
    store.delete("k", None);
    assert_eq!(store.apply_numbered(refused), Err(told), "an attempt that was held up takes no effect afterwards");
    assert_eq!(store.get("k", None, Window::Nothing).err(), Some(ErrorCode::NoSuchKey));
    assert_eq!(
        state::outcome(store.view(), id(0, 0)).unwrap().unwrap().unwrap_err().code,
        ErrorCode::PreconditionFailed
    );
}

#[test]
fn a_refusal_that_asks_to_come_again_is_not_kept() {
    let formatted = Store::new();
    let engine = MemoryEngine::new();
    let apply = |action: Action| {
        let mut tx = Transaction::begin(&engine).unwrap();
        let reply = state::apply(&mut tx, &Command { now: UnixMillis(1), action }).unwrap().reply;
        engine.write(tx.into_batch()).unwrap();
        reply
    };
    let numbered = once(id(0, 0), create_bucket("other", owner(), false));
    assert_eq!(apply(numbered.clone()).unwrap_err().code, ErrorCode::Unavailable);
    apply(formatted.commands[0].action.clone()).unwrap();
    assert_eq!(apply(numbered.clone()), Ok(NamenodeReply::Done));
    assert_eq!(apply(numbered), Ok(NamenodeReply::Done));
}

#[test]
fn answered_outcomes_go_and_their_late_attempts_are_not_carried_out() {
    let mut store = Store::new();
    for number in 0..1000 {
        store.apply(once(id(number, number), put(&format!("k{number}"), None, 0))).unwrap();
        assert!(rows(&store, layout::OUTCOME) <= 65);
    }
    assert_eq!(rows(&store, layout::SESSION), 1);
    store.delete("k3", None);
    assert_eq!(store.refused(once(id(3, 3), put("k3", None, 0))), ErrorCode::DeadlineExceeded);
    assert_eq!(store.get("k3", None, Window::Nothing).err(), Some(ErrorCode::NoSuchKey));

    // One that is waited for keeps those after it.
    for number in 1000..1200 {
        store.apply(once(id(number, 1000), put("k", None, 0))).unwrap();
    }
    assert!(state::outcome(store.view(), id(1000, 0)).unwrap().is_some());
    assert!(rows(&store, layout::OUTCOME) >= 200);
    store.apply(once(id(1200, 1200), put("k", None, 0))).unwrap();
    assert_eq!(rows(&store, layout::OUTCOME), 1);
}

#[test]
fn a_clock_that_is_set_takes_no_outcome_away_and_silent_clients_go() {
    let mut store = Store::new();
    let first = once(id(0, 0), put_if("k", None, 0, if_absent()));
    let answer = store.apply(first.clone()).unwrap();
    store.advance(CLIENT_MEMORY_MS);
    let other = |number: u64| RequestId { client: [number as u8; 16], number: 0, answered_below: 0 };
    store.apply(once(other(1), put("other", None, 0))).unwrap();
    assert_eq!(store.apply(first.clone()), Ok(answer));
    store.apply(once(id(1, 0), put("k2", None, 0))).unwrap();

    for round in 0..20 {
        store.advance(3 * CLIENT_MEMORY_MS);
        for client in 10..13 {
            store.apply(once(other(round * 10 + client), put("other", None, 0))).unwrap();
        }
    }
    assert!(rows(&store, layout::SESSION) <= 8, "clients that are silent are forgotten");
    assert_eq!(rows(&store, layout::SESSION), rows(&store, layout::SESSION_DAY));
    assert_eq!(rows(&store, layout::SESSION), rows(&store, layout::OUTCOME));
    assert_eq!(store.apply_numbered(first).unwrap_err().code, ErrorCode::PreconditionFailed);
}

#[test]
fn a_number_inside_a_number_is_refused() {
    let mut store = Store::new();
    let nested = once(id(0, 0), once(id(1, 0), put("k", None, 0)));
    assert_eq!(store.apply_numbered(nested).unwrap_err().code, ErrorCode::InvalidArgument);
}
