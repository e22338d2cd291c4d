//! Counting distinct byte strings in bounded memory: a hash table that empties itself into a collector.

use super::short_words::{Short, ShortCounts};
use crate::engine::TaskFailure;
use crate::records::{Collector, CollectorSettings};
use crate::shuffle::RunFile;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

struct Entry {
    offset: u32,
    bytes: u32,
    hash: u64,
    count: u64,
}

/// How often each key came.
pub(crate) struct Counts<'a> {
    table: HashTable<Entry>,
    keys: Vec<u8>,
    short: ShortCounts,
    /// Seeded anew each time, so that no input can be made to collide.
    hasher: RandomState,
    budget: usize,
    collector: Collector<'a>,
}

impl<'a> Counts<'a> {
    /// A quarter of the budget for each of the two tables, half for sorting what comes out of them.
    pub fn new(mut settings: CollectorSettings<'a>) -> Self {
        settings.budget /= 2;
        let budget = usize::try_from(settings.budget / 2).unwrap_or(usize::MAX).min(u32::MAX as usize);
        let hasher = RandomState::default();
        Counts {
            table: HashTable::new(),
            keys: Vec::new(),
            short: ShortCounts::new(budget, [hasher.hash_one(0), hasher.hash_one(1)]),
            hasher,
            budget,
            collector: Collector::new(settings),
        }
    }

    /// One more of this key.
    pub fn add(&mut self, key: &[u8]) -> Result<(), TaskFailure> {
        let hash = self.hasher.hash_one(key);
        let keys = &self.keys;
        let same = |entry: &Entry| entry.hash == hash && &keys[entry.offset as usize..][..entry.bytes as usize] == key;
        if let Some(entry) = self.table.find_mut(hash, same) {
            entry.count += 1;
            return Ok(());
        }
        self.insert(hash, key)
    }

    /// One more of this short word.
    #[inline]
    pub fn add_short(&mut self, word: Short) -> Result<(), TaskFailure> {
        if self.short.add(word) {
            return Ok(());
        }
        self.empty()?;
        assert!(self.short.add(word), "an empty table has room");
        Ok(())
    }

    #[cold]
    fn insert(&mut self, hash: u64, key: &[u8]) -> Result<(), TaskFailure> {
        // A table and a vector that grow are there twice for a moment, at up to twice the size.
        let table = self.table.len().next_power_of_two() * 3 * size_of::<Entry>();
        if 3 * (self.keys.len() + key.len()) + table > self.budget && !self.table.is_empty() {
            self.empty()?;
        }
        if key.len() > self.budget {
            return Err(TaskFailure::RecordTooLong { bytes: key.len() as u64, limit: self.budget as u64 });
        }
        let entry = Entry { offset: self.keys.len() as u32, bytes: key.len() as u32, hash, count: 1 };
        self.keys.extend_from_slice(key);
        self.table.insert_unique(hash, entry, |entry| entry.hash);
        Ok(())
    }

    fn empty(&mut self) -> Result<(), TaskFailure> {
        for entry in self.table.drain() {
            let key = &self.keys[entry.offset as usize..][..entry.bytes as usize];
            self.collector.emit(key, &entry.count.to_le_bytes())?;
        }
        self.keys.clear();
        let collector = &mut self.collector;
        self.short.drain(|key, count| collector.emit(key, &count.to_le_bytes()))
    }

    /// All counts, sorted.
    pub fn finish(mut self) -> Result<RunFile, TaskFailure> {
        self.empty()?;
        (self.table, self.keys, self.short) = (HashTable::new(), Vec::new(), ShortCounts::new(0, [0, 0]));
        self.collector.finish()
    }
}
