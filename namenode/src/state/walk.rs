//! A depth-first walk over the keys of a prefix, in byte order, that can seek and never reads what it seeks past.
//!
//! The walk's position is a byte string, the least key not yet passed. Seeking to one opens the directories along it and
//! nothing else.

use super::layout;
use super::path::{self, EntryRow};
use super::records::DirectoryRecord;
use super::view::{self, View};
use crate::engine::Scan;
use crate::error::StateError;
use bytes::Bytes;
use granary_protocol::DirectoryId;
use std::iter::Peekable;

/// Which keys a walk stops at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Those with an object. Delete markers, and directories that hold nothing else, are passed over.
    Objects,
    /// All that have a version.
    Versions,
}

/// A walk over the keys of one prefix, in order.
pub(super) struct Walk<'v, V: View + ?Sized> {
    view: &'v V,
    shown: Shown,
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
    /// Noncurrent versions of what is in the directory, from some name on; opened when the first are asked for. They are
    /// in the order of the rows, so both are read side by side.
    noncurrent: Option<Peekable<Scan<'v>>>,
}

impl Level<'_> {
    fn new(directory: DirectoryId, path_bytes: usize, from: Vec<u8>) -> Self {
        Level { directory, path_bytes, from, rows: None, noncurrent: None }
    }
}

impl<'v, V: View + ?Sized> Walk<'v, V> {
    /// `None` if there is no directory that could hold such keys.
    pub(super) fn of_prefix(
        view: &'v V,
        root: DirectoryId,
        prefix: &'v [u8],
        shown: Shown,
    ) -> Result<Option<Self>, StateError> {
        let (directories, _) = layout::split_key(prefix);
        let (mut base, mut base_bytes) = (root, 0);
        for name in directories {
            match path::get_directory(view, base, name)? {
                Some(record) if shown.in_directory(&record) => base = record.id,
                _ => return Ok(None),
            }
            base_bytes += name.len();
        }
        let path = prefix.to_vec();
        Ok(Some(Walk { view, shown, prefix, base, base_bytes, levels: Vec::new(), path }))
    }

    /// The path of the row given out last.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Goes to the first key that is not below `target`. The target is not below the prefix.
    pub(super) fn seek(&mut self, target: &[u8]) -> Result<(), StateError> {
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
            self.levels.push(Level::new(directory, path_bytes, from));
            match path::get_directory(self.view, directory, name)? {
                Some(record) if self.shown.in_directory(&record) => directory = record.id,
                _ => return Ok(()),
            }
            self.path.extend_from_slice(name);
            path_bytes += name.len();
        }
        self.levels.push(Level::new(directory, path_bytes, last.to_vec()));
        Ok(())
    }

    /// Goes into the directory whose row was given out last.
    pub(super) fn enter(&mut self, directory: DirectoryId) {
        self.levels.push(Level::new(directory, self.path.len(), Vec::new()));
    }

    /// The next row that leads to a key of the prefix; `path` is its path then. `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<EntryRow>, StateError> {
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
                EntryRow::Directory(record) if !self.shown.in_directory(&record) => {}
                EntryRow::Object(row) if self.shown == Shown::Objects && is_marker(&row)? => {}
                row => return Ok(Some(row)),
            }
        }
        Ok(None)
    }

    /// The next noncurrent version of the object whose row was given out last, newest first; where it is asked for the
    /// first time, from the first one with a sequence below `below`.
    pub(super) fn next_noncurrent(&mut self, below: Option<u64>) -> Result<Option<(Bytes, Bytes)>, StateError> {
        let level = self.levels.last_mut().expect("a row was given out, from the innermost level");
        let (directory, name) = (level.directory, &self.path[level.path_bytes..]);
        let versions = layout::versions_of(directory, name);
        let noncurrent = level.noncurrent.get_or_insert_with(|| {
            let from = match below.map(|below| below.checked_sub(1)) {
                Some(Some(highest)) => layout::version(directory, name, highest),
                Some(None) => layout::after_prefix(&versions),
                None => versions.clone(),
            };
            self.view.scan(&from, Some(&layout::after_prefix(&layout::versions_in(directory)))).peekable()
        });
        match noncurrent.next_if(|pair| pair.as_ref().map_or(true, |(key, _)| key.starts_with(&versions))) {
            Some(pair) => Ok(Some(pair?)),
            None => Ok(None),
        }
    }
}

impl Shown {
    /// Whether a directory holds anything that is shown.
    fn in_directory(self, record: &DirectoryRecord) -> bool {
        match self {
            Shown::Objects => record.listed,
            // A directory without rows does not exist.
            Shown::Versions => true,
        }
    }
}

/// Reads only as far as the flag.
fn is_marker(row: &Bytes) -> Result<bool, StateError> {
    let ((_, _, marker), _): ((u64, u64, bool), _) = view::decode_head(&[layout::ENTRY], row)?;
    Ok(marker)
}
