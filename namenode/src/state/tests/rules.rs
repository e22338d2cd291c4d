//! Buckets, objects, versions and the cluster's own records, by example.

use super::fixture::*;
use super::invariants;
use crate::command::{Action, Command, CopyObject};
use crate::engine::{Engine, MemoryEngine, WriteBatch};
use crate::error::StateError;
use crate::state::{self, Transaction, layout};
use granary_protocol::admin::DatanodeIntent;
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::token::BlockKey;
use granary_protocol::*;

#[test]
fn nothing_is_done_before_the_format_and_nothing_formats_twice() {
    let engine = MemoryEngine::new();
    let mut tx = Transaction::begin(&engine).unwrap();
    let open = Command { now: UnixMillis(1), action: Action::OpenLease { holder: "node".into() } };
    let refused = state::apply(&mut tx, &open).unwrap().reply.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    assert!(tx.into_batch().is_empty());
    assert!(!state::check_layout(&engine as &dyn Engine).unwrap());

    let mut store = Store::new();
    assert!(state::check_layout(store.view()).unwrap());
    assert_eq!(state::cluster_id(store.view()).unwrap(), Some("cluster".into()));
    assert_eq!(state::certificate_authority(store.view()).unwrap().unwrap().key_pem, "key");
    let format = store.commands[0].action.clone();
    assert_eq!(store.refused(format), ErrorCode::Conflict);
}

#[test]
fn an_unknown_layout_is_refused() {
    let engine = MemoryEngine::new();
    let mut batch = WriteBatch::new();
    batch.put(layout::meta("layout_version"), 9u32.to_be_bytes().to_vec());
    engine.write(batch).unwrap();
    let error = state::check_layout(&engine as &dyn Engine).unwrap_err();
    assert!(matches!(error, StateError::LayoutVersion { found: 9, known: 3 }));
}

#[test]
fn meta_rows_travel_with_the_batch() {
    let store = Store::new();
    let mut tx = Transaction::begin(store.view()).unwrap();
    tx.put_meta("last_applied", &b"7"[..]);
    store.view().write(tx.into_batch()).unwrap();
    assert_eq!(state::get_meta(store.view(), "last_applied").unwrap().as_deref(), Some(&b"7"[..]));
}

#[test]
fn keys_rotate_and_expired_ones_go() {
    let mut store = Store::new();
    let key = |id, expires| BlockKey { id, secret: [2; 32], expires: UnixMillis(expires) };
    store.done(Action::AddBlockKey { key: key(2, 5) });
    store.done(Action::AddBlockKey { key: key(3, u64::MAX) });
    let ids: Vec<u32> = state::block_keys(store.view()).unwrap().iter().map(|key| key.id).collect();
    assert_eq!(ids, [1, 3]);
}

#[test]
fn a_join_token_is_spent_once_in_time_and_by_the_right_node() {
    let mut store = Store::new();
    let create = |hash: u8, name: Option<&str>, expires| Action::CreateJoinToken {
        secret_sha256: [hash; 32],
        name: name.map(NodeName::from),
        expires: UnixMillis(expires),
    };
    let spend = |hash: u8, name: &str| Action::SpendJoinToken { secret_sha256: [hash; 32], name: name.into() };
    store.done(create(1, Some("one"), u64::MAX));
    store.done(create(2, None, u64::MAX));
    store.done(create(3, None, 1));
    assert_eq!(store.refused(spend(1, "two")), ErrorCode::AccessDenied);
    store.done(spend(1, "one"));
    assert_eq!(store.refused(spend(1, "one")), ErrorCode::AccessDenied);
    store.done(spend(2, "any"));
    assert_eq!(store.refused(spend(3, "any")), ErrorCode::AccessDenied);
    assert_eq!(store.refused(spend(4, "any")), ErrorCode::AccessDenied);
}

