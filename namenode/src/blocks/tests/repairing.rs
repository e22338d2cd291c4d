//! Death, repair, revival, surplus.

use super::fixture::*;
use granary_protocol::admin::DatanodeIntent;
use granary_protocol::namenode::{DatanodeCommand, ReplicaChange};
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, GenerationStamp, VolumeId};

#[test]
fn a_corrupt_replica_is_dropped_removed_and_rebuilt() {
    let mut world = World::new(4);
    world.good_block(1, 3, &[10, 20, 30]);
    world.corrupt(20, 1, 1);
    assert_eq!((world.located(1), world.sums().under_replicated_blocks), (vec![10, 30], 1));
    world.tick();
    let commands = world.commands();
    assert_eq!(the_copy(&commands).2, [40]);
    assert!(commands.iter().any(|c| matches!(c, DatanodeCommand::Remove { volume, .. } if volume.0 == 20)));
    world.changed(40, finalized(1, 1, 100));
    assert_eq!(world.sums().under_replicated_blocks, 0);
}

#[test]
fn a_dead_datanode_is_replaced_by_the_rack_rule_and_the_arrival_closes_it() {
    let racks = vec![(1, "/a", 1), (2, "/b", 1), (3, "/b", 1), (4, "/b", 1), (5, "/a", 1)];
    let mut world = World::with_nodes(racks);
    world.good_block(1, 3, &[10, 20, 30]);
    world.pass_without(10_000, &[1]);
    assert_eq!(world.sums().replicas_live, 3, "not dead yet");
    world.pass_without(1_000, &[1]);
    assert_eq!((world.sums().replicas_live, world.sums().under_replicated_blocks), (2, 1));
    assert_eq!(world.located(1), [20, 30]);
    world.tick();
    let (from, _, to) = the_copy(&world.commands());
    assert!([20, 30].contains(&from));
    assert_eq!(to, [50], "both others are on rack b");
    world.tick();
    assert_eq!(world.commands(), [], "one copy is enough");
    world.changed(50, finalized(1, 1, 100));
    assert_eq!((world.sums().replicas_live, world.sums().under_replicated_blocks), (3, 0));
}

#[test]
fn a_revived_datanode_makes_surplus_which_is_trimmed_but_never_below_what_is_wanted() {
    let mut world = World::new(4);
    world.good_block(1, 3, &[10, 20, 30]);
    world.pass_without(11_000, &[3]);
    world.tick();
    assert_eq!(the_copy(&world.commands()).2, [40]);
    world.changed(40, finalized(1, 1, 100));
    assert_eq!(world.heartbeat(3), None, "who was given up must register");
    world.register(3);
    assert_eq!(world.sums().over_replicated_blocks, 1);
    world.tick();
    assert_eq!(world.removals(), [], "what volume 30 still has is not known");
    world.report_all(3, &[finalized(1, 1, 100)]);
    world.pass(11_000);
    world.tick();
    let removed = world.removals();
    assert_eq!(removed.len(), 1);
    assert_eq!((world.located(1).len(), world.sums().over_replicated_blocks), (3, 0));
    for _ in 0..20 {
        world.pass(11_000);
        world.tick();
        assert_eq!(world.removals(), []);
    }
}

#[test]
fn surplus_goes_from_the_crowded_rack() {
    let mut world = World::with_nodes(vec![(1, "/a", 1), (2, "/b", 1), (3, "/b", 1), (4, "/b", 1)]);
    world.good_block(1, 3, &[10, 20, 30, 40]);
    world.tick();
    let removed = world.removals();
    assert_eq!(removed.len(), 1);
    assert_ne!(removed[0].0, 10);
}

#[test]
fn a_copy_that_does_not_arrive_is_planned_again() {
    let mut world = World::new(3);
    world.good_block(1, 2, &[10]);
    world.tick();
    the_copy(&world.commands());
    world.pass(14_000);
    world.tick();
    assert_eq!(world.commands(), []);
    world.pass(2_000);
    world.tick();
    the_copy(&world.commands());
}

