//! Blocks and leases, by example.

use super::fixture::*;
use super::invariants;
use crate::command::Action;
use crate::state::{self, BlockState, Effect};
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, Extent};
use granary_protocol::namenode::*;
use granary_protocol::record::HEADER_BYTES;
use granary_protocol::*;

const HEADER: u64 = HEADER_BYTES as u64;

fn seal(lease: LeaseId, block: BlockId, length: u32, recovered: bool) -> Action {
    Action::SealBlock { lease, block, length, stored_on: vec![VolumeId(2)], recovered }
}

#[test]
fn commits_raise_what_is_known_of_a_packed_block() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let first = writer.pack(&mut store, 100);
    let second = writer.pack(&mut store, 50);
    let block = first.extents[0].block;
    // In any order.
    store.put_outcome(put("second", Some(second.clone()), 50));
    let record = store.block(block).unwrap();
    assert_eq!((u64::from(record.length), record.live_bytes), (150 + 2 * HEADER, 50 + HEADER));
    store.put_outcome(put("first", Some(first), 100));
    let record = store.block(block).unwrap();
    assert_eq!((u64::from(record.length), record.live_bytes), (150 + 2 * HEADER, 150 + 2 * HEADER));
    store.delete("second", None);
    assert_eq!(store.block(block).unwrap().live_bytes, 100 + HEADER);
    let counters = state::counters(store.view()).unwrap();
    assert_eq!(counters.dead_bytes(), 50 + HEADER);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_sealed_packed_block_takes_what_fits_and_goes_with_its_last_record() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let kept = writer.pack(&mut store, 100);
    let in_flight = writer.pack(&mut store, 50);
    let lost = writer.pack(&mut store, 50);
    let block = kept.extents[0].block;
    store.put_outcome(put("kept", Some(kept), 100));
    let length = 150 + 2 * HEADER as u32;
    assert_eq!(store.refused(seal(writer.lease, block, 99, true)), ErrorCode::InvalidArgument);
    let sealed = Ok(NamenodeReply::Sealed(GenerationStamp(2)));
    assert_eq!(store.apply(seal(writer.lease, block, length, true)), sealed);
    let [Effect::BlockSealed { stored_on, .. }] = store.effects.as_slice() else { panic!("{:?}", store.effects) };
    assert_eq!(*stored_on, [VolumeId(2)]);
    // Its answer may have been lost.
    assert_eq!(store.apply(seal(writer.lease, block, length, true)), sealed);
    assert_eq!(store.refused(seal(writer.lease, block, length + 1, true)), ErrorCode::StaleGeneration);

    store.put_outcome(put("in flight", Some(in_flight), 50));
    assert_eq!(store.refused(put("lost", Some(lost), 50)), ErrorCode::StaleGeneration);
    store.delete("kept", None);
    store.delete("in flight", None);
    assert!(store.effects.iter().any(|effect| matches!(effect, Effect::BlockRemoved { .. })));
    assert_eq!(store.block(block), None);
    invariants::check(store.view(), &store.told);
}

