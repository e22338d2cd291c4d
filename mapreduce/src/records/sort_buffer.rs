//! Records gathered in memory and sorted: by partition, then by key, then as they came.
//!
//! Keys and values lie one behind the other in one allocation; what is sorted are entries of 24 bytes with the first
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
        match order {
            Order::Bytes => sort_bytes(bytes, entries, 0),
            Order::Fields { .. } => entries.sort_unstable_by(|left, right| {
                let partition = left.partition.cmp(&right.partition);
                partition
                    .then_with(|| order.compare(key_of(bytes, left), key_of(bytes, right)))
                    .then_with(|| left.offset.cmp(&right.offset))
            }),
        }
        Sorted { bytes, entries, next: 0 }
    }
}

/// Bytes of a key that its entry holds at a time.
const PREFIX_BYTES: usize = 8;
/// Up to so many entries with the same bytes are compared by their keys.
const FEW: usize = 12;
/// Keys that agree in so many bytes are compared by their keys, too.
const DEPTH_MAX: usize = 256;

/// Sorts entries whose keys agree in their first `depth` bytes and which hold the next eight. Where these agree as well, the
/// eight after them take their place: so a key is fetched once for every eight bytes, not for every comparison.
fn sort_bytes(bytes: &[u8], entries: &mut [Entry], depth: usize) {
    entries.sort_unstable_by_key(|entry| (entry.partition, entry.prefix));
    for same in entries.chunk_by_mut(|left, right| (left.partition, left.prefix) == (right.partition, right.prefix)) {
        let depth = depth + PREFIX_BYTES;
        if same.len() <= FEW || depth >= DEPTH_MAX {
            same.sort_unstable_by(|left, right| {
                key_of(bytes, left).cmp(key_of(bytes, right)).then_with(|| left.offset.cmp(&right.offset))
            });
        } else if same.iter().all(|entry| entry.key_bytes as usize <= depth) {
            // Equal but for zeros at the end, which made the shorter ones as long.
            same.sort_unstable_by_key(|entry| (entry.key_bytes, entry.offset));
        } else {
            for entry in same.iter_mut() {
                let key = key_of(bytes, entry);
                entry.prefix = Order::Bytes.prefix(key.get(depth..).unwrap_or_default());
            }
            sort_bytes(bytes, same, depth);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{JobSpec, KeyFields, KeyOrder};
    use proptest::prelude::*;

    /// Keys that agree in much, some of them up to zeros at the end.
    fn keys() -> impl Strategy<Value = Vec<(u32, Vec<u8>)>> {
        let tail = proptest::collection::vec(prop_oneof![Just(0u8), Just(b'a'), any::<u8>()], 0..4);
        let key = (0usize..40, tail).prop_map(|(same, tail)| [vec![b'x'; same / 8 * 8], tail].concat());
        proptest::collection::vec((0u32..3, key), 0..200)
    }

    fn sorted(order: Order, keys: &[(u32, Vec<u8>)]) -> Vec<(u32, Vec<u8>, Vec<u8>)> {
        let mut buffer = SortBuffer::new(order, 1 << 23);
        for (number, (partition, key)) in keys.iter().enumerate() {
            assert!(buffer.push(*partition, key, &number.to_be_bytes()));
        }
        let mut sorted = buffer.sort();
        let mut all = Vec::new();
        for partition in 0..3 {
            let mut records = sorted.partition(partition);
            while records.advance().unwrap() {
                all.push((partition, records.key().to_vec(), records.value().to_vec()));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_a_stable_sort(keys in keys()) {
            let number = |number: usize| number.to_be_bytes().to_vec();
            let mut model: Vec<_> =
                keys.iter().enumerate().map(|(at, (partition, key))| (*partition, key.clone(), number(at))).collect();
            model.sort();
            prop_assert_eq!(sorted(Order::Bytes, &keys), model.clone());
            let fields = KeyFields { options: "-r".into(), separator: "\t".into() };
            let reversed = JobSpec { order: KeyOrder::KeyFields(fields), ..JobSpec::default() };
            model.sort_by(|left, right| left.0.cmp(&right.0).then(right.1.cmp(&left.1)).then(left.2.cmp(&right.2)));
            prop_assert_eq!(sorted(Order::of(&reversed).unwrap(), &keys), model);
        }
    }

    #[test]
    fn many_equal_long_keys_are_no_trouble() {
        let keys: Vec<(u32, Vec<u8>)> = (0..500).map(|number| (0, vec![b'k'; 10_000 + number % 3])).collect();
        let order: Vec<usize> = sorted(Order::Bytes, &keys).iter().map(|record| record.1.len()).collect();
        assert!(order.is_sorted() && order.len() == 500);
    }

    #[test]
    fn a_full_buffer_says_so_and_takes_records_again_when_cleared() {
        const BUDGET: u64 = 8 << 20;
        let mut buffer = SortBuffer::new(Order::Bytes, BUDGET);
        let mut pushed = 0;
        while buffer.push(0, b"0123456789", &[7; 90]) {
            pushed += 1;
        }
        assert!(BUDGET / 3 < pushed * 100 && pushed * 124 <= BUDGET, "{pushed}");
        buffer.clear();
        assert!(buffer.is_empty() && buffer.push(0, b"k", b"v"));
        assert!(!SortBuffer::new(Order::Bytes, BUDGET).push(0, b"k", &vec![0; BUDGET as usize]));
    }
}