#[test]
fn a_copy_that_failed_is_planned_again_after_a_pause() {
    let mut world = World::new(4);
    world.good_block(1, 2, &[10]);
    world.tick();
    let (source, block, _) = the_copy(&world.commands());
    assert_eq!((source, block), (10, 1));
    let failed =
        |volume, generation| ReplicaChange::CopyFailed(VolumeId(volume), BlockId(1), GenerationStamp(generation));
    world.told(10, failed(10, 0));
    world.pass(3_000);
    world.tick();
    assert_eq!(world.commands(), [], "of another generation");
    world.told(10, failed(10, 1));
    world.tick();
    assert_eq!(world.commands(), [], "not at once");
    world.pass(2_000);
    world.tick();
    assert_eq!(the_copy(&world.commands()).1, 1);
}

#[test]
fn blocks_that_cannot_be_helped_do_not_starve_those_that_can() {
    // Two volumes per node and rack; blocks 1..=300 stand on the only two volumes that have room.
    let mut world = World::new(3);
    for block in 1..=300 {
        world.good_block(block, 3, &[10, 20]);
    }
    let full = granary_protocol::namenode::VolumeReport { free_bytes: 0, ..volume_report(30) };
    assert!(world.blocks.heartbeat(granary_protocol::DatanodeId(3), vec![full], world.now));
    world.good_block(301, 3, &[10, 30]);
    let mut copied = Vec::new();
    for _ in 0..10 {
        world.blocks.tick(world.now, 50);
        copied.extend(world.commands());
    }
    assert_eq!(the_copy(&copied), (the_copy(&copied).0, 301, vec![20]));
}

#[test]
fn blocks_with_one_replica_left_come_first() {
    let mut world = World::new(4);
    world.good_block(1, 3, &[10, 20]);
    world.good_block(2, 3, &[10]);
    world.blocks.tick(world.now, 1);
    assert_eq!(the_copy(&world.commands()).1, 2);
}

#[test]
fn a_cluster_with_too_few_domains_says_so_and_plans_nothing() {
    let mut world = World::new(2);
    world.good_block(1, 3, &[10, 20]);
    let sums = world.sums();
    assert_eq!((sums.policy_shortfall_replicas, sums.under_replicated_blocks, sums.replicas_wanted), (1, 0, 3));
    world.tick();
    assert_eq!(world.commands(), []);
    // A failed volume is no domain; one whose node is away still is.
    world.pass_without(11_000, &[2]);
    assert_eq!((world.sums().policy_shortfall_replicas, world.sums().under_replicated_blocks), (1, 1));
}

#[test]
fn a_failed_volume_counts_no_more_and_its_return_is_welcome() {
    let mut world = World::with_nodes(vec![(1, "/a", 2), (2, "/a", 1)]);
    world.good_block(1, 2, &[10, 20]);
    let failed = |volume| granary_protocol::namenode::VolumeReport {
        failed: Some("input/output error".to_owned()),
        ..volume_report(volume)
    };
    assert!(world.blocks.heartbeat(granary_protocol::DatanodeId(1), vec![failed(10), volume_report(11)], world.now));
    assert_eq!((world.located(1), world.sums().under_replicated_blocks), (vec![20], 1));
    world.tick();
    assert_eq!(the_copy(&world.commands()).2, [11]);
    assert!(world.heartbeat(1).is_some());
    assert_eq!((world.located(1), world.sums().under_replicated_blocks), (vec![10, 20], 0));
}

#[test]
fn readers_are_sent_to_silent_datanodes_last() {
    let mut world = World::new(3);
    world.good_block(1, 3, &[10, 20, 30]);
    for silent in 1..=3u64 {
        world.register(silent);
        world.pass_without(4_000, &[silent]);
        let extent = granary_protocol::block::Extent { block: granary_protocol::BlockId(1), offset: 0, length: 1 };
        let located = world.blocks.locate(extent, granary_protocol::token::AccessMode::Read, world.now).unwrap();
        assert_eq!(located.replicas.last().unwrap().volume.0, silent * 10);
    }
}

#[test]
fn placement_follows_the_space_that_heartbeats_report() {
    let mut world = World::new(3);
    let nearly_full = granary_protocol::namenode::VolumeReport { free_bytes: 1 << 20, ..volume_report(20) };
    assert!(world.blocks.heartbeat(granary_protocol::DatanodeId(2), vec![nearly_full], world.now));
    let targets = world.blocks.choose_targets(3, StorageClass::Standard, None, &[]);
    assert_eq!(sorted(&targets.iter().map(|v| v.0).collect::<Vec<_>>()), [10, 30]);
    world.heartbeat(2);
    assert_eq!(world.blocks.choose_targets(3, StorageClass::Standard, None, &[]).len(), 3);
}

