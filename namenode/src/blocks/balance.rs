//! The balancer: moves replicas from volumes that are fuller than the mean to emptier ones, slowly, when nothing is amiss;
//! and from media where their class does not belong to those where it does.
//!
//! A move is a copy to a better place, after which the replica at the old one is surplus and goes. At no moment are there
//! fewer replicas than before, and the new place obeys the placement rules together with those that stay.

use super::Blocks;
use crate::state::GroupState;
use granary_protocol::{BlockId, UnixMillis, VolumeId};
use serde::{Deserialize, Serialize};

/// Moves under way at once in the whole cluster.
const MOVES_MAX: usize = 8;
/// Blocks of a volume looked at for one that can be moved, and blocks on the wrong media.
const LOOKED_AT_MAX: usize = 64;
/// A block that waits for a coded group is moved to its media only after so many times the patience of groups: the group
/// takes most of its replicas anyway.
const GROUP_PATIENCE: u64 = 4;
/// How long unused allowance is saved up.
const SAVED_MS: u64 = 2_000;

/// When replicas are moved, and how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BalanceConfig {
    /// How many percentage points a volume may be fuller than the mean. 0 switches the balancer off. Default 10.
    pub threshold_percent: u8,
    /// How much is moved in the whole cluster at most. Default 64 MiB/s.
    pub bytes_per_second: u64,
}

impl Default for BalanceConfig {
    fn default() -> Self {
        BalanceConfig { threshold_percent: 10, bytes_per_second: 64 << 20 }
    }
}

/// What the balancer has in hand.
#[derive(Debug, Default)]
pub(super) struct Balance {
    /// Bytes that may be moved now.
    allowance: u64,
    counted_at: UnixMillis,
    /// Where the round through blocks on the wrong media goes on.
    media_cursor: BlockId,
    /// Blocks on the move, and where from.
    pub(super) leaving: std::collections::HashMap<BlockId, VolumeId>,
}

impl Balance {
    fn earn(&mut self, config: BalanceConfig, now: UnixMillis) {
        let elapsed_ms = now.0.saturating_sub(self.counted_at.0).min(SAVED_MS);
        self.counted_at = now;
        let earned = config.bytes_per_second.saturating_mul(elapsed_ms) / 1000;
        let most = config.bytes_per_second.saturating_mul(SAVED_MS) / 1000;
        // A block larger than what can be saved up must be possible too.
        self.allowance = (self.allowance + earned).min(most.max(u64::from(granary_protocol::block::BLOCK_BYTES_MAX)));
    }
}

impl Blocks {
    /// Plans moves as far as the allowance goes. The caller has made sure that this peer leads and may repair.
    pub(super) fn plan_balance(&mut self, now: UnixMillis) {
        let config = self.balance_config;
        self.balance.earn(config, now);
        let (pending, surplus) = (&self.pending, &self.surplus);
        self.balance.leaving.retain(|block, _| pending.contains_key(block) || surplus.contains(block));
        self.plan_media(now);
        // Repair comes first, and a half-known cluster is not judged.
        let busy = self.redundancy().under_replicated_blocks > 0 || self.balance.leaving.len() >= MOVES_MAX;
        if config.threshold_percent == 0 || busy {
            return;
        }
        let Some((source, mean_percent)) = self.volumes.overfull(config.threshold_percent) else { return };
        let blocks: Vec<BlockId> = self.volumes.blocks_of(source).into_iter().take(LOOKED_AT_MAX).collect();
        for block in blocks {
            if self.balance.leaving.len() >= MOVES_MAX {
                return;
            }
            self.plan_move(block, source, mean_percent, now);
        }
    }

    fn plan_move(&mut self, block: BlockId, source: VolumeId, mean_percent: u8, now: UnixMillis) {
        if !self.may_move(block) || self.bytes_of(block) > self.balance.allowance {
            return;
        }
        let good = self.live_good(block);
        if !good.contains(&source) {
            return;
        }
        let staying: Vec<VolumeId> = good.iter().copied().filter(|volume| *volume != source).collect();
        let mut targets = self.targets(block, 1, &staying);
        targets
            .retain(|target| self.volumes.used_percent(*target) < mean_percent && self.is_on_its_media(block, *target));
        self.order_move(block, source, &good, targets, now);
    }

    fn may_move(&self, block: BlockId) -> bool {
        let Some(tracked) = self.blocks.get(&block) else { return false };
        let settled = tracked.open.is_none() && tracked.length > 0;
        let busy = self.pending.contains_key(&block) || self.deferred.contains_key(&block);
        settled && !busy && !self.claims.contains_key(&block) && !self.surplus.contains(&block)
    }

    fn order_move(
        &mut self,
        block: BlockId,
        source: VolumeId,
        good: &[VolumeId],
        targets: Vec<VolumeId>,
        now: UnixMillis,
    ) {
        if self.order_copy(block, good, targets, now) {
            self.balance.allowance = self.balance.allowance.saturating_sub(self.bytes_of(block));
            self.balance.leaving.insert(block, source);
        }
    }

    fn bytes_of(&self, block: BlockId) -> u64 {
        self.blocks.get(&block).map_or(0, |tracked| u64::from(tracked.length))
    }

    /// Moves replicas to the media of their class, where there is room on them. Goes round, so that those which cannot move
    /// keep none waiting.
    fn plan_media(&mut self, now: UnixMillis) {
        let off: Vec<BlockId> =
            self.off_media.range(self.balance.media_cursor..).take(LOOKED_AT_MAX).copied().collect();
        if off.len() < LOOKED_AT_MAX {
            self.balance.media_cursor = BlockId(0);
        }
        for block in off {
            // One that is larger than what may be moved now has its turn first when more may be.
            if self.balance.leaving.len() >= MOVES_MAX || self.bytes_of(block) > self.balance.allowance {
                self.balance.media_cursor = block;
                return;
            }
            self.balance.media_cursor = BlockId(block.0 + 1);
            if self.may_move(block) {
                self.plan_media_move(block, now);
            }
        }
    }

    fn plan_media_move(&mut self, block: BlockId, now: UnixMillis) {
        let grouping = match self.group_with(block) {
            Some((_, group)) => group.record.state != GroupState::Coded,
            None => {
                let patience_ms = self.coding.patience_ms.saturating_mul(GROUP_PATIENCE);
                self.waits_for_group(block).is_some_and(|since| now.0.saturating_sub(since.0) < patience_ms)
            }
        };
        if grouping {
            return;
        }
        let good = self.live_good(block);
        let Some(source) = good.iter().copied().find(|volume| !self.is_on_its_media(block, *volume)) else { return };
        let staying: Vec<VolumeId> = good.iter().copied().filter(|volume| *volume != source).collect();
        let (kept, lost) = (self.domains_of(&staying), self.volumes.domain_of(source));
        let mut targets = self.targets(block, 1, &staying);
        // The right media is not worth a failure domain.
        targets.retain(|target| {
            let domain = self.volumes.domain_of(*target);
            let apart = domain.is_some_and(|domain| !kept.contains(&domain)) || lost.is_some_and(|d| kept.contains(&d));
            apart && self.is_on_its_media(block, *target)
        });
        self.order_move(block, source, &good, targets, now);
    }
}
