//! Reads. Bytes are handed out only after every chunk they touch has been checked, so a read is widened to whole chunks
//! and trimmed again without copying.
//!
//! Small reads are tried on the spot first, from memory only; whatever may wait for a disk goes to a blocking thread.
//! Long reads keep one piece ahead of their consumer, so that disk, checksums and the consumer's socket overlap.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_protocol::checksum::CHUNK_BYTES;
use granary_protocol::datanode::{READ_PIECE_BYTES_MAX, ReadStream};
use granary_protocol::{ErrorCode, Failure};
use tokio::task::JoinHandle;

use crate::chunk_sums::check_chunks;
use crate::disk;
use crate::error::ReplicaError;
use crate::jobs::Jobs;
use crate::layout::ReplicaName;
use crate::volume::{ReplicaSource, Volume};

/// Reads up to this size are tried from memory on the caller's thread.
const CACHED_READ_BYTES_MAX: u32 = 128 << 10;

/// Why bytes could not be handed out.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    /// The chunk at this offset does not match its sum.
    Mismatch {
        offset: u32,
    },
    /// The file ends before the bytes do.
    Short,
}

impl ReplicaSource {
    pub(crate) fn name(&self) -> ReplicaName {
        match self {
            ReplicaSource::Finalized(files) => files.name,
            ReplicaSource::Open(open) => open.name,
            ReplicaSource::Closed { name, .. } => *name,
        }
    }

    /// Bytes that may be read.
    pub(crate) fn length(&self) -> u32 {
        match self {
            ReplicaSource::Finalized(files) => files.length,
            ReplicaSource::Open(open) => open.visible(),
            ReplicaSource::Closed { length, .. } => *length,
        }
    }

    /// Bytes `start..end`, checked. Blocks. `start < end <= length`.
    fn read(&self, start: u32, end: u32) -> Result<Bytes, ReadError> {
        let from = chunk_floor(start);
        let (data, sums) = match self {
            ReplicaSource::Finalized(files) => {
                let to = chunk_ceiling(end).min(files.length);
                (disk::read_up_to(&files.data, from.into(), (to - from) as usize), files.sums(from, to))
            }
            ReplicaSource::Open(open) => {
                let snapshot = open.snapshot(from, end);
                (disk::read_up_to(&open.file, from.into(), (snapshot.end - from) as usize), Ok(snapshot.sums))
            }
            ReplicaSource::Closed { .. } => unreachable!("a closed source is opened before it is read"),
        };
        let (data, sums) = (data.map_err(ReadError::Io)?, sums.map_err(ReadError::Io)?);
        if data.len() < (end - from) as usize {
            return Err(ReadError::Short);
        }
        checked(data, &sums, from, start, end)
    }

    /// The same if everything is in memory; `None` says nothing but "ask the other way".
    fn read_cached(&self, start: u32, end: u32) -> Option<Result<Bytes, ReadError>> {
        let from = chunk_floor(start);
        let (file, to, sums) = match self {
            ReplicaSource::Finalized(files) => {
                let to = chunk_ceiling(end).min(files.length);
                (&files.data, to, files.sums_cached(from, to)?)
            }
            ReplicaSource::Open(open) => {
                let snapshot = open.snapshot(from, end);
                (&open.file, snapshot.end, snapshot.sums)
            }
            ReplicaSource::Closed { .. } => return None,
        };
        let mut data = vec![0; to.checked_sub(from)? as usize];
        disk::read_cached(file, from.into(), &mut data).then(|| checked(data, &sums, from, start, end))
    }
}

fn checked(data: Vec<u8>, sums: &[u32], from: u32, start: u32, end: u32) -> Result<Bytes, ReadError> {
    match check_chunks(&data, sums) {
        Ok(()) => Ok(Bytes::from(data).slice((start - from) as usize..(end - from) as usize)),
        Err(chunk) => Err(ReadError::Mismatch { offset: from + (chunk * CHUNK_BYTES) as u32 }),
    }
}

fn chunk_floor(offset: u32) -> u32 {
    offset - offset % CHUNK_BYTES as u32
}

fn chunk_ceiling(offset: u32) -> u32 {
    offset.next_multiple_of(CHUNK_BYTES as u32)
}

impl Volume {
    /// Reads from `source`, opening its files if need be, and draws the consequences of what is found. Blocks.
    fn read_checked(&self, source: &mut ReplicaSource, start: u32, end: u32) -> Result<Bytes, ReplicaError> {
        let name = source.name();
        if let ReplicaSource::Closed { name, length } = *source {
            match self.open_files(name, length) {
                Ok(files) => *source = ReplicaSource::Finalized(files),
                Err(error) => return Err(self.read_failed(source, name, ReadError::Io(error))),
            }
        }
        self.pace.timed(|| source.read(start, end)).map_err(|error| self.read_failed(source, name, error))
    }

