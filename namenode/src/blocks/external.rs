//! Blocks and archive targets in soft state: which are to be sent, fetched, asked for at home, or forgotten at their target.
//!
//! Decided anew whenever a block is counted. What a leader hands out of this waits until it has heard of all replicas: before,
//! a block whose replicas were not reported yet would be fetched.

use super::replicas::Tracked;
use super::safe_mode::SafeMode;
use super::{Blocks, SMALL_BLOCKS_MIN};
use granary_protocol::archive::{ArchiveTargetStatus, ExternalBlock};
use granary_protocol::block::{BlockKind, Extent, LocatedBlock};
use granary_protocol::object::StorageClass;
use granary_protocol::token::AccessMode;
use granary_protocol::{BlockId, UnixMillis};
use std::collections::{BTreeMap, BTreeSet};

/// Work lists of blocks and archive targets.
#[derive(Debug, Default)]
pub(super) struct External {
    /// Classes with targets, and whether each is being emptied.
    targets: BTreeMap<StorageClass, bool>,
    /// Blocks of classes with targets that are not there, and can be read.
    sendable: BTreeSet<BlockId>,
    /// Blocks at targets that are wanted here and of which no replica lives.
    fetchable: BTreeSet<BlockId>,
    /// Blocks at targets where they do not belong, that ask for no replicas.
    homeless: BTreeSet<BlockId>,
    /// Blocks that have replicas here, at targets where they do not belong; and blocks on their way to such.
    forgettable: BTreeSet<BlockId>,
}

/// A block's place, as far as its target is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Elsewhere {
    pub(super) target: StorageClass,
    pub(super) stored: bool,
}

/// A block to be sent: with what it is read.
pub struct Sendable {
    pub class: StorageClass,
    pub located: LocatedBlock,
}

/// A block to be fetched: where it goes, and with what it is written there.
pub struct Fetchable {
    pub target: StorageClass,
    pub kind: BlockKind,
    pub located: LocatedBlock,
}

impl External {
    /// Whether blocks of the class go to a target.
    pub(super) fn is_active(&self, class: StorageClass) -> bool {
        self.targets.get(&class) == Some(&false)
    }

    /// Forgets every block.
    pub(super) fn clear(&mut self) {
        let targets = std::mem::take(&mut self.targets);
        *self = External { targets, ..External::default() };
    }

    pub(super) fn remove(&mut self, block: BlockId) {
        for list in [&mut self.sendable, &mut self.fetchable, &mut self.homeless, &mut self.forgettable] {
            list.remove(&block);
        }
    }

    /// Puts a block on the lists where it belongs. `live` of its replicas live, of `domains` volumes that could have one;
    /// `is_alone` when it is in no coded group.
    pub(super) fn recount(&mut self, block: BlockId, tracked: &Tracked, live: u8, domains: usize, is_alone: bool) {
        let class = tracked.class;
        let belongs = tracked.open.is_none()
            && tracked.kind != BlockKind::Parity
            && is_alone
            && tracked.live_bytes > 0
            && self.is_active(class);
        let readable = live > 0;
        let (mut sendable, mut fetchable, mut homeless, mut forgettable) =
            (belongs && readable && !tracked.mostly_dead(), false, false, false);
        if let Some(Elsewhere { target, stored }) = tracked.elsewhere {
            let stays = target == class && self.is_active(target);
            let whole = usize::from(live) >= usize::from(tracked.wanted).min(domains.max(1));
            sendable &= stays && !stored;
            fetchable = stored && tracked.wanted > 0 && !readable;
            homeless = stored && !stays && tracked.wanted == 0;
            forgettable = if stored { !stays && tracked.wanted > 0 && readable && whole } else { !belongs || !stays };
        }
        let lists = [
            (&mut self.sendable, sendable),
            (&mut self.fetchable, fetchable),
            (&mut self.homeless, homeless),
            (&mut self.forgettable, forgettable),
        ];
        for (list, belongs) in lists {
            if belongs {
                list.insert(block);
            } else {
                list.remove(&block);
            }
        }
    }
}

impl Blocks {
    /// Learns which classes have archive targets, and which of these are being emptied.
    pub fn set_archive_targets(&mut self, targets: &[(StorageClass, bool)]) {
        let targets: BTreeMap<StorageClass, bool> = targets.iter().copied().collect();
        if self.external.targets == targets {
            return;
        }
        self.external.targets = targets;
        for block in self.blocks.keys().copied().collect::<Vec<_>>() {
            self.recount(block);
        }
    }

    /// Learns at start where a block is.
    pub fn restore_external(&mut self, block: BlockId, external: &ExternalBlock) {
        self.external_changed(block, Some(external));
    }

    pub(super) fn external_changed(&mut self, block: BlockId, external: Option<&ExternalBlock>) {
        let Some(tracked) = self.blocks.get_mut(&block) else { return };
        tracked.elsewhere =
            external.map(|external| Elsewhere { target: external.target, stored: external.is_stored() });
        self.recount(block);
    }

    /// Whether this leader knows the cluster well enough to move blocks between here and targets.
    fn may_move_blocks(&self, now: UnixMillis) -> bool {
        self.leading && self.safe_mode == SafeMode::Off && self.has_heard_all(now)
    }

