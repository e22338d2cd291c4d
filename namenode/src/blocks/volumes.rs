//! Datanodes and their volumes as they report themselves: addresses, space, liveness, and the commands waiting for them.
//!
//! Commands are kept only while they can be handed out: by the leader, for a live datanode. Whatever is not kept follows
//! again from the next full report, which a new leader asks of everybody and a dead datanode owes when it returns.

use super::placement::{Candidate, Placement};
use super::slow;
use crate::redundancy::MediaRule;
use granary_protocol::admin::{DatanodeIntent, DatanodeStatus, VolumeStatus};
use granary_protocol::block::{DatanodeEndpoint, Media, ReplicaLocation};
use granary_protocol::namenode::{DatanodeCommand, ReplicaReport, VolumeReport};
use granary_protocol::{BlockId, DatanodeId, GenerationStamp, NodeName, UnixMillis, VolumeId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Commands handed out with one heartbeat at most, besides removals.
const COMMANDS_PER_HEARTBEAT: usize = 32;
/// Replicas removed by one heartbeat's commands at most.
const REMOVALS_PER_HEARTBEAT: usize = 1_000;
/// Commands waiting for one datanode at most; what does not fit is planned again later.
const COMMANDS_WAITING_MAX: usize = 4_096;

/// When a silent datanode is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LivenessConfig {
    /// After this silence readers are sent to other replicas first. Default 3,000 ms.
    pub stale_after_ms: u64,
    /// After this silence a datanode counts as dead: its replicas are not live and are rebuilt. Default 10,000 ms.
    pub dead_after_ms: u64,
}

impl Default for LivenessConfig {
    fn default() -> Self {
        LivenessConfig { stale_after_ms: 3_000, dead_after_ms: 10_000 }
    }
}

/// What fails together: a node, or a volume of the only node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Domain {
    Node(DatanodeId),
    Volume(VolumeId),
}

struct Node {
    endpoint: Arc<DatanodeEndpoint>,
    volumes: Vec<VolumeId>,
    heard: UnixMillis,
    live: bool,
    must_register: bool,
    commands: VecDeque<DatanodeCommand>,
    removals: BTreeMap<(VolumeId, BlockId), GenerationStamp>,
}

struct Volume {
    datanode: DatanodeId,
    report: VolumeReport,
    incoming: Option<Incoming>,
    /// Full reports begun.
    reports: u32,
    /// A full report is in since this peer began to lead and since the datanode last registered.
    reported: bool,
}

/// A full report whose last page is not in yet.
struct Incoming {
    report: u64,
    next_page: u32,
    named: HashSet<BlockId>,
}

/// All datanodes and volumes.
pub(super) struct Volumes {
    liveness: LivenessConfig,
    nodes: HashMap<DatanodeId, Node>,
    volumes: HashMap<VolumeId, Volume>,
    /// The blocks each volume is thought to hold. Volumes that have not registered yet are here too.
    held: HashMap<VolumeId, HashSet<BlockId>>,
    /// Volumes in service on live datanodes, by id.
    serving: Vec<VolumeId>,
    /// Those of them that may take replicas, by id; made anew when one comes or goes, updated in place when space changes.
    candidates: Vec<Candidate>,
    /// What operators have said about datanodes. A maintenance that is over is not here.
    intents: HashMap<NodeName, DatanodeIntent>,
    /// Volumes that operators want empty.
    drained: HashSet<VolumeId>,
    /// Volumes in service that let their users wait much longer than others do.
    slow: HashSet<VolumeId>,
    leading: bool,
    several_racks: bool,
    several_nodes: bool,
    /// What the candidates are on.
    media: BTreeSet<Media>,
}

impl Volumes {
    pub(super) fn new(liveness: LivenessConfig) -> Volumes {
        Volumes {
            liveness,
            nodes: HashMap::new(),
            volumes: HashMap::new(),
            held: HashMap::new(),
            serving: Vec::new(),
            candidates: Vec::new(),
            intents: HashMap::new(),
            drained: HashSet::new(),
            slow: HashSet::new(),
            leading: false,
            several_racks: false,
            several_nodes: false,
            media: BTreeSet::new(),
        }
    }

