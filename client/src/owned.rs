//! Large contents: blocks of their own, one after another.
//!
//! Each *position* (128 MiB of the content) is written by a task of its own that ends with the position's replicas
//! finalized, so the next position starts while the one before is still being finalized; at most two are under way.
//! A position is one block when all goes well and several shorter ones when members fail. Between the content's writer
//! and the position's task lie at most [`QUEUED_PACKETS`] packets, and the pipeline holds eight more: memory does not
//! depend on the content's size.

use crate::blocks::{Attempts, Spare};
use crate::error::{for_user, unavailable};
use crate::lease::Lease;
use crate::packer::PacketAssembler;
use crate::pipeline::{Flush, OpenBlock, PipelineFailure};
use crate::shared::Shared;
use bytes::Bytes;
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, Extent, LocatedBlock};
use granary_protocol::namenode::NewContent;
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, ErrorCode, Failure, VolumeId};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

const QUEUED_PACKETS: usize = 4;
/// Blocks allocated by one request when it is known that so many are needed.
const ALLOCATE_AHEAD_MAX: u64 = 4;

/// The blocks of one content: those allocated ahead, and all of them for as long as nothing refers to them.
pub(crate) struct OwnedBlocks {
    shared: Arc<Shared>,
    pub lease: Arc<Lease>,
    class: StorageClass,
    spares: tokio::sync::Mutex<VecDeque<Spare>>,
    /// Abandoned when this is dropped.
    unreferenced: Mutex<Vec<BlockId>>,
}

impl Drop for OwnedBlocks {
    fn drop(&mut self) {
        let blocks = std::mem::take(self.unreferenced.get_mut().expect("no code panics while holding this lock"));
        self.shared.abandon(self.lease.id, blocks);
    }
}

impl OwnedBlocks {
    fn unreferenced(&self) -> std::sync::MutexGuard<'_, Vec<BlockId>> {
        self.unreferenced.lock().expect("no code panics while holding this lock")
    }

    /// The content has been committed, or may have been: its blocks are not ours to abandon.
    pub fn forget(&self) {
        self.unreferenced().clear();
    }

    /// Abandons every block but these.
    fn keep_only(&self, used: &[BlockId]) {
        let mut unreferenced = self.unreferenced();
        let unused = unreferenced.extract_if(.., |block| !used.contains(block)).collect();
        drop(unreferenced);
        self.shared.abandon(self.lease.id, unused);
    }

    /// Allocates `count` more blocks for later, while the current one is being written.
    fn allocate_ahead(self: &Arc<Self>, count: u64) {
        let blocks = self.clone();
        self.shared.tasks.spawn(async move {
            let mut spares = blocks.spares.lock().await;
            if spares.is_empty() {
                // Without spares the blocks are allocated, and the failure met, when they are needed.
                let _ = blocks.allocate(&mut spares, count).await;
            }
        });
    }

    async fn allocate(&self, spares: &mut VecDeque<Spare>, count: u64) -> Result<(), Failure> {
        let count = u32::try_from(count.clamp(1, ALLOCATE_AHEAD_MAX)).expect("clamped");
        let excluded = self.shared.suspects.all();
        let located = self.shared.allocate(&self.lease, BlockKind::Owned, self.class, count, &excluded).await?;
        self.unreferenced().extend(located.iter().map(|located| located.block));
        spares.extend(located.into_iter().map(|located| Spare::new(located, &self.lease)));
        Ok(())
    }

    async fn open(&self, attempts: &mut Attempts) -> Result<OpenBlock, Failure> {
        let spare = self.spares.lock().await.pop_front();
        let opened = self.shared.open_block(BlockKind::Owned, self.class, &self.lease, spare, attempts).await;
        if let Ok(block) = &opened {
            let mut unreferenced = self.unreferenced();
            if !unreferenced.contains(&block.located.block) {
                unreferenced.push(block.located.block);
            }
        }
        opened
    }
}

