//! Encrypted objects: what a read tells of their stored bytes, and which copies share them.

use super::fixture::*;
use super::invariants;
use crate::command::{Action, CopyObject, CopyPart, PutObject};
use granary_protocol::encryption::*;
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::*;

const SIZE: u64 = 2 * SEGMENT_BYTES + 100;

fn encryption(salt: u8) -> ObjectEncryption {
    ObjectEncryption { mode: EncryptionMode::S3, wrapped_key: vec![1; 60], salt: SealSalt([salt; 16]) }
}

fn details(salt: Option<u8>) -> ObjectDetails {
    ObjectDetails { encryption: salt.map(encryption), ..ObjectDetails::default() }
}

fn put_sealed(store: &mut Store, writer: &mut Writer, key: &str, salt: u8) -> ETag {
    let content = writer.pack(store, sealed_length(SIZE) as u32);
    let object = NewObject { details: details(Some(salt)), ..object(SIZE) };
    let put = PutObject {
        bucket: BUCKET.into(),
        key: key.into(),
        content: Some(content),
        object,
        condition: WriteCondition::default(),
    };
    store.put_outcome(Action::PutObject(Box::new(put))).etag
}

fn create_sealed_upload(store: &mut Store, key: &str) -> UploadId {
    store.create_upload_of(key, details(Some(9)))
}

fn sealed_part(number: u16, size: u64, salt: u8) -> PartInfo {
    PartInfo { salt: Some(SealSalt([salt; 16])), ..part_info(number, size) }
}

fn copy_part(key: &str, upload: UploadId, source_etag: ETag, offset: u64, part: PartInfo) -> Action {
    Action::CopyPart(Box::new(CopyPart {
        source_bucket: BUCKET.into(),
        source_key: "source".into(),
        source_version: None,
        source_etag,
        offset,
        bucket: BUCKET.into(),
        key: key.into(),
        upload,
        part,
    }))
}

#[test]
fn a_window_names_the_stored_bytes_it_needs() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    put_sealed(&mut store, &mut writer, "k", 5);
    let found = store.get("k", None, Window::Range { first: SEGMENT_BYTES, last: Some(SEGMENT_BYTES) }).unwrap();
    assert_eq!((found.offset, found.length, found.object.size), (SEGMENT_BYTES, 1, SIZE));
    let sealed_segment = SEGMENT_BYTES + TAG_BYTES;
    assert_eq!((found.stored_offset, found.stored_length), (sealed_segment, sealed_segment));
    let run = SealedRun { salt: SealSalt([5; 16]), plain_size: SIZE, offset: SEGMENT_BYTES, length: 1 };
    assert_eq!(found.sealed, [run]);
    assert_eq!(found.extents[0].content_offset, sealed_segment);
    assert_eq!(u64::from(found.extents[0].extent.length), sealed_segment);
    let all = store.get("k", None, Window::Range { first: 0, last: None }).unwrap();
    assert_eq!((all.length, all.stored_length), (SIZE, sealed_length(SIZE)));
    // Stored in clear, it would have too many bytes.
    let content = writer.pack(&mut store, sealed_length(SIZE) as u32);
    assert_eq!(store.refused(put("clear", Some(content), SIZE)), ErrorCode::InvalidArgument);
    invariants::check(store.view(), &store.told);
}

#[test]
fn parts_are_sealed_one_by_one() {
    const PART: u64 = PART_BYTES_MIN + 7;
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let upload = create_sealed_upload(&mut store, "k");
    let parts = [sealed_part(1, PART, 1), sealed_part(2, PART, 2)];
    assert_eq!(store.refused(put_part("k", upload, part_info(1, 0), None)), ErrorCode::InvalidArgument);
    for part in &parts {
        let content = writer.pack(&mut store, sealed_length(PART) as u32);
        store.done(put_part("k", upload, part.clone(), Some(content)));
    }
    store.put_outcome(complete("k", upload, &parts));
    let run =
        |part: usize, offset, length| SealedRun { salt: parts[part].salt.unwrap(), plain_size: PART, offset, length };
    let across = store.get("k", None, Window::Range { first: PART - 1, last: Some(PART) }).unwrap();
    assert_eq!((across.object.size, across.length), (2 * PART, 2));
    assert_eq!(across.sealed, [run(0, PART - 1, 1), run(1, 0, 1)]);
    let stored: u64 = across.extents.iter().map(|found| u64::from(found.extent.length)).sum();
    assert_eq!(stored, across.stored_length);
    let second = store.get("k", None, Window::Part { number: 2 }).unwrap();
    assert_eq!((second.offset, second.stored_offset), (PART, sealed_length(PART)));
    assert_eq!(second.sealed, [run(1, 0, PART)]);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_copy_keeps_what_its_bytes_are_sealed_under() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let source_etag = put_sealed(&mut store, &mut writer, "source", 5);
    let copy = |salt: Option<u8>| {
        Action::CopyObject(Box::new(CopyObject {
            source_bucket: BUCKET.into(),
            source_key: "source".into(),
            source_version: None,
            source_etag,
            bucket: BUCKET.into(),
            key: "copy".into(),
            object: NewObject { details: details(salt), ..object(SIZE) },
            condition: WriteCondition::default(),
        }))
    };
    assert_eq!(store.refused(copy(None)), ErrorCode::InvalidArgument);
    assert_eq!(store.refused(copy(Some(6))), ErrorCode::InvalidArgument);
    store.put_outcome(copy(Some(5)));
    let found = store.get("copy", None, Window::Range { first: 0, last: None }).unwrap();
    assert_eq!(found.stored_length, sealed_length(SIZE));

    let upload = create_sealed_upload(&mut store, "upload");
    for (offset, part) in [(0, part_info(1, SIZE)), (0, sealed_part(1, SIZE, 6)), (1, sealed_part(1, SIZE - 1, 5))] {
        let refused = store.refused(copy_part("upload", upload, source_etag, offset, part));
        assert_eq!(refused, ErrorCode::InvalidArgument);
    }
    let clear = store.create_upload("clear");
    let refused = store.refused(copy_part("clear", clear, source_etag, 0, part_info(1, SIZE)));
    assert_eq!(refused, ErrorCode::InvalidArgument);
    store.done(copy_part("upload", upload, source_etag, 0, sealed_part(1, SIZE, 5)));
    store.put_outcome(complete("upload", upload, &[sealed_part(1, SIZE, 5)]));
    let found = store.get("upload", None, Window::Range { first: 0, last: None }).unwrap();
    assert_eq!((found.length, found.stored_length), (SIZE, sealed_length(SIZE)));
    assert_eq!(found.sealed[0].salt, SealSalt([5; 16]));
    invariants::check(store.view(), &store.told);
}
