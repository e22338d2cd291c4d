//! Only a leader orders, and only on what it was told as leader.

use super::fixture::*;
use granary_protocol::DatanodeId;
use granary_protocol::namenode::ReplicaState;

#[test]
fn a_follower_orders_nothing_and_remembers_no_orders() {
    let mut world = World::new(3);
    world.good_block(1, 3, &[10]);
    world.blocks.set_leading(false, world.now);
    world.tick();
    // A block that this follower has not applied the allocation of yet.
    world.report_all(1, &[finalized(1, 1, 100), replica(50, 1, 0, ReplicaState::Open)]);
    world.remove(1);
    assert_eq!(world.commands(), []);
    world.open(50, 3, &[10]);
    world.blocks.set_leading(true, world.now);
    assert_eq!(world.commands(), [], "what it thought garbage as a follower is not removed by the leader");
}

#[test]
fn a_new_leader_asks_everybody_to_register_and_report() {
    let mut world = World::new(2);
    world.good_block(1, 1, &[10, 20]);
    world.blocks.set_leading(false, world.now);
    world.blocks.set_leading(true, world.now);
    for node in [1, 2] {
        assert_eq!(world.heartbeat(node), None);
        world.register(node);
        assert!(world.heartbeat(node).is_some());
    }
    assert_eq!(world.located(1), [10, 20], "readers are served meanwhile");
}

#[test]
fn a_new_leader_does_not_repeat_the_old_ones_removals_on_other_replicas() {
    let mut world = World::new(2);
    world.good_block(1, 1, &[10, 20]);
    world.blocks.set_leading(false, world.now);
    world.blocks.set_leading(true, world.now);
    for node in [1, 2] {
        world.register(node);
    }
    world.report_all(2, &[finalized(1, 1, 100)]);
    world.pass(SETTLED_MS);
    world.tick();
    assert_eq!(world.removals(), [], "the old leader may have had volume 10 remove its replica");
    world.report_all(1, &[]);
    world.pass(SETTLED_MS);
    world.tick();
    assert_eq!((world.removals(), world.located(1)), (vec![], vec![20]));
}

#[test]
fn surplus_waits_until_a_new_leader_has_settled() {
    let mut world = World::new(2);
    world.good_block(1, 1, &[10, 20]);
    world.blocks.set_leading(false, world.now);
    world.blocks.set_leading(true, world.now);
    for node in [1, 2] {
        world.register(node);
        world.report_all(node, &[finalized(1, 1, 100)]);
    }
    world.tick();
    assert_eq!(world.removals(), []);
    world.pass(SETTLED_MS);
    world.tick();
    assert_eq!(world.removals().len(), 1);
}

#[test]
fn clearing_forgets_blocks_and_keeps_datanodes() {
    let mut world = World::new(2);
    world.good_block(1, 2, &[10, 20]);
    world.blocks.clear();
    assert_eq!((world.sums().blocks, world.located(1)), (0, vec![]));
    assert_eq!(world.heartbeat(1), None);
    world.blocks.restore(granary_protocol::BlockId(1), &sealed(2, 1, 100));
    assert_eq!((world.sums().missing_blocks, world.sums().replicas_wanted), (1, 2));
    for node in [1, 2] {
        world.register(node);
        world.report_all(node, &[finalized(1, 1, 100)]);
    }
    assert_eq!((world.sums().missing_blocks, world.located(1)), (0, vec![10, 20]));
}

#[test]
fn an_open_block_restored_before_its_datanodes_register_counts_them_when_they_do() {
    let mut world = World::new(1);
    world.blocks.clear();
    let mut open = record(1, &[77]);
    open.length = 10;
    world.blocks.restore(granary_protocol::BlockId(1), &open);
    assert_eq!(world.sums().missing_blocks, 1);
    let mut endpoint = world.endpoint(1);
    (endpoint.id, endpoint.name) = (DatanodeId(7), "datanode-7".into());
    assert!(world.blocks.register(endpoint, vec![volume_report(77)], world.now));
    assert_eq!((world.sums().missing_blocks, world.located(1)), (0, vec![77]));
}

#[test]
fn a_restarted_datanode_with_fewer_volumes_than_its_heartbeat_names_must_register() {
    let mut world = World::new(1);
    let unknown = vec![volume_report(10), volume_report(11)];
    assert!(!world.blocks.heartbeat(DatanodeId(1), unknown, world.now));
    assert!(!world.blocks.heartbeat(DatanodeId(5), vec![], world.now));
}
