//! Users, keys, policies, encryption keys, events, and the documents of buckets, by example.

use super::fixture::*;
use super::invariants;
use crate::command::{Action, UserChange};
use crate::state;
use bytes::Bytes;
use granary_protocol::bucket::{BucketDocument, DOCUMENT_BYTES_MAX};
use granary_protocol::delegation::{CANCELLED, DelegationTokenId};
use granary_protocol::event::*;
use granary_protocol::namenode::*;
use granary_protocol::user::*;
use granary_protocol::*;

fn change(change: UserChange) -> Action {
    Action::ChangeUsers(Box::new(change))
}

fn new_user(name: &str, number: u64) -> NewUser {
    NewUser {
        name: name.to_owned(),
        canonical_id: format!("{number:064x}").as_str().into(),
        account_id: format!("{number:012}"),
        display_name: name.to_uppercase(),
    }
}

fn add_user(name: &str, number: u64, key: Option<&str>) -> Action {
    let key = key.map(|key| (key.to_owned(), SecretKey(format!("secret of {key}").replace(' ', "-"))));
    change(UserChange::AddUser { user: new_user(name, number), key })
}

fn add_key(user: &str, access_key: &str) -> Action {
    let secret_key = SecretKey("another-secret".to_owned());
    change(UserChange::AddAccessKey { user: user.to_owned(), access_key: access_key.to_owned(), secret_key })
}

fn holder(store: &Store, access_key: &str) -> Option<KeyHolder> {
    state::find_access_key(store.view(), access_key).unwrap()
}

#[test]
fn a_key_opens_what_its_user_may_until_either_is_disabled() {
    let mut store = Store::new();
    let Ok(NamenodeReply::User(user)) = store.apply(add_user("ann", 1, Some("KEYOFANN"))) else { panic!("no user") };
    assert_eq!((user.keys.len(), user.policies.len(), user.disabled), (1, 0, false));
    let found = holder(&store, "KEYOFANN").unwrap();
    assert_eq!((found.user.name.as_str(), found.secret_key.0.as_str()), ("ann", "secret-of-KEYOFANN"));
    assert!(found.user.keys.is_empty());
    assert!(!format!("{found:?} {:?}", store.commands).contains("secret-of"), "a secret is shown");

    let put = |name: &str, document: &str| {
        change(UserChange::PutPolicy { name: name.to_owned(), document: document.to_owned() })
    };
    let attach = |policy: &str, attached| {
        change(UserChange::AttachPolicy { user: "ann".to_owned(), policy: policy.to_owned(), attached })
    };
    store.done(put("read", "{1}"));
    store.done(put("write", "{2}"));
    store.done(put("read", "{3}"));
    assert_eq!(store.refused(attach("none", true)), ErrorCode::NoSuchEntity);
    for policy in ["write", "read", "read"] {
        store.done(attach(policy, true));
    }
    assert_eq!(holder(&store, "KEYOFANN").unwrap().policies, ["{2}", "{3}"]);
    assert_eq!(store.refused(change(UserChange::RemovePolicy { name: "read".to_owned() })), ErrorCode::Conflict);
    store.done(attach("read", false));
    assert_eq!(store.refused(attach("read", false)), ErrorCode::NoSuchEntity);
    store.done(change(UserChange::RemovePolicy { name: "read".to_owned() }));

    for disabled in [true, false] {
        let key = "KEYOFANN".to_owned();
        store.done(change(UserChange::SetAccessKeyDisabled { user: "ann".to_owned(), access_key: key, disabled }));
        assert_eq!(holder(&store, "KEYOFANN").is_none(), disabled);
    }
    for disabled in [true, false] {
        store.done(change(UserChange::SetUserDisabled { name: "ann".to_owned(), disabled }));
        assert_eq!(holder(&store, "KEYOFANN").is_none(), disabled);
    }
    store.done(change(UserChange::RemoveUser { name: "ann".to_owned() }));
    assert_eq!(holder(&store, "KEYOFANN"), None);
    store.done(change(UserChange::RemovePolicy { name: "write".to_owned() }));
    // Name, ids and key are free again.
    store.apply(add_user("ann", 1, Some("KEYOFANN"))).unwrap();
    invariants::check(store.view(), &store.told);
}

