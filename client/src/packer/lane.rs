//! A lane: one packed block at a time, batch after batch.
//!
//! A batch is all or nothing: either every record of it is acknowledged as synced on all members, or the whole batch
//! is written again into another block. Records of a batch that failed half-way are dead weight that nobody refers to.

use super::Packer;
use super::item::{Item, Packed};
use super::packets::PacketAssembler;
use crate::blocks::{Attempts, Spare};
use crate::error::for_user;
use crate::pipeline::{Flush, OpenBlock, PipelineFailure};
use crate::shared::Shared;
use bytes::Bytes;
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, Extent};
use granary_protocol::object::StorageClass;
use granary_protocol::record::HEADER_BYTES;
use granary_protocol::{BlockId, ErrorCode, Failure};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// Once a block is this full the next one is allocated.
const SPARE_AT_BYTES: u32 = BLOCK_BYTES_MAX / 2;

pub(super) struct Lane {
    shared: Arc<Shared>,
    packer: Arc<Packer>,
    number: usize,
    block: Option<OpenBlock>,
    spare: Option<AbortOnDropHandle<Option<Spare>>>,
    to_seal: watch::Receiver<Arc<HashSet<BlockId>>>,
}

/// Why a batch is not written yet.
enum Setback {
    /// Another block may do.
    Again,
    /// The batch fails.
    Final(Failure),
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.packer.lane_ended();
    }
}

impl Lane {
    pub fn new(shared: Arc<Shared>, packer: Arc<Packer>, number: usize) -> Self {
        let to_seal = shared.lease.seal_requests();
        Self { shared, packer, number, block: None, spare: None, to_seal }
    }

    pub async fn run(mut self) {
        let config = &self.shared.config;
        let idle = Duration::from_millis(match self.packer.class {
            StorageClass::Standard | StorageClass::IntelligentTiering => config.lane_idle_seal_ms,
            _ => config.cold_lane_idle_seal_ms,
        });
        loop {
            tokio::select! {
                biased;
                batch = self.packer.next_batch() => self.write(batch).await,
                () = self.shared.stop.cancelled() => break,
                Ok(()) = self.to_seal.changed() => self.seal_if_asked(),
                () = tokio::time::sleep(idle) => {
                    self.seal();
                    if self.packer.may_retire() {
                        tracing::debug!(lane = self.number, "an idle lane ends");
                        return self.give_back_spare().await;
                    }
                }
            }
        }
        self.packer.close();
        loop {
            let batch = self.packer.waiting_batch();
            if batch.is_empty() {
                break;
            }
            self.write(batch).await;
        }
        self.seal();
        self.give_back_spare().await;
    }

    async fn write(&mut self, batch: Vec<Item>) {
        let mut attempts = Attempts::new(&self.shared);
        let result = loop {
            match self.try_write(&batch, &mut attempts).await {
                Ok(placed) => break Ok(placed),
                Err(Setback::Again) => {}
                Err(Setback::Final(failure)) => break Err(for_user(failure)),
            }
        };
        match result {
            Ok(placed) => {
                for (item, packed) in batch.into_iter().zip(placed) {
                    // Whoever has stopped waiting leaves a dead record behind.
                    let _ = item.reply.send(Ok(packed));
                }
            }
            Err(failure) => {
                tracing::warn!(%failure, contents = batch.len(), "a batch of small contents could not be written");
                for item in batch {
                    let _ = item.reply.send(Err(failure.clone()));
                }
            }
        }
    }