    /// Whether this datanode may register with these volumes: neither its id nor one of the volumes belongs to another
    /// datanode that lives.
    pub(super) fn may_register(&self, endpoint: &DatanodeEndpoint, reports: &[VolumeReport]) -> bool {
        let other =
            |id: DatanodeId| self.nodes.get(&id).is_some_and(|node| node.live && node.endpoint.name != endpoint.name);
        let taken = |report: &VolumeReport| self.volumes.get(&report.volume).is_some_and(|v| other(v.datanode));
        !other(endpoint.id) && !reports.iter().any(taken)
    }

    /// Returns volumes whose liveness may have changed.
    pub(super) fn register(
        &mut self,
        endpoint: DatanodeEndpoint,
        reports: Vec<VolumeReport>,
        now: UnixMillis,
    ) -> Vec<VolumeId> {
        let id = endpoint.id;
        let volumes: Vec<VolumeId> = reports.iter().map(|report| report.volume).collect();
        for (_, other) in self.nodes.iter_mut().filter(|(other, _)| **other != id) {
            // A disk that was moved from one node to another.
            other.volumes.retain(|volume| !volumes.contains(volume));
        }
        let node = self.nodes.entry(id).or_insert_with(|| Node {
            endpoint: Arc::new(endpoint.clone()),
            volumes: Vec::new(),
            heard: now,
            live: true,
            must_register: false,
            commands: VecDeque::new(),
            removals: BTreeMap::new(),
        });
        if *node.endpoint != endpoint {
            node.endpoint = Arc::new(endpoint);
        }
        let mut changed: Vec<VolumeId> = node.volumes.iter().copied().filter(|old| !volumes.contains(old)).collect();
        for gone in &changed {
            if let Some(volume) = self.volumes.get_mut(gone) {
                volume.report.failed.get_or_insert_with(|| "no longer offered by its datanode".to_owned());
            }
        }
        node.volumes = volumes.clone();
        node.heard = now;
        node.live = true;
        node.must_register = false;
        for report in reports {
            let volume = self.volumes.entry(report.volume).or_insert_with(|| Volume {
                datanode: id,
                report: report.clone(),
                incoming: None,
                reports: 0,
                reported: false,
            });
            volume.datanode = id;
            volume.report = report;
            volume.incoming = None;
            volume.reported = false;
        }
        changed.extend(volumes);
        self.rebuild_candidates();
        changed
    }

    /// Returns volumes whose liveness changed, or `None` when the datanode must register.
    pub(super) fn heartbeat(
        &mut self,
        id: DatanodeId,
        reports: Vec<VolumeReport>,
        now: UnixMillis,
    ) -> Option<Vec<VolumeId>> {
        let node = self.nodes.get_mut(&id).filter(|node| !node.must_register)?;
        let known = |report: &VolumeReport| self.volumes.get(&report.volume).is_some_and(|v| v.datanode == id);
        if !reports.iter().all(known) {
            return None;
        }
        node.heard = now;
        let mut changed = Vec::new();
        for report in reports {
            let volume = self.volumes.get_mut(&report.volume).expect("every volume reported was found above");
            if volume.report.failed.is_some() != report.failed.is_some() {
                changed.push(report.volume);
            } else if let Ok(at) = self.candidates.binary_search_by_key(&report.volume, |candidate| candidate.volume) {
                let candidate = &mut self.candidates[at];
                (candidate.free_bytes, candidate.used_percent) = room(&report);
                candidate.scheduled = 0;
            }
            volume.report = report;
        }
        if !changed.is_empty() {
            self.rebuild_candidates();
        }
        self.find_slow();
        Some(changed)
    }

    /// Takes every live datanode for one that was heard just now.
    pub(super) fn count_silence_from(&mut self, now: UnixMillis) {
        self.nodes.values_mut().filter(|node| node.live).for_each(|node| node.heard = now);
    }

    /// Marks datanodes dead that have been silent too long; returns their volumes. A dead datanode must register, and so
    /// report in full, before it is heard again.
    pub(super) fn expire(&mut self, now: UnixMillis) -> Vec<VolumeId> {
        let mut dead = Vec::new();
        for node in self.nodes.values_mut().filter(|node| node.live) {
            if now.0.saturating_sub(node.heard.0) > self.liveness.dead_after_ms {
                tracing::warn!(datanode = %node.endpoint.name, "datanode is silent; it counts as dead");
                node.live = false;
                node.must_register = true;
                node.commands.clear();
                node.removals.clear();
                dead.extend(&node.volumes);
            }
        }
        if !dead.is_empty() {
            self.rebuild_candidates();
        }
        dead
    }