#[test]
fn buckets_come_and_go() {
    let mut store = Store::new();
    let create = |owner: &str| create_bucket(BUCKET, owner.into(), false);
    assert_eq!(store.refused(create("owner")), ErrorCode::BucketAlreadyOwnedByYou);
    assert_eq!(store.refused(create("other")), ErrorCode::BucketAlreadyExists);
    for name in ["a", "bucket-2", "c"] {
        store.create_bucket(name);
    }
    let list = |prefix: &str, after: Option<&str>, limit| {
        let after = after.map(BucketName::from);
        let (buckets, more) = state::list_buckets(store.view(), prefix, after.as_ref(), limit).unwrap();
        (buckets.into_iter().map(|bucket| bucket.name.0).collect::<Vec<_>>(), more)
    };
    assert_eq!(list("", None, 2), (vec!["a".to_owned(), "bucket".to_owned()], true));
    assert_eq!(list("", Some("bucket"), 2), (vec!["bucket-2".to_owned(), "c".to_owned()], false));
    assert_eq!(list("bucket", None, 9), (vec!["bucket".to_owned(), "bucket-2".to_owned()], false));

    store.put_empty("a/b");
    let delete = Action::DeleteBucket { bucket: BUCKET.into() };
    assert_eq!(store.refused(delete.clone()), ErrorCode::BucketNotEmpty);
    store.delete("a/b", None);
    store.done(delete.clone());
    assert_eq!(store.refused(delete), ErrorCode::NoSuchBucket);
    assert_eq!(store.get("a/b", None, Window::Nothing), Err(ErrorCode::NoSuchBucket));
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_bucket_with_versions_only_is_not_empty_and_one_with_uploads_only_is() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    store.set_versioning(Versioning::Enabled);
    let marker = store.delete("a/b", None).version;
    assert_eq!(store.list("", "/", ListAfter::Start, 10), [""; 0]);
    let delete = Action::DeleteBucket { bucket: BUCKET.into() };
    assert_eq!(store.refused(delete.clone()), ErrorCode::BucketNotEmpty);
    store.delete("a/b", marker);

    let upload = store.create_upload("x");
    let content = writer.pack(&mut store, 100);
    store.done(put_part("x", upload, part_info(1, 100), Some(content)));
    store.done(delete);
    assert_eq!(state::counters(store.view()).unwrap().content_bytes, 0);
    invariants::check(store.view(), &store.told);
}

#[test]
fn versioning_is_never_switched_off() {
    let mut store = Store::new();
    store.set_versioning(Versioning::Off);
    store.set_versioning(Versioning::Enabled);
    let off = Action::SetVersioning { bucket: BUCKET.into(), versioning: Versioning::Off };
    assert_eq!(store.refused(off), ErrorCode::InvalidArgument);
}

#[test]
fn versions_follow_the_rules_of_s3() {
    let mut store = Store::new();
    let null = store.put_empty("k").version;
    assert_eq!(null, VersionId::NULL);
    store.set_versioning(Versioning::Enabled);
    let second = store.put_empty("k");
    assert_eq!(second.versioning, Versioning::Enabled);
    let second = second.version;
    assert!(second > VersionId::NULL);
    // The null version stays, noncurrent.
    assert!(store.get("k", Some(VersionId::NULL), Window::Nothing).is_ok());

    let marker = store.delete("k", None);
    assert!(marker.delete_marker);
    let marker = marker.version.unwrap();
    assert!(marker > second);
    let read = |store: &Store, version| match store.get("k", version, Window::Nothing) {
        Err(ErrorCode::DeleteMarker { version, current, .. }) => (version, current),
        other => panic!("a marker is read as {other:?}"),
    };
    assert_eq!(read(&store, None), (marker, true));
    assert_eq!(read(&store, Some(marker)), (marker, false));
    assert_eq!(store.get("k", Some(VersionId(77)), Window::Nothing), Err(ErrorCode::NoSuchVersion));

    // Removing the marker brings the newest version back.
    assert_eq!(store.delete("k", Some(marker)), DeleteOutcome { version: Some(marker), delete_marker: true });
    assert_eq!(store.get("k", None, Window::Nothing).unwrap().object.version, second);

    // Suspended: the null version is replaced wherever it is, the others stay.
    store.set_versioning(Versioning::Suspended);
    assert_eq!(store.put_empty("k").version, VersionId::NULL);
    assert_eq!(store.get("k", None, Window::Nothing).unwrap().object.version, VersionId::NULL);
    let marker = store.delete("k", None);
    assert_eq!(marker, DeleteOutcome { version: Some(VersionId::NULL), delete_marker: true });
    assert_eq!(read(&store, Some(VersionId::NULL)), (VersionId::NULL, false));
    assert!(store.get("k", Some(second), Window::Nothing).is_ok());
    store.delete("k", Some(VersionId::NULL));
    assert_eq!(store.get("k", None, Window::Nothing).unwrap().object.version, second);
    store.delete("k", Some(second));
    assert_eq!(state::bucket_counts(store.view(), &BUCKET.into()).unwrap(), Default::default());
    invariants::check(store.view(), &store.told);
}

