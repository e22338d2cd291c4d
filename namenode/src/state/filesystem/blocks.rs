//! `addBlock`, `abandonBlock`, `complete`, `fsync` and the calls by which a client repairs its pipeline.
//!
//! A client names the final length of a block with the next call, after every member of the pipeline has acknowledged and
//! finalized it; the block is sealed then. Blocks are allocated under the file system's own lease, which never ends.

use super::content;
use super::lease::RECOVERER;
use super::open::{self, Opened};
use super::records::{Attributes, OpenBlock, OpenFileRecord};
use crate::error::{Rejection, refuse};
use crate::state::blocks::{self as block_records, PIPELINE_VOLUMES_MAX};
use crate::state::layout::{self, FILESYSTEM_LEASE};
use crate::state::leases;
use crate::state::records::{BlockRecord, BlockState};
use crate::state::transaction::Transaction;
use crate::state::view::{self, View, inconsistent};
use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind, Extent};
use granary_protocol::filesystem::{ClientBlock, FILE_BLOCKS_MAX, FileBlock, FileId, FsPath, FsReply, FsRequest};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::object::StorageClass;
use granary_protocol::{BlockId, ErrorCode, GenerationStamp, UnixMillis, VolumeId};

/// A block that is about to be allocated: what placement needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnplacedBlock {
    /// Replicas asked for.
    pub replicas: u8,
    /// The class of the file.
    pub class: StorageClass,
    /// The most bytes it will have.
    pub block_size: u64,
}

/// What an `AddBlock` is about to allocate, as far as can be told before it is ordered.
///
/// # Errors
/// Those of the call.
pub fn block_to_place<V: View + ?Sized>(view: &V, request: &FsRequest) -> Result<Option<UnplacedBlock>, Rejection> {
    let FsRequest::AddBlock { path, file, holder, .. } = request else { return Ok(None) };
    let record = open::find(view, path, *file, holder)?.record;
    let replicas = replicas_of(&record.attributes);
    let block_size = record.attributes.block_size.clamp(1, u64::from(BLOCK_BYTES_MAX));
    Ok(Some(UnplacedBlock { replicas, class: record.class, block_size }))
}

/// Replicas that blocks of a file begin with: as many as its client asked for, and a pipeline has room for.
fn replicas_of(attributes: &Attributes) -> u8 {
    attributes.replication.clamp(1, PIPELINE_VOLUMES_MAX as u16) as u8
}

/// The block being written, its record and its pipeline, for a writer that asks about it.
///
/// # Errors
/// Those of the call.
pub fn placement_of<V: View + ?Sized>(
    view: &V,
    path: &FsPath,
    file: FileId,
    holder: &str,
    block: BlockId,
) -> Result<BlockRecord, Rejection> {
    let opened = open::find(view, path, file, holder)?;
    if opened.record.last.is_none_or(|last| last.block != block) {
        return Err(unexpected(path, block));
    }
    Ok(block_records::expect(view, block)?)
}

fn unexpected(path: &FsPath, block: BlockId) -> Rejection {
    refuse(
        ErrorCode::FileSystemRefused,
        format!("Unexpected BlockId mismatch: block {block} is not the last of {path}"),
    )
}

/// `pipeline` is where the new block goes.
pub(super) fn add(
    tx: &mut Transaction<'_>,
    path: &FsPath,
    file: FileId,
    holder: &str,
    previous: Option<&ClientBlock>,
    pipeline: &[VolumeId],
) -> Result<FsReply, Rejection> {
    let Opened { id, mut record, .. } = open::find(tx, path, file, holder)?;
    if let Some(last) = record.last {
        let before = record.blocks.last().map(|extent| extent.block);
        match previous {
            Some(named) if named.block == last.block => {
                seal_last(tx, path, &mut record, named)?;
            }
            // The answer to the first attempt was lost: the block it got is still empty.
            named if named.map(|named| named.block) == before && last.visible == 0 => {
                let offset = record.base_bytes + record.sealed_bytes();
                return Ok(reply(tx, last.block, offset)?);
            }
            _ => return Err(unexpected(path, previous.map_or(last.block, |named| named.block))),
        }
    } else if let Some(named) = previous
        && record.blocks.last().is_some_and(|extent| extent.block != named.block)
    {
        return Err(unexpected(path, named.block));
    }
    if record.blocks.len() >= FILE_BLOCKS_MAX {
        let detail = format!("File has reached the limit on maximum number of blocks: {FILE_BLOCKS_MAX}");
        return Err(refuse(ErrorCode::FileSystemRefused, detail));
    }
    let block = allocate(tx, id, &record.attributes, record.class, pipeline)?;
    record.last = Some(OpenBlock { block, visible: 0, promised: GenerationStamp(1) });
    let offset = record.base_bytes + record.sealed_bytes();
    open::update(tx, id, &record);
    Ok(reply(tx, block, offset)?)
}