    fn rebuild_candidates(&mut self) {
        let mut serving = Vec::new();
        let in_service = |(id, volume): (&VolumeId, &Volume)| {
            let node = self.nodes.get(&volume.datanode).filter(|node| node.live)?;
            if volume.report.failed.is_some() {
                return None;
            }
            serving.push(*id);
            if self.intents.contains_key(&node.endpoint.name) || self.drained.contains(id) {
                return None;
            }
            let (free_bytes, used_percent) = room(&volume.report);
            let before = self.candidates.binary_search_by_key(id, |candidate| candidate.volume);
            Some(Candidate {
                volume: *id,
                datanode: volume.datanode,
                rack: node.endpoint.rack.clone(),
                media: volume.report.media,
                free_bytes,
                used_percent,
                scheduled: before.map_or(0, |at| self.candidates[at].scheduled),
            })
        };
        let mut candidates: Vec<Candidate> = self.volumes.iter().filter_map(in_service).collect();
        candidates.sort_by_key(|candidate| candidate.volume);
        self.several_racks = candidates.iter().any(|candidate| candidate.rack != candidates[0].rack);
        self.media = candidates.iter().map(|candidate| candidate.media).collect();
        self.candidates = candidates;
        let stays = |node: &&Node| !matches!(self.intents.get(&node.endpoint.name), Some(DatanodeIntent::Decommission));
        self.several_nodes = self.nodes.values().filter(stays).count() > 1;
        serving.sort_unstable();
        self.serving = serving;
    }

    /// Returns the volumes concerned.
    pub(super) fn set_intent(&mut self, name: &NodeName, intent: DatanodeIntent, now: UnixMillis) -> Vec<VolumeId> {
        match intent {
            DatanodeIntent::InService => self.intents.remove(name),
            DatanodeIntent::Maintenance { until } if until <= now => self.intents.remove(name),
            DatanodeIntent::Maintenance { .. } | DatanodeIntent::Decommission => {
                self.intents.insert(name.clone(), intent)
            }
        };
        self.rebuild_candidates();
        self.volumes_of(name)
    }

    pub(super) fn forget_intents(&mut self) {
        self.intents.clear();
        self.rebuild_candidates();
    }

    /// Ends what is over; returns the volumes concerned.
    pub(super) fn end_maintenance(&mut self, now: UnixMillis) -> Vec<VolumeId> {
        let is_over =
            |intent: &DatanodeIntent| matches!(intent, DatanodeIntent::Maintenance { until } if *until <= now);
        let over: Vec<NodeName> =
            self.intents.iter().filter(|(_, intent)| is_over(intent)).map(|(name, _)| name.clone()).collect();
        over.iter().flat_map(|name| self.set_intent(name, DatanodeIntent::InService, now)).collect()
    }

    fn volumes_of(&self, name: &NodeName) -> Vec<VolumeId> {
        let nodes = self.nodes.values().filter(|node| node.endpoint.name == *name);
        nodes.flat_map(|node| node.volumes.iter().copied()).collect()
    }

    fn intent_of(&self, volume: VolumeId) -> DatanodeIntent {
        let node = self.volumes.get(&volume).and_then(|volume| self.nodes.get(&volume.datanode));
        node.and_then(|node| self.intents.get(&node.endpoint.name)).copied().unwrap_or_default()
    }

    fn find_slow(&mut self) {
        let wait_of = |volume: &VolumeId| self.volumes.get(volume).map(|known| (*volume, known.report.wait_ms));
        let waits: Vec<(VolumeId, u32)> = self.serving.iter().filter_map(wait_of).collect();
        let slow = slow::slow_of(&waits, &self.slow);
        for volume in slow.difference(&self.slow) {
            let (datanode, wait_ms) =
                (self.location(*volume).map(|at| at.datanode.name.clone()), self.wait_ms(*volume));
            tracing::warn!(%volume, ?datanode, wait_ms, "a volume is slow; writers avoid it");
        }
        for volume in self.slow.difference(&slow) {
            tracing::info!(%volume, "a volume is no longer slow");
        }
        self.slow = slow;
    }

