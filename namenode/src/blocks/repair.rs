//! Plans copies of blocks with too few replicas and removal of surplus ones.

use super::{Blocks, whole};
use granary_protocol::namenode::DatanodeCommand;
use granary_protocol::token::AccessMode;
use granary_protocol::{BlockId, UnixMillis, VolumeId};

/// How long a planned copy may take before it is planned again. A block at 2 MiB/s takes a minute.
const COPY_TIMEOUT_MS: u64 = 3 * 60 * 1000;
/// Copies under way at once, in the whole cluster, per volume in service.
const COPIES_PER_VOLUME: usize = 2;

/// A copy that a datanode was told to make.
#[derive(Debug)]
pub(super) struct PendingCopy {
    targets: Vec<VolumeId>,
    until: UnixMillis,
}

impl Blocks {
    /// Plans at most `budget` copies and as many removals.
    pub(super) fn plan_repair(&mut self, now: UnixMillis, budget: usize) {
        self.copies.retain(|_, copy| copy.until > now);
        let room = (self.volumes.in_service() * COPIES_PER_VOLUME).saturating_sub(self.copies.len()).min(budget);
        // Blocks without any live replica sort first and cannot be helped; nor can those that already stand on every domain.
        let domains = self.volumes.domains();
        let looked_at: Vec<BlockId> = self
            .wanting
            .range((1, BlockId(0))..)
            .take_while(|(live, _)| usize::from(*live) < domains)
            .map(|(_, block)| *block)
            .filter(|block| !self.copies.contains_key(block))
            .take(room)
            .collect();
        for block in looked_at {
            self.plan_copy(block, now);
        }
        let surplus: Vec<BlockId> = self.surplus.iter().take(budget).copied().collect();
        for block in surplus {
            self.trim(block);
        }
    }

    fn plan_copy(&mut self, block: BlockId, now: UnixMillis) {
        let Some(tracked) = self.blocks.get(&block) else { return };
        let good: Vec<VolumeId> = tracked.good().filter(|volume| self.volumes.is_live(*volume)).collect();
        let held: Vec<VolumeId> = tracked.readable().collect();
        let missing = usize::from(tracked.wanted).saturating_sub(good.len());
        self.seed = self.seed.wrapping_add(1);
        let needed = u64::from(tracked.length);
        let targets = self.volumes.place(missing, None, &good, &held, needed, self.seed);
        if targets.is_empty() || good.is_empty() {
            return;
        }
        let volume = good[self.seed as usize % good.len()];
        let command = DatanodeCommand::Copy {
            volume,
            block,
            kind: tracked.kind,
            generation: tracked.generation,
            length: tracked.length,
            targets: targets.iter().filter_map(|target| self.volumes.location(*target)).collect(),
            token: self.sign(whole(block), tracked, AccessMode::Copy, now),
        };
        self.volumes.scheduled(&targets);
        self.volumes.command(volume, command);
        self.copies.insert(block, PendingCopy { targets, until: UnixMillis(now.0 + COPY_TIMEOUT_MS) });
    }

    /// A replica arrived: once all targets of a copy have theirs, the copy is over.
    pub(super) fn copy_arrived(&mut self, block: BlockId, volume: VolumeId) {
        if let Some(copy) = self.copies.get_mut(&block) {
            copy.targets.retain(|target| *target != volume);
            if copy.targets.is_empty() {
                self.copies.remove(&block);
            }
        }
    }

    /// Removes one surplus replica: from the rack that has most of them, then from the fullest volume.
    fn trim(&mut self, block: BlockId) {
        let Some(tracked) = self.blocks.get(&block) else { return };
        let generation = tracked.generation;
        let live: Vec<VolumeId> = tracked.good().filter(|volume| self.volumes.is_live(*volume)).collect();
        if live.len() <= usize::from(tracked.wanted) {
            return;
        }
        let crowd = |volume: VolumeId| {
            let rack = self.volumes.rack_of(volume);
            if self.volumes.several_racks() {
                live.iter().filter(|other| self.volumes.rack_of(**other) == rack).count()
            } else {
                0
            }
        };
        let victim =
            live.iter().copied().max_by_key(|volume| (crowd(*volume), self.volumes.used_percent(*volume), volume.0));
        if let Some(victim) = victim {
            self.replica_corrupt(victim, block, generation);
        }
    }
}
