//! The log's one writer: append, truncate, purge, and opening after whatever happened before.
//!
//! Invariants: segments hold consecutive indexes without gaps; an entry is in the index only when it is durable; after a
//! failed write or sync nothing is written or read any more, because the page cache may say "clean" of data that never
//! reached the disk.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::checked_file::CheckedFile;
use super::durable_file::{self, TEMPORARY_SUFFIX};
use super::error::RaftLogError;
use super::reader::{Index, LogReader, Shared};
use super::record::{self, LogRecord, PAYLOAD_BYTES_MAX};
use super::recovery::{self, Remainder};
use super::segment::{SEGMENT_SUFFIX, Segment, corrupt};

/// An append buffer larger than this is given back afterwards.
const SCRATCH_BYTES_KEPT: usize = 4 << 20;

/// Sizes of the log's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RaftLogConfig {
    /// A segment that has reached this many bytes is followed by a new one. Purging frees whole segments. An append is never
    /// divided, so a segment can be longer by one append. Default 16 MiB.
    pub segment_bytes: u64,
    /// Space is allocated in steps of this many bytes. Default 4 MiB.
    pub preallocate_bytes: u64,
}

impl Default for RaftLogConfig {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, preallocate_bytes: 4 << 20 }
    }
}

/// The log on disk. One writer; [`RaftLog::reader`] gives out handles for reading beside it.
#[derive(Debug)]
pub struct RaftLog {
    dir: PathBuf,
    config: RaftLogConfig,
    reader: LogReader,
    purged_file: CheckedFile,
    scratch: Vec<u8>,
    /// `File::sync_data`, but for tests of its failure.
    pub(super) sync_data: fn(&File) -> io::Result<()>,
    /// Locked for as long as this value lives.
    _lock: File,
}

impl RaftLog {
    /// Opens the log in `dir`, creating it where there is none, and cuts what an interrupted append left behind.
    ///
    /// # Errors
    /// [`RaftLogError::Corrupt`] where durable entries are damaged or missing, [`RaftLogError::LayoutVersion`],
    /// [`RaftLogError::InUse`], [`RaftLogError::Io`].
    pub fn open(dir: &Path, config: RaftLogConfig) -> Result<Self, RaftLogError> {
        durable_file::create_dir(dir).map_err(RaftLogError::io("create", dir))?;
        let lock = lock(dir)?;
        let (purged_file, purged) = CheckedFile::open(dir.join("purged"))?;
        let purged = purged.map(|bytes| decode_purged(dir, &bytes)).transpose()?;
        let index = load(dir, purged)?;
        Ok(Self {
            dir: dir.to_owned(),
            config,
            reader: LogReader { shared: Arc::new(Shared::new(index)) },
            purged_file,
            scratch: Vec::new(),
            sync_data: File::sync_data,
            _lock: lock,
        })
    }

    /// A handle for reading from other threads.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// Appends entries with one write and one sync; when it returns they survive a power cut. The first must have
    /// [`next_index`](RaftLog::next_index), the others follow.
    ///
    /// # Errors
    /// [`RaftLogError::OutOfOrder`] and [`RaftLogError::PayloadLength`] with nothing written. Any other error poisons the
    /// log: whether the entries are durable is known only after reopening it.
    pub fn append(&mut self, entries: &[LogRecord]) -> Result<(), RaftLogError> {
        self.shared().check_alive()?;
        self.check_entries(entries)?;
        if entries.is_empty() {
            return Ok(());
        }
        let appended = self.append_checked(entries);
        self.poison_on_error(appended)
    }

    /// Removes all entries from `index` on, durably. Nothing to do where there are none.
    ///
    /// # Errors
    /// [`RaftLogError::TruncatePurged`] with nothing changed. Any other error poisons the log.
    pub fn truncate_from(&mut self, index: u64) -> Result<(), RaftLogError> {
        self.shared().check_alive()?;
        if let Some(purged) = self.purged_index().filter(|&purged| index <= purged) {
            return Err(RaftLogError::TruncatePurged { index, purged });
        }
        let truncated = self.truncate_checked(index);
        self.poison_on_error(truncated)
    }

    /// Forgets all entries up to and including `index`, durably, and gives back the space of whole segments. `index` may lie
    /// beyond the last entry: after a snapshot was installed the log continues behind it.
    ///
    /// # Errors
    /// Any error poisons the log.
    pub fn purge_to(&mut self, index: u64) -> Result<(), RaftLogError> {
        self.shared().check_alive()?;
        if self.purged_index().is_some_and(|purged| index <= purged) {
            return Ok(());
        }
        let purged = self.purge_checked(index);
        self.poison_on_error(purged)
    }

