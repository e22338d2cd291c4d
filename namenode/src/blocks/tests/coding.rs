//! Coded groups from forming to dissolving: soft state, an imitation of hard state that does what commands say, and
//! datanodes that do at once what they are told.

use super::fixture::*;
use crate::command::Action;
use crate::state::{BlockRecord, BlockState, Effect, GroupMember, GroupRecord, GroupState};
use granary_protocol::admin::DatanodeIntent;
use granary_protocol::block::BlockKind;
use granary_protocol::namenode::{DatanodeCommand, ReplicaChange};
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::{CodingJob, GroupId, GroupLedger};
use granary_protocol::{BlockId, GenerationStamp, NodeName, VolumeId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const CLASS: StorageClass = StorageClass::StandardIa;

struct Sim {
    world: World,
    records: BTreeMap<u64, BlockRecord>,
    groups: BTreeMap<u64, GroupRecord>,
    /// What is on each volume.
    disks: BTreeMap<u64, BTreeSet<u64>>,
    /// Nodes that are away.
    down: BTreeSet<u64>,
    jobs: Vec<CodingJob>,
    next_block: u64,
}

impl Sim {
    fn new(nodes: Vec<(u64, &'static str, u64)>) -> Sim {
        Sim::with_archives(nodes, &[])
    }

    fn with_archives(nodes: Vec<(u64, &'static str, u64)>, archives: &[u64]) -> Sim {
        let world = World::with_archives(nodes, archives);
        let volumes: Vec<u64> = world.ids().into_iter().flat_map(|node| world.volumes_of(node)).collect();
        Sim {
            world,
            records: BTreeMap::new(),
            groups: BTreeMap::new(),
            disks: volumes.into_iter().map(|volume| (volume, BTreeSet::new())).collect(),
            down: BTreeSet::new(),
            jobs: Vec::new(),
            next_block: 1_000,
        }
    }

    fn nodes(count: u64) -> Sim {
        Sim::new((1..=count).map(|node| (node, "/rack-1", 1)).collect())
    }

    /// A sealed block of the class, with three replicas on volumes next to each other.
    fn write(&mut self, block: u64, length: u32) {
        let volumes: Vec<u64> = self.disks.keys().copied().collect();
        let on: Vec<u64> = (0..3).map(|copy| volumes[(block as usize + copy) % volumes.len()]).collect();
        let record = BlockRecord { kind: BlockKind::Owned, class: CLASS, attached: true, ..sealed(3, 1, length) };
        self.world.blocks.apply(&Effect::BlockOpened { block: BlockId(block), record: record.clone() });
        self.records.insert(block, record);
        for volume in on {
            self.disks.get_mut(&volume).unwrap().insert(block);
            self.world.changed(volume, finalized(block, 1, length));
        }
    }

    fn store(&mut self, block: u64, change: impl FnOnce(&mut BlockRecord)) {
        let record = self.records.get_mut(&block).unwrap();
        change(record);
        self.world.blocks.apply(&Effect::BlockChanged { block: BlockId(block), record: record.clone() });
    }

    fn remove(&mut self, block: u64) {
        let record = self.records.remove(&block).unwrap();
        self.world.blocks.apply(&Effect::BlockRemoved { block: BlockId(block), record });
    }

    fn tell_group(&mut self, group: u64) {
        let record = self.groups.get(&group).cloned();
        self.world.blocks.apply(&Effect::GroupChanged { group: GroupId(group), record });
    }

    fn obey(&mut self, action: Action) {
        match action {
            Action::FormGroup { class, data, parity } => self.form(class, &data, parity),
            Action::CommitGroup { group } => {
                let data = self.step(group, GroupState::Coded);
                data.into_iter().for_each(|block| self.store(block, |record| record.replicas_wanted = 1));
                self.tell_group(group.0);
            }
            Action::ReleaseGroup { group, replicas_wanted } => {
                let data = self.step(group, GroupState::Dissolving);
                let living = data.into_iter().filter(|block| self.records[block].live_bytes > 0).collect::<Vec<_>>();
                living.into_iter().for_each(|block| self.store(block, |r| r.replicas_wanted = replicas_wanted));
                self.tell_group(group.0);
            }
            Action::DropGroup { group } => {
                let record = self.groups.remove(&group.0).unwrap();
                self.tell_group(group.0);
                record.parity.iter().for_each(|member| self.remove(member.block.0));
                let dead = record.data.iter().filter(|member| self.records[&member.block.0].live_bytes == 0);
                dead.collect::<Vec<_>>().into_iter().for_each(|member| self.remove(member.block.0));
            }
            other => panic!("{other:?} is not about groups"),
        }
    }

    fn step(&mut self, group: GroupId, state: GroupState) -> Vec<u64> {
        let record = self.groups.get_mut(&group.0).unwrap();
        record.state = state;
        record.data.iter().map(|member| member.block.0).collect()
    }

    fn form(&mut self, class: StorageClass, data: &[BlockId], parity: u8) {
        let member = |block: &BlockId| GroupMember { block: *block, length: self.records[&block.0].length };
        let data: Vec<GroupMember> = data.iter().map(member).collect();
        let length = data.iter().map(|member| member.length).max().unwrap();
        let group = self.next_block;
        let mut members = Vec::new();
        for _ in 0..parity {
            let block = self.next_block;
            self.next_block += 1;
            let record = BlockRecord { kind: BlockKind::Parity, class, attached: true, ..sealed(1, 1, length) };
            self.world.blocks.apply(&Effect::BlockOpened { block: BlockId(block), record: record.clone() });
            self.records.insert(block, record);
            members.push(GroupMember { block: BlockId(block), length });
        }
        self.groups.insert(group, GroupRecord { state: GroupState::Encoding, class, data, parity: members });
        self.tell_group(group);
    }

    /// A second goes by: plans are made, commands carried out.
    fn second(&mut self) {
        self.world.now.0 += 1_000;
        let up: Vec<u64> = self.world.ids().into_iter().filter(|node| !self.down.contains(node)).collect();
        let mut commands = Vec::new();
        for node in up {
            match self.world.heartbeat(node) {
                Some(given) => commands.extend(given),
                None => self.come_back(node),
            }
        }
        commands.into_iter().for_each(|command| self.execute(command));
        self.world.tick();
        let planned = self.world.blocks.plan_groups(self.world.now);
        planned.into_iter().for_each(|action| self.obey(action));
        self.check();
    }

    fn seconds(&mut self, count: usize) {
        (0..count).for_each(|_| self.second());
    }

    fn come_back(&mut self, node: u64) {
        self.world.register(node);
        for volume in self.world.volumes_of(node) {
            let report = |block: &u64| finalized(*block, 1, self.records.get(block).map_or(1, |r| r.length));
            let replicas: Vec<_> = self.disks[&volume].iter().map(report).collect();
            assert!(self.world.blocks.block_report(
                granary_protocol::DatanodeId(node),
                VolumeId(volume),
                self.world.now.0,
                0,
                true,
                &replicas
            ));
        }
    }

    fn holds(&self, volume: VolumeId, block: BlockId) -> bool {
        !self.down.contains(&(volume.0 / 10)) && self.disks[&volume.0].contains(&block.0)
    }

    fn execute(&mut self, command: DatanodeCommand) {
        match command {
            DatanodeCommand::Remove { volume, replicas } => {
                for (block, generation) in replicas {
                    self.disks.get_mut(&volume.0).unwrap().remove(&block.0);
                    self.world.told(volume.0, ReplicaChange::Removed(volume, block, generation));
                }
            }
            DatanodeCommand::Copy { volume, block, targets, .. } if self.holds(volume, block) => {
                targets.iter().for_each(|target| self.arrive(target.volume, block));
            }
            DatanodeCommand::Code { job, .. } => {
                assert_eq!(job.sources.len(), usize::from(job.data));
                let reads = |source: &granary_protocol::redundancy::CodingSource| {
                    source.located.replicas.iter().any(|replica| self.holds(replica.volume, source.located.block))
                };
                if job.sources.iter().all(reads) {
                    job.targets.iter().for_each(|target| self.arrive(target.to.volume, target.block));
                }
                self.jobs.push(*job);
            }
            _ => {}
        }
    }

    fn arrive(&mut self, volume: VolumeId, block: BlockId) {
        if self.down.contains(&(volume.0 / 10)) || !self.records.contains_key(&block.0) {
            return;
        }
        let length = self.records[&block.0].length;
        self.disks.get_mut(&volume.0).unwrap().insert(block.0);
        self.world.changed(volume.0, finalized(block.0, 1, length));
    }

    /// Kills a node; with `wipe` its disks are lost.
    fn kill(&mut self, node: u64, wipe: bool) {
        self.down.insert(node);
        if wipe {
            self.world.volumes_of(node).iter().for_each(|volume| self.disks.get_mut(volume).unwrap().clear());
        }
    }

    fn start(&mut self, node: u64) {
        self.down.remove(&node);
    }

    fn copies(&self, block: u64) -> usize {
        self.disks.values().filter(|disk| disk.contains(&block)).count()
    }

    fn ledger(&self) -> GroupLedger {
        self.world.blocks.group_ledger()
    }

    /// Whatever happens, every living block is on a disk, or enough of its group is.
    fn check(&self) {
        for (block, record) in self.records.iter().filter(|(_, record)| record.kind != BlockKind::Parity) {
            let group = self.groups.values().find(|group| group.data.iter().any(|m| m.block.0 == *block));
            let left = group.map_or(0, |group| group.members().filter(|m| self.copies(m.block.0) > 0).count());
            let enough = group.is_some_and(|group| left >= group.data.len());
            assert!(record.live_bytes == 0 || self.copies(*block) > 0 || enough, "block {block} is lost for good");
            assert_eq!(record.state, BlockState::Sealed);
        }
    }

    /// Every member of every group has one replica, on a node that no other member of it has.
    fn assert_at_rest(&self) {
        for (id, group) in &self.groups {
            let mut nodes = BTreeSet::new();
            for member in group.members() {
                assert_eq!(self.copies(member.block.0), 1, "block {} of group {id}", member.block);
                let at = self.disks.iter().find(|(_, disk)| disk.contains(&member.block.0)).unwrap().0;
                assert!(nodes.insert(at / 10), "two members of group {id} on node {}", at / 10);
            }
        }
        let (ledger, sums) = (self.ledger(), self.world.sums());
        assert_eq!((ledger.members_lost, ledger.members_misplaced, ledger.unreadable_groups), (0, 0, 0));
        assert_eq!(ledger.members_live, ledger.members_wanted);
        assert_eq!((sums.missing_blocks, sums.under_replicated_blocks, sums.over_replicated_blocks), (0, 0, 0));
    }
}

#[test]
fn six_alike_blocks_come_to_one_and_a_half_times_their_bytes() {
    let mut sim = Sim::nodes(9);
    (1..=6).for_each(|block| sim.write(block, 100));
    sim.second();
    assert_eq!(sim.ledger().encoding, 1);
    assert_eq!(sim.world.sums().missing_blocks, 0, "parity that is being computed is not missing");
    sim.seconds(10);
    assert_eq!(sim.groups.values().next().unwrap().state, GroupState::Coded);
    sim.assert_at_rest();
    assert_eq!((sim.ledger().groups, sim.ledger().members_live), (1, 9));
    let report = sim.world.blocks.class_report();
    let class = report.classes.iter().find(|class| class.class == "STANDARD_IA").unwrap();
    assert_eq!((class.live_bytes, class.stored_bytes, class.coded_blocks), (600, 900, 6));
    assert_eq!((report.domain.as_str(), report.domains), ("node", 9));
    assert_eq!(sim.jobs.len(), 1);
    assert_eq!(sim.jobs[0].targets.len(), 3, "all parity in one go");
}

#[test]
fn coded_blocks_that_are_archived_move_to_archive_volumes_and_stay_apart() {
    let archives: Vec<u64> = (1..=9).map(|node| node * 10 + 1).collect();
    let mut sim = Sim::with_archives((1..=9).map(|node| (node, "/rack-1", 2)).collect(), &archives);
    // Each on two nodes, so that all can stand apart.
    let blocks = [1, 4, 7, 10, 13, 16];
    blocks.into_iter().for_each(|block| sim.write(block, 100));
    let on_archives = |sim: &Sim, block: u64| {
        sim.disks.iter().filter(|(volume, disk)| **volume % 10 == 1 && disk.contains(&block)).count()
    };
    sim.seconds(60);
    sim.assert_at_rest();
    assert!(sim.records.keys().all(|block| on_archives(&sim, *block) == 0), "{:?}", sim.disks);
    blocks.into_iter().for_each(|block| sim.store(block, |record| record.class = StorageClass::Glacier));
    sim.seconds(120);
    sim.assert_at_rest();
    assert!(blocks.into_iter().all(|block| on_archives(&sim, block) == 1), "{:?}", sim.disks);
    assert_eq!(sim.ledger().groups, 1, "the group has not changed");
}

#[test]
fn on_one_node_volumes_are_domains() {
    let mut sim = Sim::new(vec![(1, "/rack-1", 6)]);
    let volumes = sim.world.volumes_of(1);
    (1..=4).for_each(|block| sim.write(block, 50));
    sim.seconds(10);
    let group = sim.groups.values().next().unwrap();
    assert_eq!((group.data.len(), group.parity.len(), group.state), (4, 2, GroupState::Coded));
    assert!(volumes.iter().all(|volume| sim.disks[volume].len() == 1), "{:?}", sim.disks);
    assert_eq!(sim.world.blocks.class_report().domain, "volume");
}

#[test]
fn lost_members_are_counted_and_rebuilt_once_there_is_a_place_for_them() {
    let mut sim = Sim::nodes(9);
    (1..=6).for_each(|block| sim.write(block, 100 - block as u32));
    sim.seconds(10);
    sim.assert_at_rest();
    sim.jobs.clear();
    for node in [2, 5, 9] {
        sim.kill(node, true);
    }
    sim.seconds(15);
    let ledger = sim.ledger();
    assert_eq!((ledger.members_lost, ledger.unreadable_groups, ledger.groups_beyond_domains), (3, 0, 1));
    assert_eq!(sim.world.sums().missing_blocks, 0, "the rest of the group has them");
    assert_eq!(sim.jobs, [], "no domain is left for them");
    for node in [2, 5, 9] {
        sim.start(node);
    }
    sim.seconds(30);
    sim.assert_at_rest();
    let rebuilt: usize = sim.jobs.iter().map(|job| job.targets.len()).sum();
    assert_eq!(rebuilt, 3);
}

#[test]
fn a_fourth_loss_makes_blocks_missing() {
    let mut sim = Sim::nodes(9);
    (1..=6).for_each(|block| sim.write(block, 100));
    sim.seconds(10);
    for node in [1, 2, 3, 4] {
        sim.kill(node, false);
    }
    sim.seconds(15);
    assert_eq!(sim.ledger().unreadable_groups, 1);
    assert!(sim.world.sums().missing_blocks > 0);
    let lost = (1..=6).find(|block| sim.world.located(*block).is_empty()).unwrap();
    let group = sim.world.blocks.locate_group(BlockId(lost), 10, 20, sim.world.now).unwrap();
    assert_eq!((group.others.len(), group.readable()), (8, 5));
    (1..=4).for_each(|node| sim.start(node));
    sim.seconds(15);
    sim.assert_at_rest();
}

#[test]
fn a_reader_is_given_the_window_of_every_other_member() {
    let mut sim = Sim::nodes(9);
    (1..=6).for_each(|block| sim.write(block, 100 - 2 * block as u32));
    sim.second();
    assert_eq!(sim.world.blocks.locate_group(BlockId(1), 0, 1, sim.world.now), None, "not while it is encoded");
    sim.seconds(10);
    let group = sim.world.blocks.locate_group(BlockId(1), 90, 10, sim.world.now).unwrap();
    assert_eq!((group.data, group.parity, group.others.len(), group.readable()), (6, 3, 8, 8));
    for other in &group.others {
        let extent = other.located.token.extent;
        assert_eq!((extent.offset + extent.length, extent.block), (other.located.length.min(100), other.located.block));
    }
}

#[test]
fn a_mostly_dead_group_is_dissolved_and_what_lives_is_replicated_first() {
    let mut sim = Sim::nodes(9);
    (1..=6).for_each(|block| sim.write(block, 100));
    sim.seconds(10);
    for block in 1..=4 {
        sim.store(block, |record| record.live_bytes = 0);
    }
    sim.second();
    assert_eq!(sim.ledger().dissolving, 1);
    assert!(sim.records.contains_key(&1), "the dead stay while the group protects the others");
    sim.seconds(20);
    assert_eq!(sim.ledger(), GroupLedger::default());
    assert_eq!(sim.records.keys().copied().collect::<Vec<_>>(), [5, 6]);
    assert_eq!((sim.copies(5), sim.copies(6), sim.copies(1)), (3, 3, 0));
}

#[test]
fn few_blocks_wait_and_then_go_into_a_short_group_if_that_saves() {
    let mut sim = Sim::nodes(9);
    (1..=3).for_each(|block| sim.write(block, 100));
    sim.seconds(100);
    assert_eq!(sim.groups.len(), 0);
    sim.seconds(120);
    let group = sim.groups.values().next().unwrap();
    assert_eq!((group.data.len(), group.parity.len(), group.state), (3, 3, GroupState::Coded));
    sim.assert_at_rest();
    sim.write(7, 100);
    sim.seconds(1_000);
    assert_eq!((sim.groups.len(), sim.copies(7)), (1, 3), "one block with three parity blocks would cost more");
}

#[test]
fn unlike_blocks_are_not_put_together_at_once() {
    let mut sim = Sim::nodes(9);
    (1..=3).for_each(|block| sim.write(block, 1_000));
    (4..=9).for_each(|block| sim.write(block, 100));
    sim.seconds(10);
    let group = sim.groups.values().next().unwrap();
    assert_eq!(sim.groups.len(), 1);
    assert!(group.data.iter().all(|member| member.length == 100));
}

#[test]
fn members_leave_a_node_that_is_to_go_for_one_that_has_no_other() {
    let mut sim = Sim::nodes(10);
    (1..=6).for_each(|block| sim.write(block, 100));
    sim.seconds(10);
    let holder = sim.disks.iter().find(|(_, disk)| !disk.is_empty()).unwrap().0 / 10;
    let intent = DatanodeIntent::Decommission;
    let name = NodeName(format!("datanode-{holder}"));
    sim.world.blocks.apply(&Effect::DatanodeIntentChanged { name, intent });
    sim.seconds(10);
    let status = sim.world.blocks.datanodes(sim.world.now);
    let node = status.iter().find(|node| node.datanode.0 == holder).unwrap();
    assert_eq!(node.blocks_left, 0);
    sim.kill(holder, true);
    sim.seconds(15);
    sim.assert_at_rest();
}

#[test]
fn a_damaged_parity_replica_is_rebuilt_from_the_others() {
    // No other domain is free: the damaged replica must go first.
    let mut sim = Sim::nodes(9);
    (1..=6).for_each(|block| sim.write(block, 100));
    sim.seconds(10);
    let parity = sim.groups.values().next().unwrap().parity[0].block.0;
    let volume = *sim.disks.iter().find(|(_, disk)| disk.contains(&parity)).unwrap().0;
    sim.disks.get_mut(&volume).unwrap().remove(&parity);
    sim.world.corrupt(volume, parity, 1);
    sim.jobs.clear();
    sim.seconds(30);
    assert_eq!(sim.jobs.iter().map(|job| job.targets[0].block).collect::<Vec<_>>(), [BlockId(parity)]);
    sim.assert_at_rest();
}

#[test]
fn a_job_that_fails_is_given_again() {
    let mut sim = Sim::nodes(9);
    (1..=6).for_each(|block| sim.write(block, 100));
    sim.world.now.0 += 1_000;
    sim.world.tick();
    let planned = sim.world.blocks.plan_groups(sim.world.now);
    planned.into_iter().for_each(|action| sim.obey(action));
    sim.world.tick();
    let jobs: Vec<_> = sim.world.commands();
    let [DatanodeCommand::Code { volume, job }] = jobs.as_slice() else { panic!("{jobs:?}") };
    for target in &job.targets {
        sim.world.told(volume.0, ReplicaChange::CopyFailed(*volume, target.block, GenerationStamp(1)));
    }
    sim.seconds(15);
    sim.assert_at_rest();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Up to three nodes of eleven are away or empty at a time, blocks come and die: nothing is ever lost, and when all are
    /// back everything comes to rest.
    #[test]
    fn groups_survive_what_they_are_made_for(events in prop::collection::vec((0u8..6, 1u64..=11, 1u32..4), 1..40)) {
        let mut sim = Sim::nodes(11);
        let mut next = 1;
        for (event, node, size) in events {
            match event {
                0 | 1 => {
                    (0..4).for_each(|at| sim.write(next + at, size * 100));
                    next += 4;
                    sim.seconds(3);
                }
                // Fresh blocks have three replicas: three losses at once are one too many for them.
                2 if sim.down.is_empty() => {
                    sim.seconds(15);
                    sim.kill(node, size == 1);
                    sim.kill(node % 11 + 1, size < 3);
                    sim.seconds(15);
                }
                3 => {
                    sim.down.clone().into_iter().for_each(|node| sim.start(node));
                    sim.seconds(20);
                }
                4 => {
                    let block = u64::from(size) + node;
                    if sim.records.get(&block).is_some_and(|record| record.live_bytes > 0) {
                        die(&mut sim, block);
                    }
                    sim.seconds(2);
                }
                _ => sim.seconds(7),
            }
        }
        sim.down.clone().into_iter().for_each(|node| sim.start(node));
        sim.seconds(400);
        sim.assert_at_rest();
    }
}

/// What hard state does when a block's last content goes.
fn die(sim: &mut Sim, block: u64) {
    let group = sim.groups.iter().find(|(_, g)| g.data.iter().any(|member| member.block.0 == block));
    let Some((group, record)) = group.map(|(id, record)| (*id, record.clone())) else { return sim.remove(block) };
    sim.store(block, |record| record.live_bytes = 0);
    if record.data.iter().all(|member| sim.records[&member.block.0].live_bytes == 0) {
        sim.obey(Action::DropGroup { group: GroupId(group) });
    }
}