    /// Blocks to be fetched, with volumes chosen for them; none that `is_taken`.
    pub fn choose_fetches(
        &mut self,
        limit: usize,
        now: UnixMillis,
        is_taken: impl Fn(BlockId, StorageClass) -> bool,
    ) -> Vec<Fetchable> {
        if !self.may_move_blocks(now) {
            return Vec::new();
        }
        let target_of = |block: BlockId| {
            let target = self.blocks.get(&block)?.elsewhere?.target;
            (!is_taken(block, target)).then_some((block, target))
        };
        let chosen: Vec<(BlockId, StorageClass)> =
            self.external.fetchable.iter().copied().filter_map(target_of).take(limit).collect();
        let mut found = Vec::new();
        for (block, target) in chosen {
            let Some(tracked) = self.blocks.get(&block) else { continue };
            let volumes = self.targets(block, usize::from(tracked.wanted), &[]);
            self.volumes.scheduled(&volumes);
            let replicas: Vec<_> = volumes.iter().filter_map(|volume| self.volumes.location(*volume)).collect();
            let Some(tracked) = self.blocks.get(&block) else { continue };
            if !replicas.is_empty() {
                let located = self.located(block, tracked, replicas, super::whole(block), AccessMode::Copy, now);
                found.push(Fetchable { target, kind: tracked.kind, located });
            }
        }
        found
    }

    /// Blocks to be sent, with what reads them; none that `is_taken`. Small ones that are about to be merged wait for that.
    pub fn choose_sends(
        &self,
        limit: usize,
        now: UnixMillis,
        is_taken: impl Fn(BlockId, StorageClass) -> bool,
    ) -> Vec<Sendable> {
        if !self.may_move_blocks(now) {
            return Vec::new();
        }
        let merging = self.merging || self.small.len() >= SMALL_BLOCKS_MIN;
        let candidate = |block: &BlockId| {
            let tracked = self.blocks.get(block)?;
            let busy = self.claims.contains_key(block) || (merging && self.small.contains(block));
            if busy || is_taken(*block, tracked.class) {
                return None;
            }
            let located =
                self.locate(Extent { block: *block, offset: 0, length: tracked.length }, AccessMode::Read, now)?;
            Some(Sendable { class: tracked.class, located })
        };
        self.external.sendable.iter().filter_map(candidate).take(limit).collect()
    }

    /// Blocks that are to ask for replicas here, with how many; and blocks that their targets may forget.
    pub fn misplaced_externals(&self, limit: usize, now: UnixMillis) -> (Vec<(BlockId, u8)>, Vec<BlockId>) {
        if !self.may_move_blocks(now) {
            return (Vec::new(), Vec::new());
        }
        let homeless: Vec<BlockId> = self.external.homeless.iter().copied().take(limit).collect();
        (self.with_fresh_replicas(&homeless), self.external.forgettable.iter().copied().take(limit).collect())
    }

    /// Whether every one of these blocks can be read here, as far as a target has it.
    pub fn are_here(&self, blocks: &BTreeSet<BlockId>, now: UnixMillis) -> bool {
        let is_here = |block: &BlockId| match self.blocks.get(block) {
            Some(tracked) if tracked.elsewhere.is_some_and(|elsewhere| elsewhere.stored) => {
                tracked.good().any(|volume| self.volumes.is_live(volume))
            }
            Some(_) | None => true,
        };
        self.may_move_blocks(now) && blocks.iter().all(is_here)
    }

    /// Those of these blocks that only a target has, with the replicas that their class asks for.
    pub fn only_elsewhere(&self, blocks: &[BlockId]) -> Vec<(BlockId, u8)> {
        let is_elsewhere = |block: &&BlockId| {
            self.blocks.get(block).is_some_and(|tracked| {
                tracked.wanted == 0 && tracked.elsewhere.is_some_and(|elsewhere| elsewhere.stored)
            })
        };
        let wanted: Vec<BlockId> = blocks.iter().filter(is_elsewhere).copied().collect();
        self.with_fresh_replicas(&wanted)
    }

    /// Blocks with the replicas that their classes are written with.
    pub fn with_fresh_replicas(&self, blocks: &[BlockId]) -> Vec<(BlockId, u8)> {
        let asks = |block: &BlockId| Some((*block, self.fresh_replicas(self.blocks.get(block)?.class)));
        blocks.iter().filter_map(asks).collect()
    }

    /// Adds what waits to a target's status.
    pub fn add_archive_status(&self, status: &mut ArchiveTargetStatus) {
        for block in &self.external.sendable {
            if let Some(tracked) = self.blocks.get(block).filter(|tracked| tracked.class == status.class) {
                status.waiting += 1;
                status.waiting_bytes += u64::from(tracked.length);
            }
        }
        let is_there = |tracked: &&Tracked| tracked.elsewhere.is_some_and(|at| at.target == status.class);
        for block in &self.external.fetchable {
            if let Some(tracked) = self.blocks.get(block).filter(is_there) {
                status.wanted += 1;
                status.wanted_bytes += u64::from(tracked.length);
            }
        }
        status.here_too = self.ledger.external_here(status.class);
    }

    /// Blocks that wait to be sent, and to be fetched.
    pub fn archive_backlog(&self) -> (usize, usize) {
        (self.external.sendable.len(), self.external.fetchable.len())
    }
}
