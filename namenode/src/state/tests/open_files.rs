//! Files that are being written, while S3 and other calls change what is around them: no command may meet a state it does
//! not know, because every peer would stop at it.

use super::file_calls::*;
use super::fixture::*;
use super::invariants;
use crate::command::FileSystemAction;
use crate::state::filesystem;
use granary_protocol::bucket::Versioning;
use granary_protocol::filesystem::*;
use granary_protocol::namenode::{ListAfter, Window};
use granary_protocol::*;

/// Puts an object of `size` bytes through S3.
fn s3_put(store: &mut Store, writer: &mut Writer, key: &str, size: u32) {
    let content = writer.pack(store, size);
    store.put_outcome(put(key, Some(content), u64::from(size)));
}

fn s3_size(store: &Store, key: &str) -> Option<u64> {
    store.get(key, None, Window::Nothing).ok().map(|found| found.object.size)
}

#[test]
fn overwriting_the_only_entry_of_a_directory_while_it_is_written_keeps_the_directory() {
    let mut store = Store::new();
    store.put_empty("d/x");
    let first = store.id(create("/bucket/d/f", "one"));
    store.delete("d/x", None);
    let second = store.id(create("/bucket/d/f", "two"));
    assert_ne!(first, second);
    invariants::check(store.view(), &store.told);
    assert_eq!(store.code(close("/bucket/d/f", first, "one", None)), ErrorCode::FileNotFound);
    assert_eq!(store.fs(close("/bucket/d/f", second, "two", None)), Ok(FsReply::Flag(true)));
    assert_eq!(store.status("/bucket/d/f").unwrap().owner, "hdfs");
    assert_eq!(store.list("", "", ListAfter::Start, 10), ["d/f"], "and nobody has asked for a folder");
    invariants::check(store.view(), &store.told);
}

#[test]
fn renaming_onto_the_only_entry_of_a_directory_while_it_is_written_keeps_the_directory() {
    for (source_is_open, source_hides) in [(false, false), (true, false), (true, true)] {
        let mut store = Store::new();
        store.put_empty("d/x");
        let target = store.id(create("/bucket/d/f", "one"));
        store.delete("d/x", None);
        if !source_is_open || source_hides {
            store.write("/bucket/s", &[7]);
        }
        let source = match (source_is_open, source_hides) {
            (false, _) => store.status("/bucket/s").unwrap().file_id,
            (true, false) => store.id(create("/bucket/s", "two")),
            (true, true) => store.id(append("/bucket/s", "two")),
        };
        let mode = FsRequest::SetPermission { path: path("/bucket/s"), permission: 0o600 };
        store.fs(mode).unwrap();
        assert_eq!(store.fs(rename("/bucket/s", "/bucket/d/f")), Ok(FsReply::Done));
        invariants::check(store.view(), &store.told);
        assert_eq!(store.code(close("/bucket/d/f", target, "one", None)), ErrorCode::FileNotFound);
        if source_is_open {
            let block = store.new_block(add_block("/bucket/d/f", source, "two", None), 3);
            assert_eq!(store.fs(close("/bucket/d/f", source, "two", Some(block))), Ok(FsReply::Flag(true)));
        }
        let status = store.status("/bucket/d/f").unwrap();
        assert_eq!((status.file_id, status.permission, status.under_construction), (source, 0o600, false));
        assert_eq!(status.length, 3 * u64::from(source_is_open) + 7 * u64::from(!source_is_open || source_hides));
        assert_eq!(store.list("", "", ListAfter::Start, 10), ["d/f"]);
        invariants::check(store.view(), &store.told);
    }
}

#[test]
fn a_name_has_one_open_file_though_s3_has_hidden_its_directory() {
    let mut store = Store::new();
    store.set_versioning(Versioning::Enabled);
    store.put_empty("d/x");
    let first = store.id(create("/bucket/d/f", "one"));
    store.delete("d/x", None);
    let mut careful = create("/bucket/d/f", "two");
    if let FsRequest::Create(create) = &mut careful {
        create.flags = CreateFlags(CreateFlags::CREATE);
    }
    assert_eq!(store.code(careful), ErrorCode::AlreadyBeingCreated);
    let second = store.id(create("/bucket/d/f", "two"));
    invariants::check(store.view(), &store.told);
    assert_eq!(store.code(add_block("/bucket/d/f", first, "one", None)), ErrorCode::FileNotFound);
    let block = store.new_block(add_block("/bucket/d/f", second, "two", None), 5);
    assert_eq!(store.fs(close("/bucket/d/f", second, "two", Some(block))), Ok(FsReply::Flag(true)));
    store.advance(LEASE_HARD_LIMIT_MS + 1);
    store.fs_action(expire("one")).unwrap();
    assert_eq!(store.status("/bucket/d/f").unwrap().length, 5);
    invariants::check(store.view(), &store.told);
}

