//! Soft state of blocks: which datanode holds which replica, who is alive, what must be copied or removed.
//!
//! Nothing here is logged. It is rebuilt from the block records at start, from the effects of applied commands, and
//! from what datanodes report; every peer keeps it, so that a new leader needs no warm-up, but only the leader's
//! commands are handed out. Pure: time and seeds are arguments.
//!
//! Invariants: a block is here exactly while it has a record; the ledger's counts are the sum over all blocks at every
//! moment. What may be removed: any replica of a block that is gone; a replica that is no good once a good one is known
//! elsewhere; a good one only while there are more than the policy asks for. "Known" means reported by the volume itself
//! to this peer as leader, because an earlier leader may have ordered removals that this one does not know of.

mod assignment;
mod balance;
mod clients;
mod coding;
mod external;
mod form_group;
mod groups;
mod ledger;
pub mod placement;
mod repair;
mod replicas;
mod safe_mode;
mod slow;
mod volumes;

pub use balance::BalanceConfig;
pub use volumes::LivenessConfig;

use crate::redundancy::{ClassPolicies, CodingConfig};
use crate::state::{BlockRecord, Effect};
use granary_protocol::admin::{DatanodeIntent, DatanodeStatus, Redundancy, VolumeStatus};
use granary_protocol::block::{BlockKind, DatanodeEndpoint, Extent, LocatedBlock, Media, ReplicaLocation};
use granary_protocol::namenode::{DatanodeCommand, ReplicaChange, ReplicaReport, VolumeReport};
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::{ClassReport, ClassStatus, GroupId, GroupLedger, RedundancyPolicy};
use granary_protocol::token::{AccessMode, BlockKey, BlockToken, TOKEN_LIFETIME_MS};
use granary_protocol::{BlockId, DatanodeId, GenerationStamp, LeaseId, NodeName, UnixMillis, VolumeId};
use groups::TrackedGroup;
use ledger::Ledger;
use replicas::Tracked;
use safe_mode::SafeMode;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use volumes::Volumes;

/// A block that needs less than this is judged to be worth merging with others: 16 MiB.
const SMALL_BLOCK_BYTES: u32 = 16 << 20;
/// How many such blocks must stand around before they are merged.
const SMALL_BLOCKS_MIN: usize = 4;
/// How long a compactor may take over one block before another may claim it.
const CLAIM_MS: u64 = 10 * 60 * 1000;
/// Where groups whose parity is being computed stand among those with lost members: behind all others.
const LOST_BY_ENCODING: u8 = u8::MAX;
/// What reports say of the media of a class whose blocks are kept at an archive target.
const ELSEWHERE: &str = "external";
/// A block key signs tokens for this long and is accepted for twice as long: 10 hours, as in HDFS.
pub const KEY_ROTATION_MS: u64 = 10 * 60 * 60 * 1000;
/// A key that is older than this has reached every datanode, with a heartbeat.
const KEY_SPREAD_MS: u64 = 60 * 1000;

