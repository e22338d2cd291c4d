//! Multipart uploads, by example.

use super::fixture::*;
use super::invariants;
use crate::command::Action;
use crate::state;
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::*;

const FIVE_MIB: u32 = 5 << 20;

fn upload_parts(store: &mut Store, writer: &mut Writer, key: &str, sizes: &[(u16, u32)]) -> (UploadId, Vec<PartInfo>) {
    let upload = store.create_upload(key);
    let mut parts = Vec::new();
    for (number, size) in sizes {
        let part = part_info(*number, u64::from(*size));
        let content = (*size > 0).then(|| writer.pack(store, *size));
        store.done(put_part(key, upload, part.clone(), content));
        parts.push(part);
    }
    (upload, parts)
}

#[test]
fn parts_are_concatenated_and_can_be_read_alone() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let sizes = [(1, FIVE_MIB), (4, FIVE_MIB + 1), (9, 17)];
    let (upload, parts) = upload_parts(&mut store, &mut writer, "a/k", &sizes);
    let outcome = store.put_outcome(complete("a/k", upload, &parts));
    let all = store.get("a/k", None, Window::Range { first: 0, last: None }).unwrap();
    assert_eq!((all.object.size, all.parts_count), (u64::from(2 * FIVE_MIB) + 18, 3));
    assert_eq!(all.extents.len(), 3);
    let second = store.get("a/k", None, Window::Part { number: 4 }).unwrap();
    assert_eq!((second.offset, second.length), (u64::from(FIVE_MIB), u64::from(FIVE_MIB) + 1));
    assert_eq!(second.part.map(|part| part.number), Some(4));
    assert_eq!(store.get("a/k", None, Window::Part { number: 2 }), Err(ErrorCode::InvalidPartNumber));

    // Done again: the same answer, until the object is another.
    assert_eq!(store.put_outcome(complete("a/k", upload, &parts)), outcome);
    store.put_empty("a/k");
    assert_eq!(store.refused(complete("a/k", upload, &parts)), ErrorCode::NoSuchUpload);
    assert_eq!(state::counters(store.view()).unwrap().content_bytes, 0);
    invariants::check(store.view(), &store.told);
}

#[test]
fn what_is_not_named_is_freed() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let (upload, parts) = upload_parts(&mut store, &mut writer, "k", &[(1, 10), (2, 20), (3, 30)]);
    store.put_outcome(complete("k", upload, &parts[1..2]));
    assert_eq!(state::counters(store.view()).unwrap().content_bytes, 20);
    invariants::check(store.view(), &store.told);
}

#[test]
fn bad_lists_of_parts_are_refused() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let (upload, parts) = upload_parts(&mut store, &mut writer, "k", &[(1, 10), (2, 20)]);
    assert_eq!(store.refused(complete("k", upload, &[])), ErrorCode::InvalidArgument);
    assert_eq!(store.refused(complete("k", upload, &parts)), ErrorCode::EntityTooSmall);
    let reversed = [parts[1].clone(), parts[0].clone()];
    assert_eq!(store.refused(complete("k", upload, &reversed)), ErrorCode::InvalidPartOrder);
    let twice = [parts[0].clone(), parts[0].clone()];
    assert_eq!(store.refused(complete("k", upload, &twice)), ErrorCode::InvalidPartOrder);
    assert_eq!(store.refused(complete("k", upload, &[part_info(1, 11)])), ErrorCode::InvalidPart);
    assert_eq!(store.refused(complete("k", upload, &[part_info(3, 10)])), ErrorCode::InvalidPart);
    let checksum =
        ObjectChecksum { algorithm: ChecksumAlgorithm::Crc32, kind: ChecksumType::Composite, value: vec![0; 4] };
    let Action::CompleteUpload(mut named) = complete("k", upload, &parts[..1]) else { unreachable!() };
    named.parts[0].checksum = Some(checksum);
    assert_eq!(store.refused(Action::CompleteUpload(named)), ErrorCode::InvalidPart);
    let Action::CompleteUpload(mut conditional) = complete("k", upload, &parts[..1]) else { unreachable!() };
    conditional.condition.if_match = Some(None);
    assert_eq!(store.refused(Action::CompleteUpload(conditional)), ErrorCode::NoSuchKey);
    for number in [0, PARTS_MAX + 1] {
        assert_eq!(store.refused(put_part("k", upload, part_info(number, 0), None)), ErrorCode::InvalidArgument);
    }
    let too_large = part_info(1, PART_BYTES_MAX + 1);
    assert_eq!(store.refused(put_part("k", upload, too_large, None)), ErrorCode::EntityTooLarge);
    assert_eq!(store.refused(put_part("other", upload, part_info(1, 0), None)), ErrorCode::NoSuchUpload);
    assert_eq!(store.refused(complete("k", UploadId(99), &parts)), ErrorCode::NoSuchUpload);
    store.done(Action::AbortUpload { bucket: BUCKET.into(), key: "k".into(), upload });
    invariants::check(store.view(), &store.told);
}

#[test]
fn an_upload_of_one_empty_part_is_an_object_of_one_part() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let (upload, parts) = upload_parts(&mut store, &mut writer, "k", &[(1, 0)]);
    store.put_outcome(complete("k", upload, &parts));
    let found = store.get("k", None, Window::Part { number: 1 }).unwrap();
    assert_eq!((found.parts_count, found.length, found.content), (1, 0, None));
    store.delete("k", None);
    invariants::check(store.view(), &store.told);
}

#[test]
fn ten_thousand_parts_become_one_object() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let sizes: Vec<(u16, u32)> = (1..=PARTS_MAX).map(|number| (number, FIVE_MIB)).collect();
    let (upload, parts) = upload_parts(&mut store, &mut writer, "k", &sizes);
    store.put_outcome(complete("k", upload, &parts));
    let first = 9_999 * u64::from(FIVE_MIB);
    let last_part = store.get("k", None, Window::Range { first, last: None }).unwrap();
    assert_eq!(last_part.extents.len(), 1);
    let all = store.get("k", None, Window::Range { first: 0, last: None }).unwrap();
    assert_eq!(all.extents.len(), LOCATED_EXTENTS_MAX);
    store.delete("k", None);
    store.done(Action::CloseLease { lease: writer.lease });
    assert_eq!(state::counters(store.view()).unwrap().blocks, 0);
}

#[test]
fn parts_are_listed_in_pages() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let (upload, _) = upload_parts(&mut store, &mut writer, "k", &[(1, 1), (3, 1), (500, 1)]);
    let list = |after, limit| {
        let (_, parts, more) =
            state::list_parts(store.view(), &BUCKET.into(), &"k".into(), upload, after, limit).unwrap();
        (parts.into_iter().map(|part| part.number).collect::<Vec<_>>(), more)
    };
    assert_eq!(list(0, 2), (vec![1, 3], true));
    assert_eq!(list(3, 2), (vec![500], false));
    assert_eq!(list(u16::MAX, 2), (vec![], false));
}
