//! Whatever happens in whatever order, the ledger and the work lists are what counting everything anew would give.

use super::fixture::*;
use crate::blocks::Blocks;
use crate::state::{BlockRecord, BlockState};
use granary_protocol::admin::Redundancy;
use granary_protocol::namenode::{ReplicaChange, ReplicaState};
use granary_protocol::{BlockId, DatanodeId, GenerationStamp, UnixMillis, VolumeId};
use proptest::prelude::*;
use std::collections::HashMap;

const NODES: u64 = 4;
const BLOCKS: u64 = 6;

#[derive(Clone, Debug)]
enum Event {
    Open { block: u64, wanted: u8, pipeline: Vec<u64> },
    Grow { block: u64, by: u32 },
    Seal { block: u64, raised: bool, stored_on: Vec<u64> },
    Remove { block: u64 },
    Finalized { volume: u64, block: u64, generation: u64, length: u32 },
    Corrupt { volume: u64, block: u64, generation: u64 },
    Removed { volume: u64, block: u64, generation: u64 },
    Report { node: u64, replicas: Vec<(u64, u64, u32, bool)> },
    Register { node: u64 },
    Heartbeat { node: u64, failed: bool },
    Pass { ms: u64 },
    Lead { leading: bool },
    Clear,
}

fn events() -> impl Strategy<Value = Event> {
    let node = 1..=NODES;
    let volume = (1..=NODES).prop_map(|node| node * 10);
    let block = 1..=BLOCKS;
    let volumes = proptest::sample::subsequence(vec![10, 20, 30, 40], 1..=3);
    let some_volumes = proptest::sample::subsequence(vec![10, 20, 30, 40], 0..=4);
    let length = prop_oneof![Just(0u32), Just(50), Just(100)];
    let replica = (block.clone(), 1..=2u64, length.clone(), any::<bool>());
    prop_oneof![
        3 => (block.clone(), 1..=3u8, volumes).prop_map(|(block, wanted, pipeline)| Event::Open { block, wanted, pipeline }),
        2 => (block.clone(), 0..60u32).prop_map(|(block, by)| Event::Grow { block, by }),
        3 => (block.clone(), any::<bool>(), some_volumes)
            .prop_map(|(block, raised, stored_on)| Event::Seal { block, raised, stored_on }),
        1 => block.clone().prop_map(|block| Event::Remove { block }),
        4 => (volume.clone(), block.clone(), 1..=2u64, length)
            .prop_map(|(volume, block, generation, length)| Event::Finalized { volume, block, generation, length }),
        1 => (volume.clone(), block.clone(), 1..=2u64)
            .prop_map(|(volume, block, generation)| Event::Corrupt { volume, block, generation }),
        1 => (volume, block, 1..=2u64)
            .prop_map(|(volume, block, generation)| Event::Removed { volume, block, generation }),
        2 => (node.clone(), prop::collection::vec(replica, 0..6))
            .prop_map(|(node, replicas)| Event::Report { node, replicas }),
        2 => node.clone().prop_map(|node| Event::Register { node }),
        3 => (node, any::<bool>()).prop_map(|(node, failed)| Event::Heartbeat { node, failed }),
        2 => (0..12_000u64).prop_map(|ms| Event::Pass { ms }),
        1 => any::<bool>().prop_map(|leading| Event::Lead { leading }),
        1 => Just(Event::Clear),
    ]
}

/// The records, as hard state would have them, and the soft state that follows.
struct Model {
    world: World,
    records: HashMap<u64, BlockRecord>,
    report: u64,
}

