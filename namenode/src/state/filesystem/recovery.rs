//! Taking a file from a writer that is silent: its last block ends where all of its replicas have the bytes, and the file
//! is closed.
//!
//! The leader asks the members of the pipeline how much they have, after they have stopped taking more, and orders
//! [`finish`] with the least. Until then the file belongs to [`lease::RECOVERER`].

use super::content;
use super::lease::RECOVERER;
use super::open::{self, Opened};
use super::records::{OpenBlock, OpenFileRecord};
use super::resolve::{self, Found};
use super::{access, create};
use crate::error::{Rejection, StateError, refuse};
use crate::state::blocks as block_records;
use crate::state::layout::{self, FILESYSTEM_LEASE};
use crate::state::transaction::Transaction;
use crate::state::view::{self, View, undecodable};
use granary_protocol::block::Extent;
use granary_protocol::filesystem::{FileId, FsCaller, FsPath, FsReply};
use granary_protocol::{BlockId, ErrorCode, GenerationStamp, UnixMillis, VolumeId};

/// Files recovered at a time at most; the others wait for their turn.
const RECOVERING_MAX: usize = 256;

/// A file whose last block is to be ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveringFile {
    pub file: FileId,
    pub block: BlockId,
    /// At which its members are asked: nobody else was promised it.
    pub generation: GenerationStamp,
    /// No replica has less of what was declared visible.
    pub visible: u32,
}

/// Files under recovery whose number is above `after`, some of them; and the last one looked at, if there are more. One
/// whose replicas are all lost stays for as long as they are, and must not keep others waiting.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn recovering<V: View + ?Sized>(
    view: &V,
    after: FileId,
) -> Result<(Vec<RecoveringFile>, Option<FileId>), StateError> {
    let from = layout::recovering(FileId(after.0.saturating_add(1)));
    let table_end = layout::after_prefix(&layout::table(layout::RECOVERING));
    let mut files = Vec::new();
    let mut last_looked_at = after;
    for (looked_at, pair) in view.scan(&from, Some(&table_end)).enumerate() {
        let (key, _) = pair?;
        if looked_at == RECOVERING_MAX {
            return Ok((files, Some(last_looked_at)));
        }
        let id = FileId(layout::last_number(&key).ok_or_else(|| undecodable(&key, "its key has no number"))?);
        last_looked_at = id;
        let record = resolve::open_file(view, id)?;
        if let Some(last) = record.last {
            let OpenBlock { block, visible, promised: generation } = last;
            files.push(RecoveringFile { file: id, block, generation, visible });
        }
    }
    Ok((files, None))
}

/// `recoverLease`: whether the file is closed.
pub(super) fn recover_lease(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    holder: &str,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let place = resolve::resolve(tx, path)?;
    if place.exists() {
        access::check_entry(tx, caller, &place, access::WRITE)?;
    }
    match place.found {
        Found::File { .. } => Ok(FsReply::Flag(true)),
        Found::Open { id, record } => {
            if record.holder == holder {
                create::refuse_open(tx, "RECOVER_LEASE", path, &record, caller, holder, now)?;
            }
            let opened = open::reach(tx, id, *record, Some(path))?
                .ok_or_else(|| refuse(ErrorCode::FileNotFound, resolve::missing(path)))?;
            Ok(FsReply::Flag(begin(tx, opened, now)?))
        }
        Found::Root | Found::Directory { .. } | Found::Nothing => {
            Err(refuse(ErrorCode::FileNotFound, resolve::missing(path)))
        }
    }
}

/// The same on the leader's own account, when another writer wants the file and its lease is old.
pub(super) fn recover_path(tx: &mut Transaction<'_>, path: &FsPath, now: UnixMillis) -> Result<FsReply, Rejection> {
    let Found::Open { id, record } = resolve::resolve(tx, path)?.found else { return Ok(FsReply::Flag(true)) };
    if record.holder != RECOVERER && !super::lease::is_soft_expired(tx, &record.holder, now)? {
        return Ok(FsReply::Flag(false));
    }
    match open::reach(tx, id, *record, Some(path))? {
        Some(opened) => Ok(FsReply::Flag(begin(tx, opened, now)?)),
        None => Ok(FsReply::Flag(true)),
    }
}

/// Takes a file from its writer. Closes it at once if no block is open; whether it is closed.
pub(super) fn begin(tx: &mut Transaction<'_>, opened: Opened, now: UnixMillis) -> Result<bool, Rejection> {
    let Opened { id, mut record, bucket, key } = opened;
    let Some(last) = &mut record.last else {
        content::close_abandoned(tx, &bucket, id, record, &key, now)?;
        return Ok(true);
    };
    if record.holder != RECOVERER {
        last.promised = GenerationStamp(last.promised.0 + 1);
        record.holder = RECOVERER.to_owned();
        tx.put(layout::recovering(id), Vec::new());
        open::update(tx, id, &record);
    }
    Ok(false)
}

/// Ends the last block of a file under recovery at `length` bytes, which `members` have, and closes the file.
pub(super) fn finish(
    tx: &mut Transaction<'_>,
    id: FileId,
    block: BlockId,
    length: u32,
    members: &[VolumeId],
    now: UnixMillis,
) -> Result<(), Rejection> {
    let record: Option<OpenFileRecord> = view::read(tx, &layout::open_file(id))?;
    let Some(record) = record.filter(|record| record.holder == RECOVERER) else { return Ok(()) };
    let Some(last) = record.last.filter(|last| last.block == block) else { return Ok(()) };
    let Some(Opened { mut record, bucket, key, .. }) = open::reach(tx, id, record, None)? else { return Ok(()) };
    record.last = None;
    if length == 0 {
        block_records::let_go(tx, FILESYSTEM_LEASE, block)?;
    } else {
        let row = block_records::expect(tx, block)?;
        let generation = last.promised;
        block_records::close(tx, FILESYSTEM_LEASE, block, row, length, generation, members)?;
        record.blocks.push(Extent { block, offset: 0, length });
    }
    content::close_abandoned(tx, &bucket, id, record, &key, now)
}
