//! Getting a block to write: allocation, spares, and opening pipelines until one stands.

use crate::error::{unavailable, unexpected};
use crate::lease::Lease;
use crate::pipeline::{OpenBlock, PipelineFailure};
use crate::shared::Shared;
use granary_protocol::block::{BlockKind, LocatedBlock};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::object::StorageClass;
use granary_protocol::token::TOKEN_LIFETIME_MS;
use granary_protocol::{Advice, ErrorCode, Failure, VolumeId};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// A spare is used while its write token has at least half its life left.
const SPARE_LIFETIME: Duration = Duration::from_millis(TOKEN_LIFETIME_MS / 2);

/// A block allocated ahead of its use.
pub(crate) struct Spare {
    pub located: LocatedBlock,
    lease: Arc<Lease>,
    since: Instant,
}

impl Spare {
    pub fn new(located: LocatedBlock, lease: &Arc<Lease>) -> Self {
        Self { located, lease: lease.clone(), since: Instant::now() }
    }

    /// It will not be used after all.
    pub fn abandon(self, shared: &Shared) {
        shared.abandon(self.lease.id, vec![self.located.block]);
    }

    fn is_usable(&self, lease: &Lease, excluded: &[VolumeId]) -> bool {
        self.lease.id == lease.id
            && self.since.elapsed() < SPARE_LIFETIME
            && !self.located.replicas.iter().any(|replica| excluded.contains(&replica.volume))
    }
}

/// How often one piece of work has been tried, and whom to avoid next time.
pub(crate) struct Attempts {
    left: u32,
    excluded: Vec<VolumeId>,
    pause: Duration,
    last: Failure,
    failed_to_open: bool,
}

impl Attempts {
    pub fn new(shared: &Shared) -> Self {
        Self {
            left: shared.config.pipelines_max,
            excluded: shared.suspects.all(),
            pause: PAUSE_MIN,
            last: unavailable("no pipeline could be opened"),
            failed_to_open: false,
        }
    }

    /// One more try, or the last failure when there have been enough.
    pub fn next(&mut self) -> Result<(), Failure> {
        if self.left == 0 {
            return Err(self.last.clone());
        }
        self.left -= 1;
        Ok(())
    }

    /// A pipeline failed. The next one avoids the member to blame.
    pub fn pipeline_failed(&mut self, shared: &Shared, failure: &PipelineFailure) {
        warn!(member = ?failure.member, failure = %failure.failure, "a write pipeline failed; going on in another block");
        if let Some(member) = failure.member {
            shared.suspects.add(member);
            if !self.excluded.contains(&member) {
                self.excluded.push(member);
            }
        }
        self.last = failure.failure.clone();
    }

    /// Something failed that a pause may cure.
    pub async fn pause(&mut self, failure: Failure) {
        self.last = failure;
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}

impl Shared {
    /// Opens a pipeline to a block of `lease`: the spare if it will do, else a new one, avoiding members that failed.
    ///
    /// Fails with `LeaseExpired` when the lease is gone; the lease is marked lost then.
    pub async fn open_block(
        &self,
        kind: BlockKind,
        class: StorageClass,
        lease: &Arc<Lease>,
        mut spare: Option<Spare>,
        attempts: &mut Attempts,
    ) -> Result<OpenBlock, Failure> {
        loop {
            attempts.next()?;
            if lease.is_lost() {
                return Err(ErrorCode::LeaseExpired.into());
            }
            let located = match self.take_spare(spare.take(), lease, &attempts.excluded) {
                Some(located) => located,
                None => match self.allocate(lease, kind, class, 1, &attempts.excluded).await {
                    Ok(mut blocks) => blocks.swap_remove(0),
                    Err(failure) if failure.code.advice() == Advice::Retry => {
                        attempts.pause(failure).await;
                        continue;
                    }
                    Err(failure) => return Err(failure),
                },
            };
            match OpenBlock::open(self, &located, kind, lease).await {
                Ok(block) => return Ok(block),
                Err(failure) => {
                    self.abandon(lease.id, vec![located.block]);
                    attempts.pipeline_failed(self, &failure);
                    // The first time the member is merely avoided; the second time there may be none to take its place.
                    if std::mem::replace(&mut attempts.failed_to_open, true) {
                        attempts.pause(failure.failure).await;
                    }
                }
            }
        }
    }

    /// `count` blocks of `lease`, at least one. Volumes that failed lately are avoided as long as others can take their
    /// place.
    pub async fn allocate(
        &self,
        lease: &Lease,
        kind: BlockKind,
        class: StorageClass,
        count: u32,
        excluded: &[VolumeId],
    ) -> Result<Vec<LocatedBlock>, Failure> {
        let mut exclude = excluded.to_vec();
        loop {
            let request = NamenodeRequest::AllocateBlocks {
                lease: lease.id,
                kind,
                count,
                class,
                writer: self.local_datanode,
                exclude: std::mem::take(&mut exclude),
            };
            let with_exclusions =
                matches!(&request, NamenodeRequest::AllocateBlocks { exclude, .. } if !exclude.is_empty());
            let blocks = match self.namenode.call(request).await {
                Ok(NamenodeReply::Blocks(blocks)) => blocks,
                Ok(other) => return Err(unexpected(&other)),
                // A volume under suspicion is better than none.
                Err(failure) if failure.code == ErrorCode::NotEnoughTargets && with_exclusions => continue,
                Err(failure) => {
                    if failure.code == ErrorCode::LeaseExpired {
                        self.lease.lost(lease.id);
                    }
                    return Err(failure);
                }
            };
            let thinnest = blocks.iter().map(|block| block.replicas.len()).min().unwrap_or(0);
            if thinnest >= self.config.min_replication {
                return Ok(blocks);
            }
            self.abandon(lease.id, blocks.iter().map(|block| block.block).collect());
            if !with_exclusions {
                let wanted = self.config.min_replication;
                let detail = format!("{thinnest} volumes can take a replica, {wanted} must");
                return Err(Failure::new(ErrorCode::NotEnoughTargets, detail));
            }
        }
    }

    fn take_spare(&self, spare: Option<Spare>, lease: &Lease, excluded: &[VolumeId]) -> Option<LocatedBlock> {
        let spare = spare?;
        if spare.is_usable(lease, excluded) {
            return Some(spare.located);
        }
        spare.abandon(self);
        None
    }
}
