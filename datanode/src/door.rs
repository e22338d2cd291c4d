//! What a door beside this datanode does with its replicas: a protocol of its own in front, the same rules behind.
//!
//! A caller names blocks, not volumes: it learns from the token what it may touch, and here it is found on which volume
//! that is. Offsets of reads count from the start of the token's extent, so that an object in a packed block looks like
//! a block of its own.

use std::ops::RangeInclusive;
use std::sync::Arc;

use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, Extent, Media};
use granary_protocol::datanode::ReadStream;
use granary_protocol::token::{AccessMode, BlockToken};
use granary_protocol::{BlockId, ErrorCode, Failure, GenerationStamp, VolumeId};
use tokio::sync::OwnedSemaphorePermit;

use crate::appender::Appender;
use crate::datanode::Datanode;
use crate::error::ReplicaError;
use crate::layout::ReplicaName;
use crate::open_replica::{OpenReplica, Purpose};
use crate::read::open_read;
use crate::volume::{ReplicaSource, Volume};

/// Where a new replica goes and how it begins.
#[derive(Clone, Copy, Debug)]
pub struct NewReplica {
    /// The volume; without, the one with the most room, on archive media only where there are no others.
    pub volume: Option<VolumeId>,
    /// The generation it is written at.
    pub generation: GenerationStamp,
    /// A copy of a finalized replica: nobody sees it before it is finalized, and it goes if it never is.
    pub copy: bool,
}

impl Datanode {
    /// Begins a replica of the token's block.
    ///
    /// # Errors
    /// `InvalidToken`, `Busy` with too many open, `StaleGeneration` where the block is here already, the disk's errors.
    pub async fn create_replica(&self, new: NewReplica, token: &BlockToken) -> Result<Appender, Failure> {
        let block = token.block();
        self.check_running()?;
        self.check_token(token, Extent { block, offset: 0, length: 0 }, AccessMode::Write)?;
        let volume = match new.volume {
            Some(volume) => self.volume(volume)?,
            None => self.roomiest_volume()?,
        };
        let place = self.pipeline_place()?;
        let purpose = if new.copy { Purpose::Copy } else { Purpose::Write };
        let name = ReplicaName { block, generation: new.generation, kind: BlockKind::Owned };
        let mut created = self.create(volume.clone(), name, purpose).await?;
        self.node.metrics.pipelines_opened.add(1);
        Ok(self.appender(volume, created.take(), token, false, place))
    }

    /// Continues the unfinished replica of the token's block after its pipeline failed, at a higher generation. `bytes` are
    /// the fewest and the most that it may have.
    ///
    /// # Errors
    /// `InvalidToken`, `ReplicaNotFound` without such a replica, `StaleGeneration`, the disk's errors.
    pub async fn resume_replica(
        &self,
        known: GenerationStamp,
        generation: GenerationStamp,
        bytes: RangeInclusive<u32>,
        token: &BlockToken,
    ) -> Result<Appender, Failure> {
        let block = token.block();
        self.check_running()?;
        self.check_token(token, Extent { block, offset: 0, length: 0 }, AccessMode::Write)?;
        let volume = self.volume_of(block, known)?;
        let place = self.pipeline_place()?;
        let resuming = volume.clone();
        let replica = self.blocking(move || resuming.resume(block, known, generation, bytes)).await?;
        self.node.metrics.pipelines_opened.add(1);
        Ok(self.appender(volume, replica, token, true, place))
    }

    /// Finalizes the replica of the token's block at `length` bytes, at a higher generation, finished or not.
    ///
    /// # Errors
    /// As [`Datanode::resume_replica`].
    pub async fn close_replica(
        &self,
        known: GenerationStamp,
        generation: GenerationStamp,
        length: u32,
        token: &BlockToken,
    ) -> Result<(), Failure> {
        let block = token.block();
        self.check_running()?;
        self.check_token(token, Extent { block, offset: 0, length: 0 }, AccessMode::Write)?;
        let volume = self.volume_of(block, known)?;
        self.blocking(move || volume.finalize_as(block, known, generation, length)).await?;
        self.node.changes.hurry();
        Ok(())
    }

    /// Bytes that readers may have of a block's replica here, of this or a later generation. Needs no token: it is a
    /// number that the caller's own reads would tell it.
    ///
    /// # Errors
    /// `ReplicaNotFound`.
    pub fn visible_bytes(&self, block: BlockId, generation: GenerationStamp) -> Result<u32, Failure> {
        Ok(self.source_of(block, generation)?.1.length())
    }

