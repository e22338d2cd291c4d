//! Pages of a directory, in byte order of the names as they are shown.
//!
//! Rows are in another order: a directory's name has its slash there, which sorts behind `-` and `.`. A directory that is
//! shown before a row stands behind it only if its name is the beginning of the row's, up to such a byte; so each row is
//! asked for directories of those names, which costs a look a page is glad to pay: neighbours share their beginnings.

use super::attributes;
use super::resolve::{self, Bucket, Found, Shows};
use crate::error::StateError;
use crate::state::layout;
use crate::state::path::{self, EntryRow};
use crate::state::records::{DirectoryRecord, ObjectRecord};
use crate::state::view::{self, View, undecodable};
use granary_protocol::DirectoryId;
use granary_protocol::filesystem::{FileId, is_component};

/// An entry of a directory.
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) found: Found,
}

/// A row on its way.
struct Row {
    /// With the slash of a directory.
    name: Vec<u8>,
    what: RowKind,
}

enum RowKind {
    Directory(DirectoryRecord),
    Object(Vec<u8>, bytes::Bytes),
    Open(FileId),
}

/// Entries of a directory with names above `after`, at most `limit`; whether there are more.
pub(super) fn page<V: View + ?Sized>(
    view: &V,
    directory: DirectoryId,
    shows: Shows,
    after: &str,
    limit: usize,
) -> Result<(Vec<Listed>, bool), StateError> {
    let mut listing =
        Page { view, directory, shows, last: after.to_owned(), page: Vec::new(), limit, asked: Vec::new() };
    let mut from = after.as_bytes().to_vec();
    if !after.is_empty() {
        from.push(0);
    }
    let mut rows = rows(view, directory, &from);
    while let Some(row) = rows.next() {
        if !listing.take(row?)? {
            return Ok((listing.page, true));
        }
    }
    Ok((listing.page, false))
}

struct Page<'v, V: View + ?Sized> {
    view: &'v V,
    directory: DirectoryId,
    shows: Shows,
    /// The name shown last.
    last: String,
    page: Vec<Listed>,
    limit: usize,
    /// The beginnings of the last row's name that were asked for.
    asked: Vec<Vec<u8>>,
}

impl<V: View + ?Sized> Page<'_, V> {
    /// Shows what comes up to this row; `false` when the page was full before.
    fn take(&mut self, row: Row) -> Result<bool, StateError> {
        for early in self.directories_before(&row.name) {
            if let Some(record) = resolve::directory(self.view, self.directory, &early, self.shows)?
                && !self.show_directory(&early, record)?
            {
                return Ok(false);
            }
        }
        let (bytes, is_directory) = match &row.what {
            RowKind::Directory(_) => (&row.name[..row.name.len() - 1], true),
            _ => (&row.name[..], false),
        };
        let Ok(name) = std::str::from_utf8(bytes) else {
            return Err(undecodable(&layout::entry(self.directory, &row.name), "a name is not UTF-8"));
        };
        debug_assert_eq!(is_directory, row.name.ends_with(b"/"));
        match row.what {
            RowKind::Directory(record) => self.show_directory(name, record),
            RowKind::Open(id) => {
                let record = Box::new(resolve::open_file(self.view, id)?);
                self.show(name, Found::Open { id, record })
            }
            RowKind::Object(key, value) => {
                let ObjectRecord { head, details } = path::decode_object(&key, &value)?;
                if head.delete_marker || !is_component(name) {
                    return Ok(true);
                }
                let attributes = Box::new(attributes::of_file(self.view, self.directory, name)?);
                self.show(name, Found::File { head: Box::new(head), details: Box::new(details), attributes })
            }
        }
    }

    /// Names of directories that would be shown before this row and stand behind it, shortest first.
    fn directories_before(&mut self, row: &[u8]) -> Vec<String> {
        let ends = |at: &usize| *at > 0 && row[*at] < b'/';
        let beginnings: Vec<Vec<u8>> = (0..row.len()).filter(ends).map(|at| row[..at].to_vec()).collect();
        let new = beginnings.iter().filter(|beginning| !self.asked.contains(beginning));
        let names = new.filter_map(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned).collect();
        self.asked = beginnings;
        names
    }

    fn show_directory(&mut self, name: &str, record: DirectoryRecord) -> Result<bool, StateError> {
        let hidden = !self.shows.directory(&record) || !is_component(name) || name <= self.last.as_str();
        if hidden || resolve::find_file(self.view, self.directory, name)?.is_some() {
            return Ok(true);
        }
        self.show(name, Found::Directory { id: record.id, record: Some(record) })
    }

    fn show(&mut self, name: &str, found: Found) -> Result<bool, StateError> {
        if name <= self.last.as_str() || !is_component(name) {
            return Ok(true);
        }
        if self.page.len() == self.limit {
            return Ok(false);
        }
        self.last = name.to_owned();
        self.page.push(Listed { name: name.to_owned(), found });
        Ok(true)
    }
}

/// Rows of a directory from a name on, files being written in their places; one that hides an object replaces it.
fn rows<'v, V: View + ?Sized>(
    view: &'v V,
    directory: DirectoryId,
    from: &[u8],
) -> Box<dyn Iterator<Item = Result<Row, StateError>> + 'v> {
    let entries_end = layout::after_prefix(&layout::entry(directory, b""));
    let open_end = layout::after_prefix(&layout::open_name(directory, b""));
    let mut entries = view.scan(&layout::entry(directory, from), Some(&entries_end)).peekable();
    let mut open = view.scan(&layout::open_name(directory, from), Some(&open_end)).peekable();
    Box::new(std::iter::from_fn(move || {
        let open_first = match (entries.peek(), open.peek()) {
            (_, None) | (Some(Err(_)), _) => false,
            (None, _) | (_, Some(Err(_))) => true,
            (Some(Ok((entry, _))), Some(Ok((open, _)))) => {
                let order = open[9..].cmp(&entry[9..]);
                if order.is_eq() {
                    entries.next();
                }
                order.is_le()
            }
        };
        let pair = if open_first { open.next()? } else { entries.next()? };
        Some(pair.map_err(StateError::from).and_then(|(key, value)| {
            let name = key[9..].to_vec();
            if open_first {
                return Ok(Row { name, what: RowKind::Open(view::decode(&key, &value)?) });
            }
            let what = match path::decode_entry(&key, &value)? {
                EntryRow::Directory(record) => RowKind::Directory(record),
                EntryRow::Object(_) => RowKind::Object(key.to_vec(), value),
            };
            Ok(Row { name, what })
        }))
    }))
}

/// Whether the caller is shown a bucket in `/`: it is its own, or its mode bits let it in.
pub(super) fn shows_bucket<V: View + ?Sized>(
    view: &V,
    caller: &granary_protocol::filesystem::FsCaller,
    bucket: &Bucket,
) -> Result<bool, StateError> {
    if caller.superuser || (caller.makes_buckets && bucket.owner == caller.account) {
        return Ok(true);
    }
    let attributes = attributes::of_directory(view, bucket.head.root)?;
    let inode = attributes::Inode::of(view, bucket, &attributes, true)?;
    Ok(super::access::allows(caller, &inode, super::access::READ)
        || super::access::allows(caller, &inode, super::access::EXECUTE))
}
