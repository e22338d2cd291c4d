//! What the calls of the file system promise, one by one.

use super::file_calls::*;
use super::fixture::*;
use super::invariants;
use crate::command::{Action, FileSystemAction};
use crate::state::filesystem::{self, Answer};
use granary_protocol::bucket::Versioning;
use granary_protocol::filesystem::*;
use granary_protocol::namenode::{ListAfter, Window};
use granary_protocol::*;

#[test]
fn a_file_is_an_object_once_it_is_closed() {
    let mut store = Store::new();
    let id = store.id(create("/bucket/d/f", "w"));
    assert!(store.status("/bucket/d/f").unwrap().under_construction);
    assert!(store.get("d/f", None, Window::Nothing).unwrap_err().absent(), "S3 does not see it yet");
    assert_eq!(store.list("", "", ListAfter::Start, 10), ["d/"]);
    let first = store.new_block(add_block("/bucket/d/f", id, "w", None), 128 << 20);
    let second = store.new_block(add_block("/bucket/d/f", id, "w", Some(first)), 77);
    assert_eq!(store.located("/bucket/d/f").blocks.len(), 1, "the first is complete");
    let fsync = FsRequest::Fsync { path: path("/bucket/d/f"), file: id, holder: "w".to_owned(), length: Some(50) };
    assert_eq!(store.fs(fsync), Ok(FsReply::Done));
    assert_eq!(store.status("/bucket/d/f").unwrap().length, (128 << 20) + 50);
    assert_eq!(store.located("/bucket/d/f").last.unwrap().extent.length, 50);
    assert_eq!(store.fs(close("/bucket/d/f", id, "w", Some(second))), Ok(FsReply::Flag(true)));
    let found = store.get("d/f", None, Window::Range { first: 0, last: None }).unwrap();
    assert_eq!((found.object.size, found.extents.len()), ((128 << 20) + 77, 2));
    assert!(found.object.etag.parts.is_some(), "its tag is no MD5");
    let status = store.status("/bucket/d/f").unwrap();
    assert_eq!((status.file_id, status.owner.as_str(), status.permission), (id, "hdfs", 0o644));
    assert_eq!((status.replication, status.under_construction), (2, false));
    // The answer was lost.
    assert_eq!(store.fs(close("/bucket/d/f", id, "w", Some(second))), Ok(FsReply::Flag(true)));
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_repeated_add_block_gets_the_same_block() {
    let mut store = Store::new();
    let id = store.id(create("/bucket/f", "w"));
    let first = store.new_block(add_block("/bucket/f", id, "w", None), 5);
    assert_eq!(store.new_block(add_block("/bucket/f", id, "w", None), 5), first);
    let second = store.new_block(add_block("/bucket/f", id, "w", Some(first)), 6);
    assert_eq!(store.new_block(add_block("/bucket/f", id, "w", Some(first)), 6), second);
    assert_eq!(store.code(add_block("/bucket/f", id, "other", Some(second))), ErrorCode::FileLeaseExpired);
    let abandon = FsRequest::AbandonBlock { path: path("/bucket/f"), file: id, holder: "w".to_owned(), block: second };
    assert_eq!(store.fs(abandon.clone()), Ok(FsReply::Done));
    assert_eq!(store.fs(abandon), Ok(FsReply::Done));
    let third = store.new_block(add_block("/bucket/f", id, "w", Some(first)), 9);
    assert_ne!(third.block, second.block);
    assert_eq!(store.fs(close("/bucket/f", id, "w", Some(third))), Ok(FsReply::Flag(true)));
    assert_eq!(store.status("/bucket/f").unwrap().length, 14);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_directory_of_many_is_renamed_and_deleted_by_one_row() {
    let mut store = Store::new();
    store.fs(mkdirs("/bucket/a/b")).unwrap();
    for number in 0..300 {
        store.put_empty(&format!("a/b/{number}"));
    }
    let open = store.id(create("/bucket/a/b/open", "w"));
    let rename = FsRequest::Rename { from: path("/bucket/a"), to: path("/bucket/z") };
    assert_eq!(store.fs(rename), Ok(FsReply::Flag(true)));
    assert_eq!(store.status("/bucket/a"), None);
    assert_eq!(store.list("z/b/", "", ListAfter::Start, 1000).len(), 301);
    // Its writer need not know.
    let last = store.new_block(add_block("/bucket/a/b/open", open, "w", None), 3);
    assert_eq!(store.fs(close("/bucket/a/b/open", open, "w", Some(last))), Ok(FsReply::Flag(true)));
    assert_eq!(store.status("/bucket/z/b/open").unwrap().length, 3);

    assert_eq!(
        store.code(FsRequest::Delete { path: path("/bucket/z"), recursive: false }),
        ErrorCode::DirectoryNotEmpty
    );
    assert_eq!(store.fs(FsRequest::Delete { path: path("/bucket/z"), recursive: true }), Ok(FsReply::Flag(true)));
    assert_eq!(store.list("", "", ListAfter::Start, 1000), Vec::<String>::new());
    invariants::check(store.view(), &store.told);
    while filesystem::next_detached(store.view(), DirectoryId(0)).unwrap().is_some() {
        store.fs_action(FileSystemAction::Reclaim).unwrap();
        invariants::check(store.view(), &store.told);
    }
    assert_eq!(crate::state::counters(store.view()).unwrap().objects, 0);
    assert!(store.told.is_empty(), "the file's block is gone");
}

#[test]
fn a_deleted_tree_of_many_directories_is_gone_through_in_steps() {
    let mut store = Store::new();
    for number in 0..200 {
        store.fs(mkdirs(&format!("/bucket/a/{}/{number}/leaf", number % 3))).unwrap();
    }
    let directories = crate::state::counters(store.view()).unwrap().objects;
    assert_eq!(store.fs(delete("/bucket/a", true)), Ok(FsReply::Flag(true)));
    let (mut from, mut steps) = (DirectoryId(0), 0);
    // As the leader does: each step goes on where the next one is, and at last from the beginning.
    loop {
        match filesystem::next_detached(store.view(), from).unwrap() {
            Some(directory) => {
                from = directory;
                store.fs_action(FileSystemAction::ReclaimFrom { directory }).unwrap();
                invariants::check(store.view(), &store.told);
                steps += 1;
            }
            None if from > DirectoryId(0) => from = DirectoryId(0),
            None => break,
        }
    }
    assert!((5..200).contains(&steps), "{steps} steps for {directories} markers");
    assert_eq!(crate::state::counters(store.view()).unwrap().objects, 0);
}

#[test]
fn bytes_in_clear_are_known_before_they_come_into_a_bucket_that_encrypts() {
    let mut store = Store::new();
    store.fs(mkdirs("/sealed/d")).unwrap();
    store.write("/bucket/clear", &[4]);
    store.write("/sealed/before", &[4]);
    let append = |of: &str| FsRequest::Append { path: path(of), holder: "w".to_owned() };
    let rename = |from: &str, to: &str| FsRequest::Rename { from: path(from), to: path(to) };
    let judged = |store: &Store, request: &FsRequest| filesystem::clear_bytes_for(store.view(), request).unwrap();
    assert_eq!(judged(&store, &create("/sealed/d/f", "w")), None);
    let document = Some(bytes::Bytes::from_static(b"whatever it says"));
    let kind = granary_protocol::bucket::BucketDocument::Encryption;
    store.done(Action::SetBucketDocument { bucket: "sealed".into(), kind, document });
    let sealed = Some(BucketName::from("sealed"));
    for request in [
        create("/sealed/d/f", "w"),
        append("/sealed/before"),
        rename("/bucket/clear", "/sealed/d"),
        FsRequest::Rename2 { from: path("/bucket/clear"), to: path("/sealed/x"), overwrite: true },
    ] {
        assert_eq!(judged(&store, &request), sealed, "{request:?}");
    }
    for request in [
        create("/bucket/f", "w"),
        create("/nowhere/f", "w"),
        mkdirs("/sealed/e"),
        rename("/sealed/before", "/sealed/d"),
        rename("/sealed/before", "/bucket/x"),
        rename("/bucket/nothing", "/sealed/d"),
        delete("/sealed/before", false),
    ] {
        assert_eq!(judged(&store, &request), None, "{request:?}");
    }
}

#[test]
fn rename_2_tells_why_not() {
    let mut store = Store::new();
    store.fs(mkdirs("/bucket/d/e")).unwrap();
    store.write("/bucket/f", &[4]);
    store.write("/bucket/g", &[5]);
    let mut rename = |from: &str, to: &str, overwrite| {
        store.fs(FsRequest::Rename2 { from: path(from), to: path(to), overwrite }).map_err(|failure| failure.code)
    };
    assert_eq!(rename("/bucket/x", "/bucket/y", true), Err(ErrorCode::FileNotFound));
    assert_eq!(rename("/bucket/f", "/bucket/f", true), Err(ErrorCode::FileAlreadyExists));
    assert_eq!(rename("/bucket/f", "/bucket/g", false), Err(ErrorCode::FileAlreadyExists));
    assert_eq!(rename("/bucket/f", "/bucket/d", true), Err(ErrorCode::FileSystemRefused));
    assert_eq!(rename("/bucket/d", "/bucket/d/e/x", true), Err(ErrorCode::FileSystemRefused));
    assert_eq!(rename("/bucket/f", "/bucket/no/f", true), Err(ErrorCode::FileNotFound));
    assert_eq!(rename("/bucket/d/e", "/bucket/g/e", true), Err(ErrorCode::ParentNotDirectory));
    assert_eq!(rename("/bucket/f", "/bucket/g", true), Ok(FsReply::Done));
    assert_eq!(store.status("/bucket/g").unwrap().length, 4);
    assert_eq!(store.status("/bucket/f"), None);
    invariants::check(store.view(), &store.told);
}

#[test]
fn versions_stay_whatever_hadoop_does() {
    let mut store = Store::new();
    store.set_versioning(Versioning::Enabled);
    let old = store.put_empty("d/f").version;
    store.write("/bucket/d/f", &[7]);
    store.write("/bucket/d/tmp", &[8]);
    let rename = FsRequest::Rename2 { from: path("/bucket/d/tmp"), to: path("/bucket/d/f"), overwrite: true };
    assert_eq!(store.fs(rename), Ok(FsReply::Done));
    assert_eq!(store.status("/bucket/d/f").unwrap().length, 8);
    assert_eq!(store.status("/bucket/d/tmp"), None);
    assert!(store.get("d/f", Some(old), Window::Nothing).is_ok());
    let page = |after| FileSystemAction::DeletePage { caller: superuser(), path: path("/bucket/d"), after };
    assert_eq!(store.fs_action(page(None)), Ok(FsReply::Progress { after: None }));
    assert_eq!(store.fs(FsRequest::Delete { path: path("/bucket/d"), recursive: true }), Ok(FsReply::Flag(true)));
    assert_eq!(store.status("/bucket/d"), None);
    assert!(store.get("d/f", Some(old), Window::Nothing).is_ok(), "and the old version stays");
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_call_that_comes_again_is_answered_as_the_first_time() {
    let mut store = Store::new();
    store.write("/bucket/f", &[4]);
    let call = |number, request| FsCall {
        caller: superuser(),
        retry: Some(RetryId { client: [7; 16], call: number }),
        request,
    };
    let rename = FsRequest::Rename { from: path("/bucket/f"), to: path("/bucket/g") };
    assert_eq!(store.fs_call(call(1, rename.clone())), Ok(FsReply::Flag(true)));
    assert_eq!(store.fs_call(call(1, rename.clone())), Ok(FsReply::Flag(true)), "it is remembered");
    assert_eq!(store.fs_call(call(2, rename.clone())), Ok(FsReply::Flag(false)), "another call");
    let created = store.fs_call(call(3, create("/bucket/h", "w"))).unwrap();
    assert_eq!(store.fs_call(call(3, create("/bucket/h", "w"))), Ok(created));
    let delete = FsRequest::Delete { path: path("/bucket/g"), recursive: false };
    let recalled = |store: &Store, call| filesystem::recalled(store.view(), &call, store.now()).unwrap();
    assert_eq!(recalled(&store, call(4, delete.clone())), None);
    assert_eq!(store.fs_call(call(4, delete.clone())), Ok(FsReply::Flag(true)));
    // Who deletes a tree page by page asks before it begins.
    assert_eq!(recalled(&store, call(4, delete.clone())), Some(FsReply::Flag(true)));
    assert_eq!(store.fs_call(call(4, delete.clone())), Ok(FsReply::Flag(true)));
    store.advance(2 * RETRY_MEMORY_MS);
    assert_eq!(store.fs_call(call(4, delete)), Ok(FsReply::Flag(false)), "it is forgotten");
    invariants::check(store.view(), &store.told);
}

#[test]
fn outcomes_of_clients_that_call_once_are_forgotten_too() {
    let mut store = Store::new();
    let mut call_once = |client: u8| {
        let request = FsRequest::Delete { path: path("/bucket/none"), recursive: false };
        let retry = Some(RetryId { client: [client; 16], call: 1 });
        store.fs_call(FsCall { caller: superuser(), retry, request }).unwrap();
        store.advance(RETRY_MEMORY_MS / 10);
        store.view().scan(&[crate::state::layout::RETRY], Some(&[crate::state::layout::RETRY + 1])).count()
    };
    let remembered: Vec<usize> = (0..=255).map(&mut call_once).collect();
    // Those of two slots, and of the calls since one of them last looked.
    assert!(*remembered.iter().max().unwrap() <= 2 * 10 + 1 + 64, "{remembered:?}");
}

#[test]
fn a_silent_writer_loses_its_file_at_the_length_all_members_have() {
    let mut store = Store::new();
    let id = store.id(create("/bucket/f", "w"));
    let first = store.new_block(add_block("/bucket/f", id, "w", None), 1000);
    let second = store.new_block(add_block("/bucket/f", id, "w", Some(first)), 0);
    let again = FsRequest::Append { path: path("/bucket/f"), holder: "v".to_owned() };
    assert_eq!(store.code(again.clone()), ErrorCode::AlreadyBeingCreated);
    store.advance(LEASE_SOFT_LIMIT_MS + 1_000);
    assert_eq!(store.code(again.clone()), ErrorCode::RecoveryInProgress);
    let recover = FileSystemAction::RecoverPath { path: path("/bucket/f") };
    assert_eq!(store.fs_action(recover), Ok(FsReply::Flag(false)), "a block is open");
    assert_eq!(store.code(add_block("/bucket/f", id, "w", Some(second))), ErrorCode::FileLeaseExpired);
    let (files, more) = filesystem::recovering(store.view(), FileId(0)).unwrap();
    assert_eq!(more, None);
    assert_eq!((files.len(), files[0].block), (1, second.block));
    let finish = FileSystemAction::FinishRecovery {
        file: id,
        block: second.block,
        length: 300,
        members: vec![VolumeId(1), VolumeId(3)],
    };
    assert_eq!(store.fs_action(finish), Ok(FsReply::Done));
    assert_eq!(store.status("/bucket/f").unwrap().length, 1300);
    let record = store.block(second.block).unwrap();
    assert!(record.generation > second.generation);
    assert!(matches!(store.fs(again), Ok(FsReply::Appended { .. })));
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_pipeline_goes_on_under_a_promised_generation() {
    let mut store = Store::new();
    let id = store.id(create("/bucket/f", "w"));
    let block = store.new_block(add_block("/bucket/f", id, "w", None), 0);
    let promise = FsRequest::UpdateBlockForPipeline { block, holder: "w".to_owned() };
    let promised = store.new_block(promise.clone(), 10);
    let later = store.new_block(promise, 20);
    assert!(block.generation < promised.generation && promised.generation < later.generation);
    let update = |new| FsRequest::UpdatePipeline { holder: "w".to_owned(), old: block, new, members: Vec::new() };
    assert_eq!(store.fs(update(later)), Ok(FsReply::Done));
    assert_eq!(store.code(update(promised)), ErrorCode::FileSystemRefused, "an older one");
    let stale = ClientBlock { length: 25, ..promised };
    assert_eq!(store.code(close("/bucket/f", id, "w", Some(stale))), ErrorCode::FileSystemRefused);
    let last = ClientBlock { length: 25, ..later };
    assert_eq!(store.fs(close("/bucket/f", id, "w", Some(last))), Ok(FsReply::Flag(true)));
    invariants::check(store.view(), &store.told);
}

#[test]
fn mode_bits_and_the_sticky_bit_hold() {
    let mut store = Store::new();
    store.fs(mkdirs("/bucket/shared")).unwrap();
    let mode = |text: &str, permission| FsRequest::SetPermission { path: path(text), permission };
    store.fs(mode("/bucket", 0o755)).unwrap();
    store.fs(mode("/bucket/shared", 0o1777)).unwrap();
    let call = |who: &str, request| FsCall { caller: user(who), retry: None, request };
    store.fs_call(call("ann", create("/bucket/shared/f", "w"))).unwrap();
    let denied = store.fs_call(call("ann", create("/bucket/f", "w"))).unwrap_err();
    assert_eq!(denied.code, ErrorCode::AccessDenied);
    assert!(denied.detail.starts_with("Permission denied: user=ann, access=WRITE, inode=\"/bucket\":"), "{denied}");
    let delete = FsRequest::Delete { path: path("/bucket/shared/f"), recursive: false };
    let denied = store.fs_call(call("bob", delete.clone())).unwrap_err();
    assert!(denied.detail.starts_with("Permission denied by sticky bit: user=bob"), "{denied}");
    assert_eq!(store.fs_call(call("ann", delete)), Ok(FsReply::Flag(true)));
    let read = FsRequest::Locate { path: path("/bucket/secret"), offset: 0, length: 1 };
    store.put_empty("secret");
    assert_eq!(store.fs_read(&user("ann"), &read).unwrap_err().code, ErrorCode::AccessDenied, "S3's are private");
}

#[test]
fn attributes_go_with_what_they_belong_to() {
    let mut store = Store::new();
    store.write("/bucket/f", &[4]);
    let name = XAttrName { namespace: XAttrNamespace::User, name: "k".to_owned() };
    let attribute = XAttr { name: name.clone(), value: b"v".to_vec() };
    let set = |create, replace| FsRequest::SetXAttr {
        path: path("/bucket/f"),
        attribute: attribute.clone(),
        create,
        replace,
    };
    assert_eq!(store.code(set(false, true)), ErrorCode::FileSystemRefused);
    assert_eq!(store.fs(set(true, false)), Ok(FsReply::Done));
    let get = FsRequest::GetXAttrs { path: path("/bucket/f"), names: vec![name.clone()] };
    let rename = FsRequest::Rename { from: path("/bucket/f"), to: path("/bucket/g") };
    store.fs(rename).unwrap();
    let moved = FsRequest::GetXAttrs { path: path("/bucket/g"), names: vec![name] };
    assert_eq!(store.fs_read(&superuser(), &moved), Ok(Answer::Reply(FsReply::XAttrs(vec![attribute.clone()]))));
    store.put_empty("f");
    assert_eq!(store.fs_read(&superuser(), &get).unwrap_err().code, ErrorCode::XAttrNotFound);
    store.put_empty("g");
    assert_eq!(store.fs_read(&superuser(), &moved).unwrap_err().code, ErrorCode::XAttrNotFound, "overwritten by S3");
    invariants::check(store.view(), &store.told);
}

#[test]
fn files_are_joined_cut_and_lengthened_without_a_byte_moving() {
    let mut store = Store::new();
    store.write("/bucket/a", &[100, 50]);
    store.write("/bucket/b", &[30]);
    let concat = FsRequest::Concat { target: path("/bucket/a"), sources: vec![path("/bucket/b")] };
    assert_eq!(store.fs(concat), Ok(FsReply::Done));
    assert_eq!(store.status("/bucket/b"), None);
    let lengths = |store: &Store| -> Vec<u32> {
        store.located("/bucket/a").blocks.iter().map(|block| block.extent.length).collect()
    };
    assert_eq!(lengths(&store), [100, 50, 30]);
    let truncate = FsRequest::Truncate { path: path("/bucket/a"), length: 120, holder: "w".to_owned() };
    assert_eq!(store.fs(truncate), Ok(FsReply::Flag(true)));
    assert_eq!(lengths(&store), [100, 20]);
    let id = store.id(FsRequest::Append { path: path("/bucket/a"), holder: "w".to_owned() });
    let block = store.new_block(add_block("/bucket/a", id, "w", None), 11);
    assert_eq!(store.status("/bucket/a").unwrap().length, 120);
    assert_eq!(store.fs(close("/bucket/a", id, "w", Some(block))), Ok(FsReply::Flag(true)));
    assert_eq!(lengths(&store), [100, 20, 11]);
    assert_eq!(store.status("/bucket/a").unwrap().file_id, id);
    invariants::check(store.view(), &store.told);
}

#[test]
fn limits_are_kept_and_what_a_tree_takes_is_counted() {
    let mut store = Store::new();
    store.fs(mkdirs("/bucket/d/e")).unwrap();
    store.write("/bucket/d/e/f", &[10]);
    assert!(!filesystem::any_limits(store.view()).unwrap());
    let set = |names, space_bytes| FsRequest::SetQuota { path: path("/bucket/d"), names, space_bytes };
    assert_eq!(store.fs(set(Some(Some(5)), None)), Ok(FsReply::Done));
    assert_eq!(store.fs(set(None, Some(Some(100)))), Ok(FsReply::Done));
    let limited = filesystem::limits_on(store.view(), &path("/bucket/d/e/g")).unwrap();
    assert_eq!(limited.len(), 1);
    assert_eq!((limited[0].quota.names, limited[0].quota.space_bytes), (Some(5), Some(100)));
    assert_eq!(
        filesystem::taken(store.view(), &path("/bucket/d"), 3).unwrap(),
        (3, 20),
        "d, e and f with two replicas"
    );
    assert_eq!(filesystem::missing_names(store.view(), &path("/bucket/d/x/y")).unwrap(), 2);
    assert_eq!(filesystem::missing_names(store.view(), &path("/bucket/d/e")).unwrap(), 0);
    assert_eq!(store.code(set(Some(Some(0)), None)), ErrorCode::InvalidArgument);
    store.fs(FsRequest::Delete { path: path("/bucket/d"), recursive: true }).unwrap();
    store.fs_action(FileSystemAction::Reclaim).unwrap();
    assert!(!filesystem::any_limits(store.view()).unwrap(), "they went with the directory");
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_small_file_waits_to_be_packed_and_moves_as_a_record() {
    let mut store = Store::new();
    store.write("/bucket/small", &[1000]);
    store.write("/bucket/large", &[9 << 20]);
    let wanting = |store: &Store, replicas| {
        let (found, more) = filesystem::small_contents(store.view(), ContentId(0), store.now(), replicas).unwrap();
        assert_eq!(more, None);
        found
    };
    let small = |store: &Store| wanting(store, 2);
    assert_eq!(small(&store), [], "it rests first");
    store.advance(60_000);
    let found = small(&store);
    assert_eq!(found.len(), 1);
    assert_eq!(wanting(&store, 3), [], "it wants two replicas");
    let mut writer = Writer::new(&mut store, "gateway");
    let to = writer.place(&mut store, 1000);
    let step = granary_protocol::namenode::ContentMove { content: found[0].content, from: found[0].extent, to };
    let relocate = crate::command::Action::RelocateContents { lease: writer.lease, moves: vec![step] };
    assert_eq!(store.apply(relocate), Ok(granary_protocol::namenode::NamenodeReply::Alive(vec![true])));
    assert_eq!(small(&store), []);
    assert_eq!(store.located("/bucket/small").blocks[0].extent, to);
    assert!(store.block(found[0].extent.block).is_none(), "its own block has gone");
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_bucket_that_hadoop_deletes_with_what_is_in_it_leaves_nothing() {
    let mut store = Store::new();
    store.fs(mkdirs("/other/d/e")).unwrap();
    store.write("/other/d/f", &[10]);
    assert_eq!(store.fs(delete("/other/d/e", true)), Ok(FsReply::Flag(true)));
    store.id(create("/other/open", "w"));
    assert_eq!(store.fs(delete("/other", true)), Ok(FsReply::Flag(true)));
    invariants::check(store.view(), &store.told);
    while filesystem::next_detached(store.view(), DirectoryId(0)).unwrap().is_some() {
        store.fs_action(FileSystemAction::Reclaim).unwrap();
        invariants::check(store.view(), &store.told);
    }
    assert_eq!(crate::state::counters(store.view()).unwrap().objects, 0);
    assert!(store.told.is_empty());
}

#[test]
fn blocks_are_found_around_a_range_as_they_are_in_the_whole() {
    let mut store = Store::new();
    store.write("/bucket/a", &[100, 50]);
    store.write("/bucket/b", &[30]);
    store.write("/bucket/c", &[7, 8]);
    let sources = vec![path("/bucket/b"), path("/bucket/c")];
    store.fs(FsRequest::Concat { target: path("/bucket/a"), sources }).unwrap();
    let whole = store.located("/bucket/a");
    assert_eq!(whole.blocks.iter().map(|block| block.offset).collect::<Vec<_>>(), [0, 100, 150, 180, 187]);
    for (offset, length) in [(0, 1), (99, 1), (99, 2), (149, 32), (150, 30), (180, 1), (194, 1), (195, 9), (0, 195)] {
        let request = FsRequest::Locate { path: path("/bucket/a"), offset, length };
        let Ok(Answer::File(found)) = store.fs_read(&superuser(), &request) else { panic!("not a file") };
        let has = |block: &&filesystem::FoundBlock| {
            block.offset < offset + length && block.offset + u64::from(block.extent.length) > offset
        };
        let expected: Vec<_> = whole.blocks.iter().filter(has).copied().collect();
        assert_eq!((found.blocks, found.last), (expected, whole.last), "{length} from {offset}");
    }
}

#[test]
fn set_replication_leaves_a_coded_group_as_it_is() {
    let mut store = Store::new();
    store.write("/bucket/f", &[9 << 20]);
    let block = store.located("/bucket/f").blocks[0].extent.block;
    let class = object::StorageClass::StandardIa;
    store.done(Action::FormGroup { class, data: vec![block], parity: 1 });
    let mut group = None;
    crate::state::for_each_group(store.view(), |id, _| group = Some(id)).unwrap();
    store.done(Action::CommitGroup { group: group.unwrap() });
    assert_eq!(store.block(block).unwrap().replicas_wanted, 1);
    let set = FsRequest::SetReplication { path: path("/bucket/f"), replication: 3 };
    assert_eq!(store.fs(set), Ok(FsReply::Flag(true)));
    assert_eq!(store.block(block).unwrap().replicas_wanted, 1, "its redundancy is the group's");
    invariants::check(store.view(), &store.told);
}
