//! Which packed blocks are handed to compactors.

use super::fixture::*;
use crate::state::BlockRecord;
use granary_protocol::block::BlockKind;
use granary_protocol::{BlockId, LeaseId, UnixMillis};

const BIG: u32 = 100 << 20;

fn packed(length: u32, live_bytes: u64) -> BlockRecord {
    BlockRecord { live_bytes, ..sealed(1, 1, length) }
}

fn add(world: &mut World, block: u64, record: BlockRecord) {
    world.open(block, 1, &[10]);
    world.seal(block, record, &[10]);
}

#[test]
fn mostly_dead_blocks_are_claimed_once_until_released_or_overdue() {
    let mut world = World::new(1);
    add(&mut world, 1, packed(BIG, u64::from(BIG) / 2));
    add(&mut world, 2, packed(BIG, u64::from(BIG) / 2 - 1));
    let mut owned = packed(BIG, 1);
    owned.kind = BlockKind::Owned;
    world.blocks.apply(&crate::state::Effect::BlockOpened {
        block: BlockId(3),
        record: BlockRecord { kind: BlockKind::Owned, ..record(1, &[10]) },
    });
    world.seal(3, owned, &[10]);
    let (one, two) = (LeaseId(1), LeaseId(2));
    assert_eq!(world.blocks.claim_compaction(one, world.now), Some(BlockId(2)));
    assert_eq!(world.blocks.claim_compaction(two, world.now), None);
    world.blocks.release_claims(one);
    assert_eq!(world.blocks.claim_compaction(two, world.now), Some(BlockId(2)));
    world.now = UnixMillis(world.now.0 + 600_001);
    world.tick();
    world.register(1);
    assert_eq!(world.blocks.claim_compaction(one, world.now), Some(BlockId(2)));
    world.remove(2);
    world.blocks.release_claims(one);
    assert_eq!(world.blocks.claim_compaction(one, world.now), None);
}

#[test]
fn small_blocks_are_merged_when_enough_have_gathered_and_then_all_of_them() {
    let mut world = World::new(1);
    for block in 1..=3 {
        add(&mut world, block, packed(1000, 1000));
    }
    assert_eq!(world.blocks.claim_compaction(LEASE, world.now), None);
    add(&mut world, 4, packed(1000, 1000));
    for block in 1..=4 {
        assert_eq!(world.blocks.claim_compaction(LEASE, world.now), Some(BlockId(block)));
        world.remove(block);
    }
    assert_eq!(world.blocks.claim_compaction(LEASE, world.now), None);
    // What the merge itself leaves is not merged again by itself.
    add(&mut world, 5, packed(4000, 4000));
    assert_eq!(world.blocks.claim_compaction(LEASE, world.now), None);
}

#[test]
fn a_block_nobody_can_read_is_not_handed_out() {
    let mut world = World::new(2);
    world.open(1, 1, &[20]);
    world.seal(1, packed(BIG, 1), &[20]);
    world.pass_without(11_000, &[2]);
    assert_eq!(world.blocks.claim_compaction(LEASE, world.now), None);
}

#[test]
fn writers_are_told_of_their_open_blocks_that_are_mostly_dead() {
    let mut world = World::new(1);
    world.open(1, 1, &[10]);
    world.open(2, 1, &[10]);
    world.change(1, BlockRecord { length: 100, live_bytes: 49, ..record(1, &[10]) });
    world.change(2, BlockRecord { length: 100, live_bytes: 50, ..record(1, &[10]) });
    assert_eq!(world.blocks.to_be_sealed(LEASE), [BlockId(1)]);
    assert_eq!(world.blocks.to_be_sealed(LeaseId(8)), []);
    world.seal(1, packed(100, 49), &[10]);
    assert_eq!(world.blocks.to_be_sealed(LEASE), []);
}

#[test]
fn writers_are_told_of_their_open_blocks_that_are_short_of_replicas() {
    let mut world = World::new(3);
    world.open(1, 3, &[10, 20]);
    world.open(2, 3, &[10, 20, 30]);
    world.change(1, BlockRecord { length: 100, live_bytes: 100, ..record(3, &[10, 20]) });
    world.change(2, BlockRecord { length: 100, live_bytes: 100, ..record(3, &[10, 20, 30]) });
    assert_eq!(world.blocks.to_be_sealed(LEASE), [BlockId(1)], "a third volume could hold a replica");
    world.pass_without(11_000, &[3]);
    assert_eq!(world.blocks.to_be_sealed(LEASE), [], "with the third node gone there is nowhere better");
}
