//! Records gathered in memory and sorted: by partition, then by key, then as they came.
//!
//! Keys and values lie one behind the other in one allocation; what is sorted are entries of 32 bytes with the first
//! bytes of the key, so that most comparisons touch nothing else. The entries count against the budget as the bytes do.

use super::{Order, Records};
use crate::engine::TaskFailure;

#[derive(Clone, Copy, Debug)]
struct Entry {
    prefix: u64,
    partition: u32,
    offset: u32,
    key_bytes: u32,
    value_bytes: u32,
}

/// Entries for which room is made at a time.
const ENTRIES_STEP: usize = 64 << 10;

/// A buffer with a hard budget.
pub(crate) struct SortBuffer {
    order: Order,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    budget: usize,
}

impl SortBuffer {
    /// `budget` bytes for records and entries together. Memory is taken as it fills.
    pub fn new(order: Order, budget: u64) -> Self {
        let budget = usize::try_from(budget).unwrap_or(usize::MAX).min(u32::MAX as usize);
        SortBuffer { order, bytes: Vec::new(), entries: Vec::new(), budget }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a record. False: there is no room, nothing was added; it goes in after [`SortBuffer::clear`] or never.
    pub fn push(&mut self, partition: u32, key: &[u8], value: &[u8]) -> bool {
        let record = key.len() + value.len();
        if !self.room_for(record) {
            return false;
        }
        let entry = Entry {
            prefix: self.order.prefix(key),
            partition,
            offset: self.bytes.len() as u32,
            key_bytes: key.len() as u32,
            value_bytes: value.len() as u32,
        };
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.entries.push(entry);
        true
    }

    /// Whether a record fits. The two vectors grow in steps, and a vector that grows is for a moment there twice.
    fn room_for(&mut self, record: usize) -> bool {
        const ENTRY: usize = size_of::<Entry>();
        if self.bytes.capacity() == 0 {
            // Address space only: pages are taken when they are written.
            self.bytes.reserve_exact(self.budget);
        }
        let full = self.entries.len() == self.entries.capacity();
        let grown = if full { self.entries.len() + (self.entries.len() / 2).max(ENTRIES_STEP) } else { 0 };
        let entries = (self.entries.capacity() + grown) * ENTRY;
        if self.bytes.len() + record + entries > self.budget {
            // The first records of a small buffer need not make room for many more.
            let little = self.entries.is_empty() && record + ENTRY <= self.budget;
            if little {
                self.entries.reserve_exact(1);
            }
            return little;
        }
        if full {
            self.entries.reserve_exact(grown - self.entries.len());
        }
        true
    }

    /// Empty again, the memory kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// The records in order.
    pub fn sort(&mut self) -> Sorted<'_> {
        let SortBuffer { order, bytes, entries, .. } = self;
        entries.sort_unstable_by(|left, right| {
            (left.partition, left.prefix)
                .cmp(&(right.partition, right.prefix))
                .then_with(|| order.compare(key_of(bytes, left), key_of(bytes, right)))
                .then_with(|| left.offset.cmp(&right.offset))
        });
        Sorted { bytes, entries, next: 0 }
    }
}

fn key_of<'a>(bytes: &'a [u8], entry: &Entry) -> &'a [u8] {
    &bytes[entry.offset as usize..][..entry.key_bytes as usize]
}

/// A sorted buffer, read partition by partition.
pub(crate) struct Sorted<'a> {
    bytes: &'a [u8],
    entries: &'a [Entry],
    next: usize,
}

impl<'a> Sorted<'a> {
    /// The records of the partition. Partitions are asked for in ascending order.
    pub fn partition(&mut self, partition: u32) -> SortedPartition<'a> {
        let rest = &self.entries[self.next..];
        let count = rest.partition_point(|entry| entry.partition <= partition);
        self.next += count;
        SortedPartition { bytes: self.bytes, rest: rest[..count].iter(), at: None }
    }
}

/// The records of one partition.
pub(crate) struct SortedPartition<'a> {
    bytes: &'a [u8],
    rest: std::slice::Iter<'a, Entry>,
    at: Option<&'a Entry>,
}

impl Records for SortedPartition<'_> {
    fn advance(&mut self) -> Result<bool, TaskFailure> {
        self.at = self.rest.next();
        Ok(self.at.is_some())
    }

    fn key(&self) -> &[u8] {
        self.at.map_or(&[], |entry| key_of(self.bytes, entry))
    }

    fn value(&self) -> &[u8] {
        let begin = |entry: &Entry| (entry.offset + entry.key_bytes) as usize;
        self.at.map_or(&[], |entry| &self.bytes[begin(entry)..][..entry.value_bytes as usize])
    }
}
