//! A soft state with a few datanodes, and short words for what happens to it.

use crate::blocks::{BalanceConfig, Blocks, LivenessConfig};
use crate::redundancy::{ClassPolicies, CodingConfig};
use crate::state::{BlockRecord, BlockState, Effect};
use granary_protocol::admin::Redundancy;
use granary_protocol::block::{BlockKind, DatanodeEndpoint, Extent, Media};
use granary_protocol::namenode::{DatanodeCommand, ReplicaChange, ReplicaReport, ReplicaState, VolumeReport};
use granary_protocol::object::StorageClass;
use granary_protocol::token::{AccessMode, BlockKey};
use granary_protocol::*;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const LEASE: LeaseId = LeaseId(7);
/// Longer than a new leader waits before it removes surplus.
pub(super) const SETTLED_MS: u64 = 120_000;

pub(super) struct World {
    pub blocks: Blocks,
    pub now: UnixMillis,
    /// Per datanode: rack and number of volumes. Volume `v` of datanode `d` has the id `10 d + v`.
    nodes: Vec<(u64, &'static str, u64)>,
    /// Volumes for archives.
    archives: BTreeSet<u64>,
    reports: u64,
}

pub(super) fn key(id: u32, expires: u64) -> BlockKey {
    BlockKey { id, secret: [id as u8; 32], expires: UnixMillis(expires) }
}

pub(super) fn volume_report(volume: u64) -> VolumeReport {
    VolumeReport {
        volume: VolumeId(volume),
        path: format!("/data/{volume}"),
        media: Media::Disk,
        capacity_bytes: 1 << 40,
        free_bytes: 1 << 39,
        used_bytes: 0,
        replicas: 0,
        failed: None,
        wait_ms: 0,
    }
}

pub(super) fn record(wanted: u8, pipeline: &[u64]) -> BlockRecord {
    BlockRecord {
        generation: GenerationStamp(1),
        kind: BlockKind::Packed,
        class: StorageClass::Standard,
        replicas_wanted: wanted,
        state: BlockState::Open { lease: LEASE, pipeline: pipeline.iter().copied().map(VolumeId).collect() },
        length: 0,
        live_bytes: 0,
        attached: false,
    }
}

pub(super) fn sealed(wanted: u8, generation: u64, length: u32) -> BlockRecord {
    BlockRecord {
        state: BlockState::Sealed,
        generation: GenerationStamp(generation),
        length,
        live_bytes: u64::from(length),
        ..record(wanted, &[])
    }
}

pub(super) fn replica(block: u64, generation: u64, length: u32, state: ReplicaState) -> ReplicaReport {
    ReplicaReport { block: BlockId(block), generation: GenerationStamp(generation), length, state }
}

pub(super) fn finalized(block: u64, generation: u64, length: u32) -> ReplicaReport {
    replica(block, generation, length, ReplicaState::Finalized)
}

impl World {
    /// A leader of datanodes 1, 2, … with one volume each (10, 20, …) on one rack, all of them reported and settled.
    pub fn new(datanodes: u64) -> World {
        World::with_nodes((1..=datanodes).map(|node| (node, "/rack-1", 1)).collect())
    }

