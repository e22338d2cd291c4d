//! Ending a block: the healthy way, and the way after a member failed.
//!
//! Recovery is "seal and continue": the survivors' replicas are cut to what every member had, given a new generation
//! and finalized; what was not acknowledged goes into another block. `docs/decisions/0004-pipeline-recovery.md` says
//! why.

use crate::error::{unavailable, unexpected};
use crate::lease::Lease;
use crate::pipeline::{BrokenBlock, Flush, OpenBlock, PipelineFailure};
use crate::shared::Shared;
use bytes::Bytes;
use futures_util::future::join_all;
use granary_protocol::block::{BlockKind, LocatedBlock, ReplicaLocation};
use granary_protocol::datanode::{DatanodeReply, DatanodeRequest};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::token::TOKEN_LIFETIME_MS;
use granary_protocol::{Advice, BlockId, ErrorCode, Failure, GenerationStamp, LeaseId, VolumeId};
use std::time::Duration;
use tokio::time::timeout;
use tracing::warn;

/// With a pipeline open for no longer than this, its write token is certainly good for finalizing replicas. (A block is
/// opened at most half a token's life after its allocation.)
const TOKEN_FRESH: Duration = Duration::from_millis(TOKEN_LIFETIME_MS * 2 / 5);
const SEAL_TRIES_MAX: u32 = 6;
const SEAL_PAUSE_MIN: Duration = Duration::from_millis(100);
/// Between two attempts at ending a block that could not be ended at first.
const SEAL_LATER_PAUSE: Duration = Duration::from_secs(5);

impl OpenBlock {
    /// Finalizes the replicas. Afterwards every byte sent is on stable storage on every member.
    pub async fn finalize(&mut self) -> Result<(), PipelineFailure> {
        self.send(Bytes::new(), Flush::Last).await?;
        self.drain().await
    }
}

impl Shared {
    /// Ends a packed block and tells the namenode. What was acknowledged from it stays readable meanwhile.
    pub async fn seal_packed(&self, mut block: OpenBlock) {
        if block.sent_bytes() == 0 {
            self.abandon(block.lease.id, vec![block.located.block]);
            return;
        }
        if let Err(failure) = block.finalize().await {
            return self.recover_packed(block.broken(failure)).await;
        }
        let (lease, length, volumes) = (block.lease.id, block.sent_bytes(), block.volumes());
        if let Err(failure) = self.seal_patiently(lease, block.located.block, length, volumes, false).await {
            warn!(block = %block.located.block, %failure, "a packed block could not be sealed");
            self.seal_later(&block.lease, block.located.block, length, block.volumes(), false).await;
        }
    }

    /// Ends a packed block whose pipeline failed, at the end of what was acknowledged from it.
    pub async fn recover_packed(&self, broken: BrokenBlock) {
        if broken.lease.is_lost() || broken.failure.failure.code == ErrorCode::StaleGeneration {
            // The namenode recovers, or has recovered, it by itself.
            return;
        }
        let length = broken.synced_bytes;
        let (lease, block) = (broken.lease.id, broken.located.block);
        if length == 0 {
            return self.abandon(lease, vec![block]);
        }
        let recovered = if broken.opened.elapsed() < TOKEN_FRESH {
            self.recover(&broken, length).await.map(|_| ())
        } else {
            // The datanodes would refuse us. Naming no replica as finalized makes the namenode finalize them all.
            self.seal_patiently(lease, block, length, Vec::new(), true).await.map(|_| ())
        };
        if let Err(failure) = recovered {
            warn!(%block, %failure, "a broken packed block could not be recovered by its writer");
            // What there is of it is the namenode's to find out then.
            self.seal_later(&broken.lease, block, length, Vec::new(), true).await;
        }
    }

    /// Ends a block that could not be ended, when that can be done: while it is open, what it has lost is not replaced, and
    /// it is open for as long as this client renews its lease.
    async fn seal_later(&self, lease: &Lease, block: BlockId, length: u32, stored_on: Vec<VolumeId>, recovered: bool) {
        while !lease.is_lost() {
            match self.seal_patiently(lease.id, block, length, stored_on.clone(), recovered).await {
                Ok(_) => return,
                Err(failure) if failure.code.advice() != Advice::Retry => {
                    return warn!(%block, %failure, "a packed block is left to the end of the lease");
                }
                Err(_) => {}
            }
            tokio::select! {
                // The lease is given back, and the namenode ends what is open under it.
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(SEAL_LATER_PAUSE) => {}
            }
        }
    }