/// A block, or what was kept of it, and where it is stored.
pub(crate) struct StoredBlock {
    extent: Extent,
    stored_on: Vec<VolumeId>,
}

type PositionTask = AbortOnDropHandle<Result<Vec<StoredBlock>, Failure>>;

/// Writes one large content.
pub(crate) struct OwnedWriter {
    blocks: Arc<OwnedBlocks>,
    /// The content's length if it was announced.
    size_hint: Option<u64>,
    packets: PacketAssembler,
    /// Bytes handed to position tasks.
    fed_bytes: u64,
    /// The position being fed: its queue, its task, its bytes so far.
    current: Option<(mpsc::Sender<Bytes>, PositionTask, u32)>,
    /// The position before, which is being finalized.
    finalizing: Option<PositionTask>,
    stored: Vec<StoredBlock>,
}

impl OwnedWriter {
    pub async fn open(shared: &Arc<Shared>, class: StorageClass, size_hint: Option<u64>) -> Result<Self, Failure> {
        let lease = shared.lease.current().await?;
        let blocks = Arc::new(OwnedBlocks {
            shared: shared.clone(),
            lease,
            class,
            spares: tokio::sync::Mutex::default(),
            unreferenced: Mutex::default(),
        });
        let announced = size_hint.map_or(1, |bytes| bytes.div_ceil(u64::from(BLOCK_BYTES_MAX)));
        if announced > 1 {
            blocks.allocate_ahead(announced);
        }
        Ok(Self {
            blocks,
            size_hint,
            packets: PacketAssembler::default(),
            fed_bytes: 0,
            current: None,
            finalizing: None,
            stored: Vec::new(),
        })
    }

    /// Takes a piece; waits while the pipeline is behind.
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Failure> {
        self.packets.push(piece);
        while let Some(packet) = self.packets.next_full() {
            self.feed(packet).await?;
        }
        Ok(())
    }

    /// Ends the content: every byte is on stable storage on the volumes named.
    pub async fn finish(mut self) -> Result<(NewContent, Arc<OwnedBlocks>), Failure> {
        for packet in self.packets.finish() {
            self.feed(packet).await?;
        }
        self.end_position().await?;
        self.await_finalizing().await?;
        let used: Vec<BlockId> = self.stored.iter().map(|block| block.extent.block).collect();
        self.blocks.keep_only(&used);
        let content = self.blocks.lease.next_content().ok_or_else(|| {
            self.blocks.shared.lease.lost(self.blocks.lease.id);
            unavailable("the lease has named all the contents it can")
        })?;
        let content = NewContent {
            content,
            extents: self.stored.iter().map(|block| block.extent).collect(),
            stored_on: self.stored.into_iter().map(|block| (block.extent.block, block.stored_on)).collect(),
        };
        Ok((content, self.blocks))
    }

    async fn feed(&mut self, mut packet: Bytes) -> Result<(), Failure> {
        while !packet.is_empty() {
            let (sender, _, fed) = self.current.get_or_insert_with(|| start_position(&self.blocks));
            let room = (BLOCK_BYTES_MAX - *fed) as usize;
            let part = packet.split_to(room.min(packet.len()));
            let bytes = part.len() as u32;
            if sender.send(part).await.is_err() {
                return Err(self.failure_of_current().await);
            }
            let before = *fed;
            *fed += bytes;
            let (half, full) = (BLOCK_BYTES_MAX / 2, *fed == BLOCK_BYTES_MAX);
            let passes_half = before < half && *fed >= half;
            self.fed_bytes += u64::from(bytes);
            if passes_half {
                self.allocate_ahead();
            }
            if full {
                self.end_position().await?;
            }
        }
        Ok(())
    }

    /// Half-way through a position, the next ones are allocated if there will be any.
    fn allocate_ahead(&self) {
        let half = u64::from(BLOCK_BYTES_MAX / 2);
        let after_this = match self.size_hint {
            Some(size) => size.saturating_sub(self.fed_bytes + half).div_ceil(u64::from(BLOCK_BYTES_MAX)),
            None => 1,
        };
        if after_this > 0 {
            self.blocks.allocate_ahead(after_this);
        }
    }

