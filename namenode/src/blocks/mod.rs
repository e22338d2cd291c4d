//! Soft state of blocks: which datanode holds which replica, who is alive, what must be copied or removed.
//!
//! Nothing here is logged. It is rebuilt from the block records at start, from the effects of applied commands, and
//! from what datanodes report; every peer keeps it, so that a new leader needs no warm-up, but only the leader's
//! commands are handed out. Pure: time and seeds are arguments.
//!
//! Invariants: a block is here exactly while it has a record; the ledger's counts are the sum over all blocks at every
//! moment; a replica is removed only if its block is gone, or has as many good live replicas as its policy asks for.

mod ledger;
pub mod placement;
mod repair;
mod replicas;
mod volumes;

pub use replicas::Reported;
pub use volumes::LivenessConfig;

use crate::state::{BlockRecord, BlockState, Effect};
use granary_protocol::admin::{DatanodeStatus, Redundancy, VolumeStatus};
use granary_protocol::block::{BlockKind, DatanodeEndpoint, Extent, LocatedBlock, ReplicaLocation};
use granary_protocol::namenode::{DatanodeCommand, ReplicaChange, ReplicaReport, VolumeReport};
use granary_protocol::token::{AccessMode, BlockKey, BlockToken, TOKEN_LIFETIME_MS};
use granary_protocol::{BlockId, DatanodeId, LeaseId, NodeName, UnixMillis, VolumeId};
use ledger::Ledger;
use replicas::Tracked;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use volumes::Volumes;

/// A block that needs less than this is judged to be worth merging with others: 16 MiB.
const SMALL_BLOCK_BYTES: u32 = 16 << 20;
/// How many such blocks must stand around before they are merged.
const SMALL_BLOCKS_MIN: usize = 4;
/// How long a compactor may take over one block before another may claim it.
const CLAIM_MS: u64 = 10 * 60 * 1000;

/// The soft state.
pub struct Blocks {
    blocks: HashMap<BlockId, Tracked>,
    volumes: Volumes,
    ledger: Ledger,
    /// Sealed blocks with fewer live replicas than the domains allow, fewest live first.
    wanting: BTreeSet<(u8, BlockId)>,
    /// Sealed blocks with more live replicas than their policy asks for.
    surplus: BTreeSet<BlockId>,
    /// Sealed packed blocks worth rewriting.
    compactable: BTreeSet<BlockId>,
    small: BTreeSet<BlockId>,
    claims: HashMap<BlockId, (LeaseId, UnixMillis)>,
    copies: HashMap<BlockId, repair::PendingCopy>,
    keys: Vec<BlockKey>,
    leading: bool,
    seed: u64,
}

impl Blocks {
    /// Empty; fill it with [`Blocks::restore`].
    pub fn new(liveness: LivenessConfig, seed: u64) -> Blocks {
        Blocks {
            blocks: HashMap::new(),
            volumes: Volumes::new(liveness),
            ledger: Ledger::default(),
            wanting: BTreeSet::new(),
            surplus: BTreeSet::new(),
            compactable: BTreeSet::new(),
            small: BTreeSet::new(),
            claims: HashMap::new(),
            copies: HashMap::new(),
            keys: Vec::new(),
            leading: false,
            seed,
        }
    }

    /// Forgets every block, before the state is read anew. Datanodes are asked to report again.
    pub fn clear(&mut self) {
        self.blocks.clear();
        self.ledger = Ledger::default();
        self.wanting.clear();
        self.surplus.clear();
        self.compactable.clear();
        self.small.clear();
        self.copies.clear();
        self.volumes.ask_all_to_register();
    }

    /// The keys tokens are signed with, newest last.
    pub fn set_keys(&mut self, keys: Vec<BlockKey>) {
        self.keys = keys;
    }

    /// The keys tokens are signed with.
    pub fn keys(&self) -> &[BlockKey] {
        &self.keys
    }

    /// Whether this peer leads. A new leader asks every datanode for a full report, because commands that it gave as a
    /// follower went nowhere.
    pub fn set_leading(&mut self, leading: bool) {
        if leading && !self.leading {
            self.volumes.ask_all_to_register();
        }
        if !leading {
            self.volumes.forget_commands();
            self.copies.clear();
            self.claims.clear();
        }
        self.leading = leading;
    }

