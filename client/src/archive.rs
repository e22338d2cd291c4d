//! Whole blocks, for workers that move them to archive targets and back: reading runs of a sealed block, writing a replica of
//! one, and the requests that go with it.

use crate::client::Client;
use crate::error::unavailable;
use crate::metadata::{expect_done, reply};
use crate::pipeline::{Flush, OpenBlock, PipelineFailure};
use bytes::{Bytes, BytesMut};
use granary_protocol::archive::{ArchiveChange, ArchiveOutcome, ArchiveTarget, ArchiveTargetStatus, ArchiveTask};
use granary_protocol::block::{BlockKind, LocatedBlock, ReplicaLocation};
use granary_protocol::datanode::{PACKET_BYTES_MAX, ReadBlock};
use granary_protocol::namenode::*;
use granary_protocol::object::StorageClass;
use granary_protocol::*;
use tokio::time::timeout;

impl Client {
    /// [`NamenodeRequest::SetArchiveTarget`].
    pub async fn set_archive_target(&self, class: StorageClass, target: Option<ArchiveTarget>) -> Result<(), Failure> {
        let target = target.map(Box::new);
        expect_done(self.call(NamenodeRequest::SetArchiveTarget { class, target }).await?)
    }

    /// [`NamenodeRequest::ListArchiveTargets`].
    pub async fn archive_targets(&self) -> Result<Vec<ArchiveTargetStatus>, Failure> {
        let reply = self.call(NamenodeRequest::ListArchiveTargets).await?;
        reply!(reply, NamenodeReply::ArchiveTargets(targets) => targets)
    }

    /// [`NamenodeRequest::ClaimArchiveWork`], under this client's lease, which is given back with the tasks.
    pub async fn claim_archive_work(
        &self,
        busy: Vec<BlockId>,
        limit: u32,
    ) -> Result<(LeaseId, Vec<ArchiveTask>), Failure> {
        let lease = self.shared.lease.current().await?.id;
        let reply = self.call(NamenodeRequest::ClaimArchiveWork { lease, busy, limit }).await?;
        reply!(reply, NamenodeReply::ArchiveTasks(tasks) => (lease, tasks))
    }

    /// [`NamenodeRequest::ChangeArchive`].
    pub async fn change_archive(&self, change: ArchiveChange) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::ChangeArchive(change)).await?)
    }

    /// [`NamenodeRequest::ReportArchive`], under the lease that the tasks were claimed by.
    pub async fn report_archive(&self, lease: LeaseId, outcomes: Vec<ArchiveOutcome>) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::ReportArchive { lease, outcomes }).await?)
    }

    /// `length` bytes of a sealed block from `offset` on, from whichever of its replicas gives them first. They are held in
    /// memory.
    ///
    /// # Errors
    /// The last replica's.
    pub async fn read_block(&self, located: &LocatedBlock, offset: u32, length: u32) -> Result<Bytes, Failure> {
        let mut last = unavailable(format!("block {} has no live replica", located.block));
        for replica in &located.replicas {
            match self.read_replica(located, replica, offset, length).await {
                Ok(bytes) => return Ok(bytes),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn read_replica(
        &self,
        located: &LocatedBlock,
        replica: &ReplicaLocation,
        offset: u32,
        length: u32,
    ) -> Result<Bytes, Failure> {
        let limit = self.shared.config.read_timeout();
        let late = |_| Failure::from(ErrorCode::DeadlineExceeded);
        let request = ReadBlock {
            volume: replica.volume,
            generation: located.generation,
            offset,
            length,
            token: located.token.clone(),
        };
        let datanode = self.shared.datanode(replica);
        let mut stream = timeout(limit, datanode.read(request)).await.map_err(late)??;
        let mut bytes = BytesMut::with_capacity(length as usize);
        while let Some(piece) = timeout(limit, stream.next()).await.map_err(late)?? {
            bytes.extend_from_slice(&piece);
        }
        match bytes.len() == length as usize {
            true => Ok(bytes.freeze()),
            false => Err(Failure::new(ErrorCode::CorruptReplica, "a replica ended early")),
        }
    }

    /// Begins to write replicas of a sealed block where `located` says, by a token that allows copying. Dropped before
    /// [`ReplicaWriter::finish`] it leaves nothing.
    ///
    /// # Errors
    /// What the first volume of the pipeline answers.
    pub async fn write_replica(&self, located: &LocatedBlock, kind: BlockKind) -> Result<ReplicaWriter, Failure> {
        let lease = self.shared.lease.current().await?;
        let block = OpenBlock::open(&self.shared, located, kind, &lease).await.map_err(reason)?;
        Ok(ReplicaWriter { block })
    }
}

/// Writes replicas of a block that is known elsewhere.
pub struct ReplicaWriter {
    block: OpenBlock,
}

impl ReplicaWriter {
    /// Takes the next bytes; all runs but the last are a multiple of [`PACKET_BYTES_MAX`] long.
    ///
    /// # Errors
    /// A member of the pipeline has failed.
    pub async fn push(&mut self, mut bytes: Bytes) -> Result<(), Failure> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PACKET_BYTES_MAX));
            if piece.len() > self.block.room() as usize {
                return Err(Failure::new(ErrorCode::InvalidArgument, "more bytes than a block has"));
            }
            self.block.send(piece, Flush::None).await.map_err(reason)?;
        }
        Ok(())
    }

    /// Returns once every replica is complete and on stable storage.
    ///
    /// # Errors
    /// A member of the pipeline has failed.
    pub async fn finish(mut self) -> Result<(), Failure> {
        self.block.send(Bytes::new(), Flush::Last).await.map_err(reason)?;
        self.block.drain().await.map_err(reason)
    }
}

fn reason(failure: PipelineFailure) -> Failure {
    failure.failure
}