    async fn try_write(&mut self, batch: &[Item], attempts: &mut Attempts) -> Result<Vec<Packed>, Setback> {
        let needed = batch.iter().map(Item::record_bytes).sum();
        let mut block = self.block_with_room(needed, attempts).await?;
        match write_records(&mut block, batch).await {
            Ok(Some(placed)) => {
                let spare_wanted = block.sent_bytes() >= SPARE_AT_BYTES && self.spare.is_none();
                if spare_wanted {
                    self.allocate_spare(&block);
                }
                self.block = Some(block);
                Ok(placed)
            }
            Ok(None) => {
                // The lease has named all it can.
                self.shared.lease.lost(block.lease.id);
                Err(Setback::Again)
            }
            Err(failure) => {
                attempts.pipeline_failed(&self.shared, &failure);
                let (shared, broken) = (self.shared.clone(), block.broken(failure));
                self.shared.tasks.spawn(async move { shared.recover_packed(broken).await });
                Err(Setback::Again)
            }
        }
    }

    /// The lane's block if it is ours and has room, else the next one.
    async fn block_with_room(&mut self, needed: u32, attempts: &mut Attempts) -> Result<OpenBlock, Setback> {
        if let Some(block) = self.block.take() {
            if !block.lease.is_lost() && block.room() >= needed {
                return Ok(block);
            }
            self.seal_block(block);
        }
        let spare = match self.spare.take() {
            Some(coming) => coming.await.ok().flatten(),
            None => None,
        };
        let lease = self.shared.lease.current().await.map_err(Setback::Final)?;
        let opened = self.shared.open_block(BlockKind::Packed, self.packer.class, &lease, spare, attempts).await;
        opened.map_err(|failure| match failure.code {
            ErrorCode::LeaseExpired => Setback::Again,
            _ => Setback::Final(failure),
        })
    }

    fn allocate_spare(&mut self, block: &OpenBlock) {
        let (shared, lease, class) = (self.shared.clone(), block.lease.clone(), self.packer.class);
        self.spare = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let excluded = shared.suspects.all();
            // Without a spare the block is allocated, and the failure met, when it is needed.
            let blocks = shared.allocate(&lease, BlockKind::Packed, class, 1, &excluded).await.ok()?;
            blocks.into_iter().next().map(|located| Spare::new(located, &lease))
        })));
    }

    async fn give_back_spare(&mut self) {
        if let Some(coming) = self.spare.take() {
            if let Ok(Some(spare)) = coming.await {
                spare.abandon(&self.shared);
            }
        }
    }

    fn seal_if_asked(&mut self) {
        let asked = self.to_seal.borrow_and_update().clone();
        if self.block.as_ref().is_some_and(|block| asked.contains(&block.located.block)) {
            self.seal();
        }
    }

    fn seal(&mut self) {
        if let Some(block) = self.block.take() {
            self.seal_block(block);
        }
    }

    /// In the background: the next batch does not wait for it.
    fn seal_block(&self, block: OpenBlock) {
        if block.lease.is_lost() {
            return;
        }
        let shared = self.shared.clone();
        self.shared.tasks.spawn(async move { shared.seal_packed(block).await });
    }
}

/// Writes the batch and waits until it is synced everywhere. `None`: the lease cannot name another content.
async fn write_records(block: &mut OpenBlock, batch: &[Item]) -> Result<Option<Vec<Packed>>, PipelineFailure> {
    let mut packets = PacketAssembler::default();
    let mut placed = Vec::with_capacity(batch.len());
    let mut offset = block.sent_bytes();
    for item in batch {
        let lease = block.lease.clone();
        let Some(header) = item.header(|| lease.next_content()) else { return Ok(None) };
        offset += HEADER_BYTES as u32;
        let extent = Extent { block: block.located.block, offset, length: header.length };
        placed.push(Packed { content: header.content, extent });
        offset += header.length;
        packets.copy(&header.encode());
        for piece in &item.payload {
            packets.push(piece.clone());
            while let Some(packet) = packets.next_full() {
                block.send(packet, Flush::None).await?;
            }
        }
    }
    let mut rest = packets.finish();
    let last: Bytes = rest.pop_back().unwrap_or_default();
    for packet in rest {
        block.send(packet, Flush::None).await?;
    }
    block.send(last, Flush::Sync).await?;
    block.drain().await?;
    Ok(Some(placed))
}
