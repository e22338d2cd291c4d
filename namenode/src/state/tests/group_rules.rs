//! Coded groups, by example.

use super::fixture::*;
use super::invariants;
use crate::command::Action;
use crate::state::{self, Effect, GroupState};
use granary_protocol::block::BlockKind;
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::GroupId;
use granary_protocol::*;

const CLASS: StorageClass = StorageClass::StandardIa;

/// A store with objects `a`, `b`, … that own one block each, of these lengths.
fn store_with(lengths: &[u32]) -> (Store, Vec<BlockId>) {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let mut blocks = Vec::new();
    for (at, length) in lengths.iter().enumerate() {
        let content = writer.own(&mut store, &[*length]);
        blocks.push(content.extents[0].block);
        store.put_outcome(put(&name(at), Some(content), u64::from(*length)));
    }
    (store, blocks)
}

fn name(at: usize) -> String {
    char::from(b'a' + at as u8).to_string()
}

/// The group just formed.
fn form(store: &mut Store, data: &[BlockId], parity: u8) -> GroupId {
    store.done(Action::FormGroup { class: CLASS, data: data.to_vec(), parity });
    let formed = store.effects.iter().find_map(|effect| match effect {
        Effect::GroupChanged { group, record: Some(_) } => Some(*group),
        _ => None,
    });
    formed.unwrap()
}

fn wanted(store: &Store, block: BlockId) -> u8 {
    store.block(block).unwrap().replicas_wanted
}

#[test]
fn replicas_are_given_up_by_the_commit_and_not_before() {
    let (mut store, blocks) = store_with(&[100, 70, 90]);
    let group = form(&mut store, &blocks, 2);
    let record = state::get_group(store.view(), group).unwrap().unwrap();
    assert_eq!((record.state, record.data.len(), record.parity.len()), (GroupState::Encoding, 3, 2));
    for member in &record.parity {
        let parity = store.block(member.block).unwrap();
        assert_eq!((parity.kind, parity.length, parity.replicas_wanted), (BlockKind::Parity, 100, 1));
        assert_eq!(state::group_of(store.view(), member.block).unwrap(), Some(group));
    }
    assert!(blocks.iter().all(|block| wanted(&store, *block) == 3));
    invariants::check(store.view(), &store.told);
    store.done(Action::CommitGroup { group });
    assert!(blocks.iter().all(|block| wanted(&store, *block) == 1));
    // Its answer may have been lost.
    store.done(Action::CommitGroup { group });
    assert_eq!(store.refused(Action::DropGroup { group }), ErrorCode::Conflict);
    store.done(Action::ReleaseGroup { group, replicas_wanted: 3 });
    assert!(blocks.iter().all(|block| wanted(&store, *block) == 3));
    assert_eq!(store.refused(Action::CommitGroup { group }), ErrorCode::Conflict);
    store.done(Action::DropGroup { group });
    assert_eq!(state::counters(store.view()).unwrap().blocks, 3);
    assert_eq!(state::group_of(store.view(), blocks[0]).unwrap(), None);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_dead_member_stays_until_the_group_goes() {
    let (mut store, blocks) = store_with(&[100, 70, 90]);
    let group = form(&mut store, &blocks, 1);
    store.done(Action::CommitGroup { group });
    store.delete("a", None);
    assert_eq!(store.block(blocks[0]).unwrap().live_bytes, 0);
    assert_eq!(store.block(blocks[0]).unwrap().length, 100, "others may need its bytes");
    invariants::check(store.view(), &store.told);
    store.done(Action::ReleaseGroup { group, replicas_wanted: 2 });
    assert_eq!((wanted(&store, blocks[0]), wanted(&store, blocks[1])), (1, 2), "the dead need no replicas");
    store.done(Action::DropGroup { group });
    assert_eq!(store.block(blocks[0]), None);
    assert!(store.block(blocks[1]).is_some() && store.block(blocks[2]).is_some());
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_group_goes_with_its_last_living_byte() {
    for committed in [false, true] {
        let (mut store, blocks) = store_with(&[100, 70]);
        let group = form(&mut store, &blocks, 2);
        if committed {
            store.done(Action::CommitGroup { group });
        }
        store.delete("a", None);
        store.delete("b", None);
        let removed = store.effects.iter().filter(|effect| matches!(effect, Effect::BlockRemoved { .. })).count();
        assert_eq!(removed, 4, "both data blocks and both parity blocks");
        assert_eq!(state::get_group(store.view(), group).unwrap(), None);
        let counters = state::counters(store.view()).unwrap();
        assert_eq!((counters.blocks, counters.block_bytes, counters.live_bytes), (0, 0, 0));
        assert_eq!(store.refused(Action::CommitGroup { group }), ErrorCode::NoSuchEntity);
        invariants::check(store.view(), &store.told);
    }
}

#[test]
fn only_sealed_data_blocks_in_no_group_are_coded() {
    let (mut store, blocks) = store_with(&[100, 70]);
    let mut writer = Writer::new(&mut store, "other");
    let open = writer.pack(&mut store, 10).extents[0].block;
    let form_of = |data: &[BlockId], parity| Action::FormGroup { class: CLASS, data: data.to_vec(), parity };
    assert_eq!(store.refused(form_of(&[blocks[0], open], 1)), ErrorCode::InvalidArgument);
    assert_eq!(store.refused(form_of(&[blocks[0], blocks[0]], 1)), ErrorCode::InvalidArgument);
    assert_eq!(store.refused(form_of(&[], 1)), ErrorCode::InvalidArgument);
    assert_eq!(store.refused(form_of(&blocks, 0)), ErrorCode::InvalidArgument);
    assert_eq!(store.refused(form_of(&[BlockId(999)], 1)), ErrorCode::StaleGeneration);
    let group = form(&mut store, &blocks, 1);
    assert_eq!(store.refused(form_of(&blocks[..1], 1)), ErrorCode::Conflict);
    let parity = state::get_group(store.view(), group).unwrap().unwrap().parity[0].block;
    assert_eq!(store.refused(form_of(&[parity], 1)), ErrorCode::InvalidArgument);
    assert_eq!(store.apply(Action::DropGroup { group }), Ok(NamenodeReply::Done));
    invariants::check(store.view(), &store.told);
}
