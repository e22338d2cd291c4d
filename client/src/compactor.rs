//! Returns the space of deleted small contents: rewrites what is alive in packed blocks that are mostly dead.
//!
//! The namenode chooses and claims blocks; this task reads one record by record, asks which records are alive at
//! exactly that place, writes those again through the packer under their own names, and reports the moves. A record
//! that dies or moves meanwhile is skipped by the namenode. The old block goes when nothing refers to it, so stopping
//! at any point loses nothing.

use crate::error::{unavailable, unexpected};
use crate::shared::Shared;
use crate::small_files;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::future::join_all;
use granary_protocol::block::{Extent, LocatedBlock, ReplicaLocation};
use granary_protocol::datanode::{ReadBlock, ReadStream};
use granary_protocol::namenode::{ContentMove, NamenodeReply, NamenodeRequest};
use granary_protocol::object::StorageClass;
use granary_protocol::record::{HEADER_BYTES, RecordHeader};
use granary_protocol::{ContentId, ErrorCode, Failure};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tracing::{debug, info, warn};

/// Records judged and moved together, and their bytes give or take one record.
const BATCH_RECORDS_MAX: usize = 1024;
const BATCH_BYTES: usize = 8 << 20;

pub(crate) struct Compactor {
    shared: Arc<Shared>,
}

/// A record as it was found.
struct Record {
    content: ContentId,
    extent: Extent,
    payload: Bytes,
}

impl Compactor {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Compacts until the client stops.
    pub async fn run(self) {
        let stop = self.shared.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.compact_for_ever() => {}
        }
    }

    async fn compact_for_ever(&self) {
        let config = &self.shared.config;
        let pause_min = Duration::from_millis(config.compaction_pause_min_ms);
        let pause_max = Duration::from_millis(config.compaction_pause_max_ms);
        let mut pause = pause_min;
        loop {
            match self.compact_one().await {
                Ok(true) => {
                    pause = pause_min;
                    continue;
                }
                Ok(false) => match small_files::pack_some(&self.shared).await {
                    Ok(true) => {
                        pause = pause_min;
                        continue;
                    }
                    Ok(false) => {}
                    Err(failure) => debug!(%failure, "packing of small files pauses"),
                },
                Err(failure) => debug!(%failure, "compaction pauses"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(pause_max);
        }
    }

    /// Compacts one block if the namenode has one for us.
    async fn compact_one(&self) -> Result<bool, Failure> {
        let lease = self.shared.lease.current().await?.id;
        let (block, class) = match self.shared.namenode.call(NamenodeRequest::ClaimCompaction { lease }).await? {
            NamenodeReply::Compaction(Some(claimed)) => claimed,
            NamenodeReply::Compaction(None) => return Ok(false),
            other => return Err(unexpected(&other)),
        };
        let mut scan = Scan::new(&self.shared, &block);
        let (mut records, mut moved) = (0, 0);
        loop {
            let started = Instant::now();
            let batch = scan.next_batch().await.inspect_err(|failure| {
                warn!(block = %block.block, %failure, "a packed block cannot be compacted");
            })?;
            if batch.is_empty() {
                break;
            }
            records += batch.len();
            let bytes = batch.iter().map(|record| (record.payload.len() + HEADER_BYTES) as u64).sum();
            moved += self.move_living(batch, class).await?;
            self.shared.keep_to_rate(bytes, started).await;
        }
        info!(block = %block.block, records, moved, "packed block compacted");
        Ok(true)
    }

    /// Writes the living records of a batch again; how many moved.
    async fn move_living(&self, batch: Vec<Record>, class: StorageClass) -> Result<usize, Failure> {
        let records = batch.iter().map(|record| (record.content, record.extent)).collect();
        let alive = match self.shared.namenode.call(NamenodeRequest::RecordsAlive { records }).await? {
            NamenodeReply::Alive(alive) if alive.len() == batch.len() => alive,
            other => return Err(unexpected(&other)),
        };
        let living: Vec<Record> =
            batch.into_iter().zip(alive).filter(|(_, alive)| *alive).map(|(record, _)| record).collect();
        if living.is_empty() {
            return Ok(0);
        }
        let packer = self.shared.packer(class);
        let copies = join_all(living.iter().map(|record| {
            // The scanned block's buffer is let go of as soon as the copies are written.
            packer.store(&self.shared, vec![record.payload.clone()], Some(record.content))
        }));
        let moves = living.iter().zip(copies.await).filter_map(|(record, copy)| {
            let to = copy.ok()?.extent;
            Some(ContentMove { content: record.content, from: record.extent, to })
        });
        let moves: Vec<ContentMove> = moves.collect();
        if moves.is_empty() {
            return Err(unavailable("no living record could be written again"));
        }
        // The lease under which the copies' blocks are open; it may have changed since the claim.
        let lease = self.shared.lease.current().await?.id;
        match self.shared.namenode.call(NamenodeRequest::RelocateContents { lease, moves }).await? {
            NamenodeReply::Alive(happened) => Ok(happened.into_iter().filter(|happened| *happened).count()),
            other => Err(unexpected(&other)),
        }
    }
}

/// Reads a packed block from its first record to its last, from any replica that can serve it.
struct Scan<'a> {
    shared: &'a Shared,
    block: &'a LocatedBlock,
    /// Replicas not given up yet, the current one first.
    replicas: Vec<&'a ReplicaLocation>,
    stream: Option<Box<dyn ReadStream>>,
    /// Bytes read ahead of `offset`.
    buffer: BytesMut,
    /// Where the next record starts.
    offset: u32,
}

