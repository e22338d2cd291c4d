//! Listing objects: a depth-first walk of the tree that seeks past what it does not return.
//!
//! The walk's position is a byte string, the least key not yet passed. Seeking to one opens the directories along it and
//! nothing else; a directory that rolls up into a common prefix is one row and is never entered. Delete markers, and
//! directories that hold nothing else, are passed over.

use super::buckets;
use super::layout;
use super::path::{self, EntryRow};
use super::records::ObjectHead;
use super::view::{self, View, undecodable};
use crate::engine::Scan;
use crate::error::{Rejection, StateError};
use bytes::Bytes;
use granary_protocol::namenode::{ListAfter, ListEntry, Listing};
use granary_protocol::object::{KEY_BYTES_MAX, ObjectDetails, PAGE_ENTRIES_MAX};
use granary_protocol::{BucketName, DirectoryId, ObjectKey};

/// A page of the keys with `prefix`, in byte order; keys that have `delimiter` behind the prefix are rolled up into one
/// entry. An empty delimiter rolls nothing up. At most `limit` entries, and never more than [`PAGE_ENTRIES_MAX`].
///
/// # Errors
/// `NoSuchBucket`.
pub fn list_objects<V: View + ?Sized>(
    view: &V,
    bucket: &BucketName,
    prefix: &str,
    delimiter: &str,
    after: &ListAfter,
    limit: u32,
) -> Result<Listing, Rejection> {
    let root = buckets::head(view, bucket)?.root;
    let limit = limit.min(PAGE_ENTRIES_MAX) as usize;
    let mut listing = Listing { entries: Vec::new(), truncated: false };
    if limit == 0 || prefix.len() > KEY_BYTES_MAX {
        return Ok(listing);
    }
    let start = match after {
        ListAfter::Start => Vec::new(),
        ListAfter::Key(key) => [key.as_bytes(), b"\0"].concat(),
        // Nothing is greater than every key.
        ListAfter::Prefix(after) if after.is_empty() => return Ok(listing),
        ListAfter::Prefix(after) => layout::after_prefix(after.as_bytes()),
    };
    let Some(mut walk) = Walk::of_prefix(view, root, prefix.as_bytes())? else { return Ok(listing) };
    walk.seek(start.as_slice().max(prefix.as_bytes()))?;

    while let Some(row) = walk.next()? {
        let rolled = roll_up(&walk.path, prefix.len(), delimiter.as_bytes());
        let entry = match (row, rolled) {
            (EntryRow::Directory(record), None) => {
                walk.enter(record.id);
                continue;
            }
            (EntryRow::Object(_), None) if listing.entries.len() == limit => {
                listing.truncated = true;
                break;
            }
            (EntryRow::Object(row), None) => object_entry(&walk.path, &row)?,
            (_, Some(_)) if listing.entries.len() == limit => {
                listing.truncated = true;
                break;
            }
            (row, Some(end)) => {
                let common = walk.path[..end].to_vec();
                // A whole directory is behind us already: its row was the only one of it.
                if !matches!(row, EntryRow::Directory(_)) || end < walk.path.len() {
                    walk.seek(&layout::after_prefix(&common))?;
                }
                ListEntry::CommonPrefix(text(common)?)
            }
        };
        listing.entries.push(entry);
    }
    Ok(listing)
}

/// Where the common prefix of `key` ends: behind the first delimiter that follows the prefix.
pub(super) fn roll_up(key: &[u8], prefix_bytes: usize, delimiter: &[u8]) -> Option<usize> {
    if delimiter.is_empty() {
        return None;
    }
    let rest = &key[prefix_bytes..];
    let at = match delimiter {
        [byte] => rest.iter().position(|b| b == byte),
        _ => rest.windows(delimiter.len()).position(|window| window == delimiter),
    };
    at.map(|at| prefix_bytes + at + delimiter.len())
}

fn object_entry(path: &[u8], row: &Bytes) -> Result<ListEntry, StateError> {
    let key = ObjectKey(text(path.to_vec())?);
    let (head, _): (ObjectHead, _) = view::decode_head(&[layout::ENTRY], row)?;
    Ok(ListEntry::Object { key, object: head.into_version(ObjectDetails::default()) })
}

