//! openraft's log storage over [`crate::raft_log`].
//!
//! Recent entries are kept in memory as well: the leader reads every entry again to apply and to replicate it, and
//! that must not cost a disk read.

use super::{Entry, LogId, TypeConfig};
use crate::raft_log::{HardStateFile, LogReader, LogRecord, RaftLog, RaftLogConfig, RaftLogError};
use bytes::Bytes;
use granary_rpc::may_block_here;
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{AnyError, ErrorSubject, ErrorVerb, RaftLogReader, StorageError, StorageIOError, Vote};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

/// Entries kept in memory at most, by count and by encoded bytes. Decoded, deletes of many short keys take eight times as
/// much. The last one is always kept.
const CACHED_ENTRIES_MAX: usize = 256;
const CACHED_BYTES_MAX: usize = 4 << 20;
/// Bytes of entries handed to replication at once.
const READ_BYTES_MAX: usize = 4 << 20;

/// What must survive beside the entries.
#[derive(Clone, Default, Serialize, Deserialize)]
struct HardState {
    vote: Option<Vote<u64>>,
    purged: Option<LogId>,
}

struct Shared {
    log: Mutex<RaftLog>,
    hard: Mutex<(HardStateFile, HardState)>,
    recent: Mutex<Recent>,
    reader: LogReader,
}

#[derive(Default)]
struct Recent {
    entries: VecDeque<(Entry, usize)>,
    bytes: usize,
}

/// What a peer finds in its log when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoundLog {
    /// The term it last voted in.
    pub term: Option<u64>,
    /// The index of its last entry.
    pub last: Option<u64>,
}

impl FoundLog {
    /// What must be applied before a leader of `term` is read from, beyond what Raft asks for. One that led when it was
    /// stopped leads on in the same term, and Raft takes the first entry of that term for its beginning: everything it had
    /// acknowledged since is in the log that it found, and not necessarily applied yet.
    pub fn to_apply(&self, term: u64) -> Option<u64> {
        if self.term == Some(term) { self.last } else { None }
    }
}

/// The log of this peer. Cheap to clone; openraft appends from one task and reads from many.
#[derive(Clone)]
pub struct LogStore {
    shared: Arc<Shared>,
}

impl LogStore {
    /// Opens the log in `dir`.
    pub fn open(dir: &Path, config: RaftLogConfig) -> Result<LogStore, RaftLogError> {
        let log = RaftLog::open(dir, config)?;
        let (file, saved) = HardStateFile::open(dir)?;
        let hard = match saved {
            Some(bytes) => postcard::from_bytes(&bytes).map_err(|error| RaftLogError::Corrupt {
                path: dir.join("hard_state"),
                offset: 0,
                detail: error.to_string(),
            })?,
            None => HardState::default(),
        };
        let reader = log.reader();
        Ok(LogStore {
            shared: Arc::new(Shared {
                log: Mutex::new(log),
                hard: Mutex::new((file, hard)),
                recent: Mutex::default(),
                reader,
            }),
        })
    }

    /// Whether nothing was ever written: no entry, no vote.
    pub fn is_empty(&self) -> bool {
        let hard = &lock(&self.shared.hard).1;
        hard.vote.is_none() && hard.purged.is_none() && self.shared.reader.last_index().is_none()
    }

    /// What is here now: the term of the vote, and the last entry. Both are on disk.
    pub fn found(&self) -> FoundLog {
        let vote = lock(&self.shared.hard).1.vote;
        FoundLog { term: vote.map(|vote| vote.leader_id().term), last: self.shared.reader.last_index() }
    }

    /// Reads and decodes every entry.
    ///
    /// # Errors
    /// The first one that is damaged.
    pub fn read_all(&self) -> Result<(), RaftLogError> {
        let reader = &self.shared.reader;
        let (Some(mut next), Some(last)) = (reader.first_index(), reader.last_index()) else { return Ok(()) };
        while next <= last {
            let records = reader.read(next..last + 1, READ_BYTES_MAX)?;
            records.iter().try_for_each(|record| decode(record).map(drop))?;
            next = records.last().map_or(last, |record| record.index) + 1;
        }
        Ok(())
    }

    /// The last entry that was purged, if any.
    pub fn purged(&self) -> Option<LogId> {
        lock(&self.shared.hard).1.purged
    }

    /// Bytes of the log on disk.
    pub fn log_bytes(&self) -> u64 {
        self.shared.reader.log_bytes()
    }

    async fn on_log<T: Send + 'static>(
        &self,
        verb: ErrorVerb,
        work: impl FnOnce(&mut RaftLog) -> Result<T, RaftLogError> + Send + 'static,
    ) -> Result<T, StorageError<u64>> {
        let shared = self.shared.clone();
        blocking(verb, ErrorSubject::Logs, move || work(&mut lock(&shared.log))).await
    }

    async fn save_hard_state(
        &self,
        change: impl FnOnce(&mut HardState) + Send + 'static,
    ) -> Result<(), StorageError<u64>> {
        let shared = self.shared.clone();
        blocking(ErrorVerb::Write, ErrorSubject::Vote, move || {
            let mut hard = lock(&shared.hard);
            let (file, state) = &mut *hard;
            let mut changed = state.clone();
            change(&mut changed);
            let bytes = postcard::to_stdvec(&changed).expect("a vote and a log id always encode");
            file.save(&bytes)?;
            *state = changed;
            Ok::<(), RaftLogError>(())
        })
        .await
    }
}

