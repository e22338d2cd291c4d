//! The engine on sled 0.34, kept as an adapter.
//!
//! sled keeps one log in one file and has no snapshots; [`super::sled_view`] builds them from saved old values.
//!
//! **Durability.** sled's own `flush` asks the kernel to write pages with `sync_file_range`, which leaves the growth of the
//! file to chance. [`Engine::sync`] therefore follows it with `syncfs`, which is honest about what was written until then.
//! What cannot be repaired from outside: between two syncs sled reuses freed segments in the belief that their replacement
//! is durable, so a power cut can damage older data or leave a file that cannot be opened ([`EngineError::Damaged`]).
//! Use it only where a log and snapshots can rebuild the state.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::contract::is_empty_range;
use super::layout::allocated_bytes;
use super::sled_view::{OldValues, SledSnapshot, SnapshotRegistry};
use super::{Engine, EngineConfig, EngineError, EngineKind, EngineSnapshot, Pair, Scan, WriteBatch};

/// How long a locked directory is tried again, and how often.
const LOCKED_MAX: Duration = Duration::from_secs(30);
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// An [`Engine`] in one sled tree.
pub struct SledEngine {
    db: ::sled::Db,
    snapshots: SnapshotRegistry,
    dir: PathBuf,
    /// Held open from the start: the kernel reports a write-back error to the descriptors that were open when it happened.
    dir_handle: File,
    has_failed: AtomicBool,
}

impl SledEngine {
    /// Opens the database in `dir`, creating it where there is none.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] also where sled panics over its own file, as it does after some power cuts.
    pub fn open(dir: &Path, config: &EngineConfig) -> Result<Self, EngineError> {
        let config = ::sled::Config::new().path(dir).cache_capacity(config.cache_bytes);
        let began = Instant::now();
        let db = loop {
            let opened = catch_unwind(AssertUnwindSafe(|| config.open())).map_err(|panic| EngineError::Damaged {
                engine: EngineKind::Sled,
                detail: panic_text(panic.as_ref()),
            })?;
            match opened {
                // A database that was dropped keeps its lock until sled's own threads have ended.
                Err(error) if is_locked(&error) && began.elapsed() < LOCKED_MAX => std::thread::sleep(LOCKED_PAUSE),
                opened => break opened.map_err(classify)?,
            }
        };
        let dir_handle =
            File::open(dir).map_err(|source| EngineError::Io { action: "open", path: dir.to_owned(), source })?;
        Ok(Self {
            db,
            snapshots: SnapshotRegistry::default(),
            dir: dir.to_owned(),
            dir_handle,
            has_failed: AtomicBool::new(false),
        })
    }

    fn view(&self) -> SledSnapshot {
        SledSnapshot::new(self.db.clone(), self.snapshots.register(Arc::new(OldValues::default())))
    }

    fn check_alive(&self) -> Result<(), EngineError> {
        if self.has_failed.load(Ordering::Acquire) {
            return Err(EngineError::Poisoned { engine: EngineKind::Sled });
        }
        Ok(())
    }

    fn poison<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        if result.is_err() {
            self.has_failed.store(true, Ordering::Release);
        }
        result
    }
}

impl Engine for SledEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.db.get(key).map_err(classify)?.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, from: &[u8], until: Option<&[u8]>) -> Scan<'_> {
        self.view().into_scan(from, until)
    }

    fn last_in(&self, from: &[u8], until: &[u8]) -> Result<Option<Pair>, EngineError> {
        if is_empty_range(from, Some(until)) {
            return Ok(None);
        }
        let last = self.db.range(from..until).next_back().transpose().map_err(classify)?;
        Ok(last.map(|(key, value)| (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value))))
    }

    fn write(&self, batch: WriteBatch) -> Result<(), EngineError> {
        let changes = batch.into_net_changes()?;
        self.check_alive()?;
        let mut sled_batch = ::sled::Batch::default();
        for (key, value) in &changes {
            match value {
                Some(value) => sled_batch.insert(key.as_ref(), value.as_ref()),
                None => sled_batch.remove(key.as_ref()),
            }
        }
        let written = self
            .snapshots
            .keeping_old_values(&self.db, changes.into_keys(), || self.db.apply_batch(sled_batch).map_err(classify));
        self.poison(written)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.check_alive()?;
        let flushed = self.db.flush().map_err(classify).and_then(|_| {
            rustix::fs::syncfs(&self.dir_handle).map_err(|errno| EngineError::Io {
                action: "sync file system of",
                path: self.dir.clone(),
                source: errno.into(),
            })
        });
        self.poison(flushed)
    }

    fn snapshot(&self) -> Result<Box<dyn EngineSnapshot>, EngineError> {
        Ok(Box::new(self.view()))
    }

    fn disk_bytes(&self) -> Result<u64, EngineError> {
        allocated_bytes(&self.dir)
    }
}

/// sled has no error of its own for a locked directory.
fn is_locked(error: &::sled::Error) -> bool {
    matches!(error, ::sled::Error::Io(io) if io.to_string().starts_with("could not acquire lock"))
}

pub(super) fn classify(error: ::sled::Error) -> EngineError {
    match error {
        ::sled::Error::Corruption { .. } => {
            EngineError::Damaged { engine: EngineKind::Sled, detail: error.to_string() }
        }
        locked if is_locked(&locked) => EngineError::InUse { engine: EngineKind::Sled },
        other => EngineError::Storage { engine: EngineKind::Sled, source: Box::new(other) },
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "the engine panicked while opening".to_owned()
    }
}