fn allocate(
    tx: &mut Transaction<'_>,
    id: FileId,
    attributes: &Attributes,
    class: StorageClass,
    pipeline: &[VolumeId],
) -> Result<BlockId, Rejection> {
    leases::ensure_filesystem(tx)?;
    let wanted = replicas_of(attributes);
    let allocated =
        block_records::allocate(tx, FILESYSTEM_LEASE, BlockKind::Owned, class, &[pipeline.to_vec()], wanted)?;
    match allocated {
        NamenodeReply::Blocks(blocks) if blocks.len() == 1 => {
            tx.put_record(layout::lease_block(FILESYSTEM_LEASE, blocks[0].block), &id);
            Ok(blocks[0].block)
        }
        other => Err(inconsistent(format!("an allocation answered {other:?}")).into()),
    }
}

/// A block being written, for the reply. Replicas and token are soft state's to add.
fn reply(tx: &Transaction<'_>, block: BlockId, offset: u64) -> Result<FsReply, Rejection> {
    let record = block_records::expect(tx, block)?;
    Ok(FsReply::Block(Box::new(FileBlock {
        offset,
        extent: Extent { block, offset: 0, length: 0 },
        complete: false,
        located: block_records::unlocated(block, &record),
    })))
}

/// The writer is done with the last block. One without bytes goes.
fn seal_last(
    tx: &mut Transaction<'_>,
    path: &FsPath,
    record: &mut OpenFileRecord,
    named: &ClientBlock,
) -> Result<(), Rejection> {
    let Some(last) = record.last.filter(|last| last.block == named.block) else {
        return Err(unexpected(path, named.block));
    };
    let block = block_records::expect(tx, last.block)?;
    let BlockState::Open { pipeline, .. } = &block.state else {
        return Err(inconsistent(format!("block {} is being written and sealed", last.block)).into());
    };
    if named.generation != block.generation {
        let detail = format!(
            "Commit block with mismatching GS. NN has generation {}, client submits {}",
            block.generation, named.generation
        );
        return Err(refuse(ErrorCode::FileSystemRefused, detail));
    }
    let length = u32::try_from(named.length).ok().filter(|length| *length <= BLOCK_BYTES_MAX);
    let Some(length) = length.filter(|length| *length >= last.visible) else {
        let detail = format!("block {} cannot have {} bytes", named.block, named.length);
        return Err(refuse(ErrorCode::FileSystemRefused, detail));
    };
    record.last = None;
    if length == 0 {
        return Ok(block_records::let_go(tx, FILESYSTEM_LEASE, named.block)?);
    }
    // Its members have acknowledged all of it: the client has no word of its own on each.
    let stored_on = pipeline.clone();
    block_records::close(tx, FILESYSTEM_LEASE, named.block, block, length, named.generation, &stored_on)?;
    record.blocks.push(Extent { block: named.block, offset: 0, length });
    Ok(())
}

pub(super) fn abandon(
    tx: &mut Transaction<'_>,
    path: &FsPath,
    file: FileId,
    holder: &str,
    block: BlockId,
) -> Result<FsReply, Rejection> {
    let Opened { id, mut record, .. } = open::find(tx, path, file, holder)?;
    // Repeated: it has gone already.
    if record.last.is_some_and(|last| last.block == block) {
        record.last = None;
        block_records::let_go(tx, FILESYSTEM_LEASE, block)?;
        open::update(tx, id, &record);
    }
    Ok(FsReply::Done)
}

pub(super) fn complete(
    tx: &mut Transaction<'_>,
    path: &FsPath,
    file: FileId,
    holder: &str,
    last: Option<&ClientBlock>,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let Opened { id, mut record, bucket, key } = match open::find(tx, path, file, holder) {
        Ok(opened) => opened,
        Err(rejection) => return completed_before(tx, path, file, last, rejection),
    };
    if let Some(named) = last
        && record.last.is_some()
    {
        seal_last(tx, path, &mut record, named)?;
    }
    if let Some(open) = record.last.filter(|open| open.visible > 0) {
        // Readers were promised bytes of it: only a call that names it may say where it ends.
        return Err(unexpected(path, open.block));
    }
    if let Some(empty) = record.last.take() {
        block_records::let_go(tx, FILESYSTEM_LEASE, empty.block)?;
    }
    content::close(tx, &bucket, id, record, &key, now)?;
    Ok(FsReply::Flag(true))
}

