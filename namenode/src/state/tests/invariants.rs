//! Recounts the whole state from its rows and compares with what it keeps.

use crate::engine::Engine;
use crate::state::filesystem::{Attributes, DetachedRecord, OpenFileRecord};
use crate::state::layout;
use crate::state::path::{self, EntryRow};
use crate::state::records::*;
use crate::state::{self, view};
use bytes::Bytes;
use granary_protocol::block::BlockKind;
use granary_protocol::object::StorageClass;
use granary_protocol::record::HEADER_BYTES;
use granary_protocol::*;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

fn rows(engine: &dyn Engine, table: u8) -> Vec<(Bytes, Bytes)> {
    engine.scan(&[table], Some(&[table + 1])).map(|pair| pair.unwrap()).collect()
}

fn records<T: DeserializeOwned>(engine: &dyn Engine, table: u8) -> BTreeMap<u64, T> {
    let decode = |(key, value): &(Bytes, Bytes)| (layout::last_number(key).unwrap(), view::decode(key, value).unwrap());
    rows(engine, table).iter().map(decode).collect()
}

fn directory_of(key: &[u8]) -> DirectoryId {
    DirectoryId(u64::from_be_bytes(*key[1..].first_chunk::<8>().unwrap()))
}

#[derive(Default, Debug, PartialEq, Eq, Clone, Copy)]
struct Rows {
    entries: u64,
    listed: u64,
}

/// Panics where anything is counted, shared or kept wrongly.
pub fn check(engine: &dyn Engine, told: &BTreeMap<BlockId, BlockRecord>) {
    let counters = state::counters(engine).unwrap();
    let mut references = BTreeMap::<ContentId, u32>::new();
    check_tree(engine, &counters, &mut references);
    check_versions(engine, &mut references);
    check_uploads(engine, &mut references);
    for record in records::<OpenFileRecord>(engine, layout::OPEN_FILE).values() {
        refer(&mut references, record.base);
    }
    check_contents(engine, &counters, references);
    check_classes(engine);
    check_restores(engine);
    check_blocks(engine, &counters, told);
    check_users(engine, &counters);
    check_events(engine, &counters);
    check_documents(engine);
    check_files(engine);
}

fn refer(references: &mut BTreeMap<ContentId, u32>, content: Option<ContentId>) {
    if let Some(content) = content {
        *references.entry(content).or_default() += 1;
    }
}