    fn wait_ms(&self, volume: VolumeId) -> u32 {
        self.volumes.get(&volume).map_or(0, |volume| volume.report.wait_ms)
    }

    /// Whether a volume lets its users wait much longer than others do.
    pub(super) fn is_slow(&self, volume: VolumeId) -> bool {
        self.slow.contains(&volume)
    }

    /// Whether so many replicas can be written without a slow volume.
    pub(super) fn can_avoid_slow(&self, replicas: usize) -> bool {
        self.candidates.iter().filter(|candidate| !self.slow.contains(&candidate.volume)).count() >= replicas
    }

    /// Says whether a volume is to be emptied.
    pub(super) fn set_drain(&mut self, volume: VolumeId, drain: bool) {
        if drain {
            self.drained.insert(volume);
        } else {
            self.drained.remove(&volume);
        }
        self.rebuild_candidates();
    }

    /// Those that are to be emptied.
    pub(super) fn drained(&self) -> Vec<VolumeId> {
        self.drained.iter().copied().collect()
    }

    /// Whether it is to be emptied, or its datanode is to go.
    pub(super) fn is_leaving(&self, volume: VolumeId) -> bool {
        self.drained.contains(&volume)
            || !self.intents.is_empty() && self.intent_of(volume) == DatanodeIntent::Decommission
    }

    /// Whether its datanode may be away for now.
    pub(super) fn in_maintenance(&self, volume: VolumeId) -> bool {
        !self.intents.is_empty() && matches!(self.intent_of(volume), DatanodeIntent::Maintenance { .. })
    }

    /// Chooses volumes for `count` replicas, on the right media while there is a choice.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of its own, and the callers have them apart")]
    pub(super) fn place(
        &self,
        count: usize,
        media: MediaRule,
        writer: Option<DatanodeId>,
        existing: &[VolumeId],
        exclude: &[VolumeId],
        needed_bytes: u64,
        seed: u64,
    ) -> Vec<VolumeId> {
        let existing: Vec<Candidate> =
            self.candidates.iter().filter(|c| existing.contains(&c.volume)).cloned().collect();
        let placement = Placement {
            candidates: &self.candidates,
            existing: &existing,
            exclude,
            media: self.has_media(media).then_some(media),
            writer,
            needed_bytes,
            count,
            several_racks: self.several_racks,
            seed,
        };
        if self.slow.is_empty() {
            return placement.choose();
        }
        let and_slow: Vec<VolumeId> = exclude.iter().chain(&self.slow).copied().collect();
        let chosen = Placement { exclude: &and_slow, ..placement.clone() }.choose();
        // A slow replica is better than none.
        if chosen.len() < count { placement.choose() } else { chosen }
    }

    /// Whether some volume that may take replicas is of the media.
    pub(super) fn has_media(&self, rule: MediaRule) -> bool {
        self.media.iter().any(|media| rule.suits(*media))
    }

    /// What the volumes that may take replicas are on.
    pub(super) fn media(&self) -> &BTreeSet<Media> {
        &self.media
    }

    /// Whether blocks that belong on some media belong on this volume: where there is none of it, everywhere.
    pub(super) fn suits(&self, rule: MediaRule, volume: VolumeId) -> bool {
        // Most clusters have one media for all.
        self.media.len() < 2
            || !self.has_media(rule)
            || self.volumes.get(&volume).is_some_and(|volume| rule.suits(volume.report.media))
    }

    /// Counts replicas that are about to be written, until the volume's own report shows them.
    pub(super) fn scheduled(&mut self, targets: &[VolumeId]) {
        for target in targets {
            if let Ok(at) = self.candidates.binary_search_by_key(target, |candidate| candidate.volume) {
                self.candidates[at].scheduled = self.candidates[at].scheduled.saturating_add(1);
            }
        }
    }

    pub(super) fn is_live(&self, volume: VolumeId) -> bool {
        self.serving.binary_search(&volume).is_ok()
    }

