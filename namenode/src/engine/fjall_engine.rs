//! The engine on fjall, a log-structured merge tree: the default.
//!
//! Invariants: one keyspace, so fjall's journal order is the order of our batches and recovery keeps a prefix of them;
//! every read that spans keys goes through a fjall snapshot, because plain keyspace reads also see the half of a batch that
//! is being inserted at that moment.
//! Memory is the block cache plus up to five memtables ([`EngineConfig`]).

use std::path::{Path, PathBuf};

use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use bytes::Bytes;

use super::contract::is_empty_range;
use super::layout::allocated_bytes;
use super::{Engine, EngineConfig, EngineError, EngineKind, EngineSnapshot, Pair, Scan, WriteBatch};

/// The one keyspace. Part of the on-disk format.
const KEYSPACE: &str = "metadata";

/// Flushing and compacting; more threads than this take cores from the namenode itself.
const WORKER_THREADS: usize = 2;

/// Journals are dropped when their memtables are written out; this bounds replay time and disk use after a crash.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;

/// An [`Engine`] in one fjall database.
pub struct FjallEngine {
    database: Database,
    keyspace: Keyspace,
    dir: PathBuf,
}

impl FjallEngine {
    /// Opens the database in `dir`, creating it where there is none.
    ///
    /// # Errors
    /// [`EngineError::InUse`], [`EngineError::Damaged`] or [`EngineError::Storage`].
    pub fn open(dir: &Path, config: &EngineConfig) -> Result<Self, EngineError> {
        let database = Database::builder(dir)
            .cache_size(config.cache_bytes)
            .worker_threads(WORKER_THREADS)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .open()
            .map_err(classify)?;
        let memtable_bytes = config.memtable_bytes;
        let keyspace = database
            .keyspace(KEYSPACE, || KeyspaceCreateOptions::default().max_memtable_size(memtable_bytes))
            .map_err(classify)?;
        Ok(Self { database, keyspace, dir: dir.to_owned() })
    }

    fn view(&self) -> FjallSnapshot {
        FjallSnapshot { snapshot: self.database.snapshot(), keyspace: self.keyspace.clone() }
    }
}

impl Engine for FjallEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        if key.is_empty() {
            return Ok(None);
        }
        Ok(self.keyspace.get(key).map_err(classify)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, from: &[u8], until: Option<&[u8]>) -> Scan<'_> {
        self.view().into_scan(from, until)
    }

    fn last_in(&self, from: &[u8], until: &[u8]) -> Result<Option<Pair>, EngineError> {
        if is_empty_range(from, Some(until)) {
            return Ok(None);
        }
        let view = self.view();
        view.snapshot.range(&view.keyspace, from..until).next_back().map(to_pair).transpose()
    }

    fn write(&self, batch: WriteBatch) -> Result<(), EngineError> {
        let changes = batch.into_net_changes()?;
        let mut batch = self.database.batch();
        for (key, value) in &changes {
            match value {
                Some(value) => batch.insert(&self.keyspace, key.as_ref(), value.as_ref()),
                None => batch.remove(&self.keyspace, key.as_ref()),
            }
        }
        batch.commit().map_err(classify)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.database.persist(PersistMode::SyncData).map_err(classify)
    }

    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError> {
        Ok(Box::new(self.view()))
    }

    fn compact(&self) -> Result<(), EngineError> {
        // What is still in memory holds the newest deletes, and compaction looks at files only.
        self.keyspace.rotate_memtable_and_wait().map_err(classify)?;
        self.keyspace.major_compact().map_err(classify)
    }

    fn disk_bytes(&self) -> Result<u64, EngineError> {
        allocated_bytes(&self.dir)
    }
}

struct FjallSnapshot {
    snapshot: ::fjall::Snapshot,
    keyspace: Keyspace,
}

impl FjallSnapshot {
    fn into_scan(self, from: &[u8], until: Option<&[u8]>) -> Scan<'static> {
        if is_empty_range(from, until) {
            return Box::new(std::iter::empty());
        }
        // The iterator keeps the snapshot's instant alive by itself.
        let pairs = match until {
            Some(until) => self.snapshot.range(&self.keyspace, from..until),
            None => self.snapshot.range(&self.keyspace, from..),
        };
        Box::new(pairs.map(to_pair))
    }
}

impl EngineSnapshot for FjallSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        if key.is_empty() {
            return Ok(None);
        }
        let value = self.snapshot.get(&self.keyspace, key).map_err(classify)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, from: &[u8], until: Option<&[u8]>) -> Scan<'_> {
        FjallSnapshot { snapshot: self.snapshot.clone(), keyspace: self.keyspace.clone() }.into_scan(from, until)
    }
}

/// Copies: fjall's slices point into a whole cached block, which a record kept by the caller would pin.
fn to_pair(guard: ::fjall::Guard) -> Result<Pair, EngineError> {
    let (key, value) = guard.into_inner().map_err(classify)?;
    Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
}

fn classify(error: ::fjall::Error) -> EngineError {
    use ::fjall::Error as Fjall;
    const ENGINE: EngineKind = EngineKind::Fjall;
    match error {
        Fjall::Poisoned => EngineError::Poisoned { engine: ENGINE },
        Fjall::Locked => EngineError::InUse { engine: ENGINE },
        damaged @ (Fjall::JournalRecovery(_)
        | Fjall::InvalidVersion(_)
        | Fjall::Decompress(_)
        | Fjall::InvalidTrailer
        | Fjall::InvalidTag(_)
        | Fjall::Unrecoverable) => EngineError::Damaged { engine: ENGINE, detail: damaged.to_string() },
        other => EngineError::Storage { engine: ENGINE, source: Box::new(other) },
    }
}
