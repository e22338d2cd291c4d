//! Counting words of at most sixteen bytes: two machine words each, compared at once.
//!
//! Nearly all words of nearly all texts are so short. They are found eight bytes at a time, and neither finding nor
//! comparing them goes byte by byte.

/// Bytes of the longest word counted here; so many must be readable behind the beginning of any.
pub(super) const SHORT_BYTES: usize = 16;
/// Slots of a new table.
const SLOTS_MIN: usize = 1 << 12;

/// A word, its unused bytes zero. No word holds a byte below 0x21, so its length shows.
pub(super) type Short = [u64; 2];

#[derive(Clone, Copy)]
struct Slot {
    word: Short,
    /// Zero: the slot is free.
    count: u64,
}

const FREE: Slot = Slot { word: [0; 2], count: 0 };

/// How often each short word came: open addressing, at most half full.
pub(super) struct ShortCounts {
    slots: Vec<Slot>,
    used: usize,
    slots_max: usize,
    /// Drawn anew each time, so that no input can be made to collide.
    seeds: [u64; 2],
}

impl ShortCounts {
    /// `budget`: bytes of memory at most, also while growing.
    pub fn new(budget: usize, seeds: [u64; 2]) -> Self {
        let affordable = (budget / size_of::<Slot>() / 3).max(SLOTS_MIN);
        let slots_max = 1 << affordable.ilog2();
        ShortCounts { slots: vec![FREE; SLOTS_MIN], used: 0, slots_max, seeds }
    }

    /// One more of the word. False: there is no room for another one.
    #[inline]
    pub fn add(&mut self, word: Short) -> bool {
        let slot = self.find(word);
        let slot = &mut self.slots[slot];
        if slot.count > 0 {
            slot.count += 1;
            return true;
        }
        self.insert(word)
    }

    /// The slot of the word, or the free one where it would be.
    #[inline]
    fn find(&self, word: Short) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = self.hash(word) as usize & mask;
        loop {
            let slot = &self.slots[at];
            if slot.count == 0 || slot.word == word {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn hash(&self, word: Short) -> u64 {
        let product = u128::from(word[0] ^ self.seeds[0]) * u128::from(word[1] ^ self.seeds[1]);
        (product as u64) ^ (product >> 64) as u64
    }

    #[cold]
    fn insert(&mut self, word: Short) -> bool {
        if 2 * (self.used + 1) > self.slots.len() {
            if self.slots.len() * 2 > self.slots_max {
                return false;
            }
            let larger = vec![FREE; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, larger).into_iter().filter(|slot| slot.count > 0) {
                let at = self.find(slot.word);
                self.slots[at] = slot;
            }
        }
        let at = self.find(word);
        self.slots[at] = Slot { word, count: 1 };
        self.used += 1;
        true
    }

    /// All words and their counts, in no order; the table is empty afterwards.
    pub fn drain<E>(&mut self, mut each: impl FnMut(&[u8], u64) -> Result<(), E>) -> Result<(), E> {
        for slot in self.slots.iter_mut().filter(|slot| slot.count > 0) {
            let mut bytes = [0; SHORT_BYTES];
            bytes[..8].copy_from_slice(&slot.word[0].to_le_bytes());
            bytes[8..].copy_from_slice(&slot.word[1].to_le_bytes());
            let length = bytes.iter().position(|&byte| byte == 0).unwrap_or(SHORT_BYTES);
            each(&bytes[..length], slot.count)?;
            *slot = FREE;
        }
        self.used = 0;
        Ok(())
    }
}

/// The word that begins the bytes, if a byte below 0x21 ends it within [`SHORT_BYTES`], and its length.
#[inline]
pub(super) fn short_word(bytes: &[u8]) -> Option<(Short, usize)> {
    let (low, rest) = bytes.split_first_chunk::<8>()?;
    let low = u64::from_le_bytes(*low);
    let length = first_below_0x21(low);
    if length < 8 {
        return Some(([keep(low, length), 0], length));
    }
    let high = u64::from_le_bytes(*rest.first_chunk::<8>()?);
    let more = first_below_0x21(high);
    (more < 8).then(|| ([low, keep(high, more)], 8 + more))
}

/// The place of the first byte below 0x21; eight if there is none. (In `word - 0x21…` a byte borrows from the next only
/// if it is below itself, so the lowest mark is right.)
#[inline]
fn first_below_0x21(word: u64) -> usize {
    let marks = word.wrapping_sub(0x2121_2121_2121_2121) & !word & 0x8080_8080_8080_8080;
    (marks.trailing_zeros() / 8) as usize
}

/// The lowest bytes of the word; fewer than eight.
#[inline]
fn keep(word: u64, bytes: usize) -> u64 {
    word & ((1 << (8 * bytes)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_short_word_ends_where_its_bytes_say(bytes in proptest::collection::vec(prop_oneof![0u8..0x30, any::<u8>()], 0..24)) {
            let length = bytes.iter().position(|&byte| byte < 0x21);
            match short_word(&bytes) {
                Some((word, found)) => {
                    prop_assert_eq!(Some(found), length);
                    let stored = [word[0].to_le_bytes(), word[1].to_le_bytes()].concat();
                    prop_assert_eq!(&stored[..found], &bytes[..found]);
                    prop_assert!(stored[found..].iter().all(|&byte| byte == 0));
                }
                None => prop_assert!(length.is_none_or(|length| length >= 16 || bytes.len() < 16)),
            }
        }

        #[test]
        fn counts_are_those_of_a_map(words in proptest::collection::vec("[!-~]{1,15}", 0..400)) {
            let mut expected: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
            let mut counts = ShortCounts::new(1 << 20, [3, 5]);
            for word in &words {
                let padded = format!("{word}                ");
                prop_assert!(counts.add(short_word(padded.as_bytes()).unwrap().0));
                *expected.entry(word.clone().into_bytes()).or_default() += 1;
            }
            let mut found = BTreeMap::new();
            counts.drain(|word, count| { found.insert(word.to_vec(), count); Ok::<(), ()>(()) }).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_full_table_says_so_and_is_empty_after_draining() {
        let mut counts = ShortCounts::new(0, [3, 5]);
        let added = (1..=u64::MAX).take_while(|&number| counts.add([number, 0])).count();
        assert_eq!(added, SLOTS_MIN / 2);
        counts.drain(|_, _| Ok::<(), ()>(())).unwrap();
        assert!(counts.add([7, 0]));
    }
}
