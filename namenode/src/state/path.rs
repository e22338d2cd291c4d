//! The way from a bucket's root to a key's row, and the directories that come and go along it.
//!
//! Invariants: a directory other than a root exists exactly while it has rows; `entries` and `listed` of each directory,
//! and the sums of the bucket, agree with the rows after every command.

use super::buckets;
use super::filesystem;
use super::layout;
use super::records::{BucketCounts, DirectoryCounts, DirectoryRecord, ObjectHead, ObjectRecord};
use super::transaction::Transaction;
use super::view::{self, View, inconsistent, moved, undecodable};
use crate::error::{Rejection, StateError, refuse};
use bytes::Bytes;
use granary_protocol::object::{KEY_BYTES_MAX, ObjectDetails};
use granary_protocol::{DirectoryId, ErrorCode, ObjectKey};

const DIRECTORY: u8 = 0;
const OBJECT: u8 = 1;

/// A row of the entry table.
pub(super) enum EntryRow {
    Directory(DirectoryRecord),
    /// The encoded [`ObjectRecord`], of which most readers need the beginning only.
    Object(Bytes),
}

/// Tells what a row of the entry or the version table is.
pub(super) fn decode_entry(key: &[u8], value: &Bytes) -> Result<EntryRow, StateError> {
    match value.first() {
        Some(&DIRECTORY) => Ok(EntryRow::Directory(view::decode(key, &value[1..])?)),
        Some(&OBJECT) => Ok(EntryRow::Object(value.slice(1..))),
        _ => Err(undecodable(key, "neither a directory nor an object")),
    }
}

/// The head of a row that must be an object's.
pub(super) fn decode_object_head(key: &[u8], value: &Bytes) -> Result<ObjectHead, StateError> {
    match value.split_first() {
        Some((&OBJECT, record)) => Ok(view::decode_head(key, record)?.0),
        _ => Err(undecodable(key, "not an object")),
    }
}

/// The whole of a row that must be an object's.
pub(super) fn decode_object(key: &[u8], value: &Bytes) -> Result<ObjectRecord, StateError> {
    match value.split_first() {
        Some((&OBJECT, record)) => view::decode(key, record),
        _ => Err(undecodable(key, "not an object")),
    }
}

pub(super) fn encode_object(head: &ObjectHead, details: &ObjectDetails) -> Vec<u8> {
    encode_tagged(OBJECT, &(head, details))
}

/// The row of a directory.
pub(super) fn encode_directory(record: &DirectoryRecord) -> Vec<u8> {
    encode_tagged(DIRECTORY, record)
}

fn encode_tagged<T: serde::Serialize>(tag: u8, record: &T) -> Vec<u8> {
    postcard::to_extend(record, vec![tag]).expect("records hold nothing that postcard cannot write, and a Vec grows")
}

/// Refuses keys that S3 has no room for.
pub(super) fn check_key(key: &ObjectKey) -> Result<(), Rejection> {
    match key.as_str().len() {
        1..=KEY_BYTES_MAX => Ok(()),
        bytes => Err(refuse(ErrorCode::InvalidArgument, format!("a key has 1 to {KEY_BYTES_MAX} bytes, not {bytes}"))),
    }
}

/// The directory a key's row is in, and the row's name; `None` where there is no such directory.
pub(super) fn lookup<'k, V: View + ?Sized>(
    view: &V,
    root: DirectoryId,
    key: &'k ObjectKey,
) -> Result<Option<(DirectoryId, &'k [u8])>, StateError> {
    let (directories, name) = layout::split_key(key.as_str().as_bytes());
    let mut parent = root;
    for directory in directories {
        match get_directory(view, parent, directory)? {
            Some(record) => parent = record.id,
            None => return Ok(None),
        }
    }
    Ok(Some((parent, name)))
}