#[test]
fn a_new_leader_repairs_nothing_until_it_knows_what_there_is() {
    let mut world = World::new(4);
    world.good_block(1, 3, &[10, 20, 30]);
    world.good_block(2, 2, &[10, 20]);
    world.blocks.set_leading(false, world.now);
    world.blocks.clear();
    world.blocks.set_leading(true, world.now);
    for block in [1, 2] {
        world.blocks.restore(BlockId(block), &sealed(if block == 1 { 3 } else { 2 }, 1, 100));
    }
    for node in world.ids() {
        world.register(node);
    }
    world.report_all(1, &[finalized(1, 1, 100), finalized(2, 1, 100)]);
    world.tick();
    assert_eq!(world.commands(), [], "the others have not reported");
    assert!(world.blocks.safe_mode().unwrap().contains("2 are under their target"));
    world.report_all(2, &[finalized(1, 1, 100), finalized(2, 1, 100)]);
    world.tick();
    world.pass(14_000);
    world.tick();
    assert_eq!(world.commands(), []);
    world.pass(2_000);
    assert_eq!(world.blocks.safe_mode(), None, "nothing new came: what is missing is gone");
    world.tick();
    assert_eq!(the_copy(&world.commands()).1, 1);
}

#[test]
fn a_block_on_one_rack_is_copied_to_another_and_leaves_the_crowded_one() {
    let mut world = World::with_nodes(vec![(1, "/a", 1), (2, "/a", 1), (3, "/a", 1), (4, "/b", 1)]);
    world.good_block(1, 3, &[10, 20, 30]);
    assert_eq!(world.sums().mis_replicated_blocks, 1);
    world.tick();
    assert_eq!(the_copy(&world.commands()).2, [40]);
    world.changed(40, finalized(1, 1, 100));
    assert_eq!((world.sums().mis_replicated_blocks, world.sums().over_replicated_blocks), (0, 1));
    world.tick();
    let removed = world.removals();
    assert_eq!(removed.len(), 1);
    assert_ne!(removed[0].0, 40);
    assert_eq!((world.sums().mis_replicated_blocks, world.sums().over_replicated_blocks), (0, 0));
}

#[test]
fn racks_that_come_and_go_change_the_judgement_of_every_block() {
    let mut world = World::with_nodes(vec![(1, "/a", 1), (2, "/a", 1), (4, "/b", 1)]);
    world.good_block(1, 2, &[10, 20]);
    assert_eq!(world.sums().mis_replicated_blocks, 1);
    world.pass_without(11_000, &[4]);
    assert_eq!(world.sums().mis_replicated_blocks, 0, "there is one rack now");
    world.register(4);
    assert_eq!(world.sums().mis_replicated_blocks, 1);
}

/// Beats for a datanode whose only volume is this full.
fn beat_with(world: &mut World, node: u64, used_percent: u64) {
    let report = volume_report(node * 10);
    let free_bytes = report.capacity_bytes / 100 * (100 - used_percent);
    let report = granary_protocol::namenode::VolumeReport { free_bytes, ..report };
    assert!(world.blocks.heartbeat(granary_protocol::DatanodeId(node), vec![report], world.now));
}

#[test]
fn replicas_move_from_the_fullest_volume_and_the_racks_stay_apart() {
    let mut world = World::with_nodes(vec![(1, "/a", 1), (2, "/a", 1), (3, "/b", 1), (4, "/b", 1)]);
    for block in 1..=20 {
        world.good_block(block, 2, &[10, 30]);
    }
    for (node, used_percent) in [(1, 90), (2, 10), (3, 40), (4, 40)] {
        beat_with(&mut world, node, used_percent);
    }
    world.tick();
    let commands = world.commands();
    let copies: Vec<_> = commands
        .iter()
        .filter_map(|command| match command {
            DatanodeCommand::Copy { block, targets, .. } => Some((block.0, targets[0].volume.0)),
            _ => None,
        })
        .collect();
    assert_eq!(copies.len(), 8, "so many at once");
    assert!(copies.iter().all(|(_, to)| *to == 20), "the emptiest, on the rack that is left: {copies:?}");
    for (block, _) in &copies {
        world.changed(20, finalized(*block, 1, 100));
    }
    world.tick();
    let removals = world.removals();
    assert_eq!(removals.len(), 8);
    assert!(removals.iter().all(|(volume, _, _)| *volume == 10), "{removals:?}");
    assert_eq!((world.sums().under_replicated_blocks, world.sums().mis_replicated_blocks), (0, 0));
}