fn check_tree(engine: &dyn Engine, counters: &Counters, references: &mut BTreeMap<ContentId, u32>) {
    let mut found = BTreeMap::<DirectoryId, Rows>::new();
    let mut directories = BTreeMap::<DirectoryId, (DirectoryId, DirectoryRecord)>::new();
    let mut objects = Vec::new();
    for (key, value) in rows(engine, layout::ENTRY) {
        let parent = directory_of(&key);
        let rows = found.entry(parent).or_default();
        rows.entries += 1;
        match path::decode_entry(&key, &value).unwrap() {
            EntryRow::Directory(record) => {
                assert!(key.ends_with(b"/"));
                rows.listed += u64::from(record.listed);
                assert!(directories.insert(record.id, (parent, record)).is_none());
            }
            EntryRow::Object(_) => {
                assert!(!key[9..].contains(&b'/'));
                let head = path::decode_object_head(&key, &value).unwrap();
                rows.listed += u64::from(!head.delete_marker);
                refer(references, head.content);
                objects.push((parent, head));
            }
        }
    }
    for (key, _) in rows(engine, layout::OPEN_NAME) {
        found.entry(directory_of(&key)).or_default().entries += 1;
    }
    let mut counts: BTreeMap<u64, DirectoryCounts> = records(engine, layout::DIRECTORY_COUNTS).into_iter().collect();
    for id in records::<DetachedRecord>(engine, layout::DETACHED).keys() {
        counts.remove(id);
    }
    assert!(counts.keys().eq(directories.keys().map(|id| &id.0)), "counts of directories: {counts:?}");
    for (id, (_, record)) in &directories {
        let rows = found.remove(id).unwrap_or_default();
        let counts = counts[&id.0];
        assert_eq!(rows, Rows { entries: counts.entries, listed: counts.listed });
        assert_eq!(record.listed, rows.listed > 0);
        assert!(rows.entries > 0, "an empty directory stays");
    }
    // Trees that were deleted and whose rows are not all gone yet.
    let detached: BTreeMap<DirectoryId, DetachedRecord> =
        records(engine, layout::DETACHED).into_iter().map(|(id, record)| (DirectoryId(id), record)).collect();
    found.retain(|id, _| !detached.contains_key(id));
    let root_of = |mut directory: DirectoryId| {
        while let Some((parent, _)) = directories.get(&directory) {
            directory = *parent;
        }
        match detached.get(&directory) {
            Some(record) => record.root,
            None => Some(directory),
        }
    };
    let mut sums = BTreeMap::<DirectoryId, BucketCounts>::new();
    let buckets = rows(engine, layout::BUCKET);
    for (key, value) in &buckets {
        let record: BucketRecord = view::decode(key, value).unwrap();
        let rows = found.remove(&record.head.root).unwrap_or_default();
        let counts = BucketCounts { entries: rows.entries, listed: rows.listed, ..BucketCounts::default() };
        sums.insert(record.head.root, counts);
    }
    assert!(found.is_empty(), "entries in directories that do not exist: {found:?}");
    let mut total = (0, 0);
    for (parent, head) in objects.iter().filter(|(_, head)| !head.delete_marker) {
        if let Some(counts) = root_of(*parent).and_then(|root| sums.get_mut(&root)) {
            counts.objects += 1;
            counts.bytes += head.size;
        }
        total = (total.0 + 1, total.1 + head.size);
    }
    let stored: BTreeMap<DirectoryId, BucketCounts> =
        records(engine, layout::BUCKET_COUNTS).into_iter().map(|(id, counts)| (DirectoryId(id), counts)).collect();
    assert_eq!(stored, sums);
    assert_eq!((counters.objects, counters.object_bytes), total);
    assert_eq!(counters.buckets, buckets.len() as u64);
}

fn check_versions(engine: &dyn Engine, references: &mut BTreeMap<ContentId, u32>) {
    let mut nulls = BTreeMap::new();
    // The current version of each name, then sequences that fall.
    let mut last: Option<(Vec<u8>, u64)> = None;
    for (key, value) in rows(engine, layout::VERSION) {
        let head = path::decode_object_head(&key, &value).unwrap();
        let (name, _) = key.split_last_chunk::<8>().unwrap();
        assert_eq!(layout::last_number(&key), Some(!head.sequence));
        refer(references, head.content);
        let newer = match &last {
            Some((same, sequence)) if same == name => *sequence,
            _ => {
                let unshifted: Vec<u8> = name[9..name.len() - 1].iter().map(|byte| byte - 1).collect();
                let current_key = layout::entry(directory_of(&key), &unshifted);
                let row = engine.get(&current_key).unwrap().expect("noncurrent versions without a current one");
                path::decode_object_head(&current_key, &row).unwrap().sequence
            }
        };
        assert!(head.sequence < newer);
        if head.version == VersionId::NULL {
            let mut pointer = name[..name.len() - 1].to_vec();
            pointer[0] = layout::NULL_VERSION;
            assert!(nulls.insert(pointer, head.sequence).is_none(), "two null versions");
        }
        last = Some((name.to_vec(), head.sequence));
    }
    let stored: BTreeMap<Vec<u8>, u64> = rows(engine, layout::NULL_VERSION)
        .into_iter()
        .map(|(key, value)| (key.to_vec(), view::decode(&key, &value).unwrap()))
        .collect();
    assert_eq!(stored, nulls);
}