    /// Lets the current position finalize, after the one before it has.
    async fn end_position(&mut self) -> Result<(), Failure> {
        self.await_finalizing().await?;
        self.finalizing = self.current.take().map(|(_, task, _)| task);
        Ok(())
    }

    async fn await_finalizing(&mut self) -> Result<(), Failure> {
        if let Some(task) = self.finalizing.take() {
            self.stored.extend(outcome(task).await?);
        }
        Ok(())
    }

    async fn failure_of_current(&mut self) -> Failure {
        match self.current.take() {
            Some((_, task, _)) => match outcome(task).await {
                Err(failure) => failure,
                Ok(_) => unavailable("a block ended before its bytes did"),
            },
            None => unavailable("the content has failed already"),
        }
    }
}

async fn outcome(task: PositionTask) -> Result<Vec<StoredBlock>, Failure> {
    match task.await {
        Ok(result) => result.map_err(for_user),
        Err(_) => Err(Failure::new(ErrorCode::Internal, "the task that writes a block died")),
    }
}

fn start_position(blocks: &Arc<OwnedBlocks>) -> (mpsc::Sender<Bytes>, PositionTask, u32) {
    let (sender, packets) = mpsc::channel(QUEUED_PACKETS);
    let position = Position { blocks: blocks.clone(), packets, owed: VecDeque::new(), stored: Vec::new() };
    (sender, AbortOnDropHandle::new(tokio::spawn(position.write())), 0)
}

/// The task of one position.
struct Position {
    blocks: Arc<OwnedBlocks>,
    /// Ends when the position is complete; a writer that gives up aborts the task instead.
    packets: mpsc::Receiver<Bytes>,
    /// Packets of a broken pipeline that have to be written again, before any other.
    owed: VecDeque<Bytes>,
    stored: Vec<StoredBlock>,
}

impl Position {
    async fn write(mut self) -> Result<Vec<StoredBlock>, Failure> {
        let shared = self.blocks.shared.clone();
        let mut attempts = Attempts::new(&shared);
        loop {
            let mut block = self.blocks.open(&mut attempts).await?;
            match self.fill(&mut block).await {
                Ok(()) => {
                    self.stored.push(stored(&block.located, block.sent_bytes(), block.volumes()));
                    return Ok(self.stored);
                }
                Err(failure) => {
                    attempts.pipeline_failed(&shared, &failure);
                    self.recover(&shared, block, failure).await?;
                }
            }
            if self.owed.is_empty() && self.packets.is_closed() && self.packets.is_empty() {
                // The pipeline broke at its very end, and recovery has finalized all of it.
                return Ok(self.stored);
            }
        }
    }

    /// Writes what is owed, then what comes, then finalizes.
    async fn fill(&mut self, block: &mut OpenBlock) -> Result<(), PipelineFailure> {
        loop {
            let packet = match self.owed.pop_front() {
                Some(packet) => Some(packet),
                None => self.packets.recv().await,
            };
            match packet {
                Some(packet) => block.send(packet, Flush::None).await?,
                None => return block.finalize().await,
            }
        }
    }

    /// Keeps what every member had, owes the rest.
    async fn recover(&mut self, shared: &Shared, block: OpenBlock, failure: PipelineFailure) -> Result<(), Failure> {
        let broken = block.broken(failure);
        let kept = broken.acked_bytes;
        if kept > 0 {
            let stored_on = shared.recover(&broken, kept).await?;
            self.stored.push(stored(&broken.located, kept, stored_on));
        }
        for packet in broken.unacked.into_iter().rev() {
            self.owed.push_front(packet);
        }
        Ok(())
    }
}

fn stored(located: &LocatedBlock, length: u32, stored_on: Vec<VolumeId>) -> StoredBlock {
    StoredBlock { extent: Extent { block: located.block, offset: 0, length }, stored_on }
}
