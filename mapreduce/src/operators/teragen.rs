//! `teragen`: the records of the sort benchmark's `gensort`, which are also those of Hadoop's TeraGen.
//!
//! A record is 10 random bytes, `00 11`, its number in 32 hexadecimal digits, `88 99 aa bb`, 48 bytes of filler, and
//! `cc dd ee ff`. The random numbers are a linear congruential sequence modulo 2^128 that can be entered anywhere, so that
//! maps make their parts independently.

use crate::engine::{Attempt, Counter, Part, TaskFailure};
use crate::plan::Split;
use crate::spec::limits::TERA_RECORD_BYTES;

const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
const INCREMENT: u128 = 0x4A69_6D47_7261_7952_4950_2020_2020_2001;
/// Records made between two looks at the outside.
const BATCH: u64 = 10_000;

pub(crate) fn teragen(attempt: &Attempt<'_>, split: &Split, part: &mut Part<'_>) -> Result<(), TaskFailure> {
    let Split::Rows { first, count } = *split else { return Ok(()) };
    let mut random = nth(first);
    for row in first..first + count {
        random = step(random);
        part.write(&record(row, random))?;
        if (row + 1 - first).is_multiple_of(BATCH) {
            attempt.progress.advance(BATCH);
        }
    }
    attempt.progress.count(Counter::MapOutputRecords, count);
    Ok(())
}

fn step(random: u128) -> u128 {
    random.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT)
}

/// The number after so many steps from zero: the step composed with itself by squaring.
fn nth(mut steps: u64) -> u128 {
    let (mut multiplier, mut increment) = (MULTIPLIER, INCREMENT);
    let mut number: u128 = 0;
    while steps > 0 {
        if steps & 1 == 1 {
            number = number.wrapping_mul(multiplier).wrapping_add(increment);
        }
        increment = increment.wrapping_mul(multiplier.wrapping_add(1));
        multiplier = multiplier.wrapping_mul(multiplier);
        steps >>= 1;
    }
    number
}

fn record(row: u64, random: u128) -> [u8; TERA_RECORD_BYTES as usize] {
    let mut record = [0; TERA_RECORD_BYTES as usize];
    record[..10].copy_from_slice(&random.to_be_bytes()[..10]);
    record[10..12].copy_from_slice(&[0x00, 0x11]);
    hexadecimal(row.into(), &mut record[12..44]);
    record[44..48].copy_from_slice(&[0x88, 0x99, 0xaa, 0xbb]);
    let mut digits = [0; 12];
    hexadecimal(random, &mut digits);
    for (place, digit) in record[48..96].chunks_exact_mut(4).zip(digits) {
        place.fill(digit);
    }
    record[96..].copy_from_slice(&[0xcc, 0xdd, 0xee, 0xff]);
    record
}

/// The lowest digits of the number, as many as there is room for.
fn hexadecimal(mut number: u128, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEF"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_is_that_of_gensort() {
        // The key that both programs print for record zero.
        assert_eq!(record(0, step(0))[..10], [0x4a, 0x69, 0x6d, 0x47, 0x72, 0x61, 0x79, 0x52, 0x49, 0x50]);
        let record = record(0xab, step(0));
        assert_eq!(&record[12..44], b"000000000000000000000000000000AB");
        assert_eq!(&record[48..96], b"222200002222000022220000222200002222000000001111");
    }

    #[test]
    fn the_sequence_can_be_entered_anywhere() {
        let mut number = 0;
        for steps in 0..1_000 {
            assert_eq!(nth(steps), number);
            number = step(number);
        }
    }
}