impl Model {
    fn step(&mut self, event: Event) {
        match event {
            Event::Open { block, wanted, pipeline } => {
                if !self.records.contains_key(&block) {
                    self.records.insert(block, record(wanted, &pipeline));
                    self.world.open(block, wanted, &pipeline);
                }
            }
            Event::Grow { block, by } => {
                if let Some(record) = self.records.get_mut(&block) {
                    if record.state != BlockState::Sealed {
                        record.length += by;
                    }
                    record.live_bytes = u64::from(by);
                    let record = record.clone();
                    self.world.change(block, record);
                }
            }
            Event::Seal { block, raised, stored_on } => {
                if let Some(record) = self.records.get_mut(&block).filter(|r| r.state != BlockState::Sealed) {
                    record.state = BlockState::Sealed;
                    record.generation.0 += u64::from(raised);
                    let record = record.clone();
                    self.world.seal(block, record, &stored_on);
                }
            }
            Event::Remove { block } => {
                if self.records.remove(&block).is_some() {
                    self.world.remove(block);
                }
            }
            Event::Finalized { volume, block, generation, length } => {
                self.change(volume, ReplicaChange::Finalized(VolumeId(volume), finalized(block, generation, length)));
            }
            Event::Corrupt { volume, block, generation } => {
                let change = ReplicaChange::Corrupt(VolumeId(volume), BlockId(block), GenerationStamp(generation));
                self.change(volume, change);
            }
            Event::Removed { volume, block, generation } => {
                let change = ReplicaChange::Removed(VolumeId(volume), BlockId(block), GenerationStamp(generation));
                self.change(volume, change);
            }
            Event::Report { node, replicas } => {
                self.report += 1;
                let state = |closed| if closed { ReplicaState::Finalized } else { ReplicaState::Recovering };
                let replicas: Vec<_> =
                    replicas.into_iter().map(|(b, g, l, closed)| replica(b, g, l, state(closed))).collect();
                let (id, volume) = (DatanodeId(node), VolumeId(node * 10));
                self.world.blocks.block_report(id, volume, self.report, 0, true, &replicas);
            }
            Event::Register { node } => self.world.register(node),
            Event::Heartbeat { node, failed } => {
                let mut report = volume_report(node * 10);
                report.failed = failed.then(|| "broken".to_owned());
                self.world.blocks.heartbeat(DatanodeId(node), vec![report], self.world.now);
            }
            Event::Pass { ms } => {
                self.world.now = UnixMillis(self.world.now.0 + ms);
                self.world.tick();
            }
            Event::Lead { leading } => self.world.blocks.set_leading(leading, self.world.now),
            Event::Clear => {
                self.world.blocks.clear();
                for (block, record) in &self.records {
                    self.world.blocks.restore(BlockId(*block), record);
                }
            }
        }
    }

    fn change(&mut self, volume: u64, change: ReplicaChange) {
        self.world.blocks.replicas_changed(DatanodeId(volume / 10), &[change]);
    }
}

/// The figures, counted from the replicas one by one.
fn recount(blocks: &Blocks, records: &HashMap<u64, BlockRecord>) -> Redundancy {
    let domains = blocks.volumes.domains();
    let mut sum = Redundancy::default();
    for (block, record) in records {
        let sealed = record.state == BlockState::Sealed;
        if !sealed && record.length == 0 {
            continue;
        }
        let tracked = &blocks.blocks[&BlockId(*block)];
        let counts = |how: &super::super::replicas::Reported| !sealed || how.is_good();
        let live =
            tracked.replicas.iter().filter(|(volume, how)| counts(how) && blocks.volumes.is_live(*volume)).count()
                as u64;
        let wanted = u64::from(record.replicas_wanted);
        let possible = wanted.min(domains.max(1) as u64);
        let bytes = u64::from(record.length);
        sum.blocks += 1;
        sum.replicas_wanted += wanted;
        sum.replicas_live += live;
        sum.policy_shortfall_replicas += wanted - possible;
        sum.under_replicated_blocks += u64::from(live < possible);
        sum.under_replicated_bytes += if live < possible { bytes } else { 0 };
        sum.missing_blocks += u64::from(live == 0);
        sum.missing_bytes += if live == 0 { bytes } else { 0 };
        sum.over_replicated_blocks += u64::from(live > wanted);
    }
    sum
}

fn check_index(blocks: &Blocks, records: &HashMap<u64, BlockRecord>) {
    assert_eq!(blocks.blocks.len(), records.len());
    for (block, tracked) in &blocks.blocks {
        let record = &records[&block.0];
        assert_eq!((tracked.length, tracked.generation), (record.length, record.generation));
        let sealed = record.state == BlockState::Sealed;
        for (volume, _) in &tracked.replicas {
            assert!(blocks.volumes.blocks_of(*volume).contains(block), "{volume} is not known to hold {block}");
        }
        let live = tracked.good().filter(|volume| blocks.volumes.is_live(*volume)).count() as u8;
        assert_eq!(blocks.wanting.contains(&(live, *block)), sealed && live < tracked.wanted, "wanting {block}");
        assert_eq!(blocks.surplus.contains(block), sealed && live > tracked.wanted, "surplus {block}");
        let distinct: std::collections::HashSet<_> = tracked.replicas.iter().map(|(volume, _)| volume).collect();
        assert_eq!(distinct.len(), tracked.replicas.len(), "a volume twice");
    }
    assert!(blocks.wanting.len() <= blocks.blocks.len() && blocks.surplus.len() <= blocks.blocks.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_ledger_is_a_recount_after_any_events(events in prop::collection::vec(events(), 1..80)) {
        let mut model = Model { world: World::new(NODES), records: HashMap::new(), report: 1_000 };
        for event in events {
            model.step(event);
            prop_assert_eq!(model.world.sums(), recount(&model.world.blocks, &model.records));
            check_index(&model.world.blocks, &model.records);
        }
    }
}