#[test]
fn an_owned_block_is_sealed_by_its_commit() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let content = writer.own(&mut store, &[BLOCK_BYTES_MAX, 10]);
    let [first, last] = content.extents.as_slice() else { unreachable!() };
    let (first, last) = (first.block, last.block);
    let size = u64::from(BLOCK_BYTES_MAX) + 10;
    let mut nowhere = content.clone();
    nowhere.stored_on.clear();
    assert_eq!(store.refused(put("k", Some(nowhere), size)), ErrorCode::InvalidArgument);
    store.put_outcome(put("k", Some(content), size));
    let record = store.block(last).unwrap();
    assert_eq!((record.length, record.live_bytes, record.attached), (10, 10, true));
    assert_eq!(record.state, BlockState::Sealed);
    let again = NewContent {
        content: writer.name(),
        extents: vec![Extent { block: last, offset: 0, length: 10 }],
        stored_on: vec![(last, vec![VolumeId(1)])],
    };
    assert_eq!(store.refused(put("again", Some(again), 10)), ErrorCode::StaleGeneration);
    store.delete("k", None);
    assert_eq!((store.block(first), store.block(last)), (None, None));
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_recovered_owned_block_waits_for_its_commit() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let mut content = writer.own(&mut store, &[1000]);
    let block = content.extents[0].block;
    store.apply(seal(writer.lease, block, 600, true)).unwrap();
    assert!(!store.block(block).unwrap().attached);
    invariants::check(store.view(), &store.told);
    assert_eq!(store.refused(put("k", Some(content.clone()), 1000)), ErrorCode::StaleGeneration);
    content.extents[0].length = 600;
    let rest = store.allocate(writer.lease, BlockKind::Owned);
    content.extents.push(Extent { block: rest, offset: 0, length: 400 });
    content.stored_on.push((rest, vec![VolumeId(1)]));
    store.put_outcome(put("k", Some(content), 1000));
    assert_eq!(store.get("k", None, Window::Range { first: 0, last: None }).unwrap().extents.len(), 2);

    let unused = writer.own(&mut store, &[5]).extents[0].block;
    store.apply(seal(writer.lease, unused, 5, true)).unwrap();
    store.done(Action::ExpireLease { lease: writer.lease });
    assert_eq!(store.block(unused), None);
    invariants::check(store.view(), &store.told);
}

#[test]
fn the_end_of_a_lease_keeps_what_was_committed() {
    for how in 0..3 {
        let mut store = Store::new();
        let mut writer = Writer::new(&mut store, "writer");
        let kept = writer.pack(&mut store, 100);
        let late = writer.pack(&mut store, 100);
        let block = kept.extents[0].block;
        let unused = [store.allocate(writer.lease, BlockKind::Packed), store.allocate(writer.lease, BlockKind::Owned)];
        store.put_outcome(put("kept", Some(kept), 100));
        let lease = writer.lease;
        match how {
            0 => store.done(Action::ExpireLease { lease }),
            1 => store.done(Action::CloseLease { lease }),
            _ => drop(store.open_lease("writer")),
        }
        let record = store.block(block).unwrap();
        assert_eq!(
            (record.state, record.generation, u64::from(record.length)),
            (BlockState::Sealed, GenerationStamp(2), 100 + HEADER)
        );
        for block in unused {
            assert_eq!(store.block(block), None);
        }
        assert_eq!(store.refused(put("late", Some(late), 100)), ErrorCode::LeaseExpired);
        assert_eq!(store.refused(seal(lease, block, 100, false)), ErrorCode::LeaseExpired);
        assert_eq!(state::get_lease(store.view(), lease).unwrap(), None);
        invariants::check(store.view(), &store.told);
    }
}

