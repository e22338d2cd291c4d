//! Sealing: what the writer says, what the datanodes say, in whatever order.

use super::fixture::*;
use granary_protocol::block::Extent;
use granary_protocol::namenode::{DatanodeCommand, ReplicaState};
use granary_protocol::token::{AccessMode, TOKEN_LIFETIME_MS};
use granary_protocol::{BlockId, GenerationStamp, UnixMillis};

#[test]
fn members_that_the_writer_names_count_at_once_and_others_are_told_to_finalize() {
    let mut world = World::new(4);
    world.open(1, 3, &[10, 20, 30]);
    world.seal(1, sealed(3, 1, 100), &[10, 20]);
    assert_eq!(finalizations(&world.commands()), [(30, 1, 1, 100)]);
    assert_eq!(world.sums().replicas_live, 2);
    // It is given the time to do so before the block is copied elsewhere.
    world.tick();
    assert_eq!(world.commands(), []);
    world.changed(30, finalized(1, 1, 100));
    world.tick();
    assert_eq!((world.commands(), world.sums().under_replicated_blocks), (vec![], 0));
}

#[test]
fn a_member_that_finalized_before_the_commit_is_not_asked_again() {
    let mut world = World::new(3);
    world.open(1, 3, &[10, 20, 30]);
    for volume in [10, 20, 30] {
        world.changed(volume, finalized(1, 1, 100));
    }
    world.seal(1, sealed(3, 1, 100), &[10, 20]);
    assert_eq!(world.commands(), []);
    assert_eq!((world.located(1), world.sums().under_replicated_blocks), (vec![10, 20, 30], 0));
}

#[test]
fn a_member_that_never_finalizes_is_replaced() {
    let mut world = World::new(4);
    world.open(1, 3, &[10, 20, 30]);
    world.seal(1, sealed(3, 1, 100), &[10, 20]);
    world.commands();
    world.pass(31_000);
    world.tick();
    let (_, block, to) = the_copy(&world.commands());
    assert_eq!((block, to.len()), (1, 1));
    assert_eq!(world.located(1), [10, 20], "readers are not sent to a replica nobody has heard of");
}

#[test]
fn a_raised_generation_makes_survivors_count_when_they_say_so() {
    let mut world = World::new(3);
    world.open(1, 3, &[10, 20, 30]);
    world.seal(1, sealed(3, 2, 80), &[10, 20]);
    assert_eq!(world.sums().replicas_live, 0, "nobody has the new generation yet");
    assert_eq!(finalizations(&world.commands()), [(10, 1, 2, 80), (20, 1, 2, 80)]);
    world.changed(10, finalized(1, 2, 80));
    world.changed(20, finalized(1, 2, 80));
    assert_eq!((world.located(1), world.sums().replicas_live), (vec![10, 20], 2));
    // The failed member still has its open replica; its first bytes are the block's.
    world.report_all(3, &[replica(1, 1, 90, ReplicaState::Recovering)]);
    assert_eq!(finalizations(&world.commands()), [(30, 1, 2, 80)]);
}

#[test]
fn a_lease_that_ends_has_every_member_finalize() {
    let mut world = World::new(2);
    world.open(1, 2, &[10, 20]);
    let mut committed = record(2, &[10, 20]);
    (committed.length, committed.live_bytes) = (60, 60);
    world.change(1, committed);
    assert_eq!(world.located(1), [10, 20]);
    world.seal(1, sealed(2, 2, 60), &[]);
    assert_eq!(finalizations(&world.commands()), [(10, 1, 2, 60), (20, 1, 2, 60)]);
}

#[test]
fn sealing_with_a_dead_member_leads_to_a_copy_and_its_return_is_settled() {
    let mut world = World::new(4);
    world.open(1, 3, &[10, 20, 30]);
    world.pass_without(11_000, &[3]);
    world.seal(1, sealed(3, 1, 100), &[10, 20, 30]);
    assert_eq!((world.sums().replicas_live, world.sums().under_replicated_blocks), (2, 1));
    world.tick();
    let (_, _, to) = the_copy(&world.commands());
    assert_eq!(to, [40]);
    world.changed(40, finalized(1, 1, 100));
    assert_eq!(world.sums().under_replicated_blocks, 0);
    world.register(3);
    world.report_all(3, &[finalized(1, 1, 100)]);
    assert_eq!(world.sums().over_replicated_blocks, 1);
}

#[test]
fn tokens_allow_what_was_asked_with_the_newest_key_that_has_spread() {
    let rotation = crate::blocks::KEY_ROTATION_MS;
    let mut world = World::new(1);
    world.good_block(1, 1, &[10]);
    let now = world.now.0;
    let (old, new) = (key(1, now + rotation), key(2, now + 2 * rotation));
    world.blocks.set_keys(vec![old.clone(), new.clone()]);
    let extent = Extent { block: BlockId(1), offset: 32, length: 8 };
    let signed =
        |world: &World, now: u64| world.blocks.locate(extent, AccessMode::Read, UnixMillis(now)).unwrap().token;
    let token = signed(&world, now);
    assert_eq!((token.key_id, token.extent, token.mode), (1, extent, AccessMode::Read), "datanodes lack the new key");
    assert_eq!(token.expires, UnixMillis(now + TOKEN_LIFETIME_MS));
    assert_eq!(token.verify(&[old, new.clone()], extent, AccessMode::Read, world.now), Ok(()));
    assert_eq!(signed(&world, now + 60_000).key_id, 2);
    world.blocks.set_keys(vec![key(1, now + 1), new]);
    assert_eq!(signed(&world, now).key_id, 2, "a key about to end signs nothing");

    world.open(2, 1, &[10]);
    let write = world.blocks.locate_for_write(BlockId(2), world.now).unwrap();
    assert_eq!(
        (write.token.mode, write.token.extent.offset, write.token.extent.length),
        (AccessMode::Write, 0, 128 << 20)
    );
    assert_eq!((write.generation, write.token.generation), (GenerationStamp(1), GenerationStamp(1)));
}

#[test]
fn a_copy_carries_a_token_for_the_whole_block() {
    let mut world = World::new(2);
    world.open(1, 2, &[10]);
    world.seal(1, sealed(2, 1, 100), &[10]);
    world.tick();
    let commands = world.commands();
    let [DatanodeCommand::Copy { token, generation, length, .. }] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!((token.mode, token.extent.offset, token.extent.length), (AccessMode::Copy, 0, 128 << 20));
    assert_eq!((*generation, *length), (GenerationStamp(1), 100));
}
