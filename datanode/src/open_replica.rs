//! A replica that is not finalized: its file, its checksums in memory, and how much of it is durable.
//!
//! Invariants:
//! - the checksums cover exactly the bytes written; they grow only after the bytes are in the file;
//! - `synced` and `shown` never pass the bytes written, and go down only when the replica is cut;
//! - the write state's lock is held through writes and syncs (blocking threads only); readers never take it, they take
//!   the checksums' lock, which is never held across I/O.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind};
use granary_protocol::checksum::CHUNK_BYTES;

use crate::chunk_sums::ChunkSums;
use crate::disk;
use crate::layout::{ReplicaName, sums_path};

/// Packed replicas, which are synced all the time, get their disk blocks in steps of this size.
const PREALLOCATION_STEP_BYTES: u64 = 16 << 20;
/// Short appends, each synced, go into bytes that were written as zeros before, this many at a time: the file system then
/// has nothing of its own to write at the sync. Into merely allocated blocks it has, which takes about 50 µs more.
const ZEROED_STEP_BYTES: usize = 256 << 10;
static ZEROS: [u8; ZEROED_STEP_BYTES] = [0; ZEROED_STEP_BYTES];
/// Longer appends write their bytes once: their sync costs what the bytes cost.
const ZEROED_APPEND_BYTES_MAX: usize = 64 << 10;
/// Owned replicas, which are synced once at their end, are written back in steps of this size.
const WRITEBACK_STEP_BYTES: u64 = 8 << 20;

/// Who made the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A writer with a lease; what it leaves behind waits for the namenode's decision.
    Write,
    /// Another datanode copying a finalized replica; what it leaves behind is garbage.
    Copy,
    /// Found at start, or taken back from the finalized ones to be cut. Nobody adds to it.
    Recovered,
}

/// A replica being written or recovered.
pub(crate) struct OpenReplica {
    pub(crate) name: ReplicaName,
    pub(crate) purpose: Purpose,
    /// The data file, in `rbw/` or `tmp/`.
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    sums: Mutex<ChunkSums>,
    synced: AtomicU32,
    /// Bytes that readers may have before they are durable: a writer was told that every member of its pipeline has
    /// them. 0 where writers are only ever told of durable bytes.
    shown: AtomicU32,
    state: Mutex<WriteState>,
    #[cfg(test)]
    pub(crate) fail_next_sync: std::sync::atomic::AtomicBool,
}

/// What writing has done to the file. Guarded by one lock, so that a writer, a recovery and a removal exclude each other.
pub(crate) struct WriteState {
    /// The file's size, preallocated bytes included.
    pub(crate) file_bytes: u64,
    /// Bytes of the volume still promised to this replica.
    pub(crate) promised_bytes: u64,
    /// Why nothing more may be done through this value: it was finalized, removed or condemned.
    pub(crate) closed: Option<&'static str>,
    /// Whether the file's name is durable.
    name_synced: bool,
    /// Preallocation was refused once; not asked for again.
    no_preallocation: bool,
    /// Up to where zeros were written ahead.
    zeroed_bytes: u64,
    /// Up to where writeback was started.
    writeback_bytes: u64,
}

/// The checksums around a range, as of one moment.
pub(crate) struct SumsSnapshot {
    /// Where the chunks that were asked for end: a chunk boundary, or the end of the bytes written.
    pub(crate) end: u32,
    pub(crate) sums: Vec<u32>,
}

