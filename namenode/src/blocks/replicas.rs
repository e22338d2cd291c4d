//! What is known of each block's replicas, and how reports change it.

use super::external::Elsewhere;
use super::ledger::{Share, ShareKind};
use super::{Blocks, SMALL_BLOCK_BYTES, mostly_dead};
use crate::state::{BlockRecord, BlockState, GroupState};
use granary_protocol::block::BlockKind;
use granary_protocol::namenode::{DatanodeCommand, ReplicaReport, ReplicaState};
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, GenerationStamp, LeaseId, UnixMillis, VolumeId};

/// How a replica was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reported {
    /// A member of the pipeline: open, or told to finalize and not heard of since.
    Writing,
    /// A member of the pipeline of an open block that has finalized already, so.
    Early(GenerationStamp, u32),
    /// The writer says that it is finalized. Its datanode will; until it has, a full report that does not name the
    /// replica may have been drawn up before. The number is how many reports the volume had begun.
    Told(u32),
    /// Finalized, at the block's length and generation, as its datanode says.
    Good,
}

impl Reported {
    /// Whether a sealed block's replica counts.
    pub(super) fn is_good(self) -> bool {
        matches!(self, Reported::Told(_) | Reported::Good)
    }
}

/// A block and its replicas.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) kind: BlockKind,
    pub(super) class: StorageClass,
    pub(super) generation: GenerationStamp,
    pub(super) length: u32,
    pub(super) live_bytes: u64,
    pub(super) wanted: u8,
    /// The lease that writes it; `None` once sealed.
    pub(super) open: Option<LeaseId>,
    pub(super) replicas: Vec<(VolumeId, Reported)>,
    pub(super) counted: Option<Share>,
    ranked: Option<u8>,
    /// No replica lives, but the rest of its group can give it.
    pub(super) recoverable: bool,
    /// At which archive target it is, or on its way to.
    pub(super) elsewhere: Option<Elsewhere>,
    /// Where it stands among the blocks that wait for a group.
    codable: Option<(StorageClass, u32, BlockId)>,
}

impl Tracked {
    /// Whether fewer of its replicas live than `domains` volumes could hold.
    pub(super) fn is_thin(&self, domains: usize) -> bool {
        self.counted.is_some_and(|share| usize::from(share.kind.live) < usize::from(self.wanted).min(domains))
    }

    /// Whether it counts on datanodes that are to go.
    pub(super) fn needs_others(&self, domains: usize) -> bool {
        self.open.is_some() || self.is_thin(domains)
    }

    pub(super) fn mostly_dead(&self) -> bool {
        mostly_dead(self.kind, self.length, self.live_bytes)
    }

    /// Members that have not finalized, as far as is known.
    pub(super) fn pipeline(&self) -> Vec<VolumeId> {
        self.replicas.iter().filter(|(_, how)| !how.is_good()).map(|(volume, _)| *volume).collect()
    }

    /// Volumes that have the block in whatever state.
    pub(super) fn held(&self) -> impl Iterator<Item = VolumeId> + '_ {
        self.replicas.iter().map(|(volume, _)| *volume)
    }

    pub(super) fn good(&self) -> impl Iterator<Item = VolumeId> + '_ {
        self.replicas.iter().filter(|(_, how)| how.is_good()).map(|(volume, _)| *volume)
    }

    fn on(&self, volume: VolumeId) -> Option<Reported> {
        self.replicas.iter().find(|(at, _)| *at == volume).map(|(_, how)| *how)
    }

    fn set(&mut self, volume: VolumeId, how: Reported) {
        match self.replicas.iter_mut().find(|(at, _)| *at == volume) {
            Some((_, old)) => *old = how,
            None => self.replicas.push((volume, how)),
        }
    }
}

impl Blocks {
    /// Takes in a block's record.
    pub(super) fn upsert(&mut self, block: BlockId, record: &BlockRecord) {
        let (open, pipeline) = match &record.state {
            BlockState::Open { lease, pipeline } => (Some(*lease), pipeline.as_slice()),
            BlockState::Sealed => (None, &[][..]),
        };
        let known = self.blocks.get(&block).map(|tracked| tracked.open);
        if let Some(Some(lease)) = known
            && open.is_none()
        {
            self.ledger.closed(lease, block);
        }
        if let Some(lease) = open
            && known.is_none()
        {
            self.ledger.opened(lease, block);
        }
        if known.is_none() {
            for volume in pipeline {
                self.volumes.holds(*volume, block, true);
            }
        }
        let tracked = self.blocks.entry(block).or_insert_with(|| Tracked {
            kind: record.kind,
            class: record.class,
            generation: record.generation,
            length: record.length,
            live_bytes: record.live_bytes,
            wanted: record.replicas_wanted,
            open,
            replicas: pipeline.iter().map(|volume| (*volume, Reported::Writing)).collect(),
            counted: None,
            ranked: None,
            recoverable: false,
            elsewhere: None,
            codable: None,
        });
        tracked.class = record.class;
        tracked.generation = record.generation;
        tracked.length = record.length;
        tracked.live_bytes = record.live_bytes;
        tracked.wanted = record.replicas_wanted;
        tracked.open = open;
        self.recount(block);
    }

