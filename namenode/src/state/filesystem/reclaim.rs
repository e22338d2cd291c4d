//! What is left of deleted trees: removing their rows in bounded steps, and deleting trees where versions are kept.

use super::access;
use super::attributes;
use super::records::{DetachedRecord, OpenFileRecord};
use super::resolve::{self, Found, Place};
use super::{content, delete, directories, open};
use crate::error::{Rejection, StateError, refuse};
use crate::state::classes;
use crate::state::contents;
use crate::state::layout;
use crate::state::path::{self, EntryRow};
use crate::state::records::{BucketCounts, ObjectHead};
use crate::state::restores;
use crate::state::transaction::Transaction;
use crate::state::view::{self, View, undecodable};
use crate::state::walk::{Shown, Walk};
use granary_protocol::bucket::Versioning;
use granary_protocol::filesystem::{FileId, FsCaller, FsPath, FsReply};
use granary_protocol::{DirectoryId, ErrorCode, ObjectKey, UnixMillis};

/// Rows removed by one command.
const ROWS_PER_STEP: usize = 500;
/// A directory takes as long to remove as so many rows, beside those that are in it.
const ROWS_FOR_A_DIRECTORY: usize = 8;
/// Directories read at a time, no more than one command removes.
const DIRECTORIES_PER_LOOK: usize = ROWS_PER_STEP.div_ceil(ROWS_FOR_A_DIRECTORY);
/// Objects deleted by one command where versions are kept.
const OBJECTS_PER_PAGE: usize = 500;
/// Rows looked at to judge whether a caller may delete a tree.
const JUDGED_ROWS_MAX: usize = 100_000;

/// The first directory of deleted trees from `from` on whose rows wait to be removed.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn next_detached<V: View + ?Sized>(view: &V, from: DirectoryId) -> Result<Option<DirectoryId>, StateError> {
    Ok(detached(view, from, 1)?.first().map(|(directory, _)| *directory))
}

fn detached<V: View + ?Sized>(
    view: &V,
    from: DirectoryId,
    limit: usize,
) -> Result<Vec<(DirectoryId, DetachedRecord)>, StateError> {
    let table_end = layout::after_prefix(&layout::table(layout::DETACHED));
    let rows = view.scan(&layout::detached(from), Some(&table_end)).take(limit);
    rows.map(|pair| {
        let (key, value) = pair?;
        let id = layout::last_number(&key).ok_or_else(|| undecodable(&key, "its key has no number"))?;
        Ok((DirectoryId(id), view::decode(&key, &value)?))
    })
    .collect()
}

/// Removes some rows of deleted trees, of the directories from `from` on. What has been removed is passed over slowly
/// until the engine compacts it, so a tree of many directories is gone through once and not looked for from its beginning.
pub(super) fn step(tx: &mut Transaction<'_>, from: DirectoryId) -> Result<(), StateError> {
    let (mut budget, mut from) = (ROWS_PER_STEP, from);
    loop {
        let page = detached(tx, from, DIRECTORIES_PER_LOOK)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = DirectoryId(last.0.saturating_add(1));
        for (directory, record) in page {
            if budget == 0 || !remove_rows(tx, directory, record, &mut budget)? {
                return Ok(());
            }
            tx.delete(layout::directory_counts(directory));
            attributes::forget_directory(tx, directory)?;
            tx.delete(layout::detached(directory));
            budget = budget.saturating_sub(ROWS_FOR_A_DIRECTORY);
        }
    }
}

/// Removes rows of a directory; whether none is left.
fn remove_rows(
    tx: &mut Transaction<'_>,
    directory: DirectoryId,
    record: DetachedRecord,
    budget: &mut usize,
) -> Result<bool, StateError> {
    let open_rows = page(tx, &layout::open_name(directory, b""), *budget)?;
    *budget -= open_rows.len();
    for (key, value) in open_rows {
        let id: FileId = view::decode(&key, &value)?;
        let record: OpenFileRecord = resolve::open_file(tx, id)?;
        content::discard(tx, &record)?;
        open::remove_unlinked(tx, id, &record);
    }
    let rows = page(tx, &layout::entry(directory, b""), *budget)?;
    let all = rows.len() < *budget;
    *budget -= rows.len();
    for (key, value) in rows {
        match path::decode_entry(&key, &value)? {
            EntryRow::Directory(inner) => tx.put_record(layout::detached(inner.id), &record),
            EntryRow::Object(_) => {
                let head = path::decode_object_head(&key, &value)?;
                uncount(tx, record, &head)?;
                restores::forget(tx, &head)?;
                if let Some(content) = head.content {
                    classes::unrefer(tx, content, head.class)?;
                    if contents::release(tx, content)? {
                        classes::settle(tx, content)?;
                    }
                }
                attributes::forget_file(tx, directory, &key[9..])?;
            }
        }
        tx.delete(key.to_vec());
    }
    Ok(all)
}

fn page(tx: &Transaction<'_>, prefix: &[u8], limit: usize) -> Result<Vec<crate::engine::Pair>, StateError> {
    let rows = tx.scan(prefix, Some(&layout::after_prefix(prefix))).take(limit);
    Ok(rows.collect::<Result<Vec<_>, _>>()?)
}

/// Takes an object from the sums that still count it.
fn uncount(tx: &mut Transaction<'_>, record: DetachedRecord, head: &ObjectHead) -> Result<(), StateError> {
    let objects = -i64::from(!head.delete_marker);
    let bytes = -(head.size as i64);
    let sums = tx.counters();
    sums.objects = view::moved(sums.objects, objects, "the number of objects")?;
    sums.object_bytes = view::moved(sums.object_bytes, bytes, "object_bytes")?;
    let Some(root) = record.root else { return Ok(()) };
    let key = layout::bucket_counts(root);
    // The bucket may be gone by now.
    if let Some(mut counts) = view::read::<_, BucketCounts>(tx, &key)? {
        counts.objects = view::moved(counts.objects, objects, "a bucket's number of objects")?;
        counts.bytes = view::moved(counts.bytes, bytes, "a bucket's bytes")?;
        tx.put_record(key, &counts);
    }
    Ok(())
}