fn check_uploads(engine: &dyn Engine, references: &mut BTreeMap<ContentId, u32>) {
    let uploads: BTreeSet<u64> =
        rows(engine, layout::UPLOAD).iter().map(|(key, _)| layout::last_number(key).unwrap()).collect();
    for (key, value) in rows(engine, layout::PART) {
        let part: PartRecord = view::decode(&key, &value).unwrap();
        assert!(uploads.contains(&directory_of(&key).0), "a part of no upload");
        refer(references, part.content);
    }
}

fn check_contents(engine: &dyn Engine, counters: &Counters, mut references: BTreeMap<ContentId, u32>) {
    let contents: BTreeMap<u64, ContentRecord> = records(engine, layout::CONTENT);
    let mut content_bytes = 0;
    for (id, record) in &contents {
        let length: u64 = match &record.data {
            ContentData::Extents(extents) => {
                content_bytes += record.length;
                extents.iter().map(|extent| u64::from(extent.length)).sum()
            }
            ContentData::Slices(slices) => {
                assert!(layout::is_own_content(ContentId(*id)));
                for slice in slices {
                    refer(&mut references, Some(slice.leaf));
                    let leaf = &contents[&slice.leaf.0];
                    assert!(matches!(leaf.data, ContentData::Extents(_)), "a slice of slices");
                    assert!(slice.length > 0 && slice.offset + slice.length <= leaf.length);
                }
                slices.iter().map(|slice| slice.length).sum()
            }
        };
        assert_eq!(record.length, length);
    }
    let kept: BTreeMap<ContentId, u32> =
        contents.iter().map(|(id, record)| (ContentId(*id), record.references)).collect();
    assert_eq!(kept, references);
    assert_eq!(counters.content_bytes, content_bytes);
    for (key, _) in rows(engine, layout::CONTENT_PARTS) {
        assert!(contents.contains_key(&layout::last_number(&key).unwrap()), "parts of no content");
    }
}

/// Versions that are not in STANDARD are counted, a row a content.
fn check_classes(engine: &dyn Engine) {
    let mut counted = BTreeMap::<u64, BTreeMap<StorageClass, u32>>::new();
    let mut count = |head: ObjectHead| {
        if let (Some(content), true) = (head.content, head.class != StorageClass::Standard) {
            *counted.entry(content.0).or_default().entry(head.class).or_default() += 1;
        }
    };
    for (key, value) in rows(engine, layout::ENTRY) {
        if let EntryRow::Object(_) = path::decode_entry(&key, &value).unwrap() {
            count(path::decode_object_head(&key, &value).unwrap());
        }
    }
    for (key, value) in rows(engine, layout::VERSION) {
        count(path::decode_object_head(&key, &value).unwrap());
    }
    let stored: BTreeMap<u64, Vec<(StorageClass, u32)>> = records(engine, layout::CONTENT_CLASSES);
    let stored: BTreeMap<u64, BTreeMap<StorageClass, u32>> =
        stored.into_iter().map(|(content, classes)| (content, classes.into_iter().collect())).collect();
    assert_eq!(stored, counted);
    let watched: BTreeMap<u64, Tiering> = records(engine, layout::TIERING);
    let is_tiered = |content: &u64| {
        counted.get(content).is_some_and(|classes| classes.contains_key(&StorageClass::IntelligentTiering))
    };
    assert!(watched.keys().all(is_tiered), "a content is watched that is in another class: {watched:?}");
    let idle: BTreeSet<Vec<u8>> = rows(engine, layout::TIERING_IDLE).iter().map(|(key, _)| key.to_vec()).collect();
    let frequent = watched.iter().filter(|(_, tiering)| !tiering.infrequent);
    let expected: BTreeSet<Vec<u8>> =
        frequent.map(|(content, tiering)| layout::tiering_idle(tiering.accessed, ContentId(*content))).collect();
    assert_eq!(idle, expected);
}