#[test]
fn an_abandoned_append_leaves_what_s3_has_put_meanwhile() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "gateway");
    store.write("/bucket/k", &[40]);
    store.write("/bucket/empty", &[]);
    store.write("/bucket/gone", &[50]);
    for name in ["/bucket/k", "/bucket/empty", "/bucket/gone"] {
        store.id(append(name, "one"));
    }
    s3_put(&mut store, &mut writer, "k", 9);
    s3_put(&mut store, &mut writer, "empty", 8);
    store.delete("gone", None);
    store.advance(LEASE_HARD_LIMIT_MS + 1);
    store.fs_action(expire("one")).unwrap();
    let sizes = ["k", "empty", "gone"].map(|key| s3_size(&store, key));
    assert_eq!(sizes, [Some(9), Some(8), None]);
    assert!(!store.status("/bucket/k").unwrap().under_construction);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_file_taken_from_its_writer_does_not_replace_what_s3_has_put_meanwhile() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "gateway");
    store.write("/bucket/appended", &[40]);
    store.write("/bucket/moved", &[40]);
    let mut ended = Vec::new();
    for (request, name) in [
        (create("/bucket/created", "one"), "/bucket/created"),
        (append("/bucket/appended", "one"), "/bucket/appended"),
        (append("/bucket/moved", "one"), "/bucket/moved"),
    ] {
        let id = store.id(request);
        let block = store.new_block(add_block(name, id, "one", None), 100);
        ended.push((id, block));
    }
    s3_put(&mut store, &mut writer, "created", 9);
    s3_put(&mut store, &mut writer, "appended", 8);
    // What it was opened over goes along: nobody has put that since.
    store.fs(rename("/bucket/moved", "/bucket/elsewhere")).unwrap();
    store.advance(LEASE_HARD_LIMIT_MS + 1);
    store.fs_action(expire("one")).unwrap();
    for (file, last) in ended {
        let (block, members) = (last.block, vec![VolumeId(1)]);
        store.fs_action(FileSystemAction::FinishRecovery { file, block, length: 100, members }).unwrap();
    }
    let sizes = ["created", "appended", "elsewhere"].map(|key| s3_size(&store, key));
    assert_eq!(sizes, [Some(9), Some(8), Some(140)]);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_writer_that_lives_replaces_what_s3_has_put_meanwhile() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "gateway");
    let id = store.id(create("/bucket/f", "one"));
    s3_put(&mut store, &mut writer, "f", 9);
    let block = store.new_block(add_block("/bucket/f", id, "one", None), 100);
    assert_eq!(store.fs(close("/bucket/f", id, "one", Some(block))), Ok(FsReply::Flag(true)));
    assert_eq!(s3_size(&store, "f"), Some(100));
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_file_whose_key_has_become_longer_than_s3_allows_can_be_closed_renamed_and_deleted() {
    let mut store = Store::new();
    let long = ["n".repeat(250), "n".repeat(250), "n".repeat(250)].join("/");
    let [deep, short] = [format!("/bucket/a/{long}"), "/bucket/a".to_owned()];
    let closed = format!("{deep}/closed");
    store.write(&closed, &[4]);
    let named = store.id(create(&format!("{deep}/open"), "one"));
    let abandoned = store.id(create(&format!("{deep}/abandoned"), "two"));
    let discarded = store.id(create(&format!("{deep}/discarded"), "one"));
    let moved = store.id(create(&format!("{deep}/moved"), "one"));
    store.fs(mkdirs(&format!("/bucket/{long}"))).unwrap();
    let now = format!("/bucket/{long}/a");
    store.fs(rename(&short, &now)).unwrap();
    let name = |name: &str| format!("{now}/{long}/{name}");
    assert!(name("closed").len() > 1_024 + "/bucket/".len());
    invariants::check(store.view(), &store.told);

    let block = store.new_block(add_block(&name("open"), named, "one", None), 6);
    assert_eq!(store.fs(close(&name("open"), named, "one", Some(block))), Ok(FsReply::Flag(true)));
    assert_eq!(store.fs(rename(&name("moved"), "/bucket/moved")), Ok(FsReply::Done));
    assert_eq!(store.fs(close("/bucket/moved", moved, "one", None)), Ok(FsReply::Flag(true)));
    assert_eq!(store.fs(delete(&name("discarded"), false)), Ok(FsReply::Flag(true)));
    assert_eq!(store.code(close(&name("discarded"), discarded, "one", None)), ErrorCode::FileNotFound);
    store.advance(LEASE_HARD_LIMIT_MS + 1);
    store.fs_action(expire("two")).unwrap();
    assert_eq!(store.status(&name("abandoned")).unwrap().file_id, abandoned);
    assert_eq!(store.fs(rename(&name("closed"), "/bucket/closed")), Ok(FsReply::Done));
    invariants::check(store.view(), &store.told);
    for name in [name("open"), name("abandoned")] {
        assert!(!store.status(&name).unwrap().under_construction);
        assert_eq!(store.fs(delete(&name, false)), Ok(FsReply::Flag(true)));
    }
    assert_eq!(store.fs(delete(&format!("{now}/{long}"), false)), Ok(FsReply::Flag(true)), "it is empty and stays so");
    invariants::check(store.view(), &store.told);
}

