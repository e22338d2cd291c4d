//! Many sorted segments read as one: a tournament of their first keys.

use super::scratch::RunFile;
use super::segment_reader::SegmentReader;
use crate::engine::TaskFailure;
use crate::records::{CollectorSettings, Order, Records, merge_runs};

/// Segments merged at a time at most. More would be seeks without order on a disk.
pub(crate) const MERGE_WIDTH_MAX: usize = 256;

/// A merge under way. Records of equal keys come in the order of their segments.
pub(crate) struct Merge<'o, 'a> {
    order: &'o Order,
    readers: Vec<SegmentReader<'a>>,
    /// Which readers have a current record.
    live: Vec<bool>,
    /// The loser of each match between two subtrees; at the root, the winner of all.
    tree: Vec<u32>,
    begun: bool,
}

/// A match not played yet.
const NOBODY: u32 = u32::MAX;

impl<'o, 'a> Merge<'o, 'a> {
    pub fn new(order: &'o Order, readers: Vec<SegmentReader<'a>>) -> Result<Self, TaskFailure> {
        let count = readers.len();
        let mut merge =
            Merge { order, readers, live: vec![false; count], tree: vec![NOBODY; count.max(1)], begun: false };
        for index in 0..count {
            merge.live[index] = merge.readers[index].advance_in(order)?;
        }
        for index in 0..count {
            merge.replay(index as u32);
        }
        Ok(merge)
    }

    /// Plays the matches from a reader up to the root.
    fn replay(&mut self, reader: u32) {
        let mut winner = reader;
        let mut node = (reader as usize + self.readers.len()) / 2;
        while node > 0 {
            let other = self.tree[node];
            if other == NOBODY {
                self.tree[node] = winner;
                return;
            }
            if self.before(other, winner) {
                self.tree[node] = winner;
                winner = other;
            }
            node /= 2;
        }
        self.tree[0] = winner;
    }

    fn before(&self, left: u32, right: u32) -> bool {
        if !self.live[left as usize] || !self.live[right as usize] {
            return self.live[left as usize];
        }
        let (a, b) = (&self.readers[left as usize], &self.readers[right as usize]);
        let order = a.prefix.cmp(&b.prefix).then_with(|| self.order.compare(a.key(), b.key()));
        order.then(left.cmp(&right)).is_lt()
    }

    fn winner(&self) -> &SegmentReader<'a> {
        &self.readers[self.tree[0] as usize]
    }
}

impl Records for Merge<'_, '_> {
    fn advance(&mut self) -> Result<bool, TaskFailure> {
        if self.readers.is_empty() {
            return Ok(false);
        }
        let first = self.tree[0];
        if self.begun && self.live[first as usize] {
            self.live[first as usize] = self.readers[first as usize].advance_in(self.order)?;
            self.replay(first);
        }
        self.begun = true;
        Ok(self.live[self.tree[0] as usize])
    }

    fn key(&self) -> &[u8] {
        self.winner().key()
    }

    fn value(&self) -> &[u8] {
        self.winner().value()
    }
}

/// Runs merged into fewer, until so few are left that the budget allows to merge them at once. Neighbours are merged, so
/// that equal keys stay in the order they came in.
pub(crate) fn merge_down(
    mut runs: Vec<RunFile>,
    settings: &CollectorSettings<'_>,
) -> Result<Vec<RunFile>, TaskFailure> {
    while width(&runs, settings.budget) < runs.len() {
        let mut merged = Vec::new();
        while !runs.is_empty() {
            let group: Vec<RunFile> = runs.drain(..width(&runs, settings.budget).min(runs.len())).collect();
            if group.len() == 1 {
                merged.extend(group);
                continue;
            }
            merged.push(merge_runs(&group, settings)?);
            settings.scratch.remove(&group)?;
        }
        runs = merged;
    }
    Ok(runs)
}

/// How many of the first runs can be merged within the budget; two at least.
fn width(runs: &[RunFile], budget: u64) -> usize {
    let mut memory = 0;
    let fits = runs.iter().take(MERGE_WIDTH_MAX).take_while(|run| {
        memory += run.reader_bytes;
        memory <= budget
    });
    fits.count().max(2)
}