    /// Where a volume is, live or not.
    pub(super) fn location(&self, volume: VolumeId) -> Option<ReplicaLocation> {
        let node = self.nodes.get(&self.volumes.get(&volume)?.datanode)?;
        Some(ReplicaLocation { datanode: node.endpoint.clone(), volume })
    }

    /// Where a volume is, if its datanode lives and it is in service, and whether that datanode has been silent for a
    /// suspicious while.
    pub(super) fn live_location(&self, volume: VolumeId, now: UnixMillis) -> Option<(bool, ReplicaLocation)> {
        if !self.is_live(volume) {
            return None;
        }
        let node = self.nodes.get(&self.volumes.get(&volume)?.datanode)?;
        let stale = now.0.saturating_sub(node.heard.0) > self.liveness.stale_after_ms;
        Some((stale, ReplicaLocation { datanode: node.endpoint.clone(), volume }))
    }

    /// Whether what is believed of a volume's replicas comes from the volume itself, in this term of leadership.
    pub(super) fn is_reported(&self, volume: VolumeId) -> bool {
        self.is_live(volume) && self.volumes.get(&volume).is_some_and(|volume| volume.reported)
    }

    /// Whether every volume in service has reported in full in this term of leadership.
    pub(super) fn all_reported(&self) -> bool {
        self.serving.iter().all(|volume| self.is_reported(*volume))
    }

    /// Full reports begun by a volume.
    pub(super) fn reports_begun(&self, volume: VolumeId) -> u32 {
        self.volumes.get(&volume).map_or(0, |volume| volume.reports)
    }

    /// Whether a volume is on this datanode.
    pub(super) fn is_of(&self, volume: VolumeId, datanode: DatanodeId) -> bool {
        self.volumes.get(&volume).is_some_and(|volume| volume.datanode == datanode)
    }

    /// The volumes of a datanode.
    pub(super) fn of_datanode(&self, datanode: DatanodeId) -> Vec<VolumeId> {
        self.nodes.get(&datanode).map(|node| node.volumes.clone()).unwrap_or_default()
    }

    /// Datanodes that live, by id.
    pub(super) fn live_endpoints(&self) -> impl Iterator<Item = &DatanodeEndpoint> {
        let mut live: Vec<&DatanodeEndpoint> =
            self.nodes.values().filter(|node| node.live).map(|node| &*node.endpoint).collect();
        live.sort_unstable_by_key(|endpoint| endpoint.id);
        live.into_iter()
    }

    /// Failure domains there are: volumes in service or of nodes that are away, but not of those that are to go.
    pub(super) fn domains(&self) -> usize {
        let stays = |(id, volume): &(&VolumeId, &Volume)| volume.report.failed.is_none() && !self.is_leaving(**id);
        self.volumes.iter().filter(stays).count()
    }

    /// What fails together with a volume; `None` for one that was never heard of.
    pub(super) fn domain_of(&self, volume: VolumeId) -> Option<Domain> {
        let datanode = self.volumes.get(&volume)?.datanode;
        Some(if self.several_nodes { Domain::Node(datanode) } else { Domain::Volume(volume) })
    }

    /// Whether nodes are the failure domains, rather than the volumes of the only one.
    pub(super) fn several_nodes(&self) -> bool {
        self.several_nodes
    }

    /// Failure domains that can take members of groups now, on the right media if there is any.
    pub(super) fn coding_domains(&self, media: Option<MediaRule>) -> usize {
        let suits = |volume| media.is_none_or(|media| self.suits(media, volume));
        let suited = self.candidates.iter().filter(|candidate| suits(candidate.volume));
        let mut domains: Vec<Domain> = suited.filter_map(|c| self.domain_of(c.volume)).collect();
        domains.sort_unstable();
        domains.dedup();
        domains.len()
    }

    /// Volumes that can take replicas, in any of these domains.
    pub(super) fn in_domains(&self, domains: &[Domain]) -> Vec<VolumeId> {
        let within = |volume: &VolumeId| self.domain_of(*volume).is_some_and(|domain| domains.contains(&domain));
        self.candidates.iter().map(|candidate| candidate.volume).filter(within).collect()
    }

    /// Volumes in service with room for `bytes` more.
    pub(super) fn with_room(&self, bytes: u64) -> usize {
        self.candidates.iter().filter(|candidate| candidate.free_bytes >= bytes).count()
    }