#[test]
fn nothing_moves_within_the_threshold_or_while_something_is_amiss() {
    let mut world = World::new(3);
    world.good_block(1, 2, &[10, 20]);
    for (node, used_percent) in [(1, 60), (2, 50), (3, 45)] {
        beat_with(&mut world, node, used_percent);
    }
    world.tick();
    assert_eq!(world.commands(), []);
    world.good_block(2, 3, &[10, 20]);
    beat_with(&mut world, 1, 95);
    world.tick();
    assert_eq!(the_copy(&world.commands()).1, 2, "repair comes first");
}

fn intend(world: &mut World, node: u64, intent: DatanodeIntent) {
    let name = world.endpoint(node).name;
    world.blocks.apply(&crate::state::Effect::DatanodeIntentChanged { name, intent });
}

fn left_on(world: &World, node: u64) -> u64 {
    world.blocks.datanodes(world.now).into_iter().find(|status| status.datanode.0 == node).unwrap().blocks_left
}

#[test]
fn a_datanode_that_is_to_go_is_emptied_by_copies_and_read_until_then() {
    let mut world = World::new(4);
    world.good_block(1, 3, &[10, 20, 30]);
    world.good_block(2, 1, &[10]);
    intend(&mut world, 1, DatanodeIntent::Decommission);
    assert_eq!((world.located(1), world.located(2)), (vec![10, 20, 30], vec![10]));
    assert_eq!((world.sums().under_replicated_blocks, world.sums().missing_blocks), (2, 0));
    assert_eq!(left_on(&world, 1), 2);
    assert!(!world.blocks.choose_targets(4, StorageClass::Standard, None, &[]).contains(&VolumeId(10)));
    world.tick();
    let copies: Vec<_> = world
        .commands()
        .into_iter()
        .filter_map(|command| match command {
            DatanodeCommand::Copy { block, targets, .. } => Some((block.0, targets[0].volume.0)),
            _ => None,
        })
        .collect();
    assert_eq!(copies.len(), 2);
    for (block, target) in copies {
        world.changed(target, finalized(block, 1, 100));
    }
    assert_eq!((world.sums().under_replicated_blocks, left_on(&world, 1)), (0, 0), "it may go now");
    world.tick();
    assert_eq!(world.removals(), [], "nothing is surplus as long as it is to go");
    world.pass_without(11_000, &[1]);
    assert_eq!((world.sums().under_replicated_blocks, world.sums().missing_blocks), (0, 0));
}

#[test]
fn a_decommission_that_is_taken_back_leaves_surplus_which_is_trimmed() {
    let mut world = World::new(4);
    world.good_block(1, 3, &[10, 20, 30]);
    intend(&mut world, 1, DatanodeIntent::Decommission);
    world.tick();
    assert_eq!(the_copy(&world.commands()).2, [40]);
    world.changed(40, finalized(1, 1, 100));
    intend(&mut world, 1, DatanodeIntent::InService);
    assert_eq!(world.sums().over_replicated_blocks, 1);
    world.tick();
    assert_eq!(world.removals().len(), 1);
}

#[test]
fn a_datanode_in_maintenance_counts_while_it_is_away_and_another_replica_lives() {
    let mut world = World::new(3);
    world.good_block(1, 2, &[10, 20]);
    world.good_block(2, 1, &[10]);
    let until = granary_protocol::UnixMillis(world.now.0 + 60_000);
    intend(&mut world, 1, DatanodeIntent::Maintenance { until });
    world.pass_without(11_000, &[1]);
    assert_eq!((world.sums().under_replicated_blocks, world.sums().missing_blocks), (1, 1), "block 2 cannot be read");
    world.tick();
    assert_eq!(world.commands(), [], "block 1 is not copied");
    assert_eq!(world.located(1), [20]);
    world.pass_without(50_000, &[1]);
    assert_eq!(world.sums().under_replicated_blocks, 2, "it should be back by now");
    world.tick();
    assert_eq!(the_copy(&world.commands()).1, 1);
}