    /// Learns a block record at start.
    pub fn restore(&mut self, block: BlockId, record: &BlockRecord) {
        self.upsert(block, record, &[]);
    }

    /// Learns what an applied command did.
    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::BlockOpened { block, record } => {
                if let BlockState::Open { pipeline, .. } = &record.state {
                    self.volumes.scheduled(pipeline);
                }
                self.upsert(*block, record, &[]);
            }
            Effect::BlockSealed { block, record, stored_on } => self.seal(*block, record, stored_on),
            Effect::BlockChanged { block, record } => self.upsert(*block, record, &[]),
            Effect::BlockRemoved { block, .. } => self.remove(*block),
            Effect::LeaseOpened { .. } | Effect::LeaseClosed { .. } | Effect::KeysChanged => {}
        }
    }

    /// A datanode (re)appears. Its volumes' replicas follow in block reports.
    pub fn register(&mut self, endpoint: DatanodeEndpoint, reports: Vec<VolumeReport>, now: UnixMillis) {
        let moved = self.volumes.register(endpoint, reports, now);
        self.recount_volumes(&moved);
    }

    /// A datanode lives. `None` when it must register again.
    pub fn heartbeat(
        &mut self,
        datanode: DatanodeId,
        reports: Vec<VolumeReport>,
        now: UnixMillis,
    ) -> Option<Vec<DatanodeCommand>> {
        let changed = self.volumes.heartbeat(datanode, reports, now)?;
        self.recount_volumes(&changed);
        Some(if self.leading { self.volumes.take_commands(datanode) } else { Vec::new() })
    }

    /// One page of a full report. `false` when the volume is not known and its datanode must register again.
    pub fn block_report(
        &mut self,
        volume: VolumeId,
        report: u64,
        page: u32,
        last: bool,
        replicas: &[ReplicaReport],
    ) -> bool {
        if !self.volumes.report_page(volume, report, page, replicas) {
            return false;
        }
        for replica in replicas {
            self.replica_reported(volume, replica);
        }
        if last {
            for block in self.volumes.report_complete(volume) {
                self.replica_gone(volume, block);
            }
        }
        true
    }

    /// What changed on a datanode since its last report.
    pub fn replicas_changed(&mut self, changes: &[ReplicaChange]) {
        for change in changes {
            match change {
                ReplicaChange::Finalized(volume, replica) => self.replica_reported(*volume, replica),
                ReplicaChange::Removed(volume, block, _) => self.replica_gone(*volume, *block),
                ReplicaChange::Corrupt(volume, block, generation) => self.replica_corrupt(*volume, *block, *generation),
            }
        }
    }

    /// Notices datanodes that have gone silent and plans copies and removals, at most `budget` blocks of each.
    pub fn tick(&mut self, now: UnixMillis, budget: usize) {
        let dead = self.volumes.expire(now);
        self.recount_volumes(&dead);
        self.claims.retain(|_, (_, until)| *until > now);
        if self.leading {
            self.plan_repair(now, budget);
        }
    }

    /// Where a block of `count` replicas should be written; fewer volumes if there are no more.
    pub fn choose_targets(&mut self, count: usize, writer: Option<DatanodeId>, exclude: &[VolumeId]) -> Vec<VolumeId> {
        self.seed = self.seed.wrapping_add(1);
        let needed_bytes = u64::from(granary_protocol::block::BLOCK_BYTES_MAX);
        let targets = self.volumes.place(count, writer, &[], exclude, needed_bytes, self.seed);
        self.volumes.scheduled(&targets);
        targets
    }

    /// The pipeline of a block just allocated, with a token that allows writing all of it.
    pub fn locate_for_write(&self, block: BlockId, now: UnixMillis) -> Option<LocatedBlock> {
        let tracked = self.blocks.get(&block)?;
        let replicas = tracked.pipeline().iter().filter_map(|volume| self.volumes.location(*volume)).collect();
        Some(self.located(block, tracked, replicas, whole(block), AccessMode::Write, now))
    }

    /// Live replicas of a block, best first, with a token for `extent`.
    pub fn locate(&self, extent: Extent, mode: AccessMode, now: UnixMillis) -> Option<LocatedBlock> {
        let tracked = self.blocks.get(&extent.block)?;
        let mut replicas: Vec<ReplicaLocation> =
            tracked.readable().filter_map(|volume| self.volumes.live_location(volume, now)).collect();
        if replicas.len() > 1 {
            // Spread readers over replicas; the same block keeps its order, so page caches are used well.
            let turn = (extent.block.0 as usize) % replicas.len();
            replicas.rotate_left(turn);
        }
        Some(self.located(extent.block, tracked, replicas, extent, mode, now))
    }

    fn located(
        &self,
        block: BlockId,
        tracked: &Tracked,
        replicas: Vec<ReplicaLocation>,
        extent: Extent,
        mode: AccessMode,
        now: UnixMillis,
    ) -> LocatedBlock {
        LocatedBlock {
            block,
            generation: tracked.generation,
            length: tracked.length,
            replicas,
            token: self.sign(extent, tracked, mode, now),
        }
    }

    fn sign(&self, extent: Extent, tracked: &Tracked, mode: AccessMode, now: UnixMillis) -> BlockToken {
        let key = self.keys.last().expect("a formatted cluster has a block key before it has a block");
        BlockToken::sign(key, extent, tracked.generation, mode, UnixMillis(now.0 + TOKEN_LIFETIME_MS))
    }

    /// A sealed packed block worth rewriting, claimed for `lease` for a while.
    pub fn claim_compaction(&mut self, lease: LeaseId, now: UnixMillis) -> Option<BlockId> {
        let free = |block: &&BlockId| !self.claims.contains_key(block);
        let worth = self.compactable.iter().find(free).copied();
        let merge = || {
            let small = self.small.iter().filter(free).count();
            (small >= SMALL_BLOCKS_MIN).then(|| self.small.iter().find(free).copied()).flatten()
        };
        let block = worth.or_else(merge)?;
        self.claims.insert(block, (lease, UnixMillis(now.0 + CLAIM_MS)));
        Some(block)
    }

    /// A compactor that died gives its claims back.
    pub fn release_claims(&mut self, lease: LeaseId) {
        self.claims.retain(|_, (holder, _)| *holder != lease);
    }

    /// Open packed blocks of `lease` that are mostly dead, so that sealing them lets them be compacted.
    pub fn mostly_dead_open(&self, lease: LeaseId) -> Vec<BlockId> {
        self.ledger.open_of(lease).filter(|block| self.blocks.get(block).is_some_and(Tracked::mostly_dead)).collect()
    }

    /// The redundancy ledger, of this moment.
    pub fn redundancy(&self) -> Redundancy {
        self.ledger.redundancy(self.volumes.domains())
    }

    /// Volumes in service, on live datanodes.
    pub fn volumes_in_service(&self) -> usize {
        self.volumes.in_service()
    }

    /// Every datanode that registered.
    pub fn datanodes(&self, now: UnixMillis) -> Vec<DatanodeStatus> {
        self.volumes.statuses(now)
    }

    /// Every volume with the name of its node.
    pub fn volume_statuses(&self, now: UnixMillis) -> Vec<(NodeName, VolumeStatus)> {
        self.datanodes(now)
            .into_iter()
            .flat_map(|node| node.volumes.into_iter().map(move |v| (node.name.clone(), v)))
            .collect()
    }

    /// The endpoint of a datanode.
    pub fn endpoint(&self, datanode: DatanodeId) -> Option<Arc<DatanodeEndpoint>> {
        self.volumes.endpoint(datanode)
    }
}

/// The extent that covers any block.
fn whole(block: BlockId) -> Extent {
    Extent { block, offset: 0, length: granary_protocol::block::BLOCK_BYTES_MAX }
}

/// Whether a packed block should be rewritten to get rid of its dead bytes: more than half of it is dead.
fn mostly_dead(kind: BlockKind, length: u32, live_bytes: u64) -> bool {
    kind == BlockKind::Packed && length > 0 && live_bytes * 2 < u64::from(length)
}

#[cfg(test)]
mod tests;