pub(super) fn get_directory<V: View + ?Sized>(
    view: &V,
    parent: DirectoryId,
    name: &[u8],
) -> Result<Option<DirectoryRecord>, StateError> {
    let key = layout::entry(parent, name);
    let Some(value) = view.get(&key)? else { return Ok(None) };
    match decode_entry(&key, &value)? {
        EntryRow::Directory(record) => Ok(Some(record)),
        EntryRow::Object(_) => Err(undecodable(&key, "an object under a directory's name")),
    }
}

fn get_counts<V: View + ?Sized>(view: &V, directory: DirectoryId) -> Result<DirectoryCounts, StateError> {
    let counts = view::read(view, &layout::directory_counts(directory))?;
    counts.ok_or_else(|| inconsistent(format!("directory {directory} has no counts")))
}

/// A current version as it was found.
pub(super) struct Current {
    pub(super) head: ObjectHead,
    /// The row, to be moved as it is.
    pub(super) row: Bytes,
}

/// A key, on its way through the tree, about to be written.
pub(super) struct KeyPath<'k> {
    root: DirectoryId,
    counts: BucketCounts,
    steps: Vec<Step<'k>>,
    /// Directories of the key that do not exist.
    missing: Vec<&'k [u8]>,
    name: &'k [u8],
}

struct Step<'k> {
    parent: DirectoryId,
    name: &'k [u8],
    record: DirectoryRecord,
    counts: DirectoryCounts,
    exists: bool,
}

impl Step<'_> {
    /// Writes the rows of the directory that have changed.
    fn put(&self, tx: &mut Transaction<'_>, existed: bool, was_listed: bool) -> Result<(), StateError> {
        let (record, counts) = (layout::entry(self.parent, self.name), layout::directory_counts(self.record.id));
        if !self.exists {
            tx.delete(record);
            tx.delete(counts);
            return filesystem::forget_directory(tx, self.record.id);
        }
        if !existed || was_listed != self.record.listed {
            tx.put(record, encode_tagged(DIRECTORY, &self.record));
        }
        tx.put_record(counts, &self.counts);
        Ok(())
    }
}

impl<'k> KeyPath<'k> {
    pub(super) fn resolve(tx: &Transaction<'_>, root: DirectoryId, key: &'k ObjectKey) -> Result<Self, Rejection> {
        check_key(key)?;
        Self::resolve_directory(tx, root, key.as_str())
    }

    /// The way to a directory, named by the key of its marker; a bucket's root has none.
    pub(super) fn resolve_directory(tx: &Transaction<'_>, root: DirectoryId, key: &'k str) -> Result<Self, Rejection> {
        let (directories, name) = layout::split_key(key.as_bytes());
        let counts = buckets::counts(tx, root)?;
        let mut path = KeyPath { root, counts, steps: Vec::new(), missing: Vec::new(), name };
        for directory in directories {
            let parent = path.parent();
            let found = if path.missing.is_empty() { get_directory(tx, parent, directory)? } else { None };
            match found {
                Some(record) => {
                    let counts = get_counts(tx, record.id)?;
                    path.steps.push(Step { parent, name: directory, record, counts, exists: true });
                }
                None => path.missing.push(directory),
            }
        }
        Ok(path)
    }

    /// The directory that the key's row is in; not to be asked while directories are missing.
    pub(super) fn parent(&self) -> DirectoryId {
        self.steps.last().map_or(self.root, |step| step.record.id)
    }

