//! A namenode of a few maps. It checks what a real one relies on: every committed byte is synced where it is said to be.

use crate::cluster::{Block, Cluster, Replica, State};
use futures_util::future::BoxFuture;
use granary_protocol::block::*;
use granary_protocol::bucket::Versioning;
use granary_protocol::namenode::*;
use granary_protocol::object::*;
use granary_protocol::redundancy::{CodingSource, GroupId, LocatedGroup};
use granary_protocol::token::AccessMode;
use granary_protocol::*;

impl NamenodeService for Cluster {
    fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
        Box::pin(async move {
            // The caller always waits at least once, as with a real namenode.
            tokio::task::yield_now().await;
            answer(&mut self.state(), request)
        })
    }
}

fn answer(state: &mut State, request: NamenodeRequest) -> Result<NamenodeReply, Failure> {
    match request {
        NamenodeRequest::OpenLease { .. } => {
            let lease = LeaseId(state.id());
            state.leases.insert(lease);
            Ok(NamenodeReply::Lease(lease))
        }
        NamenodeRequest::RenewLease { lease } => {
            alive(state, lease)?;
            Ok(NamenodeReply::LeaseRenewed { seal: state.faults.seal.clone() })
        }
        NamenodeRequest::CloseLease { lease } => {
            state.leases.remove(&lease);
            Ok(NamenodeReply::Done)
        }
        NamenodeRequest::AllocateBlocks { lease, kind, count, exclude, .. } => {
            alive(state, lease)?;
            allocate(state, lease, kind, count, &exclude)
        }
        NamenodeRequest::AbandonBlocks { blocks, .. } => {
            for block in blocks {
                state.blocks.get_mut(&block).expect("an allocated block").abandoned = true;
            }
            Ok(NamenodeReply::Done)
        }
        NamenodeRequest::SealBlock { lease, block, length, stored_on, recovered } => {
            alive(state, lease)?;
            Ok(NamenodeReply::Sealed(seal(state, block, length, stored_on, recovered)))
        }
        NamenodeRequest::PutObject { key, content, object, .. } => put(state, key, content, &object),
        NamenodeRequest::GetObject { key, window, .. } => get(state, key, window),
        NamenodeRequest::LocateContent { content, offset, length } => {
            state.located += 1;
            locate(state, content, offset, length).map(NamenodeReply::Located)
        }
        NamenodeRequest::ClaimSmallFiles { .. } => {
            let contents = std::mem::take(&mut state.faults.small_files);
            let file = |content: &ContentId| {
                let extent = state.contents[content][0];
                let located = state.located(extent.block, extent, AccessMode::Read);
                let located = LocatedExtent { content_offset: 0, extent, located };
                SmallFile { content: *content, located, class: StorageClass::Standard }
            };
            Ok(NamenodeReply::SmallFiles(contents.iter().map(file).collect()))
        }
        NamenodeRequest::ClaimCompaction { .. } => {
            let Some(id) = state.faults.compact.pop() else { return Ok(NamenodeReply::Compaction(None)) };
            let length = state.blocks[&id].sealed.expect("a sealed block");
            let whole = Extent { block: id, offset: 0, length };
            Ok(NamenodeReply::Compaction(Some((state.located(id, whole, AccessMode::Read), StorageClass::Standard))))
        }
        NamenodeRequest::RecordsAlive { records } => {
            let is_alive = |(content, extent): &(ContentId, Extent)| {
                state.contents.get(content).is_some_and(|extents| extents == &[*extent])
            };
            Ok(NamenodeReply::Alive(records.iter().map(is_alive).collect()))
        }
        NamenodeRequest::RelocateContents { moves, .. } => {
            state.relocated.push(moves.iter().map(|change| u64::from(change.to.length)).sum());
            let happened = moves.into_iter().map(|change| {
                check_durable(state, &change.to, None);
                match state.contents.get_mut(&change.content) {
                    Some(extents) if extents == &[change.from] => {
                        *extents = vec![change.to];
                        true
                    }
                    _ => false,
                }
            });
            Ok(NamenodeReply::Alive(happened.collect()))
        }
        // Nothing here belongs into another class than it is in.
        NamenodeRequest::ClaimMoves { .. } => Ok(NamenodeReply::Moves(Vec::new())),
        NamenodeRequest::LocateGroup { block, offset, length } => {
            Ok(NamenodeReply::Group(locate_group(state, block, offset, length).map(Box::new)))
        }
        other => panic!("the fake namenode was asked {other:?}"),
    }
}