/// The soft state.
pub struct Blocks {
    blocks: HashMap<BlockId, Tracked>,
    volumes: Volumes,
    ledger: Ledger,
    /// Sealed blocks with fewer live replicas than the domains allow, fewest live first.
    wanting: BTreeSet<(u8, BlockId)>,
    /// Sealed blocks with more live replicas than their policy asks for.
    surplus: BTreeSet<BlockId>,
    /// Sealed blocks whose live replicas all stand on one of several racks.
    misplaced: BTreeSet<BlockId>,
    /// Sealed blocks with a live replica on a volume of other media than their class belongs on.
    off_media: BTreeSet<BlockId>,
    /// Whether there were several racks, and several nodes, and which media, when blocks were last judged.
    judged_for: (bool, bool, BTreeSet<Media>),
    /// Sealed packed blocks worth rewriting.
    compactable: BTreeSet<BlockId>,
    small: BTreeSet<BlockId>,
    /// Small blocks are being merged, until none is left.
    merging: bool,
    claims: HashMap<BlockId, (LeaseId, UnixMillis)>,
    /// Blocks of silent writers, whose members are being asked.
    measuring: HashMap<BlockId, clients::Measuring>,
    policies: ClassPolicies,
    coding: CodingConfig,
    groups: HashMap<GroupId, TrackedGroup>,
    group_of: HashMap<BlockId, GroupId>,
    /// Sealed data blocks of coded classes that are in no group, by class and length, and since when they wait.
    codable: BTreeMap<(StorageClass, u32, BlockId), UnixMillis>,
    /// Blocks and archive targets.
    external: external::External,
    /// Groups with lost members that can be rebuilt, fewest spare members first.
    lost_groups: BTreeSet<(u8, GroupId)>,
    /// Groups with two members on one failure domain.
    crowded_groups: BTreeSet<GroupId>,
    /// Groups that are not committed, or are to be dissolved.
    unsettled_groups: BTreeSet<GroupId>,
    /// Blocks with replicas on their way.
    pending: HashMap<BlockId, repair::Pending>,
    /// Blocks that could not be helped, and when to try again.
    deferred: HashMap<BlockId, UnixMillis>,
    balance_config: BalanceConfig,
    balance: balance::Balance,
    /// Replicas that are stale, short or damaged, and stay until a good one is known elsewhere.
    unfit: BTreeMap<(BlockId, VolumeId), GenerationStamp>,
    /// Where the round through them stands.
    unfit_cursor: (BlockId, VolumeId),
    keys: Vec<BlockKey>,
    leading: bool,
    /// Since when this peer leads, as it was told.
    led_since: UnixMillis,
    safe_mode: SafeMode,
    /// The latest time it was told.
    now: UnixMillis,
    seed: u64,
}

impl Blocks {
    /// Empty; fill it with [`Blocks::restore`].
    pub fn new(
        liveness: LivenessConfig,
        balance_config: BalanceConfig,
        policies: ClassPolicies,
        coding: CodingConfig,
        seed: u64,
    ) -> Blocks {
        Blocks {
            blocks: HashMap::new(),
            volumes: Volumes::new(liveness),
            ledger: Ledger::default(),
            wanting: BTreeSet::new(),
            surplus: BTreeSet::new(),
            misplaced: BTreeSet::new(),
            off_media: BTreeSet::new(),
            judged_for: (false, false, BTreeSet::new()),
            compactable: BTreeSet::new(),
            small: BTreeSet::new(),
            merging: false,
            claims: HashMap::new(),
            measuring: HashMap::new(),
            policies,
            coding,
            groups: HashMap::new(),
            group_of: HashMap::new(),
            codable: BTreeMap::new(),
            external: external::External::default(),
            lost_groups: BTreeSet::new(),
            crowded_groups: BTreeSet::new(),
            unsettled_groups: BTreeSet::new(),
            pending: HashMap::new(),
            deferred: HashMap::new(),
            balance_config,
            balance: balance::Balance::default(),
            unfit: BTreeMap::new(),
            unfit_cursor: (BlockId(0), VolumeId(0)),
            keys: Vec::new(),
            leading: false,
            led_since: UnixMillis(0),
            safe_mode: SafeMode::Off,
            now: UnixMillis(0),
            seed,
        }
    }

