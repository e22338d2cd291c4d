//! Object Lock: what keeps a version from every command, and for how long.

use super::fixture::*;
use super::invariants;
use crate::command::{Action, AmendObject, CopyObject, DeleteObjects};
use crate::state;
use granary_protocol::bucket::*;
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A store whose bucket has Object Lock, with this default.
fn locked(default: Option<DefaultRetention>) -> Store {
    let mut store = Store::new();
    store.set_versioning(Versioning::Enabled);
    store.done(set_lock(default));
    store
}

fn set_lock(default: Option<DefaultRetention>) -> Action {
    Action::SetBucketLock { bucket: BUCKET.into(), lock: BucketLock { default } }
}

fn amend(key: &str, version: Option<VersionId>, change: ObjectChange) -> Action {
    Action::AmendObject(Box::new(AmendObject { bucket: BUCKET.into(), key: key.into(), version, change }))
}

fn retain(mode: RetentionMode, until: UnixMillis) -> Option<Retention> {
    Some(Retention { mode, until })
}

fn put_locked(store: &mut Store, key: &str, lock: ObjectLock) -> VersionId {
    let Action::PutObject(mut put) = put(key, None, 0) else { unreachable!() };
    put.object.lock = lock;
    store.put_outcome(Action::PutObject(put)).version
}

/// What became of deleting a version: `Ok` if it is gone.
fn delete(store: &mut Store, key: &str, version: VersionId, bypass_governance: bool) -> Result<(), ErrorCode> {
    let action = Action::DeleteObjects(Box::new(DeleteObjects {
        bucket: BUCKET.into(),
        objects: vec![target(key, Some(version))],
        deleter: owner(),
        bypass_governance,
    }));
    let Ok(NamenodeReply::Deleted(mut results)) = store.apply(action) else { panic!("a delete answers with results") };
    let result = results.pop().unwrap().map(|_| ()).map_err(|failure| failure.code);
    assert_eq!(store.get(key, Some(version), Window::Nothing).is_err(), result.is_ok());
    result
}

fn lock_of(store: &Store, key: &str, version: Option<VersionId>) -> ObjectLock {
    store.get(key, version, Window::Nothing).unwrap().object.lock
}

#[test]
fn a_locked_version_dies_only_as_its_lock_allows() {
    use RetentionMode::{Compliance, Governance};
    for (mode, hold) in [(Compliance, false), (Governance, false), (Compliance, true), (Governance, true)] {
        let mut store = locked(None);
        let until = UnixMillis(store.now().0 + DAY_MS);
        let version = put_locked(&mut store, "a/k", ObjectLock { retention: retain(mode, until), legal_hold: hold });
        // Current, then noncurrent under a marker, then under another version.
        assert_eq!(delete(&mut store, "a/k", version, false), Err(ErrorCode::ObjectLocked));
        let marker = store.delete("a/k", None).version.unwrap();
        assert_eq!(delete(&mut store, "a/k", version, false), Err(ErrorCode::ObjectLocked));
        assert_eq!(delete(&mut store, "a/k", marker, false), Ok(()), "markers are never locked");
        let newer = store.put_empty("a/k").version;
        assert_eq!(delete(&mut store, "a/k", version, false), Err(ErrorCode::ObjectLocked));
        assert_eq!(delete(&mut store, "a/k", newer, false), Ok(()));
        // The right to bypass helps against governance, and against nothing else.
        let bypassed = delete(&mut store, "a/k", version, true);
        match (mode, hold) {
            (Governance, false) => assert_eq!(bypassed, Ok(())),
            _ => {
                assert_eq!(bypassed, Err(ErrorCode::ObjectLocked));
                store.advance(DAY_MS);
                if hold {
                    assert_eq!(delete(&mut store, "a/k", version, true), Err(ErrorCode::ObjectLocked));
                    store.apply(amend("a/k", Some(version), ObjectChange::LegalHold(false))).unwrap();
                }
                assert_eq!(delete(&mut store, "a/k", version, false), Ok(()));
            }
        }
        invariants::check(store.view(), &store.told);
    }
}