/// Members on volumes that are known to be lost have no replica.
fn locate_group(state: &State, block: BlockId, offset: u32, length: u32) -> Option<LocatedGroup> {
    let (members, data) = state.groups.iter().find(|(members, _)| members.contains(&block))?;
    let other = |(place, member): (usize, &BlockId)| {
        let bytes = state.blocks[member].sealed.expect("a sealed block");
        let from = offset.min(bytes);
        let extent = Extent { block: *member, offset: from, length: length.min(bytes - from) };
        CodingSource { place: place as u8, located: state.located(*member, extent, AccessMode::Read) }
    };
    Some(LocatedGroup {
        group: GroupId(members[usize::from(*data)].0),
        data: *data,
        parity: members.len() as u8 - data,
        place: members.iter().position(|member| *member == block)? as u8,
        others: members.iter().enumerate().filter(|(_, member)| **member != block).map(other).collect(),
    })
}

fn alive(state: &State, lease: LeaseId) -> Result<(), Failure> {
    if state.leases.contains(&lease) { Ok(()) } else { Err(ErrorCode::LeaseExpired.into()) }
}

fn allocate(
    state: &mut State,
    lease: LeaseId,
    kind: BlockKind,
    count: u32,
    exclude: &[VolumeId],
) -> Result<NamenodeReply, Failure> {
    let volumes: Vec<VolumeId> =
        (1..=state.volumes).map(VolumeId).filter(|volume| !exclude.contains(volume)).take(state.replication).collect();
    if volumes.is_empty() {
        return Err(ErrorCode::NotEnoughTargets.into());
    }
    let mut located = Vec::new();
    for _ in 0..count {
        let id = BlockId(state.id());
        let generation = GenerationStamp(1);
        let block = Block { lease, kind, generation, volumes: volumes.clone(), sealed: None, abandoned: false };
        state.blocks.insert(id, block);
        let whole = Extent { block: id, offset: 0, length: BLOCK_BYTES_MAX };
        located.push(state.located(id, whole, AccessMode::Write));
    }
    Ok(NamenodeReply::Blocks(located))
}

/// Without volumes that are said to have finalized the block, the living members are told to, as by a heartbeat.
fn seal(state: &mut State, id: BlockId, length: u32, stored_on: Vec<VolumeId>, recovered: bool) -> GenerationStamp {
    let next = GenerationStamp(state.id());
    let dead = &state.faults.dead;
    let block = state.blocks.get_mut(&id).expect("an allocated block");
    block.sealed = Some(length);
    if recovered {
        block.generation = next;
    }
    match stored_on.is_empty() {
        true => block.volumes.retain(|volume| !dead.contains(volume)),
        false => block.volumes.clone_from(&stored_on),
    }
    if stored_on.is_empty() {
        for volume in &block.volumes {
            let replica = state.replicas.get_mut(&(*volume, id)).expect("a member has a replica");
            replica.data.truncate(length as usize);
            *replica = Replica { synced: length as usize, finalized: true, generation: next, ..replica.clone() };
        }
    }
    block.generation
}

