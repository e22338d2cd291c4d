//! The keys that divide a total order: sampled from the input before the first map starts.

use super::{Cancel, Progress, TaskFailure, TaskStore};
use crate::input::{Codec, FixedRecords, Lines, Source};
use crate::plan::{Piece, Split};
use crate::records::TERA_KEY_BYTES;
use crate::spec::{JobSpec, limits};

/// Places that are sampled: at least so many, four for each reduce, and at most so many.
const PLACES_MIN: u64 = 16;
const PLACES_PER_REDUCE: u64 = 4;
const PLACES_MAX: u64 = 512;
/// Bytes read at each place, about.
const PLACE_BYTES: u64 = 128 << 10;
/// Of a key, so much serves as a cut.
const CUT_BYTES_MAX: usize = 256;
/// Keys taken from each place.
const KEYS_MAX: usize = 1_000;

/// Keys that divide the input of a job into as many parts of about equal size as it has reduces: one fewer than reduces,
/// ascending. Reads some megabytes. To be called once for a job for which [`JobSpec::needs_cuts`] says so.
pub fn sample_cuts(
    spec: &JobSpec,
    splits: &[Split],
    store: &dyn TaskStore,
    cancel: &Cancel,
) -> Result<Vec<Vec<u8>>, TaskFailure> {
    let progress = Progress::default();
    let source = Source { store, progress: &progress, cancel, line_bytes_max: spec.line_bytes_max };
    let mut keys = Vec::new();
    for piece in places(splits, spec.reduces()) {
        match spec.program.record_bytes() {
            Some(record_bytes) => {
                let mut records = FixedRecords::open(source, &piece, record_bytes)?;
                if let Some(chunk) = records.next()? {
                    let chunk = chunk.chunks_exact(record_bytes as usize);
                    keys.extend(chunk.take(KEYS_MAX).map(|record| record[..TERA_KEY_BYTES].to_vec()));
                }
            }
            None => {
                let mut lines = Lines::open(source, &piece)?;
                if let Some(chunk) = lines.next()? {
                    let lines = chunk.split_inclusive(|&byte| byte == b'\n').take(KEYS_MAX);
                    keys.extend(lines.map(|line| cut(line.strip_suffix(b"\n").unwrap_or(line))));
                }
            }
        }
    }
    keys.sort_unstable();
    let reduces = spec.reduces().min(limits::REDUCES_MAX) as usize;
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    Ok((1..reduces).map(|reduce| keys[keys.len() * reduce / reduces].clone()).collect())
}

fn cut(key: &[u8]) -> Vec<u8> {
    key[..key.len().min(CUT_BYTES_MAX)].to_vec()
}

/// Pieces to read, spread evenly over all input.
fn places(splits: &[Split], reduces: u32) -> Vec<Piece> {
    let pieces = || splits.iter().flat_map(|split| if let Split::Pieces(pieces) = split { &pieces[..] } else { &[] });
    let total: u64 = pieces().map(|piece| piece.length).sum();
    let wanted = (u64::from(reduces) * PLACES_PER_REDUCE).clamp(PLACES_MIN, PLACES_MAX);
    let stride = (total / wanted).max(PLACE_BYTES);
    let mut places = Vec::new();
    // Half a stride in, so that neither the beginning nor the end of the input weighs more.
    let (mut next, mut begin) = (stride.min(total) / 2, 0);
    for piece in pieces() {
        let end = begin + piece.length;
        while next < end {
            places.push(place(piece, next - begin));
            next += stride;
        }
        begin = end;
    }
    places
}

fn place(piece: &Piece, within: u64) -> Piece {
    if Codec::of(&piece.file.key) != Codec::Plain {
        return piece.clone();
    }
    let offset = piece.offset + within;
    let length = PLACE_BYTES.min(piece.offset + piece.length - offset);
    Piece { file: piece.file.clone(), offset, length }
}