impl Recent {
    fn push(&mut self, entry: Entry, bytes: usize) {
        if self.entries.back().is_some_and(|(last, _)| last.log_id.index + 1 != entry.log_id.index) {
            // The log goes on elsewhere, behind an installed snapshot.
            *self = Recent::default();
        }
        self.bytes += bytes;
        self.entries.push_back((entry, bytes));
        while self.entries.len() > CACHED_ENTRIES_MAX || (self.bytes > CACHED_BYTES_MAX && self.entries.len() > 1) {
            let Some((_, bytes)) = self.entries.pop_front() else { break };
            self.bytes -= bytes;
        }
    }

    fn truncate_from(&mut self, index: u64) {
        while self.entries.back().is_some_and(|(entry, _)| entry.log_id.index >= index) {
            if let Some((_, bytes)) = self.entries.pop_back() {
                self.bytes -= bytes;
            }
        }
    }

    /// The entries from `from` up to `until` if all of them are here, cut off after `bytes_max`.
    fn range(&self, from: u64, until: u64, bytes_max: usize) -> Option<Vec<Entry>> {
        let first = self.entries.front()?.0.log_id.index;
        let last = self.entries.back()?.0.log_id.index;
        if from < first || from > last {
            return None;
        }
        let mut bytes = 0;
        let mut found = Vec::new();
        for (entry, size) in self.entries.range((from - first) as usize..) {
            if entry.log_id.index >= until || (bytes > 0 && bytes + size > bytes_max) {
                break;
            }
            bytes += size;
            found.push(entry.clone());
        }
        Some(found)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError<u64>> {
        let (from, until) = half_open(&range);
        self.read(from, until, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError<u64>> {
        self.read(start, end, READ_BYTES_MAX).await
    }
}

impl LogStore {
    async fn read(&self, from: u64, until: u64, bytes_max: usize) -> Result<Vec<Entry>, StorageError<u64>> {
        if from >= until {
            return Ok(Vec::new());
        }
        if let Some(entries) = lock(&self.shared.recent).range(from, until, bytes_max) {
            return Ok(entries);
        }
        let reader = self.shared.reader.clone();
        blocking(ErrorVerb::Read, ErrorSubject::Logs, move || {
            reader.read(from..until, bytes_max)?.iter().map(decode).collect()
        })
        .await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError<u64>> {
        let last_purged_log_id = lock(&self.shared.hard).1.purged;
        let shared = self.shared.clone();
        let last = blocking(ErrorVerb::Read, ErrorSubject::Logs, move || {
            let Some(index) = shared.reader.last_index() else { return Ok(None) };
            let records = shared.reader.read(index..index + 1, usize::MAX)?;
            records.first().map(decode).transpose()
        })
        .await?;
        let last_log_id = last.map(|entry| entry.log_id).or(last_purged_log_id);
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        let vote = *vote;
        self.save_hard_state(move |hard| hard.vote = Some(vote)).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        Ok(lock(&self.shared.hard).1.vote)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let mut records = Vec::new();
        {
            let mut recent = lock(&self.shared.recent);
            for entry in entries {
                let payload =
                    postcard::to_stdvec(&entry).map_err(|error| StorageIOError::write_logs(AnyError::new(&error)))?;
                let size = payload.len();
                records.push(LogRecord { index: entry.log_id.index, payload: Bytes::from(payload) });
                recent.push(entry, size);
            }
        }
        let shared = self.shared.clone();
        let append = move || {
            let appended = lock(&shared.log).append(&records);
            callback.log_io_completed(appended.map_err(io::Error::other));
        };
        if may_block_here() {
            append();
        } else {
            granary_rpc::spawn_blocking(append);
        }
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError<u64>> {
        lock(&self.shared.recent).truncate_from(log_id.index);
        self.on_log(ErrorVerb::Delete, move |log| log.truncate_from(log_id.index)).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError<u64>> {
        // The purged id first: a log whose beginning is gone and whose purged id is unknown could not be opened.
        self.save_hard_state(move |hard| hard.purged = Some(log_id)).await?;
        self.on_log(ErrorVerb::Delete, move |log| log.purge_to(log_id.index)).await
    }
}

fn decode(record: &LogRecord) -> Result<Entry, RaftLogError> {
    postcard::from_bytes(&record.payload).map_err(|error| RaftLogError::Corrupt {
        path: std::path::PathBuf::from("raft log"),
        offset: record.index,
        detail: format!("entry {} does not decode: {error}", record.index),
    })
}

fn half_open(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let until = match range.end_bound() {
        Bound::Included(last) => last + 1,
        Bound::Excluded(until) => *until,
        Bound::Unbounded => u64::MAX,
    };
    (from, until)
}

/// Runs disk work off the runtime's workers.
pub(super) async fn blocking<T: Send + 'static, E: std::error::Error + Send + Sync + 'static>(
    verb: ErrorVerb,
    subject: ErrorSubject<u64>,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, StorageError<u64>> {
    let failed = |error: AnyError| StorageError::from(StorageIOError::new(subject.clone(), verb, error));
    match granary_rpc::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failed(AnyError::new(&error))),
        Err(join) => Err(failed(AnyError::new(&join))),
    }
}

/// A poisoned lock means a panic in the middle of a change: going on could lose data.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread panicked while it held this lock")
}
