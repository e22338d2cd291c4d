//! What a client chooses and no rule of its own bounds: it is refused before the engine or a sum has no room for it, which
//! would stop every peer.

use super::file_calls::*;
use super::fixture::*;
use super::invariants;
use crate::command::Command;
use crate::engine::VALUE_BYTES_MAX;
use crate::state::{self, Transaction};
use granary_protocol::filesystem::*;
use granary_protocol::*;

#[test]
fn a_text_that_no_row_has_room_for_is_refused() {
    let mut store = Store::new();
    store.write("/bucket/f", &[4]);
    let long = "x".repeat(VALUE_BYTES_MAX);
    let entry = |kind, name: Option<&str>| AclEntry {
        scope: AclScope::Access,
        kind,
        name: name.map(str::to_owned),
        permission: 4,
    };
    let entries = vec![entry(AclEntryKind::User, Some(&long))];
    let change = FsRequest::ChangeAcl { path: path("/bucket/f"), change: AclChange::Modify(entries) };
    assert_eq!(store.code(change), ErrorCode::InvalidArgument);
    let owner = FsRequest::SetOwner { path: path("/bucket/f"), owner: Some(long.clone()), group: None };
    assert_eq!(store.code(owner), ErrorCode::InvalidArgument);
    let mut created = create("/bucket/g", "w");
    if let FsRequest::Create(create) = &mut created {
        create.holder = long;
    }
    assert_eq!(store.code(created), ErrorCode::InvalidArgument);
    assert_eq!(store.status("/bucket/f").unwrap().owner, "hdfs");
    invariants::check(store.view(), &store.told);
}

#[test]
fn sizes_that_cannot_be_added_up_are_refused() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "gateway");
    let content = writer.pack(&mut store, 1000);
    let command = Command { now: store.now(), action: put("k", Some(content), 1000) };
    let mut tx = Transaction::begin(store.view()).unwrap();
    tx.counters().object_bytes = u64::MAX - 999;
    let applied = state::apply(&mut tx, &command).unwrap();
    assert_eq!(applied.reply.unwrap_err().code, ErrorCode::LimitExceeded);
}

#[test]
fn a_refusal_quotes_no_more_than_can_be_remembered() {
    let mut store = Store::new();
    let long = format!("/bucket/{}", "é".repeat(VALUE_BYTES_MAX));
    let failure = store.fs(create(&long, "w")).unwrap_err();
    assert!(failure.detail.starts_with("The maximum path component name limit"), "{:.100}", failure.detail);
    assert!(failure.detail.len() <= 16 << 10);
}