    /// An open block goes on elsewhere. What members that it left have of it is stale, and reported as such if they return.
    pub(super) fn repipe(&mut self, block: BlockId, record: &BlockRecord) {
        let BlockState::Open { pipeline, .. } = &record.state else { return self.upsert(block, record) };
        if let Some(tracked) = self.blocks.get_mut(&block) {
            let before = std::mem::take(&mut tracked.replicas);
            tracked.replicas = pipeline.iter().map(|volume| (*volume, Reported::Writing)).collect();
            for (volume, _) in before.iter().filter(|(volume, _)| !pipeline.contains(volume)) {
                self.volumes.holds(*volume, block, false);
            }
            for volume in pipeline.iter().filter(|volume| !before.iter().any(|(had, _)| had == *volume)) {
                self.volumes.holds(*volume, block, true);
            }
        }
        self.upsert(block, record);
    }

    /// A block was sealed. Its writer names the volumes that have finalized it; with a raised generation, those that are
    /// about to. Members it does not name have failed it, or have not answered: they are told to finalize where they can
    /// be right, and count once they have said that they did.
    pub(super) fn seal(&mut self, block: BlockId, record: &BlockRecord, stored_on: &[VolumeId]) {
        let before = self.blocks.get(&block).map(|tracked| (tracked.generation, tracked.replicas.clone()));
        let Some((old_generation, members)) = before else { return self.upsert(block, record) };
        let raised = record.generation > old_generation;
        let mut to_finalize = Vec::new();
        let mut replicas = Vec::with_capacity(members.len());
        for (volume, how) in members {
            let named = stored_on.contains(&volume);
            let finalized = Reported::Early(record.generation, record.length);
            match how {
                early if early == finalized => replicas.push((volume, Reported::Good)),
                _ if named && !raised => {
                    replicas.push((volume, Reported::Told(self.volumes.reports_begun(volume))));
                }
                // The member for whose failure the generation was raised. If it returns, its report says what it has.
                _ if raised && !named && !stored_on.is_empty() => self.volumes.holds(volume, block, false),
                _ => {
                    replicas.push((volume, Reported::Writing));
                    to_finalize.push(volume);
                }
            }
        }
        if let Some(tracked) = self.blocks.get_mut(&block) {
            tracked.replicas = replicas;
        }
        self.upsert(block, record);
        for volume in to_finalize {
            self.order_finalize(volume, block);
        }
    }

    /// A block is gone: so must its replicas be.
    pub(super) fn remove(&mut self, block: BlockId) {
        let Some(tracked) = self.blocks.remove(&block) else { return };
        self.ledger.replace(tracked.counted, None);
        if let Some(lease) = tracked.open {
            self.ledger.closed(lease, block);
        }
        if let Some(live) = tracked.ranked {
            self.wanting.remove(&(live, block));
        }
        self.surplus.remove(&block);
        self.misplaced.remove(&block);
        self.off_media.remove(&block);
        self.compactable.remove(&block);
        self.small.remove(&block);
        self.external.remove(block);
        if let Some(place) = tracked.codable {
            self.codable.remove(&place);
        }
        self.claims.remove(&block);
        self.pending.remove(&block);
        self.deferred.remove(&block);
        for (volume, _) in tracked.replicas {
            self.volumes.holds(volume, block, false);
            self.volumes.remove_replica(volume, block, tracked.generation);
        }
        for (volume, generation) in self.unfit_of(block) {
            self.unfit.remove(&(block, volume));
            self.volumes.remove_replica(volume, block, generation);
        }
    }