impl OpenReplica {
    /// A new, empty replica.
    pub(crate) fn create(name: ReplicaName, purpose: Purpose, path: PathBuf, promised_bytes: u64) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(&path)?;
        Ok(Self::over(name, purpose, path, file, ChunkSums::default(), 0, promised_bytes))
    }

    /// A replica whose first bytes, those that `sums` cover, are durable.
    pub(crate) fn recovered(name: ReplicaName, path: PathBuf, file: File, sums: ChunkSums, file_bytes: u64) -> Self {
        Self::over(name, Purpose::Recovered, path, file, sums, file_bytes, 0)
    }

    /// The same bytes for another writer, which goes on at `name.generation` in the file that is now at `path`. `self`
    /// is closed by the caller, who holds its state.
    pub(crate) fn handed_over(
        &self,
        state: &WriteState,
        name: ReplicaName,
        path: PathBuf,
        promised_bytes: u64,
    ) -> io::Result<OpenReplica> {
        let (file, sums) = (self.file.try_clone()?, self.sums().clone());
        let next = Self::over(name, Purpose::Write, path, file, sums, state.file_bytes, promised_bytes);
        next.synced.store(self.synced(), Ordering::Release);
        next.shown.store(self.shown.load(Ordering::Acquire), Ordering::Release);
        Ok(next)
    }

    fn over(
        name: ReplicaName,
        purpose: Purpose,
        path: PathBuf,
        file: File,
        sums: ChunkSums,
        file_bytes: u64,
        promised_bytes: u64,
    ) -> Self {
        let state = WriteState {
            file_bytes,
            promised_bytes,
            closed: None,
            name_synced: purpose == Purpose::Recovered,
            no_preallocation: name.kind != BlockKind::Packed,
            zeroed_bytes: 0,
            writeback_bytes: 0,
        };
        Self {
            name,
            purpose,
            path,
            file,
            synced: AtomicU32::new(sums.length()),
            shown: AtomicU32::new(0),
            sums: Mutex::new(sums),
            state: Mutex::new(state),
            #[cfg(test)]
            fail_next_sync: Default::default(),
        }
    }

    /// Blocks while another thread writes or syncs.
    pub(crate) fn lock(&self) -> MutexGuard<'_, WriteState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never waits for I/O.
    pub(crate) fn sums(&self) -> MutexGuard<'_, ChunkSums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes in the file, durable or not.
    pub(crate) fn written(&self) -> u32 {
        self.sums().length()
    }

    /// Bytes on stable storage.
    pub(crate) fn synced(&self) -> u32 {
        self.synced.load(Ordering::Acquire)
    }

    /// Bytes that a reader may have: the durable ones, and those shown to readers before.
    pub(crate) fn visible(&self) -> u32 {
        self.synced().max(self.shown.load(Ordering::Acquire))
    }

    /// Lets readers have the first `bytes`, at most what is written, durable or not.
    pub(crate) fn show(&self, bytes: u32) {
        self.shown.fetch_max(bytes.min(self.written()), Ordering::Release);
    }

    /// The sums of the chunks that hold bytes `start..end`; `start` is a chunk boundary.
    pub(crate) fn snapshot(&self, start: u32, end: u32) -> SumsSnapshot {
        let sums = self.sums();
        let chunk_end = (end as usize).next_multiple_of(CHUNK_BYTES);
        let end = chunk_end.min(sums.length() as usize) as u32;
        SumsSnapshot { end, sums: sums.range(start as usize / CHUNK_BYTES, chunk_end / CHUNK_BYTES) }
    }

    /// Adds `data` at the end. On an error the bytes count as not written.
    pub(crate) fn append(&self, state: &mut WriteState, data: &[u8]) -> io::Result<()> {
        self.write_at_end(state, data)?;
        self.sums().append(data);
        Ok(())
    }

    /// The same with checksums that the caller has compared with the data: one a chunk, from a chunk boundary on.
    pub(crate) fn append_summed(&self, state: &mut WriteState, data: &[u8], sums: &[u32]) -> io::Result<()> {
        self.write_at_end(state, data)?;
        self.sums().append_summed(data, sums);
        Ok(())
    }

    fn write_at_end(&self, state: &mut WriteState, data: &[u8]) -> io::Result<()> {
        let start = u64::from(self.written());
        let end = start + data.len() as u64;
        self.make_room(state, end)?;
        self.file.write_all_at(data, start)?;
        self.write_ahead(state, data.len(), end)?;
        state.file_bytes = state.file_bytes.max(end);
        if self.name.kind != BlockKind::Packed && end - state.writeback_bytes >= WRITEBACK_STEP_BYTES {
            disk::start_writeback(&self.file, state.writeback_bytes, end - state.writeback_bytes);
            state.writeback_bytes = end;
        }
        Ok(())
    }

    fn make_room(&self, state: &mut WriteState, end: u64) -> io::Result<()> {
        if state.no_preallocation || end <= state.file_bytes {
            return Ok(());
        }
        let step_end = end.next_multiple_of(PREALLOCATION_STEP_BYTES).min(u64::from(BLOCK_BYTES_MAX)).max(end);
        if disk::preallocate(&self.file, state.file_bytes, step_end)? {
            state.file_bytes = step_end;
        } else {
            state.no_preallocation = true;
        }
        Ok(())
    }

    /// Writes zeros behind `end`, within what is allocated, if short appends follow each other.
    fn write_ahead(&self, state: &mut WriteState, appended_bytes: usize, end: u64) -> io::Result<()> {
        let until = (end + ZEROS.len() as u64).min(state.file_bytes);
        if appended_bytes > ZEROED_APPEND_BYTES_MAX || end <= state.zeroed_bytes || until <= end {
            return Ok(());
        }
        self.file.write_all_at(&ZEROS[..(until - end) as usize], end)?;
        state.zeroed_bytes = until;
        Ok(())
    }

    /// Makes everything written so far durable. After an error nothing of the replica can be trusted: the kernel
    /// reports a failed write-back once and then forgets it.
    pub(crate) fn sync(&self, state: &mut WriteState) -> io::Result<()> {
        let written = self.written();
        self.sync_data()?;
        if self.name.kind != BlockKind::Packed {
            self.write_sums(&sums_path(&self.path))?;
        }
        if !state.name_synced {
            disk::sync_directory(self.path.parent().expect("a replica's file lies in a directory"))?;
            state.name_synced = true;
        }
        self.synced.fetch_max(written, Ordering::Release);
        Ok(())
    }

    /// Says that the bytes written are durable by other means than [`sync`](Self::sync).
    pub(crate) fn mark_synced(&self) {
        self.synced.fetch_max(self.written(), Ordering::Release);
    }

    /// The data alone; used where the names and sums are made durable in another way.
    pub(crate) fn sync_data(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.fail_next_sync.swap(false, Ordering::Relaxed) {
            return Err(rustix::io::Errno::IO.into());
        }
        self.file.sync_data()
    }

    /// Writes and syncs the sums. Written over what was there: the data they newly cover is durable by now, so every
    /// mixture of old and new sums on disk is right up to its first mismatch.
    pub(crate) fn write_sums(&self, path: &std::path::Path) -> io::Result<()> {
        let bytes = self.sums().encode_file(self.name.kind);
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        file.write_all_at(&bytes, 0)?;
        file.set_len(bytes.len() as u64)?;
        file.sync_data()
    }

    /// Cuts the replica to its first `length` bytes, in memory and in the file; preallocated space goes, too.
    /// `Ok(false)`: the chunk that becomes short does not match its checksum.
    pub(crate) fn cut(&self, state: &mut WriteState, length: u32) -> io::Result<bool> {
        if length < self.written() {
            let chunk_start = length as usize / CHUNK_BYTES * CHUNK_BYTES;
            let snapshot = self.snapshot(chunk_start as u32, length);
            let chunk = disk::read_up_to(&self.file, chunk_start as u64, snapshot.end as usize - chunk_start)?;
            if crate::chunk_sums::check_chunks(&chunk, &snapshot.sums).is_err() {
                return Ok(false);
            }
            self.sums().truncate(length, &chunk);
            self.synced.fetch_min(length, Ordering::AcqRel);
            self.shown.fetch_min(length, Ordering::AcqRel);
        }
        if state.file_bytes != u64::from(length) {
            self.file.set_len(length.into())?;
            state.file_bytes = length.into();
            state.zeroed_bytes = 0;
        }
        Ok(true)
    }
}
