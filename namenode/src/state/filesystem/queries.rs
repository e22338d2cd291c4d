//! Calls that change nothing, answered from the rows; where replicas are is for soft state to add.

use super::access;
use super::attributes;
use super::listing::{self, Listed};
use super::records::OpenFileRecord;
use super::resolve::{self, Bucket, Found, Place};
use super::{acl, lease, open, policies, quota, status, xattrs};
use crate::error::{Rejection, StateError, refuse};
use crate::state::buckets;
use crate::state::contents;
use crate::state::layout;
use crate::state::records::ObjectHead;
use crate::state::restores;
use crate::state::view::{self, View, undecodable};
use granary_protocol::block::Extent;
use granary_protocol::encryption::ObjectEncryption;
use granary_protocol::filesystem::{
    FileId, FileStatus, FsCaller, FsPath, FsReply, FsRequest, LISTING_ENTRIES_MAX, OpenFile,
};
use granary_protocol::lifecycle::Restore;
use granary_protocol::object::{ObjectDetails, StorageClass};
use granary_protocol::{BucketName, ContentId, ErrorCode, UnixMillis};

/// The most open files of one answer.
const OPEN_FILES_MAX: u32 = 1_000;
/// Blocks located by one page of a listing, beyond which it ends.
const LISTED_BLOCKS_MAX: usize = 1_000;

/// An answer, as far as rows give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Reply(FsReply),
    File(FoundFile),
    Listing(FoundListing),
}

/// A block of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundBlock {
    /// First byte in the file.
    pub offset: u64,
    pub extent: Extent,
    pub complete: bool,
}

/// A file's blocks in a range, and its last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundFile {
    pub length: u64,
    pub under_construction: bool,
    pub blocks: Vec<FoundBlock>,
    pub last: Option<FoundBlock>,
    pub encryption: Option<ObjectEncryption>,
    /// Of a file in an archive class.
    pub archived: Option<Archived>,
    /// Its class and its bytes, unless it is being written.
    pub class: StorageClass,
    pub content: Option<ContentId>,
}

/// A file that cannot be read but while it is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The restore that was asked for, if any.
    pub restore: Option<Restore>,
}

impl FoundFile {
    /// Whether its bytes may be given out at `now`.
    pub fn is_readable(&self, now: UnixMillis) -> bool {
        self.archived.is_none_or(|archived| archived.restore.is_some_and(|restore| restore.is_readable(now)))
    }
}

/// A page of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundListing {
    pub entries: Vec<(FileStatus, Option<FoundFile>)>,
    pub more: bool,
}

/// Answers a read. `replication` is the cluster's.
///
/// # Errors
/// The request's own.
pub fn query<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    request: &FsRequest,
    replication: u16,
) -> Result<Answer, Rejection> {
    use FsRequest as Q;
    Ok(Answer::Reply(match request {
        Q::Status { path } => {
            let place = resolve::resolve(view, path)?;
            access::check_traverse(view, caller, &place)?;
            FsReply::Status(status::of_place(view, &place, replication)?.map(Box::new))
        }
        Q::List { path, after, locations } => {
            return match list(view, caller, path, after, *locations, replication)? {
                Some(listing) => Ok(Answer::Listing(listing)),
                None => Ok(Answer::Reply(FsReply::Listing(None))),
            };
        }
        Q::Locate { path, offset, length } => {
            return Ok(Answer::File(locate(view, caller, path, *offset, *length)?));
        }
        Q::ContentSummary { path } => FsReply::Summary(quota::summary(view, caller, path, replication)?),
        Q::IsFileClosed { path } => {
            let place = resolve::resolve(view, path)?;
            access::check_traverse(view, caller, &place)?;
            match place.found {
                Found::File { .. } => FsReply::Flag(true),
                Found::Open { .. } => FsReply::Flag(false),
                _ => return Err(no_file(&place)),
            }
        }
        Q::CheckAccess { path, mode } => {
            let place = existing(view, caller, path)?;
            access::check_entry(view, caller, &place, *mode & 7)?;
            FsReply::Done
        }
        Q::GetXAttrs { path, names } => FsReply::XAttrs(xattrs::get(view, caller, path, names)?),
        Q::ListXAttrs { path } => FsReply::XAttrs(xattrs::list(view, caller, path)?),
        Q::AclStatus { path } => FsReply::Acl(Box::new(acl::status(view, caller, path)?)),
        Q::StoragePolicy { path } => FsReply::StoragePolicy(policies::of_path(view, caller, path)?),
        Q::OpenFiles { after, limit } => open_files(view, caller, *after, *limit)?,
        _ => return Err(refuse(ErrorCode::InvalidArgument, "not a read that rows answer")),
    }))
}

