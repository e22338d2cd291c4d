//! Sums over trees, and the limits that directories may have.
//!
//! A limit is a row; what a tree takes is counted when it is asked. The peer that leads asks before it orders what adds to a
//! tree, so that commands stay small whatever lies in it.

use super::access;
use super::attributes;
use super::listing;
use super::queries;
use super::resolve::{self, Found, Shows};
use crate::error::{Rejection, StateError, refuse};
use crate::state::layout;
use crate::state::transaction::Transaction;
use crate::state::view::{self, View};
use granary_protocol::filesystem::{ContentSummary, FsCaller, FsPath, FsQuota, FsReply, LISTING_ENTRIES_MAX};
use granary_protocol::{DirectoryId, ErrorCode};

/// A directory with limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitedDirectory {
    pub directory: DirectoryId,
    pub path: FsPath,
    pub quota: FsQuota,
}

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
                if let Some(bucket) = resolve::bucket(view, &info.name)?
                    && listing::shows_bucket(view, caller, &bucket)?
                {
                    waiting.push((bucket.head.root, bucket.shows(), format!("/{}", info.name)));
                }
            }
        }
        Found::Directory { id, .. } => {
            waiting.push((*id, place.bucket()?.shows(), path.as_str().to_owned()));
            sums.summary.quota = of_directory(view, *id)?.unwrap_or_default();
        }
        found => sums.add(found),
    }
    while let Some((directory, shows, path)) = waiting.pop() {
        if !caller.superuser && !place.path.is_root() {
            let attributes = attributes::of_directory(view, directory)?;
            let inode = attributes::Inode::of(view, place.bucket()?, &attributes, true)?;
            access::check(caller, &path, &inode, access::READ | access::EXECUTE)?;
        }
        sums.add_directory(view, directory, shows, |inner, name| {
            waiting.push((inner, shows, format!("{path}/{name}")));
        })?;
    }
    Ok(sums.summary)
}

struct Sums {
    summary: ContentSummary,
    /// Of files that name none.
    replication: u16,
}

impl Sums {
    /// Adds a directory and its files, and hands out the directories in it.
    fn add_directory<V: View + ?Sized>(
        &mut self,
        view: &V,
        directory: DirectoryId,
        shows: Shows,
        mut inner: impl FnMut(DirectoryId, &str),
    ) -> Result<(), StateError> {
        self.summary.directories += 1;
        let mut after = String::new();
        loop {
            let (entries, more) = listing::page(view, directory, shows, &after, LISTING_ENTRIES_MAX)?;
            for entry in entries {
                match &entry.found {
                    Found::Directory { id, .. } => inner(*id, &entry.name),
                    found => self.add(found),
                }
                after = entry.name;
            }
            if !more {
                return Ok(());
            }
        }
    }

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

fn of_directory<V: View + ?Sized>(view: &V, directory: DirectoryId) -> Result<Option<FsQuota>, StateError> {
    view::read(view, &layout::quota(directory))
}

/// Whether any directory has limits.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn any_limits<V: View + ?Sized>(view: &V) -> Result<bool, StateError> {
    Ok(view::read::<_, u64>(view, &layout::table(layout::QUOTA_COUNT))?.is_some_and(|count| count > 0))
}

/// The directories with limits at a path and above it.
///
/// # Errors
/// What keeps the path from being looked up.
pub fn limits_on<V: View + ?Sized>(view: &V, path: &FsPath) -> Result<Vec<LimitedDirectory>, Rejection> {
    let place = resolve::resolve(view, path)?;
    let mut limited = Vec::new();
    let mut at = String::new();
    let own = match place.found {
        Found::Directory { id, .. } => Some((id, path.name().to_owned())),
        _ => None,
    };
    let above = place.above.iter().map(|step| (step.directory, step.name.clone()));
    for (directory, name) in above.chain(own) {
        at = format!("{at}/{name}");
        if let (Some(quota), Ok(path)) = (of_directory(view, directory)?, FsPath::parse(&at)) {
            limited.push(LimitedDirectory { directory, path, quota });
        }
    }
    Ok(limited)
}

/// Files and directories that making something at a path would add: what is missing of it, the bucket not counted.
///
/// # Errors
/// What keeps the path from being looked up.
pub fn missing_names<V: View + ?Sized>(view: &V, path: &FsPath) -> Result<u64, Rejection> {
    let place = resolve::resolve(view, path)?;
    match place.exists() {
        true => Ok(0),
        false => Ok(path.components().count().saturating_sub(place.above.len()) as u64),
    }
}

/// Names and bytes (once a replica) that a file or a tree takes.
///
/// # Errors
/// Those of a summary.
pub fn taken<V: View + ?Sized>(view: &V, path: &FsPath, replication: u16) -> Result<(u64, u64), Rejection> {
    let everybody = FsCaller { superuser: true, ..FsCaller::default() };
    let summary = summary(view, &everybody, path, replication)?;
    Ok((summary.files + summary.directories, summary.space_consumed))
}

/// `setQuota`.
pub(super) fn set(
    tx: &mut Transaction<'_>,
    caller: &FsCaller,
    path: &FsPath,
    names: Option<Option<u64>>,
    space_bytes: Option<Option<u64>>,
) -> Result<FsReply, Rejection> {
    access::check_superuser(caller)?;
    let place = queries::existing(tx, caller, path)?;
    let Found::Directory { id, .. } = place.found else {
        return Err(refuse(ErrorCode::FileNotFound, format!("Directory does not exist: {path}")));
    };
    if names == Some(Some(0)) {
        let detail = format!("Invalid values for quota : {path} counts itself, so at least one name is needed");
        return Err(refuse(ErrorCode::InvalidArgument, detail));
    }
    let before = of_directory(tx, id)?;
    let old = before.unwrap_or_default();
    let quota = FsQuota { names: names.unwrap_or(old.names), space_bytes: space_bytes.unwrap_or(old.space_bytes) };
    match quota == FsQuota::default() {
        true => tx.delete(layout::quota(id)),
        false => tx.put_record(layout::quota(id), &quota),
    }
    let delta = i64::from(quota != FsQuota::default()) - i64::from(before.is_some());
    count(tx, delta)?;
    Ok(FsReply::Done)
}

/// A directory has gone, and its limits with it.
pub(super) fn forget(tx: &mut Transaction<'_>, directory: DirectoryId) -> Result<(), StateError> {
    if of_directory(tx, directory)?.is_some() {
        tx.delete(layout::quota(directory));
        count(tx, -1)?;
    }
    Ok(())
}

fn count(tx: &mut Transaction<'_>, delta: i64) -> Result<(), StateError> {
    let row = layout::table(layout::QUOTA_COUNT);
    let before = view::read::<_, u64>(tx, &row)?.unwrap_or_default();
    if delta != 0 {
        tx.put_record(row, &view::moved(before, delta, "the number of directories with limits")?);
    }
    Ok(())
}