    pub(super) fn in_service(&self) -> usize {
        self.serving.len()
    }

    pub(super) fn several_racks(&self) -> bool {
        self.several_racks
    }

    pub(super) fn rack_of(&self, volume: VolumeId) -> Option<&granary_protocol::Rack> {
        let node = self.nodes.get(&self.volumes.get(&volume)?.datanode)?;
        Some(&node.endpoint.rack)
    }

    pub(super) fn used_percent(&self, volume: VolumeId) -> u8 {
        self.volumes.get(&volume).map_or(100, |volume| room(&volume.report).1)
    }

    /// Of the volumes that are more than `threshold` points fuller than the mean of their media the fullest beside it,
    /// and the mean.
    pub(super) fn overfull(&self, threshold: u8) -> Option<(VolumeId, u8)> {
        let of_media = |media: &Media| {
            let alike = || self.candidates.iter().filter(|candidate| candidate.media == *media);
            let sum: u64 = alike().map(|candidate| u64::from(candidate.used_percent)).sum();
            let mean = (sum / (alike().count() as u64).max(1)) as u8;
            let fullest = alike().max_by_key(|candidate| candidate.used_percent)?;
            let excess = fullest.used_percent.saturating_sub(mean);
            (excess > threshold).then_some((excess, fullest.volume, mean))
        };
        let (_, volume, mean) = self.media.iter().filter_map(of_media).max_by_key(|(excess, _, _)| *excess)?;
        Some((volume, mean))
    }

    pub(super) fn endpoint(&self, datanode: DatanodeId) -> Option<Arc<DatanodeEndpoint>> {
        self.nodes.get(&datanode).map(|node| node.endpoint.clone())
    }

    /// Remembers that a volume holds a replica of a block (or does not any more).
    pub(super) fn holds(&mut self, volume: VolumeId, block: BlockId, holds: bool) {
        if holds {
            self.held.entry(volume).or_default().insert(block);
        } else if let Some(held) = self.held.get_mut(&volume) {
            held.remove(&block);
        }
    }

    pub(super) fn forget_held(&mut self) {
        self.held.clear();
    }

    pub(super) fn blocks_of(&self, volume: VolumeId) -> Vec<BlockId> {
        self.held.get(&volume).map(|held| held.iter().copied().collect()).unwrap_or_default()
    }

    /// Takes in a page; `false` when the volume is unknown or a page was missed.
    pub(super) fn report_page(&mut self, volume: VolumeId, report: u64, page: u32, replicas: &[ReplicaReport]) -> bool {
        let Some(volume) = self.volumes.get_mut(&volume) else { return false };
        if page == 0 {
            volume.incoming = Some(Incoming { report, next_page: 0, named: HashSet::new() });
            volume.reports = volume.reports.wrapping_add(1);
        }
        match &mut volume.incoming {
            Some(incoming) if incoming.report == report && incoming.next_page == page => {
                incoming.next_page += 1;
                incoming.named.extend(replicas.iter().map(|replica| replica.block));
                true
            }
            _ => false,
        }
    }

    /// The full report is in: returns blocks that the volume was thought to hold and did not name.
    pub(super) fn report_complete(&mut self, id: VolumeId) -> Vec<BlockId> {
        let Some(volume) = self.volumes.get_mut(&id) else { return Vec::new() };
        let Some(incoming) = volume.incoming.take() else { return Vec::new() };
        volume.reported = true;
        let held = self.held.get(&id).into_iter().flatten();
        held.filter(|block| !incoming.named.contains(block)).copied().collect()
    }

    /// The datanode of a volume, if this peer may give it orders.
    fn commanded(&mut self, volume: VolumeId) -> Option<&mut Node> {
        let datanode = self.volumes.get(&volume)?.datanode;
        self.nodes.get_mut(&datanode).filter(|node| self.leading && node.live)
    }

    /// Queues a command. `false` if it cannot be given now.
    pub(super) fn command(&mut self, volume: VolumeId, command: DatanodeCommand) -> bool {
        let Some(node) = self.commanded(volume) else { return false };
        if node.commands.len() >= COMMANDS_WAITING_MAX {
            return false;
        }
        node.commands.push_back(command);
        true
    }