#[test]
fn names_ids_and_keys_are_one_users_alone() {
    let mut store = Store::new();
    store.apply(add_user("ann", 1, Some("KEY1"))).unwrap();
    assert_eq!(store.refused(add_user("ann", 2, None)), ErrorCode::EntityAlreadyExists);
    assert_eq!(store.refused(add_user("bob", 1, None)), ErrorCode::EntityAlreadyExists);
    assert_eq!(store.refused(add_user("bob", 2, Some("KEY1"))), ErrorCode::EntityAlreadyExists);
    store.apply(add_user("bob", 2, None)).unwrap();
    assert_eq!(store.refused(add_key("bob", "KEY1")), ErrorCode::EntityAlreadyExists);
    assert_eq!(store.refused(add_key("eve", "KEY2")), ErrorCode::NoSuchEntity);
    for number in 0..ACCESS_KEYS_MAX {
        store.done(add_key("bob", &format!("BOB{number}")));
    }
    assert_eq!(store.refused(add_key("bob", "ONEMORE")), ErrorCode::LimitExceeded);
    let remove = |key: &str| change(UserChange::RemoveAccessKey { user: "bob".to_owned(), access_key: key.to_owned() });
    assert_eq!(store.refused(remove("KEY1")), ErrorCode::NoSuchEntity);
    store.done(remove("BOB3"));
    assert_eq!(holder(&store, "BOB3"), None);
    for bad in ["", "a b", "ä", "a/b"] {
        assert_eq!(store.refused(add_user(bad, 9, None)), ErrorCode::InvalidArgument);
        assert_eq!(store.refused(add_key("bob", bad)), ErrorCode::InvalidArgument);
    }
    let mut short = new_user("carl", 3);
    short.account_id.pop();
    assert_eq!(store.refused(change(UserChange::AddUser { user: short, key: None })), ErrorCode::InvalidArgument);

    let names = |after: Option<&str>, limit| {
        let (users, more) = state::list_users(store.view(), after, limit).unwrap();
        (users.into_iter().map(|user| user.name).collect::<Vec<_>>(), more)
    };
    assert_eq!(names(None, 1), (vec!["ann".to_owned()], true));
    assert_eq!(names(Some("ann"), 5), (vec!["bob".to_owned()], false));
    let ids: Vec<CanonicalId> = [2, 7].map(|number: u64| format!("{number:064x}").as_str().into()).to_vec();
    let found = state::find_owners(store.view(), &ids).unwrap();
    assert_eq!(found, [(ids[0].clone(), "000000000002".to_owned(), "BOB".to_owned())]);
    invariants::check(store.view(), &store.told);
}

#[test]
fn encryption_keys_stay_and_can_be_disabled() {
    let mut store = Store::new();
    let add = |key_id: &str| Action::AddEncryptionKey { key_id: key_id.to_owned(), wrapped: vec![7; 40] };
    store.done(add("one"));
    store.done(add("two"));
    assert_eq!(store.refused(add("one")), ErrorCode::EntityAlreadyExists);
    assert_eq!(store.refused(add("")), ErrorCode::InvalidArgument);
    let disable = |key_id: &str| Action::SetEncryptionKeyDisabled { key_id: key_id.to_owned(), disabled: true };
    assert_eq!(store.refused(disable("three")), ErrorCode::NoSuchEntity);
    store.done(disable("two"));
    let get = |key_id: &str| state::get_encryption_key(store.view(), key_id).unwrap();
    assert_eq!(get("two").map(|key| (key.disabled, key.wrapped)), Some((true, vec![7; 40])));
    assert_eq!(get("three"), None);
    let replace = |key_id: &str, from: u8, to: u8| Action::ReplaceEncryptionKey {
        key_id: key_id.to_owned(),
        from: vec![from; 40],
        to: vec![to; 40],
    };
    assert_eq!(store.refused(replace("three", 7, 8)), ErrorCode::NoSuchEntity);
    assert_eq!(store.refused(replace("two", 6, 8)), ErrorCode::Conflict);
    for _again in 0..2 {
        store.done(replace("two", 7, 8));
        let get = |key_id: &str| state::get_encryption_key(store.view(), key_id).unwrap();
        assert_eq!(get("two").map(|key| (key.disabled, key.wrapped)), Some((true, vec![8; 40])));
    }
    assert_eq!(state::list_encryption_keys(store.view(), None, 10).unwrap().0.len(), 2);
}

#[test]
fn terms_of_delegation_tokens_are_kept_until_the_tokens_end() {
    let mut store = Store::new();
    let now = store.now();
    let token = |after_ms: u64, nonce| DelegationTokenId { ends: UnixMillis(now.0 + after_ms), nonce: [nonce; 16] };
    let set = |token, until| Action::SetDelegationTerm { token, until };
    let (long, short) = (token(1_000_000, 1), token(1_000, 2));
    let of = |store: &Store, token| state::get_delegation_term(store.view(), &token).unwrap();
    assert_eq!(of(&store, long), None);
    store.done(set(long, UnixMillis(now.0 + 7)));
    // No longer than it can be renewed.
    store.done(set(short, UnixMillis(u64::MAX)));
    assert_eq!((of(&store, long), of(&store, short)), (Some(UnixMillis(now.0 + 7)), Some(short.ends)));
    store.done(set(long, CANCELLED));
    assert_eq!(store.refused(set(long, UnixMillis(now.0 + 9))), ErrorCode::NoSuchEntity);
    assert_eq!(of(&store, long), Some(CANCELLED));
    assert_eq!(store.refused(set(token(0, 3), UnixMillis(u64::MAX))), ErrorCode::NoSuchEntity);
    store.advance(2_000);
    store.done(set(token(1_000_000, 4), CANCELLED));
    assert_eq!(of(&store, short), None);
    invariants::check(store.view(), &store.told);
}