fn put(
    state: &mut State,
    key: ObjectKey,
    content: Option<NewContent>,
    object: &NewObject,
) -> Result<NamenodeReply, Failure> {
    if let Some(code) = state.faults.refuse_commits.pop() {
        return Err(code.into());
    }
    if let Some(new) = &content {
        alive(state, new.content.lease())?;
        for extent in &new.extents {
            let block = &state.blocks[&extent.block];
            assert!(!block.abandoned, "a commit refers to an abandoned block");
            assert_eq!(block.lease, new.content.lease(), "a content's blocks are of its lease");
            let stored_on = new.stored_on.iter().find(|(block, _)| *block == extent.block);
            assert_eq!(block.kind == BlockKind::Owned, stored_on.is_some(), "owned blocks say where they are stored");
            check_durable(state, extent, stored_on.map(|(_, volumes)| volumes.as_slice()));
        }
        for (id, volumes) in &new.stored_on {
            let length = new.extents.iter().find(|extent| extent.block == *id).expect("stored blocks are used").length;
            let block = state.blocks.get_mut(id).expect("an allocated block");
            block.sealed = Some(length);
            block.volumes.clone_from(volumes);
        }
        let length: u64 = new.extents.iter().map(|extent| u64::from(extent.length)).sum();
        assert_eq!(length, object.size);
        state.contents.insert(new.content, new.extents.clone());
    }
    state.objects.insert(key.0, content.map(|new| new.content));
    Ok(NamenodeReply::Put(PutOutcome {
        version: VersionId::NULL,
        versioning: Versioning::Off,
        modified: UnixMillis(0),
        etag: object.etag,
        checksum: None,
    }))
}

/// The replicas of the extent are synced past its end: on all volumes named, or on the block's that live.
fn check_durable(state: &State, extent: &Extent, volumes: Option<&[VolumeId]>) {
    let block = &state.blocks[&extent.block];
    let end = (extent.offset + extent.length) as usize;
    let living: Vec<VolumeId> =
        block.volumes.iter().copied().filter(|volume| !state.faults.dead.contains(volume)).collect();
    let volumes = volumes.unwrap_or(&living);
    assert!(!volumes.is_empty(), "somebody holds the bytes");
    for volume in volumes {
        let replica = &state.replicas[&(*volume, extent.block)];
        assert!(replica.synced >= end, "{} of {end} bytes synced on {volume}", replica.synced);
        assert!(replica.generation == block.generation || block.sealed.is_none(), "a stale replica is committed");
    }
}

fn get(state: &State, key: ObjectKey, window: Window) -> Result<NamenodeReply, Failure> {
    let content = *state.objects.get(&key.0).ok_or(ErrorCode::NoSuchKey)?;
    let size: u64 =
        content.map_or(0, |content| state.contents[&content].iter().map(|extent| u64::from(extent.length)).sum());
    let (offset, length) = match window {
        Window::Range { first, last } => (first, last.map_or(size, |last| (last + 1).min(size)) - first),
        other => panic!("the fake namenode was asked for {other:?}"),
    };
    let extents = match content {
        Some(content) => locate(state, content, offset, length)?,
        None => Vec::new(),
    };
    let object = ObjectVersion {
        version: VersionId::NULL,
        delete_marker: false,
        size,
        etag: ETag { md5: [0; 16], parts: None },
        modified: UnixMillis(0),
        owner: CanonicalId::default(),
        class: StorageClass::Standard,
        checksum: None,
        lock: ObjectLock::default(),
        details: ObjectDetails::default(),
    };
    let read = ObjectRead {
        object,
        parts_count: 0,
        part: None,
        content,
        offset,
        length,
        stored_offset: offset,
        stored_length: length,
        sealed: Vec::new(),
        extents,
    };
    Ok(NamenodeReply::Object(Box::new(read)))
}

/// At most two extents a reply, so that readers have to ask for more.
fn locate(state: &State, content: ContentId, offset: u64, length: u64) -> Result<Vec<LocatedExtent>, Failure> {
    let extents = state.contents.get(&content).ok_or(ErrorCode::NoSuchKey)?;
    let (mut start, mut located) = (0, Vec::new());
    for extent in extents {
        let end = start + u64::from(extent.length);
        let (first, last) = (offset.max(start), (offset + length).min(end));
        if first < last && located.len() < 2 {
            let clipped = Extent {
                block: extent.block,
                offset: extent.offset + (first - start) as u32,
                length: (last - first) as u32,
            };
            let block = state.located(extent.block, clipped, AccessMode::Read);
            located.push(LocatedExtent { content_offset: first, extent: clipped, located: block });
        }
        start = end;
    }
    Ok(located)
}
