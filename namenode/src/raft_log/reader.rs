//! Reading the log while it is being appended to: replication, applying and purging each hold a [`LogReader`].
//!
//! Invariant: the index names durable records only. An append publishes after its sync, so no reader ever sees an entry
//! that a power cut could take back.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::error::RaftLogError;
use super::record::LogRecord;
use super::segment::Segment;

/// Where the records are. Changed by the one writer only.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Ascending and without gaps.
    pub(super) segments: VecDeque<Segment>,
    /// The last purged index; records up to it may still lie in the first segment.
    pub(super) purged: Option<u64>,
}

impl Index {
    pub(super) fn next_index(&self) -> u64 {
        let after_purged = self.purged.map_or(0, |purged| purged + 1);
        self.segments.back().map_or(after_purged, |segment| segment.next_index().max(after_purged))
    }

    pub(super) fn first_index(&self) -> Option<u64> {
        let first = self.segments.front()?.first_index.max(self.purged.map_or(0, |purged| purged + 1));
        (first < self.next_index()).then_some(first)
    }

    pub(super) fn last_index(&self) -> Option<u64> {
        self.first_index()?;
        self.next_index().checked_sub(1)
    }

    /// The segment that holds `index`.
    fn segment_of(&self, index: u64) -> Option<&Segment> {
        let behind = self.segments.partition_point(|segment| segment.first_index <= index);
        self.segments.get(behind.checked_sub(1)?).filter(|segment| index < segment.next_index())
    }
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    index: RwLock<Index>,
    has_failed: AtomicBool,
}

impl Shared {
    pub(super) fn new(index: Index) -> Self {
        Self { index: RwLock::new(index), has_failed: AtomicBool::new(false) }
    }

    // A panic under the lock leaves the index as it was before or after one simple change, so poisoning carries no news.
    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn poison(&self) {
        self.has_failed.store(true, Ordering::Release);
    }

    pub(super) fn check_alive(&self) -> Result<(), RaftLogError> {
        if self.has_failed.load(Ordering::Acquire) { Err(RaftLogError::Poisoned) } else { Ok(()) }
    }
}

/// A handle for reading, cheap to clone and usable from any thread. Reads do not wait for a running append's sync.
#[derive(Debug, Clone)]
pub struct LogReader {
    pub(super) shared: Arc<Shared>,
}

impl LogReader {
    /// The records of `range` that the log holds, ascending, each verified, until their payloads exceed `bytes_max`. At least
    /// one where there is one, so that a reader always gets ahead. What is purged or not yet written is left out.
    ///
    /// # Errors
    /// [`RaftLogError::Corrupt`] where a record has changed on disk, [`RaftLogError::Poisoned`], [`RaftLogError::Io`].
    pub fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LogRecord>, RaftLogError> {
        self.shared.check_alive()?;
        let index = self.shared.index();
        let Some(first) = index.first_index() else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        let mut payload_bytes = 0;
        for at in range.start.max(first)..range.end.min(index.next_index()) {
            let segment = index.segment_of(at).expect("segments cover first_index..next_index without gaps");
            let record = segment.read(at)?;
            payload_bytes += record.payload.len();
            if payload_bytes > bytes_max && !records.is_empty() {
                break;
            }
            records.push(record);
        }
        Ok(records)
    }

    /// The first index that can be read; `None` in an empty log.
    pub fn first_index(&self) -> Option<u64> {
        self.shared.index().first_index()
    }

    /// The last index, which is durable; `None` in an empty log.
    pub fn last_index(&self) -> Option<u64> {
        self.shared.index().last_index()
    }

    /// The index that the next append must begin with: 0 in a new log.
    pub fn next_index(&self) -> u64 {
        self.shared.index().next_index()
    }

    /// The last purged index; `None` where nothing was ever purged.
    pub fn purged_index(&self) -> Option<u64> {
        self.shared.index().purged
    }

    /// Bytes of all segments up to their last record.
    pub fn log_bytes(&self) -> u64 {
        self.shared.index().segments.iter().map(|segment| segment.tail).sum()
    }
}