#[test]
fn a_volume_is_emptied_by_copies_and_takes_replicas_again_when_that_is_taken_back() {
    let mut world = World::new(4);
    world.good_block(1, 3, &[10, 20, 30]);
    let drain = |world: &mut World, drain| {
        world.blocks.apply(&crate::state::Effect::VolumeDrainChanged { volume: VolumeId(10), drain });
    };
    let left = |world: &World| {
        let volumes = world.blocks.volume_statuses(world.now);
        let (_, volume) = volumes.into_iter().find(|(_, volume)| volume.volume == VolumeId(10)).unwrap();
        (volume.draining, volume.blocks_left)
    };
    drain(&mut world, true);
    assert_eq!((left(&world), world.sums().under_replicated_blocks), ((true, 1), 1));
    assert_eq!(world.located(1), [10, 20, 30], "it is read until then");
    assert!(!world.blocks.choose_targets(4, StorageClass::Standard, None, &[]).contains(&VolumeId(10)));
    world.tick();
    assert_eq!(the_copy(&world.commands()).2, [40]);
    world.changed(40, finalized(1, 1, 100));
    assert_eq!((left(&world), world.sums().under_replicated_blocks), ((true, 0), 0));
    // What the state says holds after a restart, and nothing else.
    world.blocks.set_drained(vec![VolumeId(10)]);
    assert_eq!(left(&world), (true, 0));
    drain(&mut world, false);
    assert_eq!((left(&world), world.sums().over_replicated_blocks), ((false, 0), 1));
    assert!(world.blocks.choose_targets(4, StorageClass::Standard, None, &[]).contains(&VolumeId(10)));
}

#[test]
fn a_slow_volume_is_avoided_while_there_are_others_and_read_last() {
    let mut world = World::new(4);
    world.good_block(1, 3, &[10, 20, 30]);
    let beat = |world: &mut World, node: u64, wait_ms: u32| {
        let report = granary_protocol::namenode::VolumeReport { wait_ms, ..volume_report(node * 10) };
        assert!(world.blocks.heartbeat(granary_protocol::DatanodeId(node), vec![report], world.now));
    };
    let first_asked = |world: &World| {
        let extent = granary_protocol::block::Extent { block: BlockId(1), offset: 0, length: 1 };
        let located = world.blocks.locate(extent, granary_protocol::token::AccessMode::Read, world.now).unwrap();
        located.replicas[0].volume
    };
    let first = first_asked(&world);
    beat(&mut world, first.0 / 10, 900);
    assert_ne!(first_asked(&world), first);
    beat(&mut world, first.0 / 10, 0);
    assert_eq!(first_asked(&world), first);
    beat(&mut world, 1, 900);
    assert!(
        (0..20).all(|_| !world.blocks.choose_targets(3, StorageClass::Standard, None, &[]).contains(&VolumeId(10)))
    );
    assert_eq!(world.blocks.choose_targets(4, StorageClass::Standard, None, &[]).len(), 4, "better than none");
    beat(&mut world, 1, 3);
    assert!((0..20).any(|_| world.blocks.choose_targets(3, StorageClass::Standard, None, &[]).contains(&VolumeId(10))));
}

#[test]
fn a_clock_that_is_set_kills_no_datanode_and_keeps_none_alive() {
    let mut world = World::new(3);
    world.good_block(1, 3, &[10, 20, 30]);
    for set_to in [world.now.0 + 3_600_000, world.now.0 + 1_000] {
        let before = world.now;
        world.now = granary_protocol::UnixMillis(set_to);
        world.blocks.clock_set(before, world.now);
        world.tick();
        assert_eq!(world.sums().replicas_live, 3);
    }
    world.pass_without(11_000, &[1]);
    assert_eq!(world.sums().replicas_live, 2, "one that is silent by the new clock");
}
