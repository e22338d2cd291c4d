//! Lifecycle actions on exactly what was judged, scans page by page, classes of contents, restores.

use super::fixture::*;
use super::invariants;
use crate::command::{Action, ApplyLifecycle, CopyObject, PutObject, RestoreObject};
use crate::state::filesystem::Answer;
use crate::state::{self, WaitingMoves};
use granary_protocol::bucket::{BucketDocument, RetentionMode, Versioning};
use granary_protocol::event::NewEvent;
use granary_protocol::filesystem::{FsPath, FsRequest};
use granary_protocol::lifecycle::*;
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::*;

fn revision(store: &Store) -> u64 {
    state::get_bucket_settings(store.view(), &BUCKET.into()).unwrap().revision
}

fn scan(store: &Store, limit: u32) -> Vec<ScannedVersion> {
    let (mut found, mut from) = (Vec::new(), ScanPosition::default());
    loop {
        let page = state::scan_versions(store.view(), &BUCKET.into(), "", &from, limit).unwrap();
        assert!(page.versions.len() <= limit as usize);
        found.extend(page.versions);
        match page.next {
            Some(next) => from = next,
            None => return found,
        }
    }
}

fn apply(store: &mut Store, steps: Vec<LifecycleStep>) -> Vec<Result<(), ErrorCode>> {
    let apply = ApplyLifecycle {
        bucket: BUCKET.into(),
        revision: revision(store),
        steps,
        progress: LifecycleProgress::default(),
    };
    match store.apply(Action::ApplyLifecycle(Box::new(apply))) {
        Ok(NamenodeReply::LifecycleApplied(answers)) => {
            answers.into_iter().map(|answer| answer.map_err(|failure| failure.code)).collect()
        }
        other => panic!("answered {other:?}"),
    }
}

fn step(version: &ScannedVersion, act: LifecycleAct) -> LifecycleStep {
    LifecycleStep { key: version.key.clone(), sequence: version.sequence, act, tags: None, event: None }
}

fn put_in(store: &mut Store, key: &str, content: NewContent, size: u64, class: StorageClass) {
    let put = PutObject {
        bucket: BUCKET.into(),
        key: key.into(),
        content: Some(content),
        object: NewObject { class, ..object(size) },
        condition: WriteCondition::default(),
    };
    store.put_outcome(Action::PutObject(Box::new(put)));
}

fn copy_in(store: &mut Store, source: &str, key: &str, size: u64, class: StorageClass) {
    let copy = CopyObject {
        source_bucket: BUCKET.into(),
        source_key: source.into(),
        source_version: None,
        source_etag: etag(size),
        bucket: BUCKET.into(),
        key: key.into(),
        object: NewObject { class, ..object(size) },
        condition: WriteCondition::default(),
    };
    store.put_outcome(Action::CopyObject(Box::new(copy)));
}

fn move_to(store: &mut Store, key: &str, to: StorageClass) -> Result<(), ErrorCode> {
    let version = scan(store, 100).into_iter().find(|version| version.key.as_str() == key).unwrap();
    let from = version.class;
    apply(store, vec![step(&version, LifecycleAct::Move { from, to })]).remove(0)
}

fn waiting(store: &Store) -> WaitingMoves {
    state::list_moves(store.view(), None, 100).unwrap()
}

#[test]
fn a_scan_sees_every_version_whatever_the_page() {
    let mut store = Store::new();
    store.put_empty("plain");
    store.set_versioning(Versioning::Enabled);
    for key in ["a/b/c", "a/b", "a0", "a/b/c", "a/b/c"] {
        store.put_empty(key);
    }
    store.delete("a/b/c", None);
    store.delete("gone", None);
    let all = scan(&store, 1000);
    let keys: Vec<&str> = all.iter().map(|version| version.key.as_str()).collect();
    assert_eq!(keys, ["a/b", "a/b/c", "a/b/c", "a/b/c", "a/b/c", "a0", "gone", "plain"]);
    let of_c = &all[1..5];
    assert_eq!((of_c[0].delete_marker, of_c[0].standing), (true, ScannedStanding::Current { alone: false }));
    for (newer, pair) in of_c.windows(2).enumerate() {
        let standing = ScannedStanding::Noncurrent { since: pair[0].written, newer: newer as u32 };
        assert_eq!(pair[1].standing, standing);
        assert!(pair[1].sequence < pair[0].sequence);
    }
    assert_eq!((all[6].delete_marker, all[6].standing), (true, ScannedStanding::Current { alone: true }));
    for limit in 1..9 {
        assert_eq!(scan(&store, limit), all, "pages of {limit}");
    }
    let prefixed = state::scan_versions(store.view(), &BUCKET.into(), "a/b/", &ScanPosition::default(), 10).unwrap();
    assert_eq!((prefixed.versions.len(), prefixed.next), (4, None));
}

