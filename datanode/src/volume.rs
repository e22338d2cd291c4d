//! A volume: which replicas it has, how much room is left, and whether it is in service.
//!
//! Invariants:
//! - the map says what is served and reported; files without an entry are garbage or under construction;
//! - the map's and the cache's locks are never held across I/O;
//! - a volume out of service answers nothing until the next start.
//!
//! How replicas come to be, are finalized, recovered and removed is in the modules `create`, `finalize`, `recover`, `remove`.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use granary_protocol::block::{BlockKind, Media};
use granary_protocol::namenode::{ReplicaReport, ReplicaState, VolumeReport};
use granary_protocol::{BlockId, GenerationStamp, VolumeId};

use crate::changes::ChangeLog;
use crate::disk::{self, FileSystemSpace};
use crate::error::ReplicaError;
use crate::finalized_files::{FileCache, FinalizedFiles};
use crate::layout::{Layout, ReplicaName};
use crate::metrics::DatanodeMetrics;
use crate::open_replica::{OpenReplica, Purpose, WriteState};
use crate::pace::Pace;

/// Default reserve: the smaller of this and a hundredth of the file system.
const RESERVED_BYTES_MAX: u64 = 1 << 30;

/// What the map knows of a replica.
#[derive(Clone)]
pub(crate) enum Replica {
    Finalized { generation: GenerationStamp, kind: BlockKind, length: u32 },
    Open(Arc<OpenReplica>),
}

impl Replica {
    pub(crate) fn generation(&self) -> GenerationStamp {
        match self {
            Replica::Finalized { generation, .. } => *generation,
            Replica::Open(open) => open.name.generation,
        }
    }
}

/// Where a reader's bytes come from.
#[derive(Clone)]
pub(crate) enum ReplicaSource {
    Finalized(Arc<FinalizedFiles>),
    Open(Arc<OpenReplica>),
    /// Finalized, with its files not open: opening them blocks.
    Closed {
        name: ReplicaName,
        length: u32,
    },
}

/// What a volume shares with the rest of the node.
#[derive(Clone)]
pub(crate) struct VolumeContext {
    pub(crate) changes: Arc<ChangeLog>,
    pub(crate) metrics: Arc<DatanodeMetrics>,
    pub(crate) reserved_bytes: Option<u64>,
    pub(crate) io_errors_max: u32,
    /// Finalized replicas kept open by this volume.
    pub(crate) open_replicas_max: usize,
}

/// One `--data` directory.
pub(crate) struct Volume {
    pub(crate) id: VolumeId,
    pub(crate) media: Media,
    pub(crate) layout: Layout,
    pub(crate) context: VolumeContext,
    /// Locked for as long as the volume is in use.
    lock_file: File,
    replicas: Mutex<HashMap<BlockId, Replica>>,
    files: Mutex<FileCache>,
    /// One recovery or removal at a time: they look first and act then.
    pub(crate) structure: Mutex<()>,
    used_bytes: AtomicU64,
    promised_bytes: AtomicU64,
    io_errors: AtomicU32,
    failed: OnceLock<String>,
    pub(crate) pace: Pace,
    /// As last measured, for reports while a disk hangs.
    space: Mutex<FileSystemSpace>,
}

impl Volume {
    pub(crate) fn new(
        id: VolumeId,
        media: Media,
        layout: Layout,
        lock_file: File,
        context: VolumeContext,
        replicas: HashMap<BlockId, Replica>,
        used_bytes: u64,
    ) -> io::Result<Volume> {
        let space = disk::file_system_space(layout.root())?;
        Ok(Volume {
            id,
            media,
            layout,
            lock_file,
            replicas: Mutex::new(replicas),
            files: Mutex::new(FileCache::new(context.open_replicas_max)),
            context,
            structure: Mutex::new(()),
            used_bytes: AtomicU64::new(used_bytes),
            promised_bytes: AtomicU64::new(0),
            io_errors: AtomicU32::new(0),
            failed: OnceLock::new(),
            pace: Pace::default(),
            space: Mutex::new(space),
        })
    }

    pub(crate) fn replicas(&self) -> MutexGuard<'_, HashMap<BlockId, Replica>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn files(&self) -> MutexGuard<'_, FileCache> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses to touch a volume that is out of service.
    pub(crate) fn check_in_service(&self) -> Result<(), ReplicaError> {
        match self.failed.get() {
            None => Ok(()),
            Some(reason) => Err(ReplicaError::VolumeFailed { reason: reason.clone() }),
        }
    }