    /// Forgets every block, before the state is read anew. Datanodes are asked to report again.
    pub fn clear(&mut self) {
        self.blocks.clear();
        self.ledger = Ledger::default();
        self.wanting.clear();
        self.surplus.clear();
        self.misplaced.clear();
        self.off_media.clear();
        self.compactable.clear();
        self.small.clear();
        self.claims.clear();
        self.groups.clear();
        self.group_of.clear();
        self.codable.clear();
        self.external.clear();
        self.lost_groups.clear();
        self.crowded_groups.clear();
        self.unsettled_groups.clear();
        self.pending.clear();
        self.deferred.clear();
        self.unfit.clear();
        self.volumes.forget_held();
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

    /// Whether this peer leads. A new leader has applied everything that was committed before its term; it asks every
    /// datanode for a full report, because what it was told before it may have judged by a state that lagged.
    pub fn set_leading(&mut self, leading: bool, now: UnixMillis) {
        if leading != self.leading {
            self.volumes.set_leading(leading);
            self.pending.clear();
            self.deferred.clear();
            self.claims.clear();
            self.measuring.clear();
            self.merging = false;
        }
        if leading && !self.leading {
            self.volumes.ask_all_to_register();
            self.led_since = now;
            self.safe_mode = SafeMode::enter(now);
        }
        if !leading {
            self.safe_mode = SafeMode::Off;
        }
        self.leading = leading;
    }

    /// What operators have said about datanodes, all of it.
    pub fn set_intents(&mut self, intents: Vec<(NodeName, DatanodeIntent)>) {
        self.volumes.forget_intents();
        for (name, intent) in intents {
            self.set_intent(&name, intent);
        }
    }

    fn set_intent(&mut self, name: &NodeName, intent: DatanodeIntent) {
        let changed = self.volumes.set_intent(name, intent, self.now);
        self.recount_volumes(&changed);
        self.deferred.clear();
    }

    /// The volumes that are to be empty, all of them.
    pub fn set_drained(&mut self, volumes: Vec<VolumeId>) {
        let before = self.volumes.drained();
        before.into_iter().for_each(|volume| self.set_drain(volume, false));
        volumes.into_iter().for_each(|volume| self.set_drain(volume, true));
    }

    fn set_drain(&mut self, volume: VolumeId, drain: bool) {
        self.volumes.set_drain(volume, drain);
        self.recount_volumes(&[volume]);
        self.deferred.clear();
    }

    /// Learns a block record at start.
    pub fn restore(&mut self, block: BlockId, record: &BlockRecord) {
        self.upsert(block, record);
    }

    /// Learns what an applied command did.
    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::BlockOpened { block, record } => self.upsert(*block, record),
            Effect::BlockSealed { block, record, stored_on } => {
                self.forget_measuring(*block);
                self.seal(*block, record, stored_on);
            }
            Effect::BlockChanged { block, record } => self.upsert(*block, record),
            Effect::BlockRemoved { block, .. } => {
                self.forget_measuring(*block);
                self.remove(*block);
            }
            Effect::BlockRepiped { block, record } => self.repipe(*block, record),
            Effect::DatanodeIntentChanged { name, intent } => self.set_intent(name, *intent),
            Effect::VolumeDrainChanged { volume, drain } => self.set_drain(*volume, *drain),
            Effect::GroupChanged { group, record } => self.group_changed(*group, record.as_ref()),
            Effect::ExternalChanged { block, external } => self.external_changed(*block, external.as_ref()),
            Effect::ArchiveTargetsChanged { targets } => self.set_archive_targets(targets),
            Effect::LeaseOpened { .. } | Effect::LeaseClosed { .. } | Effect::KeysChanged => {}
        }
    }

    /// A datanode (re)appears. Its volumes' replicas follow in block reports. `false`, and nothing changes, when its id or
    /// one of its volumes belongs to another datanode that lives.
    pub fn register(&mut self, endpoint: DatanodeEndpoint, reports: Vec<VolumeReport>, now: UnixMillis) -> bool {
        if !self.volumes.may_register(&endpoint, &reports) {
            return false;
        }
        self.now = self.now.max(now);
        let moved = self.volumes.register(endpoint, reports, now);
        self.recount_volumes(&moved);
        self.deferred.clear();
        true
    }

    /// A datanode lives. `false` when it must register (again).
    pub fn heartbeat(&mut self, datanode: DatanodeId, reports: Vec<VolumeReport>, now: UnixMillis) -> bool {
        self.now = self.now.max(now);
        let Some(changed) = self.volumes.heartbeat(datanode, reports, now) else { return false };
        self.recount_volumes(&changed);
        true
    }

    /// Whether commands wait for a datanode. Only a leader has any.
    pub fn has_commands(&self, datanode: DatanodeId) -> bool {
        self.volumes.has_commands(datanode)
    }

    /// Hands out commands of the leader, a heartbeat's worth. The caller has made sure, after they were queued, that this
    /// peer still leads: one that was deposed takes replicas of blocks that it does not know for garbage.
    pub fn take_commands(&mut self, datanode: DatanodeId) -> Vec<DatanodeCommand> {
        self.volumes.take_commands(datanode)
    }

    /// One page of a full report. `false` when the volume is not known to be the datanode's or the page does not follow
    /// the one before: the report must begin again.
    pub fn block_report(
        &mut self,
        datanode: DatanodeId,
        volume: VolumeId,
        report: u64,
        page: u32,
        last: bool,
        replicas: &[ReplicaReport],
    ) -> bool {
        if !self.volumes.is_of(volume, datanode) || !self.volumes.report_page(volume, report, page, replicas) {
            return false;
        }
        for replica in replicas {
            self.replica_reported(volume, replica);
        }
        if last {
            for block in self.volumes.report_complete(volume) {
                self.replica_not_named(volume, block);
            }
        }
        true
    }

    /// What changed on a datanode since its last report. `false` when one of the volumes is not known to be the
    /// datanode's; it must report in full then.
    pub fn replicas_changed(&mut self, datanode: DatanodeId, changes: &[ReplicaChange]) -> bool {
        for change in changes {
            let (ReplicaChange::Finalized(volume, _)
            | ReplicaChange::Removed(volume, _, _)
            | ReplicaChange::Corrupt(volume, _, _)
            | ReplicaChange::CopyFailed(volume, _, _)
            | ReplicaChange::Measured(volume, _)) = *change;
            if !self.volumes.is_of(volume, datanode) {
                return false;
            }
            match change {
                ReplicaChange::Finalized(_, replica) => self.replica_reported(volume, replica),
                ReplicaChange::Removed(_, block, generation) => self.replica_removed(volume, *block, *generation),
                ReplicaChange::Corrupt(_, block, generation) => self.replica_corrupt(volume, *block, *generation),
                ReplicaChange::CopyFailed(_, block, generation) => self.copy_failed(volume, *block, *generation),
                ReplicaChange::Measured(_, replica) => self.measured(volume, replica),
            }
        }
        true
    }

    /// Notices datanodes that have gone silent and plans copies and removals, at most `budget` blocks of each.
    pub fn tick(&mut self, now: UnixMillis, budget: usize) {
        self.now = self.now.max(now);
        let mut changed = self.volumes.expire(now);
        changed.extend(self.volumes.end_maintenance(now));
        self.recount_volumes(&changed);
        self.claims.retain(|_, (_, until)| *until > now);
        if self.safe_mode != SafeMode::Off {
            self.safe_mode = self.safe_mode.next(&self.redundancy(), now);
        }
        if self.leading && self.safe_mode == SafeMode::Off {
            self.plan_repair(now, budget);
            if budget > 0 {
                self.plan_balance(now);
            }
        }
    }

    /// The clock was set: what waits for a moment waits for the same moment of the new clock, and silence counts from now.
    pub fn clock_set(&mut self, before: UnixMillis, now: UnixMillis) {
        let moved = |moment: UnixMillis| UnixMillis(moment.0.saturating_sub(before.0).saturating_add(now.0));
        self.volumes.count_silence_from(now);
        self.pending.values_mut().for_each(|pending| pending.until = moved(pending.until));
        self.deferred.values_mut().for_each(|until| *until = moved(*until));
        self.claims.values_mut().for_each(|(_, until)| *until = moved(*until));
        self.led_since = self.led_since.min(now);
        self.now = now;
    }

    /// Where a block of a class with `count` replicas should be written; fewer volumes if there are no more.
    pub fn choose_targets(
        &mut self,
        count: usize,
        class: StorageClass,
        writer: Option<DatanodeId>,
        exclude: &[VolumeId],
    ) -> Vec<VolumeId> {
        self.seed = self.seed.wrapping_add(1);
        let needed_bytes = u64::from(granary_protocol::block::BLOCK_BYTES_MAX);
        let media = self.policies.media(class);
        let targets = self.volumes.place(count, media, writer, &[], exclude, needed_bytes, self.seed);
        self.volumes.scheduled(&targets);
        targets
    }

    /// The pipeline of a block just allocated, with a token that allows writing all of it.
    pub fn locate_for_write(&self, block: BlockId, now: UnixMillis) -> Option<LocatedBlock> {
        let tracked = self.blocks.get(&block)?;
        let replicas = tracked.pipeline().iter().filter_map(|volume| self.volumes.location(*volume)).collect();
        Some(self.located(block, tracked, replicas, whole(block), AccessMode::Write, now))
    }

    /// Live replicas of a block with a token for `extent`. Those that are known to be good, on volumes that are not slow, and
    /// whose datanodes were heard just now come first.
    pub fn locate(&self, extent: Extent, mode: AccessMode, now: UnixMillis) -> Option<LocatedBlock> {
        let tracked = self.blocks.get(&extent.block)?;
        let mut ranked: Vec<((bool, bool), ReplicaLocation)> = tracked
            .replicas
            .iter()
            .filter_map(|(volume, how)| {
                let (stale, location) = self.volumes.live_location(*volume, now)?;
                let doubtful = stale || self.volumes.is_slow(*volume);
                Some(((tracked.open.is_none() && !how.is_good(), doubtful), location))
            })
            .collect();
        if ranked.len() > 1 {
            // Spread readers over replicas; the same block keeps its order, so page caches are used well.
            let turn = (extent.block.0 as usize) % ranked.len();
            ranked.rotate_left(turn);
            ranked.sort_by_key(|(rank, _)| *rank);
        }
        let replicas = ranked.into_iter().map(|(_, location)| location).collect();
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
        let key = self.signing_key(now).expect("a formatted cluster has a block key before it has a block");
        BlockToken::sign(key, extent, tracked.generation, mode, UnixMillis(now.0 + TOKEN_LIFETIME_MS))
    }

    /// The newest key that datanodes have; the newest of all if that one is about to end.
    fn signing_key(&self, now: UnixMillis) -> Option<&BlockKey> {
        let has_spread = |key: &&BlockKey| key.expires.0.saturating_sub(2 * KEY_ROTATION_MS) + KEY_SPREAD_MS <= now.0;
        let lasts = |key: &&BlockKey| key.expires.0 > now.0 + TOKEN_LIFETIME_MS;
        self.keys.iter().rev().find(|key| has_spread(key) && lasts(key)).or(self.keys.last())
    }

    /// A sealed packed block worth rewriting and readable, claimed for `lease` for a while. Mostly dead ones first; small
    /// ones when enough of them have gathered, and then all of them.
    pub fn claim_compaction(&mut self, lease: LeaseId, now: UnixMillis) -> Option<BlockId> {
        let readable = |block: &BlockId| {
            self.blocks.get(block).is_some_and(|tracked| tracked.good().any(|volume| self.volumes.is_live(volume)))
        };
        let free = |block: &&BlockId| !self.claims.contains_key(block) && readable(block);
        let worth = self.compactable.iter().find(free).copied();
        let merge = || {
            let free: Vec<BlockId> = self.small.iter().filter(free).take(SMALL_BLOCKS_MIN).copied().collect();
            let needed = if self.merging { 1 } else { SMALL_BLOCKS_MIN };
            free.first().copied().filter(|_| free.len() >= needed)
        };
        let found = worth.map(|block| (block, self.merging)).or_else(|| merge().map(|block| (block, true)));
        let Some((block, merging)) = found else {
            self.merging = false;
            return None;
        };
        self.merging = merging;
        self.claims.insert(block, (lease, UnixMillis(now.0 + CLAIM_MS)));
        Some(block)
    }

    /// Claims a block for `lease` for a while; `false` while another has it.
    pub fn claim(&mut self, block: BlockId, lease: LeaseId, now: UnixMillis) -> bool {
        if self.claims.contains_key(&block) {
            return false;
        }
        self.claims.insert(block, (lease, UnixMillis(now.0 + CLAIM_MS)));
        true
    }

    /// A compactor that died gives its claims back.
    pub fn release_claims(&mut self, lease: LeaseId) {
        self.claims.retain(|_, (holder, _)| *holder != lease);
    }

    /// Open packed blocks of `lease` that should be sealed: those that are mostly dead, so that they are compacted, those that
    /// are written to a slow volume, so that their writer goes on elsewhere, and those with fewer live members than there could be, so that they are copied. Only sealed blocks are either.
    pub fn to_be_sealed(&self, lease: LeaseId) -> Vec<BlockId> {
        let domains = self.volumes.with_room(u64::from(granary_protocol::block::BLOCK_BYTES_MAX));
        let should = |tracked: &Tracked| {
            let thin = tracked.kind == BlockKind::Packed && tracked.length > 0 && tracked.is_thin(domains);
            let slow = tracked.length > 0
                && self.volumes.can_avoid_slow(usize::from(tracked.wanted))
                && tracked.pipeline().iter().any(|volume| self.volumes.is_slow(*volume));
            thin || slow || tracked.mostly_dead()
        };
        self.ledger.open_of(lease).filter(|block| self.blocks.get(block).is_some_and(should)).collect()
    }

    /// The redundancy ledger, of this moment.
    pub fn redundancy(&self) -> Redundancy {
        self.ledger.redundancy(self.volumes.domains())
    }

    /// What every class asks for and has, and the ledger of groups.
    pub fn class_report(&self) -> ClassReport {
        let class = |class: StorageClass| {
            let media = self.policies.media(class);
            let domains = self.volumes.coding_domains(Some(media));
            let is_elsewhere = self.external.is_active(class);
            let copies = RedundancyPolicy::Replicated(self.policies.fresh_replicas(class, domains));
            let mut status = ClassStatus {
                class: class.name().to_owned(),
                media: if is_elsewhere { ELSEWHERE } else { media.name() }.to_owned(),
                has_media: is_elsewhere || self.volumes.has_media(media),
                restore: String::new(),
                domains: domains as u64,
                policy: if is_elsewhere { copies } else { self.policies.policy(class, domains) },
                configured: self.policies.is_configured(class),
                fresh_replicas: self.policies.fresh_replicas(class, domains),
                blocks: 0,
                coded_blocks: 0,
                live_bytes: 0,
                stored_bytes: 0,
                other_media_bytes: 0,
            };
            self.ledger.add_class(class, &mut status);
            status
        };
        let domains = self.group_domains();
        ClassReport {
            domains: domains as u64,
            domain: if self.volumes.several_nodes() { "node" } else { "volume" }.to_owned(),
            classes: StorageClass::ALL.into_iter().map(class).collect(),
            groups: self.ledger.groups(domains),
        }
    }

    /// The ledger of groups, of this moment.
    pub fn group_ledger(&self) -> GroupLedger {
        self.ledger.groups(self.group_domains())
    }

    /// Failure domains that can take members of groups, whatever they are on.
    fn group_domains(&self) -> usize {
        self.volumes.coding_domains(None)
    }

    /// Copies that a block of the class is written with.
    pub fn fresh_replicas(&self, class: StorageClass) -> u8 {
        self.policies.fresh_replicas(class, self.class_domains(class))
    }

    /// Failure domains that can take members of groups of a class.
    fn class_domains(&self, class: StorageClass) -> usize {
        self.volumes.coding_domains(Some(self.policies.media(class)))
    }

    /// Why this leader repairs nothing yet; `None` when it does.
    pub fn safe_mode(&self) -> Option<String> {
        self.safe_mode.reason(&self.redundancy())
    }

    /// Datanodes that live, and known ones that are silent.
    pub fn datanode_counts(&self) -> (usize, usize) {
        self.volumes.counts()
    }

    /// Volumes in service, on live datanodes.
    pub fn volumes_in_service(&self) -> usize {
        self.volumes.in_service()
    }

    /// Every datanode that registered.
    pub fn datanodes(&self, now: UnixMillis) -> Vec<DatanodeStatus> {
        let mut statuses = self.volumes.statuses(now);
        for node in statuses.iter_mut().filter(|node| node.intent == DatanodeIntent::Decommission) {
            (node.blocks_left, node.bytes_left) = self.left_on(node.volumes.iter().map(|volume| volume.volume));
        }
        for volume in statuses.iter_mut().flat_map(|node| &mut node.volumes).filter(|volume| volume.draining) {
            (volume.blocks_left, volume.bytes_left) = self.left_on([volume.volume].into_iter());
        }
        statuses
    }

    /// Blocks, and their bytes, that would be short of replicas if these volumes were gone.
    fn left_on(&self, volumes: impl Iterator<Item = VolumeId>) -> (u64, u64) {
        let domains = self.volumes.domains();
        let blocks = volumes.flat_map(|volume| self.volumes.blocks_of(volume));
        let left = blocks.filter_map(|block| self.blocks.get(&block)).filter(|tracked| tracked.needs_others(domains));
        left.fold((0, 0), |(blocks, bytes), tracked| (blocks + 1, bytes + u64::from(tracked.length)))
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
