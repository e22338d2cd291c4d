//! Writes one replica for a door whose protocol numbers, checks and mirrors packets by itself.
//!
//! Unlike [`crate::pipeline`]'s members, such a writer is told of bytes before they are durable (it may ask for a sync),
//! sends bytes again that are here already, and may be continued by another writer after its pipeline failed. Readers see
//! what [`Appender::acknowledged`] says.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use granary_protocol::checksum::CHUNK_BYTES;
use granary_protocol::{ErrorCode, Failure, VolumeId};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::create::stale;
use crate::error::ReplicaError;
use crate::jobs::Jobs;
use crate::open_replica::{OpenReplica, Purpose};
use crate::volume::Volume;

/// Bytes for a replica.
pub struct Piece {
    /// Where they go. What lies before the replica's end is here already and is skipped.
    pub offset: u32,
    /// The bytes.
    pub data: Bytes,
    /// CRC32C of each of their chunks, compared with the bytes by the caller; without, they are computed here.
    pub sums: Option<Vec<u32>>,
}

/// The one writer of an unfinished replica. Dropped, it leaves the replica as it is, for another writer or the
/// namenode's recovery; one that was never [kept](Appender::keep) goes.
pub struct Appender {
    work: Arc<Work>,
    jobs: Jobs,
    kept: bool,
    left: bool,
    _place: OwnedSemaphorePermit,
}

struct Work {
    volume: Arc<Volume>,
    replica: Arc<OpenReplica>,
    bytes_max: u32,
}

impl Appender {
    pub(crate) fn new(
        volume: Arc<Volume>,
        replica: Arc<OpenReplica>,
        bytes_max: u32,
        kept: bool,
        jobs: Jobs,
        place: OwnedSemaphorePermit,
    ) -> Appender {
        Appender { work: Arc::new(Work { volume, replica, bytes_max }), jobs, kept, left: false, _place: place }
    }

    /// The volume it is on.
    pub fn volume(&self) -> VolumeId {
        self.work.volume.id
    }

    /// Bytes of the replica so far.
    pub fn written(&self) -> u32 {
        self.work.replica.written()
    }

    /// The pipeline is open: from now on the replica outlives this writer.
    pub fn keep(&mut self) {
        self.kept = true;
    }

    /// Every member of the pipeline has the first `bytes`: readers may have them.
    pub fn acknowledged(&self, bytes: u32) {
        self.work.replica.show(bytes);
    }

    /// Writes pieces in order; with `sync`, everything is on stable storage afterwards.
    ///
    /// # Errors
    /// `StaleGeneration` once another writer or the namenode has taken the replica, `Malformed` for bytes past the end
    /// of the replica or of what may be written, and the disk's errors, after which the replica is gone.
    pub async fn write(&self, pieces: Vec<Piece>, sync: bool) -> Result<(), Failure> {
        self.run(move |work| work.write(&pieces, sync)).await
    }

    /// Makes the replica what it is for good: durable, of its present length. The namenodes are told at once.
    ///
    /// # Errors
    /// As [`Appender::write`].
    pub async fn finalize(&self) -> Result<(), Failure> {
        self.run(Work::finalize).await
    }

    /// Ends the writing, as dropping the writer does, and waits until that is done: what was not kept is gone.
    pub async fn leave(mut self) {
        self.left = true;
        // A job that panicked has left nothing to wait for.
        let _ = self.leaving().await;
    }

    fn leaving(&self) -> JoinHandle<()> {
        let (work, kept) = (self.work.clone(), self.kept);
        self.jobs.spawn_blocking(move || work.leave(kept))
    }

    async fn run(&self, act: impl FnOnce(&Work) -> Result<(), ReplicaError> + Send + 'static) -> Result<(), Failure> {
        let work = self.work.clone();
        let job = self.jobs.spawn_blocking(move || {
            let done = act(&work);
            if let Err(error) = &done {
                work.failed(error);
            }
            done
        });
        match job.await {
            Ok(done) => done.map_err(Failure::from),
            Err(error) => Err(Failure::new(ErrorCode::Internal, error.to_string())),
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        if !self.left {
            self.leaving();
        }
    }
}

impl Work {
    fn write(&self, pieces: &[Piece], sync: bool) -> Result<(), ReplicaError> {
        self.volume.check_in_service()?;
        let mut state = self.replica.lock();
        if let Some(reason) = state.closed {
            return Err(stale(self.replica.name, reason));
        }
        let metrics = &self.volume.context.metrics;
        for piece in pieces {
            let occupied = state.file_bytes;
            let appended = match self.fresh_bytes(piece)? {
                [] => Ok(()),
                fresh => match &piece.sums {
                    Some(sums) if fresh.len() == piece.data.len() && piece.offset as usize % CHUNK_BYTES == 0 => {
                        self.replica.append_summed(&mut state, fresh, sums)
                    }
                    _ => self.replica.append(&mut state, fresh),
                },
            };
            let grown = state.file_bytes - occupied;
            self.volume.count_growth(&mut state, grown);
            appended.map_err(|error| self.volume.disk_error(self.replica.name, error))?;
            metrics.packets.add(1);
            metrics.written_bytes.add(piece.data.len() as u64);
        }
        if sync {
            let started = Instant::now();
            let synced = self.replica.sync(&mut state);
            metrics.packets_synced.add(1);
            metrics.syncs.add(1);
            metrics.sync_microseconds.add(started.elapsed().as_micros() as u64);
            synced.map_err(|error| {
                // A failed sync is final even when it says "no space": what reached the disk is unknown.
                self.volume.count_io_error(&error);
                ReplicaError::Disk { block: self.replica.name.block, source: error }
            })?;
        }
        Ok(())
    }

    /// The part of a piece that is not here yet.
    fn fresh_bytes<'a>(&self, piece: &'a Piece) -> Result<&'a [u8], ReplicaError> {
        let written = self.replica.written();
        let end = u64::from(piece.offset) + piece.data.len() as u64;
        if piece.offset > written || end > u64::from(self.bytes_max) {
            let reason = format!("{} bytes at {}, with {written} here", piece.data.len(), piece.offset);
            return Err(ReplicaError::Malformed { block: self.replica.name.block, reason });
        }
        let here = ((written - piece.offset) as usize).min(piece.data.len());
        Ok(&piece.data[here..])
    }

    fn finalize(&self) -> Result<(), ReplicaError> {
        let (metrics, started) = (&self.volume.context.metrics, Instant::now());
        let finalized = self.volume.finalize(&self.replica, self.replica.name.generation, self.replica.written());
        metrics.syncs.add(1);
        metrics.sync_microseconds.add(started.elapsed().as_micros() as u64);
        self.volume.context.changes.hurry();
        finalized
    }

    fn failed(&self, error: &ReplicaError) {
        let name = self.replica.name;
        tracing::warn!(volume = %self.volume.id, block = %name.block, generation = %name.generation, %error, "writing ended");
        if matches!(error, ReplicaError::Disk { .. }) {
            self.volume.condemn_open(&self.replica, "the disk failed while it was written");
        }
    }

    fn leave(&self, kept: bool) {
        let mut state = self.replica.lock();
        self.volume.unpromise(&mut state);
        let garbage = state.closed.is_none() && (!kept || self.replica.purpose == Purpose::Copy);
        drop(state);
        if garbage {
            self.volume.forget(&self.replica);
            self.volume.discard(&self.replica, "its writer left");
        }
    }
}
