//! Conditions and renames, by example.

use super::fixture::*;
use super::invariants;
use crate::command::{Action, RenameObject};
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::*;
use granary_protocol::*;

fn rename(source: &str, key: &str, source_condition: WriteCondition, condition: WriteCondition) -> Action {
    Action::RenameObject(Box::new(RenameObject {
        bucket: BUCKET.into(),
        source: source.into(),
        source_condition,
        key: key.into(),
        condition,
    }))
}

fn any() -> WriteCondition {
    WriteCondition::default()
}

fn matching(tag: u64) -> WriteCondition {
    WriteCondition { if_absent: false, if_match: Some(Some(etag(tag))) }
}

#[test]
fn a_renamed_object_is_the_same_under_another_key() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let content = writer.pack(&mut store, 100);
    store.put_outcome(put("a/b/c", Some(content), 100));
    let before = store.get("a/b/c", None, Window::Range { first: 0, last: None }).unwrap();
    store.put_outcome(rename("a/b/c", "a/d", matching(100), WriteCondition { if_absent: true, if_match: None }));
    assert_eq!(store.get("a/d", None, Window::Range { first: 0, last: None }), Ok(before.clone()));
    assert_eq!(store.list("", "", ListAfter::Start, 10), ["a/d"]);

    // Over another object, onto itself, and back into a directory that is made anew.
    let content = writer.pack(&mut store, 7);
    store.put_outcome(put("x", Some(content), 7));
    store.put_outcome(rename("a/d", "x", any(), any()));
    store.put_outcome(rename("x", "x", any(), any()));
    store.put_outcome(rename("x", "a/b/c", any(), any()));
    assert_eq!(store.get("a/b/c", None, Window::Range { first: 0, last: None }).unwrap().object, before.object);
    assert_eq!(crate::state::counters(store.view()).unwrap().content_bytes, 100);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_rename_is_refused_as_a_whole() {
    let mut store = Store::new();
    store.put_empty("a/b");
    store.put_empty("x");
    assert_eq!(store.refused(rename("none", "y", any(), any())), ErrorCode::NoSuchKey);
    assert_eq!(store.refused(rename("a/b", "y", matching(9), any())), ErrorCode::PreconditionFailed);
    let absent = WriteCondition { if_absent: true, if_match: None };
    assert_eq!(store.refused(rename("a/b", "x", any(), absent)), ErrorCode::PreconditionFailed);
    assert_eq!(store.refused(rename("a/b", "y", any(), matching(0))), ErrorCode::NoSuchKey);
    assert_eq!(store.refused(rename("a/b", "", any(), any())), ErrorCode::InvalidArgument);
    assert_eq!(store.list("", "", ListAfter::Start, 10), ["a/b", "x"]);
    store.set_versioning(Versioning::Enabled);
    assert_eq!(store.refused(rename("a/b", "y", any(), any())), ErrorCode::InvalidBucketState);
    invariants::check(store.view(), &store.told);
}

#[test]
fn deletes_are_judged_by_tag_time_and_size() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let content = writer.pack(&mut store, 100);
    let written = store.put_outcome(put("k", Some(content), 100)).modified.0 / 1000;
    let target = || target("k", None);
    let wrong = [
        DeleteTarget { if_size: Some(99), ..target() },
        DeleteTarget { if_modified_s: Some(written + 1), ..target() },
        DeleteTarget { if_match: Some(Some(etag(1))), ..target() },
        DeleteTarget { if_match: Some(Some(etag(100))), if_size: Some(1), ..target() },
        DeleteTarget { version: Some(VersionId::NULL), if_size: Some(99), ..target() },
    ];
    let Ok(NamenodeReply::Deleted(results)) = store.apply(delete_all(wrong.to_vec())) else { panic!("no results") };
    for result in results {
        assert_eq!(result.unwrap_err().code, ErrorCode::PreconditionFailed);
    }
    let right = DeleteTarget { if_match: Some(None), if_size: Some(100), if_modified_s: Some(written), ..target() };
    let Ok(NamenodeReply::Deleted(results)) = store.apply(delete_all(vec![right])) else { panic!("no results") };
    assert_eq!(results, [Ok(DeleteOutcome::default())]);
}

#[test]
fn a_delete_marker_counts_as_absent() {
    let mut store = Store::new();
    store.set_versioning(Versioning::Enabled);
    store.put_empty("k");
    let marker = store.delete("k", None).version;
    let matching = WriteCondition { if_absent: false, if_match: Some(None) };
    assert_eq!(store.refused(put_if("k", None, 0, matching)), ErrorCode::NoSuchKey);
    let conditional = |version| DeleteTarget { if_match: Some(None), ..target("k", version) };
    for version in [None, marker, Some(VersionId(99))] {
        let reply = store.apply(delete_all(vec![conditional(version)]));
        let Ok(NamenodeReply::Deleted(results)) = reply else { panic!("no results") };
        assert_eq!(results[0].as_ref().unwrap_err().code, ErrorCode::NoSuchKey);
    }
    let absent = WriteCondition { if_absent: true, if_match: None };
    store.put_outcome(put_if("k", None, 0, absent.clone()));
    assert_eq!(store.refused(put_if("k", None, 0, absent)), ErrorCode::PreconditionFailed);
}