    /// A datanode says it has this replica.
    pub(super) fn replica_reported(&mut self, volume: VolumeId, replica: &ReplicaReport) {
        let block = replica.block;
        let Some(tracked) = self.blocks.get_mut(&block) else {
            // Of a block that is gone. The leader has applied every allocation that was ever answered; a follower may
            // not have, and orders nothing.
            self.volumes.remove_replica(volume, block, replica.generation);
            return;
        };
        let finalized = replica.state == ReplicaState::Finalized;
        let (generation, length) = (tracked.generation, tracked.length);
        if tracked.open.is_some() {
            // Its writer decides, and commits after the datanode has finalized: what is heard now is needed then.
            if tracked.on(volume).is_some() {
                let early = Reported::Early(replica.generation, replica.length);
                tracked.set(volume, if finalized { early } else { Reported::Writing });
            }
            return;
        }
        if finalized && replica.generation == generation && replica.length == length {
            tracked.set(volume, Reported::Good);
            self.volumes.holds(volume, block, true);
            self.volumes.keep_replica(volume, block);
            self.unfit.remove(&(block, volume));
            self.arrived(block, volume);
            self.recount(block);
        } else if replica.length >= length
            && (replica.generation < generation || (replica.generation == generation && !finalized))
        {
            // Left behind by a pipeline that broke. A block has one writer, and it only appends: the first `length` bytes
            // of any replica are the block's.
            if !matches!(tracked.on(volume), Some(Reported::Told(_))) {
                tracked.set(volume, Reported::Writing);
                self.volumes.holds(volume, block, true);
                self.recount(block);
            }
            self.order_finalize(volume, block);
        } else if replica.generation <= generation {
            self.drop_replica(volume, block);
            self.unfit.insert((block, volume), replica.generation);
        }
    }

    /// A full report is in and does not name this replica.
    pub(super) fn replica_not_named(&mut self, volume: VolumeId, block: BlockId) {
        let Some(tracked) = self.blocks.get(&block) else { return self.volumes.holds(volume, block, false) };
        let begun = self.volumes.reports_begun(volume);
        match tracked.on(volume) {
            _ if tracked.open.is_some() => {}
            Some(Reported::Told(reports)) if begun.wrapping_sub(reports) <= 1 => {}
            _ => self.drop_replica(volume, block),
        }
    }

    /// A datanode has removed its replica of this generation.
    pub(super) fn replica_removed(&mut self, volume: VolumeId, block: BlockId, generation: GenerationStamp) {
        self.unfit.remove(&(block, volume));
        // A volume that may take a good one now may be the only one there is.
        self.deferred.remove(&block);
        match self.blocks.get(&block) {
            // The writer notices that a member is gone.
            Some(tracked) if tracked.open.is_some() => {}
            // It has made room for the one that counts.
            Some(tracked) if generation < tracked.generation && tracked.on(volume).is_some_and(Reported::is_good) => {}
            _ => self.drop_replica(volume, block),
        }
    }

    /// A replica is damaged: it is no longer counted, nor read, and goes away when a good one is known elsewhere.
    pub(super) fn replica_corrupt(&mut self, volume: VolumeId, block: BlockId, generation: GenerationStamp) {
        let Some(tracked) = self.blocks.get(&block) else {
            self.volumes.remove_replica(volume, block, generation);
            return;
        };
        if generation >= tracked.generation {
            self.drop_replica(volume, block);
        }
        self.unfit.insert((block, volume), generation);
    }

    fn order_finalize(&mut self, volume: VolumeId, block: BlockId) {
        let Some(tracked) = self.blocks.get(&block) else { return };
        let (kind, generation, length) = (tracked.kind, tracked.generation, tracked.length);
        let command = DatanodeCommand::Finalize { volume, block, kind, generation, length };
        if self.volumes.command(volume, command) {
            self.expect_finalized(block, volume);
        }
    }

    /// Replicas of the block that are no good.
    pub(super) fn unfit_of(&self, block: BlockId) -> Vec<(VolumeId, GenerationStamp)> {
        let range = (block, VolumeId(0))..=(block, VolumeId(u64::MAX));
        self.unfit.range(range).map(|((_, volume), generation)| (*volume, *generation)).collect()
    }

    pub(super) fn drop_replica(&mut self, volume: VolumeId, block: BlockId) {
        self.volumes.holds(volume, block, false);
        if let Some(tracked) = self.blocks.get_mut(&block) {
            tracked.replicas.retain(|(at, _)| *at != volume);
            self.recount(block);
        }
    }

    /// Volumes came, went or failed: their blocks' live counts change. All blocks are judged anew when the first second
    /// rack, or a media, appears or the last of it goes.
    pub(super) fn recount_volumes(&mut self, volumes: &[VolumeId]) {
        let judged_for = (self.volumes.several_racks(), self.volumes.several_nodes(), self.volumes.media().clone());
        if self.judged_for != judged_for {
            self.judged_for = judged_for;
            for block in self.blocks.keys().copied().collect::<Vec<_>>() {
                self.recount(block);
            }
            return;
        }
        for volume in volumes {
            for block in self.volumes.blocks_of(*volume) {
                self.recount(block);
            }
        }
    }