impl<'a> Scan<'a> {
    fn new(shared: &'a Shared, block: &'a LocatedBlock) -> Self {
        let replicas = block.replicas.iter().collect();
        Self { shared, block, replicas, stream: None, buffer: BytesMut::new(), offset: 0 }
    }

    /// The next records, none at the end of the block.
    async fn next_batch(&mut self) -> Result<Vec<Record>, Failure> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while self.offset < self.block.length && batch.len() < BATCH_RECORDS_MAX && bytes < BATCH_BYTES {
            match self.next_record().await {
                Ok(record) => {
                    bytes += record.payload.len();
                    batch.push(record);
                }
                Err(failure) => self.next_replica(failure)?,
            }
        }
        Ok(batch)
    }

    /// Goes on with another replica at the same record.
    fn next_replica(&mut self, failure: Failure) -> Result<(), Failure> {
        self.stream = None;
        self.buffer.clear();
        self.replicas.remove(0);
        if self.replicas.is_empty() { Err(failure) } else { Ok(()) }
    }

    async fn next_record(&mut self) -> Result<Record, Failure> {
        self.fill(HEADER_BYTES).await?;
        let header = RecordHeader::decode(&self.buffer).map_err(|error| self.damaged(&error.to_string()))?;
        let record_bytes = header.record_bytes();
        if record_bytes > self.block.length - self.offset {
            return Err(self.damaged("a record reaches past the end of its block"));
        }
        self.fill(record_bytes as usize).await?;
        header
            .verify(&self.buffer[HEADER_BYTES..record_bytes as usize])
            .map_err(|error| self.damaged(&error.to_string()))?;
        let mut record = self.buffer.split_to(record_bytes as usize);
        record.advance(HEADER_BYTES);
        let offset = self.offset + HEADER_BYTES as u32;
        self.offset += record_bytes;
        Ok(Record {
            content: header.content,
            extent: Extent { block: self.block.block, offset, length: header.length },
            payload: record.freeze(),
        })
    }

    /// Reads until `bytes` are buffered.
    async fn fill(&mut self, bytes: usize) -> Result<(), Failure> {
        while self.buffer.len() < bytes {
            let limit = self.shared.config.read_timeout();
            let late = |_| Failure::from(ErrorCode::DeadlineExceeded);
            if self.stream.is_none() {
                let opened = timeout(limit, self.open()).await.map_err(late)??;
                self.stream = Some(opened);
            }
            let stream = self.stream.as_mut().expect("opened above");
            match timeout(limit, stream.next()).await.map_err(late)?? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => return Err(self.damaged("the replica ended early")),
            }
        }
        Ok(())
    }

    async fn open(&mut self) -> Result<Box<dyn ReadStream>, Failure> {
        let replica = self.replicas.first().ok_or(ErrorCode::ReplicaNotFound)?;
        let offset = self.offset + self.buffer.len() as u32;
        let request = ReadBlock {
            volume: replica.volume,
            generation: self.block.generation,
            offset,
            length: self.block.length - offset,
            token: self.block.token.clone(),
        };
        self.shared.datanode(replica).read(request).await
    }

    fn damaged(&self, what: &str) -> Failure {
        Failure::new(
            ErrorCode::CorruptReplica,
            format!("record at {} of block {}: {what}", self.offset, self.block.block),
        )
    }
}