/// A place where there is something.
pub(super) fn existing<'p, V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    path: &'p FsPath,
) -> Result<Place<'p>, Rejection> {
    let place = resolve::resolve(view, path)?;
    access::check_traverse(view, caller, &place)?;
    match place.exists() {
        true => Ok(place),
        false => Err(refuse(ErrorCode::FileNotFound, resolve::missing(path))),
    }
}

fn no_file(place: &Place<'_>) -> Rejection {
    match place.exists() {
        true => refuse(ErrorCode::FileNotFound, format!("Path is not a file: {}", place.path)),
        false => refuse(ErrorCode::FileNotFound, resolve::missing(place.path)),
    }
}

fn locate<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    path: &FsPath,
    offset: u64,
    length: u64,
) -> Result<FoundFile, Rejection> {
    let place = resolve::resolve(view, path)?;
    if place.is_file() {
        access::check_entry(view, caller, &place, access::READ)?;
    } else {
        access::check_traverse(view, caller, &place)?;
    }
    Ok(match &place.found {
        Found::File { head, details, .. } => of_object(view, head, details, offset, length)?,
        Found::Open { record, .. } => of_open(view, record, offset, length)?,
        _ => return Err(no_file(&place)),
    })
}

fn of_object<V: View + ?Sized>(
    view: &V,
    head: &ObjectHead,
    details: &ObjectDetails,
    offset: u64,
    length: u64,
) -> Result<FoundFile, StateError> {
    let mut found = FoundFile {
        length: head.size,
        encryption: details.encryption.clone(),
        class: head.class,
        content: head.content,
        ..FoundFile::default()
    };
    if head.class.is_archive() {
        found.archived = Some(Archived { restore: restores::restore_of(view, head)? });
    }
    if let (Some(content), None) = (head.content, &details.encryption) {
        fill(&mut found, contents::pieces_around(view, content, offset, length)?, offset, length);
        found.last = found.last.or(found.blocks.last().copied());
    }
    Ok(found)
}

fn of_open<V: View + ?Sized>(
    view: &V,
    record: &OpenFileRecord,
    offset: u64,
    length: u64,
) -> Result<FoundFile, StateError> {
    let sealed = record.base_bytes + record.sealed_bytes();
    let mut found = FoundFile { length: sealed, under_construction: true, ..FoundFile::default() };
    if let Some(base) = record.base {
        fill(&mut found, contents::pieces_around(view, base, offset, length)?, offset, length);
    }
    fill(&mut found, contents::placed(record.base_bytes, record.blocks.clone()), offset, length);
    if let Some(last) = record.last {
        let extent = Extent { block: last.block, offset: 0, length: last.visible };
        found.last = Some(FoundBlock { offset: sealed, extent, complete: false });
    }
    Ok(found)
}

/// Adds the pieces that have bytes of the range, whole, and notes the last of all.
fn fill(found: &mut FoundFile, pieces: Vec<(u64, Extent)>, offset: u64, length: u64) {
    let end = offset.saturating_add(length);
    for (at, extent) in pieces {
        let block = FoundBlock { offset: at, extent, complete: true };
        if at + u64::from(extent.length) > offset && at < end {
            found.blocks.push(block);
        }
        found.last = Some(block);
    }
}

fn list<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    path: &FsPath,
    after: &str,
    locations: bool,
    replication: u16,
) -> Result<Option<FoundListing>, Rejection> {
    let place = resolve::resolve(view, path)?;
    access::check_traverse(view, caller, &place)?;
    let mut listing = FoundListing::default();
    match &place.found {
        Found::Nothing => return Ok(None),
        Found::Root => {
            list_buckets(view, caller, after, &mut listing)?;
            return Ok(Some(listing));
        }
        Found::File { .. } | Found::Open { .. } => {
            // The listing of a file is the file.
            let status = status::of_place(view, &place, replication)?;
            let blocks = match (&place.found, locations) {
                (found, true) => blocks_of(view, found)?,
                (_, false) => None,
            };
            listing.entries.extend(status.map(|status| (status, blocks)));
            return Ok(Some(listing));
        }
        Found::Directory { .. } => access::check_entry(view, caller, &place, access::READ | access::EXECUTE)?,
    }
    let Found::Directory { id, .. } = &place.found else { return Ok(None) };
    let (entries, more) = listing::page(view, *id, place.bucket()?.shows(), after, LISTING_ENTRIES_MAX)?;
    listing.more = more;
    let mut located = 0;
    for entry in entries {
        if located >= LISTED_BLOCKS_MAX {
            listing.more = true;
            break;
        }
        let blocks = if locations { blocks_of(view, &entry.found)? } else { None };
        located += blocks.as_ref().map_or(0, |file| file.blocks.len());
        listing.entries.push((entry_status(view, place.bucket()?, entry, replication)?, blocks));
    }
    Ok(Some(listing))
}

