//! Contents that say what they are: from its tag follow a content's length and every byte.

use crate::history::ContentTag;
use crate::random::Random;
use bytes::Bytes;
use granary_protocol::object::ETag;

/// Tags with this bit are of contents that own their blocks.
pub const LARGE: ContentTag = 1 << 62;
/// More than a packed block takes of one content.
const LARGE_BYTES: u64 = (8 << 20) + 4321;
/// Other contents are smaller than this.
const SMALL_BYTES_MAX: u64 = 24 << 10;

/// Bytes of a content.
pub fn length_of(tag: ContentTag) -> u64 {
    if tag & LARGE != 0 {
        return LARGE_BYTES;
    }
    let mut random = Random::new(tag, 5);
    if random.chance(70) { random.range(1, 600) } else { random.range(600, SMALL_BYTES_MAX) }
}

/// The content.
pub fn bytes_of(tag: ContentTag) -> Bytes {
    let mut random = Random::new(tag, 6);
    let length = length_of(tag) as usize;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    Bytes::from(bytes)
}

/// The entity tag under which it is stored.
pub fn etag_of(tag: ContentTag) -> ETag {
    let mut md5 = [0; 16];
    md5[..8].copy_from_slice(&tag.to_le_bytes());
    ETag { md5, parts: None }
}

/// The content that an entity tag names.
pub fn tag_of(etag: &ETag) -> ContentTag {
    u64::from_le_bytes(*etag.md5.first_chunk().expect("an MD5 has 16 bytes"))
}