#[test]
fn of_many_deletes_the_locked_alone_are_refused() {
    let mut store = locked(None);
    let until = UnixMillis(store.now().0 + DAY_MS);
    let lock = ObjectLock { retention: retain(RetentionMode::Compliance, until), legal_hold: false };
    let versions: Vec<VersionId> = (0..6)
        .map(|number| match number % 2 {
            0 => put_locked(&mut store, &format!("k{number}"), lock),
            _ => store.put_empty(&format!("k{number}")).version,
        })
        .collect();
    let objects = versions.iter().enumerate().map(|(number, id)| target(&format!("k{number}"), Some(*id))).collect();
    let Ok(NamenodeReply::Deleted(results)) = store.apply(delete_all(objects)) else { panic!("not results") };
    let refused: Vec<Option<ErrorCode>> =
        results.into_iter().map(|result| result.err().map(|failure| failure.code)).collect();
    let locked = Some(ErrorCode::ObjectLocked);
    assert_eq!(refused, [locked.clone(), None, locked.clone(), None, locked, None]);
    assert_eq!(store.list("", "", ListAfter::Start, 10), ["k0", "k2", "k4"]);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_locked_null_version_is_not_replaced() {
    let mut store = Store::new();
    store.put_empty("k");
    store.set_versioning(Versioning::Enabled);
    store.done(set_lock(None));
    let until = UnixMillis(store.now().0 + DAY_MS);
    let retention = retain(RetentionMode::Compliance, until);
    let change = ObjectChange::Retention { retention, bypass_governance: false };
    assert_eq!(store.apply(amend("k", None, change)), Ok(NamenodeReply::Amended(VersionId::NULL)));
    // A suspended bucket would write over it: a bucket with Object Lock cannot be suspended.
    let suspend = Action::SetVersioning { bucket: BUCKET.into(), versioning: Versioning::Suspended };
    assert_eq!(store.refused(suspend), ErrorCode::InvalidBucketState);
    store.put_empty("k");
    store.delete("k", None);
    assert_eq!(delete(&mut store, "k", VersionId::NULL, true), Err(ErrorCode::ObjectLocked));
    assert_eq!(lock_of(&store, "k", Some(VersionId::NULL)).retention, retention);
    assert_eq!(store.refused(Action::DeleteBucket { bucket: BUCKET.into() }), ErrorCode::BucketNotEmpty);
}

#[test]
fn the_default_retention_runs_from_when_a_version_is_made() {
    let period = RetentionPeriod::Days(3);
    let default = DefaultRetention { mode: RetentionMode::Governance, period };
    let mut store = locked(Some(default));
    let expected = |store: &Store| retain(default.mode, UnixMillis(store.now().0 + 3 * DAY_MS));
    store.put_empty("put");
    assert_eq!(lock_of(&store, "put", None).retention, expected(&store));

    let source = store.get("put", None, Window::Nothing).unwrap().object;
    store.advance(DAY_MS);
    store.put_outcome(Action::CopyObject(Box::new(CopyObject {
        source_bucket: BUCKET.into(),
        source_key: "put".into(),
        source_version: None,
        source_etag: source.etag,
        bucket: BUCKET.into(),
        key: "copy".into(),
        object: object(0),
        condition: WriteCondition::default(),
    })));
    assert_eq!(lock_of(&store, "copy", None).retention, expected(&store));

    let upload = store.create_upload("upload");
    store.done(put_part("upload", upload, part_info(1, 0), None));
    store.advance(DAY_MS);
    store.put_outcome(complete("upload", upload, &[part_info(1, 0)]));
    assert_eq!(lock_of(&store, "upload", None).retention, expected(&store));

    // One of its own counts instead, and a hold does not stand in its way.
    let own = retain(RetentionMode::Compliance, UnixMillis(store.now().0 + DAY_MS));
    let version = put_locked(&mut store, "own", ObjectLock { retention: own, legal_hold: true });
    assert_eq!(lock_of(&store, "own", Some(version)), ObjectLock { retention: own, legal_hold: true });
    let version = put_locked(&mut store, "held", ObjectLock { retention: None, legal_hold: true });
    let held = lock_of(&store, "held", Some(version));
    assert_eq!(held, ObjectLock { retention: expected(&store), legal_hold: true });
    // A marker gets none.
    let marker = store.delete("own", None).version.unwrap();
    assert_eq!(delete(&mut store, "own", marker, false), Ok(()));
}

#[test]
fn locks_take_a_bucket_that_has_them() {
    let mut store = Store::new();
    assert_eq!(store.refused(set_lock(None)), ErrorCode::InvalidBucketState);
    let hold = ObjectLock { retention: None, legal_hold: true };
    let Action::PutObject(mut put) = put("k", None, 0) else { unreachable!() };
    put.object.lock = hold;
    assert_eq!(store.refused(Action::PutObject(put)), ErrorCode::ObjectLockNotEnabled);
    store.put_empty("k");
    for change in [ObjectChange::LegalHold(true), ObjectChange::Retention { retention: None, bypass_governance: false }]
    {
        assert_eq!(store.refused(amend("k", None, change)), ErrorCode::ObjectLockNotEnabled);
    }
    store.set_versioning(Versioning::Enabled);
    for period in [RetentionPeriod::Days(0), RetentionPeriod::Years(101), RetentionPeriod::Days(u32::MAX)] {
        let default = DefaultRetention { mode: RetentionMode::Governance, period };
        assert_eq!(store.refused(set_lock(Some(default))), ErrorCode::InvalidArgument);
    }
    // A bucket made with a lock has versions from the beginning.
    store.done(create_bucket("locked", owner(), true));
    let info = state::get_bucket(store.view(), &"locked".into()).unwrap();
    assert_eq!((info.versioning, info.object_lock), (Versioning::Enabled, Some(BucketLock::default())));
    let past = ObjectLock { retention: retain(RetentionMode::Governance, store.now()), legal_hold: false };
    let mut late = object(0);
    late.lock = past;
    let put = crate::command::PutObject {
        bucket: "locked".into(),
        key: "k".into(),
        content: None,
        object: late,
        condition: WriteCondition::default(),
    };
    assert_eq!(store.refused(Action::PutObject(Box::new(put))), ErrorCode::InvalidArgument);
}

#[test]
fn an_amendment_changes_what_it_names_and_nothing_else() {
    let mut store = Store::new();
    store.set_versioning(Versioning::Enabled);
    let old = store.put_empty("k");
    let new = store.put_empty("k");
    let tags = vec![Tag { key: "colour".to_owned(), value: "blue".to_owned() }];
    let before = store.get("k", Some(old.version), Window::Nothing).unwrap().object;
    let change = ObjectChange::Tags(tags.clone());
    assert_eq!(store.apply(amend("k", Some(old.version), change)), Ok(NamenodeReply::Amended(old.version)));
    let mut expected = before.clone();
    expected.details.tags = tags;
    assert_eq!(store.get("k", Some(old.version), Window::Nothing).unwrap().object, expected);
    assert!(store.get("k", None, Window::Nothing).unwrap().object.details.tags.is_empty());
    let many = vec![Tag { key: "k".to_owned(), value: String::new() }; TAGS_MAX + 1];
    assert_eq!(store.refused(amend("k", None, ObjectChange::Tags(many))), ErrorCode::LimitExceeded);
    assert_eq!(store.apply(amend("k", None, ObjectChange::Tags(vec![]))), Ok(NamenodeReply::Amended(new.version)));
    let nothing = ObjectChange::Tags(Vec::new());
    assert_eq!(store.refused(amend("other", None, nothing.clone())), ErrorCode::NoSuchKey);
    assert_eq!(store.refused(amend("k", Some(VersionId(99)), nothing.clone())), ErrorCode::NoSuchVersion);
    store.delete("k", None);
    assert!(matches!(store.refused(amend("k", None, nothing)), ErrorCode::DeleteMarker { current: true, .. }));
    invariants::check(store.view(), &store.told);
}