/// Each restore has its place in time, and nothing else has one.
fn check_restores(engine: &dyn Engine) {
    let restores: BTreeMap<u64, RestoreRecord> = records(engine, layout::RESTORE);
    let places: BTreeSet<Vec<u8>> =
        restores.iter().map(|(sequence, record)| layout::restore_due(record.due(), *sequence)).collect();
    let stored: BTreeSet<Vec<u8>> = rows(engine, layout::RESTORE_DUE).iter().map(|(key, _)| key.to_vec()).collect();
    assert_eq!(stored, places);
}

fn check_blocks(engine: &dyn Engine, counters: &Counters, told: &BTreeMap<BlockId, BlockRecord>) {
    let blocks: BTreeMap<u64, BlockRecord> = records(engine, layout::BLOCK);
    let mut live = BTreeMap::<u64, u64>::new();
    for record in records::<ContentRecord>(engine, layout::CONTENT).values() {
        if let ContentData::Extents(extents) = &record.data {
            for extent in extents {
                let block = blocks.get(&extent.block.0).expect("a content in a block that is gone");
                let header = if block.kind == BlockKind::Packed { HEADER_BYTES as u64 } else { 0 };
                *live.entry(extent.block.0).or_default() += u64::from(extent.length) + header;
                assert!(extent.offset + extent.length <= block.length);
            }
        }
    }
    let leases: BTreeMap<u64, LeaseRecord> = records(engine, layout::LEASE);
    let mut in_hand: BTreeSet<(u64, u64)> = rows(engine, layout::LEASE_BLOCK)
        .iter()
        .map(|(key, _)| (directory_of(key).0, layout::last_number(key).unwrap()))
        .collect();
    let groups: BTreeMap<u64, GroupRecord> = records(engine, layout::GROUP);
    let coded = check_groups(engine, &groups, &blocks);
    for (id, block) in &blocks {
        let parity = block.kind == BlockKind::Parity;
        let expected = if parity { u64::from(block.length) } else { live.get(id).copied().unwrap_or(0) };
        assert_eq!(block.live_bytes, expected, "block {id}");
        assert!(!parity || coded.contains(id), "parity {id} of no group");
        assert!(block.live_bytes <= u64::from(block.length));
        let mut held = in_hand.iter().filter(|(_, held)| held == id);
        match &block.state {
            BlockState::Open { lease, .. } => {
                assert!(leases.contains_key(&lease.0));
                assert_eq!(held.next(), Some(&(lease.0, *id)));
            }
            BlockState::Sealed if block.kind == BlockKind::Packed => {
                assert!(block.live_bytes > 0 || coded.contains(id), "a sealed packed block without live bytes stays");
                assert_eq!(held.next(), None);
            }
            BlockState::Sealed => assert_eq!(held.next().is_none(), block.attached),
        }
        let held = held.next().copied();
        assert_eq!(held, None);
        in_hand.retain(|(_, held)| held != id);
    }
    assert!(in_hand.is_empty(), "blocks in hand that are gone: {in_hand:?}");
    let holders: BTreeMap<Bytes, LeaseId> = rows(engine, layout::LEASE_HOLDER)
        .iter()
        .map(|(key, value)| (key.slice(1..), view::decode(key, value).unwrap()))
        .collect();
    let expected: BTreeMap<Bytes, LeaseId> =
        leases.iter().map(|(id, lease)| (Bytes::from(lease.holder.0.clone()), LeaseId(*id))).collect();
    assert_eq!(holders, expected);
    assert_eq!(counters.blocks, blocks.len() as u64);
    assert_eq!(counters.block_bytes, blocks.values().map(|block| u64::from(block.length)).sum::<u64>());
    assert_eq!(counters.live_bytes, blocks.values().map(|block| block.live_bytes).sum::<u64>());
    let stored: BTreeMap<BlockId, BlockRecord> = blocks.into_iter().map(|(id, block)| (BlockId(id), block)).collect();
    assert_eq!(*told, stored, "what effects told against what is stored");
}