#[test]
fn two_files_of_one_number_are_not_open_at_once() {
    let mut store = Store::new();
    store.set_versioning(Versioning::Enabled);
    store.put_empty("k");
    store.fs(rename("/bucket/k", "/bucket/moved")).unwrap();
    let marker = marker_of(&store, "k");
    store.delete("k", Some(marker));
    let first = store.id(append("/bucket/k", "one"));
    let second = store.id(append("/bucket/moved", "two"));
    assert_ne!(first, second);
    invariants::check(store.view(), &store.told);
    assert_eq!(store.fs(close("/bucket/moved", second, "two", None)), Ok(FsReply::Flag(true)));
    assert!(store.status("/bucket/k").unwrap().under_construction);
    assert_eq!(store.fs(close("/bucket/k", first, "one", None)), Ok(FsReply::Flag(true)));
    invariants::check(store.view(), &store.told);
}

/// The delete marker that is the current version of a key.
fn marker_of(store: &Store, key: &str) -> VersionId {
    match store.get(key, None, Window::Nothing) {
        Err(ErrorCode::DeleteMarker { version, .. }) => version,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_recovered_keeps_nothing_else_waiting() {
    let mut store = Store::new();
    let mut ids = Vec::new();
    for number in 0..300 {
        let (name, holder) = (format!("/bucket/f{number}"), format!("w{number:03}"));
        let id = store.id(create(&name, &holder));
        store.new_block(add_block(&name, id, &holder, None), 0);
        ids.push(id);
    }
    store.advance(LEASE_HARD_LIMIT_MS + 1);
    let expired = |store: &Store, after: &str| filesystem::expired_holders(store.view(), after, store.now()).unwrap();
    let first = expired(&store, "");
    assert_eq!((first.len(), first[0].as_str()), (filesystem::EXPIRED_HOLDERS_MAX, "w000"));
    assert_eq!(expired(&store, first.last().unwrap())[0], format!("w{:03}", filesystem::EXPIRED_HOLDERS_MAX));
    assert_eq!(expired(&store, "w299"), Vec::<String>::new());
    // Some files at a time, and the leases stay until there are no more of theirs.
    let mut looks = 0;
    loop {
        let holders = expired(&store, "");
        if holders.is_empty() {
            break;
        }
        store.fs_action(FileSystemAction::ExpireHolders { holders }).unwrap();
        looks += 1;
        assert!(looks < 10, "300 files, a hundred at a time");
    }
    let (mut seen, mut after, mut looks) = (Vec::new(), FileId(0), 0);
    loop {
        let (files, next) = filesystem::recovering(store.view(), after).unwrap();
        seen.extend(files.iter().map(|file| file.file));
        looks += 1;
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    ids.sort();
    assert_eq!((seen, looks), (ids, 2));
}

#[test]
fn small_files_that_want_few_replicas_keep_no_other_from_being_packed() {
    let mut store = Store::new();
    for number in 0..600 {
        store.write(&format!("/bucket/f{number}"), &[1000]);
    }
    for number in 0..590 {
        let path = path(&format!("/bucket/f{number}"));
        store.fs(FsRequest::SetReplication { path, replication: 1 }).unwrap();
    }
    store.advance(60_000);
    let look = |after| filesystem::small_contents(store.view(), after, store.now(), 2).unwrap();
    let (found, next) = look(ContentId(0));
    assert_eq!(found, []);
    let (found, next) = look(next.expect("there are more"));
    assert_eq!((found.len(), next), (10, None));
}

#[test]
fn a_tree_of_a_bucket_with_versions_goes_with_what_is_written_in_it() {
    let mut store = Store::new();
    store.set_versioning(Versioning::Enabled);
    store.fs(mkdirs("/bucket/d/e/f")).unwrap();
    let inner = store.id(create("/bucket/d/e/f/inner", "one"));
    for number in 0..600 {
        store.id(create(&format!("/bucket/d/e/{number}"), "two"));
    }
    let mut after = None;
    let mut pages = 0;
    loop {
        let page = FileSystemAction::DeletePage { caller: superuser(), path: path("/bucket/d"), after };
        pages += 1;
        match store.fs_action(page).unwrap() {
            FsReply::Progress { after: Some(next) } => after = Some(next),
            FsReply::Progress { after: None } => break,
            other => panic!("{other:?}"),
        }
        assert!(pages < 10);
    }
    assert_eq!(store.fs(delete("/bucket/d", true)), Ok(FsReply::Flag(true)));
    assert_eq!(store.code(close("/bucket/d/e/f/inner", inner, "one", None)), ErrorCode::FileNotFound);
    store.advance(LEASE_HARD_LIMIT_MS + 1);
    for holder in ["one", "two"] {
        store.fs_action(expire(holder)).unwrap();
    }
    assert_eq!(store.status("/bucket/d"), None, "nothing comes back");
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_file_is_not_closed_without_the_block_that_readers_have_seen_bytes_of() {
    let mut store = Store::new();
    let id = store.id(create("/bucket/f", "w"));
    let block = store.new_block(add_block("/bucket/f", id, "w", None), 70);
    let fsync = FsRequest::Fsync { path: path("/bucket/f"), file: id, holder: "w".to_owned(), length: Some(50) };
    assert_eq!(store.fs(fsync), Ok(FsReply::Done));
    assert_eq!(store.code(close("/bucket/f", id, "w", None)), ErrorCode::FileSystemRefused);
    assert_eq!(store.fs(close("/bucket/f", id, "w", Some(block))), Ok(FsReply::Flag(true)));
    assert_eq!(store.status("/bucket/f").unwrap().length, 70);
    invariants::check(store.view(), &store.told);
}

#[test]
fn archived_bytes_are_not_made_readable_by_joining_them() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "gateway");
    s3_put(&mut store, &mut writer, "standard", 10);
    let content = writer.pack(&mut store, 20);
    let crate::command::Action::PutObject(mut archived) = put("archived", Some(content), 20) else { unreachable!() };
    archived.object.class = object::StorageClass::Glacier;
    store.put_outcome(crate::command::Action::PutObject(archived));
    let concat = |target: &str, source: &str| FsRequest::Concat { target: path(target), sources: vec![path(source)] };
    assert_eq!(store.code(concat("/bucket/standard", "/bucket/archived")), ErrorCode::Unsupported);
    assert_eq!(store.code(concat("/bucket/archived", "/bucket/standard")), ErrorCode::Unsupported);
    assert_eq!(store.code(append("/bucket/archived", "w")), ErrorCode::Unsupported);
    let truncate = FsRequest::Truncate { path: path("/bucket/archived"), length: 5, holder: "w".to_owned() };
    assert_eq!(store.code(truncate), ErrorCode::Unsupported);
    invariants::check(store.view(), &store.told);
}

#[test]
fn no_client_is_the_one_that_recovers() {
    let mut store = Store::new();
    let id = store.id(create("/bucket/f", "w"));
    let block = store.new_block(add_block("/bucket/f", id, "w", None), 70);
    store.advance(LEASE_HARD_LIMIT_MS + 1);
    store.fs_action(expire("w")).unwrap();
    let holder = "HDFS_NameNode".to_owned();
    let abandon = FsRequest::AbandonBlock { path: path("/bucket/f"), file: id, holder: holder.clone(), block };
    assert_eq!(store.code(abandon), ErrorCode::FileLeaseExpired);
    assert_eq!(store.code(close("/bucket/f", id, &holder, Some(block))), ErrorCode::FileLeaseExpired);
    assert_eq!(store.code(FsRequest::UpdateBlockForPipeline { block, holder }), ErrorCode::FileLeaseExpired);
    assert_eq!(filesystem::recovering(store.view(), FileId(0)).unwrap().0.len(), 1);
}

#[test]
fn a_directory_that_leaves_takes_no_marker_for_what_s3_has_never_listed() {
    let mut store = Store::new();
    store.put_empty("d/x");
    let id = store.id(create("/bucket/d/e/open", "w"));
    store.delete("d/e/", None);
    assert_eq!(store.fs(rename("/bucket/d/e", "/bucket/e")), Ok(FsReply::Done));
    assert_eq!(store.list("", "", ListAfter::Start, 10), ["d/x"], "d stays without a folder of its own");
    assert_eq!(store.fs(close("/bucket/e/open", id, "w", None)), Ok(FsReply::Flag(true)));
    invariants::check(store.view(), &store.told);
}