/// The answer to the first `complete` may have been lost: the closed file then ends with the block named.
fn completed_before(
    tx: &Transaction<'_>,
    path: &FsPath,
    file: FileId,
    last: Option<&ClientBlock>,
    rejection: Rejection,
) -> Result<FsReply, Rejection> {
    use super::resolve::{self, Found};
    let Rejection::Refused(_) = &rejection else { return Err(rejection) };
    if let Found::File { head, attributes, .. } = resolve::resolve(tx, path)?.found
        && attributes.file == file
        && file != FileId(0)
    {
        let ends = match (head.content, last) {
            (Some(content), Some(last)) => {
                let end = crate::state::locate::extents(tx, content, head.size - 1, 1, 1)?;
                end.first().is_some_and(|found| found.extent.block == last.block)
            }
            (None, last) => last.is_none_or(|last| last.length == 0),
            (Some(_), None) => false,
        };
        if ends {
            return Ok(FsReply::Flag(true));
        }
    }
    Err(rejection)
}

pub(super) fn fsync(
    tx: &mut Transaction<'_>,
    path: &FsPath,
    file: FileId,
    holder: &str,
    length: Option<u64>,
) -> Result<FsReply, Rejection> {
    let Opened { id, mut record, .. } = open::find(tx, path, file, holder)?;
    if let (Some(last), Some(length)) = (&mut record.last, length) {
        let length = u32::try_from(length).unwrap_or(u32::MAX).min(BLOCK_BYTES_MAX);
        if length > last.visible {
            last.visible = length;
            open::update(tx, id, &record);
        }
    }
    Ok(FsReply::Done)
}

/// Promises a generation to the pipeline that will go on with the block.
pub(super) fn promise_generation(
    tx: &mut Transaction<'_>,
    block: &ClientBlock,
    holder: &str,
) -> Result<FsReply, Rejection> {
    let (id, mut record) = of_block(tx, block.block, holder)?;
    let offset = record.base_bytes + record.sealed_bytes();
    let last = record.last.as_mut().ok_or_else(|| inconsistent("a block that is being written is no file's last"))?;
    last.promised = GenerationStamp(last.promised.0 + 1);
    let promised = last.promised;
    open::update(tx, id, &record);
    let FsReply::Block(mut answer) = reply(tx, block.block, offset)? else {
        return Err(inconsistent("a block answered as something else").into());
    };
    answer.located.generation = promised;
    Ok(FsReply::Block(answer))
}

/// The pipeline goes on under the generation it was promised, on `members`.
pub(super) fn update_pipeline(
    tx: &mut Transaction<'_>,
    holder: &str,
    old: &ClientBlock,
    new: &ClientBlock,
    members: &[VolumeId],
) -> Result<FsReply, Rejection> {
    let (id, mut record) = of_block(tx, old.block, holder)?;
    let last = record.last.as_mut().ok_or_else(|| inconsistent("a block that is being written is no file's last"))?;
    let block = block_records::expect(tx, old.block)?;
    if new.block != old.block || new.generation <= block.generation || new.generation > last.promised {
        let detail = format!("Update {} (len = {}) to an older state: {new:?}", old.block, old.length);
        return Err(refuse(ErrorCode::FileSystemRefused, detail));
    }
    if members.is_empty() || members.len() > PIPELINE_VOLUMES_MAX {
        let detail = format!("a pipeline has 1 to {PIPELINE_VOLUMES_MAX} members");
        return Err(refuse(ErrorCode::InvalidArgument, detail));
    }
    if new.length > u64::from(last.visible) {
        last.visible = u32::try_from(new.length).unwrap_or(u32::MAX).min(BLOCK_BYTES_MAX);
    }
    open::update(tx, id, &record);
    block_records::repipe(tx, old.block, block, new.generation, members)?;
    Ok(FsReply::Done)
}

/// The open file whose last block this is. Clients do not name the file here; the row by which the block is in the file
/// system's hands does.
fn of_block(tx: &Transaction<'_>, block: BlockId, holder: &str) -> Result<(FileId, OpenFileRecord), Rejection> {
    let gone = || refuse(ErrorCode::FileSystemRefused, format!("{block} does not exist or is not under construction"));
    let id: FileId = view::read(tx, &layout::lease_block(FILESYSTEM_LEASE, block))?.ok_or_else(gone)?;
    let record: OpenFileRecord = view::read(tx, &layout::open_file(id))?.ok_or_else(gone)?;
    if record.last.is_none_or(|last| last.block != block) {
        return Err(gone());
    }
    if record.holder != holder || holder == RECOVERER {
        let detail = format!("Lease mismatch: block {block} is written by {}, not {holder}", record.holder);
        return Err(refuse(ErrorCode::FileLeaseExpired, detail));
    }
    Ok((id, record))
}
