//! The trace of a run as one number: everything that crossed the simulated network or reached a simulated disk, and every
//! fault and answer, in order. Two runs with one trace did the same things.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufWriter, Write};

thread_local! {
    static HASH: Cell<u64> = const { Cell::new(0xcbf2_9ce4_8422_2325) };
    static EVENTS: Cell<u64> = const { Cell::new(0) };
    /// Where every event is told, if somebody asked for it.
    static TOLD: RefCell<Option<BufWriter<File>>> = const { RefCell::new(None) };
}

/// Tells every event of this thread in `file`, a line each: to find where two runs part.
pub fn tell(file: File) {
    TOLD.with_borrow_mut(|told| *told = Some(BufWriter::new(file)));
}

/// Notes an event: what it is, and its bytes.
pub fn note(kind: &str, numbers: &[u64], bytes: &[u8]) {
    let mut hash = HASH.get();
    let mut mix = |word: u64| hash = (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    kind.bytes().for_each(|byte| mix(byte.into()));
    numbers.iter().for_each(|number| mix(*number));
    mix(bytes.len() as u64);
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| mix(u64::from_le_bytes(*word)));
    rest.iter().for_each(|byte| mix((*byte).into()));
    HASH.set(hash);
    EVENTS.set(EVENTS.get() + 1);
    TOLD.with_borrow_mut(|told| {
        if let Some(told) = told {
            let _ = writeln!(told, "{kind} {numbers:?} {} bytes {hash:016x}", bytes.len());
        }
    });
}

/// The hash of all events so far, and how many they were.
pub fn so_far() -> (u64, u64) {
    (HASH.get(), EVENTS.get())
}
