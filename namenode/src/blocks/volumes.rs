//! Datanodes and their volumes as they report themselves: addresses, space, liveness, and the commands waiting for them.

use super::placement::{Candidate, Placement};
use granary_protocol::admin::{DatanodeStatus, VolumeStatus};
use granary_protocol::block::{DatanodeEndpoint, ReplicaLocation};
use granary_protocol::namenode::{DatanodeCommand, ReplicaReport, VolumeReport};
use granary_protocol::{BlockId, DatanodeId, GenerationStamp, UnixMillis, VolumeId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
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
    scheduled: u32,
    blocks: HashSet<BlockId>,
    incoming: Option<Incoming>,
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
    /// Volumes that may take replicas; rebuilt when any changes.
    candidates: Vec<Candidate>,
    several_racks: bool,
}

impl Volumes {
    pub(super) fn new(liveness: LivenessConfig) -> Volumes {
        Volumes {
            liveness,
            nodes: HashMap::new(),
            volumes: HashMap::new(),
            candidates: Vec::new(),
            several_racks: false,
        }
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
                scheduled: 0,
                blocks: HashSet::new(),
                incoming: None,
            });
            volume.datanode = id;
            volume.report = report;
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
        let revived = !node.live;
        node.heard = now;
        node.live = true;
        let mut changed = if revived { node.volumes.clone() } else { Vec::new() };
        for report in reports {
            let volume = self.volumes.get_mut(&report.volume).filter(|volume| volume.datanode == id)?;
            if volume.report.failed != report.failed {
                changed.push(report.volume);
            }
            volume.report = report;
            volume.scheduled = 0;
        }
        self.rebuild_candidates();
        Some(changed)
    }

    /// Marks datanodes dead that have been silent too long; returns their volumes.
    pub(super) fn expire(&mut self, now: UnixMillis) -> Vec<VolumeId> {
        let mut dead = Vec::new();
        for node in self.nodes.values_mut().filter(|node| node.live) {
            if now.0.saturating_sub(node.heard.0) > self.liveness.dead_after_ms {
                node.live = false;
                node.commands.clear();
                dead.extend(&node.volumes);
            }
        }
        if !dead.is_empty() {
            self.rebuild_candidates();
        }
        dead
    }

    fn rebuild_candidates(&mut self) {
        let in_service = |(id, volume): (&VolumeId, &Volume)| {
            let node = self.nodes.get(&volume.datanode).filter(|node| node.live)?;
            if volume.report.failed.is_some() {
                return None;
            }
            let capacity = volume.report.capacity_bytes.max(1);
            let used = capacity.saturating_sub(volume.report.free_bytes);
            Some(Candidate {
                volume: *id,
                datanode: volume.datanode,
                rack: node.endpoint.rack.clone(),
                free_bytes: volume.report.free_bytes,
                used_percent: (used.saturating_mul(100) / capacity).min(100) as u8,
                scheduled: volume.scheduled,
            })
        };
        let mut candidates: Vec<Candidate> = self.volumes.iter().filter_map(in_service).collect();
        candidates.sort_by_key(|candidate| candidate.volume);
        self.several_racks = candidates.iter().any(|candidate| candidate.rack != candidates[0].rack);
        self.candidates = candidates;
    }

    pub(super) fn place(
        &self,
        count: usize,
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
            writer,
            needed_bytes,
            count,
            several_racks: self.several_racks,
            seed,
        };
        placement.choose()
    }

    /// Counts replicas that are about to be written, until the volume's own report shows them.
    pub(super) fn scheduled(&mut self, targets: &[VolumeId]) {
        for target in targets {
            if let Some(volume) = self.volumes.get_mut(target) {
                volume.scheduled = volume.scheduled.saturating_add(1);
            }
            if let Ok(at) = self.candidates.binary_search_by_key(target, |candidate| candidate.volume) {
                self.candidates[at].scheduled = self.candidates[at].scheduled.saturating_add(1);
            }
        }
    }

    pub(super) fn is_live(&self, volume: VolumeId) -> bool {
        self.candidates.binary_search_by_key(&volume, |candidate| candidate.volume).is_ok()
    }

    /// Where a volume is, live or not.
    pub(super) fn location(&self, volume: VolumeId) -> Option<ReplicaLocation> {
        let node = self.nodes.get(&self.volumes.get(&volume)?.datanode)?;
        Some(ReplicaLocation { datanode: node.endpoint.clone(), volume })
    }

    /// Where a volume is, if its datanode lives and it is in service.
    pub(super) fn live_location(&self, volume: VolumeId, _now: UnixMillis) -> Option<ReplicaLocation> {
        if self.is_live(volume) { self.location(volume) } else { None }
    }

    /// Failure domains there are: volumes in service or of nodes that are away.
    pub(super) fn domains(&self) -> usize {
        self.volumes.values().filter(|volume| volume.report.failed.is_none()).count()
    }

    pub(super) fn in_service(&self) -> usize {
        self.candidates.len()
    }

    pub(super) fn several_racks(&self) -> bool {
        self.several_racks
    }

    pub(super) fn rack_of(&self, volume: VolumeId) -> Option<&granary_protocol::Rack> {
        let at = self.candidates.binary_search_by_key(&volume, |candidate| candidate.volume).ok()?;
        Some(&self.candidates[at].rack)
    }

    pub(super) fn used_percent(&self, volume: VolumeId) -> u8 {
        match self.candidates.binary_search_by_key(&volume, |candidate| candidate.volume) {
            Ok(at) => self.candidates[at].used_percent,
            Err(_) => 100,
        }
    }

    pub(super) fn endpoint(&self, datanode: DatanodeId) -> Option<Arc<DatanodeEndpoint>> {
        self.nodes.get(&datanode).map(|node| node.endpoint.clone())
    }

    /// Remembers that a volume holds a replica of a block (or does not any more).
    pub(super) fn holds(&mut self, volume: VolumeId, block: BlockId, holds: bool) {
        if let Some(volume) = self.volumes.get_mut(&volume) {
            if holds {
                volume.blocks.insert(block);
            } else {
                volume.blocks.remove(&block);
            }
        }
    }

    pub(super) fn blocks_of(&self, volume: VolumeId) -> Vec<BlockId> {
        self.volumes.get(&volume).map(|volume| volume.blocks.iter().copied().collect()).unwrap_or_default()
    }

    /// Takes in a page; `false` when the volume is unknown or a page was missed.
    pub(super) fn report_page(&mut self, volume: VolumeId, report: u64, page: u32, replicas: &[ReplicaReport]) -> bool {
        let Some(volume) = self.volumes.get_mut(&volume) else { return false };
        if page == 0 {
            volume.incoming = Some(Incoming { report, next_page: 0, named: HashSet::new() });
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
    pub(super) fn report_complete(&mut self, volume: VolumeId) -> Vec<BlockId> {
        let Some(volume) = self.volumes.get_mut(&volume) else { return Vec::new() };
        let Some(incoming) = volume.incoming.take() else { return Vec::new() };
        volume.blocks.iter().filter(|block| !incoming.named.contains(block)).copied().collect()
    }

    pub(super) fn command(&mut self, volume: VolumeId, command: DatanodeCommand) {
        let Some(node) = self.volumes.get(&volume).and_then(|volume| self.nodes.get_mut(&volume.datanode)) else {
            return;
        };
        if node.live && node.commands.len() < COMMANDS_WAITING_MAX && !node.commands.contains(&command) {
            node.commands.push_back(command);
        }
    }

    pub(super) fn remove_replica(&mut self, volume: VolumeId, block: BlockId, generation: GenerationStamp) {
        if let Some(node) = self.volumes.get(&volume).and_then(|volume| self.nodes.get_mut(&volume.datanode)) {
            let highest = node.removals.entry((volume, block)).or_insert(generation);
            *highest = (*highest).max(generation);
        }
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

    pub(super) fn forget_commands(&mut self) {
        for node in self.nodes.values_mut() {
            node.commands.clear();
            node.removals.clear();
        }
    }

    pub(super) fn ask_all_to_register(&mut self) {
        for node in self.nodes.values_mut() {
            node.must_register = true;
        }
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
                volumes: node.volumes.iter().filter_map(volume_status).collect(),
            })
            .collect();
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        statuses
    }
}
