//! Sums over trees, and the limits that directories may have.

use super::access;
use super::attributes;
use super::listing;
use super::queries;
use super::resolve::{Found, Shows};
use crate::error::{Rejection, refuse};
use crate::state::view::View;
use granary_protocol::filesystem::{ContentSummary, FsCaller, FsPath, LISTING_ENTRIES_MAX};
use granary_protocol::{DirectoryId, ErrorCode};

/// Sums over a file or a tree, read directory by directory: as long as it takes, off the commands' path.
pub(super) fn summary<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    path: &FsPath,
    replication: u16,
) -> Result<ContentSummary, Rejection> {
    let place = queries::existing(view, caller, path)?;
    let mut sums = Sums { summary: ContentSummary::default(), replication };
    let mut waiting: Vec<(DirectoryId, Shows, String)> = Vec::new();
    match &place.found {
        Found::Root => {
            sums.summary.directories = 1;
            let (buckets, _) = crate::state::buckets::list_buckets(view, "", None, u32::MAX)?;
            for info in buckets {
                if let Some(bucket) = super::resolve::bucket(view, &info.name)?
                    && listing::shows_bucket(view, caller, &bucket)?
                {
                    waiting.push((bucket.head.root, bucket.shows(), format!("/{}", info.name)));
                }
            }
        }
        Found::Directory { id, .. } => waiting.push((*id, place.bucket()?.shows(), path.as_str().to_owned())),
        found => sums.add(found),
    }
    while let Some((directory, shows, path)) = waiting.pop() {
        if !caller.superuser && !place.path.is_root() {
            let attributes = attributes::of_directory(view, directory)?;
            let inode = attributes::Inode::of(view, place.bucket()?, &attributes, true)?;
            access::check(caller, &path, &inode, access::READ | access::EXECUTE)?;
        }
        sums.summary.directories += 1;
        let mut after = String::new();
        loop {
            let (entries, more) = listing::page(view, directory, shows, &after, LISTING_ENTRIES_MAX)?;
            for entry in entries {
                match &entry.found {
                    Found::Directory { id, .. } => waiting.push((*id, shows, format!("{path}/{}", entry.name))),
                    found => sums.add(found),
                }
                after = entry.name;
            }
            if !more {
                break;
            }
        }
    }
    Ok(sums.summary)
}

struct Sums {
    summary: ContentSummary,
    /// Of files that name none.
    replication: u16,
}

impl Sums {
    fn add(&mut self, found: &Found) {
        let (length, replication) = match found {
            Found::File { head, attributes, .. } => (head.size, attributes.replication),
            Found::Open { record, .. } => (record.visible_bytes(), record.attributes.replication),
            Found::Nothing | Found::Root | Found::Directory { .. } => return,
        };
        let replication = if replication == 0 { self.replication } else { replication };
        self.summary.files += 1;
        self.summary.length += length;
        self.summary.space_consumed += length * u64::from(replication);
    }
}

/// `setQuota`.
pub(super) fn set(caller: &FsCaller, path: &FsPath) -> Result<(), Rejection> {
    access::check_superuser(caller)?;
    Err(refuse(ErrorCode::Unsupported, format!("quotas are not kept for {path}")))
}
