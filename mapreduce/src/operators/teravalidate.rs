//! `teravalidate`: whether records of 100 bytes are in order, within each object and from one to the next.

use super::pieces;
use crate::engine::{Attempt, Counter, Part, TaskFailure};
use crate::input::FixedRecords;
use crate::plan::{Piece, Split};
use crate::records::{Collector, Records, TERA_KEY_BYTES};
use crate::spec::limits::TERA_RECORD_BYTES;
use crc_fast::CrcAlgorithm;

type Key = [u8; TERA_KEY_BYTES];

/// What a map says, told by the first byte of its keys: a fault; an object's first and last key; a sum of checksums.
const FAULT: u8 = b'e';
const ENDS: u8 = b'k';
const SUM: u8 = b's';

/// Reads the objects of the split from end to end.
pub(crate) fn tera_check(
    attempt: &Attempt<'_>,
    split: &Split,
    collector: &mut Collector<'_>,
) -> Result<(), TaskFailure> {
    let mut sum: u128 = 0;
    for piece in pieces(split) {
        if !piece.length.is_multiple_of(TERA_RECORD_BYTES) {
            collector.emit(&[FAULT], format!("{} does not consist of whole records", piece.file.url()).as_bytes())?;
            continue;
        }
        if let Some((first, last)) = check_object(attempt, piece, &mut sum, collector)? {
            collector.emit(&[&[ENDS], piece.file.url().as_bytes()].concat(), &[first, last].concat())?;
        }
    }
    collector.emit(&[SUM], &sum.to_le_bytes())
}

/// The first and the last key; faults between are said.
fn check_object(
    attempt: &Attempt<'_>,
    piece: &Piece,
    sum: &mut u128,
    collector: &mut Collector<'_>,
) -> Result<Option<(Key, Key)>, TaskFailure> {
    let mut ends: Option<(Key, Key)> = None;
    let mut records = FixedRecords::open(attempt.source(), piece, TERA_RECORD_BYTES)?;
    while let Some(chunk) = records.next()? {
        for record in chunk.chunks_exact(TERA_RECORD_BYTES as usize) {
            *sum += u128::from(crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, record));
            let key: Key = record[..TERA_KEY_BYTES].try_into().expect("a record is longer than its key");
            let (_, last) = ends.get_or_insert((key, key));
            if *last > key {
                collector.emit(&[FAULT], fault("misorder in", &piece.file.url(), last, &key).as_bytes())?;
            }
            *last = key;
        }
    }
    Ok(ends)
}

fn fault(what: &str, place: &str, before: &[u8], after: &[u8]) -> String {
    format!("{what} {place}: {} comes before {}", hex::encode(before), hex::encode(after))
}

/// `error TAB fault` for each, `checksum TAB sum` at the end: the sum of the records' CRC32, in hexadecimal digits.
pub(crate) fn tera_verdict(
    attempt: &Attempt<'_>,
    records: &mut dyn Records,
    part: &mut Part<'_>,
) -> Result<(), TaskFailure> {
    let mut previous: Option<(String, Vec<u8>)> = None;
    let mut sum: u128 = 0;
    let mut faults: u64 = 0;
    while records.advance()? {
        let (kind, name) = records.key().split_first().unwrap_or((&0, &[]));
        let value = records.value();
        let found = match *kind {
            FAULT => Some(String::from_utf8_lossy(value).into_owned()),
            ENDS => {
                let (first, last) = value.split_at(value.len() / 2);
                let name = String::from_utf8_lossy(name).into_owned();
                let before = previous.replace((name.clone(), last.to_vec()));
                before
                    .filter(|(_, end)| end.as_slice() > first)
                    .map(|(other, end)| fault("misorder between", &format!("{other} and {name}"), &end, first))
            }
            _ => {
                sum += value.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes));
                None
            }
        };
        if let Some(found) = found {
            faults += 1;
            part.write(format!("error\t{found}\n").as_bytes())?;
        }
    }
    attempt.progress.count(Counter::ReduceOutputRecords, faults + 1);
    part.write(format!("checksum\t{sum:x}\n").as_bytes())
}