    /// See [`LogReader::read`].
    pub fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LogRecord>, RaftLogError> {
        self.reader.read(range, bytes_max)
    }

    /// See [`LogReader::first_index`].
    pub fn first_index(&self) -> Option<u64> {
        self.reader.first_index()
    }

    /// See [`LogReader::last_index`].
    pub fn last_index(&self) -> Option<u64> {
        self.reader.last_index()
    }

    /// See [`LogReader::next_index`].
    pub fn next_index(&self) -> u64 {
        self.reader.next_index()
    }

    /// See [`LogReader::purged_index`].
    pub fn purged_index(&self) -> Option<u64> {
        self.reader.purged_index()
    }

    fn shared(&self) -> &Shared {
        &self.reader.shared
    }

    fn poison_on_error(&self, result: Result<(), RaftLogError>) -> Result<(), RaftLogError> {
        if result.is_err() {
            self.shared().poison();
        }
        result
    }

    fn check_entries(&self, entries: &[LogRecord]) -> Result<(), RaftLogError> {
        for (expected, entry) in (self.next_index()..).zip(entries) {
            if entry.index != expected {
                return Err(RaftLogError::OutOfOrder { expected, found: entry.index });
            }
            if entry.payload.len() > PAYLOAD_BYTES_MAX {
                let payload_bytes = entry.payload.len();
                return Err(RaftLogError::PayloadLength { index: entry.index, payload_bytes });
            }
        }
        Ok(())
    }

    fn append_checked(&mut self, entries: &[LogRecord]) -> Result<(), RaftLogError> {
        let batch_bytes: u64 = entries.iter().map(|entry| record::record_bytes(entry.payload.len()) as u64).sum();
        self.start_segment_if_needed(batch_bytes)?;

        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let mut offsets = Vec::with_capacity(entries.len());
        // Readers share this lock: they go on reading while the disk syncs. Only publishing excludes them.
        let index = self.shared().index();
        let segment = index.segments.back().expect("a segment was started above");
        let mut last_crc = segment.last_crc;
        for entry in entries {
            offsets.push(segment.tail + scratch.len() as u64);
            last_crc = record::encode(&mut scratch, segment.nonce, last_crc, entries[0].index, entry);
        }
        let allocated = segment.reserve(batch_bytes, self.config.preallocate_bytes)?;
        let zeroed = segment.zeroed_behind(segment.tail + batch_bytes, allocated);
        if zeroed > segment.zeroed {
            scratch.resize((zeroed - segment.tail) as usize, 0);
        }
        segment.file.write_all_at(&scratch, segment.tail).map_err(RaftLogError::io("write", &segment.path))?;
        (self.sync_data)(&segment.file).map_err(RaftLogError::io("sync", &segment.path))?;
        drop(index);

        let mut index = self.shared().index_mut();
        let segment = index.segments.back_mut().expect("only this writer removes segments");
        segment.offsets.append(&mut offsets);
        segment.tail += batch_bytes;
        segment.allocated = allocated;
        segment.zeroed = zeroed;
        segment.last_crc = last_crc;
        drop(index);

        scratch.shrink_to(SCRATCH_BYTES_KEPT);
        self.scratch = scratch;
        Ok(())
    }

    /// Makes sure that the last segment exists and has room for another append.
    fn start_segment_if_needed(&mut self, batch_bytes: u64) -> Result<(), RaftLogError> {
        let (first_index, prev_crc) = {
            let index = self.shared().index();
            let next_index = index.next_index();
            match index.segments.back() {
                None => (next_index, 0),
                Some(last) if last.offsets.is_empty() => return Ok(()),
                Some(last) if last.tail + batch_bytes <= self.config.segment_bytes => return Ok(()),
                Some(last) => {
                    // Gives back what was allocated ahead. Not synced: trailing zeros in a full segment are no harm.
                    last.file.set_len(last.tail).map_err(RaftLogError::io("trim", &last.path))?;
                    (next_index, last.last_crc)
                }
            }
        };
        let segment = Segment::create(&self.dir, first_index, prev_crc, self.config.preallocate_bytes)?;
        self.shared().index_mut().segments.push_back(segment);
        Ok(())
    }