#[test]
fn extents_that_cannot_be_are_refused() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let mut other = Writer::new(&mut store, "other");
    let good = writer.pack(&mut store, 100);
    let block = good.extents[0].block;
    let mut commit = |writer: &mut Writer, extents: Vec<Extent>, size| {
        let content = NewContent { content: writer.name(), extents, stored_on: Vec::new() };
        store.refused(put("bad", Some(content), size))
    };
    let at = |offset, length| vec![Extent { block, offset, length }];
    assert_eq!(commit(&mut writer, at(31, 10), 10), ErrorCode::InvalidArgument);
    assert_eq!(commit(&mut writer, at(32, 0), 0), ErrorCode::InvalidArgument);
    assert_eq!(commit(&mut writer, at(BLOCK_BYTES_MAX, 1), 1), ErrorCode::InvalidArgument);
    assert_eq!(commit(&mut writer, at(u32::MAX, 2), 2), ErrorCode::InvalidArgument);
    assert_eq!(commit(&mut writer, at(32, 10), 11), ErrorCode::InvalidArgument);
    assert_eq!(commit(&mut writer, vec![], 5), ErrorCode::InvalidArgument);
    assert_eq!(
        commit(&mut writer, vec![Extent { block: BlockId(99), offset: 32, length: 1 }], 1),
        ErrorCode::StaleGeneration
    );
    assert_eq!(commit(&mut other, at(32, 10), 10), ErrorCode::LeaseExpired);
    let own = NewContent { content: ContentId(1 << 63), extents: at(32, 10), stored_on: Vec::new() };
    assert_eq!(store.refused(put("bad", Some(own), 10)), ErrorCode::InvalidArgument);
    store.put_outcome(put("k", Some(good), 100));
    let over = NewContent { content: writer.name(), extents: at(32, 100), stored_on: Vec::new() };
    assert_eq!(store.refused(put("overlap", Some(over), 100)), ErrorCode::InvalidArgument);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_move_checks_where_the_record_is() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let content = writer.pack(&mut store, 100);
    let (name, from) = (content.content, content.extents[0]);
    store.put_outcome(put("k", Some(content), 100));
    store.apply(seal(writer.lease, from.block, 100 + HEADER as u32, false)).unwrap();
    writer.packed = None;
    let to = writer.place(&mut store, 100);
    let wrong = Extent { offset: from.offset + 1, ..from };
    let moves = vec![
        ContentMove { content: name, from: wrong, to },
        ContentMove { content: ContentId(77), from, to },
        ContentMove { content: name, from, to },
    ];
    let lease = writer.lease;
    let reply = store.apply(Action::RelocateContents { lease, moves: moves.clone() });
    assert_eq!(reply, Ok(NamenodeReply::Alive(vec![false, false, true])));
    assert_eq!(store.block(from.block), None, "the emptied block goes");
    assert_eq!(store.get("k", None, Window::Range { first: 0, last: None }).unwrap().extents[0].extent, to);
    assert_eq!(state::records_alive(store.view(), &[(name, from), (name, to)]).unwrap(), [false, true]);
    let shorter = ContentMove { content: name, from: to, to: Extent { length: 99, ..to } };
    let refused = store.refused(Action::RelocateContents { lease, moves: vec![shorter] });
    assert_eq!(refused, ErrorCode::InvalidArgument);
    store.done(Action::CloseLease { lease });
    assert_eq!(store.refused(Action::RelocateContents { lease, moves }), ErrorCode::LeaseExpired);
    invariants::check(store.view(), &store.told);
}

#[test]
fn blocks_are_told_of_once_a_command() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let mut objects = Vec::new();
    for number in 0..20 {
        let key = format!("key-{number}");
        let content = writer.pack(&mut store, 10);
        store.put_outcome(put(&key, Some(content), 10));
        objects.push(target(&key, None));
    }
    store.apply(delete_all(objects)).unwrap();
    let [Effect::BlockChanged { record, .. }] = store.effects.as_slice() else { panic!("{:?}", store.effects) };
    assert_eq!(record.live_bytes, 0);
    invariants::check(store.view(), &store.told);
}

#[test]
fn a_command_refused_half_way_leaves_nothing() {
    let mut store = Store::new();
    let mut writer = Writer::new(&mut store, "writer");
    let mut content = writer.own(&mut store, &[100, 100]);
    let fine = writer.pack(&mut store, 100);
    content.extents.insert(1, fine.extents[0]);
    content.extents.push(Extent { block: BlockId(99), offset: 0, length: 1 });
    // Two blocks are sealed and one has a new record when the last extent turns out to be bad; `refused` compares rows.
    assert_eq!(store.refused(put("k", Some(content.clone()), 301)), ErrorCode::StaleGeneration);
    invariants::check(store.view(), &store.told);
    content.extents.pop();
    store.put_outcome(put("k", Some(content), 300));
    invariants::check(store.view(), &store.told);
}