    /// Queues the removal of a replica. `false` if it cannot be ordered now.
    pub(super) fn remove_replica(&mut self, volume: VolumeId, block: BlockId, generation: GenerationStamp) -> bool {
        let Some(node) = self.commanded(volume) else { return false };
        let highest = node.removals.entry((volume, block)).or_insert(generation);
        *highest = (*highest).max(generation);
        true
    }

    /// A replica that was to be removed is wanted again, if the order has not left yet.
    pub(super) fn keep_replica(&mut self, volume: VolumeId, block: BlockId) {
        if let Some(node) = self.commanded(volume) {
            node.removals.remove(&(volume, block));
        }
    }

    /// Whether commands wait for a datanode.
    pub(super) fn has_commands(&self, datanode: DatanodeId) -> bool {
        self.nodes.get(&datanode).is_some_and(|node| !node.commands.is_empty() || !node.removals.is_empty())
    }

    pub(super) fn take_commands(&mut self, datanode: DatanodeId) -> Vec<DatanodeCommand> {
        let Some(node) = self.nodes.get_mut(&datanode) else { return Vec::new() };
        let count = node.commands.len().min(COMMANDS_PER_HEARTBEAT);
        let mut commands: Vec<DatanodeCommand> = node.commands.drain(..count).collect();
        let mut by_volume: BTreeMap<VolumeId, Vec<(BlockId, GenerationStamp)>> = BTreeMap::new();
        for _ in 0..REMOVALS_PER_HEARTBEAT {
            let Some(((volume, block), generation)) = node.removals.pop_first() else { break };
            by_volume.entry(volume).or_default().push((block, generation));
        }
        commands.extend(by_volume.into_iter().map(|(volume, replicas)| DatanodeCommand::Remove { volume, replicas }));
        commands
    }

    /// Begins or ceases to lead. Either way commands that wait come from a view that does not count any more.
    pub(super) fn set_leading(&mut self, leading: bool) {
        self.leading = leading;
        for node in self.nodes.values_mut() {
            node.commands.clear();
            node.removals.clear();
        }
    }

    pub(super) fn ask_all_to_register(&mut self) {
        for node in self.nodes.values_mut() {
            node.must_register = true;
        }
        for volume in self.volumes.values_mut() {
            volume.incoming = None;
            volume.reported = false;
        }
    }

    /// Live datanodes, and those that are known and silent.
    pub(super) fn counts(&self) -> (usize, usize) {
        let live = self.nodes.values().filter(|node| node.live).count();
        (live, self.nodes.len() - live)
    }

    pub(super) fn statuses(&self, now: UnixMillis) -> Vec<DatanodeStatus> {
        let volume_status = |id: &VolumeId| {
            let report = &self.volumes.get(id)?.report;
            Some(VolumeStatus {
                volume: *id,
                path: report.path.clone(),
                media: report.media,
                capacity_bytes: report.capacity_bytes,
                free_bytes: report.free_bytes,
                used_bytes: report.used_bytes,
                replicas: report.replicas,
                failed: report.failed.clone(),
                slow_ms: if self.slow.contains(id) { report.wait_ms } else { 0 },
                draining: self.drained.contains(id),
                blocks_left: 0,
                bytes_left: 0,
            })
        };
        let mut statuses: Vec<DatanodeStatus> = self
            .nodes
            .values()
            .map(|node| DatanodeStatus {
                datanode: node.endpoint.id,
                name: node.endpoint.name.clone(),
                address: node.endpoint.address.clone(),
                rack: node.endpoint.rack.clone(),
                live: node.live,
                silent_ms: now.0.saturating_sub(node.heard.0),
                intent: self.intents.get(&node.endpoint.name).copied().unwrap_or_default(),
                blocks_left: 0,
                bytes_left: 0,
                volumes: node.volumes.iter().filter_map(volume_status).collect(),
            })
            .collect();
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        statuses
    }
}

/// Bytes free for replicas, and how full the volume is, 0 to 100.
fn room(report: &VolumeReport) -> (u64, u8) {
    let capacity = report.capacity_bytes.max(1);
    let used = capacity.saturating_sub(report.free_bytes);
    (report.free_bytes, (used.saturating_mul(100) / capacity).min(100) as u8)
}