#[test]
fn an_action_touches_what_was_judged_or_nothing() {
    let mut store = Store::new();
    store.put_empty("k");
    let judged = scan(&store, 10).remove(0);
    store.put_empty("k");
    assert_eq!(apply(&mut store, vec![step(&judged, LifecycleAct::Delete)]), [Err(ErrorCode::Conflict)]);
    let judged = scan(&store, 10).remove(0);
    let tagged = LifecycleStep {
        tags: Some(vec![Tag { key: "k".to_owned(), value: "v".to_owned() }]),
        ..step(&judged, LifecycleAct::Delete)
    };
    assert_eq!(apply(&mut store, vec![tagged]), [Err(ErrorCode::Conflict)]);
    assert_eq!(apply(&mut store, vec![step(&judged, LifecycleAct::Hide)]), [Err(ErrorCode::Conflict)]);
    let event = NewEvent { target: LIFECYCLE_TARGET.to_owned(), body: vec![1].into() };
    let told = LifecycleStep { event: Some(event), ..step(&judged, LifecycleAct::Delete) };
    assert_eq!(apply(&mut store, vec![told.clone(), told]), [Ok(()), Err(ErrorCode::Conflict)]);
    assert_eq!(scan(&store, 10), []);
    assert_eq!(state::counters(store.view()).unwrap().events, 1);
    // The settings that were judged by are others now.
    let stale = ApplyLifecycle {
        bucket: BUCKET.into(),
        revision: revision(&store) + 1,
        steps: Vec::new(),
        progress: LifecycleProgress::default(),
    };
    assert_eq!(store.refused(Action::ApplyLifecycle(Box::new(stale))), ErrorCode::Conflict);
    invariants::check(store.view(), &store.told);
}

