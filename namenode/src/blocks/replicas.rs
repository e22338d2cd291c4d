//! What is known of each block's replicas, and how reports change it.

use super::ledger::Share;
use super::{Blocks, SMALL_BLOCK_BYTES, mostly_dead};
use crate::state::{BlockRecord, BlockState};
use granary_protocol::block::BlockKind;
use granary_protocol::namenode::{DatanodeCommand, ReplicaReport, ReplicaState};
use granary_protocol::{BlockId, GenerationStamp, LeaseId, VolumeId};

/// How a replica was last heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// A member of the open pipeline.
    Writing,
    /// Finalized, at the block's length and generation.
    Good,
}

/// A block and its replicas.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) kind: BlockKind,
    pub(super) generation: GenerationStamp,
    pub(super) length: u32,
    pub(super) live_bytes: u64,
    pub(super) wanted: u8,
    /// The lease that writes it; `None` once sealed.
    pub(super) open: Option<LeaseId>,
    pub(super) replicas: Vec<(VolumeId, Reported)>,
    counted: Option<Share>,
    ranked: Option<u8>,
}

impl Tracked {
    pub(super) fn mostly_dead(&self) -> bool {
        mostly_dead(self.kind, self.length, self.live_bytes)
    }

    pub(super) fn pipeline(&self) -> Vec<VolumeId> {
        self.replicas.iter().filter(|(_, how)| *how == Reported::Writing).map(|(volume, _)| *volume).collect()
    }

    /// Replicas that can serve the committed bytes.
    pub(super) fn readable(&self) -> impl Iterator<Item = VolumeId> + '_ {
        self.replicas.iter().map(|(volume, _)| *volume)
    }

    pub(super) fn good(&self) -> impl Iterator<Item = VolumeId> + '_ {
        self.replicas.iter().filter(|(_, how)| *how == Reported::Good).map(|(volume, _)| *volume)
    }
}

impl Blocks {
    /// Takes in a block's record. `stored_on` are volumes known to have finalized it.
    pub(super) fn upsert(&mut self, block: BlockId, record: &BlockRecord, stored_on: &[VolumeId]) {
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
        let tracked = self.blocks.entry(block).or_insert_with(|| Tracked {
            kind: record.kind,
            generation: record.generation,
            length: record.length,
            live_bytes: record.live_bytes,
            wanted: record.replicas_wanted,
            open,
            replicas: pipeline.iter().map(|volume| (*volume, Reported::Writing)).collect(),
            counted: None,
            ranked: None,
        });
        tracked.generation = record.generation;
        tracked.length = record.length;
        tracked.live_bytes = record.live_bytes;
        tracked.wanted = record.replicas_wanted;
        tracked.open = open;
        for volume in stored_on {
            match tracked.replicas.iter_mut().find(|(at, _)| at == volume) {
                Some((_, how)) => *how = Reported::Good,
                None => tracked.replicas.push((*volume, Reported::Good)),
            }
        }
        let held: Vec<VolumeId> = tracked.readable().collect();
        for volume in held {
            self.volumes.holds(volume, block, true);
        }
        self.recount(block);
    }

