//! Plans what brings blocks to their wanted redundancy: copies, removal of surplus replicas and of unfit ones.
//!
//! Every plan is bounded, and what cannot be helped now steps aside for a while, so that it does not keep others waiting.

use super::{Blocks, whole};
use crate::state::GroupState;
use granary_protocol::namenode::DatanodeCommand;
use granary_protocol::token::AccessMode;
use granary_protocol::{BlockId, GenerationStamp, UnixMillis, VolumeId};
use std::ops::Bound;

/// How long a planned copy may take before it is planned again: this, and its bytes at the slowest rate worth waiting for.
/// A copy whose source died is found out by nothing else, so this bounds how long a block stays thin.
pub(super) const COPY_TIMEOUT_MS: u64 = 15 * 1000;
/// 4 MiB/s.
pub(super) const COPY_BYTES_PER_MS_MIN: u64 = 4 << 10;
/// How long a member of a pipeline may take to finalize before it is no longer counted on.
const FINALIZE_TIMEOUT_MS: u64 = 30 * 1000;
/// How long a block that cannot be helped steps aside.
pub(super) const DEFERRED_MS: u64 = 10 * 1000;
/// How long a block steps aside whose copy failed: long enough that a target which refuses is not asked without end.
const COPY_FAILED_MS: u64 = 2 * 1000;
/// Copies under way at once, in the whole cluster, per volume in service.
const COPIES_PER_VOLUME: usize = 2;

/// Replicas that datanodes were told to make or to finalize.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) targets: Vec<VolumeId>,
    pub(super) until: UnixMillis,
    /// By which volume the work is named, if it is a copy or made from a group, and of which generation.
    pub(super) copy_of: Option<(VolumeId, GenerationStamp)>,
}

impl Pending {
    fn is_copy(&self) -> bool {
        self.copy_of.is_some()
    }
}

impl Blocks {
    /// Plans at most `budget` copies and as many removals of each kind.
    pub(super) fn plan_repair(&mut self, now: UnixMillis, budget: usize) {
        self.give_up_overdue(now);
        self.deferred.retain(|_, until| *until > now);
        let copying = self.pending.values().filter(|pending| pending.is_copy()).count();
        let mut room = (self.volumes.in_service() * COPIES_PER_VOLUME).saturating_sub(copying).min(budget);
        // Blocks without any live replica sort first and cannot be helped; nor can those that already stand on every domain.
        let domains = self.volumes.domains();
        let looked_at: Vec<BlockId> = self
            .wanting
            .range((1, BlockId(0))..)
            .take_while(|(live, _)| usize::from(*live) < domains)
            .map(|(_, block)| *block)
            .filter(|block| !self.pending.contains_key(block) && !self.deferred.contains_key(block))
            .take(budget)
            .collect();
        for block in looked_at {
            if room == 0 {
                break;
            }
            if self.plan_copy(block, now) {
                room -= 1;
            } else {
                self.deferred.insert(block, UnixMillis(now.0 + DEFERRED_MS));
            }
        }
        room = self.plan_coding(now, room);
        let misplaced: Vec<BlockId> = self
            .misplaced
            .iter()
            .filter(|block| !self.pending.contains_key(block) && !self.deferred.contains_key(block))
            .take(room)
            .copied()
            .collect();
        for block in misplaced {
            if !self.plan_spread(block, now) {
                self.deferred.insert(block, UnixMillis(now.0 + DEFERRED_MS));
            }
        }
        if now.0.saturating_sub(self.led_since.0) >= self.coding.settle_ms {
            let surplus = self.surplus.iter().filter(|block| !self.deferred.contains_key(block));
            for block in surplus.take(budget).copied().collect::<Vec<_>>() {
                if !self.trim(block) {
                    self.deferred.insert(block, UnixMillis(now.0 + DEFERRED_MS));
                }
            }
        }
        self.remove_unfit(budget);
    }