fn blocks_of<V: View + ?Sized>(view: &V, found: &Found) -> Result<Option<FoundFile>, StateError> {
    Ok(match found {
        Found::File { head, details, .. } => Some(of_object(view, head, details, 0, u64::MAX)?),
        Found::Open { record, .. } => Some(of_open(view, record, 0, u64::MAX)?),
        _ => None,
    })
}

fn entry_status<V: View + ?Sized>(
    view: &V,
    bucket: &Bucket,
    entry: Listed,
    replication: u16,
) -> Result<FileStatus, Rejection> {
    let name = entry.name;
    Ok(match entry.found {
        Found::Directory { id, .. } => status::of_directory(view, bucket, id, false, name)?,
        Found::File { head, details, attributes } => {
            status::of_object(view, bucket, &head, details.encryption.is_some(), &attributes, replication, name)?
        }
        Found::Open { id, record } => status::of_open(view, bucket, id, &record, name)?,
        Found::Nothing | Found::Root => return Err(refuse(ErrorCode::Internal, "an entry that is none")),
    })
}

fn list_buckets<V: View + ?Sized>(
    view: &V,
    caller: &FsCaller,
    after: &str,
    listing: &mut FoundListing,
) -> Result<(), Rejection> {
    let after = (!after.is_empty()).then(|| BucketName::from(after));
    // There are at most ten times as many, and few a caller may not see.
    let (buckets, _) = buckets::list_buckets(view, "", after.as_ref(), u32::MAX)?;
    for info in buckets {
        let Some(bucket) = resolve::bucket(view, &info.name)? else { continue };
        if !listing::shows_bucket(view, caller, &bucket)? {
            continue;
        }
        if listing.entries.len() == LISTING_ENTRIES_MAX {
            listing.more = true;
            break;
        }
        let status = status::of_directory(view, &bucket, bucket.head.root, true, info.name.0)?;
        listing.entries.push((status, None));
    }
    Ok(())
}

fn open_files<V: View + ?Sized>(view: &V, caller: &FsCaller, after: FileId, limit: u32) -> Result<FsReply, Rejection> {
    access::check_superuser(caller)?;
    let limit = limit.min(OPEN_FILES_MAX) as usize;
    let table = layout::table(layout::OPEN_FILE);
    let from = layout::open_file(FileId(after.0.saturating_add(1)));
    let mut files = Vec::new();
    for pair in view.scan(&from, Some(&layout::after_prefix(&table))) {
        let (key, value) = pair?;
        if files.len() == limit {
            return Ok(FsReply::OpenFiles { files, more: true });
        }
        let id = FileId(layout::last_number(&key).ok_or_else(|| undecodable(&key, "its key has no number"))?);
        let record: OpenFileRecord = view::decode(&key, &value)?;
        let (holder, name) = (record.holder.clone(), record.bucket.clone());
        let Some(opened) = open::reach(view, id, record, None)? else { continue };
        let Ok(path) = FsPath::parse(&format!("/{name}/{}", opened.key)) else { continue };
        files.push(OpenFile { file_id: id, path, renewed: lease::renewed(view, &holder)?, holder });
    }
    Ok(FsReply::OpenFiles { files, more: false })
}

/// Used by calls about attributes: the entry's own.
pub(super) fn attributes_of<V: View + ?Sized>(
    view: &V,
    place: &Place<'_>,
) -> Result<super::records::Attributes, Rejection> {
    Ok(match &place.found {
        Found::Directory { id, .. } => attributes::of_directory(view, *id)?,
        Found::File { attributes, .. } => (**attributes).clone(),
        Found::Open { record, .. } => record.attributes.clone(),
        Found::Root => super::records::Attributes::default(),
        Found::Nothing => return Err(refuse(ErrorCode::FileNotFound, resolve::missing(place.path))),
    })
}
