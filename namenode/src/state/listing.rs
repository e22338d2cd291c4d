//! Listing objects: what a page shows of a walk over the tree, and the seeks past what it does not.
//!
//! A directory that rolls up into a common prefix is one row and is never entered.

use super::buckets;
use super::layout;
use super::path::EntryRow;
use super::records::ObjectHead;
use super::view::{self, View, undecodable};
use super::walk::{Shown, Walk};
use crate::error::{Rejection, StateError};
use granary_protocol::namenode::{ListAfter, ListEntry, Listing};
use granary_protocol::object::{KEY_BYTES_MAX, ObjectDetails, PAGE_ENTRIES_MAX};
use granary_protocol::{BucketName, ObjectKey};

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
    let Some(mut walk) = Walk::of_prefix(view, root, prefix.as_bytes(), Shown::Objects)? else { return Ok(listing) };
    walk.seek(start.as_slice().max(prefix.as_bytes()))?;

    while let Some(row) = walk.next()? {
        let rolled = roll_up(walk.path(), prefix.len(), delimiter.as_bytes());
        let entry = match (row, rolled) {
            (EntryRow::Directory(record), None) => {
                walk.enter(record.id);
                continue;
            }
            (EntryRow::Object(_), None) if listing.entries.len() == limit => {
                listing.truncated = true;
                break;
            }
            (EntryRow::Object(row), None) => object_entry(walk.path(), &row)?,
            (_, Some(_)) if listing.entries.len() == limit => {
                listing.truncated = true;
                break;
            }
            (row, Some(end)) => {
                let common = walk.path()[..end].to_vec();
                // A whole directory is behind us already: its row was the only one of it.
                if !matches!(row, EntryRow::Directory(_)) || end < walk.path().len() {
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

fn object_entry(path: &[u8], row: &[u8]) -> Result<ListEntry, StateError> {
    let key = ObjectKey(text(path.to_vec())?);
    let (head, _): (ObjectHead, _) = view::decode_head(&[layout::ENTRY], row)?;
    Ok(ListEntry::Object { key, object: head.into_version(ObjectDetails::default()) })
}

pub(super) fn text(key: Vec<u8>) -> Result<String, StateError> {
    String::from_utf8(key).map_err(|error| undecodable(&[layout::ENTRY], error.to_string()))
}