/// The blocks that are in a group.
fn check_groups(
    engine: &dyn Engine,
    groups: &BTreeMap<u64, GroupRecord>,
    blocks: &BTreeMap<u64, BlockRecord>,
) -> BTreeSet<u64> {
    let mut members = BTreeMap::new();
    for (id, group) in groups {
        for member in group.members() {
            assert!(members.insert(member.block.0, *id).is_none(), "block {} is in two groups", member.block);
            let block = &blocks[&member.block.0];
            assert_eq!((&block.state, block.length), (&BlockState::Sealed, member.length));
        }
        assert!(group.data.iter().any(|member| blocks[&member.block.0].live_bytes > 0), "group {id} is dead");
        let longest = group.data.iter().map(|member| member.length).max();
        for member in &group.parity {
            assert_eq!(blocks[&member.block.0].kind, BlockKind::Parity);
            assert_eq!(Some(member.length), longest);
        }
        for member in &group.data {
            assert_ne!(blocks[&member.block.0].kind, BlockKind::Parity);
            let relies = blocks[&member.block.0].replicas_wanted == 1;
            assert!(!relies || group.state != GroupState::Encoding, "block {} relies on nothing", member.block);
        }
    }
    let stored: BTreeMap<u64, u64> = records(engine, layout::BLOCK_GROUP);
    assert_eq!(stored, members);
    members.into_keys().collect()
}

fn named<T: DeserializeOwned>(engine: &dyn Engine, table: u8) -> BTreeMap<String, T> {
    let decode = |(key, value): &(Bytes, Bytes)| {
        (String::from_utf8(key[1..].to_vec()).unwrap(), view::decode(key, value).unwrap())
    };
    rows(engine, table).iter().map(decode).collect()
}

fn check_users(engine: &dyn Engine, counters: &Counters) {
    let users: BTreeMap<String, UserRecord> = named(engine, layout::USER);
    let (mut ids, mut accounts, mut keys) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut attached = BTreeMap::<String, u64>::new();
    for (name, user) in &users {
        assert!(ids.insert(user.canonical_id.as_str().to_owned(), name.clone()).is_none());
        assert!(accounts.insert(user.account_id.clone(), name.clone()).is_none());
        for key in &user.keys {
            assert!(keys.insert(key.access_key.clone(), name.clone()).is_none());
        }
        for policy in &user.policies {
            *attached.entry(policy.clone()).or_default() += 1;
        }
    }
    assert_eq!(named::<String>(engine, layout::USER_ID), ids);
    assert_eq!(named::<String>(engine, layout::USER_ACCOUNT), accounts);
    let held: BTreeMap<String, String> =
        named::<AccessKeyRecord>(engine, layout::ACCESS_KEY).into_iter().map(|(key, held)| (key, held.user)).collect();
    assert_eq!(held, keys);
    let policies: BTreeMap<String, PolicyRecord> = named(engine, layout::POLICY);
    for (name, policy) in &policies {
        assert_eq!(policy.attached, attached.remove(name).unwrap_or_default(), "policy {name}");
    }
    assert!(attached.is_empty(), "policies attached that are gone: {attached:?}");
    assert_eq!((counters.users, counters.policies), (users.len() as u64, policies.len() as u64));
    assert_eq!(counters.encryption_keys, rows(engine, layout::ENCRYPTION_KEY).len() as u64);
    let terms: Option<u64> = view::read(engine, &layout::table(layout::DELEGATION_COUNT)).unwrap();
    assert_eq!(terms.unwrap_or(0), rows(engine, layout::DELEGATION_TERM).len() as u64);
}

