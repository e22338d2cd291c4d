//! An engine in memory, for unit tests and simulation: the contract without the disk.
//!
//! A snapshot shares the map and the next write copies it, so a snapshot is free while nothing is written and costs one
//! copy of the map otherwise. `sync` has nothing to do; a restart begins empty.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::contract::is_empty_range;
use super::{Engine, EngineError, EngineSnapshot, Pair, Scan, WriteBatch};

type Map = BTreeMap<Bytes, Bytes>;

/// An ordered map that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    map: RwLock<Arc<Map>>,
}

impl MemoryEngine {
    /// An empty engine.
    pub fn new() -> Self {
        Self::default()
    }

    fn view(&self) -> MemorySnapshot {
        MemorySnapshot { map: Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner)) }
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.view().get(key)
    }

    fn scan(&self, from: &[u8], until: Option<&[u8]>) -> Scan<'_> {
        Box::new(MemoryScan::new(self.view().map, from, until))
    }

    fn last_in(&self, from: &[u8], until: &[u8]) -> Result<Option<Pair>, EngineError> {
        if is_empty_range(from, Some(until)) {
            return Ok(None);
        }
        let range = (Bound::Included(from), Bound::Excluded(until));
        let view = self.view();
        Ok(view.map.range::<[u8], _>(range).next_back().map(|(key, value)| (key.clone(), value.clone())))
    }

    fn write(&self, batch: WriteBatch) -> Result<(), EngineError> {
        let changes = batch.into_net_changes()?;
        let mut shared = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let map = Arc::make_mut(&mut shared);
        for (key, value) in changes {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError> {
        Ok(Box::new(self.view()))
    }

    fn disk_bytes(&self) -> Result<u64, EngineError> {
        Ok(0)
    }
}

struct MemorySnapshot {
    map: Arc<Map>,
}

impl EngineSnapshot for MemorySnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.map.get(key).cloned())
    }

    fn scan(&self, from: &[u8], until: Option<&[u8]>) -> Scan<'_> {
        Box::new(MemoryScan::new(Arc::clone(&self.map), from, until))
    }
}

/// Owns its view and seeks anew for every pair: a borrowed range could not leave the lock.
struct MemoryScan {
    map: Arc<Map>,
    next_from: Bound<Bytes>,
    until: Option<Bytes>,
}

impl MemoryScan {
    fn new(map: Arc<Map>, from: &[u8], until: Option<&[u8]>) -> Self {
        // An empty range starts at its own end, where `next` finds nothing.
        let from = if is_empty_range(from, until) { until.unwrap_or(from) } else { from };
        Self { map, next_from: Bound::Included(Bytes::copy_from_slice(from)), until: until.map(Bytes::copy_from_slice) }
    }
}

impl Iterator for MemoryScan {
    type Item = Result<Pair, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = self.map.range((self.next_from.clone(), Bound::Unbounded)).next()?;
        if self.until.as_ref().is_some_and(|until| key >= until) {
            return None;
        }
        self.next_from = Bound::Excluded(key.clone());
        Some(Ok((key.clone(), value.clone())))
    }
}