    pub fn with_nodes(nodes: Vec<(u64, &'static str, u64)>) -> World {
        World::with_archives(nodes, &[])
    }

    /// As `with_nodes`, with some volumes for archives.
    pub fn with_archives(nodes: Vec<(u64, &'static str, u64)>, archives: &[u64]) -> World {
        let liveness = LivenessConfig { stale_after_ms: 3_000, dead_after_ms: 10_000 };
        let policies = ClassPolicies::new(3, &BTreeMap::new()).unwrap();
        let mut blocks = Blocks::new(liveness, BalanceConfig::default(), policies, CodingConfig::default(), 1);
        blocks.set_keys(vec![key(1, u64::MAX / 2)]);
        let mut world = World {
            blocks,
            now: UnixMillis(1_000_000),
            nodes,
            archives: archives.iter().copied().collect(),
            reports: 0,
        };
        world.blocks.set_leading(true, world.now);
        for node in world.ids() {
            world.register(node);
            world.report_all(node, &[]);
        }
        world.pass(SETTLED_MS);
        world
    }

    pub fn ids(&self) -> Vec<u64> {
        self.nodes.iter().map(|(node, _, _)| *node).collect()
    }

    pub fn volumes_of(&self, node: u64) -> Vec<u64> {
        let (_, _, volumes) = self.nodes.iter().find(|(id, _, _)| *id == node).unwrap();
        (0..*volumes).map(|volume| node * 10 + volume).collect()
    }

    pub fn endpoint(&self, node: u64) -> DatanodeEndpoint {
        let (_, rack, _) = self.nodes.iter().find(|(id, _, _)| *id == node).unwrap();
        DatanodeEndpoint {
            id: DatanodeId(node),
            name: NodeName(format!("datanode-{node}")),
            host: format!("host-{node}"),
            address: format!("127.0.0.1:{node}"),
            http: String::new(),
            rack: Rack::from(*rack),
        }
    }

    pub fn register(&mut self, node: u64) {
        let reports = self.volume_reports(node);
        assert!(self.blocks.register(self.endpoint(node), reports, self.now));
    }

    fn volume_reports(&self, node: u64) -> Vec<VolumeReport> {
        let media = |volume| if self.archives.contains(&volume) { Media::Archive } else { Media::Disk };
        let report = |volume| VolumeReport { media: media(volume), ..volume_report(volume) };
        self.volumes_of(node).into_iter().map(report).collect()
    }

    /// `None`: the datanode must register.
    pub fn heartbeat(&mut self, node: u64) -> Option<Vec<DatanodeCommand>> {
        let reports = self.volume_reports(node);
        let known = self.blocks.heartbeat(DatanodeId(node), reports, self.now);
        known.then(|| self.blocks.take_commands(DatanodeId(node)))
    }

    /// Lets time go by while everybody beats; commands are thrown away.
    pub fn pass(&mut self, ms: u64) {
        self.pass_without(ms, &[]);
    }

    /// As `pass`, but these datanodes are silent.
    pub fn pass_without(&mut self, ms: u64, silent: &[u64]) {
        let until = self.now.0 + ms;
        while self.now.0 < until {
            self.now = UnixMillis((self.now.0 + 1_000).min(until));
            for node in self.ids() {
                if !silent.contains(&node) {
                    self.heartbeat(node);
                }
            }
            self.blocks.tick(self.now, 0);
        }
    }

    pub fn tick(&mut self) {
        self.blocks.tick(self.now, 100);
    }

    /// All commands that wait, of all datanodes.
    pub fn commands(&mut self) -> Vec<DatanodeCommand> {
        self.ids().into_iter().flat_map(|node| self.blocks.take_commands(DatanodeId(node))).collect()
    }

    /// What is to be removed, of the commands that wait.
    pub fn removals(&mut self) -> Vec<(u64, u64, u64)> {
        let mut removals = Vec::new();
        for command in self.commands() {
            if let DatanodeCommand::Remove { volume, replicas } = command {
                removals.extend(replicas.iter().map(|(block, generation)| (volume.0, block.0, generation.0)));
            }
        }
        removals
    }

    /// A full report of every volume of a datanode, in one page each: the replicas named on its first volume.
    pub fn report_all(&mut self, node: u64, replicas: &[ReplicaReport]) {
        for (at, volume) in self.volumes_of(node).into_iter().enumerate() {
            self.reports += 1;
            let named = if at == 0 { replicas } else { &[] };
            assert!(self.blocks.block_report(DatanodeId(node), VolumeId(volume), self.reports, 0, true, named));
        }
    }

    pub fn changed(&mut self, volume: u64, replica: ReplicaReport) {
        self.told(volume, ReplicaChange::Finalized(VolumeId(volume), replica));
    }

    pub fn corrupt(&mut self, volume: u64, block: u64, generation: u64) {
        self.told(volume, ReplicaChange::Corrupt(VolumeId(volume), BlockId(block), GenerationStamp(generation)));
    }

    pub fn told(&mut self, volume: u64, change: ReplicaChange) {
        assert!(self.blocks.replicas_changed(DatanodeId(volume / 10), &[change]));
    }

    pub fn open(&mut self, block: u64, wanted: u8, pipeline: &[u64]) {
        self.blocks.apply(&Effect::BlockOpened { block: BlockId(block), record: record(wanted, pipeline) });
    }

    pub fn seal(&mut self, block: u64, record: BlockRecord, stored_on: &[u64]) {
        let stored_on = stored_on.iter().copied().map(VolumeId).collect();
        self.blocks.apply(&Effect::BlockSealed { block: BlockId(block), record, stored_on });
    }

    pub fn change(&mut self, block: u64, record: BlockRecord) {
        self.blocks.apply(&Effect::BlockChanged { block: BlockId(block), record });
    }

    pub fn remove(&mut self, block: u64) {
        self.blocks.apply(&Effect::BlockRemoved { block: BlockId(block), record: sealed(1, 1, 1) });
    }

    /// A block of 100 bytes that its whole pipeline has finalized and reported.
    pub fn good_block(&mut self, block: u64, wanted: u8, on: &[u64]) {
        self.open(block, wanted, on);
        for volume in on {
            self.changed(*volume, finalized(block, 1, 100));
        }
        self.seal(block, sealed(wanted, 1, 100), on);
        assert_eq!(self.located(block), sorted(on));
    }

    /// The volumes readers are sent to.
    pub fn located(&self, block: u64) -> Vec<u64> {
        let extent = Extent { block: BlockId(block), offset: 0, length: 1 };
        let located = self.blocks.locate(extent, AccessMode::Read, self.now);
        sorted(&located.map(|l| l.replicas.iter().map(|r| r.volume.0).collect::<Vec<_>>()).unwrap_or_default())
    }

    pub fn sums(&self) -> Redundancy {
        self.blocks.redundancy()
    }
}

pub(super) fn sorted(volumes: &[u64]) -> Vec<u64> {
    let mut volumes = volumes.to_vec();
    volumes.sort();
    volumes
}

/// The one copy among commands: from, block, to.
pub(super) fn the_copy(commands: &[DatanodeCommand]) -> (u64, u64, Vec<u64>) {
    let copies: Vec<_> = commands
        .iter()
        .filter_map(|command| match command {
            DatanodeCommand::Copy { volume, block, targets, .. } => {
                Some((volume.0, block.0, targets.iter().map(|target| target.volume.0).collect::<Vec<_>>()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(copies.len(), 1, "{commands:?}");
    copies.into_iter().next().unwrap()
}

/// Volumes that are told to finalize a block, with generation and length.
pub(super) fn finalizations(commands: &[DatanodeCommand]) -> Vec<(u64, u64, u64, u32)> {
    commands
        .iter()
        .filter_map(|command| match command {
            DatanodeCommand::Finalize { volume, block, generation, length, .. } => {
                Some((volume.0, block.0, generation.0, *length))
            }
            _ => None,
        })
        .collect()
}