#[test]
fn deleting_what_is_not_there_succeeds() {
    let mut store = Store::new();
    assert_eq!(store.delete("nothing", None), DeleteOutcome::default());
    let version = Some(VersionId(5));
    assert_eq!(store.delete("nothing", version), DeleteOutcome { version, delete_marker: false });
}

#[test]
fn a_bulk_delete_judges_each_key_for_itself() {
    let mut store = Store::new();
    for key in ["a", "b", "d/e"] {
        store.put_empty(key);
    }
    let wrong = Some(Some(etag(99)));
    let target = |key: &str, if_match| DeleteTarget { if_match, ..target(key, None) };
    let objects = vec![
        target("a", None),
        target("b", wrong),
        target("c", Some(None)),
        target("", None),
        target("d/e", Some(Some(etag(0)))),
    ];
    let Ok(NamenodeReply::Deleted(results)) = store.apply(delete_all(objects)) else {
        panic!("a bulk delete answers with results");
    };
    let codes: Vec<Option<ErrorCode>> =
        results.into_iter().map(|result| result.err().map(|failure| failure.code)).collect();
    let expected =
        [None, Some(ErrorCode::PreconditionFailed), Some(ErrorCode::NoSuchKey), Some(ErrorCode::InvalidArgument), None];
    assert_eq!(codes, expected);
    assert_eq!(store.list("", "", ListAfter::Start, 10), ["b"]);
    let too_many = vec![target("a", None); PAGE_ENTRIES_MAX as usize + 1];
    let refused = store.refused(delete_all(too_many));
    assert_eq!(refused, ErrorCode::InvalidArgument);
    invariants::check(store.view(), &store.told);
}

#[test]
fn keys_have_their_bounds() {
    let mut store = Store::new();
    let longest = "é".repeat(KEY_BYTES_MAX / 2);
    store.put_empty(&longest);
    store.put_empty(&"/".repeat(KEY_BYTES_MAX));
    assert_eq!(store.list("", "", ListAfter::Start, 10).len(), 2);
    assert_eq!(store.refused(put("", None, 0)), ErrorCode::InvalidArgument);
    assert_eq!(store.refused(put(&"x".repeat(KEY_BYTES_MAX + 1), None, 0)), ErrorCode::InvalidArgument);
    store.delete(&"/".repeat(KEY_BYTES_MAX), None);
    invariants::check(store.view(), &store.told);
}