    pub(crate) fn failed(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// Takes the volume out of service until the next start.
    pub(crate) fn fail(&self, reason: String) {
        if self.failed.set(reason.clone()).is_ok() {
            tracing::error!(volume = %self.id, path = %self.layout.root().display(), reason, "volume out of service");
        }
    }

    /// Lets go of the directory at shutdown. Nothing may be under way any more.
    pub(crate) fn close(&self) {
        let _ = self.failed.set("the datanode has shut down".to_owned());
        if let Err(error) = self.lock_file.unlock() {
            tracing::warn!(volume = %self.id, %error, "the volume's lock could not be released");
        }
    }

    /// Counts an I/O error (not a full disk) against the volume.
    pub(crate) fn count_io_error(&self, error: &io::Error) {
        self.context.metrics.io_errors.add(1);
        let errors = self.io_errors.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(volume = %self.id, errors, %error, "i/o error");
        if errors >= self.context.io_errors_max {
            self.fail(format!("{errors} i/o errors, the last one: {error}"));
        }
    }

    /// Where the bytes of a block are, if this volume has it at `generation` or later.
    pub(crate) fn source(&self, block: BlockId, generation: GenerationStamp) -> Result<ReplicaSource, ReplicaError> {
        self.check_in_service()?;
        let replica = self.replicas().get(&block).cloned();
        let not_found = |reason: String| ReplicaError::NotFound { block, reason };
        let replica = replica.ok_or_else(|| not_found("none on this volume".to_owned()))?;
        if replica.generation() < generation {
            let reason = format!("generation {} here, {generation} asked for", replica.generation());
            return Err(not_found(reason));
        }
        Ok(match replica {
            Replica::Open(open) => ReplicaSource::Open(open),
            Replica::Finalized { generation, kind, length } => match self.files().get(block, generation) {
                Some(files) => ReplicaSource::Finalized(files),
                None => ReplicaSource::Closed { name: ReplicaName { block, generation, kind }, length },
            },
        })
    }

    /// Opens the files of a finalized replica and keeps them. Blocks.
    pub(crate) fn open_files(&self, name: ReplicaName, length: u32) -> io::Result<Arc<FinalizedFiles>> {
        let files = Arc::new(FinalizedFiles::open(name, length, &self.finalized_path(name))?);
        self.files().insert(files.clone());
        // Removed meanwhile: the cache must not keep its space.
        if self.replicas().get(&name.block).is_none_or(|replica| replica.generation() != name.generation) {
            self.files().remove(name.block);
        }
        Ok(files)
    }

    pub(crate) fn finalized_path(&self, name: ReplicaName) -> PathBuf {
        self.layout.finalized_of(name.block).join(name.data())
    }

    /// Bytes of the file system that are not for replicas.
    fn reserved_bytes(&self, space: FileSystemSpace) -> u64 {
        self.context.reserved_bytes.unwrap_or(RESERVED_BYTES_MAX.min(space.capacity_bytes / 100))
    }

    fn free_for_replicas(&self, space: FileSystemSpace) -> u64 {
        let promised = self.promised_bytes.load(Ordering::Relaxed);
        space.free_bytes.saturating_sub(self.reserved_bytes(space)).saturating_sub(promised)
    }

    /// Promises `bytes` to a new replica, if they are there. Blocks.
    pub(crate) fn promise(&self, bytes: u64) -> io::Result<bool> {
        let space = disk::file_system_space(self.layout.root())?;
        // Held, so that two newcomers do not both take the last room.
        let mut last = self.space.lock().unwrap_or_else(PoisonError::into_inner);
        *last = space;
        let fits = self.free_for_replicas(space) >= bytes;
        if fits {
            self.promised_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(fits)
    }

    /// Takes back a promise that no replica came of.
    pub(crate) fn take_back_promise(&self, bytes: u64) {
        self.promised_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Takes back what was promised and not used.
    pub(crate) fn unpromise(&self, state: &mut WriteState) {
        self.promised_bytes.fetch_sub(std::mem::take(&mut state.promised_bytes), Ordering::Relaxed);
    }

    /// Counts a replica's growth: it is used now, and promised no longer.
    pub(crate) fn count_growth(&self, state: &mut WriteState, bytes: u64) {
        self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        let kept = bytes.min(state.promised_bytes);
        state.promised_bytes -= kept;
        self.promised_bytes.fetch_sub(kept, Ordering::Relaxed);
    }

    /// Counts bytes that replicas do not take any more.
    pub(crate) fn count_freed(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Measures the file system and looks whether the directory is still there. Blocks.
    pub(crate) fn refresh(&self) {
        if self.failed.get().is_some() {
            return;
        }
        let looked = std::fs::metadata(self.layout.version()).and_then(|_| disk::file_system_space(self.layout.root()));
        match looked {
            Ok(space) => *self.space.lock().unwrap_or_else(PoisonError::into_inner) = space,
            Err(error) => self.fail(format!("cannot look at the directory: {error}")),
        }
    }

    /// The volume for a heartbeat, with space as last measured.
    pub(crate) fn report(&self) -> VolumeReport {
        let space = *self.space.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = self.failed.get().cloned();
        VolumeReport {
            volume: self.id,
            path: self.layout.root().display().to_string(),
            media: self.media,
            capacity_bytes: space.capacity_bytes,
            free_bytes: if failed.is_some() { 0 } else { self.free_for_replicas(space) },
            used_bytes: self.used_bytes(),
            replicas: self.replicas().len() as u64,
            failed,
            wait_ms: self.pace.typical_ms(),
        }
    }

    /// Every replica, for a full report; none of a volume that is out of service.
    pub(crate) fn replica_reports(&self) -> Vec<ReplicaReport> {
        if self.failed.get().is_some() {
            return Vec::new();
        }
        let replicas = self.replicas();
        let reports = replicas.iter().map(|(block, replica)| match replica {
            Replica::Finalized { generation, length, .. } => ReplicaReport {
                block: *block,
                generation: *generation,
                length: *length,
                state: ReplicaState::Finalized,
            },
            Replica::Open(open) => ReplicaReport {
                block: *block,
                generation: open.name.generation,
                length: open.visible(),
                state: match open.purpose {
                    Purpose::Write | Purpose::Copy => ReplicaState::Open,
                    Purpose::Recovered => ReplicaState::Recovering,
                },
            },
        });
        reports.collect()
    }
}
