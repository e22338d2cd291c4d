//! What the declarations write, against bytes of Apache's own namenode.

use super::*;
use prost::Message;

#[test]
fn an_empty_token_has_all_its_fields() {
    assert_eq!(Token::default().encode_to_vec(), [0x0a, 0, 0x12, 0, 0x1a, 0, 0x22, 0]);
}

#[test]
fn cached_flags_are_packed_and_storage_types_are_not() {
    let located = LocatedBlock {
        is_cached: vec![false, false],
        storage_types: vec![StorageType::Disk as i32, StorageType::Disk as i32],
        ..LocatedBlock::default()
    };
    let bytes = located.encode_to_vec();
    assert!(bytes.windows(4).any(|window| window == [0x32, 2, 0, 0]), "{bytes:02x?}");
    assert!(bytes.windows(4).any(|window| window == [0x38, 1, 0x38, 1]), "{bytes:02x?}");
    assert_eq!(LocatedBlock::decode(bytes.as_slice()).unwrap(), located);
}

#[test]
fn unknown_fields_are_skipped() {
    let bytes = [0x08, 0xa4, 0x03, 0x7a, 1, 0];
    assert_eq!(FsPermission::decode(bytes.as_slice()).unwrap().perm, 0o644);
}