    /// A block was sealed. Members of the pipeline that the writer did not name as having finalized it are told to.
    pub(super) fn seal(&mut self, block: BlockId, record: &BlockRecord, stored_on: &[VolumeId]) {
        self.upsert(block, record, stored_on);
        let Some(tracked) = self.blocks.get(&block) else { return };
        let (kind, generation, length) = (tracked.kind, tracked.generation, tracked.length);
        for volume in tracked.pipeline() {
            self.volumes.command(volume, DatanodeCommand::Finalize { volume, block, kind, generation, length });
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
        self.compactable.remove(&block);
        self.small.remove(&block);
        self.claims.remove(&block);
        self.copies.remove(&block);
        for (volume, _) in tracked.replicas {
            self.volumes.holds(volume, block, false);
            self.volumes.remove_replica(volume, block, tracked.generation);
        }
    }

    /// A datanode says it has this replica.
    pub(super) fn replica_reported(&mut self, volume: VolumeId, replica: &ReplicaReport) {
        let block = replica.block;
        let Some(tracked) = self.blocks.get_mut(&block) else {
            // Of a block that is gone, or that was never committed: reports reach the leader after it applied the
            // allocation, so an unknown block is garbage.
            self.volumes.remove_replica(volume, block, replica.generation);
            return;
        };
        let (kind, generation, length) = (tracked.kind, tracked.generation, tracked.length);
        if tracked.open.is_some() {
            // Its writer decides; a member that restarted is noticed by the writer.
            return;
        }
        let finalized = replica.state == ReplicaState::Finalized;
        if finalized && replica.generation == generation && replica.length == length {
            match tracked.replicas.iter_mut().find(|(at, _)| *at == volume) {
                Some((_, how)) => *how = Reported::Good,
                None => tracked.replicas.push((volume, Reported::Good)),
            }
            self.volumes.holds(volume, block, true);
            self.copy_arrived(block, volume);
            self.recount(block);
        } else if !finalized && replica.length >= length {
            // Left open by a pipeline that broke. One writer only ever appended, so its first `length` bytes are the block's.
            self.volumes.command(volume, DatanodeCommand::Finalize { volume, block, kind, generation, length });
        } else {
            self.drop_replica(volume, block);
            self.volumes.remove_replica(volume, block, replica.generation);
        }
    }

    /// A datanode says, or does not say any more, that it has this replica.
    pub(super) fn replica_gone(&mut self, volume: VolumeId, block: BlockId) {
        if self.blocks.get(&block).is_some_and(|tracked| tracked.open.is_some()) {
            return;
        }
        self.drop_replica(volume, block);
    }

    /// A replica is damaged: it is no longer counted, nor read, and goes away.
    pub(super) fn replica_corrupt(&mut self, volume: VolumeId, block: BlockId, generation: GenerationStamp) {
        self.drop_replica(volume, block);
        self.volumes.remove_replica(volume, block, generation);
    }

    fn drop_replica(&mut self, volume: VolumeId, block: BlockId) {
        self.volumes.holds(volume, block, false);
        if let Some(tracked) = self.blocks.get_mut(&block) {
            tracked.replicas.retain(|(at, _)| *at != volume);
            self.recount(block);
        }
    }

    /// Volumes came, went or failed: their blocks' live counts change.
    pub(super) fn recount_volumes(&mut self, volumes: &[VolumeId]) {
        for volume in volumes {
            for block in self.volumes.blocks_of(*volume) {
                self.recount(block);
            }
        }
    }

    /// Brings the ledger and the work lists in line with what is known of the block.
    pub(super) fn recount(&mut self, block: BlockId) {
        let Some(tracked) = self.blocks.get_mut(&block) else { return };
        let sealed = tracked.open.is_none();
        let live = tracked
            .replicas
            .iter()
            .filter(|(volume, how)| (!sealed || *how == Reported::Good) && self.volumes.is_live(*volume))
            .count()
            .min(usize::from(u8::MAX)) as u8;
        let holds_data = tracked.length > 0 || sealed;
        let share = holds_data.then_some(Share { bytes: u64::from(tracked.length), wanted: tracked.wanted, live });
        self.ledger.replace(tracked.counted, share);
        tracked.counted = share;

        if let Some(old) = tracked.ranked.take() {
            self.wanting.remove(&(old, block));
        }
        if sealed && live < tracked.wanted {
            tracked.ranked = Some(live);
            self.wanting.insert((live, block));
        }
        let member = |set: &mut std::collections::BTreeSet<BlockId>, belongs: bool| {
            if belongs {
                set.insert(block);
            } else {
                set.remove(&block);
            }
        };
        member(&mut self.surplus, sealed && live > tracked.wanted);
        member(&mut self.compactable, sealed && tracked.mostly_dead());
        member(&mut self.small, sealed && tracked.kind == BlockKind::Packed && tracked.length < SMALL_BLOCK_BYTES);
    }
}