    /// The same, from the disk even if the bytes are in memory; they are not kept there afterwards. Blocks.
    pub(crate) fn read_from_disk(&self, source: &mut ReplicaSource, start: u32, end: u32) -> Result<(), ReplicaError> {
        if let ReplicaSource::Closed { name, length } = *source
            && let Ok(files) = self.open_files(name, length)
        {
            *source = ReplicaSource::Finalized(files);
        }
        let forget = |source: &ReplicaSource| {
            if let ReplicaSource::Finalized(files) = source {
                disk::drop_cached(&files.data, start.into(), u64::from(end - start));
            }
        };
        forget(source);
        self.read_checked(source, start, end)?;
        forget(source);
        Ok(())
    }

    /// What a failed read means: a replica that was removed or cut under the reader is merely gone, one that is still in
    /// force is bad and goes out of service. Blocks.
    fn read_failed(&self, source: &ReplicaSource, name: ReplicaName, error: ReadError) -> ReplicaError {
        let block = name.block;
        let in_force = match (source, self.source(block, name.generation)) {
            (ReplicaSource::Open(read), Ok(ReplicaSource::Open(now))) => Arc::ptr_eq(read, &now),
            (ReplicaSource::Open(_), _) => false,
            (_, Ok(now)) => now.name() == name,
            (_, Err(_)) => false,
        };
        if !in_force {
            return ReplicaError::NotFound { block, reason: "it was removed or replaced during the read".to_owned() };
        }
        let (reason, answer) = match error {
            ReadError::Io(error) => {
                self.count_io_error(&error);
                (format!("i/o error: {error}"), Some(error))
            }
            ReadError::Mismatch { offset } => (format!("checksum mismatch at byte {offset}"), None),
            ReadError::Short => ("its file is too short".to_owned(), None),
        };
        match source {
            ReplicaSource::Open(open) => self.condemn_open(open, &reason),
            _ => self.condemn_finalized(name, &reason),
        }
        match answer {
            Some(source) => ReplicaError::Disk { block, source },
            None => ReplicaError::Corrupt { block, generation: name.generation, reason },
        }
    }

    /// Reads the whole replica; the number of bytes found good. Blocks.
    pub(crate) fn verify(&self, mut source: ReplicaSource) -> Result<u32, ReplicaError> {
        let length = source.length();
        let mut start = 0;
        while start < length {
            let end = piece_end(start, length);
            self.read_checked(&mut source, start, end)?;
            start = end;
        }
        Ok(length)
    }
}

/// Pieces end at chunk boundaries, so that no chunk is read twice.
pub(crate) fn piece_end(start: u32, end: u32) -> u32 {
    chunk_floor(start).saturating_add(READ_PIECE_BYTES_MAX as u32).min(end)
}

/// Opens a stream of bytes `start..end` of `source`.
pub(crate) fn open_read(
    volume: Arc<Volume>,
    source: ReplicaSource,
    start: u32,
    end: u32,
    jobs: Jobs,
) -> Box<dyn ReadStream> {
    if end - start <= CACHED_READ_BYTES_MAX
        && let Some(Ok(piece)) = source.read_cached(start, end)
    {
        // A mismatch is left to the other way, which may block while it takes the replica out of service.
        volume.context.metrics.reads_cached.add(1);
        volume.context.metrics.read_bytes.add(piece.len() as u64);
        return Box::new(OnePiece(Some(piece)));
    }
    let mut pieces = Pieces { volume, jobs, next: start, end, ahead: None };
    pieces.read_ahead(source);
    Box::new(pieces)
}

struct OnePiece(Option<Bytes>);

impl ReadStream for OnePiece {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        std::future::ready(Ok(self.0.take())).boxed()
    }
}

type PieceRead = (ReplicaSource, Result<Bytes, ReplicaError>);

struct Pieces {
    volume: Arc<Volume>,
    jobs: Jobs,
    /// Where the piece after the one ahead starts.
    next: u32,
    end: u32,
    ahead: Option<JoinHandle<PieceRead>>,
}

impl Pieces {
    fn read_ahead(&mut self, mut source: ReplicaSource) {
        let (start, end) = (self.next, piece_end(self.next, self.end));
        if start == end {
            return;
        }
        self.next = end;
        let volume = self.volume.clone();
        self.ahead = Some(self.jobs.spawn_blocking(move || {
            let read = volume.read_checked(&mut source, start, end);
            (source, read)
        }));
    }

    async fn next_piece(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(ahead) = &mut self.ahead else { return Ok(None) };
        let read = ahead.await;
        self.ahead = None;
        let (source, piece) = read.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let piece = piece?;
        self.read_ahead(source);
        self.volume.context.metrics.read_bytes.add(piece.len() as u64);
        Ok(Some(piece))
    }
}

impl ReadStream for Pieces {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        self.next_piece().boxed()
    }
}
