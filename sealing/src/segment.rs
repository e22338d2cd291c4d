//! One sealed segment: its nonce, and what is authenticated beside its bytes.
//!
//! Invariant: a segment key seals each index once, so no nonce is used twice with a key. The index and whether the segment
//! is the last are authenticated, so that segments cannot be reordered, left out, repeated or added unnoticed.

use granary_protocol::encryption::{SEGMENT_BYTES, TAG_BYTES};
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

/// Plaintext bytes of a segment, as a length in memory.
pub(crate) const SEGMENT: usize = SEGMENT_BYTES as usize;
/// Bytes of a tag, as a length in memory.
pub(crate) const TAG: usize = TAG_BYTES as usize;

/// Which segment of an object or part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub index: u64,
    pub is_last: bool,
}

impl Position {
    fn nonce(self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - 8..].copy_from_slice(&self.index.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn authenticated(self) -> Aad<[u8; 9]> {
        let mut authenticated = [u8::from(self.is_last); 9];
        authenticated[1..].copy_from_slice(&self.index.to_be_bytes());
        Aad::from(authenticated)
    }
}

/// Encrypts or decrypts where they lie the bytes of a segment's inner layer, which the outer one authenticates: counter mode
/// is its own inverse, and the tag is not needed.
pub(crate) fn cover(key: &LessSafeKey, position: Position, bytes: &mut [u8]) {
    seal(key, position, bytes);
}

/// Encrypts `plain` where it lies; its tag.
pub(crate) fn seal(key: &LessSafeKey, position: Position, plain: &mut [u8]) -> [u8; TAG] {
    let sealed = key.seal_in_place_separate_tag(position.nonce(), position.authenticated(), plain);
    let tag = sealed.expect("a segment is shorter than what AES-GCM can seal");
    tag.as_ref().try_into().expect("AES-256-GCM's tag has 16 bytes")
}

/// Decrypts where it lies what is `sealed` with its tag behind it; the plaintext is all but the last [`TAG`] bytes.
/// `None` if this is not what was sealed there.
pub(crate) fn open(key: &LessSafeKey, position: Position, sealed: &mut [u8]) -> Option<usize> {
    key.open_in_place(position.nonce(), position.authenticated(), sealed).ok().map(|plain| plain.len())
}