    /// The bytes that readers may have of the extent that the token allows: it was judged for reading, or for writing by
    /// the writer that has a copy made.
    ///
    /// # Errors
    /// `InvalidToken`, `ReplicaNotFound`.
    pub fn open_extent(&self, generation: GenerationStamp, token: &BlockToken) -> Result<ExtentSource, Failure> {
        self.check_running()?;
        let (block, mode) = (token.block(), token.mode);
        if mode == AccessMode::Copy {
            return Err(ErrorCode::InvalidToken.into());
        }
        self.check_token(token, Extent { length: 0, ..token.extent }, mode)?;
        let (volume, source) = self.source_of(block, generation.max(token.generation))?;
        let finalized = !matches!(source, ReplicaSource::Open(_));
        let generation = source.name().generation;
        let (start, end) = (token.extent.offset, token.extent.offset.saturating_add(token.extent.length));
        let end = end.min(source.length());
        if end < start {
            let reason = format!("{} bytes here, the extent begins at {start}", source.length());
            return Err(ReplicaError::NotFound { block, reason }.into());
        }
        Ok(ExtentSource { datanode: self.clone(), volume, source, start, end, finalized, generation })
    }

    fn pipeline_place(&self) -> Result<OwnedSemaphorePermit, ReplicaError> {
        self.node.pipelines.clone().try_acquire_owned().map_err(|_| ReplicaError::Busy)
    }

    fn appender(
        &self,
        volume: Arc<Volume>,
        replica: Arc<OpenReplica>,
        token: &BlockToken,
        kept: bool,
        place: OwnedSemaphorePermit,
    ) -> Appender {
        let bytes_max = token.extent.length.min(BLOCK_BYTES_MAX);
        Appender::new(volume, replica, bytes_max, kept, self.node.jobs.clone(), place)
    }

    fn roomiest_volume(&self) -> Result<Arc<Volume>, ReplicaError> {
        let in_service = self.node.volumes.all().iter().filter(|volume| volume.failed().is_none());
        let rank = |volume: &&Arc<Volume>| (volume.media != Media::Archive, volume.report().free_bytes);
        in_service.max_by_key(rank).cloned().ok_or(ReplicaError::NoSuchVolume)
    }

    fn volume_of(&self, block: BlockId, generation: GenerationStamp) -> Result<Arc<Volume>, ReplicaError> {
        self.source_of(block, generation).map(|(volume, _)| volume)
    }

    /// The replica here, of several the one of the highest generation and, of equals, the longest.
    fn source_of(
        &self,
        block: BlockId,
        generation: GenerationStamp,
    ) -> Result<(Arc<Volume>, ReplicaSource), ReplicaError> {
        let sources = self.node.volumes.all().iter().map(|volume| (volume, volume.source(block, generation)));
        let mut failed = ReplicaError::NoSuchVolume;
        let mut found: Option<(Arc<Volume>, ReplicaSource)> = None;
        for (volume, source) in sources {
            match source {
                Ok(source) => {
                    let rank = |source: &ReplicaSource| (source.name().generation, source.length());
                    if found.as_ref().is_none_or(|(_, best)| rank(best) < rank(&source)) {
                        found = Some((volume.clone(), source));
                    }
                }
                Err(error) => failed = error,
            }
        }
        found.ok_or(failed)
    }
}

/// An extent of a replica, judged and found.
pub struct ExtentSource {
    datanode: Datanode,
    volume: Arc<Volume>,
    source: ReplicaSource,
    /// The extent's place in the replica, clipped to what readers may have now.
    start: u32,
    end: u32,
    finalized: bool,
    generation: GenerationStamp,
}

impl ExtentSource {
    /// Bytes of the extent that can be read now.
    pub fn length(&self) -> u32 {
        self.end - self.start
    }

    /// Whether the replica is complete.
    pub fn is_finalized(&self) -> bool {
        self.finalized
    }

    /// The replica's generation.
    pub fn generation(&self) -> GenerationStamp {
        self.generation
    }

    /// Opens `length` bytes from `offset` of the extent; every byte handed out was verified.
    ///
    /// # Errors
    /// `Malformed` outside of [`ExtentSource::length`], or for no bytes.
    pub fn read(&self, offset: u32, length: u32) -> Result<Box<dyn ReadStream>, Failure> {
        let within = offset.checked_add(length).is_some_and(|end| length > 0 && end <= self.length());
        if !within {
            let reason = format!("{length} bytes at {offset}, with {} in the extent", self.length());
            return Err(Failure::new(ErrorCode::Malformed, reason));
        }
        self.datanode.node.metrics.reads.add(1);
        let (start, jobs) = (self.start + offset, self.datanode.node.jobs.clone());
        Ok(open_read(self.volume.clone(), self.source.clone(), start, start + length, jobs))
    }
}
