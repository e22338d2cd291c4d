//! Encrypted objects: which stored bytes a window of plaintext needs, and who may share them.
//!
//! The namenode knows the geometry of what is sealed and no key. A content of a single PUT was sealed as one run; one that
//! CompleteMultipartUpload made is its parts' runs one after another, each with the salt of its part.

use super::contents;
use super::layout;
use super::records::ObjectHead;
use super::view::{View, inconsistent};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::encryption::{ObjectEncryption, SealSalt, SealedRun, sealed_length, sealed_range};
use granary_protocol::object::PartInfo;
use granary_protocol::{ContentId, ErrorCode};

/// Bytes of a content, and what they are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) runs: Vec<SealedRun>,
}

/// Bytes that `plain` bytes take in a content.
pub(super) fn stored_size(plain: u64, encrypted: bool) -> u64 {
    match encrypted {
        true => sealed_length(plain),
        false => plain,
    }
}

/// The stored bytes that `length` plaintext bytes from `offset` need. They lie within the object's `size`; `salt` is that
/// of an object written in one piece.
pub(super) fn cover<V: View + ?Sized>(
    view: &V,
    content: ContentId,
    salt: SealSalt,
    size: u64,
    offset: u64,
    length: u64,
) -> Result<Stored, StateError> {
    if length == 0 {
        return Ok(Stored::default());
    }
    if !layout::is_own_content(content) {
        return Ok(cover_pieces([(salt, size)], offset, length));
    }
    let parts = contents::parts(view, content)?;
    let salted = parts.iter().map(|part| {
        let salt = part.salt.ok_or_else(|| inconsistent(format!("part {} is not sealed", part.number)))?;
        Ok((salt, part.size))
    });
    Ok(cover_pieces(salted.collect::<Result<Vec<_>, StateError>>()?, offset, length))
}

/// As [`cover`], for pieces of these salts and plaintext sizes one after another.
fn cover_pieces(pieces: impl IntoIterator<Item = (SealSalt, u64)>, offset: u64, length: u64) -> Stored {
    let end = offset + length;
    let (mut plain_at, mut stored_at) = (0, 0);
    let mut stored = Stored::default();
    for (salt, size) in pieces {
        let (from, until) = (plain_at.max(offset), (plain_at + size).min(end));
        if from < until {
            let run = SealedRun { salt, plain_size: size, offset: from - plain_at, length: until - from };
            let (first, bytes) = sealed_range(run.offset, run.length, size);
            if stored.runs.is_empty() {
                stored.offset = stored_at + first;
            }
            stored.length += bytes;
            stored.runs.push(run);
        }
        plain_at += size;
        stored_at += sealed_length(size);
        if plain_at >= end {
            break;
        }
    }
    stored
}

/// Refuses a copy that would be read under another salt, or in clear, than its bytes were sealed under.
pub(super) fn check_shared(
    source: Option<&ObjectEncryption>,
    copy: Option<&ObjectEncryption>,
) -> Result<(), Rejection> {
    match source.map(|encryption| encryption.salt) == copy.map(|encryption| encryption.salt) {
        true => Ok(()),
        false => Err(refuse(ErrorCode::InvalidArgument, "the copy is not sealed as its source is")),
    }
}

/// Refuses a sealed part of an upload in clear, and the other way round.
pub(super) fn check_part(encrypted: bool, part: &PartInfo) -> Result<(), Rejection> {
    match encrypted == part.salt.is_some() {
        true => Ok(()),
        false => Err(refuse(ErrorCode::InvalidArgument, "a part is sealed exactly if its upload is encrypted")),
    }
}

/// Refuses to share bytes of `source` as `part` where they could not be opened: of an encrypted object, only all of one
/// that was written in one piece can be shared, under its own salt.
pub(super) fn check_shared_part(
    source: &ObjectHead,
    encryption: Option<&ObjectEncryption>,
    offset: u64,
    part: &PartInfo,
) -> Result<(), Rejection> {
    let in_one_piece = source.content.is_none_or(|content| !layout::is_own_content(content));
    let whole = offset == 0 && part.size == source.size && in_one_piece;
    match (encryption.map(|encryption| encryption.salt), part.salt) {
        (None, None) => Ok(()),
        (Some(sealed), Some(wanted)) if sealed == wanted && whole => Ok(()),
        _ => Err(refuse(ErrorCode::InvalidArgument, "the part cannot be read from what its source is sealed as")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::encryption::{SEGMENT_BYTES, TAG_BYTES};

    const SALTS: [SealSalt; 3] = [SealSalt([1; 16]), SealSalt([2; 16]), SealSalt([3; 16])];

    #[test]
    fn a_window_is_covered_by_the_segments_of_every_piece_it_touches() {
        const SEALED: u64 = SEGMENT_BYTES + TAG_BYTES;
        let sizes = [2 * SEGMENT_BYTES + 5, 0, 3 * SEGMENT_BYTES];
        let pieces = || SALTS.into_iter().zip(sizes);
        let one =
            |piece: usize, offset, length| SealedRun { salt: SALTS[piece], plain_size: sizes[piece], offset, length };
        let all = cover_pieces(pieces(), 0, sizes.iter().sum());
        assert_eq!((all.offset, all.length), (0, sizes.map(sealed_length).iter().sum()));
        assert_eq!(all.runs, [one(0, 0, sizes[0]), one(2, 0, sizes[2])]);

        let last_of_first = cover_pieces(pieces(), sizes[0] - 1, 1);
        assert_eq!((last_of_first.offset, last_of_first.length), (2 * SEALED, 5 + TAG_BYTES));
        assert_eq!(last_of_first.runs, [one(0, sizes[0] - 1, 1)]);

        let across = cover_pieces(pieces(), sizes[0] - 6, 7);
        assert_eq!((across.offset, across.length), (SEALED, SEALED + 5 + TAG_BYTES + SEALED));
        assert_eq!(across.runs, [one(0, sizes[0] - 6, 6), one(2, 0, 1)]);

        let within = cover_pieces(pieces(), sizes[0] + SEGMENT_BYTES, SEGMENT_BYTES);
        assert_eq!((within.offset, within.length), (sealed_length(sizes[0]) + SEALED, SEALED));
        assert_eq!(within.runs, [one(2, SEGMENT_BYTES, SEGMENT_BYTES)]);
    }
}