fn append(events: &[&str]) -> Action {
    let event = |body: &&str| NewEvent { target: "hook".to_owned(), body: Bytes::copy_from_slice(body.as_bytes()) };
    Action::AppendEvents { events: events.iter().map(event).collect() }
}

/// Ids, messages and attempts of what is claimed for a second.
fn claim(store: &mut Store, limit: u32) -> Vec<(EventId, String, u32)> {
    match store.apply(Action::ClaimEvents { limit, claim_ms: 1_000 }) {
        Ok(NamenodeReply::Events(events)) => events
            .into_iter()
            .map(|event| (event.id, String::from_utf8(event.body.to_vec()).unwrap(), event.attempts))
            .collect(),
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn an_event_is_claimed_by_one_at_a_time_until_it_is_settled() {
    let mut store = Store::new();
    let due = |store: &Store| state::events_due(store.view(), store.now()).unwrap();
    assert!(!due(&store));
    store.done(append(&["a", "b"]));
    store.done(append(&["c"]));
    assert!(due(&store));
    let first = claim(&mut store, 2);
    assert_eq!(first.iter().map(|(_, body, tried)| (body.as_str(), *tried)).collect::<Vec<_>>(), [("a", 0), ("b", 0)]);
    assert_eq!(claim(&mut store, 2).len(), 1);
    assert!(!due(&store));
    assert_eq!(claim(&mut store, 9), []);

    let later = UnixMillis(store.now().0 + 5_000);
    store.done(Action::SettleEvents { settled: vec![first[0].0, EventId(999)], retry: vec![(first[1].0, later)] });
    store.advance(1_000);
    // The claim of `c` has run out.
    assert_eq!(
        claim(&mut store, 9).iter().map(|(_, body, tried)| (body.as_str(), *tried)).collect::<Vec<_>>(),
        [("c", 1)]
    );
    store.advance(10_000);
    let both = claim(&mut store, 9);
    assert_eq!(both.iter().map(|(_, body, tried)| (body.as_str(), *tried)).collect::<Vec<_>>(), [("c", 2), ("b", 1)]);
    store.done(Action::SettleEvents { settled: both.iter().map(|(id, ..)| *id).collect(), retry: Vec::new() });
    let counters = state::counters(store.view()).unwrap();
    assert_eq!((counters.events, counters.event_bytes), (0, 0));
    invariants::check(store.view(), &store.told);
}

#[test]
fn the_queue_of_events_has_bounds() {
    let mut store = Store::new();
    assert_eq!(store.refused(append(&vec!["x"; EVENT_BATCH_MAX as usize + 1])), ErrorCode::InvalidArgument);
    assert_eq!(store.refused(append(&["x".repeat(EVENT_BYTES_MAX + 1).as_str()])), ErrorCode::InvalidArgument);
    let full = "x".repeat(EVENT_BYTES_MAX);
    let mut appended = 0;
    while store.apply(append(&vec![full.as_str(); 100])).is_ok() {
        appended += 100;
        assert!(appended < EVENTS_MAX);
        if appended >= 300 {
            break;
        }
    }
    // A claim ends after a few MiB, whatever its limit.
    assert!((1..100).contains(&claim(&mut store, 1_000).len()));
}

#[test]
fn documents_come_and_go_with_their_bucket() {
    let mut store = Store::new();
    let settings = |store: &Store| state::get_bucket_settings(store.view(), &BUCKET.into()).unwrap();
    let set = |kind, document: Option<&'static [u8]>| Action::SetBucketDocument {
        bucket: BUCKET.into(),
        kind,
        document: document.map(Bytes::from_static),
    };
    let before = settings(&store);
    assert!(before.documents.is_empty());
    store.done(set(BucketDocument::Website, Some(b"site")));
    store.done(set(BucketDocument::Policy, Some(b"policy")));
    store.done(set(BucketDocument::Policy, Some(b"other policy")));
    let after = settings(&store);
    let expected = [(BucketDocument::Policy, "other policy".into()), (BucketDocument::Website, "site".into())];
    assert_eq!(after.documents, expected);
    assert!(after.revision > before.revision);
    store.done(set(BucketDocument::Policy, None));
    store.done(set(BucketDocument::Cors, None));
    assert_eq!(settings(&store).documents, expected[1..]);
    let huge = Bytes::from(vec![0; DOCUMENT_BYTES_MAX + 1]);
    let huge = Action::SetBucketDocument { bucket: BUCKET.into(), kind: BucketDocument::Cors, document: Some(huge) };
    assert_eq!(store.refused(huge), ErrorCode::InvalidArgument);
    // A bucket of the same name is another bucket.
    let revision = settings(&store).revision;
    store.done(Action::DeleteBucket { bucket: BUCKET.into() });
    store.create_bucket(BUCKET);
    assert!(settings(&store).documents.is_empty() && settings(&store).revision > revision);
    invariants::check(store.view(), &store.told);
}