    /// Since when a block waits for a coded group, if it does.
    pub(super) fn waits_for_group(&self, block: BlockId) -> Option<UnixMillis> {
        let place = self.blocks.get(&block)?.codable?;
        self.codable.get(&place).copied()
    }

    /// Brings the ledger and the work lists in line with what is known of the block, and of its group.
    pub(super) fn recount(&mut self, block: BlockId) {
        let group = self.group_with(block).map(|(group, tracked)| (group, tracked.record.state));
        let Some(tracked) = self.blocks.get_mut(&block) else { return };
        let sealed = tracked.open.is_none();
        let (mut live, mut leaving, mut away) = (0usize, false, 0);
        for (volume, _) in tracked.replicas.iter().filter(|(_, how)| !sealed || how.is_good()) {
            match (self.volumes.is_live(*volume), self.volumes.is_leaving(*volume)) {
                (true, false) => live += 1,
                (true, true) => leaving = true,
                (false, _) if sealed && self.volumes.in_maintenance(*volume) => away += 1,
                (false, _) => {}
            }
        }
        // Those that are away for maintenance count while there is another one to read.
        if live > 0 || leaving {
            live += away;
        }
        let live = live.min(usize::from(u8::MAX)) as u8;
        let media = self.policies.media(tracked.class);
        let elsewhere = |volume: &VolumeId| self.volumes.is_live(*volume) && !self.volumes.suits(media, *volume);
        let off_media =
            if sealed { tracked.good().filter(elsewhere).count().min(usize::from(u8::MAX)) as u8 } else { 0 };
        let one_rack = sealed && live > 1 && tracked.wanted > 1 && self.volumes.several_racks() && {
            let mut racks = tracked.good().filter_map(|volume| self.volumes.rack_of(volume));
            let first = racks.next();
            racks.all(|rack| Some(rack) == first)
        };
        let parity = tracked.kind == BlockKind::Parity;
        let state = group.map(|(_, state)| state);
        let coded = state.is_some_and(|state| state != GroupState::Encoding);
        // Parity that is being computed is not missing.
        let counts = (tracked.length > 0 || sealed) && !(parity && !coded);
        let kind = ShareKind {
            class: tracked.class,
            wanted: tracked.wanted,
            live,
            one_rack,
            off_media,
            leaving,
            parity,
            coded,
            recoverable: tracked.recoverable,
            external: tracked.elsewhere.is_some_and(|elsewhere| elsewhere.stored),
        };
        let (bytes, live_bytes) = (u64::from(tracked.length), tracked.live_bytes);
        let share = counts.then_some(Share { bytes, live_bytes, kind });
        self.ledger.replace(tracked.counted, share);
        tracked.counted = share;

        if let Some(old) = tracked.ranked.take() {
            self.wanting.remove(&(old, block));
        }
        if counts && sealed && live < tracked.wanted {
            // A block that stands on leaving datanodes alone is not beyond help.
            let rank = live.max(u8::from(leaving));
            tracked.ranked = Some(rank);
            self.wanting.insert((rank, block));
        }
        let alone = group.is_none();
        let waits = alone
            && sealed
            && !parity
            && tracked.live_bytes > 0
            && !tracked.mostly_dead()
            && self.policies.may_be_coded(tracked.class)
            && !self.external.is_active(tracked.class);
        let place = waits.then_some((tracked.class, tracked.length, block));
        if tracked.codable != place {
            if let Some(old) = std::mem::replace(&mut tracked.codable, place) {
                self.codable.remove(&old);
            }
            if let Some(place) = place {
                self.codable.insert(place, self.now);
            }
        }
        let member = |set: &mut std::collections::BTreeSet<BlockId>, belongs: bool| {
            if belongs {
                set.insert(block);
            } else {
                set.remove(&block);
            }
        };
        // Counting volumes is not for every block that is written.
        let domains = if tracked.elsewhere.is_some() { self.volumes.domains() } else { 0 };
        self.external.recount(block, tracked, live, domains, alone);
        // What only a target has cannot be rewritten.
        let packed = sealed && tracked.kind == BlockKind::Packed && !(kind.external && live == 0);
        member(&mut self.misplaced, one_rack);
        member(&mut self.off_media, off_media > 0 && !leaving);
        member(&mut self.surplus, sealed && live > tracked.wanted);
        member(&mut self.compactable, packed && tracked.live_bytes > 0 && tracked.mostly_dead());
        member(&mut self.small, packed && alone && tracked.length < SMALL_BLOCK_BYTES);
        if let Some((group, _)) = group {
            self.recount_group(group);
        }
    }
}