#[test]
fn versions_are_hidden_then_deleted_then_their_marker() {
    let mut store = Store::new();
    store.set_versioning(Versioning::Enabled);
    store.put_empty("d/k");
    let current = scan(&store, 10).remove(0);
    assert_eq!(apply(&mut store, vec![step(&current, LifecycleAct::Hide)]), [Ok(())]);
    let both = scan(&store, 10);
    assert!(both[0].delete_marker && both[1].sequence == current.sequence);
    let marker = step(&both[0], LifecycleAct::Delete);
    assert_eq!(apply(&mut store, vec![marker.clone()]), [Err(ErrorCode::Conflict)]);
    assert_eq!(apply(&mut store, vec![step(&both[1], LifecycleAct::Delete), marker]), [Ok(()), Ok(())]);
    assert_eq!(scan(&store, 10), []);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_locked_version_is_neither_deleted_nor_archived() {
    let mut store = Store::new();
    store.done(create_bucket("locks", owner(), true));
    let lock = ObjectLock {
        retention: Some(Retention { mode: RetentionMode::Governance, until: UnixMillis(1_000_000) }),
        legal_hold: false,
    };
    let put = PutObject {
        bucket: "locks".into(),
        key: "k".into(),
        content: None,
        object: NewObject { lock, ..object(0) },
        condition: WriteCondition::default(),
    };
    store.put_outcome(Action::PutObject(Box::new(put)));
    let scanned = |store: &Store| {
        state::scan_versions(store.view(), &"locks".into(), "", &ScanPosition::default(), 9).unwrap().versions.remove(0)
    };
    let carry_out = |store: &mut Store, act| {
        let steps = vec![step(&scanned(store), act)];
        let revision = state::get_bucket_settings(store.view(), &"locks".into()).unwrap().revision;
        let apply = ApplyLifecycle { bucket: "locks".into(), revision, steps, progress: LifecycleProgress::default() };
        match store.apply(Action::ApplyLifecycle(Box::new(apply))) {
            Ok(NamenodeReply::LifecycleApplied(mut answers)) => answers.remove(0).map_err(|failure| failure.code),
            other => panic!("answered {other:?}"),
        }
    };
    use StorageClass::{DeepArchive, Glacier, Standard, StandardIa};
    assert_eq!(carry_out(&mut store, LifecycleAct::Delete), Err(ErrorCode::ObjectLocked));
    for to in [Glacier, DeepArchive] {
        assert_eq!(carry_out(&mut store, LifecycleAct::Move { from: Standard, to }), Err(ErrorCode::ObjectLocked));
    }
    assert_eq!(carry_out(&mut store, LifecycleAct::Move { from: Standard, to: StandardIa }), Ok(()));
    store.advance(1_000_000);
    assert_eq!(carry_out(&mut store, LifecycleAct::Move { from: StandardIa, to: Glacier }), Ok(()));
    assert_eq!(carry_out(&mut store, LifecycleAct::Delete), Ok(()));
}

#[test]
fn owned_blocks_change_their_class_and_packed_records_wait_for_a_mover() {
    use StorageClass::{Glacier, StandardIa};
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let large = writer.own(&mut store, &[64, 32]);
    let blocks: Vec<BlockId> = large.extents.iter().map(|extent| extent.block).collect();
    store.put_outcome(put("large", Some(large), 96));
    let small = writer.pack(&mut store, 50);
    let (content, from) = (small.content, small.extents[0]);
    store.put_outcome(put("small", Some(small), 50));
    assert_eq!(move_to(&mut store, "large", StandardIa), Ok(()));
    assert_eq!(move_to(&mut store, "small", StandardIa), Ok(()));
    assert!(blocks.iter().all(|block| store.block(*block).unwrap().class == StandardIa));
    assert_eq!(waiting(&store).waiting, [(content, StandardIa)]);
    invariants::check(store.view(), &store.told);
    // A mover writes it into a block of the class.
    let to = writer.place_in(&mut store, 50, StandardIa);
    let moves = vec![ContentMove { content, from, to }];
    let relocate = Action::RelocateContents { lease: writer.lease, moves };
    assert_eq!(store.apply(relocate), Ok(NamenodeReply::Alive(vec![true])));
    assert_eq!(waiting(&store), WaitingMoves::default());
    // A class the version has left is not what the action was judged for.
    let version = scan(&store, 10).into_iter().find(|version| version.key.as_str() == "small").unwrap();
    let stale = LifecycleAct::Move { from: StorageClass::Standard, to: Glacier };
    assert_eq!(apply(&mut store, vec![step(&version, stale)]), [Err(ErrorCode::Conflict)]);
    assert_eq!(move_to(&mut store, "small", Glacier), Ok(()));
    store.delete("small", None);
    assert_eq!(waiting(&store), WaitingMoves { waiting: Vec::new(), stale: vec![content] });
    store.done(Action::ForgetMoves { contents: vec![content] });
    assert_eq!(waiting(&store), WaitingMoves::default());
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_block_that_changes_its_class_asks_for_the_replicas_of_the_new_one() {
    use StorageClass::{OnezoneIa, Standard, StandardIa};
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let large = writer.own(&mut store, &[64]);
    let block = large.extents[0].block;
    store.put_outcome(put("k", Some(large), 64));
    let changes = |store: &Store| state::class_changes(store.view(), 10).unwrap();
    let wanted = |store: &Store| store.block(block).unwrap().replicas_wanted;
    let before = wanted(&store);
    assert_eq!(changes(&store), []);
    assert_eq!(move_to(&mut store, "k", OnezoneIa), Ok(()));
    assert_eq!(changes(&store), [(block, Some(OnezoneIa))]);
    // It went on meanwhile: what was planned is not what it is.
    store.done(Action::SettleClasses { blocks: vec![(block, Some((StandardIa, 7)))] });
    assert_eq!((changes(&store).len(), wanted(&store)), (1, before));
    store.done(Action::SettleClasses { blocks: vec![(block, Some((OnezoneIa, 1)))] });
    assert_eq!((changes(&store).len(), wanted(&store)), (0, 1));
    copy_in(&mut store, "k", "k", 64, Standard);
    assert_eq!(changes(&store), [(block, Some(Standard))]);
    store.delete("k", None);
    assert_eq!(changes(&store), [(block, None)]);
    store.done(Action::SettleClasses { blocks: vec![(block, None)] });
    assert_eq!(changes(&store), []);
    invariants::check(store.view(), &store.told);
}

#[test]
fn shared_bytes_are_where_the_warmest_of_their_versions_is() {
    use StorageClass::{Glacier, Standard, StandardIa};
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let block = |store: &Store, id| store.block(id).unwrap().class;
    let content = writer.own(&mut store, &[64]);
    let id = content.extents[0].block;
    put_in(&mut store, "one", content, 64, Standard);
    copy_in(&mut store, "one", "two", 64, StandardIa);
    assert_eq!(block(&store, id), Standard);
    assert_eq!(move_to(&mut store, "one", Glacier), Ok(()));
    assert_eq!(block(&store, id), StandardIa);
    store.delete("two", None);
    assert_eq!(block(&store, id), Glacier);
    // In place, to a warmer class and back.
    copy_in(&mut store, "one", "one", 64, Standard);
    assert_eq!(block(&store, id), Standard);
    copy_in(&mut store, "one", "one", 64, StandardIa);
    assert_eq!(block(&store, id), StandardIa);
    invariants::check(store.view(), &store.told);
    store.delete("one", None);
    assert_eq!(store.block(id), None);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_multipart_object_takes_its_parts_along() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    const PART: u32 = PART_BYTES_MIN as u32;
    let upload = store.create_upload("k");
    let owned = writer.own(&mut store, &[PART]);
    let block = owned.extents[0].block;
    store.done(put_part("k", upload, part_info(1, u64::from(PART)), Some(owned)));
    let packed = writer.pack(&mut store, 9);
    let content = packed.content;
    store.done(put_part("k", upload, part_info(2, 9), Some(packed)));
    store.put_outcome(complete("k", upload, &[part_info(1, u64::from(PART)), part_info(2, 9)]));
    assert_eq!(move_to(&mut store, "k", StorageClass::GlacierIr), Ok(()));
    assert_eq!(store.block(block).unwrap().class, StorageClass::GlacierIr);
    assert_eq!(waiting(&store).waiting, [(content, StorageClass::GlacierIr)]);
    invariants::check(store.view(), &store.told);
}

/// Bytes that are watched.
const WATCHED: u32 = 200_000;
const IDLE_MS: u64 = 30_000;

#[test]
fn what_is_not_read_is_kept_as_infrequent_until_it_is() {
    use StorageClass::{IntelligentTiering, StandardIa};
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let large = writer.own(&mut store, &[WATCHED]);
    let (content, block) = (large.content, large.extents[0].block);
    put_in(&mut store, "large", large, u64::from(WATCHED), IntelligentTiering);
    let packed = writer.pack(&mut store, WATCHED);
    let record = packed.content;
    put_in(&mut store, "packed", packed, u64::from(WATCHED), IntelligentTiering);
    let small = writer.pack(&mut store, 50);
    let unwatched = small.content;
    put_in(&mut store, "small", small, 50, IntelligentTiering);
    let settle = |store: &mut Store| store.done(Action::SettleTiering { idle_ms: IDLE_MS, limit: 10 });
    let is_idle =
        |store: &Store| state::is_any_idle(store.view(), UnixMillis(store.now().0.saturating_sub(IDLE_MS))).unwrap();
    let tiering = |store: &Store, content| state::tiering_of(store.view(), content).unwrap();
    store.advance(IDLE_MS / 2);
    store.done(Action::NoteAccess { contents: vec![content, unwatched] });
    store.advance(IDLE_MS / 2);
    assert!(is_idle(&store), "the packed one was not read");
    settle(&mut store);
    assert!(!is_idle(&store));
    assert_ne!(store.block(block).unwrap().class, StandardIa, "it was read meanwhile");
    assert!(tiering(&store, record).unwrap().infrequent && tiering(&store, unwatched).is_none());
    store.advance(IDLE_MS);
    settle(&mut store);
    assert_eq!(store.block(block).unwrap().class, StandardIa);
    assert!(waiting(&store).waiting.contains(&(record, StandardIa)), "{:?}", waiting(&store));
    assert!(scan(&store, 10).iter().all(|version| version.class == IntelligentTiering), "clients see no change");
    invariants::check(store.view(), &store.told);
    // A read brings it back; one of what is no longer there does nothing.
    store.delete("packed", None);
    store.done(Action::NoteAccess { contents: vec![content, record] });
    assert_eq!(store.block(block).unwrap().class, IntelligentTiering);
    assert_eq!(tiering(&store, record), None);
    store.advance(IDLE_MS);
    settle(&mut store);
    assert_eq!(store.block(block).unwrap().class, StandardIa);
    // So does a copy in the class; and leaving the class ends it.
    copy_in(&mut store, "large", "copy", u64::from(WATCHED), IntelligentTiering);
    assert_eq!(store.block(block).unwrap().class, IntelligentTiering);
    store.delete("copy", None);
    assert_eq!(move_to(&mut store, "large", StorageClass::Glacier), Ok(()));
    assert_eq!((store.block(block).unwrap().class, tiering(&store, content)), (StorageClass::Glacier, None));
    store.delete("large", None);
    store.delete("small", None);
    store.advance(IDLE_MS);
    assert!(!is_idle(&store));
    invariants::check(store.view(), &store.told);
}

fn restore(store: &mut Store, key: &str, delay_ms: u64, lasts_ms: u64) -> Result<RestoreOutcome, ErrorCode> {
    let request = RestoreObject {
        bucket: BUCKET.into(),
        key: key.into(),
        version: None,
        tier: RestoreTier::Standard,
        delay_ms,
        lasts_ms,
    };
    match store.apply(Action::RestoreObject(Box::new(request))) {
        Ok(NamenodeReply::Restored(outcome)) => Ok(outcome),
        Err(failure) => Err(failure.code),
        other => panic!("answered {other:?}"),
    }
}

fn settle(store: &mut Store) -> u32 {
    match store.apply(Action::SettleRestores { limit: 10 }) {
        Ok(NamenodeReply::RestoresSettled(settled)) => settled,
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn a_restore_is_two_moments_and_both_are_told() {
    let mut store = Store::new();
    let document = Some(vec![1].into());
    store.done(Action::SetBucketDocument { bucket: BUCKET.into(), kind: BucketDocument::Notification, document });
    store.put_empty("k");
    assert_eq!(restore(&mut store, "k", 1, 1), Err(ErrorCode::InvalidBucketState));
    assert_eq!(move_to(&mut store, "k", StorageClass::Glacier), Ok(()));
    let Ok(RestoreOutcome::Begun(begun)) = restore(&mut store, "k", 1_000, 5_000) else { panic!("it begins") };
    let asked = || vec![("k".into(), VersionId::NULL), ("other".into(), VersionId::NULL)];
    let restores = |store: &Store| state::get_restores(store.view(), &BUCKET.into(), &asked()).unwrap();
    assert_eq!(restores(&store), [Some(begun), None]);
    assert!(!begun.is_readable(store.now()));
    assert_eq!(restore(&mut store, "k", 1_000, 5_000), Ok(RestoreOutcome::InProgress(begun)));
    assert_eq!(settle(&mut store), 0);
    store.advance(1_000);
    assert!(begun.is_readable(store.now()));
    assert_eq!(settle(&mut store), 1);
    let Ok(RestoreOutcome::Extended(extended)) = restore(&mut store, "k", 9, 60_000) else { panic!("it is extended") };
    assert!(extended.expires > begun.expires && extended.ready == begun.ready);
    store.advance(10_000);
    assert_eq!((settle(&mut store), restores(&store)[0]), (0, Some(extended)));
    store.advance(60_000);
    assert!(!extended.is_readable(store.now()));
    assert_eq!((settle(&mut store), restores(&store)[0]), (1, None));
    assert_eq!(state::counters(store.view()).unwrap().events, 2);
    // A restore goes with its version.
    restore(&mut store, "k", 1, 1).unwrap();
    store.delete("k", None);
    store.advance(10);
    assert_eq!((settle(&mut store), state::count_restores(store.view()).unwrap()), (0, 0));
}

#[test]
fn progress_goes_with_its_bucket() {
    let mut store = Store::new();
    let document = Some(vec![1].into());
    store.done(Action::SetBucketDocument { bucket: BUCKET.into(), kind: BucketDocument::Lifecycle, document });
    store.create_bucket("other");
    apply(&mut store, Vec::new());
    let (buckets, next) = state::list_lifecycle_buckets(store.view(), None, 1).unwrap();
    assert_eq!((buckets.len(), next.clone()), (1, Some(BUCKET.into())));
    assert_eq!(buckets[0].progress, Some(LifecycleProgress::default()));
    let (buckets, next) = state::list_lifecycle_buckets(store.view(), next.as_ref(), 9).unwrap();
    assert_eq!((buckets.len(), next), (0, None));
    assert_eq!(state::list_progress(store.view()).unwrap().len(), 1);
    store.done(Action::DeleteBucket { bucket: BUCKET.into() });
    store.create_bucket(BUCKET);
    assert_eq!(state::list_progress(store.view()).unwrap(), []);
}

#[test]
fn a_hadoop_client_reads_an_archived_file_only_while_it_is_restored() {
    let mut store = Store::new();
    store.put_empty("k");
    let readable = |store: &Store| {
        let path = FsPath::parse(&format!("/{BUCKET}/k")).unwrap();
        let request = FsRequest::Locate { path, offset: 0, length: u64::MAX };
        match store.fs_read(&superuser(), &request).unwrap() {
            Answer::File(found) => found.is_readable(store.now()),
            other => panic!("{other:?}"),
        }
    };
    assert!(readable(&store));
    assert_eq!(move_to(&mut store, "k", StorageClass::DeepArchive), Ok(()));
    assert!(!readable(&store));
    restore(&mut store, "k", 1_000, 5_000).unwrap();
    assert!(!readable(&store));
    store.advance(1_000);
    assert!(readable(&store));
    store.advance(5_000);
    assert!(!readable(&store));
}