    pub(super) fn name(&self) -> &'k [u8] {
        self.name
    }

    pub(super) fn current(&self, tx: &Transaction<'_>) -> Result<Option<Current>, StateError> {
        if !self.missing.is_empty() {
            return Ok(None);
        }
        let key = layout::entry(self.parent(), self.name);
        let Some(row) = tx.get(&key)? else { return Ok(None) };
        Ok(Some(Current { head: decode_object_head(&key, &row)?, row }))
    }

    /// Puts the key's row, in place of `was`.
    pub(super) fn put_current(
        &mut self,
        tx: &mut Transaction<'_>,
        was: Option<&ObjectHead>,
        now: &ObjectHead,
        row: Bytes,
    ) -> Result<(), StateError> {
        self.make_directories(tx);
        if was.is_some() {
            filesystem::forget_file(tx, self.parent(), self.name)?;
        }
        tx.put_bytes(layout::entry(self.parent(), self.name), row);
        self.count(tx, was, Some(now))
    }

    fn make_directories(&mut self, tx: &mut Transaction<'_>) {
        for name in std::mem::take(&mut self.missing) {
            let parent = self.parent();
            let record = DirectoryRecord { id: buckets::new_directory(tx), listed: false };
            self.steps.push(Step { parent, name, record, counts: DirectoryCounts::default(), exists: false });
        }
    }

    /// Counts rows of the key's directory that are not the key's own: files that are being written, and directories that
    /// come and go whole.
    pub(super) fn count_rows(&mut self, tx: &mut Transaction<'_>, entries: i64, listed: i64) -> Result<(), StateError> {
        self.make_directories(tx);
        let (entries, listed) = self.count_directories(tx, entries, listed)?;
        if (entries, listed) != (0, 0) {
            self.counts.entries = moved(self.counts.entries, entries, "a root's entries")?;
            self.counts.listed = moved(self.counts.listed, listed, "a root's listed entries")?;
            tx.put_record(layout::bucket_counts(self.root), &self.counts);
        }
        Ok(())
    }

    /// Removes the key's row, which was `was`, and directories that become empty.
    pub(super) fn remove_current(&mut self, tx: &mut Transaction<'_>, was: &ObjectHead) -> Result<(), StateError> {
        tx.delete(layout::entry(self.parent(), self.name));
        filesystem::forget_file(tx, self.parent(), self.name)?;
        self.count(tx, Some(was), None)
    }

    fn count(
        &mut self,
        tx: &mut Transaction<'_>,
        was: Option<&ObjectHead>,
        now: Option<&ObjectHead>,
    ) -> Result<(), StateError> {
        let listed = |head: Option<&ObjectHead>| i64::from(head.is_some_and(|head| !head.delete_marker));
        let bytes = |head: Option<&ObjectHead>| head.map_or(0, |head| head.size as i64);
        let entries = i64::from(now.is_some()) - i64::from(was.is_some());
        let objects = listed(now) - listed(was);
        let delta_bytes = bytes(now) - bytes(was);

        let sums = tx.counters();
        sums.objects = moved(sums.objects, objects, "the number of objects")?;
        sums.object_bytes = moved(sums.object_bytes, delta_bytes, "object_bytes")?;
        self.counts.objects = moved(self.counts.objects, objects, "a bucket's number of objects")?;
        self.counts.bytes = moved(self.counts.bytes, delta_bytes, "a bucket's bytes")?;
        let (entries, listed) = self.count_directories(tx, entries, objects)?;
        self.counts.entries = moved(self.counts.entries, entries, "a root's entries")?;
        self.counts.listed = moved(self.counts.listed, listed, "a root's listed entries")?;
        tx.put_record(layout::bucket_counts(self.root), &self.counts);
        Ok(())
    }

    /// Carries a change of counts from the innermost directory outwards for as long as it changes anything. Gives back
    /// what is left of it for the root.
    fn count_directories(
        &mut self,
        tx: &mut Transaction<'_>,
        mut entries: i64,
        mut listed: i64,
    ) -> Result<(i64, i64), StateError> {
        for step in self.steps.iter_mut().rev() {
            if entries == 0 && listed == 0 {
                break;
            }
            let (existed, was_listed) = (step.exists, step.record.listed);
            step.counts.entries = moved(step.counts.entries, entries, "a directory's entries")?;
            step.counts.listed = moved(step.counts.listed, listed, "a directory's listed entries")?;
            step.exists = step.counts.entries > 0;
            step.record.listed = step.counts.listed > 0;
            step.put(tx, existed, was_listed)?;
            entries = i64::from(step.exists) - i64::from(existed);
            listed = i64::from(step.record.listed) - i64::from(was_listed);
        }
        Ok((entries, listed))
    }
}
