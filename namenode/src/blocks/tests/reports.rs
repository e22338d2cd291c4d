//! Full reports, changes, and who may send them.

use super::fixture::*;
use granary_protocol::namenode::{ReplicaChange, ReplicaState};
use granary_protocol::{BlockId, DatanodeId, GenerationStamp, VolumeId};

#[test]
fn a_report_of_several_pages_forgets_what_no_page_names() {
    let mut world = World::new(3);
    for block in 1..=3 {
        world.good_block(block, 2, &[10, 20]);
    }
    let (node, volume) = (DatanodeId(1), VolumeId(10));
    assert!(world.blocks.block_report(node, volume, 900, 0, false, &[finalized(1, 1, 100)]));
    assert_eq!(world.located(2), [10, 20], "nothing is forgotten before the last page");
    assert!(!world.blocks.block_report(node, volume, 900, 2, true, &[]), "a page is missing");
    assert!(!world.blocks.block_report(node, volume, 901, 1, true, &[]), "a page of another report");
    assert_eq!(world.located(2), [10, 20]);
    assert!(world.blocks.block_report(node, volume, 902, 0, false, &[finalized(1, 1, 100)]), "it begins again");
    assert!(world.blocks.block_report(node, volume, 902, 1, true, &[finalized(3, 1, 100)]));
    assert_eq!((world.located(1), world.located(2), world.located(3)), (vec![10, 20], vec![20], vec![10, 20]));
    assert_eq!(world.sums().under_replicated_blocks, 1);
}

#[test]
fn a_report_drawn_up_before_a_commit_does_not_undo_it() {
    let mut world = World::new(2);
    world.open(1, 2, &[10, 20]);
    assert!(world.blocks.block_report(DatanodeId(1), VolumeId(10), 5, 0, false, &[]));
    // The writer's commit arrives between two pages, and before the datanodes' own word.
    world.seal(1, sealed(2, 1, 100), &[10, 20]);
    assert!(world.blocks.block_report(DatanodeId(1), VolumeId(10), 5, 1, true, &[]));
    assert_eq!(world.located(1), [10, 20]);
    // Another report that does not name it is believed.
    world.report_all(1, &[]);
    world.report_all(1, &[]);
    assert_eq!(world.located(1), [20]);
}

#[test]
fn replicas_of_unknown_blocks_are_removed() {
    let mut world = World::new(1);
    world.report_all(1, &[finalized(99, 4, 5), replica(98, 1, 0, ReplicaState::Open)]);
    assert_eq!(world.removals(), [(10, 98, 1), (10, 99, 4)]);
}

#[test]
fn an_abandoned_block_goes_from_every_member_even_one_that_was_away() {
    let mut world = World::new(3);
    world.open(1, 3, &[10, 20, 30]);
    world.pass_without(11_000, &[3]);
    world.remove(1);
    assert_eq!(world.removals(), [(10, 1, 1), (20, 1, 1)]);
    world.register(3);
    world.report_all(3, &[replica(1, 1, 0, ReplicaState::Recovering)]);
    assert_eq!(world.removals(), [(30, 1, 1)]);
    assert_eq!(world.sums().blocks, 0);
}

#[test]
fn stale_and_short_replicas_go_once_a_good_one_is_known() {
    let mut world = World::new(3);
    world.good_block(1, 1, &[10]);
    world.changed(20, finalized(1, 1, 99));
    world.report_all(3, &[replica(1, 1, 50, ReplicaState::Recovering)]);
    world.tick();
    assert_eq!(world.removals(), [(20, 1, 1), (30, 1, 1)]);
    assert_eq!(world.located(1), [10]);
}

#[test]
fn the_last_bytes_of_a_block_are_kept_however_bad() {
    let mut world = World::new(2);
    world.good_block(1, 1, &[10]);
    world.corrupt(10, 1, 1);
    world.changed(20, finalized(1, 1, 99));
    world.tick();
    assert_eq!(world.removals(), []);
    assert_eq!((world.located(1), world.sums().missing_blocks), (vec![], 1));
    // A good one turns up again.
    world.changed(20, finalized(1, 1, 100));
    world.tick();
    assert_eq!(world.removals(), [(10, 1, 1)]);
    assert_eq!((world.located(1), world.sums().missing_blocks), (vec![20], 0));
}

#[test]
fn a_stale_finalized_replica_that_has_all_the_bytes_is_made_current() {
    let mut world = World::new(2);
    world.open(1, 2, &[10, 20]);
    world.seal(1, sealed(2, 2, 80), &[20]);
    world.changed(20, finalized(1, 2, 80));
    world.commands();
    // The member for whose failure the generation was raised comes back with more than was kept.
    world.report_all(1, &[finalized(1, 1, 100)]);
    assert_eq!(finalizations(&world.commands()), [(10, 1, 2, 80)]);
    world.changed(10, finalized(1, 2, 80));
    assert_eq!((world.located(1), world.sums().under_replicated_blocks), (vec![10, 20], 0));
    assert_eq!(world.removals(), []);
}

#[test]
fn only_the_datanode_of_a_volume_speaks_for_it() {
    let mut world = World::new(2);
    world.good_block(1, 2, &[10, 20]);
    assert!(!world.blocks.block_report(DatanodeId(2), VolumeId(10), 1, 0, true, &[]));
    let removed = ReplicaChange::Removed(VolumeId(10), BlockId(1), GenerationStamp(1));
    assert!(!world.blocks.replicas_changed(DatanodeId(2), &[removed]));
    assert!(!world.blocks.replicas_changed(DatanodeId(9), &[removed]));
    let mut thief = world.endpoint(2);
    thief.id = DatanodeId(1);
    assert!(!world.blocks.register(thief.clone(), vec![], world.now), "an id that is in use");
    thief.id = DatanodeId(3);
    assert!(!world.blocks.register(thief, vec![volume_report(10)], world.now), "a volume that is in use");
    assert_eq!(world.located(1), [10, 20]);
}

#[test]
fn a_removal_of_what_was_replaced_does_not_hide_the_new_replica() {
    let mut world = World::new(1);
    world.open(1, 1, &[10]);
    world.seal(1, sealed(1, 2, 100), &[10]);
    world.changed(10, finalized(1, 2, 100));
    let removed = ReplicaChange::Removed(VolumeId(10), BlockId(1), GenerationStamp(1));
    assert!(world.blocks.replicas_changed(DatanodeId(1), &[removed]));
    assert_eq!(world.located(1), [10]);
}

#[test]
fn a_datanode_that_returns_with_another_volume_holds_nothing() {
    let mut world = World::new(3);
    world.good_block(1, 2, &[10, 20]);
    assert!(world.blocks.register(world.endpoint(1), vec![volume_report(11)], world.now));
    assert_eq!((world.located(1), world.sums().under_replicated_blocks), (vec![20], 1));
    let statuses = world.blocks.datanodes(world.now);
    assert_eq!(statuses[0].volumes.iter().map(|v| v.volume.0).collect::<Vec<_>>(), [11]);
    world.tick();
    let (from, block, to) = the_copy(&world.commands());
    assert_eq!((from, block, to.len()), (20, 1, 1));
}

#[test]
fn the_same_volume_emptied_is_noticed_by_its_report() {
    let mut world = World::new(2);
    world.good_block(1, 2, &[10, 20]);
    world.register(1);
    world.report_all(1, &[]);
    assert_eq!((world.located(1), world.sums().replicas_live), (vec![20], 1));
}
