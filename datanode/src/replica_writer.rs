//! The local end of a pipeline: packets queue up, a job on a blocking thread writes them, acknowledgements come out.
//!
//! On the storage thread of a process that has one, a lone short packet is written where it is submitted.
//!
//! The job runs only while there are packets, so an idle pipeline holds no thread. It takes everything that is queued at
//! once, writes it in order and syncs at most once: packets that arrive during a sync share the next one.
//!
//! Invariant: at most [`PACKETS_IN_FLIGHT_MAX`] packets have been submitted whose acknowledgement was not consumed; the
//! permits count them, and so bound the queue and the acknowledgements.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use granary_protocol::block::BLOCK_BYTES_MAX;
use granary_protocol::checksum::crc32c;
use granary_protocol::datanode::{Ack, PACKET_BYTES_MAX, PACKETS_IN_FLIGHT_MAX, Packet};
use granary_protocol::{ErrorCode, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::create::stale;
use crate::error::ReplicaError;
use crate::jobs::Jobs;
use crate::open_replica::{OpenReplica, Purpose, WriteState};
use crate::volume::Volume;

/// A packet up to this size is written and synced on its sender's thread, if that thread may block.
const IN_PLACE_BYTES_MAX: usize = 256 << 10;

/// What an acknowledgement stream carries.
pub(crate) type AckResult = Result<Ack, Failure>;

/// Writes one replica.
pub(crate) struct ReplicaWriter {
    volume: Arc<Volume>,
    replica: Arc<OpenReplica>,
    /// Bytes of the block that the writer's token covers.
    bytes_max: u32,
    queue: Mutex<Queue>,
    /// Locked by the one job that runs.
    progress: Mutex<Progress>,
    permits: Semaphore,
    failure: OnceLock<Failure>,
    jobs: Jobs,
    /// Its place among the pipelines that may be open.
    _place: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Queue {
    packets: VecDeque<Packet>,
    /// A job is running and will look again.
    draining: bool,
    /// The writer has left before the last packet.
    abandoned: bool,
}

struct Progress {
    next_sequence: u64,
    /// The last packet was written, or something failed.
    over: bool,
    /// Dropped when it is over, so that the listener learns it.
    acks: Option<mpsc::Sender<AckResult>>,
}

impl ReplicaWriter {
    pub(crate) fn new(
        volume: Arc<Volume>,
        replica: Arc<OpenReplica>,
        bytes_max: u32,
        jobs: Jobs,
        place: OwnedSemaphorePermit,
    ) -> (Arc<ReplicaWriter>, mpsc::Receiver<AckResult>) {
        // One more than the permits: for the failure that ends the stream.
        let (acks, acks_rx) = mpsc::channel(PACKETS_IN_FLIGHT_MAX + 1);
        let writer = ReplicaWriter {
            volume,
            replica,
            bytes_max: bytes_max.min(BLOCK_BYTES_MAX),
            queue: Mutex::default(),
            progress: Mutex::new(Progress { next_sequence: 0, over: false, acks: Some(acks) }),
            permits: Semaphore::new(PACKETS_IN_FLIGHT_MAX),
            failure: OnceLock::new(),
            jobs,
            _place: place,
        };
        (Arc::new(writer), acks_rx)
    }

    /// Queues a packet, waiting while too many are unacknowledged.
    ///
    /// # Errors
    /// The failure that ended the writing.
    pub(crate) async fn submit(self: &Arc<Self>, packet: Packet) -> Result<(), Failure> {
        match self.permits.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_closed) => return Err(self.failure()),
        }
        let short = packet.sync && !packet.last && packet.data.len() <= IN_PLACE_BYTES_MAX;
        let mut queue = self.queue();
        let alone = queue.packets.is_empty() && !queue.draining;
        queue.packets.push_back(packet);
        if short && alone && self.jobs.in_place() {
            queue.draining = true;
            drop(queue);
            self.drain();
        } else {
            self.start_job(&mut queue);
        }
        Ok(())
    }

    /// An acknowledgement was consumed.
    pub(crate) fn acknowledged(&self) {
        self.permits.add_permits(1);
    }

    /// The writer leaves before the last packet. What is queued is still written.
    pub(crate) fn abandon(self: &Arc<Self>) {
        let mut queue = self.queue();
        queue.abandoned = true;
        self.start_job(&mut queue);
    }

    /// Why nothing more is written.
    pub(crate) fn failure(&self) -> Failure {
        let over = || Failure::new(ErrorCode::StaleGeneration, "the pipeline is over");
        self.failure.get().cloned().unwrap_or_else(over)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_job(self: &Arc<Self>, queue: &mut Queue) {
        if !std::mem::replace(&mut queue.draining, true) {
            let writer = self.clone();
            self.jobs.spawn_blocking(move || writer.drain());
        }
    }

    /// The job.
    fn drain(&self) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let packets = {
                let mut queue = self.queue();
                if queue.packets.is_empty() {
                    queue.draining = false;
                    let abandoned = std::mem::take(&mut queue.abandoned);
                    drop(queue);
                    if abandoned {
                        self.leave(&mut progress);
                    }
                    return;
                }
                std::mem::take(&mut queue.packets)
            };
            if progress.over {
                continue;
            }
            if let Err(error) = self.write_batch(&mut progress, packets) {
                self.fail(&mut progress, error);
            }
        }
    }

    fn write_batch(&self, progress: &mut Progress, packets: VecDeque<Packet>) -> Result<(), ReplicaError> {
        self.volume.check_in_service()?;
        let metrics = &self.volume.context.metrics;
        let replica = &self.replica;
        let mut state = replica.lock();
        if let Some(reason) = state.closed {
            return Err(stale(replica.name, reason));
        }
        // Acknowledgements that wait for the sync at the end of the batch.
        let mut held: Vec<u64> = Vec::new();
        let mut finalize = false;
        for packet in packets {
            if let Err(error) = self.write_packet(progress, &mut state, &packet) {
                // What came before is good; it is acknowledged before the failure is.
                self.settle(progress, &mut state, &held)?;
                return Err(error);
            }
            metrics.packets.add(1);
            metrics.written_bytes.add(packet.data.len() as u64);
            if packet.sync || packet.last || !held.is_empty() {
                held.push(packet.sequence);
                metrics.packets_synced.add(u64::from(packet.sync || packet.last));
            } else {
                self.acknowledge(progress, packet.sequence);
            }
            if packet.last {
                progress.over = true;
                finalize = true;
                break;
            }
        }
        if !finalize {
            return self.settle(progress, &mut state, &held);
        }
        drop(state);
        self.finalize()?;
        for sequence in held {
            self.acknowledge(progress, sequence);
        }
        progress.acks = None;
        self.permits.close();
        Ok(())
    }

    fn write_packet(
        &self,
        progress: &mut Progress,
        state: &mut WriteState,
        packet: &Packet,
    ) -> Result<(), ReplicaError> {
        let block = self.replica.name.block;
        let malformed = |reason: String| Err(ReplicaError::Malformed { block, reason });
        let written = self.replica.written();
        if packet.sequence != progress.next_sequence || packet.offset != written {
            return malformed(format!(
                "packet {} at {}, expected {} at {written}",
                packet.sequence, packet.offset, progress.next_sequence
            ));
        }
        if packet.data.len() > PACKET_BYTES_MAX || packet.data.len() > (self.bytes_max - written) as usize {
            return malformed(format!("packet of {} bytes at {written}", packet.data.len()));
        }
        if crc32c(&packet.data) != packet.data_crc {
            return Err(ReplicaError::DamagedPacket { block, sequence: packet.sequence });
        }
        let occupied = state.file_bytes;
        let appended = self.replica.append(state, &packet.data);
        self.volume.count_growth(state, state.file_bytes - occupied);
        progress.next_sequence += 1;
        appended.map_err(|error| self.volume.disk_error(self.replica.name, error))
    }

    /// Syncs if anybody waits for it, then acknowledges.
    fn settle(&self, progress: &Progress, state: &mut WriteState, held: &[u64]) -> Result<(), ReplicaError> {
        if held.is_empty() {
            return Ok(());
        }
        let metrics = &self.volume.context.metrics;
        let started = Instant::now();
        let synced = self.volume.pace.timed(|| self.replica.sync(state));
        metrics.syncs.add(1);
        metrics.sync_microseconds.add(started.elapsed().as_micros() as u64);
        synced.map_err(|error| {
            // A failed sync is final even when it says "no space": what reached the disk is unknown.
            self.volume.count_io_error(&error);
            ReplicaError::Disk { block: self.replica.name.block, source: error }
        })?;
        for sequence in held {
            self.acknowledge(progress, *sequence);
        }
        Ok(())
    }

    fn finalize(&self) -> Result<(), ReplicaError> {
        let (metrics, started) = (&self.volume.context.metrics, Instant::now());
        let finalized = self.volume.finalize(&self.replica, self.replica.name.generation, self.replica.written());
        metrics.syncs.add(1);
        metrics.sync_microseconds.add(started.elapsed().as_micros() as u64);
        finalized
    }

    fn acknowledge(&self, progress: &Progress, sequence: u64) {
        if let Some(acks) = &progress.acks {
            // A writer that does not listen any more is about to leave.
            let _ = acks.try_send(Ok(Ack { sequence, synced_bytes: self.replica.synced() }));
        }
    }

    fn fail(&self, progress: &mut Progress, error: ReplicaError) {
        progress.over = true;
        let name = self.replica.name;
        tracing::warn!(volume = %self.volume.id, block = %name.block, generation = %name.generation, %error, "writing ended");
        if matches!(error, ReplicaError::Disk { .. }) {
            self.volume.condemn_open(&self.replica, "the disk failed while it was written");
        }
        self.volume.unpromise(&mut self.replica.lock());
        let failure: Failure = error.into();
        let _ = self.failure.set(failure.clone());
        // Closed first: who has heard of the failure must not get another packet in.
        self.permits.close();
        if let Some(acks) = progress.acks.take() {
            let _ = acks.try_send(Err(failure));
        }
    }

    /// The writer is gone: an empty replica or an unfinished copy is garbage, anything else waits for recovery.
    fn leave(&self, progress: &mut Progress) {
        progress.over = true;
        progress.acks = None;
        self.permits.close();
        if self.replica.purpose == Purpose::Copy || self.replica.written() == 0 {
            self.volume.forget(&self.replica);
            self.volume.discard(&self.replica, "its writer left");
        } else {
            self.volume.unpromise(&mut self.replica.lock());
        }
    }
}