    /// From the end backwards, each step durable before the next: whatever a crash interrupts, what remains has no gap.
    fn truncate_checked(&mut self, from: u64) -> Result<(), RaftLogError> {
        let mut index = self.shared().index_mut();
        while let Some(segment) = index.segments.pop_back_if(|segment| segment.first_index >= from) {
            remove_segment(&segment)?;
            durable_file::sync_dir(&self.dir).map_err(RaftLogError::io("sync", &self.dir))?;
        }
        let Some(segment) = index.segments.back_mut().filter(|segment| from < segment.next_index()) else {
            return Ok(());
        };
        // The first record of a segment would have removed the segment, so there is one before `from`.
        segment.last_crc = segment.crc_of(from - 1)?;
        let kept = usize::try_from(from - segment.first_index).expect("records of a segment fit into memory's index");
        segment.tail = segment.offsets[kept];
        segment.offsets.truncate(kept);
        segment.allocated = segment.tail;
        segment.zeroed = 0;
        segment.cut_file(segment.tail)
    }

    /// The purge point first, the files after it: a crash in between leaves files that opening removes.
    fn purge_checked(&mut self, to: u64) -> Result<(), RaftLogError> {
        self.purged_file.save(&to.to_le_bytes())?;
        let mut index = self.reader.shared.index_mut();
        index.purged = Some(to);
        while let Some(segment) = index.segments.pop_front_if(|segment| segment.next_index() <= to.saturating_add(1)) {
            remove_segment(&segment)?;
        }
        Ok(())
    }
}

fn remove_segment(segment: &Segment) -> Result<(), RaftLogError> {
    fs::remove_file(&segment.path).map_err(RaftLogError::io("remove", &segment.path))
}

fn lock(dir: &Path) -> Result<File, RaftLogError> {
    let path = dir.join("LOCK");
    let file = File::create(&path).map_err(RaftLogError::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(RaftLogError::InUse { dir: dir.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(RaftLogError::io("lock", &path)(error)),
    }
}

fn decode_purged(dir: &Path, bytes: &Bytes) -> Result<u64, RaftLogError> {
    let bytes: [u8; 8] =
        bytes.as_ref().try_into().map_err(|_| corrupt(&dir.join("purged"), 0, "not eight bytes long"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Reads all segments, checks that they join, and leaves the last one ready for appending.
fn load(dir: &Path, purged: Option<u64>) -> Result<Index, RaftLogError> {
    let after_purged = purged.map_or(0, |purged| purged + 1);
    let mut named = list_segments(dir)?;
    // Left by a purge that was interrupted. The last one's end is not known from its name; it is looked at below.
    while named.len() > 1 && named[1].0 <= after_purged {
        let (_, path) = named.remove(0);
        fs::remove_file(&path).map_err(RaftLogError::io("remove", &path))?;
    }
    let mut index = Index { segments: Default::default(), purged };
    let count = named.len();
    for (position, (first_index, path)) in named.into_iter().enumerate() {
        let mut segment = Segment::open(path, first_index)?;
        match index.segments.back() {
            None if first_index > after_purged => {
                let detail = format!("the log should begin at {after_purged}");
                return Err(corrupt(&segment.path, 0, &detail));
            }
            Some(before) if before.next_index() != first_index || before.last_crc != segment.prev_crc => {
                let detail = format!("does not continue {}", before.path.display());
                return Err(corrupt(&segment.path, 0, &detail));
            }
            _ => {}
        }
        let remainder = recovery::load(&mut segment)?;
        if remainder == Remainder::Torn {
            if position + 1 < count {
                let detail = format!("record {} is bad in a full segment", segment.next_index());
                return Err(corrupt(&segment.path, segment.tail, &detail));
            }
            cut_torn_tail(&mut segment)?;
        }
        index.segments.push_back(segment);
    }
    if let Some(obsolete) = index.segments.pop_back_if(|last| last.next_index() < after_purged) {
        remove_segment(&obsolete)?;
    }
    Ok(index)
}

fn cut_torn_tail(segment: &mut Segment) -> Result<(), RaftLogError> {
    tracing::warn!(
        segment = %segment.path.display(),
        offset = segment.tail,
        next_index = segment.next_index(),
        "cutting the rest of an interrupted append from the raft log"
    );
    segment.cut_file(segment.tail)?;
    segment.allocated = segment.tail;
    segment.zeroed = 0;
    Ok(())
}

/// The segments by first index, ascending. Removes what was never finished.
fn list_segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>, RaftLogError> {
    let io = |error| RaftLogError::io("list", dir)(error);
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.ends_with(&format!("{SEGMENT_SUFFIX}{TEMPORARY_SUFFIX}")) {
            fs::remove_file(&path).map_err(RaftLogError::io("remove", &path))?;
        } else if let Some(number) = name.strip_suffix(SEGMENT_SUFFIX) {
            let first_index = number.parse().map_err(|_| corrupt(&path, 0, "not named after an index"))?;
            segments.push((first_index, path));
        }
    }
    segments.sort();
    Ok(segments)
}