    /// Copies that did not arrive are planned again. Members that did not finalize are no longer counted on: their next
    /// report says what they have.
    fn give_up_overdue(&mut self, now: UnixMillis) {
        let overdue = |(_, pending): &(&BlockId, &Pending)| pending.until <= now;
        let blocks: Vec<BlockId> = self.pending.iter().filter(overdue).map(|(block, _)| *block).collect();
        for block in blocks {
            if self.pending.remove(&block).is_some_and(|pending| pending.is_copy()) {
                continue;
            }
            let silent = self.blocks.get(&block).map(|tracked| tracked.pipeline()).unwrap_or_default();
            for volume in silent {
                self.drop_replica(volume, block);
            }
        }
    }

    /// `false` when there is nowhere to copy from or to.
    fn plan_copy(&mut self, block: BlockId, now: UnixMillis) -> bool {
        let Some(tracked) = self.blocks.get(&block) else { return false };
        let wanted = usize::from(tracked.wanted);
        let good = self.live_good(block);
        let staying = good.iter().filter(|volume| !self.volumes.is_leaving(**volume)).count();
        let missing = wanted.saturating_sub(staying);
        let targets = self.targets(block, missing, &good);
        self.order_copy(block, &good, targets, now)
    }

    /// Copies a block to another rack; the replica that is one too many then goes from the crowded one. `false` when no
    /// other rack has room.
    fn plan_spread(&mut self, block: BlockId, now: UnixMillis) -> bool {
        let good = self.live_good(block);
        let mut targets = self.targets(block, 1, &good);
        let racks: Vec<_> = good.iter().filter_map(|volume| self.volumes.rack_of(*volume)).collect();
        targets.retain(|target| {
            self.is_on_its_media(block, *target)
                && self.volumes.rack_of(*target).is_some_and(|rack| !racks.contains(&rack))
        });
        self.order_copy(block, &good, targets, now)
    }

    pub(super) fn live_good(&self, block: BlockId) -> Vec<VolumeId> {
        let tracked = self.blocks.get(&block);
        tracked.into_iter().flat_map(|tracked| tracked.good()).filter(|volume| self.volumes.is_live(*volume)).collect()
    }

    /// Volumes for `count` more replicas of a block that has these; of a coded one, on domains that no other member of its
    /// group has.
    pub(super) fn targets(&mut self, block: BlockId, count: usize, good: &[VolumeId]) -> Vec<VolumeId> {
        let Some(tracked) = self.blocks.get(&block) else { return Vec::new() };
        let mut taken: Vec<VolumeId> = tracked.held().collect();
        taken.extend(self.volumes.in_domains(&self.domains_of_others(block)));
        taken.extend(self.unfit_of(block).iter().map(|(volume, _)| *volume));
        self.seed = self.seed.wrapping_add(1);
        let media = self.policies.media(tracked.class);
        self.volumes.place(count, media, None, good, &taken, u64::from(tracked.length), self.seed)
    }

    /// Whether a block belongs on the media of a volume.
    pub(super) fn is_on_its_media(&self, block: BlockId, volume: VolumeId) -> bool {
        let Some(tracked) = self.blocks.get(&block) else { return false };
        self.volumes.suits(self.policies.media(tracked.class), volume)
    }

    pub(super) fn order_copy(
        &mut self,
        block: BlockId,
        good: &[VolumeId],
        targets: Vec<VolumeId>,
        now: UnixMillis,
    ) -> bool {
        let Some(tracked) = self.blocks.get(&block) else { return false };
        if targets.is_empty() || good.is_empty() {
            return false;
        }
        let volume = good[self.seed as usize % good.len()];
        let generation = tracked.generation;
        let command = DatanodeCommand::Copy {
            volume,
            block,
            kind: tracked.kind,
            generation,
            length: tracked.length,
            targets: targets.iter().filter_map(|target| self.volumes.location(*target)).collect(),
            token: self.sign(whole(block), tracked, AccessMode::Copy, now),
        };
        let until = UnixMillis(now.0 + COPY_TIMEOUT_MS + u64::from(tracked.length) / COPY_BYTES_PER_MS_MIN);
        if !self.volumes.command(volume, command) {
            return false;
        }
        self.volumes.scheduled(&targets);
        self.pending.insert(block, Pending { targets, until, copy_of: Some((volume, generation)) });
        true
    }