/// Whether a tree is deleted object by object, because versions are kept where it is.
///
/// # Errors
/// Those of the call.
pub fn is_deleted_by_pages<V: View + ?Sized>(view: &V, path: &FsPath) -> Result<bool, Rejection> {
    let place = resolve::resolve(view, path)?;
    let tree = matches!(place.found, Found::Directory { record: Some(_), .. });
    Ok(tree && place.bucket()?.head.versioning != Versioning::Off)
}

/// Gives objects of a tree delete markers, from the first key above `after` on; the reply says where to go on. The marker
/// of the tree's own directory is left for the last step.
pub(super) fn delete_page(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    after: Option<&str>,
    now: UnixMillis,
) -> Result<FsReply, Rejection> {
    let place = resolve::resolve(tx, path)?;
    let Found::Directory { id, record: Some(_) } = place.found else { return Ok(FsReply::Progress { after: None }) };
    access::check_above(tx, caller, &place, access::WRITE)?;
    access::check_sticky(tx, caller, &place)?;
    if after.is_none() && !caller.superuser {
        check_directories(tx, caller, &place, id)?;
    }
    // So that the directory is still there for the last step.
    directories::put_marker(tx, place.bucket()?, &place.marker_key(), now)?;
    let prefix = place.marker_key().0;
    let page = next_page(tx, &place, id, &prefix, after)?;
    // While the directories are still shown: those of deleted objects are not come across again.
    if !discard_open(tx, &page.directories)? {
        return Ok(FsReply::Progress { after: Some(after.unwrap_or(&prefix).to_owned()) });
    }
    let next = page.keys.last().cloned().filter(|_| page.keys.len() == OBJECTS_PER_PAGE);
    for key in &page.keys {
        delete::remove_key(tx, place.bucket()?, &ObjectKey::from(key.as_str()), now)?;
    }
    Ok(FsReply::Progress { after: next })
}

/// A part of a tree that one command deletes.
struct TreePage {
    /// But for the marker of the tree itself.
    keys: Vec<String>,
    /// The directories that these are in, as far as no earlier page has them.
    directories: Vec<DirectoryId>,
}

fn next_page(
    tx: &Transaction<'_>,
    place: &Place<'_>,
    tree: DirectoryId,
    prefix: &str,
    after: Option<&str>,
) -> Result<TreePage, Rejection> {
    let mut page = TreePage { keys: Vec::new(), directories: vec![tree] };
    let root = place.bucket()?.head.root;
    let Some(mut walk) = Walk::of_prefix(tx, root, prefix.as_bytes(), Shown::Objects)? else { return Ok(page) };
    let from = format!("{}\0", after.unwrap_or(prefix));
    walk.seek(from.as_bytes())?;
    while page.keys.len() < OBJECTS_PER_PAGE
        && let Some(row) = walk.next()?
    {
        match row {
            EntryRow::Directory(record) => {
                page.directories.push(record.id);
                walk.enter(record.id);
            }
            EntryRow::Object(_) => page.keys.push(String::from_utf8_lossy(walk.path()).into_owned()),
        }
    }
    Ok(page)
}

/// Gives up what is being written in these directories; whether that is all of it.
fn discard_open(tx: &mut Transaction<'_>, directories: &[DirectoryId]) -> Result<bool, Rejection> {
    let mut budget = OBJECTS_PER_PAGE;
    for directory in directories {
        for (key, value) in page(tx, &layout::open_name(*directory, b""), budget)? {
            budget -= 1;
            let id: FileId = view::decode(&key, &value)?;
            let record = resolve::open_file(tx, id)?;
            if let Some(opened) = open::reach(tx, id, record, None)? {
                content::discard(tx, &opened.record)?;
                open::remove_rows(tx, &opened.bucket, id, &opened.record, &opened.key)?;
            }
        }
        if budget == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses unless the caller may do everything in every directory of a tree that has entries, as HDFS asks.
pub(super) fn check_directories(
    tx: &Transaction<'_>,
    caller: &FsCaller,
    place: &Place<'_>,
    directory: DirectoryId,
) -> Result<(), Rejection> {
    let bucket = place.bucket()?;
    let mut waiting = vec![(directory, place.path.as_str().to_owned())];
    let mut judged = 0;
    while let Some((directory, path)) = waiting.pop() {
        let attributes = attributes::of_directory(tx, directory)?;
        let inode = attributes::Inode::of(tx, bucket, &attributes, true)?;
        access::check(caller, &path, &inode, access::READ | access::WRITE | access::EXECUTE)?;
        let rows = layout::entry(directory, b"");
        for pair in tx.scan(&rows, Some(&layout::after_prefix(&rows))) {
            let (key, row) = pair?;
            judged += 1;
            if judged > JUDGED_ROWS_MAX {
                let detail =
                    format!("{} has more than {JUDGED_ROWS_MAX} entries: a superuser may delete it", place.path);
                return Err(refuse(ErrorCode::FileSystemRefused, detail));
            }
            if let EntryRow::Directory(record) = path::decode_entry(&key, &row)? {
                let name = String::from_utf8_lossy(&key[9..key.len() - 1]).into_owned();
                waiting.push((record.id, format!("{path}/{name}")));
            }
        }
    }
    Ok(())
}
