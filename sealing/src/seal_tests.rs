//! Sealing and opening together, on what a store does with sealed bytes.

use crate::data_key::DataKey;
use crate::layers::LayerKeys;
use crate::opener::{OpenError, WindowOpener};
use crate::sealer::StreamSealer;
use granary_protocol::encryption::{SEGMENT_BYTES, SealSalt, SealedRun, TAG_BYTES, sealed_length, sealed_range};
use proptest::prelude::*;

const SEALED: usize = (SEGMENT_BYTES + TAG_BYTES) as usize;

fn key() -> LayerKeys {
    LayerKeys::dual(DataKey::new([7; 32]), DataKey::new([6; 32]))
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

fn sealed(plain: &[u8], salt: SealSalt, piece: usize) -> Vec<u8> {
    let mut sealer = StreamSealer::new(&key(), &salt);
    let mut sealed = Vec::new();
    for piece in plain.chunks(piece) {
        sealed.extend_from_slice(&sealer.push(piece));
    }
    sealed.extend_from_slice(&sealer.finish());
    sealed
}

fn opened(runs: Vec<SealedRun>, sealed: &[u8], piece: usize) -> Result<Vec<u8>, OpenError> {
    let mut opener = WindowOpener::new(key(), runs);
    let mut plain = Vec::new();
    for piece in sealed.chunks(piece) {
        plain.extend_from_slice(&opener.push(piece)?);
    }
    opener.finish()?;
    Ok(plain)
}

fn whole(plain_size: u64, salt: SealSalt) -> Vec<SealedRun> {
    vec![SealedRun { salt, plain_size, offset: 0, length: plain_size }]
}

#[test]
fn lengths_are_those_the_protocol_says() {
    let segment = SEGMENT_BYTES as usize;
    for length in [0, 1, segment - 1, segment, segment + 1, 3 * segment, 3 * segment + 5] {
        for piece in [1 + length / 3, segment, 5 * segment] {
            let salt = SealSalt([1; 16]);
            let sealed = sealed(&pattern(length), salt, piece);
            assert_eq!(sealed.len() as u64, sealed_length(length as u64), "{length} in {piece}");
            assert_eq!(opened(whole(length as u64, salt), &sealed, piece), Ok(pattern(length)));
        }
    }
}

#[test]
fn plaintext_does_not_show() {
    let plain = b"marker ".repeat(30_000);
    let sealed = sealed(&plain, SealSalt([2; 16]), 100_000);
    assert!(!sealed.windows(7).any(|window| window == b"marker "));
}

#[test]
fn another_key_or_salt_opens_nothing() {
    let (plain, salt) = (pattern(1000), SealSalt([3; 16]));
    let bytes = sealed(&plain, salt, 1000);
    let wrong_salt = whole(1000, SealSalt([4; 16]));
    assert_eq!(opened(wrong_salt, &bytes, 1000), Err(OpenError::NotAuthentic { index: 0 }));
    let mut wrong_key = WindowOpener::new(DataKey::new([8; 32]).into(), whole(1000, salt));
    assert_eq!(wrong_key.push(&bytes), Err(OpenError::NotAuthentic { index: 0 }));
}

#[test]
fn what_was_not_sealed_so_is_refused() {
    let salt = SealSalt([5; 16]);
    let size = 3 * SEGMENT_BYTES;
    let bytes = sealed(&pattern(size as usize), salt, 70_000);
    let refused = |bytes: &[u8], plain_size: u64, why: &str| {
        assert!(opened(whole(plain_size, salt), bytes, 50_000).is_err(), "{why}");
    };
    refused(&bytes[..2 * SEALED], 2 * SEGMENT_BYTES, "cut after a segment, the size changed to fit");
    refused(&bytes[..2 * SEALED], size, "cut after a segment");
    refused(&bytes[..bytes.len() - 1], size, "cut within a segment");
    refused(&[&bytes[SEALED..2 * SEALED], &bytes[..SEALED], &bytes[2 * SEALED..]].concat(), size, "reordered");
    refused(&[&bytes[..SEALED], &bytes[..SEALED], &bytes[2 * SEALED..]].concat(), size, "repeated");
    refused(&[&bytes[..], &bytes[SEALED..2 * SEALED]].concat(), 4 * SEGMENT_BYTES, "extended");
    refused(&[&bytes[..], &[0]].concat(), size, "one byte more");
    let mut flipped = bytes;
    flipped[SEALED + 100] ^= 1;
    refused(&flipped, size, "a flipped bit");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Objects of several parts, any window, any pieces: exactly the window's bytes come out.
    #[test]
    fn any_window_of_any_parts_is_opened(
        parts in prop::collection::vec(0..3 * SEGMENT_BYTES as usize, 1..4),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        seal_piece in 1..200_000usize,
        open_piece in 1..200_000usize,
    ) {
        let plain = pattern(parts.iter().sum());
        let (from, to) = (from.index(plain.len() + 1), to.index(plain.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let (mut runs, mut bytes, mut start) = (Vec::new(), Vec::new(), 0);
        for (number, size) in parts.iter().enumerate() {
            let salt = SealSalt([number as u8; 16]);
            let (first, last) = (from.clamp(start, start + size), to.clamp(start, start + size));
            let run = SealedRun {
                salt,
                plain_size: *size as u64,
                offset: (first - start) as u64,
                length: (last - first) as u64,
            };
            let (at, length) = sealed_range(run.offset, run.length, run.plain_size);
            let part = sealed(&plain[start..start + size], salt, seal_piece);
            bytes.extend_from_slice(&part[at as usize..(at + length) as usize]);
            runs.push(run);
            start += size;
        }
        prop_assert_eq!(opened(runs, &bytes, open_piece).unwrap(), &plain[from..to]);
    }

    /// Whatever bit is changed, nothing wrong comes out.
    #[test]
    fn any_changed_bit_is_noticed(length in 1..200_000usize, at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let salt = SealSalt([9; 16]);
        let mut bytes = sealed(&pattern(length), salt, 90_000);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(opened(whole(length as u64, salt), &bytes, 60_000).is_err());
    }
}