    /// The source of a copy says that it did not work: the block is planned again, with other targets, after a pause. What
    /// did arrive is reported by its volume.
    pub(super) fn copy_failed(&mut self, source: VolumeId, block: BlockId, generation: GenerationStamp) {
        if self.pending.get(&block).is_some_and(|pending| pending.copy_of == Some((source, generation))) {
            self.pending.remove(&block);
            self.deferred.insert(block, UnixMillis(self.now.0 + COPY_FAILED_MS));
        }
    }

    /// A member was told to finalize: until it had time to, the block is not copied in its stead.
    pub(super) fn expect_finalized(&mut self, block: BlockId, volume: VolumeId) {
        let until = UnixMillis(self.now.0 + FINALIZE_TIMEOUT_MS);
        let pending =
            self.pending.entry(block).or_insert_with(|| Pending { targets: Vec::new(), until, copy_of: None });
        if !pending.targets.contains(&volume) {
            pending.targets.push(volume);
        }
    }

    /// A replica arrived: once all that were under way have, the next plan may look at the block again.
    pub(super) fn arrived(&mut self, block: BlockId, volume: VolumeId) {
        if let Some(pending) = self.pending.get_mut(&block) {
            pending.targets.retain(|target| *target != volume);
            if pending.targets.is_empty() {
                self.pending.remove(&block);
            }
        }
    }

    /// Removes one surplus replica: from media where it does not belong, then from the rack that has most of them, then
    /// from the fullest volume. Only replicas that
    /// their volumes have reported to this leader count. `false` if none may go.
    fn trim(&mut self, block: BlockId) -> bool {
        let Some(tracked) = self.blocks.get(&block) else { return false };
        let generation = tracked.generation;
        let known: Vec<VolumeId> = tracked.good().filter(|volume| self.volumes.is_reported(*volume)).collect();
        if known.len() <= usize::from(tracked.wanted) {
            return false;
        }
        let home = match self.group_with(block) {
            // While a member is lost every replica may help.
            Some((_, group)) if group.record.state == GroupState::Coded && !group.is_healthy() => return false,
            Some((_, group)) => self.home_of(block, &group.record),
            None => None,
        };
        let crowd = |volume: VolumeId| {
            let rack = self.volumes.rack_of(volume);
            if self.volumes.several_racks() {
                known.iter().filter(|other| self.volumes.rack_of(**other) == rack).count()
            } else {
                0
            }
        };
        let others = known.iter().copied().filter(|volume| Some(*volume) != home);
        let fullest = others.max_by_key(|volume| {
            let elsewhere = !self.is_on_its_media(block, *volume);
            (elsewhere, crowd(*volume), self.volumes.used_percent(*volume), volume.0)
        });
        // Of a block that was moved, the replica it was moved away from: the others obey the rules without it.
        let moved = self.balance.leaving.get(&block).copied().filter(|volume| known.contains(volume));
        let Some(victim) = moved.or(fullest) else { return false };
        if !self.volumes.remove_replica(victim, block, generation) {
            return false;
        }
        self.drop_replica(victim, block);
        true
    }

    /// Removes unfit replicas of blocks that have a good one. Goes round, so that those which must stay keep none waiting.
    fn remove_unfit(&mut self, budget: usize) {
        let after = (Bound::Excluded(self.unfit_cursor), Bound::Unbounded);
        let mut looked_at: Vec<_> =
            self.unfit.range(after).take(budget).map(|(at, generation)| (*at, *generation)).collect();
        if looked_at.len() < budget {
            let rest = self.unfit.range(..=self.unfit_cursor).take(budget - looked_at.len());
            looked_at.extend(rest.map(|(at, generation)| (*at, *generation)));
        }
        for ((block, volume), generation) in looked_at {
            self.unfit_cursor = (block, volume);
            let replaceable = match self.blocks.get(&block) {
                // What its group can give again must make room first: there may be no other domain for it.
                Some(tracked) if tracked.recoverable => true,
                Some(tracked) => tracked.good().any(|good| good != volume && self.volumes.is_reported(good)),
                None => true,
            };
            if replaceable && self.volumes.remove_replica(volume, block, generation) {
                self.unfit.remove(&(block, volume));
            }
        }
    }
}
