//! Snapshots for sled, which has none: whoever writes first saves the old value of each key for every living snapshot.
//!
//! Invariant: an old value is saved *before* the tree changes, and a reader looks at the tree *before* it looks at the saved
//! values. So a reader that met a newer tree always finds the older value saved, and one that finds nothing saved has read
//! a key unchanged since its snapshot.
//! Memory: one old value for each key changed while a snapshot lives. Snapshots should be short.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use bytes::Bytes;

use super::contract::is_empty_range;
use super::sled_engine::classify;
use super::{EngineError, EngineSnapshot, Pair, Scan};

/// What changed keys held at the moment of one snapshot; `None`: they did not exist.
#[derive(Default)]
pub(super) struct OldValues {
    by_key: RwLock<BTreeMap<Bytes, Option<Bytes>>>,
}

impl OldValues {
    fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.by_key.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn first_in(&self, from: Bound<&[u8]>, until: Bound<&[u8]>) -> Option<(Bytes, Option<Bytes>)> {
        let by_key = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        by_key.range::<[u8], _>((from, until)).next().map(|(key, value)| (key.clone(), value.clone()))
    }

    fn contains(&self, key: &[u8]) -> bool {
        self.by_key.read().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    fn insert(&self, key: Bytes, value: Option<Bytes>) {
        self.by_key.write().unwrap_or_else(PoisonError::into_inner).insert(key, value);
    }
}

/// The living snapshots. Its lock also makes writers take turns, so a snapshot never begins in the middle of a batch.
#[derive(Default)]
pub(super) struct SnapshotRegistry {
    living: Mutex<Vec<Weak<OldValues>>>,
}

impl SnapshotRegistry {
    pub(super) fn register(&self, old_values: Arc<OldValues>) -> Arc<OldValues> {
        let mut living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        // Here as well as in the writer, so that a store that is only read does not gather dead entries.
        living.retain(|snapshot| snapshot.strong_count() > 0);
        living.push(Arc::downgrade(&old_values));
        old_values
    }

    /// Runs `write`, which changes `keys` of `db`, after saving their old values for every living snapshot.
    pub(super) fn keeping_old_values(
        &self,
        db: &::sled::Db,
        keys: impl Iterator<Item = Bytes>,
        write: impl FnOnce() -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let mut living = self.living.lock().unwrap_or_else(PoisonError::into_inner);
        living.retain(|snapshot| snapshot.strong_count() > 0);
        let snapshots: Vec<_> = living.iter().filter_map(Weak::upgrade).collect();
        if !snapshots.is_empty() {
            for key in keys {
                if snapshots.iter().all(|snapshot| snapshot.contains(&key)) {
                    continue;
                }
                let old = db.get(&key).map_err(classify)?.map(|value| Bytes::copy_from_slice(&value));
                for snapshot in snapshots.iter().filter(|snapshot| !snapshot.contains(&key)) {
                    snapshot.insert(key.clone(), old.clone());
                }
            }
        }
        write()
    }
}

/// A view of the tree as it was when the snapshot was registered.
pub(super) struct SledSnapshot {
    db: ::sled::Db,
    old_values: Arc<OldValues>,
}

impl SledSnapshot {
    pub(super) fn new(db: ::sled::Db, old_values: Arc<OldValues>) -> Self {
        Self { db, old_values }
    }

    pub(super) fn into_scan(self, from: &[u8], until: Option<&[u8]>) -> Scan<'static> {
        if is_empty_range(from, until) {
            return Box::new(std::iter::empty());
        }
        let tree = match until {
            Some(until) => self.db.range(from..until),
            None => self.db.range(from..),
        };
        Box::new(MergedScan {
            tree: tree.fuse(),
            looked_ahead: None,
            old_values: self.old_values,
            next_from: Bound::Included(Bytes::copy_from_slice(from)),
            until: until.map_or(Bound::Unbounded, |until| Bound::Excluded(Bytes::copy_from_slice(until))),
        })
    }
}

impl EngineSnapshot for SledSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let current = self.db.get(key).map_err(classify)?;
        Ok(match self.old_values.get(key) {
            Some(old) => old,
            None => current.map(|value| Bytes::copy_from_slice(&value)),
        })
    }

    fn scan(&self, from: &[u8], until: Option<&[u8]>) -> Scan<'_> {
        SledSnapshot::new(self.db.clone(), Arc::clone(&self.old_values)).into_scan(from, until)
    }
}

/// The tree's pairs with the saved old values laid over them.
struct MergedScan {
    /// Fused: past its end sled's own would go on with keys inserted meanwhile, behind saved keys already returned.
    tree: std::iter::Fuse<::sled::Iter>,
    /// A pair taken from the tree that lies behind a saved key not yet returned.
    looked_ahead: Option<(::sled::IVec, ::sled::IVec)>,
    old_values: Arc<OldValues>,
    next_from: Bound<Bytes>,
    until: Bound<Bytes>,
}

impl Iterator for MergedScan {
    type Item = Result<Pair, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let current = match self.looked_ahead.take() {
                Some(pair) => Some(pair),
                None => match self.tree.next().transpose() {
                    Ok(pair) => pair,
                    Err(error) => return Some(Err(classify(error))),
                },
            };
            let until = match &current {
                Some((key, _)) => Bound::Included(key.as_ref()),
                None => as_slice(&self.until),
            };
            let Some((key, old)) = self.old_values.first_in(as_slice(&self.next_from), until) else {
                let (key, value) = current?;
                let key = Bytes::copy_from_slice(&key);
                self.next_from = Bound::Excluded(key.clone());
                return Some(Ok((key, Bytes::copy_from_slice(&value))));
            };
            // The tree's pair at this very key is newer than the snapshot and is dropped; one behind it waits.
            self.looked_ahead = current.filter(|(current_key, _)| current_key.as_ref() != key.as_ref());
            self.next_from = Bound::Excluded(key.clone());
            if let Some(value) = old {
                return Some(Ok((key, value)));
            }
        }
    }
}

fn as_slice(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(key) => Bound::Included(key.as_ref()),
        Bound::Excluded(key) => Bound::Excluded(key.as_ref()),
        Bound::Unbounded => Bound::Unbounded,
    }
}