#[test]
fn windows_are_clipped_or_refused() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let content = writer.pack(&mut store, 100);
    let start = content.extents[0].offset;
    store.put_outcome(put("k", Some(content), 100));
    let get = |window| {
        store.get("k", None, window).map(|found| {
            let extents: Vec<_> =
                found.extents.iter().map(|found| (found.extent.offset - start, found.extent.length)).collect();
            (found.offset, found.length, extents)
        })
    };
    assert_eq!(get(Window::Nothing), Ok((0, 0, vec![])));
    assert_eq!(get(Window::Range { first: 0, last: None }), Ok((0, 100, vec![(0, 100)])));
    assert_eq!(get(Window::Range { first: 90, last: Some(1_000) }), Ok((90, 10, vec![(90, 10)])));
    assert_eq!(get(Window::Range { first: 5, last: Some(5) }), Ok((5, 1, vec![(5, 1)])));
    assert_eq!(get(Window::Range { first: 100, last: None }), Err(ErrorCode::InvalidRange));
    assert_eq!(get(Window::Range { first: 9, last: Some(8) }), Err(ErrorCode::InvalidRange));
    assert_eq!(get(Window::Suffix { length: 30 }), Ok((70, 30, vec![(70, 30)])));
    assert_eq!(get(Window::Suffix { length: 300 }), Ok((0, 100, vec![(0, 100)])));
    assert_eq!(get(Window::Suffix { length: 0 }), Err(ErrorCode::InvalidRange));
    assert_eq!(get(Window::Part { number: 1 }), Ok((0, 100, vec![(0, 100)])));
    assert_eq!(get(Window::Part { number: 2 }), Err(ErrorCode::InvalidPartNumber));

    store.put_empty("empty");
    let empty = store.get("empty", None, Window::Range { first: 0, last: None }).unwrap();
    assert_eq!((empty.content, empty.length, empty.extents), (None, 0, vec![]));
    assert_eq!(store.get("empty", None, Window::Range { first: 0, last: Some(0) }), Err(ErrorCode::InvalidRange));
    assert_eq!(store.get("empty", None, Window::Suffix { length: 1 }), Err(ErrorCode::InvalidRange));
}

#[test]
fn a_copy_shares_and_may_replace_its_source() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let content = writer.pack(&mut store, 100);
    let source = store.put_outcome(put("k", Some(content), 100));
    let copy = |key: &str, source_etag| {
        Action::CopyObject(Box::new(CopyObject {
            source_bucket: BUCKET.into(),
            source_key: "k".into(),
            source_version: None,
            source_etag,
            bucket: BUCKET.into(),
            key: key.into(),
            object: object(100),
            condition: WriteCondition::default(),
        }))
    };
    store.put_outcome(copy("k", source.etag));
    store.put_outcome(copy("copy", source.etag));
    assert_eq!(store.refused(copy("copy", etag(9))), ErrorCode::PreconditionFailed);
    let counters = state::counters(store.view()).unwrap();
    assert_eq!((counters.objects, counters.object_bytes, counters.content_bytes), (2, 200, 100));
    store.delete("k", None);
    assert_eq!(store.get("copy", None, Window::Range { first: 0, last: None }).unwrap().extents.len(), 1);
    store.delete("copy", None);
    assert_eq!(state::counters(store.view()).unwrap().live_bytes, 0);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_repeated_put_answers_as_the_first_time() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let content = writer.pack(&mut store, 100);
    let absent = WriteCondition { if_absent: true, if_match: None };
    let action = put_if("k", Some(content), 100, absent);
    let first = store.put_outcome(action.clone());
    assert_eq!(store.put_outcome(action.clone()), first);
    // Once somebody else has written the key, or the content went elsewhere, it is not that write any more.
    let Action::PutObject(mut elsewhere) = action else { unreachable!() };
    elsewhere.key = "other".into();
    assert_eq!(store.refused(Action::PutObject(elsewhere)), ErrorCode::Conflict);
    invariants::check(store.view(), &store.told);
}

#[test]
fn what_is_said_of_datanodes_is_kept_until_it_is_taken_back() {
    let mut store = Store::new();
    let say = |name: &str, intent| Action::SetDatanodeIntent { name: NodeName::from(name), intent };
    store.done(say("datanode-2", DatanodeIntent::Decommission));
    store.done(say("datanode-1", DatanodeIntent::Maintenance { until: UnixMillis(7) }));
    store.done(say("datanode-3", DatanodeIntent::InService));
    let kept = |store: &Store| state::datanode_intents(store.view()).unwrap();
    let maintenance = (NodeName::from("datanode-1"), DatanodeIntent::Maintenance { until: UnixMillis(7) });
    assert_eq!(kept(&store), [maintenance.clone(), ("datanode-2".into(), DatanodeIntent::Decommission)]);
    store.done(say("datanode-2", DatanodeIntent::InService));
    assert_eq!(kept(&store), [maintenance]);
    assert_eq!(store.refused(say("", DatanodeIntent::Decommission)), ErrorCode::InvalidArgument);
}