fn check_events(engine: &dyn Engine, counters: &Counters) {
    let events: BTreeMap<u64, EventRecord> = records(engine, layout::EVENT);
    let places: BTreeSet<Vec<u8>> =
        events.iter().map(|(id, event)| layout::event_due(event.due, granary_protocol::event::EventId(*id))).collect();
    let stored: BTreeSet<Vec<u8>> = rows(engine, layout::EVENT_DUE).iter().map(|(key, _)| key.to_vec()).collect();
    assert_eq!(stored, places);
    let bytes: usize = events.values().map(EventRecord::bytes).sum();
    assert_eq!((counters.events, counters.event_bytes), (events.len() as u64, bytes as u64));
}

fn check_documents(engine: &dyn Engine) {
    let roots: BTreeSet<DirectoryId> =
        named::<BucketRecord>(engine, layout::BUCKET).into_values().map(|record| record.head.root).collect();
    for (key, _) in rows(engine, layout::BUCKET_DOCUMENT) {
        assert!(roots.contains(&directory_of(&key)), "a document of no bucket");
        assert!(layout::decode_bucket_document(&key).is_some());
    }
}

fn check_files(engine: &dyn Engine) {
    for (key, value) in rows(engine, layout::FILE_ATTRIBUTES) {
        let _: Attributes = view::decode(&key, &value).unwrap();
        let entry = layout::entry(directory_of(&key), &key[9..]);
        assert!(engine.get(&entry).unwrap().is_some(), "attributes of a file that is gone: {key:?}");
    }
    let files: BTreeMap<u64, OpenFileRecord> = records(engine, layout::OPEN_FILE);
    let mut named = BTreeMap::new();
    for (key, value) in rows(engine, layout::OPEN_NAME) {
        let id: granary_protocol::filesystem::FileId = view::decode(&key, &value).unwrap();
        let record = &files[&id.0];
        assert_eq!((record.parent, record.name.as_bytes()), (directory_of(&key), &key[9..]));
        named.insert(id.0, ());
    }
    assert!(named.keys().eq(files.keys()), "open files without a name");
    for table in [layout::OPENED, layout::RECOVERING] {
        for (key, _) in rows(engine, table) {
            let file = layout::last_number(&key).unwrap();
            assert!(files.contains_key(&file), "{} of file {file}, which is not open", layout::table_name(table));
        }
    }
    let blocks_of = |(id, record): (&u64, &OpenFileRecord)| {
        let blocks = record.blocks.iter().map(|extent| extent.block).chain(record.last.map(|last| last.block));
        blocks.map(|block| (block.0, *id)).collect::<Vec<_>>()
    };
    let written: BTreeMap<u64, u64> = files.iter().flat_map(blocks_of).collect();
    let in_hand = layout::lease_blocks(layout::FILESYSTEM_LEASE);
    let in_hand: BTreeMap<u64, u64> = engine
        .scan(&in_hand, Some(&layout::after_prefix(&in_hand)))
        .map(|pair| pair.unwrap())
        .map(|(key, value)| {
            let file: granary_protocol::filesystem::FileId = view::decode(&key, &value).unwrap();
            (layout::last_number(&key).unwrap(), file.0)
        })
        .collect();
    assert_eq!(in_hand, written, "blocks of open files");
    let directories: BTreeSet<u64> = records::<DirectoryCounts>(engine, layout::DIRECTORY_COUNTS).into_keys().collect();
    let roots: BTreeSet<u64> = named_buckets(engine).into_values().map(|record| record.head.root.0).collect();
    let detached: BTreeSet<u64> = records::<DetachedRecord>(engine, layout::DETACHED).into_keys().collect();
    for (id, _) in records::<Attributes>(engine, layout::DIRECTORY_ATTRIBUTES) {
        let known = directories.contains(&id) || roots.contains(&id) || detached.contains(&id);
        assert!(known, "attributes of directory {id}, which is gone");
    }
}

fn named_buckets(engine: &dyn Engine) -> BTreeMap<String, BucketRecord> {
    named(engine, layout::BUCKET)
}