    /// Cuts the survivors' replicas to `length` and finalizes them; the volumes on which that succeeded, at least
    /// `min_replication` of them.
    pub async fn recover(&self, broken: &BrokenBlock, length: u32) -> Result<Vec<VolumeId>, Failure> {
        let survivors = survivors(&broken.located, &broken.failure);
        let wanted = self.config.min_replication;
        if survivors.len() < wanted {
            return Err(unavailable(format!("{} replicas of a broken block are left", survivors.len())));
        }
        let volumes: Vec<_> = survivors.iter().map(|replica| replica.volume).collect();
        let block = broken.located.block;
        let generation = self.seal_patiently(broken.lease.id, block, length, volumes, true).await?;
        let finalized = join_all(
            survivors
                .iter()
                .map(|replica| self.finalize_replica(&broken.located, broken.kind, replica, generation, length)),
        )
        .await;
        let mut stored_on = Vec::with_capacity(survivors.len());
        for (replica, result) in survivors.iter().zip(finalized) {
            match result {
                Ok(()) => stored_on.push(replica.volume),
                Err(failure) => {
                    warn!(%block, volume = %replica.volume, %failure, "a surviving replica could not be finalized");
                    self.suspects.add(replica.volume);
                }
            }
        }
        if stored_on.len() < wanted {
            return Err(unavailable("too few replicas of a broken block could be finalized"));
        }
        Ok(stored_on)
    }

    async fn finalize_replica(
        &self,
        located: &LocatedBlock,
        kind: BlockKind,
        replica: &ReplicaLocation,
        generation: GenerationStamp,
        length: u32,
    ) -> Result<(), Failure> {
        let datanode = self.datanode(replica);
        let volume = replica.volume;
        let request = DatanodeRequest::Finalize { volume, generation, length, kind, token: located.token.clone() };
        match timeout(self.config.open_timeout(), datanode.call(request)).await {
            Ok(Ok(DatanodeReply::Done)) => Ok(()),
            Ok(Ok(DatanodeReply::Verified { .. })) => {
                Err(Failure::new(ErrorCode::Malformed, "the datanode answered another question"))
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(ErrorCode::DeadlineExceeded.into()),
        }
    }

    /// Seals, again and again while the namenode cannot answer: it is idempotent.
    async fn seal_patiently(
        &self,
        lease: LeaseId,
        block: BlockId,
        length: u32,
        stored_on: Vec<VolumeId>,
        recovered: bool,
    ) -> Result<GenerationStamp, Failure> {
        let mut pause = SEAL_PAUSE_MIN;
        for try_number in 1.. {
            let stored_on = stored_on.clone();
            let request = NamenodeRequest::SealBlock { lease, block, length, stored_on, recovered };
            match self.namenode.call(request).await {
                Ok(NamenodeReply::Sealed(generation)) => return Ok(generation),
                Ok(other) => return Err(unexpected(&other)),
                Err(failure) => {
                    if failure.code == ErrorCode::LeaseExpired {
                        self.lease.lost(lease);
                    }
                    if failure.code.advice() != Advice::Retry || try_number == SEAL_TRIES_MAX {
                        return Err(failure);
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the loop ends by returning")
    }
}

/// The members that may still hold the bytes: all but the one that failed. When it was the only one and only its
/// connection is known to have failed, it is asked itself: it refuses if it has lost anything.
fn survivors(located: &LocatedBlock, failure: &PipelineFailure) -> Vec<ReplicaLocation> {
    let others: Vec<_> =
        located.replicas.iter().filter(|replica| Some(replica.volume) != failure.member).cloned().collect();
    let disk = matches!(
        failure.failure.code,
        ErrorCode::DiskFailed | ErrorCode::CorruptReplica | ErrorCode::DownstreamFailed { .. }
    );
    if others.is_empty() && !disk { located.replicas.clone() } else { others }
}
