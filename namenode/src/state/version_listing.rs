//! Listing versions: every version and delete marker of the keys of a prefix, by key, newest first.
//!
//! A key's current version is its row in the tree; the others follow each other in a table of their own, in the same order
//! of keys. A page reads both side by side, starts within a key's versions by seeking, and rolls keys up as a listing of
//! objects does.

use super::buckets;
use super::layout;
use super::listing::{roll_up, text};
use super::path::{self, EntryRow};
use super::records::ObjectHead;
use super::versions;
use super::view::{self, View};
use super::walk::{Shown, Walk};
use crate::error::{Rejection, StateError};
use granary_protocol::namenode::{VersionAfter, VersionEntry, VersionListing};
use granary_protocol::object::{KEY_BYTES_MAX, ObjectDetails, PAGE_ENTRIES_MAX};
use granary_protocol::{BucketName, DirectoryId, ObjectKey, VersionId};

/// A page of the versions of the keys with `prefix`; keys that have `delimiter` behind the prefix are rolled up into one
/// entry. At most `limit` entries, and never more than [`PAGE_ENTRIES_MAX`].
///
/// # Errors
/// `NoSuchBucket`.
pub fn list_versions<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    prefix: &str,
    delimiter: &str,
    after: &VersionAfter,
    limit: u32,
) -> Result<VersionListing, Rejection> {
    let root = buckets::head(view, bucket)?.root;
    let mut page = Page { entries: Vec::new(), limit: limit.min(PAGE_ENTRIES_MAX) as usize };
    if page.limit == 0 || prefix.len() > KEY_BYTES_MAX {
        return Ok(page.ended(false));
    }
    let Some(Start { key, mut below }) = start(view, root, after)? else { return Ok(page.ended(false)) };
    let Some(mut walk) = Walk::of_prefix(view, root, prefix.as_bytes(), Shown::Versions)? else {
        return Ok(page.ended(false));
    };
    walk.seek(key.as_slice().max(prefix.as_bytes()))?;

    while let Some(row) = walk.next()? {
        match (row, roll_up(walk.path(), prefix.len(), delimiter.as_bytes())) {
            (EntryRow::Directory(record), None) => walk.enter(record.id),
            (EntryRow::Object(row), None) => {
                // Only the first key can be one that an earlier page has begun.
                let below = below.take().filter(|_| walk.path() == key);
                if !page.add_key(&mut walk, &row, below)? {
                    return Ok(page.ended(true));
                }
            }
            (row, Some(end)) => {
                let common = walk.path()[..end].to_vec();
                // A whole directory is behind us already: its row was the only one of it.
                if !matches!(row, EntryRow::Directory(_)) || end < walk.path().len() {
                    walk.seek(&layout::after_prefix(&common))?;
                }
                if !page.add(VersionEntry::CommonPrefix(text(common)?)) {
                    return Ok(page.ended(true));
                }
            }
        }
    }
    Ok(page.ended(false))
}

/// Where a page begins: at the first key that is not below `key`, and if it is `key`, at its first version with a sequence
/// below `below`.
struct Start {
    key: Vec<u8>,
    below: Option<u64>,
}

/// `None` where nothing can follow.
fn start<V: View + ?Sized>(view: &V, root: DirectoryId, after: &VersionAfter) -> Result<Option<Start>, StateError> {
    let at = |key: Vec<u8>| Some(Start { key, below: None });
    Ok(match after {
        VersionAfter::Start => at(Vec::new()),
        VersionAfter::Version(key, version) => {
            let below = sequence_of(view, root, key, *version)?;
            Some(Start { key: key.clone().into_bytes(), below })
        }
        VersionAfter::Key(key) => at([key.as_bytes(), b"\0"].concat()),
        VersionAfter::Prefix(prefix) if prefix.is_empty() => None,
        VersionAfter::Prefix(prefix) => at(layout::after_prefix(prefix.as_bytes())),
    })
}

/// The place of a version among those of its key, whether it still exists or not. A `null` version that is gone has left no
/// trace of where it was: `None`, so that all versions of the key are listed rather than some missed.
fn sequence_of<V: View + ?Sized>(
    view: &V,
    root: DirectoryId,
    key: &str,
    version: VersionId,
) -> Result<Option<u64>, StateError> {
    if version != VersionId::NULL {
        return Ok(Some(version.0));
    }
    let key = ObjectKey::from(key);
    let Some((parent, name)) = path::lookup(view, root, &key)? else { return Ok(None) };
    let row_key = layout::entry(parent, name);
    let Some(row) = view.get(&row_key)? else { return Ok(None) };
    let current = path::decode_object_head(&row_key, &row)?;
    if current.version == VersionId::NULL {
        return Ok(Some(current.sequence));
    }
    let found = versions::find_noncurrent(view, parent, name, version)?;
    let head = found.map(|(row_key, row)| path::decode_object_head(&row_key, &row)).transpose()?;
    Ok(head.map(|head| head.sequence))
}

struct Page {
    entries: Vec<VersionEntry>,
    limit: usize,
}

impl Page {
    /// `false` if there is no room.
    fn add(&mut self, entry: VersionEntry) -> bool {
        let fits = self.entries.len() < self.limit;
        if fits {
            self.entries.push(entry);
        }
        fits
    }

    /// Adds the versions with sequences below `below` of the key whose row was given out last; `false` if there is no room
    /// for all of them.
    fn add_key<V: View + ?Sized>(
        &mut self,
        walk: &mut Walk<'_, V>,
        current: &[u8],
        below: Option<u64>,
    ) -> Result<bool, StateError> {
        let key = ObjectKey(text(walk.path().to_vec())?);
        let (head, _): (ObjectHead, _) = view::decode_head(&[layout::ENTRY], current)?;
        let entry = |head: ObjectHead, is_latest| {
            let object = head.into_version(ObjectDetails::default());
            VersionEntry::Version { key: key.clone(), object, is_latest }
        };
        if below.is_none_or(|below| head.sequence < below) && !self.add(entry(head, true)) {
            return Ok(false);
        }
        while let Some((row_key, row)) = walk.next_noncurrent(below)? {
            if !self.add(entry(path::decode_object_head(&row_key, &row)?, false)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn ended(self, truncated: bool) -> VersionListing {
        VersionListing { entries: self.entries, truncated }
    }
}