fn text(key: Vec<u8>) -> Result<String, StateError> {
    String::from_utf8(key).map_err(|error| undecodable(&[layout::ENTRY], error.to_string()))
}

/// A walk over the keys of one prefix, in order.
struct Walk<'v, V: View + ?Sized> {
    view: &'v V,
    prefix: &'v [u8],
    /// The innermost directory that holds every key of the prefix, and the bytes of its path.
    base: DirectoryId,
    base_bytes: usize,
    /// Directories being walked, outermost first.
    levels: Vec<Level<'v>>,
    /// The path of the row given out last.
    path: Vec<u8>,
}

struct Level<'v> {
    directory: DirectoryId,
    path_bytes: usize,
    /// Rows still to be given out begin at this name.
    from: Vec<u8>,
    /// Opened when the first row is asked for: most seeks end before outer levels are reached again.
    rows: Option<Scan<'v>>,
}

impl<'v, V: View + ?Sized> Walk<'v, V> {
    /// `None` if there is no directory that could hold such keys.
    fn of_prefix(view: &'v V, root: DirectoryId, prefix: &'v [u8]) -> Result<Option<Self>, StateError> {
        let (directories, _) = layout::split_key(prefix);
        let (mut base, mut base_bytes) = (root, 0);
        for name in directories {
            match path::get_directory(view, base, name)? {
                Some(record) if record.listed > 0 => base = record.id,
                _ => return Ok(None),
            }
            base_bytes += name.len();
        }
        let path = prefix.to_vec();
        Ok(Some(Walk { view, prefix, base, base_bytes, levels: Vec::new(), path }))
    }

    /// Goes to the first key that is not below `target`. The target is not below the prefix.
    fn seek(&mut self, target: &[u8]) -> Result<(), StateError> {
        self.levels.clear();
        // Otherwise it lies behind everything in the base directory, and the walk is over.
        if !target.starts_with(&self.prefix[..self.base_bytes]) {
            return Ok(());
        }
        let (directories, last) = layout::split_key(&target[self.base_bytes..]);
        let (mut directory, mut path_bytes) = (self.base, self.base_bytes);
        self.path.truncate(self.base_bytes);
        for name in directories {
            // Of this directory, what follows the one that is entered.
            let from = [name, b"\0"].concat();
            self.levels.push(Level { directory, path_bytes, from, rows: None });
            match path::get_directory(self.view, directory, name)? {
                Some(record) if record.listed > 0 => directory = record.id,
                _ => return Ok(()),
            }
            self.path.extend_from_slice(name);
            path_bytes += name.len();
        }
        self.levels.push(Level { directory, path_bytes, from: last.to_vec(), rows: None });
        Ok(())
    }

    /// Goes into the directory whose row was given out last.
    fn enter(&mut self, directory: DirectoryId) {
        self.levels.push(Level { directory, path_bytes: self.path.len(), from: Vec::new(), rows: None });
    }

    /// The next row that leads to a key of the prefix; `path` is its path then. `None` at the end.
    fn next(&mut self) -> Result<Option<EntryRow>, StateError> {
        while let Some(level) = self.levels.last_mut() {
            let directory = level.directory;
            let rows = level.rows.get_or_insert_with(|| {
                let from = layout::entry(directory, &level.from);
                self.view.scan(&from, Some(&layout::after_prefix(&layout::entry(directory, b""))))
            });
            let Some(pair) = rows.next() else {
                self.levels.pop();
                continue;
            };
            let (key, value) = pair?;
            // Paths of outer levels are the beginning of inner ones, so cutting is enough to come back.
            self.path.truncate(level.path_bytes);
            self.path.extend_from_slice(&key[9..]);
            if !self.path.starts_with(self.prefix) {
                // Rows before the prefix were skipped by seeking, so this one is behind it.
                self.levels.clear();
                break;
            }
            match path::decode_entry(&key, &value)? {
                EntryRow::Directory(record) if record.listed == 0 => {}
                EntryRow::Object(row) if is_marker(&row)? => {}
                row => return Ok(Some(row)),
            }
        }
        Ok(None)
    }
}

/// Reads only as far as the flag.
fn is_marker(row: &Bytes) -> Result<bool, StateError> {
    let ((_, _, marker), _): ((u64, u64, bool), _) = view::decode_head(&[layout::ENTRY], row)?;
    Ok(marker)
}
