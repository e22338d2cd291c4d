//! Volumes of different media: where blocks of each class are written, and how they move when their class changes.

use super::fixture::*;
use crate::redundancy::{ClassConfig, ClassPolicies};
use crate::state::BlockRecord;
use granary_protocol::namenode::DatanodeCommand;
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::ClassStatus;
use std::collections::BTreeMap;

const LENGTH: u32 = 100;

/// Four nodes with a disk each (10, 20, …), of which the first `archives` have an archive volume too (11, 21, …). Archived
/// blocks are whole copies.
fn world(archives: u64) -> World {
    let volumes: Vec<u64> = (1..=archives).map(|node| node * 10 + 1).collect();
    let mut world = World::with_archives((1..=4).map(|node| (node, "/rack-1", 2)).collect(), &volumes);
    let copies = ClassConfig { redundancy: Some("replicas-3".parse().unwrap()), media: None };
    world.blocks.policies = ClassPolicies::new(3, &BTreeMap::from([("GLACIER".to_owned(), copies)])).unwrap();
    world
}

fn of_class(class: StorageClass) -> BlockRecord {
    BlockRecord { class, ..sealed(3, 1, LENGTH) }
}

fn status(world: &World, class: StorageClass) -> ClassStatus {
    world.blocks.class_report().classes.into_iter().find(|status| status.class == class.name()).unwrap()
}

/// Has every order carried out until nothing is ordered any more. Returns the copies made: block, to.
fn settle(world: &mut World) -> Vec<(u64, u64)> {
    let mut copies = Vec::new();
    for _ in 0..200 {
        world.pass(1_000);
        world.tick();
        for command in world.commands() {
            match command {
                DatanodeCommand::Copy { block, length, targets, .. } => {
                    for target in targets {
                        copies.push((block.0, target.volume.0));
                        world.changed(target.volume.0, finalized(block.0, 1, length));
                    }
                }
                DatanodeCommand::Remove { volume, replicas } => {
                    for (block, generation) in replicas {
                        let gone = granary_protocol::namenode::ReplicaChange::Removed(volume, block, generation);
                        world.told(volume.0, gone);
                    }
                }
                other => panic!("{other:?} was not expected"),
            }
        }
    }
    copies
}

#[test]
fn a_class_is_written_where_it_belongs() {
    let mut world = world(3);
    let mut targets = |class| {
        let volumes = world.blocks.choose_targets(3, class, None, &[]);
        sorted(&volumes.iter().map(|volume| volume.0).collect::<Vec<_>>())
    };
    for _ in 0..20 {
        assert_eq!(targets(StorageClass::DeepArchive), [11, 21, 31]);
        assert!(targets(StorageClass::Standard).iter().all(|volume| ![11, 21, 31].contains(volume)));
    }
}

#[test]
fn a_block_that_is_archived_moves_to_archive_volumes_and_back() {
    let mut world = world(3);
    world.good_block(1, 3, &[10, 20, 40]);
    assert_eq!(settle(&mut world), []);
    world.change(1, of_class(StorageClass::Glacier));
    assert_eq!(status(&world, StorageClass::Glacier).other_media_bytes, 3 * u64::from(LENGTH));
    assert_eq!(settle(&mut world).len(), 3, "each replica moves once");
    assert_eq!(world.located(1), [11, 21, 31]);
    assert_eq!(status(&world, StorageClass::Glacier).other_media_bytes, 0);
    world.change(1, of_class(StorageClass::Standard));
    assert_eq!(settle(&mut world).len(), 3);
    assert!(world.located(1).iter().all(|volume| ![11, 21, 31].contains(volume)));
    assert_eq!((world.sums().under_replicated_blocks, world.sums().over_replicated_blocks), (0, 0));
}

#[test]
fn the_right_media_is_not_worth_a_failure_domain() {
    // One archive volume: the other replicas stay on nodes of their own, and nothing goes round in circles.
    let mut world = world(1);
    world.good_block(1, 3, &[20, 30, 40]);
    world.change(1, of_class(StorageClass::Glacier));
    assert_eq!(settle(&mut world), [(1, 11)]);
    let located = world.located(1);
    assert!(located.contains(&11) && located.len() == 3 && !located.contains(&10), "{located:?}");
    assert_eq!(status(&world, StorageClass::Glacier).other_media_bytes, 2 * u64::from(LENGTH));
}

#[test]
fn without_volumes_of_a_media_all_will_do() {
    let mut world = world(0);
    world.good_block(1, 3, &[10, 20, 30]);
    world.change(1, of_class(StorageClass::Glacier));
    assert_eq!(settle(&mut world), []);
    let status = status(&world, StorageClass::Glacier);
    assert_eq!((status.other_media_bytes, status.has_media, status.media.as_str()), (0, false, "archive"));
}
